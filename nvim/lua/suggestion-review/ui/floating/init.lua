--- The floating review: one file at a time with all its hunks, unified or side by side, with a list of files beside it.
local frame = require("suggestion-review.ui.floating.frame")
local render = require("suggestion-review.ui.render")
local rows_of = require("suggestion-review.ui.rows")
local popup = require("suggestion-review.ui.popup")
local text_of = require("suggestion-review.text.display")
local keys = require("suggestion-review.ui.keys")
local together = require("suggestion-review.ui.together")
local window = require("suggestion-review.ui.window")

local M = {}

---@class SuggestionReview.Floating
---@field session SuggestionReview.Session
---@field actions SuggestionReview.Actions
---@field bufs integer[]  one, or two side by side (base left)
---@field wins integer[]
---@field panel { buf: integer, win: integer }|nil
---@field panel_ns integer|nil namespace of the marks in the list of files
---@field panel_wanted boolean|nil
---@field file integer|nil the file whose rows are shown
---@field rows (SuggestionReview.Row|false)[]
---@field header_row table<integer, integer>
---@field head_file? string file that was shown first, with the warnings above it
---@field group integer
---@field origin integer the window the review was opened from
---@field framed table<integer, string> what the borders of a window say now
---@field marked integer|nil hunk with the bar beside it

---@type SuggestionReview.Floating|nil
local current

local MIN_WIDTH, MIN_SIDE_BY_SIDE = 84, 150
local PANEL_WIDTH = 30

---@param value number
---@param total integer
local function share(value, total)
  return math.floor(value <= 1 and value * total or value)
end

---@param layout "unified"|"side-by-side"
---@param panel boolean room for the list of files as well
---@return { row: integer, col: integer, width: integer, height: integer } outer measures, border included
local function area(layout, panel)
  local ui = require("suggestion-review.config").get().ui
  local columns, lines = vim.o.columns, vim.o.lines - vim.o.cmdheight
  local wanted = share(ui.width, columns)
  local least = layout == "side-by-side" and MIN_SIDE_BY_SIDE or MIN_WIDTH
  local width = math.min(columns, math.max(wanted, least) + (panel and PANEL_WIDTH or 0))
  local height = math.min(lines, math.max(8, share(ui.height, lines)))
  local position = ui.position
  if position == "right" or position == "left" then
    height = lines
  elseif position == "top" or position == "bottom" then
    width = columns
    height = math.min(lines, math.max(8, share(math.min(ui.height, 0.6), lines)))
  end
  local row, col = math.floor((lines - height) / 2), math.floor((columns - width) / 2)
  if position == "right" then
    col = columns - width
  elseif position == "left" then
    col = 0
  elseif position == "top" then
    row = 0
  elseif position == "bottom" then
    row = lines - height
  end
  return { row = row, col = col, width = width, height = height }
end

---@param name string
local function scratch(name)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.bo[buf].bufhidden = "wipe"
  vim.bo[buf].modeline = false
  vim.bo[buf].undolevels = -1
  vim.bo[buf].modifiable = false
  vim.bo[buf].filetype = "suggestion-review"
  pcall(vim.api.nvim_buf_set_name, buf, ("suggestion-review://%s/%d"):format(name, buf))
  return buf
end

---@param win integer
---@param buf integer
local function window_options(win, buf)
  window.own(win, {
    statuscolumn = render.statuscolumn(buf),
    -- A line that goes on beyond the window says so.
    list = true,
    listchars = "tab:  ,extends:›,precedes:‹",
    sidescrolloff = 4,
    scrolloff = 3,
    winfixbuf = true,
    fillchars = "eob: ",
    winhighlight = window.HIGHLIGHT .. ",WinBar:SuggestionReviewNormal,WinBarNC:SuggestionReviewNormal",
  })
end

---@param float SuggestionReview.Floating
local function is_valid(float)
  for _, win in ipairs(float.wins) do
    if not vim.api.nvim_win_is_valid(win) then
      return false
    end
  end
  return float.wins[1] ~= nil
