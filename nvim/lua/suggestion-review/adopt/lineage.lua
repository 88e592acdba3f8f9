--- Does the commit stand on nothing but commits of the developer's own? The tree under review is compared elsewhere; a
--- commit that was slipped in below it would come along with it, unseen.
local git = require("suggestion-review.worktree.git")
local own_refs = require("suggestion-review.adopt.own_refs")
local repository = require("suggestion-review.adopt.repository")

local M = {}

local SHOWN_COMMITS = 50
local SHOWN_BYTES = 400000
--- Of the developer's own; the first is what is checked out.
local TIPS_ASKED = 20

---@class SuggestionReview.Lineage
---@field ok boolean
---@field message string one sentence
---@field log string[] commits that are not the developer's, newest first
---@field diff string what they change
---@field commands string[] for a closer look; none brings anything in

---@param name string
---@param opts SuggestionReview.GitOpts
---@return string?
local function resolve(name, opts)
  local found = git.run(
    { "rev-parse", "--quiet", "--verify", "--end-of-options", name },
    repository.answers(opts, 1, 128)
  )
  return found.code == 0 and vim.trim(found.stdout) or nil
end

--- What the foreign commits are compared with: where they part from the developer's own, else what is checked out.
---@param commit string
---@param own SuggestionReview.OwnRefs
---@param opts SuggestionReview.GitOpts
---@return string?
local function parting(commit, own, opts)
  for index = 1, math.min(#own.tips, TIPS_ASKED) do
    local found = git.run({ "merge-base", own.tips[index], commit }, repository.answers(opts, 1, 128))
    if found.code == 0 then
      return vim.trim(found.stdout)
    end
  end
  return own.tips[1]
end

--- Commits that `commit` has and the developer does not.
---@param commit string
---@param own SuggestionReview.OwnRefs
---@param opts SuggestionReview.GitOpts
---@return string[]
local function foreign_log(commit, own, opts)
  local input = { commit }
  for _, tip in ipairs(own.tips) do
    input[#input + 1] = "^" .. tip
  end
  local asked = vim.tbl_extend("force", opts, { stdin = table.concat(input, "\n") .. "\n" })
  local format = "--format=%h  %an <%ae>  %s"
  local count = "--max-count=" .. SHOWN_COMMITS + 1
  local out = git.run({ "log", "--no-show-signature", "--no-color", format, count, "--stdin" }, asked).stdout
  local lines = vim.split(vim.trim(out), "\n", { plain = true })
  if #lines > SHOWN_COMMITS then
    lines[#lines] = "… and older ones"
  end
  return lines
end

---@param from string
---@param to string
---@param opts SuggestionReview.GitOpts
---@return string
local function difference(from, to, opts)
  local plain = { "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short" }
  local args = vim.list_extend({ "-c", "core.quotePath=true", "diff" }, plain)
  local text = git.run(vim.list_extend(args, { from, to }), opts).stdout
  if #text <= SHOWN_BYTES then
    return text
  end
  return text:sub(1, SHOWN_BYTES) .. ("\n… and %d bytes more\n"):format(#text - SHOWN_BYTES)
end

--- The refusal of a commit below which there is something foreign.
---@param what string sentence
---@param commit string
---@param own SuggestionReview.OwnRefs
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Lineage
local function refused(what, commit, own, opts)
  local from = parting(commit, own, opts)
  local result =
    { ok = false, message = what, log = foreign_log(commit, own, opts), diff = "", commands = {} }
  if from then
    result.diff = difference(from, commit, opts)
    result.commands[1] = ("git log -p %s..%s"):format(from:sub(1, 12), commit:sub(1, 12))
    result.commands[2] = ("git diff %s %s"):format(from:sub(1, 12), commit:sub(1, 12))
  end
  return result
end

--- Inside a task: are base and parent the developer's own?
---@param base string as the server claims it; all zeros for work on nothing
---@param parent? string of the finalized commit
---@param own SuggestionReview.OwnRefs as they were before anything was fetched
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Lineage
function M.ask(base, parent, own, opts)
  local on_nothing = base:find("^0+$") ~= nil
  local good = { ok = true, message = "It stands on your own commits", log = {}, diff = "", commands = {} }
  if not parent then
    if on_nothing then
      return good
    end
    good.ok, good.message = false, "The commit has no parent, although the work has a base"
    return good
  end
  if not own_refs.has(own, parent, opts) then
    local what = "The commit stands on commits that are not yours and that you have not reviewed"
    return refused(what, parent, own, opts)
  end
  if not on_nothing and parent ~= base and not resolve(base .. "^{commit}", opts) then
    good.ok, good.message = false, ("The base %s is not in this repository"):format(base:sub(1, 12))
    return good
  end
  if not on_nothing and not own_refs.has(own, base, opts) then
    local what = "What was reviewed is based on commits that are not yours and that you have not reviewed"
    return refused(what, base, own, opts)
  end
  return good
end

--- Inside a task: whether a commit and the developer's own have anything in common: history, or a file.
---@param commit string
---@param own SuggestionReview.OwnRefs
---@param opts SuggestionReview.GitOpts
---@return boolean
function M.is_related(commit, own, opts)
  for index = 1, math.min(#own.tips, TIPS_ASKED) do
    local found = git.run({ "merge-base", own.tips[index], commit }, repository.answers(opts, 1, 128))
    if found.code == 0 then
      return true
    end
  end
  if #own.tips == 0 then
    return false
  end
  local function blobs(tree)
    return git.run({ "ls-tree", "-r", "--full-tree", tree }, opts).stdout:gmatch(" blob (%x+)\t")
  end
  local mine = {}
  for oid in blobs(own.tips[1]) do
    mine[oid] = true
  end
  for oid in blobs(commit) do
    if mine[oid] then
      return true
    end
  end
  return false
end

return M
