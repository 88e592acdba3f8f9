--- What a plan does to the record of one file: what is applied in it, what goes and what comes; and what of the record
--- counts, since the file may not hold it any more.
local base_of = require("suggestion-review.model.base_text")
local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local hunk_id = require("suggestion-review.text.hunk_id")
local replacements = require("suggestion-review.apply.replacement")

local M = {}

---@param list SuggestionReview.Replacement[]
---@param base string
---@return SuggestionReview.Replacement[] those that are about lines of this base
function M.line_replacements(list, base)
  local function counts(replacement)
    return diff.LINE_KINDS[replacement.kind or "text"]
      and not replacement.sides
      and (replacement.base or base) == base
  end
  for _, one in ipairs(list) do
    if not counts(one) then
      return vim.tbl_filter(counts, list)
    end
  end
  return list
end

---@param hunk SuggestionReview.Hunk
---@param now SuggestionReview.Replacement[]
---@return string[] keys of an earlier revision's text in the place of this hunk, the developer's own versions apart
local function left_over(hunk, now)
  local keys = {}
  if #now == 0 then
    return keys
  end
  local place = { at = diff.zero_based(hunk.old_start, hunk.old_count), count = hunk.old_count }
  for _, replacement in ipairs(now) do
    if
      exchange.is_stale(replacement)
      and not exchange.is_own(replacement)
      and exchange.makes_room(replacement, place)
    then
      keys[#keys + 1] = replacement.key
    end
  end
  return keys
end

--- What the plan's wants do to the replacements of the file; refuses those that cannot be trusted.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@return SuggestionReview.LineWork
function M.of(place, plan)
  local base = place.suggestion.base_commit
  local now = M.line_replacements(place.applied:of_file(place.suggestion.id, plan.file), base)
  local remove, add = {}, {}
  for _, item in ipairs(plan.items) do
    if item.want.state == "accepted" or item.want.state == "modified" then
      local replacement, why, text = replacements.of(item.want, place.suggestion)
      if not replacement or not text then
        item.status, item.reason = "refused", why
      elseif not base_of.fits(plan.base, item.hunk, text) then
        item.status, item.reason = "refused", "its base lines are not those of the base commit"
      else
        add[#add + 1] = replacement
      end
    else
      remove[item.hunk.id] = true
      item.also = left_over(item.hunk, now)
      for _, key in ipairs(item.also) do
        remove[key] = true
      end
    end
  end
  return { now = now, remove = remove, add = add }
end

--- Leaves out of account what the record names and the file does not hold any more, and what the developer has edited
--- since where that very hunk, or a part of it, is decided again: there it is the developer's text that stands there.
---@param work SuggestionReview.LineWork
---@param found table<string, SuggestionReview.Presence>
---@param reverted table<string, true> what is to be taken out of these is taken for done, in its place
---@return SuggestionReview.LineWork work itself where all of it is there
function M.without_gone(work, found, reverted)
  local adding = {}
  for _, replacement in ipairs(work.add) do
    for _, key in ipairs(hunk_id.with_wholes(replacement.key)) do
      adding[key] = true
    end
  end
  local now, gone, yields =
    {}, vim.list_slice(work.gone or {}), vim.tbl_extend("force", work.yields or {}, {})
  for _, replacement in ipairs(work.now) do
    local key = replacement.key
    local gone_here = found[key] == "gone" and not (work.remove[key] and reverted[key])
    if gone_here or (found[key] == "edited" and adding[key]) then
      local stale, to = exchange.is_stale(replacement), {}
      for _, other in ipairs(stale and {} or work.add) do
        if other.key ~= key and exchange.makes_room(replacement, other) then
          to[#to + 1] = other.key
        end
      end
      if gone_here and (stale or #to > 0) then
        gone[#gone + 1] = key
      elseif #to > 0 then
        yields[key] = to
      end
    else
      now[#now + 1] = replacement
    end
  end
  if #now == #work.now then
    return work
  end
  return { now = now, remove = work.remove, add = work.add, gone = gone, yields = yields }
end

--- A replacement that is recorded already, as it is: what the developer had there before stays known.
---@param replacement SuggestionReview.Replacement
---@param now SuggestionReview.Replacement[]
---@return SuggestionReview.Replacement
function M.as_filed(replacement, now)
  for _, one in ipairs(now) do
    if one.key == replacement.key then
      return vim.tbl_extend("force", replacement, { before = one.before, whose = one.whose })
    end
  end
  return replacement
end

return M
