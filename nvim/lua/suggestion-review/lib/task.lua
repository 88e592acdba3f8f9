--- Sequences of asynchronous steps as straight code: a coroutine that waits for callbacks on the main loop.

local M = {}

--- Runs `body` as a task. `done` gets an error message or what `body` returned. An error raised with a table value is
--- passed on as it is (a refusal with details), any other with its traceback.
---@param body fun(): any
---@param done fun(err?: any, result?: any)
function M.run(body, done)
  local thread = coroutine.create(function()
    local ok, result = xpcall(body, function(thrown)
      if type(thrown) == "table" then
        return thrown
      end
      return debug.traceback(tostring(thrown), 2)
    end)
    if ok then
      done(nil, result)
    else
      done(result)
    end
  end)
  local ok, message = coroutine.resume(thread)
  -- Only `done` itself can raise here.
  if not ok then
    error(message, 0)
  end
end

--- Inside a task: starts something and waits for its callback, wherever that is called from.
---@param start fun(callback: fun(...))
---@return any ...
function M.await(start)
  local thread = assert(coroutine.running(), "await outside of a task")
  local results, waiting
  start(function(...)
    if results then
      return
    end
    results = { n = select("#", ...), ... }
    if not waiting then
      return
    end
    vim.schedule(function()
      local ok, message = coroutine.resume(thread)
      if not ok then
        error(message, 0)
      end
    end)
  end)
  if not results then
    waiting = true
    coroutine.yield()
  end
  return unpack(results, 1, results.n)
end

--- Inside a task: a function to call in a long loop; it lets the editor have its turn every few milliseconds.
---@return fun()
function M.breather()
  local started = vim.uv.hrtime()
  return function()
    if vim.uv.hrtime() - started < 6e6 then
      return
    end
    M.await(function(callback)
      vim.defer_fn(callback, 1)
    end)
    started = vim.uv.hrtime()
  end
end

return M
