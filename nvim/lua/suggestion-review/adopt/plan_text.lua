--- The plan of an adoption as text: what was verified, what happens to which file, and what stands in the way.

local text_of = require("suggestion-review.text.display")

local M = {}

local ACTION = {
  keep = "keep  ",
  write = "write ",
  delete = "delete",
  chmod = "chmod ",
  index = "index ",
  refuse = "STOP  ",
}

---@alias SuggestionReview.AddText fun(text: string, ...: any) adds lines; with more arguments it is a format

--- The commit, where it goes and whether it is what was decided.
---@param plan SuggestionReview.AdoptPlan
---@param add SuggestionReview.AddText
local function add_commit(plan, add)
  add("Commit   %s  %s", plan.commit:sub(1, 12), plan.title)
  add("Author   %s", plan.author)
  if plan.committer and plan.committer ~= plan.author then
    add("Committer %s", plan.committer)
  end
  if plan.body and plan.body ~= "" then
    -- It becomes a part of the developer's history, and nothing verifies it but the eye.
    for line in vim.gsplit(plan.body, "\n", { plain = true }) do
      add("         | %s", line)
    end
  end
  add(
    "Checkout %s (%s%s)",
    plan.root,
    plan.kind,
    plan.kind == "git" and ", " .. (plan.branch or "detached HEAD") or ""
  )
  add("Verified %s%s", plan.verdict.ok and "yes: " or "NO: ", plan.verdict.message)
  for _, reason in ipairs(plan.verdict.reasons) do
    add("         %s", reason)
  end
  for _, hunk in ipairs(plan.verdict.foreign) do
    add("         %s: accepted, says the server, but not in a Neovim of yours (%s)", hunk.file, hunk.id)
  end
  for _, line in ipairs(plan.verdict.log or {}) do
    add("         not yours: %s", line)
  end
end

--- The developer's own commits that come along.
---@param plan SuggestionReview.AdoptPlan
---@param add SuggestionReview.AddText
local function add_own_commits(plan, add)
  if #plan.brought > 0 then
    add("")
    add("It stands on commits of yours that this branch does not have; they come along:")
    for _, line in ipairs(plan.brought) do
      add("  %s", line)
    end
  end
  if #plan.own > 0 then
    add("")
    local how = plan.way == "merge" and "merged with it"
      or "put on top of it, with new ids and without signatures"
    add("Your own commits are %s%s:", how, plan.why_way and (" (%s)"):format(plan.why_way) or "")
    for _, line in ipairs(plan.own) do
      add("  %s", line)
    end
  end
end

--- What happens to the files, and what to look at in them.
---@param plan SuggestionReview.AdoptPlan
---@param add SuggestionReview.AddText
local function add_files(plan, add)
  if #plan.files > 0 then
    add("")
    for _, file in ipairs(plan.files) do
      add("%s  %s  (%s)", ACTION[file.action], file.path, file.reason)
    end
  end
  if plan.remains and #plan.remains > 0 then
    add("")
    add("In your files all the same:")
    for _, one in ipairs(plan.remains) do
      add("  %s: %s", text_of.plain(one.file), one.what)
    end
  end
  if #plan.second_look > 0 then
    add("")
    add("Look at this before you go on:")
    for _, line in ipairs(plan.second_look) do
      add("  %s", text_of.plain(line))
    end
  end
end

--- What is done, or why nothing is.
---@param plan SuggestionReview.AdoptPlan
---@param add SuggestionReview.AddText
local function add_steps(plan, add)
  if plan.refusal then
    add("")
    add(plan.refusal.reason)
    if #plan.refusal.commands > 0 then
      add("")
      add("To go on by hand:")
      for _, command in ipairs(plan.refusal.commands) do
        add("  %s", command)
      end
    end
    if plan.verdict.diff ~= "" then
      add("")
      add(
        plan.verdict.log and "What the commits that are not yours change:"
          or "From what you decided to what the commit holds:"
      )
      add(plan.verdict.diff)
    end
  elseif not plan.done then
    add("")
    add("This will:")
    for _, step in ipairs(plan.steps) do
      add("  %s", step)
    end
  end
end

--- The plan as text.
---@param plan SuggestionReview.AdoptPlan
---@return string[]
function M.of(plan)
  local lines = {}
  local function add(text, ...)
    for line in vim.gsplit(select("#", ...) > 0 and text:format(...) or text, "\n", { plain = true }) do
      lines[#lines + 1] = line
    end
  end
  add_commit(plan, add)
  if plan.done then
    add("")
    add("The checkout has this commit already.")
  end
  add_own_commits(plan, add)
  add_files(plan, add)
  add_steps(plan, add)
  return lines
end

return M
