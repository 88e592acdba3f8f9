--- The end of a review: finalize or discard it, or send the agent to work on the rejections.
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local drafts = require("suggestion-review.review.drafts")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local text_of = require("suggestion-review.text.display")
local follow = require("suggestion-review.review.follow")
local history = require("suggestion-review.review.history")
local standing = require("suggestion-review.review.standing")
local keys = require("suggestion-review.ui.keys")
local modify = require("suggestion-review.ui.modify")

local M = {}

---@param session SuggestionReview.Session
local function close(session)
  if current.get() == session then
    current.close()
  end
end

---@param session SuggestionReview.Session
---@param description string|nil
---@param done? fun(reason?: string) told instead of the developer
local function finalize(session, description, done)
  notify.info("Finalizing …")
  feedback.complete(session.id, "finalize", { description = description }, function(err)
    if err then
      local files = err.details and err.details.files
      local reason = err.message .. (files and (" (%s)"):format(table.concat(files, ", ")) or "")
      if done then
        return done(reason)
      end
      return notify.error(reason)
    end
    if done then
      done()
    end
    close(session)
  end)
end

--- Finalizes: one commit of what is accepted. Asks once.
function M.complete()
  local session = current.need()
  if not session then
    return
  end
  local description = session:suggestion().description
  local left = #session:undecided()
  local counts = { accepted = 0, modified = 0, rejected = 0 }
  for _, hunk in ipairs(session.hunks) do
    local state = session:state_of(hunk)
    if counts[state] then
      counts[state] = counts[state] + 1
    end
  end
  if counts.accepted + counts.modified == 0 then
    return notify.warn("Nothing is accepted, so there is nothing to finalize; discard drops the suggestion")
  end
  standing.before_finalize(session, function(lines, first)
    if current.get() ~= session then
      return
    elseif #lines == 0 then
      return M._ask(session, description, counts, left)
    end
    vim.schedule(function()
      local answer = consent.not_as_decided(lines, first ~= nil)
      if answer == "go" then
        M._ask(session, description, counts, left)
      elseif answer == "show" and first then
        session:point_at(first.id)
        current.go(session.index)
      end
    end)
  end)
end

--- The question that finalizes.
---@param session SuggestionReview.Session
---@param description string
---@param counts { accepted: integer, modified: integer, rejected: integer }
---@param left integer
function M._ask(session, description, counts, left)
  local message = ("Finalize “%s”?\n%s accepted%s%s%s."):format(
    text_of.first_line(description),
    text_of.count(counts.accepted, "hunk"),
    counts.modified > 0 and (", %d modified"):format(counts.modified) or "",
    counts.rejected > 0 and (", %d rejected"):format(counts.rejected) or "",
    left > 0 and (", %d undecided stay with the agent"):format(left) or ""
  )
  local warnings = session:warnings()
  if #warnings > 0 then
    message = ("%s\nNot in this suggestion:\n%s"):format(message, text_of.lines_of(warnings, 8))
  end
  local answer = vim.fn.confirm(message, "&Finalize\n&Edit message\n&Cancel", 1, "Question")
  if answer == 1 then
    finalize(session, nil)
  elseif answer == 2 then
    local key = "message:" .. session.id
    modify.open_message(key, description, function(edited, done)
      finalize(session, edited, done)
    end)
  end
end

--- Keys that confirm a discard, the first that is no key of the review: whoever types on after <Esc> confirms nothing.
local CONFIRMS = { "!", "=", "+", "~", "%" }

---@return string
local function confirming_key()
  local taken = {}
  for _, name in ipairs(keys.names()) do
    local lhs = keys.key(name)
    if lhs then
      taken[lhs:sub(1, 1)] = true
    end
  end
  for _, key in ipairs(CONFIRMS) do
    if not taken[key] then
      return key
    end
  end
  return CONFIRMS[1]
end

--- Gives up what is undecided. Asks once, under a key of its own; what is accepted stays, and undo takes it back.
function M.discard()
  local session = current.need()
  if not session then
    return
  end
  local left = #session:undecided()
  local message = ("Discard “%s”?\n%s given up; what you accepted stays in your files."):format(
    text_of.first_line(session:suggestion().description),
    left == 1 and "1 undecided hunk is" or ("%d undecided hunks are"):format(left)
  )
  local choices = ("&Keep reviewing\n&%sDiscard"):format(confirming_key())
  if vim.fn.confirm(message, choices, 1, "Warning") ~= 2 then
    return
  end
  feedback.complete(session.id, "discard", nil, function(err)
    if err then
      return notify.warn(err.message)
    end
    history.note_discard(session.id)
    if current.get() == session then
      current.close()
      notify.info(follow.ENDED.discarded)
    end
  end)
end

--- Sends the rejections to the agent and lets it work on them.
function M.revise()
  local session = current.need()
  if not session then
    return
  end
  local draft = "revise:" .. session.id
  drafts.ask(draft, "What should the agent do about the rejections? (optional): ", function(text)
    feedback.revise(session.id, { comment = text ~= "" and text or nil }, function(err, data)
      drafts.settle(draft, err)
      if not err then
        notify.info(data and data.message or "The agent was asked for a revision")
      end
    end)
  end)
end

return M
