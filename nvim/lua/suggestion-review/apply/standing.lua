--- Whether what the record says is applied still stands in the files. Changes nothing.
local apply = require("suggestion-review.apply")
local base_of = require("suggestion-review.model.base_text")
local digest = require("suggestion-review.text.digest")
local stale = require("suggestion-review.apply.stale")
local text = require("suggestion-review.apply.text")
local whole = require("suggestion-review.apply.whole")

local M = {}

--- How what is applied stands, by file (raw bytes) and key; what is not named is simply in.
---@alias SuggestionReview.Standing table<string, table<string, SuggestionReview.Presence>>

local AS_TAKEN_OUT = { clean = "in", already = "gone", conflict = "edited" }

--- Hunks that are no lines: what taking them out would come to tells how they stand.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[]
---@param found table<string, SuggestionReview.Presence>
---@param done fun()
local function look_at_whole(place, hunks, found, done)
  local wants = {}
  for _, hunk in ipairs(hunks) do
    if whole.is_whole(hunk) and apply.is_applied(place, hunk) then
      wants[#wants + 1] = { hunk = hunk, state = "pending" }
    end
  end
  if #wants == 0 then
    return done()
  end
  apply.plan(place, wants, function(_, items)
    for _, item in ipairs(items) do
      found[item.hunk.id] = AS_TAKEN_OUT[item.status]
    end
    done()
  end)
end

---@param place SuggestionReview.Place
---@param file string
---@param hunks SuggestionReview.Hunk[] of the file
---@param done fun(found: table<string, SuggestionReview.Presence>)
local function look_at(place, file, hunks, done)
  local made = false
  local old_file
  for _, replacement in ipairs(place.applied:of_file(place.suggestion.id, file)) do
    made = made or replacement.kind == "create"
    old_file = old_file or replacement.old_file
  end
  for _, hunk in ipairs(hunks) do
    made = made or hunk.kind == "create"
    old_file = old_file or hunk.old_file
  end
  local hunk = { file = file, kind = made and "create" or "text", old_file = old_file or file }
  base_of.get(place.suggestion, hunk --[[@as SuggestionReview.Hunk]], place.git_root, function(base)
    local relative = whole.path_now(place, file, not made and old_file or nil, nil)
    local found = base and text.presence(place, file, base, relative) or {}
    local recorded = vim.list_slice(hunks)
    for _, one in ipairs(stale.list(place)) do
      if one.file == file then
        recorded[#recorded + 1] = stale.hunk_of(place, one)
      end
    end
    look_at_whole(place, recorded, found, function()
      done(found)
    end)
  end)
end

--- Looks at all files with something applied, or at one.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[] of the suggestion
---@param only string[]|nil files, raw bytes
---@param callback fun(standing: SuggestionReview.Standing)
function M.look(place, hunks, only, callback)
  local standing = {}
  if place.in_place or not place.root or not place.applied then
    return callback(standing)
  end
  place.applied:refresh()
  local files = place.applied:files(place.suggestion.id)
  if only then
    files = vim.tbl_filter(function(file)
      return vim.list_contains(only, file)
    end, files)
  end
  if #files == 0 then
    return callback(standing)
  end
  local by_file = {}
  for _, hunk in ipairs(hunks) do
    local file = digest.path(hunk)
    by_file[file] = by_file[file] or {}
    table.insert(by_file[file], hunk)
  end
  local at = 0
  local function next_file()
    at = at + 1
    local file = files[at]
    if not file then
      return callback(standing)
    end
    look_at(place, file, by_file[file] or {}, function(found)
      standing[file] = found
      next_file()
    end)
  end
  next_file()
end

return M
