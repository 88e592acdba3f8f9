--- What a reviewer must not overlook in a hunk: links that lead out of the worktree or into a repository's own data,
--- and files that do something by themselves. Marks inform; those of links also ask before the hunk is accepted.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local links = require("suggestion-review.worktree.links")
local runs = require("suggestion-review.text.runs")
local sides = require("suggestion-review.text.sides")

local M = {}

---@class (exact) SuggestionReview.Mark
---@field text string
---@field asks boolean accepting the hunk asks first

local LEADS = {
  outside = "it leads out of the worktree",
  repository = "it leads into a repository's own data",
}

--- Says of a link where it leads, if that is nowhere harmless.
---@param root string|nil
---@param path string raw bytes
---@param target string|nil raw bytes
---@param planned? table<string, string>
---@return SuggestionReview.Mark|nil
function M.of_link(root, path, target, planned)
  if not target then
    return { text = "it is a link whose target is not known", asks = true }
  end
  local why = LEADS[links.leads(root, path, target, planned)]
  return why and { text = ("%s: %s -> %s"):format(why, path, target), asks = true } or nil
end

--- Links that the suggestion holds, by `links.key` of their paths.
---@param hunks SuggestionReview.Hunk[]
---@return table<string, string>
function M.planned_links(hunks)
  local planned = {}
  for _, hunk in ipairs(hunks) do
    for _, side in ipairs(hunk.after or {}) do
      if sides.is_link(side) then
        planned[links.key(sides.path(side))] = sides.target(side)
      end
    end
  end
  return planned
end

--- Whether a text may hold a modeline: one that is not looked for by a pattern where plain words are missing.
---@param text string
---@return boolean
local function may_set_options(text)
  local vi = text:find("vi", 1, true) or text:find("Vi", 1, true)
  return vi ~= nil and text:find("[Vv]im?[<>=%d]*:", vi) ~= nil or text:find("ex:", 1, true) ~= nil
end

--- Text that a hunk brings, and whether it is the whole file.
---@param hunk SuggestionReview.Hunk
---@return string|nil added
---@return boolean whole
local function added_by(hunk)
  if not diff.has_text(hunk) or hunk.diff_omitted then
    return nil, false
  elseif not (hunk.kind == "create" or may_set_options(hunk.diff)) then
    return nil, false
  end
  local added = {}
  for line in hunk.diff:gmatch("[^\n]+") do
    if line:sub(1, 1) == "+" then
      added[#added + 1] = line:sub(2)
    end
  end
  return table.concat(added, "\n"), hunk.kind == "create"
end

---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.FileSide[] what the hunk leaves, as sides
local function files_after(place, hunk)
  if hunk.after then
    return hunk.after
  elseif hunk.kind == "delete" then
    return {}
  end
  local path = digest.path(hunk)
  local file = { file = path, mode = hunk.new_mode or "100644", oid = "" }
  if sides.is_link(file) and hunk.kind == "rename" and place.root then
    -- A link goes on leading where it led from its old place.
    local at = place.root .. "/" .. (hunk.old_file or path)
    file.target = vim.uv.fs_readlink(at) or vim.uv.fs_readlink(place.root .. "/" .. path)
  end
  return { file }
end

--- Whether a hunk is lines of a file that stays what it was, and that does nothing by itself.
---@param hunk SuggestionReview.Hunk
---@return boolean
local function is_of_a_quiet_file(hunk)
  local mode = hunk.new_mode
  return hunk.kind == "text"
    and not hunk.after
    and (mode == nil or mode == "100644")
    and runs.is_quiet(digest.path(hunk))
end

--- What is to be said of a hunk before it is accepted.
---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.Mark[]
function M.of(place, hunk)
  local marks, planned = {}, nil
  local added, whole = added_by(hunk)
  if not added and is_of_a_quiet_file(hunk) then
    return marks
  end
  for _, side in ipairs(files_after(place, hunk)) do
    local path = sides.path(side)
    if sides.is_link(side) then
      planned = planned or M.planned_links(place.suggestion.hunks or {})
      marks[#marks + 1] = M.of_link(place.root, path, sides.target(side), planned)
    end
    local query = { path = path, mode = side.mode, old_mode = hunk.old_mode, added = added, whole = whole }
    for _, reason in ipairs(runs.reasons(query)) do
      local where = path ~= digest.path(hunk) and path .. ": " or ""
      marks[#marks + 1] = { text = where .. reason, asks = false }
    end
  end
  return marks
end

--- Whether accepting the hunk asks first even where it is the only one.
---@param marks SuggestionReview.Mark[]
---@return boolean
function M.asks(marks)
  return vim.iter(marks):any(function(mark)
    return mark.asks
  end)
end

return M
