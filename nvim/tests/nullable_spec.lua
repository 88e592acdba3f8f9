-- luacheck: read globals t describe it before_each after_each pending
--- What the protocol lets be null or absent is cleared in the store by a message without it: each such field of a
--- suggestion and of a hunk, as the published document names them (docs/openapi.json, made from the server's schemas),
--- through each kind of message that carries it, over a real socket.

local client = require("suggestion-review.connection.client")
local shapes = require("suggestion-review.model.shapes")
local store = require("suggestion-review.model.store")
local build = require("suggestion")

local SCHEMAS =
  vim.json.decode(t.read(t.root .. "/docs/openapi.json"), { luanil = { object = true } }).components.schemas

local server = require("contrary").start("smd_nullable")
require("suggestion-review.config").setup({ server = server:server("contrary"), request_timeout = 2000 })

vim.notify = function() end

local seq = 0

before_each(function()
  client._reset()
  store._clear()
  seq = 0
  server:order({
    onConnect = { type = "serve" },
    last = 0,
    holes = {},
    journal = vim.empty_dict(),
    answers = vim.empty_dict(),
  })
  client.start()
  t.wait(function()
    return client.state().state == "connected"
  end, 10000, "the connection")
end)

---@param schema table
---@return table
local function resolved(schema)
  local name = schema["$ref"] and schema["$ref"]:match("[^/]+$")
  return name and resolved(SCHEMAS[name]) or schema
end

---@param schema table
---@return boolean
local function may_be_null(schema)
  for _, choice in ipairs(schema.anyOf or {}) do
    if choice.type == "null" then
      return true
    end
  end
  return false
end

--- Some value that a schema allows, not null, with all its fields.
---@param given table
---@return any
local function sample(given)
  local schema = resolved(given)
  for _, choice in ipairs(schema.anyOf or {}) do
    if choice.type ~= "null" then
      return sample(choice)
    end
  end
  if schema.enum then
    return schema.enum[1]
  elseif schema.type == "object" then
    return vim.tbl_map(sample, schema.properties)
  elseif schema.type == "array" then
    return { sample(schema.items) }
  end
  local plain = { string = ("0"):rep(64), integer = 1, number = 1, boolean = true }
  return assert(plain[schema.type], vim.inspect(schema))
end

--- Fields of an object of the protocol that a message may leave without a value.
---@param name string
---@param absent boolean those that may be absent as well as those that may be null
---@return string[]
local function clearable(name, absent)
  local schema, found = SCHEMAS[name], {}
  for field, rule in pairs(schema.properties) do
    if may_be_null(rule) or (absent and not vim.list_contains(schema.required, field)) then
      found[#found + 1] = field
    end
  end
  table.sort(found)
  return found
end

---@return table suggestion as an answer to `get` carries it, all nulls
local function whole()
  local made = build.build({ ["a.txt"] = "one\ntwo\n" }, { ["a.txt"] = "one\nTWO\n" })
  made.server = nil
  made.hunks_omitted = false
  made.warnings, made.file_summaries = {}, {}
  for _, name in ipairs(clearable("Suggestion", false)) do
    made[name] = vim.NIL
  end
  return made
end

---@param made table
---@return table
local function summary(made)
  local only = {}
  for name in pairs(SCHEMAS.SuggestionSummary.properties) do
    only[name] = made[name]
  end
  return only
end

---@param event table
local function hear(event)
  seq = seq + 1
  server:order({
    last = seq,
    raw = vim.json.encode(
      vim.tbl_extend("force", event, { seq = seq, ts = "2026-01-01T00:00:00Z", project = "/p" })
    ),
  })
  t.wait(function()
    return client.state().last_seq == seq
  end, 15000, "the event to be taken in")
end

--- Ways in which the client comes to know a whole suggestion or a summary.
local ways = {
  ["a list"] = function(made)
    server:order({ answers = { list = { suggestions = { summary(made) }, total = 1 } } })
    t.eq(
      t.await(function(callback)
        client.refresh("contrary", callback)
      end),
      nil
    )
  end,
  ["an answer with everything"] = function(made)
    server:order({ answers = { get = made } })
    t.eq((t.await(function(callback)
      store.fetch(made.id, callback)
    end)), nil)
  end,
  ["a publication"] = function(made)
    local carried = vim.tbl_extend("force", summary(made), {
      hunks = made.hunks,
      hunks_omitted = false,
      warnings = made.warnings,
    })
    hear({ type = "suggestion.ready", suggestion = carried })
  end,
}

describe("a field that may be null", function()
  it("is in the store's list of them, and nothing else is", function()
    local of_summary, of_whole = clearable("SuggestionSummary", false), {}
    for _, name in ipairs(clearable("Suggestion", false)) do
      if not vim.list_contains(of_summary, name) then
        of_whole[#of_whole + 1] = name
      end
    end
    table.sort(shapes.NULLABLE.summary)
    table.sort(shapes.NULLABLE.whole)
    t.eq(shapes.NULLABLE, { summary = of_summary, whole = of_whole })
    t.ok(#of_summary > 0 and #of_whole > 0)
  end)

  local names = vim.tbl_keys(ways)
  table.sort(names)
  for _, way in ipairs(names) do
    local bring = ways[way]
    local object = way == "an answer with everything" and "Suggestion" or "SuggestionSummary"
    for _, name in ipairs(clearable(object, false)) do
      it(("of a suggestion is cleared by %s: %s"):format(way, name), function()
        local made = whole()
        ways["a publication"](made)
        made[name] = sample(SCHEMAS[object].properties[name])
        bring(made)
        t.eq(store.get(made.id)[name], made[name])
        made[name] = vim.NIL
        bring(made)
        t.eq(store.get(made.id)[name], nil)
      end)
    end
  end

  for _, name in ipairs(clearable("Hunk", true)) do
    ---@param bring fun(made: table)
    local function cleared_by(bring)
      local made = whole()
      ways["an answer with everything"](made)
      local hunk = made.hunks[1]
      local before = hunk[name]
      hunk[name] = sample(SCHEMAS.Hunk.properties[name])
      bring(made)
      t.eq(store.hunk(made.id, hunk.id)[name], hunk[name])
      hunk[name] = may_be_null(SCHEMAS.Hunk.properties[name]) and vim.NIL or nil
      bring(made)
      t.eq(store.hunk(made.id, hunk.id)[name], nil, "before it was " .. vim.inspect(before))
    end

    it("of a hunk is cleared by an answer with everything: " .. name, function()
      ways["a list"](whole())
      cleared_by(ways["an answer with everything"])
    end)

    it("of a hunk is cleared by a publication: " .. name, function()
      ways["a list"](whole())
      cleared_by(ways["a publication"])
    end)

    it("of a hunk is cleared by a hunk that is whole again: " .. name, function()
      ways["a list"](whole())
      cleared_by(function(made)
        local hunk = made.hunks[1]
        hear({ type = "suggestion.hunk_joined", suggestion_id = made.id, hunk = hunk, parts = { hunk.id } })
      end)
    end)

    it("of a hunk is cleared by the answer to a decision: " .. name, function()
      ways["a list"](whole())
      cleared_by(function(made)
        local answer = { success = true, hunks = made.hunks, changed = 1 }
        server:order({ answers = { undo = answer } })
        local err = t.await(function(callback)
          require("suggestion-review.decisions.requests").undo(made.id, nil, callback)
        end)
        t.eq(err, nil)
      end)
    end)
  end
end)

describe("what an event is silent about", function()
  it(
    "is cleared: the words of a decision by the next one, and the decision by its being taken back",
    function()
      local made = whole()
      ways["a publication"](made)
      local id, hunk = made.id, made.hunks[1]
      local decided = {
        type = "suggestion.hunk_applied",
        suggestion_id = id,
        hunk_id = hunk.id,
        action = "modified",
        digest = hunk.digest,
        revision = 1,
        by = "developer",
        comment = "good",
        modified_diff = hunk.diff,
      }
      hear(decided)
      t.eq(store.hunk(id, hunk.id).decision.comment, "good")
      decided.comment, decided.modified_diff, decided.action = nil, nil, "accepted"
      hear(decided)
      t.eq(store.hunk(id, hunk.id).decision.comment, nil)
      t.eq(store.hunk(id, hunk.id).decision.modified_diff, nil)
      hear({
        type = "suggestion.hunk_reset",
        suggestion_id = id,
        hunk_id = hunk.id,
        digest = hunk.digest,
        revision = 1,
        by = "developer",
      })
      t.eq(store.hunk(id, hunk.id).decision, nil)
    end
  )

  it("is cleared: the exit code of a check that was ended, and the provider's waiting", function()
    local made = whole()
    ways["a publication"](made)
    local verified =
      { type = "suggestion.verified", suggestion_id = made.id, ok = false, exit_code = 7, output = "bad" }
    hear(verified)
    t.eq(store.get(made.id).verify.exit_code, 7)
    verified.exit_code = vim.NIL
    hear(verified)
    t.eq(store.get(made.id).verify.exit_code, nil)
    local turn = { type = "agent.turn", session_id = "s", state = "busy", message = "waiting" }
    hear(vim.tbl_extend("force", turn, { retry = { attempt = 1, at = "2026-01-01T00:00:10Z" } }))
    t.eq(store.turns("contrary")["/p"].retry.attempt, 1)
    hear(turn)
    t.eq(store.turns("contrary")["/p"].retry, nil)
  end)

  it("is kept where the message does not have the field: a check's outcome by a summary", function()
    local made = whole()
    made.verify = sample(SCHEMAS.Suggestion.properties.verify)
    ways["a publication"](made)
    ways["an answer with everything"](made)
    ways["a list"](made)
    t.eq(store.get(made.id).verify, made.verify)
  end)
end)
