--- Adopting into a git checkout: HEAD and the index move to the commit, and files follow that are as HEAD had them.
local files = require("suggestion-review.adopt.files")
local git = require("suggestion-review.worktree.git")
local refuse = require("suggestion-review.adopt.refusal").raise
local rules = require("suggestion-review.adopt.rules")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@param git_dir string
---@return string?
local function busy_with(git_dir, cwd)
  local signs = {
    { "rebase-merge", "A rebase" },
    { "rebase-apply", "A rebase or am" },
    { "MERGE_HEAD", "A merge" },
    { "CHERRY_PICK_HEAD", "A cherry-pick" },
    { "REVERT_HEAD", "A revert" },
    { "BISECT_LOG", "A bisection" },
    { "sequencer", "A sequence of picks or reverts" },
    { "index.lock", "Another git command" },
    { "HEAD.lock", "Another git command" },
  }
  for _, sign in ipairs(signs) do
    if vim.uv.fs_lstat(git_dir .. "/" .. sign[1]) then
      return sign[2]
    end
  end
  if git.run({ "ls-files", "-u", "-z" }, { cwd = cwd }).stdout ~= "" then
    return "A conflict (unmerged paths)"
  end
end

--- Inside a task: what is to happen to every file that the commit changes.
---@param plan SuggestionReview.AdoptPlan
---@return SuggestionReview.AdoptFile[]
local function decide_files(plan)
  local decided = {}
  local changes = git.changes(plan.head --[[@as string]], plan.commit, { cwd = plan.root })
  for i, state in ipairs(files.look(changes, plan.root)) do
    local file = rules.decide_file(state)
    if file.action == "refuse" and state.worktree and not state.obstacle then
      state.contains = files.contains(state, plan.root)
      file = rules.decide_file(state)
    end
    decided[i] = file
  end
  return decided
end

--- Inside a task: looks at HEAD and the files and plans what happens to them.
---@param plan SuggestionReview.AdoptPlan
function M.plan(plan)
  local opts = { cwd = plan.root }
  local any = { cwd = plan.root, ok = { [0] = true, [1] = true, [128] = true } }
  local head = git.run({ "rev-parse", "--quiet", "--verify", "HEAD^{commit}" }, any)
  plan.head = head.code == 0 and vim.trim(head.stdout) or nil
  local branch = git.run({ "symbolic-ref", "--quiet", "--short", "HEAD" }, any)
  plan.branch = branch.code == 0 and vim.trim(branch.stdout) or nil
  local function is_ancestor(a, b)
    return git.run({ "merge-base", "--is-ancestor", a, b }, any).code == 0
  end
  local has_commit = plan.head ~= nil and is_ancestor(plan.commit, plan.head)
  plan.refusal = rules.decide_head({
    head = plan.head,
    parent = plan.parent,
    commit = plan.commit,
    has_commit = has_commit,
    behind = plan.head ~= nil and is_ancestor(plan.head, plan.parent),
    busy = busy_with(git.line({ "rev-parse", "--absolute-git-dir" }, opts), plan.root),
  })
  if has_commit then
    plan.done = true
  end
  if plan.refusal or plan.done then
    return
  end

  plan.files = decide_files(plan)
  local refused = {}
  for _, file in ipairs(plan.files) do
    if file.action == "refuse" then
      table.insert(refused, ("%s %s"):format(file.path, file.reason))
    end
  end
  local short = plan.commit:sub(1, 12)
  if #refused > 0 then
    plan.refusal = {
      reason = "The worktree has something of yours that this must not touch:\n  "
        .. table.concat(refused, "\n  "),
      commands = {
        "git stash",
        "git merge --ff-only " .. short,
        "git stash pop   # shows what is different on both sides",
      },
    }
    return
  end
  plan.steps = {
    ("git read-tree -i -m HEAD %s"):format(short),
    ("git update-ref HEAD %s %s"):format(short, plan.head:sub(1, 12)),
  }
  for _, file in ipairs(plan.files) do
    if file.action == "write" then
      table.insert(plan.steps, "write " .. file.path)
    elseif file.action == "delete" then
      table.insert(plan.steps, "delete " .. file.path)
    elseif file.action == "chmod" then
      table.insert(plan.steps, ("chmod %s %s"):format(file.new.mode:sub(4), file.path))
    end
  end
end

--- Inside a task: brings files from HEAD's state to the commit's.
---@param root string
---@param decided SuggestionReview.AdoptFile[]
---@return string[] remarks on what could not be done
local function write_files(root, decided)
  local remarks, writes = {}, {}
  for _, file in ipairs(decided) do
    local absolute = worktree.resolve(root, file.path)
    if file.action == "delete" and absolute then
      local ok, message = vim.uv.fs_unlink(absolute)
      if ok then
        worktree.remove_empty_parents(root, absolute)
      else
        remarks[#remarks + 1] = ("%s could not be deleted: %s"):format(file.path, message)
      end
    elseif file.action == "chmod" and absolute then
      local stat = assert(vim.uv.fs_stat(absolute))
      local bits = file.new.mode == "100755" and bit.bor(stat.mode, bit.band(bit.rshift(stat.mode, 2), 73))
        or bit.band(stat.mode, bit.bnot(73))
      vim.uv.fs_chmod(absolute, bit.band(bits, 4095))
    end
  end
  -- After all that goes has gone: a file may take a directory's place, or the reverse.
  for _, file in ipairs(decided) do
    if file.action == "write" then
      local absolute, reason = worktree.resolve(root, file.path)
      local stat = absolute and vim.uv.fs_lstat(absolute)
      if stat and stat.type == "directory" and not vim.uv.fs_rmdir(absolute) then
        -- `checkout-index -f` would remove it with all that is in it.
        reason, absolute = "a directory is in its place", nil
      end
      if absolute then
        writes[#writes + 1] = file.path .. "\0"
      else
        remarks[#remarks + 1] = ("%s could not be written: %s"):format(file.path, reason)
      end
    end
  end
  if #writes > 0 then
    local done, message = pcall(
      git.run,
      { "checkout-index", "-f", "-z", "--stdin" },
      { cwd = root, stdin = table.concat(writes) }
    )
    if not done then
      remarks[#remarks + 1] = "some files could not be written: " .. message.message
    end
  end
  return remarks
end

--- Inside a task: moves HEAD and the index, then the files.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
function M.run(plan)
  local root = plan.root
  local opts = { cwd = root }
  local head = git.line({ "rev-parse", "HEAD" }, opts)
  if head ~= plan.head then
    refuse("HEAD moved since the plan was made; make it again")
  end
  -- Everything the plan rests on is looked at once more; only what moved by itself into the wanted state may differ.
  local now = decide_files(plan)
  for _, file in ipairs(now) do
    if file.action == "refuse" then
      refuse(("%s changed since the plan was made: it %s"):format(file.path, file.reason))
    end
  end
  git.run({ "read-tree", "-i", "-m", plan.head, plan.commit }, opts)
  local moved, err = pcall(git.run, {
    "update-ref",
    "-m",
    ("suggestion-review: adopt %s"):format(plan.title),
    "HEAD",
    plan.commit,
    plan.head,
  }, opts) -- stylua: ignore
  if not moved then
    git.run({ "read-tree", "-i", "-m", plan.commit, plan.head }, opts)
    error(err, 0)
  end
  local remarks = write_files(root, now)
  git.run({ "update-index", "-q", "--refresh" }, { cwd = root, ok = { [0] = true, [1] = true } })
  return remarks
end

return M
