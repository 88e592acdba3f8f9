--- Whether the developer has gone on since something was begun: a window that comes late is not to take the keys that
--- are typed for what they do now.
local M = {}

--- Keys that nobody types: the mouse moves, the terminal gets or loses the focus (keycodes.h, KS_EXTRA).
local NOT_TYPED = "^\128\253"

--- Watches from now on.
---@return fun(): boolean has_typed ends the watch, once, and says whether a key was typed since
function M.watch()
  local typed_any = false
  local namespace
  namespace = vim.on_key(function(_, typed)
    if typed and typed ~= "" and not typed:find(NOT_TYPED) then
      typed_any = true
    end
  end)
  return function()
    vim.on_key(nil, namespace)
    return typed_any
  end
end

return M