end

---@param float SuggestionReview.Floating
local function draw_bars(float)
  if not is_valid(float) or not float.file then
    return
  end
  local session = float.session
  for i, win in ipairs(float.wins) do
    if vim.api.nvim_win_is_valid(win) then
      local width = vim.api.nvim_win_get_width(win)
      local side = #float.wins == 1 and "both" or (i == 1 and "old" or "new")
      local bar = frame.winbar(session, session.files[float.file], side, width)
      if vim.wo[win].winbar ~= bar then
        vim.api.nvim_set_option_value("winbar", bar, { scope = "local", win = win })
      end
      local state = ("%d %d %d %s"):format(i, width, session.version, frame.marks(session))
      if popup.border() ~= "none" and float.framed[win] ~= state then
        float.framed[win] = state
        local config = {}
        if i == 1 then
          config.title, config.title_pos = frame.title(session, width), "left"
        end
        if i == #float.wins then
          config.footer, config.footer_pos = frame.footer(width), "center"
        end
        vim.api.nvim_win_set_config(win, config)
      end
    end
  end
end

--- The list of files with their progress.
---@param float SuggestionReview.Floating
local function draw_panel(float)
  local panel = float.panel
  if not panel or not vim.api.nvim_win_is_valid(panel.win) then
    return
  end
  local session = float.session
  local width = vim.api.nvim_win_get_width(panel.win)
  local lines, marks = {}, {}
  for i, file in ipairs(session.files) do
    local count = file.last - file.first + 1
    local done = file.decided == count
    local counter = (" %d/%d "):format(file.decided, count)
    local icon = done and "✔" or (file.decided > 0 and "◐" or "○")
    local name = text_of.fit(file.display, width - #counter - 4, true)
    local left = ("%s%s %s"):format(i == float.file and "▌" or " ", icon, name)
    lines[i] = left .. (" "):rep(math.max(0, width - vim.api.nvim_strwidth(left) - #counter)) .. counter
    marks[i] = { done = done, left = #left, icon = #(i == float.file and "▌" or " "), size = #icon }
  end
  vim.bo[panel.buf].modifiable = true
  vim.api.nvim_buf_set_lines(panel.buf, 0, -1, false, lines)
  vim.bo[panel.buf].modifiable = false
  vim.api.nvim_buf_clear_namespace(panel.buf, float.panel_ns, 0, -1)
  for i, mark in ipairs(marks) do
    local group = mark.done and "SuggestionReviewAccepted" or "SuggestionReviewPending"
    vim.api.nvim_buf_set_extmark(
      panel.buf,
      float.panel_ns,
      i - 1,
      0,
      { end_col = mark.icon + mark.size, hl_group = group }
    )
    vim.api.nvim_buf_set_extmark(panel.buf, float.panel_ns, i - 1, mark.icon + mark.size, {
      end_col = mark.left,
      hl_group = i == float.file and "SuggestionReviewCurrent" or "SuggestionReviewFile",
    })
    vim.api.nvim_buf_set_extmark(panel.buf, float.panel_ns, i - 1, mark.left, {
      end_col = #lines[i],
      hl_group = "SuggestionReviewCount",
    })
  end
  if float.file then
    pcall(vim.api.nvim_win_set_cursor, panel.win, { float.file, 0 })
  end
end

---@param float SuggestionReview.Floating
local function layout(float)
  return float.session.layout
end

--- Places the windows for the screen as it is.
---@param float SuggestionReview.Floating
local function arrange(float)
  local place = area(layout(float), float.panel ~= nil)
  local edge = popup.border() == "none" and 0 or 1
  local width = place.width - 2 * edge
  local height = place.height - 2 * edge
  local col = place.col
  if float.panel then
    local panel_width = math.min(PANEL_WIDTH, math.floor(place.width / 3))
    vim.api.nvim_win_set_config(float.panel.win, {
      relative = "editor",
      row = place.row,
      col = col,
      width = math.max(1, panel_width),
      height = math.max(1, height),
      border = popup.border(),
    })
    col = col + panel_width + 2 * edge
    width = width - panel_width - 2 * edge
  end
  local each = #float.wins == 1 and width or math.floor((width - 2 * edge) / 2)
  for _, win in ipairs(float.wins) do
    vim.api.nvim_win_set_config(win, {
      relative = "editor",
      row = place.row,
      col = col,
      width = math.max(10, each),
      height = math.max(1, height),
      border = popup.border(),
    })
    col = col + each + 2 * edge
  end
end

---@param float SuggestionReview.Floating
local function open_panel(float)
  local buf = scratch("files")
  local win = vim.api.nvim_open_win(buf, false, {
    relative = "editor",
    row = 0,
    col = 0,
    width = PANEL_WIDTH,
    height = 5,
    style = "minimal",
    border = popup.border(),
    title = popup.border() ~= "none" and { { " Files ", "SuggestionReviewTitle" } } or nil,
    zindex = 45,
  })
  window.own(win, {
    cursorline = true,
    winfixbuf = true,
    fillchars = "eob: ",
    winhighlight = window.HIGHLIGHT .. ",CursorLine:Visual",
  })
  float.panel = { buf = buf, win = win }
  float.panel_ns = vim.api.nvim_create_namespace("suggestion-review.panel")
  keys.map(buf, float.actions, { complete = true, discard = true, toggle_gap = true })
  local function pick()
    local file = float.session.files[vim.api.nvim_win_get_cursor(win)[1]]
    vim.api.nvim_set_current_win(float.wins[#float.wins])
    float.actions.go(file.first)
  end
  vim.keymap.set("n", "<CR>", pick, { buffer = buf, nowait = true, desc = "Review: show this file" })
  vim.keymap.set("n", "<LeftRelease>", pick, { buffer = buf, nowait = true })
  vim.keymap.set("n", "<Esc>", function()
    vim.api.nvim_set_current_win(float.wins[#float.wins])
  end, { buffer = buf, nowait = true, desc = "Review: back to the hunks" })
end

---@param float SuggestionReview.Floating
local function close_panel(float)
  local panel = float.panel
  float.panel = nil
  if panel and vim.api.nvim_win_is_valid(panel.win) then
    vim.api.nvim_win_close(panel.win, true)
  end
end

--- The row of the cursor in the shown file.
---@param float SuggestionReview.Floating
local function row_at_cursor(float)
  local win = vim.api.nvim_get_current_win()
  if not vim.list_contains(float.wins, win) then
    win = float.wins[#float.wins]
  end
  return vim.api.nvim_win_get_cursor(win)[1], win
end

--- The hunk a row belongs to; between two hunks, the nearer above.
---@param float SuggestionReview.Floating
---@param line integer
local function hunk_at(float, line)
  for i = line, 1, -1 do
    local row = float.rows[i]
    local hunk = row and row.hunk
    if hunk then
      return hunk
    end
  end
  local file = float.session.files[float.file]
  return file and file.first
end

---@param float SuggestionReview.Floating
---@param index integer|nil
local function redraw_hunk(float, index)
  local first = index and float.header_row[index]
  if not first then
    return
  end
  local last = first
  while float.rows[last + 1] ~= nil and (not float.rows[last + 1] or float.rows[last + 1].hunk == index) do
    last = last + 1
  end
  for _, buf in ipairs(float.bufs) do
    render.redraw(buf, first, last)
  end
end

--- Moves the bar beside the current hunk; the rest of the screen stays as it is.
---@param float SuggestionReview.Floating
local function mark_current(float)
  if float.marked ~= float.session.index then
    redraw_hunk(float, float.marked)
    float.marked = float.session.index
    redraw_hunk(float, float.marked)
  end
end

---@param float SuggestionReview.Floating
local function on_cursor(float)
  if not float.file then
    return
  end
  local line, win = row_at_cursor(float)
  together.same_line(float.wins, win)
  local hunk = hunk_at(float, line)
  if hunk and hunk ~= float.session.index then
    float.session.index = hunk
    draw_bars(float)
    mark_current(float)
  end
end

---@param float SuggestionReview.Floating
local function open_windows(float)
  local session = float.session
  local side_by_side = layout(float) == "side-by-side"
  local current_win = vim.api.nvim_get_current_win()
  for i = 1, side_by_side and 2 or 1 do
    local buf = scratch(session.id)
    local enter = i == (side_by_side and 2 or 1)
    local win = vim.api.nvim_open_win(buf, enter, {
      relative = "editor",
      row = 0,
      col = 0,
      width = 20,
      height = 5,
      border = popup.border(),
      zindex = 45,
    })
    float.bufs[i], float.wins[i] = buf, win
    window_options(win, buf)
    keys.map(buf, float.actions)
    vim.keymap.set({ "o", "x" }, "ih", function()
      local textobject = require("suggestion-review.ui.textobject")
      return textobject.keys(textobject.rows_here)
    end, {
      buffer = buf,
      silent = true,
      expr = true,
      replace_keycodes = true,
      desc = "Review: the hunk",
    })
    vim.api.nvim_create_autocmd("CursorMoved", {
      group = float.group,
      buffer = buf,
      callback = function()
        on_cursor(float)
      end,
    })
  end
  if side_by_side then
    together.scroll(float.wins, float.group)
  end
  if not vim.api.nvim_win_is_valid(current_win) then
    vim.api.nvim_set_current_win(float.wins[#float.wins])
  end
end

---@param float SuggestionReview.Floating
local function close_windows(float)
  local wins, bufs = float.wins, float.bufs
  float.wins, float.bufs = {}, {}
  for _, win in ipairs(wins) do
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end
  for _, buf in ipairs(bufs) do
    render.forget(buf)
    -- A window that was split off shows it still.
    if vim.api.nvim_buf_is_valid(buf) then
      vim.api.nvim_buf_delete(buf, { force = true })
    end
  end
end

--- The tab stops of the file, where it is open; else what a new buffer has.
---@param session SuggestionReview.Session
---@param file SuggestionReview.SessionFile
local function tabs_of(session, file)
  local path = session.place.root and session.place.root .. "/" .. file.file
  for _, buf in ipairs(path and vim.api.nvim_list_bufs() or {}) do
    if vim.api.nvim_buf_is_loaded(buf) and vim.api.nvim_buf_get_name(buf) == path then
      return { tabstop = vim.bo[buf].tabstop, vartabstop = vim.bo[buf].vartabstop }
    end
  end
  return { tabstop = vim.go.tabstop, vartabstop = vim.go.vartabstop }
end

--- Builds and shows the rows of a file.
---@param float SuggestionReview.Floating
---@param index integer
local function show_file(float, index)
  local session = float.session
  local file = session.files[index]
  float.file = index
  local notes = require("suggestion-review.ui.notes")
  -- Above the first file, and above the one that the review was opened on.
  float.head_file = float.head_file or file.file
  local has_head = file.first == 1 or float.head_file == file.file
  local rows, header_row = rows_of.build({
    head = has_head and notes.head(session:warnings()) or nil,
    hunks = session.hunks,
    first = file.first,
    last = file.last,
    base = session:base_lines(file),
    expanded = file.expanded,
    notes = function(hunk)
      return notes.of(hunk, session)
    end,
  })
  local config = require("suggestion-review.config").get().ui
  local tabs = tabs_of(session, file)
  local function view(buf, list, side)
    vim.bo[buf].tabstop, vim.bo[buf].vartabstop = tabs.tabstop, tabs.vartabstop
    render.show({
      buf = buf,
      rows = list,
      side = side,
      file = file.file,
      session = session,
      hunks = session.hunks,
      number_width = 3,
      word_diff = config.word_diff,
      treesitter = config.treesitter,
    })
  end
  if #float.bufs == 1 then
    float.rows, float.header_row = rows, header_row
    view(float.bufs[1], rows, "both")
  else
    local left, right = {}, {}
    float.header_row = {}
    for i, pair in ipairs(rows_of.pair_up(rows)) do
      left[i], right[i] = pair.left or false, pair.right or false
      local row = pair.left or pair.right
      if row and row.kind == "header" then
        float.header_row[row.hunk] = i
      end
    end
    -- Fillers belong to the hunk beside them.
    float.rows = {}
    for i = 1, #left do
      float.rows[i] = right[i] or left[i]
    end
    view(float.bufs[1], left, "old")
    view(float.bufs[2], right, "new")
  end
end

--- Hunks whose colours are worked out before one gets there: those below more than those above.
local BEHIND, AHEAD = 1, 5

--- Works out the colours of the neighbouring hunks while nothing else is to do.
---@param float SuggestionReview.Floating
local function look_ahead(float)
  if float.looking then
    return
  end
  float.looking = true
  vim.schedule(function()
    float.looking = false
    if current ~= float or not float.file or not is_valid(float) then
      return
    end
    local session = float.session
    local file = session.files[float.file]
    local first = float.header_row[math.max(file.first, session.index - BEHIND)]
    local after = float.header_row[session.index + AHEAD + 1]
    for _, buf in ipairs(float.bufs) do
      local view = render.view(buf)
      if view and first then
        -- A hunk may be as long as a file.
        render.prepare(view, first, math.min(after and after - 1 or #view.rows, first + 200))
      end
    end
  end)
end

--- Brings a hunk into view with its header and as much of it as fits.
---@param float SuggestionReview.Floating
---@param index integer
---@param keep_cursor? boolean stay where the cursor is when that is inside the hunk
local function show_hunk(float, index, keep_cursor)
  local row = float.header_row[index]
  if not row then
    return
  end
  local win = float.wins[#float.wins]
  if keep_cursor then
    local line = vim.api.nvim_win_get_cursor(win)[1]
    if line <= #float.rows and hunk_at(float, line) == index then
      return
    end
  end
  local last = row
  -- With what stands above the file's first hunk, so that it is seen.
  if float.rows[1] and float.rows[1].kind == "note" and float.rows[1].hunk == index then
    row = 1
  end
  while float.rows[last + 1] and float.rows[last + 1].hunk == index do
    last = last + 1
  end
  -- The first line that changes, so that "." and a selection start in the right place.
  local target = row
  for i = row, last do
    local kind = float.rows[i] and float.rows[i].kind
    if kind == "old" or kind == "new" then
      target = i
      break
    end
  end
  vim.api.nvim_win_call(win, function()
    local height = vim.api.nvim_win_get_height(win) - 1
    local view = vim.fn.winsaveview()
    local top, bottom = view.topline, view.topline + height - 1
    vim.api.nvim_win_set_cursor(win, { target, 0 })
    if row < top + 1 or last > bottom - 1 then
      local size = last - row + 1
      local new_top = size >= height - 2 and row or row - math.floor((height - size) / 3)
      vim.fn.winrestview({ topline = math.max(1, new_top), lnum = target, col = 0, leftcol = 0 })
    end
  end)
  together.same_line(float.wins, win)
  together.align(float.wins, win)
end

--- Opens the review of a session in floating windows.
---@param session SuggestionReview.Session
---@param actions SuggestionReview.Actions
function M.open(session, actions)
  M.close()
  require("suggestion-review.lib.editor").stop_typing()
  local float = {
    session = session,
    actions = actions,
    bufs = {},
    wins = {},
    rows = {},
    header_row = {},
    framed = {},
    group = vim.api.nvim_create_augroup("suggestion-review.floating", {}),
    origin = vim.api.nvim_get_current_win(),
  }
  current = float
  open_windows(float)
  local config = require("suggestion-review.config").get().ui
  local needed = area(layout(float), false).width + PANEL_WIDTH
  local wide = needed <= vim.o.columns
    and (needed <= vim.o.columns - 20 or config.position == "top" or config.position == "bottom")
  if config.file_panel and #session.files > 1 and wide then
    open_panel(float)
  end
  arrange(float)
  vim.api.nvim_create_autocmd("VimResized", {
    group = float.group,
    callback = function()
      if is_valid(float) then
        arrange(float)
        float.framed = {}
        draw_bars(float)
        draw_panel(float)
        for _, buf in ipairs(float.bufs) do
          render.renew(buf)
        end
      end
    end,
  })
  -- Later than the groups are defined anew: which colours are worth a mark depends on them.
  local recolour = vim.schedule_wrap(function()
    for _, buf in ipairs(float.bufs) do
      render.renew(buf)
    end
  end)
  vim.api.nvim_create_autocmd("ColorScheme", { group = float.group, callback = recolour })
  vim.api.nvim_create_autocmd("OptionSet", {
    group = float.group,
    pattern = { "background", "termguicolors" },
    callback = recolour,
  })
  vim.api.nvim_create_autocmd("WinClosed", {
    group = float.group,
    callback = function(event)
      local win = tonumber(event.match)
      if float.panel and win == float.panel.win then
        float.panel = nil
      elseif vim.list_contains(float.wins, win) and not float.rearranging then
        -- Closed by :q or by a layout command: the review is closed, its decisions stay.
        vim.schedule(function()
          if current == float then
            float.actions.close()
          end
        end)
      end
    end,
  })
  M.refresh()
end

--- Draws everything anew from the session: after decisions, new revisions, a change of file.
---@class (exact) SuggestionReview.RefreshOpts
---@field keep_cursor? boolean
---@field text? boolean false: only states changed
---@field moved? boolean not even those

---@param opts? SuggestionReview.RefreshOpts
function M.refresh(opts)
  local float = current
  if not float or not is_valid(float) then
    return
  end
  opts = opts or {}
  local session = float.session
  local file = session:file_of(session.index)
  if float.file ~= file or opts.text ~= false then
    opts.moved = false
    local win = float.wins[#float.wins]
    local before = float.file == file and opts.keep_cursor and vim.api.nvim_win_call(win, vim.fn.winsaveview)
    show_file(float, file)
    if before then
      vim.api.nvim_win_call(win, function()
        vim.fn.winrestview(before)
      end)
    end
  end
  show_hunk(float, session.index, opts.keep_cursor)
  draw_bars(float)
  look_ahead(float)
  if opts.moved then
    return mark_current(float)
  end
  draw_panel(float)
  float.marked = session.index
  for _, buf in ipairs(float.bufs) do
    render.redraw(buf)
  end
end

--- What of each hunk is selected: positions among its removed and added lines; all of it where it has no lines and its
--- headline is selected.
---@param first integer
---@param last integer
---@return SuggestionReview.Selected[]
function M.selection(first, last)
  local float = current
  local buf = vim.api.nvim_get_current_buf()
  local view = render.view(buf)
  if not float or not view or not vim.list_contains(float.bufs, buf) then
    return {}
  end
  ---@type SuggestionReview.Selected[]
  local found = {}
  local by_hunk = {}
  local function of(index)
    if not by_hunk[index] then
      by_hunk[index] = { index = index, lines = { old = { -1, 0 }, new = { -1, 0 } } }
      found[#found + 1] = by_hunk[index]
    end
    return by_hunk[index].lines
  end
  local function take(row)
    if row.kind == "old" or row.kind == "new" then
      local side = of(row.hunk)[row.kind]
      side[1] = side[1] < 0 and row.nth - 1 or side[1]
      side[2] = row.nth - side[1]
    elseif row.kind == "header" and #row.block.old + #row.block.new == 0 then
      of(row.hunk)
    end
  end
  for i = first, last do
    local row, beside = view.rows[i], float.rows[i]
    if row then
      take(row)
    end
    if beside and beside ~= row then
      take(beside)
    end
  end
  return found
end

function M.toggle_panel()
  local float = current
  if not float then
    return
  end
  if float.panel then
    if vim.api.nvim_get_current_win() == float.panel.win then
      close_panel(float)
      vim.api.nvim_set_current_win(float.wins[#float.wins])
    else
      vim.api.nvim_set_current_win(float.panel.win)
      return
    end
  else
    open_panel(float)
    vim.api.nvim_set_current_win(float.panel.win)
  end
  arrange(float)
  draw_bars(float)
  draw_panel(float)
end

--- Unified or side by side, the place kept.
function M.toggle_layout()
  local float = current
  if not float then
    return
  end
  float.rearranging = true
  local ok, message = xpcall(function()
    close_windows(float)
    open_windows(float)
    arrange(float)
  end, debug.traceback)
  float.rearranging = false
  if not ok then
    error(message, 0)
  end
  vim.api.nvim_set_current_win(float.wins[#float.wins])
  M.refresh()
end

--- The gap the cursor is in or, on a shown stretch of unchanged lines, the one it came from.
---@return integer|nil first hidden base line
function M.gap_at_cursor()
  local float = current
  if not float then
    return
  end
  local line = row_at_cursor(float)
  local row = float.rows[line]
  if row and row.kind == "gap" then
    return row.from
  end
  local file = float.session.files[float.file]
  if row and row.old then
    local nearest
    for from in pairs(file.expanded) do
      if from < row.old and (not nearest or from > nearest) then
        nearest = from
      end
    end
    if nearest then
      return nearest
    end
  end
  -- On a hunk: the gap above it.
  for i = line, 1, -1 do
    if float.rows[i] and float.rows[i].kind == "gap" then
      return float.rows[i].from
    end
  end
  for i = line, #float.rows do
    if float.rows[i] and float.rows[i].kind == "gap" then
      return float.rows[i].from
    end
  end
end

--- The hunk that a key typed in one of the windows is about, told by the cursor.
---@return integer|nil
function M.hunk_at_cursor()
  local float = current
  if not float or not float.file or not vim.list_contains(float.wins, vim.api.nvim_get_current_win()) then
    return
  end
  return hunk_at(float, (row_at_cursor(float)))
end

--- The line the cursor is on, or the next one below that is of a file.
---@return SuggestionReview.ReviewLine|nil
function M.place_at_cursor()
  local float = current
  if not float then
    return
  end
  local index = float.session.index
  for i = row_at_cursor(float), #float.rows do
    local row = float.rows[i]
    if row and row.hunk and row.hunk ~= index then
      return
    elseif row and row.old then
      return { old = row.old }
    elseif row and row.new then
      return { nth = row.nth }
    end
  end
end

---@return boolean
function M.is_open()
  return current ~= nil and is_valid(current)
end

--- Whether the review is on the screen: floating windows stay in the tab page they were opened in.
---@return boolean
function M.is_seen()
  local win = current and current.wins[#current.wins]
  return win ~= nil
    and vim.api.nvim_win_is_valid(win)
    and vim.api.nvim_win_get_tabpage(win) == vim.api.nvim_get_current_tabpage()
end

function M.focus()
  if M.is_open() then
    require("suggestion-review.lib.editor").stop_typing()
    vim.api.nvim_set_current_win(current.wins[#current.wins])
  end
end

--- The window to go back to.
---@return integer|nil
function M.origin()
  return current and vim.api.nvim_win_is_valid(current.origin) and current.origin or nil
end

function M.close()
  local float = current
  if not float then
    return
  end
  current = nil
  vim.api.nvim_del_augroup_by_id(float.group)
  local focused = vim.list_contains(float.wins, vim.api.nvim_get_current_win())
    or (float.panel and float.panel.win == vim.api.nvim_get_current_win())
  close_panel(float)
  close_windows(float)
  if focused and vim.api.nvim_win_is_valid(float.origin) then
    vim.api.nvim_set_current_win(float.origin)
  end
end

return M
