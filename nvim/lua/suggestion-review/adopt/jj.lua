--- Adopting into a jj checkout: the commit that was fetched and verified becomes known to jj under a remote bookmark,
--- and the working copy, with own commits below it, is rebased onto it or merged with it. Nothing is fetched again:
--- what was verified is what comes in.
local git = require("suggestion-review.worktree.git")
local refuse = require("suggestion-review.adopt.refusal").raise
local repository = require("suggestion-review.adopt.repository")
local config = require("suggestion-review.config")

local M = {}

--- No remote is needed for it; remotes of this name keep their bookmarks.
local REMOTE = "suggestions"

---@param plan SuggestionReview.AdoptPlan
---@param ... string
---@return string stdout
local function jj(plan, ...)
  return git.command({ "jj", "--no-pager", "--color=never", ... }, { cwd = plan.root }).stdout
end

--- One line for each commit of a revset.
---@param plan SuggestionReview.AdoptPlan
---@param revset string
---@param template string
---@param at? string operation
---@return string[]
local function list(plan, revset, template, at)
  local where = at and { "--at-operation", at } or {}
  local command = { "log", "--no-graph", "-r", revset, "-T", template .. ' ++ "\\n"' }
  local out = jj(plan, "--ignore-working-copy", unpack(vim.list_extend(where, command)))
  return vim.split(vim.trim(out), "\n", { trimempty = true })
end

--- Takes edits on disk into the working-copy commit, so that no operation that is gone back to lacks them.
---@param plan SuggestionReview.AdoptPlan
local function snapshot(plan)
  jj(plan, "status", "--quiet")
end

---@param plan SuggestionReview.AdoptPlan
---@return string ref in the git repository behind jj
local function ref_of(plan)
  return ("refs/remotes/%s/%s"):format(REMOTE, plan.suggestion.result.ref)
end

--- Whether jj knows the commit already.
---@param plan SuggestionReview.AdoptPlan
---@return boolean
local function is_known(plan)
  return #list(plan, ("present(%s)"):format(plan.commit), "commit_id") > 0
end

local LINE = 'commit_id.shortest(8) ++ "  " ++ description.first_line()'

--- Arguments of the commands that bring both together.
---@param plan SuggestionReview.AdoptPlan
---@return string[][]
local function commands_of(plan)
  if plan.way == "merge" then
    local below = "@-"
    return {
      { "new", "--no-edit", "--message", ("Merge %s"):format(plan.commit:sub(1, 12)), below, plan.commit },
      { "rebase", "-s", "@", "-d", ("children(@-) & children(%s) ~ @"):format(plan.commit) },
    }
  end
  return { { "rebase", "-b", "@", "-d", plan.commit } }
end

--- The same as commands for a shell.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
local function steps_of(plan)
  local colocated = vim.uv.fs_stat(plan.root .. "/.git") ~= nil
  local git_command = colocated and "git" or 'git --git-dir="$(jj git root)"'
  local steps = {
    ("%s update-ref %s %s"):format(git_command, repository.quote(ref_of(plan)), plan.commit),
    "jj git import",
  }
  for _, command in ipairs(commands_of(plan)) do
    table.insert(steps, "jj " .. table.concat(vim.tbl_map(repository.quote, command), " "))
  end
  return steps
end

--- How own commits and the finalized one come together.
---@param plan SuggestionReview.AdoptPlan
local function choose_way(plan)
  local own = list(plan, ("::@- ~ ::%s"):format(plan.parent), LINE)
  plan.own = own
  if #own == 0 then
    plan.way = nil
    return
  end
  local wanted = plan.way or config.get().adopt_own_commits
  if wanted ~= "merge" then
    local fixed =
      list(plan, ("(::@- ~ ::%s) & (immutable() | ::remote_bookmarks())"):format(plan.parent), LINE)
    if #fixed > 0 then
      wanted, plan.why_way = "merge", "they are on a remote already"
    end
  end
  plan.way = wanted
end

--- Inside a task: looks at what is below @ and plans how the commit comes below it.
---@param plan SuggestionReview.AdoptPlan
function M.plan(plan)
  snapshot(plan)
  if is_known(plan) and #list(plan, ("%s & ::@"):format(plan.commit), "commit_id") > 0 then
    plan.done = true
    return
  end
  if #list(plan, "conflicts() & @", "commit_id") > 0 then
    plan.refusal = { reason = "@ holds a conflict: resolve it first", commands = { "jj resolve --list" } }
    return
  end
  -- The parent may be known to git alone, when it was verified and never adopted.
  local parent_known = plan.parent ~= "" and #list(plan, ("present(%s)"):format(plan.parent), "commit_id") > 0
  if parent_known then
    choose_way(plan)
    plan.brought = list(plan, ("::%s ~ ::@"):format(plan.parent), LINE)
  else
    plan.way = plan.way or config.get().adopt_own_commits
  end
  plan.steps = steps_of(plan)
end

--- Everything as it was at an operation, and the ref of ours gone or back.
---@param plan SuggestionReview.AdoptPlan
---@param operation string
---@param old_ref? string
local function put_back(plan, operation, old_ref)
  local ref = ref_of(plan)
  local args = old_ref and { "update-ref", ref, old_ref } or { "update-ref", "-d", ref }
  git.run(args, repository.answers(plan.opts, 1, 128))
  jj(plan, "op", "restore", "--quiet", operation)
end

---@param plan SuggestionReview.AdoptPlan
---@return string[] change ids of conflicts at @ and between it and the commit
local function conflicts(plan)
  return list(plan, ("conflicts() & (%s..@ | @::)"):format(plan.commit), "change_id")
end

--- Inside a task: brings the commit below @; a conflict or a failure puts everything back.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
function M.run(plan)
  snapshot(plan)
  local before =
    vim.trim(jj(plan, "--ignore-working-copy", "op", "log", "--no-graph", "--limit", "1", "-T", "id"))
  local conflicted = {}
  for _, id in ipairs(list(plan, "conflicts() & @::", "change_id")) do
    conflicted[id] = true
  end
  local ref = ref_of(plan)
  local found = git.run({ "rev-parse", "--quiet", "--verify", ref }, repository.answers(plan.opts, 1))
  local old_ref = found.code == 0 and vim.trim(found.stdout) or nil
  local ok, err = pcall(function()
    git.run({ "update-ref", ref, plan.commit }, plan.opts)
    jj(plan, "git", "import", "--quiet")
    for _, command in ipairs(commands_of(plan)) do
      jj(plan, "--quiet", unpack(command))
    end
    for _, id in ipairs(conflicts(plan)) do
      if not conflicted[id] then
        refuse("Your edits or commits and the commit conflict")
      end
    end
  end)
  if ok then
    return {}
  end
  local reason = type(err) == "table" and err.message or tostring(err)
  local back, problem = pcall(put_back, plan, before, old_ref)
  if not back then
    refuse(
      ("%s. It could not be put back: %s"):format(
        reason,
        type(problem) == "table" and problem.message or problem
      ),
      { "jj op restore " .. before:sub(1, 12) }
    )
  end
  refuse(reason .. ". Everything is as it was", steps_of(plan))
end

return M
