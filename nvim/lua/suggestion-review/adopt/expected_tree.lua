--- The tree that the finalized commit should have: base + own decisions, merged onto the commit's parent when that is
--- another. Made anew in the developer's repository; the commit under verification is only asked for objects by id.
local file_states = require("suggestion-review.adopt.file_states")
local git = require("suggestion-review.worktree.git")
local repository = require("suggestion-review.adopt.repository")
local task = require("suggestion-review.lib.task")

local M = {}

---@class SuggestionReview.ExpectedTree
---@field tree? string nil when it cannot be told
---@field reasons string[] what could not be recomputed, per file
---@field conflict? boolean base and decisions do not merge onto the parent

--- Entries and contents that the outcomes are computed from, each asked for at once.
---@param groups SuggestionReview.Change[]
---@param base string
---@param commit string
---@param opts SuggestionReview.GitOpts
---@return { before: table, after: table, read: fun(oid: string): string }
local function sources(groups, base, commit, opts)
  local old_paths, new_paths = {}, {}
  for _, group in ipairs(groups) do
    old_paths[#old_paths + 1] = group.old
    new_paths[#new_paths + 1] = group.new
    if group.old and group.new and group.old ~= group.new then
      new_paths[#new_paths + 1] = group.old
    end
  end
  local before = git.entries(base, old_paths, opts)
  local after = git.entries(commit, new_paths, opts)
  local wanted, seen = {}, {}
  for _, group in ipairs(groups) do
    local entry = group.old and before[group.old]
    for _, item in ipairs(group.own) do
      local lines = file_states.TAKEN[item.state] and file_states.LINES[item.hunk.kind]
      if entry and lines and not seen[entry.oid] and entry.mode ~= "160000" then
        seen[entry.oid] = true
        wanted[#wanted + 1] = entry.oid
      end
    end
  end
  local bases = git.blobs(wanted, opts)
  return {
    before = before,
    after = after,
    read = function(oid)
      return bases[oid]
    end,
  }
end

--- Stores the contents of files that were composed here.
---@param files SuggestionReview.FileState[] get their object ids
---@param directory string an empty one of our own
---@param opts SuggestionReview.GitOpts
local function write_blobs(files, directory, opts)
  local composed = vim.tbl_filter(function(file)
    return file.content ~= nil
  end, files)
  if #composed == 0 then
    return
  end
  local names = {}
  local breathe = task.breather()
  for number, file in ipairs(composed) do
    breathe()
    names[number] = ("%s/%d"):format(directory, number)
    local handle = assert(io.open(names[number], "wb"))
    handle:write(file.content)
    handle:close()
  end
  local args = { "hash-object", "-w", "-t", "blob", "--no-filters", "--stdin-paths" }
  local asked = vim.tbl_extend("force", opts, { stdin = table.concat(names, "\n") .. "\n" })
  local at = 0
  for oid in git.run(args, asked).stdout:gmatch("%x+") do
    at = at + 1
    composed[at].oid = oid
  end
end

--- The base with some paths taken out and some put in.
---@param base string
---@param removed string[]
---@param files SuggestionReview.FileState[]
---@param opts SuggestionReview.GitOpts
---@return string tree
local function write_tree(base, removed, files, opts)
  local directory = vim.fn.tempname()
  vim.fn.mkdir(directory, "p", "0o700")
  local index = vim.tbl_extend("force", opts, {
    env = vim.tbl_extend("force", opts.env or {}, { GIT_INDEX_FILE = directory .. "/index" }),
  })
  local ok, result = pcall(function()
    write_blobs(files, directory, opts)
    git.run({ "read-tree", base }, index)
    local records = {}
    for _, path in ipairs(removed) do
      records[#records + 1] = ("0 %s\t%s\0"):format(("0"):rep(40), path)
    end
    for _, file in ipairs(files) do
      records[#records + 1] = ("%s %s\t%s\0"):format(file.mode, file.oid, file.path)
    end
    if #records > 0 then
      local asked = vim.tbl_extend("force", index, { stdin = table.concat(records) })
      git.run({ "update-index", "-z", "--index-info" }, asked)
    end
    return git.line({ "write-tree" }, index)
  end)
  vim.fn.delete(directory, "rf")
  if not ok then
    error(result, 0)
  end
  return result
end

--- The server moves work onto a shared branch that went on by this merge: the same one, made here.
---@param tree string base and own decisions
---@param base string
---@param parent string
---@param opts SuggestionReview.GitOpts
---@return string? tree
local function onto(tree, base, parent, opts)
  local identity = {
    GIT_AUTHOR_NAME = "suggestion-review",
    GIT_AUTHOR_EMAIL = "suggestion-review@localhost",
    GIT_COMMITTER_NAME = "suggestion-review",
    GIT_COMMITTER_EMAIL = "suggestion-review@localhost",
    GIT_AUTHOR_DATE = "@0 +0000",
    GIT_COMMITTER_DATE = "@0 +0000",
  } -- stylua: ignore
  local env = vim.tbl_extend("force", opts.env or {}, identity)
  local work = git.line(
    { "commit-tree", "-p", base, "-m", "base and own decisions", tree },
    vim.tbl_extend("force", opts, { env = env })
  )
  local merged =
    git.run({ "merge-tree", "--write-tree", "--no-messages", parent, work }, repository.answers(opts, 1))
  return merged.code == 0 and merged.stdout:match("^%x+") or nil
end

--- Inside a task: which tree should the commit have?
---@param own SuggestionReview.Own[]
---@param base string commit, or the empty tree
---@param commit string
---@param parent string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.ExpectedTree
function M.ask(own, base, commit, parent, opts)
  local result = { reasons = {} }
  local groups = file_states.group(own)
  local from = sources(groups, base, commit, opts)
  local changes
  local removed, files = {}, {}
  local breathe = task.breather()
  for _, group in ipairs(groups) do
    breathe()
    local first = group.own[1]
    local outcome
    if first.hunk.kind == "swap" then
      changes = changes or git.changes(base, commit, opts)
      outcome = file_states.swap_outcome(first, changes)
    else
      outcome = file_states.outcome(group, from.before, from.after, from.read, base)
    end
    if outcome.reason then
      table.insert(result.reasons, ("%s: %s"):format(first.hunk.file, outcome.reason))
    end
    vim.list_extend(removed, outcome.removed)
    vim.list_extend(files, outcome.files)
  end
  result.tree = write_tree(base, removed, files, opts)
  if parent ~= base then
    result.tree = onto(result.tree, base, parent, opts)
    result.conflict = result.tree == nil or nil
  end
  return result
end

return M
