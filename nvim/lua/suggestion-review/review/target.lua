--- What an action is about: the current hunk, or the lines of a hunk that are selected.
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")

local M = {}

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

--- The selected lines; none where all of the hunk is selected.
---@param session SuggestionReview.Session
---@return SuggestionReview.Hunk|nil
---@return SuggestionReview.LineRange|nil
local function selected(session)
  local first, last = vim.fn.line("v"), vim.fn.line(".")
  vim.api.nvim_feedkeys(vim.keycode("<Esc>"), "nx", false)
  if first > last then
    first, last = last, first
  end
  local select = current.style().selection
  local index, lines = nil, nil
  if select then
    index, lines = select(first, last)
  end
  if not index then
    notify.warn("The selection holds no changed line")
    return
  end
  session.index = index
  local hunk = session:current_hunk()
  ---@cast lines SuggestionReview.LineRange
  local block = require("suggestion-review.ui.rows").block_of(hunk)
  if lines.old[2] == #block.old and lines.new[2] == #block.new then
    return hunk
  end
  -- A side without a selected line is cut where the other side's lines belong.
  local pairs_of = require("suggestion-review.text.diff").pairs_of(block.old, block.new)
  if lines.old[1] < 0 then
    lines.old[1] = lines_before(pairs_of, "old", "new", lines.new[1])
  elseif lines.new[1] < 0 then
    lines.new[1] = lines_before(pairs_of, "new", "old", lines.old[1])
  end
  return hunk, lines
end

--- The current hunk, or with `selection` the selected part of one; nothing without a review, or where that hunk is
--- out of sight: then the review comes to the front.
---@param opts? { selection?: boolean }
---@return SuggestionReview.Hunk|nil
---@return SuggestionReview.LineRange|nil
function M.of(opts)
  local session = current.need_seen()
  if not session then
    return
  elseif opts and opts.selection then
    return selected(session)
  end
  return session:current_hunk()
end

return M
