--- Sends one decision: the next hunk is on the screen at once, and the server's answer brings the decided one into
--- the file.
local current = require("suggestion-review.review.current")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sessions = require("suggestion-review.review.session")
local store = require("suggestion-review.model.store")

local M = {}

local STATE_AFTER = { accept = "accepted", reject = "rejected", modify = "modified" }

---@class SuggestionReview.SendOpts : SuggestionReview.DecideOpts
---@field resolution? fun() brings the outcome into the file instead of the usual way
---@field skip_apply? boolean the file is left as it is

--- Says what finishing the last hunk leads to.
---@param session SuggestionReview.Session
function M.tell_all_decided(session)
  local key = require("suggestion-review.ui.keys").key("complete")
  local total = #session.hunks
  local what = total == 1 and "The one hunk is decided" or ("All %d hunks are decided"):format(total)
  notify.info(what .. (key and ("; %s finalizes"):format(key) or ""))
end

--- The part of `hunk` that the server made of the selected lines, if it is exactly those.
---@param hunk SuggestionReview.Hunk
---@param hunks SuggestionReview.Hunk[]|nil
---@param lines SuggestionReview.LineRange
---@param state SuggestionReview.HunkState
---@return SuggestionReview.Hunk|nil
local function part_of(hunk, hunks, lines, state)
  local whole = diff.text_of(hunk)
  if not whole then
    return
  end
  local old = table.concat(whole.old, "", lines.old[1] + 1, lines.old[1] + lines.old[2])
  local new = table.concat(whole.new, "", lines.new[1] + 1, lines.new[1] + lines.new[2])
  for _, part in ipairs(hunks or {}) do
    if part.state == state and vim.startswith(part.id, hunk.id .. ".") and part.file == hunk.file then
      local text = digest.of(part) == part.digest and diff.text_of(part)
      if text and table.concat(text.old) == old and table.concat(text.new) == new then
        return part
      end
    end
  end
end

--- Sends one decision of the developer's.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param action SuggestionReview.Action
---@param opts SuggestionReview.SendOpts
function M.send(session, hunk, action, opts)
  local state = STATE_AFTER[action]
  local was_pending = hunk.state == "pending"
  local function on_screen()
    return current.get() == session
  end
  if not opts.lines then
    session.sent[hunk.id] = state
  end
  session:count()
  if on_screen() then
    local following = session:pending_from(session.index)
    if following and not opts.lines then
      current.go(following)
    else
      current.style().refresh({ keep_cursor = true, text = false })
    end
  end
  feedback.decide(session.id, hunk, action, {
    comment = opts.comment,
    modified_diff = opts.modified_diff,
    lines = opts.lines,
  }, function(err, data)
    session.sent[hunk.id] = nil
    if err then
      notify.warn(err.message)
      if on_screen() then
        session:point_at(hunk.id)
        session:count()
        current.style().refresh({ keep_cursor = true })
      end
      return
    end
    local function finish()
      if was_pending and on_screen() and not session:pending_from(1) and next(session.sent) == nil then
        M.tell_all_decided(session)
      end
      current.refresh_soon()
    end
    if opts.resolution then
      opts.resolution()
      return finish()
    elseif opts.skip_apply then
      session.outcomes[hunk.id] = sessions.KEPT_OUT.refused
      return finish()
    end
    local want = { hunk = hunk, state = state, modified_diff = opts.modified_diff }
    if opts.lines then
      local part = part_of(hunk, data.hunks, opts.lines, state)
      if not part then
        notify.warn("The server did not answer with the lines you selected, so nothing was applied")
        return finish()
      end
      want = { hunk = part, state = state }
      local suggestion = store.get(session.id)
      if suggestion and suggestion.hunks then
        session:take_parts(suggestion)
      end
      if on_screen() then
        session:point_at(part.id)
        session:count()
        current.go(session:pending_from(session.index) or session.index, { text = true })
      end
    end
    outcome.bring(session, { want }, finish)
  end)
end

--- Shows where the developer's own edits touch a hunk; what is chosen there is sent.
---@param session SuggestionReview.Session
---@param item SuggestionReview.PlanItem
function M.settle_conflict(session, item)
  require("suggestion-review.ui.conflict").open(session, item, {
    send = function(action, opts)
      M.send(session, item.hunk, action, opts)
    end,
  })
end

return M
