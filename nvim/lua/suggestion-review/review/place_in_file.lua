--- Where a line of the review is in the developer's file as it is now: past the hunks that were accepted and past the
--- developer's own edits.
local base_text = require("suggestion-review.model.base_text")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local line_map = require("suggestion-review.text.line_map")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@class (exact) SuggestionReview.ReviewLine
---@field old? integer line of the base, 1-based
---@field nth? integer added line of the hunk, 1-based

--- The file of a hunk, under the name it has in the worktree.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@return string|nil path nil where there is none
function M.path(session, hunk)
  local root = session.place.root
  local path = root and worktree.resolve(root, digest.path(hunk))
  if path and not vim.uv.fs_stat(path) and hunk.old_file then
    path = worktree.resolve(root --[[@as string]], hunk.old_file)
  end
  return path and vim.uv.fs_stat(path) and path or nil
end

--- The text as the developer has it: the buffer with its unsaved edits, else the file.
---@param path string
---@return string[]
local function lines_of(path)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local name = vim.api.nvim_buf_is_loaded(buf) and vim.api.nvim_buf_get_name(buf) or ""
    if name == path or name ~= "" and vim.uv.fs_realpath(name) == path then
      return vim.api.nvim_buf_get_lines(buf, 0, -1, false)
    end
  end
  local file = io.open(path, "rb")
  local bytes = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return diff.split_lines(bytes)
end

--- Whether the added lines of a hunk are in the file, as far as is known.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
local function is_in(session, hunk)
  local state = session:state_of(hunk)
  return session.place.in_place or state == "accepted" or state == "modified"
end

--- Calls back with a function from lines of the review to lines of the file, or nothing where its base is not known.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk any of the file
---@param path string
---@param callback fun(line_of: fun(hunk: SuggestionReview.Hunk, at: SuggestionReview.ReviewLine): integer)
function M.of(session, hunk, path, callback)
  local function answer(base)
    local map = line_map.between(base, lines_of(path))
    callback(function(one, at)
      if at.old then
        return map.line(at.old)
      end
      local start = map.before(diff.zero_based(one.old_start, one.old_count))
      return math.max(1, start + (is_in(session, one) and at.nth or 1))
    end)
  end
  if hunk.kind == "create" then
    return answer({})
  end
  base_text.get(session:suggestion(), hunk, session.place.git_root, function(base)
    -- Without the base, the file as it is stands for it: right where nothing was changed above.
    answer(base and base.lines or lines_of(path))
  end)
end

return M
