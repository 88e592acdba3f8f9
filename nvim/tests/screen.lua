--- A Neovim in a terminal: keys are typed into tmux, screens are read from it, state is asked over the RPC socket.
--- Everything is polled, nothing sleeps.

local doors = require("doors")
local t = require("support")

local M = {}

---@class Screen
---@field name string
---@field command string what runs in it
---@field socket string
---@field directory string
local Screen = {}
Screen.__index = Screen

local count = 0

---@param arguments string[]
---@return string
local function tmux(self, arguments)
  local command = { t.program("tmux"), "-L", self.name, "-f", "/dev/null" }
  vim.list_extend(command, arguments)
  return vim.system(command, { text = true }):wait(10000).stdout or ""
end

---@return boolean
function M.available()
  return t.program("tmux") ~= nil
end

---@param opts table cwd, init; columns, lines, file, env, nvim if not the usual ones
---@return Screen
function M.start(opts)
  count = count + 1
  local self = setmetatable({
    name = ("suggestion-review-%d-%d"):format(vim.uv.os_getpid(), count),
    directory = t.tempdir(),
  }, Screen)
  self.socket = self.directory .. "/nv.sock"
  self.nvim = opts.nvim or vim.v.progpath
  t.write(self.directory .. "/init.lua", doors.init() .. opts.init)
  local environment = {}
  for name, value in
    pairs(vim.tbl_extend("force", {
      XDG_STATE_HOME = self.directory .. "/state",
      XDG_DATA_HOME = self.directory .. "/data",
      XDG_CACHE_HOME = self.directory .. "/cache",
      HOME = self.directory,
      LANG = "C.UTF-8",
      COLORTERM = "truecolor",
    }, opts.env or {}))
  do
    environment[#environment + 1] = ("%s=%s"):format(name, vim.fn.shellescape(value))
  end
  local command = ("cd %s && exec env %s %s --clean -u %s --listen %s %s"):format(
    vim.fn.shellescape(opts.cwd),
    table.concat(environment, " "),
    vim.fn.shellescape(self.nvim),
    vim.fn.shellescape(self.directory .. "/init.lua"),
    vim.fn.shellescape(self.socket),
    opts.file and vim.fn.shellescape(opts.file) or ""
  )
  self.command = command
  tmux(self, {
    "new-session",
    "-d",
    "-x",
    tostring(opts.columns or 100),
    "-y",
    tostring(opts.lines or 30),
    command,
    ";",
    "set-option",
    "-g",
    "escape-time",
    "0",
    ";",
    "set-option",
    "-g",
    "status",
    "off",
    ";",
    "set-option",
    "-g",
    "default-terminal",
    "tmux-256color",
  }) -- stylua: ignore
  t.defer(function()
    self:stop()
  end)
  self:attach()
  return self
end

--- Waits for Neovim to be there.
function Screen:attach()
  t.wait(function()
    return vim.uv.fs_stat(self.socket)
  end, 10000, "Neovim in tmux")
  self.channel = t.wait(function()
    local ok, channel = pcall(vim.fn.sockconnect, "pipe", self.socket, { rpc = true })
    return ok and channel > 0 and channel
  end, 15000, "the RPC socket")
  t.wait(function()
    return self:lua("return vim.v.vim_did_enter") == 1
  end, 10000, "Neovim's start")
end

--- Leaves Neovim the way a person does and starts it again in the same place, with the same files.
function Screen:restart()
  tmux(self, { "set-option", "-g", "remain-on-exit", "on" })
  local channel = self.channel
  self.channel = nil
  pcall(vim.rpcrequest, channel, "nvim_command", "qall!")
  pcall(vim.fn.chanclose, channel)
  t.wait(function()
    return not vim.uv.fs_stat(self.socket)
  end, 10000, "Neovim's end")
  tmux(self, { "respawn-pane", "-k", self.command })
  self:attach()
end

--- Milliseconds a key that is still being worked on may keep Neovim from answering; a prompt stays longer.
local PROMPT_MS = 2000

--- A Neovim that shows a prompt answers no request until somebody types: its mode, which it always tells, says so.
function Screen:_refuse_prompt()
  local asked = vim.uv.now()
  while true do
    local mode = vim.rpcrequest(self.channel, "nvim_get_mode")
    if not mode.blocking then
      return
    end
    if vim.uv.now() - asked > PROMPT_MS then
      error(("Neovim waits at a prompt (mode %q); the screen:\n%s"):format(mode.mode, self:capture()), 0)
    end
    vim.wait(20)
    vim.uv.update_time()
  end
end

--- Runs Lua in it and returns its value. Fails at once, with the screen, where Neovim stands at a prompt.
---@param code string
---@param ... any
function Screen:lua(code, ...)
  self:_refuse_prompt()
  return vim.rpcrequest(self.channel, "nvim_exec_lua", code, { ... })
end

--- Types keys as a person would (tmux key names: "Escape", "Enter", "C-r").
---@param ... string
function Screen:type(...)
  for _, key in ipairs({ ... }) do
    tmux(self, { "send-keys", key })
  end
end

--- Types text literally.
---@param text string
function Screen:text(text)
  tmux(self, { "send-keys", "-l", text })
end

--- The screen as text, blanks at line ends removed.
---@return string
function Screen:capture()
  local out = tmux(self, { "capture-pane", "-p" })
  return (out:gsub("[ \t]+\n", "\n"))
end

--- The screen with its colours, as escape sequences.
---@return string
function Screen:colours()
  return tmux(self, { "capture-pane", "-p", "-e" })
end

--- Waits until the screen shows a Lua pattern (or plain text); returns the screen.
---@param what string
---@param plain? boolean
---@param timeout? integer
function Screen:wait(what, plain, timeout)
  local last = ""
  local ok = pcall(t.wait, function()
    last = self:capture()
    return last:find(what, 1, plain)
  end, timeout or 15000)
  if not ok then
    error(("waited in vain for %q on the screen:\n%s"):format(what, last), 2)
  end
  return last
end

--- Waits until `code` (Lua, run inside) returns a true value.
---@param code string
---@param timeout? integer
---@param ... any
function Screen:wait_lua(code, timeout, ...)
  local value, prompt
  local arguments = { ... }
  local ok = pcall(t.wait, function()
    local answered, answer = pcall(self.lua, self, code, unpack(arguments))
    if not answered then
      prompt = tostring(answer)
      return true
    end
    value = answer
    return value and value ~= vim.NIL
  end, timeout or 15000)
  if prompt then
    error(prompt, 2)
  elseif not ok then
    error(("waited in vain for %s; the screen:\n%s"):format(code, self:capture()), 2)
  end
  return value
end

function Screen:stop()
  if self.channel then
    pcall(vim.fn.chanclose, self.channel)
    self.channel = nil
  end
  tmux(self, { "kill-server" })
end

return M
