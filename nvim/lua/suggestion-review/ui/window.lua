--- Options of windows that are ours. They are set for the buffer that is shown and for nothing else; a window split off
--- one of ours gets the developer's own values back.
local M = {}

--- What a window of ours shows is the text itself, all of it, wherever it was opened from: no option of the window
--- below may fold it, hide parts of it or scroll it along.
local NEUTRAL = {
  arabic = false,
  breakindent = false,
  colorcolumn = "",
  concealcursor = "",
  conceallevel = 0,
  cursorbind = false,
  cursorcolumn = false,
  cursorline = false,
  diff = false,
  foldcolumn = "0",
  foldenable = false,
  linebreak = false,
  list = false,
  number = false,
  relativenumber = false,
  rightleft = false,
  scrollbind = false,
  signcolumn = "no",
  spell = false,
  statuscolumn = "",
  winblend = 0,
  winfixbuf = false,
  wrap = false,
}

M.HIGHLIGHT = "Normal:SuggestionReviewNormal,FloatBorder:SuggestionReviewBorder"

---@type string[]|nil names of all window options
local names
local watching = false

---@return string[]
local function all_names()
  if not names then
    names = {}
    for name, info in pairs(vim.api.nvim_get_all_options_info()) do
      if info.scope == "win" then
        names[#names + 1] = name
      end
    end
  end
  return names
end

--- Gives the current window the values that it has for other buffers, which are the developer's.
local function give_back()
  for _, name in ipairs(all_names()) do
    local value = vim.api.nvim_get_option_value(name, { scope = "global" })
    if vim.api.nvim_get_option_value(name, { scope = "local" }) ~= value then
      pcall(vim.api.nvim_set_option_value, name, value, { scope = "local" })
    end
  end
end

local function watch()
  if watching then
    return
  end
  watching = true
  vim.api.nvim_create_autocmd("WinNew", {
    group = vim.api.nvim_create_augroup("suggestion-review.window", {}),
    callback = function()
      -- A new window begins with the options of the one it was split off.
      if vim.wo.winhighlight:find("SuggestionReview", 1, true) then
        give_back()
      end
    end,
  })
end

--- Makes a window ours: neutral options, then the given ones.
---@param win integer
---@param options? table<string, any>
function M.own(win, options)
  watch()
  local set = vim.tbl_extend("force", NEUTRAL, { winhighlight = M.HIGHLIGHT }, options or {})
  for name, value in pairs(set) do
    vim.api.nvim_set_option_value(name, value, { scope = "local", win = win })
  end
end

return M
