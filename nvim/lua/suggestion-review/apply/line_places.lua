--- Where the changes of one file go in the developer's text, and what of the record stands in it.
local carrier = require("suggestion-review.worktree.document")
local changes = require("suggestion-review.apply.changes")
local diff = require("suggestion-review.text.diff")
local line_work = require("suggestion-review.apply.line_work")
local mapping = require("suggestion-review.text.merge")
local presence = require("suggestion-review.text.presence")

local M = {}

--- Buffers whose text was found to be as expected: at which tick, and for what.
---@type table<integer, { tick: integer, key: string }>
local in_step = {}

--- What a buffer is in step with: what is applied in the file, of this suggestion on this base.
---@param place SuggestionReview.Place
---@param file string
---@return string
local function step_key(place, file)
  local id = place.suggestion.id
  return ("%s\0%s\0%s\0%d"):format(id, place.suggestion.base_commit, file, place.applied:version_of(id, file))
end

--- Where the changes go in the developer's text.
---@class (exact) SuggestionReview.Places
---@field wanted SuggestionReview.WantedChanges
---@field placed SuggestionReview.Placed[]
---@field total integer lines of the text
---@field as_expected boolean nothing of the developer's own is in it
---@field work SuggestionReview.LineWork what of the record counts
---@field presence table<string, SuggestionReview.Presence>

--- Finds the changes' places in the developer's text.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its carrier
---@param work SuggestionReview.LineWork
---@return SuggestionReview.Places|nil
---@return string|nil reason
function M.find(place, plan, work)
  local key = step_key(place, plan.file)
  if plan.carrier.form.eol == "dos" and plan.base and changes.changes_ends(plan.base, work) then
    local checked_out = plan.attributes and plan.attributes.eol ~= "lf"
    if not checked_out and plan.carrier.buf then
      return nil, "it changes line ends (CR LF), which an open buffer keeps: close the file first"
    elseif not checked_out then
      carrier.keep_ends(plan.carrier)
    end
  end
  local wanted, reason = changes.of(plan, work)
  if not wanted then
    return nil, reason
  end
  local carried = plan.carrier --[[@as SuggestionReview.Carrier]]
  local buf = carried.buf
  local function unedited(total)
    return {
      wanted = wanted,
      placed = mapping.place(wanted.changes, nil, nil),
      total = total,
      as_expected = true,
      work = work,
      presence = {},
    }
  end
  local known = buf and in_step[buf]
  if known and known.tick == plan.tick and known.key == key then
    return unedited(vim.api.nvim_buf_line_count(buf --[[@as integer]]))
  end
  local actual = carrier.bare(carried)
  local expected = wanted.expected()
  local ranges = diff.ranges_near(expected, actual)
  if not ranges then
    if buf then
      in_step[buf] = { tick = plan.tick, key = key }
    end
    return unedited(#actual)
  end
  local function actual_lines(from, to)
    return diff.bare_slice(actual, from, to)
  end
  local function expected_lines(from, to)
    return diff.bare_slice(expected, from, to)
  end
  local found = {}
  if wanted.list then
    local reverted
    found, reverted = presence.of(wanted.base_lines, wanted.list, expected_lines, actual_lines, ranges)
    local counted = line_work.without_gone(work, found, reverted)
    if counted ~= work then
      work = counted
      wanted, reason = changes.of(plan, work)
      if not wanted then
        return nil, reason
      end
      expected = wanted.expected()
      ranges = diff.ranges_near(expected, actual) or {}
    end
  end
  return {
    wanted = wanted,
    placed = mapping.place(wanted.changes, expected_lines, actual_lines, {
      ranges = ranges,
      to_base = wanted.list and presence.to_base(wanted.list) or nil,
    }),
    total = #actual,
    as_expected = false,
    work = work,
    presence = found,
  }
end

--- The place that tells a hunk's outcome, by its key: one that is still to be changed, if there is one.
---@param placed SuggestionReview.Placed[]
---@return table<string, SuggestionReview.Placed>
function M.by_key(placed)
  local by_key = {}
  for _, one in ipairs(placed) do
    for _, key in ipairs(one.change.keys) do
      if not by_key[key] or by_key[key].status == "already" then
        by_key[key] = one
      end
    end
  end
  return by_key
end

--- Notes whether a buffer is as expected now that a plan was carried out.
---@param place SuggestionReview.Place
---@param file string
---@param buf integer
---@param as_expected boolean
function M.note(place, file, buf, as_expected)
  in_step[buf] = as_expected and { tick = vim.api.nvim_buf_get_changedtick(buf), key = step_key(place, file) }
    or nil
end

--- Forgets which buffers are in step; for tests.
function M.reset()
  in_step = {}
end

return M
