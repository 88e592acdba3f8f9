--- Where the developer's own edits touch a hunk: both texts side by side, and the choice of yours, theirs, both, or a
--- text edited by hand. Nothing is decided before one of them is chosen.
local notify = require("suggestion-review.say.notify")
local panes = require("suggestion-review.ui.conflict.panes")
local settle = require("suggestion-review.ui.conflict.settle").settle
local syntax = require("suggestion-review.ui.syntax")
local text_of = require("suggestion-review.text.display")
local editor = require("suggestion-review.ui.editor")
local popup = require("suggestion-review.ui.popup")
local together = require("suggestion-review.ui.together")

local M = {}

---@class SuggestionReview.ConflictDoor
---@field session fun(): SuggestionReview.Session the one it belongs to now: the review may have been opened again
---@field send fun(action: SuggestionReview.Action, opts: table)
---@field draw fun() the file and what is said of the hunk have changed
---@field settled fun() the file is as it is to be, with nothing to send
---@field left fun(reason: string) nothing was decided

--- A conflict that is shown, until something is chosen.
---@class SuggestionReview.Conflict
---@field session SuggestionReview.Session
---@field item SuggestionReview.PlanItem
---@field door SuggestionReview.ConflictDoor
---@field ours string[]
---@field theirs string[]
---@field taken_out boolean the hunk goes out of the file: it was rejected, or its decision taken back
---@field removes boolean the file goes
---@field wins integer[]
---@field group integer
---@field origin integer the window it was opened from
---@field is_closed boolean
---@field is_chosen boolean
local Conflict = {}
Conflict.__index = Conflict

function Conflict:close()
  if self.is_closed then
    return
  end
  self.is_closed = true
  pcall(vim.api.nvim_del_augroup_by_id, self.group)
  for _, win in ipairs(self.wins) do
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
  if vim.api.nvim_win_is_valid(self.origin) then
    vim.api.nvim_set_current_win(self.origin)
  end
end

--- Closes it; where nothing was chosen, nothing is decided.
function Conflict:leave()
  self:close()
  if not self.is_chosen then
    self.is_chosen = true
    self.door.left("it touches your own edits, and was left undecided")
  end
end

-- Choosing --------------------------------------------------------------------------------------------------

