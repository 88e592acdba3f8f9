--- Hunks as text: reading a unified diff by its counts, writing a modification as a diff again, and the word-level
--- differences inside one hunk.
--- Pure: knows no buffer, no file and no socket. Lines keep their terminators, so that joining them gives the bytes.
local M = {}

---@class (exact) SuggestionReview.DiffLine
---@field kind " "|"-"|"+"
---@field text string  raw bytes, with the terminating "\n" unless the file ends without one

---@class (exact) SuggestionReview.ParsedHunk
---@field old_start integer  as in the header, context included
---@field old_count integer
---@field new_start integer
---@field new_count integer
---@field section string     text after the second @@
---@field lines SuggestionReview.DiffLine[]

---@class (exact) SuggestionReview.HunkText
---@field before string[]    context lines above the change
---@field old string[]       base lines the hunk replaces
---@field new string[]       lines it puts there
---@field after string[]     context lines below
---@field parsed SuggestionReview.ParsedHunk|nil  nil for file-level operations that have no text

--- Kinds whose diff is text and that are composed by lines; the rest are one operation on a file, told in prose.
M.LINE_KINDS = { text = true, create = true, delete = true }

--- `bytes` split after each "\n".
---@param bytes string
---@return string[]
function M.split_lines(bytes)
  local lines, from, n = {}, 1, 0
  while true do
    local at = bytes:find("\n", from, true)
    if not at then
      break
    end
    n = n + 1
    lines[n] = bytes:sub(from, at)
    from = at + 1
  end
  if from <= #bytes then
    lines[n + 1] = bytes:sub(from)
  end
  return lines
end

--- A string of code points below 256 (how `latin1` hunks travel in JSON) as the bytes they stand for.
---@param text string
---@return string|nil bytes  nil when a code point does not fit a byte
function M.latin1_to_bytes(text)
  if not text:find("[\128-\255]") then
    return text
  end
  local bad = false
  local bytes = text:gsub("[\192-\255][\128-\191]*", function(sequence)
    local lead, trail = sequence:byte(1, 2)
    if #sequence ~= 2 or lead > 0xc3 then
      bad = true
      return nil
    end
    return string.char((lead - 0xc0) * 64 + (trail - 0x80))
  end)
  if bad then
    return nil
  end
  return bytes
end

---@param text string
---@return boolean
function M.is_utf8(text)
  if not text:find("[\128-\255]") then
    return true
  end
  -- Whole characters become NULs, so that what is left of broken ones cannot join to something valid.
  local rest = text
    :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "\0")
    :gsub("[\224-\239][\128-\191][\128-\191]", "\0")
    :gsub("[\194-\223][\128-\191]", "\0")
  return not rest:find("[\128-\255]")
end

---@param bytes string
---@return string
function M.bytes_to_latin1(bytes)
  return (
    bytes:gsub("[\128-\255]", function(char)
      local b = char:byte()
      return string.char(0xc0 + math.floor(b / 64), 0x80 + b % 64)
    end)
  )
end

local HEADER = "^@@ %-(%d+),?(%d*) %+(%d+),?(%d*) @@ ?(.*)$"

