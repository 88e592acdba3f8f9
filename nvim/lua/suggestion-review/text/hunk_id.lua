--- Hunks by their numbers, as the server gives them: where "0" is cut, its parts are "0.1", "0.2" and so on, and those
--- of "0.1" are "0.1.1" … An id is "<suggestion>:<file>:<number>"; the file may hold any of these characters. Pure.
local M = {}

--- Whether a hunk is a part of another one, at any depth.
---@param id string
---@param whole string
---@return boolean
function M.is_part(id, whole)
  return vim.startswith(id, whole .. ".")
end

--- A hunk's own id, then that of the hunk it is a part of, and so on outwards.
---@param id string
---@return string[]
function M.with_wholes(id)
  local head, number = id:match("^(.*:)([^:]*)$")
  if not head then
    head, number = "", id
  end
  local ids = {}
  while number do
    ids[#ids + 1] = head .. number
    number = number:match("^(.*)%.[^.]*$")
  end
  return ids
end

return M
