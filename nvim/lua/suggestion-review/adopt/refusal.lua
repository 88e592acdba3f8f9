--- What an adoption cannot do without risk: raised in its task as an error with the reason and what to run instead.
local log = require("suggestion-review.say.log")

local M = {}

---@param reason string
---@param commands? string[]
function M.raise(reason, commands)
  error({ message = reason, refusal = true, commands = commands or {} }, 0)
end

--- An error of an adoption as text for people.
---@param err any what a task raised
---@return string
function M.text(err)
  if type(err) ~= "table" then
    log.error("adopt: %s", tostring(err))
    return tostring(err):match("^[^\n]*")
  end
  local text = err.message
  if err.commands and #err.commands > 0 then
    text = text .. "\nTo go on by hand:\n  " .. table.concat(err.commands, "\n  ")
  end
  return text
end

return M
