--- Proof of the server before anything secret goes to it. One place for the client, adopt and the health check: the
--- token is read here, the server's proof is checked here, and what carries the token goes over the connection that
--- proved itself, and over no other.
local http = require("suggestion-review.connection.http")
local sha256 = require("suggestion-review.lib.sha256")
local task = require("suggestion-review.lib.task")
local tcp = require("suggestion-review.connection.tcp")

local M = {}

--- The version of the protocol that this plugin is made for. The server's goes up when a client made for the one before
--- would misunderstand something, and stands in `/health`.
M.PROTOCOL_VERSION = 1

local DECODE = { luanil = { object = true, array = true } }

---@alias SuggestionReview.HandshakeKind
---| "cancelled"    whoever asked does not want it any more
---| "unreachable"  no connection, or no answer
---| "failing"      our server, with an error of its own
---| "stranger"     something else listens there
---| "unproven"     it does not know the token
---| "protocol"     it proved itself and speaks another version of the protocol
---| "refused"      it proved itself and does not take the token
---| "closing"      it ends connections after one answer

---@class (exact) SuggestionReview.HandshakeProblem
---@field kind SuggestionReview.HandshakeKind
---@field message string a clause for people
---@field health? table what a server answered that did not prove itself
---@field status? integer

---@class (exact) SuggestionReview.Proven a connection to a server that has proven that it knows the token
---@field server SuggestionReview.Server
---@field socket uv.uv_tcp_t
---@field token string
---@field peer string address that proved itself, such as `127.0.0.1:4097`
---@field health table
---@field kept boolean the connection can be used for more

---@class (exact) SuggestionReview.HandshakeOpts
---@field timeout? integer ms for each step (5,000)
---@field alive? fun(): boolean asked after each wait; false ends it
---@field on_socket? fun(socket: uv.uv_tcp_t) the connection as soon as it is there, to be closed from outside

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
  local expected = sha256.hmac(sha256.hex(token), ("suggestion-manager:%s:%s"):format(nonce, peer))
  local proven = false
  for _, proof in ipairs(proofs) do
    if type(proof) == "string" and sha256.equal(proof, expected) then
      proven = true
    end
  end
  return proven
end

--- What keeps this plugin from talking to a server whose `/health` is this, as a clause; nil where nothing does. A
--- server that names no version is of the time when there was but the first.
---@param health table
---@return string?
function M.other_protocol(health)
  local theirs = health.protocol == nil and 1 or health.protocol
  if theirs == M.PROTOCOL_VERSION then
    return nil
  end
  local older = type(theirs) == "number" and theirs < M.PROTOCOL_VERSION
  return ("it speaks version %s of the protocol and this plugin version %d; update %s"):format(
    type(theirs) == "number" and ("%d"):format(theirs) or "?",
    M.PROTOCOL_VERSION,
    older and "the server" or "the plugin"
  )
end

---@param socket uv.uv_tcp_t?
local function close(socket)
  if socket and not socket:is_closing() then
    socket:close()
  end
end

---@param kind SuggestionReview.HandshakeKind
---@param message string
---@param answer? { status: integer, body?: table }
---@return nil
---@return SuggestionReview.HandshakeProblem
local function problem(kind, message, answer)
  return nil,
    { kind = kind, message = message, status = answer and answer.status, health = answer and answer.body }
end

---@param opts SuggestionReview.HandshakeOpts
---@return boolean
local function cancelled(opts)
  return opts.alive ~= nil and not opts.alive()
end

--- Inside a task: one GET on an open connection, its JSON decoded. The connection is closed on any failure.
---@param server SuggestionReview.Server
---@param socket uv.uv_tcp_t
---@param path string
---@param headers table<string, string>?
---@param opts SuggestionReview.HandshakeOpts
---@return { status: integer, peer?: string, body?: table, kept: boolean }? answer
---@return SuggestionReview.HandshakeProblem?
local function ask(server, socket, path, headers, opts)
  local err, response, kept = task.await(function(callback)
    http.exchange(socket, {
      host = server.host,
      port = server.port,
      path = path,
      headers = headers,
      timeout = opts.timeout,
      keep = true,
    }, callback)
  end)
  if cancelled(opts) then
    close(socket)
    return problem("cancelled", "not wanted any more")
  elseif err then
    close(socket)
    return problem("unreachable", tcp.explain(err))
  end
  local ok, body = pcall(vim.json.decode, response.body, DECODE)
  return {
    status = response.status,
    peer = response.peer,
    body = ok and type(body) == "table" and body or nil,
    kept = kept == true,
  }
end

--- Inside a task: connects, has the server prove that it knows the token, and looks at the version of the protocol that
--- it speaks; the token itself is not sent.
---@param server SuggestionReview.Server
---@param token string
---@param opts? SuggestionReview.HandshakeOpts
---@return SuggestionReview.Proven?
---@return SuggestionReview.HandshakeProblem?
function M.prove(server, token, opts)
  opts = opts or {}
  local err, socket = task.await(function(callback)
    tcp.connect(server.host, server.port, opts.timeout or 5000, callback)
  end)
  if cancelled(opts) then
    close(socket)
    return problem("cancelled", "not wanted any more")
  elseif err then
    return problem("unreachable", tcp.explain(err))
  end
  if opts.on_socket then
    opts.on_socket(socket)
  end
  local nonce = sha256.to_hex(assert(vim.uv.random(16)))
  local answer, failed = ask(server, socket, "/health?nonce=" .. nonce, nil, opts)
  if not answer then
    return nil, failed
  end
  local health = answer.body
  if not health or health.service ~= "suggestion-manager" then
    close(socket)
    return problem("stranger", "what listens there is not a suggestion-manager", answer)
  elseif not M.is_proven(token, nonce, answer.peer, health.proofs) then
    close(socket)
    if answer.status >= 500 then
      return problem("failing", "it answered " .. answer.status, answer)
    end
    return problem("unproven", "it does not know the token in " .. server.token_file, answer)
  end
  local other = M.other_protocol(health)
  if other then
    close(socket)
    return problem("protocol", other, answer)
  end
  return {
    server = server,
    socket = socket,
    token = token,
    peer = answer.peer,
    health = health,
    kept = answer.kept,
  }
end

--- Inside a task: one GET with the token, over the connection that proved itself.
---@param proven SuggestionReview.Proven
---@param path string
---@param opts? SuggestionReview.HandshakeOpts
---@return table? body
---@return SuggestionReview.HandshakeProblem?
function M.get(proven, path, opts)
  if not proven.kept then
    -- Never seen from our server; a new connection would have to prove itself again.
    close(proven.socket)
    return problem("closing", "it closes connections after one answer")
  end
  local headers = { Authorization = "Bearer " .. proven.token }
  local answer, failed = ask(proven.server, proven.socket, path, headers, opts or {})
  if not answer then
    return nil, failed
  end
  proven.kept = answer.kept
  if answer.status ~= 200 or not answer.body then
    close(proven.socket)
    if answer.status >= 500 then
      return problem("failing", "it answered " .. answer.status, answer)
    end
    return problem("refused", "it refused the token in " .. proven.server.token_file, answer)
  end
  return answer.body
end

--- Ends a connection that is not needed any more.
---@param proven SuggestionReview.Proven
function M.close(proven)
  close(proven.socket)
end

return M
