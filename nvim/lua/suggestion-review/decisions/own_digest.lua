--- The digest of what a decision of this developer's is about, worked out here.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")

local M = {}

--- The digest that the server must give to a part of a hunk.
---@param hunk SuggestionReview.Hunk
---@param lines SuggestionReview.LineRange
---@return string? digest
local function part_digest(hunk, lines)
  local text = diff.text_of(hunk)
  if not text then
    return nil
  end
  local old = table.concat(text.old, "", lines.old[1] + 1, lines.old[1] + lines.old[2])
  local new = table.concat(text.new, "", lines.new[1] + 1, lines.new[1] + lines.new[2])
  local mode = hunk.new_mode or hunk.old_mode or ""
  if hunk.kind == "create" then
    new = mode .. "\n" .. new
  end
  if hunk.kind == "delete" then
    old = mode .. "\n" .. old
  end
  return digest.compute(hunk.kind, digest.path(hunk), old, new)
end

--- Digest of the text a decision stands for.
---@param record SuggestionReview.Record
---@return string
function M.of(record)
  if not record.lines then
    return record.hunk.digest
  end
  return part_digest(record.hunk, record.lines) or ""
end

return M
