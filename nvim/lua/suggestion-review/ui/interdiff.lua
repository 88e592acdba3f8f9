--- Two texts of one hunk against each other: what was rejected in an earlier revision and what is proposed now, or what
--- the agent proposes and what the developer made of it.
local diff = require("suggestion-review.text.diff")
local text_of = require("suggestion-review.text.display")

local M = {}

---@param text string a hunk's diff
---@param latin1 boolean
---@return { at: integer, old: string[], new: string[] }|nil sides, whole lines
local function sides_of(text, latin1)
  local parsed = diff.parse(diff.bare_edit(latin1 and diff.latin1_to_bytes(text) or text))
  if not parsed then
    return
  end
  local sides = diff.sides(parsed)
  local old, new = {}, {}
  for _, part in ipairs({ "before", "old", "after" }) do
    vim.list_extend(old, sides[part])
  end
  for _, part in ipairs({ "before", "new", "after" }) do
    vim.list_extend(new, sides[part])
  end
  return { at = diff.zero_based(parsed.old_start, parsed.old_count), old = old, new = new }
end

--- The lines of a unified diff from one text of a hunk to another, without its header; empty when they are the same.
--- Each side is shown with the unchanged lines around it that only the other one has.
---@param from string a hunk's diff
---@param to string
---@param latin1 boolean
---@return string[]|nil lines nil where one of them is no text
local function between(from, to, latin1)
  local before, now = sides_of(from, latin1), sides_of(to, latin1)
  if not before or not now then
    return
  end
  -- Both are cut from files that may differ around the hunk; what is compared begins and ends at the same line.
  local function ends(side)
    return side.at + #side.old
  end
  local function widen(side, other)
    local first = vim.list_slice(other.old, 1, math.max(0, math.min(#other.old, side.at - other.at)))
    local last =
      vim.list_slice(other.old, #other.old - math.max(0, math.min(#other.old, ends(other) - ends(side))) + 1)
    local out = {}
    for _, part in ipairs({ first, side.new, last }) do
      vim.list_extend(out, part)
    end
    return out
  end
  local left, right = table.concat(widen(before, now)), table.concat(widen(now, before))
  if left == right then
    return {}
  end
  local compare = vim.text and vim.text.diff or vim.diff
  local out = {}
  for line in
    vim.gsplit(compare(left, right, { ctxlen = 1000, algorithm = "histogram" }) --[[@as string]], "\n", {
      plain = true,
      trimempty = true,
    })
  do
    if line:sub(1, 3) ~= "@@ " then
      out[#out + 1] = line
    end
  end
  return out
end

--- From what was rejected to what is proposed.
---@param hunk SuggestionReview.Hunk with `earlier`
---@return string[]|nil lines nil where one of them is no text
function M.lines(hunk)
  return between(hunk.earlier.diff, hunk.diff, hunk.encoding == "latin1")
end

--- From what the agent proposes to the developer's version.
---@param hunk SuggestionReview.Hunk that is modified
---@return string[]|nil lines nil where one of them is no text
function M.own_lines(hunk)
  return between(hunk.diff, hunk.decision.modified_diff, hunk.encoding == "latin1")
end

local GROUP =
  { ["+"] = "SuggestionReviewAdd", ["-"] = "SuggestionReviewDelete", ["\\"] = "SuggestionReviewHint" }

--- Shows it in a window of its own; `q` and <Esc> close it.
---@param hunk SuggestionReview.Hunk modified, or with `earlier`
---@param revision integer the one under review
---@return integer|nil window
function M.open(hunk, revision)
  local own = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
  local lines = own and M.own_lines(hunk) or not own and M.lines(hunk)
  if not lines then
    return
  end
  local earlier = hunk.earlier
  local shown, marks = {}, {}
  local function put(text, group)
    shown[#shown + 1] = text
    if group then
      marks[#marks + 1] = { #shown - 1, group }
    end
  end
  if not own and earlier.comment and earlier.comment ~= "" then
    for line in vim.gsplit(vim.trim(earlier.comment), "\n", { plain = true }) do
      put("» " .. text_of.plain(line), "SuggestionReviewComment")
    end
    put("")
  end
  if #lines == 0 then
    put(own and "It is the agent's text." or "It is the same text again.", "SuggestionReviewNotApplied")
  end
  for _, line in ipairs(lines) do
    put(line:sub(1, 1) .. text_of.expand(line:sub(2)), GROUP[line:sub(1, 1)])
  end
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, shown)
  vim.bo[buf].modifiable = false
  local namespace = vim.api.nvim_create_namespace("suggestion-review.interdiff")
  for _, mark in ipairs(marks) do
    vim.api.nvim_buf_set_extmark(buf, namespace, mark[1], 0, { line_hl_group = mark[2] })
  end
  local title = " Proposed by the agent → your version "
  if not own then
    title = (" Rejected in revision %d → proposed in revision %d "):format(earlier.revision, revision)
  end
  local width = vim.api.nvim_strwidth(title) + 2
  for _, line in ipairs(shown) do
    width = math.max(width, vim.api.nvim_strwidth(line) + 1)
  end
  local win = require("suggestion-review.ui.popup").open(buf, true, {
    width = math.min(width, vim.o.columns - 4),
    height = math.max(1, math.min(#shown, vim.o.lines - 6)),
    title = title,
    footer = " q close ",
    footer_pos = "right",
  })
  local function close()
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
  for _, lhs in ipairs({ "q", "<Esc>", "<CR>" }) do
    vim.keymap.set("n", lhs, close, { buffer = buf, nowait = true, desc = "Review: close" })
  end
  vim.api.nvim_create_autocmd("WinLeave", { buffer = buf, once = true, callback = vim.schedule_wrap(close) })
  return win
end

return M
