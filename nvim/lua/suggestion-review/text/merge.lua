--- Where a hunk goes in a text that has moved on. Pure: line lists in, line lists out.
---
--- Three texts take part: the *expected* text (the base with what was applied before), the *actual* text (the buffer
--- or file as it is now) and the *wanted* one (the base with what is to be applied now). What turns expected into
--- wanted is carried over to actual, by the rules of `git merge-file`: untouched places shift, a place that already
--- reads as wanted is left alone, and a place the developer's own edits touch is a conflict. There is no fuzz.
local diff = require("suggestion-review.text.diff")

local M = {}

--- Base lines [at, at + count) become `lines`.
---@class (exact) SuggestionReview.Replacement
---@field key string       what it belongs to: a hunk's id
---@field at integer       0-based
---@field count integer
---@field lines string[]   with terminators
---@field order integer    orders insertions at the same base line
---@field digest? string
---@field kind? SuggestionReview.HunkKind
---@field decided? "accepted"|"modified"
---@field base? string commit whose lines `at` counts
---@field whose? SuggestionReview.Whose whose text `lines` are; nil in records of old
---@field before? SuggestionReview.Before what stood there, where that was the developer's own and not the base's
---@field stood? boolean a change of the file itself that the developer had made already
---@field revision? integer revision that the text is of
---@field old_file? string raw bytes: the path in the base, where it is another
---@field sides? SuggestionReview.KeptSides a change of the file itself: what it made of what

--- What stood before a change of a file itself and what it put there; the bytes of the first are kept, see
--- `apply/whole_record.lua`.
---@class (exact) SuggestionReview.KeptSides
---@field from SuggestionReview.KeptSide
---@field to SuggestionReview.KeptSide

---@class (exact) SuggestionReview.KeptSide
---@field mode? string git's mode; nil: no file
---@field oid? string git's name for the bytes

--- Whose text a replacement puts in: the hunk's, the developer's own version of it, or what a conflict with the
--- developer's own edits was resolved to (which may hold lines that stood there before).
---@alias SuggestionReview.Whose "hunk"|"modified"|"resolved"

--- The developer's own lines in place of base lines [at, at + count): at least those that the replacement takes.
---@class (exact) SuggestionReview.Before
---@field at integer
---@field count integer
---@field lines string[]

--- Lines [from, to) of the expected text become `lines`.
---@class (exact) SuggestionReview.TextChange
---@field keys string[]    replacements it takes out or puts in
---@field from integer
---@field to integer
---@field old string[]
---@field lines string[]
---@field base_from integer the same place in the base
---@field base_to integer
---@field asks? true it would overwrite the developer's own text: never clean
---@field before? SuggestionReview.Before what stood there before anything of the suggestion did

---@class (exact) SuggestionReview.Placed
---@field change SuggestionReview.TextChange
---@field status "clean"|"already"|"conflict"
---@field from integer  lines [from, to) of the actual text
---@field to integer
---@field lines string[] what they become
---@field ours? string[] conflict: the actual text there
---@field theirs? string[] conflict: what the suggestion wants there
---@field base? string[] conflict: what the expected text has there
---@field base_from? integer conflict, already: the place in the base
---@field base_to? integer
---@field removes? boolean conflict: the suggestion wants no file there

---@param a { at: integer, count: integer, order: integer }
---@param b { at: integer, count: integer, order: integer }
local function earlier(a, b)
  if a.at ~= b.at then
    return a.at < b.at
  elseif a.count ~= b.count then
    return a.count < b.count
  end
  return a.order < b.order
end
M.earlier = earlier

--- In the order of the base; the list itself where it is in order already.
---@param replacements SuggestionReview.Replacement[]
---@return SuggestionReview.Replacement[]
function M.sorted(replacements)
  local in_order = true
  for i = 2, #replacements do
    if earlier(replacements[i], replacements[i - 1]) then
      in_order = false
      break
    end
  end
  if in_order then
    return replacements
  end
  local list = vim.list_slice(replacements)
  table.sort(list, earlier)
  return list
end

