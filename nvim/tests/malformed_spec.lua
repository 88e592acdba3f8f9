-- luacheck: read globals t describe it before_each after_each pending
--- What is malformed on the wire silences nobody: events and answers are checked, listeners stand apart, the journal is
--- read on.

local client = require("suggestion-review").client
local store = require("suggestion-review.model.store")
local build = require("suggestion")

local notices = {}
vim.notify = function(message)
  notices[#notices + 1] = message
end

local server = require("contrary").start("smd_malformed")
require("suggestion-review.config").setup({ server = server:server("contrary"), request_timeout = 2000 })

local seen = {}
store.subscribe(function(event)
  if event.seq then
    seen[#seen + 1] = event.seq
  end
end)

local function connected()
  t.wait(function()
    return client.state().state == "connected"
  end, 10000, "the connection")
end

---@param count integer
---@param pattern string
local function said(count, pattern)
  local found = 0
  for _, message in ipairs(notices) do
    found = found + (message:find(pattern) and 1 or 0)
  end
  t.eq(found, count, "notices like " .. pattern .. " of " .. vim.inspect(notices))
end

before_each(function()
  client._reset()
  store._clear()
  seen, notices, server.out = {}, {}, ""
  server:order({
    onConnect = { type = "serve" },
    last = 0,
    holes = {},
    journal = vim.empty_dict(),
    answers = vim.empty_dict(),
  })
end)

local function whole()
  local made = build.build(
    { ["a.txt"] = "one\ntwo\nthree\n" },
    { ["a.txt"] = "one\nTWO\nthree\n", ["new.txt"] = "fresh\n" }
  )
  made.server = nil
  made.warnings = { "a file is too large" }
  made.hunks_omitted = false
  return made
end

--- One well-formed event of every type.
local function samples()
  local made = whole()
  local id, hunk = made.id, made.hunks[1]
  return {
    { type = "suggestion.ready", suggestion = made },
    {
      type = "suggestion.error",
      code = "apply_failed",
      message = "no",
      suggestion_id = id,
      hunk_id = hunk.id,
    },
    { type = "suggestion.status", status = "settled", message = "done", suggestion_id = id },
    {
      type = "suggestion.hunk_applied",
      suggestion_id = id,
      hunk_id = hunk.id,
      action = "accepted",
      digest = hunk.digest,
      revision = 1,
      by = "developer",
      comment = "good",
    },
    { type = "suggestion.hunk_reset", suggestion_id = id, hunk_id = hunk.id, by = "developer" },
    { type = "suggestion.hunk_split", suggestion_id = id, hunk_id = hunk.id, into = { hunk } },
    { type = "suggestion.hunk_joined", suggestion_id = id, hunk = hunk, parts = { hunk.id .. ".1" } },
    {
      type = "suggestion.comment",
      suggestion_id = id,
      hunk_id = hunk.id,
      comment = "why?",
      by = "developer",
    },
    { type = "suggestion.base_moved", suggestion_id = id, branch = "main", commit = ("0"):rep(40) },
    { type = "suggestion.verified", suggestion_id = id, ok = false, exit_code = 1, output = "bad" },
    { type = "agent.turn", session_id = "s", state = "busy", message = "The agent is working" },
    { type = "sandbox.refused", kind = "network", target = "h:1", reason = "list", count = 1, total = 1 },
    { type = "suggestion.completed", suggestion_id = id, action = "discarded", by = "developer" },
  }
end

---@param event table
---@param seq integer
local function stamped(event, seq)
  return vim.tbl_extend("force", event, { seq = seq, ts = "2026-01-01T00:00:00Z", project = "/p" })
end

--- Every place in a value, as a list of keys.
local function places(value, path, found)
  for key, inner in pairs(value) do
    local here = vim.list_extend(vim.list_slice(path), { key })
    found[#found + 1] = here
    if type(inner) == "table" then
      places(inner, here, found)
    end
  end
  return found
end

--- A copy with something else, or nothing, in one place.
local function mutant(event, random)
  local copy = vim.deepcopy(event)
  local all = vim.tbl_filter(function(path)
    return path[1] ~= "seq" and path[1] ~= "type"
  end, places(copy, {}, {}))
  table.sort(all, function(a, b)
    return table.concat(a, "/") < table.concat(b, "/")
  end)
  local path = all[random(1, #all)]
  local at = copy
  for i = 1, #path - 1 do
    at = at[path[i]]
  end
  local junk = {
    vim.NIL,
    7,
    -1,
    0.5,
    1e300,
    true,
    false,
    "",
    "junk",
    {},
    vim.empty_dict(),
    { 1, 2 },
    { "x" },
    { x = { y = 1 } },
    { vim.empty_dict() },
    { vim.NIL },
  }
  at[path[#path]] = junk[random(1, #junk)]
  return copy
end

describe("a malformed event", function()
  it(
    "B3: does not silence the client, which drops the connection, says why and reads the journal on",
    function()
      client.start()
      connected()
      server:order({
        last = 2,
        raw = '{"type":"suggestion.ready","suggestion":{},"seq":1,"ts":"t","project":"/p"}',
        send = { 2 },
      })
      -- The journal has it well-formed: after the reconnect nothing is missing.
      t.wait(function()
        return #seen == 2
      end, 15000, "both events")
      t.eq(seen, { 1, 2 })
      connected()
      t.ok(server.out:find('{"closed":1007}', 1, true), "closed with a code that says why")
      said(0, "passed over")
    end
  )

  it(
    "B3: that stays malformed in the journal is passed over, said once, and not asked for without end",
    function()
      client.start()
      connected()
      local bad = '{"type":"suggestion.ready","suggestion":{},"seq":%d,"ts":"t","project":"/p"}'
      server:order({ last = 2, journal = { ["1"] = bad:format(1) }, raw = bad:format(1) })
      t.wait(function()
        return seen[#seen] == 2
      end, 15000, "the event behind it")
      t.eq(seen, { 2 })
      connected()
      t.eq(server:count('{"upgrade":true}'), 3)
      t.wait(function()
        return #notices > 0
      end)
      said(1, "contrary sent an event that is malformed %(suggestion.*expected.*%); it was passed over")
      -- The next one is passed over as well, without another word.
      server:order({ last = 4, journal = { ["3"] = bad:format(3) }, raw = bad:format(3) })
      t.wait(function()
        return seen[#seen] == 4
      end, 15000, "the event behind the second")
      said(1, "passed over")
    end
  )

  it("B3: of an unknown type is no harm", function()
    client.start()
    connected()
    server:order({
      last = 2,
      raw = '{"type":"agent.news","seq":1,"what":[{}],"suggestion_id":7}',
      send = { 2 },
    })
    t.wait(function()
      return #seen == 2
    end)
    t.eq(server:count('{"upgrade":true}'), 1)
  end)

  for part = 1, 4 do
    it(
      ("B3: in any of 2,000 ways leaves the client hearing the next good one, part %d"):format(part),
      function()
        client.start()
        connected()
        local random = build.random(20261127 + part)
        local all = samples()
        local from = client.state().last_seq
        local dropped = 0
        local stop = store.subscribe(function(event)
          dropped = dropped + (event.type == "client.state" and event.state == "waiting" and 1 or 0)
        end)
        for round = 1, 500 do
          local seq = from + round * 2 - 1
          local event = mutant(stamped(all[random(1, #all)], seq), random)
          server:tell({ last = seq + 1, raw = vim.json.encode(event), send = { seq + 1 } })
          local ok = pcall(t.wait, function()
            return client.state().state == "connected" and client.state().last_seq == seq + 1
          end, 10000)
          t.ok(ok, ("round %d: deaf after %s"):format(round, vim.json.encode(event)))
        end
        stop()
        t.eq(#seen, 1000)
        t.ok(dropped > 100, dropped .. " connections dropped")
        said(0, "Something went wrong")
      end
    )
  end

  it("B3: in any of 5,000 ways that fits the shapes raises no error in the store or the review", function()
    local shapes = require("suggestion-review.model.shapes")
    local review = require("suggestion-review.review")
    client.start()
    connected()
    local random = build.random(4711)
    local all = samples()
    local taken, seq = 0, 1000
    for round = 1, 5000 do
      if round % 100 == 1 then
        review.close()
        store._clear()
        local made = whole()
        made.server = "contrary"
        store.apply(stamped({ type = "suggestion.ready", suggestion = made, server = "contrary" }, seq))
        review.open(made.id)
        t.ok(review.is_open())
      end
      seq = seq + 1
      local given = mutant(stamped(all[random(1, #all)], seq), random)
      local event = vim.json.decode(vim.json.encode(given), { luanil = { object = true, array = true } })
      if not shapes.event_problem(event) then
        taken = taken + 1
        event.server = "contrary"
        store.apply(event)
        if round % 10 == 0 then
          vim.wait(1)
        end
      end
    end
    review.close()
    t.ok(taken > 500, taken .. " taken")
    said(0, "Something went wrong")
  end)
end)

describe("a listener that fails", function()
  it("B3: is told of once and keeps nobody from hearing", function()
    client.start()
    connected()
    local stop = store.subscribe(function(event)
      if event.seq then
        error("a bug in a listener")
      end
    end)
    local heard, last_heard = 0, nil
    local stop_second = store.subscribe(function(event)
      heard, last_heard = heard + (event.seq and 1 or 0), event.seq or last_heard
    end)
    server:order({ last = 5, send = { 1, 2, 3, 4, 5 } })
    t.wait(function()
      return heard == 5
    end)
    t.wait(function()
      return #notices > 0
    end)
    -- A notification is put off to the next turn: the one after another event would come after one too many.
    server:order({ last = 6, send = { 6 } })
    t.wait(function()
      return last_heard == 6
    end)
    t.await(vim.schedule)
    stop()
    stop_second()
    said(1, "a bug in a listener")
    t.eq(client.state().state, "connected")
  end)

  it("B3: of a User autocommand keeps neither the notification nor the others from coming", function()
    client.start()
    connected()
    local group = vim.api.nvim_create_augroup("malformed_spec", {})
    vim.api.nvim_create_autocmd("User", {
      group = group,
      pattern = "SuggestionError",
      callback = function()
        error("a bug in an autocommand")
      end,
    })
    local event = stamped({ type = "suggestion.error", code = "unknown", message = "as it is" }, 1)
    server:order({ last = 2, raw = vim.json.encode(event), send = { 2 } })
    t.wait(function()
      return #seen == 2
    end)
    vim.api.nvim_del_augroup_by_id(group)
    t.wait(function()
      return #notices > 0
    end)
    said(1, "^as it is")
    t.eq(client.state().state, "connected")
  end)
end)

describe("a malformed answer", function()
  it("B3: to a command is an error that names the field, and the connection goes on", function()
    client.start()
    connected()
    server:order({ answers = { get = { id = 7 } } })
    local err = t.await(function(callback)
      client.request({ type = "get", suggestionId = "x" }, callback)
    end)
    t.eq(err.code, "malformed")
    t.match(err.message, "accepted_count: expected a whole number, 0 or more, got nothing")
    server:order({ last = 1, send = { 1 } })
    t.wait(function()
      return #seen == 1
    end)
  end)

  it("B3: to the list is not taken for an empty list", function()
    server:order({ answers = { list = { suggestions = { vim.empty_dict() } } } })
    client.start()
    t.wait(function()
      return client.state().message:find("list.*not understood")
    end, 15000, "a state that says why")
    server:order({ answers = vim.empty_dict() })
    connected()
  end)
end)

describe("the token", function()
  it("B3: of the health check goes out only over the connection that proved itself", function()
    server.out = ""
    require("suggestion-review.health").check()
    t.wait(function()
      return server.out:find('{"health":false,"token":true}', 1, true)
    end)
    t.eq(server:count('{"connection":true}'), 1)
    t.eq(server:count('{"health":true,"token":false}'), 1)
  end)
end)
