--- Brings what Neovim knows of a file up to date with the disk, never through a dialog: whoever reviews must not be
--- asked about files that the review itself has changed. Knows buffers and files, no hunks.
local form = require("suggestion-review.worktree.encoding")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Files whose buffers were found to hold just what is on disk: what the file was then, by buffer.
---@type table<integer, string>
local on_disk = {}

---@param path string
---@return string|nil
local function stamp(path)
  local stat = vim.uv.fs_stat(path)
  return stat and ("%d %d %d %d %d"):format(stat.ino, stat.size, stat.mode, stat.mtime.sec, stat.mtime.nsec)
end

--- Notes that the buffer was just written and holds what its file does.
---@param buf integer
---@param path string
function M.written(buf, path)
  on_disk[buf] = stamp(path)
end

--- Notes that nothing is known of what the buffer's file holds.
---@param buf integer
function M.unknown(buf)
  on_disk[buf] = nil
end

--- Lets Neovim look whether the file of a buffer is another than the one it read. Whatever it finds, nobody is asked.
---@param buf integer
---@param choice ""|"reload" what is done where it is another
---@return string|nil reason Neovim's word for what it found, see |v:fcs_reason|
function M.check(buf, choice)
  local found
  -- With 'autoread' a buffer would be read again without the choice.
  local before = vim.bo[buf].autoread
  vim.bo[buf].autoread = false
  local watch = vim.api.nvim_create_autocmd("FileChangedShell", {
    buffer = buf,
    callback = function()
      found = vim.v.fcs_reason
      vim.v.fcs_choice = choice
    end,
  })
  pcall(vim.cmd --[[@as function]], "silent! checktime " .. buf)
  pcall(vim.api.nvim_del_autocmd, watch)
  if vim.api.nvim_buf_is_loaded(buf) then
    vim.api.nvim_buf_call(buf, function()
      vim.cmd("setlocal autoread<")
    end)
    if vim.bo[buf].autoread ~= before then
      vim.bo[buf].autoread = before
    end
  end
  return found
end

--- Whether the file of a buffer is another than the one that Neovim read. Neovim asks about it no more.
---@param buf integer
---@return boolean
function M.is_behind(buf)
  local found = M.check(buf, "")
  return found ~= nil and found ~= "time" and found ~= "mode"
end

--- Takes in what another program wrote, where the buffer has nothing of its own to lose. Neovim's own check is asked
--- first; it notices a change only once, so the texts are compared as well: a buffer that is behind its file must
--- not be written over it.
---@param buf integer
function M.refresh(buf)
  if vim.bo[buf].modified or vim.bo[buf].buftype ~= "" then
    return
  end
  local path = vim.api.nvim_buf_get_name(buf)
  local now = stamp(path)
  if not now or on_disk[buf] == now then
    return
  end
  M.check(buf, "reload")
  if not vim.api.nvim_buf_is_loaded(buf) then
    return
  end
  local bytes = worktree.read(path)
  local own = form.buffer_bytes(buf)
  if bytes and own and bytes ~= own and not vim.bo[buf].modified then
    vim.api.nvim_buf_call(buf, function()
      vim.cmd("silent! keepalt keepjumps edit!")
    end)
  end
  on_disk[buf] = now
end

--- Takes in what was written below a directory, where buffers have nothing unsaved.
---@param root string
function M.below(root)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) and vim.startswith(vim.api.nvim_buf_get_name(buf), root .. "/") then
      M.refresh(buf)
    end
  end
end

return M
