--- What a decision puts in place of which base lines, made only from text that fits the hunk's digest.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")

local M = {}

--- Text of a hunk whose digest was found right, with the very fields it was computed from.
---@class (exact) SuggestionReview.VerifiedText
---@field diff string
---@field digest string
---@field kind SuggestionReview.HunkKind
---@field file string
---@field mode string|nil
---@field text SuggestionReview.HunkText
---@field accepted? SuggestionReview.Replacement what accepting came to the last time

---@type table<SuggestionReview.Hunk, SuggestionReview.VerifiedText>
local verified = setmetatable({}, { __mode = "k" })

---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.VerifiedText|nil
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
    return known
  end
  if digest.of(hunk) ~= hunk.digest then
    return nil, "what the server sent is not what its digest names; nothing was applied"
  end
  local text, reason = diff.text_of(hunk)
  if not text then
    return nil, reason
  end
  known = {
    diff = hunk.diff,
    digest = hunk.digest,
    kind = hunk.kind,
    file = digest.path(hunk),
    mode = mode,
    text = text,
  }
  verified[hunk] = known
  return known
end

--- Whether a replacement made before is the one that accepting the hunk comes to now; its text is known to be.
---@param one SuggestionReview.Replacement
---@param hunk SuggestionReview.Hunk
---@param suggestion { base_commit: string, revision?: integer }
---@param old_file string|nil
local function holds_still(one, hunk, suggestion, old_file)
  return one.key == hunk.id
    and one.at == diff.zero_based(hunk.old_start, hunk.old_count)
    and one.order == hunk.new_start
    and one.base == suggestion.base_commit
    and one.revision == suggestion.revision
    and one.old_file == old_file
end

--- The replacement a decision stands for. Not a copy: change nothing in it.
---@param want SuggestionReview.Want
---@param suggestion { base_commit: string, revision?: integer }
---@return SuggestionReview.Replacement|nil
---@return string|nil reason
---@return SuggestionReview.HunkText|nil
function M.of(want, suggestion)
  local hunk = want.hunk
  local known, reason = verified_text(hunk)
  if not known then
    return nil, reason
  end
  local text = known.text
  local old_file = hunk.old_file ~= known.file and hunk.old_file or nil
  local before = want.state == "accepted" and known.accepted
  if before and holds_still(before, hunk, suggestion, old_file) then
    return before, nil, text
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
    old_file = old_file,
  }
  if want.state == "modified" then
    local own, parse_reason = diff.read_modification(hunk, want.modified_diff or "")
    if not own then
      return nil, "the modification is not a diff: " .. parse_reason
    end
    replacement.at, replacement.count, replacement.lines = own.at, own.count, own.lines
    replacement.whose = "modified"
  elseif want.state == "accepted" then
    known.accepted = replacement
  end
  return replacement, nil, text
end

return M
