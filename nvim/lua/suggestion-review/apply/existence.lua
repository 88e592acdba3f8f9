--- Plans what makes a file or takes it away: hunks that create and delete, and undoing them.
local attributes_of = require("suggestion-review.worktree.attributes")
local carrier = require("suggestion-review.worktree.document")
local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local file_plan = require("suggestion-review.apply.file_plan")
local file_there = require("suggestion-review.apply.file_there")
local fileop = require("suggestion-review.worktree.whole_file")
local form = require("suggestion-review.worktree.encoding")
local mapping = require("suggestion-review.text.merge")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@class (exact) SuggestionReview.Existence
---@field before boolean as expected, before the plan
---@field after boolean
---@field list? SuggestionReview.Replacement[] what is applied after the plan, where that is not plain
---@field stood? string[] the developer's own file, that comes back

--- Whether the file exists before and after a plan.
---@param plan SuggestionReview.FilePlan with its base
---@param work SuggestionReview.LineWork
---@return SuggestionReview.Existence
function M.of(plan, work)
  local base = plan.base --[[@as SuggestionReview.Base]]
  if base.exists and plan.items[1].hunk.kind ~= "delete" then
    return { before = true, after = true }
  end
  local changes, after = exchange.changes({}, work.now, work.remove, work.add)
  local stood
  for _, change in ipairs(changes) do
    -- A whole file of the developer's made room: it is what comes back.
    if change.before and #work.add == 0 then
      stood = change.before.lines
    end
  end
  return {
    before = file_there.with(base, work.now),
    after = stood ~= nil or file_there.with(base, after),
    list = after,
    stood = stood,
  }
end

---@param plan SuggestionReview.FilePlan
---@return string|nil mode of a file that is made
local function mode_of(plan)
  local hunk = plan.items[#plan.items].hunk
  return hunk.new_mode or hunk.old_mode
end

--- Where a conflict about all of a file is: in all of it.
---@param plan SuggestionReview.FilePlan with its base
---@param carried SuggestionReview.Carrier
---@param expected string[] what would be there without the developer's edits
---@param theirs string[]|nil what is to be there; nil: no file
local function place_conflict(plan, carried, expected, theirs)
  local ours = diff.split_lines(carrier.text(carried))
  for _, item in ipairs(plan.items) do
    item.placed = {
      status = "conflict",
      from = 0,
      to = #ours,
      lines = theirs or {},
      ours = ours,
      theirs = theirs or {},
      removes = theirs == nil,
      base = expected,
      base_from = 0,
      base_to = #plan.base.lines,
    }
  end
  plan.carrier, plan.tick = carried, carrier.tick(carried)
  plan.shape = carried.buf and carried.form or { eol = "unix", encoding = "", bom = false }
end

--- Plans that the file comes or goes.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@param work SuggestionReview.LineWork
---@param existence SuggestionReview.Existence
---@param path string absolute
---@param note fun(stood?: string[]): fun() files what is applied then; returns what takes that back
function M.plan(place, plan, work, existence, path, note)
  local base, items =
    plan.base, --[[@as SuggestionReview.Base]]
    plan.items
  local expected = table.concat(mapping.compose(base.lines, work.now))
  local wanted_lines = existence.stood or mapping.compose(base.lines, existence.list)
  local wanted = table.concat(wanted_lines)
  local load = vim.uv.fs_lstat(path) ~= nil and worktree.buffer_of(path) ~= nil
  local carried, why = carrier.open(path, load)
  if not carried then
    return file_plan.mark(items, "refused", why)
  end
  -- With the line ends that git gives a file that it checks out.
  local function out(bytes)
    return plan.attributes and attributes_of.checked_out(bytes, plan.attributes) or bytes
  end
  ---@param bytes string as the repository has them
  local function is_here(bytes)
    local here = carried.bytes
    if carried.buf then
      here = form.buffer_bytes(carried.buf)
    end
    return here == bytes or here == out(bytes)
  end
  ---@param stood? string[] the developer's file
  local function already(stood)
    file_plan.mark(items, "already")
    plan.run = function()
      note(stood)
      return true
    end
  end
  local tick = carrier.tick(carried)
  ---@param change fun(): boolean, string|nil
  local function clean(change)
    file_plan.mark(items, "clean")
    plan.run = function()
      local moved = worktree.moved(place.root, path:sub(#place.root + 2), path)
        or carrier.moved_on(carried, tick)
      if moved then
        return false, moved
      end
      local take_back = note()
      local ok, reason = change()
      if not ok then
        take_back()
      end
      return ok, reason
    end
  end
  local function conflict(reason)
    file_plan.mark(items, "conflict", reason)
    place_conflict(plan, carried, diff.split_lines(expected), existence.after and wanted_lines or nil)
  end

  if existence.after then
    if not carried.exists then
      clean(function()
        return fileop.create(path, out(wanted), mode_of(plan))
      end)
    elseif is_here(wanted) then
      already(#work.add > 0 and wanted_lines or nil)
    else
      conflict("a file of that name is here already")
    end
  elseif not carried.exists then
    already()
  elseif is_here(expected) and not (carried.buf and vim.bo[carried.buf].modified) then
    clean(function()
      return fileop.remove(place.root, path)
    end)
  else
    conflict("you have changed this file")
  end
end

return M
