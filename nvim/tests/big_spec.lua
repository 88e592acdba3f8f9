-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- A suggestion of 3,000 hunks in 300 files: nothing is cut off and the editor keeps its turns.

local real = require("real")
if not real.available() then
  pending("big", "the server's programs are not provisioned")
  return
end

local store = require("suggestion-review.model.store")
local feedback = require("suggestion-review.decisions.requests")
local adopt = require("suggestion-review.adopt")
local task = require("suggestion-review.lib.task")
vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

local function text(edit)
  local lines = {}
  for i = 1, 200 do
    lines[i] = (edit and i % 20 == 10) and ("changed line %d of this file, which is a bit longer"):format(i)
      or ("line %d of this file"):format(i)
  end
  return table.concat(lines, "\n") .. "\n"
end
local before, after = {}, {}
for i = 1, 300 do
  before[("dir%02d/file%03d.txt"):format(i % 20, i)] = text(false)
  after[("dir%02d/file%03d.txt"):format(i % 20, i)] = text(true)
end

local server = real.start(before)
server:connect()

--- Longest time in which the editor had no turn while `body` ran.
local function longest_stall(body)
  local worst, last, turns = 0, vim.uv.hrtime(), 0
  local timer = assert(vim.uv.new_timer())
  timer:start(
    0,
    1,
    vim.schedule_wrap(function()
      local now = vim.uv.hrtime()
      worst = math.max(worst, now - last)
      last, turns = now, turns + 1
    end)
  )
  local started = vim.uv.hrtime()
  body()
  -- The turn that comes after the last of it.
  local had = turns
  t.wait(function()
    return turns > had
  end)
  timer:close()
  return worst / 1e6, (vim.uv.hrtime() - started) / 1e6
end

--- A suggestion of its own for each test.
---@return string id
local function published()
  local id = server:publish(after, "Big", "new")
  t.wait(function()
    return store.get(id)
  end, 20000)
  return id
end

---@param id string
local function fetch(id)
  local err = t.await(function(callback)
    store.fetch(id, callback)
  end, 20000)
  t.eq(err, nil)
end

---@param id string
local function accept_all(id)
  local err, data = t.await(function(callback)
    feedback.batch(id, { scope = { action = "accept" } }, callback)
  end, 20000)
  t.eq(err, nil)
  t.eq(data.changed, 3000)
  t.wait(function()
    return store.get(id).accepted_count == 3000
  end, 20000)
end

describe("3,000 hunks", function()
  it("arrive by pages", function()
    local id = published()
    t.eq(store.get(id).hunk_count, 3000)
    local stall, took = longest_stall(function()
      fetch(id)
    end)
    io.write(("       fetched in %.0f ms, longest stall %.1f ms\n"):format(took, stall))
    t.eq(#store.hunks(id), 3000)
    t.eq(#store.get(id).file_summaries, 300)
  end)

  it("are accepted as one", function()
    local id = published()
    fetch(id)
    local stall, took = longest_stall(function()
      accept_all(id)
    end)
    io.write(("       accepted in %.0f ms, longest stall %.1f ms\n"):format(took, stall))
    t.eq(store.get(id).status, "complete")
  end)

  it("are taken back and accepted again", function()
    local id = published()
    fetch(id)
    accept_all(id)
    local err = t.await(function(callback)
      feedback.undo(id, nil, callback)
    end, 20000)
    t.eq(err, nil)
    t.wait(function()
      return store.get(id).accepted_count == 0
    end, 20000)
    err = t.await(function(callback)
      feedback.redo(id, nil, callback)
    end, 20000)
    t.eq(err, nil)
    t.wait(function()
      return store.get(id).accepted_count == 3000
    end, 20000)
  end)

  it("are verified and adopted", function()
    local id = published()
    fetch(id)
    accept_all(id)
    local answer, status = server:http("POST", "/complete", { suggestion_id = id, action = "finalize" })
    t.eq(status, 200, vim.inspect(answer))
    t.wait(function()
      return store.get(id).state == "finalized"
    end)
    local plan, failure
    local stall, took = longest_stall(function()
      task.run(function()
        return adopt.prepare(store.get(id), server.checkout)
      end, function(err, result)
        failure, plan = err, result
      end)
      t.wait(function()
        return plan or failure
      end, 60000)
    end)
    if failure then
      error(vim.inspect(failure))
    end
    io.write(("       verified and planned in %.0f ms, longest stall %.1f ms\n"):format(took, stall))
    t.ok(plan.verdict.ok, plan.verdict.message)
    t.eq(plan.refusal, nil)
    local done
    task.run(function()
      return adopt.execute(plan)
    end, function(err)
      done = err or true
    end)
    t.wait(function()
      return done
    end, 60000)
    t.eq(done, true)
    t.eq(server:git("checkout", "status", "--porcelain"), "")
  end)
end)
