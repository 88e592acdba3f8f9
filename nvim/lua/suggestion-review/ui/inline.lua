--- The review inside the real buffers: what goes is marked where it stands, what comes is shown below it as virtual
--- lines; where the agent works in this very checkout, what came is marked and what went is shown above it. Keys
--- exist only in these buffers and only while reviewing; the user's own come back afterwards.
local apply = require("suggestion-review.apply")
local real_window = require("suggestion-review.ui.real_window")
local rows_of = require("suggestion-review.ui.rows")
local text_of = require("suggestion-review.text.display")
local virtual_line = require("suggestion-review.ui.virtual_line")
local worktree = require("suggestion-review.worktree.paths")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local config = require("suggestion-review.config")
local notify = require("suggestion-review.say.notify")
local highlights = require("suggestion-review.ui.highlights")
local keys = require("suggestion-review.ui.keys")
local notes = require("suggestion-review.ui.notes")
local textobject = require("suggestion-review.ui.textobject")
local label = require("suggestion-review.watch.label")

local M = {}

---@class SuggestionReview.InlineHunk
---@field index integer
---@field hunk SuggestionReview.Hunk
---@field from integer first line in the buffer, 0-based
---@field to integer end, exclusive
---@field status SuggestionReview.Outcome
---@field shown? SuggestionReview.InlineLines while it is drawn undecided

---@class (exact) SuggestionReview.InlineLines the lines that are not in the buffer
---@field mark? integer
---@field row integer
---@field above boolean
---@field lines table[] without the headline
---@field head_first boolean

---@class SuggestionReview.InlineBuffer
---@field buf integer
---@field file SuggestionReview.SessionFile
---@field placed SuggestionReview.InlineHunk[]
---@field by_index table<integer, SuggestionReview.InlineHunk>
---@field tick integer|nil
---@field drawn table<integer, true>
---@field marks table<integer, integer[]> extmarks by hunk
---@field version integer|nil of the session when the hunks were placed
---@field current integer|nil the hunk whose line shows the keys
---@field waited boolean|nil once for the places of the hunks, as long as one waits
---@field saved table[] maps of the user's
---@field width integer|nil cells of a row when it was drawn

---@class SuggestionReview.Inline
---@field session SuggestionReview.Session
---@field actions SuggestionReview.Actions
---@field buffers table<integer, SuggestionReview.InlineBuffer>
---@field group integer
---@field timer uv.uv_timer_t|nil

---@type SuggestionReview.Inline|nil
local current

local namespace = vim.api.nvim_create_namespace("suggestion-review.inline")

--- Lines that are not in the buffer, of one side of a hunk: a longer hunk is shown in a window of its own.
local MOST_SHOWN = 500

---@param file SuggestionReview.SessionFile
---@return string|nil
local function path_of(file)
  local session = current.session
  local root = session.place.root
  if not root then
    return
  end
  local hunk = session.hunks[file.first]
  local path = worktree.resolve(root, digest.path(hunk))
  if path and not vim.uv.fs_lstat(path) and hunk.old_file then
    local old = worktree.resolve(root, hunk.old_file)
    if old and vim.uv.fs_lstat(old) then
      return old
    end
  end
  return path
end

