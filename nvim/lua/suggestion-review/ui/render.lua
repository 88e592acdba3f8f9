--- Draws rows: text once per change, colours only for what is on the screen (a decoration provider), line numbers and
--- the +/- marks in 'statuscolumn', which Neovim asks for line by line as well.
local rows_of = require("suggestion-review.ui.rows")
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.ui.text")

local M = {}

---@class SuggestionReview.View what one buffer shows
---@field buf integer
---@field rows (SuggestionReview.Row|false)[] false: filler beside a line the other side has
---@field side "both"|"old"|"new"
---@field file string
---@field session table
---@field number_width integer
---@field word_diff boolean
---@field treesitter boolean

---@type table<integer, SuggestionReview.View>
local views = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.view")
local LINE = { old = "SuggestionReviewDelete", new = "SuggestionReviewAdd" }
local WORD = { old = "SuggestionReviewDeleteWord", new = "SuggestionReviewAddWord" }
local SIGN = { old = "-", new = "+" }
local SIGN_GROUP = { old = "SuggestionReviewDeleteSign", new = "SuggestionReviewAddSign" }

---@param buf integer
---@param row integer 0-based
---@param chunks table
local function overlay(buf, row, chunks)
  vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, {
    ephemeral = true,
    virt_text = chunks,
    virt_text_pos = "overlay",
    hl_mode = "combine",
  })
end

