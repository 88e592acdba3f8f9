--- Windows of ours that show two sides of one thing scroll together, and no window of the developer's with them, as
--- 'scrollbind' and 'cursorbind' would have it.
local M = {}

---@param wins integer[]
---@param win integer
---@param follow fun(other: integer)
local function each_other(wins, win, follow)
  if not vim.list_contains(wins, win) then
    return
  end
  for _, other in ipairs(wins) do
    if other ~= win and vim.api.nvim_win_is_valid(other) then
      follow(other)
    end
  end
end

--- Brings what is in sight in a window into sight in the others.
---@param wins integer[]
---@param win integer
function M.align(wins, win)
  if #wins < 2 or not vim.api.nvim_win_is_valid(win) then
    return
  end
  local view = vim.api.nvim_win_call(win, vim.fn.winsaveview)
  each_other(wins, win, function(other)
    vim.api.nvim_win_call(other, function()
      local own = vim.fn.winsaveview()
      if own.topline ~= view.topline or own.leftcol ~= view.leftcol then
        vim.fn.winrestview({ topline = view.topline, leftcol = view.leftcol, skipcol = view.skipcol })
      end
    end)
  end)
end

--- Keeps the others in step with the window that is scrolled.
---@param wins integer[]
---@param group integer
function M.scroll(wins, group)
  vim.api.nvim_create_autocmd("WinScrolled", {
    group = group,
    callback = function()
      -- The mouse scrolls a window that is not the current one: then that is the one with a change of its own.
      local scrolled
      for _, win in ipairs(wins) do
        local change = vim.v.event[tostring(win)]
        if change and (change.topline ~= 0 or change.leftcol ~= 0) then
          scrolled = (scrolled == nil or win == vim.api.nvim_get_current_win()) and win or scrolled
        end
      end
      if scrolled then
        M.align(wins, scrolled)
      end
    end,
  })
end

--- The cursors stand on the same line.
---@param wins integer[]
---@param win integer the one that the cursor was moved in
function M.same_line(wins, win)
  local line = vim.api.nvim_win_get_cursor(win)[1]
  each_other(wins, win, function(other)
    local cursor = vim.api.nvim_win_get_cursor(other)
    if cursor[1] ~= line and line <= vim.api.nvim_buf_line_count(vim.api.nvim_win_get_buf(other)) then
      vim.api.nvim_win_set_cursor(other, { line, cursor[2] })
    end
  end)
end

return M
