-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- The connection, the store and the decisions against the real server. Each test has a suggestion of its own.

local real = require("real")
if not real.available() then
  pending("client", "the server's programs are not provisioned")
  return
end

local client = require("suggestion-review").client
local store = require("suggestion-review").store
local feedback = require("suggestion-review.decisions.requests")
local decisions = require("suggestion-review.decisions.record")
local digest = require("suggestion-review.text.digest")

local BASE = {}
for i = 1, 60 do
  BASE[i] = "line " .. i
end
local function text(edits)
  local lines = vim.deepcopy(BASE)
  for at, line in pairs(edits or {}) do
    lines[at] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

local server = real.start({ ["a.txt"] = text(), ["b.txt"] = "one\ntwo\nthree\n", ["gone.txt"] = "bye\n" })

local notices = {}
vim.notify = function(message, level)
  table.insert(notices, { message = message, level = level })
end
local events = {}
store.subscribe(function(event)
  table.insert(events, event)
end)

local function event(kind, timeout)
  return t.wait(function()
    for _, one in ipairs(events) do
      if one.type == kind then
        return one
      end
    end
  end, timeout, kind)
end

--- Connected to the server, whatever the test before did.
local function connect()
  if client.state("real").state ~= "connected" or client.get("real").server.port ~= server.port then
    client._reset()
    server:connect()
  end
  t.eq(
    t.await(function(callback)
      client.refresh("real", callback)
    end),
    nil
  )
end

before_each(function()
  client._reset()
  store._clear()
  connect()
  events, notices = {}, {}
end)

local function hunks_of(id)
  local err = t.await(function(callback)
    store.fetch(id, callback)
  end)
  t.eq(err, nil)
  return store.hunks(id)
end

--- A suggestion of this test's own, its hunks loaded: three in a.txt, one in each of b.txt, gone.txt and new.txt.
---@param description? string
---@return string id
---@return SuggestionReview.Hunk[]
local function suggested(description)
  local id = server:publish({
    ["a.txt"] = text({ [5] = "LINE 5", [30] = "LINE 30", [31] = "LINE 31", [55] = "LINE 55" }),
    ["b.txt"] = "one\n2\nthree\n",
    ["new.txt"] = "fresh\n",
    ["gone.txt"] = false,
  }, description or "Shout a little", "new")
  t.wait(function()
    return store.get(id)
  end)
  return id, hunks_of(id)
end

local function decide(id, hunk, action, opts)
  return t.await(function(callback)
    feedback.decide(id, hunk, action, opts, callback)
  end)
end

describe("before the token is sent", function()
  it("a server must prove that it knows it", function()
    local nonce = "abcdefgh12345678"
    local health = vim.json.decode(t.run({ "curl", "-s", server.url .. "/health?nonce=" .. nonce }))
    local peer = server.url:match("^http://(.*)$")
    t.ok(client.is_proven(server.token, nonce, peer, health.proofs))
    t.ok(not client.is_proven(server.token .. "x", nonce, peer, health.proofs))
    t.ok(not client.is_proven(server.token, "another-nonce", peer, health.proofs))
    t.ok(not client.is_proven(server.token, nonce, "127.0.0.1:1", health.proofs))
    t.ok(not client.is_proven(server.token, nonce, nil, health.proofs))
    t.ok(not client.is_proven(server.token, nonce, peer, nil))
    t.ok(not client.is_proven(server.token, nonce, peer, { 7, "", "00" }))
  end)
end)

