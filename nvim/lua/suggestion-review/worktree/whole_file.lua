--- Changes to a file as a whole: made, removed, renamed, made executable, or replaced by other bytes or another link.
--- Each first looks whether the worktree is in the state the change starts from; if not it says so and does nothing.
local worktree = require("suggestion-review.worktree.paths")
local digest = require("suggestion-review.text.digest")

local M = {}

local uv = vim.uv

---@alias SuggestionReview.Outcome "clean"|"already"|"conflict"|"refused"|"deferred"

--- The buffer that shows a path and holds text of its own.
---@param path string
---@return boolean
local function has_unsaved(path)
  local buf = worktree.buffer_of(path)
  return buf ~= nil and vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].modified
end

--- Shows something else in every window that shows `buf`, then lets the buffer go.
---@param buf integer
local function close_buffer(buf)
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_call(win, function()
      local alternate = vim.fn.bufnr("#")
      if alternate > 0 and alternate ~= buf and vim.bo[alternate].buflisted then
        vim.api.nvim_win_set_buf(win, alternate)
      else
        vim.api.nvim_win_set_buf(win, vim.api.nvim_create_buf(true, false))
      end
    end)
  end
  pcall(vim.api.nvim_buf_delete, buf, { force = false })
end

--- Removes a file, and the buffer that shows it.
---@param root string
---@param path string absolute
---@return boolean ok
---@return string|nil reason
function M.remove(root, path)
  if has_unsaved(path) then
    return false, "its buffer has unsaved changes"
  end
  local ok, message = uv.fs_unlink(path)
  if not ok then
    return false, message
  end
  local buf = worktree.buffer_of(path)
  if buf then
    close_buffer(buf)
  end
  worktree.remove_empty_parents(root, path)
  return true
end

--- Makes a file that was not there. A buffer that already waits for it is loaded from it.
---@param path string absolute
---@param bytes string
---@param mode string|nil git's mode
---@return boolean ok
---@return string|nil reason
function M.create(path, bytes, mode)
  local buf = worktree.buffer_of(path)
  local ok, reason = worktree.write(path, bytes, { expect = false, executable = mode == "100755" })
  if not ok then
    return false, reason
  end
  if buf and vim.api.nvim_buf_is_loaded(buf) and not vim.bo[buf].modified then
    vim.api.nvim_buf_call(buf, function()
      vim.cmd("silent! keepalt keepjumps edit")
    end)
  end
  return true
end

---@param from string absolute
---@param to string absolute
---@return SuggestionReview.Outcome
---@return string|nil reason
function M.rename_state(from, to)
  local source, target = uv.fs_lstat(from), uv.fs_lstat(to)
  if not source and target then
    return "already"
  elseif not source then
    return "refused", ("there is no %s here"):format(from)
  elseif target then
    return "refused", ("there is a %s already"):format(to)
  elseif worktree.buffer_of(to) and has_unsaved(to) then
    return "refused", ("a buffer named %s has unsaved text"):format(to)
  end
  return "clean"
end

--- Renames a file and the buffer that shows it; unsaved text stays unsaved under the new name.
---@param root string
---@param from string absolute
---@param to string absolute
---@return boolean ok
---@return string|nil reason
function M.rename(root, from, to)
  local made, reason = worktree.make_parents(to)
  if not made then
    return false, reason
  end
  local buf = worktree.buffer_of(from)
  local other = worktree.buffer_of(to)
  local ok, message = uv.fs_rename(from, to)
  if not ok then
    return false, message
  end
  worktree.remove_empty_parents(root, from)
  if other and other ~= buf then
    pcall(vim.api.nvim_buf_delete, other, { force = false })
  end
  if buf and vim.api.nvim_buf_is_loaded(buf) then
    local unsaved = vim.bo[buf].modified and vim.api.nvim_buf_get_lines(buf, 0, -1, false) or nil
    vim.api.nvim_buf_call(buf, function()
      local view = vim.fn.winsaveview()
      vim.cmd("silent! keepalt file " .. vim.fn.fnameescape(vim.fn.fnamemodify(to, ":.")))
      -- Reading the file again makes it this buffer's own, so that a later :write needs no "!".
      vim.cmd("silent! keepalt keepjumps edit!")
      if unsaved then
        vim.api.nvim_buf_set_lines(buf, 0, -1, false, unsaved)
      end
      vim.fn.winrestview(view)
    end)
  end
  return true
end

---@param mode string
local function is_executable(mode)
  return mode == "100755"
end

---@param path string absolute
---@param from string git's mode
---@param to string
---@return SuggestionReview.Outcome
---@return string|nil reason
function M.mode_state(path, from, to)
  local stat = uv.fs_lstat(path)
  if not stat or stat.type ~= "file" then
    return "refused", "there is no such file here"
  end
  local now = stat.mode % 128 >= 64
  if now == is_executable(to) then
    return "already"
  elseif now ~= is_executable(from) then
    return "refused", "its mode is another here"
  end
  return "clean"
end

