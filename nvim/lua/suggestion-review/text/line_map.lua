--- Where lines of one text are in another one that was made of it. Pure.
local diff = require("suggestion-review.text.diff")

local M = {}

--- Lines without their ends, whatever these are.
---@param lines string[]
---@return string
local function joined(lines)
  local out = {}
  for i, line in ipairs(lines) do
    out[i] = line:gsub("\r?\n$", ""):gsub("\r$", "")
  end
  return #out > 0 and table.concat(out, "\n") .. "\n" or ""
end

---@class (exact) SuggestionReview.LineMap
---@field line fun(line: integer): integer 1-based; a line that is gone is where it would be
---@field before fun(count: integer): integer lines of the other text before what follows that many lines

---@param from string[]
---@param to string[]
---@return SuggestionReview.LineMap
function M.between(from, to)
  local ranges = diff.ranges_of_text(joined(from), joined(to))
  local function before(count)
    local shift = 0
    for _, range in ipairs(ranges) do
      if range[1] >= count then
        break
      elseif range[2] > count then
        return math.min(range[3] + count - range[1], range[4])
      end
      shift = range[4] - range[2]
    end
    return count + shift
  end
  local function line(number)
    local shift = 0
    for _, range in ipairs(ranges) do
      if range[1] >= number then
        break
      elseif range[2] >= number then
        return math.max(
          1,
          math.min(range[3] + number - range[1], math.max(range[4], range[3] + 1), math.max(1, #to))
        )
      end
      shift = range[4] - range[2]
    end
    return number + shift
  end
  return { line = line, before = before }
end

return M
