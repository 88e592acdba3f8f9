--- Plans hunks that are no lines of a file but the file: its name, its mode, or all of its content at once.
local attributes_of = require("suggestion-review.worktree.attributes")
local digest = require("suggestion-review.text.digest")
local marks = require("suggestion-review.apply.marks")
local fileop = require("suggestion-review.worktree.whole_file")
local whole_record = require("suggestion-review.apply.whole_record")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Kinds that change a file's existence, name or nature rather than lines of it.
local WHOLE = { binary = true, symlink = true, type = true, rename = true, mode = true }
local LATER = {
  submodule = "a submodule is brought over when the suggestion is adopted",
  swap = "a file that takes a directory's place is brought over when the suggestion is adopted",
}

--- Whether a hunk is of these.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.is_whole(hunk)
  return WHOLE[hunk.kind] or LATER[hunk.kind] ~= nil or hunk.encoding == "binary"
end

--- Whether a hunk comes into the files only when the suggestion is adopted.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.comes_later(hunk)
  return LATER[hunk.kind] ~= nil
end

--- The path a file has in the worktree now: its old one until its renaming was applied.
---@param place SuggestionReview.Place
---@param file string raw bytes
---@param old string|nil
---@param renaming boolean|nil the state after this plan, if it decides that
---@return string
function M.path_now(place, file, old, renaming)
  if not old or old == file then
    return file
  end
  if renaming == nil then
    for _, replacement in ipairs(place.applied:of_file(place.suggestion.id, file)) do
      if replacement.kind == "rename" then
        return file
      end
    end
    -- Renamed by the developer's own hand.
    if not vim.uv.fs_lstat(place.root .. "/" .. old) and vim.uv.fs_lstat(place.root .. "/" .. file) then
      return file
    end
    return old
  end
  return renaming and file or old
end

--- One side of a hunk as it is in the worktree: with git's line ends, unless the file has the repository's.
---@param side SuggestionReview.Whole
---@param path string absolute
---@param attributes SuggestionReview.Attributes|nil
---@return SuggestionReview.Whole
local function in_worktree(side, path, attributes)
  if not attributes or not side.mode or side.mode == "120000" then
    return side
  end
  local now = fileop.current(path)
  if now and now.bytes == side.bytes then
    return side
  end
  return { mode = side.mode, bytes = attributes_of.checked_out(side.bytes, attributes) }
end

--- The plan of one hunk, in the making.
---@class SuggestionReview.WholePlan
---@field place SuggestionReview.Place
---@field item SuggestionReview.PlanItem
---@field file string
---@field into boolean the change comes in; else it is taken out
---@field was SuggestionReview.Replacement|nil what is noted of it
---@field keep (fun(): SuggestionReview.KeptSides)|nil what is to be noted of both sides
---@field touched { relative: string, absolute: string }[] files that the change touches
---@field callback fun(run: (fun(): boolean, string|nil)|nil)
local Plan = {}
Plan.__index = Plan

--- Notes in the own record that the change is in the files, or is there no longer.
---@param stood boolean|nil the developer had made the same change
---@return fun() take_back
function Plan:note(stood)
  local hunk, place = self.item.hunk, self.place
  if not self.into then
    return place.applied:record(place.suggestion.id, self.file, {}, { hunk.id })
  end
  return place.applied:record(place.suggestion.id, self.file, {
    {
      key = hunk.id,
      at = 0,
      count = 0,
      lines = {},
      order = 0,
      digest = hunk.digest,
      kind = hunk.kind,
      decided = "accepted",
      whose = "hunk",
      base = place.suggestion.base_commit,
      revision = place.suggestion.revision,
      old_file = hunk.old_file ~= self.file and hunk.old_file or nil,
      stood = stood,
      sides = self.keep and self.keep() or nil,
    },
  }, {})
end

