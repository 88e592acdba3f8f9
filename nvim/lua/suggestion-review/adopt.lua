--- After finalize: fetches the commit, has it verified, and moves the checkout onto it so that the accepted hunks in
--- the worktree become the commit. A plan is made and shown first; carrying it out re-checks what it rests on. What
--- cannot be done without risk to anything of the developer's is refused with the reason and what to run instead.

local git = require("suggestion-review.git")
local task = require("suggestion-review.task")

local M = {}

---@class SuggestionReview.AdoptFile
---@field path string
---@field action "keep"|"write"|"delete"|"chmod"|"index"|"refuse"
---@field reason string
---@field new? SuggestionReview.TreeEntry
---@field seen? SuggestionReview.TreeEntry what the worktree had when the plan was made

---@class SuggestionReview.AdoptPlan
---@field suggestion SuggestionReview.Suggestion
---@field root string
---@field kind "git"|"jj"
---@field commit string
---@field parent string
---@field head? string
---@field branch? string nil when HEAD is detached
---@field title string
---@field author string
---@field verdict SuggestionReview.Verdict
---@field files SuggestionReview.AdoptFile[]
---@field steps string[] what will be run
---@field refusal? { reason: string, commands: string[] }
---@field done? boolean the checkout has the commit already
---@field remote? { name: string, url: string, add: boolean } jj

---@param reason string
---@param commands? string[]
local function refuse(reason, commands)
  error({ message = reason, refusal = true, commands = commands or {} }, 0)
end

-- Fetching --------------------------------------------------------------------------------------------------

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
local function token_for(server)
  local client = require("suggestion-review.client")
  local token, problem = client.read_token(server.token_file)
  if not token then
    refuse(problem --[[@as string]])
  end
  local nonce = require("suggestion-review.sha256").to_hex(assert(vim.uv.random(16)))
  local err, response = task.await(function(callback)
    require("suggestion-review.http").get({
      host = server.host,
      port = server.port,
      path = "/health?nonce=" .. nonce,
    }, vim.schedule_wrap(callback))
  end)
  if err then
    refuse(("%s cannot be reached: %s"):format(server.name, require("suggestion-review.tcp").explain(err)))
  end
  local ok, health = pcall(vim.json.decode, response.body, { luanil = { object = true, array = true } })
  if
    not ok
    or type(health) ~= "table"
    or not client.is_proven(token --[[@as string]], nonce, response.peer, health.proofs)
  then
    refuse(("%s did not prove that it knows the token; nothing was sent to it"):format(server.name))
  end
  ---@cast token string
  return token, response.peer
end

---@param suggestion SuggestionReview.Suggestion
---@return SuggestionReview.Server
local function server_of(suggestion)
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
function M.hub_url(server, suggestion)
  return ("http://%s%s"):format(
    require("suggestion-review.tcp").authority(server.host, server.port),
    suggestion.hub
  )
end

--- Inside a task: brings the commit into the repository, under a ref of ours that no branch or tag shows.
---@param suggestion SuggestionReview.Suggestion
---@param opts SuggestionReview.GitOpts
local function fetch(suggestion, opts)
  local result = suggestion.result --[[@as SuggestionReview.Result]]
  local server = server_of(suggestion)
  local url = M.hub_url(server, suggestion)
  local env = M.transport_env(url, token_for(server))
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

-- Planning (pure) -------------------------------------------------------------------------------------------

---@class SuggestionReview.PathState
---@field path string
---@field old? SuggestionReview.TreeEntry in HEAD
---@field new? SuggestionReview.TreeEntry in the commit
---@field index? SuggestionReview.TreeEntry
---@field worktree? SuggestionReview.TreeEntry
---@field obstacle? string why the worktree's state cannot be told (a directory in the way, a link in the path)
---@field contains? boolean the worktree's text has all that the commit changes, and more
---@field skipped? boolean not checked out (sparse)
---@field unsaved? boolean a buffer has edits that are not written

---@param a? SuggestionReview.TreeEntry
---@param b? SuggestionReview.TreeEntry
local function same(a, b)
  if not a or not b then
    return a == b
  end
  return a.oid == b.oid and a.mode == b.mode
end

---@param a? SuggestionReview.TreeEntry
---@param b? SuggestionReview.TreeEntry
local function same_content(a, b)
  return a ~= nil and b ~= nil and a.oid == b.oid and (a.mode == "120000") == (b.mode == "120000")
