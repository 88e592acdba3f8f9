--- The connection to one server: proof of the server first, then the token; comes back by itself and resumes where it
--- was. Knows no suggestion: what it hears goes to its inlet.
local commands = require("suggestion-review.connection.commands")
local handshake = require("suggestion-review.connection.handshake")
local journal = require("suggestion-review.connection.journal")
local log = require("suggestion-review.say.log")
local notify = require("suggestion-review.say.notify")
local task = require("suggestion-review.lib.task")
local tcp = require("suggestion-review.connection.tcp")
local websocket = require("suggestion-review.connection.websocket")
local wording = require("suggestion-review.connection.wording")

local M = {}

---@alias SuggestionReview.ClientState
---| "stopped"     not started, or stopped by the user
---| "connecting"
---| "connected"
---| "waiting"     lost or not reached; tries again by itself
---| "refused"     no token, wrong token, a stranger on the port, or another protocol: waits for that to change

--- Where a connection brings what it hears.
---@class (exact) SuggestionReview.Inlet
---@field announce fun(event: SuggestionReview.Event) tells an event of the client's own
---@field apply fun(event: SuggestionReview.Event) takes in an event of the journal
---@field reset fun(server: string, summaries: SuggestionReview.Summary[]) the open suggestions as they are now
---@field forget fun(server: string) nothing known of this server holds any more
---@field event_problem fun(event: table): string? what is wrong with an event's shape
---@field answer_problem fun(command: string, data: table): string? what is wrong with an answer's shape
---@field activity fun(server: string, entry: SuggestionReview.ActivityEntry) takes in what the agent does
---@field activity_problem fun(entry: any): string? what is wrong with its shape
---@field watching fun(server: string, last: integer) from now on it is told
---@field forget_activity fun(server: string) nothing known of what the agent did holds any more

---@class SuggestionReview.Client
---@field server SuggestionReview.Server
---@field inlet SuggestionReview.Inlet
---@field state SuggestionReview.ClientState
---@field since? integer when it stopped being connected, or began to try (seconds since the epoch)
---@field why string a clause on what is in the way
---@field next_try? integer when it tries again (vim.uv.now())
---@field looks_again? boolean refused, and tried again by itself
---@field unanswered integer commands that are answered later than one expects
---@field last_seq? integer last event taken in
---@field activity_seen? integer number of the last form of the agent's activity that was taken in
---@field attempts integer failed attempts in a row
---@field version? string the server's
---@field told? string what was said of the agent's confinement
---@field connected_at? integer
---@field projects table<string, true> absolute paths of the agents' repositories it serves
---@field bad? { seq: integer, tries: integer } the event that was malformed last
---@field passed_over? integer malformed events
---@field private pending table<integer, SuggestionReview.Pending>
---@field private waiting integer[] ids not sent yet
---@field private in_flight integer
---@field private socket? SuggestionReview.WebSocket
---@field private raw? uv.uv_tcp_t connection before it is upgraded
---@field private timer? uv.uv_timer_t
---@field private generation integer grows with every attempt, so that late callbacks know they are late
---@field private inbox string[]
---@field private inbox_bytes integer
---@field private draining boolean
local Client = {}
for _, methods in ipairs({ commands, journal }) do
  for name, method in pairs(methods) do
    Client[name] = method
  end
end
Client.__index = Client

local BACKOFF_FIRST, BACKOFF_MOST = 100, 30000
local TOKEN_CHECK, STRANGER_CHECK = 5000, 60000

---@param server SuggestionReview.Server
---@param inlet SuggestionReview.Inlet
---@return SuggestionReview.Client
function M.new(server, inlet)
  return setmetatable({
    server = server,
    inlet = inlet,
    state = "stopped",
    why = "not started",
    unanswered = 0,
    attempts = 0,
    projects = {},
    pending = {},
    waiting = {},
    in_flight = 0,
    generation = 0,
    inbox = {},
    inbox_bytes = 0,
    draining = false,
  }, Client)
end

--- How it stands, in words.
---@return string
function Client:describe()
  return wording.sentence(self)
end

--- Tells how it stands.
function Client:tell()
  local message = self:describe()
  log.info("%s: %s (%s)", self.server.name, self.state, message)
  self.inlet.announce({
    type = "client.state",
    server = self.server.name,
    state = self.state,
    message = message,
  })
