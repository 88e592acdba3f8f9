--- A hunk in a window of its own, with the real file's filetype, for the developer to make another of it: `:w` sends
--- the text, `:q!` changes nothing. Also the window for a commit message.
local diff = require("suggestion-review.text.diff")
local editor = require("suggestion-review.ui.editor")
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.text.display")

local M = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.modify")

--- The edited lines with their terminators.
---@param buf integer
---@param lines string[]
---@param shown integer how many lines it began with
---@param eol boolean whether the last of those had a terminator
---@return string[]
local function terminated(buf, lines, shown, eol)
  -- No line at all and one empty line look the same; where there was one line, an empty one is meant.
  if shown ~= 1 and editor.is_emptied(buf) then
    return {}
  end
  local out = {}
  for i, line in ipairs(lines) do
    out[i] = line .. "\n"
  end
  if not eol and out[#out] ~= "\n" then
    out[#out] = out[#out]:sub(1, -2)
  end
  return out
end

--- Opens a hunk for editing: its context, the proposed lines, its context.
---@param hunk SuggestionReview.Hunk
---@param text SuggestionReview.HunkText
---@param key string what an unsent text is kept under
---@param write fun(edited: string[], done: fun(reason?: string), forced: boolean) edited lines with terminators
function M.open(hunk, text, key, write)
  local decision = hunk.decision
  local before, new, after = text.before, text.new, text.after
  -- A hunk modified before opens as it was left.
  if hunk.state == "modified" and decision and decision.modified_diff then
    local own = diff.read_modification(hunk, decision.modified_diff)
    if own then
      local from = diff.zero_based(hunk.old_start, hunk.old_count) - #text.before
      local whole = {}
      vim.list_extend(whole, text.before)
      vim.list_extend(whole, text.old)
      vim.list_extend(whole, text.after)
      local at = own.at - from
      if at >= 0 and at + own.count <= #whole then
        local edited = vim.list_slice(whole, 1, at)
        vim.list_extend(edited, own.lines)
        vim.list_extend(edited, whole, at + own.count + 1, #whole)
        before, new, after = {}, edited, {}
      end
    end
  end
  local lines = {}
  for _, part in ipairs({ before, new, after }) do
    for _, line in ipairs(part) do
      lines[#lines + 1] = (line:gsub("\n$", ""):gsub("\n", "\0"))
    end
  end
  local all = {}
  vim.list_extend(all, before)
  vim.list_extend(all, new)
  vim.list_extend(all, after)
  local eol = #all == 0 or all[#all]:sub(-1) == "\n"
  local _, filetype = syntax.language(hunk.file)
  local again = require("suggestion-review.ui.keys").key("modify")
  local buf, win
  buf, win = editor.open({
    key = key,
    name = "modify/" .. vim.fs.basename(hunk.file),
    title = "Edit " .. text_of.plain(hunk.file),
    lines = lines,
    filetype = filetype,
    again = ("; %s on its hunk shows it again"):format(again or ":Suggest modify"),
    on_open = function(_, shown)
      vim.wo[shown].signcolumn = "yes:1"
    end,
  }, function(edited, done, forced)
    write(terminated(buf, edited, #lines, eol), done, forced)
  end)
  if not buf then
    return
  end
  for i = 1, #lines do
    local is_context = i <= #before or i > #before + #new
    vim.api.nvim_buf_set_extmark(buf, namespace, i - 1, 0, {
      sign_text = not is_context and "+ " or nil,
      sign_hl_group = not is_context and "SuggestionReviewAddSign" or nil,
      line_hl_group = not is_context and "SuggestionReviewAdd" or nil,
    })
  end
  vim.wo[win][0].signcolumn = "yes:1"
  pcall(vim.api.nvim_win_set_cursor, win, { math.max(1, math.min(#before + 1, #lines)), 0 })
end

--- A window for the commit message.
---@param key string what an unsent text is kept under
---@param message string
---@param write fun(message: string, done: fun(reason?: string))
function M.open_message(key, message, write)
  editor.open({
    key = key,
    name = "message",
    title = "Commit message",
    lines = vim.split(message, "\n", { plain = true }),
    filetype = "gitcommit",
    height = 12,
    again = "; editing the message again shows it",
  }, function(lines, done)
    local text = vim.trim(table.concat(lines, "\n"))
    if text == "" then
      return done("a commit needs a message")
    end
    write(text, done)
  end)
end

return M
