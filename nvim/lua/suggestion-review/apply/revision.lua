--- What is applied in the worktree, when a new revision gives hunks other ids and places.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local replacements = require("suggestion-review.apply.replacement")

local M = {}

--- What is applied, as it is filed from now on. Nothing where its place in the new base cannot be told: then the text
--- is the developer's own.
---@param replacement SuggestionReview.Replacement
---@param hunk SuggestionReview.Hunk|nil the same content in the new revision
---@param base string the new revision's base commit
---@return SuggestionReview.Replacement|nil
local function carried_over(replacement, hunk, base)
  local copy = vim.deepcopy(replacement)
  local place_known = replacement.base == nil or replacement.base == base
  if not hunk then
    copy.key = ("stale %s %d"):format(replacement.digest or "", replacement.at)
    return place_known and copy or nil
  end
  copy.key, copy.base, copy.order = hunk.id, base, hunk.new_start
  if replacement.decided ~= "modified" then
    copy.at = diff.zero_based(hunk.old_start, hunk.old_count)
    return copy
  end
  -- The modification's place is the one thing asked of the server here, and only for the very same text.
  local given = hunk.decision and hunk.decision.modified_diff
  local own = given and replacements.of_modification(hunk, given)
  if own and vim.deep_equal(own.lines, replacement.lines) then
    copy.at, copy.count = own.at, own.count
    return copy
  end
  return place_known and copy or nil
end

--- After a new revision: what is applied under ids that now name something else is filed under its new id, by digest.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[]
function M.rekey(place, hunks)
  if not place.applied then
    return
  end
  local by_file = {}
  for _, hunk in ipairs(hunks) do
    local file = digest.path(hunk)
    by_file[file] = by_file[file] or {}
    table.insert(by_file[file], hunk)
  end
  local id, base = place.suggestion.id, place.suggestion.base_commit
  for file, list in pairs(by_file) do
    local put, out, taken = {}, {}, {}
    local by_id = {}
    for _, hunk in ipairs(list) do
      by_id[hunk.id] = hunk
    end
    local moved = {}
    for _, replacement in ipairs(place.applied:of_file(id, file)) do
      local same_base = replacement.base == nil or replacement.base == base
      local hunk = by_id[replacement.key]
      if hunk and hunk.digest == replacement.digest and same_base then
        taken[hunk.id] = true
      elseif not (same_base and replacement.key:match("^stale ")) then
        moved[#moved + 1] = replacement
      end
    end
    for _, replacement in ipairs(moved) do
      out[#out + 1] = replacement.key
      local match
      for _, hunk in ipairs(list) do
        if not taken[hunk.id] and hunk.digest == replacement.digest then
          match = hunk
          taken[hunk.id] = true
          break
        end
      end
      put[#put + 1] = carried_over(replacement, match, base)
    end
    place.applied:record(id, file, put, out)
  end
end

return M
