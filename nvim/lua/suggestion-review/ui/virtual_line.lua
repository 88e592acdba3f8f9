--- Lines of a hunk that are not in the buffer, as chunks of virtual lines: tabs go to the file's tab stops, changed
--- words are stronger, and a line that is longer than the window goes on below, so that its end is seen. It does so
--- with 'nowrap' as well: a window scrolls sideways only as far as its own text goes.
local rows_of = require("suggestion-review.ui.rows")
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.text.display")

local M = {}

M.SIDE = {
  old = { sign = "-", group = "SuggestionReviewDelete" },
  new = { sign = "+", group = "SuggestionReviewAdd" },
}

--- Bytes of a line beyond which it is cut, and bytes beyond which it has no colours of its own.
M.LONGEST = 10000
local COLOURED = 2000

---@class (exact) SuggestionReview.VirtualLineOpts
---@field file string
---@field word_diff boolean
---@field treesitter boolean
---@field width integer cells of a row
---@field stops integer[] widths between tab stops; the last one goes on

--- Widths between the tab stops of a buffer.
---@param buf integer
---@return integer[]
function M.stops(buf)
  local stops = {}
  for width in vim.bo[buf].vartabstop:gmatch("%d+") do
    stops[#stops + 1] = tonumber(width)
  end
  return #stops > 0 and stops or { vim.bo[buf].tabstop }
end

--- How wide text may be in all windows of a buffer.
---@param buf integer
---@return integer
function M.room(buf)
  local width
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    local info = vim.fn.getwininfo(win)[1]
    width = math.min(width or math.huge, info.width - info.textoff)
  end
  return math.max(8, width or vim.o.columns)
end

--- The line as pieces of one look each.
---@param block SuggestionReview.Block
---@param side "old"|"new"
---@param nth integer
---@param opts SuggestionReview.VirtualLineOpts
---@return { [1]: string, [2]: string[] }[]
local function pieces_of(block, side, nth, opts)
  local text, base = block[side][nth], M.SIDE[side].group
  if #text > COLOURED then
    return { { text:sub(1, M.LONGEST), { base } } }
  end
  local cuts, groups = { [0] = true, [#text] = true }, {}
  local spans = opts.treesitter and syntax.of_block(block, side, opts.file)
  for _, span in ipairs(spans and spans[nth] or {}) do
    groups[#groups + 1] = span
    cuts[span[1]], cuts[math.min(span[2], #text)] = true, true
  end
  for _, span in ipairs(opts.word_diff and rows_of.words(block, side, nth) or {}) do
    groups[#groups + 1] = { span[1], span[2], base .. "Word" }
    cuts[span[1]], cuts[math.min(span[2], #text)] = true, true
  end
  local at, pieces = vim.tbl_keys(cuts), {}
  table.sort(at)
  for i = 1, #at - 1 do
    local stack = { base }
    for _, group in ipairs(groups) do
      if group[1] <= at[i] and group[2] >= at[i + 1] then
        stack[#stack + 1] = group[3]
      end
    end
    pieces[#pieces + 1] = { text:sub(at[i] + 1, at[i + 1]), stack }
  end
  return pieces
end

--- One line as the rows it takes.
---@param block SuggestionReview.Block
---@param side "old"|"new"
---@param nth integer
---@param opts SuggestionReview.VirtualLineOpts
---@return table[] rows of chunks
function M.rows(block, side, nth, opts)
  local base = M.SIDE[side].group
  local rows, row, used = {}, { { M.SIDE[side].sign .. " ", { base, base .. "Sign" } } }, 2
  local function fill()
    row[#row + 1] = { (" "):rep(math.max(0, opts.width - used)), base }
    rows[#rows + 1] = row
  end
  ---@param shown string of the given width
  local function put(shown, width, stack)
    if used + width > opts.width and used > 2 then
      fill()
      row, used = { { "  ", base } }, 2
    end
    local last = row[#row]
    if last[2] == stack then
      last[1] = last[1] .. shown
    else
      row[#row + 1] = { shown, stack }
    end
    used = used + width
  end
  local column = 0
  for _, piece in ipairs(pieces_of(block, side, nth, opts)) do
    local as_it_is = used + #piece[1] <= opts.width and not piece[1]:find("[^ -~]")
    if as_it_is then
      put(piece[1], #piece[1], piece[2])
      column = column + #piece[1]
    end
    for _, char in ipairs(as_it_is and {} or text_of.characters(piece[1])) do
      local shown, width = text_of.cell(char, column, opts.stops)
      column = column + width
      if char == "\t" then
        -- A tab is broken at the edge as blanks are.
        for _ = 1, width do
          put(" ", 1, piece[2])
        end
      else
        put(shown, width, piece[2])
      end
    end
  end
  local more = #block[side][nth] - M.LONGEST
  if more > 0 then
    row[#row + 1] = { (" … %s more"):format(text_of.count(more, "byte")), "SuggestionReviewHint" }
  end
  fill()
  return rows
end

return M
