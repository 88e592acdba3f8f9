--- A buffer in which the developer edits a hunk, with the real file's filetype: `:w` sends the text, `:q` changes
--- nothing. Also the buffer for a commit message.
local syntax = require("suggestion-review.ui.syntax")

local M = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.modify")

---@param opts { name: string, title: string, lines: string[], filetype: string|nil, height?: integer }
---@param write fun(lines: string[]): boolean, string|nil
---@return integer buf
---@return integer win
function M.editor(opts, write)
  local buf = vim.api.nvim_create_buf(false, false)
  vim.bo[buf].buftype = "acwrite"
  vim.bo[buf].bufhidden = "wipe"
  vim.bo[buf].swapfile = false
  vim.bo[buf].modeline = false
  vim.api.nvim_buf_set_name(buf, ("suggestion-review://%s/%d"):format(opts.name, buf))
  local undolevels = vim.bo[buf].undolevels
  vim.bo[buf].undolevels = -1
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, opts.lines)
  vim.bo[buf].undolevels = undolevels
  vim.bo[buf].modified = false
  local width = math.min(vim.o.columns - 4, 100)
  local height = math.max(6, math.min(vim.o.lines - 6, opts.height or #opts.lines + 4))
  local win = require("suggestion-review.ui.popup").open(buf, true, {
    width = width,
    height = height,
    keep = true,
    wrap = vim.go.wrap,
    title = { { (" %s "):format(opts.title), "SuggestionReviewTitle" } },
    footer = {
      { " :w", "SuggestionReviewKey" },
      { " send ", "SuggestionReviewHint" },
      { " :q!", "SuggestionReviewKey" },
      { " change nothing ", "SuggestionReviewHint" },
    },
    zindex = 50,
  })
  vim.api.nvim_create_autocmd("BufWriteCmd", {
    buffer = buf,
    callback = function()
      local ok, reason = write(vim.api.nvim_buf_get_lines(buf, 0, -1, false))
      if not ok then
        require("suggestion-review.say.notify").warn(reason or "not sent")
        return
      end
      vim.bo[buf].modified = false
      vim.schedule(function()
        if vim.api.nvim_win_is_valid(win) then
          vim.api.nvim_win_close(win, true)
        end
      end)
    end,
  })
  -- Last, so that filetype plugins find the buffer as it stays.
  if opts.filetype then
    vim.bo[buf].filetype = opts.filetype
  end
  return buf, win
end

--- Opens a hunk for editing: its context, the proposed lines, its context.
---@param hunk SuggestionReview.Hunk
---@param text SuggestionReview.HunkText
---@param write fun(edited: string[]): boolean, string|nil edited lines with terminators
function M.open(hunk, text, write)
  local diff = require("suggestion-review.text.diff")
  local decision = hunk.decision
  local before, new, after = text.before, text.new, text.after
  -- A hunk modified before opens as it was left.
  if hunk.state == "modified" and decision and decision.modified_diff then
    local parsed = diff.parse(decision.modified_diff)
    if parsed then
      local own = diff.sides(parsed)
      local from = diff.zero_based(hunk.old_start, hunk.old_count) - #text.before
      local own_from = diff.zero_based(parsed.old_start, parsed.old_count)
      local whole = {}
      vim.list_extend(whole, text.before)
      vim.list_extend(whole, text.old)
      vim.list_extend(whole, text.after)
      local at = own_from + #own.before - from
      if at >= 0 and at + #own.old <= #whole then
        local edited = vim.list_slice(whole, 1, at)
        vim.list_extend(edited, own.new)
        vim.list_extend(edited, whole, at + #own.old + 1, #whole)
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
  local buf, win = M.editor({
    name = "modify/" .. vim.fs.basename(hunk.file),
    title = "Edit " .. require("suggestion-review.text.display").plain(hunk.file),
    lines = lines,
    filetype = filetype,
  }, function(edited)
    local out = {}
    for i, line in ipairs(edited) do
      out[i] = line .. "\n"
    end
    if #out == 1 and out[1] == "\n" then
      out = {} -- an emptied buffer: the lines are removed
    elseif not eol and #out > 0 then
      out[#out] = out[#out]:sub(1, -2)
    end
    return write(out)
  end)
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

--- A buffer for the commit message.
---@param message string
---@param write fun(message: string)
function M.open_message(message, write)
  M.editor({
    name = "message",
    title = "Commit message",
    lines = vim.split(message, "\n", { plain = true }),
    filetype = "gitcommit",
    height = 12,
  }, function(lines)
    local text = vim.trim(table.concat(lines, "\n"))
    if text == "" then
      return false, "a commit needs a message"
    end
    write(text)
    return true
  end)
end

return M
