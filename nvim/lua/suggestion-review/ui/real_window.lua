--- A normal window for one of the developer's own files: never one of ours, never one that holds something else fast.
local editor = require("suggestion-review.lib.editor")

local M = {}

--- Whether the window's buffer may go out of sight: nothing unsaved would be abandoned.
---@param win integer
local function can_leave(win)
  local buf = vim.api.nvim_win_get_buf(win)
  local hides = vim.bo[buf].bufhidden == "hide" or (vim.bo[buf].bufhidden == "" and vim.o.hidden)
  return not vim.bo[buf].modified or hides or #vim.fn.win_findbuf(buf) > 1
end

---@param win integer
local function is_normal(win)
  return vim.api.nvim_win_is_valid(win)
    and vim.api.nvim_win_get_config(win).relative == ""
    and vim.bo[vim.api.nvim_win_get_buf(win)].buftype == ""
    and not vim.wo[win].previewwindow
end

--- Windows in which the buffer may be shown, the best first.
---@param buf integer
---@param first integer|nil
---@param hide boolean|nil
---@return integer|nil
local function find(buf, first, hide)
  local wins = { first or vim.api.nvim_get_current_win(), vim.fn.win_getid(vim.fn.winnr("#")) }
  vim.list_extend(wins, vim.api.nvim_tabpage_list_wins(0))
  for _, win in ipairs(wins) do
    if
      is_normal(win)
      and (vim.api.nvim_win_get_buf(win) == buf or not vim.wo[win].winfixbuf and (hide or can_leave(win)))
    then
      return win
    end
  end
end

--- A new window: beside the others, or in a tab of its own where there is no room.
---@param buf integer
local function split(buf)
  local tab = vim.api.nvim_get_current_tabpage()
  local beside
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(tab)) do
    if vim.api.nvim_win_get_config(win).relative == "" then
      beside = win
    end
  end
  local ok, win = pcall(vim.api.nvim_open_win, buf, true, { split = "above", win = beside })
  if not ok then
    vim.cmd(("tab sbuffer %d"):format(buf))
    win = vim.api.nvim_get_current_win()
  end
  for _, name in ipairs({ "winfixbuf", "winfixheight", "winfixwidth", "previewwindow" }) do
    vim.api.nvim_set_option_value(name, false, { scope = "local", win = win })
  end
end

--- Shows a file in a normal window and enters that: the given or the current one if it may, else another, else a new
--- one. Nothing unsaved is abandoned, nothing is asked.
---@param path string
---@param first? integer window
---@param hide? boolean what a window holds with unsaved edits goes out of sight and stays loaded, as with |:hide|
---@return boolean shown
---@return string|nil reason
function M.show(path, first, hide)
  local ok, message = pcall(function()
    editor.stop_typing()
    local buf = vim.fn.bufadd(path)
    local win = find(buf, first, hide)
    if not win then
      split(buf)
    else
      vim.api.nvim_set_current_win(win)
      if vim.api.nvim_win_get_buf(win) ~= buf then
        vim.cmd(("silent keepalt %sbuffer %d"):format(hide and "hide " or "", buf))
      end
    end
    vim.bo[buf].buflisted = true
  end)
  if ok then
    return true
  end
  local reason = editor.refusal(message)
  if not reason then
    error(message, 0)
  end
  return false, reason
end

--- Puts the cursor on a line of the current window, in the middle where it was out of sight, folds open.
---@param line integer
---@param middle? boolean in any case
function M.go_to(line, middle)
  local win = vim.api.nvim_get_current_win()
  vim.cmd("mark '")
  line = math.max(1, math.min(line, vim.api.nvim_buf_line_count(0)))
  vim.api.nvim_win_set_cursor(win, { line, 0 })
  vim.cmd("silent! .foldopen!")
  if middle then
    local height = vim.api.nvim_win_get_height(win)
    vim.fn.winrestview({ topline = math.max(1, line - math.floor((height - 1) / 2)) })
  end
end

return M
