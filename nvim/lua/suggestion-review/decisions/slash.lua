--- opencode's slash commands: `/name arguments` typed for a prompt, and the names that there are.
local client = require("suggestion-review.connection.client")

local M = {}

---@alias SuggestionReview.Said { text?: string, command?: string, arguments?: string }

--- How long a completion waits for the names, in milliseconds; later ones have them by then.
local PATIENCE = 1000

--- Names that there were when they were last asked for.
---@type string[]
local known = {}

---@param server? string
---@param project? string
---@param callback fun(err?: SuggestionReview.Error, names: string[])
local function with_names(server, project, callback)
  client.request({ type = "commands", project = project }, function(err, data)
    ---@cast data SuggestionReview.SlashCommandsAnswer?
    if data then
      known = vim.tbl_map(function(command)
        return command.name
      end, data.commands)
    end
    callback(err, known)
  end, server)
end

--- Calls back with what a text stands for. One that begins with a path is a prompt; one with a blank before the slash,
--- too.
---@param server? string
---@param project? string
---@param text string
---@param callback fun(err?: SuggestionReview.Error, said?: SuggestionReview.Said)
function M.said(server, project, text, callback)
  local name, rest = text:match("^/(%S+)%s*(.*)$")
  if not name then
    return callback(nil, { text = text })
  end
  with_names(server, project, function(err, names)
    if err then
      return callback(err)
    elseif name:find("/", 1, true) and not vim.list_contains(names, name) then
      return callback(nil, { text = text })
    end
    -- Whether there is such a one is the server's to say.
    callback(nil, { command = name, arguments = rest ~= "" and rest or nil })
  end)
end

--- For completion: names with the slash before them, which are one word and can be shown.
---@param lead string
---@return string[]
function M.complete(lead)
  if lead:sub(1, 1) ~= "/" then
    return {}
  end
  local answered = false
  local target = client.get()
  local projects = vim.tbl_keys(target and target.projects or {})
  with_names(target and target.server.name, #projects == 1 and projects[1] or nil, function()
    answered = true
  end)
  vim.wait(PATIENCE, function()
    return answered
  end, 10)
  local found = {}
  for _, name in ipairs(known) do
    local typed = "/" .. name
    if name:find("^[%w%-_.:/]+$") and vim.startswith(typed, lead) then
      found[#found + 1] = typed
    end
  end
  table.sort(found)
  return found
end

return M
