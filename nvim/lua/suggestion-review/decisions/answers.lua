--- Answering what the agent waits for: permissions and questions. What is answered is what was shown, by its id; who is
--- not the first to answer is told so.
local activity = require("suggestion-review.model.activity")
local activity_lines = require("suggestion-review.text.activity_lines")
local choose_from = require("suggestion-review.say.choose_from")
local client = require("suggestion-review.connection.client")
local config = require("suggestion-review.config")
local notify = require("suggestion-review.say.notify")
local plain = require("suggestion-review.text.display").plain

local M = {}

---@class SuggestionReview.PermissionOpts
---@field id? string the permission; the only one, or the one that is chosen
---@field reply? "once"|"always"|"edit"|"reject"
---@field message? string with "reject": what the agent is told
---@field arguments? table<string, any> with "edit": what stands in these fields instead; without them it is edited here

---@class SuggestionReview.QuestionOpts
---@field id? string
---@field answers? string[][] for each question the labels of what is chosen, or words of one's own

---@class SuggestionReview.ApprovalView
---@field show fun(ask: SuggestionReview.WaitingAsk) shows what is asked for, with a key for each answer
---@field edit fun(ask: SuggestionReview.WaitingAsk) lets the developer write what is to run instead

---@alias SuggestionReview.WaitingAsk { server: string, entry: SuggestionReview.Ask }

local NOTHING = {
  ["agent.permission"] = "The agent waits for no permission",
  ["agent.question"] = "The agent asks nothing",
}

