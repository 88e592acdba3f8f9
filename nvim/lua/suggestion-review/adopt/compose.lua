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

--- Where the developer saw the lines of a decision: the revision, and the line of its proposed text.
---@param record? SuggestionReview.Record
---@return { revision: integer, line: integer }|nil
local function seen_at(record)
  if not record or diff.LINE_KINDS[record.hunk.kind] ~= true then
    return nil
  end
  local hunk, lines = record.hunk, record.lines
  local first = diff.zero_based(hunk.new_start, hunk.new_count)
  return { revision = record.revision, line = first + (lines and lines.new[1] or 0) }
end

--- Whether two decisions on one place, which go into it in this order, were shown in the other one: parts of one
--- insertion have nothing but the server's word for their order.
---@param first? SuggestionReview.Record
---@param second? SuggestionReview.Record
---@return boolean
local function turned_around(first, second)
  local a, b = seen_at(first), seen_at(second)
  return a ~= nil and b ~= nil and a.revision == b.revision and a.line > b.line
end

--- Base lines with the decisions in them. Every replaced line must be the base's.
---@param base string
---@param own SuggestionReview.Own[] hunks with lines that were taken
---@param commit? string the base; a decision that was made on another is looked at for its place
---@return string? bytes
---@return string? reason
function M.lines(base, own, commit)
  local lines = diff.split_lines(base)
  local replacements, records, reached = {}, {}, 0
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
    records[replacement] = item.record
  end
  local before
  for _, replacement in ipairs(mapping.sorted(replacements)) do
    local one_place = before and before.at == replacement.at and before.count == 0
    if one_place and turned_around(records[before], records[replacement]) then
      return nil, "lines stand in another order than they were decided in"
    end
    before = replacement
    if replacement.at < reached or replacement.at + replacement.count > #lines then
      return nil, "two hunks claim the same base lines"
    end
    reached = replacement.at + replacement.count
  end
  return table.concat(mapping.compose(lines, replacements))
end

return M
