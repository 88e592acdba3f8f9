--- A small HTTP/1.1 GET on `vim.uv`, for the health check: status, headers and a bounded body, one connection each.
local tcp = require("suggestion-review.connection.tcp")

local M = {}

---@class SuggestionReview.HttpResponse
---@field status integer
---@field headers table<string, string> names in lower case
---@field body string
---@field peer? string address that the connection really goes to, such as `127.0.0.1:4097`

local MAX_HEAD = 64 * 1024

--- Decodes a body sent in chunks (RFC 9112 §7.1) as far as it has come.
---@param text string
---@return string? body nil while it is incomplete
---@return string? err
local function dechunk(text)
  local parts, at = {}, 1
  while true do
    local line_end = text:find("\r\n", at, true)
    if not line_end then
      return nil
    end
    local size = tonumber(text:sub(at, line_end - 1):match("^%x+"), 16)
    if not size then
      return nil, "malformed chunk"
    end
    if size == 0 then
      return table.concat(parts)
    end
    if #text < line_end + 1 + size + 2 then
      return nil
    end
    parts[#parts + 1] = text:sub(line_end + 2, line_end + 1 + size)
    at = line_end + 2 + size + 2
  end
end

--- Splits a response head. Shared with the WebSocket handshake.
---@param head string up to the blank line
---@return integer? status
---@return table<string, string> headers
function M.parse_head(head)
  local status = tonumber(head:match("^HTTP/1%.[01] (%d%d%d)"))
  local headers = {}
  for line in head:gmatch("\r\n([^\r\n]+)") do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):%s*(.-)%s*$")
    if name then
      name = name:lower()
      headers[name] = headers[name] and (headers[name] .. ", " .. value) or value
    end
  end
  return status, headers
end

---@class SuggestionReview.HttpRequest
---@field host string
---@field port integer
---@field path string
---@field headers? table<string, string>
---@field timeout? integer ms (5,000)
---@field max_body? integer bytes (1 MB)
---@field keep? boolean leave the connection open for another exchange

--- What is sent, or why it cannot be.
---@param request SuggestionReview.HttpRequest
---@return string? text
---@return string? problem
local function request_text(request)
  local lines = {
    ("GET %s HTTP/1.1"):format(request.path),
    "Host: " .. tcp.authority(request.host, request.port),
    "Accept: application/json",
  }
  if not request.keep then
    lines[#lines + 1] = "Connection: close"
  end
  return tcp.request_head(lines, request.headers)
end

--- An answer as far as it has come.
---@class (exact) SuggestionReview.HttpAnswer
---@field text string
---@field status? integer
---@field headers? table<string, string>
---@field body_at? integer where the body begins, once the head is whole

--- Reads the head of an answer, once it is whole.
---@param answer SuggestionReview.HttpAnswer
---@param ended boolean nothing more will come
---@return string? problem
local function look_at_head(answer, ended)
  local _, stop = answer.text:find("\r\n\r\n", 1, true)
  if not stop then
    if #answer.text > MAX_HEAD then
      return "the answer's head is too long"
    end
    return ended and "the connection was closed before an answer came" or nil
  end
  answer.status, answer.headers = M.parse_head(answer.text:sub(1, stop))
  if not answer.status then
    return "the answer is not HTTP"
  end
  answer.body_at = stop + 1
end

--- Whether an answer is whole, or never will be.
---@param answer SuggestionReview.HttpAnswer
---@param max_body integer
---@param ended boolean nothing more will come
---@return boolean done
---@return string? problem
---@return SuggestionReview.HttpResponse? response
---@return boolean? kept the connection may be used again
local function look(answer, max_body, ended)
  if not answer.body_at then
    local problem = look_at_head(answer, ended)
    if problem or not answer.body_at then
      return problem ~= nil, problem
    end
  end
  local text, body_at = answer.text, answer.body_at --[[@as integer]]
  local headers = answer.headers --[[@as table<string, string>]]
  if #text - body_at > max_body + 4096 then
    return true, "the answer is too long"
  end
  local kept = not ended and not (headers.connection or ""):lower():find("close", 1, true)
  local length = tonumber(headers["content-length"])
  local body, problem
  if (headers["transfer-encoding"] or ""):lower():find("chunked", 1, true) then
    body, problem = dechunk(text:sub(body_at))
  elseif length then
    if length > max_body then
      return true, "the answer is too long"
    end
    body = #text - body_at + 1 >= length and text:sub(body_at, body_at + length - 1) or nil
  elseif ended then
    body = text:sub(body_at)
  else
    return false
  end
  if body then
    return true, nil, { status = answer.status, headers = headers, body = body }, kept
  elseif problem or ended then
    return true, problem or "the answer ended early"
  end
  return false
end

--- One GET on an open connection; calls back exactly once, outside the main loop's safe context. After an answer that
--- was complete, `kept` says whether the connection may be used again.
---@param socket uv.uv_tcp_t
---@param request SuggestionReview.HttpRequest
---@param callback fun(err?: string, response?: SuggestionReview.HttpResponse, kept?: boolean)
function M.exchange(socket, request, callback)
  local timeout, max_body = request.timeout or 5000, request.max_body or 1024 * 1024
  local finished, deadline = false, nil

  local function finish(err, response, kept)
    if finished then
      return
    end
    finished = true
    tcp.stop_timer(deadline)
    if not socket:is_closing() then
      local peer = response and socket:getpeername()
      if peer then
        response.peer = tcp.authority(peer.ip, peer.port)
      end
      socket:read_stop()
    end
    callback(err, response, kept)
  end

  local asked, problem = request_text(request)
  if not asked then
    return finish(problem)
  end
  local ok, message = socket:write(asked)
  if not ok then
    return finish(message)
  end

  local answer = { text = "" }
  deadline = tcp.timer(timeout, function()
    finish("ETIMEDOUT: no answer within " .. timeout .. " ms")
  end)
  socket:read_start(function(err, data)
    if finished then
      return
    end
    if err then
      return finish(err)
    end
    -- The answers read here are small; `max_body` bounds what this adds up to.
    if data then
      answer.text = answer.text .. data
    end
    local done, broken, response, kept = look(answer, max_body, data == nil)
    if done then
      finish(broken, response, kept)
    end
  end)
end

--- One GET on a connection of its own.
---@param request SuggestionReview.HttpRequest
---@param callback fun(err?: string, response?: SuggestionReview.HttpResponse)
function M.get(request, callback)
  tcp.connect(request.host, request.port, request.timeout or 5000, function(err, socket)
    if err then
      return callback(err)
    end
    M.exchange(socket, request, function(failed, response)
      if not socket:is_closing() then
        socket:close()
      end
      callback(failed, response)
    end)
  end)
end

return M