---@param view SuggestionReview.View
---@param row integer 0-based
local function draw(view, row)
  local one = view.rows[row + 1]
  local buf = view.buf
  if one == false then
    return overlay(buf, row, { { ("╱"):rep(400), "SuggestionReviewFiller" } })
  elseif not one then
    return
  end
  if one.kind == "header" then
    return overlay(buf, row, M.header(view, one))
  elseif one.kind == "gap" then
    return overlay(buf, row, {
      { ("%s unchanged "):format(text_of.count(one.gap, "line")), "SuggestionReviewGap" },
      { (" "):rep(400), "SuggestionReviewGap" },
    })
  elseif one.kind == "note" then
    return overlay(buf, row, one.chunks)
  end
  local kind = one.kind
  if LINE[kind] then
    vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, {
      ephemeral = true,
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
    local side = kind == "old" and "old" or "new"
    local spans = syntax.of_block(block, side, view.file)
    if spans then
      local at = one.nth
      if kind == "context" then
        at = one.context_at
        if not at then
          -- Where this context line stands in the block: before the change or after it.
          local hunk = block.hunk
          local first = hunk.old_count == 0 and hunk.old_start + 1 or hunk.old_start
          at = one.old < first and one.old - first + 1 or one.old - (first + #block.old) + 1 + #block.new
          one.context_at = at
        end
      end
      for _, span in ipairs(spans[at] or {}) do
        vim.api.nvim_buf_set_extmark(buf, namespace, row, span[1], {
          ephemeral = true,
          end_row = row,
          end_col = span[2],
          hl_group = span[3],
          priority = 100,
          strict = false,
        })
      end
    end
  end
  if view.word_diff and block and LINE[kind] then
    for _, span in ipairs(rows_of.words(block, kind, one.nth)) do
      vim.api.nvim_buf_set_extmark(buf, namespace, row, span[1], {
        ephemeral = true,
        end_row = row,
        end_col = span[2],
        hl_group = WORD[kind],
        priority = 120,
        strict = false,
      })
    end
  end
end

--- The line above a hunk: its number, state and size.
---@param view SuggestionReview.View
---@param row SuggestionReview.Row
---@return table chunks
function M.header(view, row)
  local session = view.session
  local hunk = session.hunks[row.hunk]
  local state = text_of.STATE[session.state_of(hunk)] or text_of.STATE.pending
  local current = session.index == row.hunk
  local chunks = {
    { ("%s %d/%d "):format(state.icon, row.hunk, #session.hunks), state.group },
    { state.word, state.group },
  }
  if hunk.kind ~= "text" then
    chunks[#chunks + 1] = { " · " .. hunk.kind, "SuggestionReviewHint" }
  end
  if hunk.new_count + hunk.old_count > 0 then
    chunks[#chunks + 1] = { " · ", "SuggestionReviewHint" }
    chunks[#chunks + 1] = { ("+%d"):format(hunk.new_count), "SuggestionReviewAddSign" }
    chunks[#chunks + 1] = { (" -%d"):format(hunk.old_count), "SuggestionReviewDeleteSign" }
  end
  if session.fresh[hunk.id] then
    chunks[#chunks + 1] = { (" · new in revision %d"):format(session.revision), "SuggestionReviewModified" }
  end
  local note = session.outcomes[hunk.id]
  if note then
    chunks[#chunks + 1] = { " · " .. note, "SuggestionReviewNotApplied" }
  end
  if view.side == "new" then
    -- The left half has said it.
    return { { ("─"):rep(400), "SuggestionReviewRule" } }
  end
  chunks[#chunks + 1] = { " " .. ("─"):rep(400), current and state.group or "SuggestionReviewRule" }
  return chunks
end

--- Works out the colours of a block before it comes into view.
---@param view SuggestionReview.View
---@param block SuggestionReview.Block
function M.prepare(view, block)
  if view.treesitter then
    syntax.of_block(block, "old", view.file)
    syntax.of_block(block, "new", view.file)
  end
  if view.word_diff then
    rows_of.words(block, "new", 1)
  end
end

local provider = false

local function start_provider()
  if provider then
    return
  end
  provider = true
  vim.api.nvim_set_decoration_provider(namespace, {
    on_win = function(_, _, buf)
      return views[buf] ~= nil
    end,
    on_line = function(_, _, buf, row)
      local view = views[buf]
      if view then
        draw(view, row)
      end
    end,
  })
end

---@param number integer|nil
---@param width integer
local function pad(number, width)
  local text = number and tostring(number) or ""
  return (" "):rep(width - #text) .. text
end

--- 'statuscolumn' of the review's windows.
---@return string
function M.column()
  local buf = vim.api.nvim_win_get_buf(vim.g.statusline_winid or 0)
  local view = views[buf]
  if not view then
    return ""
  end
  local row = view.rows[vim.v.lnum]
  local width = view.number_width
  if not row or vim.v.virtnum ~= 0 then
    return (" "):rep((view.side == "both" and 2 or 1) * (width + 1) + 3)
  end
  local bar = " "
  local session = view.session
  if row.hunk and row.hunk == session.index then
    bar = ("%%#%s#▌"):format(text_of.STATE[session.state_of(session.hunks[row.hunk])].group)
  end
  if row.kind == "header" then
    local width_of_numbers = (view.side == "both" and 2 or 1) * (width + 1)
    local group = bar == " " and "%#SuggestionReviewRule#" or ""
    return bar .. group .. ("─"):rep(width_of_numbers + 1) .. " "
  end
  local numbers
  if view.side == "both" then
    numbers = pad(row.old, width) .. " " .. pad(row.new, width)
  else
    numbers = pad(view.side == "old" and row.old or (view.side == "new" and row.new) or nil, width)
  end
  if row.kind == "gap" then
    return bar .. "%#SuggestionReviewGap#" .. (" "):rep(#numbers + 1) .. "⋯ "
  elseif row.kind == "note" then
    return bar .. "%#SuggestionReviewNumber#" .. (" "):rep(#numbers + 3)
  end
  local sign = SIGN[row.kind]
  return ("%s%%#SuggestionReviewNumber#%s %s "):format(
    bar,
    numbers,
    sign and ("%%#%s#%s"):format(SIGN_GROUP[row.kind], sign) or " "
  )
end

M.COLUMN = "%{%v:lua.require'suggestion-review.ui.render'.column()%}"

--- Gives a buffer its rows.
---@param view SuggestionReview.View
function M.show(view)
  require("suggestion-review.highlights").ensure()
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
  return views[buf]
end

---@param buf integer
function M.forget(buf)
  views[buf] = nil
end

--- Draws lines again at the next redraw, text unchanged; without a range all that are on the screen.
---@param buf integer
---@param first? integer 1-based
---@param last? integer
function M.redraw(buf, first, last)
  if vim.api.nvim_buf_is_valid(buf) then
    vim.api.nvim__redraw({
      buf = buf,
      range = { first and first - 1 or 0, last or -1 },
      flush = false,
    })
  end
end

return M
