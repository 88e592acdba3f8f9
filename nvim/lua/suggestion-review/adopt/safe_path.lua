--- Names that no commit may bring into a checkout. Pure.

local M = {}

--- Whether git, on any system, could take the path for its own files or lead out of the checkout.
---@param path string
---@return boolean
function M.is_unsafe(path)
  for part in (path .. "/"):gmatch("([^/]*)/") do
    -- HFS+ drops these characters in names, NTFS trailing dots and blanks and what follows a colon; both fold case.
    local plain =
      part:gsub("\226\128[\140-\143\170-\174]", ""):gsub("\226\129[\170-\175]", ""):gsub("\239\187\191", "")
    plain = plain:lower():gsub(":.*$", ""):gsub("[ .]+$", function(tail)
      return part == "." and tail or ""
    end)
    if part == "" or part == "." or part == ".." or plain == ".git" or plain == "git~1" then
      return true
    end
  end
  return path:find("\0", 1, true) ~= nil
end

return M
