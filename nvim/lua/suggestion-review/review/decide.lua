--- Decisions on one hunk: accept, reject, a comment, and a second try where the developer's edits were in the way.
local apply = require("suggestion-review.apply")
local batch = require("suggestion-review.review.batch")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local digest = require("suggestion-review.text.digest")
local drafts = require("suggestion-review.review.drafts")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sending = require("suggestion-review.review.send")
local sessions = require("suggestion-review.review.session")
local shown = require("suggestion-review.review.shown")
local standing = require("suggestion-review.review.standing")
local target = require("suggestion-review.review.target")
local text_of = require("suggestion-review.text.display")
local turns = require("suggestion-review.decisions.turns")
local verify = require("suggestion-review.adopt.verify")
local decisions = require("suggestion-review.decisions.record")
local feedback = require("suggestion-review.decisions.requests")

local M = {}

---@param item SuggestionReview.PlanItem
---@return string
local function refusal(item)
  return ("%s: %s"):format(text_of.plain(item.hunk.file), item.reason)
end

local accept_one

--- Accepts one hunk, or a part of it: shown whole before, and agreed to where it is marked.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param lines SuggestionReview.LineRange|nil
function accept_one(session, hunk, lines)
  if not lines and session:state_of(hunk) == "accepted" and not session.outcomes[hunk.id] then
    return current.go(session:pending_from(session.index) or session.index)
  elseif not lines and session.sent[hunk.id] then
    return
  elseif
    shown.holds(session, hunk, function()
      -- Of the same content, and by now perhaps another table, or of another place.
      accept_one(session, session:current_hunk(), lines)
    end)
  then
    return
  elseif lines then
    return sending.send(session, hunk, "accept", { lines = lines })
  end
  local turn = turns.take(session.id)
  local planned = false
  -- Decided for the keys that follow, although it is to be seen yet whether its file can follow.
  session.sent[hunk.id] = "accepted"
  local function take_back()
    session.sent[hunk.id] = nil
    turn:give_up()
    session:count()
    if current.get() == session then
      session:point_at(hunk.id)
      current.draw({ keep_cursor = true, text = false })
    end
  end
  local function ask(question)
    take_back()
    vim.schedule(function()
      if current.get() == session then
        question()
      else
        notify.warn(
          ("%s: left undecided, since the review was closed before it could be asked about"):format(
            text_of.plain(hunk.file)
          )
        )
      end
    end)
  end
  local function plan_is_there(_, items)
    planned = true
    local item = items[1]
    if item.status == "conflict" then
      take_back()
      sending.settle_conflict(session, item)
    elseif item.code == "unknown_base" then
      ask(function()
        local answer = consent.ask_unknown_base(session.place)
        if answer == "apply" then
          accept_one(session, hunk, nil)
        elseif answer == "skip" then
          sending.send(session, hunk, "accept", { skip_apply = true })
        end
      end)
    elseif item.status == "refused" then
      ask(function()
        if consent.anyway(refusal(item), "Accept") then
          sending.send(session, hunk, "accept", { skip_apply = true })
        end
      end)
    else
      sending.send(session, hunk, "accept", { turn = turn })
    end
  end
  local ok, message =
    xpcall(apply.plan, debug.traceback, session.place, { { hunk = hunk, state = "accepted" } }, plan_is_there)
  if not ok then
    take_back()
    error(message, 0)
  elseif not planned then
    session:count()
    sending.move_on(session)
  end
end

--- Accepts the current hunk (or the selected lines, or as many hunks as a count says): into the file at once.
---@param opts? { selection?: boolean, count?: integer, again?: boolean }
function M.accept(opts)
  local targets = target.list(opts)
  local session = current.get() --[[@as SuggestionReview.Session]]
  if #targets > 1 then
    batch.decide_targets(session, targets, "accept")
  elseif targets[1] then
    accept_one(session, targets[1].hunk, targets[1].lines)
  end
end

--- Rejects the current hunk (or the selected lines, or several), after asking for a reason that may be left out.
---@param opts? { selection?: boolean, count?: integer, again?: boolean, comment?: string }
function M.reject(opts)
  local targets = target.list(opts)
  if #targets == 0 then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  local hunk, lines = targets[1].hunk, targets[1].lines
  local draft = "reject:" .. hunk.id
  local function with(comment)
    local function answered(err)
      drafts.settle(draft, err)
    end
    if current.get() ~= session then
      return answered({ message = "Not rejected: the review was closed" })
    elseif session.sent[hunk.id] then
      return answered({ message = "Not rejected: a decision on this hunk is on its way" })
    end
    session.last_comment = comment
    local reason = comment ~= "" and comment or nil
    if #targets > 1 then
      return batch.decide_targets(session, targets, "reject", reason, answered)
    end
    sending.send(session, hunk, "reject", { comment = reason, lines = lines, answered = answered })
  end
  if opts and opts.comment then
    drafts.keep(draft, opts.comment)
    return with(opts.comment)
  elseif opts and opts.again and session.last_comment then
    return with(session.last_comment)
  end
  local what = #targets > 1 and text_of.count(#targets, "hunk") .. " " or (lines and "these lines " or "")
  drafts.ask(draft, ("Reject %sbecause (optional): "):format(what), with)
end

--- Adds a comment to the current hunk, deciding nothing.
function M.comment()
  local hunk = target.of()
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  local draft = "comment:" .. hunk.id
  drafts.ask(draft, "Comment: ", function(text)
    if vim.trim(text) == "" then
      return
    end
    feedback.comment(session.id, hunk, text, function(err)
      drafts.settle(draft, err)
      if not err and current.get() == session then
        current.draw({ keep_cursor = true })
      end
    end)
  end)
end

--- What this developer decided on a hunk, under whichever number: as a part of another, or in an earlier revision.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.Own|nil
local function decided_here(session, hunk)
  local here = decisions.by_hunk(session.id)
  for _, own in ipairs(verify.resolve(session.hunks, here, session:suggestion().base_commit)) do
    if own.hunk.id == hunk.id and own.record then
      return own
    end
  end
end

--- Tries again to bring an accepted hunk into the file; where edits are in the way, shows both.
function M.resolve()
  local hunk = target.of()
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  if session.place.in_place then
    return notify.info("The agent works in this very checkout; there is nothing to apply")
  end
  local state = session:state_of(hunk)
  local own = decided_here(session, hunk)
  if state ~= "pending" and not (own and own.state == state) then
    return notify.warn("This hunk was not decided in your Neovim; decide it here first")
  end
  local want = {
    hunk = hunk,
    state = state == "pending" and "accepted" or state,
    modified_diff = own and own.modified_diff,
  }
  apply.plan(session.place, { want }, function(plans, items)
    local item = items[1]
    if item.status == "conflict" then
      sending.settle_conflict(session, item)
    elseif item.status == "refused" then
      notify.warn(refusal(item))
    elseif state == "pending" then
      notify.info("Nothing is in the way; accept it")
    else
      outcome.run(plans)
      session.outcomes[hunk.id] = sessions.KEPT_OUT[item.status]
      standing.look(session, { digest.path(hunk) }, function()
        local left = item.status == "already" and session.outcomes[hunk.id]
        if left then
          -- As where it came in as a part of a hunk whose text the developer edited.
          notify.info(("%s: %s; it cannot be taken apart here"):format(text_of.plain(hunk.file), left))
        end
        current.refresh_soon()
      end)
    end
  end)
end

return M
