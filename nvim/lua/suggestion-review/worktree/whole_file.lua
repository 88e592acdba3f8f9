--- Changes to a file as a whole: made, removed, renamed, made executable, or replaced by other bytes or another link.
--- Each first looks whether the worktree is in the state the change starts from; if not it says so and does nothing.
local digest = require("suggestion-review.text.digest")
local language_servers = require("suggestion-review.worktree.language_servers")
local log = require("suggestion-review.say.log")
local peers = require("suggestion-review.worktree.peers")
local reload = require("suggestion-review.worktree.reload")
local swap_file = require("suggestion-review.worktree.swap_file")
local windows = require("suggestion-review.worktree.windows")
local worktree = require("suggestion-review.worktree.paths")
local program = require("suggestion-review.lib.program")
local store = require("suggestion-review.model.store")

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

--- Removes a file, and the buffer that shows it. Nothing is removed before the windows have let go of it.
---@param root string
---@param path string absolute
---@return boolean ok
---@return string|nil reason
function M.remove(root, path)
  local elsewhere = swap_file.unsaved_elsewhere(path)
  if has_unsaved(path) or elsewhere then
    return false, elsewhere or "its buffer has unsaved changes"
  end
  local buf = worktree.buffer_of(path)
  local back, reason
  if buf then
    back, reason = windows.leave(buf)
    if not back then
      return false, reason
    end
  end
  language_servers.will("Delete", path)
  local ok, message = uv.fs_unlink(path)
  if not ok then
    if back then
      back()
    end
    return false, message
  end
  if buf then
    windows.forget(buf)
  end
  worktree.remove_empty_parents(root, path)
  language_servers.did("Delete", path)
  peers.tell(path)
  return true
end

--- Makes a file that was not there. A buffer that already waits for it is loaded from it.
---@param path string absolute
---@param bytes string
---@param mode string|nil git's mode
---@return boolean ok
---@return string|nil reason
function M.create(path, bytes, mode)
  local elsewhere = swap_file.unsaved_elsewhere(path)
  if elsewhere then
    return false, elsewhere
  end
  local buf = worktree.buffer_of(path)
  language_servers.will("Create", path)
  local ok, reason = worktree.write(path, bytes, { expect = false, executable = mode == "100755" })
  if not ok then
    return false, reason
  end
  if buf and vim.api.nvim_buf_is_loaded(buf) and not vim.bo[buf].modified then
    pcall(vim.api.nvim_buf_call, buf, function()
      vim.cmd("silent! keepalt keepjumps edit!")
    end)
  end
  language_servers.did("Create", path)
  peers.tell(path)
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
  local elsewhere = swap_file.unsaved_elsewhere(from)
  if elsewhere then
    return "refused", elsewhere
  end
  return "clean"
end

--- How a buffer's text becomes bytes: read anew, it has the file's.
local FORM = { "fileformat", "fileencoding", "bomb", "endofline", "fixendofline", "binary" }

--- What of a buffer is not in its file.
---@param buf integer
---@return fun() put_back after it was read anew
local function unsaved_of(buf)
  if not vim.bo[buf].modified then
    return function() end
  end
  local lines, form = vim.api.nvim_buf_get_lines(buf, 0, -1, false), {}
  for _, name in ipairs(FORM) do
    form[name] = vim.bo[buf][name]
  end
  return function()
    local modifiable = vim.bo[buf].modifiable
    vim.bo[buf].modifiable = true
    vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
    for name, value in pairs(form) do
      if vim.bo[buf][name] ~= value then
        vim.bo[buf][name] = value
      end
    end
    vim.bo[buf].modifiable = modifiable
  end
end

--- Gives a buffer another name, and reads the file under it, so that the buffer is that file's own and a later :write
--- needs no "!". Unsaved text stays unsaved, where it cannot be modified, too, and what can be undone stays so.
---@param buf integer
---@param to string absolute
---@return boolean ok
---@return string|nil reason
local function rename_buffer(buf, to)
  local put_back = unsaved_of(buf)
  local filetype = vim.bo[buf].filetype
  local view = vim.api.nvim_buf_call(buf, vim.fn.winsaveview)
  local clients = language_servers.close(buf)
  local named, message = pcall(vim.api.nvim_buf_call, buf, function()
    vim.cmd("silent keepalt file " .. vim.fn.fnameescape(vim.fn.fnamemodify(to, ":.")))
  end)
  if vim.api.nvim_buf_get_name(buf) ~= to then
    language_servers.open(buf, clients, filetype)
    return false, named and ("the buffer cannot be named %s"):format(to) or tostring(message)
  end
  -- What fails from here on is an autocommand's trouble: the file has its name, and the buffer too.
  local undoreload = vim.go.undoreload
  vim.go.undoreload = -1
  local ok, trouble = pcall(vim.api.nvim_buf_call, buf, function()
    vim.cmd("silent! noautocmd keepalt keepjumps edit!")
    vim.fn.winrestview(view)
    vim.api.nvim_exec_autocmds("BufReadPost", { buffer = buf, modeline = false })
  end)
  vim.go.undoreload = undoreload
  if not ok then
    log.warn("%s: %s", to, tostring(trouble))
  end
  language_servers.open(buf, clients, filetype)
  vim.api.nvim_buf_call(buf, function()
    put_back()
    vim.fn.winrestview(view)
  end)
  return true
