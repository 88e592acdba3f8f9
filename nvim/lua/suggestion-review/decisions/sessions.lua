--- The agent's sessions: choosing one for the next prompt, who answers and by which model; naming, forking, compacting
--- and deleting them.
local activity = require("suggestion-review.model.activity")
local ask = require("suggestion-review.decisions.ask")
local choose_from = require("suggestion-review.say.choose_from")
local chosen = require("suggestion-review.decisions.chosen")
local client = require("suggestion-review.connection.client")
local notify = require("suggestion-review.say.notify")
local plain = require("suggestion-review.text.display").plain
local with_project = require("suggestion-review.decisions.with_project")

local M = {}

---@class SuggestionReview.SessionOpts
---@field action? "new"|"rename"|"fork"|"compact"|"delete" choose one where it is left out
---@field title? string with "rename"
---@field session_id? string the chosen one, else the one that was asked last, else the one that was active last
---@field server? string

---@class SuggestionReview.ModelOpts
---@field model? string "provider/model"
---@field variant? string
---@field server? string

---@class SuggestionReview.ModeOpts
---@field agent? string
---@field server? string

--- Most sessions in a list; others are found by their titles over the API.
local LISTED = 100

--- Calls back with the server's name and the project that is meant.
---@param name? string
---@param callback fun(server: string, project?: string)
local function with_server(name, callback)
  local target = client.get(name)
  if not target or target.state ~= "connected" then
    return notify.error("Not done: " .. client.state(name).message)
  end
  with_project(target, nil, function(project)
    callback(target.server.name, project)
  end)
end

--- Sends a command; what is refused is said.
---@param server string
---@param command table
---@param callback fun(data: table)
local function send(server, command, callback)
  client.request(command, function(err, data)
    if err then
      return notify.error("Not done: " .. err.message)
    end
    callback(data)
  end, server)
end

