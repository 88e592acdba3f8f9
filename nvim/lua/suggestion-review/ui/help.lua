--- The help popup of the review: the keys as they are set, in groups.
local popup = require("suggestion-review.ui.popup")

local M = {}

---@param keys table
---@param groups string[]
---@return string[] lines
---@return table[] marks line, from, to, highlight group
local function column(keys, groups)
  local lines, marks = {}, {}
  for _, group in ipairs(groups) do
    if #lines > 0 then
      lines[#lines + 1] = ""
    end
    marks[#marks + 1] = { #lines, 1, #group + 1, "SuggestionReviewTitle" }
    lines[#lines + 1] = " " .. group
    for _, key in ipairs(keys.list) do
      local lhs = key.group == group and keys.key(key.name)
      if lhs and not key.name:find("_in_file$") then
        marks[#marks + 1] = { #lines, 3, 3 + #lhs, "SuggestionReviewKey" }
        lines[#lines + 1] = ("   %-6s %s"):format(lhs, key.text)
      end
    end
  end
  return lines, marks
end

---@param lines string[]
local function width_of(lines)
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, vim.api.nvim_strwidth(line))
  end
  return width
end

function M.open()
  local keys = require("suggestion-review.ui.keys")
  local half = math.floor(#keys.GROUPS / 2)
  local left, left_marks = column(keys, vim.list_slice(keys.GROUPS, 1, half))
  local right, right_marks = column(keys, vim.list_slice(keys.GROUPS, half + 1))
  local lines, marks = left, left_marks
  local gutter = width_of(left) + 2
  if gutter + width_of(right) + 4 <= vim.o.columns then
    for i = 1, math.max(#left, #right) do
      local text = left[i] or ""
      lines[i] = text .. (" "):rep(gutter - vim.api.nvim_strwidth(text)) .. (right[i] or "")
    end
    for _, mark in ipairs(right_marks) do
      local shift = #lines[mark[1] + 1] - #right[mark[1] + 1]
      marks[#marks + 1] = { mark[1], mark[2] + shift, mark[3] + shift, mark[4] }
    end
  else
    for _, mark in ipairs(right_marks) do
      marks[#marks + 1] = { mark[1] + #left + 1, mark[2], mark[3], mark[4] }
    end
    lines[#lines + 1] = ""
    vim.list_extend(lines, right)
  end
  lines[#lines + 1] = ""
  marks[#marks + 1] = { #lines, 0, 200, "SuggestionReviewHint" }
  lines[#lines + 1] = (" %s and %s also take selected lines; . repeats them"):format(
    keys.key("accept") or "accept",
    keys.key("reject") or "reject"
  )
  local width = width_of(lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
  local namespace = vim.api.nvim_create_namespace("suggestion-review.help")
  for _, mark in ipairs(marks) do
    vim.api.nvim_buf_set_extmark(
      buf,
      namespace,
      mark[1],
      mark[2],
      { end_col = math.min(mark[3], #lines[mark[1] + 1]), hl_group = mark[4] }
    )
  end
  local win = popup.open(buf, true, {
    width = width + 2,
    height = #lines,
    title = " Keys of the review ",
    footer = #lines > vim.o.lines - 4 and " scroll for more " or nil,
  })
  for _, lhs in ipairs({ "q", "<Esc>", "?", "<CR>" }) do
    vim.keymap.set("n", lhs, function()
      if vim.api.nvim_win_is_valid(win) then
        vim.api.nvim_win_close(win, true)
      end
    end, { buffer = buf, nowait = true })
  end
  vim.api.nvim_create_autocmd("WinLeave", {
    buffer = buf,
    once = true,
    callback = function()
      if vim.api.nvim_win_is_valid(win) then
        vim.api.nvim_win_close(win, true)
      end
    end,
  })
end

return M
