--- The end of a review: finalize or discard it, or send the agent to work on the rejections.
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local text_of = require("suggestion-review.text.display")

local M = {}

---@param session SuggestionReview.Session
local function close(session)
  if current.get() == session then
    current.close()
  end
end

---@param session SuggestionReview.Session
---@param description string|nil
local function finalize(session, description)
  notify.info("Finalizing …")
  feedback.complete(session.id, "finalize", { description = description }, function(err)
    if err then
      local files = err.details and err.details.files
      return notify.error(err.message .. (files and (" (%s)"):format(table.concat(files, ", ")) or ""))
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
  local accepted = 0
  for _, hunk in ipairs(session.hunks) do
    local state = session:state_of(hunk)
    if state == "accepted" or state == "modified" then
      accepted = accepted + 1
    end
  end
  if accepted == 0 then
    return notify.warn("Nothing is accepted, so there is nothing to finalize; discard drops the suggestion")
  end
  require("suggestion-review.review.standing").before_finalize(session, function(lines, first)
    if current.get() ~= session then
      return
    elseif #lines == 0 then
      return M._ask(session, description, accepted, left)
    end
    vim.schedule(function()
      local answer = consent.not_as_decided(lines, first ~= nil)
      if answer == "go" then
        M._ask(session, description, accepted, left)
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
---@param accepted integer
---@param left integer
function M._ask(session, description, accepted, left)
  local message = ("Finalize “%s”?\n%s accepted%s."):format(
    text_of.first_line(description),
    text_of.count(accepted, "hunk"),
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
    require("suggestion-review.ui.modify").open_message(description, function(edited)
      finalize(session, edited)
    end)
  end
end

--- Gives up what is undecided. Asks once; what is accepted stays.
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
  if vim.fn.confirm(message, "&Discard\n&Keep reviewing", 2, "Warning") ~= 1 then
    return
  end
  feedback.complete(session.id, "discard", nil, function(err)
    if err then
      return notify.warn(err.message)
    end
    close(session)
  end)
end

--- Sends the rejections to the agent and lets it work on them.
function M.revise()
  local session = current.need()
  if not session then
    return
  end
  vim.ui.input({ prompt = "What should the agent do about the rejections? (optional): " }, function(text)
    if not text then
      return
    end
    feedback.revise(session.id, { comment = text ~= "" and text or nil }, function(err, data)
      if err then
        return notify.warn(err.message)
      end
      notify.info(data and data.message or "The agent was asked for a revision")
    end)
  end)
end

return M
