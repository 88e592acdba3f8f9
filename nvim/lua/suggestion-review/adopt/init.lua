--- After finalize: fetches the commit, has it verified, and moves the checkout onto it so that the accepted hunks in
--- the worktree become the commit. A plan is made and shown first; carrying it out re-checks what it rests on. What
--- cannot be done without risk to anything of the developer's is refused with the reason and what to run instead.
--- How that is done in git and in jj is in `adopt/`.

local git = require("suggestion-review.worktree.git")
local peers = require("suggestion-review.worktree.peers")
local refusal = require("suggestion-review.adopt.refusal")
local reload = require("suggestion-review.worktree.reload")
local task = require("suggestion-review.lib.task")

local M = {}

local refuse = refusal.raise

---@class SuggestionReview.AdoptFile
---@field path string
---@field action "keep"|"write"|"delete"|"chmod"|"index"|"refuse"
---@field reason string
---@field new? SuggestionReview.TreeEntry
---@field seen? SuggestionReview.TreeEntry what the worktree had when the plan was made

---@class SuggestionReview.AdoptPlan
---@field suggestion SuggestionReview.Suggestion
---@field root string
---@field kind "git"|"jj"
---@field commit string
---@field parent string
---@field head? string
---@field branch? string nil when HEAD is detached
---@field title string
---@field author string
---@field verdict SuggestionReview.Verdict
---@field files SuggestionReview.AdoptFile[]
---@field steps string[] what will be run
---@field second_look string[] what must not be overlooked in the commit
---@field refusal? { reason: string, commands: string[] }
---@field done? boolean the checkout has the commit already
---@field remains? SuggestionReview.Remains[] what of the suggestion is in the files and not in the commit
---@field remote? { name: string, url: string, add: boolean } jj

--- What plans and carries out in this kind of checkout.
---@param plan SuggestionReview.AdoptPlan
---@return { plan: fun(plan: SuggestionReview.AdoptPlan), run: fun(plan: SuggestionReview.AdoptPlan): string[] }
local function way_of(plan)
  return require("suggestion-review.adopt." .. plan.kind)
end

--- Where the suggestion's work is to go.
---@param suggestion SuggestionReview.Suggestion
---@return string
local function root_of(suggestion)
  local place = require("suggestion-review.apply").place(suggestion)
  if not place.root then
    refuse("This directory is in no git or jj repository")
  end
  if place.in_place then
    refuse("The agent works in this very checkout, so there is nothing to bring over", { "jj git fetch" })
  end
  return place.root --[[@as string]]
end

--- Inside a task: names what is the agent's in files that hold more than the commit.
---@param plan SuggestionReview.AdoptPlan
local function name_remains(plan)
  local place = require("suggestion-review.apply").place(plan.suggestion, plan.root)
  if place.root ~= plan.root then
    return
  end
  plan.remains = task.await(function(callback)
    require("suggestion-review.apply.remains").look(place, plan.suggestion.hunks or {}, callback)
  end)
  for _, one in ipairs(plan.remains) do
    for _, file in ipairs(plan.files) do
      if file.path == one.file and file.action == "keep" and file.reason:find("further edits", 1, true) then
        file.reason = ("has the commit's changes, and %s; it stays uncommitted"):format(one.what)
      end
    end
  end
end

--- Inside a task: fetches, verifies and plans. Changes nothing but the object store and a ref of ours.
---@param suggestion SuggestionReview.Suggestion
---@param root? string
---@return SuggestionReview.AdoptPlan
function M.prepare(suggestion, root)
  if suggestion.state ~= "finalized" or not suggestion.result then
    refuse("This suggestion is not finalized")
  end
  root = root or root_of(suggestion)
  if vim.fn.executable("git") == 0 then
    refuse("git is not on the PATH")
  end
  local is_jj = vim.uv.fs_stat(root .. "/.jj") ~= nil
  if is_jj and vim.fn.executable("jj") == 0 then
    refuse("This is a jj repository, but jj is not on the PATH")
  end
  local opts = { cwd = root }
  if is_jj then
    opts.env =
      { GIT_DIR = git.command({ "jj", "git", "root", "--ignore-working-copy" }, opts).stdout:gsub("\n$", "") }
  end
  local base = suggestion.base_commit
  if not base:find("^0+$") then
    local known = git.run(
      { "cat-file", "-e", base .. "^{commit}" },
      vim.tbl_extend("force", opts, {
        ok = { [0] = true, [1] = true, [128] = true },
      })
    )
    if known.code ~= 0 then
      refuse(
        ("%s does not have %s, the base of this work. Is it the right checkout? Otherwise fetch first."):format(
          root,
          base:sub(1, 12)
        ),
        { is_jj and "jj git fetch" or "git fetch" }
      )
    end
  end
  require("suggestion-review.adopt.hub").fetch(suggestion, opts)

  local store = require("suggestion-review.model.store")
  local err = task.await(function(callback)
    store.fetch(suggestion.id, callback)
  end)
  if err then
    refuse("The decisions could not be loaded: " .. err.message)
  end
  suggestion = store.get(suggestion.id) --[[@as SuggestionReview.Suggestion]]
  local decisions = require("suggestion-review.decisions.record")
  task.await(function(callback)
    decisions.after_writes(callback)
  end)
  local commit = suggestion.result.commit
  local verdict = require("suggestion-review.adopt.verify").verify(
    suggestion,
    decisions.by_hunk(suggestion.id),
    commit,
    opts
  )
  local log = git.run({ "log", "-1", "--no-show-signature", "--format=%P%x00%an <%ae>%x00%s", commit }, opts)
  local parent, author, title = log.stdout:match("^(%x*)[^%z]*%z([^%z]*)%z(.-)\n?$")
  local plan = {
    suggestion = suggestion,
    root = root,
    kind = is_jj and "jj" or "git",
    commit = commit,
    parent = parent or "",
    title = title or "",
    author = author or "",
    verdict = verdict,
    files = {},
    steps = {},
    second_look = require("suggestion-review.adopt.second_look").of(root, parent or "", commit, opts),
  }
  if not verdict.ok then
    plan.refusal = {
      reason = verdict.message .. ". Nothing was moved.",
      commands = { ("git diff %s %s"):format(verdict.tree or plan.parent, commit:sub(1, 12)) },
    }
    return plan
  end
  way_of(plan).plan(plan)
  name_remains(plan)
  return plan
