--- What the cage refused, in words.
local display = require("suggestion-review.text.display")

local M = {}

--- What stands before a target. A kind that is not known here is shown by its target alone.
local ARTICLES = { file = "the file ", system_call = "the system call " }
--- In the order in which they are counted.
local KINDS = { "network", "file", "system_call", "disk", "memory" }
local NOUNS = {
  network = { "connection" },
  file = { "file" },
  system_call = { "system call" },
  disk = { "stop for want of disk", "stops for want of disk" },
  memory = { "stop for want of memory", "stops for want of memory" },
}
--- A command was stopped, not refused something.
local STOPPED = { disk = true, memory = true }

--- The target "*" stands for others that are too many to tell apart.
---@param event SuggestionReview.Event
---@return string
function M.what(event)
  return (event.target == "*" and "" or ARTICLES[event.kind] or "") .. display.plain(event.target)
end

--- The tool of the host's that tried, which no command is behind.
---@param event SuggestionReview.Event
---@return string?
local function tool(event)
  local is_tool = event.kind == "file" and event.program and event.program ~= "bash"
  return is_tool and display.plain(event.program) or nil
end

---@param event SuggestionReview.Event
---@param width integer cells of a command
---@return string begins with a blank, or is empty
function M.behind(event, width)
  if tool(event) then
    return (" to opencode's %s"):format(tool(event))
  end
  return event.command and (" in “%s”"):format(display.fit(display.plain(event.command), width)) or ""
end

---@param event SuggestionReview.Event
---@return string
function M.text(event)
  if STOPPED[event.kind] then
    local what = event.command and ("“%s”"):format(display.fit(display.plain(event.command), 400))
      or "the agent's commands"
    local reason, target = display.plain(event.reason), display.plain(event.target)
    return ("The cage stopped %s: %s (%s)"):format(what, reason, target)
  end
  local who = event.program and not tool(event) and (" to %s"):format(display.plain(event.program)) or ""
  local text = ("The cage refused %s%s%s (%s)"):format(
    M.what(event),
    who,
    M.behind(event, 400),
    display.plain(event.reason)
  )
  return event.kind == "network"
      and event.target ~= "*"
      and ("%s; npm run sandbox -- allow %s"):format(text, display.plain(event.target))
    or text
end

--- How many of each kind, unless all are connections.
---@param counts table<string, integer>
---@return string begins with a blank, or is empty
function M.counts(counts)
  local parts, others = {}, 0
  for _, kind in ipairs(KINDS) do
    if (counts[kind] or 0) > 0 then
      parts[#parts + 1] = display.count(counts[kind], unpack(NOUNS[kind]))
    end
  end
  for kind, count in pairs(counts) do
    others = others + (NOUNS[kind] and 0 or count)
  end
  if others > 0 then
    parts[#parts + 1] = display.count(others, "other thing")
  elseif #parts == 1 and counts.network then
    return ""
  end
  return (" (%s)"):format(table.concat(parts, ", "))
end

return M
