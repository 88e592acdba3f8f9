--- Moves a git checkout from one commit to another, all or nothing: files first, then the index, then HEAD as
--- compare-and-swap. Where anything fails, what was done is taken back. Killed in between, it leaves files that are as
--- in the new commit and a HEAD that is not there yet: adopting again goes on from that.
local git = require("suggestion-review.worktree.git")
local refuse = require("suggestion-review.adopt.refusal").raise
local repository = require("suggestion-review.adopt.repository")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@class SuggestionReview.Backup
---@field directory string
---@field entries { path: string, absolute: string, kind?: string, copy: string }[] kind nil: there was nothing
---@field index? string bytes of the index
---@field index_path string

---@param message string
local function fail(message)
  error({ message = message }, 0)
end

--- Copies what is at a path, links as links.
---@param absolute string
---@param copy string
---@return string? kind
local function keep(absolute, copy)
  local stat = vim.uv.fs_lstat(absolute)
  if not stat or stat.type == "directory" then
    return stat and "directory" or nil
  elseif stat.type == "link" then
    assert(vim.uv.fs_symlink(assert(vim.uv.fs_readlink(absolute)), copy))
  else
    assert(vim.uv.fs_copyfile(absolute, copy, { ficlone = true }))
    vim.uv.fs_chmod(copy, bit.band(stat.mode, 4095))
  end
  return stat.type
end

--- Keeps everything that is going to be touched.
---@param root string
---@param touched SuggestionReview.AdoptFile[]
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Backup
local function back_up(root, touched, opts)
  local git_dir = git.line({ "rev-parse", "--absolute-git-dir" }, opts)
  local directory = assert(vim.uv.fs_mkdtemp(git_dir .. "/suggestion-review-XXXXXX"))
  local index_path = git.line({ "rev-parse", "--path-format=absolute", "--git-path", "index" }, opts)
  local backup = { directory = directory, entries = {}, index_path = index_path }
  local handle = io.open(index_path, "rb")
  if handle then
    backup.index = handle:read("*a")
    handle:close()
  end
  for number, file in ipairs(touched) do
    local absolute, reason = worktree.resolve(root, file.path)
    -- A directory that gives way to a file, or the reverse, is looked at when its turn comes.
    absolute = absolute or root .. "/" .. file.path
    local copy = ("%s/%d"):format(directory, number)
    local ok, kind = pcall(keep, absolute, copy)
    if not ok then
      vim.fn.delete(directory, "rf")
      fail(("%s cannot be kept aside: %s"):format(file.path, reason or kind))
    end
    table.insert(backup.entries, { path = file.path, absolute = absolute, kind = kind, copy = copy })
  end
  return backup
end

--- A name beside a file that nothing has.
---@param absolute string
---@return string
local function free_name(absolute)
  local name
  repeat
    name = ("%s/.suggestion-review-%d-%d"):format(
      vim.fs.dirname(absolute),
      vim.uv.os_getpid(),
      vim.uv.hrtime() % 1e9
    )
  until not vim.uv.fs_lstat(name)
  return name
end