describe("connected", function()
  it("says so", function()
    client._reset()
    server:connect()
    t.eq(client.state().state, "connected")
    t.eq(client.state().version ~= nil, true)
    t.eq(event("client.state").state ~= nil, true)
  end)

  it("hears of a suggestion at once", function()
    local before = #store.list()
    local id = suggested("Shout a little")
    local ready = event("suggestion.ready")
    t.eq(ready.suggestion.id, id)
    t.eq(store.get(id).description, "Shout a little")
    t.eq(#store.list(), before + 1)
    t.eq(store.get(id).hunk_count, 6)
    t.wait(function()
      return notices[1]
    end)
    t.match(notices[1].message, "^Suggestion ready: Shout a little %(6 hunks in 4 files%)")
  end)

  it("knows the hunks, and their digests name their text", function()
    local id, hunks = suggested()
    for _, hunk in ipairs(hunks) do
      t.eq(digest.of(hunk), hunk.digest)
      t.eq(hunk.state, "pending")
    end
    local summaries = store.get(id).file_summaries
    t.eq(summaries[1], { file = "a.txt", hunk_count = 3, reviewed_count = 0, added = 4, removed = 4 })
  end)

  it("decides, and everything agrees", function()
    local id, hunks = suggested()
    local hunk = hunks[1]
    local err, data = decide(id, hunk, "accept", { comment = "good" })
    t.eq(err, nil)
    t.eq(data.remaining_hunks, 5)
    t.eq(store.hunk(id, hunk.id).state, "accepted")
    t.eq(store.get(id).accepted_count, 1)
    t.eq(store.get(id).status, "partial")
    t.eq(store.get(id).file_summaries[1].reviewed_count, 1)
    event("suggestion.hunk_applied")
    t.eq(store.get(id).accepted_count, 1)
    t.wait(decisions.idle)
    local record = store.decided_here(id)[hunk.id]
    t.eq(record.state, "accepted")
    t.eq(record.hunk.digest, hunk.digest)
  end)

  it("keeps decisions over a restart of this Neovim", function()
    local id, hunks = suggested()
    local hunk = hunks[1]
    t.eq(decide(id, hunk, "accept"), nil)
    t.wait(decisions.idle)
    decisions._forget()
    t.eq(store.decided_here(id)[hunk.id].state, "accepted")
  end)

  it("modifies", function()
    local id, hunks = suggested()
    local hunk = hunks[2]
    local changed = hunk.diff:gsub("%+LINE 30", "+Line 30")
    local err = decide(id, hunk, "modify", { modified_diff = changed })
    t.eq(err, nil)
    t.eq(store.hunk(id, hunk.id).state, "modified")
    t.wait(decisions.idle)
    t.eq(store.decided_here(id)[hunk.id].modified_diff, changed)
  end)

  it("refuses a modification that does not fit, and keeps no trace of it", function()
    local id, hunks = suggested()
    local hunk = hunks[3]
    local err = decide(id, hunk, "modify", { modified_diff = "@@ -1 +1 @@\n-nonsense\n+x\n" })
    t.eq(err.code, "invalid_modification")
    t.eq(store.hunk(id, hunk.id).state, "pending")
    t.wait(decisions.idle)
    t.eq(store.decided_here(id)[hunk.id], nil)
  end)

  it("sends nothing when the digest does not fit the text", function()
    local id = suggested()
    local forged = vim.tbl_extend("force", store.hunks(id)[3], { digest = ("0"):rep(64) })
    local err = decide(id, forged, "accept")
    t.eq(err.code, "local")
    t.eq(store.hunks(id)[3].state, "pending")
  end)

  it("undoes and redoes", function()
    local id, hunks = suggested()
    local hunk = hunks[2]
    local changed = hunk.diff:gsub("%+LINE 30", "+Line 30")
    t.eq(decide(id, hunk, "modify", { modified_diff = changed }), nil)
    local err = t.await(function(callback)
      feedback.undo(id, nil, callback)
    end)
    t.eq(err, nil)
    t.eq(store.hunk(id, hunk.id).state, "pending")
    t.wait(decisions.idle)
    t.eq(store.decided_here(id)[hunk.id].state, "pending")
    err = t.await(function(callback)
      feedback.redo(id, nil, callback)
    end)
    t.eq(err, nil)
    t.eq(store.hunk(id, hunk.id).state, "modified")
    t.wait(decisions.idle)
    local record = store.decided_here(id)[hunk.id]
    t.eq(record.state, "modified")
    t.ok(record.modified_diff:find("Line 30", 1, true))
  end)

  it("decides all that remain in a file as one", function()
    local id = suggested()
    t.eq(decide(id, store.hunks(id)[1], "accept"), nil)
    t.eq(decide(id, store.hunks(id)[2], "accept"), nil)
    local err, data = t.await(function(callback)
      feedback.batch(id, { scope = { action = "reject", file = "a.txt", comment = "no" } }, callback)
    end)
    t.eq(err, nil)
    t.eq(data.changed, 1)
    t.eq(store.hunks(id)[3].state, "rejected")
    t.wait(decisions.idle)
    t.eq(store.decided_here(id)[store.hunks(id)[3].id].state, "rejected")
  end)

  it("decides a list as one", function()
    local id, hunks = suggested()
    t.eq(decide(id, hunks[1], "accept"), nil)
    local err, data = t.await(function(callback)
      feedback.batch(id, {
        decisions = {
          { hunk = hunks[4], action = "accept" },
          { hunk = hunks[5], action = "reject", comment = "keep it" },
        },
      }, callback)
    end)
    t.eq(err, nil)
    t.eq(data.changed, 2)
    t.eq(store.get(id).reviewed_count, 3)
    err = t.await(function(callback)
      feedback.undo(id, nil, callback)
    end)
    t.eq(err, nil)
    t.eq(store.get(id).reviewed_count, 1)
  end)

  it("comments without deciding", function()
    local id, hunks = suggested()
    local hunk = hunks[4]
    local err = t.await(function(callback)
      feedback.comment(id, hunk, "why?", callback)
    end)
    t.eq(err, nil)
    event("suggestion.comment")
    t.eq(store.hunk(id, hunk.id).state, "pending")
    t.eq(store.hunk(id, hunk.id).comments[1].text, "why?")
    t.eq(#store.hunk(id, hunk.id).comments, 1)
  end)

  it("hears what another client decides, without calling it its own", function()
    local id, hunks = suggested()
    local hunk = hunks[5]
    server:http("POST", "/feedback", { suggestion_id = id, hunk_id = hunk.id, action = "accept" })
    t.wait(function()
      return store.hunk(id, hunk.id).state == "accepted"
    end)
    t.wait(decisions.idle)
    t.ok((store.decided_here(id)[hunk.id] or { state = "pending" }).state ~= "accepted")
    server:http("POST", "/undo", { suggestion_id = id, hunk_id = hunk.id })
    t.wait(function()
      return store.hunk(id, hunk.id).state == "pending"
    end)
  end)

  it("tells a refusal apart from a failure", function()
    local err = t.await(function(callback)
      client.request({ type = "get", suggestionId = "no-such-thing" }, callback)
    end)
    t.eq(err.code, "not_found")
    err = t.await(function(callback)
      client.request({ type = "nonsense" }, callback)
    end)
    t.eq(err.code, "invalid_request")
    err = t.await(function(callback)
      client.request({ type = "ask", request = { text = ("x"):rep(1100000) } }, callback)
    end)
    t.eq(err.code, "payload_too_large")
    t.eq(client.state().state, "connected")
  end)

  it("gets bytes of a file by pages", function()
    local id = suggested()
    local err, content = t.await(function(callback)
      store.content(id, "a.txt", "base", callback)
    end)
    t.eq(err, nil)
    t.eq(content.bytes == text(), true)
  end)

  it("decides a part of a hunk, which splits it", function()
    local before = #store.list()
    local part_id = server:publish({ ["b.txt"] = "ONE\nTWO\nTHREE\n" }, "All of b", "new")
    t.wait(function()
      return store.get(part_id)
    end)
    local hunk = hunks_of(part_id)[1]
    local err = decide(part_id, hunk, "accept", { lines = { old = { 1, 1 }, new = { 1, 1 } } })
    t.eq(err, nil)
    t.wait(function()
      return #store.hunks(part_id) == 3
    end)
    local states = vim.tbl_map(function(part)
      return part.state
    end, store.hunks(part_id))
    t.eq(states, { "pending", "accepted", "pending" })
    t.wait(decisions.idle)
    local own =
      require("suggestion-review.adopt.verify").resolve(store.hunks(part_id), store.decided_here(part_id))
    t.eq(own[2].state, "accepted")
    t.eq(own[1].state, "pending")
    err = t.await(function(callback)
      feedback.undo(part_id, nil, callback)
    end)
    t.eq(err, nil)
    t.wait(function()
      return #store.hunks(part_id) == 1
    end)
    t.eq(store.hunks(part_id)[1].state, "pending")
    server:http("POST", "/complete", { suggestion_id = part_id, action = "discard" })
    t.wait(function()
      return store.get(part_id).state == "discarded"
    end)
    t.eq(#store.list(), before)
  end)
end)

describe("a new revision", function()
  it("keeps decisions on hunks that did not change", function()
    local id, first = suggested()
    t.eq(decide(id, first[1], "accept"), nil)
    local changed = first[2].diff:gsub("%+LINE 30", "+Line 30")
    t.eq(decide(id, first[2], "modify", { modified_diff = changed }), nil)
    t.eq(decide(id, first[3], "reject", { comment = "no" }), nil)
    t.wait(decisions.idle)
    -- The agent has gone on elsewhere meanwhile.
    server:publish({ ["b.txt"] = "ONE\nTWO\nTHREE\n" }, "Another", "new")
    local before = store.get(id).revision
    local change = store.get(id).jj_change_id
    server:publish(
      { ["a.txt"] = text({ [5] = "LINE 5", [30] = "LINE 30", [31] = "LINE 31", [50] = "LINE 50" }) },
      "Shout a little",
      change
    )
    t.wait(function()
      return store.get(id).revision > before
    end)
    local hunks = hunks_of(id)
    t.eq(hunks[1].state, "accepted")
    t.eq(hunks[2].state, "modified")
    t.eq(hunks[3].state, "pending")
    local own = require("suggestion-review.adopt.verify").resolve(hunks, store.decided_here(id))
    t.eq(own[1].state, "accepted")
    t.eq(own[2].state, "modified")
    t.eq(own[3].state, "pending")
  end)
end)

describe("disconnected", function()
  it("refuses decisions and says so; the review stays readable", function()
    local id = suggested()
    client.stop()
    local err = decide(id, store.hunks(id)[3], "accept")
    t.eq(err.code, "disconnected")
    t.match(err.message, "nothing was decided")
    t.eq(store.hunks(id)[3].state, "pending")
    t.ok(#store.hunks(id) > 0)
  end)

  it("comes back by itself after the server was killed, and catches up", function()
    local id = suggested()
    server:stop("sigkill")
    t.wait(function()
      return client.state().state == "waiting"
    end)
    t.eq(#store.hunks(id) > 0, true)
    server:serve()
    local hunk = store.hunks(id)[3]
    server:http(
      "POST",
      "/feedback",
      { suggestion_id = id, hunk_id = hunk.id, action = "reject", comment = "while away" }
    )
    t.wait(function()
      return client.state().state == "connected" and store.hunk(id, hunk.id).state == "rejected"
    end, 10000)
    t.eq(store.hunk(id, hunk.id).decision.comment, "while away")
  end)

  it("sends a decision again whose answer the restart swallowed, and it counts once", function()
    local id, hunks = suggested()
    local hunk = hunks[4]
    local answer
    feedback.decide(id, hunk, "accept", nil, function(err, data)
      answer = { err = err, data = data }
    end)
    -- Let it leave, then cut the line: whether it arrived is open.
    t.wait(function()
      return client.state().in_flight > 0
    end, 2000)
    server.process:kill("sigkill")
    t.wait(function()
      return server.process.code
    end)
    server:serve()
    t.wait(function()
      return answer
    end, 20000, "the answer after the restart")
    t.eq(answer.err, nil)
    t.eq(store.hunk(id, hunk.id).state, "accepted")
    local listed = server:http("GET", "/events?since=0&limit=1000")
    local count = 0
    for _, one in ipairs(listed.events) do
      if one.hunk_id == hunk.id and one.type == "suggestion.hunk_applied" and not one.carried then
        count = count + 1
      end
    end
    t.ok(count >= 1)
  end)

  --- Some rounds wait for the client, some do not let it come back at all.
  ---@param rounds integer
  ---@param waits integer every so many rounds wait
  local function misses_nothing(rounds, waits)
    local id, hunks = suggested()
    local seen = {}
    local stop = store.subscribe(function(one)
      if one.seq then
        table.insert(seen, one.seq)
      end
    end)
    local from = client.state().last_seq
    local hunk = hunks[6]
    local written = 0
    for round = 1, rounds do
      local action = round % 2 == 0 and "accept" or "reject"
      local answer, status = server:http(
        "POST",
        "/feedback",
        { suggestion_id = id, hunk_id = hunk.id, action = action, comment = "round " .. round }
      )
      t.eq(status, 200, vim.inspect(answer))
      written = answer.seq
      server.process:kill("sigkill")
      t.wait(function()
        return server.process.code
      end)
      server:serve()
      if round % waits == 0 then
        t.wait(function()
          return client.state().state == "connected"
        end, 15000)
      end
    end
    t.wait(function()
      return client.state().state == "connected" and client.state().last_seq >= written
    end, 40000, "the client to catch up")
    stop()
    for i, seq in ipairs(seen) do
      t.eq(seq, from + i)
    end
    t.ok(#seen >= rounds)
    t.eq(store.hunk(id, hunk.id).decision.comment, "round " .. rounds)
  end

  -- In two parts, each of which a busy machine gets through in its minute.
  for _, waits in ipairs({ 3, 4 }) do
    it(("misses nothing over 25 kills, back after every %d"):format(waits), function()
      misses_nothing(25, waits)
    end)
  end
end)

describe("a command asked again by who is told that the connection broke", function()
  for name, ends in pairs({
    ["by this Neovim"] = function()
      client.stop()
    end,
    ["by the server"] = function()
      server:stop("sigkill")
    end,
  }) do
    it("is answered too: " .. name, function()
      server:connect()
      local answers = {}
      local function ask()
        client.request({ type = "list" }, function(err)
          answers[#answers + 1] = err and err.code or "fine"
          if #answers == 1 then
            ask()
          end
        end)
      end
      ask()
      ends()
      t.wait(function()
        return #answers == 2
      end)
      t.eq(answers[2], "disconnected")
      local log = io.open(require("suggestion-review.say.log").path(), "rb")
      t.eq((log and log:read("*a") or ""):find("attempt to index", 1, true), nil)
      if server.process.code then
        server:serve()
      end
    end)
  end
end)

describe("finding the wrong server", function()
  local function refused()
    return t.wait(function()
      local state = client.state()
      return state.state == "refused" and state
    end, 10000, "a refusal")
  end

  local function with(settings)
    client._reset()
    require("suggestion-review.config").setup(settings)
    client.start()
  end

  it("names a missing token file", function()
    local settings = server:settings()
    settings.server.token_file = server.directory .. "/none"
    with(settings)
    t.match(refused().message, "no token file")
  end)

  it("does not send a wrong token, and does not hammer", function()
    local settings = server:settings()
    settings.server.token_file = server.directory .. "/wrong"
    t.write(settings.server.token_file, "smd_wrong\n")
    vim.uv.fs_chmod(settings.server.token_file, 384)
    with(settings)
    local state = refused()
    t.match(state.message, "does not know the token")
    t.match(state.message, "was not sent")
    t.eq(client.state().attempts, 0)
    local attempt = client.get().generation
    -- The right token, put into the file, is noticed without a command, and by the one attempt made since.
    t.write(settings.server.token_file, server.token .. "\n")
    t.wait(function()
      return client.state().state == "connected"
    end, 15000, "the new token to be noticed")
    t.eq(client.get().generation, attempt + 1)
  end)

  it("warns about a token that others can read", function()
    local settings = server:settings()
    settings.server.token_file = server.directory .. "/open"
    t.write(settings.server.token_file, server.token .. "\n")
    vim.uv.fs_chmod(settings.server.token_file, 420)
    with(settings)
    t.wait(function()
      return client.state().state == "connected"
    end)
    t.wait(function()
      for _, notice in ipairs(notices) do
        if notice.message:find("can be read by others") then
          return true
        end
      end
    end)
  end)

  it("tells nothing to a stranger on the port", function()
    local heard, ended = {}, false
    local stranger = assert(vim.uv.new_tcp())
    stranger:bind("127.0.0.1", 0)
    stranger:listen(16, function()
      local peer = assert(vim.uv.new_tcp())
      stranger:accept(peer)
      peer:read_start(function(_, data)
        if not data then
          ended = true
          return peer:close()
        end
        table.insert(heard, data)
        local body = '{"healthy":true,"service":"suggestion-manager","proofs":["' .. ("0"):rep(64) .. '"]}'
        peer:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
      end)
    end)
    local settings = server:settings()
    settings.server.port = stranger:getsockname().port
    with(settings)
    t.match(refused().message, "was not sent")
    -- What a connection brought is all here once its end is.
    t.wait(function()
      return ended
    end)
    t.eq(#heard, 1)
    t.eq(table.concat(heard):find(server.token, 1, true), nil)
    t.eq(table.concat(heard):lower():find("authorization", 1, true), nil)
    stranger:close()
  end)

  it("tells nothing to a relay that passes the question on to the real server", function()
    local heard, proofs = {}, nil
    local relay = assert(vim.uv.new_tcp())
    relay:bind("127.0.0.1", 0)
    local port = relay:getsockname().port
    local behind = server.url:match("^http://(.*)$")
    relay:listen(16, function()
      local peer, up = assert(vim.uv.new_tcp()), assert(vim.uv.new_tcp())
      relay:accept(peer)
      up:connect("127.0.0.1", tonumber(behind:match(":(%d+)$")), function()
        up:read_start(function(_, data)
          if data then
            proofs = proofs or data:match('"proofs":%["(%x+)"')
            peer:write(data)
          end
        end)
        peer:read_start(function(_, data)
          if not data then
            up:close()
            return peer:close()
          end
          table.insert(heard, data)
          up:write((data:gsub("Host: [^\r]*", "Host: " .. behind)))
        end)
      end)
    end)
    local settings = server:settings()
    settings.server.port = port
    with(settings)
    t.match(refused().message, "was not sent")
    t.ok(proofs ~= nil)
    t.eq(table.concat(heard):find(server.token, 1, true), nil)
    relay:close()
  end)

  it("waits for a server that is not there", function()
    local settings = server:settings()
    settings.server.port = 1
    with(settings)
    t.wait(function()
      return client.state().state == "waiting" and client.state().attempts >= 2
    end)
    t.match(client.state().message, "nothing listens there")
    client._reset()
  end)
end)

describe("several servers", function()
  it("are kept apart", function()
    local id = suggested()
    local second = real.start({ ["x.txt"] = "x\n" })
    client._reset()
    store._clear()
    require("suggestion-review.config").setup({
      servers = {
        server:settings().server,
        vim.tbl_extend("force", second:settings().server, { name = "second" }),
      },
    })
    client.start()
    t.wait(function()
      return client.state("real").state == "connected" and client.state("second").state == "connected"
    end)
    local other = second:publish({ ["x.txt"] = "y\n" }, "Second")
    t.wait(function()
      return store.get(other)
    end)
    t.eq(store.get(other).server, "second")
    t.wait(function()
      return store.get(id)
    end)
    t.eq(store.get(id).server, "real")
    local err = decide(other, hunks_of(other)[1], "accept")
    t.eq(err, nil)
    t.eq(store.hunks(other)[1].state, "accepted")
    client.stop("second")
    t.eq(client.state("real").state, "connected")
    t.eq(decide(other, store.hunks(other)[1], "reject").code, "disconnected")
    client._reset()
  end)
end)
