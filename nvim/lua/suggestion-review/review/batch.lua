--- Decides many hunks as one decision: all that remain, those of a file, a selection, or as many as a count says. Hunks
--- that touch the developer's own edits are left to be decided one by one.
local apply = require("suggestion-review.apply")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local drafts = require("suggestion-review.review.drafts")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sending = require("suggestion-review.review.send")
local shown = require("suggestion-review.review.shown")
local text_of = require("suggestion-review.text.display")
local turns = require("suggestion-review.decisions.turns")
local log = require("suggestion-review.say.log")
local keys = require("suggestion-review.ui.keys")

local M = {}

local STATE_AFTER = { accept = "accepted", reject = "rejected" }
local CLOSED = "Not decided: the review was closed before the question"

---@class (exact) SuggestionReview.ReviewBatch
---@field action "accept"|"reject"
---@field file? string only hunks of this file
---@field comment? string
---@field targets? SuggestionReview.Target[] these, instead of what remains
---@field answered? fun(err?: SuggestionReview.Error) told instead of the developer
---@field turn SuggestionReview.Turn

---@class (exact) SuggestionReview.BatchWant : SuggestionReview.Want
---@field lines? SuggestionReview.LineRange

--- Shows wants as decided, or as they were, while the answer is awaited.
---@param session SuggestionReview.Session
---@param wants SuggestionReview.BatchWant[]
---@param decided boolean
local function mark(session, wants, decided)
  for _, want in ipairs(wants) do
    if not want.lines then
      session.sent[want.hunk.id] = decided and want.state or nil
    end
  end
  session:count()
end

--- Nothing was sent: it is shown as it was, and said.
---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param wants SuggestionReview.BatchWant[]
---@param message? string
local function withdraw(session, batch, wants, message)
  batch.turn:give_up()
  mark(session, wants, false)
  if current.get() == session then
    session:point_at(wants[1].hunk.id)
    current.draw({ keep_cursor = true })
  end
  if batch.answered then
    batch.answered({ code = "local", message = message or "Nothing was decided" })
  elseif message then
    notify.warn(message)
  end
end

