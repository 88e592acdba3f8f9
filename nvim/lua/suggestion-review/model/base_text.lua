--- Base texts: what a file was in the commit a revision is a change of. Taken from the developer's own repository
--- where it has that commit, else asked of the server; in both cases checked against the hunks before it is used.
local diff = require("suggestion-review.text.diff")
local program = require("suggestion-review.lib.program")
local store = require("suggestion-review.model.store")

local M = {}

---@class (exact) SuggestionReview.Base
---@field bytes string
---@field lines string[]
---@field exists boolean
---@field source "git"|"server"|"none"
---@field decoded table<string, any> lines as a buffer of some form holds them
---@field bare table<string[], string[]> bare form of line lists, see `diff.bare`
---@field fitting table<SuggestionReview.HunkText, integer> texts that were found in it, and where

---@type table<string, SuggestionReview.Base>
local cache = {}
---@type string[]
local recent = {}
local MAX_CACHED = 64

local function key_of(commit, path)
  return commit .. "\0" .. path
end

---@param commit string
---@param path string
---@param base SuggestionReview.Base
local function keep(commit, path, base)
  local key = key_of(commit, path)
  if not cache[key] then
    table.insert(recent, key)
    if #recent > MAX_CACHED then
      cache[table.remove(recent, 1)] = nil
    end
  end
  cache[key] = base
end

---@param bytes string
---@param exists boolean
---@param source "git"|"server"|"none"
---@return SuggestionReview.Base
local function make(bytes, exists, source)
  return {
    bytes = bytes,
    lines = diff.split_lines(bytes),
    exists = exists,
    source = source,
    decoded = {},
    bare = {},
    fitting = setmetatable({}, { __mode = "k" }),
  }
end

--- Whether `base` has the lines that `hunk` says it replaces, where it says so.
---@param base SuggestionReview.Base
---@param hunk SuggestionReview.Hunk
---@param text SuggestionReview.HunkText
function M.fits(base, hunk, text)
  if hunk.kind == "create" then
    return not base.exists
  elseif not base.exists then
    return false
  end
  local start = diff.zero_based(hunk.old_start, hunk.old_count) - #text.before
  if base.fitting[text] == start then
    return true
  end
  local at = start
  local function check(lines)
    for _, line in ipairs(lines) do
      at = at + 1
      if base.lines[at] ~= line then
        return false
      end
    end
    return true
  end
  local fits = at <= #base.lines and check(text.before) and check(text.old) and check(text.after)
  if fits then
    base.fitting[text] = start
  end
  return fits
end

--- The base of a file if it is known already.
---@param commit string
---@param path string
---@return SuggestionReview.Base|nil
function M.known(commit, path)
  return cache[key_of(commit, path)]
end

---@param root string|nil
---@param commit string
---@param path string
---@param callback fun(base: SuggestionReview.Base|nil)
local function from_git(root, commit, path, callback)
  if not root or not commit:match("^%x+$") then
    return callback(nil)
  end
  program.start({ "git", "-C", root, "cat-file", "blob", commit .. ":" .. path }, {
    env = { GIT_OPTIONAL_LOCKS = "0", GIT_NO_LAZY_FETCH = "1" },
  }, function(result)
    vim.schedule(function()
      callback(result.code == 0 and make(result.stdout, true, "git") or nil)
    end)
  end)
end

--- Gets a base of a commit that may be an earlier revision's: from the developer's own repository or not at all.
---@param root string|nil
---@param commit string
---@param path string
---@param callback fun(base: SuggestionReview.Base|nil)
function M.from_repository(root, commit, path, callback)
  local known = M.known(commit, path)
  if known then
    return callback(known)
  end
  from_git(root, commit, path, function(base)
    if base then
      keep(commit, path, base)
    end
    callback(base)
  end)
end

--- Gets the base of the file that `hunk` changes.
---@param suggestion SuggestionReview.Suggestion
---@param hunk SuggestionReview.Hunk
---@param root string|nil
---@param callback fun(base: SuggestionReview.Base|nil, reason: string|nil)
function M.get(suggestion, hunk, root, callback)
  local path = hunk.old_file
  if not path or hunk.kind == "create" then
    return callback(make("", false, "none"))
  end
  local commit = suggestion.base_commit
  local known = M.known(commit, path)
  if known then
    return callback(known)
  end
  from_git(root, commit, path, function(base)
    if base then
      keep(commit, path, base)
      return callback(base)
    end
    store.content(suggestion.id, hunk.file, "base", function(err, content)
      if err or not content then
        return callback(nil, err and err.message or "the base of this file is not known")
      end
      base = make(content.bytes, content.exists, "server")
      keep(commit, path, base)
      callback(base)
    end)
  end)
end

--- Puts a base in by hand; for tests and benches.
---@param commit string
---@param path string
---@param bytes string|nil
function M.put(commit, path, bytes)
  keep(commit, path, make(bytes or "", bytes ~= nil, "git"))
end

function M.reset()
  cache, recent = {}, {}
end

return M
