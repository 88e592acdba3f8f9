--- A modification that the agent built on: its next revision proposes the developer's own text, cut into hunks that
--- nobody decided under these names. Hunks that together say exactly that text, in place of exactly those lines, are
--- the developer's. Pure.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")

local M = {}

---@class (exact) SuggestionReview.Candidate a hunk that may be a part of a modification
---@field index integer
---@field at integer zero-based line of the base
---@field old string[]
---@field new string[]

---@param record SuggestionReview.Record
---@return { at: integer, old: string[], new: string[] }|nil
local function version_of(record)
  local text = record.modified_diff
  if text and record.hunk.encoding == "latin1" then
    text = diff.latin1_to_bytes(text)
  end
  local parsed = text and diff.parse(text)
  if not parsed then
    return nil
  end
  local sides = diff.sides(parsed)
  return {
    at = diff.zero_based(parsed.old_start, parsed.old_count) + #sides.before,
    old = sides.old,
    new = sides.new,
  }
end

---@param record SuggestionReview.Record
---@param hunks SuggestionReview.Hunk[]
---@param open integer[] indexes of hunks that no decision was found for
---@return SuggestionReview.Candidate[] in order
local function candidates_of(record, hunks, open)
  local found = {}
  for _, index in ipairs(open) do
    local hunk = hunks[index]
    -- What was made of a deletion is a change of the file by now. A version is never that there is no file.
    local text = hunk.state == "accepted"
      and diff.has_text(hunk)
      and hunk.kind ~= "delete"
      and hunk.new_mode == (record.hunk.new_mode or record.hunk.old_mode)
      and digest.path(hunk) == digest.path(record.hunk)
      and hunk.old_file == record.hunk.old_file
      and diff.text_of(hunk)
    if text then
      local at = diff.zero_based(hunk.old_start, hunk.old_count)
      found[#found + 1] = { index = index, at = at, old = text.old, new = text.new }
    end
  end
  table.sort(found, function(a, b)
    return a.at < b.at
  end)
  return found
end

--- What the candidates within a stretch of the base make of its lines.
---@param old string[] lines of the stretch
---@param from integer where it begins
---@param candidates SuggestionReview.Candidate[]
---@return string[]|nil lines
---@return integer[] indexes
local function made_of(old, from, candidates)
  local out, at, indexes = {}, 0, {}
  for _, one in ipairs(candidates) do
    local offset = one.at - from
    if offset >= 0 and offset + #one.old <= #old then
      if offset < at or not vim.deep_equal(vim.list_slice(old, offset + 1, offset + #one.old), one.old) then
        return nil, {}
      end
      vim.list_extend(out, old, at + 1, offset)
      vim.list_extend(out, one.new)
      at = offset + #one.old
      indexes[#indexes + 1] = one.index
    end
  end
  return vim.list_extend(out, old, at + 1), indexes
end

--- The hunks that are a modification.
---@param record SuggestionReview.Record a modification
---@param hunks SuggestionReview.Hunk[] of a later revision
---@param open integer[] indexes of hunks that no decision was found for
---@param base? string commit that the hunks' lines are counted in
---@return integer[] indexes
function M.find(record, hunks, open, base)
  local version = version_of(record)
  if not version then
    return {}
  end
  local candidates = candidates_of(record, hunks, open)
  local tried = {}
  for _, first in ipairs(candidates) do
    -- The base may have moved, and the stretch with it; where it is, its first hunk fits.
    for offset = 0, #version.old - #first.old do
      local from = first.at - offset
      local may_be = from == version.at or record.base_commit ~= base
      if may_be and not tried[from] then
        tried[from] = true
        local lines, indexes = made_of(version.old, from, candidates)
        if #indexes > 0 and vim.deep_equal(lines, version.new) then
          return indexes
        end
      end
    end
  end
  return {}
end

return M
