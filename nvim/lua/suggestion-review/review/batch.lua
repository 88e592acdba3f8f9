--- Decides many hunks as one decision: all that remain, or those of a file. Hunks that touch the developer's own edits
--- are left to be decided one by one.
local apply = require("suggestion-review.apply")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sending = require("suggestion-review.review.send")
local shown = require("suggestion-review.review.shown")
local text_of = require("suggestion-review.text.display")

local M = {}

---@class (exact) SuggestionReview.ReviewBatch
---@field action "accept"|"reject"
---@field file? string only hunks of this file
---@field comment? string

--- Sends the batch and brings what was decided into the files.
---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
---@param chosen SuggestionReview.Want[]
---@param left_out integer hunks that touch the developer's own edits
---@param held integer hunks that are left for a second look
local function send(session, batch, chosen, left_out, held)
  if #chosen == 0 and held > 0 then
    return notify.info("Nothing was accepted")
  elseif #chosen == 0 then
    return notify.warn(
      ("%s touch your own edits; press %s on each"):format(
        text_of.count(left_out, "hunk"),
        require("suggestion-review.ui.keys").key("accept") or ":Suggest accept"
      )
    )
  end
  local request
  if left_out + held == 0 then
    request = { scope = batch }
  else
    request = {
      decisions = vim.tbl_map(function(want)
        return { hunk = want.hunk, action = batch.action, comment = batch.comment }
      end, chosen),
    }
  end
  feedback.batch(session.id, request, function(err)
    if err then
      return notify.warn(err.message)
    end
    outcome.bring(session, chosen, function()
      if current.get() ~= session then
        return
      end
      session:count()
      local following = session:pending_from(session.index)
      current.go(following or session.index)
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
      elseif not following then
        sending.tell_all_decided(session)
      end
    end)
  end)
end

--- Names what is marked among hunks that are to be accepted, and asks what is to become of it.
---@param session SuggestionReview.Session
---@param chosen SuggestionReview.Want[]
---@return SuggestionReview.Want[]|nil wants nil: nothing is to be accepted
---@return integer held
local function without_marked(session, chosen)
  local marked = shown.marked(
    session,
    vim.tbl_map(function(want)
      return want.hunk
    end, chosen)
  )
  local answer = #marked == 0 and "all" or consent.ask_marked(marked, #chosen)
  if answer ~= "rest" then
    return answer and chosen or nil, 0
  end
  local is_marked = {}
  for _, one in ipairs(marked) do
    is_marked[one.hunk.id] = true
  end
  return vim.tbl_filter(function(want)
    return not is_marked[want.hunk.id]
  end, chosen), #marked
end

---@param session SuggestionReview.Session
---@param batch SuggestionReview.ReviewBatch
local function decide(session, batch)
  local state = batch.action == "accept" and "accepted" or "rejected"
  local wants = vim.tbl_map(function(hunk)
    return { hunk = hunk, state = state }
  end, session:undecided(batch.file))
  if #wants == 0 then
    return notify.info("Nothing is left to decide here")
  elseif batch.action == "reject" then
    return send(session, batch, wants, 0, 0)
  end
  apply.plan(session.place, wants, function(_, items)
    if current.get() ~= session then
      return
    end
    local chosen, refused, conflicts = {}, {}, 0
    for _, item in ipairs(items) do
      if item.status == "conflict" then
        conflicts = conflicts + 1
      elseif item.status == "refused" then
        refused[#refused + 1] = item
      else
        chosen[#chosen + 1] = item.want
      end
    end
    local take_refused = false
    if refused[1] and refused[1].code == "unknown_base" then
      local answer = consent.ask_unknown_base(session.place)
      if answer == "apply" then
        return decide(session, batch)
      elseif not answer then
        return
      end
      take_refused = true
    elseif refused[1] then
      local reason = ("%s cannot be applied here (%s: %s)."):format(
        text_of.count(#refused, "hunk"),
        text_of.plain(refused[1].hunk.file),
        refused[1].reason
      )
      take_refused = consent.anyway(reason, "Accept them")
    end
    if take_refused then
      for _, item in ipairs(refused) do
        chosen[#chosen + 1] = item.want
      end
    else
      conflicts = conflicts + #refused
    end
    local asked, held = without_marked(session, chosen)
    if asked then
      send(session, batch, asked, conflicts, held)
    end
  end)
end

--- Accepts everything that is undecided, as one decision (one `u` takes it back).
function M.accept_all()
  local session = current.need_seen(true)
  if session then
    decide(session, { action = "accept" })
  end
end

function M.accept_file()
  local session = current.need_seen(true)
  if session then
    decide(session, { action = "accept", file = session:current_hunk().file })
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
  vim.ui.input({ prompt = ("Reject the remaining %s because (optional): "):format(what) }, function(comment)
    if comment and current.get() == session then
      decide(session, { action = "reject", file = file, comment = comment ~= "" and comment or nil })
    end
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
    reject(session, session:current_hunk().file)
  end
end

return M
