--- The hunk as a textobject: its rows in the review, its lines in the buffer when reviewing inline.
local M = {}

--- Selects the hunk under the cursor, linewise; nothing happens where there is none.
function M.select()
  local review = package.loaded["suggestion-review.review"]
  local session = review and review.session()
  if not session then
    return
  end
  local view = require("suggestion-review.ui.render").view(vim.api.nvim_get_current_buf())
  local first, last
  if view then
    for i, row in ipairs(view.rows) do
      if row and row.hunk == session.index and (row.kind == "old" or row.kind == "new") then
        first = first or i
        last = i
      end
    end
  elseif session.style == "inline" then
    first, last = require("suggestion-review.ui.inline").hunk_lines()
  end
  if not first then
    return
  end
  if vim.api.nvim_get_mode().mode:lower():find("^[v\22]") then
    vim.cmd("normal! \27")
  end
  vim.cmd(("keepjumps normal! %dGV%dG"):format(first, last))
end

return M
