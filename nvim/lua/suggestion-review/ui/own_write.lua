--- Whose write it is: a text that the developer writes for the agent is sent by the developer's own `:w` in its
--- window, and by nothing else that happens to write buffers.
local M = {}

--- Commands that mean this buffer. Those for all buffers (`:wall` and its like) are about files.
local WRITES = { write = true, update = true, wq = true, xit = true, exit = true }

---@class (exact) SuggestionReview.Typed what the developer typed last, until the editor has gone round once
---@field key? boolean a key was typed
---@field line? string the command line that was just entered
---@field from? function the Lua that it was entered by, where it was not by hand

---@type SuggestionReview.Typed
local typed = {}
local watchers = 0
local namespace = vim.api.nvim_create_namespace("suggestion-review.typed")

--- The outermost Lua function that led to an event; nil where no Lua did.
---@param callback function the one that the event has called
---@return function|nil
local function outermost(callback)
  local level, beyond, found = 2, false, nil
  while true do
    local info = debug.getinfo(level, "fS")
    if not info then
      return found
    elseif beyond and info.what ~= "C" then
      found = info.func
    end
    beyond = beyond or info.func == callback
    level = level + 1
  end
end

--- Starts watching what is typed; ends when as many have stopped as have begun.
function M.watch()
  watchers = watchers + 1
  if watchers > 1 then
    return
  end
  vim.on_key(function()
    local now = { key = true }
    typed = now
    -- What a timer or a scheduled function writes comes after this.
    vim.schedule(function()
      if typed == now then
        typed = {}
      end
    end)
  end, namespace)
  local function entered()
    typed.line = vim.fn.getcmdline()
    typed.from = outermost(entered)
  end
  vim.api.nvim_create_autocmd("CmdlineLeave", {
    group = vim.api.nvim_create_augroup("suggestion-review.typed", {}),
    pattern = ":",
    callback = entered,
  })
end

function M.unwatch()
  watchers = watchers - 1
  if watchers == 0 then
    vim.on_key(nil, namespace)
    vim.api.nvim_del_augroup_by_name("suggestion-review.typed")
    typed = {}
  end
end

--- Whether a command line holds a command that writes the current buffer.
---@param line string
---@return boolean
local function writes(line)
  while line and line ~= "" do
    local ok, parsed = pcall(vim.api.nvim_parse_cmd, line, {})
    if not ok then
      return false
    end
    if WRITES[parsed.cmd] then
      return true
    end
    line = parsed.nextcmd
  end
  return false
end

---@param callback function
---@return boolean
local function is_map(callback)
  local mode = vim.api.nvim_get_mode().mode:sub(1, 1):lower()
  mode = mode == "i" and "i" or (mode:find("^[v\22]") and "x" or "n")
  for _, maps in ipairs({ vim.api.nvim_buf_get_keymap(0, mode), vim.api.nvim_get_keymap(mode) }) do
    for _, map in ipairs(maps) do
      if map.callback == callback then
        return true
      end
    end
  end
  return false
end

--- Why a write that is under way is not the developer's `:w`; nil when it is. To be asked in BufWriteCmd.
---@param callback function the one that BufWriteCmd has called
---@return string|nil
function M.reason_against(callback)
  local stack = vim.fn.expand("<stack>")
  local _, autocommands = stack:gsub("Autocommands for ", "")
  local lua = outermost(callback)
  if autocommands > 1 then
    return "an autocommand wrote it"
  elseif typed.line and lua == typed.from then
    return not writes(typed.line) and ("“:%s” is not :w"):format(typed.line) or nil
  elseif typed.line or stack:find("^function ") or lua and not is_map(lua) or not typed.key then
    return "something wrote it by itself"
  elseif vim.o.autowrite or vim.o.autowriteall then
    -- A mapping: whether it wrote, or 'autowrite' did on its way, cannot be told.
    return "with 'autowrite' only a typed :w sends"
  end
end

return M
