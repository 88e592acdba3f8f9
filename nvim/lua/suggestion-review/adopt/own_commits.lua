--- What the developer's own commits and the finalized one come to: the commits replayed on it, or a merge of both. Made
--- as objects, without worktree, index, hooks or a branch; nothing refers to them before the plan is carried out.
local git = require("suggestion-review.worktree.git")
local repository = require("suggestion-review.adopt.repository")

local M = {}

---@class SuggestionReview.OwnCommit
---@field id string
---@field parents string[]
---@field line string for people

---@class SuggestionReview.Joined
---@field way "replay"|"merge"
---@field commit? string nil when it conflicts
---@field files string[] that conflict
---@field at? string the own commit that conflicts
---@field left_out string[] own commits of which nothing is left, one line each

--- Commits that `from` has and `without` has not, oldest first.
---@param without string
---@param from string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.OwnCommit[]
function M.between(without, from, opts)
  local format = "--format=%H%x00%P%x00%h  %s"
  local range = { "--reverse", "--topo-order", without .. ".." .. from, "--" }
  local out =
    git.run(vim.list_extend({ "log", "--no-show-signature", "--no-color", format }, range), opts).stdout
  local commits = {}
  for id, parents, line in out:gmatch("(%x+)%z([%x ]*)%z([^\n]*)\n") do
    commits[#commits + 1] = { id = id, parents = vim.split(parents, " ", { trimempty = true }), line = line }
  end
  return commits
end

---@param commits SuggestionReview.OwnCommit[]
---@return string[]
function M.lines(commits)
  return vim.tbl_map(function(commit)
    return commit.line
  end, commits)
end

--- A three-way merge of trees, as a tree; conflicts are named by file. The commits only carry the trees: git before
--- 2.40 takes no merge base by name.
---@param base string tree
---@param ours string tree
---@param theirs string tree
---@param opts SuggestionReview.GitOpts
---@return { tree?: string, files: string[] }
local function merge_trees(base, ours, theirs, opts)
  local identity = {
    GIT_AUTHOR_NAME = "suggestion-review",
    GIT_AUTHOR_EMAIL = "suggestion-review@localhost",
    GIT_COMMITTER_NAME = "suggestion-review",
    GIT_COMMITTER_EMAIL = "suggestion-review@localhost",
    GIT_AUTHOR_DATE = "@0 +0000",
    GIT_COMMITTER_DATE = "@0 +0000",
  } -- stylua: ignore
  local plain = vim.tbl_extend("force", opts, { env = vim.tbl_extend("force", opts.env or {}, identity) })
  local root = git.line({ "commit-tree", "-m", "base", base }, plain)
  local left = git.line({ "commit-tree", "-p", root, "-m", "ours", ours }, plain)
  local right = git.line({ "commit-tree", "-p", root, "-m", "theirs", theirs }, plain)
  return M.merge(left, right, opts)
end

--- A merge of two commits, as a tree.
---@param ours string
---@param theirs string
---@param opts SuggestionReview.GitOpts
---@return { tree?: string, files: string[] }
function M.merge(ours, theirs, opts)
  local merged = git.run(
    { "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs },
    repository.answers(opts, 1)
  )
  local fields = git.split_nul(merged.stdout)
  local tree = table.remove(fields, 1)
  if merged.code == 0 then
    return { tree = tree, files = {} }
  end
  local seen, files = {}, {}
  for _, file in ipairs(fields) do
    if file ~= "" and not seen[file] then
      seen[file] = true
      files[#files + 1] = file
    end
  end
  return { files = files }
end

--- The same commit with another tree and parent, by this committer and now. A signature is of the old content.
---@param raw string
---@param tree string
---@param parent string
---@param committer string as git stores it
---@return string
function M.rewritten(raw, tree, parent, committer)
  local stop = assert(raw:find("\n\n", 1, true))
  local lines, dropping = { "tree " .. tree, "parent " .. parent }, false
  for line in raw:sub(1, stop):gmatch("([^\n]*)\n") do
    local name = line:match("^(%S+) ")
    if name then
      dropping = name == "tree"
        or name == "parent"
        or name == "gpgsig"
        or name == "gpgsig-sha256"
        or name == "mergetag"
      if name == "committer" then
        line = "committer " .. committer
      end
    end
    if not dropping then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n") .. raw:sub(stop)
end

---@param commit string
---@param opts SuggestionReview.GitOpts
---@return string
local function tree_of(commit, opts)
  return git.line({ "rev-parse", "--verify", commit .. "^{tree}" }, opts)
end

--- Inside a task: own commits put on the finalized one, one after another.
---@param commits SuggestionReview.OwnCommit[] each with one parent, oldest first
---@param onto string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Joined
function M.replay(commits, onto, opts)
  local result = { way = "replay", files = {}, left_out = {} }
  local committer = git.line({ "var", "GIT_COMMITTER_IDENT" }, opts)
  local tip = onto
  for _, commit in ipairs(commits) do
    local below, over = tree_of(commit.parents[1], opts), tree_of(tip, opts)
    local merged = merge_trees(below, over, tree_of(commit.id, opts), opts)
    if not merged.tree then
      result.files, result.at = merged.files, commit.line
      return result
    end
    if merged.tree == over then
      table.insert(result.left_out, commit.line)
    else
      local raw = git.run({ "cat-file", "commit", commit.id }, opts).stdout
      local written = M.rewritten(raw, merged.tree, tip, committer)
      local asked = vim.tbl_extend("force", opts, { stdin = written })
      tip = git.line({ "hash-object", "-t", "commit", "-w", "--stdin" }, asked)
    end
  end
  result.commit = tip
  return result
end

--- Inside a task: a merge commit of both.
---@param head string
---@param commit string
---@param title string of the finalized commit
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Joined
function M.join(head, commit, title, opts)
  local merged = M.merge(head, commit, opts)
  local result = { way = "merge", files = merged.files, left_out = {} }
  if merged.tree then
    local message = ("Merge commit '%s'\n\n%s\n"):format(commit:sub(1, 12), title)
    local asked = vim.tbl_extend("force", opts, { stdin = message })
    result.commit = git.line({ "commit-tree", "-p", head, "-p", commit, "-F", "-", merged.tree }, asked)
  end
  return result
end

return M
