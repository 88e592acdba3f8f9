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

--- Asks for something to be done with the suggestion that is meant; a refusal is said.
---@param request fun(id: string, callback: SuggestionReview.Callback)
---@param said? fun(data: table): string? what to say of the answer
local function ask(request, said)
  local suggestion = suggestion_meant()
  if not suggestion then
    return
  end
  request(suggestion.id, function(err, data)
    if err then
      return notify.error(err.message)
    end
    local text = said and said(data)
    if text then
      notify.info(text)
    end
  end)
end

--- Has a use case done that has no function of its own here.
---@param name string as the protocol calls it
---@param fields table of its request, besides the suggestion
---@param said? fun(data: table): string? what to say of the answer
function M.ask_for(name, fields, said)
  ask(function(id, callback)
    feedback.ask_for(name, id, fields, callback)
  end, said)
end

--- Has the suggestion made anew on the shared branch.
function M.rebase()
  ask(feedback.rebase)
end

--- Has the server's check run on what is accepted.
function M.verify()
  ask(feedback.verify, function(data)
    return data.ok and "The check passed" or "The check failed:\n" .. data.output
  end)
end

return M
