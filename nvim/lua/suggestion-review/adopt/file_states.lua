--- What follows for one file from the developer's decisions: mirrors `composeEntry` of the server, on this side's word.
--- Each function answers one question with one table; nothing here runs git.
local compose = require("suggestion-review.adopt.compose")
local digest = require("suggestion-review.text.digest")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

M.TAKEN = { accepted = true, modified = true }
M.LINES = require("suggestion-review.text.diff").LINE_KINDS
--- Taken by object id, since there are no lines to compare.
local WHOLE = { "binary", "symlink", "submodule", "type" }
local TAKEN, LINES = M.TAKEN, M.LINES
local PLAIN_FILE = { ["100644"] = true, ["100755"] = true }

---@param hunk SuggestionReview.Hunk
---@return string? raw path before the change
local function old_path(hunk)
  if hunk.kind == "create" then
    return nil
  end
  if not hunk.old_file then
    return nil
  end
  if hunk.file_b64 and hunk.kind ~= "rename" then
    -- Same path on both sides: the raw bytes are the new side's.
    return digest.path(hunk)
  end
  return hunk.old_file
end

---@class SuggestionReview.Change all hunks of one file (or pair of files, for a rename)
---@field old? string
---@field new? string nil for a deletion
---@field own SuggestionReview.Own[]

--- Hunks gathered by the file they change.
---@param own SuggestionReview.Own[]
---@return SuggestionReview.Change[]
function M.group(own)
  local groups, by_key = {}, {}
  for _, item in ipairs(own) do
    local hunk = item.hunk
    local new = digest.path(hunk)
    local old = old_path(hunk)
    local key = (old or "") .. "\0" .. new
    local group = by_key[key]
    if not group then
      group = { old = old, new = hunk.kind ~= "delete" and new or nil, own = {} }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    table.insert(group.own, item)
  end
  return groups
end

---@class SuggestionReview.FileState
---@field path string
---@field mode string
---@field oid? string
---@field content? string

---@class SuggestionReview.FileOutcome what one file (or pair of files) comes to
---@field removed string[] paths of the base to take out
---@field files SuggestionReview.FileState[]
---@field reason? string why it cannot be told; then the rest is empty

---@class SuggestionReview.Looked what a file's outcome is computed from
---@field change SuggestionReview.Change
---@field taken SuggestionReview.Own[]
---@field base? SuggestionReview.TreeEntry in the base
---@field path string where the outcome is
---@field after table<string, SuggestionReview.TreeEntry> entries of the commit to verify
---@field read fun(oid: string): string
---@field commit? string the base

---@param reason string
---@return SuggestionReview.FileOutcome
local function cannot(reason)
  return { removed = {}, files = {}, reason = reason }
end

---@param looked SuggestionReview.Looked
---@param file? SuggestionReview.FileState
---@return SuggestionReview.FileOutcome
local function becomes(looked, file)
  return { removed = looked.base and { looked.change.old } or {}, files = { file } }
end

---@param items SuggestionReview.Own[]
---@param kind SuggestionReview.HunkKind
---@return SuggestionReview.Own?
local function of_kind(items, kind)
  for _, item in ipairs(items) do
    if item.hunk.kind == kind then
      return item
    end
  end
end

--- What does the file come to, when its mode is all that is taken besides?
---@param looked SuggestionReview.Looked
---@return { mode?: string, reason?: string }
local function mode_of(looked)
  local item = of_kind(looked.taken, "mode")
  if item then
    if digest.of(item.hunk) ~= item.hunk.digest then
      return { reason = "its mode is not what was accepted" }
    end
    return { mode = item.hunk.new_mode }
  end
  return { mode = looked.base and looked.base.mode or looked.taken[1].hunk.new_mode }
end

--- What does a change by object id come to?
---@param looked SuggestionReview.Looked
---@param item SuggestionReview.Own
---@return SuggestionReview.FileOutcome
local function by_id(looked, item)
  local hunk, base, there = item.hunk, looked.base, looked.after[looked.path]
  local found = digest.compute(
    hunk.kind,
    digest.path(hunk),
    digest.side(base and base.mode, base and base.oid),
    digest.side(there and hunk.new_mode, there and there.oid)
  )
  if not base or not there or found ~= hunk.digest then
    return cannot("its content is not the one that was accepted")
  end
  -- The digest holds the new mode; only a change of type takes it, a change of mode is a hunk of its own.
  local mode = hunk.kind == "type" and { mode = hunk.new_mode } or mode_of(looked)
  if mode.reason then
    return cannot(mode.reason)
  end
  return becomes(looked, { path = looked.path, mode = mode.mode, oid = there.oid })
end

--- What does a file come to that is created or deleted without lines to show: a binary file, a link, a submodule?
---@param looked SuggestionReview.Looked
---@param item SuggestionReview.Own
---@return SuggestionReview.FileOutcome
local function unseen(looked, item)
  local hunk, base = item.hunk, looked.base
  local there = hunk.kind == "create" and looked.after[looked.path] or nil
  local found = digest.compute(
    hunk.kind,
    digest.path(hunk),
    digest.side(base and base.mode, base and base.oid),
    digest.side(there and there.mode, there and there.oid)
  )
  if found ~= hunk.digest then
    return cannot("its content is not the one that was accepted")
  end
  return becomes(looked, there and { path = looked.path, mode = there.mode, oid = there.oid } or nil)
