--- Looks at the files of a checkout that a commit changes: what HEAD, the index, the worktree and buffers have of them.
--- Changes nothing but the object store.
local git = require("suggestion-review.worktree.git")
local swap_file = require("suggestion-review.worktree.swap_file")
local task = require("suggestion-review.lib.task")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Blob ids of files of the worktree as git would store them (line ends, filters).
---@param paths string[]
---@param write boolean store them too
---@param cwd string
---@return table<string, string>
local function hash_files(paths, write, cwd)
  local found, plain = {}, {}
  -- The warning that line ends would change, which a setting makes an error, is for who adds a file.
  local args = { "-c", "core.safecrlf=false", "hash-object" }
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

--- Whether a directory holds files that the commit deletes, and nothing else: then it makes room for a file of its
--- name. One that holds nothing git does not know, and nobody takes away.
---@param root string
---@param path string
---@param deleted table<string, true>
local function makes_room(root, path, deleted)
  local empty = true
  for name, kind in vim.fs.dir(root .. "/" .. path) do
    local below = path .. "/" .. name
    empty = false
    if kind == "directory" then
      if not makes_room(root, below, deleted) then
        return false
      end
    elseif not deleted[below] then
      return false
    end
  end
  return not empty
end

--- What the index has of the paths, and which of them it is told not to look at in the worktree.
---@param paths string[]
---@param root string
---@return table<string, SuggestionReview.TreeEntry>
---@return table<string, "skipped"|"assumed"> unwatched
local function in_index(paths, root)
  local index, unwatched = {}, {}
  for from = 1, #paths, 200 do
    local slice = vim.list_slice(paths, from, math.min(from + 199, #paths))
    local staged = vim.list_extend({ "--literal-pathspecs", "ls-files", "-s", "-z", "--" }, slice)
    for _, record in ipairs(git.split_nul(git.run(staged, { cwd = root }).stdout)) do
      local mode, oid, path = record:match("^(%d+) (%x+) 0\t(.*)$")
      if mode then
        index[path] = { mode = mode, oid = oid }
      end
    end
    local tagged = vim.list_extend({ "--literal-pathspecs", "ls-files", "-v", "-z", "--" }, slice)
    for _, record in ipairs(git.split_nul(git.run(tagged, { cwd = root }).stdout)) do
      local tag, path = record:sub(1, 1), record:sub(3)
      if tag:upper() == "S" then
        unwatched[path] = "skipped"
      elseif tag:lower() == tag then
        unwatched[path] = "assumed"
      end
    end
  end
  return index, unwatched
end

--- How every path that the commit changes stands in the checkout.
---@param changes SuggestionReview.TreeChange[]
---@param root string
---@return SuggestionReview.PathState[]
function M.look(changes, root)
  local deleted = {}
  for _, change in ipairs(changes) do
    deleted[change.path] = not change.new or nil
  end
  local file_mode = git.run(
    { "config", "--type=bool", "core.fileMode" },
    { cwd = root, ok = { [0] = true, [1] = true } }
  )
  local trust_mode = vim.trim(file_mode.stdout) ~= "false"
  local index, unwatched = in_index(
    vim.tbl_map(function(change)
      return change.path
    end, changes),
    root
  )
  local states, files = {}, {}
  local breathe = task.breather()
  for i, change in ipairs(changes) do
    breathe()
    local state = {
      path = change.path,
      old = change.old,
      new = change.new,
      index = index[change.path],
      unwatched = unwatched[change.path],
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
        state.obstacle = "a directory is in its place: move it away"
      end
    elseif stat then
      state.obstacle = ("a %s is in its place"):format(stat.type)
    end
    if absolute then
      local buf = worktree.buffer_of(absolute)
      state.unsaved = buf ~= nil and vim.bo[buf].modified
      state.elsewhere = swap_file.unsaved_elsewhere(root .. "/" .. change.path)
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
function M.contains(state, root)
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

return M
