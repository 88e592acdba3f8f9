--- Messages to the user, as `vim.notify` shows them. What is worth one is decided by whoever calls.

local echo = require("suggestion-review.say.echo")

local M = {}

---@param message string
function M.info(message)
  echo.show(message, vim.log.levels.INFO)
end

---@param message string
function M.warn(message)
  echo.show(message, vim.log.levels.WARN)
end

---@param message string
function M.error(message)
  echo.show(message, vim.log.levels.ERROR)
end

--- What the user has just asked to see: whole, however long it is.
---@param message string
function M.answer(message)
  echo.answer(message)
end

--- An error inside this plugin: short for the user, whole in the log.
---@param traceback string
function M.failure(traceback)
  local first = traceback:match("^[^\n]*")
  M.error(("Something went wrong in suggestion-review: %s (see :Suggest log)"):format(first))
end

--- What was said last of a connection that will not come about by itself, by server.
---@type table<string, string>
local problems = {}

--- A connection that will not come about by itself, said once per cause.
---@param server string
---@param message string
function M.connection_problem(server, message)
  if problems[server] == message then
    return
  end
  problems[server] = message
  if require("suggestion-review.config").get().notifications.on_error then
    M.warn(message)
  end
end

--- The connection came about: what keeps it the next time is said again.
---@param server string
function M.connected(server)
  problems[server] = nil
end

return M
