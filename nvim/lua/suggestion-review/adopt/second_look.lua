--- What must not be overlooked in a commit before it is adopted: links and where they lead, submodules, and files
--- that do something by themselves. Reads the commit itself, not what the server said of it. Inside a task.
local git = require("suggestion-review.worktree.git")
local links = require("suggestion-review.worktree.links")
local marks = require("suggestion-review.apply.marks")
local runs = require("suggestion-review.text.runs")
local verify = require("suggestion-review.adopt.verify")

local M = {}

---@param changes SuggestionReview.TreeChange[]
---@param opts SuggestionReview.GitOpts
---@return table<string, string> targets of new or changed links, by path
local function targets_of(changes, opts)
  local oids = {}
  for _, change in ipairs(changes) do
    if change.new and change.new.mode == "120000" then
      oids[#oids + 1] = change.new.oid
    end
  end
  local blobs, targets = git.blobs(oids, opts), {}
  for _, change in ipairs(changes) do
    if change.new and change.new.mode == "120000" then
      targets[change.path] = blobs[change.new.oid]
    end
  end
  return targets
end

--- A line for each thing to look at.
---@param root string the checkout
---@param parent string
---@param commit string
---@param opts SuggestionReview.GitOpts
---@return string[]
function M.of(root, parent, commit, opts)
  local from = parent ~= "" and parent or verify.EMPTY_TREE
  local changes = git.changes(from, commit, opts)
  local targets, planned, lines = targets_of(changes, opts), {}, {}
  for path, target in pairs(targets) do
    planned[links.key(path)] = target
  end
  for _, change in ipairs(changes) do
    local target, new, old = targets[change.path], change.new, change.old
    if target then
      local mark = marks.of_link(root, change.path, target, planned)
      lines[#lines + 1] = mark and ("! %s: %s"):format(change.path, mark.text)
        or ("  %s -> %s"):format(change.path, target)
    end
    if new and new.mode == "160000" then
      local before = old and old.mode == "160000" and old.oid .. " to " or ""
      lines[#lines + 1] = ("  %s: submodule, %s%s"):format(change.path, before, new.oid)
    end
    local query = { path = change.path, mode = new and new.mode, old_mode = old and old.mode }
    for _, reason in ipairs(new and runs.reasons(query) or {}) do
      lines[#lines + 1] = ("! %s: %s"):format(change.path, reason)
    end
  end
  return lines
end

return M
