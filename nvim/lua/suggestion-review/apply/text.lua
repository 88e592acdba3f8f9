--- Plans hunks that are lines of a file: which replacements come and go, where they are in the developer's text, and
--- what carries that out. Where the developer's own edits are in the way, nothing is written.
local carrier = require("suggestion-review.worktree.document")
local exchange = require("suggestion-review.text.exchange")
local existence = require("suggestion-review.apply.existence")
local file_plan = require("suggestion-review.apply.file_plan")
local file_there = require("suggestion-review.apply.file_there")
local line_places = require("suggestion-review.apply.line_places")
local line_work = require("suggestion-review.apply.line_work")
local resolution = require("suggestion-review.apply.resolution")
local worktree = require("suggestion-review.worktree.paths")
local config = require("suggestion-review.config")

local M = {}

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
      local filed = place_of[key] == nil and line_work.as_filed(replacement, work.now) or replacement
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
  for key, others in pairs(work.yields or {}) do
    local taken = vim.iter(others):any(function(other)
      return settled[other] or (not place_of[other] and not is_refused(other))
    end)
    if taken then
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
  local write = config.get().write_on_accept
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
    line_places.note(place, plan.file, buf, untouched)
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
  local write = config.get().write_on_accept
  local carried, why = carrier.open(path, not write)
  if not carried then
    return file_plan.mark(items, "refused", why)
  elseif not carried.stat then
    -- A buffer may still show what was removed.
    return file_plan.mark(items, "refused", "there is no such file in this worktree")
  end
  if plan.attributes and plan.attributes.eol ~= "lf" then
    carrier.prefer_crlf(carried)
  end
  plan.carrier, plan.tick = carried, carrier.tick(carried)
  local places, reason = line_places.find(place, plan, work)
  if not places then
    return file_plan.mark(items, "refused", reason)
  end
  plan.displaced = vim.list_extend(vim.tbl_keys(places.work.yields or {}), places.wanted.displaced)
  plan.presence = places.presence
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
  local by_key = line_places.by_key(places.placed)
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
    local moved = worktree.moved(place.root, path:sub(#place.root + 2), path)
      or carrier.moved_on(carried, plan.tick)
    if moved then
      return false, moved
    end
    return carry_out(place, plan, places, function(key)
      return item_of[key] ~= nil and item_of[key].status == "refused"
    end)
  end
end

--- How what is applied in a file stands in it now.
---@param place SuggestionReview.Place
---@param file string raw bytes
---@param base SuggestionReview.Base
---@param relative string
---@return table<string, SuggestionReview.Presence> what is not simply in, by key
function M.presence(place, file, base, relative)
  local path = worktree.resolve(place.root, relative)
  local now = line_work.line_replacements(
    place.applied:of_file(place.suggestion.id, file),
    place.suggestion.base_commit
  )
  if not path or #now == 0 then
    return {}
  end
  local work, found = file_there.counted(
    place,
    { file = file, items = {}, base = base },
    { now = now, remove = {}, add = {} },
    path
  )
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
  local places = line_places.find(place, plan, work)
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
  local work, found = file_there.counted(place, plan, line_work.of(place, plan), path)
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
      return line_work.as_filed(replacement, work.now)
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
  line_places.reset()
end

return M
