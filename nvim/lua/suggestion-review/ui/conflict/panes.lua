--- The two texts of a conflict as windows show them: how large, with what colours.
local diff = require("suggestion-review.text.diff")
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.text.display")

local M = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.conflict")

--- Lines as a buffer holds them.
---@param lines string[]
---@return string[]
function M.bare(lines)
  local out = {}
  for i, line in ipairs(lines) do
    out[i] = (line:gsub("\n$", ""):gsub("\n", "\0"))
  end
  return out
end

---@param buf integer
---@param lines string[]
---@param group string
---@param spans fun(nth: integer): integer[][]
local function fill(buf, lines, group, spans)
  local shown = M.bare(lines)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, shown)
  for i in ipairs(shown) do
    vim.api.nvim_buf_set_extmark(buf, namespace, i - 1, 0, {
      end_row = i,
      hl_group = group,
      hl_eol = true,
      strict = false,
    })
    for _, span in ipairs(spans(i)) do
      vim.api.nvim_buf_set_extmark(buf, namespace, i - 1, span[1], {
        end_col = span[2],
        hl_group = group .. "Word",
        priority = 200,
        strict = false,
      })
    end
  end
  if #shown == 0 then
    vim.api.nvim_buf_set_extmark(buf, namespace, 0, 0, {
      virt_text = { { "(no lines)", "SuggestionReviewHint" } },
      virt_text_pos = "overlay",
    })
  end
  vim.bo[buf].modifiable = false
end

--- Where the two windows go.
---@param ours string[]
---@param theirs string[]
---@return { row: integer, col: integer, width: integer, height: integer } of one of them
function M.area(ours, theirs)
  local width = math.min(vim.o.columns, 160)
  local each = math.floor(width / 2) - 2
  local function rows_for(lines)
    local rows = 0
    for _, line in ipairs(lines) do
      rows = rows + math.max(1, math.ceil(vim.api.nvim_strwidth((line:gsub("%c", " "))) / each))
    end
    return rows
  end
  local tallest = math.max(rows_for(ours), rows_for(theirs), 3)
  local height = math.max(3, math.min(tallest, vim.o.lines - vim.o.cmdheight - 6))
  return {
    row = math.max(0, math.floor((vim.o.lines - height - 2) / 2)),
    col = math.floor((vim.o.columns - width) / 2),
    width = each,
    height = height,
  }
end

---@class (exact) SuggestionReview.ConflictPane
---@field lines string[]
---@field words table<integer, integer[][]>
---@field title string
---@field group string

--- The two texts.
---@param conflict SuggestionReview.Conflict
---@param width integer of a window
---@return SuggestionReview.ConflictPane[]
function M.of(conflict, width)
  local ours, theirs = conflict.ours, conflict.theirs
  local words = { ours = {}, theirs = {} }
  for _, pair in ipairs(diff.pairs_of(ours, theirs)) do
    words.ours[pair.old], words.theirs[pair.new] = diff.words(ours[pair.old], theirs[pair.new])
  end
  local file = text_of.fit(text_of.plain(conflict.item.hunk.file), width - 24, true)
  local title = conflict.removes and " Suggested: remove the file "
    or (conflict.taken_out and " Without the hunk " or " Suggested ")
  return {
    { lines = ours, words = words.ours, title = " Yours: " .. file .. " ", group = "SuggestionReviewDelete" },
    { lines = theirs, words = words.theirs, title = title, group = "SuggestionReviewAdd" },
  }
end

--- A buffer with one of the texts.
---@param pane SuggestionReview.ConflictPane
---@param file string
---@return integer
function M.buffer(pane, file)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.bo[buf].modeline = false
  fill(buf, pane.lines, pane.group, function(nth)
    return pane.words[nth] or {}
  end)
  local language, filetype = syntax.language(file)
  if language then
    pcall(vim.treesitter.start, buf, language)
  elseif filetype then
    vim.bo[buf].syntax = filetype
  end
  return buf
end

return M
