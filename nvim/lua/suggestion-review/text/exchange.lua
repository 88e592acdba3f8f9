--- What has to change in a text when replacements of base lines go out of it and others come in. Pure. Knows whose
--- text each replacement is: what the developer wrote is given back where a hunk had taken its place, and never makes
--- room for a hunk without being asked for.
local hunk_id = require("suggestion-review.text.hunk_id")
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
--- touches it: two insertions at one place are one hunk in two revisions. So does a hunk's for that of its parts.
---@param replacement SuggestionReview.Replacement
---@param other { at: integer, count: integer, key?: string }
---@return boolean
function M.makes_room(replacement, other)
  if merge.overlap(replacement, other) or (other.key and hunk_id.is_part(other.key, replacement.key)) then
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

--- The order of moves: of two that are about the same lines, the one that goes out is first.
---@param a SuggestionReview.Move
---@param b SuggestionReview.Move
local function comes_first(a, b)
  if merge.earlier(a, b) then
    return true
  elseif merge.earlier(b, a) then
    return false
  end
  return a.out and not b.out
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
  for i = 2, #moves do
    if comes_first(moves[i], moves[i - 1]) then
      table.sort(moves, comes_first)
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
  local alone = #group == 1 and #inside == 0 and group[1] or nil
  if alone and not (alone.out and alone.replacement.before) then
    -- Most changes: one hunk comes to, or leaves, lines that nothing else is about.
    local hunk, was = vim.list_slice(alone.replacement.lines), vim.list_slice(base, from + 1, to)
    return {
      keys = { alone.replacement.key },
      from = 0,
      to = 0,
      old = alone.out and hunk or was,
      lines = alone.out and was or hunk,
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

--- How far a walk over the moves has come.
---@class (exact) SuggestionReview.MoveWalk
---@field moves SuggestionReview.Move[]
---@field kept SuggestionReview.Replacement[]
---@field at integer the next move
---@field kept_at integer the next of what stays
---@field shift integer how far the expected text is ahead of the base there

--- Moves that are one change of the text.
---@class (exact) SuggestionReview.MoveGroup
---@field moves SuggestionReview.Move[]
---@field from integer base lines
---@field to integer
---@field gives_back boolean lines of the developer's come back

--- Takes the next moves into the group as long as they touch it.
---@param walk SuggestionReview.MoveWalk
---@param group SuggestionReview.MoveGroup
---@param wanted SuggestionReview.Replacement[] gets what comes in
local function take_touching(walk, group, wanted)
  local first = group.moves[1]
  local move = walk.moves[walk.at]
  while move and (not first or move.at < group.to or (move.at == group.from and move.order == first.order)) do
    first = first or move
    group.to = math.max(group.to, move.at + move.count)
    group.moves[#group.moves + 1] = move
    group.gives_back = group.gives_back or (move.out and move.replacement.before ~= nil)
    if not move.out then
      wanted[#wanted + 1] = move.replacement
    end
    walk.at = walk.at + 1
    move = walk.moves[walk.at]
  end
end

--- Goes past what stays before the group.
---@param walk SuggestionReview.MoveWalk
---@param group SuggestionReview.MoveGroup
local function pass_kept(walk, group)
  local first = group.moves[1]
  local replacement = walk.kept[walk.kept_at]
  while replacement and merge.earlier(replacement, first) do
    if
      group.gives_back and merge.overlap(replacement, { at = group.from, count = group.to - group.from })
    then
      return
    end
    walk.shift = walk.shift + #replacement.lines - replacement.count
    walk.kept_at = walk.kept_at + 1
    replacement = walk.kept[walk.kept_at]
  end
end

--- The next change of the text.
---@param base string[]
---@param walk SuggestionReview.MoveWalk
---@param wanted SuggestionReview.Replacement[]
---@return SuggestionReview.TextChange
local function next_change(base, walk, wanted)
  local first = walk.moves[walk.at]
  local group = { moves = {}, from = first.at, to = first.at + first.count, gives_back = false }
  take_touching(walk, group, wanted)
  local inside = {}
  pass_kept(walk, group)
  if group.gives_back then
    local kept, reach = walk.kept, walk.kept_at
    while kept[reach] and merge.overlap(kept[reach], { at = group.from, count = group.to - group.from }) do
      group.from = math.min(group.from, kept[reach].at)
      group.to = math.max(group.to, kept[reach].at + kept[reach].count)
      inside[#inside + 1] = kept[reach]
      reach = reach + 1
    end
    walk.kept_at = reach
    take_touching(walk, group, wanted)
  end
  local change = change_of(base, group.moves, inside, group.from, group.to)
  change.from, change.to = group.from + walk.shift, group.from + walk.shift + #change.old
  -- Later places of the expected text are shifted by what goes out here.
  walk.shift = walk.shift + #change.old - (group.to - group.from)
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
  local changes = {}
  local walk = { moves = moves, kept = kept, at = 1, kept_at = 1, shift = 0 }
  while walk.at <= #moves do
    changes[#changes + 1] = next_change(base, walk, wanted)
  end
  return changes, wanted, displaced
end

return M
