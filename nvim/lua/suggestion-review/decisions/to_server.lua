--- Commands about the agent that are given here: to which server and project, and what is said when it refuses.
local client = require("suggestion-review.connection.client")
local notify = require("suggestion-review.say.notify")
local with_project = require("suggestion-review.decisions.with_project")

local M = {}

--- Calls back with the server's name and the project that is meant.
---@param name? string
---@param callback fun(server: string, project?: string)
function M.with(name, callback)
  local target = client.get(name)
  if not target or target.state ~= "connected" then
    return notify.error("Not done: " .. client.state(name).message)
  end
  with_project(target, nil, function(project)
    callback(target.server.name, project)
  end)
end

--- Sends a command; what is refused is said.
---@param server string
---@param command table
---@param callback fun(data: table)
function M.send(server, command, callback)
  client.request(command, function(err, data)
    if err then
      return notify.error("Not done: " .. err.message)
    end
    callback(data)
  end, server)
end

return M
