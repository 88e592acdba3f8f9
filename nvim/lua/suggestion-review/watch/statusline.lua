--- One line on how things stand, for the statusline, and a few lines for `:Suggest status`.
local activities = require("suggestion-review.model.activity")
local answers = require("suggestion-review.decisions.answers")
local client = require("suggestion-review.connection.client")
local refused = require("suggestion-review.watch.refused")
local store = require("suggestion-review.model.store")

local M = {}

---@param count integer
---@param noun string
local function counted(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

--- What the agent of a server waits to be told, if anything.
---@param server string
---@return string?
local function waits(server)
  for _, kind in ipairs({ "agent.permission", "agent.question" }) do
    local asks = vim.tbl_filter(function(ask)
      return ask.server == server
    end, activities.asks(kind))
    if #asks > 0 then
      local more = #asks > 1 and (" (and %d more)"):format(#asks - 1) or ""
      local asked = kind == "agent.permission" and "asks for " or "asks: "
      return asked .. answers.brief(asks[1].entry) .. more
    end
  end
end

--- What the agent of a server is doing, if anything.
---@param server string
---@return string?
local function activity(server)
  local waiting = waits(server)
  if waiting then
    return waiting
  end
  for _, turn in pairs(store.turns(server)) do
    if turn.state == "busy" then
      local status = store.status(server)
      if status and (status.seq or 0) >= (turn.seq or 0) and status.status ~= "idle" then
        return status.message
      end
      return turn.message ~= "" and turn.message or "working"
    end
  end
end

---@param text string
---@param width integer
local function short(text, width)
  text = text:gsub("[%s%c]+", " ")
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  return vim.fn.strcharpart(text, 0, width - 1) .. "…"
end

--- What is wrong with the servers, such as "suggestions: offline" or, of several, "second: offline".
---@return string[]
local function troubles()
  local all = client.all()
  local found = {}
  for _, one in ipairs(all) do
    local state = one.state == "stopped" and "stopped" or one.state ~= "connected" and "offline" or nil
    if not state and one.unanswered > 0 then
      state = "no answer yet"
    end
    if state then
      found[#found + 1] = ("%s: %s"):format(#all > 1 and one.server.name or "suggestions", state)
    end
  end
  return found
end

--- For example "2 suggestions, 7 hunks to decide · Running tests…", "suggestions: offline", or "".
---@return string
function M.text()
  local parts = {}
  local known = false
  for _, one in ipairs(client.all()) do
    known = known or one.state ~= "stopped"
  end
  if not known then
    return ""
  end
  local open = store.list()
  if #open > 0 then
    local left, moved = 0, 0
    for _, suggestion in ipairs(open) do
      moved = moved + (suggestion.base_moved and 1 or 0)
      left = left + suggestion.hunk_count - suggestion.reviewed_count
    end
    parts[1] = ("%s, %s"):format(
      counted(#open, "suggestion"),
      left == 0 and "all decided" or counted(left, "hunk") .. " to decide"
    )
    if moved > 0 then
      parts[2] = #open == 1 and "base moved" or ("base moved of %d"):format(moved)
    end
  end
  for _, one in ipairs(client.all()) do
    local doing = one.state == "connected" and activity(one.server.name)
    if doing then
      parts[#parts + 1] = short(doing, 40)
    end
  end
  vim.list_extend(parts, troubles())
  return table.concat(parts, " · ")
end

--- Several lines: every server, every open suggestion, what the agent does.
---@return string[]
function M.report()
  local lines = {}
  if #client.all() == 0 then
    return { client.state().message }
  end
  for _, one in ipairs(client.all()) do
    lines[#lines + 1] = one:describe()
      .. (one.version and one.state == "connected" and (" (version %s)"):format(one.version) or "")
    for _, suggestion in ipairs(store.list({ server = one.server.name })) do
      lines[#lines + 1] = ("  %s: %d of %d decided, revision %d%s"):format(
        short(suggestion.description, 60),
        suggestion.reviewed_count,
        suggestion.hunk_count,
        suggestion.revision,
        suggestion.base_moved and ", base moved" or ""
      )
    end
    local doing = activity(one.server.name)
    if doing then
      lines[#lines + 1] = "  The agent: " .. short(doing, 100)
    end
    local count, last, kinds = store.refused(one.server.name)
    if last then
      lines[#lines + 1] = ("  The cage refused %d%s, %s last%s"):format(
        count,
        refused.counts(kinds),
        short(refused.what(last), 70),
        refused.behind(last, 60)
      )
    end
  end
  return lines
end

return M
