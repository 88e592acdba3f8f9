--- Base lines with the developer's decisions in them. Pure.
local decided_place = require("suggestion-review.adopt.decided_place")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local mapping = require("suggestion-review.text.merge")

local M = {}

--- What a decision puts in the place of base lines.
---@param item SuggestionReview.Own
---@return SuggestionReview.Replacement? replacement
---@return string? reason
function M.replacement(item)
  local hunk = item.hunk
  if hunk.digest ~= digest.of(hunk) then
    return nil, "the text of a hunk is not what its digest names"
  end
  if item.state == "modified" then
    local own, reason = diff.read_modification(hunk, item.modified_diff or "")
    if not own then
      return nil, reason
    end
    return {
      key = hunk.id,
      at = own.at,
      count = own.count,
      lines = own.lines,
      order = hunk.new_start,
      old = own.old,
    }
  end
  local text, reason = diff.text_of(hunk)
  if not text then
    return nil, reason
  end
  local at = diff.zero_based(hunk.old_start, hunk.old_count)
  if #text.old == 0 and hunk.kind == "create" then
    at = 0
  end
  return {
    key = hunk.id,
    at = at,
    count = #text.old,
    lines = text.new,
    order = hunk.new_start,
    old = text.old,
  }
end

--- Base lines with the decisions in them. Every replaced line must be the base's.
---@param base string
---@param own SuggestionReview.Own[] hunks with lines that were taken
---@param commit? string the base; a decision that was made on another is looked at for its place
---@return string? bytes
---@return string? reason
function M.lines(base, own, commit)
  local lines = diff.split_lines(base)
  local replacements, reached = {}, 0
  for i, item in ipairs(own) do
    local replacement, reason = M.replacement(item)
    if not replacement then
      return nil, reason
    end
    for offset, line in ipairs(replacement.old) do
      if lines[replacement.at + offset] ~= line then
        return nil, "a hunk does not fit its place in the base"
      end
    end
    local record = commit and item.record
    if record and record.base_commit ~= commit then
      local text = diff.text_of(item.hunk)
      if text and not decided_place.is_carried(record, item.hunk, text.old, lines) then
        return nil, "a hunk is in another place than it was decided in"
      end
    end
    replacements[i] = replacement
  end
  for _, replacement in ipairs(mapping.sorted(replacements)) do
    if replacement.at < reached or replacement.at + replacement.count > #lines then
      return nil, "two hunks claim the same base lines"
    end
    reached = replacement.at + replacement.count
  end
  return table.concat(mapping.compose(lines, replacements))
end

return M
