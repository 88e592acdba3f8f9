--- What stands on the borders and bars of the floating review: the suggestion, how far one is in it and in the file,
--- and hints at keys. Makes text for a width; the windows are `floating.lua`'s.
local keys = require("suggestion-review.ui.keys")
local text_of = require("suggestion-review.text.display")

local M = {}

--- Hints that fit the width, the most needed first.
---@param width integer
---@return string[][] chunks
function M.footer(width)
  local hints = {
    { "accept", "accept" },
    { "reject", "reject" },
    { "modify", "modify" },
    { "next_hunk", "next" },
    { "undo", "undo" },
    { "help", "help" },
    { "close", "close" },
    { "complete", "finish" },
  }
  local chunks, used = {}, 2
  for _, hint in ipairs(hints) do
    local key = keys.key(hint[1])
    if key then
      local size = vim.api.nvim_strwidth(key) + #hint[2] + 3
      if used + size > width then
        break
      end
      used = used + size
      chunks[#chunks + 1] = { " " .. key, "SuggestionReviewKey" }
      chunks[#chunks + 1] = { " " .. hint[2] .. " ", "SuggestionReviewHint" }
    end
  end
  return chunks
end

--- What the title says beside the counts, as one text to compare.
---@param session SuggestionReview.Session
---@return string
function M.marks(session)
  return table.concat(
    vim.tbl_map(function(mark)
      return mark.text
    end, require("suggestion-review.watch.label").marks(session:suggestion())),
    " · "
  )
end

--- What is reviewed, how far one is, and how it stands with the server.
---@param session SuggestionReview.Session
---@param width integer
---@return string[][] chunks
function M.title(session, width)
  local suggestion = session:suggestion()
  local chunks = { { (" %d/%d decided"):format(session.decided, #session.hunks), "SuggestionReviewCount" } }
  local used = vim.api.nvim_strwidth(chunks[1][1]) + 1
  local marks = require("suggestion-review.watch.label").marks(suggestion)
  if #session:warnings() > 0 then
    table.insert(marks, { text = ("⚠ %d left out"):format(#session:warnings()), fine = false })
  end
  for _, mark in ipairs(marks) do
    local text = " · " .. mark.text
    local size = vim.api.nvim_strwidth(text)
    -- Where room is short, what is as it should be is left out, and the title keeps a few words.
    if not mark.fine or used + size + 30 <= width then
      used = used + size
      chunks[#chunks + 1] = { text, mark.fine and "SuggestionReviewHint" or "SuggestionReviewNotApplied" }
    end
  end
  chunks[#chunks + 1] = { " ", "SuggestionReviewCount" }
  local description = text_of.fit(text_of.first_line(suggestion.description), width - used - 6)
  table.insert(chunks, 1, { " " .. description .. " ", "SuggestionReviewTitle" })
  return chunks
end

--- Dots, one per hunk of the file, or numbers when there are many.
---@param session SuggestionReview.Session
---@param file SuggestionReview.SessionFile
---@param room integer
---@return string for the winbar
local function progress(session, file, room)
  local count = file.last - file.first + 1
  if count > room then
    return ("%%#SuggestionReviewCount#%d/%d"):format(file.decided, count)
  end
  local out, group = {}, nil
  for index = file.first, file.last do
    local state = text_of.STATE[session:state_of(session.hunks[index])]
    if state.group ~= group then
      group = state.group
      out[#out + 1] = ("%%#%s#"):format(group)
    end
    out[#out + 1] = index == session.index and "◆" or state.icon
  end
  return table.concat(out)
end

--- 'winbar' of the review: where one is, in the suggestion and in the file.
---@param session SuggestionReview.Session
---@param file SuggestionReview.SessionFile the file that is shown
---@param side "both"|"old"|"new"
---@param width integer
---@return string
function M.winbar(session, file, side, width)
  local where = ("%d/%d"):format(session.index, #session.hunks)
  local counts = ("+%d -%d"):format(file.added, file.removed)
  if side == "old" then
    return (" %%#SuggestionReviewHint#base of %%#SuggestionReviewFile#%s"):format(
      text_of.status(text_of.fit(file.old_display or file.display, width - 12, true))
    )
  end
  local dots = math.max(0, math.min(20, width - 40))
  local name = text_of.fit(
    file.display,
    math.max(10, width - #where - #counts - 10 - math.min(dots, file.last - file.first + 1)),
    true
  )
  local shape = " %%#SuggestionReviewCount#%s  %%#SuggestionReviewFile#%s  %s"
    .. "%%=%%#SuggestionReviewAddSign#+%d %%#SuggestionReviewDeleteSign#-%d "
  return shape:format(where, text_of.status(name), progress(session, file, dots), file.added, file.removed)
end

return M
