--- The contrary server (fixtures/contrary.mjs) and a client of it, for specs.
local t = require("support")

local M = {}

---@class Contrary
---@field port integer
---@field token_file string
---@field process vim.SystemObj
---@field orders integer
---@field out string what the client did, one JSON line each
local Contrary = {}
Contrary.__index = Contrary

---@param token string
---@return Contrary
function M.start(token)
  local self = setmetatable({ out = "", orders = 0 }, Contrary)
  local directory = t.tempdir()
  self.token_file = directory .. "/token"
  t.write(self.token_file, token .. "\n")
  vim.uv.fs_chmod(self.token_file, tonumber("600", 8))
  self.process = vim.system({ "node", t.root .. "/nvim/tests/fixtures/contrary.mjs", token }, {
    cwd = t.root .. "/nvim/tests",
    stdin = true,
    stdout = function(_, data)
      self.out = self.out .. (data or "")
    end,
  })
  t.defer(function()
    self.process:kill("sigkill")
  end)
  self.port = t.wait(function()
    return tonumber(self.out:match('{"port":(%d+)}'))
  end, 10000, "the contrary server")
  return self
end

--- Tells it what to do, without waiting for it.
---@param what table
function Contrary:tell(what)
  self.orders = self.orders + 1
  what.n = self.orders
  self.process:write(vim.json.encode(what) .. "\n")
end

--- Tells it what to do and waits until it was done.
---@param what table
function Contrary:order(what)
  self:tell(what)
  t.wait(function()
    return self.out:find('"done":[^\n]*"n":' .. self.orders .. "[,}]")
  end, 5000, "the order to be taken")
end

---@param pattern string
---@return integer
function Contrary:count(pattern)
  return select(2, self.out:gsub(pattern, ""))
end

--- Settings of a client of it.
---@param name string
function Contrary:server(name)
  return { name = name, host = "127.0.0.1", port = self.port, token_file = self.token_file }
end

return M
