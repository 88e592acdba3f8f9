--- Draws rows: text once per change; colours as marks that stay, for what comes into view and a little around, so that
--- scrolling and jumping draw without calling back; line numbers and the +/- marks in 'statuscolumn'.
local highlights = require("suggestion-review.ui.highlights")
local rows_of = require("suggestion-review.ui.rows")
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.text.display")

local M = {}

---@class SuggestionReview.View what one buffer shows
---@field buf integer
---@field rows (SuggestionReview.Row|false)[] false: filler beside a line the other side has
---@field side "both"|"old"|"new"
---@field file string
---@field session table
---@field hunks SuggestionReview.Hunk[] the list that the rows count in
---@field number_width integer
---@field word_diff boolean
---@field treesitter boolean
---@field marked table<integer, string> rows that have their marks, with what 'statuscolumn' shows beside them
---@field count integer of those
---@field thinning? boolean some of them are about to go

---@type table<integer, SuggestionReview.View>
local views = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.view")
--- Headers have a place of their own: their mark is the row's number, so that one can be set anew.
local headers = vim.api.nvim_create_namespace("suggestion-review.view.headers")
local LINE = { old = "SuggestionReviewDelete", new = "SuggestionReviewAdd" }
local WORD = { old = "SuggestionReviewDeleteWord", new = "SuggestionReviewAddWord" }
local SIGN = { old = "-", new = "+" }
local SIGN_GROUP = { old = "SuggestionReviewDeleteSign", new = "SuggestionReviewAddSign" }

--- Rows with marks beyond which those far from the screen are let go: a mark costs memory.
local KEEP = 1500

---@param buf integer
---@param row integer 0-based
---@param chunks table
local function overlay(buf, row, chunks)
  vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, {
    virt_text = chunks,
    virt_text_pos = "overlay",
    hl_mode = "combine",
  })
end

--- As many cells as the screen can have: what an overlay fills is cut at the window's edge.
---@param char string
local function fill(char)
  return char:rep(vim.o.columns)
end

---@param view SuggestionReview.View
---@param row integer 0-based
local function mark_header(view, row)
  vim.api.nvim_buf_set_extmark(view.buf, headers, row, 0, {
    id = row + 1,
    virt_text = M.header(view, view.rows[row + 1]),
    virt_text_pos = "overlay",
    hl_mode = "combine",
  })
end

--- Where a row's line stands in its side of the block: before the change, in it or after it.
---@param row SuggestionReview.Row
---@return integer
local function place_in_block(row)
  if row.kind ~= "context" then
    return row.nth
  end
  local block = row.block
  ---@cast block SuggestionReview.Block
  local first = block.at + 1
  return row.old < first and row.old - first + 1 or row.old - (first + #block.old) + 1 + #block.new
end

---@param buf integer
---@param row integer 0-based
---@param spans table[] { from, to, group? }
---@param group string|nil
---@param priority integer
local function mark_spans(buf, row, spans, group, priority)
  for _, span in ipairs(spans) do
    if not group and not highlights.shows(span[3]) then
      goto continue
    end
    vim.api.nvim_buf_set_extmark(buf, namespace, row, span[1], {
      end_row = row,
      end_col = span[2],
      hl_group = group or span[3],
      priority = priority,
      strict = false,
    })
    ::continue::
  end
end

---@param number integer|nil
---@param width integer
local function pad(number, width)
  local text = number and tostring(number) or ""
  return (" "):rep(width - #text) .. text
end

--- What 'statuscolumn' shows beside a row, but for the bar at the current hunk.
---@param view SuggestionReview.View
---@param row SuggestionReview.Row|false|nil
---@return string
local function beside(view, row)
  local width = view.number_width
  local numbers = (view.side == "both" and 2 or 1) * (width + 1)
  if not row then
    return (" "):rep(numbers + 2)
  elseif row.kind == "header" then
    return "%#SuggestionReviewRule#" .. ("─"):rep(numbers + 1) .. " "
  elseif row.kind == "gap" then
    return "%#SuggestionReviewGap#" .. (" "):rep(numbers) .. "⋯ "
  elseif row.kind == "note" then
    return "%#SuggestionReviewNumber#" .. (" "):rep(numbers + 2)
  end
  local shown
  if view.side == "both" then
    shown = pad(row.old, width) .. " " .. pad(row.new, width)
  else
    shown = pad(view.side == "old" and row.old or (view.side == "new" and row.new) or nil, width)
  end
  local sign = SIGN[row.kind]
  return ("%%#SuggestionReviewNumber#%s %s "):format(
    shown,
    sign and ("%%#%s#%s"):format(SIGN_GROUP[row.kind], sign) or " "
  )
end

---@param view SuggestionReview.View
---@param row integer 0-based
local function mark(view, row)
  local one = view.rows[row + 1]
  local buf = view.buf
  if one == nil or view.marked[row] then
    return
  end
  view.marked[row] = beside(view, one)
  view.count = view.count + 1
  if one == false then
    return overlay(buf, row, { { fill("╱"), "SuggestionReviewFiller" } })
  elseif one.kind == "header" then
    return mark_header(view, row)
  elseif one.kind == "gap" then
    vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, { line_hl_group = "SuggestionReviewGap" })
    return overlay(buf, row, {
      { ("%s unchanged "):format(text_of.count(one.gap, "line")), "SuggestionReviewGap" },
    })
  elseif one.kind == "note" then
    return overlay(buf, row, one.chunks)
  end
  local kind = one.kind
  if LINE[kind] then
    -- Not line_hl_group: its background would lie over that of the changed words.
    vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, {
      end_row = row + 1,
      end_col = 0,
      hl_group = LINE[kind],
      hl_eol = true,
      priority = 10,
      strict = false,
    })
  end
  local block = one.block
  if block and view.treesitter and #one.text > 0 then
    local spans = syntax.of_block(block, kind == "old" and "old" or "new", view.file)
    mark_spans(buf, row, spans and spans[place_in_block(one)] or {}, nil, 100)
  end
  if view.word_diff and block and LINE[kind] then
    mark_spans(buf, row, rows_of.words(block, kind, one.nth), WORD[kind], 120)
  end
  for _, unseen in ipairs(text_of.unseen(one.text)) do
    vim.api.nvim_buf_set_extmark(buf, namespace, row, unseen[1], {
      virt_text = { { unseen[2], "SpecialKey" } },
      virt_text_pos = "inline",
    })
  end
