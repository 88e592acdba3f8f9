--- Commands of a connection: each gets its answer, a time-out, or the word that the line broke. Methods of
--- |SuggestionReview.Client|, put there by `link.lua`.
local log = require("suggestion-review.say.log")
local notify = require("suggestion-review.say.notify")
local tcp = require("suggestion-review.connection.tcp")

---@class SuggestionReview.Error
---@field message string one sentence for people
---@field code SuggestionReview.ErrorCode|"disconnected"|"timeout"|"refused"|"malformed"|"local"|string
---@field details? table

---@class SuggestionReview.Pending a command whose answer is awaited
---@field id integer
---@field type string
---@field text string
---@field callback fun(err?: SuggestionReview.Error, data?: table)
---@field timer uv.uv_timer_t
---@field patience? uv.uv_timer_t runs out when the answer takes longer than one expects
---@field late? boolean it took longer
---@field lasting boolean carries a request id: sent again after a reconnect
---@field sent boolean
---@field raw? boolean part of connecting: not counted, not sent again

---@class SuggestionReview.Client
local Commands = {}

--- The server takes 64 commands at once and messages up to 1 MB.
local MAX_IN_FLIGHT = 32
local MAX_COMMAND = 1024 * 1024
--- After this long without an answer it is said that there is none yet (ms).
local PATIENCE = 1000

local last_id = 0

--- A command is answered late, or is not any more.
---@private
---@param pending SuggestionReview.Pending
---@param late boolean
function Commands:mark_late(pending, late)
  if (pending.late == true) == late then
    return
  end
  pending.late = late
  self.unanswered = self.unanswered + (late and 1 or -1)
  if self.unanswered == 0 or (late and self.unanswered == 1) then
    self:tell()
  end
end

--- Gives a command its answer.
---@param id integer
---@param err? SuggestionReview.Error
---@param data? table
function Commands:settle(id, err, data)
  local pending = self.pending[id]
  if not pending then
    return
  end
  self.pending[id] = nil
  tcp.stop_timer(pending.timer)
  tcp.stop_timer(pending.patience)
  if pending.sent and not pending.raw then
    self.in_flight = self.in_flight - 1
  end
  self:mark_late(pending, false)
  local ok, message = xpcall(pending.callback, debug.traceback, err, data)
  if not ok then
    log.error("callback: %s", message)
    notify.failure(message)
  end
  self:send_waiting()
end

--- Takes in an answer as it came.
---@param message table
function Commands:answered(message)
  local pending = self.pending[message.id]
  if not pending then
    if message.id == nil then
      log.warn("%s: %s", self.server.name, tostring(message.error or "answer without id"))
    end
    return
  elseif not message.success then
    return self:settle(pending.id, {
      code = type(message.code) == "string" and message.code or "internal",
      message = type(message.error) == "string" and message.error or "The server gave no reason",
      details = type(message.details) == "table" and message.details or nil,
    })
  end
  local data = message.data == nil and {} or message.data
  local problem = type(data) ~= "table" and "data: expected an object, got " .. type(data)
    or self.inlet.answer_problem(pending.type, data)
  if problem then
    log.error("%s: malformed answer to %s: %s", self.server.name, pending.type, problem)
    -- What became of the command is open, as where no answer came.
    return self:settle(pending.id, {
      code = "malformed",
      message = ("%s gave an answer to “%s” that is not understood (%s)"):format(
        self.server.name,
        pending.type,
        problem
      ),
    })
  end
  self:settle(pending.id, nil, data)
end

---@private
function Commands:send_waiting()
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

--- Sends again what was under way when the connection broke; its request id makes that harmless.
function Commands:send_again()
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
end

--- The connection broke: what carries no request id gets no answer any more.
---@param all boolean nothing is sent again
function Commands:broke(all)
  for id, pending in pairs(self.pending) do
    if not pending.lasting or all then
      self:settle(id, { code = "disconnected", message = "The connection broke before the answer came" })
    else
      pending.sent = false
    end
  end
  self.waiting, self.in_flight = {}, 0
end

---@private
---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
---@param timeout integer
---@return SuggestionReview.Pending?
function Commands:enter(command, callback, timeout)
  last_id = last_id + 1
  local id = last_id
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
    type = command.type,
    text = text,
    callback = callback,
    lasting = (request.requestId or request.request_id) ~= nil,
    sent = false,
  }
  pending.timer = tcp.timer(
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
---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
function Commands:raw_request(command, callback)
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
    -- Over a connection that is there: nobody else notices.
    self:settle(pending.id, { code = self.socket and "local" or "disconnected", message = err })
  end
end

---@param command table
---@param callback fun(err?: SuggestionReview.Error, data?: table)
---@param opts? { timeout?: integer } a time-out of its own says that the answer is known to take a while
function Commands:request(command, callback, opts)
  -- Who is told that the connection broke may ask again before the state says so too.
  local broken = self.state == "connected" and not self.socket
  if self.state ~= "connected" or broken then
    vim.schedule(function()
      callback({ code = "disconnected", message = broken and "The connection broke" or self:describe() })
    end)
    return
  end
  local own = opts and opts.timeout
  local pending =
    self:enter(command, callback, own or require("suggestion-review.config").get().request_timeout)
  if not pending then
    return
  end
  if not own then
    pending.patience = tcp.timer(
      PATIENCE,
      vim.schedule_wrap(function()
        if self.pending[pending.id] then
          self:mark_late(pending, true)
        end
      end)
    )
  end
  table.insert(self.waiting, pending.id)
  self:send_waiting()
end

return Commands
