--- What specs share: assertions with readable messages, waiting on the event loop, temporary directories and
--- child processes that are gone when the spec ends.

local M = {}

M.root = vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, "S").source:sub(2)))))

---@type fun()[]
local cleaners = {}

--- Runs `clean` when the spec file ends, latest first.
---@param clean fun()
function M.defer(clean)
  table.insert(cleaners, 1, clean)
end

function M.clean_up()
  for _, clean in ipairs(cleaners) do
    pcall(clean)
  end
  cleaners = {}
end

--- Says that the running test may take longer than a minute, counted from now.
---@param milliseconds integer
---@param why string why it cannot be two tests, for who reads the test
function M.needs(milliseconds, why)
  assert(type(why) == "string" and why ~= "", "t.needs expects a sentence that says why")
  io.write(("@needs %d\n"):format(milliseconds))
  io.flush()
end

--- Leaves the running test as skipped.
---@param reason string
function M.skip(reason)
  error({ skip = reason }, 0)
end

---@param value any
---@param message? string
function M.ok(value, message)
  if not value then
    error(message or ("expected a true value, got " .. tostring(value)), 2)
  end
  return value
end

---@param actual any
---@param expected any
---@param message? string
function M.eq(actual, expected, message)
  if vim.deep_equal(actual, expected) then
    return
  end
  error(
    ("%sexpected %s\n     got %s"):format(
      message and message .. ": " or "",
      vim.inspect(expected),
      vim.inspect(actual)
    ),
    2
  )
end

---@param text string
---@param pattern string Lua pattern
function M.match(text, pattern)
  if type(text) ~= "string" or not text:find(pattern) then
    error(("expected something like %q\n     got %s"):format(pattern, vim.inspect(text)), 2)
  end
end

--- Runs the event loop until `condition` holds; fails after `timeout` ms (15,000).
---@generic T
---@param condition fun(): T
---@param timeout? integer
---@param what? string
---@return T
function M.wait(condition, timeout, what)
  local value
  if
    not vim.wait(timeout or 15000, function()
      value = condition()
      return value and true or false
    end, 2)
  then
    error(("waited %d ms in vain%s"):format(timeout or 15000, what and " for " .. what or ""), 2)
  end
  return value
end

--- Calls `start(callback)` and waits for the callback; returns what it was called with.
---@param start fun(callback: fun(...))
---@param timeout? integer
function M.await(start, timeout)
  local results
  start(function(...)
    results = { n = select("#", ...), ... }
  end)
  M.wait(function()
    return results
  end, timeout, "a callback")
  return unpack(results, 1, results.n)
end

---@return string
function M.tempdir()
  local path = vim.fn.tempname()
  vim.fn.mkdir(path, "p")
  M.defer(function()
    vim.fn.delete(path, "rf")
  end)
  return path
end

---@param path string
---@param text string
function M.write(path, text)
  vim.fn.mkdir(vim.fs.dirname(path), "p")
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

---@param path string
---@return string?
function M.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

--- Absolute path of a program of the project's own, else of the system's.
---@param name string
---@return string?
function M.program(name)
  local own = M.root .. "/.tools/bin/" .. name
  if vim.uv.fs_stat(own) then
    return own
  end
  local path = vim.fn.exepath(name)
  return path ~= "" and path or nil
end

--- Runs a command to its end; fails the test when it fails.
---@param command string[]
---@param opts? vim.SystemOpts
---@return string stdout
function M.run(command, opts)
  local result = vim.system(command, opts or {}):wait(60000)
  if result.code ~= 0 then
    error(
      ("%s: exit %d\n%s%s"):format(
        table.concat(command, " "),
        result.code,
        result.stdout or "",
        result.stderr or ""
      ),
      2
    )
  end
  return result.stdout
end

---@class Support.Process
---@field pid integer
---@field out string everything written to standard output so far
---@field err string
---@field code? integer exit code once it has ended
---@field kill fun(self: Support.Process, signal?: string)

--- Starts a process that is killed at the latest when the spec ends.
---@param command string[]
---@param opts? { cwd?: string, env?: table<string, string> }
---@return Support.Process
function M.spawn(command, opts)
  opts = opts or {}
  ---@type Support.Process
  local process = { pid = 0, out = "", err = "" }
  local handle = vim.system(command, {
    cwd = opts.cwd,
    env = opts.env,
    stdout = function(_, data)
      process.out = process.out .. (data or "")
    end,
    stderr = function(_, data)
      process.err = process.err .. (data or "")
    end,
  }, function(result)
    process.code = result.code
  end)
  process.pid = handle.pid
  function process:kill(signal)
    if not self.code then
      pcall(handle.kill, handle, signal or "sigterm")
    end
  end
  M.defer(function()
    process:kill("sigkill")
  end)
  return process
end

return M
