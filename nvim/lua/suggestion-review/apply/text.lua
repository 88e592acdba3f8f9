--- Plans hunks that are lines of a file: which replacements come and go, where they are in the developer's text, and
--- what carries that out. Where the developer's own edits are in the way, nothing is written.
local base_of = require("suggestion-review.model.base_text")
local carrier = require("suggestion-review.worktree.document")
local changes = require("suggestion-review.apply.changes")
local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local existence = require("suggestion-review.apply.existence")
local file_plan = require("suggestion-review.apply.file_plan")
local mapping = require("suggestion-review.text.merge")
local presence = require("suggestion-review.text.presence")
local replacements = require("suggestion-review.apply.replacement")
local resolution = require("suggestion-review.apply.resolution")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Buffers whose text was found to be as expected: at which tick, and for what.
---@type table<integer, { tick: integer, key: string }>
local in_step = {}

--- What a buffer is in step with: what is applied in the file, of this suggestion on this base.
---@param place SuggestionReview.Place
---@param file string
---@return string
local function step_key(place, file)
  local id = place.suggestion.id
  return ("%s\0%s\0%s\0%d"):format(id, place.suggestion.base_commit, file, place.applied:version_of(id, file))
end

local LINE_KINDS = { text = true, create = true, delete = true }

---@param list SuggestionReview.Replacement[]
---@param base string
---@return SuggestionReview.Replacement[] those that are about lines of this base
local function line_replacements(list, base)
  local function counts(replacement)
    return LINE_KINDS[replacement.kind or "text"] and (replacement.base or base) == base
  end
  for _, one in ipairs(list) do
    if not counts(one) then
      return vim.tbl_filter(counts, list)
    end
  end
  return list
end

