--- Whether what was applied still stands in a text that has moved on. Pure.
local exchange = require("suggestion-review.text.exchange")
local merge = require("suggestion-review.text.merge")

local M = {}

--- "in": untouched; "edited": the developer's edits touch its lines; "gone": nothing of it is left.
---@alias SuggestionReview.Presence "in"|"edited"|"gone"

--- From lines of the expected text to lines of the base. A place inside a replacement is that replacement's edge; one
--- that deletes lines counts as inside only where its key is asked about.
---@param replacements SuggestionReview.Replacement[] in order
---@return fun(from: integer, to: integer, keys: string[]): integer, integer
function M.to_base(replacements)
  return function(from, to, keys)
    local base_from, base_to
    local shift = 0 -- expected line = base line + shift
    for _, replacement in ipairs(replacements) do
      local at, size = replacement.at + shift, #replacement.lines
      local asked = size > 0 or vim.list_contains(keys, replacement.key)
      if not base_from and from <= at and (from < at or asked) then
        base_from = from - shift
      elseif not base_from and from < at + size then
        base_from = replacement.at
      end
      if not base_to and (to < at or (to == at and not asked)) then
        base_to = to - shift
      elseif not base_to and to <= at + size and (size > 0 or to == at) then
        base_to = to == at and size > 0 and replacement.at or replacement.at + replacement.count
      end
      if base_from and base_to then
        break
      end
      shift = shift + size - replacement.count
    end
    return base_from or from - shift, base_to or to - shift
  end
end

--- Whether nothing of a replacement is left in `ours`: what stands there is what was there before, or other hunks'.
---@param replacement SuggestionReview.Replacement
---@param restored string[] the lines it took the place of
---@param placed SuggestionReview.Placed with the actual lines there
---@param others SuggestionReview.Replacement[] of the same stretch
---@return boolean
local function nothing_left(replacement, restored, placed, others)
  local known = {}
  for _, list in ipairs({ restored, placed.theirs or {} }) do
    for _, line in ipairs(list) do
      known[line] = true
    end
  end
  if #replacement.lines == 0 then
    local there = {}
    for _, line in ipairs(placed.ours) do
      there[line] = true
    end
    for _, line in ipairs(restored) do
      if not there[line] then
        return false
      end
    end
    return true
  end
  local distinct = false
  local left = {}
  for _, line in ipairs(replacement.lines) do
    if not known[line] then
      distinct, left[line] = true, true
    end
  end
  for _, other in ipairs(others) do
    for _, line in ipairs(other.lines) do
      known[line] = true
    end
  end
  for _, line in ipairs(placed.ours) do
    if left[line] or not known[line] then
      return false
    end
  end
  return distinct or #placed.ours == 0
end

--- How each replacement stands in the actual text.
---@param base string[]
---@param replacements SuggestionReview.Replacement[] applied, in order
---@param expected SuggestionReview.LinesOf
---@param actual SuggestionReview.LinesOf
---@param ranges integer[][] differences between the two
---@return table<string, SuggestionReview.Presence> those that are not simply in, by key
---@return table<string, true> reverted of those that are gone: what stood there before stands there again
function M.of(base, replacements, expected, actual, ranges)
  local found, reverted = {}, {}
  local at, shift = 1, 0
  local to_base = M.to_base(replacements)
  for index, replacement in ipairs(replacements) do
    local from = replacement.at + shift
    local to = from + #replacement.lines
    shift = shift + #replacement.lines - replacement.count
    while ranges[at] and ranges[at][2] < from do
      at = at + 1
    end
    local touched, inside = false, false
    for i = at, #ranges do
      local range = ranges[i]
      if range[1] > to then
        break
      end
      touched = true
      -- An edit right beside the lines leaves them as they are.
      inside = inside or from == to or (range[1] < to and range[2] > from)
    end
    if touched and inside then
      local before = replacement.before
      local near = { replacements[index - 1], replacements[index + 1] }
      local restored = vim.list_slice(base, replacement.at + 1, replacement.at + replacement.count)
      local own_range = before and before.at == replacement.at and before.count == replacement.count
      if own_range then
        restored = before.lines
      end
      local change = {
        keys = { replacement.key },
        from = from,
        to = to,
        old = replacement.lines,
        lines = restored,
        base_from = replacement.at,
        base_to = replacement.at + replacement.count,
      }
      local placed = merge.place({ change }, expected, actual, {
        ranges = ranges,
        start = math.max(1, at - 1),
        to_base = to_base,
      })[1]
      if before and not own_range then
        restored = vim.list_extend(vim.list_slice(restored), before.lines)
      end
      local others = {}
      for _, other in pairs(near) do
        others[#others + 1] = other
      end
      reverted[replacement.key] = placed.status == "already" or nil
      if placed.status == "already" or nothing_left(replacement, restored, placed, others) then
        found[replacement.key] = "gone"
      elseif from < to or placed.status == "conflict" and exchange.is_own(replacement) then
        found[replacement.key] = "edited"
      end
    end
  end
  return found, reverted
end

return M
