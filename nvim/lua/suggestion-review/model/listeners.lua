--- Whoever wants to hear what happens to suggestions. One that fails keeps nobody else from hearing.
local log = require("suggestion-review.say.log")
local notify = require("suggestion-review.say.notify")

local M = {}

---@type table<integer, fun(event: SuggestionReview.Event)>
local listeners = {}
local next_listener = 1
--- Failures that were said already, by their first line: a listener that fails at each event is told of once.
---@type table<string, true>
local said = {}

--- Calls `listener` after each event was taken in. See |suggestion-review-events|.
---@param listener fun(event: SuggestionReview.Event)
---@return fun() unsubscribe
function M.subscribe(listener)
  vim.validate("listener", listener, "function")
  local number = next_listener
  next_listener = number + 1
  listeners[number] = listener
  return function()
    listeners[number] = nil
  end
end

--- Calls a function with an event; where it fails, that is logged, and said once.
---@param listener fun(event: SuggestionReview.Event)
---@param event SuggestionReview.Event
function M.call(listener, event)
  local ok, message = xpcall(listener, debug.traceback, event)
  if ok then
    return
  end
  log.error("listener of %s: %s", event.type, message)
  local first = tostring(message):match("^[^\n]*")
  if not said[first] then
    said[first] = true
    notify.failure(tostring(message))
  end
end

--- Tells every listener.
---@param event SuggestionReview.Event
function M.announce(event)
  local numbers = vim.tbl_keys(listeners)
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local listener = listeners[number]
    if listener then
      M.call(listener, event)
    end
  end
end

return M
