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

--- Lines [from, to) of the expected text become `lines`.
---@class (exact) SuggestionReview.TextChange
---@field keys string[]    replacements it takes out or puts in
---@field from integer
---@field to integer
---@field old string[]
---@field lines string[]
---@field base_from integer the same place in the base
---@field base_to integer

---@class (exact) SuggestionReview.Placed
---@field change SuggestionReview.TextChange
---@field status "clean"|"already"|"conflict"
---@field from integer  lines [from, to) of the actual text
---@field to integer
---@field lines string[] what they become
---@field ours? string[] conflict: the actual text there
---@field theirs? string[] conflict: what the suggestion wants there
---@field base? string[] conflict: what the expected text has there
---@field base_from? integer conflict: the place in the base
---@field base_to? integer

---@param a SuggestionReview.Replacement
---@param b SuggestionReview.Replacement
local function earlier(a, b)
  if a.at ~= b.at then
    return a.at < b.at
  elseif a.count ~= b.count then
    return a.count < b.count
  end
  return a.order < b.order
end

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

---@param base string[]
---@param replacements SuggestionReview.Replacement[] sorted
---@param from integer
---@param to integer
---@return string[]
local function compose_range(base, replacements, from, to)
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
  return compose_range(base, M.sorted(replacements), 0, #base)
end

---@param a SuggestionReview.Replacement
---@param b SuggestionReview.Replacement
local function same(a, b)
  return a.at == b.at and a.count == b.count and vim.deep_equal(a.lines, b.lines)
end

--- Whether two replacements claim the same base lines, or insert at a place the other replaces.
---@param a { at: integer, count: integer }
---@param b { at: integer, count: integer }
function M.overlap(a, b)
  local a_end, b_end = a.at + a.count, b.at + b.count
  if a.count == 0 or b.count == 0 then
    -- An insertion belongs to a run only when it is inside it.
    return a.at < b_end and b.at < a_end
  end
  return a.at < b_end and b.at < a_end
end

--- What has to change in the expected text when `remove` (keys of what is applied) goes out and `add` comes in.
--- Replacements that are applied under other keys but claim the same base lines as something in `add` (an earlier
--- revision's text) are replaced by it.
---@param base string[]
---@param applied SuggestionReview.Replacement[]
---@param remove table<string, true>
---@param add SuggestionReview.Replacement[]
---@return SuggestionReview.TextChange[] changes in order
---@return SuggestionReview.Replacement[] wanted what is applied afterwards
---@return string[] displaced keys that had to make room
function M.changes(base, applied, remove, add)
  local out, kept, displaced = {}, {}, {}
  local adding = {}
  for _, replacement in ipairs(add) do
    adding[replacement.key] = replacement
  end
  -- Both lists are in order and free of overlaps within themselves, so one walk over both finds all overlaps.
  local in_order, at = M.sorted(add), 1
  local function claimed_by_another(replacement)
    while in_order[at] and in_order[at].at + in_order[at].count < replacement.at do
      at = at + 1
    end
    for i = at, #in_order do
      local other = in_order[i]
      if other.at > replacement.at + replacement.count then
        return false
      elseif M.overlap(replacement, other) then
        return true
      end
    end
    return false
  end
  for _, replacement in ipairs(M.sorted(applied)) do
    local new = adding[replacement.key]
    local gone = remove[replacement.key] or new ~= nil
    if new and same(new, replacement) then
      gone = false
      adding[replacement.key] = nil
    elseif not gone and claimed_by_another(replacement) then
      gone = true
      displaced[#displaced + 1] = replacement.key
    end
    if gone then
      out[#out + 1] = replacement
    else
      kept[#kept + 1] = replacement
    end
  end
  local put = {}
  for _, replacement in ipairs(add) do
    if adding[replacement.key] == replacement then
      put[#put + 1] = replacement
    end
  end
  local moves = {}
  for _, replacement in ipairs(out) do
    moves[#moves + 1] = { replacement = replacement, out = true }
  end
  for _, replacement in ipairs(put) do
    moves[#moves + 1] = { replacement = replacement, out = false }
  end
  table.sort(moves, function(a, b)
    if earlier(a.replacement, b.replacement) then
      return true
    elseif earlier(b.replacement, a.replacement) then
      return false
    end
    return a.out and not b.out
  end)
  local kept_sorted = M.sorted(kept)
  local all_kept = vim.list_slice(kept_sorted)

  local changes, kept_at, shift = {}, 1, 0
  local i = 1
  while i <= #moves do
    local first = moves[i].replacement
    local from, to = first.at, first.at + first.count
    local group = { moves[i] }
    i = i + 1
    while i <= #moves do
      local next_one = moves[i].replacement
      local touches = next_one.at < to or (next_one.at == from and next_one.order == first.order)
      if not touches then
        break
      end
      to = math.max(to, next_one.at + next_one.count)
      group[#group + 1] = moves[i]
      i = i + 1
    end
    while kept_sorted[kept_at] and earlier(kept_sorted[kept_at], first) do
      shift = shift + #kept_sorted[kept_at].lines - kept_sorted[kept_at].count
      kept_at = kept_at + 1
    end
    local outs, ins, keys = {}, {}, {}
    for _, move in ipairs(group) do
      table.insert(move.out and outs or ins, move.replacement)
      if not vim.list_contains(keys, move.replacement.key) then
        keys[#keys + 1] = move.replacement.key
      end
    end
    local old = compose_range(base, outs, from, to)
    local new = compose_range(base, ins, from, to)
    changes[#changes + 1] = {
      keys = keys,
      from = from + shift,
      to = from + shift + #old,
      old = old,
      lines = new,
      base_from = from,
      base_to = to,
    }
    -- Later places of the expected text are shifted by what goes out here.
    shift = shift + #old - (to - from)
  end
  return changes, vim.list_extend(all_kept, put), displaced
end

--- Carries changes of the expected text over to the actual one.
---@param changes SuggestionReview.TextChange[] in order
---@param expected string[]|(fun(): string[])|nil nil when the actual text is the expected one
---@param actual string[]|(fun(): string[])|nil
---@param ranges? integer[][] differences between the two, if known already
---@return SuggestionReview.Placed[]
function M.place(changes, expected, actual, ranges)
  local placed = {}
  if not expected or not actual then
    for _, change in ipairs(changes) do
      placed[#placed + 1] =
        { change = change, status = "clean", from = change.from, to = change.to, lines = change.lines }
    end
    return placed
  end
  -- Whole line lists are wanted only where something touches.
  local function expected_lines()
    if type(expected) == "function" then
      expected = expected()
    end
    return expected
  end
  local function actual_lines()
    if type(actual) == "function" then
      actual = actual()
    end
    return actual
  end
  ranges = ranges or diff.ranges(expected_lines(), actual_lines())
  local at, shift = 1, 0
  local i = 1
  while i <= #changes do
    local change = changes[i]
    while ranges[at] and ranges[at][2] < change.from do
      shift = ranges[at][4] - ranges[at][2]
      at = at + 1
    end
    local range = ranges[at]
    if not range or range[1] > change.to then
      placed[#placed + 1] = {
        change = change,
        status = "clean",
        from = change.from + shift,
        to = change.to + shift,
        lines = change.lines,
      }
      i = i + 1
    else
      -- The developer's edits touch this change: gather everything that hangs together with it.
      local from, to = change.from, change.to
      local members = { change }
      local after, next_change = at, i + 1
      local end_shift = shift
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
      local actual_from, actual_to = from + shift, to + end_shift
      local expected_list, actual_list = expected_lines(), actual_lines()
      local ours = vim.list_slice(actual_list, actual_from + 1, actual_to)
      local theirs, base, line = {}, vim.list_slice(expected_list, from + 1, to), from
      for _, member in ipairs(members) do
        vim.list_extend(theirs, expected_list, line + 1, member.from)
        vim.list_extend(theirs, member.lines)
        line = member.to
      end
      vim.list_extend(theirs, expected_list, line + 1, to)
      local status = vim.deep_equal(ours, theirs) and "already" or "conflict"
      for _, member in ipairs(members) do
        placed[#placed + 1] = {
          change = member,
          status = status,
          from = actual_from,
          to = actual_to,
          lines = status == "already" and ours or theirs,
          ours = ours,
          theirs = theirs,
          base = base,
          base_from = change.base_from - (change.from - from),
          base_to = members[#members].base_to + (to - members[#members].to),
        }
      end
      i = next_change
      at = after
      shift = end_shift
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
