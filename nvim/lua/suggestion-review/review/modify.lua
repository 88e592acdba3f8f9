--- The developer's own version of a hunk: edited in a buffer, and sent as a modification when that is written.
local apply = require("suggestion-review.apply")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local diff = require("suggestion-review.text.diff")
local notify = require("suggestion-review.say.notify")
local sending = require("suggestion-review.review.send")
local target = require("suggestion-review.review.target")

local M = {}

--- Opens the hunk in a buffer of its own; writing it sends the modification.
function M.modify()
  local hunk = target.of()
  if not hunk then
    return
  end
  local text = diff.text_of(hunk)
  if not text or not diff.has_text(hunk) then
    return notify.warn(("This %s change has no text to edit; accept or reject it"):format(hunk.kind))
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  require("suggestion-review.ui.modify").open(hunk, text, function(edited)
    if current.get() ~= session then
      return false, "the review was closed"
    end
    local proposed = {}
    vim.list_extend(proposed, text.before)
    vim.list_extend(proposed, text.new)
    vim.list_extend(proposed, text.after)
    edited = diff.within_context(text, edited)
    if vim.deep_equal(edited, proposed) then
      sending.send(session, hunk, "accept", {})
      return true
    end
    local removed = diff.context_removed(text, edited)
    if removed > 0 and not consent.removes_context(removed) then
      return false, "not sent"
    end
    local modified = diff.format_modification(hunk, text, edited)
    if not modified then
      return false, "this is the text as it was before; reject the hunk to keep that"
    end
    local want = { hunk = hunk, state = "modified", modified_diff = modified }
    apply.plan(session.place, { want }, function(_, items)
      local item = items[1]
      if item.status == "conflict" then
        sending.settle_conflict(session, item)
      elseif item.status ~= "refused" then
        sending.send(session, hunk, "modify", { modified_diff = modified })
      elseif consent.anyway(item.reason, "Send your version") then
        sending.send(session, hunk, "modify", { modified_diff = modified, skip_apply = true })
      end
    end)
    return true
  end)
end

return M