end

--- What was worked out to make marks of is not wanted any more; the marks are.
---@param view SuggestionReview.View
---@param row integer 0-based
local function forget_spans(view, row)
  local one = view.rows[row + 1]
  if one and one.block then
    one.block.syntax, one.block.words = nil, nil
  end
end

--- Lets go of the marks that are far from a row.
---@param view SuggestionReview.View
---@param row integer 0-based
local function thin_out(view, row)
  local first, last = row - KEEP / 4, row + KEEP / 4
  for _, ns in ipairs({ namespace, headers }) do
    vim.api.nvim_buf_clear_namespace(view.buf, ns, 0, math.max(0, first))
    vim.api.nvim_buf_clear_namespace(view.buf, ns, last, -1)
  end
  view.count = 0
  for known in pairs(view.marked) do
    forget_spans(view, known)
    if known < first or known >= last then
      view.marked[known] = nil
    else
      view.count = view.count + 1
    end
  end
end

--- The line above a hunk: its number, state and size.
---@param view SuggestionReview.View
---@param row SuggestionReview.Row
---@return table chunks
function M.header(view, row)
  local session = view.session
  local hunk = view.hunks[row.hunk]
  local state = text_of.STATE[session:state_of(hunk)] or text_of.STATE.pending
  local current = session.index == row.hunk
  local chunks = {
    { ("%s %d/%d "):format(state.icon, row.hunk, #view.hunks), state.group },
    { state.word, state.group },
  }
  if hunk.kind ~= "text" then
    chunks[#chunks + 1] = { " · " .. hunk.kind, "SuggestionReviewHint" }
  end
  local added, removed = rows_of.size_of(hunk)
  if added + removed > 0 then
    chunks[#chunks + 1] = { " · ", "SuggestionReviewHint" }
    chunks[#chunks + 1] = { ("+%d"):format(added), "SuggestionReviewAddSign" }
    chunks[#chunks + 1] = { (" -%d"):format(removed), "SuggestionReviewDeleteSign" }
  end
  if row.block and row.block.own then
    chunks[#chunks + 1] = { " · your version", "SuggestionReviewModified" }
  end
  -- What is least needed stands last: a narrow window cuts it off.
  local note = session:unanswered(hunk) or session.outcomes[hunk.id]
  if note then
    chunks[#chunks + 1] = { " · " .. note, "SuggestionReviewNotApplied" }
  end
  if session.fresh[hunk.id] then
    chunks[#chunks + 1] = { (" · new in revision %d"):format(session.revision), "SuggestionReviewModified" }
  end
  if view.side == "new" then
    -- The left half has said it.
    return { { fill("─"), "SuggestionReviewRule" } }
  end
  chunks[#chunks + 1] = { " " .. fill("─"), current and state.group or "SuggestionReviewRule" }
  return chunks
end

--- Marks rows before they come into view.
---@param view SuggestionReview.View
---@param first integer 1-based
---@param last integer
function M.prepare(view, first, last)
  for row = first - 1, last - 1 do
    mark(view, row)
  end
  for row = first - 1, last - 1 do
    forget_spans(view, row)
  end
  if view.count > KEEP then
    thin_out(view, first - 1)
  end
end

local provider = false

local function start_provider()
  if provider then
    return
  end
  provider = true
  vim.api.nvim_set_decoration_provider(namespace, {
    on_win = function(_, _, buf, first, last)
      local view = views[buf]
      if view then
        for row = first, last do
          mark(view, row)
        end
        if view.count > KEEP and not view.thinning then
          -- Marks must not go while lines are being drawn.
          view.thinning = true
          vim.schedule(function()
            view.thinning = false
            if views[buf] == view and vim.api.nvim_buf_is_valid(buf) then
              thin_out(view, first)
            end
          end)
        end
      end
      return false
    end,
  })
end

--- One line of the review's 'statuscolumn': what stands beside the row, behind a bar where it is of the current hunk.
---@param buf integer
---@param line integer
---@return string
function M.column(buf, line)
  local view = views[buf]
  local row = view and view.rows[line]
  if not view then
    return ""
  end
  local text = view.marked[line - 1] or beside(view, row)
  local session = view.session
  if not row or not row.hunk or row.hunk ~= session.index then
    return " " .. text
  end
  local group = text_of.STATE[session:state_of(view.hunks[row.hunk])].group
  if row.kind == "header" then
    -- The whole rule is in the colour of the state.
    text = text:gsub("^%%#%w+#", "")
  end
  return ("%%#%s#▌%s"):format(group, text)
end

--- 'statuscolumn' of a window that shows a buffer of the review. Neovim asks for every line it draws: a short
--- expression that finds its function at once is a third cheaper than one with require.
---@param buf integer
---@return string
function M.statuscolumn(buf)
  _G.SuggestionReviewColumn = M.column
  return ("%%{%%v:lua.SuggestionReviewColumn(%d,v:lnum)%%}"):format(buf)
end

--- Lets go of all marks.
---@param view SuggestionReview.View
local function unmark(view)
  vim.api.nvim_buf_clear_namespace(view.buf, namespace, 0, -1)
  vim.api.nvim_buf_clear_namespace(view.buf, headers, 0, -1)
  view.marked, view.count = {}, 0
end

--- Gives a buffer its rows.
---@param view SuggestionReview.View
function M.show(view)
  highlights.ensure()
  start_provider()
  local lines = {}
  local highest = 0
  for i, row in ipairs(view.rows) do
    lines[i] = row and row.text or ""
    if row then
      highest = math.max(highest, row.old or 0, row.new or 0)
    end
  end
  view.number_width = math.max(3, #tostring(highest))
  unmark(view)
  views[view.buf] = view
  vim.bo[view.buf].modifiable = true
  vim.api.nvim_buf_set_lines(view.buf, 0, -1, false, lines)
  vim.bo[view.buf].modifiable = false
  vim.bo[view.buf].modified = false
  local language, filetype = syntax.language(view.file)
  -- Without a parser the old syntax files still colour most of it.
  local fallback = view.treesitter and not language and filetype or ""
  if vim.bo[view.buf].syntax ~= fallback then
    vim.bo[view.buf].syntax = fallback
  end
end

---@param buf integer
---@return SuggestionReview.View|nil
function M.view(buf)
  if views[buf] and not vim.api.nvim_buf_is_valid(buf) then
    views[buf] = nil
  end
  return views[buf]
end

---@param buf integer
function M.forget(buf)
  views[buf] = nil
end

--- Draws everything again: the colours or the width of the screen have changed.
---@param buf integer
function M.renew(buf)
  local view = views[buf]
  if view and vim.api.nvim_buf_is_valid(buf) then
    unmark(view)
    M.redraw(buf)
  end
end

--- Draws lines again at the next redraw, text unchanged: states, and which hunk is the current one.
---@param buf integer
---@param first? integer 1-based; without a range everything
---@param last? integer
function M.redraw(buf, first, last)
  local view = views[buf]
  if not view or not vim.api.nvim_buf_is_valid(buf) then
    return
  end
  if first then
    if view.marked[first - 1] and view.rows[first] and view.rows[first].kind == "header" then
      mark_header(view, first - 1)
    end
  else
    -- Headers tell states; each is marked anew when it is drawn.
    vim.api.nvim_buf_clear_namespace(buf, headers, 0, -1)
    for row in pairs(view.marked) do
      local one = view.rows[row + 1]
      if one and one.kind == "header" then
        view.marked[row] = nil
        view.count = view.count - 1
      end
    end
  end
  vim.api.nvim__redraw({
    buf = buf,
    range = { first and first - 1 or 0, last or -1 },
    flush = false,
  })
end

return M
