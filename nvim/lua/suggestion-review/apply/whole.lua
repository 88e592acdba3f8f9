--- Plans hunks that are no lines of a file but the file: its name, its mode, or all of its content at once.
local attributes_of = require("suggestion-review.worktree.attributes")
local digest = require("suggestion-review.text.digest")
local marks = require("suggestion-review.apply.marks")
local fileop = require("suggestion-review.worktree.whole_file")
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

--- Works out what one hunk comes to; `run` carries it out, without one nothing is to be done.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param attributes SuggestionReview.Attributes|nil of the file
---@param callback fun(run: (fun(): boolean, string|nil)|nil)
function M.plan(place, item, attributes, callback)
  local hunk = item.hunk
  local file = digest.path(hunk)
  local into = item.want.state == "accepted" or item.want.state == "modified"
  local was = place.applied:get(place.suggestion.id, file, hunk.id)
  ---@param stood boolean|nil the developer had made the same change
  local function note(stood)
    if not into then
      return place.applied:record(place.suggestion.id, file, {}, { hunk.id })
    end
    return place.applied:record(place.suggestion.id, file, {
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
        old_file = hunk.old_file ~= file and hunk.old_file or nil,
        stood = stood,
      },
    }, {})
  end
  ---@type { relative: string, absolute: string }[] files that the change touches
  local touched = {}
  ---@return string|nil absolute
  ---@return string|nil reason
  local function resolve(relative)
    local absolute, why = worktree.resolve(place.root, relative)
    if absolute then
      touched[#touched + 1] = { relative = relative, absolute = absolute }
    end
    return absolute, why
  end
  local function finish(status, reason, run)
    item.status, item.reason = status, reason
    if status == "already" then
      callback(function()
        local stood = was == nil or was.stood
        note(stood or nil)
        return true
      end)
    elseif status == "clean" then
      callback(function()
        for _, one in ipairs(touched) do
          -- What came first in the same batch may be a link on the way to this.
          local moved = worktree.moved(place.root, one.relative, one.absolute)
          if moved then
            return false, moved
          end
        end
        local take_back = note()
        local called, ok, why = pcall(run)
        if not called or not ok then
          take_back()
          return false, tostring(called and why or ok)
        end
        return ok, why
      end)
    else
      callback(nil)
    end
  end
  if LATER[hunk.kind] then
    return finish("deferred", LATER[hunk.kind])
  end
  if not into and (not was or was.stood) then
    -- What the developer had made by hand stays.
    return finish("already")
  end
  if hunk.kind == "rename" then
    if digest.of(hunk) ~= hunk.digest then
      return finish("refused", "the renaming is not what its digest names")
    end
    local old, old_reason = resolve(hunk.old_file)
    local new, new_reason = resolve(file)
    if not old or not new then
      return finish("refused", old_reason or new_reason)
    end
    local from, to = into and old or new, into and new or old
    local status, reason = fileop.rename_state(from, to)
    return finish(status, reason, function()
      return fileop.rename(place.root, from, to)
    end)
  end
  local relative = M.path_now(place, file, hunk.old_file)
  local path, reason = resolve(relative)
  if not path then
    return finish("refused", reason)
  end
  if hunk.kind == "mode" then
    if digest.of(hunk) ~= hunk.digest then
      return finish("refused", "the mode is not what its digest names")
    end
    local from, to = hunk.old_mode, hunk.new_mode
    if not into then
      from, to = to, from
    end
    local status, mode_reason = fileop.mode_state(path, from --[[@as string]], to --[[@as string]])
    return finish(status, mode_reason, function()
      return fileop.change_mode(path, to --[[@as string]])
    end)
  end
  fileop.fetch_sides(place.suggestion, hunk, place.git_root, function(sides, sides_reason)
    if not sides then
      return finish("refused", sides_reason)
    end
    local from = in_worktree(sides.from, path, attributes)
    local to = in_worktree(sides.to, path, attributes)
    if not into then
      from, to = to, from
    end
    local status, whole_reason = fileop.whole_state(path, from, to)
    if status == "clean" and to.mode == "120000" then
      if vim.fs.basename(relative):lower() == ".gitmodules" then
        return finish("refused", "git takes no symbolic link of that name")
      end
      local planned = marks.planned_links(place.suggestion.hunks or {})
      local mark = marks.of_link(place.root, relative, to.bytes, planned)
      if mark then
        return finish("deferred", mark.text)
      end
    end
    return finish(status, whole_reason, function()
      return fileop.replace(place.root, path, to)
    end)
  end)
end

return M
