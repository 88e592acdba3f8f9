--- The state Neovim is in: whether windows may be opened and closed now, and what is done where they may not.
local notify = require("suggestion-review.say.notify")

local M = {}

--- Neovim's own refusals: the state it is in does not allow it. Anything else is an error of ours, and shown as one.
local REFUSALS = {
  E11 = true, -- the command-line window is open
  E21 = true, -- 'modifiable' is off
  E36 = true, -- not enough room
  E37 = true, -- unsaved edits
  E162 = true, -- unsaved edits in another buffer
  E325 = true, -- a swap file
  E444 = true, -- the last window
  E523 = true, -- textlock
  E565 = true, -- textlock
  E788 = true, -- another buffer is not to be edited now
  E1159 = true, -- a buffer that is being closed
  E1312 = true, -- the window layout is not to be changed now
  E1513 = true, -- 'winfixbuf'
}

--- The part of an error message that a person is told, where it is one of Neovim's refusals.
---@param message any
---@return string|nil
local function refusal(message)
  local text = type(message) == "string" and message:match("E%d+:[^\n]*")
  return text and REFUSALS[text:match("^E%d+")] and text or nil
end
M.refusal = refusal

--- Why no window may be opened or closed now.
---@return string|nil
function M.held()
  if vim.fn.getcmdwintype() ~= "" then
    return "the command-line window is open; close it first"
  end
end

--- Leaves a mode in which keys are text: the window that is entered next is not one to type into.
function M.stop_typing()
  local mode = vim.api.nvim_get_mode().mode
  if mode:find("^[iRt]") then
    vim.cmd.stopinsert()
  end
end

--- Calls what a key does. Where the state of Neovim does not allow it, a message says so.
---@generic T
---@param action fun(...): T
---@param ... any
---@return T|nil
function M.attempt(action, ...)
  local held = M.held()
  if held then
    notify.warn("Not possible here: " .. held)
    return
  end
  local results = vim.F.pack_len(xpcall(action, function(thrown)
    if type(thrown) ~= "string" then
      return thrown
    end
    return refusal(thrown) and thrown or debug.traceback(thrown, 2)
  end, ...))
  if results[1] then
    return unpack(results, 2, results.n)
  end
  local text = refusal(results[2])
  if not text then
    error(results[2], 0)
  end
  notify.warn("Not possible here: " .. text)
end

--- Calls `action` now or, where windows may not be touched, as soon as they may.
---@param action fun()
function M.when_free(action)
  if not M.held() then
    return action()
  end
  vim.api.nvim_create_autocmd("CmdwinLeave", {
    once = true,
    callback = function()
      vim.schedule(function()
        M.when_free(action)
      end)
    end,
  })
end

return M