end

---@private
---@param state SuggestionReview.ClientState
---@param why? string
function Client:set_state(state, why)
  local told = state .. (why or "")
  if state == "connected" then
    self.since = nil
  elseif state == "stopped" or not self.since or self.state == "stopped" then
    self.since = os.time()
  end
  self.state, self.why = state, why or ""
  if self.told ~= told then
    self.told = told
    self:tell()
  end
end

---@param path string
local function stamp_of(path)
  local stat = vim.uv.fs_stat(path)
  return stat and ("%d.%d.%d.%d"):format(stat.ino, stat.size, stat.mtime.sec, stat.mtime.nsec) or "absent"
end

---@private
function Client:stop_timer()
  tcp.stop_timer(self.timer)
  self.timer = nil
end

---@private
---@param ms integer
---@param callback fun()
function Client:later(ms, callback)
  self:stop_timer()
  local generation = self.generation
  self.timer = tcp.timer(
    ms,
    vim.schedule_wrap(function()
      if generation == self.generation then
        callback()
      end
    end)
  )
end

--- Exponential, with half of it random, so that several editors do not come back in step.
---@private
---@return integer ms
function Client:backoff()
  local whole = math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ^ math.min(self.attempts, 16))
  return math.floor(whole / 2 + math.random() * whole / 2)
end

--- Tries again later.
---@private
---@param why string
---@param at_once? boolean
function Client:retry(why, at_once)
  local delay = at_once and 0 or self:backoff()
  self.attempts = self.attempts + 1
  self.next_try = vim.uv.now() + delay
  self:set_state("waiting", why)
  self:later(delay, function()
    self:connect()
  end)
end

--- Something only the user can put right: looks again when the token file changes and, where the server was not
--- the right one, once a minute. The token is not sent in either case until the server has proven itself.
---@private
---@param why string
---@param look_again integer? ms
function Client:refuse(why, look_again)
  local first = self.state ~= "refused"
  self.looks_again = look_again ~= nil
  self:set_state("refused", why)
  if first then
    notify.connection_problem(self.server.name, self:describe())
  end
  local stamp = self.token_stamp
  local since = vim.uv.now()
  local function look()
    if stamp_of(self.server.token_file) ~= stamp or (look_again and vim.uv.now() - since >= look_again) then
      return self:connect()
    end
    self:later(TOKEN_CHECK, look)
  end
  self:later(TOKEN_CHECK, look)
end

--- Ends the attempt or connection under way without saying so to anyone but the server.
---@private
---@param code? integer
---@param reason? string
function Client:drop(code, reason)
  self.generation = self.generation + 1
  self:stop_timer()
  local socket, raw = self.socket, self.raw
  self.socket, self.raw = nil, nil
  self.inbox, self.inbox_bytes = {}, 0
  if socket then
    socket:close(code or 1000, reason or "")
  end
  if raw and not raw:is_closing() then
    raw:close()
  end
end

--- Disconnects and stays so.
function Client:stop()
  self:drop()
  -- First, for what is called back now may ask again.
  self:set_state("stopped")
  self:broke(true)
end

--- Connects: TCP, proof, the journal's position and the projects, upgrade, all on one connection, so that what proved
--- itself is what gets the token.
function Client:connect()
  self:drop()
  self.next_try = nil
  local generation = self.generation
  if self.state ~= "refused" and self.state ~= "waiting" then
    self:set_state("connecting")
  end
  self.token_stamp = stamp_of(self.server.token_file)
  local token, problem, warning = handshake.read_token(self.server.token_file)
  if not token then
    return self:refuse(problem --[[@as string]])
  end
  if warning and self.warned ~= warning then
    self.warned = warning
    notify.warn(warning)
  end
  task.run(function()
    self:shake_hands(token, generation)
  end, function(err)
    if err and generation == self.generation then
      log.error("%s: %s", self.server.name, tostring(err))
      self:retry("connecting failed, see :Suggest log")
    end
  end)
end

