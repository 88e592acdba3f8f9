--- The server's repository that a finalized commit is fetched from: where it is, the proof before the token goes there,
--- and git's environment in which it goes nowhere else.
local git = require("suggestion-review.worktree.git")
local refuse = require("suggestion-review.adopt.refusal").raise

local M = {}

--- Environment in which git sends the token to this URL and nowhere else: nothing of it is in an argument or a file.
---@param url string
---@param token string
---@param peer string address that proved itself: git goes there, whatever the URL's name may lead to by then
---@return table<string, string>
function M.transport_env(url, token, peer)
  local count = tonumber(vim.env.GIT_CONFIG_COUNT or "") or 0
  local env = { NO_PROXY = "*", no_proxy = "*" }
  local function set(key, value)
    env["GIT_CONFIG_KEY_" .. count] = key
    env["GIT_CONFIG_VALUE_" .. count] = value
    count = count + 1
  end
  local proven = url:gsub("^http://[^/]+", function()
    return "http://" .. peer
  end)
  set(("url.%s.insteadOf"):format(proven), url)
  set(("http.%s.extraHeader"):format(proven), "Authorization: Bearer " .. token)
  set("http.followRedirects", "false")
  set("http.proxy", "")
  set("credential.helper", "")
  set("fetch.fsckObjects", "true")
  env.GIT_CONFIG_COUNT = tostring(count)
  return env
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

--- Inside a task: brings the commit into the repository, under a ref of ours that no branch or tag shows.
---@param suggestion SuggestionReview.Suggestion
---@param opts SuggestionReview.GitOpts
function M.fetch(suggestion, opts)
  local result = suggestion.result --[[@as SuggestionReview.Result]]
  local server = M.server_of(suggestion)
  local url = M.url(server, suggestion)
  local env = M.transport_env(url, M.token_for(server))
  git.run({
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--refmap=",
    url,
    ("+refs/heads/%s:refs/suggestion-review/%s"):format(result.ref, suggestion.id),
  }, { cwd = opts.cwd, env = vim.tbl_extend("force", opts.env or {}, env) }) -- stylua: ignore
  local there = git.run(
    { "cat-file", "-e", result.commit .. "^{commit}" },
    vim.tbl_extend("force", opts, {
      ok = { [0] = true, [1] = true, [128] = true },
    })
  )
  if there.code ~= 0 then
    refuse(("%s is not in %s any more"):format(result.commit:sub(1, 12), result.ref))
  end
end

return M
