--- A second Neovim, driven over RPC, with a configuration of its own: what a user's start is.

local doors = require("doors")
local t = require("support")

local M = {}

---@class Child
---@field channel integer
---@field job integer?
---@field home string
---@field written string what was drawn last, as the terminal gets it
local Child = {}
Child.__index = Child

---@class ChildOpts
---@field init? string Lua for its init.lua
---@field args? string[]
---@field cwd? string
---@field env? table<string, string>
---@field home? string
---@field bare? boolean without this plugin on the runtime path
---@field ui? boolean with a terminal, as a person has it

---@param opts? ChildOpts
---@return Child
function M.start(opts)
  opts = opts or {}
  local self = setmetatable({ home = opts.home or t.tempdir(), written = "" }, Child)
  local init = self.home .. "/init.lua"
  local plugin = ([[
vim.opt.runtimepath:prepend(%q)
vim.opt.runtimepath:append(%q)
]]):format(t.root .. "/nvim", t.root .. "/nvim/after")
  t.write(
    init,
    doors.init() .. (opts.bare and "" or plugin) .. "vim.opt.swapfile = false\n" .. (opts.init or "")
  )
  local command = { vim.v.progpath, "-i", "NONE", "-u", init }
  local socket = self.home .. "/nvim.sock"
  vim.list_extend(command, opts.ui and { "--listen", socket } or { "--embed", "--headless" })
  vim.list_extend(command, opts.args or {})
  self.job = vim.fn.jobstart(command, {
    rpc = not opts.ui,
    pty = opts.ui,
    on_stdout = opts.ui and function(_, data)
      self.written = (self.written .. table.concat(data, "\n")):sub(-8000)
    end or nil,
    width = 100,
    height = 30,
    cwd = opts.cwd or self.home,
    clear_env = true,
    env = vim.tbl_extend("force", {
      HOME = self.home,
      PATH = t.root .. "/.tools/bin:" .. vim.env.PATH,
      TERM = "xterm-256color",
      GIT_CONFIG_GLOBAL = "/dev/null",
    }, opts.env or {}),
  })
  t.ok(self.job > 0, "the child did not start")
  t.defer(function()
    self:stop()
  end)
  if opts.ui then
    -- With a screen of its own, as only a terminal gives it.
    self.channel = t.wait(function()
      local ok, channel = pcall(vim.fn.sockconnect, "pipe", socket, { rpc = true })
      return ok and channel > 0 and channel
    end, 45000, "the child's socket")
  else
    self.channel = self.job
  end
  self:wait("vim.v.vim_did_enter == 1")
  return self
end

--- Runs Lua in the child; `...` are its arguments.
---@param code string
function Child:lua(code, ...)
  return vim.rpcrequest(self.channel, "nvim_exec_lua", code, { ... })
end

---@param code string an expression
function Child:get(code, ...)
  return self:lua("return " .. code, ...)
end

---@param command string
function Child:cmd(command)
  return vim.rpcrequest(self.channel, "nvim_command", command)
end

---@param keys string
function Child:type(keys)
  vim.rpcrequest(self.channel, "nvim_input", keys)
end

--- Waits until an expression in the child is true.
---@param code string
---@param timeout? integer
function Child:wait(code, timeout)
  return t.wait(function()
    local value = self:get(code)
    return value ~= vim.NIL and value
  end, timeout, code)
end

--- Waits until what the client puts off at its start has had its turn: a timer that is set now, for longer, runs out
--- later.
function Child:started()
  self:lua("vim.defer_fn(function() _G.child_has_started = true end, 50)")
  self:wait("_G.child_has_started")
end

function Child:stop()
  if self.job then
    pcall(vim.fn.jobstop, self.job)
    self.job = nil
  end
end

return M
