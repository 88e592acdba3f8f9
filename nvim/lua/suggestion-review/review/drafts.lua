--- What the developer typed at a prompt and the server did not take: offered again at the next prompt for the same.
local notify = require("suggestion-review.say.notify")

local M = {}

---@type table<string, string>
local kept = {}

--- What is kept under a key.
---@param key string
---@return string|nil
function M.get(key)
  return kept[key]
end

--- Keeps a text until it is known to have arrived.
---@param key string
---@param text string
function M.keep(key, text)
  if text ~= "" then
    kept[key] = text
  end
end

---@param key string
function M.drop(key)
  kept[key] = nil
end

--- Notes what became of a text, and says that it is still there.
---@param key string
---@param err? { message: string }
function M.settle(key, err)
  if not err then
    kept[key] = nil
  elseif kept[key] then
    notify.warn(err.message .. "; what you typed is offered again")
  else
    notify.warn(err.message)
  end
end

--- Asks for a text, with what was not taken last time as its beginning. Calls back when something was entered (it may
--- be empty), and keeps that until `M.settle` is called.
---@param key string
---@param prompt string
---@param callback fun(text: string)
function M.ask(key, prompt, callback)
  vim.ui.input({ prompt = prompt, default = kept[key] }, function(text)
    if not text then
      return
    end
    if text == "" then
      M.drop(key)
    else
      M.keep(key, text)
    end
    callback(text)
  end)
end

return M