---@param relative string
---@return string|nil absolute
---@return string|nil reason
function Plan:resolve(relative)
  local absolute, why = worktree.resolve(self.place.root, relative)
  if absolute then
    self.touched[#self.touched + 1] = { relative = relative, absolute = absolute }
  end
  return absolute, why
end

--- Carries the change out, noted before it is made.
---@param change fun(): boolean, string|nil
---@return boolean
---@return string|nil reason
function Plan:carry_out(change)
  for _, one in ipairs(self.touched) do
    -- What came first in the same batch may be a link on the way to this.
    local moved = worktree.moved(self.place.root, one.relative, one.absolute)
    if moved then
      return false, moved
    end
  end
  local take_back = self:note()
  local called, ok, why = pcall(change)
  if not called or not ok then
    take_back()
    return false, tostring(called and why or ok)
  end
  return ok, why
end

--- Says what the hunk comes to.
---@param status SuggestionReview.Outcome
---@param reason? string
---@param change? fun(): boolean, string|nil
function Plan:finish(status, reason, change)
  self.item.status, self.item.reason = status, reason
  if status == "already" then
    return self.callback(function()
      local stood = self.was == nil or self.was.stood
      self:note(stood or nil)
      return true
    end)
  elseif status == "clean" then
    return self.callback(function()
      return self:carry_out(change --[[@as function]])
    end)
  end
  self.callback(nil)
end

--- The two states of what changes, in the direction it goes.
---@generic T
---@param old T
---@param new T
---@return T from
---@return T to
function Plan:directed(old, new)
  if self.into then
    return old, new
  end
  return new, old
end

--- Plans that the file gets another name.
function Plan:rename()
  local hunk, root = self.item.hunk, self.place.root
  if digest.of(hunk) ~= hunk.digest then
    return self:finish("refused", "the renaming is not what its digest names")
  end
  local old, old_reason = self:resolve(hunk.old_file)
  local new, new_reason = self:resolve(self.file)
  if not old or not new then
    return self:finish("refused", old_reason or new_reason)
  end
  local from, to = self:directed(old, new)
  local status, reason = fileop.rename_state(from, to)
  self:finish(status, reason, function()
    return fileop.rename(root, from, to)
  end)
end

--- Plans that the file gets another mode.
---@param path string absolute
function Plan:change_mode(path)
  local hunk = self.item.hunk
  if digest.of(hunk) ~= hunk.digest then
    return self:finish("refused", "the mode is not what its digest names")
  end
  self.keep = function()
    return { from = { mode = hunk.old_mode }, to = { mode = hunk.new_mode } }
  end
  local from, to = self:directed(hunk.old_mode, hunk.new_mode)
  local status, reason = fileop.mode_state(path, from --[[@as string]], to --[[@as string]])
  self:finish(status, reason, function()
    return fileop.change_mode(path, to --[[@as string]])
  end)
end

--- Plans that the file gets other content, or becomes something else.
---@param relative string
---@param path string absolute
---@param attributes SuggestionReview.Attributes|nil of the file
---@param sides { from: SuggestionReview.Whole, to: SuggestionReview.Whole }
---@param kept? boolean the sides are the own record's: what comes back is what stood here
function Plan:replace(relative, path, attributes, sides, kept)
  local place = self.place
  local from, to =
    self:directed(in_worktree(sides.from, path, attributes), in_worktree(sides.to, path, attributes))
  self.keep = function()
    return whole_record.keep(place, self.item.hunk.old_file or self.file, sides.from, to)
  end
  local status, reason = fileop.whole_state(path, from, to)
  if status == "clean" and to.mode == "120000" and not kept then
    if vim.fs.basename(relative):lower() == ".gitmodules" then
      return self:finish("refused", "git takes no symbolic link of that name")
    end
    local planned = marks.planned_links(place.suggestion.hunks or {})
    local mark = marks.of_link(place.root, relative, to.bytes, planned)
    if mark then
      return self:finish("deferred", mark.text)
    end
  end
  self:finish(status, reason, function()
    -- The developer may have written to it since the plan.
    local now, why = fileop.whole_state(path, from, to)
    if now ~= "clean" then
      return false, why or "it was changed here meanwhile"
    end
    return fileop.replace(place.root, path, to)
  end)
end

--- Works out what one hunk comes to; `run` carries it out, without one nothing is to be done.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param attributes SuggestionReview.Attributes|nil of the file
---@param callback fun(run: (fun(): boolean, string|nil)|nil)
function M.plan(place, item, attributes, callback)
  local hunk = item.hunk
  local file = digest.path(hunk)
  local plan = setmetatable({
    place = place,
    item = item,
    file = file,
    into = item.want.state == "accepted" or item.want.state == "modified",
    was = place.applied:get(place.suggestion.id, file, hunk.id),
    touched = {},
    callback = callback,
  }, Plan)
  if LATER[hunk.kind] then
    return plan:finish("deferred", LATER[hunk.kind])
  end
  if not plan.into and (not plan.was or plan.was.stood) then
    -- What the developer had made by hand stays.
    return plan:finish("already")
  end
  if hunk.kind == "rename" then
    return plan:rename()
  end
  local relative = M.path_now(place, file, hunk.old_file)
  local path, reason = plan:resolve(relative)
  if not path then
    return plan:finish("refused", reason)
  end
  if hunk.kind == "mode" then
    return plan:change_mode(path)
  end
  local recorded = not plan.into and (plan.was.sides or whole_record.told_by(hunk))
  local sides_kept = recorded and whole_record.sides(place, recorded, path)
  if sides_kept then
    return plan:replace(relative, path, attributes, sides_kept, true)
  end
  fileop.fetch_sides(place.suggestion, hunk, place.git_root, function(sides, sides_reason)
    if not sides then
      return plan:finish("refused", sides_reason)
    end
    plan:replace(relative, path, attributes, sides)
  end)
end

return M
