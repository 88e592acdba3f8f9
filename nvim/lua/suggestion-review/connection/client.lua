--- The connection to each server: proof of the server first, then the token, then commands and events; comes back by
--- itself and resumes where it was. Hands events to the store in the journal's order, each once.

local M = {}

---@alias SuggestionReview.ClientState
---| "stopped"     not started, or stopped by the user
---| "connecting"
---| "connected"
---| "waiting"     lost or not reached; tries again by itself
---| "refused"     no token, wrong token, or a stranger on the port: waits for that to change

---@class SuggestionReview.Pending a command whose answer is awaited
---@field id integer
---@field text string
---@field callback fun(err?: SuggestionReview.Error, data?: table)
---@field timer uv.uv_timer_t
---@field lasting boolean carries a request id: sent again after a reconnect
---@field sent boolean
---@field raw? boolean part of connecting: not counted, not sent again

---@class SuggestionReview.Client
---@field server SuggestionReview.Server
---@field state SuggestionReview.ClientState
---@field message string one sentence on the state
---@field last_seq? integer last event taken in
---@field attempts integer failed attempts in a row
---@field version? string the server's
---@field connected_at? integer
---@field projects table<string, true> absolute paths of the agents' repositories it serves
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
Client.__index = Client

--- The server takes 64 commands at once and messages up to 1 MB.
local MAX_IN_FLIGHT = 32
local MAX_COMMAND = 1024 * 1024
local INBOX_HIGH = 8 * 1024 * 1024
--- Time spent on messages before the editor gets its turn.
local DRAIN_NS = 6e6
local BACKOFF_FIRST, BACKOFF_MOST = 100, 30000
local TOKEN_CHECK, STRANGER_CHECK = 5000, 60000

---@type table<string, SuggestionReview.Client>
local clients = {}
---@type string[]
local order = {}

local DECODE = { luanil = { object = true, array = true } }

---@param client SuggestionReview.Client
---@param state SuggestionReview.ClientState
---@param message string
local function set_state(client, state, message)
  local before = client.state
  client.state, client.message = state, message
  if before == state and client.announced == message then
    return
  end
  client.announced = message
  require("suggestion-review.say.log").info("%s: %s (%s)", client.server.name, state, message)
  require("suggestion-review.model.store").announce({
    type = "client.state",
    server = client.server.name,
    state = state,
    message = message,
  })
end

---@param path string
---@return string? token
---@return string? problem
---@return string? warning
function M.read_token(path)
  local stat = vim.uv.fs_stat(path)
  if not stat then
    return nil, ("there is no token file %s"):format(path)
  end
  local file, err = io.open(path, "rb")
  if not file then
    return nil, ("the token file cannot be read: %s"):format(err)
  end
  local token = (file:read(4096) or ""):match("^%s*(.-)%s*$")
  file:close()
  if token == "" then
    return nil, ("the token file %s is empty"):format(path)
  end
  if token:find("[^\33-\126]") then
    return nil, ("the token file %s holds more than one word"):format(path)
  end
  local warning
  if stat.type == "file" and stat.mode % 64 ~= 0 then
    warning = ("%s can be read by others: chmod 600 it, and have the token replaced"):format(path)
  end
  return token, nil, warning
end

---@param path string
local function stamp_of(path)
  local stat = vim.uv.fs_stat(path)
  return stat and ("%d.%d.%d.%d"):format(stat.ino, stat.size, stat.mtime.sec, stat.mtime.nsec) or "absent"
end

--- Whether one of `proofs` shows that the server at `peer` knows (the hash of) this token. A process elsewhere that
--- passes the question on to the real server gets an answer for the real server's address only.
---@param token string
---@param nonce string
---@param peer string? address that the connection really goes to
---@param proofs any
---@return boolean
function M.is_proven(token, nonce, peer, proofs)
  if type(proofs) ~= "table" or not peer then
    return false
  end
  local sha256 = require("suggestion-review.lib.sha256")
  local expected = sha256.hmac(sha256.hex(token), ("suggestion-manager:%s:%s"):format(nonce, peer))
  local proven = false
  for _, proof in ipairs(proofs) do
    if type(proof) == "string" and sha256.equal(proof, expected) then
      proven = true
    end
  end
  return proven