---@param one SuggestionReview.InlineBuffer
local function map_keys(one)
  local keymaps = config.get().global_keymaps
  local buf, actions = one.buf, current.actions
  local function map(mode, lhs, rhs, text, expr)
    local saved = vim.api.nvim_buf_call(buf, function()
      return vim.fn.maparg(lhs, mode, false, true)
    end)
    if saved.buffer == 1 then
      one.saved[#one.saved + 1] = { mode = mode, lhs = lhs, map = saved }
    else
      one.saved[#one.saved + 1] = { mode = mode, lhs = lhs }
    end
    vim.keymap.set(
      mode,
      lhs,
      rhs,
      { buffer = buf, silent = true, nowait = true, expr = expr, desc = "Review: " .. text }
    )
  end
  for _, key in ipairs(keys.list) do
    local lhs = key.global and keymaps[key.name]
    if lhs then
      map("n", lhs, function()
        keys.run(key, false, actions)
      end, key.text)
      if key.visual then
        map("x", lhs, function()
          keys.run(key, true, actions)
        end, key.text)
      end
    end
  end
  for _, name in ipairs({ "next_in_file", "prev_in_file" }) do
    local lhs = keys.key(name)
    if lhs then
      map("n", lhs, function()
        actions[name == "next_in_file" and "next" or "prev"]()
      end, name == "next_in_file" and "next hunk" or "previous hunk")
    end
  end
  for _, mode in ipairs({ "o", "x" }) do
    map(mode, "ih", function()
      return textobject.keys(M.hunk_lines)
    end, "the hunk", true)
  end
end

---@param one SuggestionReview.InlineBuffer
local function unmap_keys(one)
  if not vim.api.nvim_buf_is_valid(one.buf) then
    return
  end
  for i = #one.saved, 1, -1 do
    local saved = one.saved[i]
    pcall(vim.keymap.del, saved.mode, saved.lhs, { buffer = one.buf })
    if saved.map then
      vim.api.nvim_buf_call(one.buf, function()
        vim.fn.mapset(saved.mode, false, saved.map)
      end)
    end
  end
  one.saved = {}
end

---@param session SuggestionReview.Session
---@param index integer
---@param one SuggestionReview.InlineHunk
---@return table[] chunks
local function headline(session, index, one)
  local hunk = one.hunk
  local state = text_of.STATE[session:state_of(hunk)]
  local chunks = {
    { ("%s %d/%d %s"):format(state.icon, index, #session.hunks, state.word), state.group },
  }
  if hunk.kind ~= "text" then
    chunks[#chunks + 1] = { " · " .. hunk.kind, "SuggestionReviewHint" }
  end
  local added, removed = rows_of.size_of(hunk)
  chunks[#chunks + 1] = { (" · +%d"):format(added), "SuggestionReviewAddSign" }
  chunks[#chunks + 1] = { (" -%d"):format(removed), "SuggestionReviewDeleteSign" }
  local note = session:unanswered(hunk)
    or session.outcomes[hunk.id]
    or (one.status == "conflict" and (session.place.in_place and "edited since" or "touches your own edits"))
    or (one.status == "refused" and "cannot be applied here")
  if note then
    chunks[#chunks + 1] = { " · " .. note, "SuggestionReviewNotApplied" }
  end
  if session.index == index then
    for _, mark in ipairs(label.marks(session:suggestion())) do
      -- There is no title here; what is as it should be needs none.
      if not mark.fine then
        chunks[#chunks + 1] = { " · " .. mark.text, "SuggestionReviewNotApplied" }
      end
    end
    local global = config.get().global_keymaps
    for _, hint in ipairs({
      { "accept", "accept" },
      { "reject", "reject" },
      { "modify", "modify" },
      { "next_hunk", "next" },
    }) do
      if global[hint[1]] then
        chunks[#chunks + 1] = { "  " .. text_of.typed(global[hint[1]]), "SuggestionReviewKey" }
        chunks[#chunks + 1] = { " " .. hint[2], "SuggestionReviewHint" }
      end
    end
  end
  return chunks
end

local SIDE = virtual_line.SIDE

--- How lines that are not in the buffer are shown there now.
---@param one SuggestionReview.InlineBuffer
---@return SuggestionReview.VirtualLineOpts
local function line_opts(one)
  local ui = config.get().ui
  one.width = virtual_line.room(one.buf)
  return {
    file = one.file.file,
    word_diff = ui.word_diff,
    treesitter = ui.treesitter,
    width = one.width,
    stops = virtual_line.stops(one.buf),
  }
end

--- The row that what is not in the buffer is shown at: below what it replaces, or above what replaced it.
---@param placed SuggestionReview.InlineHunk
---@return integer row 0-based
---@return boolean above
local function anchor(placed)
  if current.session.place.in_place and placed.to > placed.from then
    return placed.from, true
  end
  return math.max(0, placed.to - 1), placed.to == 0
end

--- Draws the lines that are not in the buffer, with the headline as it is now.
---@param one SuggestionReview.InlineBuffer
---@param placed SuggestionReview.InlineHunk
local function draw_lines(one, placed)
  local shown = placed.shown --[[@as SuggestionReview.InlineLines]]
  local lines = vim.list_slice(shown.lines)
  table.insert(lines, shown.head_first and 1 or #lines + 1, headline(current.session, placed.index, placed))
  shown.mark = vim.api.nvim_buf_set_extmark(one.buf, namespace, shown.row, 0, {
    id = shown.mark,
    virt_lines = lines,
    virt_lines_above = shown.above,
    priority = 20,
    strict = false,
  })
end

--- Draws a mark of a hunk; the row is brought into the buffer.
---@alias SuggestionReview.MarkRow fun(row: integer, opts: table, column?: integer)

--- Draws a decided hunk: what became of it, behind its first line.
---@param placed SuggestionReview.InlineHunk
---@param mark SuggestionReview.MarkRow
local function draw_decided(placed, mark)
  local session = current.session
  local head = headline(session, placed.index, placed)
  local short, waits = { head[1] }, session:unanswered(placed.hunk)
  if waits then
    short[2] = { " · " .. waits, "SuggestionReviewNotApplied" }
  end
  if session:state_of(placed.hunk) ~= "rejected" then
    for row = placed.from, placed.to - 1 do
      mark(row, { sign_text = "▎", sign_hl_group = "SuggestionReviewAccepted", priority = 20 })
    end
  end
  mark(placed.from, {
    virt_text = session.index == placed.index and head or short,
    virt_text_pos = "eol",
    priority = 20,
  })
end

--- Lines of one side that are not in the buffer, as far as they are shown there.
---@param block SuggestionReview.Block
---@param side "old"|"new"
---@param opts SuggestionReview.VirtualLineOpts
---@return table[] lines of chunks
local function lines_of_side(block, side, opts)
  local lines = {}
  for nth = 1, math.min(#block[side], MOST_SHOWN) do
    vim.list_extend(lines, virtual_line.rows(block, side, nth, opts))
  end
  return lines
end

--- Draws a hunk that has its place: marks the lines of one side, and gives those of the other.
---@param placed SuggestionReview.InlineHunk
---@param mark SuggestionReview.MarkRow
---@param opts SuggestionReview.VirtualLineOpts
---@return table[] lines of chunks
---@return boolean head_first the headline comes before them
local function draw_clean(placed, mark, opts)
  local block = rows_of.block_of(placed.hunk)
  local here, away = "old", "new"
  if current.session.place.in_place then
    here, away = away, here
  end
  local group = SIDE[here].group
  for row = placed.from, placed.to - 1 do
    mark(row, { end_row = row + 1, hl_group = group, hl_eol = true, priority = 20 })
    mark(row, { sign_text = SIDE[here].sign, sign_hl_group = group .. "Sign", priority = 20 })
    local words = opts.word_diff and rows_of.words(block, here, row - placed.from + 1) or {}
    for _, span in ipairs(words) do
      mark(row, { end_row = row, end_col = span[2], hl_group = group .. "Word", priority = 120 }, span[1])
    end
  end
  local lines = lines_of_side(block, away, opts)
  local more = #block[away] - MOST_SHOWN
  if more > 0 then
    lines[#lines + 1] = { { ("… %d more lines"):format(more), "SuggestionReviewHint" } }
  end
  return lines, here == "new" and #lines > 0
end

--- Draws an undecided hunk: its lines in the buffer are marked, the others are shown beside them.
---@param one SuggestionReview.InlineBuffer
---@param placed SuggestionReview.InlineHunk
---@param mark SuggestionReview.MarkRow
local function draw_undecided(one, placed, mark)
  local session, hunk = current.session, placed.hunk
  local lines, head_first = {}, false
  local opts = line_opts(one)
  if placed.status == "clean" then
    lines, head_first = draw_clean(placed, mark, opts)
  elseif placed.status == "refused" then
    -- It has no place in this file, and can be accepted all the same: so all of it is shown.
    local block = rows_of.block_of(hunk)
    lines = vim.list_extend(lines_of_side(block, "old", opts), lines_of_side(block, "new", opts))
  else
    for row = placed.from, math.max(placed.from, placed.to - 1) do
      mark(row, { sign_text = "!", sign_hl_group = "SuggestionReviewNotApplied", priority = 20 })
    end
  end
  local said = diff.has_text(hunk) and notes.marks(hunk, session) or notes.of(hunk, session)
  for i, chunks in ipairs(said) do
    table.insert(lines, head_first and i or #lines + 1, chunks)
  end
  local row, above = anchor(placed)
  placed.shown = {
    row = math.max(0, math.min(row, vim.api.nvim_buf_line_count(one.buf) - 1)),
    above = above,
    lines = lines,
    head_first = head_first,
  }
  draw_lines(one, placed)
  table.insert(one.marks[placed.index], placed.shown.mark)
end

---@param one SuggestionReview.InlineBuffer
---@param placed SuggestionReview.InlineHunk
local function draw_hunk(one, placed)
  local session, buf = current.session, one.buf
  local last = vim.api.nvim_buf_line_count(buf) - 1
  local marks = {}
  one.marks[placed.index] = marks
  ---@type SuggestionReview.MarkRow
  local function mark(row, opts, column)
    opts.strict = false
    row = math.max(0, math.min(row, last))
    marks[#marks + 1] = vim.api.nvim_buf_set_extmark(buf, namespace, row, column or 0, opts)
  end
  placed.shown = nil
  local warnings = placed.index == 1 and notes.head(session:warnings()) or {}
  if #warnings > 0 then
    -- Above the first line of a buffer nothing would be seen.
    mark(placed.from, { virt_lines = warnings, virt_lines_above = placed.from > 0, priority = 30 })
  end
  if session:is_decided(placed.hunk) then
    return draw_decided(placed, mark)
  end
  draw_undecided(one, placed, mark)
end

--- Draws the hunks that are in sight in any window of the buffer, and a screen around.
---@param one SuggestionReview.InlineBuffer
local function draw(one)
  local height = vim.o.lines * 2
  for _, win in ipairs(vim.fn.win_findbuf(one.buf)) do
    local info = vim.fn.getwininfo(win)[1]
    local from, to = info.topline - height, info.botline + height
    for _, placed in ipairs(one.placed) do
      if placed.to >= from and placed.from <= to and not one.drawn[placed.index] then
        one.drawn[placed.index] = true
        draw_hunk(one, placed)
      end
    end
    local row, above = nil, false
    if info.topline == 1 and one.placed[1] then
      row, above = anchor(one.placed[1])
    end
    if row == 0 and above then
      -- Lines above the first one are out of sight until the window is told to make room.
      vim.api.nvim_win_call(win, function()
        local block = rows_of.block_of(one.placed[1].hunk)
        local shown = one.placed[1].shown
        local size = shown and #shown.lines or #block[current.session.place.in_place and "old" or "new"]
        vim.fn.winrestview({ topfill = math.min(size + 1, math.floor(info.height / 2)) })
      end)
    end
  end
end

--- Draws a hunk anew whose place and state are as they were: it became the current one, or is that no longer.
---@param one SuggestionReview.InlineBuffer
---@param index integer
local function redraw_hunk(one, index)
  local placed = one.by_index[index]
  if not one.drawn[index] or not placed then
    return
  elseif placed.shown then
    return draw_lines(one, placed)
  end
  for _, id in ipairs(one.marks[index] or {}) do
    vim.api.nvim_buf_del_extmark(one.buf, namespace, id)
  end
  draw_hunk(one, placed)
end

--- Works out where the hunks of the buffer's file are in it now, and draws them.
---@param one SuggestionReview.InlineBuffer
local function place_hunks(one)
  local inline = current
  if not inline or not vim.api.nvim_buf_is_loaded(one.buf) then
    return
  end
  local session = inline.session
  local tick = vim.api.nvim_buf_get_changedtick(one.buf)
  local items = {}
  for _, file in ipairs(session.files) do
    if file.file == one.file.file then
      one.file = file
    end
  end
  if not session.hunks[one.file.last] then
    return -- a revision without this file
  end
  local hunks = vim.list_slice(session.hunks, one.file.first, one.file.last)
  local function finish()
    if current ~= inline or not vim.api.nvim_buf_is_loaded(one.buf) then
      return
    end
    local index_of = {}
    for index, hunk in ipairs(session.hunks) do
      if hunk.file == one.file.file then
        index_of[hunk.id] = index
      end
    end
    one.placed, one.by_index, one.drawn, one.marks = {}, {}, {}, {}
    one.version = session.version
    one.current = session.index
    for _, item in ipairs(items) do
      local placed = {
        index = index_of[item.hunk.id],
        hunk = item.hunk,
        from = item.placed and item.placed.from or 0,
        to = item.placed and item.placed.to or 0,
        status = item.status,
      }
      if not item.placed and item.hunk.kind == (session.place.in_place and "create" or "delete") then
        placed.to = vim.api.nvim_buf_line_count(one.buf)
      end
      if placed.index then
        one.placed[#one.placed + 1] = placed
        one.by_index[placed.index] = placed
      end
    end
    table.sort(one.placed, function(a, b)
      return a.index < b.index
    end)
    one.tick = tick
    vim.api.nvim_buf_clear_namespace(one.buf, namespace, 0, -1)
    draw(one)
  end
  if session.place.in_place then
    return apply.locate(session.place, hunks, function(found)
      items = found
      finish()
    end)
  end
  -- Where it would go, or where it is.
  local pending, decided = {}, {}
  for _, hunk in ipairs(hunks) do
    local state = session:state_of(hunk)
    if state == "pending" then
      pending[#pending + 1] = { hunk = hunk, state = "accepted" }
    else
      decided[#decided + 1] = { hunk = hunk, state = "rejected" }
    end
  end
  apply.plan(session.place, pending, function(_, first)
    vim.list_extend(items, first)
    apply.plan(session.place, decided, function(_, second)
      vim.list_extend(items, second)
      finish()
    end)
  end)
end

--- Begins reviewing in a buffer that shows one of the suggestion's files.
---@param buf integer
---@return SuggestionReview.InlineBuffer|nil
local function adopt_buffer(buf)
  local inline = current
  if not inline or inline.buffers[buf] or vim.bo[buf].buftype ~= "" then
    return inline and inline.buffers[buf]
  end
  local name = vim.api.nvim_buf_get_name(buf)
  if name == "" then
    return
  end
  local real = vim.uv.fs_realpath(name) or name
  for _, file in ipairs(inline.session.files) do
    local path = path_of(file)
    if path and (path == name or path == real) then
      local one = { buf = buf, file = file, placed = {}, by_index = {}, drawn = {}, marks = {}, saved = {} }
      inline.buffers[buf] = one
      map_keys(one)
      place_hunks(one)
      return one
    end
  end
end

---@param file SuggestionReview.SessionFile
---@return SuggestionReview.InlineBuffer|nil
local function buffer_of(file)
  for _, one in pairs(current.buffers) do
    if one.file.file == file.file and vim.api.nvim_buf_is_loaded(one.buf) then
      return one
    end
  end
end

--- Milliseconds that one waits for the places of a file's hunks.
local PATIENCE = 1000

--- Where a hunk is drawn. What is typed on waits, at most once in a file, until that is known for the first time: those
--- keys are about where one is then.
---@param one SuggestionReview.InlineBuffer
---@param index integer
---@return SuggestionReview.InlineHunk|nil nil as well where one has gone elsewhere meanwhile
local function place_of(one, index)
  if not one.tick and not one.waited then
    one.waited = true
    local inline = current
    vim.wait(PATIENCE, function()
      return one.tick ~= nil or current ~= inline
    end, 2)
    local same = current == inline and vim.api.nvim_get_current_buf() == one.buf
    if not same or inline.session.index ~= index then
      return
    end
  end
  return one.by_index[index]
end

--- Shows the file of a hunk in the window the developer works in, and goes to it.
---@param index integer
local function go(index)
  local session = current.session
  local file = session.files[session:file_of(index)]
  local one = buffer_of(file)
  if not one or vim.api.nvim_get_current_buf() ~= one.buf then
    local path = path_of(file)
    if not path then
      return notify.warn("The inline review needs a checkout; use the floating one elsewhere")
    end
    local shown, reason = real_window.show(path, nil, true)
    if not shown then
      return notify.warn("The file cannot be shown here: " .. reason)
    end
    one = adopt_buffer(vim.api.nvim_get_current_buf())
  end
  local placed = one and place_of(one, index)
  if not one or not placed then
    return
  end
  local row = math.max(
    1,
    math.min(
      placed.to > placed.from and placed.from + 1 or math.max(1, placed.to),
      vim.api.nvim_buf_line_count(one.buf)
    )
  )
  local info = vim.fn.getwininfo(vim.api.nvim_get_current_win())[1]
  local need = math.max(placed.shown and #placed.shown.lines or 0, #rows_of.block_of(placed.hunk).new) + 2
  real_window.go_to(row, info.botline - row < need)
  draw(one)
end

---@param session SuggestionReview.Session
---@param actions SuggestionReview.Actions
function M.open(session, actions)
  M.close()
  highlights.ensure()
  current = {
    session = session,
    actions = actions,
    buffers = {},
    group = vim.api.nvim_create_augroup("suggestion-review.inline", {}),
  }
  local group = current.group
  vim.api.nvim_create_autocmd({ "BufWinEnter", "BufEnter" }, {
    group = group,
    callback = function(event)
      adopt_buffer(event.buf)
    end,
  })
  vim.api.nvim_create_autocmd({ "TextChanged", "InsertLeave", "BufReadPost" }, {
    group = group,
    callback = function(event)
      local one = current and current.buffers[event.buf]
      if one and vim.api.nvim_buf_get_changedtick(event.buf) ~= one.tick then
        place_hunks(one)
      end
    end,
  })
  vim.api.nvim_create_autocmd({ "WinResized", "VimResized" }, {
    group = group,
    callback = function()
      for buf, one in pairs(current and current.buffers or {}) do
        if vim.api.nvim_buf_is_loaded(buf) and one.width and one.width ~= virtual_line.room(buf) then
          place_hunks(one)
        end
      end
    end,
  })
  vim.api.nvim_create_autocmd("WinScrolled", {
    group = group,
    callback = function()
      for _, one in pairs(current and current.buffers or {}) do
        if vim.api.nvim_buf_is_valid(one.buf) then
          draw(one)
        end
      end
    end,
  })
  vim.api.nvim_create_autocmd("CursorMoved", {
    group = group,
    callback = function(event)
      local one = current and current.buffers[event.buf]
      if not one then
        return
      end
      local index = M.hunk_at_cursor()
      if index and current.session.index ~= index then
        current.session.index = index
        M.refresh({ keep_cursor = true, text = false })
      end
    end,
  })
  -- A deleted buffer has lost its maps; when the file comes back, all of it begins anew.
  vim.api.nvim_create_autocmd({ "BufDelete", "BufWipeout" }, {
    group = group,
    callback = function(event)
      if current then
        current.buffers[event.buf] = nil
      end
    end,
  })
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    adopt_buffer(vim.api.nvim_win_get_buf(win))
  end
  go(session.index)
end

---@param opts? { keep_cursor?: boolean }
function M.refresh(opts)
  if not current then
    return
  end
  local session = current.session
  for buf, one in pairs(current.buffers) do
    if not vim.api.nvim_buf_is_valid(buf) then
      current.buffers[buf] = nil
    elseif vim.api.nvim_buf_is_loaded(buf) then
      for _, file in ipairs(session.files) do
        if file.file == one.file.file then
          one.file = file
        end
      end
      if one.version == session.version and one.tick == vim.api.nvim_buf_get_changedtick(buf) then
        -- Only the place changed: two headlines are drawn anew.
        for _, index in ipairs({ one.current or 0, session.index }) do
          redraw_hunk(one, index)
        end
        one.current = session.index
      else
        place_hunks(one)
      end
    end
  end
  if not (opts and opts.keep_cursor) then
    go(session.index)
  end
end

--- Whether a hunk is the one that is drawn.
---@param placed SuggestionReview.InlineHunk
---@param hunk SuggestionReview.Hunk|nil
---@return boolean
local function is_still(placed, hunk)
  return hunk ~= nil and hunk.id == placed.hunk.id and hunk.digest == placed.hunk.digest
end

--- Number of a hunk as it is drawn among the session's hunks now; nil where it was split or changed since.
---@param placed SuggestionReview.InlineHunk
---@return integer|nil
local function index_now(placed)
  if is_still(placed, current.session.hunks[placed.index]) then
    return placed.index
  end
  for index, hunk in ipairs(current.session.hunks) do
    if is_still(placed, hunk) then
      return index
    end
  end
end

--- The selected lines of one hunk, on the side that is in the buffer.
---@param placed SuggestionReview.InlineHunk
---@param first integer
---@param last integer
---@return SuggestionReview.Selected
local function selected_of(placed, first, last)
  local from = math.max(placed.from, first - 1)
  local to = math.min(placed.to, last)
  local block = rows_of.block_of(placed.hunk)
  local here, away = "old", "new"
  if current.session.place.in_place then
    here, away = away, here
  end
  local selected = { from - placed.from, to - from }
  -- Virtual lines cannot be selected: all of them go with the whole hunk, else what stands against the selected lines.
  if selected[2] == #block[here] then
    return { index = placed.index, lines = { [here] = selected, [away] = { 0, #block[away] } } }
  end
  local away_from, away_to = nil, nil
  for _, pair in ipairs(diff.pairs_of(block.old, block.new)) do
    if pair[here] > selected[1] and pair[here] <= selected[1] + selected[2] then
      away_from = away_from or pair[away] - 1
      away_to = pair[away]
    end
  end
  return {
    index = placed.index,
    lines = { [here] = selected, [away] = { away_from or -1, (away_to or 0) - (away_from or 0) } },
  }
end

--- What of each hunk is selected.
---@param first integer
---@param last integer
---@return SuggestionReview.Selected[]
function M.selection(first, last)
  local one = current and current.buffers[vim.api.nvim_get_current_buf()]
  local found = {}
  for _, placed in ipairs(one and one.placed or {}) do
    local clean = placed.status == "clean" and is_still(placed, current.session.hunks[placed.index])
    if clean and placed.from < last and placed.to > first - 1 then
      found[#found + 1] = selected_of(placed, first, last)
    elseif clean and placed.from == placed.to and placed.from > first - 1 and placed.from < last then
      -- Only virtual lines, between two that are selected.
      local block = rows_of.block_of(placed.hunk)
      found[#found + 1] = {
        index = placed.index,
        lines = { old = { 0, #block.old }, new = { 0, #block.new } },
      }
    end
  end
  return found
end

--- The hunk whose lines the cursor is on.
---@return SuggestionReview.InlineHunk|nil
local function placed_at_cursor()
  local one = current and current.buffers[vim.api.nvim_get_current_buf()]
  local row = vim.api.nvim_win_get_cursor(0)[1] - 1
  for _, placed in ipairs(one and one.placed or {}) do
    if
      row >= placed.from - (placed.from == placed.to and 1 or 0)
      and row < math.max(placed.to, placed.from + 1)
    then
      return placed
    end
  end
end

--- The hunk that a key typed here is about, told by the cursor. What is drawn may be older than the session's hunks.
---@return integer|nil
function M.hunk_at_cursor()
  local placed = placed_at_cursor()
  return placed and index_now(placed)
end

--- The lines of the hunk under the cursor in this buffer, 1-based.
---@return integer|nil first
---@return integer|nil last
function M.hunk_lines()
  local placed = placed_at_cursor()
  if placed and placed.to > placed.from then
    return placed.from + 1, placed.to
  end
end

--- The line the cursor is on, where that is in the file under review.
---@return integer|nil
function M.line_at_cursor()
  local one = current and current.buffers[vim.api.nvim_get_current_buf()]
  if one and one.by_index[current.session.index] then
    return vim.api.nvim_win_get_cursor(0)[1]
  end
end

--- Why a hunk is not to be seen whole in the file.
---@param hunk SuggestionReview.Hunk
---@return string|nil
function M.shows_in_part(hunk)
  local block = rows_of.block_of(hunk)
  local part = math.max(#block.old, #block.new) > MOST_SHOWN
  for _, lines in ipairs({ block.old, block.new }) do
    for _, line in ipairs(lines) do
      part = part or #line > virtual_line.LONGEST
    end
  end
  return part and "longer than what is shown in the file" or nil
end

---@return boolean
function M.is_open()
  return current ~= nil
end

--- Whether the current hunk, or a file of the review, is in a window of this tab page.
---@param many boolean
---@return boolean
function M.is_seen(many)
  if not current then
    return false
  end
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    local one = current.buffers[vim.api.nvim_win_get_buf(win)]
    local placed = one and one.by_index[current.session.index]
    if one and many then
      return true
    elseif placed and is_still(placed, current.session:current_hunk()) then
      local info = vim.fn.getwininfo(win)[1]
      if placed.from < info.botline and math.max(placed.to, placed.from + 1) >= info.topline then
        return true
      end
    end
  end
  return false
end

function M.focus()
  if current then
    local session = current.session
    local one = buffer_of(session.files[session:file_of(session.index)])
    local win = one and vim.fn.win_findbuf(one.buf)[1]
    if win then
      vim.api.nvim_set_current_win(win)
    end
    go(current.session.index)
  end
end

function M.close()
  local inline = current
  if not inline then
    return
  end
  current = nil
  vim.api.nvim_del_augroup_by_id(inline.group)
  for buf, one in pairs(inline.buffers) do
    if vim.api.nvim_buf_is_valid(buf) then
      vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
      unmap_keys(one)
    end
  end
end

return M
