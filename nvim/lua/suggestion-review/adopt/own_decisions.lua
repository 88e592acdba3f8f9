--- This developer's decision on each hunk of a final revision, from what is kept here alone.
local built_on = require("suggestion-review.adopt.built_on")
local decided_place = require("suggestion-review.adopt.decided_place")
local diff = require("suggestion-review.text.diff")
local own_digest = require("suggestion-review.decisions.own_digest")

local M = {}

---@class SuggestionReview.Own a hunk of the final revision with this developer's decision on it
---@field hunk SuggestionReview.Hunk
---@field state SuggestionReview.HunkState
---@field modified_diff? string
---@field record? SuggestionReview.Record the decision

--- The developer's version of a hunk, at the hunk's place: the base may have moved since it was made.
---@param record SuggestionReview.Record
---@param hunk SuggestionReview.Hunk
---@return string|nil
local function version_at(record, hunk)
  local text = record.modified_diff
  return text and not record.lines and diff.moved(text, hunk.old_start - record.hunk.old_start) or text
end

---@param by_hunk table<string, SuggestionReview.Record>
---@param used table<string, true> ids of hunks whose decision is found already
---@return table<string, SuggestionReview.Record[]>
local function unused_by_digest(by_hunk, used)
  local by_digest = {}
  local ids = vim.tbl_keys(by_hunk)
  table.sort(ids)
  for _, id in ipairs(ids) do
    if not used[id] then
      local name = own_digest.of(by_hunk[id])
      by_digest[name] = by_digest[name] or {}
      table.insert(by_digest[name], by_hunk[id])
    end
  end
  return by_digest
end

--- Of several decisions on the same text the one that says what the server says, if there is one: they are
--- interchangeable, being the same text in the same place. It is taken out of the list.
---@param records? SuggestionReview.Record[]
---@param hunk SuggestionReview.Hunk
---@param base? string
---@return SuggestionReview.Record?
local function take_best(records, hunk, base)
  local best
  for index, record in ipairs(records or {}) do
    local fits = decided_place.fits(record, hunk, base)
    if fits and (not best or record.state == hunk.state) then
      best = index
    end
    if fits and record.state == hunk.state then
      break
    end
  end
  return best and table.remove(records --[[@as table]], best)
end

--- Found by the hunk's id with the same digest, else (a decision carried from an earlier revision, or on a part of a
--- hunk) by the digest alone, else as a modification that the agent built on. Each decision counts once.
---@param hunks SuggestionReview.Hunk[] of the final revision
---@param by_hunk table<string, SuggestionReview.Record> latest decisions
---@param base? string commit that the hunks' lines are counted in; a decision made on it counts in its place alone
---@return SuggestionReview.Own[]
function M.resolve(hunks, by_hunk, base)
  local own, open, used = {}, {}, {}
  for i, hunk in ipairs(hunks) do
    local record = by_hunk[hunk.id]
    local is_it = record and not record.lines and record.hunk.digest == hunk.digest
    if record and is_it and decided_place.fits(record, hunk, base) then
      -- Text that the server leaves out for its size was read before it was accepted.
      local same_place = record.hunk.old_start == hunk.old_start and record.hunk.new_start == hunk.new_start
      own[i] = {
        hunk = hunk.diff_omitted and same_place and record.hunk or hunk,
        state = record.state,
        modified_diff = version_at(record, hunk),
        record = record,
      }
      used[hunk.id] = true
    else
      open[#open + 1] = i
    end
  end
  if #open == 0 then
    return own
  end
  local by_digest = unused_by_digest(by_hunk, used)
  local unknown = {}
  for _, i in ipairs(open) do
    local hunk = hunks[i]
    local record = take_best(by_digest[hunk.digest], hunk, base)
    unknown[#unknown + 1] = not record and i or nil
    own[i] = {
      hunk = hunk,
      state = record and record.state or "pending",
      modified_diff = record and version_at(record, hunk),
      record = record,
    }
  end
  for _, records in vim.spairs(by_digest) do
    for _, record in ipairs(#unknown > 0 and records or {}) do
      for _, i in ipairs(record.state == "modified" and built_on.find(record, hunks, unknown, base) or {}) do
        own[i].state = "accepted"
        unknown = vim.tbl_filter(function(other)
          return other ~= i
        end, unknown)
      end
    end
  end
  return own
end

return M
