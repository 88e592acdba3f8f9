--- The Neovim that is driven, from the outside: keys are typed into it, and it is asked what it shows. Never waits for
--- ever where a key ends in a question.
local child = require("child")

local M = {}

---@class RandomDriven
---@field nvim Child
---@field pid integer
---@field back integer channel of this Neovim over there
---@field is_up fun(): boolean whether the server runs
---@field last_event fun(): integer|nil the number of the server's last event
local Driven = {}
Driven.__index = Driven

--- Answers of the Neovim that is driven, by number.
---@type table<integer, { ok: boolean, value: any }>
local answers = {}
local asked = 0

--- In this Neovim, called by the one that is driven.
function _G.random_answer(number, ok, value)
  answers[number] = { ok = ok, value = value }
end

--- What the Neovim that is driven has taken of what was typed.
local taken = { bytes = 0, ready = true }

--- In this Neovim, called by the one that is driven.
function _G.random_taken(bytes, ready)
  taken.bytes, taken.ready = bytes, ready
end

local ANSWER = [[
  local channel, number, code, arguments = ...
  local ok, value = pcall(assert(loadstring(code)), unpack(arguments))
  vim.rpcnotify(channel, "nvim_exec_lua", "_G.random_answer(...)", { number, ok, value })
]]

---@return { where: string, mode: string, blocking: true }|nil
function Driven:_asks()
  local mode = vim.rpcrequest(self.nvim.channel, "nvim_get_mode")
  local where = ({ ["r?"] = "confirm", r = "prompt", rm = "prompt" })[mode.mode]
  -- A question with letters to choose from is a command line of one key, which takes requests like any other.
  if mode.blocking or where then
    -- In any other mode it is at work on a key.
    where = where or "busy"
    return { where = where, mode = mode.mode, blocking = true }
  end
end

--- Runs Lua in Neovim. A request would wait for ever where a key that is being worked on ends in a question.
---@param code string
---@return any value
---@return table|nil asks what it waits for instead of answering
function Driven:ask(code, ...)
  asked = asked + 1
  local number = asked
  vim.rpcnotify(self.nvim.channel, "nvim_exec_lua", ANSWER, { self.back, number, code, { ... } })
  local asks
  vim.wait(30000, function()
    asks = not answers[number] and self:_asks() or nil
    return answers[number] ~= nil or asks ~= nil and asks.where ~= "busy"
  end, 5)
  local answer = answers[number]
  answers[number] = nil
  if not answer then
    return nil, asks or { where = "busy", mode = "?", blocking = true }
  elseif not answer.ok then
    error(answer.value)
  end
  return answer.value
end

--- What Neovim shows and holds; while it waits in a question there is no more than that.
---@return table
function Driven:look()
  local asks = self:_asks()
  if asks then
    return asks
  end
  local seen, instead = self:ask("return probe.look()")
  return seen or instead --[[@as table]]
end

--- Milliseconds for Neovim to take what is typed; an error in a key may make it drop the rest.
local TAKE_MS = 5000

--- Types keys, and waits until Neovim has taken them and every answer has come.
---@param keys string
---@return string|nil problem
function Driven:type(keys)
  local all = taken.bytes + #vim.keycode(keys)
  self.nvim:type(keys)
  vim.wait(TAKE_MS, function()
    return taken.bytes >= all and (taken.ready or (self:_asks() or { where = "busy" }).where ~= "busy")
  end, 2)
  return self:rest()
end

--- Milliseconds for what a key started to end; far above what it takes on a loaded machine.
local REST_MS = 30000

--- How often in succession nothing is under way when it has come to rest.
local IDLE = 3

--- Whether programs run that it started.
---@return boolean
function Driven:_has_children()
  local children = io.open(("/proc/%d/task/%d/children"):format(self.pid, self.pid))
  local pids = children and children:read("*a") or ""
  if children then
    children:close()
  end
  return pids:match("%d") ~= nil
end

--- Whether nothing is under way in what it shows: no command without an answer, no event that has not come, no program.
---@param seen table
---@return boolean
function Driven:_is_idle(seen)
  if seen.pending > 0 or seen.session and seen.session.sent > 0 or self:_has_children() then
    return false
  end
  local last = seen.connected and self.last_event()
  return not last or seen.last_event == last
end

--- Waits until what was begun has ended: a list of steps that is played again comes by the same places then.
---@return string|nil problem
function Driven:rest()
  local last, idle = nil, 0
  local ok = vim.wait(REST_MS, function()
    last = self:look()
    if last.mode == "R" then
      -- A window came under the key, which is Vim's own "r" there and waits for a character.
      self.nvim:type("<Esc>")
      return false
    elseif last.blocking then
      return last.where ~= "busy"
    end
    -- What has ended may have something begin.
    idle = self:_is_idle(last) and idle + 1 or 0
    return idle == IDLE or not self.is_up()
  end, 10)
  return not ok
      and ("without an answer: mode %s, %s commands, %s hunks, event %s of %s"):format(
        tostring(last.mode),
        tostring(last.pending),
        last.session and last.session.sent,
        tostring(last.last_event),
        tostring(self.last_event())
      )
    or nil
end

--- Starts it, with the probe in it.
---@param opts ChildOpts
---@param is_up fun(): boolean
---@param last_event fun(): integer|nil
---@return RandomDriven
function M.start(opts, is_up, last_event)
  local self = setmetatable({ nvim = child.start(opts), is_up = is_up, last_event = last_event }, Driven)
  self.pid = self.nvim:get("vim.fn.getpid()")
  self.back = vim.rpcrequest(self.nvim.channel, "nvim_get_api_info")[1]
  self:ask("probe.tell_taken(...)", self.back)
  return self
end

return M
