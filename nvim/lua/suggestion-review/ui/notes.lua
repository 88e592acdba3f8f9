--- What stands above a hunk besides its lines: marks, what is there before and after where there are no lines, the
--- earlier rejection, who decided, and the comments.
local contents = require("suggestion-review.apply.contents")
local diff = require("suggestion-review.text.diff")
local marks = require("suggestion-review.apply.marks")
local sides = require("suggestion-review.text.sides")
local submodule = require("suggestion-review.apply.submodule")
local text_of = require("suggestion-review.text.display")
local keys = require("suggestion-review.ui.keys")

local M = {}

--- What fits beside the numbers on a screen of 80 columns: notes are lines of their own that nothing wraps.
local NOTE_WIDTH = 64

--- Blanks and line breaks of a name count, so it is one text, cut where the line is full.
---@param lines string[][][]
---@param text string
---@param group string
local function add_name(lines, text, group)
  for _, part in ipairs(text_of.fold(text_of.plain(text), NOTE_WIDTH)) do
    lines[#lines + 1] = { { part, group } }
  end
end

--- More lines of warnings than this are counted: the hunks are what one came for.
local MAX_HEAD = 12

--- What stands at the head of the review: what is left out of the suggestion.
---@param warnings string[]
---@return string[][][] lines of chunks
function M.head(warnings)
  if #warnings == 0 then
    return {}
  end
  local lines = { { { "⚠ Not in this suggestion:", "SuggestionReviewNotApplied" } } }
  for _, warning in ipairs(warnings) do
    for line in vim.gsplit(warning:gsub("%s+$", ""), "\n", { plain = true }) do
      for _, part in ipairs(text_of.wrap(text_of.plain(line), NOTE_WIDTH - 2)) do
        lines[#lines + 1] = { { "  " .. part, "SuggestionReviewNotApplied" } }
      end
    end
  end
  if #lines > MAX_HEAD then
    local more = #lines - MAX_HEAD + 1
    lines = vim.list_slice(lines, 1, MAX_HEAD - 1)
    lines[#lines + 1] = { { ("  … and %d more lines"):format(more), "SuggestionReviewNotApplied" } }
  end
  return lines
end

--- What must not be overlooked.
---@param hunk SuggestionReview.Hunk
---@param session SuggestionReview.Session
---@return string[][][] lines of chunks
function M.marks(hunk, session)
  local lines = {}
  for _, mark in ipairs(marks.of(session.place, hunk)) do
    add_name(lines, "! " .. mark.text, "SuggestionReviewNotApplied")
  end
  return lines
end

--- Whether the lines of a hunk say all that there is beside its marks, as most do.
---@param hunk SuggestionReview.Hunk
---@param missing string|nil
---@return boolean
local function is_bare(hunk, missing)
  return not (missing or hunk.decision or hunk.earlier)
    and (not hunk.comments or #hunk.comments == 0)
    and diff.has_text(hunk)
    and (hunk.diff == "" or hunk.diff:sub(1, 3) == "@@ ")
end

--- All that is said of a hunk.
---@param hunk SuggestionReview.Hunk
---@param session SuggestionReview.Session
---@return string[][][] lines of chunks
function M.of(hunk, session)
  local missing = contents.missing(hunk)
  local lines = M.marks(hunk, session)
  if is_bare(hunk, missing) then
    return lines
  end
  local function note(text, group)
    for line in vim.gsplit(text:gsub("%s+$", ""), "\n", { plain = true }) do
      for _, words in ipairs(text_of.wrap(text_of.plain(line), NOTE_WIDTH)) do
        -- A word may be longer than the line: a path, a link's target.
        for _, part in ipairs(text_of.fold(words, NOTE_WIDTH)) do
          lines[#lines + 1] = { { part, group or "SuggestionReviewComment" } }
        end
      end
    end
  end
  local function arrived()
    session:text_arrived()
  end
  if not diff.has_text(hunk) or (hunk.diff ~= "" and hunk.diff:sub(1, 3) ~= "@@ ") then
    note(hunk.diff, "Normal")
    for _, line in ipairs(sides.lines(hunk)) do
      add_name(lines, line, "Normal")
    end
    for _, line in ipairs(submodule.log(session.place, hunk, arrived)) do
      note("  " .. line)
    end
    if hunk.atomic_reason then
      note("decided as a whole: " .. hunk.atomic_reason)
    end
  end
  if missing then
    note(("(%s; accepting shows it first)"):format(missing))
  end
  local own = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
  local compare = (own or hunk.earlier) and keys.key("compare")
  if own and compare then
    note(("  %s shows what you changed of the agent's text"):format(compare), "SuggestionReviewHint")
  end
  if hunk.earlier then
    note(
      ("↩ you rejected this in revision %d%s"):format(
        hunk.earlier.revision,
        hunk.earlier.comment and hunk.earlier.comment ~= "" and ": " .. hunk.earlier.comment or ""
      ),
      "SuggestionReviewNotApplied"
    )
    if compare and not own then
      note(("  %s shows what has changed since"):format(compare), "SuggestionReviewHint")
    end
  end
  if hunk.decision then
    if hunk.decision.by == "agent" then
      note("decided by the agent, not by you", "SuggestionReviewNotApplied")
    end
    if hunk.decision.carried_from then
      note(("kept from revision %d"):format(hunk.decision.carried_from))
    end
    if hunk.decision.comment and hunk.decision.comment ~= "" then
      note("» " .. hunk.decision.comment)
    end
  end
  for _, comment in ipairs(hunk.comments or {}) do
    if not hunk.decision or hunk.decision.comment ~= comment.text then
      note(("» %s%s"):format(comment.by == "agent" and "agent: " or "", comment.text))
    end
  end
  return lines
end

return M
