--- After finalize: fetches the commit, has it verified, and moves the checkout onto it so that the accepted hunks in
--- the worktree become the commit. A plan is made and shown first; carrying it out re-checks what it rests on. What
--- cannot be done without risk to anything of the developer's is refused with the reason and what to run instead.
--- How that is done in git and in jj is in `adopt/`.

local git = require("suggestion-review.worktree.git")
local hub = require("suggestion-review.adopt.hub")
local lineage = require("suggestion-review.adopt.lineage")
local own_refs = require("suggestion-review.adopt.own_refs")
local peers = require("suggestion-review.worktree.peers")
local refusal = require("suggestion-review.adopt.refusal")
local reload = require("suggestion-review.worktree.reload")
local repository = require("suggestion-review.adopt.repository")
local task = require("suggestion-review.lib.task")
local typing = require("suggestion-review.lib.typing")
local second_look = require("suggestion-review.adopt.second_look")
local apply = require("suggestion-review.apply")
local remains = require("suggestion-review.apply.remains")
local config = require("suggestion-review.config")
local client = require("suggestion-review.connection.client")
local decisions = require("suggestion-review.decisions.record")
local feedback = require("suggestion-review.decisions.requests")
local store = require("suggestion-review.model.store")
local notify = require("suggestion-review.say.notify")
local choose_from = require("suggestion-review.say.choose_from")

local M = {}

local refuse = refusal.raise

---@class SuggestionReview.AdoptFile
---@field path string
---@field action "keep"|"write"|"delete"|"chmod"|"index"|"refuse"
---@field reason string
---@field by_hand? "stash" what solves a refusal by hand
---@field untracked boolean git does not know it, in HEAD or the index
---@field unwatched? "skipped"|"assumed" git is told not to look at it
---@field new? SuggestionReview.TreeEntry
---@field seen? SuggestionReview.TreeEntry what the worktree had when the plan was made

---@class SuggestionReview.AdoptPlan
---@field suggestion SuggestionReview.Suggestion
---@field root string
---@field kind "git"|"jj"
---@field opts SuggestionReview.GitOpts
---@field commit string the finalized one
---@field parent string
---@field head? string
---@field target? string where HEAD goes: the commit, or what own commits and it come to (git)
---@field branch? string nil when HEAD is detached
---@field title string
---@field author string
---@field committer? string
---@field body? string of its message, below the title
---@field verdict SuggestionReview.Verdict
---@field way? "replay"|"merge" asked for; then what is planned for own commits
---@field why_way? string why it is not the one asked for
---@field own string[] own commits that the commit does not have, one line each
---@field brought string[] own commits that come along from elsewhere, one line each
---@field files SuggestionReview.AdoptFile[]
---@field steps string[] commands that do the same
---@field second_look string[] what must not be overlooked in the commit
---@field refusal? { reason: string, commands: string[] }
---@field done? boolean the checkout has the commit already
---@field remains? SuggestionReview.Remains[] what of the suggestion is in the files and not in the commit

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
  local place = apply.place(suggestion)
  if not place.root then
    refuse("This directory is in no git or jj repository")
  end
  if place.in_place then
    refuse("The agent works in this very checkout, so there is nothing to bring over")
  end
  return place.root --[[@as string]]
end

--- Inside a task: names what is the agent's in files that hold more than the commit.
---@param plan SuggestionReview.AdoptPlan
local function name_remains(plan)
  local place = apply.place(plan.suggestion, plan.root)
  if place.root ~= plan.root then
    return
  end
  plan.remains = task.await(function(callback)
    remains.look(place, plan.suggestion.hunks or {}, callback)
  end)
  for _, one in ipairs(plan.remains) do
    for _, file in ipairs(plan.files) do
      if file.path == one.file and file.action == "keep" and file.reason:find("further edits", 1, true) then
        file.reason = ("has the commit's changes, and %s; it stays uncommitted"):format(one.what)
      end
    end
  end
end

--- Inside a task: whether this is the checkout that the work is for, before anything is asked of the server.
---@param suggestion SuggestionReview.Suggestion
---@param root string
---@return boolean is_jj
local function check_place(suggestion, root)
  if suggestion.state ~= "finalized" or not suggestion.result then
    refuse("This suggestion is not finalized")
  end
  if vim.fn.executable("git") == 0 then
    refuse("git is not on the PATH")
  end
  local is_jj = vim.uv.fs_stat(root .. "/.jj") ~= nil
  if is_jj and vim.fn.executable("jj") == 0 then
    refuse("This is a jj repository, but jj is not on the PATH")
  end
  return is_jj
end

--- Inside a task: the suggestion as the server tells it now, with the hunks of its final revision, once every decision
--- made here is on disk.
---@param id string
---@return SuggestionReview.Suggestion
local function load(id)
  local err = task.await(function(callback)
    store.fetch(id, callback)
  end)
  if err then
    refuse("The decisions could not be loaded: " .. err.message)
  end
  task.await(function(callback)
    decisions.after_writes(callback)
  end)
  return store.get(id) --[[@as SuggestionReview.Suggestion]]
