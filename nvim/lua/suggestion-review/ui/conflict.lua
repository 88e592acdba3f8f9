--- Where the developer's own edits touch a hunk: both texts side by side, and the choice of yours, theirs, both, or a
--- text edited by hand. Nothing is decided before one of them is chosen.
local text_of = require("suggestion-review.text.display")
local diff = require("suggestion-review.text.diff")
local notify = require("suggestion-review.say.notify")
local resolution = require("suggestion-review.apply.resolution")
local syntax = require("suggestion-review.ui.syntax")

local M = {}

local namespace = vim.api.nvim_create_namespace("suggestion-review.conflict")

---@param lines string[]
local function bare(lines)
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
  local shown = bare(lines)
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

---@class SuggestionReview.ConflictDoor
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

-- Settling --------------------------------------------------------------------------------------------------

--- Brings the text that was chosen into the file.
---@param lines string[]|nil nil: the file goes
---@param replacement SuggestionReview.Replacement|nil
---@return boolean ok
---@return string|nil reason
function Conflict:bring(lines, replacement)
  local hunk = self.item.hunk
  local ok, reason = resolution.resolve(self.session.place, self.item, lines, replacement)
  self.session.outcomes[hunk.id] = not ok and "not in your file" or nil
  if reason then
    notify.warn(("%s: %s"):format(text_of.plain(hunk.file), reason))
  end
  self.door.draw()
  return ok, reason
end

--- Carries out a choice that changes no decision.
---@param lines string[]|nil
---@param done? fun(reason?: string)
function Conflict:settle_here(lines, done)
  local ok, reason = self:bring(lines, nil)
  if done then
    done(not ok and (reason or "it is not in your file") or nil)
  end
  self.door.settled()
end

--- Carries out what was chosen.
---@param lines string[]|nil nil: the file goes
---@param choice "ours"|"theirs"|"own"
---@param done? fun(reason?: string) told what became of a text that was edited
function Conflict:settle(lines, choice, done)
  local item, door = self.item, self.door
  self.is_chosen = true
  self:close()
  if self.taken_out then
    return self:settle_here(lines, done)
  end
  local answered = done and function(err)
    done(err and err.message or nil)
  end
  if choice == "theirs" or (lines and vim.deep_equal(lines, self.theirs)) then
    if self.session:state_of(item.hunk) == item.want.state then
      return self:settle_here(lines, done)
    end
    return door.send(item.want.state == "modified" and "modify" or "accept", {
      modified_diff = item.want.modified_diff,
      resolution = function()
        self:bring(lines, nil)
      end,
      answered = answered,
    })
  end
  local modified, reason, replacement = resolution.as_modification(item, lines or {})
  if not modified then
    if done then
      return done(reason)
    end
    notify.warn(("%s: %s"):format(text_of.plain(item.hunk.file), reason))
    return door.left(reason or "conflict")
  end
  door.send("modify", {
    modified_diff = modified,
    comment = "resolved against my own edits",
    resolution = function()
      self:bring(lines, replacement)
    end,
    answered = answered,
  })
end

-- Choosing --------------------------------------------------------------------------------------------------

--- Takes both texts, the developer's first.
function Conflict:take_both()
  local lines = vim.list_slice(self.ours)
  if #lines > 0 and lines[#lines]:sub(-1) ~= "\n" then
    lines[#lines] = lines[#lines] .. "\n"
  end
  self:settle(vim.list_extend(lines, self.theirs), "own")
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
  vim.list_extend(lines, bare(self.ours))
  lines[#lines + 1] = "======="
  vim.list_extend(lines, bare(self.theirs))
  lines[#lines + 1] = ">>>>>>> suggested"
  self.is_chosen = true
  self:close()
  -- Until the resolved text is sent nothing is decided; then whoever waits is told once more.
  self.door.left("it touches your own edits, and is resolved in a window of its own")
  local _, filetype = syntax.language(hunk.file)
  local editor = require("suggestion-review.ui.editor")
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
    self:settle(editor.is_emptied(buf) and {} or out, "own", done)
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
    self:settle(self.ours, "ours")
  end)
  add(1, "t", self.taken_out and "take it out" or "theirs", function()
    self:settle(not self.removes and self.theirs or nil, "theirs")
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

--- Where the two windows go.
---@return { row: integer, col: integer, width: integer, height: integer } of one of them
function Conflict:area()
  local width = math.min(vim.o.columns, 160)
  local each = math.floor(width / 2) - 2
  local function rows_for(lines)
    local rows = 0
    for _, line in ipairs(lines) do
      rows = rows + math.max(1, math.ceil(vim.api.nvim_strwidth((line:gsub("%c", " "))) / each))
    end
    return rows
  end
  local tallest = math.max(rows_for(self.ours), rows_for(self.theirs), 3)
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
---@param width integer of a window
---@return SuggestionReview.ConflictPane[]
function Conflict:panes(width)
  local ours, theirs = self.ours, self.theirs
  local words = { ours = {}, theirs = {} }
  for _, pair in ipairs(diff.pairs_of(ours, theirs)) do
    words.ours[pair.old], words.theirs[pair.new] = diff.words(ours[pair.old], theirs[pair.new])
  end
  local file = text_of.fit(text_of.plain(self.item.hunk.file), width - 24, true)
  local title = self.removes and " Suggested: remove the file "
    or (self.taken_out and " Without the hunk " or " Suggested ")
  return {
    { lines = ours, words = words.ours, title = " Yours: " .. file .. " ", group = "SuggestionReviewDelete" },
    { lines = theirs, words = words.theirs, title = title, group = "SuggestionReviewAdd" },
  }
end

--- A buffer with one of the texts.
---@param pane SuggestionReview.ConflictPane
---@return integer
function Conflict:buffer(pane)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.bo[buf].modeline = false
  fill(buf, pane.lines, pane.group, function(nth)
    return pane.words[nth] or {}
  end)
  local language, filetype = syntax.language(self.item.hunk.file)
  if language then
    pcall(vim.treesitter.start, buf, language)
  elseif filetype then
    vim.bo[buf].syntax = filetype
  end
  return buf
end

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
  local area = self:area()
  local choices = self:choices()
  local footers = { {}, {} }
  for _, choice in ipairs(choices) do
    local footer = footers[choice.pane]
    footer[#footer + 1] = { (" %s"):format(choice.key), "SuggestionReviewKey" }
    footer[#footer + 1] = { (" %s "):format(choice.text), "SuggestionReviewHint" }
  end
  for i, pane in ipairs(self:panes(area.width)) do
    local buf = self:buffer(pane)
    local win = require("suggestion-review.ui.popup").open(buf, i == 1, {
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
  require("suggestion-review.ui.together").scroll(self.wins, self.group)
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
    removes = item.hunk.kind == (taken_out and "create" or "delete") and #placed.theirs == 0,
    wins = {},
    group = vim.api.nvim_create_augroup("suggestion-review.conflict", {}),
    origin = vim.api.nvim_get_current_win(),
    is_closed = false,
    is_chosen = false,
  }, Conflict)
  conflict:show()
end

return M