end

--- What is to happen to one path. `keep` leaves the file, `write` and `delete` bring it from HEAD's state to the
--- commit's; whatever is neither is the developer's own and refuses the whole.
---@param state SuggestionReview.PathState
---@return SuggestionReview.AdoptFile
function M.decide_file(state)
  local function file(action, reason)
    return { path = state.path, action = action, reason = reason, new = state.new, seen = state.worktree }
  end
  if state.index and not same(state.index, state.old) and not same(state.index, state.new) then
    return file("refuse", "has other content staged")
  elseif not state.index and state.old and state.new then
    return file("refuse", "is staged for removal")
  end
  if (state.new and state.new.mode == "160000") or (state.old and state.old.mode == "160000") then
    return file("index", "submodule: its folder is left as it is, see git submodule update")
  end
  if state.skipped and not state.worktree then
    return file("index", "not checked out")
  end
  if state.obstacle then
    return file("refuse", state.obstacle)
  end
  if same(state.worktree, state.new) then
    return file("keep", "already as in the commit")
  end
  if same(state.worktree, state.old) then
    if state.unsaved then
      return file("refuse", "has unsaved edits in a buffer: write or reload it first")
    end
    if not state.new then
      return file("delete", "as in HEAD; the commit deletes it")
    end
    return file("write", state.old and "as in HEAD; the commit changes it" or "the commit adds it")
  end
  if state.new and state.worktree and state.worktree.mode ~= state.new.mode then
    if same_content(state.worktree, state.new) and state.old and state.worktree.mode == state.old.mode then
      return file("chmod", "its content is the commit's, its mode is not")
    end
  end
  if state.contains then
    return file("keep", "has the commit's changes and further edits, which stay uncommitted")
  end
  if not state.worktree then
    return file("refuse", "is gone from the worktree")
  end
  if not state.new then
    return file("refuse", "was changed here; the commit deletes it")
  end
  if not state.old then
    return file("refuse", "exists here with other content; the commit adds it")
  end
  return file("refuse", "was changed here in a way that does not have the commit's changes")
end

---@class SuggestionReview.HeadState
---@field head? string
---@field parent string
---@field commit string
---@field has_commit boolean HEAD has the commit already
---@field behind boolean HEAD is an ancestor of the commit's parent
---@field busy? string what is going on in the repository

--- Whether HEAD can move to the commit at all.
---@param state SuggestionReview.HeadState
---@return { reason: string, commands: string[] }? refusal
function M.decide_head(state)
  local short = state.commit:sub(1, 12)
  if state.has_commit then
    return nil
  end
  if state.busy then
    return { reason = state.busy .. " is going on in this repository; finish it first", commands = {} }
  end
  if not state.head then
    return { reason = "This repository has no commit yet", commands = { "git reset --soft " .. short } }
  end
  if state.head == state.parent then
    return nil
  end
  if state.behind then
    return {
      reason = ("HEAD is behind: the work was put on %s, which is newer"):format(state.parent:sub(1, 12)),
      commands = {
        "git stash",
        "git merge --ff-only " .. short,
        "git stash pop   # resolves what is the same on both sides",
      },
    }
  end
  return {
    reason = ("HEAD is not the commit's parent (%s): there are commits here that the work is not based on"):format(
      state.parent:sub(1, 12)
    ),
    commands = {
      "git stash",
      "git merge " .. short,
      "git stash pop   # resolves what is the same on both sides",
    },
  }
end

-- Looking ---------------------------------------------------------------------------------------------------

---@param git_dir string
---@return string?
local function busy_with(git_dir, cwd)
  local signs = {
    { "rebase-merge", "A rebase" },
    { "rebase-apply", "A rebase or am" },
    { "MERGE_HEAD", "A merge" },
    { "CHERRY_PICK_HEAD", "A cherry-pick" },
    { "REVERT_HEAD", "A revert" },
    { "BISECT_LOG", "A bisection" },
    { "sequencer", "A sequence of picks or reverts" },
    { "index.lock", "Another git command" },
    { "HEAD.lock", "Another git command" },
  }
  for _, sign in ipairs(signs) do
    if vim.uv.fs_lstat(git_dir .. "/" .. sign[1]) then
      return sign[2]
    end
  end
  if git.run({ "ls-files", "-u", "-z" }, { cwd = cwd }).stdout ~= "" then
    return "A conflict (unmerged paths)"
  end
