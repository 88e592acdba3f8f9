--- What stands before and after a hunk that has no lines: where a link leads, sizes and object ids, as lines to read.
local M = {}

local KIND = {
  ["120000"] = "symbolic link",
  ["160000"] = "submodule",
  ["100755"] = "executable file",
  ["100644"] = "file",
}

--- Whether a hunk is told by object ids instead of lines.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.has(hunk)
  return hunk.encoding == "binary" and hunk.kind ~= "rename" and hunk.kind ~= "mode"
end

---@param side SuggestionReview.FileSide
---@return boolean
function M.is_link(side)
  return side.mode == "120000"
end

--- Raw bytes of the path.
---@param side SuggestionReview.FileSide
---@return string
function M.path(side)
  return side.file_b64 and vim.base64.decode(side.file_b64) or side.file
end

--- Raw bytes of where a link leads, if that is known.
---@param side SuggestionReview.FileSide
---@return string|nil
function M.target(side)
  return side.target_b64 and vim.base64.decode(side.target_b64) or side.target
end

---@param bytes integer
---@return string
local function size(bytes)
  local digits = tostring(bytes)
  local grouped = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return grouped .. (bytes == 1 and " byte" or " bytes")
end

--- One side in words. Control characters are left to whoever shows it.
---@param side SuggestionReview.FileSide
---@return string
local function words(side)
  local kind = KIND[side.mode] or ("mode " .. side.mode)
  if M.is_link(side) then
    local target = M.target(side)
    return ("%s -> %s"):format(kind, target or "(a target that is not known)")
  elseif side.mode == "160000" then
    return ("%s %s"):format(kind, side.oid)
  end
  return ("%s, %s, object %s"):format(
    kind,
    side.size and size(side.size) or "size unknown",
    side.oid:sub(1, 16)
  )
end

--- Both sides, a line each; a swap names its files.
---@param hunk SuggestionReview.Hunk
---@return string[]
function M.lines(hunk)
  local lines = {}
  local function add(label, sides)
    for _, side in ipairs(sides) do
      local name = hunk.kind == "swap" and M.path(side) .. ": " or ""
      lines[#lines + 1] = ("%s %s%s"):format(label, name, words(side))
    end
  end
  if hunk.before and hunk.after then
    add("before:", hunk.before)
    add("after: ", hunk.after)
  end
  return lines
end

return M