--- Parses one hunk by the counts of its header; a line that looks like a header inside it is content.
---@param diff string
---@return SuggestionReview.ParsedHunk|nil
---@return string|nil reason
function M.parse(diff)
  local head, rest = diff:match("^([^\n]*)\n?(.*)$")
  local a, b, c, d, section = (head:gsub("\r$", "")):match(HEADER)
  if not a then
    return nil, "expected a hunk header such as @@ -1,3 +1,4 @@"
  end
  local function count(text)
    return text == "" and 1 or tonumber(text) --[[@as integer]]
  end
  local parsed = {
    old_start = tonumber(a),
    old_count = count(b),
    new_start = tonumber(c),
    new_count = count(d),
    section = section,
    lines = {},
  }
  local old_left, new_left = parsed.old_count, parsed.new_count
  local lines, n = parsed.lines, 0
  local source = M.split_lines(rest)
  local i = 1
  while i <= #source do
    local line = source[i]
    local mark = line:sub(1, 1)
    if mark == "\\" and n > 0 then
      lines[n].text = lines[n].text:gsub("\n$", "")
      i = i + 1
    elseif old_left == 0 and new_left == 0 then
      return nil, ("the hunk has more lines than its header says (line %d)"):format(i + 1)
    else
      -- An editor may have stripped the blank that marks an empty context line.
      if mark == "\n" then
        mark, line = " ", " \n"
      end
      if mark ~= " " and mark ~= "-" and mark ~= "+" then
        return nil, ("line %d starts with neither blank, + nor -"):format(i + 1)
      end
      if mark ~= "+" then
        old_left = old_left - 1
      end
      if mark ~= "-" then
        new_left = new_left - 1
      end
      if old_left < 0 or new_left < 0 then
        return nil, ("the hunk has more lines than its header says (line %d)"):format(i + 1)
      end
      n = n + 1
      local text = line:sub(2)
      if text:sub(-1) ~= "\n" then
        text = text .. "\n"
      end
      lines[n] = { kind = mark, text = text }
      i = i + 1
    end
  end
  if old_left ~= 0 or new_left ~= 0 then
    return nil, "the hunk has fewer lines than its header says"
  end
  return parsed
end

--- A diff that was edited by hand without what the server passes over in one: file headers in front and empty lines
--- behind what the header counts.
---@param text string
---@return string
function M.bare_edit(text)
  if text:sub(1, 3) ~= "@@ " then
    text = text:match("\n(@@ .*)$") or text
  end
  local bare = text
  while not M.parse(bare) do
    if bare:sub(-2) ~= "\n\n" then
      return text
    end
    bare = bare:sub(1, -2)
  end
  return bare
end

