--- The agent's sessions: choosing one for the next prompt; naming, forking, compacting, exporting and deleting them.
local ask = require("suggestion-review.decisions.ask")
local choose_from = require("suggestion-review.say.choose_from")
local chosen = require("suggestion-review.decisions.chosen")
local notify = require("suggestion-review.say.notify")
local plain = require("suggestion-review.text.display").plain
local to_server = require("suggestion-review.decisions.to_server")
local transcript = require("suggestion-review.decisions.transcript")
local which_session = require("suggestion-review.decisions.which_session")

local M = {}

---@class SuggestionReview.SessionOpts
---@field action? "new"|"rename"|"fork"|"compact"|"export"|"delete" choose one where it is left out
---@field title? string with "rename"
---@field session_id? string the chosen one, else the one that was asked last, else the one that was active last
---@field server? string

--- Most sessions in a list; others are found by their titles over the API.
local LISTED = 100

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
local function begin_new(server, project)
  local of = chosen.of(server, project)
  of.session, of.new = nil, true
  notify.info("The next prompt begins a session")
end

---@param server string
---@param project? string
local function choose_session(server, project)
  to_server.send(server, { type = "sessions", project = project, limit = LISTED }, function(data)
    local current = ask.last_session(server, project)
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
        return begin_new(server, project)
      end
      local of = chosen.of(server, project)
      of.session, of.new = choice.session_id, nil
      notify.info("The next prompt goes to: " .. plain(choice.title))
    end)
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
    to_server.send(server, { type = "renameSession", request = renamed }, function(data)
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
  to_server.send(server, { type = "forkSession", request = request }, function(data)
    local of = chosen.of(server, request.project)
    of.session, of.new = data.session.session_id, nil
    notify.info("Forked; the next prompt goes to: " .. plain(data.session.title))
  end)
end

---@param server string
---@param request table
local function compact(server, request)
  to_server.send(server, { type = "compactSession", request = request }, function()
    notify.info("The agent summarizes the session")
  end)
end

--- Calls back with the title of a session, or its id where it is not among the latest.
---@param server string
---@param request table
---@param callback fun(title: string)
local function with_title(server, request, callback)
  to_server.send(server, { type = "sessions", project = request.project, limit = LISTED }, function(data)
    for _, session in ipairs(data.sessions) do
      if session.session_id == request.session_id then
        return callback(plain(session.title))
      end
    end
    callback(request.session_id)
  end)
end

---@param server string
---@param request table
local function delete(server, request)
  with_title(server, request, function(title)
    choose_from({ "Keep it", "Delete it, with all that was said in it" }, {
      prompt = ('Delete the session "%s"? Suggestions stay.'):format(title),
    }, function(_, index)
      if index ~= 2 then
        return
      end
      to_server.send(server, { type = "deleteSession", request = request }, function()
        local of = chosen.of(server, request.project)
        if of.session == request.session_id then
          of.session = nil
        end
        ask.forget(request.session_id)
        notify.info(('The session "%s" was deleted'):format(title))
      end)
    end)
  end)
end

---@param server string
---@param request table
local function export(server, request)
  transcript.fetch(server, request.project, request.session_id, function(err, markdown)
    if err or not markdown then
      return notify.error("Not exported: " .. (err and err.message or "there was no answer"))
    end
    transcript.open(server, request.session_id, markdown)
    notify.info("The session as it is now; :write FILE keeps it")
  end)
end

local ACTIONS = { rename = rename, fork = fork, compact = compact, export = export, delete = delete }

--- What `:Suggest session` takes.
M.ACTIONS = { "compact", "delete", "export", "fork", "new", "rename" }

--- Chooses the session that the next prompt goes to, or does something with one.
---@param opts? SuggestionReview.SessionOpts
function M.session(opts)
  opts = opts or {}
  local action = opts.action
  if action and not vim.list_contains(M.ACTIONS, action) then
    return notify.error("Not done: expected one of " .. table.concat(M.ACTIONS, ", "))
  end
  to_server.with(opts.server, function(server, project)
    if not action then
      return choose_session(server, project)
    elseif action == "new" then
      return begin_new(server, project)
    end
    which_session(server, project, opts.session_id, function(err, session)
      if err then
        notify.error("Not done: " .. err.message)
      elseif session then
        ACTIONS[action](server, { session_id = session, project = project, title = opts.title })
      else
        notify.info("The agent has no session yet: :Suggest ask")
      end
    end)
  end)
end

return M
