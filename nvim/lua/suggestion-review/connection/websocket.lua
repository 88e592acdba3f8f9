--- WebSocket client (RFC 6455) on `vim.uv`: text messages over plain TCP, no extensions. Knows nothing of what the
--- messages mean. Callbacks run outside the main loop's safe context; whoever needs the editor schedules.

local bit = require("bit")
local band, bxor = bit.band, bit.bxor
local byte, char, sub = string.byte, string.char, string.sub
local http = require("suggestion-review.connection.http")
local tcp = require("suggestion-review.connection.tcp")
local sha256 = require("suggestion-review.lib.sha256")

local M = {}

--- Close codes, RFC 6455 §7.4.1.
M.CLOSE = {
  NORMAL = 1000,
  GOING_AWAY = 1001,
  PROTOCOL = 1002,
  UNSUPPORTED = 1003,
  NO_STATUS = 1005, -- never on the wire: the peer's close frame had no code
  ABNORMAL = 1006, -- never on the wire: no close frame came
  INVALID_DATA = 1007,
  TOO_BIG = 1009,
}

local OP = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 }
local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

---@class SuggestionReview.WebSocketOpts
---@field host string
---@field port integer
---@field path string
---@field socket? uv.uv_tcp_t an open connection to use, instead of making one
---@field headers? table<string, string>
---@field max_message? integer bytes of one received message; more is refused with 1009 (4 MB)
---@field max_queue? integer bytes waiting to be sent; more is refused by `send` (16 MB)
---@field connect_timeout? integer ms for connection and handshake (5,000)
---@field ping_interval? integer ms between pings (20,000)
---@field pong_timeout? integer ms without any data after a ping until the connection counts as lost (10,000)
---@field close_timeout? integer ms for the peer to answer a close (2,000)
---@field on_open fun()
---@field on_message fun(text: string)
---@field on_close fun(code: integer, reason: string) exactly once, whether or not it was ever open
---@field on_refused? fun(status: integer, headers: table<string, string>, body: string) before on_close: not 101

---@class SuggestionReview.WebSocket
---@field state "connecting"|"open"|"closing"|"closed"
---@field private opts SuggestionReview.WebSocketOpts
---@field private socket? uv.uv_tcp_t
---@field private buffer string received bytes not yet used, from `at` on
---@field private at integer
---@field private chunks string[] received after `buffer`
---@field private available integer bytes in buffer (from `at`) and chunks
---@field private parts string[]? fragments of the message under way
---@field private parts_size integer
---@field private parts_opcode? integer of the message under way
---@field private max_message integer bytes
---@field private cancel? fun()
---@field private timers table<string, uv.uv_timer_t>
---@field private heard integer when anything was last received
---@field private header? table frame head read, payload awaited
---@field private paused? boolean
---@field private on_read? fun(err?: string, data?: string)
---@field private failed? boolean we found the peer at fault; everything more is dropped
---@field private close_code? integer
---@field private close_reason? string
local WebSocket = {}
WebSocket.__index = WebSocket

--- XORs `payload` with the 4-byte key (§5.3), in chunks that fit the Lua stack.
---@param payload string
---@param key string
---@return string
function M.mask(payload, key)
  local k = { byte(key, 1, 4) }
  local out, n = {}, 0
  local length = #payload
  for from = 1, length, 4096 do
    local to = math.min(from + 4095, length)
    local bytes = { byte(payload, from, to) }
    for i = 1, #bytes do
      -- from - 1 is a multiple of 4, so the key starts over with every chunk.
      bytes[i] = bxor(bytes[i], k[(i - 1) % 4 + 1])
    end
    n = n + 1
    out[n] = char(unpack(bytes))
  end
  return table.concat(out)
end

