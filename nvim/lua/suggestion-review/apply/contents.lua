--- What a hunk holds beyond what its message says: text that was left out for its size, and both sides of a hunk
--- without lines where the server did not tell them. Asked for on demand, taken only where it is what the digest
--- names.
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local sides = require("suggestion-review.text.sides")
local store = require("suggestion-review.model.store")
local fileop = require("suggestion-review.worktree.whole_file")

local M = {}

--- Fields by digest: the store gets its hunks anew with every answer of the server.
---@type table<string, table>
local found = {}

--- Why a hunk cannot be seen whole from its message.
---@param hunk SuggestionReview.Hunk
---@return string|nil
function M.missing(hunk)
  local known = found[hunk.digest]
  if known and (hunk.diff_omitted or not hunk.after) then
    for name, value in pairs(known) do
      hunk[name] = value
    end
    hunk.diff_omitted = nil
  end
  if hunk.diff_omitted then
    return "too large to be shown at once"
  elseif sides.has(hunk) and not (hunk.before and hunk.after) then
    return "what stands before and after was not told"
  end
end

---@param hunk SuggestionReview.Hunk
---@param base string
---@param proposed string
---@return table|nil fields
local function text_fields(hunk, base, proposed)
  local function cut(bytes, start, count)
    local from = diff.zero_based(start, count)
    return vim.list_slice(diff.split_lines(bytes), from + 1, from + count)
  end
  local old = cut(base, hunk.old_start, hunk.old_count)
  local new = cut(proposed, hunk.new_start, hunk.new_count)
  local text = diff.format(
    diff.zero_based(hunk.old_start, hunk.old_count),
    diff.zero_based(hunk.new_start, hunk.new_count),
    {},
    old,
    new,
    {}
  )
  local is_utf8 = diff.is_utf8(text)
  local fields = {
    diff = is_utf8 and text or diff.bytes_to_latin1(text),
    encoding = is_utf8 and "utf-8" or "latin1",
    context_before = 0,
    context_after = 0,
  }
  local whole = vim.tbl_extend("force", hunk, fields)
  whole.diff_omitted = nil
  return digest.of(whole) == hunk.digest and fields or nil
end

---@param hunk SuggestionReview.Hunk
---@param content { from: SuggestionReview.Whole, to: SuggestionReview.Whole }
---@return table|nil fields
local function side_fields(hunk, content)
  local function list(whole, file, length)
    if not whole.mode then
      return {}
    end
    local link = whole.mode == "120000"
    return {
      {
        file = file,
        mode = whole.mode,
        oid = digest.blob_id(whole.bytes, length),
        size = #whole.bytes,
        target_b64 = link and vim.base64.encode(whole.bytes) or nil,
      },
    }
  end
  -- SHA-1, or SHA-256 in a repository of that kind.
  for _, length in ipairs({ 40, 64 }) do
    local fields = {
      before = list(content.from, hunk.old_file or hunk.file, length),
      after = list(content.to, hunk.file, length),
    }
    if digest.of(vim.tbl_extend("force", hunk, fields)) == hunk.digest then
      return fields
    end
  end
end

--- Gets what is missing of a hunk and puts it into the hunk's own fields.
---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@param callback fun(reason: string|nil) nil: the hunk is whole now
function M.load(place, hunk, callback)
  local function take(fields)
    if not fields then
      return callback("what the server sent is not what the hunk's digest names")
    end
    found[hunk.digest] = fields
    callback(M.missing(hunk))
  end
  if not M.missing(hunk) then
    return callback(nil)
  elseif sides.has(hunk) then
    if hunk.kind == "submodule" or hunk.kind == "swap" then
      return callback("the server does not tell what stands before and after")
    end
    return fileop.fetch_sides(place.suggestion, hunk, place.git_root, function(content, reason)
      if not content then
        return callback(reason or "its content could not be loaded")
      end
      take(side_fields(hunk, content))
    end)
  end
  store.content(place.suggestion.id, hunk.file, "base", function(base_error, base)
    if base_error or not base then
      return callback(base_error and base_error.message or "its base could not be loaded")
    end
    store.content(place.suggestion.id, hunk.file, "proposed", function(new_error, proposed)
      if new_error or not proposed then
        return callback(new_error and new_error.message or "its text could not be loaded")
      end
      take(text_fields(hunk, base.bytes, proposed.bytes))
    end)
  end)
end

return M