end

--- Inside a task: refuses a checkout of something else, which has nothing in common with the work.
---@param suggestion SuggestionReview.Suggestion
---@param root string
---@param own SuggestionReview.OwnRefs
---@param opts SuggestionReview.GitOpts
local function check_related(suggestion, root, own, opts)
  local base = suggestion.base_commit
  local any = repository.answers(opts, 1, 128)
  local on_nothing = base:find("^0+$") ~= nil
  local known = not on_nothing and git.run({ "cat-file", "-e", base .. "^{commit}" }, any).code == 0
  if on_nothing or (known and own_refs.has(own, base, opts)) then
    return
  end
  if lineage.is_related(suggestion.result.commit, own, opts) then
    return
  end
  local where = #own.remotes > 0
      and (" Otherwise fetch from %s first."):format(table.concat(own.remotes, " or "))
    or ""
  refuse(
    ("%s does not have %s, the base of this work, nor anything in common with it. Is it the right checkout?%s"):format(
      root,
      base:sub(1, 12),
      where
    )
  )
end

--- Inside a task: fetches the commit and verifies it. What was fetched stays only when it is what was decided.
---@param suggestion SuggestionReview.Suggestion
---@param root string
---@param is_jj boolean
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Suggestion
---@return SuggestionReview.Verdict
local function verify(suggestion, root, is_jj, opts)
  local own = own_refs.look(suggestion, is_jj, opts)
  local fetched = hub.fetch(suggestion, opts)
  local commit = suggestion.result.commit
  local ok, result = pcall(function()
    check_related(suggestion, root, own, opts)
    local loaded = load(suggestion.id)
    if not loaded.result or loaded.result.commit ~= commit then
      refuse("The server named another commit meanwhile; try again")
    end
    local by_hunk = decisions.by_hunk(loaded.id)
    local verdict = require("suggestion-review.adopt.verify").verify(loaded, by_hunk, commit, opts, own)
    if verdict.ok and not fetched.on_branch then
      verdict.ok = false
      verdict.message = ("The branch %s does not have the commit that the server names"):format(
        loaded.result.ref
      )
    end
    if verdict.ok then
      -- A later suggestion may stand on it before it is adopted.
      git.run({ "update-ref", own_refs.VERIFIED .. loaded.id, commit }, opts)
    end
    return { loaded, verdict }
  end)
  git.run({ "update-ref", "-d", fetched.ref }, opts)
  if not ok then
    error(result, 0)
  end
  return result[1], result[2]
end

--- Inside a task: fetches, verifies and plans. Changes nothing but the object store and refs of ours.
---@param suggestion SuggestionReview.Suggestion
---@param root? string
---@param way? "replay"|"merge" how own commits and the suggestion's come together; default: `adopt_own_commits`
---@return SuggestionReview.AdoptPlan
function M.prepare(suggestion, root, way)
  root = root or root_of(suggestion)
  local is_jj = check_place(suggestion, root)
  local opts = repository.opts(root, is_jj)
  local verdict
  suggestion, verdict = verify(suggestion, root, is_jj, opts)
  local commit = suggestion.result.commit
  local format = "--format=%P%x00%an <%ae>%x00%cn <%ce>%x00%s%x00%b"
  local log = git.run({ "log", "-1", "--no-show-signature", "--no-color", format, commit }, opts)
  local said = vim.split(log.stdout, "\0", { plain = true })
  local first = said[1]:match("^%x+")
  local plan = {
    suggestion = suggestion,
    root = root,
    kind = is_jj and "jj" or "git",
    opts = opts,
    commit = commit,
    parent = said[1] or "",
    author = said[2] or "",
    committer = said[3] or "",
    title = said[4] or "",
    body = vim.trim(said[5] or ""),
    verdict = verdict,
    way = way,
    files = {},
    steps = {},
    own = {},
    brought = {},
    second_look = second_look.of(root, first or "", commit, opts),
  }
  if not verdict.ok then
    plan.refusal = { reason = verdict.message .. ". Nothing was moved.", commands = verdict.commands or {} }
    if is_jj and not vim.uv.fs_stat(root .. "/.git") then
      plan.refusal.commands = vim.tbl_map(function(command)
        return (command:gsub("^git ", 'git --git-dir="$(jj git root)" '))
      end, plan.refusal.commands)
    end
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
  -- Now a branch of the developer's own reaches it.
  git.run(
    { "update-ref", "-d", own_refs.VERIFIED .. plan.suggestion.id },
    repository.answers(plan.opts, 1, 128)
  )
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

--- A suggestion was finalized. One that was so in this Neovim is asked about at once, others are only mentioned.
---@param id string
---@param on_plan fun(plan: SuggestionReview.AdoptPlan)
function M.offer(id, on_plan)
  if config.get().adopt_on_finalize ~= "ask" then
    return
  end
  local suggestion = store.get(id)
  if not suggestion or not suggestion.result then
    return
  end
  local place = apply.place(suggestion)
  if not place.root or place.in_place then
    return
  end
  if not feedback.take_finalized(id) then
    return notify.info(
      ("Finalized: %s (%s). :Suggest adopt brings it into this checkout."):format(
        vim.split(suggestion.description, "\n", { plain = true })[1],
        suggestion.result.commit:sub(1, 12)
      )
    )
  end
  M.open(id, on_plan)
