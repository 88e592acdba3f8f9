--- What the agents do, as far as somebody here looks at it: the sessions that are shown, and what waits for an answer.
--- Entries are taken in by id, the form with the higher number counts, and are shown by position: who was here all the
--- time and who loads them later have the same.
local client = require("suggestion-review.connection.client")
local listeners = require("suggestion-review.model.listeners")
local shapes = require("suggestion-review.model.shapes")

local M = {}

---@class (exact) SuggestionReview.ActivitySession
---@field entries table<string, SuggestionReview.ActivityEntry> by id
---@field loaded boolean
---@field upto integer entries up to this position are no longer kept by the server
---@field waiting fun(err?: SuggestionReview.Error)[] callbacks of a load under way

---@alias SuggestionReview.Ask SuggestionReview.PermissionEntry|SuggestionReview.QuestionEntry

---@class (exact) SuggestionReview.ServerActivity
---@field sessions table<string, SuggestionReview.ActivitySession> by the session at the top
---@field asks table<string, SuggestionReview.Ask> what waits for an answer, by id
---@field latest? string the session at the top that was active last
---@field last? integer number of the last form when the connection was made

---@type table<string, SuggestionReview.ServerActivity>
local servers = {}

local PAGE = 500

---@param server string
---@return SuggestionReview.ServerActivity
local function of(server)
  servers[server] = servers[server] or { sessions = {}, asks = {} }
  return servers[server]
end

local ASKS = { ["agent.permission"] = true, ["agent.question"] = true }

---@param session SuggestionReview.ActivitySession
---@param entry SuggestionReview.ActivityEntry
local function put(session, entry)
  local known = session.entries[entry.id]
  if known and known.number >= entry.number then
    return
  end
  if entry.type == "agent.notice" and entry.kind == "dropped" then
    session.upto = math.max(session.upto, entry.upto or 0)
    for id, other in pairs(session.entries) do
      if other.position <= session.upto then
        session.entries[id] = nil
      end
    end
  elseif entry.position <= session.upto then
    return
  end
  session.entries[entry.id] = entry
end

--- Takes a form of an entry in, and tells who listens ("activity.changed", "activity.asked", "activity.answered").
---@param server string
---@param entry SuggestionReview.ActivityEntry
function M.take(server, entry)
  local known = of(server)
  local root = entry.root_session_id
  known.latest = root
  local session = known.sessions[root]
  if session then
    put(session, entry)
    listeners.announce({ type = "activity.changed", server = server, session_id = root })
  end
  if not ASKS[entry.type] then
    return
  end
  local was = known.asks[entry.id]
  known.asks[entry.id] = entry.state == "asked" and entry --[[@as SuggestionReview.Ask]] or nil
  if entry.state == "asked" and not was then
    listeners.announce({ type = "activity.asked", server = server, entry = entry })
  elseif was and entry.state ~= "asked" then
    listeners.announce({ type = "activity.answered", server = server, entry = entry })
  end
end

--- The connection tells from now on what happens; what waits since before is asked for.
---@param server string
---@param last integer
function M.watching(server, last)
  local known = of(server)
  known.last = last
  for command, field in pairs({ permissions = "permissions", questions = "questions" }) do
    client.request({ type = command }, function(err, data)
      if err then
        return
      end
      for _, entry in ipairs(data[field]) do
        M.take(server, entry)
      end
    end, server)
  end
end

--- Another ledger is in use: what is shown is loaded anew.
---@param server string
function M.forget(server)
  local known = of(server)
  servers[server] = nil
  for root in pairs(known.sessions) do
    listeners.announce({ type = "activity.changed", server = server, session_id = root })
  end
end

--- What waits for an answer, the oldest first.
---@param kind "agent.permission"|"agent.question"
---@return { server: string, entry: SuggestionReview.Ask }[]
function M.asks(kind)
  local found = {}
  for server, known in pairs(servers) do
    for _, entry in pairs(known.asks) do
      if entry.type == kind then
        found[#found + 1] = { server = server, entry = entry }
      end
    end
  end
  table.sort(found, function(a, b)
    if a.server ~= b.server then
      return a.server < b.server
    end
    return a.entry.position < b.entry.position
  end)
  return found
end

--- Entries of a session that are to be shown, in their order.
---@param server string
---@param root string
---@return SuggestionReview.ActivityEntry[]
function M.entries(server, root)
  local session = of(server).sessions[root]
  local found = {}
  for _, entry in pairs(session and session.entries or {}) do
    if not entry.removed then
      found[#found + 1] = entry
    end
  end
  table.sort(found, function(a, b)
    return a.position < b.position
  end)
  return found
end

--- Keeps a session at hand and loads what it has so far, page by page. What comes meanwhile is taken in as well.
---@param server string
---@param root string
---@param callback fun(err?: SuggestionReview.Error)
function M.load(server, root, callback)
  local sessions = of(server).sessions
  local session = sessions[root]
  if session and session.loaded then
    return callback()
  elseif session then
    session.waiting[#session.waiting + 1] = callback
    return
  end
  session = { entries = {}, loaded = false, upto = 0, waiting = { callback } }
  sessions[root] = session
  local function done(err)
    session.loaded = not err
    if err and sessions[root] == session then
      sessions[root] = nil
    end
    local waiting = session.waiting
    session.waiting = {}
    for _, one in ipairs(waiting) do
      one(err)
    end
  end
  local function page(since)
    client.request({ type = "activity", session = root, since = since, limit = PAGE }, function(err, data)
      if err then
        return done(err)
      end
      for _, entry in ipairs(data.entries) do
        if not shapes.activity_problem(entry) then
          put(session, entry)
        end
      end
      if data.next and data.next > since then
        return page(data.next)
      end
      done()
    end, server)
  end
  page(0)
end

--- A session is not looked at any more.
---@param server string
---@param root string
function M.unload(server, root)
  of(server).sessions[root] = nil
end

--- Calls back with the session at the top that was active last, or nil where there is none.
---@param server string
---@param callback fun(err?: SuggestionReview.Error, root?: string)
function M.latest(server, callback)
  local known = of(server)
  if known.latest or (known.last or 0) == 0 then
    return callback(nil, known.latest)
  end
  -- The form with the last number is there, however many were replaced before it.
  client.request({ type = "activity", since = known.last - 1, limit = 1 }, function(err, data)
    local entry = data and data.entries[1]
    callback(err, entry and entry.root_session_id or nil)
  end, server)
end

--- For tests.
function M._clear()
  servers = {}
end

return M
