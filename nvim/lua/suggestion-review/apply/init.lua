--- Brings the developer's decisions into the developer's files: plans first (what would happen to each hunk), then
--- carries out the plan. Applies only what was decided in this developer's Neovim, only text that fits its digest,
--- only inside the worktree, and nothing where the developer's own edits are in the way. What a plan says of lines, of
--- whole files, of conflicts and of new revisions is in `apply/`.
local agents_writes = require("suggestion-review.worktree.agents_writes")
local applied = require("suggestion-review.apply.applied")
local attributes = require("suggestion-review.worktree.attributes")
local base_of = require("suggestion-review.model.base_text")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local file_plan = require("suggestion-review.apply.file_plan")
local form = require("suggestion-review.worktree.encoding")
local replacements = require("suggestion-review.apply.replacement")
local store = require("suggestion-review.model.store")
local text = require("suggestion-review.apply.text")
local whole = require("suggestion-review.apply.whole")
local windows = require("suggestion-review.worktree.windows")
local worktree = require("suggestion-review.worktree.paths")
local config = require("suggestion-review.config")

local M = {}

---@class SuggestionReview.Place where a suggestion's hunks go
---@field suggestion SuggestionReview.Suggestion
---@field root string|nil the worktree
---@field git_root? string where git may be asked for base texts: only in a repository of the developer's own
---@field in_place boolean the agent works in this very worktree: nothing to apply, only to reload
---@field applied SuggestionReview.Applied|nil
---@field unknown_base_ok? boolean the developer wants hunks here although this checkout lacks their base commit

---@param suggestion SuggestionReview.Suggestion
---@param directory? string
---@return SuggestionReview.Place
function M.place(suggestion, directory)
  local root
  for _, server in ipairs(config.servers()) do
    if server.name == suggestion.server and server.root then
      root = vim.uv.fs_realpath(server.root)
    end
  end
  root = root or worktree.root_of(directory or vim.fn.getcwd())
  local project = vim.uv.fs_realpath(suggestion.project or "")
  local in_place = root ~= nil and project == root
  if in_place then
    agents_writes.watch(root --[[@as string]])
  end
  -- A repository that somebody else can write could make git run programs of theirs.
  local owner = root and vim.uv.fs_stat(root)
  return {
    suggestion = suggestion,
    root = root,
    git_root = owner and owner.uid == vim.uv.getuid() and not in_place and root or nil,
    in_place = in_place,
    applied = root and applied.open(root) or nil,
  }
end

