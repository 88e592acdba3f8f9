--- Where a decision was made: a hunk's digest names its path and its lines, not the place of these nor the file that
--- they are taken from. Both were on the screen, so they belong to what was decided. Pure.
local diff = require("suggestion-review.text.diff")

local M = {}

---@class (exact) SuggestionReview.DecidedPlace
---@field at integer zero-based line of the base
---@field count integer lines of the base
---@field before? string the line of the base above it, where one was shown
---@field after? string the line below

---@param record SuggestionReview.Record
---@return SuggestionReview.DecidedPlace
local function place_of(record)
  local hunk, lines = record.hunk, record.lines
  local place = { at = diff.zero_based(hunk.old_start, hunk.old_count), count = hunk.old_count }
  local text = diff.text_of(hunk)
  if lines then
    place.at, place.count = place.at + lines.old[1], lines.old[2]
  end
  if text then
    local from = lines and lines.old[1] or 0
    local to = from + (lines and lines.old[2] or #text.old)
    place.before = text.old[from] or text.before[#text.before]
    place.after = text.old[to + 1] or text.after[1]
  end
  return place
end

---@param hunk SuggestionReview.Hunk
---@return boolean
local function has_place(hunk)
  return diff.LINE_KINDS[hunk.kind] == true and hunk.kind ~= "create" and hunk.encoding ~= "binary"
end

--- Whether a hunk takes its lines from the file that the decision was about, and, where the base is the same, from the
--- same place of it.
---@param record SuggestionReview.Record
---@param hunk SuggestionReview.Hunk of the same digest
---@param base? string commit that the hunk's lines are counted in
---@return boolean
function M.fits(record, hunk, base)
  if record.hunk.old_file ~= hunk.old_file then
    return false
  elseif not has_place(hunk) or not base or record.base_commit ~= base then
    return true
  end
  return place_of(record).at == diff.zero_based(hunk.old_start, hunk.old_count)
end

--- Whether a decision that was made on another base is carried on to its own place: what the server may carry has the
--- same line above it where it only adds, and is between its neighbours, or the only such text, where it replaces.
---@param record SuggestionReview.Record
---@param hunk SuggestionReview.Hunk
---@param old string[] lines of the base that it replaces
---@param lines string[] of the base that the hunk's are counted in
---@return boolean
function M.is_carried(record, hunk, old, lines)
  if not has_place(hunk) then
    return true
  end
  local place = place_of(record)
  local at = diff.zero_based(hunk.old_start, hunk.old_count)
  if #old == 0 then
    return place.before == lines[at]
  elseif place.before == lines[at] or place.after == lines[at + #old + 1] then
    return true
  end
  local found = 0
  for from = 0, #lines - #old do
    local same = true
    for offset, line in ipairs(old) do
      same = same and lines[from + offset] == line
    end
    found = found + (same and 1 or 0)
  end
  return found == 1
end

return M
