--- Adopting into a jj checkout: the commit is fetched through a remote, and the working copy rebased onto it.
local git = require("suggestion-review.worktree.git")
local hub = require("suggestion-review.adopt.hub")
local refuse = require("suggestion-review.adopt.refusal").raise

local M = {}

--- Inside a task: looks at the parent of @ and the remotes and plans the rebase.
---@param plan SuggestionReview.AdoptPlan
function M.plan(plan)
  local opts = { cwd = plan.root }
  local function revision(revset)
    local out = git.command(
      { "jj", "log", "--no-graph", "--color=never", "-r", revset, "-T", 'commit_id ++ "\\n"' },
      opts
    ).stdout
    return vim.split(vim.trim(out), "\n")
  end
  local parents = revision("@-")
  local suggestion = plan.suggestion
  local short = plan.commit:sub(1, 12)
  if vim.list_contains(parents, plan.commit) then
    plan.done = true
    return
  end
  if #parents ~= 1 or parents[1] ~= plan.parent then
    plan.refusal = {
      reason = ("The parent of @ is not %s, which the work is based on"):format(plan.parent:sub(1, 12)),
      commands = { ("jj rebase -b @ -d %s"):format(short) },
    }
  end
  local url = hub.url(hub.server_of(suggestion), suggestion)
  local name, add = "suggestions", true
  local taken = {}
  for line in git.command({ "jj", "git", "remote", "list" }, opts).stdout:gmatch("[^\n]+") do
    local remote, there = line:match("^(%S+)%s+(%S+)")
    if remote then
      taken[remote] = true
    end
    if there == url then
      name, add = remote, false
    end
  end
  if add and taken[name] then
    local number = 2
    while taken[name .. number] do
      number = number + 1
    end
    name = name .. number
  end
  plan.remote = { name = name, url = url, add = add }
  local steps = {}
  if add then
    steps[1] = ("jj git remote add %s %s"):format(name, url)
  end
  table.insert(steps, ("jj git fetch --remote %s --branch %s"):format(name, suggestion.result.ref))
  if plan.refusal then
    plan.refusal.commands = vim.list_extend(steps, plan.refusal.commands)
    return
  end
  table.insert(steps, ("jj rebase -s @ -d %s"):format(short))
  plan.steps = steps
end

--- Inside a task: fetches the commit and rebases @ onto it; a conflict puts everything back.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks
function M.run(plan)
  local opts = { cwd = plan.root }
  local remote = plan.remote --[[@as { name: string, url: string, add: boolean }]]
  local before = vim.trim(
    git.command({ "jj", "op", "log", "--no-graph", "--color=never", "-n", "1", "-T", "id" }, opts).stdout
  )
  local server = hub.server_of(plan.suggestion)
  local env = hub.transport_env(remote.url, hub.token_for(server))
  if remote.add then
    git.command({ "jj", "git", "remote", "add", remote.name, remote.url }, opts)
  end
  git.command({
    "jj",
    "git",
    "fetch",
    "--remote",
    remote.name,
    "--branch",
    "exact:" .. vim.json.encode(plan.suggestion.result.ref),
  }, { cwd = plan.root, env = env })
  git.command({ "jj", "rebase", "-s", "@", "-d", plan.commit }, opts)
  local conflicts = git.command(
    { "jj", "log", "--no-graph", "--color=never", "-r", "conflicts() & @::", "-T", 'change_id ++ "\\n"' },
    opts
  ).stdout
  if vim.trim(conflicts) ~= "" then
    git.command({ "jj", "op", "restore", before }, opts)
    refuse("Your edits and the commit conflict, so everything is as it was", {
      ("jj rebase -b @ -d %s   # shows the conflict"):format(plan.commit:sub(1, 12)),
    })
  end
  return {}
end

return M
