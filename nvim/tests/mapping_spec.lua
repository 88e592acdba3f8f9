local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local mapping = require("suggestion-review.text.merge")
local build = require("suggestion")

local function lines(text)
  return diff.split_lines(text)
end

local function replacement(key, at, count, text, order)
  return { key = key, at = at, count = count, lines = lines(text), order = order or at }
end

local BASE = lines("a\nb\nc\nd\ne\nf\ng\nh\n")

describe("mapping", function()
  it("composes the base with replacements in any order", function()
    local list =
      { replacement("2", 5, 1, "F\nFF\n"), replacement("1", 1, 2, ""), replacement("3", 8, 0, "end\n") }
    t.eq(table.concat(mapping.compose(BASE, list)), "a\nd\ne\nF\nFF\ng\nh\nend\n")
  end)

  it("places a change in an untouched text without comparing anything", function()
    local changes = exchange.changes(BASE, {}, {}, { replacement("1", 2, 1, "C\n") })
    local placed = mapping.place(changes, nil, nil)
    t.eq(placed[1].status, "clean")
    t.eq({ placed[1].from, placed[1].to }, { 2, 3 })
  end)

  it("counts what is applied above a change", function()
    local above = replacement("1", 1, 1, "B1\nB2\nB3\n")
    local changes, wanted = exchange.changes(BASE, { above }, {}, { replacement("2", 4, 1, "E\n") })
    t.eq(changes[1].from, 6)
    t.eq(#wanted, 2)
  end)

  it("takes a change out by itself", function()
    local one, two = replacement("1", 1, 1, "B1\nB2\n"), replacement("2", 4, 2, "")
    local changes, wanted = exchange.changes(BASE, { one, two }, { ["2"] = true }, {})
    t.eq(changes[1].old, {})
    t.eq(changes[1].lines, { "e\n", "f\n" })
    t.eq({ changes[1].from, changes[1].to }, { 5, 5 })
    t.eq(wanted, { one })
  end)

  it("shifts a change by the developer's edits above it", function()
    local changes = exchange.changes(BASE, {}, {}, { replacement("1", 5, 1, "F\n") })
    local actual = lines("new\nnewer\na\nc\nd\ne\nf\ng\nh\n")
    local placed = mapping.place(changes, BASE, actual)
    t.eq(placed[1].status, "clean")
    t.eq(table.concat(mapping.result(actual, placed)), "new\nnewer\na\nc\nd\ne\nF\ng\nh\n")
  end)

  it("sees that the developer made the same edit already", function()
    local changes = exchange.changes(BASE, {}, {}, { replacement("1", 2, 1, "C\n") })
    t.eq(mapping.place(changes, BASE, lines("a\nb\nC\nd\ne\nf\ng\nh\n"))[1].status, "already")
  end)

  it("reports a conflict where the developer's edit touches the change, and gives both texts", function()
    local changes = exchange.changes(BASE, {}, {}, { replacement("1", 2, 1, "C\n") })
    local placed = mapping.place(changes, BASE, lines("a\nb\nmine\nd\ne\nf\ng\nh\n"))[1]
    t.eq(placed.status, "conflict")
    t.eq(placed.ours, { "mine\n" })
    t.eq(placed.theirs, { "C\n" })
    t.eq({ placed.base_from, placed.base_to }, { 2, 3 })
  end)

  it("takes an edit right beside the change for touching, as git does", function()
    local changes = exchange.changes(BASE, {}, {}, { replacement("1", 2, 1, "C\n") })
    t.eq(mapping.place(changes, BASE, lines("a\nb\nc\nmine\ne\nf\ng\nh\n"))[1].status, "conflict")
    t.eq(mapping.place(changes, BASE, lines("a\nb\nc\nd\nmine\nf\ng\nh\n"))[1].status, "clean")
  end)

  it("minds a missing newline at the end", function()
    local base = lines("a\nb")
    local changes = exchange.changes(base, {}, {}, { replacement("1", 1, 1, "b\n") })
    t.eq(mapping.place(changes, base, lines("a\nb\n"))[1].status, "already")
    local placed = mapping.place(changes, base, lines("x\ny\na\nb"))
    t.eq(table.concat(mapping.result(lines("x\ny\na\nb"), placed)), "x\ny\na\nb\n")
  end)

  it("lets a newer version of a hunk take the place of the one applied before", function()
    local old = replacement("stale 1", 2, 1, "C1\n")
    local changes, wanted, displaced = exchange.changes(
      BASE,
      { old },
      {},
      { replacement("1", 2, 2, "C2\nD2\n") }
    )
    t.eq(changes[1].old, { "C1\n", "d\n" })
    t.eq(changes[1].lines, { "C2\n", "D2\n" })
    t.eq(#wanted, 1)
    t.eq(displaced, { "stale 1" })
  end)

  it("keeps insertions at one place in the suggestion's order", function()
    local first, second = replacement("1", 3, 0, "x\n", 4), replacement("2", 3, 0, "y\n", 5)
    t.eq(table.concat(mapping.compose(BASE, { second, first })), "a\nb\nc\nx\ny\nd\ne\nf\ng\nh\n")
    local changes = exchange.changes(BASE, { first }, {}, { second })
    t.eq({ changes[1].from, changes[1].to }, { 4, 4 })
    changes = exchange.changes(BASE, { second }, {}, { first })
    t.eq({ changes[1].from, changes[1].to }, { 3, 3 })
  end)
end)

--- `git merge-file` on three texts.
---@return string merged
---@return boolean clean
local function oracle(directory, ours, base, theirs)
  t.write(directory .. "/ours", ours)
  t.write(directory .. "/base", base)
  t.write(directory .. "/theirs", theirs)
  local result = vim
    .system({
      t.program("git"),
      "merge-file",
      "-p",
      "--quiet",
      directory .. "/ours",
      directory .. "/base",
      directory .. "/theirs",
    })
    :wait() -- stylua: ignore
  return result.stdout, result.code == 0
end

---@param random fun(low: integer, high: integer): integer
---@param count integer
local function random_text(random, count)
  local out = {}
  for i = 1, count do
    -- Some lines repeat, as blank lines and braces do in programs.
    out[i] = random(1, 5) == 1 and ({ "}\n", "\n", "end\n" })[random(1, 3)]
      or ("line %d\n"):format(random(1, 10000))
  end
  return out
end

---@param random fun(low: integer, high: integer): integer
---@param text string[]
---@param tag string
local function random_edit(random, text, tag)
  local out = vim.list_slice(text)
  for _ = 1, random(1, 3) do
    local at = random(0, #out)
    local cut = math.min(random(0, 3), #out - at)
    local new = {}
    for i = 1, random(cut == 0 and 1 or 0, 3) do
      new[i] = ("%s %d\n"):format(tag, random(1, 100000))
    end
    local rest = vim.list_slice(out, at + cut + 1, #out)
    out = vim.list_slice(out, 1, at)
    vim.list_extend(out, new)
    vim.list_extend(out, rest)
  end
  return out
end

describe("mapping against git merge-file", function()
  ---@param first integer
  ---@param last integer seeds
  local function try(first, last)
    local directory = t.tempdir()
    local rounds, steps, conflicts, already = last - first + 1, 0, 0, 0
    for seed = first, last do
      local random = build.random(seed * 7919)
      local base = random_text(random, random(0, 30))
      local proposed = random_edit(random, random_edit(random, base, "theirs"), "theirs")
      local hunks = {}
      for index, range in ipairs(diff.ranges(base, proposed)) do
        hunks[index] = {
          key = tostring(index),
          at = range[1],
          count = range[2] - range[1],
          lines = vim.list_slice(proposed, range[3] + 1, range[4]),
          order = range[3],
        }
      end
      local applied, actual = {}, vim.list_slice(base)
      for _ = 1, 4 do
        if #hunks > 0 and random(1, 3) > 1 then
          local hunk = hunks[random(1, #hunks)]
          local inside = false
          for _, one in ipairs(applied) do
            inside = inside or one.key == hunk.key
          end
          local changes, wanted =
            exchange.changes(base, applied, inside and { [hunk.key] = true } or {}, inside and {} or { hunk })
          local expected = mapping.compose(base, applied)
          local placed = mapping.place(changes, expected, actual)
          local merged, clean = oracle(
            directory,
            table.concat(actual),
            table.concat(expected),
            table.concat(mapping.compose(base, wanted))
          )
          steps = steps + 1
          local status = placed[1].status
          if status == "conflict" then
            conflicts = conflicts + 1
            if clean then
              error(("seed %d: conflict where git merges cleanly\n%s"):format(
                seed,
                vim.inspect({
                  expected = expected,
                  wanted = mapping.compose(base, wanted),
                  actual = actual,
                  merged = merged,
                })
              ))
            end
          else
            if not clean then
              error(("seed %d: %s where git sees a conflict"):format(seed, status))
            end
            actual = mapping.result(actual, placed)
            t.eq(table.concat(actual), merged, "seed " .. seed)
            applied = wanted
            if status == "already" then
              already = already + 1
            end
          end
        else
          actual = random_edit(random, actual, "mine")
        end
      end
    end
    t.ok(steps > rounds, "too few steps: " .. steps)
    t.ok(conflicts > 50 and conflicts < steps, ("conflicts: %d of %d"):format(conflicts, steps))
  end

  -- In parts, each of which a busy machine gets through in its minute.
  for first = 1, 1500, 375 do
    it(
      ("agrees in 375 random interleavings of edits, decisions and their undoing, from %d on"):format(first),
      function()
        try(first, first + 374)
      end
    )
  end

  it("composes any subset of decisions exactly, through any order", function()
    for seed = 1, 300 do
      local random = build.random(seed * 104729)
      local base = random_text(random, random(5, 40))
      local proposed = random_edit(random, random_edit(random, base, "theirs"), "theirs")
      local hunks = {}
      for index, range in ipairs(diff.ranges(base, proposed)) do
        hunks[index] = {
          key = tostring(index),
          at = range[1],
          count = range[2] - range[1],
          lines = vim.list_slice(proposed, range[3] + 1, range[4]),
          order = range[3],
        }
      end
      local applied, actual = {}, base
      for _ = 1, 12 do
        local hunk = hunks[random(1, math.max(1, #hunks))]
        if not hunk then
          break
        end
        local inside = vim.iter(applied):any(function(one)
          return one.key == hunk.key
        end)
        local changes, wanted =
          exchange.changes(base, applied, inside and { [hunk.key] = true } or {}, inside and {} or { hunk })
        actual = mapping.result(actual, mapping.place(changes, nil, nil))
        applied = wanted
        t.eq(table.concat(actual), table.concat(mapping.compose(base, applied)))
      end
    end
  end)
end)

describe("numbers of hunks", function()
  local hunk_id = require("suggestion-review.text.hunk_id")

  it("lead from a part to what it is cut from, whatever the file is called", function()
    t.eq(
      hunk_id.with_wholes("s:a.1.2.txt:0.1.2"),
      { "s:a.1.2.txt:0.1.2", "s:a.1.2.txt:0.1", "s:a.1.2.txt:0" }
    )
    t.eq(hunk_id.with_wholes("s:x:1.5:3"), { "s:x:1.5:3" })
    t.eq(hunk_id.with_wholes("3.1"), { "3.1", "3" })
    t.ok(hunk_id.is_part("s:a:0.1.2", "s:a:0") and hunk_id.is_part("s:a:0.1.2", "s:a:0.1"))
    t.ok(not hunk_id.is_part("s:a:0.1", "s:a:0.1") and not hunk_id.is_part("s:a:01", "s:a:0"))
  end)
end)