---@param path string absolute
---@param to string git's mode
---@return boolean ok
---@return string|nil reason
function M.change_mode(path, to)
  local stat = uv.fs_lstat(path)
  if not stat then
    return false, "there is no such file here"
  end
  local mode = stat.mode % 4096
  local bit = require("bit")
  if is_executable(to) then
    -- Whoever may read it may run it, as git does it.
    mode = bit.bor(mode, bit.rshift(bit.band(mode, 292), 2))
  else
    mode = bit.band(mode, bit.bnot(73))
  end
  local ok, message = uv.fs_chmod(path, mode)
  return ok and true or false, message
end

---@class (exact) SuggestionReview.Whole a file's content with its kind
---@field mode string|nil git's mode; nil: no file
---@field bytes string a link's target is its bytes

--- The file as it is in the worktree.
---@param path string absolute
---@return SuggestionReview.Whole|nil
---@return string|nil reason
function M.current(path)
  local stat = uv.fs_lstat(path)
  if not stat then
    return { bytes = "" }
  elseif stat.type == "link" then
    return { mode = "120000", bytes = uv.fs_readlink(path) or "" }
  elseif stat.type ~= "file" then
    return nil, "it is a directory here"
  end
  local bytes, message = worktree.read(path)
  if not bytes then
    return nil, message
  end
  return { mode = stat.mode % 128 >= 64 and "100755" or "100644", bytes = bytes }
end

---@param a SuggestionReview.Whole
---@param b SuggestionReview.Whole
local function same(a, b)
  return a.mode == b.mode and a.bytes == b.bytes
end

---@param path string absolute
---@param from SuggestionReview.Whole
---@param to SuggestionReview.Whole
---@return SuggestionReview.Outcome
---@return string|nil reason
function M.whole_state(path, from, to)
  if has_unsaved(path) then
    return "refused", "its buffer has unsaved changes"
  end
  local now, reason = M.current(path)
  if not now then
    return "refused", reason
  elseif same(now, to) then
    return "already"
  elseif not same(now, from) then
    return "refused", "it was changed here"
  end
  return "clean"
end

--- Puts `to` in the place of what is there.
---@param root string
---@param path string absolute
---@param to SuggestionReview.Whole
---@return boolean ok
---@return string|nil reason
function M.replace(root, path, to)
  local stat = uv.fs_lstat(path)
  if not to.mode then
    return M.remove(root, path)
  elseif to.mode == "120000" then
    local temporary = ("%s.%d.suggestion-review"):format(path, uv.os_getpid())
    worktree.make_parents(path)
    local ok, message = uv.fs_symlink(to.bytes, temporary)
    if ok then
      ok, message = uv.fs_rename(temporary, path)
    end
    return ok and true or false, message
  end
  if stat and stat.type == "link" then
    local ok, message = uv.fs_unlink(path)
    if not ok then
      return false, message
    end
    stat = nil
  end
  local ok, reason =
    worktree.write(path, to.bytes, { expect = stat or false, executable = to.mode == "100755" })
  if ok and stat then
    M.change_mode(path, to.mode --[[@as string]])
  end
  local buf = worktree.buffer_of(path)
  if ok and buf and vim.api.nvim_buf_is_loaded(buf) then
    pcall(vim.cmd --[[@as function]], "silent! checktime " .. buf)
  end
  return ok, reason
end

--- git's name for content, as the developer's own repository computes it.
---@param root string|nil nil: no repository of the developer's own
---@param bytes string
---@return string|nil
local function object_id(root, bytes)
  local command = { "git", "-C", root or "/", "hash-object", "-t", "blob", "--stdin" }
  local result = require("suggestion-review.lib.program").wait(command, { stdin = bytes, timeout = 10000 })
  return result.code == 0 and vim.trim(result.stdout) or nil
end

--- Fetches both sides of a hunk that has no lines and checks them against its digest.
---@param suggestion SuggestionReview.Suggestion
---@param hunk SuggestionReview.Hunk
---@param root string|nil repository to compute object ids in
---@param callback fun(sides: { from: SuggestionReview.Whole, to: SuggestionReview.Whole }|nil, reason: string|nil)
function M.fetch_sides(suggestion, hunk, root, callback)
  local store = require("suggestion-review.model.store")
  store.content(suggestion.id, hunk.file, "base", function(base_error, base)
    if base_error or not base then
      return callback(nil, base_error and base_error.message)
    end
    store.content(suggestion.id, hunk.file, "proposed", function(new_error, new)
      if new_error or not new then
        return callback(nil, new_error and new_error.message)
      end
      local function side(mode, content)
        if not mode or not content.exists then
          return { bytes = "" }, ""
        end
        return { mode = mode, bytes = content.bytes }, digest.side(mode, object_id(root, content.bytes))
      end
      local from, old = side(hunk.old_mode, base)
      local to, proposed = side(hunk.new_mode, new)
      if digest.compute(hunk.kind, digest.path(hunk), old, proposed) ~= hunk.digest then
        return callback(nil, "what the server sent is not what its digest names; nothing was applied")
      end
      callback({ from = from, to = to })
    end)
  end)
end

return M