end

--- Inside a task: carries the plan out.
---@param plan SuggestionReview.AdoptPlan
---@return string[] remarks on what could not be done in full
function M.execute(plan)
  if plan.refusal or plan.done then
    refuse("There is nothing to carry out")
  end
  local remarks = way_of(plan).run(plan)
  reload.below(plan.root)
  for _, file in ipairs(plan.files) do
    if file.action ~= "keep" then
      peers.tell(plan.root .. "/" .. file.path)
    end
  end
  vim.api.nvim_exec_autocmds("User", {
    pattern = "SuggestionAdopted",
    modeline = false,
    data = { suggestion_id = plan.suggestion.id, commit = plan.commit, root = plan.root },
  })
  return remarks
end

-- Asked for, or offered -------------------------------------------------------------------------------------

--- Suggestions finalized in this Neovim: those ask at once, others are only mentioned.
---@type table<string, true>
local finalized_here = {}

--- The developer finalizes here; the offer follows when it has happened.
---@param id string
function M.expect(id)
  finalized_here[id] = true
end

--- A suggestion was finalized.
---@param id string
function M.offer(id)
  if require("suggestion-review.config").get().adopt_on_finalize ~= "ask" then
    return
  end
  local suggestion = require("suggestion-review.model.store").get(id)
  if not suggestion or not suggestion.result then
    return
  end
  local place = require("suggestion-review.apply").place(suggestion)
  if not place.root or place.in_place then
    return
  end
  if not finalized_here[id] then
    return require("suggestion-review.say.notify").info(
      ("Finalized: %s (%s). :Suggest adopt brings it into this checkout."):format(
        vim.split(suggestion.description, "\n", { plain = true })[1],
        suggestion.result.commit:sub(1, 12)
      )
    )
  end
  finalized_here[id] = nil
  M.open(id)
end

--- Carries the plan out and says how it went.
---@param plan SuggestionReview.AdoptPlan
---@param callback? fun(err?: string)
function M.run(plan, callback)
  local notify = require("suggestion-review.say.notify")
  task.run(function()
    return M.execute(plan)
  end, function(err, remarks)
    if err then
      local text = refusal.text(err)
      notify.error("Not adopted: " .. text)
      return callback and callback(text)
    end
    local where = plan.kind == "jj" and "@ is" or (plan.branch or "HEAD") .. " is"
    notify.info(("%s now on %s %s"):format(where, plan.commit:sub(1, 12), plan.title))
    for _, remark in ipairs(remarks) do
      notify.warn(remark)
    end
    if callback then
      callback()
    end
  end)
end

---@param id? string
---@param callback fun(suggestion?: SuggestionReview.Suggestion)
local function choose(id, callback)
  local store = require("suggestion-review.model.store")
  local notify = require("suggestion-review.say.notify")
  local client = require("suggestion-review.connection.client")
  local known = id and store.get(id)
  if known and known.result then
    return callback(known)
  end
  local target = client.get()
  if not target or target.state ~= "connected" then
    return notify.error(client.state().message)
  end
  client.request({ type = "list", status = "finalized", limit = 50 }, function(err, data)
    if err then
      return notify.error(err.message)
    end
    store.put_closed(target.server.name, data.suggestions)
    if id then
      if store.get(id) then
        return callback(store.get(id))
      end
      return notify.error("There is no such suggestion: " .. id)
    end
    local done = vim.tbl_filter(function(suggestion)
      return suggestion.state == "finalized"
    end, store.list({ all = true, server = target.server.name }))
    if #done == 0 then
      return notify.info("No suggestion has been finalized yet")
    end
    table.sort(done, function(a, b)
      return a.updated_at > b.updated_at
    end)
    if #done == 1 then
      return callback(done[1])
    end
    vim.ui.select(done, {
      prompt = "Adopt which suggestion?",
      format_item = function(suggestion)
        return ("%s  %s"):format(
          suggestion.result and suggestion.result.commit:sub(1, 12) or "",
          vim.split(suggestion.description, "\n", { plain = true })[1]
        )
      end,
    }, function(choice)
      if choice then
        callback(choice)
      end
    end)
  end)
end

--- Prepares the adoption of a finalized suggestion and shows the plan, from which it is carried out or left.
---@param id? string
function M.open(id)
  choose(id, function(suggestion)
    task.run(function()
      return M.prepare(suggestion --[[@as SuggestionReview.Suggestion]])
    end, function(err, plan)
      if err then
        return require("suggestion-review.say.notify").error("Not adopted: " .. refusal.text(err))
      end
      require("suggestion-review.ui.plan").show(plan)
    end)
  end)
end

return M
