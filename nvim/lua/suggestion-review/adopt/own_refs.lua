--- Which commits are the developer's own: those that the developer's branches reach, and remote-tracking branches of
--- other remotes than the review server's. What a fetch from that server may write is the agent's word: its
--- remote-tracking branches, tags (git follows them by itself), and in jj local bookmarks that follow its bookmarks.
local git = require("suggestion-review.worktree.git")
local repository = require("suggestion-review.adopt.repository")
local config = require("suggestion-review.config")

local M = {}

--- Commits that passed the verification are kept under these, adopted or not.
M.VERIFIED = "refs/suggestion-review/verified/"

---@class SuggestionReview.OwnRefs
---@field tips string[] commits that the developer's own refs are at
---@field remotes string[] remotes that are not the review server's

---@class SuggestionReview.Remote
---@field name string
---@field url string
---@field fetch string[] refspecs
---@field hub boolean it leads to the review server's repository

--- Whether a URL leads to a repository of the review server, over HTTP or on this disk. Ports change between starts:
--- any address of this machine counts.
---@param url string
---@param suggestion SuggestionReview.Suggestion
---@return boolean
local function leads_to_hub(url, suggestion)
  local host, path = url:match("^https?://([^/]*)(/.*)$")
  if host then
    if path == suggestion.hub then
      return true
    end
    host = host:gsub("^.*@", ""):gsub(":%d+$", ""):lower()
    local here = { localhost = true, ["127.0.0.1"] = true, ["[::1]"] = true }
    for _, server in ipairs(config.servers()) do
      here[server.host:lower()] = true
    end
    return here[host] == true and vim.startswith(path, "/git/")
  end
  local place = url:gsub("^file://", "")
  if place:sub(1, 1) ~= "/" then
    return false
  end
  -- The agent's repository, by whatever path of it.
  local project = suggestion.project and (vim.uv.fs_realpath(suggestion.project) or suggestion.project)
  local real = vim.uv.fs_realpath(place) or vim.fs.normalize(place)
  if project and (real == project or vim.startswith(real, project .. "/")) then
    return true
  end
  if vim.fs.basename(vim.fs.normalize(place)) == vim.fs.basename(suggestion.hub) then
    return true
  end
  -- What belongs to another user can say anything.
  local stat = vim.uv.fs_stat(place)
  return stat ~= nil and stat.uid ~= vim.uv.getuid() and stat.uid ~= 0
end

