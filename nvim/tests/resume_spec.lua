-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- The client against a server that misbehaves: every event still counts once, and nobody is hammered.

local client = require("suggestion-review").client
local store = require("suggestion-review.model.store")

local TOKEN = "smd_contrary"
local directory = t.tempdir()
t.write(directory .. "/token", TOKEN .. "\n")
vim.uv.fs_chmod(directory .. "/token", 384)
vim.notify = function() end

local out = ""
local process = vim.system({ "node", t.root .. "/nvim/tests/fixtures/contrary.mjs", TOKEN }, {
  cwd = t.root .. "/nvim/tests",
  stdin = true,
  stdout = function(_, data)
    out = out .. (data or "")
  end,
})
t.defer(function()
  process:kill("sigkill")
end)
local port = t.wait(function()
  return tonumber(out:match('{"port":(%d+)}'))
end, 10000, "the contrary server")

local orders = 0
local function order(what)
  orders = orders + 1
  what.n = orders
  process:write(vim.json.encode(what) .. "\n")
  t.wait(function()
    return out:find('"done":[^\n]*"n":' .. orders .. "[,}]")
  end, 15000, "the order to be taken")
end
local function count(pattern)
  return select(2, out:gsub(pattern, ""))
end

require("suggestion-review.config").setup({
  server = { name = "contrary", host = "127.0.0.1", port = port, token_file = directory .. "/token" },
  request_timeout = 400,
})

local seen = {}
store.subscribe(function(event)
  if event.seq then
    table.insert(seen, event.seq)
  end
end)

local function connected()
  t.wait(function()
    return client.state().state == "connected"
  end, 10000, "the connection")
end

before_each(function()
  client._reset()
  store._clear()
  seen, out = {}, ""
  order({ onConnect = { type = "serve" }, last = 0, holes = {} })
end)

