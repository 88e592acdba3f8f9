--- Says that the agent waits for an answer, and when somebody else gave it: messages, and `User` autocommands.
local answers = require("suggestion-review.decisions.answers")
local listeners = require("suggestion-review.model.listeners")
local notify = require("suggestion-review.say.notify")

local M = {}

local PATTERNS =
  { ["activity.asked"] = "SuggestionAgentAsks", ["activity.answered"] = "SuggestionAgentAnswered" }
M.patterns = PATTERNS

---@param entry SuggestionReview.Ask
local function say(entry)
  local command = entry.type == "agent.permission" and "permission" or "answer"
  local does = command == "permission" and "wants" or "asks"
  local hint = (" — :Suggest %s"):format(command)
  local text = ("The agent %s %s"):format(does, answers.brief(entry))
  -- A message wider than the screen would ask for a key.
  local room = math.max(20, vim.v.echospace - vim.fn.strdisplaywidth(hint) - 1)
  if vim.fn.strdisplaywidth(text) > room then
    text = vim.fn.strcharpart(text, 0, room) .. "…"
  end
  notify.info(text .. hint)
end

local attached = false

--- Starts listening; once is enough.
function M.attach()
  if attached then
    return
  end
  attached = true
  listeners.subscribe(function(event)
    local pattern = PATTERNS[event.type]
    if not pattern then
      return
    end
    local entry = event.entry --[[@as SuggestionReview.Ask]]
    if event.type == "activity.asked" then
      say(entry)
    end
    vim.api.nvim_exec_autocmds("User", { pattern = pattern, modeline = false, data = { entry = entry } })
  end)
end

return M
