--- Why the current hunk is there: which calls of the agent's made it, in what words, and the way to them.
local client = require("suggestion-review.connection.client")
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
local agent = require("suggestion-review.ui.agent")
local window = require("suggestion-review.ui.why")

local M = {}

--- Shows a call where it stands in its session; the review stays as it is.
---@param server? string
---@param call SuggestionReview.WhyCall
local function go_to(server, call)
  if not call.entry_id or not call.root_session_id then
    return notify.info("This call is in no session that can be shown any more")
  end
  agent.open({ server = server, session_id = call.root_session_id, entry_id = call.entry_id })
end

--- Nothing waits for the answer.
function M.why()
  local session = current.need()
  if not session then
    return
  end
  current.look_at_cursor()
  local hunk = session:current_hunk()
  local server = session:suggestion().server
  local shown = window.open(hunk.file)
  client.request({ type = "why", suggestionId = session.id, hunkId = hunk.id }, function(err, data)
    if err or not data then
      return window.refuse(shown, err and err.message or "The server gave no answer")
    end
    ---@cast data SuggestionReview.WhyAnswer
    window.fill(shown, data, function(call)
      window.close(shown)
      go_to(server, call)
    end)
  end, server)
end

return M
