--- Events of a connection: taken in in the journal's order, each once, a few milliseconds of work at a time. One that
--- is malformed ends the connection, which resumes before it; one that stays malformed is passed over and said. Methods
--- of |SuggestionReview.Client|, put there by `link.lua`.
local log = require("suggestion-review.say.log")
local notify = require("suggestion-review.say.notify")

--- What is added to an event on its way in.
---@class SuggestionReview.Event
---@field server? string name of the server
---@field replayed? boolean it happened while this client was away

---@class SuggestionReview.Client
local Journal = {}

local DECODE = { luanil = { object = true, array = true } }
local INBOX_HIGH = 8 * 1024 * 1024
--- Time spent on messages before the editor gets its turn.
local DRAIN_NS = 6e6
--- How often an event that is malformed is asked for before it is passed over.
local TRIES = 3

--- Asks for the events after the last one taken in.
---@param callback? fun(data: table)
function Journal:subscribe(callback)
  self.gap_at = nil
  self:raw_request({ type = "subscribe", since = self.last_seq }, function(err, data)
    if not err then
      if callback then
        callback(data)
      end
      return
    end
    if err.code == "disconnected" then
      -- Whoever ended the connection goes on from there: a second retry would count the failure twice, or undo a stop.
      return
    end
    local last = err.details and err.details.last_seq
    if type(last) == "number" and last % 1 == 0 and last >= 0 and last < self.last_seq then
      -- The journal is shorter than what was seen of it: another ledger. Start over with what it holds now.
      log.warn("%s: its journal starts anew", self.server.name)
      self.inlet.forget(self.server.name)
      self.last_seq = last
      return self:subscribe(callback)
    end
    self:closed(1002, err.message)
  end)
end

--- Asks to be told what the agent does, from where it was told of last. A server without that says so, and is let be.
function Journal:watch()
  self:raw_request({ type = "watch", since = self.activity_seen }, function(err, data)
    if not err then
      self.activity_seen = self.activity_seen or data.last
      return self.inlet.watching(self.server.name, data.last)
    elseif err.code == "invalid_request" and err.details and err.details.last and self.activity_seen then
      -- It ends before what was seen of it: another ledger.
      self.activity_seen = nil
      self.inlet.forget_activity(self.server.name)
      return self:watch()
    end
    log.info("%s: what the agent does is not told: %s", self.server.name, err.message)
  end)
end

--- One form of what the agent does. It is no event of the journal, and has numbers of its own.
---@private
---@param message table
function Journal:activity(message)
  local problem = self.inlet.activity_problem(message.entry)
  if problem then
    return log.warn("%s: activity that is not understood: %s", self.server.name, problem)
  end
  self.activity_seen = math.max(self.activity_seen or 0, message.entry.number)
  self.inlet.activity(self.server.name, message.entry)
end

--- Lists the open suggestions, page by page, and hands them on.
---@param callback? fun(err?: SuggestionReview.Error)
function Journal:list(callback)
  local all = {}
  local function page(offset)
    self:raw_request({ type = "list", status = "open", limit = 100, offset = offset }, function(err, data)
      if err then
        if err.code == "malformed" then
          self:closed(1007, err.message)
        end
        return callback and callback(err)
      end
      vim.list_extend(all, data.suggestions)
      -- A page that leads nowhere further is the last.
      if data.next and data.next > offset then
        return page(data.next)
      end
      if #data.suggestions == 100 and data.total and #all < data.total then
        return page(#all)
      end
      self.inlet.reset(self.server.name, all)
      if callback then
        callback()
      end
    end)
  end
  page(0)
end

--- Takes a message off the socket; the work is done on the main loop, a few milliseconds at a time.
---@param text string
function Journal:received(text)
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
function Journal:drain()
  local generation, inbox = self.generation, self.inbox
  local stop = vim.uv.hrtime() + DRAIN_NS
  local done = 0
  for index, text in ipairs(inbox) do
    done = index
    self.inbox_bytes = self.inbox_bytes - #text
    local ok, message = xpcall(self.handle, debug.traceback, self, text)
    if not ok then
      log.error("%s: %s", self.server.name, message)
      notify.failure(message)
    end
    if generation ~= self.generation then
      self.draining = #self.inbox > 0
      if self.draining then
        vim.schedule(function()
          self:drain()
        end)
      end
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

--- A message without a number is no event of the journal: passing it over loses nothing, since an event that should
--- have stood in its place is missed at the next one, and asked for.
---@private
---@param text string
function Journal:handle(text)
  local ok, message = pcall(vim.json.decode, text, DECODE)
  if not ok or type(message) ~= "table" or type(message.type) ~= "string" then
    return log.warn("%s: message that is not understood", self.server.name)
  elseif message.type == "response" then
    return self:answered(message)
  elseif message.type == "agent.activity" then
    return self:activity(message)
  elseif type(message.seq) ~= "number" or message.seq % 1 ~= 0 or not self.last_seq then
    return
  end
  self:event(message)
end

---@private
---@param event SuggestionReview.Event
function Journal:event(event)
  local expected = self.last_seq + 1
  if event.seq < expected then
    return
  end -- sent again by a replay
  if event.seq > expected then
    if self.gap_at == self.last_seq then
      return
    end -- asked for already
    if self.gap_seen ~= self.last_seq then
      log.warn("%s: gap after event %d", self.server.name, self.last_seq)
      local at = self.last_seq
      self:subscribe(function()
        self.gap_seen = at
        self.gap_at = nil
      end)
      self.gap_at = at
      return
    end
    -- The journal itself lacks these: go on from here, with a list that is right by itself.
    log.error("%s: events %d to %d are missing", self.server.name, expected, event.seq - 1)
    self.last_seq = event.seq - 1
    self:list()
  end
  local problem = self.inlet.event_problem(event)
  if not problem then
    local ok, message = xpcall(self.take_in, debug.traceback, self, event)
    problem = not ok and message or nil
  end
  if problem then
    return self:malformed(event, problem)
  end
  self.last_seq = event.seq
  self.bad = nil
end

---@private
---@param event SuggestionReview.Event
function Journal:take_in(event)
  event.server = self.server.name
  if event.project then
    self.projects[event.project] = true
  end
  if self.replay_until and event.seq <= self.replay_until then
    event.replayed = true
  end
  self.inlet.apply(event)
end

--- The event is not what it claims to be. The connection is dropped and made anew, which brings the event again as the
--- journal has it; where it stays as it is, the journal is read on behind it, and the list tells what it was about.
---@private
---@param event SuggestionReview.Event
---@param problem string
function Journal:malformed(event, problem)
  local name = self.server.name
  local tries = self.bad and self.bad.seq == event.seq and self.bad.tries + 1 or 1
  self.bad = { seq = event.seq, tries = tries }
  log.error("%s: event %d (%s) is malformed, try %d: %s", name, event.seq, event.type, tries, problem)
  if tries < TRIES then
    local first = problem:match("^[^\n]*")
    return self:closed(1007, ("its event %d is malformed (%s)"):format(event.seq, first), tries == 1)
  end
  self.bad = nil
  self.last_seq = event.seq
  self.passed_over = (self.passed_over or 0) + 1
  if self.passed_over == 1 then
    notify.warn(
      ("%s sent an event that is malformed (%s); it was passed over. More of them are in :Suggest log"):format(
        name,
        problem:match("^[^\n]*")
      )
    )
  end
  self:list()
end

return Journal