--- Takes both texts, the developer's first.
function Conflict:take_both()
  local lines = vim.list_slice(self.ours)
  if #lines > 0 and lines[#lines]:sub(-1) ~= "\n" then
    lines[#lines] = lines[#lines] .. "\n"
  end
  settle(self, vim.list_extend(lines, self.theirs), "own")
end

--- The lines of a text with conflict markers that was edited; nothing while there are markers in it.
---@param edited string[]
---@return string[]|nil
local function resolved(edited)
  local out = {}
  for i, line in ipairs(edited) do
    if line:match("^<<<<<<< ") or line:match("^>>>>>>> ") or line == "=======" then
      return nil
    end
    out[i] = line .. "\n"
  end
  return out
end

--- Has both texts edited in a window of their own.
function Conflict:edit()
  local hunk = self.item.hunk
  local lines = { "<<<<<<< yours" }
  vim.list_extend(lines, panes.bare(self.ours))
  lines[#lines + 1] = "======="
  vim.list_extend(lines, panes.bare(self.theirs))
  lines[#lines + 1] = ">>>>>>> suggested"
  self.is_chosen = true
  self:close()
  -- Until the resolved text is sent nothing is decided; then whoever waits is told once more.
  self.door.left("it touches your own edits, and is resolved in a window of its own")
  local _, filetype = syntax.language(hunk.file)
  local buf
  buf = editor.open({
    key = "conflict:" .. hunk.id,
    name = "conflict/" .. vim.fs.basename(hunk.file),
    title = "Resolve " .. text_of.plain(hunk.file),
    lines = lines,
    filetype = filetype,
    again = "; e where the hunk conflicts shows it again",
  }, function(edited, done)
    local out = resolved(edited)
    if not out then
      return done("there are still conflict markers in it")
    end
    settle(self, editor.is_emptied(buf) and {} or out, "own", done)
  end)
end

---@class (exact) SuggestionReview.ConflictChoice
---@field key string
---@field text string
---@field run fun()
---@field pane 1|2 below which text it stands

--- What can be chosen.
---@return SuggestionReview.ConflictChoice[]
function Conflict:choices()
  local choices = {}
  local function add(pane, key, text, run)
    choices[#choices + 1] = { pane = pane, key = key, text = text, run = run }
  end
  add(1, "o", self.taken_out and "keep yours" or "yours", function()
    settle(self, self.ours, "ours")
  end)
  add(1, "t", self.taken_out and "take it out" or "theirs", function()
    settle(self, not self.removes and self.theirs or nil, "theirs")
  end)
  if not self.removes then
    if not self.taken_out then
      add(1, "b", "both", function()
        self:take_both()
      end)
    end
    add(2, "e", "edit", function()
      self:edit()
    end)
  end
  add(2, "q", "leave undecided", function()
    self:leave()
  end)
  return choices
end

-- Showing ---------------------------------------------------------------------------------------------------

--- Maps what can be chosen in a buffer of a text.
---@param buf integer
---@param choices SuggestionReview.ConflictChoice[]
function Conflict:map(buf, choices)
  for _, choice in ipairs(choices) do
    vim.keymap.set("n", choice.key, choice.run, {
      buffer = buf,
      nowait = true,
      desc = "Conflict: " .. choice.text,
    })
  end
  local function leave()
    self:leave()
  end
  vim.keymap.set("n", "<Esc>", leave, { buffer = buf, nowait = true })
  vim.api.nvim_create_autocmd("WinClosed", {
    group = self.group,
    buffer = buf,
    callback = function()
      vim.schedule(leave)
    end,
  })
end

--- Opens the windows.
function Conflict:show()
  local area = panes.area(self.ours, self.theirs)
  local choices = self:choices()
  local footers = { {}, {} }
  for _, choice in ipairs(choices) do
    local footer = footers[choice.pane]
    footer[#footer + 1] = { (" %s"):format(choice.key), "SuggestionReviewKey" }
    footer[#footer + 1] = { (" %s "):format(choice.text), "SuggestionReviewHint" }
  end
  for i, pane in ipairs(panes.of(self, area.width)) do
    local buf = panes.buffer(pane, self.item.hunk.file)
    local win = popup.open(buf, i == 1, {
      row = area.row,
      col = area.col + (i - 1) * (area.width + 2),
      width = area.width,
      height = area.height,
      title = { { pane.title, "SuggestionReviewTitle" } },
      footer = footers[i],
      zindex = 55,
    })
    self.wins[i] = win
    vim.wo[win][0].wrap, vim.wo[win][0].linebreak, vim.wo[win][0].breakindent = true, true, true
    self:map(buf, choices)
  end
  together.scroll(self.wins, self.group)
end

--- Shows a conflict and carries out what is chosen.
---@param session SuggestionReview.Session
---@param item SuggestionReview.PlanItem
---@param door SuggestionReview.ConflictDoor
function M.open(session, item, door)
  local placed = item.placed
  if not placed or not placed.ours then
    local reason = item.reason or "conflict"
    notify.warn(("%s: %s"):format(text_of.plain(item.hunk.file), reason))
    return door.left(reason)
  end
  local taken_out = item.want.state == "rejected" or item.want.state == "pending"
  local conflict = setmetatable({
    session = session,
    item = item,
    door = door,
    ours = placed.ours,
    theirs = placed.theirs,
    taken_out = taken_out,
    removes = placed.removes == true,
    wins = {},
    group = vim.api.nvim_create_augroup("suggestion-review.conflict", {}),
    origin = vim.api.nvim_get_current_win(),
    is_closed = false,
    is_chosen = false,
  }, Conflict)
  conflict:show()
end

return M
