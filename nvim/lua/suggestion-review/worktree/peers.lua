--- Neovims on the same files tell each other what they wrote, so that none shows a text that is no longer in the file.
--- Each appends paths to a file of its own below stdpath("state"), and watches the files of the others.
local notify = require("suggestion-review.say.notify")
local reload = require("suggestion-review.worktree.reload")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

local uv = vim.uv

---@return string
local function directory()
  return vim.fn.stdpath("state") .. "/suggestion-review/written"
end

--- Notes above this are begun anew: they are of no use once they were read.
local MAX_BYTES = 256 * 1024

---@type uv.uv_fs_event_t|nil
local watch
local told = false

--- How much was read of each other Neovim's notes, by the name of its file.
---@type table<string, integer>
local offsets = {}

--- Tells the other Neovims that a file was written, made or removed.
---@param path string absolute
function M.tell(path)
  local own = ("%s/%d"):format(directory(), uv.os_getpid())
  if not told then
    vim.fn.mkdir(directory(), "p", 448)
  end
  local stat = uv.fs_stat(own)
  local fd = uv.fs_open(own, stat and stat.size < MAX_BYTES and "a" or "w", 384)
  if not fd then
    return
  end
  uv.fs_write(fd, path .. "\0")
  uv.fs_close(fd)
  if not told then
    told = true
    vim.api.nvim_create_autocmd("VimLeavePre", {
      callback = function()
        uv.fs_unlink(own)
      end,
    })
  end
end

--- What another Neovim wrote since it was last asked.
---@param name string of its file
---@return string[] paths
local function news(name)
  local text = worktree.read(directory() .. "/" .. name) or ""
  local from = offsets[name] or 0
  if #text < from then
    from = 0
  end
  offsets[name] = #text
  return vim.split(text:sub(from + 1), "\0", { plain = true, trimempty = true })
end

---@param name string
local function take_in(name)
  for _, path in ipairs(news(name)) do
    local buf = worktree.buffer_of(path)
    if buf and vim.api.nvim_buf_is_loaded(buf) then
      if vim.bo[buf].modified then
        notify.warn(
          ("%s was written by a review in another Neovim; your unsaved edits are made on the older text"):format(
            vim.fn.fnamemodify(path, ":.")
          )
        )
      else
        reload.refresh(buf)
      end
    end
  end
end

--- Passes over what was said before this Neovim listened, and removes what Neovims left that were killed.
local function begin()
  for name in vim.fs.dir(directory()) do
    local pid = tonumber(name)
    local ok, _, code = uv.kill(pid or 0, 0)
    if pid and ok ~= 0 and code == "ESRCH" then
      uv.fs_unlink(directory() .. "/" .. name)
    else
      local stat = uv.fs_stat(directory() .. "/" .. name)
      offsets[name] = stat and stat.size or 0
    end
  end
end

--- Listens to the other Neovims from now on; once is enough.
function M.listen()
  if watch then
    return
  end
  vim.fn.mkdir(directory(), "p", 448)
  watch = uv.new_fs_event()
  if not watch then
    return
  end
  begin()
  local own = tostring(uv.os_getpid())
  watch:start(directory(), {}, function(_, name)
    if name and name ~= own then
      vim.schedule(function()
        take_in(name)
      end)
    end
  end)
end

return M
