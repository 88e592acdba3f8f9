--- Sends one decision: the next hunk is on the screen at once, and the server's answer brings the decided one into
--- the file.
local current = require("suggestion-review.review.current")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local feedback = require("suggestion-review.decisions.requests")
local hunk_id = require("suggestion-review.text.hunk_id")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sessions = require("suggestion-review.review.session")
local standing = require("suggestion-review.review.standing")
local text_of = require("suggestion-review.text.display")
local turns = require("suggestion-review.decisions.turns")
local log = require("suggestion-review.say.log")
local conflict = require("suggestion-review.ui.conflict")
local keys = require("suggestion-review.ui.keys")

local M = {}

local STATE_AFTER = { accept = "accepted", reject = "rejected", modify = "modified" }

---@class SuggestionReview.SendOpts : SuggestionReview.DecideOpts
---@field resolution? fun() brings the outcome into the file instead of the usual way
---@field skip_apply? boolean the file is left as it is
---@field answered? fun(err?: SuggestionReview.Error) told instead of the developer
---@field stay? boolean a window of its own is open: the review goes on when the answer is there

--- Says what finishing the last hunk leads to.
---@param session SuggestionReview.Session
function M.tell_all_decided(session)
  local key = keys.key("complete")
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
    if part.state == state and hunk_id.is_part(part.id, hunk.id) and part.file == hunk.file then
      local text = digest.of(part) == part.digest and diff.text_of(part)
      if text and table.concat(text.old) == old and table.concat(text.new) == new then
        return part
      end
    end
  end
end

M.part_of = part_of

--- Goes on to the next undecided hunk where the current one is decided; the place is kept otherwise.
---@param session SuggestionReview.Session
function M.move_on(session)
  if current.get() ~= session then
    return
  end
  local following = session:is_decided(session:current_hunk()) and session:pending_from(session.index)
  if following then
    current.go(following)
  else
    current.draw({ keep_cursor = true, text = false })
  end
end

--- The server refused a decision, or could not be reached: it is shown as it was, at its place.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
local function back_to(session, hunk)
  session:count()
  if current.get() == session then
    session:point_at(hunk.id)
    current.draw({ keep_cursor = true })
  end
end

--- Brings what the server has taken into the file.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param state SuggestionReview.HunkState
---@param opts SuggestionReview.SendOpts
---@param data table the answer
---@param finish fun()
local function bring(session, hunk, state, opts, data, finish)
  if opts.resolution then
    opts.resolution()
    -- The server has it; that the file could not follow, as one that changed meanwhile, is to be seen at the hunk.
    standing.look(session, { digest.path(hunk) })
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
    session:follow_store()
    if current.get() == session then
      session:point_at(part.id)
      session:count()
      current.go(session:pending_from(session.index) or session.index, { text = true })
    end
  end
  outcome.bring(session, { want }, finish)
end

--- Sends one decision of the developer's.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param action SuggestionReview.Action
---@param opts SuggestionReview.SendOpts
function M.send(session, hunk, action, opts)
  local state = STATE_AFTER[action]
  local was_pending = hunk.state == "pending"
  if not opts.lines then
    session.sent[hunk.id] = state
  end
  session:count()
  local is_answered = false
  local function answer(err, data)
    is_answered = true
    session.sent[hunk.id] = nil
    if opts.answered then
      opts.answered(err)
    elseif err then
      notify.warn(err.message)
    end
    if err then
      return back_to(session, hunk)
    end
    bring(session, hunk, state, opts, data --[[@as table]], function()
      if
        was_pending
        and current.get() == session
        and not session:pending_from(1)
        and next(session.sent) == nil
      then
        M.tell_all_decided(session)
      end
      current.refresh_soon()
    end)
    if opts.stay then
      -- Later than the window closes in which the text was written.
      vim.schedule(function()
        M.move_on(session)
      end)
    end
  end
  -- Sent before anything is drawn: what goes wrong on the screen keeps no decision back.
  local turn = opts.turn or turns.take(session.id)
  local ok, message = xpcall(feedback.decide, debug.traceback, session.id, hunk, action, {
    comment = opts.comment,
    modified_diff = opts.modified_diff,
    lines = opts.lines,
    turn = turn,
  }, answer)
  if not ok then
    turn:give_up()
    log.error("sending a decision: %s", message)
    return answer({ code = "local", message = "Not sent: " .. text_of.first_line(message) })
  end
  if opts.stay then
    current.draw({ keep_cursor = true, text = false })
  else
    M.move_on(session)
  end
  if opts.lines then
    current.before_next_key(function()
      return is_answered
    end)
  end
end

--- Shows where the developer's own edits touch a hunk; what is chosen there is sent.
---@param session SuggestionReview.Session
---@param item SuggestionReview.PlanItem
---@param done? fun(reason?: string) called with what became of it, where a text waits for that
function M.settle_conflict(session, item, done)
  local where = text_of.plain(item.hunk.file)
  if current.get() ~= session then
    local reason = ("%s: your own edits are in the way; decide it in the review"):format(where)
    if done then
      return done(reason)
    end
    return notify.warn(reason)
  end
  conflict.open(session, item, {
    session = function()
      return current.same_as(session)
    end,
    send = function(action, opts)
      M.send(
        current.same_as(session),
        item.hunk,
        action,
        vim.tbl_extend("force", opts, {
          stay = done ~= nil or opts.answered ~= nil,
          answered = (done or opts.answered) and function(err)
            if opts.answered then
              opts.answered(err)
            end
            if done then
              done(err and err.message or nil)
            elseif err and not opts.answered then
              notify.warn(err.message)
            end
          end or nil,
        })
      )
    end,
    draw = function()
      local now = current.get()
      if now and now == current.same_as(session) and current.is_open() then
        current.go(now.index)
      end
    end,
    settled = function()
      if done then
        done()
      end
    end,
    left = function(reason)
      if done then
        done(("%s: %s"):format(where, reason))
      end
    end,
  })
end

return M
