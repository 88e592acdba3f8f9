--- What has to change in a text when replacements of base lines go out of it and others come in. Pure. Knows whose
--- text each replacement is: what the developer wrote is given back where a hunk had taken its place, and never makes
--- room for a hunk without being asked for.
local merge = require("suggestion-review.text.merge")

local M = {}

--- Keys of text of an earlier revision that no hunk of this one proposes any more.
local STALE = "^stale "

--- Whether a replacement is of an earlier revision's hunk that this one changed or dropped.
---@param replacement SuggestionReview.Replacement
---@return boolean
function M.is_stale(replacement)
  return replacement.key:find(STALE) ~= nil
end

--- Whether the text may hold lines that the developer wrote. Records of old do not tell a modification from the
--- resolution of a conflict.
---@param replacement SuggestionReview.Replacement
---@return boolean
function M.is_own(replacement)
  return replacement.decided == "modified" and replacement.whose ~= "hunk"
end

--- Whether a replacement makes room where another comes in. Text of an earlier revision does so also for what merely
--- touches it: two insertions at one place are one hunk in two revisions.
---@param replacement SuggestionReview.Replacement
---@param other { at: integer, count: integer }
---@return boolean
function M.makes_room(replacement, other)
  if merge.overlap(replacement, other) then
    return true
  end
  return M.is_stale(replacement)
    and replacement.at <= other.at + other.count
    and other.at <= replacement.at + replacement.count
end

---@param a SuggestionReview.Replacement
---@param b SuggestionReview.Replacement
local function same(a, b)
  return a.at == b.at and a.count == b.count and vim.deep_equal(a.lines, b.lines)
end

---@class (exact) SuggestionReview.Move one replacement that goes out or comes in, with the base lines it is about
---@field replacement SuggestionReview.Replacement
---@field out boolean
---@field at integer
---@field count integer
---@field order integer

---@param replacement SuggestionReview.Replacement
---@param out boolean
---@return SuggestionReview.Move
local function move_of(replacement, out)
  local place = out and replacement.before or replacement
  return {
    replacement = replacement,
    out = out,
    at = place.at,
    count = place.count,
    order = replacement.order,
  }
end