end

--- Carries the plan out and says how it went.
---@param plan SuggestionReview.AdoptPlan
---@param callback? fun(err?: string)
function M.run(plan, callback)
  task.run(function()
    return M.execute(plan)
  end, function(err, remarks)
    if err then
      local text = refusal.text(err)
      notify.error("Not adopted: " .. text)
      return callback and callback(text)
    end
    local where = plan.kind == "jj" and "@ is" or (plan.branch or "HEAD") .. " is"
    local with = plan.way == "replay" and ", with your commits on top"
      or plan.way == "merge" and ", merged with your commits"
      or ""
    notify.info(("%s now on %s %s%s"):format(where, plan.commit:sub(1, 12), plan.title, with))
    for _, remark in ipairs(remarks) do
      notify.warn(remark)
    end
    if callback then
      callback()
    end
  end)
end

---@param id? string
---@param callback fun(suggestion?: SuggestionReview.Suggestion, asked?: boolean) nil and said why; or it was chosen
local function choose(id, callback)
  local known = id and store.get(id)
  if known and known.result then
    return callback(known)
  end
  local target = client.get()
  if not target or target.state ~= "connected" then
    notify.error(client.state().message)
    return callback()
  end
  client.request({ type = "list", status = "finalized", limit = 50 }, function(err, data)
    if err then
      notify.error(err.message)
      return callback()
    end
    store.put_closed(target.server.name, data.suggestions)
    if id then
      if store.get(id) then
        return callback(store.get(id))
      end
      notify.error("There is no such suggestion: " .. id)
      return callback()
    end
    local done = vim.tbl_filter(function(suggestion)
      return suggestion.state == "finalized"
    end, store.list({ all = true, server = target.server.name }))
    if #done == 0 then
      notify.info("No suggestion has been finalized yet")
      return callback()
    end
    table.sort(done, function(a, b)
      return a.updated_at > b.updated_at
    end)
    if #done == 1 then
      return callback(done[1])
    end
    choose_from(done, {
      prompt = "Adopt which suggestion?",
      format_item = function(suggestion)
        return ("%s  %s"):format(
          suggestion.result and suggestion.result.commit:sub(1, 12) or "",
          vim.split(suggestion.description, "\n", { plain = true })[1]
        )
      end,
    }, function(choice)
      callback(choice, true)
    end)
  end)
end

--- A plan that was made and not shown, as the developer had gone on meanwhile.
---@type { plan: SuggestionReview.AdoptPlan, made: integer }|nil
local put_by

--- Milliseconds for which it is shown in place of a new one. What it rests on is looked at again before it is carried
--- out, however old it is.
local PUT_BY_FOR = 60000

---@param id? string
---@return SuggestionReview.AdoptPlan|nil
local function take_put_by(id)
  local one = put_by
  put_by = nil
  if not one or vim.uv.now() - one.made > PUT_BY_FOR or (id and id ~= one.plan.suggestion.id) then
    return
  end
  -- Of the checkout that one is in now.
  return apply.place(one.plan.suggestion).root == one.plan.root and one.plan or nil
end

--- Plans, and hands the plan over. It takes a while: where keys were typed since, its window would take them for its
--- own, and one of them could be the one that carries it out.
---@param suggestion SuggestionReview.Suggestion
---@param root? string
---@param way? "replay"|"merge"
---@param on_plan fun(plan: SuggestionReview.AdoptPlan)
---@param has_typed? fun(): boolean since it was asked for, which may have been before
function M.plan(suggestion, root, way, on_plan, has_typed)
  has_typed = has_typed or typing.watch()
  task.run(function()
    return M.prepare(suggestion, root, way)
  end, function(err, plan)
    local has_gone_on = has_typed()
    if err then
      return notify.error("Not adopted: " .. refusal.text(err))
    elseif not has_gone_on then
      return on_plan(plan)
    end
    put_by = { plan = plan, made = vim.uv.now() }
    notify.info(("The plan to adopt %s is made; :Suggest adopt shows it"):format(plan.commit:sub(1, 12)))
  end)
end

--- Prepares the adoption of a finalized suggestion and hands over the plan, to be shown and carried out or left.
---@param id? string
---@param on_plan fun(plan: SuggestionReview.AdoptPlan)
function M.open(id, on_plan)
  local plan = take_put_by(id)
  if plan then
    return on_plan(plan)
  end
  local has_typed = typing.watch()
  choose(id, function(suggestion, asked)
    if not suggestion or asked then
      has_typed()
    end
    if suggestion then
      M.plan(suggestion, nil, nil, on_plan, not asked and has_typed or nil)
    end
  end)
end

return M
