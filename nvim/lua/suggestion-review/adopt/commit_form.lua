--- Is the commit a plain one? Its bytes are read as they are: a header that a program other than this one understands
--- could make the same commit mean something else there. jj, for one, takes a commit's tree from `jj:trees`.
local git = require("suggestion-review.worktree.git")

local M = {}

--- What a finalized commit may have, and how often at most.
local HEADERS = { tree = 1, parent = 1, author = 1, committer = 1, ["change-id"] = 1 }

---@class SuggestionReview.CommitForm
---@field ok boolean
---@field reason? string
---@field tree? string
---@field parent? string nil for a first commit
---@field message string

--- Reads the bytes of a commit. Pure.
---@param raw string
---@return SuggestionReview.CommitForm
function M.read(raw)
  local stop = raw:find("\n\n", 1, true)
  local found = {}
  for line in ((stop and raw:sub(1, stop - 1) or raw) .. "\n"):gmatch("([^\n]*)\n") do
    local name, value = line:match("^(%S+) (.*)$")
    local limit = name and HEADERS[name]
    if not limit then
      local shown = (name or line):gsub("[^%g]", "?"):sub(1, 40)
      return {
        ok = false,
        message = "",
        reason = ("has a header that a finalized commit does not have: %s"):format(shown),
      }
    end
    if found[name] then
      local reason = name == "parent" and "does not have exactly one parent"
        or ("has two headers %s"):format(name)
      return { ok = false, message = "", reason = reason }
    end
    found[name] = value
  end
  if raw:find("\0", 1, true) then
    return { ok = false, message = "", reason = "holds a NUL, which hides what comes after it" }
  end
  if not found.tree or not found.author or not found.committer or not stop then
    return { ok = false, message = "", reason = "is not a whole commit" }
  end
  return { ok = true, tree = found.tree, parent = found.parent, message = raw:sub(stop + 2) }
end

--- Inside a task: is `commit` a plain one?
---@param commit string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.CommitForm
function M.ask(commit, opts)
  return M.read(git.run({ "cat-file", "commit", commit }, opts).stdout)
end

return M
