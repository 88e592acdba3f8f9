--- What is applied in the worktree, when a new revision gives hunks other ids and places, and when a hunk is split.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local exchange = require("suggestion-review.text.exchange")
local hunk_id = require("suggestion-review.text.hunk_id")
local replacements = require("suggestion-review.apply.replacement")

local M = {}

--- What is applied, as it is filed from now on. The developer's own version of a hunk that is no more is the
--- developer's text and nothing else: it is not filed, so that nothing takes its place unasked.
---@param replacement SuggestionReview.Replacement
---@param hunk SuggestionReview.Hunk|nil the same content in the new revision
---@param suggestion SuggestionReview.Suggestion the new revision
---@return SuggestionReview.Replacement|nil
local function carried_over(replacement, hunk, suggestion)
  local copy = vim.deepcopy(replacement)
  local base = suggestion.base_commit
  local place_known = replacement.base == nil or replacement.base == base
  if not hunk then
    copy.key = ("stale %s %d"):format(replacement.digest or "", replacement.at)
    return not exchange.is_own(replacement) and copy or nil
  end
  copy.key, copy.base, copy.order, copy.revision = hunk.id, base, hunk.new_start, suggestion.revision
  if not place_known then
    -- Where the developer's lines are in the new base cannot be told.
    copy.before = nil
  end
  if replacement.decided ~= "modified" then
    copy.at = diff.zero_based(hunk.old_start, hunk.old_count)
    return copy
  end
  -- The modification's place is the one thing asked of the server here, and only for the very same text.
  local given = hunk.decision and hunk.decision.modified_diff
  local own = given and diff.read_modification(hunk, given)
  if own and vim.deep_equal(own.lines, replacement.lines) then
    copy.at, copy.count = own.at, own.count
    return copy
  end
  return place_known and copy or nil
end

--- What is applied of a hunk, as what is applied of its parts; nil where that is not the parts' text.
---@param replacement SuggestionReview.Replacement
---@param parts SuggestionReview.Hunk[]
---@param suggestion SuggestionReview.Suggestion
---@return SuggestionReview.Replacement[]|nil
local function split_up(replacement, parts, suggestion)
  if #parts == 0 or replacement.before or replacement.decided ~= "accepted" then
    return nil
  end
  local put, lines, count = {}, {}, 0
  for i, part in ipairs(parts) do
    local one = replacements.of({ hunk = part, state = "accepted" }, suggestion)
    if not one then
      return nil
    end
    put[i] = one
    vim.list_extend(lines, one.lines)
    count = count + one.count
  end
  return count == replacement.count and vim.deep_equal(lines, replacement.lines) and put or nil
end

--- What is applied of the developer's own version, as what is applied of the hunks that propose that very text by now:
--- the agent built on it. Nil where they do not.
---@param replacement SuggestionReview.Replacement
---@param list SuggestionReview.Hunk[] of the file
---@param taken table<string, true>
---@param suggestion SuggestionReview.Suggestion
---@return SuggestionReview.Replacement[]|nil
local function built_on(replacement, list, taken, suggestion)
  local base = suggestion.base_commit
  if replacement.decided ~= "modified" or (replacement.base or base) ~= base then
    return nil
  end
  local parts = {}
  for _, hunk in ipairs(list) do
    local one = not taken[hunk.id]
      and hunk.state == "accepted"
      -- What was made of a deletion is a change of the file by now. A version is never that there is no file.
      and diff.has_text(hunk)
      and hunk.kind ~= "delete"
      and replacements.of({ hunk = hunk, state = "accepted" }, suggestion)
    if one and one.at >= replacement.at and one.at + one.count <= replacement.at + replacement.count then
      parts[#parts + 1] = one
    end
  end
  table.sort(parts, function(a, b)
    return a.at < b.at
  end)
  -- Between the parts stand lines of the base, as many on both sides.
  local line, at = 0, replacement.at
  for _, part in ipairs(parts) do
    line = line + part.at - at
    if not vim.deep_equal(vim.list_slice(replacement.lines, line + 1, line + #part.lines), part.lines) then
      return nil
    end
    line, at = line + #part.lines, part.at + part.count
  end
  if #parts == 0 or line + replacement.at + replacement.count - at ~= #replacement.lines then
    return nil
  elseif replacement.before then
    if #parts > 1 then
      return nil
    end
    -- A copy: what a decision stands for is kept for the next time.
    parts[1] = vim.tbl_extend("force", parts[1], { before = replacement.before })
  end
  return parts
end

--- How what is applied in one file is filed from now on.
---@param place SuggestionReview.Place
---@param file string
---@param list SuggestionReview.Hunk[] of the file
---@return SuggestionReview.Replacement[] put
---@return string[] out
local function refile(place, file, list)
  local suggestion = place.suggestion
  local base, revision = suggestion.base_commit, suggestion.revision
  local put, out, taken, moved = {}, {}, {}, {}
  local by_id = {}
  for _, hunk in ipairs(list) do
    by_id[hunk.id] = hunk
  end
  for _, replacement in ipairs(place.applied:of_file(suggestion.id, file)) do
    local same_base = replacement.base == nil or replacement.base == base
    local hunk = by_id[replacement.key]
    if hunk and hunk.digest == replacement.digest and same_base then
      taken[hunk.id] = true
    elseif not hunk and replacement.revision == revision and not exchange.is_stale(replacement) then
      -- The same revision, cut otherwise: a hunk that was split, or parts that were joined.
      local parts = vim.tbl_filter(function(part)
        return hunk_id.is_part(part.id, replacement.key)
      end, list)
      local filed = split_up(replacement, parts, suggestion)
      if filed then
        out[#out + 1] = replacement.key
        vim.list_extend(put, filed)
      end
    elseif not exchange.is_stale(replacement) then
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
    local parts = not match and built_on(replacement, list, taken, suggestion)
    for _, part in ipairs(parts or {}) do
      taken[part.key] = true
      put[#put + 1] = part
    end
    put[#put + 1] = not parts and carried_over(replacement, match, suggestion) or nil
  end
  return put, out
end

--- After a new revision, a split or a join: what is applied under ids that now name something else is filed under its
--- new id, by digest; what no hunk proposes any more is filed as text of an earlier revision.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[] all of the suggestion's
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
  local id = place.suggestion.id
  for _, file in ipairs(place.applied:files(id)) do
    local put, out = refile(place, file, by_file[file] or {})
    place.applied:record(id, file, put, out)
  end
end

return M
