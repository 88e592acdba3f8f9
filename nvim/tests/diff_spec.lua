local diff = require("suggestion-review.text.diff")
local build = require("suggestion")

describe("diff.parse", function()
  it("goes by the counts, not by what lines look like", function()
    local parsed =
      assert(diff.parse("@@ -1,3 +1,3 @@ fn\n--- a/x\n-@@ -1 +1 @@\n+++ b/x\n+@@\n \\ not a marker\n"))
    t.eq(parsed.section, "fn")
    t.eq(#parsed.lines, 5)
    t.eq(parsed.lines[1], { kind = "-", text = "-- a/x\n" })
    t.eq(parsed.lines[3], { kind = "+", text = "++ b/x\n" })
  end)

  it("reads single-line headers and insertions at the start", function()
    t.eq(diff.parse("@@ -1 +1 @@\n-a\n+b\n").old_count, 1)
    local parsed = assert(diff.parse("@@ -0,0 +1,2 @@\n+a\n+b\n"))
    t.eq({ parsed.old_start, parsed.old_count, parsed.new_count }, { 0, 0, 2 })
  end)

  it("reads the missing newline of either side", function()
    local text = diff.sides(assert(diff.parse("@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n")))
    t.eq(text.old, { "b" })
    t.eq(text.new, { "b\n" })
    text = diff.sides(assert(diff.parse("@@ -1,2 +1,3 @@\n a\n+b\n c\n\\ No newline at end of file\n")))
    t.eq(text.after, { "c" })
  end)

  it("keeps carriage returns, NULs and separators inside lines", function()
    local text = diff.sides(assert(diff.parse("@@ -1 +1 @@\n-a\r\n+b\0\226\128\168c\r\r\n")))
    t.eq(text.old, { "a\r\n" })
    t.eq(text.new, { "b\0\226\128\168c\r\r\n" })
  end)

  it("refuses what does not fit its counts, naming the line", function()
    t.match(select(2, diff.parse("@@ -1,2 +1,1 @@\n-a\n")), "fewer lines")
    t.match(select(2, diff.parse("@@ -1 +1 @@\n-a\n+b\n+c\n")), "more lines.*line 4")
    t.match(select(2, diff.parse("@@ -1 +1 @@\n-a\nxb\n")), "line 3 starts with neither")
    t.match(select(2, diff.parse("hello")), "expected a hunk header")
    t.match(select(2, diff.parse("")), "expected a hunk header")
  end)

  it("takes back what format wrote, for random texts", function()
    for seed = 1, 300 do
      local random = build.random(seed * 31)
      local function side(count)
        local out = {}
        for i = 1, count do
          out[i] = ({ "-", "+", " ", "@@ ", "\\ ", "x" })[random(1, 6)] .. random(1, 50) .. "\n"
        end
        return out
      end
      local before, old, new, after =
        side(random(0, 3)), side(random(0, 4)), side(random(1, 4)), side(random(0, 3))
      if #after == 0 and #old > 0 and random(1, 2) == 1 then
        old[#old] = old[#old]:sub(1, -2)
      end
      local text = diff.sides(assert(diff.parse(diff.format(10, 12, before, old, new, after))))
      t.eq({ text.before, text.old, text.new, text.after }, { before, old, new, after })
      local quick = diff.quick_sides(diff.format(10, 12, before, old, new, after))
      local function bare(lines)
        return vim.tbl_map(function(line)
          return (line:gsub("\n$", ""))
        end, lines)
      end
      t.eq(
        { quick.before, quick.old, quick.new, quick.after },
        { bare(before), bare(old), bare(new), bare(after) }
      )
    end
  end)
end)

describe("diff.is_utf8", function()
  it("takes whole characters and nothing else", function()
    t.ok(diff.is_utf8("a größe 中 🙂\0"))
    for _, bad in ipairs({ "\233", "a\195", "\195\228\184\173\164", "\255", "\128" }) do
      t.ok(not diff.is_utf8(bad), vim.inspect(bad))
    end
  end)
end)

describe("diff latin1", function()
  it("is lossless for every byte", function()
    local bytes = {}
    for b = 0, 255 do
      bytes[#bytes + 1] = string.char(b)
    end
    local all = table.concat(bytes)
    t.eq(diff.latin1_to_bytes(diff.bytes_to_latin1(all)), all)
    t.eq(diff.latin1_to_bytes("\226\130\172"), nil)
  end)
end)

describe("diff.format_modification", function()
  local base = "1\n2\n3\n4\n5\n6\n7\n8\n"
  local function hunk()
    return build.hunks_of("s", "f", base, (base:gsub("4\n5\n", "four\nfive\n")))[1]
  end

  it("keeps the context and recounts the header", function()
    local one = hunk()
    local text = assert(diff.text_of(one))
    local modified =
      assert(diff.format_modification(one, text, { "1\n", "2\n", "3\n", "four\n", "6\n", "7\n", "8\n" }))
    t.eq(modified, "@@ -1,8 +1,7 @@\n 1\n 2\n 3\n-4\n-5\n+four\n 6\n 7\n 8\n")
  end)

  it("grows into the context where that was edited", function()
    local one = hunk()
    local text = assert(diff.text_of(one))
    local modified =
      assert(diff.format_modification(one, text, { "1\n", "2\n", "drei\n", "four\n", "6\n", "7\n", "8\n" }))
    local own = diff.sides(assert(diff.parse(modified)))
    t.eq(own.old, { "3\n", "4\n", "5\n" })
    t.eq(own.new, { "drei\n", "four\n" })
  end)

  it("is nil when nothing but the base is left", function()
    local one = hunk()
    t.eq(diff.format_modification(one, assert(diff.text_of(one)), diff.split_lines(base)), nil)
  end)

  it("gives a diff that real git applies, for random edits", function()
    local directory = t.tempdir()
    for seed = 1, 60 do
      local random = build.random(seed * 17)
      local lines = {}
      for i = 1, random(1, 20) do
        lines[i] = random(1, 1000) .. "\n"
      end
      local proposed = vim.list_slice(lines)
      table.insert(proposed, random(1, #lines + 1), "new\n")
      local one = build.hunks_of("s", "f", table.concat(lines), table.concat(proposed))[1]
      local text = assert(diff.text_of(one))
      local edited = {}
      vim.list_extend(edited, text.before)
      for _ = 1, random(0, 4) do
        edited[#edited + 1] = "mine " .. random(1, 9) .. "\n"
      end
      vim.list_extend(edited, text.after)
      local modified = diff.format_modification(one, text, edited)
      if modified then
        local from = diff.zero_based(one.old_start, one.old_count) - #text.before
        local expected = vim.list_slice(lines, 1, from)
        vim.list_extend(expected, edited)
        vim.list_extend(expected, lines, from + #text.before + #text.old + #text.after + 1, #lines)
        t.write(directory .. "/f", table.concat(lines))
        t.write(directory .. "/p", "--- a/f\n+++ b/f\n" .. modified)
        t.run({ t.program("git"), "apply", "--unidiff-zero", "p" }, { cwd = directory })
        t.eq(t.read(directory .. "/f"), table.concat(expected), "seed " .. seed)
      end
    end
  end)
end)

describe("diff.ranges_near", function()
  it("finds what comparing the whole texts finds", function()
    for seed = 1, 200 do
      local random = build.random(seed * 977)
      local a = {}
      for i = 1, random(0, 400) do
        a[i] = (random(1, 8) == 1 and "}" or "line " .. random(1, 100000)) .. "\n"
      end
      local b = vim.list_slice(a)
      local at = random(1, #a + 1)
      for _ = 1, random(0, 6) do
        local where = math.max(1, math.min(#b + 1, at + random(-10, 10)))
        if random(1, 2) == 1 or not b[where] then
          table.insert(b, where, "new " .. random(1, 1000) .. "\n")
        else
          table.remove(b, where)
        end
      end
      if #b > 0 and random(1, 4) == 1 then
        b[#b] = b[#b]:sub(1, -2)
      end
      local found = diff.ranges_near(diff.bare_lines(a), diff.bare_lines(b), 20)
      t.eq(found or {}, diff.ranges(a, b), "seed " .. seed)
      t.eq(diff.bare_lines(diff.bare_lines(b)), b)
    end
  end)
end)

describe("diff.words", function()
  it("marks the words that differ", function()
    local old, new = diff.words("return x + y;\n", "return x - y;\n")
    t.eq(old, { { 9, 10 } })
    t.eq(new, { { 9, 10 } })
  end)
  it("keeps characters of several bytes whole", function()
    local _, new = diff.words("größe = 1\n", "größer = 1\n")
    t.eq(new, { { 0, 8 } })
  end)
  it("C15: marks characters where a script has no blanks", function()
    local old, new = diff.words("私は東京に住んでいます\n", "私は大阪に住んでいます\n")
    t.eq({ old, new }, { { { 6, 12 } }, { { 6, 12 } } })
    old, new = diff.words("ฉันชอบแมว\n", "ฉันชอบหมา\n")
    t.ok(#old > 0 and #new > 0, "Thai has no marks")
    local _, cjk = diff.words("色: 红\n", "色: 绿\n")
    t.eq(cjk, { { 5, 8 } })
    local _, signs = diff.words("a ✔ b 👍 c\n", "a ✔ b 👎 c\n")
    t.eq(signs, { { 8, 12 } })
  end)
  it("C15: never parts a character from what combines with it", function()
    local old, new = diff.words("が行く\n", "か\227\130\153行く\n")
    t.eq({ old, new }, { { { 0, 3 } }, { { 0, 6 } } })
    old, new = diff.words("x cafe = 1\n", "x cafe\204\129 = 1\n")
    t.eq({ old, new }, { { { 2, 6 } }, { { 2, 8 } } })
    old, new = diff.words("aa = b\n", "aa =\204\184 b\n")
    t.eq({ old, new }, { { { 3, 4 } }, { { 3, 6 } } })
  end)
  it("says nothing of lines that have little in common", function()
    t.eq({ diff.words("abc def ghi jkl\n", "1 2 3 4 5 6 7\n") }, { {}, {} })
  end)
  it("pairs lines inside the hunk alone", function()
    t.eq(diff.pairs_of({ "a = 1\n", "b = 2\n" }, { "new\n", "a = 10\n", "b = 2\n" }), {
      { old = 1, new = 2 },
      { old = 2, new = 3 },
    })
  end)
end)
