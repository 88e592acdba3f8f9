--- Asking the agent: a prompt with the current file or selection goes to the sandbox's session; how its turn goes comes
--- back as events.
local client = require("suggestion-review.connection.client")
local chosen = require("suggestion-review.decisions.chosen")
local notify = require("suggestion-review.say.notify")
local slash = require("suggestion-review.decisions.slash")
local with_project = require("suggestion-review.decisions.with_project")

local M = {}

---@class SuggestionReview.AskOpts
---@field first_line? integer attach these lines of the current buffer
---@field last_line? integer
---@field without_file? boolean attach nothing
---@field server? string
---@field session_id? string a session to go on with; else the one that was chosen, or the last
---@field new_session? boolean begin one
---@field agent? string who answers, such as "plan"
---@field model? string by which model, as "provider/model"
---@field variant? string of the model
---@field suggestion_id? string the one under review

--- Sessions asked from here, so that the end of their turn is told.
---@type table<string, true>
local asked = {}
--- What was asked last.
---@type { session: string, server?: string, project?: string }?
local last

--- The session that was chosen, else the one that was asked last from here, where it was one of this server's.
---@param server string
---@param project? string
---@return string?
function M.last_session(server, project)
  local here = last and last.server == server and last.project == project
  return chosen.of(server, project).session or here and last.session or nil
end

--- A session is no more.
---@param session string
function M.forget(session)
  if last and last.session == session then
    last = nil
  end
end

--- Largest file that goes along as a whole; larger ones are only named.
local MAX_ATTACHED = 256 * 1024

---@param event SuggestionReview.Event
---@return boolean
function M.is_ours(event)
  return event.session_id ~= nil and asked[event.session_id] == true
end

--- Path as the agent knows it: below the checkout's root.
---@param buf integer
---@return string?
local function relative_name(buf)
  local name = vim.api.nvim_buf_get_name(buf)
  if name == "" or vim.bo[buf].buftype ~= "" then
    return nil
  end
  name = vim.fs.normalize(vim.uv.fs_realpath(name) or name)
  local root = vim.fs.root(name, { ".jj", ".git" })
  root = root and vim.fs.normalize(vim.uv.fs_realpath(root) or root)
  if root and vim.startswith(name, root .. "/") then
    return name:sub(#root + 2)
  end
  return name
end

--- What goes along with the prompt: selected lines with their text, else the file, as it is in the buffer now.
---@param buf integer
---@param opts SuggestionReview.AskOpts
---@return table[]
function M.attachments(buf, opts)
  if opts.without_file then
    return {}
  end
  local file = relative_name(buf)
  if not file then
    return {}
  end
  local count = vim.api.nvim_buf_line_count(buf)
  if opts.first_line then
    local first = math.max(1, math.min(opts.first_line, count))
    local final = math.max(first, math.min(opts.last_line or first, count))
    local text = table.concat(vim.api.nvim_buf_get_lines(buf, first - 1, final, false), "\n")
    if #text > MAX_ATTACHED then
      text = nil
    end
    return { { file = file, text = text, first_line = first, last_line = final } }
  end
  -- The agent has the file as it was committed; only what it cannot see is worth sending.
  if not vim.bo[buf].modified then
    return { { file = file } }
  end
  local text = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
  return { { file = file, text = #text <= MAX_ATTACHED and text or nil } }
end

--- What was asked last and did not arrive: the next prompt begins with it.
---@type string|nil
local unsent

---@param text string
---@param attachments table[]
---@param opts SuggestionReview.AskOpts
local function send(text, attachments, opts)
  unsent = text
  local target = client.get(opts.server)
  local server = target and target.server.name
  ---@param err SuggestionReview.Error
  local function not_asked(err)
    notify.error(("Not asked: %s; :Suggest ask offers the text again"):format(err.message))
  end
  ---@param project? string
  ---@param said SuggestionReview.Said
  local function send_to(project, said)
    local choice = chosen.request(server, project, opts)
    client.request({
      type = "ask",
      request = vim.tbl_extend("error", choice, said, {
        attachments = #attachments > 0 and attachments or nil,
        project = project,
      }),
    }, function(err, data)
      if err then
        return not_asked(err)
      end
      unsent = nil
      asked[data.session_id] = true
      chosen.sent(server, project, choice, data.session_id)
      last = { session = data.session_id, server = server, project = project }
      local with = ""
      local first = attachments[1]
      if first and first.first_line then
        with = (" about %s, lines %d to %d"):format(first.file, first.first_line, first.last_line)
      elseif first then
        with = " about " .. first.file
      end
      notify.info(("Asked%s; :Suggest abort stops it"):format(with))
    end, server)
  end
  with_project(target, opts.suggestion_id, function(project)
    slash.said(server, project, text, function(err, said)
      if err or not said then
        return not_asked(err or { code = "local", message = "there was no answer" })
      end
      send_to(project, said)
    end)
  end)
end

--- Asks the agent. Without `text` the prompt is asked for; "/name arguments" runs one of opencode's commands.
---@param text? string
---@param opts? SuggestionReview.AskOpts
function M.ask(text, opts)
  opts = opts or {}
  local attachments = M.attachments(vim.api.nvim_get_current_buf(), opts)
  local state = client.state(opts.server)
  if state.state ~= "connected" then
    unsent = text and text:find("%S") and text or unsent
    return notify.error("Not asked: " .. state.message)
  end
  if text and text:find("%S") then
    return send(text, attachments, opts)
  end
  local about = attachments[1] and (" about " .. attachments[1].file) or ""
  vim.ui.input({ prompt = ("Ask the agent%s: "):format(about), default = unsent }, function(input)
    if input and input:find("%S") then
      send(input, attachments, opts)
    end
  end)
end

--- Stops the agent's turn: the one asked for last, else whatever the project's agent does.
---@param suggestion_id? string the one under review
function M.abort(suggestion_id)
  local function stop(request, server)
    if next(request) == nil then
      request = vim.empty_dict()
    end
    client.request({ type = "abort", request = request }, function(err, data)
      if err then
        return notify.error("Not stopped: " .. err.message)
      end
      notify.info(data.aborted and "The agent was stopped" or "The agent was not working")
    end, server)
  end
  local picked = last and chosen.of(last.server, last.project).session
  if last and (not picked or picked == last.session) then
    return stop({ session_id = last.session, project = last.project }, last.server)
  end
  local target = client.get()
  with_project(target, suggestion_id, function(project)
    local server = target and target.server.name
    stop({ session_id = chosen.of(server, project).session, project = project }, server)
  end)
end

return M
