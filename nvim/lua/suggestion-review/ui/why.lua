--- The window that says why a hunk is there. It opens at once and says that it waits; what it waits for comes by
--- itself.
local popup = require("suggestion-review.ui.popup")
local why_lines = require("suggestion-review.text.why_lines")

local M = {}

local WIDTH = 96
local NAMESPACE = vim.api.nvim_create_namespace("suggestion-review-why")

---@class (exact) SuggestionReview.WhyWindow
---@field buf integer
---@field win integer

---@param shown SuggestionReview.WhyWindow
---@return boolean
function M.is_open(shown)
  return vim.api.nvim_win_is_valid(shown.win) and vim.api.nvim_buf_is_valid(shown.buf)
end

---@param shown SuggestionReview.WhyWindow
---@param lines string[]
local function put(shown, lines)
  vim.bo[shown.buf].modifiable = true
  vim.api.nvim_buf_set_lines(shown.buf, 0, -1, false, lines)
  vim.bo[shown.buf].modifiable = false
  vim.api.nvim_win_set_config(shown.win, { height = math.max(1, math.min(#lines, vim.o.lines - 6)) })
end

---@param shown SuggestionReview.WhyWindow
function M.close(shown)
  if vim.api.nvim_win_is_valid(shown.win) then
    vim.api.nvim_win_close(shown.win, true)
  end
end

---@param title string
---@return SuggestionReview.WhyWindow
function M.open(title)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  local win = popup.open(buf, true, {
    width = math.min(WIDTH, math.max(20, vim.o.columns - 8)),
    height = 1,
    title = " Why: " .. title .. " ",
    title_pos = "center",
    footer = " <CR> go there  q close ",
    footer_pos = "right",
  })
  vim.bo[buf].filetype = "suggestion-why"
  local shown = { buf = buf, win = win }
  put(shown, { "  The server is asked …" })
  for _, key in ipairs({ "q", "<Esc>" }) do
    vim.keymap.set("n", key, function()
      M.close(shown)
    end, { buffer = buf, nowait = true, desc = "Close" })
  end
  return shown
end

--- Says in its place why nothing is known.
---@param shown SuggestionReview.WhyWindow
---@param message string
function M.refuse(shown, message)
  if M.is_open(shown) then
    put(shown, { "  " .. require("suggestion-review.text.display").first_line(message) })
  end
end

--- Shows the answer, if the window is still there.
---@param shown SuggestionReview.WhyWindow
---@param why SuggestionReview.WhyAnswer
---@param go fun(call: SuggestionReview.WhyCall) what <CR> on a call does
function M.fill(shown, why, go)
  if not M.is_open(shown) then
    return
  end
  local made = why_lines.of(why, vim.api.nvim_win_get_width(shown.win) - 2)
  put(shown, made.lines)
  for _, mark in ipairs(made.marks) do
    vim.api.nvim_buf_set_extmark(shown.buf, NAMESPACE, mark[1] - 1, 0, { line_hl_group = mark[2] })
  end
  vim.keymap.set("n", "<CR>", function()
    local call = made.calls[vim.api.nvim_win_get_cursor(shown.win)[1]]
    if call then
      go(call)
    end
  end, { buffer = shown.buf, nowait = true, desc = "Go to this call in the session" })
end

return M