--- Base lines [from, to) with `replacements` in them.
---@param base string[]
---@param replacements SuggestionReview.Replacement[] sorted
---@param from integer
---@param to integer
---@return string[]
function M.compose_range(base, replacements, from, to)
  local out, n, line = {}, 0, from
  for _, replacement in ipairs(replacements) do
    for i = line + 1, replacement.at do
      n = n + 1
      out[n] = base[i]
    end
    for _, text in ipairs(replacement.lines) do
      n = n + 1
      out[n] = text
    end
    line = replacement.at + replacement.count
  end
  for i = line + 1, to do
    n = n + 1
    out[n] = base[i]
  end
  return out
end

--- `compose` for lines in bare form (see `diff.bare`).
---@param base string[] bare
---@param replacements SuggestionReview.Replacement[]
---@return string[] bare
function M.compose_bare(base, replacements)
  local out, n, line = {}, 0, 0
  for _, replacement in ipairs(M.sorted(replacements)) do
    for i = line + 1, replacement.at do
      n = n + 1
      out[n] = base[i]
    end
    for _, text in ipairs(replacement.lines) do
      n = n + 1
      out[n] = diff.bare(text)
    end
    line = replacement.at + replacement.count
  end
  for i = line + 1, #base do
    n = n + 1
    out[n] = base[i]
  end
  return out
end

