--- The hunk as a textobject: its rows in the review, its lines in the buffer when reviewing inline.
local M = {}

--- First and last line of the hunk under the cursor in a buffer of the review; nothing where there is none.
---@return integer|nil first 1-based
---@return integer|nil last
function M.rows_here()
  local view = require("suggestion-review.ui.render").view(vim.api.nvim_get_current_buf())
  if not view then
    return
  end
  local at = vim.api.nvim_win_get_cursor(0)[1]
  while view.rows[at] == false do
    at = at - 1 -- beside lines that the other side has
  end
  local here = view.rows[at]
  -- Its headline and what changes; the lines around it are the file's.
  if not here or not here.hunk or here.kind == "context" then
    return
  end
  local first, last
  for i, row in ipairs(view.rows) do
    if row and row.hunk == here.hunk and (row.kind == "old" or row.kind == "new") then
      first, last = first or i, i
    end
  end
  return first, last
end

--- For an `expr` map: what selects the hunk under the cursor, linewise. Where there is none an operator is given up and
--- a selection stays as it is.
---@param lines_here fun(): integer|nil, integer|nil
---@return string keys
function M.keys(lines_here)
  local first, last = lines_here()
  local mode = vim.api.nvim_get_mode().mode
  if not first then
    return mode:sub(1, 2) == "no" and vim.keycode("<Esc>") or ""
  end
  return ("<Cmd>lua require('suggestion-review.ui.textobject').select(%d, %d)<CR>"):format(first, last)
end

--- Selects lines of the current buffer.
---@param first integer
---@param last integer
function M.select(first, last)
  if vim.api.nvim_get_mode().mode:lower():find("^[v\22]") then
    vim.cmd("normal! \27")
  end
  vim.cmd(("keepjumps normal! %dGV%dG"):format(first, last))
end

return M