end

--- Renames a file and the buffer that shows it; unsaved text stays unsaved under the new name. Where one of the two
--- cannot be renamed, neither is.
---@param root string
---@param from string absolute
---@param to string absolute
---@return boolean ok
---@return string|nil reason
function M.rename(root, from, to)
  -- Looked at once more: renaming would replace what came there since the plan.
  local state, why_not = M.rename_state(from, to)
  if state ~= "clean" then
    return false, why_not or "it has that name already"
  end
  local made, reason = worktree.make_parents(to)
  if not made then
    return false, reason
  end
  local function give_up(why)
    worktree.remove_empty_parents(#made > 0 and vim.fs.dirname(made[1]) or vim.fs.dirname(to), to)
    return false, why
  end
  local buf = worktree.buffer_of(from)
  local other = worktree.buffer_of(to)
  if other and other ~= buf and vim.api.nvim_buf_is_loaded(other) then
    local back, why = windows.leave(other)
    if not back then
      return give_up(why)
    end
  end
  language_servers.will("Rename", from, to)
  local ok, message = uv.fs_rename(from, to)
  if not ok then
    return give_up(message)
  end
  if other and other ~= buf then
    windows.forget(other)
  end
  if buf and vim.api.nvim_buf_is_loaded(buf) then
    ok, message = rename_buffer(buf, to)
    if not ok then
      uv.fs_rename(to, from)
      return give_up(message)
    end
  end
  worktree.remove_empty_parents(root, from)
  language_servers.did("Rename", from, to)
  peers.tell(from)
  peers.tell(to)
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
  local buf = worktree.buffer_of(path)
  if ok and buf and vim.api.nvim_buf_is_loaded(buf) then
    -- Neovim would ask about it when it looks by itself.
    reload.check(buf, "")
  end
  return ok and true or false, message
end

---@class (exact) SuggestionReview.Whole a file's content with its kind
---@field mode string|nil git's mode; nil: no file
---@field bytes string a link's target is its bytes
---@field oid? string git's name for the bytes, where it is known

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
  local elsewhere = swap_file.unsaved_elsewhere(path)
  if has_unsaved(path) or elsewhere then
    return "refused", elsewhere or "its buffer has unsaved changes"
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

--- Makes a symbolic link in the place of what is there.
---@param path string absolute
---@param target string
---@return boolean ok
---@return string|nil reason
local function put_link(path, target)
  local temporary = ("%s.%d.suggestion-review"):format(path, uv.os_getpid())
  local made, reason = worktree.make_parents(path)
  if not made then
    return false, reason
  end
  local ok, message = uv.fs_symlink(target, temporary)
  if ok then
    ok, message = uv.fs_rename(temporary, path)
    if not ok then
      uv.fs_unlink(temporary)
    end
  end
  return ok and true or false, message
end

--- Puts `to` in the place of what is there, in one step.
---@param root string
---@param path string absolute
---@param to SuggestionReview.Whole
---@return boolean ok
---@return string|nil reason
function M.replace(root, path, to)
  if not to.mode then
    return M.remove(root, path)
  end
  local elsewhere = swap_file.unsaved_elsewhere(path)
  if elsewhere then
    return false, elsewhere
  end
  local ok, reason
  if to.mode == "120000" then
    ok, reason = put_link(path, to.bytes)
  else
    local stat = uv.fs_lstat(path)
    ok, reason = worktree.write(path, to.bytes, { expect = stat or false, executable = to.mode == "100755" })
    if ok and stat and stat.type ~= "link" then
      M.change_mode(path, to.mode --[[@as string]])
    end
  end
  local buf = worktree.buffer_of(path)
  if ok and buf and vim.api.nvim_buf_is_loaded(buf) then
    reload.refresh(buf)
  end
  if ok then
    peers.tell(path)
  end
  return ok, reason
end

--- git's name for content, as the developer's own repository computes it.
---@param root string|nil nil: no repository of the developer's own
---@param bytes string
---@return string|nil
function M.object_id(root, bytes)
  local command = { "git", "-C", root or "/", "hash-object", "-t", "blob", "--stdin" }
  local result = program.wait(command, { stdin = bytes, timeout = 10000 })
  return result.code == 0 and vim.trim(result.stdout) or nil
end

--- Fetches both sides of a hunk that has no lines and checks them against its digest.
---@param suggestion SuggestionReview.Suggestion
---@param hunk SuggestionReview.Hunk
---@param root string|nil repository to compute object ids in
---@param callback fun(sides: { from: SuggestionReview.Whole, to: SuggestionReview.Whole }|nil, reason: string|nil)
function M.fetch_sides(suggestion, hunk, root, callback)
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
        local oid = M.object_id(root, content.bytes)
        return { mode = mode, bytes = content.bytes, oid = oid }, digest.side(mode, oid)
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
