--- Adopting into a git checkout: HEAD and the index move to the commit, or to what own commits made meanwhile and it
--- come to, and files follow that are as HEAD had them.
local files = require("suggestion-review.adopt.files")
local git = require("suggestion-review.worktree.git")
local move = require("suggestion-review.adopt.move")
local own_commits = require("suggestion-review.adopt.own_commits")
local refuse = require("suggestion-review.adopt.refusal").raise
local repository = require("suggestion-review.adopt.repository")
local rules = require("suggestion-review.adopt.rules")
local config = require("suggestion-review.config")

local M = {}

--- What is going on in the repository that a moving HEAD would disturb.
---@param opts SuggestionReview.GitOpts
---@return string?
local function busy_with(opts)
  local git_dir = git.line({ "rev-parse", "--absolute-git-dir" }, opts)
  local signs = {
    { "rebase-merge", "A rebase" },
    { "rebase-apply", "A rebase or am" },
    { "MERGE_HEAD", "A merge" },
    { "CHERRY_PICK_HEAD", "A cherry-pick" },
    { "REVERT_HEAD", "A revert" },
    { "BISECT_LOG", "A bisection" },
    { "sequencer", "A sequence of picks or reverts" },
  }
  for _, sign in ipairs(signs) do
    if vim.uv.fs_lstat(git_dir .. "/" .. sign[1]) then
      return sign[2]
    end
  end
  local is_locked = git.past_locks(function()
    local locked = vim.uv.fs_lstat(git_dir .. "/index.lock") or vim.uv.fs_lstat(git_dir .. "/HEAD.lock")
    return not locked, locked ~= nil
  end)
  if is_locked then
    return "Another git command"
  end
  if git.run({ "ls-files", "-u", "-z" }, opts).stdout ~= "" then
    return "A conflict (unmerged paths)"
  end
end

--- Inside a task: what is to happen to every file that differs between HEAD and where it goes.
---@param plan SuggestionReview.AdoptPlan
---@return SuggestionReview.AdoptFile[]
local function decide_files(plan)
  local decided = {}
  local changes = git.changes(plan.head --[[@as string]], plan.target --[[@as string]], plan.opts)
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

--- Files that the developer announced with `git add -N`: git stashes nothing as long as there is one.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
local function announced(plan)
  local plain = { "diff", "--no-ext-diff", "--ignore-submodules", "--name-only", "-z", "--diff-filter=A" }
  return git.split_nul(git.run(plain, plan.opts).stdout)
end

