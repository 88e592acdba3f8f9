-- luacheck: read globals t describe it before_each after_each pending
--- What stands in the client and in the server, pinned by vectors that both suites read: test-harness/vectors, and for
--- the server plugin/tests/diff/vectors.test.ts. Their answers were computed by neither of the two.

local compose = require("suggestion-review.adopt.compose")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local handshake = require("suggestion-review.connection.handshake")
local own_digest = require("suggestion-review.decisions.own_digest")

--- The JSON holds bytes as code points below 256.
---@param text string
---@return string
local function bytes(text)
  return assert(diff.latin1_to_bytes(text))
end

---@param name string
---@return table[]
local function vectors(name)
  local text = t.read(t.root .. "/test-harness/vectors/" .. name .. ".json")
  local cases = vim.json.decode(text, { luanil = { object = true } }).cases
  t.ok(#cases > 0)
  return cases
end

--- A hunk of lines as the server sends it.
---@param given { diff: string, old_from: integer, old_count: integer, new_from: integer, new_count: integer }
---@return SuggestionReview.Hunk
local function text_hunk(given)
  local function start(from, count)
    return count == 0 and from or from + 1
  end
  local hunk = {
    id = ("s:a:%d.%d"):format(given.old_from, given.new_from),
    kind = "text",
    file = "a",
    encoding = "utf-8",
    diff = given.diff,
    old_start = start(given.old_from, given.old_count),
    old_count = given.old_count,
    new_start = start(given.new_from, given.new_count),
    new_count = given.new_count,
    context_before = 0,
    context_after = 0,
  }
  hunk.digest = digest.of(hunk)
  return hunk
end

local rows = require("suggestion-review.ui.rows")

describe("digest", function()
  for _, case in ipairs(vectors("digests")) do
    it("of " .. case.name, function()
      local path, before, after = bytes(case.path), bytes(case.before), bytes(case.after)
      t.eq(digest.compute(case.kind, path, before, after), case.digest)
      if case.hunk then
        t.eq(digest.of(case.hunk), case.digest)
        t.ok(digest.shows_its_path(case.hunk))
      end
    end)
  end
end)

describe("digest of a part", function()
  for _, case in ipairs(vectors("parts")) do
    it("of " .. case.name, function()
      local hunk = {
        kind = case.kind,
        file = case.path,
        encoding = "utf-8",
        old_mode = case.old_mode,
        new_mode = case.new_mode,
        diff = case.diff,
      }
      t.eq(own_digest.of({ hunk = hunk, lines = case.lines }), case.digest)
    end)
  end
end)

describe("modified diff", function()
  for _, case in ipairs(vectors("modifications")) do
    it(case.name, function()
      local base = bytes(case.base)
      local lines = diff.split_lines(base)
      local whole = diff.format(0, 0, {}, lines, {}, {})
      local hunk = text_hunk({ diff = whole, old_from = 0, old_count = #lines, new_from = 0, new_count = 0 })
      hunk.encoding = case.encoding
      hunk.diff = case.encoding == "latin1" and diff.bytes_to_latin1(whole) or whole
      local own = { hunk = hunk, state = "modified", modified_diff = case.diff }
      local composed = compose.lines(base, { own })
      t.eq(composed, case.result and bytes(case.result))

      -- What is shown are the lines that count.
      if case.result then
        hunk.state, hunk.decision = "modified", { modified_diff = case.diff }
        local block = rows.block_of(hunk)
        t.eq(block.own, true)
        local shown = block.new
        if case.encoding == "latin1" then
          shown = vim.tbl_map(bytes, shown)
        end
        local bare = vim.tbl_map(function(line)
          return (line:gsub("\n$", ""))
        end, diff.read_modification(hunk, case.diff).lines)
        t.eq(shown, bare)
      end

      -- What is put into the developer's buffers is read by the same function.
      local placed = diff.read_modification(hunk, case.diff)
      if case.result then
        local result = vim.list_slice(lines, 1, placed.at)
        vim.list_extend(result, placed.lines)
        vim.list_extend(result, vim.list_slice(lines, placed.at + placed.count + 1))
        t.eq(table.concat(result), bytes(case.result))
      end
    end)
  end
end)

describe("composition of", function()
  for _, case in ipairs(vectors("compositions")) do
    it(case.name, function()
      local own = {}
      for _, given in ipairs(case.hunks) do
        if given.state == "accepted" or given.state == "modified" then
          own[#own + 1] =
            { hunk = text_hunk(given), state = given.state, modified_diff = given.modified_diff }
        end
      end
      t.eq({ compose.lines(case.base, own) }, { case.result })
    end)
  end
end)

describe("proof of the server", function()
  for _, case in ipairs(vectors("proofs")) do
    it(case.name, function()
      t.ok(handshake.is_proven(case.token, case.nonce, case.address, { case.proof }))
      t.ok(not handshake.is_proven(case.token, case.nonce .. "x", case.address, { case.proof }))
    end)
  end
end)

describe("kinds:", function()
  for _, case in ipairs(vectors("kinds")) do
    it(("%s is composed %s"):format(case.kind, case.lines and "by lines" or "as a whole"), function()
      t.eq(diff.LINE_KINDS[case.kind] == true, case.lines)
      t.eq(diff.has_text({ kind = case.kind, encoding = "utf-8" }), case.lines)
      t.eq(diff.has_text({ kind = case.kind, encoding = "binary" }), false)
    end)
  end
end)