--- Paths that hunks are about, old names too.
---@param files string[]
---@param items SuggestionReview.PlanItem[]
---@return string[]
local function paths_of(files, items)
  local paths = vim.list_slice(files)
  for _, item in ipairs(items) do
    if item.hunk.old_file and item.hunk.old_file ~= item.hunk.file then
      paths[#paths + 1] = item.hunk.old_file
    end
  end
  return paths
end

--- Leaves to adopting what git filters: the text of the hunk is not the text of the file. Names and modes are the same
--- on both sides.
---@param place SuggestionReview.Place
---@param file string
---@param items SuggestionReview.PlanItem[]
---@param of fun(path: string): SuggestionReview.Attributes
---@return SuggestionReview.PlanItem[] the others
local function defer_filtered(place, file, items, of)
  return vim.tbl_filter(function(item)
    local hunk = item.hunk
    local filtered = of(file).filtered or hunk.old_file and of(hunk.old_file).filtered
    if
      not filtered
      or hunk.kind == "rename"
      or hunk.kind == "mode"
      or place.applied:get(place.suggestion.id, file, hunk.id)
    then
      return true
    end
    item.status, item.reason = "deferred", filtered .. "; it is brought over when the suggestion is adopted"
    return false
  end, items)
end

--- Plans file after file; inside each what is about the whole file, then its lines.
---@param place SuggestionReview.Place
---@param files table<string, SuggestionReview.PlanItem[]>
---@param order string[]
---@param of fun(path: string): SuggestionReview.Attributes
---@param callback fun(plans: SuggestionReview.FilePlan[])
local function plan_files(place, files, order, of, callback)
  place.applied:refresh()
  local plans = {}
  local next_file

  ---@param file string
  ---@param text_items SuggestionReview.PlanItem[]
  ---@param renaming boolean|nil
  local function plan_text(file, text_items, renaming)
    if #text_items == 0 then
      return next_file()
    end
    local hunk = text_items[1].hunk
    base_of.get(place.suggestion, hunk, place.git_root, function(base, reason)
      if not base then
        file_plan.mark(text_items, "refused", reason)
        return next_file()
      end
      local plan = { file = file, items = text_items, attributes = of(file) }
      local relative = whole.path_now(place, file, hunk.kind ~= "create" and hunk.old_file or nil, nil)
      if renaming ~= nil then
        -- The file is not renamed yet: planned where it is, carried out where it will be.
        plan.run = function()
          local later = { file = file, items = text_items, attributes = of(file) }
          for _, item in ipairs(text_items) do
            item.status, item.reason, item.placed = nil, nil, nil
          end
          text.plan(place, later, base, whole.path_now(place, file, hunk.old_file, renaming))
          return later.run and later.run() or true
        end
        local probe = { file = file, items = text_items, attributes = of(file) }
        text.plan(place, probe, base, relative)
      else
        text.plan(place, plan, base, relative)
      end
      plans[#plans + 1] = plan
      next_file()
    end)
  end

  local at = 0
  function next_file()
    at = at + 1
    local file = order[at]
    if not file then
      return callback(plans)
    end
    local whole_items, text_items = {}, {}
    for _, item in ipairs(defer_filtered(place, file, files[file], of)) do
      table.insert(whole.is_whole(item.hunk) and whole_items or text_items, item)
    end
    local index, renaming = 0, nil
    local function next_whole()
      index = index + 1
      local item = whole_items[index]
      if not item then
        return plan_text(file, text_items, renaming)
      end
      whole.plan(place, item, of(file), function(run)
        plans[#plans + 1] = { file = file, items = { item }, run = run }
        if item.hunk.kind == "rename" and item.status == "clean" then
          renaming = item.want.state == "accepted"
        end
        next_whole()
      end)
    end
    next_whole()
  end
  next_file()
end

--- Works out what bringing `wants` into the worktree would do, changing nothing.
---@param place SuggestionReview.Place
---@param wants SuggestionReview.Want[]
---@param callback fun(plans: SuggestionReview.FilePlan[], items: SuggestionReview.PlanItem[])
function M.plan(place, wants, callback)
  local files, order = {}, {}
  local items = {}
  for i, want in ipairs(wants) do
    local file = digest.path(want.hunk)
    if not files[file] then
      files[file] = {}
      order[#order + 1] = file
    end
    items[i] = { hunk = want.hunk, want = want }
    table.insert(files[file], items[i])
  end
  if place.in_place or not place.root then
    file_plan.mark(
      items,
      place.in_place and "already" or "refused",
      not place.in_place and "this Neovim is not in a checkout (set server.root, or :cd there)" or nil
    )
    return callback({}, items)
  end
  attributes.of(place.git_root, paths_of(order, items), function(of)
    plan_files(place, files, order, of, function(plans)
      callback(plans, items)
    end)
  end)
end

--- Where hunks are in a worktree that holds the agent's own work (one for both): "clean" where what is proposed
--- stands, "already" where the base's text does, "conflict" where it is neither. Changes nothing.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[]
---@param callback fun(items: SuggestionReview.PlanItem[])
function M.locate(place, hunks, callback)
  local by_file, wants = {}, {}
  for i, hunk in ipairs(hunks) do
    wants[i] = { hunk = hunk, state = "rejected" }
    local want = { hunk = hunk, state = "accepted" }
    if hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff then
      -- The server's word, but nothing is written by it here.
      want.state, want.modified_diff = "modified", hunk.decision.modified_diff
    end
    local replacement = not whole.is_whole(hunk) and replacements.of(want, place.suggestion)
    if replacement then
      local file = digest.path(hunk)
      by_file[file] = by_file[file] or {}
      table.insert(by_file[file], replacement)
    end
  end
  local version = 0
  for _, hunk in ipairs(hunks) do
    version = version + (hunk.state == "modified" and 1 or 0)
  end
  -- As if all of it had been applied by us; taking it out again is what is planned, and not done.
  local all_applied = {
    of_file = function(_, _, file)
      return by_file[file] or {}
    end,
    version_of = function()
      return -1 - version
    end,
    get = function() end,
    refresh = function() end,
  }
  M.plan(
    vim.tbl_extend("force", place, { in_place = false, unknown_base_ok = true, applied = all_applied }),
    wants,
    function(_, items)
      callback(items)
    end
  )
end

--- Carries out plans. Each file succeeds or fails on its own; a failure leaves that file as it was.
---@param plans SuggestionReview.FilePlan[]
---@return { plan: SuggestionReview.FilePlan, reason: string }[] problems
function M.run(plans)
  local problems = {}
  for _, plan in ipairs(plans) do
    if plan.run then
      local ok, done, reason = pcall(plan.run)
      if not ok or not done then
        local message = tostring(ok and reason or done)
        for _, item in ipairs(plan.items) do
          if item.status == "clean" then
            item.status, item.reason = "refused", message
          end
        end
        problems[#problems + 1] = { plan = plan, reason = message }
      elseif reason then
        problems[#problems + 1] = { plan = plan, reason = reason }
      end
    end
  end
  return problems
end

--- Whether a hunk's change is in the worktree by our hand.
---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.is_applied(place, hunk)
  if place.in_place then
    return hunk.state ~= "rejected"
  end
  return place.applied ~= nil and place.applied:get(place.suggestion.id, digest.path(hunk), hunk.id) ~= nil
end

--- Whether a buffer holds nothing but what a hunk says of the whole file: the text that it takes away, or the new
--- file's that was rejected. Any other text stays in its buffer when the file is gone, as Vim leaves it.
---@param suggestion SuggestionReview.Suggestion
---@param file string
---@param buf integer
---@return boolean
local function is_of_a_hunk(suggestion, file, buf)
  local held = form.buffer_text(buf)
  for _, hunk in ipairs(store.hunks(suggestion.id)) do
    local whole_file = hunk.kind == "delete" or hunk.kind == "create"
    local sides = whole_file and digest.path(hunk) == file and diff.text_of(hunk)
    if sides and table.concat(hunk.kind == "delete" and sides.old or sides.new) == held then
      return true
    end
  end
  return false
end

--- Takes in what the agent changed under our buffers (one worktree for both). A file that a rejection took away goes
--- from the screen too, as it does where we remove it.
---@param place SuggestionReview.Place
function M.reload(place)
  if not place.in_place then
    return
  end
  for _, file in ipairs(place.suggestion.files or {}) do
    local path = place.root .. "/" .. file
    local buf = worktree.buffer_of(path)
    if buf and vim.api.nvim_buf_is_loaded(buf) then
      agents_writes.take_in(buf)
      local gone = not vim.uv.fs_lstat(path) and not vim.bo[buf].modified
      if gone and is_of_a_hunk(place.suggestion, file, buf) and windows.leave(buf) then
        windows.forget(buf)
      end
    end
  end
end

--- Forgets which buffers are in step; for tests.
function M.reset()
  text.reset()
end

return M