end

--- Blob ids of files of the worktree as git would store them (line ends, filters).
---@param paths string[]
---@param write boolean store them too
---@param cwd string
---@return table<string, string>
local function hash_files(paths, write, cwd)
  local found, plain = {}, {}
  local args = { "hash-object" }
  if write then
    args[#args + 1] = "-w"
  end
  for _, path in ipairs(paths) do
    if path:find('[\n\r"]') then
      found[path] =
        git.line(vim.list_extend(vim.list_slice(args), { "--path=" .. path, "--", path }), { cwd = cwd })
    else
      plain[#plain + 1] = path
    end
  end
  if #plain > 0 then
    local out = git.run(vim.list_extend(vim.list_slice(args), { "--stdin-paths" }), {
      cwd = cwd,
      stdin = table.concat(plain, "\n") .. "\n",
    }).stdout
    local at = 0
    for oid in out:gmatch("(%x+)\n") do
      at = at + 1
      found[plain[at]] = oid
    end
  end
  return found
end

--- Whether a file or link that the commit deletes stands where `path` needs a directory.
---@param root string
---@param path string
---@param deleted table<string, true>
local function below_deleted(root, path, deleted)
  for at in path:gmatch("()/") do
    local above = path:sub(1, at - 1)
    local stat = vim.uv.fs_lstat(root .. "/" .. above)
    if not stat then
      return false
    elseif stat.type ~= "directory" then
      return deleted[above] == true
    end
  end
  return false
end

--- Whether a directory holds nothing but files that the commit deletes: then it makes room for a file of its name.
---@param root string
---@param path string
---@param deleted table<string, true>
local function makes_room(root, path, deleted)
  for name, kind in vim.fs.dir(root .. "/" .. path) do
    local below = path .. "/" .. name
    if kind == "directory" then
      if not makes_room(root, below, deleted) then
        return false
      end
    elseif not deleted[below] then
      return false
    end
  end
  return true
end

---@param changes SuggestionReview.TreeChange[]
---@param root string
---@return SuggestionReview.PathState[]
local function look_at_files(changes, root)
  local deleted = {}
  for _, change in ipairs(changes) do
    deleted[change.path] = not change.new or nil
  end
  local worktree = require("suggestion-review.worktree")
  local file_mode = git.run(
    { "config", "--type=bool", "core.fileMode" },
    { cwd = root, ok = { [0] = true, [1] = true } }
  )
  local trust_mode = vim.trim(file_mode.stdout) ~= "false"
  local paths = vim.tbl_map(function(change)
    return change.path
  end, changes)
  local index, skipped = {}, {}
  for from = 1, #paths, 200 do
    local slice = vim.list_slice(paths, from, math.min(from + 199, #paths))
    local staged = vim.list_extend({ "--literal-pathspecs", "ls-files", "-s", "-z", "--" }, slice)
    for _, record in ipairs(git.split_nul(git.run(staged, { cwd = root }).stdout)) do
      local mode, oid, path = record:match("^(%d+) (%x+) 0\t(.*)$")
      if mode then
        index[path] = { mode = mode, oid = oid }
      end
    end
    local tagged = vim.list_extend({ "--literal-pathspecs", "ls-files", "-t", "-z", "--" }, slice)
    for _, record in ipairs(git.split_nul(git.run(tagged, { cwd = root }).stdout)) do
      if record:sub(1, 1) == "S" then
        skipped[record:sub(3)] = true
      end
    end
  end
  local states, files = {}, {}
  local breathe = task.breather()
  for i, change in ipairs(changes) do
    breathe()
    local state = {
      path = change.path,
      old = change.old,
      new = change.new,
      index = index[change.path],
      skipped = skipped[change.path],
    }
    states[i] = state
    local absolute, obstacle = worktree.resolve(root, change.path)
    local stat = absolute and vim.uv.fs_lstat(absolute)
    if not absolute then
      state.obstacle = not below_deleted(root, change.path, deleted) and obstacle or nil
    elseif stat and stat.type == "link" then
      local target = vim.uv.fs_readlink(absolute) --[[@as string]]
      state.worktree =
        { mode = "120000", oid = git.line({ "hash-object", "--stdin" }, { cwd = root, stdin = target }) }
    elseif stat and stat.type == "file" then
      local executable = bit.band(stat.mode, 64) ~= 0
      local mode = executable and "100755" or "100644"
      local known = change.old or change.new
      if not trust_mode and known and known.mode:sub(1, 3) == "100" then
        mode = known.mode
      end
      state.worktree = { mode = mode, oid = "" }
      files[#files + 1] = state
    elseif stat and stat.type == "directory" then
      local gitlink = (change.old and change.old.mode == "160000")
        or (change.new and change.new.mode == "160000")
      if not gitlink and change.new and not makes_room(root, change.path, deleted) then
        state.obstacle = "a directory is in its place"
      end
    elseif stat then
      state.obstacle = ("a %s is in its place"):format(stat.type)
    end
    if absolute then
      local buf = worktree.buffer_of(absolute)
      state.unsaved = buf ~= nil and vim.bo[buf].modified
    end
  end
  local oids = hash_files(
    vim.tbl_map(function(state)
      return state.path
    end, files),
    false,
    root
  )
  for _, state in ipairs(files) do
    state.worktree.oid = oids[state.path]
  end
  return states
end

--- Whether the file in the worktree is what a merge of the commit into it gives: then nothing of the commit is missing.
---@param state SuggestionReview.PathState
---@param root string
---@return boolean
local function contains(state, root)
  local function is_text(entry)
    return entry and entry.mode:sub(1, 3) == "100"
  end
  if not is_text(state.old) or not is_text(state.new) or not is_text(state.worktree) then
    return false
  end
  if state.worktree.mode ~= state.new.mode then
    return false
  end
  local opts = { cwd = root }
  hash_files({ state.path }, true, root)
  local directory = vim.fn.tempname()
  vim.fn.mkdir(directory, "p", "0o700")
  local ok, result = pcall(function()
    for name, oid in pairs({ ours = state.worktree.oid, base = state.old.oid, theirs = state.new.oid }) do
      local handle = assert(io.open(directory .. "/" .. name, "wb"))
      handle:write(git.blob(oid, opts))
      handle:close()
    end
    local merged = git.command({ "git", "merge-file", "-p", "--quiet", "ours", "base", "theirs" }, {
      cwd = directory,
      ok = setmetatable({}, {
        __index = function()
          return true
        end,
      }),
    })
    if merged.code ~= 0 then
      return false
    end
    return merged.stdout == git.blob(state.worktree.oid, opts)
  end)
  vim.fn.delete(directory, "rf")
  return ok and result == true
end

---@param plan SuggestionReview.AdoptPlan
local function plan_git(plan)
  local opts = { cwd = plan.root }
  local any = { cwd = plan.root, ok = { [0] = true, [1] = true, [128] = true } }
  local head = git.run({ "rev-parse", "--quiet", "--verify", "HEAD^{commit}" }, any)
  plan.head = head.code == 0 and vim.trim(head.stdout) or nil
  local branch = git.run({ "symbolic-ref", "--quiet", "--short", "HEAD" }, any)
  plan.branch = branch.code == 0 and vim.trim(branch.stdout) or nil
  local function is_ancestor(a, b)
    return git.run({ "merge-base", "--is-ancestor", a, b }, any).code == 0
  end
  local has_commit = plan.head ~= nil and is_ancestor(plan.commit, plan.head)
  plan.refusal = M.decide_head({
    head = plan.head,
    parent = plan.parent,
    commit = plan.commit,
    has_commit = has_commit,
    behind = plan.head ~= nil and is_ancestor(plan.head, plan.parent),
    busy = busy_with(git.line({ "rev-parse", "--absolute-git-dir" }, opts), plan.root),
  })
  if has_commit then
    plan.done = true
  end
  if plan.refusal or plan.done then
    return
  end

  local refused = {}
  for _, state in
    ipairs(look_at_files(git.changes(plan.head --[[@as string]], plan.commit, opts), plan.root))
  do
    local file = M.decide_file(state)
    if file.action == "refuse" and state.worktree and not state.obstacle then
      state.contains = contains(state, plan.root)
      file = M.decide_file(state)
    end
    table.insert(plan.files, file)
    if file.action == "refuse" then
      table.insert(refused, ("%s %s"):format(file.path, file.reason))
    end
  end
  local short = plan.commit:sub(1, 12)
  if #refused > 0 then
    plan.refusal = {
      reason = "The worktree has something of yours that this must not touch:\n  "
        .. table.concat(refused, "\n  "),
      commands = {
        "git stash",
        "git merge --ff-only " .. short,
        "git stash pop   # shows what is different on both sides",
      },
    }
    return
  end
  plan.steps = {
    ("git read-tree -i -m HEAD %s"):format(short),
    ("git update-ref HEAD %s %s"):format(short, plan.head:sub(1, 12)),
  }
  for _, file in ipairs(plan.files) do
    if file.action == "write" then
      table.insert(plan.steps, "write " .. file.path)
    elseif file.action == "delete" then
      table.insert(plan.steps, "delete " .. file.path)
    elseif file.action == "chmod" then
      table.insert(plan.steps, ("chmod %s %s"):format(file.new.mode:sub(4), file.path))
    end
  end
end

---@param plan SuggestionReview.AdoptPlan
local function plan_jj(plan)
  local opts = { cwd = plan.root }
  local function revision(revset)
    local out = git.command(
      { "jj", "log", "--no-graph", "--color=never", "-r", revset, "-T", 'commit_id ++ "\\n"' },
      opts
    ).stdout
    return vim.split(vim.trim(out), "\n")
  end
  local parents = revision("@-")
  local suggestion = plan.suggestion
  local short = plan.commit:sub(1, 12)
  if vim.list_contains(parents, plan.commit) then
    plan.done = true
    return
  end
  if #parents ~= 1 or parents[1] ~= plan.parent then
    plan.refusal = {
      reason = ("The parent of @ is not %s, which the work is based on"):format(plan.parent:sub(1, 12)),
      commands = { ("jj rebase -b @ -d %s"):format(short) },
    }
  end
  local url = M.hub_url(server_of(suggestion), suggestion)
  local name, add = "suggestions", true
  local taken = {}
  for line in git.command({ "jj", "git", "remote", "list" }, opts).stdout:gmatch("[^\n]+") do
    local remote, there = line:match("^(%S+)%s+(%S+)")
    if remote then
      taken[remote] = true
    end
    if there == url then
      name, add = remote, false
    end
  end
  if add and taken[name] then
    local number = 2
    while taken[name .. number] do
      number = number + 1
    end
    name = name .. number
  end
  plan.remote = { name = name, url = url, add = add }
  local steps = {}
  if add then
    steps[1] = ("jj git remote add %s %s"):format(name, url)
  end
  table.insert(steps, ("jj git fetch --remote %s --branch %s"):format(name, suggestion.result.ref))
  if plan.refusal then
    plan.refusal.commands = vim.list_extend(steps, plan.refusal.commands)
    return
  end
  table.insert(steps, ("jj rebase -s @ -d %s"):format(short))
  plan.steps = steps
end

--- Where the suggestion's work is to go.
---@param suggestion SuggestionReview.Suggestion
---@return string
local function root_of(suggestion)
  local place = require("suggestion-review.apply").place(suggestion)
  if not place.root then
    refuse("This directory is in no git or jj repository")
  end
  if place.in_place then
    refuse("The agent works in this very checkout, so there is nothing to bring over", { "jj git fetch" })
  end
  return place.root --[[@as string]]
end

--- Inside a task: fetches, verifies and plans. Changes nothing but the object store and a ref of ours.
---@param suggestion SuggestionReview.Suggestion
---@param root? string
---@return SuggestionReview.AdoptPlan
function M.prepare(suggestion, root)
  if suggestion.state ~= "finalized" or not suggestion.result then
    refuse("This suggestion is not finalized")
  end
  root = root or root_of(suggestion)
  if vim.fn.executable("git") == 0 then
    refuse("git is not on the PATH")
  end
  local is_jj = vim.uv.fs_stat(root .. "/.jj") ~= nil
  if is_jj and vim.fn.executable("jj") == 0 then
    refuse("This is a jj repository, but jj is not on the PATH")
  end
  local opts = { cwd = root }
  if is_jj then
    opts.env =
      { GIT_DIR = git.command({ "jj", "git", "root", "--ignore-working-copy" }, opts).stdout:gsub("\n$", "") }
  end
  local base = suggestion.base_commit
  if not base:find("^0+$") then
    local known = git.run(
      { "cat-file", "-e", base .. "^{commit}" },
      vim.tbl_extend("force", opts, {
        ok = { [0] = true, [1] = true, [128] = true },
      })
    )
    if known.code ~= 0 then
      refuse(
        ("%s does not have %s, the base of this work. Is it the right checkout? Otherwise fetch first."):format(
          root,
          base:sub(1, 12)
        ),
        { is_jj and "jj git fetch" or "git fetch" }
      )
    end
  end
  fetch(suggestion, opts)

  local store = require("suggestion-review.store")
  local err = task.await(function(callback)
    store.fetch(suggestion.id, callback)
  end)
  if err then
    refuse("The decisions could not be loaded: " .. err.message)
  end
  suggestion = store.get(suggestion.id) --[[@as SuggestionReview.Suggestion]]
  local decisions = require("suggestion-review.decisions")
  task.await(function(callback)
    decisions.after_writes(callback)
  end)
  local commit = suggestion.result.commit
  local verdict =
    require("suggestion-review.verify").verify(suggestion, decisions.by_hunk(suggestion.id), commit, opts)
  local log = git.run({ "log", "-1", "--no-show-signature", "--format=%P%x00%an <%ae>%x00%s", commit }, opts)
  local parent, author, title = log.stdout:match("^(%x*)[^%z]*%z([^%z]*)%z(.-)\n?$")
  local plan = {
    suggestion = suggestion,
    root = root,
    kind = is_jj and "jj" or "git",
    commit = commit,
    parent = parent or "",
    title = title or "",
    author = author or "",
    verdict = verdict,
    files = {},
    steps = {},
  }
  if not verdict.ok then
    plan.refusal = {
      reason = verdict.message .. ". Nothing was moved.",
      commands = { ("git diff %s %s"):format(verdict.tree or plan.parent, commit:sub(1, 12)) },
    }
    return plan
  end
  if is_jj then
    plan_jj(plan)
  else
    plan_git(plan)
  end
  return plan
end

-- Carrying out ----------------------------------------------------------------------------------------------

---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
local function run_git(plan)
  local root = plan.root
  local opts = { cwd = root }
  local head = git.line({ "rev-parse", "HEAD" }, opts)
  if head ~= plan.head then
    refuse("HEAD moved since the plan was made; make it again")
  end
  -- Everything the plan rests on is looked at once more; only what moved by itself into the wanted state may differ.
  local now = {}
  for _, state in ipairs(look_at_files(git.changes(plan.head, plan.commit, opts), root)) do
    local file = M.decide_file(state)
    if file.action == "refuse" and state.worktree and not state.obstacle then
      state.contains = contains(state, root)
      file = M.decide_file(state)
    end
    if file.action == "refuse" then
      refuse(("%s changed since the plan was made: it %s"):format(file.path, file.reason))
    end
    now[#now + 1] = file
  end
  git.run({ "read-tree", "-i", "-m", plan.head, plan.commit }, opts)
  local moved, err = pcall(git.run, {
    "update-ref",
    "-m",
    ("suggestion-review: adopt %s"):format(plan.title),
    "HEAD",
    plan.commit,
    plan.head,
  }, opts) -- stylua: ignore
  if not moved then
    git.run({ "read-tree", "-i", "-m", plan.commit, plan.head }, opts)
    error(err, 0)
  end
  local remarks, writes = {}, {}
  local worktree = require("suggestion-review.worktree")
  for _, file in ipairs(now) do
    local absolute = worktree.resolve(root, file.path)
    if file.action == "delete" and absolute then
      local ok, message = vim.uv.fs_unlink(absolute)
      if ok then
        worktree.remove_empty_parents(root, absolute)
      else
        remarks[#remarks + 1] = ("%s could not be deleted: %s"):format(file.path, message)
      end
    elseif file.action == "chmod" and absolute then
      local stat = assert(vim.uv.fs_stat(absolute))
      local bits = file.new.mode == "100755" and bit.bor(stat.mode, bit.band(bit.rshift(stat.mode, 2), 73))
        or bit.band(stat.mode, bit.bnot(73))
      vim.uv.fs_chmod(absolute, bit.band(bits, 4095))
    end
  end
  -- After all that goes has gone: a file may take a directory's place, or the reverse.
  for _, file in ipairs(now) do
    if file.action == "write" then
      local absolute, reason = worktree.resolve(root, file.path)
      local stat = absolute and vim.uv.fs_lstat(absolute)
      if stat and stat.type == "directory" and not vim.uv.fs_rmdir(absolute) then
        -- `checkout-index -f` would remove it with all that is in it.
        reason, absolute = "a directory is in its place", nil
      end
      if absolute then
        writes[#writes + 1] = file.path .. "\0"
      else
        remarks[#remarks + 1] = ("%s could not be written: %s"):format(file.path, reason)
      end
    end
  end
  if #writes > 0 then
    local done, message = pcall(
      git.run,
      { "checkout-index", "-f", "-z", "--stdin" },
      { cwd = root, stdin = table.concat(writes) }
    )
    if not done then
      remarks[#remarks + 1] = "some files could not be written: " .. message.message
    end
  end
  git.run({ "update-index", "-q", "--refresh" }, { cwd = root, ok = { [0] = true, [1] = true } })
  return remarks
end

---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
local function run_jj(plan)
  local opts = { cwd = plan.root }
  local remote = plan.remote --[[@as { name: string, url: string, add: boolean }]]
  local before = vim.trim(
    git.command({ "jj", "op", "log", "--no-graph", "--color=never", "-n", "1", "-T", "id" }, opts).stdout
  )
  local server = server_of(plan.suggestion)
  local env = M.transport_env(remote.url, token_for(server))
  if remote.add then
    git.command({ "jj", "git", "remote", "add", remote.name, remote.url }, opts)
  end
  git.command({
    "jj",
    "git",
    "fetch",
    "--remote",
    remote.name,
    "--branch",
    "exact:" .. vim.json.encode(plan.suggestion.result.ref),
  }, { cwd = plan.root, env = env })
  git.command({ "jj", "rebase", "-s", "@", "-d", plan.commit }, opts)
  local conflicts = git.command(
    { "jj", "log", "--no-graph", "--color=never", "-r", "conflicts() & @::", "-T", 'change_id ++ "\\n"' },
    opts
  ).stdout
  if vim.trim(conflicts) ~= "" then
    git.command({ "jj", "op", "restore", before }, opts)
    refuse("Your edits and the commit conflict, so everything is as it was", {
      ("jj rebase -b @ -d %s   # shows the conflict"):format(plan.commit:sub(1, 12)),
    })
  end
  return {}
end

--- Inside a task: carries the plan out.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks on what could not be done in full
function M.execute(plan)
  if plan.refusal or plan.done then
    refuse("There is nothing to carry out")
  end
  local remarks = plan.kind == "jj" and run_jj(plan) or run_git(plan)
  vim.cmd.checktime()
  vim.api.nvim_exec_autocmds("User", {
    pattern = "SuggestionAdopted",
    modeline = false,
    data = { suggestion_id = plan.suggestion.id, commit = plan.commit, root = plan.root },
  })
  return remarks
end

-- For people ------------------------------------------------------------------------------------------------

local ACTION = {
  keep = "keep  ",
  write = "write ",
  delete = "delete",
  chmod = "chmod ",
  index = "index ",
  refuse = "STOP  ",
}

--- The plan as text.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
function M.describe(plan)
  local lines = {}
  local function add(text, ...)
    for line in vim.gsplit(select("#", ...) > 0 and text:format(...) or text, "\n", { plain = true }) do
      lines[#lines + 1] = line
    end
  end
  add("Commit   %s  %s", plan.commit:sub(1, 12), plan.title)
  add("Author   %s", plan.author)
  add(
    "Checkout %s (%s%s)",
    plan.root,
    plan.kind,
    plan.kind == "git" and ", " .. (plan.branch or "detached HEAD") or ""
  )
  add("Verified %s%s", plan.verdict.ok and "yes: " or "NO: ", plan.verdict.message)
  for _, reason in ipairs(plan.verdict.reasons) do
    add("         %s", reason)
  end
  for _, hunk in ipairs(plan.verdict.foreign) do
    add("         %s: accepted, says the server, but not in a Neovim of yours (%s)", hunk.file, hunk.id)
  end
  if plan.done then
    add("")
    add("The checkout has this commit already.")
  end
  if #plan.files > 0 then
    add("")
    for _, file in ipairs(plan.files) do
      add("%s  %s  (%s)", ACTION[file.action], file.path, file.reason)
    end
  end
  if plan.refusal then
    add("")
    add(plan.refusal.reason)
    if #plan.refusal.commands > 0 then
      add("")
      add("To go on by hand:")
      for _, command in ipairs(plan.refusal.commands) do
        add("  %s", command)
      end
    end
    if plan.verdict.diff ~= "" then
      add("")
      add("From what you decided to what the commit holds:")
      add(plan.verdict.diff)
    end
  elseif not plan.done then
    add("")
    add("This will:")
    for _, step in ipairs(plan.steps) do
      add("  %s", step)
    end
  end
  return lines
end

---@param err any what a task raised
---@return string
local function text_of(err)
  if type(err) ~= "table" then
    require("suggestion-review.log").error("adopt: %s", tostring(err))
    return tostring(err):match("^[^\n]*")
  end
  local text = err.message
  if err.commands and #err.commands > 0 then
    text = text .. "\nTo go on by hand:\n  " .. table.concat(err.commands, "\n  ")
  end
  return text
end

--- Suggestions finalized in this Neovim: those ask at once, others are only mentioned.
---@type table<string, true>
local finalized_here = {}

--- The developer finalizes here; the offer follows when it has happened.
---@param id string
function M.expect(id)
  finalized_here[id] = true
end

--- A suggestion was finalized.
---@param id string
function M.offer(id)
  if require("suggestion-review.config").get().adopt_on_finalize ~= "ask" then
    return
  end
  local suggestion = require("suggestion-review.store").get(id)
  if not suggestion or not suggestion.result then
    return
  end
  local place = require("suggestion-review.apply").place(suggestion)
  if not place.root or place.in_place then
    return
  end
  if not finalized_here[id] then
    return require("suggestion-review.notify").info(
      ("Finalized: %s (%s). :Suggest adopt brings it into this checkout."):format(
        vim.split(suggestion.description, "\n", { plain = true })[1],
        suggestion.result.commit:sub(1, 12)
      )
    )
  end
  finalized_here[id] = nil
  M.open(id)
end

--- Carries the plan out and says how it went.
---@param plan SuggestionReview.AdoptPlan
---@param callback? fun(err?: string)
function M.run(plan, callback)
  local notify = require("suggestion-review.notify")
  task.run(function()
    return M.execute(plan)
  end, function(err, remarks)
    if err then
      local text = text_of(err)
      notify.error("Not adopted: " .. text)
      return callback and callback(text)
    end
    local where = plan.kind == "jj" and "@ is" or (plan.branch or "HEAD") .. " is"
    notify.info(("%s now on %s %s"):format(where, plan.commit:sub(1, 12), plan.title))
    for _, remark in ipairs(remarks) do
      notify.warn(remark)
    end
    if callback then
      callback()
    end
  end)
end

---@param id? string
---@param callback fun(suggestion?: SuggestionReview.Suggestion)
local function choose(id, callback)
  local store = require("suggestion-review.store")
  local notify = require("suggestion-review.notify")
  local client = require("suggestion-review.client")
  local known = id and store.get(id)
  if known and known.result then
    return callback(known)
  end
  local target = client.get()
  if not target or target.state ~= "connected" then
    return notify.error(client.state().message)
  end
  client.request({ type = "list", status = "finalized", limit = 50 }, function(err, data)
    if err then
      return notify.error(err.message)
    end
    store.put_closed(target.server.name, data.suggestions)
    if id then
      if store.get(id) then
        return callback(store.get(id))
      end
      return notify.error("There is no such suggestion: " .. id)
    end
    local done = vim.tbl_filter(function(suggestion)
      return suggestion.state == "finalized"
    end, store.list({ all = true, server = target.server.name }))
    if #done == 0 then
      return notify.info("No suggestion has been finalized yet")
    end
    table.sort(done, function(a, b)
      return a.updated_at > b.updated_at
    end)
    if #done == 1 then
      return callback(done[1])
    end
    vim.ui.select(done, {
      prompt = "Adopt which suggestion?",
      format_item = function(suggestion)
        return ("%s  %s"):format(
          suggestion.result and suggestion.result.commit:sub(1, 12) or "",
          vim.split(suggestion.description, "\n", { plain = true })[1]
        )
      end,
    }, function(choice)
      if choice then
        callback(choice)
      end
    end)
  end)
end

--- Prepares the adoption of a finalized suggestion and shows the plan, from which it is carried out or left.
---@param id? string
function M.open(id)
  choose(id, function(suggestion)
    task.run(function()
      return M.prepare(suggestion --[[@as SuggestionReview.Suggestion]])
    end, function(err, plan)
      if err then
        return require("suggestion-review.notify").error("Not adopted: " .. text_of(err))
      end
      require("suggestion-review.plan_window").show(plan)
    end)
  end)
end

return M