--- Puts everything back. Returns what could not be.
---@param root string
---@param backup SuggestionReview.Backup
---@return string[]
local function restore(root, backup)
  local problems = {}
  -- New files and directories go first: an old file may have been where a directory is now, or the reverse.
  for index = #backup.entries, 1, -1 do
    local entry = backup.entries[index]
    local stat = vim.uv.fs_lstat(entry.absolute)
    local was_file = entry.kind and entry.kind ~= "directory"
    if not was_file and stat and stat.type ~= "directory" then
      vim.uv.fs_unlink(entry.absolute)
      worktree.remove_empty_parents(root, entry.absolute)
    end
  end
  for _, entry in ipairs(backup.entries) do
    local ok, message = pcall(function()
      if entry.kind == "directory" then
        vim.fn.mkdir(entry.absolute, "p")
      elseif entry.kind then
        vim.fn.mkdir(vim.fs.dirname(entry.absolute), "p")
        local aside = free_name(entry.absolute)
        assert(keep(entry.copy, aside))
        assert(vim.uv.fs_rename(aside, entry.absolute))
      end
    end)
    if not ok then
      problems[#problems + 1] = ("%s (a copy is %s): %s"):format(entry.path, entry.copy, tostring(message))
    end
  end
  return problems
end

--- The index as it was, byte for byte.
---@param backup SuggestionReview.Backup
local function restore_index(backup)
  local lock = backup.index_path .. ".lock"
  local fd = assert(vim.uv.fs_open(lock, "wx", tonumber("644", 8)))
  if backup.index then
    assert(vim.uv.fs_write(fd, backup.index))
  end
  vim.uv.fs_close(fd)
  if backup.index then
    assert(vim.uv.fs_rename(lock, backup.index_path))
  else
    vim.uv.fs_unlink(backup.index_path)
    vim.uv.fs_unlink(lock)
  end
end

--- Takes files out and changes modes.
---@param root string
---@param touched SuggestionReview.AdoptFile[]
local function remove_files(root, touched)
  for _, file in ipairs(touched) do
    local absolute, reason = worktree.resolve(root, file.path)
    if file.action == "delete" then
      if not absolute then
        fail(("%s could not be deleted: %s"):format(file.path, reason))
      end
      ---@cast absolute string
      local ok, message = vim.uv.fs_unlink(absolute)
      if not ok then
        fail(("%s could not be deleted: %s"):format(file.path, message))
      end
      worktree.remove_empty_parents(root, absolute)
    elseif file.action == "chmod" then
      local stat = absolute and vim.uv.fs_stat(absolute)
      if not stat then
        fail(("%s could not be given its mode: %s"):format(file.path, reason or "it is gone"))
      end
      local executable = tonumber("111", 8)
      local readable = bit.band(bit.rshift(stat.mode, 2), executable)
      local bits = file.new.mode == "100755" and bit.bor(stat.mode, readable)
        or bit.band(stat.mode, bit.bnot(executable))
      assert(vim.uv.fs_chmod(absolute --[[@as string]], bit.band(bits, 4095)))
    end
  end
end

--- Writes files as the commit has them, through git's own filters and line ends.
---@param root string
---@param touched SuggestionReview.AdoptFile[]
---@param target string
---@param backup SuggestionReview.Backup
---@param opts SuggestionReview.GitOpts
local function write_files(root, touched, target, backup, opts)
  local paths = {}
  for _, file in ipairs(touched) do
    if file.action == "write" then
      local absolute, reason = worktree.resolve(root, file.path)
      local stat = absolute and vim.uv.fs_lstat(absolute)
      if stat and stat.type == "directory" and not vim.uv.fs_rmdir(absolute) then
        -- `checkout-index -f` would remove it with all that is in it.
        reason, absolute = "a directory is in its place", nil
      end
      if not absolute then
        fail(("%s could not be written: %s"):format(file.path, reason))
      end
      paths[#paths + 1] = file.path .. "\0"
    end
  end
  if #paths == 0 then
    return
  end
  local index = vim.tbl_extend("force", opts, {
    env = vim.tbl_extend("force", opts.env or {}, { GIT_INDEX_FILE = backup.directory .. "/index" }),
  })
  git.run({ "read-tree", target }, index)
  git.run(
    { "checkout-index", "-f", "-z", "--stdin" },
    vim.tbl_extend("force", index, { stdin = table.concat(paths) })
  )
end

--- Inside a task: HEAD, index and files from `from` to `target`.
---@param move { root: string, from: string, target: string, files: SuggestionReview.AdoptFile[], title: string }
---@param opts SuggestionReview.GitOpts
function M.run(move, opts)
  local touched = vim.tbl_filter(function(file)
    return file.action == "write" or file.action == "delete" or file.action == "chmod"
  end, move.files)
  local backup = back_up(move.root, touched, opts)
  local index_moved = false
  local ok, err = pcall(function()
    remove_files(move.root, touched)
    -- After all that goes has gone: a file may take a directory's place, or the reverse.
    write_files(move.root, touched, move.target, backup, opts)
    git.run_past_locks({ "read-tree", "-i", "-m", move.from, move.target }, opts)
    index_moved = true
    local message = ("suggestion-review: adopt %s"):format(move.title)
    git.run({ "update-ref", "-m", message, "HEAD", move.target, move.from }, opts)
  end)
  if ok then
    vim.fn.delete(backup.directory, "rf")
    -- It is done; this only saves the next `git status` a look at the files, and another git may have the index.
    git.run({ "update-index", "-q", "--refresh" }, repository.answers(opts, 1, 128))
    return
  end
  local problems = restore(move.root, backup)
  if index_moved then
    local back, message = pcall(restore_index, backup)
    if not back then
      table.insert(problems, ("the index (git read-tree -i -m puts it back): %s"):format(tostring(message)))
    end
  end
  local reason = type(err) == "table" and err.message or tostring(err)
  if #problems == 0 then
    vim.fn.delete(backup.directory, "rf")
    refuse(("%s. Everything is as it was"):format(reason))
  end
  refuse(("%s. It could not all be put back:\n  %s"):format(reason, table.concat(problems, "\n  ")))
end

return M