end

--- Is every line of the file taken out?
---@param looked SuggestionReview.Looked
---@param with_lines SuggestionReview.Own[]
---@return boolean
local function is_whole_deletion(looked, with_lines)
  if looked.change.new then
    return false
  end
  local count = 0
  for _, item in ipairs(looked.change.own) do
    count = count + (LINES[item.hunk.kind] and 1 or 0)
  end
  for _, item in ipairs(with_lines) do
    if item.state ~= "accepted" then
      return false
    end
  end
  return #with_lines == count
end

--- What does a file with lines come to, its name and mode included?
---@param looked SuggestionReview.Looked
---@return SuggestionReview.FileOutcome
local function by_lines(looked)
  local base = looked.base
  local with_lines = vim.tbl_filter(function(item)
    return LINES[item.hunk.kind]
  end, looked.taken)
  if is_whole_deletion(looked, with_lines) and base then
    local bytes, reason = compose.lines(looked.read(base.oid), with_lines, looked.commit)
    if reason then
      return cannot(reason)
    end
    return bytes == "" and becomes(looked, nil) or cannot("the deletion leaves lines that were not shown")
  end
  local mode = mode_of(looked)
  if mode.reason then
    return cannot(mode.reason)
  end
  local rename = of_kind(looked.taken, "rename")
  if rename and digest.of(rename.hunk) ~= rename.hunk.digest then
    return cannot("its name is not what was accepted")
  end
  if #with_lines == 0 then
    return becomes(looked, base and { path = looked.path, mode = mode.mode, oid = base.oid } or nil)
  end
  if not PLAIN_FILE[mode.mode] or (base and base.mode:sub(1, 3) ~= "100") then
    -- A link or a submodule that is shown as lines of text is not what it looks like.
    return cannot(("its lines were shown, but its mode is %s"):format(tostring(mode.mode)))
  end
  local bytes, reason = compose.lines(base and looked.read(base.oid) or "", with_lines, looked.commit)
  if not bytes then
    return cannot(reason --[[@as string]])
  end
  return becomes(looked, { path = looked.path, mode = mode.mode, content = bytes })
end

--- What does one file come to?
---@param change SuggestionReview.Change
---@param before table<string, SuggestionReview.TreeEntry> entries of the base
---@param after table<string, SuggestionReview.TreeEntry> entries of the commit to verify
---@param read fun(oid: string): string
---@param commit? string the base
---@return SuggestionReview.FileOutcome
function M.outcome(change, before, after, read, commit)
  local taken = vim.tbl_filter(function(item)
    return TAKEN[item.state]
  end, change.own)
  if #taken == 0 then
    return { removed = {}, files = {} }
  end
  local base = change.old and before[change.old] or nil
  if change.old and not base then
    return cannot("the base does not have this file")
  end
  local renamed = of_kind(taken, "rename") or not change.old
  local path = renamed and change.new or change.old or change.new --[[@as string]]
  if worktree.is_forbidden(path) then
    return cannot("its name could be taken for one of git's own files, or leads out of the checkout")
  end
  local looked = {
    change = change,
    taken = taken,
    base = base,
    path = path,
    after = after,
    read = read,
    commit = commit,
  }
  for _, kind in ipairs(WHOLE) do
    local item = of_kind(taken, kind)
    if item then
      return by_id(looked, item)
    end
  end
  for _, item in ipairs(taken) do
    local kind = item.hunk.kind
    if (kind == "create" or kind == "delete") and item.hunk.encoding == "binary" then
      return unseen(looked, item)
    end
  end
  return by_lines(looked)
end

--- What does a swap of a file and a directory come to? It is one decision about several paths: its digest is over all.
---@param item SuggestionReview.Own
---@param changes SuggestionReview.TreeChange[] from the base to the commit
---@return SuggestionReview.FileOutcome
function M.swap_outcome(item, changes)
  if not TAKEN[item.state] then
    return { removed = {}, files = {} }
  end
  local name = digest.path(item.hunk)
  local before, after, removed, files = {}, {}, {}, {}
  for _, change in ipairs(changes) do
    if change.path == name or vim.startswith(change.path, name .. "/") then
      if worktree.is_forbidden(change.path) then
        return cannot("its name could be taken for one of git's own files, or leads out of the checkout")
      end
      if change.old then
        before[#before + 1] = ("%s %s %s\n"):format(change.old.mode, change.old.oid, change.path)
        removed[#removed + 1] = change.path
      end
      if change.new then
        after[#after + 1] = ("%s %s %s\n"):format(change.new.mode, change.new.oid, change.path)
        files[#files + 1] = { path = change.path, mode = change.new.mode, oid = change.new.oid }
      end
    end
  end
  if digest.compute("swap", name, table.concat(before), table.concat(after)) ~= item.hunk.digest then
    return cannot("its content is not the one that was accepted")
  end
  return { removed = removed, files = files }
end

return M
