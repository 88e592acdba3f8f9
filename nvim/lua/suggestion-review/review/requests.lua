--- What is asked of the server about a whole suggestion from outside its review: a revision, a rebase, a check.
local current = require("suggestion-review.review.current")
local drafts = require("suggestion-review.review.drafts")
local feedback = require("suggestion-review.decisions.requests")
local notify = require("suggestion-review.say.notify")
local store = require("suggestion-review.model.store")
local label = require("suggestion-review.watch.label")

local M = {}

--- The suggestion under review, else the only open one; where there is none or several, that is said.
---@return SuggestionReview.Suggestion?
local function suggestion_meant()
  local session = current.get()
  if session then
    return store.get(session.id)
  end
  local open = store.list()
  if #open == 1 then
    return open[1]
  end
  if #open == 0 then
    return label.say_nothing()
  end
  notify.warn("Several suggestions are open: open one with :Suggest review")
end

--- Sends the rejections to the agent and lets it work on them.
---@param comment? string
function M.revise(comment)
  local suggestion = suggestion_meant()
  if not suggestion then
    return
  end
  local draft = "revise:" .. suggestion.id
  drafts.keep(draft, comment or "")
  feedback.revise(suggestion.id, { comment = comment }, function(err, data)
    drafts.settle(draft, err)
    if not err then
      notify.info(data.message ~= "" and data.message or "The agent was asked to revise the suggestion")
    end
  end)
end

--- Has the suggestion made anew on the shared branch.
function M.rebase()
  local suggestion = suggestion_meant()
  if not suggestion then
    return
  end
  feedback.rebase(suggestion.id, function(err)
    if err then
      notify.error(err.message)
    end
  end)
end

--- Has the server's check run on what is accepted.
function M.verify()
  local suggestion = suggestion_meant()
  if not suggestion then
    return
  end
  feedback.verify(suggestion.id, function(err, data)
    if err then
      return notify.error(err.message)
    end
    notify.info(data.ok and "The check passed" or "The check failed:\n" .. data.output)
  end)
end

return M