---@param entry SuggestionReview.Ask
---@return string
local function brief(entry)
  if entry.type == "agent.question" then
    return plain(entry.questions[1].question)
  end
  local subject = activity_lines.subject(entry --[[@as SuggestionReview.PermissionEntry]])
  return ("%s: %s%s"):format(plain(entry.permission), subject[1] or "", #subject > 1 and " …" or "")
end
M.brief = brief

---@param kind "agent.permission"|"agent.question"
---@param id? string
---@param callback fun(ask: SuggestionReview.WaitingAsk)
local function with_ask(kind, id, callback)
  local waiting = activity.asks(kind)
  if id then
    waiting = vim.tbl_filter(function(ask)
      return ask.entry.id == id
    end, waiting)
  end
  if #waiting == 0 then
    return notify.info(NOTHING[kind])
  elseif #waiting == 1 then
    return callback(waiting[1])
  end
  choose_from(waiting, {
    prompt = "Which one?",
    format_item = function(ask)
      return brief(ask.entry)
    end,
  }, function(choice)
    if choice then
      callback(choice)
    end
  end)
end

---@param ask SuggestionReview.WaitingAsk
---@param command table
---@param said string
---@param done? fun(reason?: string)
local function send(ask, command, said, done)
  client.request(command, function(err)
    if err and done then
      return done("Not answered: " .. err.message)
    elseif err then
      return notify.error("Not answered: " .. err.message)
    end
    notify.info(said)
    if done then
      done()
    end
  end, ask.server)
end

local SAID = {
  once = "Allowed once",
  always = "Allowed from now on",
  edit = "Allowed as edited",
  reject = "Rejected",
}

---@param ask SuggestionReview.WaitingAsk
---@param reply "once"|"always"|"edit"|"reject"
---@param more? { message?: string, arguments?: table<string, any> }
---@param done? fun(reason?: string) told instead of the developer where it was not answered
local function reply_with(ask, reply, more, done)
  local request = vim.tbl_extend("error", { permission_id = ask.entry.id, reply = reply }, more or {})
  send(
    ask,
    { type = "permission", request = request },
    ("%s: %s"):format(SAID[reply], brief(ask.entry)),
    done
  )
end
M.reply = reply_with

---@param ask SuggestionReview.WaitingAsk
local function ask_reason(ask)
  vim.ui.input({ prompt = "Reject because (empty: the turn ends): " }, function(input)
    if input then
      reply_with(ask, "reject", { message = input:find("%S") and input or nil })
    end
  end)
end
M.reject = ask_reason

---@param ask SuggestionReview.WaitingAsk
---@param view SuggestionReview.ApprovalView
local function ask_reply(ask, view)
  local entry = ask.entry --[[@as SuggestionReview.PermissionEntry]]
  local choices = { { reply = "once", text = "Allow once" } }
  if #entry.always > 0 then
    local always = "Allow from now on: " .. plain(table.concat(entry.always, ", "))
    choices[#choices + 1] = { reply = "always", text = always }
  end
  if entry.editable then
    choices[#choices + 1] = { reply = "edit", text = "Edit it, then allow it as edited" }
  end
  choices[#choices + 1] = { reply = "reject", text = "Reject, with a reason if you like" }
  local subject = table.concat(activity_lines.subject(entry, "  "), "\n")
  choose_from(choices, {
    prompt = ("The agent wants to use %s:\n%s\n"):format(plain(entry.permission), subject),
    format_item = function(choice)
      return choice.text
    end,
  }, function(choice)
    if not choice then
      return
    elseif choice.reply == "reject" then
      return ask_reason(ask)
    elseif choice.reply == "edit" then
      return view.edit(ask)
    end
    reply_with(ask, choice.reply)
  end)
end

--- Answers a permission. Asks which one, and how, where that is not given.
---@param opts SuggestionReview.PermissionOpts
---@param view SuggestionReview.ApprovalView
function M.permission(opts, view)
  if opts.reply and not SAID[opts.reply] then
    return notify.error("Not answered: expected once, always, edit or reject")
  end
  with_ask("agent.permission", opts.id, function(ask)
    if not opts.reply and config.get().ui.approvals == "select" then
      return ask_reply(ask, view)
    elseif not opts.reply then
      return view.show(ask)
    elseif opts.reply == "edit" and not opts.arguments then
      return view.edit(ask)
    end
    reply_with(ask, opts.reply, { message = opts.message, arguments = opts.arguments })
  end)
end

--- Words of one's own.
---@param question SuggestionReview.AskedQuestion
---@param callback fun(answer: string[])
local function ask_words(question, callback)
  vim.ui.input({ prompt = plain(question.question) .. " " }, function(input)
    if input and input:find("%S") then
      callback({ input })
    end
  end)
end

--- The labels chosen for a question, one after the other where more than one may be.
---@param question SuggestionReview.AskedQuestion
---@param chosen string[]
---@param callback fun(answer: string[])
local function ask_labels(question, chosen, callback)
  local items = {}
  for _, option in ipairs(question.options) do
    if not vim.list_contains(chosen, option.label) then
      items[#items + 1] = {
        label = option.label,
        text = ("%s: %s"):format(plain(option.label), plain(option.description)),
      }
    end
  end
  if #chosen > 0 then
    table.insert(items, 1, { done = true, text = "That is all: " .. plain(table.concat(chosen, ", ")) })
  elseif question.custom then
    items[#items + 1] = { words = true, text = "In words of my own" }
  end
  choose_from(items, {
    prompt = plain(question.question),
    format_item = function(item)
      return item.text
    end,
  }, function(choice)
    if not choice then
      return
    elseif choice.done then
      return callback(chosen)
    elseif choice.words then
      return ask_words(question, callback)
    end
    chosen[#chosen + 1] = choice.label
    if question.multiple then
      return ask_labels(question, chosen, callback)
    end
    callback(chosen)
  end)
end

--- Answers a question. Asks which one, and what, where that is not given; whoever leaves a list answers nothing.
---@param opts? SuggestionReview.QuestionOpts
function M.question(opts)
  opts = opts or {}
  with_ask("agent.question", opts.id, function(ask)
    local entry = ask.entry --[[@as SuggestionReview.QuestionEntry]]
    local function answer_with(answers)
      local request = { question_id = entry.id, answers = answers }
      send(ask, { type = "question", request = request }, "Answered: " .. brief(entry))
    end
    if opts.answers then
      return answer_with(opts.answers)
    end
    local answers = {}
    local function next_question()
      local question = entry.questions[#answers + 1]
      if not question then
        return answer_with(answers)
      end
      ask_labels(question, {}, function(answer)
        answers[#answers + 1] = answer
        next_question()
      end)
    end
    next_question()
  end)
end

return M
