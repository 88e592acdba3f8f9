--- Opens TCP connections on `vim.uv`: every address of a name in turn, one deadline over all of it.

local M = {}

---@param timer uv.uv_timer_t?
local function stop(timer)
  if timer and not timer:is_closing() then
    timer:stop()
    timer:close()
  end
end
M.stop_timer = stop

--- Calls `callback` once after `ms`, outside the main loop's safe context.
---@param ms integer
---@param callback fun()
---@return uv.uv_timer_t
function M.timer(ms, callback)
  local timer = assert(vim.uv.new_timer())
  timer:start(ms, 0, function()
    stop(timer)
    callback()
  end)
  return timer
end

---@param host string
---@return string bracketed when it is an IPv6 address
function M.authority(host, port)
  if host:find(":", 1, true) then
    host = "[" .. host:gsub("[%[%]]", "") .. "]"
  end
  return ("%s:%d"):format(host, port)
end

--- Connects and calls back exactly once, with an error or with an open socket; returns a function that gives up.
---@param host string name or address
---@param port integer
---@param timeout integer ms
---@param callback fun(err?: string, socket?: uv.uv_tcp_t)
---@return fun() cancel
function M.connect(host, port, timeout, callback)
  local uv = vim.uv
  local finished = false
  ---@type uv.uv_tcp_t?
  local trying
  ---@type uv.uv_timer_t?
  local deadline

  local function finish(err, socket)
    if finished then
      if socket and not socket:is_closing() then
        socket:close()
      end
      return
    end
    finished = true
    stop(deadline)
    callback(err, socket)
  end

  local function try(addresses, index, last_error)
    local address = addresses[index]
    if finished then
      return
    end
    if not address then
      return finish(last_error or "no address")
    end
    local socket = assert(uv.new_tcp())
    trying = socket
    local ok, message = socket:connect(address.addr, port, function(err)
      if finished or err then
        if not socket:is_closing() then
          socket:close()
        end
        return try(addresses, index + 1, err)
      end
      socket:nodelay(true)
      finish(nil, socket)
    end)
    if not ok then
      if not socket:is_closing() then
        socket:close()
      end
      try(addresses, index + 1, message)
    end
  end

  deadline = M.timer(timeout, function()
    if trying and not trying:is_closing() then
      trying:close()
    end
    finish("ETIMEDOUT: no connection within " .. timeout .. " ms")
  end)
  local plain = host:gsub("[%[%]]", "")
  local request, message = uv.getaddrinfo(plain, nil, { socktype = "stream" }, function(err, addresses)
    if err or not addresses then
      return finish(err or "the name was not found")
    end
    try(addresses, 1)
  end)
  if not request then
    finish(message)
  end

  return function()
    if finished then
      return
    end
    finished = true
    stop(deadline)
    if trying and not trying:is_closing() then
      trying:close()
    end
  end
end

--- `connect ECONNREFUSED` and its like as a clause for people.
---@param err string
---@return string
function M.explain(err)
  if err:find("ECONNREFUSED") then
    return "nothing listens there"
  end
  if err:find("ETIMEDOUT") then
    return "it did not answer in time"
  end
  if err:find("ENOTFOUND") or err:find("EAI_") then
    return "the host name is not known"
  end
  if err:find("ECONNRESET") or err:find("EPIPE") then
    return "the connection was cut"
  end
  return err
end

--- The head of an HTTP request.
---@param lines string[] the request line and headers of the door's own
---@param headers? table<string, string> further ones
---@return string? text
---@return string? reason why a header cannot be sent
function M.request_head(lines, headers)
  for name, value in pairs(headers or {}) do
    if (name .. value):find("[\r\n%z]") then
      return nil, "a header holds a line break"
    end
    lines[#lines + 1] = ("%s: %s"):format(name, value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

return M