--- The base lines that an edited diff is about and what it puts there.
---@param hunk SuggestionReview.Hunk
---@param modified_diff string as it goes over the wire
---@return { at: integer, count: integer, old: string[], lines: string[] }|nil
---@return string|nil reason
function M.read_modification(hunk, modified_diff)
  local text = hunk.encoding == "latin1" and M.latin1_to_bytes(modified_diff) or modified_diff
  if hunk.encoding == "latin1" and not M.latin1_to_bytes(modified_diff) then
    return nil, "the modification holds characters that a file that is not UTF-8 cannot"
  end
  local parsed, reason = M.parse(M.bare_edit(text))
  if not parsed then
    return nil, reason
  end
  local sides = M.sides(parsed)
  local at = M.zero_based(parsed.old_start, parsed.old_count) + #sides.before
  if #sides.old + #sides.new == 0 then
    -- Nothing is changed: nothing, at the hunk's own place. The context around it can be other hunks' lines.
    at = M.zero_based(hunk.old_start, hunk.old_count)
  end
  return { at = at, count = #sides.old, old = sides.old, lines = sides.new }
end

--- A modification as it reads where its lines are in a base in which they have moved.
---@param text string
---@param by integer
---@return string
function M.moved(text, by)
  local head, body = text:match("^(.-)(@@ %-.*)$")
  if by == 0 or not body or not (head == "" or head:sub(-1) == "\n") then
    return text
  end
  return head
    .. body:gsub("^@@ %-(%d+)([,%d]*) %+(%d+)", function(old, count, new)
      return ("@@ -%d%s +%d"):format(old + by, count, math.max(0, new + by))
    end)
end

--- The sides of a hunk, its context apart.
---@param parsed SuggestionReview.ParsedHunk
---@return SuggestionReview.HunkText
function M.sides(parsed)
  local first, last
  for i, line in ipairs(parsed.lines) do
    if line.kind ~= " " then
      first = first or i
      last = i
    end
  end
  local text = { before = {}, old = {}, new = {}, after = {}, parsed = parsed }
  first = first or #parsed.lines + 1
  last = last or #parsed.lines
  for i, line in ipairs(parsed.lines) do
    if i < first then
      table.insert(text.before, line.text)
    elseif i > last then
      table.insert(text.after, line.text)
    else
      if line.kind ~= "+" then
        table.insert(text.old, line.text)
      end
      if line.kind ~= "-" then
        table.insert(text.new, line.text)
      end
    end
  end
  return text
end

---@class (exact) SuggestionReview.QuickSides
---@field before string[]
---@field old string[]
---@field new string[]
---@field after string[]
---@field no_newline_old boolean
---@field no_newline_new boolean

--- The sides of a well-formed hunk in one pass, lines without their ends; for showing a thousand hunks at once. Nil
--- for anything out of the ordinary, which `parse` then looks at.
---@param diff string
---@return SuggestionReview.QuickSides|nil
function M.quick_sides(diff)
  local _, head_end, b, d = diff:find("^@@ %-%d+,?(%d*) %+%d+,?(%d*) @@[^\n]*\n")
  if not head_end then
    return nil
  end
  local before, old, new, after = {}, {}, {}, {}
  local no_newline_old, no_newline_new = false, false
  local at, size, last = head_end + 1, #diff, nil
  local find, sub, byte = string.find, string.sub, string.byte
  while at <= size do
    local stop = find(diff, "\n", at, true) or size + 1
    local mark = byte(diff, at)
    if mark == 32 then
      local list = (#old > 0 or #new > 0) and after or before
      list[#list + 1] = sub(diff, at + 1, stop - 1)
      last = nil
    elseif mark == 45 or mark == 43 then
      if #after > 0 then
        return nil
      end
      local list = mark == 45 and old or new
      list[#list + 1] = sub(diff, at + 1, stop - 1)
      last = mark
    elseif mark == 92 then
      no_newline_old = no_newline_old or last == 45
      no_newline_new = no_newline_new or last == 43
    else
      return nil
    end
    at = stop + 1
  end
  local context = #before + #after
  if context + #old ~= (b == "" and 1 or tonumber(b)) or context + #new ~= (d == "" and 1 or tonumber(d)) then
    return nil
  end
  return {
    before = before,
    old = old,
    new = new,
    after = after,
    no_newline_old = no_newline_old,
    no_newline_new = no_newline_new,
  }
end

--- Whether the hunk's `diff` is a unified diff of lines.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.has_text(hunk)
  return M.LINE_KINDS[hunk.kind] == true and hunk.encoding ~= "binary"
end

--- The hunk's text as bytes. File-level operations without text give empty sides.
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.HunkText|nil
---@return string|nil reason
function M.text_of(hunk)
  if not M.has_text(hunk) or hunk.diff == "" then
    if hunk.diff_omitted then
      return nil, "the server left this hunk's text out for its size"
    end
    return { before = {}, old = {}, new = {}, after = {} }
  end
  local diff = hunk.diff
  if hunk.encoding == "latin1" then
    local bytes = M.latin1_to_bytes(diff)
    if not bytes then
      return nil, "the hunk is marked latin1 but holds other characters"
    end
    diff = bytes
  end
  if diff:sub(1, 3) ~= "@@ " then
    if hunk.kind ~= "text" then
      return { before = {}, old = {}, new = {}, after = {} } -- an empty file made or removed: prose
    end
    return nil, "the hunk has no header"
  end
  local parsed, reason = M.parse(diff)
  if not parsed then
    return nil, reason
  end
  return M.sides(parsed)
end

local function header_range(from, count)
  local start = count == 0 and from or from + 1
  return count == 1 and tostring(start) or ("%d,%d"):format(start, count)
end

---@param out string[]
---@param mark string
---@param lines string[]
local function put(out, mark, lines)
  for _, line in ipairs(lines) do
    if line:sub(-1) == "\n" then
      out[#out + 1] = mark .. line
    else
      out[#out + 1] = mark .. line .. "\n\\ No newline at end of file\n"
    end
  end
end

--- A unified diff of one block.
---@param old_from integer  0-based base line of the first context line
---@param new_from integer
---@param before string[]
---@param old string[]
---@param new string[]
---@param after string[]
---@return string
function M.format(old_from, new_from, before, old, new, after)
  local context = #before + #after
  local out = {
    ("@@ -%s +%s @@\n"):format(
      header_range(old_from, #old + context),
      header_range(new_from, #new + context)
    ),
  }
  put(out, " ", before)
  put(out, "-", old)
  put(out, "+", new)
  put(out, " ", after)
  return table.concat(out)
end

--- First base line of the run, 0-based; for an insertion the line it goes in front of.
---@param start integer as the protocol counts
---@param count integer
---@return integer
function M.zero_based(start, count)
  return count == 0 and start or start - 1
end

--- The unified diff that turns the hunk's base lines (context included) into `edited`: a modification as the server
--- reads it. Lines that are the same at both ends become context, so the change may grow into the context or shrink.
---@param hunk SuggestionReview.Hunk
---@param text SuggestionReview.HunkText
---@param edited string[] the whole block as the developer wants it, context included
---@return string|nil diff  nil when `edited` is the base itself
function M.format_modification(hunk, text, edited)
  local base = {}
  vim.list_extend(base, text.before)
  vim.list_extend(base, text.old)
  vim.list_extend(base, text.after)
  local head = 0
  while head < #base and head < #edited and base[head + 1] == edited[head + 1] do
    head = head + 1
  end
  local tail = 0
  while tail < #base - head and tail < #edited - head and base[#base - tail] == edited[#edited - tail] do
    tail = tail + 1
  end
  if head + tail == #base and #base == #edited then
    return nil
  end
  local first = math.max(0, head - math.max(3, #text.before))
  local last = math.min(#base, #base - tail + math.max(3, #text.after))
  local from = M.zero_based(hunk.old_start, hunk.old_count) - #text.before + first
  local new_from = M.zero_based(hunk.new_start, hunk.new_count) - #text.before + first
  local diff = M.format(
    from,
    math.max(0, new_from),
    vim.list_slice(base, first + 1, head),
    vim.list_slice(base, head + 1, #base - tail),
    vim.list_slice(edited, head + 1, #edited - tail),
    vim.list_slice(base, #base - tail + 1, last)
  )
  return hunk.encoding == "latin1" and M.bytes_to_latin1(diff) or diff
end

--- An edited block of which nothing is left, as the block without the hunk's lines: what is outside the hunk is not
--- the hunk's to empty.
---@param text SuggestionReview.HunkText
---@param edited string[] the whole block, context included
---@return string[]
function M.within_context(text, edited)
  local emptied = #edited == 0 or (#edited == 1 and (edited[1] == "\n" or edited[1] == ""))
  if not emptied or #text.before + #text.after == 0 then
    return edited
  end
  return vim.list_extend(vim.list_slice(text.before), text.after)
end

local text_diff = vim.text and vim.text.diff or vim.diff

--- How many lines around the hunk an edited block has removed, not counting those that were changed.
---@param text SuggestionReview.HunkText
---@param edited string[] the whole block, context included
---@return integer
function M.context_removed(text, edited)
  local proposed = vim.list_slice(text.before)
  vim.list_extend(proposed, text.new)
  vim.list_extend(proposed, text.after)
  local first, last = #text.before, #text.before + #text.new
  local removed = 0
  for _, range in ipairs(M.ranges(proposed, edited)) do
    local outside = math.max(0, math.min(range[2], first) - range[1])
      + math.max(0, range[2] - math.max(range[1], last))
    removed = removed + math.max(0, outside - (range[4] - range[3]))
  end
  return removed
end

--- Differences between two line lists as 0-based half-open ranges.
---@param a string[]
---@param b string[]
---@param opts? table
---@return { [1]: integer, [2]: integer, [3]: integer, [4]: integer }[] from_a, to_a, from_b, to_b
function M.ranges(a, b, opts)
  return M.ranges_of_text(table.concat(a), table.concat(b), opts)
end

---@param a string
---@param b string
---@param opts? table
function M.ranges_of_text(a, b, opts)
  local options = { result_type = "indices" }
  for key, value in pairs(opts or {}) do
    options[key] = value
  end
  local found = text_diff(a, b, options) --[[@as integer[][] ]]
  for _, range in ipairs(found) do
    local a_start, a_count, b_start, b_count = range[1], range[2], range[3], range[4]
    range[1] = a_count == 0 and a_start or a_start - 1
    range[2] = range[1] + a_count
    range[3] = b_count == 0 and b_start or b_start - 1
    range[4] = range[3] + b_count
  end
  return found
end

--- A line without its "\n"; one that has none (the last of a file without a final newline) gets one instead, so that
--- both forms stay apart and neither loses anything. Its own inverse.
---@param line string
---@return string
function M.bare(line)
  return line:sub(-1) == "\n" and line:sub(1, -2) or line .. "\n"
end

---@param lines string[]
---@return string[]
function M.bare_lines(lines)
  return M.bare_slice(lines, 0, #lines)
end

--- `bare_lines` of lines [from, to).
---@param lines string[]
---@param from integer
---@param to integer
---@return string[]
function M.bare_slice(lines, from, to)
  local out = {}
  for i = from + 1, math.min(to, #lines) do
    out[i - from] = M.bare(lines[i])
  end
  return out
end

--- Lines of common text kept around what differs, so that a difference can slide as it would in the whole texts.
local MARGIN = 200

---@param bare string[]
---@param from integer 1-based
---@param to integer
local function text_of_bare(bare, from, to)
  if to < from then
    return ""
  end
  local text = table.concat(bare, "\n", from, to)
  return bare[to]:sub(-1) == "\n" and text:sub(1, -2) or text .. "\n"
end

--- `ranges` for long lists of bare lines that differ in one region: what is the same before and after it is only
--- looked over. Nil when the lists are the same.
---@param a string[]
---@param b string[]
---@param margin? integer
---@return integer[][]|nil
function M.ranges_near(a, b, margin)
  margin = margin or MARGIN
  local shorter = math.min(#a, #b)
  local head = 0
  while head < shorter and a[head + 1] == b[head + 1] do
    head = head + 1
  end
  if head == #a and head == #b then
    return nil
  end
  local tail = 0
  while tail < shorter - head and a[#a - tail] == b[#b - tail] do
    tail = tail + 1
  end
  local skip = math.max(0, head - margin)
  local keep = math.max(0, tail - margin)
  local found = M.ranges_of_text(text_of_bare(a, skip + 1, #a - keep), text_of_bare(b, skip + 1, #b - keep))
  for _, range in ipairs(found) do
    for i = 1, 4 do
      range[i] = range[i] + skip
    end
  end
  return found
end

--- Lines above this are compared as whole lines only: word marks on them cost more than they tell.
local MAX_WORD_LINE = 2000
local MAX_WORD_LINES = 400

--- Scripts that put no blanks between words, and pictures: each character stands for itself.
local ALONE = {
  { 0x0e00, 0x0eff }, -- Thai, Lao
  { 0x1000, 0x109f }, -- Myanmar
  { 0x1780, 0x17ff }, -- Khmer
  { 0x2e80, 0xa4cf }, -- CJK, kana, Yi
  { 0xf900, 0xfaff }, -- CJK compatibility
  { 0xff00, 0xffef }, -- full width
  { 0x1f000, 0x1faff }, -- pictures
  { 0x20000, 0x3ffff }, -- CJK extensions
}

---@param char string with what combines with it
local function stands_alone(char)
  local code = #char >= 3 and vim.fn.char2nr(char, true) or 0
  for _, range in ipairs(ALONE) do
    if code >= range[1] and code <= range[2] then
      return true
    end
  end
  return false
end

--- A word cut before and after each character that stands for itself; no character loses what combines with it.
---@param word string
---@return string[]
local function parts_of(word)
  if not word:find("[\224-\244]") then
    return { word }
  end
  local parts, open = {}, ""
  for _, char in ipairs(vim.fn.split(word, [[\zs]])) do
    if stands_alone(char) then
      if open ~= "" then
        parts[#parts + 1] = open
      end
      parts[#parts + 1], open = char, ""
    else
      open = open .. char
    end
  end
  if open ~= "" then
    parts[#parts + 1] = open
  end
  return parts
end

---@param line string
---@return string[] tokens
---@return integer[] starts  byte offset of each token, 0-based, with the end as the last one
local function tokens_of(line)
  local tokens, starts, at = {}, {}, 1
  while at <= #line do
    local _, last = line:find("^[%w_\128-\255]+", at)
    if not last then
      _, last = line:find("^[ \t]+", at)
      if not last then
        -- A sign, with what combines with it.
        local combines = line:find("^[\204-\205\226]", at + 1)
        last = combines and at + #vim.fn.matchstr(line:sub(at, at + 30), ".") - 1 or at
      end
      tokens[#tokens + 1], starts[#starts + 1] = line:sub(at, last), at - 1
    else
      local from = at
      for _, part in ipairs(parts_of(line:sub(at, last))) do
        tokens[#tokens + 1], starts[#starts + 1] = part, from - 1
        from = from + #part
      end
    end
    at = last + 1
  end
  starts[#starts + 1] = #line
  return tokens, starts
end

--- Byte spans (0-based, half-open) that differ between two lines, word by word. Returns empty spans when the lines
--- have too little in common for the marks to help.
---@param old string
---@param new string
---@return integer[][] old_spans
---@return integer[][] new_spans
function M.words(old, new)
  old, new = old:gsub("\n$", ""), new:gsub("\n$", "")
  if old == new or #old > MAX_WORD_LINE or #new > MAX_WORD_LINE then
    return {}, {}
  end
  local a, a_starts = tokens_of(old)
  local b, b_starts = tokens_of(new)
  if #a == 0 or #b == 0 then
    return {}, {}
  end
  local spans = { {}, {} }
  local same = #old
  for _, range in ipairs(M.ranges_of_text(table.concat(a, "\n") .. "\n", table.concat(b, "\n") .. "\n")) do
    if range[2] > range[1] then
      local from, to = a_starts[range[1] + 1], a_starts[range[2] + 1]
      spans[1][#spans[1] + 1] = { from, to }
      same = same - (to - from)
    end
    if range[4] > range[3] then
      spans[2][#spans[2] + 1] = { b_starts[range[3] + 1], b_starts[range[4] + 1] }
    end
  end
  if same * 4 < math.min(#old, #new) then
    return {}, {}
  end
  return spans[1], spans[2]
end

---@class (exact) SuggestionReview.Pair
---@field old integer 1-based index into the removed lines
---@field new integer 1-based index into the added lines

--- Lines as shown, with their ends or without, as a text whose lines they are.
---@param lines string[]
local function text_of_shown(lines)
  local shown = {}
  for i, line in ipairs(lines) do
    shown[i] = line:gsub("\n$", "")
  end
  return table.concat(shown, "\n") .. "\n"
end

--- Which removed line became which added line, by `linematch` within this hunk alone.
---@param old string[]
---@param new string[]
---@return SuggestionReview.Pair[]
function M.pairs_of(old, new)
  if #old == 0 or #new == 0 or #old > MAX_WORD_LINES or #new > MAX_WORD_LINES then
    return {}
  end
  local found = {}
  local a, b = 1, 1
  local linematch = #old + #new <= 60 and 60 or nil
  local ranges = M.ranges_of_text(text_of_shown(old), text_of_shown(new), { linematch = linematch })
  local function equal_until(a_end)
    while a <= a_end and b <= #new do
      found[#found + 1] = { old = a, new = b }
      a, b = a + 1, b + 1
    end
  end
  for _, range in ipairs(ranges) do
    equal_until(range[1])
    local count = range[2] - range[1]
    if count == range[4] - range[3] then
      for i = 1, count do
        found[#found + 1] = { old = range[1] + i, new = range[3] + i }
      end
    end
    a, b = range[2] + 1, range[4] + 1
  end
  equal_until(#old)
  return found
end

return M
