--- The connections to all servers: started, stopped, asked. Each is a `link.lua`; what they hear goes to the inlet that
--- the store gives.
local link = require("suggestion-review.connection.link")
local wording = require("suggestion-review.connection.wording")

local M = {}

---@type table<string, SuggestionReview.Client>
local clients = {}
---@type string[]
local order = {}

---@class (exact) SuggestionReview.ClientOwner : SuggestionReview.Inlet
---@field server_of fun(suggestion_id: string): string?

---@type SuggestionReview.ClientOwner?
local owner

--- Where all connections bring what they hear; called once by the store, before the first connection is made.
---@param given SuggestionReview.ClientOwner
function M.serve(given)
  owner = given
end

M.read_token = require("suggestion-review.connection.handshake").read_token
M.is_proven = require("suggestion-review.connection.handshake").is_proven

--- Connects to every configured server, or to one.
---@param name? string
function M.start(name)
  local inlet = assert(owner, "nobody takes what the servers tell")
  math.randomseed(vim.uv.hrtime() % 2 ^ 31)
  for _, server in ipairs(require("suggestion-review.config").servers()) do
    if not name or server.name == name then
      local client = clients[server.name]
      if not client then
        client = link.new(server, inlet)
        clients[server.name] = client
        order[#order + 1] = server.name
      elseif client.state == "stopped" then
        client.server = server
      end
      if client.state ~= "connected" and client.state ~= "connecting" then
        client.attempts = 0
        client.since = client.state ~= "stopped" and client.since or nil
        client.state = "connecting"
        client:connect()
      end
    end
  end
end

--- Disconnects, from one server or from all, and stays so until `start`.
---@param name? string
function M.stop(name)
  for _, client in pairs(clients) do
    if not name or client.server.name == name then
      client:stop()
    end
  end
end

--- The server a suggestion came from, or nil.
---@param suggestion_id string
---@return string?
function M.server_of(suggestion_id)
  return owner and owner.server_of(suggestion_id)
end

--- The client of a server; without a name the first connected one, else the first.
---@param name? string
---@return SuggestionReview.Client?
function M.get(name)
  if name then
    return clients[name]
  end
  for _, candidate in ipairs(order) do
    if clients[candidate].state == "connected" then
      return clients[candidate]
    end
  end
  return clients[order[1]]
end

--- All clients, in the order of the settings.
---@return SuggestionReview.Client[]
function M.all()
  return vim.tbl_map(function(name)
    return clients[name]
  end, order)
end

---@class SuggestionReview.State
---@field server string
---@field state SuggestionReview.ClientState
---@field message string
---@field last_seq? integer
---@field attempts integer
---@field version? string
---@field in_flight integer
---@field unanswered integer commands without an answer for longer than a second

--- State of the connection to a server (see `get` for which).
---@param name? string
---@return SuggestionReview.State
function M.state(name)
  local client = M.get(name)
  if not client then
    return {
      server = name or "",
      state = "stopped",
      message = "Not connected: :Suggest connect",
      attempts = 0,
      in_flight = 0,
      unanswered = 0,
    }
  end
  return {
    server = client.server.name,
    state = client.state,
    message = client:describe(),
    last_seq = client.last_seq,
    attempts = client.attempts,
    version = client.version,
    in_flight = client.in_flight,
    unanswered = client.unanswered,
  }
end

--- How it stands with a server in two or three words, for a title; nothing for a server that is not known here. The
--- server is named where there are several.
---@param name string
---@return string? words
---@return boolean fine
function M.brief(name)
  local client = clients[name]
  if not client then
    return nil, true
  end
  local words, fine = wording.brief(client)
  return #order > 1 and ("%s: %s"):format(name, words) or words, fine
end

--- What stands in the way of hearing from the servers, a sentence each; empty when all are connected.
---@return string[]
function M.troubles()
  if #order == 0 then
    return { M.state().message }
  end
  local found = {}
  for _, client in ipairs(M.all()) do
    if client.state ~= "connected" then
      found[#found + 1] = client:describe()
    end
  end
  return found
end

--- Sends a command of the protocol and calls back with its answer, on the main loop. The server is the one named,
--- else the one the command's suggestion came from, else the first connected one.
---@param command table e.g. `{ type = "get", suggestionId = id }`; `id` is added here
---@param callback fun(err?: SuggestionReview.Error, data?: table)
---@param server? string
---@param opts? { timeout?: integer }
function M.request(command, callback, server, opts)
  vim.validate("command", command, "table")
  vim.validate("callback", callback, "function")
  local suggestion = command.suggestionId or (command.request and command.request.suggestion_id)
  local client = M.get(server or (suggestion and M.server_of(suggestion)) or nil)
  if not client then
    vim.schedule(function()
      callback({ code = "disconnected", message = "Not connected: :Suggest connect" })
    end)
    return
  end
  client:request(command, callback, opts)
end

--- Lists a server's open suggestions anew.
---@param server string
---@param callback? fun(err?: SuggestionReview.Error)
function M.refresh(server, callback)
  local client = clients[server]
  if client and client.state == "connected" then
    return client:list(callback)
  end
  if callback then
    callback({ code = "disconnected", message = client and client:describe() or "Not connected" })
  end
end

--- For tests: forgets everything.
function M._reset()
  M.stop()
  clients, order = {}, {}
end

return M