--- Whether `text` is valid UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
---@param text string
---@return boolean
function M.is_utf8(text)
  local at = text:find("[\128-\255]")
  while at do
    local lead = byte(text, at)
    if lead < 0xc2 or lead > 0xf4 then
      return false
    elseif lead < 0xe0 then
      local b = byte(text, at + 1)
      if not b or b < 0x80 or b > 0xbf then
        return false
      end
      at = at + 2
    elseif lead < 0xf0 then
      local b, c = byte(text, at + 1, at + 2)
      if not c or c < 0x80 or c > 0xbf then
        return false
      end
      if b < (lead == 0xe0 and 0xa0 or 0x80) or b > (lead == 0xed and 0x9f or 0xbf) then
        return false
      end
      at = at + 3
    else
      local b, c, d = byte(text, at + 1, at + 3)
      if not d or c < 0x80 or c > 0xbf or d < 0x80 or d > 0xbf then
        return false
      end
      if b < (lead == 0xf0 and 0x90 or 0x80) or b > (lead == 0xf4 and 0x8f or 0xbf) then
        return false
      end
      at = at + 4
    end
    local next_byte = byte(text, at)
    -- A run of ASCII is passed by the C search, a run of other bytes without it.
    if not next_byte then
      return true
    end
    if next_byte < 0x80 then
      at = text:find("[\128-\255]", at)
    end
  end
  return true
end

---@param code integer
---@return boolean whether a peer may send it (§7.4)
local function is_valid_close(code)
  return (code >= 1000 and code <= 1003) or (code >= 1007 and code <= 1014) or (code >= 3000 and code <= 4999)
end

