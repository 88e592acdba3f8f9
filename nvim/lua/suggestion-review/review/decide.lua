--- Decisions on one hunk: accept, reject, a comment, and a second try where the developer's edits were in the way.
local apply = require("suggestion-review.apply")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sending = require("suggestion-review.review.send")
local sessions = require("suggestion-review.review.session")
local shown = require("suggestion-review.review.shown")
local target = require("suggestion-review.review.target")
local text_of = require("suggestion-review.text.display")

local M = {}

---@param item SuggestionReview.PlanItem
---@return string
local function refusal(item)
  return ("%s: %s"):format(text_of.plain(item.hunk.file), item.reason)
end

--- Accepts the current hunk (or the selected lines of it): into the file at once.
---@param opts? { selection?: boolean, again?: boolean }
function M.accept(opts)
  local hunk, lines = target.of(opts)
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  if session:state_of(hunk) == "accepted" and not session.outcomes[hunk.id] then
    current.go(session:pending_from(session.index) or session.index)
    return
  elseif session.sent[hunk.id] then
    return
  elseif shown.holds(session, hunk, function()
    M.accept()
  end) then
    return
  end
  if lines then
    return sending.send(session, hunk, "accept", { lines = lines })
  end
  local index = session.index
  local planned, later = false, false
  apply.plan(session.place, { { hunk = hunk, state = "accepted" } }, function(_, items)
    planned = true
    if current.get() ~= session then
      return
    end
    local item = items[1]
    if item.status == "conflict" then
      if later then
        current.go(index)
      end
      sending.settle_conflict(session, item)
    elseif item.code == "unknown_base" then
      vim.schedule(function()
        local answer = current.get() == session and consent.ask_unknown_base(session.place)
        if answer == "apply" then
          current.go(index)
          M.accept()
        elseif answer == "skip" then
          sending.send(session, hunk, "accept", { skip_apply = true })
        end
      end)
    elseif item.status == "refused" then
      vim.schedule(function()
        if current.get() == session and consent.anyway(refusal(item), "Accept") then
          sending.send(session, hunk, "accept", { skip_apply = true })
        end
      end)
    else
      sending.send(session, hunk, "accept", {})
    end
  end)
  later = not planned
end

--- Rejects the current hunk, after asking for a reason that may be left out.
---@param opts? { selection?: boolean, again?: boolean, comment?: string }
function M.reject(opts)
  local hunk, lines = target.of(opts)
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  local function with(comment)
    if current.get() ~= session or session.sent[hunk.id] then
      return
    end
    session.last_comment = comment
    sending.send(session, hunk, "reject", { comment = comment ~= "" and comment or nil, lines = lines })
  end
  if opts and opts.comment then
    return with(opts.comment)
  elseif opts and opts.again and session.last_comment then
    return with(session.last_comment)
  end
  vim.ui.input(
    { prompt = lines and "Reject these lines because (optional): " or "Reject because (optional): " },
    function(comment)
      if comment then
        with(comment)
      end
    end
  )
end

--- Adds a comment to the current hunk, deciding nothing.
function M.comment()
  local hunk = target.of()
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  vim.ui.input({ prompt = "Comment: " }, function(text)
    if not text or vim.trim(text) == "" then
      return
    end
    require("suggestion-review.decisions.requests").comment(session.id, hunk, text, function(err)
      if err then
        return notify.warn(err.message)
      end
      if current.get() == session then
        current.style().refresh({ keep_cursor = true })
      end
    end)
  end)
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
  local record = require("suggestion-review.model.store").decided_here(session.id)[hunk.id]
  if state ~= "pending" and not record then
    return notify.warn("This hunk was not decided in your Neovim; decide it here first")
  end
  local want = {
    hunk = hunk,
    state = state == "pending" and "accepted" or state,
    modified_diff = record and record.modified_diff,
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
      current.refresh_soon()
    end
  end)
end

return M