describe("events", function()
  it("before the first connection are not replayed, later ones arrive", function()
    order({ last = 7 })
    client.start()
    connected()
    order({ last = 8, send = { 8 } })
    t.wait(function()
      return #seen == 1
    end)
    t.eq(seen, { 8 })
  end)

  it("that are missing are asked for and taken in order", function()
    client.start()
    connected()
    order({ last = 5, send = { 1, 2, 5 } })
    t.wait(function()
      return #seen == 5
    end)
    t.eq(seen, { 1, 2, 3, 4, 5 })
    t.eq(count('"type":"subscribe","?[^\n]*"since":2') + count('"since":2[^\n]*"type":"subscribe"') > 0, true)
  end)

  it("that come twice count once", function()
    client.start()
    connected()
    order({ last = 3, send = { 1, 1, 2, 1, 2, 3, 3 } })
    -- What comes after them is here once they are.
    order({ last = 4, send = { 4 } })
    t.wait(function()
      return seen[#seen] == 4
    end)
    t.eq(seen, { 1, 2, 3, 4 })
  end)

  it("that the journal itself lacks do not stop the rest", function()
    client.start()
    connected()
    order({ last = 6, holes = { 3, 4 }, send = { 1, 2, 5 } })
    t.wait(function()
      return seen[#seen] == 6
    end)
    t.eq(seen, { 1, 2, 5, 6 })
  end)

  it("after a cut come from where they were", function()
    client.start()
    connected()
    order({ last = 2, send = { 1, 2 } })
    t.wait(function()
      return #seen == 2
    end)
    order({ last = 4, close = 1001 })
    t.wait(function()
      return #seen == 4
    end)
    t.eq(seen, { 1, 2, 3, 4 })
    connected()
  end)

  it("of another ledger start over", function()
    order({ last = 9 })
    client.start()
    connected()
    order({ last = 2, close = 1006 == 0 and 0 or 1001 })
    t.wait(function()
      return client.state().state == "connected" and client.state().last_seq == 2
    end, 10000)
    order({ last = 3, send = { 3 } })
    t.wait(function()
      return seen[#seen] == 3
    end)
  end)

  it("that are no JSON, or no events, are passed over", function()
    client.start()
    connected()
    for _, raw in ipairs({
      "{",
      "null",
      "7",
      '"x"',
      "[]",
      "{}",
      '{"type":7}',
      '{"type":"x","seq":"1"}',
      '{"type":"response"}',
    }) do
      order({ raw = raw })
    end
    order({ last = 1, send = { 1 } })
    t.wait(function()
      return #seen == 1
    end)
    t.eq(client.state().state, "connected")
  end)

  it("of a burst leave the editor its turns", function()
    client.start()
    connected()
    local all = {}
    for i = 1, 20000 do
      all[i] = i
    end
    local worst, last_tick = 0, vim.uv.hrtime()
    local timer = assert(vim.uv.new_timer())
    timer:start(
      0,
      1,
      vim.schedule_wrap(function()
        local now = vim.uv.hrtime()
        worst = math.max(worst, now - last_tick)
        last_tick = now
      end)
    )
    order({ last = 20000, send = all })
    t.wait(function()
      return #seen == 20000
    end, 20000)
    timer:close()
    io.write(("       20,000 events, longest time without a turn: %.1f ms\n"):format(worst / 1e6))
    t.eq(seen[20000], 20000)
    -- A loose bound, for machines that are busy with other things.
    t.ok(worst / 1e6 < 300, ("%.1f ms"):format(worst / 1e6))
  end)
end)

describe("a server that closes at once", function()
  it("is tried more and more seldom", function()
    order({ onConnect = { type = "close", code = 1011, reason = "no" } })
    client.start()
    -- When the next try is due, after each that failed.
    local due = {}
    t.wait(function()
      local tries = client.state().attempts
      due[tries] = client.get().next_try or due[tries]
      return tries == 6
    end, 20000)
    for tries = 2, 6 do
      if due[tries] and due[tries - 1] then
        -- Doubled each time, and half of it is left to chance.
        local least = 100 * 2 ^ (tries - 1) / 2
        t.ok(due[tries] - due[tries - 1] >= least, vim.inspect(due))
      end
    end
    t.ok(vim.tbl_count(due) >= 4, "hardly a try was seen: " .. vim.inspect(due))
    t.wait(function()
      return count('{"upgrade":true}') == 6
    end)
    t.match(client.state().message, "no")
  end)

  it("is not tried again once the user disconnected, whatever was still to be answered", function()
    order({ onConnect = { type = "serve", deaf = true } })
    client.start()
    t.wait(function()
      return count('"type":"subscribe"') == 1
    end)
    client.stop()
    t.eq(client.state().state, "stopped")
    t.eq(client.state().attempts, 0)
  end)

  it("with 'token revoked' is not sent the token for nothing", function()
    order({ onConnect = { type = "refuse" } })
    client.start()
    t.wait(function()
      return client.state().state == "refused"
    end)
    -- A token file that was written is looked at soon, and by one attempt: there was none before it.
    t.write(directory .. "/token", TOKEN .. "\n")
    t.wait(function()
      return count('{"upgrade":true}') > 1
    end, 20000, "the token file to be noticed")
    t.eq(count('{"upgrade":true}'), 2)
  end)
end)

describe("a command", function()
  it("without an answer ends with a timeout", function()
    order({ onConnect = { type = "serve", mute = true } })
    client.start()
    connected()
    local err = t.await(function(callback)
      client.request({ type = "ping" }, callback)
    end)
    t.eq(err.code, "timeout")
    t.eq(client.state().in_flight, 0)
  end)

  it("under way when the line breaks fails, unless it may be sent again", function()
    order({ onConnect = { type = "serve", mute = true } })
    client.start()
    connected()
    local plain, lasting
    client.request({ type = "ping" }, function(err)
      plain = err
    end)
    client.request({ type = "ping", requestId = "r1" }, function(err, data)
      lasting = { err = err, data = data }
    end, nil, { timeout = 10000 })
    t.wait(function()
      return count('"type":"ping"') == 2
    end)
    order({ onConnect = { type = "serve" }, close = 1001 })
    t.wait(function()
      return plain and lasting
    end)
    t.eq(plain.code, "disconnected")
    t.eq(lasting.err, nil)
    t.eq(count('"type":"ping"'), 3)
  end)

  it("beyond 32 at once waits its turn", function()
    client.start()
    connected()
    local answers = 0
    for _ = 1, 500 do
      client.request({ type = "ping" }, function(err)
        t.eq(err, nil)
        answers = answers + 1
      end)
      t.ok(client.state().in_flight <= 32)
    end
    t.wait(function()
      return answers == 500
    end)
  end)

  it("whose callback fails does not break the connection", function()
    client.start()
    connected()
    client.request({ type = "ping" }, function()
      error("a bug elsewhere")
    end)
    local err, data = t.await(function(callback)
      client.request({ type = "ping" }, callback)
    end)
    t.eq(err, nil)
    t.eq(data.type, "pong")
  end)
end)

describe("the token", function()
  it("goes out only after the proof, on the same connection", function()
    client.start()
    connected()
    local order_of = {}
    for line in out:gmatch("[^\n]+") do
      local entry = vim.json.decode(line)
      if entry.health ~= nil then
        table.insert(order_of, { entry.health, entry.token })
      end
      if entry.upgrade ~= nil then
        table.insert(order_of, "upgrade")
      end
    end
    t.eq(order_of, { { true, false }, { false, true }, "upgrade" })
  end)
end)

describe("the decisions' file", function()
  local decisions = require("suggestion-review.decisions.record")
  local function suggestion(id)
    return { id = id, server = "s", revision = 1, base_commit = ("0"):rep(40) }
  end
  local function hunk(id)
    return {
      id = id,
      file = "f",
      digest = ("d"):rep(64),
      kind = "text",
      diff = "@@ -1 +1 @@\n-a\n+b\n",
      state = "pending",
    }
  end
  local function intend(id, request, state)
    t.await(function(callback)
      decisions.intend(suggestion(id), request, { { hunk = hunk(id .. ":f:1"), state = state } }, callback)
    end)
  end

  it("counts a decision when it is answered, and not when it is refused", function()
    intend("one", "r1", "accepted")
    t.eq(decisions.by_hunk("one"), {})
    t.await(function(callback)
      decisions.confirm("one", "r1", callback)
    end)
    t.eq(decisions.by_hunk("one")["one:f:1"].state, "accepted")
    intend("one", "r2", "rejected")
    t.await(function(callback)
      decisions.void("one", "r2", "no", callback)
    end)
    t.eq(decisions.by_hunk("one")["one:f:1"].state, "accepted")
  end)

  it("has one decision on a part of a hunk, whichever number it was made under", function()
    local own_digest = require("suggestion-review.decisions.own_digest")
    local lines = { old = { 0, 0 }, new = { 0, 1 } }
    local whole, part = hunk("part:f:0"), hunk("part:f:0.1")
    whole.diff = "@@ -1,0 +1,2 @@\n+x\n+y\n"
    part.diff, part.state = "@@ -0,0 +1 @@\n+x\n", "accepted"
    part.digest = own_digest.of({ hunk = whole, lines = lines })
    local function decided(request, item)
      t.await(function(callback)
        decisions.intend(suggestion("part"), request, { item }, callback)
      end)
      t.await(function(callback)
        decisions.confirm("part", request, callback)
      end)
    end
    local function standing()
      local found = {}
      for _, record in pairs(decisions.by_hunk("part")) do
        if own_digest.of(record) == part.digest then
          found[#found + 1] = record.state
        end
      end
      return found
    end
    decided("r1", { hunk = whole, lines = lines, state = "accepted" })
    decided("r2", { hunk = part, state = "rejected" })
    -- The rejection is undone: the server says "accepted" again.
    local after = suggestion("part")
    after.hunks = { part }
    t.await(function(callback)
      decisions.follow(after, { part }, callback)
    end)
    t.eq(standing(), { "accepted" })
  end)

  it("is for the developer alone", function()
    intend("six", "r1", "accepted")
    local stat = vim.uv.fs_stat(decisions.directory() .. "/six.jsonl")
    t.eq(stat.mode % 512, 384)
    t.eq(vim.uv.fs_stat(decisions.directory()).mode % 512, 448)
  end)

  it("survives a line that a crash cut off", function()
    intend("two", "r1", "accepted")
    t.await(function(callback)
      decisions.confirm("two", "r1", callback)
    end)
    local path = decisions.directory() .. "/two.jsonl"
    local file = assert(io.open(path, "ab"))
    file:write('{"t":"intent","request_id":"r2","ite')
    file:close()
    decisions._forget()
    t.eq(decisions.by_hunk("two")["two:f:1"].state, "accepted")
    intend("two", "r3", "rejected")
    t.await(function(callback)
      decisions.confirm("two", "r3", callback)
    end)
    decisions._forget()
    t.eq(decisions.by_hunk("two")["two:f:1"].state, "rejected")
  end)

  it("takes an answer that came after another Neovim had given up on it", function()
    intend("four", "r1", "accepted")
    t.await(function(callback)
      decisions.void("four", "r1", "no answer", callback)
    end)
    t.eq(decisions.by_hunk("four"), {})
    t.await(function(callback)
      decisions.confirm("four", "r1", callback)
    end)
    t.eq(decisions.by_hunk("four")["four:f:1"].state, "accepted")
  end)

  it("settles an intent whose answer never came by what the server reports", function()
    local now = os.time
    intend("five", "arrived", "accepted")
    intend("five", "lost", "rejected")
    local whole = suggestion("five")
    whole.state, whole.hunk_count, whole.reviewed_count, whole.created_at = "open", 1, 1, ""
    whole.accepted_count, whole.rejected_count, whole.files = 1, 0, { "f" }
    whole.hunks = { hunk("five:f:1") }
    whole.hunks[1].state = "accepted"
    store.apply({ type = "suggestion.ready", suggestion = whole, server = "s" })
    decisions.settle_unanswered(store.get("five"), {})
    t.wait(decisions.idle)
    t.eq(decisions.by_hunk("five"), {}, "too early")
    os.time = function(...) -- luacheck: ignore
      return now(...) + (select("#", ...) == 0 and 60 or 0)
    end
    decisions.settle_unanswered(store.get("five"), {})
    os.time = now -- luacheck: ignore
    t.wait(function()
      return decisions.by_hunk("five")["five:f:1"]
    end)
    t.wait(decisions.idle)
    t.eq(decisions.by_hunk("five")["five:f:1"].state, "accepted")
  end)

  it("is read again when another Neovim wrote to it", function()
    intend("three", "r1", "accepted")
    t.eq(decisions.by_hunk("three"), {})
    local path = decisions.directory() .. "/three.jsonl"
    local file = assert(io.open(path, "ab"))
    file:write('{"t":"done","request_id":"r1"}\n')
    file:close()
    t.eq(decisions.by_hunk("three")["three:f:1"].state, "accepted")
  end)

  it("does not follow an id out of its folder", function()
    intend("../../evil", "r1", "accepted")
    for name in vim.fs.dir(decisions.directory()) do
      t.ok(name:find("^[%w%-]+%.jsonl$"), name)
    end
  end)
end)
