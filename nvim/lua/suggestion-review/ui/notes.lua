--- What stands above a hunk besides its lines: prose for changes without text, the earlier rejection, who decided, and
--- the comments.
local text_of = require("suggestion-review.text.display")

local M = {}

--- What fits beside the numbers on a screen of 80 columns: notes are lines of their own that nothing wraps.
local NOTE_WIDTH = 64

---@param hunk SuggestionReview.Hunk
---@return string[][][] lines of chunks
function M.of(hunk)
  local lines = {}
  local function note(text, group)
    for line in vim.gsplit(text:gsub("%s+$", ""), "\n", { plain = true }) do
      for _, part in ipairs(text_of.wrap(text_of.plain(line), NOTE_WIDTH)) do
        lines[#lines + 1] = { { part, group or "SuggestionReviewComment" } }
      end
    end
  end
  if
    not require("suggestion-review.text.diff").has_text(hunk)
    or (hunk.diff ~= "" and hunk.diff:sub(1, 3) ~= "@@ ")
  then
    note(hunk.diff_omitted and "(too large to be shown)" or hunk.diff, "Normal")
    if hunk.atomic_reason then
      note("decided as a whole: " .. hunk.atomic_reason)
    end
  elseif hunk.diff_omitted then
    note("(too large to be shown)")
  end
  local compare = require("suggestion-review.ui.keys").key("compare")
  local own = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
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
