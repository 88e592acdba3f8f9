--- A window that shows a hunk whole, to be scrolled, before it is decided: what does not fit is read page by page,
--- and the key that decides works at the end of it. What was read is known by its digest.
local diff = require("suggestion-review.text.diff")
local text_of = require("suggestion-review.text.display")
local notes = require("suggestion-review.ui.notes")
local popup = require("suggestion-review.ui.popup")

local M = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.whole_hunk")
local GROUP = { ["+"] = "SuggestionReviewAdd", ["-"] = "SuggestionReviewDelete" }

--- All of a hunk as lines: marks, both sides, comments, then its text.
---@param hunk SuggestionReview.Hunk
---@param session SuggestionReview.Session
---@param width integer
---@return string[] lines
---@return table<integer, string> groups highlight by line, 1-based
function M.lines(hunk, session, width)
  local lines, groups = {}, {}
  local function add(text, group)
    for _, piece in ipairs(text_of.fold(text, width)) do
      lines[#lines + 1] = piece
      groups[#lines] = group
    end
  end
  for _, chunks in ipairs(notes.of(hunk, session)) do
    local line = ""
    for _, chunk in ipairs(chunks) do
      line = line .. chunk[1]
    end
    add(line, chunks[1] and chunks[1][2])
  end
  if diff.has_text(hunk) and hunk.diff:sub(1, 3) == "@@ " then
    for line in vim.gsplit((hunk.diff:gsub("\n$", "")), "\n", { plain = true }) do
      add(line:sub(1, 1) .. text_of.expand(line:sub(2)), GROUP[line:sub(1, 1)])
    end
  end
  return lines, groups
end

---@class (exact) SuggestionReview.WholeHunkOpts
---@field title string
---@field key string what goes on, at the end of the text
---@field label string what it does
---@field on_key fun()
---@field on_leave? fun()
---@field rows? integer screen rows it may take
---@field beside? boolean where all of it fits, leave the cursor where it is and go on at once

---@class SuggestionReview.WholeHunk
---@field win integer
---@field close fun()

--- Opens the window. With `beside` it stays open until it is closed by whoever opened it.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param opts SuggestionReview.WholeHunkOpts
---@return SuggestionReview.WholeHunk
function M.open(session, hunk, opts)
  local width = math.max(12, math.min(vim.o.columns - 6, 110))
  local room = math.max(3, (opts.rows or (vim.o.lines - 2)) - 4)
  local lines, groups = M.lines(hunk, session, width)
  local fits = #lines <= room
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  for row, group in pairs(groups) do
    vim.api.nvim_buf_set_extmark(buf, namespace, row - 1, 0, { line_hl_group = group })
  end
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = "wipe"
  local win = popup.open(buf, not (opts.beside and fits), {
    row = 0,
    width = width,
    height = math.max(1, math.min(#lines, room)),
    title = " " .. text_of.fit(opts.title, width - 4) .. " ",
    footer = (" %s %s   q leave "):format(opts.key, fits and opts.label or "read on, then " .. opts.label),
    footer_pos = "right",
  })
  vim.wo[win][0].scrolloff = 0
  local left = false
  local function close()
    left = true
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
  -- The farthest line that was on the screen with all before it: scrolling past the text is not reading it.
  local read = 0
  local function note()
    local info = vim.fn.getwininfo(win)[1]
    if info and info.topline <= read + 1 then
      read = math.max(read, vim.fn.line("w$", win))
    end
    return read >= #lines
  end
  local function map(key, action)
    vim.keymap.set("n", key, action, { buffer = buf, nowait = true, silent = true })
  end
  local function leave()
    if not left then
      close()
      if opts.on_leave then
        opts.on_leave()
      end
    end
  end
  map("q", leave)
  map("<Esc>", leave)
  map(opts.key, function()
    if not note() and vim.fn.line("w$", win) < #lines then
      vim.fn.winrestview({ topline = read + 1, lnum = read + 1 })
      vim.cmd.redraw()
      return note()
    elseif not note() then
      local unread = ("%d of %d lines were not on the screen.\n%s all the same?"):format(
        #lines - read,
        #lines,
        opts.label
      )
      if vim.fn.confirm(unread, "&Yes\n&No", 2, "Question") ~= 1 then
        return
      end
    end
    close()
    opts.on_key()
  end)
  vim.api.nvim_create_autocmd({ "WinScrolled", "CursorMoved" }, { buffer = buf, callback = note })
  vim.cmd.redraw()
  note()
  if opts.beside and fits then
    opts.on_key()
  end
  return { win = win, close = close }
end

return M
