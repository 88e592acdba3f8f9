--- What an action is about: the current hunk, several from there on, or the lines that are selected.
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
local text_of = require("suggestion-review.text.display")
local diff = require("suggestion-review.text.diff")
local rows_of = require("suggestion-review.ui.rows")

local M = {}

---@class (exact) SuggestionReview.Selected one hunk's part of a selection, as a style knows it
---@field index integer
---@field lines SuggestionReview.LineRange a side without a selected line has -1 for its first

---@class (exact) SuggestionReview.Target
---@field hunk SuggestionReview.Hunk
---@field lines? SuggestionReview.LineRange only these; nil: all of it

--- How many lines of one side stand before the selected ones of the other, by the pairs of lines that belong together.
---@param pairs_of { old: integer, new: integer }[]
---@param side "old"|"new"
---@param other "old"|"new"
---@param from integer first selected line of the other side, 0-based
local function lines_before(pairs_of, side, other, from)
  local at = 0
  for _, pair in ipairs(pairs_of) do
    if pair[other] - 1 < from then
      at = pair[side]
    end
  end
  return at
end

--- A hunk's part of a selection; no lines where all of the hunk is selected.
---@param session SuggestionReview.Session
---@param selected SuggestionReview.Selected
---@return SuggestionReview.Target
local function target_of(session, selected)
  local hunk, lines = session.hunks[selected.index], selected.lines
  local block = rows_of.block_of(hunk)
  if lines.old[2] == #block.old and lines.new[2] == #block.new then
    return { hunk = hunk }
  end
  -- A side without a selected line is cut where the other side's lines belong.
  local pairs_of = diff.pairs_of(block.old, block.new)
  if lines.old[1] < 0 then
    lines.old[1] = lines_before(pairs_of, "old", "new", lines.new[1])
  elseif lines.new[1] < 0 then
    lines.new[1] = lines_before(pairs_of, "new", "old", lines.old[1])
  end
  return { hunk = hunk, lines = lines }
end

--- The hunks whose lines are selected.
---@param session SuggestionReview.Session
---@return SuggestionReview.Target[]
local function of_selection(session)
  local first, last = vim.fn.line("v"), vim.fn.line(".")
  -- Not by feedkeys(): what else was typed in the same go would come first.
  vim.cmd("normal! \27")
  if first > last then
    first, last = last, first
  end
  local select = current.style().selection
  local found = select and select(first, last) or {}
  if #found == 0 then
    notify.warn("The selection holds no changed line")
    return {}
  end
  session.index = found[1].index
  return vim.tbl_map(function(selected)
    return target_of(session, selected)
  end, found)
end

--- The current hunk and the undecided ones after it, as many as were asked for; fewer at the end.
---@param session SuggestionReview.Session
---@param count integer
---@return SuggestionReview.Target[]
local function from_here(session, count)
  local found = { { hunk = session:current_hunk() } }
  for index = session.index + 1, #session.hunks do
    if #found == count then
      break
    elseif not session:is_decided(session.hunks[index]) then
      found[#found + 1] = { hunk = session.hunks[index] }
    end
  end
  if #found < count then
    notify.info(
      ("There %s only %s from here on"):format(#found == 1 and "is" or "are", text_of.count(#found, "hunk"))
    )
  end
  return found
end

--- What is to be decided: one thing or several; {} where there is nothing, which has been said, or where the current
--- hunk is out of sight: then the review comes to the front.
---@param opts? { selection?: boolean, count?: integer }
---@return SuggestionReview.Target[]
function M.list(opts)
  -- First where the cursor is: a hunk that is out of sight may be the one before it moved.
  current.look_at_cursor()
  -- What is selected is seen, and need not be of the current hunk.
  local session = current.need_seen(opts ~= nil and opts.selection)
  if not session then
    return {}
  elseif opts and opts.selection then
    return of_selection(session)
  elseif opts and opts.count and opts.count > 1 then
    return from_here(session, opts.count)
  end
  return { { hunk = session:current_hunk() } }
end

--- The current hunk; nothing without a review, or where that hunk is out of sight.
---@return SuggestionReview.Hunk|nil
function M.of()
  local target = M.list()[1]
  return target and target.hunk
end

return M
