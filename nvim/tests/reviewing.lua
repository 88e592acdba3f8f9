--- A review under way: the real server on a real repository, Neovim in a terminal, and words for what is looked at.

local real = require("real")
local screen = require("screen")
local t = require("support")

local M = {}

---@class Reviewing
---@field server Real
---@field s Screen
---@field suggestion string
local Reviewing = {}
Reviewing.__index = Reviewing

---@return boolean
function M.available()
  return real.available() and screen.available()
end

---@class ReviewingOpts
---@field settings? string Lua that runs after setup()
---@field setup? table merged over the server's settings
---@field before? fun(server: Real) with the repository made, before anything is published
---@field file? string opened at start
---@field columns? integer
---@field lines? integer
---@field description? string

--- Publishes what makes `new` of `old` and starts a Neovim that knows of it.
---@param old table<string, string>
---@param new table<string, string|false>
---@param opts? ReviewingOpts
---@return Reviewing
function M.begin(old, new, opts)
  opts = opts or {}
  local self = setmetatable({ server = real.start(old) }, Reviewing)
  if opts.before then
    opts.before(self.server)
  end
  self.suggestion = self.server:publish(new, opts.description or "Better words")
  self.s = screen.start({
    cwd = self.server.checkout,
    columns = opts.columns,
    lines = opts.lines,
    file = opts.file,
    env = { PATH = self.server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.termguicolors = true
      vim.o.ruler, vim.o.showcmd, vim.o.swapfile, vim.o.shada = false, false, false, ""
      vim.o.shortmess = vim.o.shortmess .. "FWIc"
      vim.g.mapleader = " "
      vim.notify = function(message) table.insert(_G.notes, message) end
      _G.notes = {}
      require("suggestion-review").setup(%s)
      %s
    ]]):format(
      t.root .. "/nvim",
      vim.inspect(vim.tbl_deep_extend("force", self.server:settings(), opts.setup or {})),
      opts.settings or ""
    ),
  })
  self.s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
  return self
end

function Reviewing:finish()
  self.s:stop()
  self.server:stop("sigkill")
end

--- Opens the review, in a style.
---@param style? string
function Reviewing:open(style)
  if style then
    self.s:lua([[require("suggestion-review.review").open(nil, { style = ... })]], style)
  else
    self.s:type("Space", "s", "r")
  end
  self.s:wait_lua([[return require("suggestion-review").is_open()]])
  self.s:wait(style == "inline" and "pending" or " decided ", true)
end

--- States of all hunks as the server has them, and the suggestion.
---@return string[]
---@return table
function Reviewing:states()
  local out = {}
  local answer = self.server:http("GET", "/suggestions/" .. self.suggestion)
  for _, hunk in ipairs(answer.hunks) do
    out[#out + 1] = hunk.state
  end
  return out, answer
end

--- For failures: the screen, and what was notified.
---@return string
function Reviewing:shown()
  return self.s:capture()
    .. "\nnotified: "
    .. vim.inspect(self.s:lua([[return _G.notes]]))
    .. self.s:lua([[return vim.fn.execute("messages")]])
end

---@param get fun(): any
---@param expected any
function Reviewing:wait_for(get, expected)
  local last
  local ok = pcall(t.wait, function()
    last = get()
    return vim.deep_equal(last, expected)
  end)
  if not ok then
    t.eq(last, expected, self:shown())
  end
end

---@param expected string[]
function Reviewing:wait_states(expected)
  self:wait_for(function()
    return (self:states())
  end, expected)
end

--- Waits for the text of a file in the checkout; nil: there is none.
---@param path string
---@param text string|nil
function Reviewing:wait_file(path, text)
  self:wait_for(function()
    return { t.read(self.server.checkout .. "/" .. path) }
  end, { text })
end

--- Waits for a notification that holds a text.
---@param text string
function Reviewing:wait_note(text)
  local ok = pcall(t.wait, function()
    return table.concat(self:notes(), "\n"):find(text, 1, true)
  end)
  if not ok then
    error(("nobody said %q\n%s"):format(text, self:shown()), 2)
  end
end

--- What was notified so far.
---@return string[]
function Reviewing:notes()
  return self.s:lua([[return _G.notes]])
end

--- Waits until a hunk is the current one.
---@param number integer
function Reviewing:at(number)
  self.s:wait_lua(
    ([[local x = require("suggestion-review.review").session() return x and x.index == %d]]):format(number)
  )
end

--- Waits until Neovim has done all that was typed before: a key behind it has come through, in Normal mode.
function Reviewing:rest()
  self.s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
  self.s:lua([[
    _G.rested = false
    vim.keymap.set("n", "\\", function() _G.rested = true end)
  ]])
  self.s:text("\\")
  self.s:wait_lua("return _G.rested")
end

--- Nothing of ours ended in an error.
function Reviewing:no_traceback()
  local said = table.concat(self:notes(), "\n") .. self.s:lua([[return vim.fn.execute("messages")]])
  -- Neovim's own, on a loaded machine: the terminal here does not say in time what it is asked at the start.
  said = said:gsub("E1568:[^\n]*", "")
  t.ok(not said:find("Something went wrong", 1, true), said)
  t.ok(not said:find("traceback", 1, true), said)
  t.ok(not said:find("E%d%d%d?%d?:"), said)
end

return M
