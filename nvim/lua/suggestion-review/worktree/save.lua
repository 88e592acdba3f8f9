--- Writes a buffer to its file so that the file holds just the buffer's text. Whatever the user's configuration does
--- when a file is written (formatters, trimming, EditorConfig's final newline) would be a change that nobody decided
--- on, so none of it runs; who has to know of the write is told afterwards.
local form = require("suggestion-review.worktree.encoding")
local language_servers = require("suggestion-review.worktree.language_servers")
local peers = require("suggestion-review.worktree.peers")
local reload = require("suggestion-review.worktree.reload")
local swap_file = require("suggestion-review.worktree.swap_file")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Whether a plugin writes this buffer in Neovim's place (encryption, archives): its text is not the file's.
---@param buf integer
---@param path string
---@return boolean
local function written_by_plugin(buf, path)
  local tail = vim.fs.basename(path)
  for _, one in ipairs(vim.api.nvim_get_autocmds({ event = "BufWriteCmd" })) do
    if one.buflocal then
      if one.buffer == buf then
        return true
      end
    else
      local whole = one.pattern:find("/", 1, true) ~= nil
      if vim.fn.match(whole and path or tail, vim.fn.glob2regpat(one.pattern)) >= 0 then
        return true
      end
    end
  end
  return false
end

--- Options under which a write leaves no file beside the one that is written, and asks nothing. What the file was
--- before is one undo away; 'writebackup' guards the write itself.
local PLAIN = { confirm = false, backup = false, patchmode = "" }

--- Runs `body` with nothing in force that adds to a file or turns an error into a question.
---@param buf integer
---@param body fun()
---@return boolean ok
---@return any message
local function plainly(buf, body)
  local fixeol, before = vim.bo[buf].fixeol, {}
  for name, value in pairs(PLAIN) do
    before[name], vim.o[name] = vim.o[name], value
  end
  vim.bo[buf].fixeol = false
  local ok, message = pcall(vim.api.nvim_buf_call, buf, body)
  for name, value in pairs(before) do
    vim.o[name] = value
  end
  if vim.api.nvim_buf_is_valid(buf) then
    vim.bo[buf].fixeol = fixeol
  end
  return ok, message
end

---@param buf integer
---@param path string
---@param expect uv.fs_stat.result|nil
---@return string|nil reason against writing
local function obstacle(buf, path, expect)
  local stat = vim.uv.fs_lstat(path)
  if not stat then
    return "there is no such file here any more"
  elseif expect and not worktree.same_stat(stat, expect) then
    return "the file changed on disk meanwhile"
  elseif written_by_plugin(buf, path) then
    return "a plugin writes this buffer (BufWriteCmd); write it yourself"
  end
  return swap_file.unsaved_elsewhere(path)
end

--- Writes the buffer's text to its file, byte for byte.
---@param buf integer
---@param path string absolute
---@param expect uv.fs_stat.result|nil what the file was when the text was made on it
---@return boolean ok
---@return string|nil reason
function M.buffer(buf, path, expect)
  local reason = obstacle(buf, path, expect)
  if reason then
    return false, reason
  end
  local bytes, encode_reason = form.buffer_bytes(buf)
  if not bytes then
    return false, encode_reason
  end
  local ok, message = plainly(buf, function()
    vim.cmd("silent noautocmd keepalt keepjumps lockmarks write")
  end)
  if not ok then
    reload.unknown(buf)
    return false, (tostring(message):gsub("^.-Vim%(write%):", ""))
  elseif worktree.read(path) ~= bytes then
    reload.unknown(buf)
    return false, "the file does not hold what was written to it"
  end
  reload.written(buf, path)
  language_servers.did_save(buf)
  peers.tell(path)
  vim.api.nvim_exec_autocmds("User", {
    pattern = "SuggestionFileWritten",
    modeline = false,
    data = { buf = buf, path = path },
  })
  return true
end

return M