--- Commands that set work in the way aside and bring it back, around others. A new file is staged first: git stashes
--- it then, and merges it when it comes back, where an untracked one would stop it. A file that git was told not to
--- look at is looked at from then on, or git would not stash it.
---@param plan SuggestionReview.AdoptPlan
---@param new_files string[] that stand in the way of files of the same name
---@param commands string[]
---@param unwatched? table<"skipped"|"assumed", string[]>
---@return string[]
local function with_stash(plan, new_files, commands, unwatched)
  local changed = git.run({ "status", "--porcelain", "--untracked-files=no" }, plan.opts).stdout ~= ""
  local all = {}
  for kind, option in vim.spairs({ assumed = "--no-assume-unchanged", skipped = "--no-skip-worktree" }) do
    local paths = unwatched and unwatched[kind] or {}
    if #paths > 0 then
      local quoted = table.concat(vim.tbl_map(repository.quote, paths), " ")
      all[#all + 1] = ("git update-index %s -- %s"):format(option, quoted)
    end
  end
  if not changed and #new_files == 0 and #all == 0 then
    return commands
  end
  local staged = vim.list_extend(vim.list_slice(new_files), announced(plan))
  if #staged > 0 then
    all[#all + 1] = "git add -- " .. table.concat(vim.tbl_map(repository.quote, staged), " ")
  end
  vim.list_extend(all, { "git stash push --quiet" })
  vim.list_extend(all, commands)
  table.insert(all, "git stash pop   # may stop for you to resolve; the stash stays until you drop it")
  return all
end

--- Where HEAD goes, when the developer has commits that the finalized one does not have.
---@param plan SuggestionReview.AdoptPlan
---@param own SuggestionReview.OwnCommit[]
---@return SuggestionReview.Joined
local function join_own(plan, own)
  local wanted = plan.way or config.get().adopt_own_commits
  local function merge(why)
    plan.why_way = why
    return own_commits.join(plan.head --[[@as string]], plan.commit, plan.title, plan.opts)
  end
  if wanted == "merge" then
    return merge()
  end
  for _, commit in ipairs(own) do
    if #commit.parents ~= 1 then
      return merge("there is a merge among them")
    end
  end
  if not plan.way then
    local pushed =
      git.run({ "for-each-ref", "--count=1", "--contains=" .. own[1].id, "refs/remotes" }, plan.opts)
    if pushed.stdout ~= "" then
      return merge("they are on a remote already")
    end
  end
  local replayed = own_commits.replay(own, plan.commit, plan.opts)
  if replayed.commit or plan.way then
    return replayed
  end
  local merged = merge(("replaying “%s” conflicts"):format(replayed.at))
  return merged.commit and merged or replayed
end

--- Files of the developer's that git does not know and that have the name of one that is to come.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
local function untracked_in_way(plan)
  local found = {}
  for _, change in
    ipairs(git.changes(plan.head --[[@as string]], plan.commit, plan.opts))
  do
    local known = git.run({ "--literal-pathspecs", "ls-files", "-z", "--", change.path }, plan.opts).stdout
      ~= ""
    local stat = vim.uv.fs_lstat(plan.root .. "/" .. change.path)
    if change.new and not change.old and not known and stat and stat.type ~= "directory" then
      found[#found + 1] = change.path
    end
  end
  return found
end

--- Inside a task: where HEAD goes.
---@param plan SuggestionReview.AdoptPlan
---@return { reason: string, commands: string[] }? refusal
local function choose_target(plan)
  local head = plan.head --[[@as string]]
  local own = own_commits.between(plan.commit, head, plan.opts)
  for _, commit in ipairs(own_commits.between(head, plan.commit, plan.opts)) do
    if commit.id ~= plan.commit then
      table.insert(plan.brought, commit.line)
    end
  end
  plan.own = own_commits.lines(own)
  if #own == 0 then
    plan.target, plan.way = plan.commit, nil
    return nil
  end
  local joined = join_own(plan, own)
  plan.way, plan.target = joined.way, joined.commit
  plan.own = vim.tbl_map(function(line)
    return vim.list_contains(joined.left_out, line) and line .. "   (left out: it is all in the commit)"
      or line
  end, plan.own)
  if joined.commit then
    return nil
  end
  local stops = ("git merge %s   # stops at %s: resolve, git add, git commit"):format(
    plan.commit:sub(1, 12),
    table.concat(vim.tbl_map(repository.quote, joined.files), " ")
  )
  return {
    reason = ("Your own commits and this one conflict in %s"):format(table.concat(joined.files, ", ")),
    commands = with_stash(plan, untracked_in_way(plan), { stops }),
  }
end

--- The refusal of files that hold something of the developer's.
---@param plan SuggestionReview.AdoptPlan
---@return { reason: string, commands: string[] }?
local function refused_files(plan)
  local refused, new_files, by_hand = {}, {}, true
  local unwatched = { assumed = {}, skipped = {} }
  for _, file in ipairs(plan.files) do
    if file.action == "refuse" then
      table.insert(refused, ("%s %s"):format(file.path, file.reason))
      by_hand = by_hand and file.by_hand == "stash"
      if file.unwatched then
        table.insert(unwatched[file.unwatched], file.path)
      end
    end
  end
  if #refused == 0 then
    return nil
  end
  for _, file in ipairs(plan.files) do
    if file.seen and file.untracked then
      new_files[#new_files + 1] = file.path
    end
  end
  local to = plan.target:sub(1, 12)
  -- Replayed commits are not on top of HEAD; `--keep` moves it and refuses to lose anything.
  local step = plan.way == "replay" and "git reset --keep " .. to or "git merge --ff-only " .. to
  return {
    reason = "The worktree has something of yours that this must not touch:\n  "
      .. table.concat(refused, "\n  "),
    commands = by_hand and with_stash(plan, new_files, { step }, unwatched) or {},
  }
end

--- Commands that do what the plan does.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
local function steps_of(plan)
  local to = plan.target:sub(1, 12)
  local from = plan.head:sub(1, 12)
  local steps = {
    ("git read-tree -i -m HEAD %s"):format(to),
    ("git update-ref HEAD %s %s"):format(to, from),
  }
  local deleted, written = {}, {}
  for _, file in ipairs(plan.files) do
    if file.action == "delete" then
      table.insert(deleted, repository.quote(file.path))
    elseif file.action == "write" then
      table.insert(written, repository.quote(file.path))
    elseif file.action == "chmod" then
      local mode = file.new.mode == "100755" and "+x" or "-x"
      table.insert(steps, ("chmod %s -- %s"):format(mode, repository.quote(file.path)))
    end
  end
  if #deleted > 0 then
    table.insert(steps, "rm -- " .. table.concat(deleted, " "))
  end
  if #written > 0 then
    table.insert(steps, "git checkout-index -f -- " .. table.concat(written, " "))
  end
  return steps
end

--- Inside a task: looks at HEAD and the files and plans what happens to them.
---@param plan SuggestionReview.AdoptPlan
function M.plan(plan)
  local any = repository.answers(plan.opts, 1, 128)
  local head = git.run({ "rev-parse", "--quiet", "--verify", "HEAD^{commit}" }, any)
  plan.head = head.code == 0 and vim.trim(head.stdout) or nil
  -- Not --short: where a tag has the same name, that says "heads/main".
  local branch = git.run({ "symbolic-ref", "--quiet", "HEAD" }, any)
  plan.branch = branch.code == 0 and vim.trim(branch.stdout):gsub("^refs/heads/", "") or nil
  local has_commit = plan.head ~= nil
    and git.run({ "merge-base", "--is-ancestor", plan.commit, plan.head }, any).code == 0
  if has_commit then
    plan.done = true
    return
  end
  plan.refusal = rules.decide_head({ head = plan.head, commit = plan.commit, busy = busy_with(plan.opts) })
  plan.refusal = plan.refusal or choose_target(plan)
  if plan.refusal then
    return
  end
  plan.files = decide_files(plan)
  plan.refusal = refused_files(plan)
  if not plan.refusal then
    plan.steps = steps_of(plan)
  end
end

--- Inside a task: moves HEAD and the index, and the files.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
function M.run(plan)
  local head = git.line({ "rev-parse", "HEAD" }, plan.opts)
  local branch = git.run({ "symbolic-ref", "--quiet", "HEAD" }, repository.answers(plan.opts, 1, 128))
  local now_on = branch.code == 0 and vim.trim(branch.stdout):gsub("^refs/heads/", "") or nil
  if head ~= plan.head or now_on ~= plan.branch then
    refuse("HEAD moved since the plan was made; make it again")
  end
  local busy = busy_with(plan.opts)
  if busy then
    refuse(busy .. " is going on in this repository since the plan was made; finish it first")
  end
  -- Everything the plan rests on is looked at once more; only what moved by itself into the wanted state may differ.
  local now = decide_files(plan)
  for _, file in ipairs(now) do
    if file.action == "refuse" then
      refuse(("%s changed since the plan was made: it %s"):format(file.path, file.reason))
    end
  end
  local from, target =
    plan.head, --[[@as string]]
    plan.target --[[@as string]]
  move.run({ root = plan.root, from = from, target = target, files = now, title = plan.title }, plan.opts)
  return {}
end

return M