---@param length integer
---@param bytes integer how many bytes
local function big_endian(length, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = char(length % 256)
    length = math.floor(length / 256)
  end
  return table.concat(out)
end

---@param opcode integer
---@param payload string
---@return string
local function frame(opcode, payload)
  local length = #payload
  local head
  if length < 126 then
    head = char(128 + opcode, 128 + length)
  elseif length < 65536 then
    head = char(128 + opcode, 128 + 126) .. big_endian(length, 2)
  else
    head = char(128 + opcode, 128 + 127) .. big_endian(length, 8)
  end
  local key = assert(vim.uv.random(4))
  return head .. key .. M.mask(payload, key)
end

---@private
---@param name string
---@param ms integer
---@param callback fun()
function WebSocket:set_timer(name, ms, callback)
  self:stop_timer(name)
  self.timers[name] = tcp.timer(ms, function()
    self.timers[name] = nil
    if self.state ~= "closed" then
      callback()
    end
  end)
end

---@private
---@param name string
function WebSocket:stop_timer(name)
  tcp.stop_timer(self.timers[name])
  self.timers[name] = nil
end

--- Ends everything; `on_close` is called here and nowhere else.
---@private
---@param code integer
---@param reason string
function WebSocket:finish(code, reason)
  if self.state == "closed" then
    return
  end
  self.state = "closed"
  if self.cancel then
    self.cancel()
  end
  for _, name in ipairs(vim.tbl_keys(self.timers)) do
    self:stop_timer(name)
  end
  if self.socket and not self.socket:is_closing() then
    self.socket:read_stop()
    self.socket:close()
  end
  self.socket, self.buffer, self.chunks, self.parts = nil, "", {}, nil
  self.opts.on_close(code, reason)
end

--- Fails the connection (§7.1.7): tells the peer why and uses nothing more of what it sends. What is still on its way
--- is read and dropped for a moment, since closing on unread data would reset the connection before the peer reads why.
---@private
---@param code integer
---@param reason string
function WebSocket:fail(code, reason)
  if self.failed then
    return
  end
  if self.state ~= "open" then
    return self:finish(self.close_code or code, self.close_reason or reason)
  end
  self.state, self.failed = "closing", true
  self.close_code, self.close_reason = code, reason
  self.buffer, self.at, self.chunks, self.available, self.parts = "", 1, {}, 0, nil
  self:set_timer("close", self.opts.close_timeout or 2000, function()
    self:finish(code, reason)
  end)
  self:write(frame(OP.CLOSE, big_endian(code, 2) .. sub(reason, 1, 123)))
end

---@private
---@param data string
---@return boolean ok
---@return string? err
function WebSocket:write(data)
  local socket = self.socket
  if not socket or socket:is_closing() then
    return false, "the connection is closed"
  end
  local ok, message = socket:write(data, function(err)
    if err then
      self:finish(M.CLOSE.ABNORMAL, err)
    end
  end)
  return ok ~= nil, message
end

--- Takes the next `n` bytes, which must be there. Chunks are joined only when a whole unit has arrived, so that a
--- message costs one copy however many pieces it comes in.
---@private
---@param n integer
---@return string
function WebSocket:take(n)
  local left = #self.buffer - self.at + 1
  if left < n then
    table.insert(self.chunks, 1, sub(self.buffer, self.at))
    self.buffer = table.concat(self.chunks)
    self.chunks = {}
    self.at = 1
  end
  local data = sub(self.buffer, self.at, self.at + n - 1)
  self.at = self.at + n
  self.available = self.available - n
  if self.at > #self.buffer then
    self.buffer, self.at = "", 1
    if #self.chunks > 0 then
      self.buffer = table.concat(self.chunks)
      self.chunks = {}
    end
  end
  return data
end

---@private
---@param payload string
function WebSocket:on_close_frame(payload)
  local code, reason = M.CLOSE.NO_STATUS, ""
  if #payload == 1 then
    return self:fail(M.CLOSE.PROTOCOL, "close frame of one byte")
  end
  if #payload >= 2 then
    code = byte(payload, 1) * 256 + byte(payload, 2)
    reason = sub(payload, 3)
    if not is_valid_close(code) then
      return self:fail(M.CLOSE.PROTOCOL, "close code that must not be sent")
    end
    if not M.is_utf8(reason) then
      return self:fail(M.CLOSE.INVALID_DATA, "close reason that is not UTF-8")
    end
  end
  self.close_code, self.close_reason = code, reason
  if self.state == "open" then
    self.state = "closing"
    local echo = #payload >= 2 and sub(payload, 1, 2) or ""
    self:write(frame(OP.CLOSE, echo))
  end
  -- The server is to close the connection first (§7.1.1).
  self:set_timer("close", self.opts.close_timeout or 2000, function()
    self:finish(code, reason)
  end)
end

---@private
---@param opcode integer
---@param final boolean
---@param payload string
function WebSocket:on_data_frame(opcode, final, payload)
  if opcode ~= OP.CONTINUATION then
    self.parts, self.parts_size, self.parts_opcode = {}, 0, opcode
  end
  self.parts[#self.parts + 1] = payload
  self.parts_size = self.parts_size + #payload
  if not final then
    return
  end
  local text = #self.parts == 1 and payload or table.concat(self.parts)
  self.parts = nil
  if self.parts_opcode == OP.BINARY then
    return self:fail(M.CLOSE.UNSUPPORTED, "text messages only")
  end
  if not M.is_utf8(text) then
    return self:fail(M.CLOSE.INVALID_DATA, "text that is not UTF-8")
  end
  self.opts.on_message(text)
end

--- Reads one frame from what has arrived (§5.2).
---@private
---@return boolean whether there may be another
function WebSocket:read_frame()
  local header = self.header
  if not header then
    if self.available < 2 then
      return false
    end
    local first, second = byte(self:take(2), 1, 2)
    local length = band(second, 127)
    header = {
      final = first >= 128,
      opcode = band(first, 15),
      length = length,
      more = length == 126 and 2 or length == 127 and 8 or 0,
    }
    local opcode, control = header.opcode, header.opcode >= 8
    if band(first, 0x70) ~= 0 then
      self:fail(M.CLOSE.PROTOCOL, "reserved bits without an extension")
    elseif second >= 128 then
      self:fail(M.CLOSE.PROTOCOL, "masked frame from a server")
    elseif opcode > OP.PONG or (opcode > OP.BINARY and opcode < OP.CLOSE) then
      self:fail(M.CLOSE.PROTOCOL, "unknown opcode")
    elseif control and not header.final then
      self:fail(M.CLOSE.PROTOCOL, "fragmented control frame")
    elseif control and length > 125 then
      self:fail(M.CLOSE.PROTOCOL, "control frame over 125 bytes")
    elseif opcode == OP.CONTINUATION and not self.parts then
      self:fail(M.CLOSE.PROTOCOL, "continuation of no message")
    elseif (opcode == OP.TEXT or opcode == OP.BINARY) and self.parts then
      self:fail(M.CLOSE.PROTOCOL, "new message inside a fragmented one")
    end
    if self.failed or self.state == "closed" then
      return false
    end
    self.header = header
  end
  if header.more > 0 then
    if self.available < header.more then
      return false
    end
    local bytes = self:take(header.more)
    local length = 0
    for i = 1, #bytes do
      length = length * 256 + byte(bytes, i)
    end
    if (header.more == 2 and length < 126) or (header.more == 8 and length < 65536) then
      self:fail(M.CLOSE.PROTOCOL, "length not in its shortest form")
      return false
    end
    header.length, header.more = length, 0
  end
  if header.opcode < OP.CLOSE then
    local size = header.length + (header.opcode == OP.CONTINUATION and self.parts_size or 0)
    if size > self.max_message then
      self:fail(M.CLOSE.TOO_BIG, ("message over %d bytes"):format(self.max_message))
      return false
    end
  end
  if self.available < header.length then
    return false
  end
  local payload = header.length == 0 and "" or self:take(header.length)
  self.header = nil
  if header.opcode == OP.PING then
    -- Only the latest ping needs an answer (§5.5.3): a peer that pings without reading is not queued for.
    if self.state == "open" and self.socket:get_write_queue_size() < 65536 then
      self:write(frame(OP.PONG, payload))
    end
  elseif header.opcode == OP.CLOSE then
    self:on_close_frame(payload)
    return false
  elseif header.opcode ~= OP.PONG then
    -- After our own close, data still on its way is of no interest.
    if self.state == "open" then
      self:on_data_frame(header.opcode, header.final, payload)
    end
  end
  -- After our own close frame only the peer's is awaited; after the peer's, nothing.
  return self.state == "open" or (self.state == "closing" and not self.close_code)
end

---@private
---@param data string
function WebSocket:on_bytes(data)
  self.heard = vim.uv.now()
  self:stop_timer("pong")
  if self.failed or self.close_code then
    return
  end
  if self.buffer == "" then
    self.buffer, self.at = data, 1
  else
    self.chunks[#self.chunks + 1] = data
  end
  self.available = self.available + #data
  while self:read_frame() do
  end
end

---@private
function WebSocket:keep_alive()
  local interval = self.opts.ping_interval or 20000
  self:set_timer("ping", interval, function()
    if self.state ~= "open" then
      return
    end
    if not self.paused and not self.timers.pong and vim.uv.now() - self.heard >= interval then
      self:write(frame(OP.PING, ""))
      self:set_timer("pong", self.opts.pong_timeout or 10000, function()
        self:finish(M.CLOSE.ABNORMAL, "ETIMEDOUT: the server stopped answering")
      end)
    end
    self:keep_alive()
  end)
end

--- Checks the server's answer to the upgrade (§4.1).
---@param head string
---@param key string
---@return string? problem
local function check_handshake(head, key)
  local status, headers = http.parse_head(head)
  if not status then
    return "the answer is not HTTP"
  end
  if status ~= 101 then
    return ("the upgrade was refused with status %d"):format(status)
  end
  if (headers.upgrade or ""):lower() ~= "websocket" then
    return "the answer does not upgrade to websocket"
  end
  local connection = "," .. (headers.connection or ""):lower():gsub("%s", "") .. ","
  if not connection:find(",upgrade,", 1, true) then
    return "the answer does not upgrade the connection"
  end
  local expected = vim.base64.encode(sha256.sha1_raw(key .. GUID))
  if headers["sec-websocket-accept"] ~= expected then
    return "Sec-WebSocket-Accept does not answer this request"
  end
  if headers["sec-websocket-extensions"] then
    return "the server chose an extension that was not offered"
  end
  if headers["sec-websocket-protocol"] then
    return "the server chose a protocol that was not offered"
  end
end

--- What asks for the handshake, or why it cannot be asked for.
---@param opts SuggestionReview.WebSocketOpts
---@param key string
---@return string? text
---@return string? problem
local function request_text(opts, key)
  local lines = {
    ("GET %s HTTP/1.1"):format(opts.path),
    "Host: " .. tcp.authority(opts.host, opts.port),
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: " .. key,
    "Sec-WebSocket-Version: 13",
  }
  return tcp.request_head(lines, opts.headers)
end

---@private
---@param socket uv.uv_tcp_t
function WebSocket:handshake(socket)
  local opts = self.opts
  local key = vim.base64.encode(assert(vim.uv.random(16)))
  local asked, unfit = request_text(opts, key)
  if not asked then
    return self:finish(M.CLOSE.ABNORMAL, unfit --[[@as string]])
  end
  local answer = ""
  local refusal
  self.on_read = function(err, data)
    if self.state == "closed" then
      return
    end
    if self.state ~= "connecting" then
      if err then
        return self:finish(self.close_code or M.CLOSE.ABNORMAL, self.close_reason or err)
      end
      if not data then
        return self:finish(
          self.close_code or M.CLOSE.ABNORMAL,
          self.close_reason or "ECONNRESET: the connection was closed without a close frame"
        )
      end
      return self:on_bytes(data)
    end
    if err then
      return self:finish(M.CLOSE.ABNORMAL, err)
    end
    if data then
      answer = answer .. data
    end
    local _, stop = answer:find("\r\n\r\n", 1, true)
    if not stop then
      if not data then
        return self:finish(M.CLOSE.ABNORMAL, "the connection was closed during the handshake")
      end
      if #answer > 16384 then
        self:finish(M.CLOSE.ABNORMAL, "the handshake's answer is too long")
      end
      return
    end
    local head = sub(answer, 1, stop)
    local problem = refusal or check_handshake(head, key)
    if problem then
      refusal = problem
      local status, headers = http.parse_head(head)
      local body = sub(answer, stop + 1)
      local length = tonumber(headers["content-length"]) or 0
      -- The body says why; waiting for it is bounded by its length, 16 kB and the handshake's deadline.
      if status and status ~= 101 and data and #body < math.min(length, 16384) then
        return
      end
      if status and status ~= 101 and opts.on_refused then
        opts.on_refused(status, headers, body)
      end
      return self:finish(M.CLOSE.ABNORMAL, problem)
    end
    self:stop_timer("handshake")
    self.state = "open"
    self.heard = vim.uv.now()
    self:keep_alive()
    opts.on_open()
    if self.state == "open" and #answer > stop then
      self:on_bytes(sub(answer, stop + 1))
    end
  end
  socket:read_start(self.on_read)
  local ok, message = socket:write(asked)
  if not ok then
    self:finish(M.CLOSE.ABNORMAL, message or "could not write")
  end
end

--- Sends a text message.
---@param text string
---@return boolean ok
---@return string? err
function WebSocket:send(text)
  if self.state ~= "open" then
    return false, "the connection is not open"
  end
  local queued = self.socket:get_write_queue_size()
  if queued > 0 and queued + #text > (self.opts.max_queue or 16 * 1024 * 1024) then
    return false, ("%d bytes already wait to be sent"):format(queued)
  end
  return self:write(frame(OP.TEXT, text))
end

--- Stops reading: the peer feels it as back-pressure. Messages already read are still delivered.
function WebSocket:pause()
  if self.paused or not self.socket or self.state ~= "open" then
    return
  end
  self.paused = true
  self.socket:read_stop()
  self:stop_timer("pong")
end

function WebSocket:resume()
  if not self.paused or not self.socket then
    return
  end
  self.paused = nil
  self.heard = vim.uv.now()
  self.socket:read_start(self.on_read)
end

--- Closes in good order: the peer's answer is waited for, but not for long.
---@param code? integer
---@param reason? string
function WebSocket:close(code, reason)
  if self.state == "closed" or self.state == "closing" then
    return
  end
  if self.state == "connecting" then
    return self:finish(M.CLOSE.ABNORMAL, reason or "given up")
  end
  self.state = "closing"
  self:write(frame(OP.CLOSE, big_endian(code or M.CLOSE.NORMAL, 2) .. sub(reason or "", 1, 123)))
  self:set_timer("close", self.opts.close_timeout or 2000, function()
    self:finish(self.close_code or code or M.CLOSE.NORMAL, self.close_reason or reason or "")
  end)
end

--- Drops the connection at once.
function WebSocket:destroy()
  self:finish(M.CLOSE.ABNORMAL, "dropped")
end

---@param opts SuggestionReview.WebSocketOpts
---@return SuggestionReview.WebSocket
function M.connect(opts)
  local self = setmetatable({
    state = "connecting",
    opts = opts,
    max_message = opts.max_message or 4 * 1024 * 1024,
    buffer = "",
    at = 1,
    chunks = {},
    available = 0,
    parts = nil,
    parts_size = 0,
    timers = {},
    heard = 0,
  }, WebSocket)
  local timeout = opts.connect_timeout or 5000
  self:set_timer("handshake", timeout, function()
    self:finish(M.CLOSE.ABNORMAL, "ETIMEDOUT: no handshake within " .. timeout .. " ms")
  end)
  if opts.socket then
    self.socket = opts.socket
    self:handshake(opts.socket)
    return self
  end
  self.cancel = tcp.connect(opts.host, opts.port, timeout, function(err, socket)
    self.cancel = nil
    if err then
      return self:finish(M.CLOSE.ABNORMAL, err)
    end
    if self.state ~= "connecting" then
      return socket:close()
    end
    self.socket = socket
    self:handshake(socket)
  end)
  return self
end

return M