---@param session SuggestionReview.AgentSession
---@param current? string
---@return string
local function line(session, current)
  local parts = { plain(session.title) }
  for _, part in ipairs({ session.agent or "", session.model or "", session.variant or "" }) do
    if part ~= "" then
      parts[#parts + 1] = plain(part)
    end
  end
  -- As the server has it: no day is on two calendars.
  parts[#parts + 1] = session.updated_at:sub(1, 16):gsub("T", " ") .. " UTC"
  if session.state ~= "idle" then
    parts[#parts + 1] = session.state == "retry" and "waits for its provider" or "working"
  end
  return (session.session_id == current and "● " or "  ") .. table.concat(parts, " · ")
end

---@param server string
---@param project? string
local function choose_session(server, project)
  send(server, { type = "sessions", project = project, limit = LISTED }, function(data)
    local current = ask.last_session(server)
    local items = vim.list_extend({ { new = true } }, data.sessions)
    choose_from(items, {
      prompt = data.next and ("The latest %d sessions:"):format(#data.sessions) or "Sessions:",
      format_item = function(item)
        return item.new and "  A new session" or line(item, current)
      end,
    }, function(choice)
      if not choice then
        return
      elseif choice.new then
        return M.session({ action = "new", server = server })
      end
      local of = chosen.of(server)
      of.session, of.new = choice.session_id, nil
      notify.info("The next prompt goes to: " .. plain(choice.title))
    end)
  end)
end

---@param server string
---@param named? string
---@param callback fun(session: string)
local function with_session(server, named, callback)
  local root = named or ask.last_session(server)
  if root then
    return callback(root)
  end
  activity.latest(server, function(err, latest)
    if err then
      notify.error("Not done: " .. err.message)
    elseif latest then
      callback(latest)
    else
      notify.info("The agent has no session yet: :Suggest ask")
    end
  end)
end

---@param server string
---@param request table
local function rename(server, request)
  local function send_title(title)
    if not title or not title:find("%S") then
      return
    end
    local renamed = vim.tbl_extend("force", request, { title = title })
    send(server, { type = "renameSession", request = renamed }, function(data)
      notify.info("The session is called: " .. plain(data.session.title))
    end)
  end
  if request.title then
    return send_title(request.title)
  end
  vim.ui.input({ prompt = "Title of the session: " }, send_title)
end

---@param server string
---@param request table
local function fork(server, request)
  send(server, { type = "forkSession", request = request }, function(data)
    local of = chosen.of(server)
    of.session, of.new = data.session.session_id, nil
    notify.info("Forked; the next prompt goes to: " .. plain(data.session.title))
  end)
end

---@param server string
---@param request table
local function compact(server, request)
  send(server, { type = "compactSession", request = request }, function()
    notify.info("The agent summarizes the session")
  end)
end

---@param server string
---@param request table
local function delete(server, request)
  choose_from({ "Keep it", "Delete it, with all that was said in it" }, {
    prompt = "Delete the session? Suggestions stay.",
  }, function(_, index)
    if index ~= 2 then
      return
    end
    send(server, { type = "deleteSession", request = request }, function()
      local of = chosen.of(server)
      if of.session == request.session_id then
        of.session = nil
      end
      ask.forget(request.session_id)
      notify.info("The session was deleted")
    end)
  end)
end

local ACTIONS = { rename = rename, fork = fork, compact = compact, delete = delete }

--- What `:Suggest session` takes.
M.ACTIONS = { "compact", "delete", "fork", "new", "rename" }

--- Chooses the session that the next prompt goes to, or does something with one.
---@param opts? SuggestionReview.SessionOpts
function M.session(opts)
  opts = opts or {}
  local action = opts.action
  if action and not vim.list_contains(M.ACTIONS, action) then
    return notify.error("Not done: expected one of " .. table.concat(M.ACTIONS, ", "))
  end
  with_server(opts.server, function(server, project)
    if not action then
      return choose_session(server, project)
    elseif action == "new" then
      local of = chosen.of(server)
      of.session, of.new = nil, true
      return notify.info("The next prompt begins a session")
    end
    with_session(server, opts.session_id, function(session)
      ACTIONS[action](server, { session_id = session, project = project, title = opts.title })
    end)
  end)
end

--- What there was to choose when that was last asked for, for completion.
---@type SuggestionReview.ChoicesAnswer?
local known

---@param server string
---@param project? string
---@param callback fun(choices: SuggestionReview.ChoicesAnswer)
local function with_choices(server, project, callback)
  send(server, { type = "choices", project = project }, function(data)
    known = data --[[@as SuggestionReview.ChoicesAnswer]]
    callback(known)
  end)
end

---@param kind "models"|"agents"
---@return string[]
function M.known(kind)
  return vim.tbl_map(function(one)
    return one.model ~= nil and kind == "models" and one.model or one.agent
  end, known and known[kind] or {})
end

---@param server string
---@param model string
---@param variant? string
local function take_model(server, model, variant)
  local of = chosen.of(server)
  of.model, of.variant = model, variant
  notify.info(("The next prompt is answered by %s%s"):format(model, variant and ", " .. variant or ""))
end

--- Chooses the model for the next prompt; it stays with the session.
---@param opts? SuggestionReview.ModelOpts
function M.model(opts)
  opts = opts or {}
  with_server(opts.server, function(server, project)
    if opts.model then
      -- Whether there is such a one is the server's to say, with the prompt.
      return take_model(server, opts.model, opts.variant)
    end
    with_choices(server, project, function(choices)
      choose_from(choices.models, {
        prompt = "Which model?",
        format_item = function(item)
          local mark = item.model == choices.default_model and " (where nothing is chosen)" or ""
          return ("%s · %s%s"):format(plain(item.name), item.model, mark)
        end,
      }, function(choice)
        if not choice then
          return
        elseif #choice.variants == 0 then
          return take_model(server, choice.model)
        end
        local variants = vim.list_extend({ false }, choice.variants)
        choose_from(variants, {
          prompt = "Which variant?",
          format_item = function(variant)
            return variant or "As it is"
          end,
        }, function(variant)
          if variant ~= nil then
            take_model(server, choice.model, variant or nil)
          end
        end)
      end)
    end)
  end)
end

--- Chooses which of the agents answers the next prompt, such as build or plan; it stays with the session.
---@param opts? SuggestionReview.ModeOpts
function M.mode(opts)
  opts = opts or {}
  with_server(opts.server, function(server, project)
    local function take(agent)
      chosen.of(server).agent = agent
      notify.info("The next prompt is answered by " .. agent)
    end
    if opts.agent then
      return take(opts.agent)
    end
    with_choices(server, project, function(choices)
      choose_from(choices.agents, {
        prompt = "Who answers?",
        format_item = function(item)
          local description = plain(item.description)
          return description == "" and item.agent or ("%s: %s"):format(item.agent, description)
        end,
      }, function(choice)
        if choice then
          take(choice.agent)
        end
      end)
    end)
  end)
end

return M
