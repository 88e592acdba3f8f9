--- Tells the user and other plugins what happened to suggestions: messages as the settings allow, `User` autocommands
--- always.
local config = require("suggestion-review.config")
local listeners = require("suggestion-review.model.listeners")
local notify = require("suggestion-review.say.notify")
local store = require("suggestion-review.model.store")
local text_of = require("suggestion-review.text.display")

local M = {}

--- Text from elsewhere as one line that cannot play tricks on a terminal.
---@param text string
---@return string
local function plain(text)
  text = text:gsub("%c+", " ")
  return #text > 500 and vim.fn.strcharpart(text, 0, 400) .. "…" or text
end

---@param count integer
---@param noun string
local function counted(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

--- The notification the design asks for: "Suggestion ready: <description> (5 hunks in 3 files)".
---@param suggestion SuggestionReview.Summary
---@param hint? string what to do about it, put behind
---@return string
function M.ready_text(suggestion, hint)
  local title = plain(vim.split(suggestion.description, "\n", { plain = true })[1])
  local text = ("Suggestion ready: %s (%s in %s)"):format(
    title,
    counted(suggestion.hunk_count, "hunk"),
    counted(#suggestion.files, "file")
  )
  local left = suggestion.hunk_count - suggestion.reviewed_count
  if suggestion.revision > 1 then
    text = text .. (", revision %d, %d to decide"):format(suggestion.revision, left)
  end
  -- A message wider than the screen asks for a key, and takes the first one of a mapping for it: the hint goes first,
  -- then the end of the title.
  local room = vim.v.echospace
  if hint and vim.fn.strdisplaywidth(text .. hint) <= room then
    return text .. hint
  end
  local over = vim.fn.strdisplaywidth(text) - room
  if over <= 0 then
    return text
  end
  local kept = math.max(8, vim.fn.strchars(title) - over - 1)
  local from, to = text:find(title, 1, true)
  return text:sub(1, from - 1) .. vim.fn.strcharpart(title, 0, kept) .. "…" .. text:sub(to + 1)
end

--- `User` autocommand patterns, by event type. Each gets `data.event` and, where there is one, `data.suggestion`.
local PATTERNS = {
  ["suggestion.ready"] = "SuggestionReady",
  ["suggestion.error"] = "SuggestionError",
  ["suggestion.status"] = "SuggestionStatus",
  ["suggestion.hunk_applied"] = "SuggestionHunkApplied",
  ["suggestion.hunk_reset"] = "SuggestionHunkReset",
  ["suggestion.comment"] = "SuggestionComment",
  ["suggestion.completed"] = "SuggestionCompleted",
  ["suggestion.reopened"] = "SuggestionReopened",
  ["suggestion.base_moved"] = "SuggestionBaseMoved",
  ["suggestion.verified"] = "SuggestionVerified",
  ["agent.turn"] = "SuggestionAgentTurn",
  ["sandbox.refused"] = "SuggestionSandboxRefused",
  ["client.state"] = "SuggestionConnection",
}
M.patterns = PATTERNS

--- A suggestion without its hunks: autocommand data is copied, and thousands of hunks with each event are felt.
---@param id string?
---@return SuggestionReview.Summary?
local function summary(id)
  local suggestion = id and store.get(id)
  if not suggestion then
    return nil
  end
  local copy = {}
  for name, value in pairs(suggestion) do
    if name ~= "hunks" and name ~= "file_summaries" then
      copy[name] = value
    end
  end
  return copy
end

---@param event SuggestionReview.Event
local function fire(event)
  local pattern = PATTERNS[event.type]
  if not pattern then
    return
  end
  local id = event.suggestion_id or (event.suggestion and event.suggestion.id)
  vim.api.nvim_exec_autocmds("User", {
    pattern = pattern,
    modeline = false,
    data = { event = event, suggestion = summary(id) },
  })
end

--- Shows how a finalized suggestion would be adopted.
---@type fun(plan: SuggestionReview.AdoptPlan)
local show_plan

---@type table<string, fun(event: SuggestionReview.Event, settings: table)>
local tell = {}

tell["suggestion.ready"] = function(event, settings)
  if not settings.on_ready then
    return
  end
  local suggestion = store.get(event.suggestion.id)
  -- Replayed after a reconnect, it may be settled by now.
  if not suggestion or suggestion.state ~= "open" or suggestion.revision ~= event.suggestion.revision then
    return
  end
  local key = config.get().keymaps.open_review
  notify.info(
    M.ready_text(
      suggestion,
      key and (" — %s to review"):format(text_of.typed(key)) or " — :Suggest review"
    )
  )
end

tell["suggestion.error"] = function(event, settings)
  if not settings.on_error then
    return
  end
  notify.error(plain(event.message))
end

tell["suggestion.status"] = function(event, settings)
  if settings.on_status and not event.replayed then
    notify.info(plain(event.message))
  end
end

tell["agent.turn"] = function(event, settings)
  if not event.replayed and event.retry and settings.on_status then
    notify.info(plain(event.message))
  end
  if event.replayed or event.state == "busy" then
    return
  end
  -- The end of a turn is told to whoever asked for it.
  local ask = package.loaded["suggestion-review.decisions.ask"]
  local asked = ask and ask.is_ours(event)
  if event.state == "error" and settings.on_error then
    notify.warn(plain(event.message))
  elseif event.state == "idle" and (asked or settings.on_status) then
    notify.info(plain(event.message))
  end
end

--- Milliseconds for which refusals are gathered into one message.
local GATHER_MS = 500
---@type SuggestionReview.Event[]
local refused = {}

---@param event SuggestionReview.Event
---@return string
function M.refused_text(event)
  if event.kind == "disk" or event.kind == "memory" then
    local what = event.command and ("“%s”"):format(plain(event.command)) or "the agent's commands"
    return ("The cage stopped %s: %s (%s)"):format(what, plain(event.reason), plain(event.target))
  end
  local who = event.program and (" to %s"):format(plain(event.program)) or ""
  local behind = event.command and (" in “%s”"):format(plain(event.command)) or ""
  local text = ("The cage refused %s%s%s (%s)"):format(plain(event.target), who, behind, plain(event.reason))
  return event.kind == "network"
      and event.target ~= "*"
      and ("%s; npm run sandbox -- allow %s"):format(text, plain(event.target))
    or text
end

local function tell_refusals()
  local events = refused
  refused = {}
  if #events == 1 then
    return notify.warn(M.refused_text(events[1]))
  end
  local targets = {}
  for i = 1, math.min(3, #events) do
    targets[i] = plain(events[i].target)
  end
  local more = #events > 3 and " …" or ""
  notify.warn(
    ("The cage refused %d things: %s%s; :Suggest status"):format(#events, table.concat(targets, ", "), more)
  )
end

tell["sandbox.refused"] = function(event, settings)
  if event.replayed or not settings.on_error then
    return
  end
  refused[#refused + 1] = event
  if #refused == 1 then
    vim.defer_fn(tell_refusals, GATHER_MS)
  end
end

tell["suggestion.verified"] = function(event, settings)
  if event.ok or not settings.on_error then
    return
  end
  notify.warn(
    ("The check of the accepted work failed%s"):format(
      event.exit_code and (" with exit code %d"):format(event.exit_code) or ""
    )
  )
end

tell["suggestion.base_moved"] = function(event, settings)
  if settings.on_status then
    notify.info(("%s has moved on since this suggestion was made"):format(event.branch))
  end
end

tell["suggestion.completed"] = function(event, settings)
  if event.action == "finalized" then
    require("suggestion-review.adopt").offer(event.suggestion_id, show_plan)
  end
  if settings.on_status and event.action == "discarded" then
    notify.info("The suggestion was discarded")
  end
end

local listed = {}

--- Suggestions that were waiting when this Neovim came, as one notification.
---@param server string
local function greet(server)
  if listed[server] then
    return
  end
  listed[server] = true
  local open = store.list({ server = server })
  if #open == 0 or not config.get().notifications.on_ready then
    return
  end
  if #open == 1 then
    return notify.info(M.ready_text(open[1]))
  end
  notify.info(
    ("%d suggestions wait for review; the newest: %s"):format(
      #open,
      vim.split(open[#open].description, "\n", { plain = true })[1]
    )
  )
end

local attached = false

--- Starts listening; once is enough.
---@param on_plan fun(plan: SuggestionReview.AdoptPlan) shows how a suggestion finalized here would be adopted
function M.attach(on_plan)
  show_plan = on_plan
  if attached then
    return
  end
  attached = true
  listeners.subscribe(function(event)
    if event.type == "store.reset" then
      return greet(event.server)
    end
    if event.type == "client.state" and event.state == "connected" then
      notify.connected(event.server)
    end
    local handler = tell[event.type]
    if handler then
      handler(event, config.get().notifications)
    end
  end)
  listeners.subscribe(fire)
end

return M