--- Inside a task: everything up to the open WebSocket.
---@private
---@param token string
---@param generation integer
function Client:shake_hands(token, generation)
  local opts = {
    alive = function()
      return generation == self.generation
    end,
    on_socket = function(socket)
      self.raw = socket
    end,
  }
  local proven, failed = handshake.prove(self.server, token, opts)
  if not proven then
    return self:turned_down(failed --[[@as SuggestionReview.HandshakeProblem]])
  end
  self.version = type(proven.health.version) == "string" and proven.health.version or nil
  local known, refused = handshake.get(proven, "/health", opts)
  if not known then
    return self:turned_down(refused --[[@as SuggestionReview.HandshakeProblem]])
  elseif type(known.last_seq) ~= "number" or not proven.kept then
    handshake.close(proven)
    return self:turned_down({
      kind = "refused",
      message = "it refused the token in " .. self.server.token_file,
    })
  end
  self.last_seq = self.last_seq or known.last_seq
  self:tell_confinement(known.confinement)
  self.projects = {}
  for _, project in ipairs(type(known.projects) == "table" and known.projects or {}) do
    if type(project) == "table" and type(project.project) == "string" then
      self.projects[project.project] = true
    end
  end
  self:upgrade(proven, generation)
end

--- An opencode that nothing of ours confines is told of once, with the way to change that.
---@private
---@param confinement any as the server tells it
function Client:tell_confinement(confinement)
  if type(confinement) ~= "table" or confinement.confined ~= false or confinement.host ~= "opencode" then
    return
  end
  local words = {}
  for _, word in ipairs(type(confinement.words) == "table" and confinement.words or {}) do
    words[#words + 1] = tostring(word):sub(1, 400)
  end
  local said = table.concat(words, ". ", 1, math.min(#words, 3))
  if said ~= "" and self.told ~= said then
    self.told = said
    notify.warn(said)
  end
end

---@private
---@param failed SuggestionReview.HandshakeProblem
function Client:turned_down(failed)
  local kind = failed.kind
  if kind == "cancelled" then
    return
  elseif kind == "stranger" or kind == "unproven" then
    return self:refuse(failed.message .. "; the token was not sent", STRANGER_CHECK)
  elseif kind == "refused" or kind == "protocol" then
    return self:refuse(failed.message, STRANGER_CHECK)
  end
  self:retry(failed.message)
end

---@private
---@param proven SuggestionReview.Proven
---@param generation integer
function Client:upgrade(proven, generation)
  local function current(callback)
    return vim.schedule_wrap(function(...)
      if generation == self.generation then
        callback(...)
      end
    end)
  end
  self.raw = nil
  self.socket = websocket.connect({
    host = self.server.host,
    port = self.server.port,
    path = "/ws",
    socket = proven.socket,
    headers = { Authorization = "Bearer " .. proven.token },
    on_open = current(function()
      self:opened()
    end),
    on_message = function(text)
      if generation == self.generation then
        self:received(text)
      end
    end,
    on_refused = function(status)
      self.refused_status = status
    end,
    on_close = current(function(code, reason)
      self:closed(code, reason)
    end),
  })
end

---@private
function Client:opened()
  self:subscribe(function(data)
    self.connected_at = vim.uv.now()
    self:set_state("connected")
    self.replay_until = data.last_seq
    self:list()
    self:watch()
    self:send_again()
  end)
end

--- The connection ended, or is ended for what came over it.
---@private
---@param code integer
---@param reason string
---@param at_once? boolean it is worth trying again without waiting
function Client:closed(code, reason, at_once)
  local was_open = self.state == "connected"
  local status = self.refused_status
  self.refused_status = nil
  self:drop(code == 1007 and code or nil, code == 1007 and reason:sub(1, 120) or nil)
  self:broke(not was_open)
  if status == 401 or status == 403 then
    return self:refuse("it refused the token in " .. self.server.token_file)
  end
  -- A server that went away may be back at once; one that found fault with us will find it again.
  local gone = code == 1006 or code == 1001 or code == 1000 or code == 1005
  if was_open and gone then
    self.attempts = 0
  end
  if code == 4008 then
    self.attempts = 0
  end
  local why = reason ~= "" and tcp.explain(reason) or ("close code %d"):format(code)
  self:retry(was_open and "the connection was lost (" .. why .. ")" or why, at_once)
end

return M
