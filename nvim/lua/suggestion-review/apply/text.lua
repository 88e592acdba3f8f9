--- Plans hunks that are lines of a file: which replacements come and go, where they are in the developer's text, and
--- what carries that out. Where the developer's own edits are in the way, nothing is written.
local base_of = require("suggestion-review.model.base_text")
local carrier = require("suggestion-review.worktree.document")
local changes = require("suggestion-review.apply.changes")
local diff = require("suggestion-review.text.diff")
local existence = require("suggestion-review.apply.existence")
local file_plan = require("suggestion-review.apply.file_plan")
local mapping = require("suggestion-review.text.merge")
local replacements = require("suggestion-review.apply.replacement")
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
---@return SuggestionReview.Replacement[] those that are about lines
local function line_replacements(list)
  for _, one in ipairs(list) do
    if not LINE_KINDS[one.kind or "text"] then
      return vim.tbl_filter(function(replacement)
        return LINE_KINDS[replacement.kind or "text"]
      end, list)
    end
  end
  return list
end

--- What the plan's wants do to the replacements of the file; refuses those that cannot be trusted.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@return SuggestionReview.LineWork
local function work_of(place, plan)
  local now = line_replacements(place.applied:of_file(place.suggestion.id, plan.file))
  local remove, add = {}, {}
  for _, item in ipairs(plan.items) do
    if item.want.state == "accepted" or item.want.state == "modified" then
      local replacement, why, text = replacements.of(item.want, place.suggestion.base_commit)
      if not replacement or not text then
        item.status, item.reason = "refused", why
      elseif not base_of.fits(plan.base, item.hunk, text) then
        item.status, item.reason = "refused", "its base lines are not those of the base commit"
      else
        add[#add + 1] = replacement
      end
    else
      remove[item.hunk.id] = true
    end
  end
  return { now = now, remove = remove, add = add }
end

--- Finds the changes' places in the developer's text.
---@param plan SuggestionReview.FilePlan with its carrier
---@param wanted SuggestionReview.WantedChanges
---@param key string see `step_key`
---@return SuggestionReview.Placed[]
---@return integer total lines of the text
---@return boolean as_expected nothing of the developer's own is in it
local function find_places(plan, wanted, key)
  local carried = plan.carrier --[[@as SuggestionReview.Carrier]]
  local buf = carried.buf
  local known = buf and in_step[buf]
  if known and known.tick == plan.tick and known.key == key then
    local total = vim.api.nvim_buf_line_count(buf --[[@as integer]])
    return mapping.place(wanted.changes, nil, nil), total, true
  end
  local actual = carrier.bare(carried)
  local ranges = diff.ranges_near(wanted.expected.bare(), actual)
  if not ranges then
    if buf then
      in_step[buf] = { tick = plan.tick, key = key }
    end
    return mapping.place(wanted.changes, nil, nil), #actual, true
  end
  return mapping.place(wanted.changes, wanted.expected.lines, function()
    return diff.bare_lines(actual)
  end, ranges),
    #actual,
    false
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

--- What to write, and what is applied and what is not any more once that is written.
---@param work SuggestionReview.LineWork
---@param wanted SuggestionReview.WantedChanges
---@param placed SuggestionReview.Placed[]
---@param is_refused fun(key: string): boolean
---@return SuggestionReview.Edit[] edits
---@return SuggestionReview.Replacement[] put
---@return string[] out keys
local function effects(work, wanted, placed, is_refused)
  local edits, put, out = {}, {}, {}
  local settled, has_place = {}, {}
  for _, one in ipairs(placed) do
    if one.status == "clean" then
      edits[#edits + 1] = { from = one.from, to = one.to, old = one.change.old, lines = one.lines }
    end
    for _, key in ipairs(one.change.keys) do
      has_place[key] = true
      settled[key] = settled[key] or one.status ~= "conflict"
    end
  end
  for _, replacement in ipairs(work.add) do
    local key = replacement.key
    if (settled[key] or not has_place[key]) and not is_refused(key) then
      put[#put + 1] = replacement
    end
  end
  for key in pairs(work.remove) do
    if settled[key] or not has_place[key] then
      out[#out + 1] = key
    end
  end
  for _, key in ipairs(wanted.displaced) do
    if settled[key] then
      out[#out + 1] = key
    end
  end
  return edits, put, out
end

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
  local wanted, reason = changes.of(plan, work)
  if not wanted then
    return file_plan.mark(items, "refused", reason)
  end
  for _, item in ipairs(items) do
    if wanted.refused[item.hunk.id] then
      item.status, item.reason = "refused", wanted.refused[item.hunk.id]
    end
  end
  local placed, total, as_expected = find_places(plan, wanted, step_key(place, plan.file))
  if wanted.together and vim.iter(placed):any(function(one)
    return one.status == "conflict"
  end) then
    return file_plan.mark(items, "refused", "your own edits touch the same lines")
  end
  local by_key = places_by_key(placed)
  for _, item in ipairs(items) do
    if not item.status then
      local one = by_key[item.hunk.id]
      item.placed = one
      item.status = one and one.status or "already"
      if item.status == "conflict" then
        item.reason = "your own edits touch the same lines"
      end
    end
  end

  plan.run = function()
    local edits, put, out = effects(work, wanted, placed, function(key)
      return item_of[key] ~= nil and item_of[key].status == "refused"
    end)
    local buf = carried.buf
    local moved = worktree.moved(place.root, path:sub(#place.root + 2), path)
    if moved then
      return false, moved
    end
    if buf and carrier.tick(carried) ~= plan.tick then
      return false, "the buffer changed meanwhile"
    end
    local save = buf and write and not vim.bo[buf].modified and vim.bo[buf].buftype == ""
    if #edits > 0 then
      local ok, apply_reason = carrier.apply(carried, edits, total)
      if not ok then
        return false, apply_reason
      end
    end
    place.applied:record(place.suggestion.id, plan.file, put, out)
    local saved, save_reason = true, nil
    if save and #edits > 0 then
      saved, save_reason = carrier.save(carried)
    end
    if buf and vim.api.nvim_buf_is_valid(buf) then
      -- Still as expected, unless it was not before or a formatter had its say while it was saved.
      local untouched = as_expected and (not save or #edits == 0)
      in_step[buf] = untouched
          and { tick = vim.api.nvim_buf_get_changedtick(buf), key = step_key(place, plan.file) }
        or nil
    end
    if not saved then
      return true, "applied, but not saved: " .. save_reason
    end
    return true
  end
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
  local work = work_of(place, plan)
  local item_of = {}
  for _, item in ipairs(items) do
    item.plan = plan
    item_of[item.hunk.id] = item
  end
  plan.others = vim.tbl_filter(function(replacement)
    return item_of[replacement.key] == nil
  end, work.now)
  local function note()
    place.applied:record(place.suggestion.id, plan.file, work.add, vim.tbl_keys(work.remove))
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
