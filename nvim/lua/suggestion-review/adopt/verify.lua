--- Whether a finalized commit may come into the developer's checkout. Everything that comes from the server is a claim:
--- the hub, the ledger and the tokens can be the agent's. Four questions, a module each, in this order:
---
---   form      is it a plain commit, that every program reads alike?            commit_form
---   lineage   does it stand on nothing but the developer's own commits?        lineage, own_refs
---   decisions what did this developer decide, by what is kept here?            own_decisions
---   tree      is its tree base + those decisions, and nothing else?            expected_tree, file_states
---
--- The last compares two tree ids; there is no room for a path that was not looked at.
local commit_form = require("suggestion-review.adopt.commit_form")
local expected_tree = require("suggestion-review.adopt.expected_tree")
local file_states = require("suggestion-review.adopt.file_states")
local git = require("suggestion-review.worktree.git")
local lineage = require("suggestion-review.adopt.lineage")
local own_decisions = require("suggestion-review.adopt.own_decisions")
local own_refs = require("suggestion-review.adopt.own_refs")
local repository = require("suggestion-review.adopt.repository")

local M = {}

M.EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
M.resolve = own_decisions.resolve

---@class SuggestionReview.Verdict
---@field ok boolean
---@field message string one sentence
---@field reasons string[] what could not be recomputed, per file
---@field differing string[] paths on which the commit is not what was decided here
---@field foreign SuggestionReview.Hunk[] hunks the server calls accepted that were not accepted here
---@field diff string for people: from what was decided to what the commit holds, or what foreign commits change
---@field tree? string the expected tree
---@field log? string[] commits below it that are not the developer's
---@field commands? string[] for a closer look; none brings anything in

---@param message string
---@return SuggestionReview.Verdict
local function no(message)
  return { ok = false, message = message, reasons = {}, differing = {}, foreign = {}, diff = "" }
end

--- Which hunks does the server call accepted that were not accepted here?
---@param own SuggestionReview.Own[]
---@return SuggestionReview.Hunk[]
local function accepted_elsewhere(own)
  local found = {}
  for _, item in ipairs(own) do
    if file_states.TAKEN[item.hunk.state] and not file_states.TAKEN[item.state] then
      found[#found + 1] = item.hunk
    end
  end
  return found
end

--- In what does the commit's tree differ from the expected one?
---@param expected string
---@param actual string
---@param opts SuggestionReview.GitOpts
---@return { paths: string[], diff: string, message: string }
local function difference(expected, actual, opts)
  local paths = vim.tbl_map(function(change)
    return change.path
  end, git.changes(expected, actual, opts))
  local plain = { "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", expected, actual }
  local diff = git.run(vim.list_extend({ "-c", "core.quotePath=true", "diff" }, plain), opts).stdout
  local message = ("The commit differs from what was decided here in %d file%s"):format(
    #paths,
    #paths == 1 and "" or "s"
  )
  if #paths == 0 then
    message =
      "The commit's tree is written differently from what was decided here, in a way that no difference shows"
  end
  return { paths = paths, diff = diff, message = message }
end

--- Inside a task: verifies `commit`, which must be in the repository at `opts.cwd` with its parent and the base.
---@param suggestion SuggestionReview.Suggestion with the hunks of its final revision
---@param by_hunk table<string, SuggestionReview.Record>
---@param commit string
---@param opts SuggestionReview.GitOpts
---@param own_commits? SuggestionReview.OwnRefs as they were before anything was fetched; default: as they are now
---@return SuggestionReview.Verdict
function M.verify(suggestion, by_hunk, commit, opts, own_commits)
  own_commits = own_commits or own_refs.look(suggestion, false, opts)
  local lender = repository.borrows_from(opts)
  if lender then
    return no(("This repository borrows objects from %s, which another user can change"):format(lender))
  end
  local form = commit_form.ask(commit, opts)
  if not form.ok then
    return no("The commit " .. form.reason)
  end
  local stands = lineage.ask(suggestion.base_commit, form.parent, own_commits, opts)
  if not stands.ok then
    local verdict = no(stands.message)
    verdict.log, verdict.diff, verdict.commands = stands.log, stands.diff, stands.commands
    return verdict
  end
  -- Work on the very first commit has no base.
  local base = suggestion.base_commit:find("^0+$") and M.EMPTY_TREE or suggestion.base_commit
  local own = own_decisions.resolve(suggestion.hunks, by_hunk, suggestion.base_commit)
  local expected = expected_tree.ask(own, base, commit, form.parent or base, opts)
  local verdict = no("")
  verdict.foreign, verdict.reasons, verdict.tree = accepted_elsewhere(own), expected.reasons, expected.tree
  if expected.conflict then
    verdict.message = "Base and own decisions do not merge onto the commit's parent"
  elseif expected.tree == form.tree then
    verdict.ok = true
    verdict.message = "The commit is the base with exactly what was decided here"
  else
    local found = difference(expected.tree, form.tree, opts)
    verdict.message, verdict.differing, verdict.diff = found.message, found.paths, found.diff
    verdict.commands = { ("git diff %s %s"):format(expected.tree:sub(1, 12), commit:sub(1, 12)) }
  end
  return verdict
end

return M