end

function Client:stop_timer()
  require("suggestion-review.connection.tcp").stop_timer(self.timer)
  self.timer = nil
end

---@private
---@param ms integer
---@param callback fun()
function Client:later(ms, callback)
  self:stop_timer()
  local generation = self.generation
  self.timer = require("suggestion-review.connection.tcp").timer(
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
function Client:retry(why)
  local delay = self:backoff()
  self.attempts = self.attempts + 1
  local seconds = delay < 1500 and "" or (" in %d s"):format(math.floor(delay / 1000 + 0.5))
  set_state(
    self,
    "waiting",
    ("No connection to %s: %s. Trying again%s."):format(self.server.name, why, seconds)
  )
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
  set_state(self, "refused", why)
  if first then
    require("suggestion-review.say.notify").connection_problem(self.server.name, why)
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

--- Ends the attempt or connection under way without saying so.
---@private
function Client:drop()
  self.generation = self.generation + 1
  self:stop_timer()
  local socket, raw = self.socket, self.raw
  self.socket, self.raw = nil, nil
  self.inbox, self.inbox_bytes = {}, 0
  if socket then
    socket:close(1000, "")
  end
  if raw and not raw:is_closing() then
    raw:close()
  end
end

--- Connects: TCP, proof, the journal's position and the projects, upgrade, all on one connection, so that what proved
--- itself is what gets the token.
function Client:connect()
  self:drop()
  local generation = self.generation
  local server = self.server
  if self.state ~= "refused" and self.state ~= "waiting" then
    set_state(self, "connecting", ("Connecting to %s…"):format(server.name))
  end
  self.token_stamp = stamp_of(server.token_file)
  local token, problem, warning = M.read_token(server.token_file)
  if not token then
    return self:refuse(("Not connected to %s: %s."):format(server.name, problem))
  end
  if warning and self.warned ~= warning then
    self.warned = warning
    require("suggestion-review.say.notify").warn(warning)
  end
  -- Loaded here because the callbacks below run where loading is not possible.
  local http, tcp = require("suggestion-review.connection.http"), require("suggestion-review.connection.tcp")
  require("suggestion-review.lib.sha256")
  local websocket = require("suggestion-review.connection.websocket")

  ---@param callback fun(...)
  local function current(callback)
    return vim.schedule_wrap(function(...)
      if generation == self.generation then
        callback(...)
      end
    end)
  end
  local function unreachable(err)
    self:retry(tcp.explain(err))
  end

  local nonce = require("suggestion-review.lib.sha256").to_hex(assert(vim.uv.random(16)))
  local function exchange(socket, path, headers, callback)
    http.exchange(
      socket,
      { host = server.host, port = server.port, path = path, headers = headers, keep = true },
      current(function(err, response, kept)
        if err then
          socket:close()
          return unreachable(err)
        end
        local ok, body = pcall(vim.json.decode, response.body, DECODE)
        callback(response, ok and type(body) == "table" and body or nil, kept)
      end)
    )
  end
  local function open(socket)
    self.raw = nil
    self.socket = websocket.connect({
      host = server.host,
      port = server.port,
      path = "/ws",
      socket = socket,
      headers = { Authorization = "Bearer " .. token },
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
  tcp.connect(server.host, server.port, 5000, function(err, socket)
    if generation ~= self.generation then
      return socket and socket:close()
    end
    self.raw = socket
    current(function()
      if err then
        return unreachable(err)
      end
      exchange(socket, "/health?nonce=" .. nonce, nil, function(response, health, kept)
        local stranger = not health or health.service ~= "suggestion-manager"
        if stranger or not M.is_proven(token, nonce, response.peer, health.proofs) then
          socket:close()
          if not stranger and response.status >= 500 then
            return self:retry("it answered " .. response.status)
          end
          local what = stranger and "what listens there is not a suggestion-manager"
            or "it does not know the token in " .. server.token_file
          return self:refuse(
            ("Not connected to %s: %s. The token was not sent."):format(server.name, what),
            STRANGER_CHECK
          )
        end
        self.version = health.version
        if not kept then
          -- Never seen from our server; a new connection would have to prove itself again.
          socket:close()
          return self:retry("it closes connections after one answer")
        end
        exchange(socket, "/health", { Authorization = "Bearer " .. token }, function(_, known, still_kept)
          if not known or type(known.last_seq) ~= "number" or not still_kept then
            socket:close()
            return self:refuse(
              ("Not connected to %s: it refused the token in %s."):format(server.name, server.token_file),
              STRANGER_CHECK
            )
          end
          self.last_seq = self.last_seq or known.last_seq
          self.projects = {}
          for _, project in ipairs(known.projects or {}) do
            self.projects[project.project] = true
          end
          open(socket)
        end)
      end)
    end)()
  end)
end

---@private
function Client:opened()
  self:subscribe(function(data)
    self.connected_at = vim.uv.now()
    set_state(self, "connected", ("Connected to %s"):format(self.server.name))
    self.replay_until = data.last_seq
    self:list()
    -- What was under way when the connection broke is sent once more; its request id makes that harmless.
    local ids = vim.tbl_keys(self.pending)
    table.sort(ids)
    self.waiting, self.in_flight = {}, 0
    for _, id in ipairs(ids) do
      if not self.pending[id].raw then
        self.pending[id].sent = false
        table.insert(self.waiting, id)
      end
    end
    self:send_waiting()
  end)
end

--- Asks for the events after the last one taken in.
---@private
---@param callback? fun(data: table)
function Client:subscribe(callback)
  self.gap_at = nil
  self:raw_request({ type = "subscribe", since = self.last_seq }, function(err, data)
    if not err then
      if callback then
        callback(data)
      end
      return
    end
    local last = err.details and err.details.last_seq
    if type(last) == "number" and last < self.last_seq then
      -- The journal is shorter than what was seen of it: another ledger. Start over with what it holds now.
      require("suggestion-review.say.log").warn("%s: its journal starts anew", self.server.name)
      require("suggestion-review.model.store").forget(self.server.name)
      self.last_seq = last
      return self:subscribe(callback)
    end
    self:closed(1002, err.message)
  end)
end

--- Lists the open suggestions, page by page, and gives them to the store.
---@private
---@param callback? fun(err?: SuggestionReview.Error)
function Client:list(callback)
  local all = {}
  local function page(offset)
    self:raw_request({ type = "list", status = "open", limit = 100, offset = offset }, function(err, data)
      if err then
        return callback and callback(err)
      end
      vim.list_extend(all, data.suggestions)
      if data.next then
        return page(data.next)
      end
      if #data.suggestions == 100 and data.total and #all < data.total then
        return page(#all)
      end
      require("suggestion-review.model.store").reset(self.server.name, all)
      if callback then
        callback()
      end
    end)
  end
  page(0)
end

---@private
---@param code integer
---@param reason string
function Client:closed(code, reason)
  local was_open = self.state == "connected"
  local status = self.refused_status
  self.refused_status = nil
  self:drop()
  -- Answers to what carries no request id will not come any more.
  for id, pending in pairs(self.pending) do
    if not pending.lasting or not was_open then
      self:settle(id, { code = "disconnected", message = "The connection broke before the answer came" })
    else
      pending.sent = false
    end
  end
  self.waiting, self.in_flight = {}, 0
  if status == 401 or status == 403 then
    return self:refuse(
      ("Not connected to %s: it refused the token in %s."):format(self.server.name, self.server.token_file)
    )
  end
  -- A server that went away may be back at once; one that found fault with us will find it again.
  local gone = code == 1006 or code == 1001 or code == 1000 or code == 1005
  if was_open and gone then
    self.attempts = 0
  end
  if code == 4008 then
    self.attempts = 0
  end
  local why = reason ~= "" and require("suggestion-review.connection.tcp").explain(reason)
    or ("close code %d"):format(code)
  self:retry(was_open and "the connection was lost (" .. why .. ")" or why)
end

--- Takes a message off the socket; the work is done on the main loop, a few milliseconds at a time.
---@private
---@param text string
function Client:received(text)
  self.inbox[#self.inbox + 1] = text
  self.inbox_bytes = self.inbox_bytes + #text
  if self.inbox_bytes > INBOX_HIGH and self.socket then
    self.socket:pause()
  end
  if self.draining then
    return
  end
  self.draining = true
  vim.schedule(function()
    self:drain()
  end)
end

---@private
function Client:drain()
  local generation, inbox = self.generation, self.inbox
  local stop = vim.uv.hrtime() + DRAIN_NS
  local done = 0
  for index, text in ipairs(inbox) do
    done = index
    self.inbox_bytes = self.inbox_bytes - #text
    self:handle(text)
    if generation ~= self.generation then
      self.draining = false
      return
    end
    if vim.uv.hrtime() > stop then
      break
    end
  end
  if done == #inbox then
    self.inbox, self.inbox_bytes, self.draining = {}, 0, false
    if self.socket then
      self.socket:resume()
    end
    return
  end
  self.inbox = vim.list_slice(inbox, done + 1)
  vim.defer_fn(function()
    self:drain()
  end, 1)
end

---@private
---@param text string
function Client:handle(text)
  local ok, message = pcall(vim.json.decode, text, DECODE)
  if not ok or type(message) ~= "table" or type(message.type) ~= "string" then
    return require("suggestion-review.say.log").warn("%s: message that is not understood", self.server.name)
  end
  if message.type == "response" then
    if message.id == nil then
      return require("suggestion-review.say.log").warn(
        "%s: %s",
        self.server.name,
        message.error or "answer without id"
      )
    end
    if message.success then
      return self:settle(message.id, nil, message.data or {})
    end
    return self:settle(message.id, {
      code = message.code or "internal",
      message = message.error or "The server gave no reason",
      details = message.details,
    })
  end
  if type(message.seq) ~= "number" then
    return
  end
  self:event(message)
end

---@private
---@param event SuggestionReview.Event
function Client:event(event)
  local expected = self.last_seq + 1
  if event.seq < expected then
    return
  end -- sent again by a replay
  if event.seq > expected then
    if self.gap_at == self.last_seq then
      return
    end -- asked for already
    if self.gap_seen == self.last_seq then
      -- The journal itself lacks these: go on from here, with a list that is right by itself.
      require("suggestion-review.say.log").error(
        "%s: events %d to %d are missing",
        self.server.name,
        expected,
        event.seq - 1
      )
      self.last_seq = event.seq
      self:list()
      return self:take_in(event)
    end
    require("suggestion-review.say.log").warn("%s: gap after event %d", self.server.name, self.last_seq)
    local at = self.last_seq
    self:subscribe(function()
      self.gap_seen = at
      self.gap_at = nil
    end)
    self.gap_at = at
    return
  end
  self.last_seq = event.seq
  self:take_in(event)
end

---@private
---@param event SuggestionReview.Event
function Client:take_in(event)
  event.server = self.server.name
  if event.project then
    self.projects[event.project] = true
  end
  if self.replay_until and event.seq <= self.replay_until then
    event.replayed = true
  end
  require("suggestion-review.model.store").apply(event)
end

--- Gives a command its answer.
---@private
---@param id integer
---@param err? SuggestionReview.Error
---@param data? table
function Client:settle(id, err, data)
  local pending = self.pending[id]
  if not pending then
    return
  end
  self.pending[id] = nil
  require("suggestion-review.connection.tcp").stop_timer(pending.timer)
  if pending.sent and not pending.raw then
    self.in_flight = self.in_flight - 1
  end
  local ok, message = xpcall(pending.callback, debug.traceback, err, data)
  if not ok then
    require("suggestion-review.say.log").error("callback: %s", message)
    require("suggestion-review.say.notify").failure(message)
  end
  self:send_waiting()
end

---@private
function Client:send_waiting()
  while self.state == "connected" and self.in_flight < MAX_IN_FLIGHT and #self.waiting > 0 do
    local pending = self.pending[table.remove(self.waiting, 1)]
    if pending and not pending.sent then
      local ok, err = self.socket:send(pending.text)
      if ok then
        pending.sent = true
        self.in_flight = self.in_flight + 1
      else
        self:settle(pending.id, { code = "disconnected", message = "The command could not be sent: " .. err })
      end
    end
  end
end

---@private
---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
---@param timeout integer
---@return SuggestionReview.Pending?
function Client:enter(command, callback, timeout)
  M.last_id = (M.last_id or 0) + 1
  local id = M.last_id
  local request = command.request or command
  local text = vim.json.encode(vim.tbl_extend("force", command, { id = id }))
  if #text > MAX_COMMAND then
    vim.schedule(function()
      callback({
        code = "payload_too_large",
        message = ("This is %d kB; the server takes 1,024 kB at once"):format(#text / 1024),
      })
    end)
    return nil
  end
  local pending = {
    id = id,
    text = text,
    callback = callback,
    lasting = (request.requestId or request.request_id) ~= nil,
    sent = false,
  }
  pending.timer = require("suggestion-review.connection.tcp").timer(
    timeout,
    vim.schedule_wrap(function()
      self:settle(id, {
        code = "timeout",
        message = ("%s did not answer within %d s"):format(self.server.name, timeout / 1000),
      })
    end)
  )
  self.pending[id] = pending
  return pending
end

--- Sends at once, before the connection counts as connected.
---@private
---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
function Client:raw_request(command, callback)
  local pending = self:enter(command, callback, 30000)
  if not pending then
    return
  end
  pending.raw, pending.sent = true, true
  local ok, err = false, "not connected"
  if self.socket then
    ok, err = self.socket:send(pending.text)
  end
  if not ok then
    self:settle(pending.id, { code = "disconnected", message = err })
  end
end

---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
---@param opts? { timeout?: integer }
function Client:request(command, callback, opts)
  if self.state ~= "connected" then
    vim.schedule(function()
      callback({ code = "disconnected", message = self.message })
    end)
    return
  end
  local timeout = opts and opts.timeout or require("suggestion-review.config").get().request_timeout
  local pending = self:enter(command, callback, timeout)
  if not pending then
    return
  end
  table.insert(self.waiting, pending.id)
  self:send_waiting()
end

---@param server SuggestionReview.Server
---@return SuggestionReview.Client
local function new(server)
  return setmetatable({
    server = server,
    state = "stopped",
    message = ("Not connected to %s: :Suggest connect"):format(server.name),
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

--- Connects to every configured server, or to one.
---@param name? string
function M.start(name)
  math.randomseed(vim.uv.hrtime() % 2 ^ 31)
  for _, server in ipairs(require("suggestion-review.config").servers()) do
    if not name or server.name == name then
      local client = clients[server.name]
      if not client then
        client = new(server)
        clients[server.name] = client
        order[#order + 1] = server.name
      elseif client.state == "stopped" then
        client.server = server
      end
      if client.state ~= "connected" and client.state ~= "connecting" then
        client.attempts = 0
        client.state = "connecting"
        client:connect()
      end
    end
  end
  require("suggestion-review.say.notify").attach()
  require("suggestion-review.review.on_disk").attach()
end

--- Disconnects, from one server or from all, and stays so until `start`.
---@param name? string
function M.stop(name)
  for _, client in pairs(clients) do
    if not name or client.server.name == name then
      client:drop()
      for id in pairs(client.pending) do
        client:settle(id, { code = "disconnected", message = "Disconnected" })
      end
      set_state(client, "stopped", ("Not connected to %s: :Suggest connect"):format(client.server.name))
    end
  end
end

--- The server a suggestion came from, or nil.
---@param suggestion_id string
---@return string?
function M.server_of(suggestion_id)
  local suggestion = require("suggestion-review.model.store").get(suggestion_id)
  return suggestion and suggestion.server or nil
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
    }
  end
  return {
    server = client.server.name,
    state = client.state,
    message = client.message,
    last_seq = client.last_seq,
    attempts = client.attempts,
    version = client.version,
    in_flight = client.in_flight,
  }
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
    callback({ code = "disconnected", message = client and client.message or "Not connected" })
  end
end

--- For tests: forgets everything.
function M._reset()
  M.stop()
  clients, order = {}, {}
end

return M
