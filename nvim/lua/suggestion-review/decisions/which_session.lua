--- Which of the agent's sessions is meant.
local activity = require("suggestion-review.model.activity")
local ask = require("suggestion-review.decisions.ask")

--- Calls back with the one that is named, else the one that was chosen or asked last from here, else the one that was
--- active last; nil where there is none yet.
---@param server string
---@param project? string
---@param named? string
---@param callback fun(err?: SuggestionReview.Error, session?: string)
return function(server, project, named, callback)
  local session = named or ask.last_session(server, project)
  if session then
    return callback(nil, session)
  end
  activity.latest(server, callback)
end
