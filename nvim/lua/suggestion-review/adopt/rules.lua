--- What may happen to a file and to HEAD when a commit is adopted. Pure: decides on what was looked at.

local M = {}

---@class SuggestionReview.PathState
---@field path string
---@field old? SuggestionReview.TreeEntry in HEAD
---@field new? SuggestionReview.TreeEntry in the commit
---@field index? SuggestionReview.TreeEntry
---@field worktree? SuggestionReview.TreeEntry
---@field obstacle? string why the worktree's state cannot be told (a directory in the way, a link in the path)
---@field contains? boolean the worktree's text has all that the commit changes, and more
---@field unwatched? "skipped"|"assumed" git is told not to look at the file: not checked out (sparse), or unchanged
---@field unsaved? boolean a buffer has edits that are not written
---@field elsewhere? string another Vim has such edits

---@param a? SuggestionReview.TreeEntry
---@param b? SuggestionReview.TreeEntry
local function same(a, b)
  if not a or not b then
    return a == b
  end
  return a.oid == b.oid and a.mode == b.mode
end

---@param a? SuggestionReview.TreeEntry
---@param b? SuggestionReview.TreeEntry
local function same_content(a, b)
  return a ~= nil and b ~= nil and a.oid == b.oid and (a.mode == "120000") == (b.mode == "120000")
end

--- What is to happen to one path. `keep` leaves the file, `write` and `delete` bring it from HEAD's state to the
--- commit's; whatever is neither is the developer's own and refuses the whole.
---@param state SuggestionReview.PathState
---@return SuggestionReview.AdoptFile
function M.decide_file(state)
  local function file(action, reason, by_hand)
    return {
      path = state.path,
      action = action,
      reason = reason,
      by_hand = by_hand,
      new = state.new,
      seen = state.worktree,
      untracked = not state.index and not state.old,
      unwatched = state.unwatched,
    }
  end
  if state.index and not same(state.index, state.old) and not same(state.index, state.new) then
    return file("refuse", "has other content staged", "stash")
  elseif not state.index and state.old and state.new then
    return file("refuse", "is staged for removal", "stash")
  end
  if (state.new and state.new.mode == "160000") or (state.old and state.old.mode == "160000") then
    return file("index", "submodule: its folder is left as it is, see git submodule update")
  end
  if state.unwatched == "skipped" and not state.worktree then
    return file("index", "not checked out")
  end
  if state.obstacle then
    return file("refuse", state.obstacle)
  end
  if same(state.worktree, state.new) then
    return file("keep", "already as in the commit")
  end
  if same(state.worktree, state.old) then
    if state.unsaved then
      return file("refuse", "has unsaved edits in a buffer: write or reload it first")
    elseif state.elsewhere then
      return file("refuse", state.elsewhere)
    end
    if not state.new then
      return file("delete", "as in HEAD; the commit deletes it")
    end
    return file("write", state.old and "as in HEAD; the commit changes it" or "the commit adds it")
  end
  if state.new and state.worktree and state.worktree.mode ~= state.new.mode then
    if same_content(state.worktree, state.new) and state.old and state.worktree.mode == state.old.mode then
      return file("chmod", "its content is the commit's, its mode is not")
    end
  end
  if state.contains then
    return file("keep", "has the commit's changes and further edits, which stay uncommitted")
  end
  if not state.worktree then
    return file("refuse", "is gone from the worktree", "stash")
  end
  if not state.new then
    return file("refuse", "was changed here; the commit deletes it", "stash")
  end
  if not state.old then
    return file("refuse", "exists here with other content; the commit adds it", "stash")
  end
  return file("refuse", "was changed here in a way that does not have the commit's changes", "stash")
end

---@class SuggestionReview.HeadState
---@field head? string
---@field commit string
---@field busy? string what is going on in the repository

--- Whether HEAD can move at all.
---@param state SuggestionReview.HeadState
---@return { reason: string, commands: string[] }? refusal
function M.decide_head(state)
  if state.busy then
    return { reason = state.busy .. " is going on in this repository; finish it first", commands = {} }
  end
  if not state.head then
    return {
      reason = "This repository has no commit yet",
      commands = { "git reset --soft " .. state.commit:sub(1, 12) },
    }
  end
  return nil
end

return M
