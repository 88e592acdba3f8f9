-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- What a new revision brings: which hunks were not seen before, and what became of those that were rejected.

local diff = require("suggestion-review.text.diff")
local interdiff = require("suggestion-review.ui.interdiff")
local seen = require("suggestion-review.model.seen")

local function hunk(id, digest)
  return { id = id, digest = digest:rep(16) }
end

describe("what is new in a revision", function()
  before_each(function()
    vim.env.XDG_STATE_HOME = t.tempdir()
  end)

  it("is nothing at the first look, and what was not there at the look before", function()
    t.eq(seen.look("s", 1, { hunk("a", "1111"), hunk("b", "2222") }), {})
    t.eq(seen.look("s", 2, { hunk("a", "1111"), hunk("b", "3333") }), { b = true })
    -- However often one looks.
    t.eq(seen.look("s", 2, { hunk("a", "1111"), hunk("b", "3333") }), { b = true })
    t.eq(seen.look("s", 3, { hunk("b", "3333"), hunk("c", "4444") }), { c = true })
  end)

  it("counts from the last revision that was looked at", function()
    seen.look("s", 1, { hunk("a", "1111") })
    t.eq(seen.look("s", 4, { hunk("a", "4444"), hunk("b", "1111") }), { a = true })
  end)

  it("is not what a hunk was split into here", function()
    seen.look("s", 1, { hunk("a", "1111") })
    seen.look("s", 2, { hunk("a", "2222"), hunk("b", "3333") })
    t.eq(seen.look("s", 2, { hunk("a.1", "5555"), hunk("a.2", "6666"), hunk("b", "3333") }), { b = true })
  end)

  it("is kept apart by suggestion, and starts over where the revision went back", function()
    seen.look("s", 5, { hunk("a", "1111") })
    t.eq(seen.look("other", 6, { hunk("a", "2222") }), {})
    t.eq(seen.look("s", 1, { hunk("a", "2222") }), {})
  end)

  it("survives a file that is not what it should be", function()
    local path = vim.fn.stdpath("state") .. "/suggestion-review/seen/s.json"
    for _, text in ipairs({ "", "{", "[]", '{"revision":"1","digests":{}}', '{"revision":1}', "null" }) do
      t.write(path, text)
      t.eq(seen.look("s", 2, { hunk("a", "1111") }), {})
      t.eq(seen.look("s", 3, { hunk("a", "2222") }), { a = true })
    end
  end)

  it("stays inside its folder, readable by its owner alone", function()
    seen.look("../../outside", 1, { hunk("a", "1111") })
    t.eq(vim.uv.fs_stat(vim.fn.stdpath("state") .. "/outside.json"), nil)
    local stat = assert(vim.uv.fs_stat(vim.fn.stdpath("state") .. "/suggestion-review/seen"))
    t.eq(stat.mode % 512, 448)
  end)
end)

describe("what became of a rejected hunk", function()
  it("is the difference of what was rejected and what is proposed, for random hunks", function()
    local shown = 0
    for seed = 1, 400 do
      math.randomseed(seed)
      local base = {}
      for i = 1, 30 do
        base[i] = ("line %d\n"):format(i)
      end
      --- A change near line 15, as a diff with its context, and the base with it.
      local function change(word)
        local from = math.random(10, 15)
        local to = math.random(from, 18)
        local new = {}
        for i = 1, math.random(from == to and 1 or 0, 4) do
          new[i] = ("%s %d\n"):format(word, math.random(1, 3))
        end
        local first, last = from - 3, to + 3
        local text = diff.format(
          first,
          first,
          vim.list_slice(base, first + 1, from),
          vim.list_slice(base, from + 1, to),
          new,
          vim.list_slice(base, to + 1, last)
        )
        local whole = vim.list_extend(vim.list_slice(base, 1, from), new)
        vim.list_extend(whole, base, to + 1)
        return text, whole, first, #base - last
      end
      local before, before_whole, before_first, before_tail = change("same")
      local now, now_whole, now_first, now_tail = change(math.random(1, 2) == 1 and "same" or "other")
      local lines =
        interdiff.lines({ earlier = { revision = 1, diff = before }, diff = now, encoding = "utf-8" })
      t.ok(lines)
      local first, tail = math.min(before_first, now_first), math.min(before_tail, now_tail)
      local left = table.concat(before_whole, "", first + 1, #before_whole - tail)
      local right = table.concat(now_whole, "", first + 1, #now_whole - tail)
      if left == right then
        t.eq(lines, {})
      else
        shown = shown + 1
        local old, new = {}, {}
        for _, line in ipairs(lines) do
          local sign, text = line:sub(1, 1), line:sub(2) .. "\n"
          if sign ~= "+" then
            old[#old + 1] = text
          end
          if sign ~= "-" then
            new[#new + 1] = text
          end
        end
        t.eq(table.concat(old), left)
        t.eq(table.concat(new), right)
      end
    end
    t.ok(shown > 200, shown)
  end)

  it("is not told of what has no text", function()
    t.eq(
      interdiff.lines({
        earlier = { revision = 1, diff = "Deletes x\n" },
        diff = "Creates x\n",
        encoding = "binary",
      }),
      nil
    )
  end)
end)
