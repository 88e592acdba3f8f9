--- The windows of ours that are opened for a moment, over the review or without one: one border, titles that cannot
--- play tricks, a size that fits the screen. All but editors close with the review.
local text_of = require("suggestion-review.text.display")
local window = require("suggestion-review.ui.window")
local editor = require("suggestion-review.lib.editor")
local highlights = require("suggestion-review.ui.highlights")

local M = {}

---@type table<integer, true> windows that close with the review
local open = {}

--- The border of all windows of ours; none on a screen that is too small to spend cells on it.
---@return string|string[]
function M.border()
  if vim.o.lines < 9 or vim.o.columns < 24 then
    return "none"
  end
  local set = require("suggestion-review.config").get().ui.border
  if set then
    return set
  end
  local ok, winborder = pcall(function()
    return vim.o.winborder
  end)
  return ok and winborder ~= "" and winborder ~= "none" and not winborder:find(",") and winborder or "rounded"
end

---@param chunks string|string[][]|nil
local function plain(chunks)
  if type(chunks) == "table" then
    return vim.tbl_map(function(chunk)
      return { text_of.plain(chunk[1]), chunk[2] }
    end, chunks)
  end
  return chunks and text_of.plain(chunks) or nil
end

---@class (exact) SuggestionReview.PopupOpts
---@field width integer wanted, without the border
---@field height integer
---@field title? string|string[][]
---@field title_pos? string
---@field footer? string|string[][]
---@field footer_pos? string
---@field row? integer else in the middle
---@field col? integer
---@field zindex? integer
---@field wrap? boolean
---@field keep? boolean stays when the review is closed: there are edits in it

--- Opens a window on a buffer.
---@param buf integer
---@param enter boolean
---@param opts SuggestionReview.PopupOpts
---@return integer win
function M.open(buf, enter, opts)
  highlights.ensure()
  editor.stop_typing()
  local border = M.border()
  local edge = border == "none" and 0 or 2
  local lines = vim.o.lines - vim.o.cmdheight
  local width = math.max(1, math.min(opts.width, vim.o.columns - edge))
  local height = math.max(1, math.min(opts.height, lines - edge))
  local config = {
    relative = "editor",
    row = opts.row
      or math.max(0, math.min(math.floor((vim.o.lines - height) / 2) - 1, lines - height - edge)),
    col = opts.col or math.max(0, math.floor((vim.o.columns - width - edge) / 2)),
    width = width,
    height = height,
    style = "minimal",
    border = border,
    zindex = opts.zindex or 60,
  }
  if edge > 0 then
    config.title, config.title_pos = plain(opts.title), opts.title and opts.title_pos
    config.footer, config.footer_pos = plain(opts.footer), opts.footer and opts.footer_pos
  end
  local win = vim.api.nvim_open_win(buf, enter, config)
  -- Vim may move the cursor here by itself, as when the last other window of a buffer goes: what is edited then is not
  -- to take this window's place.
  window.own(win, { wrap = opts.wrap or false, fillchars = "eob: ", winfixbuf = true })
  -- Neovim keeps a line for the bar of the window below, though this one has none.
  vim.api.nvim_win_set_config(win, { height = height })
  for known in pairs(open) do
    open[known] = vim.api.nvim_win_is_valid(known) or nil
  end
  if not opts.keep then
    open[win] = true
  end
  return win
end

--- Closes those that belong to the review.
function M.close_all()
  for win in pairs(open) do
    open[win] = nil
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
end

return M
