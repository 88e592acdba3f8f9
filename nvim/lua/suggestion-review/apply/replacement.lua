--- What a decision puts in place of which base lines, made only from text that fits the hunk's digest.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")

local M = {}

--- Text of hunks whose digest was found right, by the very fields it was computed from.
---@type table<SuggestionReview.Hunk, table>
local verified = setmetatable({}, { __mode = "k" })

---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.HunkText|nil
---@return string|nil reason
local function verified_text(hunk)
  local known = verified[hunk]
  local mode = hunk.kind == "delete" and hunk.old_mode or hunk.new_mode
  if
    known
    and known.diff == hunk.diff
    and known.digest == hunk.digest
    and known.kind == hunk.kind
    and known.file == digest.path(hunk)
    and known.mode == mode
  then
    return known.text
  end
  if digest.of(hunk) ~= hunk.digest then
    return nil, "what the server sent is not what its digest names; nothing was applied"
  end
  local text, reason = diff.text_of(hunk)
  if not text then
    return nil, reason
  end
  verified[hunk] = {
    diff = hunk.diff,
    digest = hunk.digest,
    kind = hunk.kind,
    file = digest.path(hunk),
    mode = mode,
    text = text,
  }
  return text
end

--- The replacement a decision stands for.
---@param want SuggestionReview.Want
---@param suggestion { base_commit: string, revision?: integer }
---@return SuggestionReview.Replacement|nil
---@return string|nil reason
---@return SuggestionReview.HunkText|nil
function M.of(want, suggestion)
  local hunk = want.hunk
  local text, reason = verified_text(hunk)
  if not text then
    return nil, reason
  end
  local replacement = {
    key = hunk.id,
    at = diff.zero_based(hunk.old_start, hunk.old_count),
    count = #text.old,
    lines = text.new,
    order = hunk.new_start,
    digest = hunk.digest,
    kind = hunk.kind,
    decided = want.state,
    whose = "hunk",
    base = suggestion.base_commit,
    revision = suggestion.revision,
    old_file = hunk.old_file ~= digest.path(hunk) and hunk.old_file or nil,
  }
  if want.state == "modified" then
    local own, parse_reason = diff.read_modification(hunk, want.modified_diff or "")
    if not own then
      return nil, "the modification is not a diff: " .. parse_reason
    end
    replacement.at, replacement.count, replacement.lines = own.at, own.count, own.lines
    replacement.whose = "modified"
  end
  return replacement, nil, text
end

return M
