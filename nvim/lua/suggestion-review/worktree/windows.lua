--- Takes a buffer off the windows that show it, or says why that cannot be, before its file goes.
local M = {}

---@class (exact) SuggestionReview.WindowLeft
---@field win integer
---@field view table

--- Shows another buffer in a window, even in one that is bound to its buffer ('winfixbuf'): it stays bound, to that
--- other.
---@param win integer
---@param buf integer
---@return boolean
local function show(win, buf)
  local fixed = vim.wo[win].winfixbuf
  if fixed then
    vim.api.nvim_set_option_value("winfixbuf", false, { win = win, scope = "local" })
  end
  pcall(vim.api.nvim_win_set_buf, win, buf)
  if not vim.api.nvim_win_is_valid(win) then
    return true
  end
  if fixed then
    vim.api.nvim_set_option_value("winfixbuf", true, { win = win, scope = "local" })
  end
  return vim.api.nvim_win_get_buf(win) == buf
end

--- What a window shows once `buf` is off it.
---@param win integer
---@param buf integer
---@return integer
local function replacement(win, buf)
  local alternate = vim.api.nvim_win_call(win, function()
    return vim.fn.bufnr("#")
  end)
  if alternate > 0 and alternate ~= buf and vim.bo[alternate].buflisted then
    return alternate
  end
  return vim.api.nvim_create_buf(true, false)
end

--- Puts `buf` back where it was.
---@param left SuggestionReview.WindowLeft[]
---@param buf integer
local function go_back(left, buf)
  for _, one in ipairs(left) do
    if vim.api.nvim_win_is_valid(one.win) and show(one.win, buf) then
      vim.api.nvim_win_call(one.win, function()
        vim.fn.winrestview(one.view)
      end)
    end
  end
end

--- Shows something else in every window that shows `buf`.
---@param buf integer
---@return (fun())|nil back puts the buffer back; nil: a window keeps it, and all is as it was
---@return string|nil reason
function M.leave(buf)
  local left = {}
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    local view = vim.api.nvim_win_call(win, vim.fn.winsaveview)
    if not show(win, replacement(win, buf)) then
      go_back(left, buf)
      return nil, "a window that shows it cannot show anything else"
    end
    left[#left + 1] = { win = win, view = view }
  end
  return function()
    go_back(left, buf)
  end
end

--- Lets a buffer go that no window shows any more.
---@param buf integer
function M.forget(buf)
  pcall(vim.api.nvim_buf_delete, buf, { force = false })
end

return M
