--- Where the developer's own edits touch a hunk: both texts side by side, and the choice of yours, theirs, both, or a
--- text edited by hand. Nothing is decided before one of them is chosen.
local text_of = require("suggestion-review.text.display")
local diff = require("suggestion-review.text.diff")
local resolution = require("suggestion-review.apply.resolution")

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

--- Shows a conflict and carries out what is chosen.
---@param session SuggestionReview.Session
---@param item SuggestionReview.PlanItem
---@param door SuggestionReview.ConflictDoor
function M.open(session, item, door)
  local placed = item.placed
  if not placed or not placed.ours then
    local reason = item.reason or "conflict"
    require("suggestion-review.say.notify").warn(("%s: %s"):format(text_of.plain(item.hunk.file), reason))
    return door.left(reason)
  end
  local popup = require("suggestion-review.ui.popup")
  local ours, theirs = placed.ours, placed.theirs
  local rejected = item.want.state == "rejected" or item.want.state == "pending"
  local removes = item.hunk.kind == (rejected and "create" or "delete") and #theirs == 0
  local origin = vim.api.nvim_get_current_win()

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
  local row = math.max(0, math.floor((vim.o.lines - height - 2) / 2))
  local left = math.floor((vim.o.columns - width) / 2)
  local words = { ours = {}, theirs = {} }
  for _, pair in ipairs(diff.pairs_of(ours, theirs)) do
    words.ours[pair.old], words.theirs[pair.new] = diff.words(ours[pair.old], theirs[pair.new])
  end
  local file = text_of.fit(text_of.plain(item.hunk.file), each - 24, true)
  local panes = {
    { lines = ours, words = words.ours, title = " Yours: " .. file .. " ", group = "SuggestionReviewDelete" },
    {
      lines = theirs,
      words = words.theirs,
      title = removes and " Suggested: remove the file "
        or (rejected and " Without the hunk " or " Suggested "),
      group = "SuggestionReviewAdd",
    },
  }
  local wins = {}
  local group = vim.api.nvim_create_augroup("suggestion-review.conflict", {})
  local is_closed = false
  local function close()
    if is_closed then
      return
    end
    is_closed = true
    pcall(vim.api.nvim_del_augroup_by_id, group)
    for _, win in ipairs(wins) do
      if vim.api.nvim_win_is_valid(win) then
        vim.api.nvim_win_close(win, true)
      end
    end
    if vim.api.nvim_win_is_valid(origin) then
      vim.api.nvim_set_current_win(origin)
    end
  end

  local chosen = false
  local function leave()
    close()
    if not chosen then
      chosen = true
      door.left("it touches your own edits, and was left undecided")
    end
  end

  ---@param lines string[]|nil nil: the file goes
  ---@param choice "ours"|"theirs"|"own"
  ---@param done? fun(reason?: string) told what became of a text that was edited
  local function settle(lines, choice, done)
    chosen = true
    close()
    local notify = require("suggestion-review.say.notify")
    local function finish(replacement)
      local ok, reason = resolution.resolve(session.place, item, lines, replacement)
      session.outcomes[item.hunk.id] = not ok and "not in your file" or nil
      if reason then
        notify.warn(("%s: %s"):format(text_of.plain(item.hunk.file), reason))
      end
      door.draw()
      return ok, reason
    end
    local function finish_here()
      local ok, reason = finish(nil)
      if done then
        done(not ok and (reason or "it is not in your file") or nil)
      end
      door.settled()
    end
    local answered = done and function(err)
      done(err and err.message or nil)
    end
    if rejected then
      return finish_here()
    elseif choice == "theirs" or (lines and vim.deep_equal(lines, theirs)) then
      if session:state_of(item.hunk) == item.want.state then
        return finish_here()
      end
      return door.send(item.want.state == "modified" and "modify" or "accept", {
        modified_diff = item.want.modified_diff,
        resolution = finish,
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
        finish(replacement)
      end,
      answered = answered,
    })
  end

  local function both()
    local lines = vim.list_slice(ours)
    if #lines > 0 and lines[#lines]:sub(-1) ~= "\n" then
      lines[#lines] = lines[#lines] .. "\n"
    end
    settle(vim.list_extend(lines, theirs), "own")
  end

  local function edit()
    local lines = bare(ours)
    local markers = { "<<<<<<< yours" }
    vim.list_extend(markers, lines)
    markers[#markers + 1] = "======="
    vim.list_extend(markers, bare(theirs))
    markers[#markers + 1] = ">>>>>>> suggested"
    chosen = true
    close()
    local _, filetype = require("suggestion-review.ui.syntax").language(item.hunk.file)
    local editor = require("suggestion-review.ui.editor")
    -- Until the resolved text is sent nothing is decided; then whoever waits is told once more.
    door.left("it touches your own edits, and is resolved in a window of its own")
    local buf
    buf = editor.open({
      key = "conflict:" .. item.hunk.id,
      name = "conflict/" .. vim.fs.basename(item.hunk.file),
      title = "Resolve " .. text_of.plain(item.hunk.file),
      lines = markers,
      filetype = filetype,
      again = "; e where the hunk conflicts shows it again",
    }, function(edited, done)
      local out = {}
      for i, line in ipairs(edited) do
        if line:match("^<<<<<<< ") or line:match("^>>>>>>> ") or line == "=======" then
          return done("there are still conflict markers in it")
        end
        out[i] = line .. "\n"
      end
      if editor.is_emptied(buf) then
        out = {}
      end
      settle(out, "own", done)
    end)
  end

  local hints = {
    {
      "o",
      rejected and "keep yours" or "yours",
      function()
        settle(ours, "ours")
      end,
    },
    {
      "t",
      rejected and "take it out" or "theirs",
      function()
        settle(not removes and theirs or nil, "theirs")
      end,
    },
    { "b", "both", not removes and not rejected and both or nil },
    { "e", "edit", not removes and edit or nil },
    { "q", "leave undecided", leave },
  }
  local footers = { {}, {} }
  for i, hint in ipairs(hints) do
    local footer = footers[i <= 3 and 1 or 2]
    if hint[3] then
      footer[#footer + 1] = { (" %s"):format(hint[1]), "SuggestionReviewKey" }
      footer[#footer + 1] = { (" %s "):format(hint[2]), "SuggestionReviewHint" }
    end
  end
  local _, filetype = require("suggestion-review.ui.syntax").language(item.hunk.file)
  local language = require("suggestion-review.ui.syntax").language(item.hunk.file)
  for i, pane in ipairs(panes) do
    local buf = vim.api.nvim_create_buf(false, true)
    vim.bo[buf].bufhidden = "wipe"
    vim.bo[buf].modeline = false
    fill(buf, pane.lines, pane.group, function(nth)
      return pane.words[nth] or {}
    end)
    if language then
      pcall(vim.treesitter.start, buf, language)
    elseif filetype then
      vim.bo[buf].syntax = filetype
    end
    local win = popup.open(buf, i == 1, {
      row = row,
      col = left + (i - 1) * (each + 2),
      width = each,
      height = height,
      title = { { pane.title, "SuggestionReviewTitle" } },
      footer = footers[i],
      zindex = 55,
    })
    wins[i] = win
    vim.wo[win][0].wrap, vim.wo[win][0].linebreak, vim.wo[win][0].breakindent = true, true, true
    for _, hint in ipairs(hints) do
      if hint[3] then
        vim.keymap.set("n", hint[1], hint[3], { buffer = buf, nowait = true, desc = "Conflict: " .. hint[2] })
      end
    end
    vim.keymap.set("n", "<Esc>", leave, { buffer = buf, nowait = true })
    vim.api.nvim_create_autocmd("WinClosed", {
      group = group,
      buffer = buf,
      callback = function()
        vim.schedule(leave)
      end,
    })
  end
  require("suggestion-review.ui.together").scroll(wins, group)
end

return M
