--- What the agent does as lines of Markdown: pure, one entry at a time, so that what is redrawn is what has changed.
local plain = require("suggestion-review.text.display").plain

local M = {}

---@class (exact) SuggestionReview.ActivityBlock
---@field lines string[]
---@field fold? integer first line of the block that is folded away, up to its end

--- Lines of a text, where nothing can be taken for another line.
---@param text string
---@param indent? string
---@return string[]
local function lines_of(text, indent)
  local lines = vim.split((text:gsub("\r\n", "\n"):gsub("\n+$", "")), "\n", { plain = true })
  for index, line in ipairs(lines) do
    lines[index] = (indent or "") .. plain(line)
  end
  return lines
end

--- The first line of a text, and whether there is more.
---@param text string
---@return string
local function first_line(text)
  local lines = lines_of(text)
  return lines[1] .. (#lines > 1 and " …" or "")
end

---@param count integer
---@return string
local function left_out(count)
  return ("(%d bytes are in the agent's own session only)"):format(count)
end

local MARKS = { pending = "○", running = "…", completed = "✔", failed = "✘" }
local TODO = { completed = "[x]", in_progress = "[-]", cancelled = "[~]" }

local ENDS = {
  done = "The turn is over",
  stopped = "The turn was stopped",
  failed = "The turn failed",
  cut_off = "The turn was cut off when its host ended",
}

---@param input string JSON
---@return string
local function subject_of(input)
  local ok, decoded = pcall(vim.json.decode, input)
  if not ok or type(decoded) ~= "table" then
    return ""
  end
  for _, name in ipairs({ "command", "filePath", "path", "pattern", "url", "description" }) do
    if type(decoded[name]) == "string" then
      return decoded[name]
    end
  end
  return ""
end

---@param entry SuggestionReview.Ask
---@param answer string
---@return string
local function standing(entry, answer)
  if entry.state == "asked" then
    return "waits for you: :Suggest " .. (entry.type == "agent.permission" and "permission" or "answer")
  elseif entry.state == "gone" then
    return plain(entry.reason or "gone")
  end
  return answer .. (entry.by == "developer" and "" or " (elsewhere)")
end

---@type table<string, fun(entry: SuggestionReview.ActivityEntry): SuggestionReview.ActivityBlock>
local draw = {}

draw["agent.turn"] = function(entry)
  if entry.state == "began" then
    return { lines = { "*The agent is working …*" } }
  end
  local said = ENDS[entry["end"]] or ENDS.done
  return { lines = { ("*%s%s*"):format(said, entry.message and ": " .. plain(entry.message) or "") } }
end

draw["agent.message"] = function(entry)
  local lines, fold
  if entry.kind == "reasoning" then
    lines, fold = { entry.done and "> thought" or "> thinks …" }, 2
    vim.list_extend(lines, lines_of(entry.text, "> "))
  elseif entry.role == "user" then
    lines = { "## " .. (entry.synthetic and "Told by a program" or "You"), "" }
    vim.list_extend(lines, lines_of(entry.text))
  else
    lines = lines_of(entry.text)
  end
  if entry.cut > 0 then
    lines[#lines + 1] = left_out(entry.cut)
  end
  return { lines = lines, fold = fold }
end

draw["agent.tool"] = function(entry)
  local subject = entry.title and entry.title ~= "" and entry.title or subject_of(entry.input)
  local head = ("- %s `%s` %s"):format(MARKS[entry.status] or "?", plain(entry.tool), first_line(subject))
  local lines = { vim.trim(head) }
  if entry.input ~= "" then
    vim.list_extend(lines, lines_of(entry.input, "    in: "))
  end
  if entry.output_cut > 0 then
    lines[#lines + 1] = "    " .. left_out(entry.output_cut)
  end
  for _, part in ipairs({ entry.output, entry.error or "" }) do
    if part ~= "" then
      vim.list_extend(lines, lines_of(part, "    "))
    end
  end
  return { lines = lines, fold = #lines > 1 and 2 or nil }
end

draw["agent.todo"] = function(entry)
  local lines = {}
  for _, todo in ipairs(entry.todos) do
    lines[#lines + 1] = ("- %s %s"):format(TODO[todo.status] or "[ ]", first_line(todo.content))
  end
  return { lines = #lines > 0 and lines or { "- no todos" } }
end

local ANSWERS = { reject = "rejected", edit = "edited, and allowed so" }

--- What ran instead of what was asked for.
---@param entry SuggestionReview.PermissionEntry
---@return string[]
local function edit_lines(entry)
  local lines, asked = {}, entry.arguments or {}
  local fields = vim.tbl_keys(entry.edited)
  table.sort(fields)
  for _, field in ipairs(fields) do
    local now = entry.edited[field]
    if not vim.deep_equal(now, asked[field]) then
      lines[#lines + 1] = ("*ran instead, %s:*"):format(plain(field))
      vim.list_extend(lines, lines_of(type(now) == "string" and now or vim.json.encode(now), "    "))
    end
  end
  return lines
end

draw["agent.permission"] = function(entry)
  local answer = ANSWERS[entry.reply] or "allowed " .. (entry.reply or "")
  local lines = { ("**May it? %s** %s"):format(plain(entry.permission), standing(entry, answer)) }
  vim.list_extend(lines, M.subject(entry, "    "))
  if entry.edited then
    vim.list_extend(lines, edit_lines(entry))
  end
  if entry.message then
    vim.list_extend(lines, lines_of(entry.message, "> "))
  end
  return { lines = lines }
end

draw["agent.question"] = function(entry)
  local lines = {}
  for index, question in ipairs(entry.questions) do
    local given = entry.answers and entry.answers[index]
    local answer = given and "→ " .. plain(table.concat(given, ", ")) or "not answered"
    lines[#lines + 1] = ("**%s** %s"):format(first_line(question.question), standing(entry, answer))
    if entry.state == "asked" then
      for _, option in ipairs(question.options) do
        lines[#lines + 1] = ("- %s: %s"):format(plain(option.label), plain(option.description))
      end
    end
  end
  return { lines = lines }
end

draw["agent.usage"] = function(entry)
  local tokens = entry.tokens
  local text = ("*%s: %d tokens in, %d out"):format(plain(entry.model), tokens.input or 0, tokens.output or 0)
  return { lines = { text .. (entry.cost > 0 and (", $%.4f*"):format(entry.cost) or "*") } }
end

draw["agent.notice"] = function(entry)
  local at = entry.next_at and (", next attempt at %s"):format(plain(entry.next_at)) or ""
  return { lines = { ("> %s%s"):format(first_line(entry.message), at) } }
end

--- What a permission is asked for: what is allowed is what was shown, and what is not shown is told.
---@param entry SuggestionReview.PermissionEntry
---@param indent? string
---@return string[]
function M.subject(entry, indent)
  local lines = {}
  if entry.command then
    vim.list_extend(lines, lines_of(entry.command, indent))
  else
    if entry.file then
      vim.list_extend(lines, lines_of(entry.file, indent))
    end
    for _, pattern in ipairs(entry.patterns) do
      if pattern ~= entry.file then
        vim.list_extend(lines, lines_of(pattern, indent))
      end
    end
    if entry.diff then
      vim.list_extend(lines, lines_of(entry.diff, indent))
    end
  end
  if entry.cut > 0 then
    lines[#lines + 1] = ("%s⚠ %d bytes more are asked for than are shown here"):format(
      indent or "",
      entry.cut
    )
  end
  return lines
end

--- An entry as a block of lines, with an empty one before it. What a subagent does is marked.
---@param entry SuggestionReview.ActivityEntry
---@return SuggestionReview.ActivityBlock
function M.of(entry)
  local drawn = draw[entry.type]
  if not drawn then
    return { lines = {} }
  end
  local block = drawn(entry)
  if entry.session_id ~= entry.root_session_id then
    block.lines[1] = "↳ " .. block.lines[1]
  end
  -- Calls and what they took stand close together.
  if entry.type ~= "agent.tool" and entry.type ~= "agent.usage" then
    table.insert(block.lines, 1, "")
    block.fold = block.fold and block.fold + 1
  end
  return block
end

return M
