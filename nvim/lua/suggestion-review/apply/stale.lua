--- Text of an earlier revision that stands in the developer's files although no hunk proposes it any more: taken out
--- where nobody touched it, else left to be asked about.
local apply = require("suggestion-review.apply")
local base_of = require("suggestion-review.model.base_text")
local digest = require("suggestion-review.text.digest")
local exchange = require("suggestion-review.text.exchange")
local whole = require("suggestion-review.apply.whole")
local decisions = require("suggestion-review.decisions.record")

local M = {}

---@class (exact) SuggestionReview.StaleText
---@field file string raw bytes
---@field replacement SuggestionReview.Replacement
---@field reason? string why it could not be taken out, where no edited lines are in the way

--- What the record has of it.
---@param place SuggestionReview.Place
---@return SuggestionReview.StaleText[]
function M.list(place)
  local found = {}
  if place.applied and not place.in_place then
    local id = place.suggestion.id
    for _, file in ipairs(place.applied:files(id)) do
      for _, replacement in ipairs(place.applied:of_file(id, file)) do
        if exchange.is_stale(replacement) then
          found[#found + 1] = { file = file, replacement = replacement }
        end
      end
    end
  end
  return found
end

--- The hunk that the text is of: as it was decided here, where that is known.
---@param place SuggestionReview.Place
---@param one SuggestionReview.StaleText
---@return SuggestionReview.Hunk
function M.hunk_of(place, one)
  local replacement = one.replacement
  local sides = replacement.sides
  for _, record in ipairs(decisions.history(place.suggestion.id)) do
    local hunk = record.hunk
    if not record.lines and hunk.digest == replacement.digest and digest.path(hunk) == one.file then
      return vim.tbl_extend("force", hunk, { id = replacement.key, state = "pending" })
    end
  end
  local kind = replacement.kind or "text"
  return {
    id = replacement.key,
    file = one.file,
    old_file = kind ~= "create" and (replacement.old_file or one.file) or nil,
    kind = kind,
    digest = replacement.digest or "",
    diff = "",
    diff_bytes = 0,
    encoding = sides and (kind == "create" or kind == "delete") and "binary" or "utf-8",
    old_mode = sides and sides.from.mode,
    new_mode = sides and sides.to.mode,
    old_start = replacement.count == 0 and replacement.at or replacement.at + 1,
    old_count = replacement.count,
    new_start = 0,
    new_count = #replacement.lines,
    context_before = 0,
    context_after = 0,
    state = "pending",
  }
end

--- Takes out what stands there untouched.
---@param place SuggestionReview.Place
---@param callback fun(taken: SuggestionReview.StaleText[], left: SuggestionReview.StaleText[])
function M.take_out(place, callback)
  local stale, taken, left = M.list(place), {}, {}
  local at = 0
  local function next_one()
    at = at + 1
    local one = stale[at]
    if not one then
      return callback(taken, left)
    end
    local hunk = M.hunk_of(place, one)
    local base = one.replacement.base or place.suggestion.base_commit
    local there = setmetatable({
      suggestion = vim.tbl_extend("force", place.suggestion, { base_commit = base }),
      unknown_base_ok = true,
    }, { __index = place })
    local function run()
      apply.plan(there, { { hunk = hunk, state = "pending" } }, function(plans, items)
        apply.run(plans)
        local item = items[1]
        local out = item.status == "clean" or item.status == "already"
        one.reason = item.status == "refused" and item.reason or nil
        table.insert(out and taken or left, one)
        next_one()
      end)
    end
    if base == place.suggestion.base_commit or whole.is_whole(hunk) or not hunk.old_file then
      return run()
    end
    -- The server has the present base only; an earlier one is asked of the developer's own repository.
    base_of.from_repository(place.git_root, base, hunk.old_file, function(found)
      if found then
        return run()
      end
      left[#left + 1] = one
      next_one()
    end)
  end
  next_one()
end

return M