--- The remotes of the repository.
---@param suggestion SuggestionReview.Suggestion
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Remote[]
local function remotes_of(suggestion, opts)
  local listed =
    git.run({ "config", "-z", "--get-regexp", [[^remote\..*\.(url|fetch)$]] }, repository.answers(opts, 1))
  local remotes, by_name = {}, {}
  for _, record in ipairs(git.split_nul(listed.stdout)) do
    local name, key, value = record:match("^remote%.(.*)%.(%a+)\n(.*)$")
    if name then
      if not by_name[name] then
        by_name[name] = { name = name, url = "", fetch = {}, hub = false }
        remotes[#remotes + 1] = by_name[name]
      end
      if key == "url" then
        by_name[name].url = value
        by_name[name].hub = by_name[name].hub or leads_to_hub(value, suggestion)
      else
        table.insert(by_name[name].fetch, value)
      end
    end
  end
  for _, remote in ipairs(remotes) do
    -- url.<base>.insteadOf may lead elsewhere than what is written down.
    local real = git.run({ "ls-remote", "--get-url", remote.name }, repository.answers(opts, 128))
    remote.hub = remote.hub or leads_to_hub(vim.trim(real.stdout), suggestion)
  end
  return remotes
end

--- Whether a fetch by one of these refspecs may write the ref.
---@param ref string
---@param refspecs string[]
---@return boolean
local function is_written_by(ref, refspecs)
  for _, refspec in ipairs(refspecs) do
    local target = refspec:match(":(.+)$")
    if target then
      local before, after = target:match("^(.-)%*(.*)$")
      if target == ref then
        return true
      elseif before and vim.startswith(ref, before) and vim.endswith(ref, after) then
        return true
      end
    end
  end
  return false
end

---@param remotes SuggestionReview.Remote[]
---@param hub boolean
---@return string[]
local function refspecs_of(remotes, hub)
  local all = {}
  for _, remote in ipairs(remotes) do
    if remote.hub == hub then
      vim.list_extend(all, remote.fetch)
    end
  end
  return all
end

--- Own commits of a git checkout.
---@param remotes SuggestionReview.Remote[]
---@param opts SuggestionReview.GitOpts
---@return string[]
local function git_tips(remotes, opts)
  local tips = {}
  local head =
    git.run({ "rev-parse", "--quiet", "--verify", "HEAD^{commit}" }, repository.answers(opts, 1, 128))
  if head.code == 0 then
    tips[1] = vim.trim(head.stdout)
  end
  local hub, others = refspecs_of(remotes, true), refspecs_of(remotes, false)
  local patterns = { "refs/heads", "refs/remotes", (M.VERIFIED:gsub("/$", "")) }
  local listed = git.run(
    vim.list_extend({ "for-each-ref", "--format=%(objectname) %(objecttype) %(refname)" }, patterns),
    opts
  )
  for oid, ref in listed.stdout:gmatch("(%x+) commit ([^\n]+)") do
    local remote = vim.startswith(ref, "refs/remotes/")
    if not is_written_by(ref, hub) and (not remote or is_written_by(ref, others)) then
      tips[#tips + 1] = oid
    end
  end
  return tips
end

--- Own commits of a jj checkout: what the working copies stand on, and bookmarks as jj knows them. A bookmark that
--- follows the server's moves with every `jj git fetch`, without anybody having looked.
---@param remotes SuggestionReview.Remote[]
---@param opts SuggestionReview.GitOpts
---@return string[]
local function jj_tips(remotes, opts)
  local own = {}
  for _, remote in ipairs(remotes) do
    own[remote.name] = not remote.hub
  end
  local function jj(...)
    local command = { "jj", "--ignore-working-copy", "--color=never", "--no-pager", ... }
    return git.command(command, { cwd = opts.cwd }).stdout
  end
  local template = 'if(remote, remote, "") ++ "\\t" ++ if(tracked, "1", "0") ++ "\\t" ++ name ++ "\\t"'
    .. ' ++ if(normal_target, normal_target.commit_id(), "") ++ "\\n"'
  local marks, led = {}, {}
  for remote, tracked, name, oid in
    jj("bookmark", "list", "--all-remotes", "-T", template):gmatch("([^\t\n]*)\t(%d)\t([^\t\n]*)\t(%x*)\n")
  do
    if remote ~= "git" then
      marks[#marks + 1] = { remote = remote, name = name, oid = oid }
      led[name] = led[name] or (remote ~= "" and tracked == "1" and not own[remote])
    end
  end
  local tips = {}
  -- The first is what is worked on here; the workspace's own comes before the others.
  for _, revset in ipairs({ "@-", "working_copies()- ~ @-" }) do
    for oid in jj("log", "--no-graph", "-r", revset, "-T", 'commit_id ++ "\\n"'):gmatch("%x+") do
      if not oid:find("^0+$") then
        tips[#tips + 1] = oid
      end
    end
  end
  for _, mark in ipairs(marks) do
    local counts = mark.remote == "" and not led[mark.name] or own[mark.remote]
    if counts and mark.oid ~= "" then
      tips[#tips + 1] = mark.oid
    end
  end
  local verified = git.run({ "for-each-ref", "--format=%(objectname)", (M.VERIFIED:gsub("/$", "")) }, opts)
  for oid in verified.stdout:gmatch("%x+") do
    tips[#tips + 1] = oid
  end
  return tips
end

--- Inside a task: the developer's own commits as they are now. To be asked before anything is fetched.
---@param suggestion SuggestionReview.Suggestion
---@param is_jj boolean
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.OwnRefs
function M.look(suggestion, is_jj, opts)
  local remotes = remotes_of(suggestion, opts)
  local names = {}
  for _, remote in ipairs(remotes) do
    if not remote.hub then
      names[#names + 1] = remote.name
    end
  end
  return { tips = (is_jj and jj_tips or git_tips)(remotes, opts), remotes = names }
end

--- Whether a commit is reached by the developer's own refs.
---@param own SuggestionReview.OwnRefs
---@param commit string
---@param opts SuggestionReview.GitOpts
---@return boolean
function M.has(own, commit, opts)
  if #own.tips == 0 then
    return false
  end
  local input = { commit }
  for _, tip in ipairs(own.tips) do
    input[#input + 1] = "^" .. tip
  end
  local asked = vim.tbl_extend("force", opts, { stdin = table.concat(input, "\n") .. "\n" })
  return git.run({ "rev-list", "--max-count=1", "--stdin" }, asked).stdout == ""
end

return M