--- Which of what is applied stays, which goes, and which of `add` is new.
---@param applied SuggestionReview.Replacement[]
---@param remove table<string, true>
---@param add SuggestionReview.Replacement[]
---@return SuggestionReview.Move[] moves in order
---@return SuggestionReview.Replacement[] kept in order
---@return string[] displaced keys
local function sort_out(applied, remove, add)
  local moves, kept, displaced = {}, {}, {}
  local adding = {}
  for _, replacement in ipairs(add) do
    adding[replacement.key] = replacement
  end
  -- Both lists are in order and free of overlaps within themselves, so one walk over both finds all overlaps.
  local in_order, at = merge.sorted(add), 1
  local function claimed_by_another(replacement)
    while in_order[at] and in_order[at].at + in_order[at].count < replacement.at do
      at = at + 1
    end
    for i = at, #in_order do
      local other = in_order[i]
      if other.at > replacement.at + replacement.count then
        return false
      elseif M.makes_room(replacement, other) then
        return true
      end
    end
    return false
  end
  for _, replacement in ipairs(merge.sorted(applied)) do
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
      moves[#moves + 1] = move_of(replacement, true)
    else
      kept[#kept + 1] = replacement
    end
  end
  for _, replacement in ipairs(add) do
    if adding[replacement.key] == replacement then
      moves[#moves + 1] = move_of(replacement, false)
    end
  end
  local function before(a, b)
    if merge.earlier(a, b) then
      return true
    elseif merge.earlier(b, a) then
      return false
    end
    return a.out and not b.out
  end
  for i = 2, #moves do
    if before(moves[i], moves[i - 1]) then
      table.sort(moves, before)
      break
    end
  end
  return moves, kept, displaced
end

--- Whether coming in takes the place of something the developer wrote.
---@param outs SuggestionReview.Replacement[]
---@param ins SuggestionReview.Replacement[]
---@return boolean
local function overwrites_own(outs, ins)
  if #ins == 0 then
    return false
  end
  for _, out in ipairs(outs) do
    local again
    for _, replacement in ipairs(ins) do
      again = again or (replacement.key == out.key and replacement.digest == out.digest and replacement)
    end
    if not again then
      -- Another hunk, or another revision's: it is not what the developer's text was written for.
      if M.is_own(out) or out.before then
        return true
      end
    elseif M.is_own(out) and again.decided ~= "modified" and out.whose ~= "modified" then
      return true
    end
  end
  return false
end

--- What takes the place of the outs where nothing comes in: what stood there before.
---@param outs SuggestionReview.Replacement[]
---@return SuggestionReview.Replacement[] sorted
local function what_stood_there(outs)
  local given_back, last = {}, nil
  for _, out in ipairs(outs) do
    local before = out.before
    if before and not (last and before.at < last.at + last.count) then
      last = { key = out.key, at = before.at, count = before.count, lines = before.lines, order = out.order }
      given_back[#given_back + 1] = last
    end
  end
  return given_back
end

---@param replacement SuggestionReview.Replacement
---@param list SuggestionReview.Replacement[]
local function overlaps_any(replacement, list)
  for _, other in ipairs(list) do
    if merge.overlap(replacement, other) then
      return true
    end
  end
  return false
end

--- One change of the text.
---@param base string[]
---@param group SuggestionReview.Move[]
---@param inside SuggestionReview.Replacement[] what stays within the same base lines
---@param from integer
---@param to integer
---@return SuggestionReview.TextChange without its place in the expected text
local function change_of(base, group, inside, from, to)
  local alone = #group == 1 and not group[1].out and #inside == 0 and group[1].replacement
  if alone then
    -- Most changes: one hunk comes to lines that nothing else is about.
    return {
      keys = { alone.key },
      from = 0,
      to = 0,
      old = vim.list_slice(base, from + 1, to),
      lines = merge.compose_range(base, { alone }, from, to),
      base_from = from,
      base_to = to,
    }
  end
  local outs, ins, keys = {}, {}, {}
  for _, move in ipairs(group) do
    table.insert(move.out and outs or ins, move.replacement)
    if not vim.list_contains(keys, move.replacement.key) then
      keys[#keys + 1] = move.replacement.key
    end
  end
  local function composed(list)
    if #inside > 0 then
      list = merge.sorted(vim.list_extend(vim.list_slice(list), inside))
    end
    return merge.compose_range(base, list, from, to)
  end
  local before = what_stood_there(outs)
  local change = { keys = keys, from = 0, to = 0, old = composed(outs), base_from = from, base_to = to }
  if #before > 0 then
    change.before = { at = from, count = to - from, lines = merge.compose_range(base, before, from, to) }
  end
  if #ins > 0 or #before == 0 then
    change.lines = composed(ins)
    change.asks = overwrites_own(outs, ins) or nil
    return change
  end
  local beside = vim.tbl_filter(function(replacement)
    return not overlaps_any(replacement, before)
  end, inside)
  -- Another hunk stands among the developer's lines by now: it cannot be told what is to be there.
  change.asks = #beside < #inside or nil
  inside = beside
  change.lines = composed(before)
  return change
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
  local moves, kept, displaced = sort_out(applied, remove, add)
  local wanted = vim.list_slice(kept)
  local changes, kept_at, shift = {}, 1, 0
  local i = 1
  while i <= #moves do
    local first = moves[i]
    local from, to = first.at, first.at + first.count
    local group, given_back = {}, false
    local function take()
      local move = moves[i]
      to = math.max(to, move.at + move.count)
      group[#group + 1] = move
      given_back = given_back or move.out and move.replacement.before ~= nil
      if not move.out then
        wanted[#wanted + 1] = move.replacement
      end
      i = i + 1
    end
    local function touches(move)
      return move.at < to or (move.at == from and move.order == first.order)
    end
    take()
    while i <= #moves and touches(moves[i]) do
      take()
    end
    local inside = {}
    local function stays_before()
      local replacement = kept[kept_at]
      return replacement
        and merge.earlier(replacement, first)
        and not (given_back and merge.overlap(replacement, { at = from, count = to - from }))
    end
    while stays_before() do
      shift = shift + #kept[kept_at].lines - kept[kept_at].count
      kept_at = kept_at + 1
    end
    if given_back then
      local reach = kept_at
      while kept[reach] and merge.overlap(kept[reach], { at = from, count = to - from }) do
        from = math.min(from, kept[reach].at)
        to = math.max(to, kept[reach].at + kept[reach].count)
        inside[#inside + 1] = kept[reach]
        reach = reach + 1
      end
      kept_at = reach
      while i <= #moves and touches(moves[i]) do
        take()
      end
    end
    local change = change_of(base, group, inside, from, to)
    change.from, change.to = from + shift, from + shift + #change.old
    changes[#changes + 1] = change
    -- Later places of the expected text are shifted by what goes out here.
    shift = shift + #change.old - (to - from)
  end
  return changes, wanted, displaced
end

return M
