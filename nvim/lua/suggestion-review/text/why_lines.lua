--- Why a hunk is there, as lines: the calls that made it, what was said, the tests after it. Pure.
local text_of = require("suggestion-review.text.display")

local M = {}

--- Of a prompt, or of what the agent said.
local MOST_LINES = 3
--- Before the words that a line begins with.
local INDENT = "      "

---@class (exact) SuggestionReview.WhyText
---@field lines string[]
---@field calls table<integer, SuggestionReview.WhyCall> by line: the call that it is about
---@field marks { [1]: integer, [2]: string }[] line, 1-based, and the highlight of it

---@param when? string ISO 8601
---@return string
local function time_of(when)
  return when and when:match("T(%d%d:%d%d:%d%d)") or ""
end

--- The first lines of a text that is somebody's.
---@param text string
---@param width integer
---@return string[]
local function beginning(text, width)
  local found = {}
  for line in vim.gsplit(vim.trim(text), "\n", { plain = true }) do
    for _, part in ipairs(text_of.wrap(text_of.plain((line:gsub("\r$", ""))), width)) do
      if #found == MOST_LINES then
        found[MOST_LINES] = text_of.fit(found[MOST_LINES] .. " …", width)
        return found
      end
      found[#found + 1] = part
    end
  end
  return found
end

---@param into string[]
---@param name string
---@param text? string
---@param width integer
local function add(into, name, text, width)
  if not text or text == "" then
    return
  end
  for index, line in ipairs(beginning(text, width - #INDENT - 10)) do
    into[#into + 1] = INDENT .. ("%-9s"):format(index == 1 and name or "") .. line
  end
end

--- How many lines of the hunk have this origin.
---@param why SuggestionReview.WhyAnswer
---@param origin string
---@return integer
local function count(why, origin)
  local found = 0
  for _, run in ipairs(why.lines) do
    if run.origin == origin then
      found = found + run.count
    end
  end
  return found
end

local UNEXPLAINED = {
  { "several", "by one of several calls; which one cannot be said" },
  { "outside", "by no call: changed between two of them" },
  { "unknown", "not seen: nothing is known of how it came to be" },
}

---@param call SuggestionReview.WhyCall
---@return string
local function head_of(call)
  local counts = {}
  if call.added > 0 then
    counts[#counts + 1] = "+" .. call.added
  end
  if call.removed > 0 then
    counts[#counts + 1] = "−" .. call.removed
  end
  local exit = call.exit_code and call.exit_code ~= 0 and ("  exit %d"):format(call.exit_code) or ""
  local words = { text_of.plain(call.tool or "a call"), text_of.first_line(call.summary or "") }
  return ("%s  %s  %s%s"):format(
    time_of(call.began_at),
    table.concat(words, " "),
    table.concat(counts, " "),
    exit
  )
end

--- The calls, each with what was said before it; a prompt that is that of the call above is not said again.
---@param why SuggestionReview.WhyAnswer
---@param made SuggestionReview.WhyText
---@param width integer
local function add_calls(why, made, width)
  local before = {}
  for _, call in ipairs(why.calls) do
    local block = { "  " .. vim.trim(head_of(call)) }
    for _, field in ipairs({ { "session", "session_title" }, { "prompt", "prompt" }, { "subtask", "task" } }) do
      local said = call[field[2]]
      if said ~= before[field[2]] then
        add(block, field[1], said, width)
      end
      before[field[2]] = said
    end
    add(block, "said", call.words, width)
    made.marks[#made.marks + 1] = { #made.lines + 1, "SuggestionReviewTitle" }
    for _, line in ipairs(block) do
      made.lines[#made.lines + 1] = line
      made.calls[#made.lines] = call
    end
  end
end

---@param why SuggestionReview.WhyAnswer
---@param width integer cells that a line may take
---@return SuggestionReview.WhyText
function M.of(why, width)
  ---@type SuggestionReview.WhyText
  local made = { lines = {}, calls = {}, marks = {} }
  local lines = made.lines
  add_calls(why, made, width)
  for _, kind in ipairs(UNEXPLAINED) do
    local n = count(why, kind[1])
    local whole = vim.iter(why.whole):any(function(one)
      return one.origin == kind[1]
    end)
    if n > 0 or whole then
      lines[#lines + 1] = ("  %s %s"):format(n > 0 and text_of.count(n, "line") or "This change:", kind[2])
      made.marks[#made.marks + 1] = { #lines, "SuggestionReviewNotApplied" }
    end
  end
  if #why.tests > 0 then
    vim.list_extend(lines, { "", "  Tests after it:" })
  end
  for _, test in ipairs(why.tests) do
    local code = test.exit_code
    local outcome = code == 0 and "✔ passed" or code and ("✘ exit %d"):format(code) or "? stopped"
    local line = ("  %s  %s  %s"):format(time_of(test.began_at), outcome, text_of.first_line(test.command))
    lines[#lines + 1] = line
  end
  return made
end

return M