--- What is to be brought into files: a part is the hunk that the server made of it.
---@param chosen SuggestionReview.BatchWant[]
---@param data table the answer
---@return SuggestionReview.Want[]
local function brought(chosen, data)
  local wants = {}
  for _, want in ipairs(chosen) do
    local hunk = want.hunk
    if want.lines then
      hunk = sending.part_of(hunk, data.hunks, want.lines, want.state)
    end
    if hunk then
      wants[#wants + 1] = { hunk = hunk, state = want.state }
    else
      notify.warn("The server did not answer with the lines you selected, so those were not applied")
    end
  end
  return wants
end

--- Says how it went.
---@param session SuggestionReview.Session
---@param chosen SuggestionReview.BatchWant[]
---@param left_out integer
---@param held integer
local function tell(session, chosen, left_out, held)
  if left_out > 0 then
    notify.warn(
      ("%s %s; %d touch your own edits and are left to you"):format(
        text_of.count(#chosen, "hunk"),
        chosen[1].state,
        left_out
      )
    )
  elseif held > 0 then
    notify.info(
      ("%s accepted; %s left for a second look"):format(
        text_of.count(#chosen, "hunk"),
        text_of.count(held, "hunk is", "hunks are")
      )
    )
  elseif not session:pending_from(1) then
    sending.tell_all_decided(session)
  end
end

--- Sends the batch and brings what was decided into the files.
---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param chosen SuggestionReview.BatchWant[]
---@param left_out SuggestionReview.BatchWant[] hunks that touch the developer's own edits
---@param held SuggestionReview.BatchWant[] hunks that are left for a second look
local function send(session, batch, chosen, left_out, held)
  if #chosen == 0 and #held > 0 then
    withdraw(session, batch, vim.list_extend(held, left_out))
    return notify.info("Nothing was accepted")
  elseif #chosen == 0 then
    return withdraw(
      session,
      batch,
      left_out,
      ("%s touch your own edits; press %s on each"):format(
        text_of.count(#left_out, "hunk"),
        keys.key("accept") or ":Suggest accept"
      )
    )
  end
  mark(session, left_out, false)
  mark(session, held, false)
  local request = { turn = batch.turn }
  if not batch.targets and #left_out + #held == 0 then
    request.scope = { action = batch.action, file = batch.file, comment = batch.comment }
  else
    request.decisions = vim.tbl_map(function(want)
      return { hunk = want.hunk, action = batch.action, comment = batch.comment, lines = want.lines }
    end, chosen)
  end
  local is_answered = false
  local ok, message = xpcall(feedback.batch, debug.traceback, session.id, request, function(err, data)
    is_answered = true
    if err then
      return withdraw(session, batch, chosen, err.message)
    end
    mark(session, chosen, false)
    if batch.answered then
      batch.answered()
    end
    if session:follow_store() and current.get() == session then
      current.draw({ keep_cursor = true })
    end
    outcome.bring(session, brought(chosen, data --[[@as table]]), function()
      if current.get() == session then
        session:count()
        sending.move_on(session)
        tell(session, chosen, #left_out, #held)
      end
    end)
  end)
  if not ok then
    log.error("sending decisions: %s", message)
    return withdraw(session, batch, chosen, "Not sent: " .. text_of.first_line(message))
  end
  if batch.targets then
    current.before_next_key(function()
      return is_answered
    end)
  end
end

--- Names what is marked among hunks that are to be accepted, and asks what is to become of it.
---@param session SuggestionReview.Session
---@param chosen SuggestionReview.BatchWant[]
---@return SuggestionReview.BatchWant[]|nil wants nil: nothing is to be accepted
---@return SuggestionReview.BatchWant[] held
---@return string|nil reason why nobody could be asked
local function without_marked(session, chosen)
  local marked = shown.marked(
    session,
    vim.tbl_map(function(want)
      return want.hunk
    end, chosen)
  )
  if #marked > 0 and current.get() ~= session then
    return nil, {}, CLOSED
  end
  local answer = #marked == 0 and "all" or consent.ask_marked(marked, #chosen)
  if answer ~= "rest" then
    return answer and chosen or nil, {}
  end
  local is_marked = {}
  for _, one in ipairs(marked) do
    is_marked[one.hunk.id] = true
  end
  local rest, held = {}, {}
  for _, want in ipairs(chosen) do
    table.insert(is_marked[want.hunk.id] and held or rest, want)
  end
  return rest, held
end

--- Sends what is to be accepted, once what is marked in it was asked about.
---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param chosen SuggestionReview.BatchWant[]
---@param left_out SuggestionReview.BatchWant[]
local function send_asked(session, batch, chosen, left_out)
  local all = vim.list_extend(vim.list_slice(chosen), left_out)
  local ok, asked, held, reason = xpcall(without_marked, debug.traceback, session, chosen)
  if not ok then
    withdraw(session, batch, all)
    error(asked, 0)
  elseif not asked then
    return withdraw(session, batch, all, reason)
  end
  send(session, batch, asked, left_out, held)
end

---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param wants SuggestionReview.BatchWant[]
---@param items SuggestionReview.PlanItem[]
---@param again fun() the same once more, after a question was answered
local function choose(session, batch, wants, items, again)
  local item_of = {}
  for _, item in ipairs(items) do
    item_of[item.hunk.id] = item
  end
  local chosen, refused, left_out = {}, {}, {}
  local first_refused
  for _, want in ipairs(wants) do
    local item = not want.lines and item_of[want.hunk.id]
    if item and item.status == "conflict" then
      left_out[#left_out + 1] = want
    elseif item and item.status == "refused" then
      refused[#refused + 1] = want
      first_refused = first_refused or item
    else
      chosen[#chosen + 1] = want
    end
  end
  if first_refused then
    if current.get() ~= session then
      return withdraw(session, batch, wants, CLOSED)
    end
    local take_refused
    if first_refused.code == "unknown_base" then
      local answer = consent.ask_unknown_base(session.place)
      if answer == "apply" then
        return again()
      elseif not answer then
        return withdraw(session, batch, wants)
      end
      take_refused = true
    else
      take_refused = consent.anyway(
        ("%s cannot be applied here (%s: %s)."):format(
          text_of.count(#refused, "hunk"),
          text_of.plain(first_refused.hunk.file),
          first_refused.reason
        ),
        "Accept them"
      )
    end
    vim.list_extend(take_refused and chosen or left_out, refused)
  end
  send_asked(session, batch, chosen, left_out)
end

---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param wants SuggestionReview.BatchWant[]
local function decide(session, batch, wants)
  mark(session, wants, true)
  sending.move_on(session)
  if batch.action == "reject" then
    return send(session, batch, wants, {}, {})
  end
  local whole = vim.tbl_filter(function(want)
    return not want.lines
  end, wants)
  if #whole == 0 then
    return send_asked(session, batch, wants, {})
  end
  local function plan()
    local ok, message = xpcall(apply.plan, debug.traceback, session.place, whole, function(_, items)
      choose(session, batch, wants, items, plan)
    end)
    if not ok then
      withdraw(session, batch, wants)
      error(message, 0)
    end
  end
  plan()
end

--- Decides what remains, of the suggestion or of a file.
---@param session SuggestionReview.Session
---@param batch table a SuggestionReview.ReviewBatch without its turn
local function decide_rest(session, batch)
  local wants = vim.tbl_map(function(hunk)
    return { hunk = hunk, state = STATE_AFTER[batch.action] }
  end, session:undecided(batch.file))
  if #wants == 0 then
    return notify.info("Nothing is left to decide here")
  end
  decide(session, vim.tbl_extend("error", batch, { turn = turns.take(session.id) }), wants)
end

--- Decides several hunks, or parts of them, as one decision.
---@param session SuggestionReview.Session
---@param targets SuggestionReview.Target[]
---@param action "accept"|"reject"
---@param comment? string
---@param answered? fun(err?: SuggestionReview.Error)
function M.decide_targets(session, targets, action, comment, answered)
  local state = STATE_AFTER[action]
  local wants, decided_parts = {}, 0
  for _, target in ipairs(targets) do
    local hunk = target.hunk
    if target.lines and session:is_decided(hunk) then
      decided_parts = decided_parts + 1
    elseif session:state_of(hunk) ~= state and not session.sent[hunk.id] then
      wants[#wants + 1] = { hunk = hunk, state = state, lines = target.lines }
    end
  end
  if decided_parts > 0 then
    notify.warn(
      ("%s selected in part %s decided already; take that back first to decide a part"):format(
        text_of.count(decided_parts, "hunk"),
        decided_parts == 1 and "is" or "are"
      )
    )
  end
  if #wants == 0 then
    notify.info(("All of it is %s already"):format(state))
    return answered and answered()
  end
  decide(session, {
    action = action,
    comment = comment,
    targets = targets,
    answered = answered,
    turn = turns.take(session.id),
  }, wants)
end

--- Accepts everything that is undecided, as one decision (one `u` takes it back).
function M.accept_all()
  local session = current.need_seen(true)
  if session then
    decide_rest(session, { action = "accept" })
  end
end

function M.accept_file()
  local session = current.need_seen(true)
  if session then
    current.look_at_cursor()
    decide_rest(session, { action = "accept", file = session:current_hunk().file })
  end
end

--- Rejects what is undecided after asking for a reason that may be left out.
---@param session SuggestionReview.Session
---@param file? string
local function reject(session, file)
  local left = #session:undecided(file)
  if left == 0 then
    return notify.info(file and "Nothing is left to decide in this file" or "Nothing is left to decide")
  end
  local what = file and ("%d of %s"):format(left, text_of.plain(file)) or left
  local draft = ("reject:%s:%s"):format(session.id, file or "")
  drafts.ask(draft, ("Reject the remaining %s because (optional): "):format(what), function(comment)
    local function answered(err)
      drafts.settle(draft, err)
    end
    if current.get() ~= session then
      return answered({ message = "Not rejected: the review was closed" })
    end
    decide_rest(session, {
      action = "reject",
      file = file,
      comment = comment ~= "" and comment or nil,
      answered = answered,
    })
  end)
end

--- Rejects everything that is undecided, as one decision.
function M.reject_all()
  local session = current.need_seen(true)
  if session then
    reject(session)
  end
end

function M.reject_file()
  local session = current.need_seen(true)
  if session then
    current.look_at_cursor()
    reject(session, session:current_hunk().file)
  end
end

return M
