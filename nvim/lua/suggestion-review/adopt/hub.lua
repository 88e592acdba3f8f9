--- The server's repository that a finalized commit is fetched from: where it is, the proof before the token goes there,
--- and git's environment in which it goes nowhere else.
local git = require("suggestion-review.worktree.git")
local refuse = require("suggestion-review.adopt.refusal").raise
local repository = require("suggestion-review.adopt.repository")

local M = {}

--- Environment in which git sends the token to this URL and nowhere else: nothing of it is in an argument or a file.
---@param url string
---@param token string
---@param peer string address that proved itself: git goes there, whatever the URL's name may lead to by then
---@param env? table<string, string> what git is run with besides
---@return table<string, string>
function M.transport_env(url, token, peer, env)
  local proven = url:gsub("^http://[^/]+", function()
    return "http://" .. peer
  end)
  local result = repository.with_settings({
    { ("url.%s.insteadOf"):format(proven), url },
    { ("http.%s.extraHeader"):format(proven), "Authorization: Bearer " .. token },
    { "http.followRedirects", "false" },
    { "http.proxy", "" },
    { "credential.helper", "" },
    { "fetch.fsckObjects", "true" },
    { "transfer.fsckObjects", "true" },
  }, env)
  result.NO_PROXY, result.no_proxy = "*", "*"
  return result
end

--- Inside a task: the token of a server, once the server has proven that it knows it.
---@param server SuggestionReview.Server
---@return string token
---@return string peer address that proved it
function M.token_for(server)
  local handshake = require("suggestion-review.connection.handshake")
  local token, problem = handshake.read_token(server.token_file)
  if not token then
    refuse(problem --[[@as string]])
  end
  ---@cast token string
  local proven, failed = handshake.prove(server, token)
  if not proven then
    ---@cast failed SuggestionReview.HandshakeProblem
    refuse(
      failed.kind == "unreachable" and ("%s cannot be reached: %s"):format(server.name, failed.message)
        or failed.kind == "protocol" and ("%s cannot be used: %s"):format(server.name, failed.message)
        or ("%s did not prove that it knows the token; nothing was sent to it"):format(server.name)
    )
  end
  ---@cast proven SuggestionReview.Proven
  handshake.close(proven)
  return token, proven.peer
end

---@param suggestion SuggestionReview.Suggestion
---@return SuggestionReview.Server
function M.server_of(suggestion)
  for _, server in ipairs(require("suggestion-review.config").servers()) do
    if server.name == suggestion.server then
      return server
    end
  end
  refuse(("The server %s is not in the settings"):format(suggestion.server))
  error("unreachable")
end

---@param server SuggestionReview.Server
---@param suggestion SuggestionReview.Suggestion
---@return string
function M.url(server, suggestion)
  return ("http://%s%s"):format(
    require("suggestion-review.connection.tcp").authority(server.host, server.port),
    suggestion.hub
  )
end

--- Names that the server gives and git and a shell are to be told: refused where they are not what they should be.
---@param suggestion SuggestionReview.Suggestion
---@param opts SuggestionReview.GitOpts
local function check_names(suggestion, opts)
  local result = suggestion.result --[[@as SuggestionReview.Result]]
  local function expect(value, pattern, what)
    if type(value) ~= "string" or not value:find(pattern) then
      refuse(("The server named %s that is none: %s"):format(what, vim.inspect(value)))
    end
  end
  local oid = "^" .. ("%x"):rep(40) .. "%x*$"
  expect(suggestion.id, "^[%w-]+$", "a suggestion")
  expect(suggestion.hub, "^/git/[%w_][%w._-]*%.git$", "a repository")
  expect(suggestion.base_commit, oid, "a base commit")
  expect(result.commit, oid, "a commit")
  expect(result.ref, "^[^%c]+$", "a branch")
  local name = "refs/heads/" .. result.ref
  if git.run({ "check-ref-format", name }, repository.answers(opts, 1)).code ~= 0 then
    expect(result.ref, "^$", "a branch")
  end
end

---@class SuggestionReview.Fetched
---@field ref string ref of ours that holds what was fetched
---@field on_branch boolean the branch has the commit that the server named

--- Inside a task: brings the commit into the repository, under a ref of ours that no branch or tag shows. Only the one
--- branch by its full name: a tag of the same name is another thing, and tags are not taken along. A commit that is not
--- on the branch is fetched by its id, so that it can be looked at.
---@param suggestion SuggestionReview.Suggestion
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Fetched
function M.fetch(suggestion, opts)
  check_names(suggestion, opts)
  local result = suggestion.result --[[@as SuggestionReview.Result]]
  local server = M.server_of(suggestion)
  local url = M.url(server, suggestion)
  local token, peer = M.token_for(server)
  local ref = "refs/suggestion-review/fetched/" .. suggestion.id
  local function fetch(what, ...)
    return git.run({
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-prune",
      "--no-write-fetch-head",
      "--no-auto-maintenance",
      "--no-recurse-submodules",
      "--refmap=",
      url,
      ("+%s:%s"):format(what, ref),
    }, repository.answers({ cwd = opts.cwd, env = M.transport_env(url, token, peer, opts.env) }, ...)) -- stylua: ignore
  end
  fetch("refs/heads/" .. result.ref)
  local there =
    git.run({ "merge-base", "--is-ancestor", result.commit, ref }, repository.answers(opts, 1, 128))
  if there.code == 0 then
    return { ref = ref, on_branch = true }
  end
  if fetch(result.commit, 1, 128).code ~= 0 then
    git.run({ "update-ref", "-d", ref }, opts)
    refuse(("%s is not in %s any more"):format(result.commit:sub(1, 12), result.ref))
  end
  return { ref = ref, on_branch = false }
end

return M