--- The base with `replacements` in it.
---@param base string[]
---@param replacements SuggestionReview.Replacement[]
---@return string[]
function M.compose(base, replacements)
  return M.compose_range(base, M.sorted(replacements), 0, #base)
end

--- Whether two replacements claim the same base lines, or one inserts inside what the other replaces.
---@param a { at: integer, count: integer }
---@param b { at: integer, count: integer }
function M.overlap(a, b)
  return a.at < b.at + b.count and b.at < a.at + a.count
end

--- A change whose place nobody edited.
---@param change SuggestionReview.TextChange
---@param shift integer
---@return SuggestionReview.Placed
local function untouched(change, shift)
  local from, to = change.from + shift, change.to + shift
  if not change.asks then
    return { change = change, status = "clean", from = from, to = to, lines = change.lines }
  end
  local same = vim.deep_equal(change.old, change.lines)
  return {
    change = change,
    status = same and "already" or "conflict",
    from = from,
    to = to,
    lines = change.lines,
    ours = change.old,
    theirs = change.lines,
    base = change.old,
    base_from = change.base_from,
    base_to = change.base_to,
  }
end

--- What is known beside the two texts.
---@class (exact) SuggestionReview.PlaceHints
---@field ranges? integer[][] differences between the two
---@field start? integer the first of them that matters
---@field to_base? fun(from: integer, to: integer, keys: string[]): integer, integer the base's lines of expected ones

--- Changes and edits of the developer's that hang together: each touches another.
---@class (exact) SuggestionReview.Knot
---@field from integer lines of the expected text
---@field to integer
---@field members SuggestionReview.TextChange[]
---@field next_change integer the first change behind it
---@field next_range integer the first edit behind it
---@field shift integer how far the actual text is ahead behind it

--- Gathers everything that hangs together with a change that an edit touches.
---@param changes SuggestionReview.TextChange[]
---@param i integer the change
---@param ranges integer[][]
---@param at integer the edit
---@param shift integer
---@return SuggestionReview.Knot
local function gather(changes, i, ranges, at, shift)
  local from, to, members = changes[i].from, changes[i].to, { changes[i] }
  local after, next_change, end_shift = at, i + 1, shift
  local grown = true
  while grown do
    grown = false
    while ranges[after] and ranges[after][1] <= to do
      from = math.min(from, ranges[after][1])
      to = math.max(to, ranges[after][2])
      end_shift = ranges[after][4] - ranges[after][2]
      after = after + 1
      grown = true
    end
    while changes[next_change] and changes[next_change].from <= to do
      to = math.max(to, changes[next_change].to)
      members[#members + 1] = changes[next_change]
      next_change = next_change + 1
      grown = true
    end
  end
  return {
    from = from,
    to = to,
    members = members,
    next_change = next_change,
    next_range = after,
    shift = end_shift,
  }
end

--- What becomes of the changes of a knot: all are there already, or all are in conflict.
---@param knot SuggestionReview.Knot
---@param shift integer how far the actual text is ahead before it
---@param ours string[] what the actual text has there
---@param expected SuggestionReview.LinesOf
---@param to_base? fun(from: integer, to: integer, keys: string[]): integer, integer
---@return SuggestionReview.Placed[]
local function clash(knot, shift, ours, expected, to_base)
  local from, to, members = knot.from, knot.to, knot.members
  local theirs, keys, line = {}, {}, from
  for _, member in ipairs(members) do
    vim.list_extend(theirs, expected(line, member.from))
    vim.list_extend(theirs, member.lines)
    vim.list_extend(keys, member.keys)
    line = member.to
  end
  vim.list_extend(theirs, expected(line, to))
  local base_from, base_to
  if to_base then
    base_from, base_to = to_base(from, to, keys)
  else
    base_from = members[1].base_from - (members[1].from - from)
    base_to = members[#members].base_to + (to - members[#members].to)
  end
  local status = vim.deep_equal(ours, theirs) and "already" or "conflict"
  local base = expected(from, to)
  return vim.tbl_map(function(member)
    return {
      change = member,
      status = status,
      from = from + shift,
      to = to + knot.shift,
      lines = status == "already" and ours or theirs,
      ours = ours,
      theirs = theirs,
      base = base,
      base_from = base_from,
      base_to = base_to,
    }
  end, members)
end

--- Lines [from, to) of a text: of a long one only those that are wanted are made.
---@alias SuggestionReview.LinesOf fun(from: integer, to: integer): string[]

---@param text string[]|SuggestionReview.LinesOf
---@return SuggestionReview.LinesOf
local function lines_of(text)
  if type(text) == "function" then
    return text
  end
  return function(from, to)
    return vim.list_slice(text, from + 1, to)
  end
end

--- Carries changes of the expected text over to the actual one.
---@param changes SuggestionReview.TextChange[] in order
---@param expected string[]|SuggestionReview.LinesOf|nil nil when the actual text is the expected one
---@param actual string[]|SuggestionReview.LinesOf|nil
---@param hints? SuggestionReview.PlaceHints with `ranges` where the texts are not lists
---@return SuggestionReview.Placed[]
function M.place(changes, expected, actual, hints)
  local placed = {}
  if not expected or not actual then
    for i, change in ipairs(changes) do
      placed[i] = untouched(change, 0)
    end
    return placed
  end
  hints = hints or {}
  local ranges = hints.ranges or diff.ranges(expected --[[@as string[] ]], actual --[[@as string[] ]])
  local expected_lines, actual_lines = lines_of(expected), lines_of(actual)
  local at, shift = hints.start or 1, 0
  local i = 1
  while i <= #changes do
    local change = changes[i]
    while ranges[at] and ranges[at][2] < change.from do
      shift = ranges[at][4] - ranges[at][2]
      at = at + 1
    end
    local range = ranges[at]
    if not range or range[1] > change.to then
      placed[#placed + 1] = untouched(change, shift)
      i = i + 1
    else
      local knot = gather(changes, i, ranges, at, shift)
      local ours = actual_lines(knot.from + shift, knot.to + knot.shift)
      vim.list_extend(placed, clash(knot, shift, ours, expected_lines, hints.to_base))
      i, at, shift = knot.next_change, knot.next_range, knot.shift
    end
  end
  return placed
end

--- The actual text after the clean ones of `placed`; conflicts are left as they are.
---@param actual string[]
---@param placed SuggestionReview.Placed[]
---@return string[]
function M.result(actual, placed)
  local out, line = {}, 0
  for _, one in ipairs(placed) do
    if one.status == "clean" then
      vim.list_extend(out, actual, line + 1, one.from)
      vim.list_extend(out, one.lines)
      line = one.to
    end
  end
  vim.list_extend(out, actual, line + 1, #actual)
  return out
end

return M
