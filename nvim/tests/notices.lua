--- What this editor would say to its user (`vim.notify`), kept for a spec to look at.

local t = require("support")

local M = {}

---@type string[]
local heard = {}

--- Keeps what is said from now on, in place of showing it.
function M.listen()
  heard = {}
  vim.notify = function(message)
    table.insert(heard, message)
  end
end

--- Forgets what was said so far.
function M.forget()
  heard = {}
end

--- Waits until something is said, or was since `forget`.
---@param pattern string Lua pattern
---@param timeout? integer milliseconds (30,000)
---@return string message the first that fits
function M.wait(pattern, timeout)
  local ok, message = pcall(t.wait, function()
    for _, one in ipairs(heard) do
      if one:find(pattern) then
        return one
      end
    end
  end, timeout or 30000, pattern)
  return ok and message or error(("%s; said was %s"):format(message, vim.inspect(heard)), 2)
end

return M
