--- What the agent wants to run: a window that shows it whole, with a key for each answer, and one in which the
--- developer makes something else of it before it runs. There `:w` approves it as it stands; leaving either answers
--- nothing.
local activity = require("suggestion-review.model.activity")
local activity_lines = require("suggestion-review.text.activity_lines")
local answers = require("suggestion-review.decisions.answers")
local editor = require("suggestion-review.ui.editor")
local listeners = require("suggestion-review.model.listeners")
local notify = require("suggestion-review.say.notify")
local popup = require("suggestion-review.ui.popup")
local syntax = require("suggestion-review.ui.syntax")
local plain = require("suggestion-review.text.display").plain

local M = {}

--- Arguments that are a text to be written, of which a call has one.
local TEXTS = { "command", "patchText", "content", "newString" }

---@param entry SuggestionReview.PermissionEntry
---@return string|nil field
local function text_field(entry)
  for _, field in ipairs(TEXTS) do
    if type(entry.arguments and entry.arguments[field]) == "string" then
      return field
    end
  end
end

---@param entry SuggestionReview.PermissionEntry
---@param field string
---@return string title
---@return string|nil filetype
local function look_of(entry, field)
  if field == "command" then
    return "Edit the command", "sh"
  elseif field == "patchText" or not entry.file then
    return "Edit the patch", "diff"
  end
  local _, filetype = syntax.language(entry.file)
  local what = field == "newString" and "Edit what goes into " or "Edit "
  return what .. plain(vim.fs.basename(entry.file)), filetype
end

--- Opens what waits for a permission for editing.
---@param ask SuggestionReview.WaitingAsk
function M.edit(ask)
  local entry = ask.entry --[[@as SuggestionReview.PermissionEntry]]
  if not entry.editable then
    return notify.warn("opencode itself asks for this: it can be allowed or rejected, not edited")
  end
  local field = text_field(entry)
  if not field then
    return notify.warn("No text of this call can be edited here; permission({ arguments = … }) can")
  end
  local text = entry.arguments[field]
  local ends_line = text:sub(-1) == "\n"
  local lines = vim.split(ends_line and text:sub(1, -2) or text, "\n", { plain = true })
  local title, filetype = look_of(entry, field)
  editor.open({
    key = "approval " .. ask.server .. " " .. entry.id,
    name = "approval/" .. field,
    title = title,
    lines = lines,
    filetype = filetype,
    again = "; :Suggest permission edit shows it again",
  }, function(edited, done)
    local now = table.concat(edited, "\n") .. (ends_line and "\n" or "")
    if now == text then
      return answers.reply(ask, "once", nil, done)
    end
    answers.reply(ask, "edit", { arguments = { [field] = now } }, done)
  end)
end

---@class (exact) SuggestionReview.ApprovalKey
---@field key string
---@field text string
---@field run fun(ask: SuggestionReview.WaitingAsk)

---@param reply "once"|"always"
---@return fun(ask: SuggestionReview.WaitingAsk)
local function replies(reply)
  return function(ask)
    answers.reply(ask, reply)
  end
end

---@param entry SuggestionReview.PermissionEntry
---@return SuggestionReview.ApprovalKey[]
local function keys_of(entry)
  local keys = { { key = "o", text = "once", run = replies("once") } }
  if #entry.always > 0 then
    keys[#keys + 1] = { key = "a", text = "always", run = replies("always") }
  end
  if entry.editable then
    keys[#keys + 1] = { key = "e", text = "edit", run = M.edit }
  end
  keys[#keys + 1] = { key = "r", text = "reject", run = answers.reject }
  return keys
end

---@param entry SuggestionReview.PermissionEntry
---@return string[]
local function lines_of(entry)
  local lines = activity_lines.subject(entry)
  if #entry.always > 0 then
    vim.list_extend(lines, { "", "always: " .. plain(table.concat(entry.always, ", ")) })
  end
  return lines
end

--- Closes the window when the ask is answered, by whomever.
---@param ask SuggestionReview.WaitingAsk
---@param win integer
local function close_when_answered(ask, win)
  local unsubscribe
  unsubscribe = listeners.subscribe(function(event)
    local entry = event.entry --[[@as SuggestionReview.Ask?]]
    if event.type == "activity.answered" and entry and entry.id == ask.entry.id then
      unsubscribe()
      if vim.api.nvim_win_is_valid(win) then
        vim.api.nvim_win_close(win, true)
      end
    end
  end)
  vim.api.nvim_create_autocmd("WinClosed", { pattern = tostring(win), once = true, callback = unsubscribe })
end

--- Shows what waits for a permission.
---@param ask SuggestionReview.WaitingAsk
function M.show(ask)
  local entry = ask.entry --[[@as SuggestionReview.PermissionEntry]]
  local keys, lines = keys_of(entry), lines_of(entry)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
  local footer, width = {}, 40
  for _, one in ipairs(keys) do
    footer[#footer + 1] = { " " .. one.key, "SuggestionReviewKey" }
    footer[#footer + 1] = { " " .. one.text .. " ", "SuggestionReviewHint" }
  end
  vim.list_extend(footer, { { " q", "SuggestionReviewKey" }, { " later ", "SuggestionReviewHint" } })
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  width = math.min(width, vim.o.columns - 4)
  local height = 0
  for _, line in ipairs(lines) do
    height = height + math.max(1, math.ceil(vim.fn.strdisplaywidth(line) / width))
  end
  local others = #activity.asks("agent.permission") - 1
  local queue = others > 0 and (", %d more"):format(others) or ""
  local win = popup.open(buf, true, {
    width = width,
    height = math.min(height, math.max(1, math.floor(vim.o.lines * 0.7))),
    title = (" The agent wants to use %s%s "):format(entry.permission, queue),
    footer = footer,
    wrap = true,
    -- It is of no review.
    keep = true,
  })
  if not entry.command and entry.diff then
    vim.bo[buf].filetype = "diff"
  end
  local function close()
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
  for _, lhs in ipairs({ "q", "<Esc>" }) do
    vim.keymap.set("n", lhs, close, { buffer = buf, nowait = true })
  end
  for _, one in ipairs(keys) do
    vim.keymap.set("n", one.key, function()
      close()
      one.run(ask)
    end, { buffer = buf, nowait = true, desc = one.text })
  end
  close_when_answered(ask, win)
end

return M
