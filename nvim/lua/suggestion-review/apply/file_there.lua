--- Whether a file is there as the record says. The hunk that makes a file, or takes it away, may have been split: a
--- file is made by any of its parts, and is gone when every line of it is.
local carrier = require("suggestion-review.worktree.document")
local line_places = require("suggestion-review.apply.line_places")
local line_work = require("suggestion-review.apply.line_work")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@param replacement SuggestionReview.Replacement
---@return boolean whether it takes lines away with the file; the developer's own version of a deletion leaves a file
local function deletes(replacement)
  return replacement.kind == "delete" and replacement.decided ~= "modified"
end

--- Whether the file exists where exactly `list` is applied.
---@param base SuggestionReview.Base
---@param list SuggestionReview.Replacement[]
---@return boolean
function M.with(base, list)
  local exists, gone, removed = base.exists, false, 0
  for _, replacement in ipairs(list) do
    if replacement.kind == "create" then
      exists = true
    elseif deletes(replacement) then
      gone, removed = true, removed + replacement.count
    end
  end
  -- A deletion that is taken only in part leaves a file.
  return exists and not (gone and removed == #base.lines)
end

---@param path string absolute
---@return boolean there on disk, or in a buffer that holds text of its own
local function is_there(path)
  local buf = worktree.buffer_of(path)
  return vim.uv.fs_lstat(path) ~= nil
    or (buf ~= nil and vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].modified)
end

--- Which parts of a deletion have their lines in the file that is there again: the others hold still.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@param now SuggestionReview.Replacement[]
---@param path string absolute
---@return table<string, SuggestionReview.Presence>
local function parts_back(place, plan, now, path)
  local carried = carrier.open(path, false)
  if not carried then
    return {}
  end
  local probe = {
    file = plan.file,
    items = {},
    base = plan.base,
    carrier = carried,
    tick = carrier.tick(carried),
    attributes = plan.attributes,
  }
  local places = line_places.find(place, probe, { now = now, remove = {}, add = {} })
  return places and places.presence or {}
end

--- What of the record is wrong about the file, which the developer removed or brought back; and the work without that.
---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan with its base
---@param work SuggestionReview.LineWork
---@param path string absolute
---@return SuggestionReview.LineWork
---@return table<string, SuggestionReview.Presence>
function M.counted(place, plan, work, path)
  local made = vim.tbl_filter(function(replacement)
    return replacement.kind == "create"
  end, work.now)
  local deleted = vim.tbl_filter(deletes, work.now)
  local found = {}
  if #made > 0 and not is_there(path) then
    for _, replacement in ipairs(made) do
      found[replacement.key] = "gone"
    end
  elseif #deleted > 0 and not M.with(plan.base, work.now) and is_there(path) then
    local back = #deleted > 1 and parts_back(place, plan, work.now, path) or {}
    local some = vim.iter(deleted):any(function(replacement)
      return back[replacement.key] == "gone"
    end)
    for _, replacement in ipairs(deleted) do
      if not some or back[replacement.key] == "gone" then
        found[replacement.key] = "gone"
      end
    end
  end
  return next(found) and line_work.without_gone(work, found, {}) or work, found
end

return M