---@param hunk SuggestionReview.Hunk
---@param now SuggestionReview.Replacement[]
---@return string[] keys of an earlier revision's text in the place of this hunk, the developer's own versions apart
local function left_over(hunk, now)
  local keys = {}
  local place = { at = diff.zero_based(hunk.old_start, hunk.old_count), count = hunk.old_count }
  for _, replacement in ipairs(now) do
    if
      exchange.is_stale(replacement)
      and not exchange.is_own(replacement)
      and exchange.makes_room(replacement, place)
    then
      keys[#keys + 1] = replacement.key
    end
  end
  return keys
end

--- What the plan's wants do to the replacements of the file; refuses those that cannot be trusted.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@return SuggestionReview.LineWork
local function work_of(place, plan)
  local base = place.suggestion.base_commit
  local now = line_replacements(place.applied:of_file(place.suggestion.id, plan.file), base)
  local remove, add = {}, {}
  for _, item in ipairs(plan.items) do
    if item.want.state == "accepted" or item.want.state == "modified" then
      local replacement, why, text = replacements.of(item.want, place.suggestion)
      if not replacement or not text then
        item.status, item.reason = "refused", why
      elseif not base_of.fits(plan.base, item.hunk, text) then
        item.status, item.reason = "refused", "its base lines are not those of the base commit"
      else
        add[#add + 1] = replacement
      end
    else
      remove[item.hunk.id] = true
      item.also = left_over(item.hunk, now)
      for _, key in ipairs(item.also) do
        remove[key] = true
      end
    end
  end
  return { now = now, remove = remove, add = add }
end

--- Leaves out of account what the record names and the file does not hold any more, and what the developer has edited
--- since where that very hunk is decided again: there it is the developer's text that stands there.
---@param work SuggestionReview.LineWork
---@param found table<string, SuggestionReview.Presence>
---@param reverted table<string, true> what is to be taken out of these is taken for done, in its place
---@return SuggestionReview.LineWork work itself where all of it is there
local function without_gone(work, found, reverted)
  local adding = {}
  for _, replacement in ipairs(work.add) do
    adding[replacement.key] = true
  end
  local now, gone = {}, vim.list_slice(work.gone or {})
  for _, replacement in ipairs(work.now) do
    local key = replacement.key
    local gone_here = found[key] == "gone" and not (work.remove[key] and reverted[key])
    if gone_here or (found[key] == "edited" and adding[key]) then
      local makes_room = exchange.is_stale(replacement)
      for _, other in ipairs(makes_room and {} or work.add) do
        makes_room = makes_room or (other.key ~= replacement.key and exchange.makes_room(replacement, other))
      end
      if makes_room then
        gone[#gone + 1] = replacement.key
      end
    else
      now[#now + 1] = replacement
    end
  end
  if #now == #work.now then
    return work
  end
  return { now = now, remove = work.remove, add = work.add, gone = gone }
end

--- Where the changes go in the developer's text.
---@class (exact) SuggestionReview.Places
---@field wanted SuggestionReview.WantedChanges
---@field placed SuggestionReview.Placed[]
---@field total integer lines of the text
---@field as_expected boolean nothing of the developer's own is in it
---@field work SuggestionReview.LineWork what of the record counts
---@field presence table<string, SuggestionReview.Presence>

--- Finds the changes' places in the developer's text.
---@param plan SuggestionReview.FilePlan with its carrier
---@param work SuggestionReview.LineWork
---@param key string see `step_key`
---@return SuggestionReview.Places|nil
---@return string|nil reason
local function find_places(plan, work, key)
  local wanted, reason = changes.of(plan, work)
  if not wanted then
    return nil, reason
  end
  local carried = plan.carrier --[[@as SuggestionReview.Carrier]]
  local buf = carried.buf
  local function unedited(total)
    return {
      wanted = wanted,
      placed = mapping.place(wanted.changes, nil, nil),
      total = total,
      as_expected = true,
      work = work,
      presence = {},
    }
  end
  local known = buf and in_step[buf]
  if known and known.tick == plan.tick and known.key == key then
    return unedited(vim.api.nvim_buf_line_count(buf --[[@as integer]]))
  end
  local actual = carrier.bare(carried)
  local ranges = diff.ranges_near(wanted.expected.bare(), actual)
  if not ranges then
    if buf then
      in_step[buf] = { tick = plan.tick, key = key }
    end
    return unedited(#actual)
  end
  local lines
  local function actual_lines()
    lines = lines or diff.bare_lines(actual)
    return lines
  end
  local found = {}
  if wanted.list then
    local reverted
    found, reverted = presence.of(wanted.base_lines, wanted.list, wanted.expected.lines, actual_lines, ranges)
    local counted = without_gone(work, found, reverted)
    if counted ~= work then
      work = counted
      wanted, reason = changes.of(plan, work)
      if not wanted then
        return nil, reason
      end
      ranges = diff.ranges_near(wanted.expected.bare(), actual) or {}
    end
  end
  return {
    wanted = wanted,
    placed = mapping.place(wanted.changes, wanted.expected.lines, actual_lines, {
      ranges = ranges,
      to_base = wanted.list and presence.to_base(wanted.list) or nil,
    }),
    total = #actual,
    as_expected = false,
    work = work,
    presence = found,
  }
end

--- The place that tells a hunk's outcome, by its key: one that is still to be changed, if there is one.
---@param placed SuggestionReview.Placed[]
---@return table<string, SuggestionReview.Placed>
local function places_by_key(placed)
  local by_key = {}
  for _, one in ipairs(placed) do
    for _, key in ipairs(one.change.keys) do
      if not by_key[key] or by_key[key].status == "already" then
        by_key[key] = one
      end
    end
  end
  return by_key
end

--- A replacement that is recorded already, as it is: what the developer had there before stays known.
---@param replacement SuggestionReview.Replacement
---@param now SuggestionReview.Replacement[]
---@return SuggestionReview.Replacement
local function as_filed(replacement, now)
  for _, one in ipairs(now) do
    if one.key == replacement.key then
      return vim.tbl_extend("force", replacement, { before = one.before, whose = one.whose })
    end
  end
  return replacement
end

--- A replacement as it is recorded when it comes in at `one`: with what the developer had there before.
---@param replacement SuggestionReview.Replacement
---@param one SuggestionReview.Placed|nil
---@param plan SuggestionReview.FilePlan
---@return SuggestionReview.Replacement
local function with_before(replacement, one, plan)
  local before = one and resolution.before(one, plan)
  if not before then
    return replacement
  end
  local copy = vim.tbl_extend("force", replacement, { before = before })
  -- It was made of lines that stood there: from now on it may hold some of them.
  copy.whose = copy.decided == "modified" and "resolved" or copy.whose
  return copy
end

--- What to write, and what is applied and what is not any more once that is written.
---@param plan SuggestionReview.FilePlan
---@param places SuggestionReview.Places
---@param is_refused fun(key: string): boolean
---@return SuggestionReview.Edit[] edits
---@return SuggestionReview.Replacement[] put
---@return string[] out keys
local function effects(plan, places, is_refused)
  local edits, put, out = {}, {}, vim.list_slice(places.work.gone or {})
  local work, together = places.work, places.wanted.together
  local settled, place_of = {}, {}
  for _, one in ipairs(places.placed) do
    if one.status == "clean" then
      edits[#edits + 1] = { from = one.from, to = one.to, old = one.change.old, lines = one.lines }
    end
    for _, key in ipairs(one.change.keys) do
      place_of[key] = place_of[key] or one
      settled[key] = settled[key] or one.status ~= "conflict"
    end
  end
  for _, replacement in ipairs(work.add) do
    local key = replacement.key
    if (settled[key] or not place_of[key]) and not is_refused(key) then
      local filed = place_of[key] == nil and as_filed(replacement, work.now) or replacement
      put[#put + 1] = together and filed or with_before(filed, place_of[key], plan)
    end
  end
  for key in pairs(work.remove) do
    if settled[key] or not place_of[key] then
      out[#out + 1] = key
    end
  end
  for _, key in ipairs(places.wanted.displaced) do
    if settled[key] then
      out[#out + 1] = key
    end
  end
  return edits, put, out
end

---@param places SuggestionReview.Places
---@return boolean
local function gives_back(places)
  return vim.iter(places.wanted.changes):any(function(change)
    return change.before ~= nil
  end)
end

--- Carries out what was planned.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan
---@param places SuggestionReview.Places
---@param is_refused fun(key: string): boolean
---@return boolean ok
---@return string|nil reason
local function carry_out(place, plan, places, is_refused)
  local carried = plan.carrier --[[@as SuggestionReview.Carrier]]
  local write = require("suggestion-review.config").get().write_on_accept
  local edits, put, out = effects(plan, places, is_refused)
  local buf = carried.buf
  if buf and carrier.tick(carried) ~= plan.tick then
    return false, "the buffer changed meanwhile"
  end
  local save = buf and write and not vim.bo[buf].modified and vim.bo[buf].buftype == ""
  local take_back = place.applied:record(place.suggestion.id, plan.file, put, out)
  if #edits > 0 then
    local called, ok, reason = pcall(carrier.apply, carried, edits, places.total)
    if not called or not ok then
      take_back()
      return false, tostring(called and reason or ok)
    end
  end
  local saved, save_reason = true, nil
  if save and #edits > 0 then
    saved, save_reason = carrier.save(carried)
  end
  if buf and vim.api.nvim_buf_is_valid(buf) then
    -- Still as expected, unless it was not before, a formatter had its say while it was saved, or the developer's own
    -- lines are back.
    local untouched = places.as_expected and (not save or #edits == 0) and not gives_back(places)
    in_step[buf] = untouched
        and { tick = vim.api.nvim_buf_get_changedtick(buf), key = step_key(place, plan.file) }
      or nil
  end
  if not saved then
    return true, "applied, but not saved: " .. save_reason
  end
  return true
end

local TOUCHES = "your own edits touch the same lines"

---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@param work SuggestionReview.LineWork
---@param item_of table<string, SuggestionReview.PlanItem> by the hunk's id
---@param path string absolute
local function plan_lines(place, plan, work, item_of, path)
  local items = plan.items
  local write = require("suggestion-review.config").get().write_on_accept
  local carried, why = carrier.open(path, not write)
  if not carried then
    return file_plan.mark(items, "refused", why)
  elseif not carried.exists and not carried.buf then
    return file_plan.mark(items, "refused", "there is no such file in this worktree")
  end
  plan.carrier, plan.tick = carried, carrier.tick(carried)
  local places, reason = find_places(plan, work, step_key(place, plan.file))
  if not places then
    return file_plan.mark(items, "refused", reason)
  end
  plan.displaced, plan.presence = places.wanted.displaced, places.presence
  for _, item in ipairs(items) do
    local refused = places.wanted.refused[item.hunk.id]
    if refused then
      item.status, item.reason = "refused", refused
    end
  end
  if
    places.wanted.together
    and vim.iter(places.placed):any(function(one)
      return one.status == "conflict"
    end)
  then
    return file_plan.mark(items, "refused", TOUCHES)
  end
  local by_key = places_by_key(places.placed)
  for _, item in ipairs(items) do
    if not item.status then
      local one = by_key[item.hunk.id]
      for _, key in ipairs(item.also or {}) do
        if by_key[key] and (not one or by_key[key].status == "conflict") then
          one = by_key[key]
        end
      end
      item.placed = one
      item.status = one and one.status or "already"
      if item.status == "conflict" then
        item.reason = TOUCHES
      end
    end
  end
  plan.run = function()
    return carry_out(place, plan, places, function(key)
      return item_of[key] ~= nil and item_of[key].status == "refused"
    end)
  end
end

--- What of the record says that the file is there, or gone, and is wrong about it: the developer removed the file, or
--- brought it back.
---@param work SuggestionReview.LineWork
---@param path string absolute
---@return SuggestionReview.LineWork
---@return table<string, SuggestionReview.Presence>
local function minding_the_file(work, path)
  local there, found = nil, {}
  for _, replacement in ipairs(work.now) do
    local whole = replacement.kind == "create"
      or (replacement.kind == "delete" and replacement.decided ~= "modified")
    if whole then
      if there == nil then
        local buf = worktree.buffer_of(path)
        there = vim.uv.fs_lstat(path) ~= nil
          or (buf ~= nil and vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].modified)
      end
      if there ~= (replacement.kind == "create") then
        found[replacement.key] = "gone"
      end
    end
  end
  return next(found) and without_gone(work, found, {}) or work, found
end

--- How what is applied in a file stands in it now.
---@param place SuggestionReview.Place
---@param file string raw bytes
---@param base SuggestionReview.Base
---@param relative string
---@return table<string, SuggestionReview.Presence> what is not simply in, by key
function M.presence(place, file, base, relative)
  local path = worktree.resolve(place.root, relative)
  local now =
    line_replacements(place.applied:of_file(place.suggestion.id, file), place.suggestion.base_commit)
  if not path or #now == 0 then
    return {}
  end
  local work, found = minding_the_file({ now = now, remove = {}, add = {} }, path)
  if #work.now == 0 then
    return found
  end
  local carried = carrier.open(path, false)
  if not carried then
    return found
  elseif not carried.exists and not carried.buf then
    for _, replacement in ipairs(work.now) do
      found[replacement.key] = replacement.kind ~= "delete" and "gone" or nil
    end
    return found
  end
  local plan = { file = file, items = {}, base = base, carrier = carried, tick = carrier.tick(carried) }
  local places = find_places(plan, work, step_key(place, file))
  return vim.tbl_extend("force", found, places and places.presence or {})
end

--- Works out what the plan's items come to in the file at `relative`, and how that is carried out.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan
---@param base SuggestionReview.Base
---@param relative string
function M.plan(place, plan, base, relative)
  local items = plan.items
  if base.source == "server" and not place.unknown_base_ok and vim.uv.fs_lstat(place.root .. "/.git") then
    for _, item in ipairs(items) do
      item.code = "unknown_base"
    end
    return file_plan.mark(
      items,
      "refused",
      "this checkout does not have the commit that the suggestion is based on"
    )
  end
  local path, reason = worktree.resolve(place.root, relative)
  if not path then
    return file_plan.mark(items, "refused", reason)
  end
  plan.base = base
  local work, found = minding_the_file(work_of(place, plan), path)
  plan.presence = found
  local item_of = {}
  for _, item in ipairs(items) do
    item.plan = plan
    item_of[item.hunk.id] = item
  end
  plan.others = vim.tbl_filter(function(replacement)
    return item_of[replacement.key] == nil
  end, work.now)
  ---@param stood? string[] the developer's own file that is just as the hunk makes it
  local function note(stood)
    local put = vim.tbl_map(function(replacement)
      return as_filed(replacement, work.now)
    end, work.add)
    if stood then
      put = vim.tbl_map(function(replacement)
        return vim.tbl_extend(
          "force",
          replacement,
          { before = { at = 0, count = #base.lines, lines = stood } }
        )
      end, put)
    end
    local _, _, displaced = exchange.changes({}, work.now, work.remove, work.add)
    local out = vim.list_extend(vim.tbl_keys(work.remove), displaced)
    return place.applied:record(place.suggestion.id, plan.file, put, vim.list_extend(out, work.gone or {}))
  end
  local exists = existence.of(plan, work)
  if exists.before ~= exists.after then
    existence.plan(place, plan, work, exists, path, note)
  elseif not exists.after then
    file_plan.mark(items, "already")
    plan.run = function()
      note()
      return true
    end
  else
    plan_lines(place, plan, work, item_of, path)
  end
end

--- Forgets which buffers are in step; for tests.
function M.reset()
  in_step = {}
end

return M
