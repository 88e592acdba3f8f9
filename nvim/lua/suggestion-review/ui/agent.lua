--- A read-only buffer with what the agent does: what was said and thought, calls with their output folded away, todos,
--- what it asks. It follows where the cursor is at its end. What stands in it depends on the entries alone, so a buffer
--- that was there all the time and one that is opened later hold the same.
local activity = require("suggestion-review.model.activity")
local activity_lines = require("suggestion-review.text.activity_lines")
local client = require("suggestion-review.connection.client")
local listeners = require("suggestion-review.model.listeners")
local notify = require("suggestion-review.say.notify")
local with_project = require("suggestion-review.decisions.with_project")
local which_session = require("suggestion-review.decisions.which_session")

local M = {}

--- Between two drawings, in milliseconds.
local PACE = 50

---@class (exact) SuggestionReview.DrawnBlock
---@field id string
---@field number integer of the form that is drawn
---@field lines string[]
---@field levels string[] values of 'foldexpr'

---@class (exact) SuggestionReview.AgentView
---@field server string
---@field root string
---@field blocks SuggestionReview.DrawnBlock[]
---@field levels string[]
---@field due boolean

---@type table<integer, SuggestionReview.AgentView> by buffer
local views = {}

---@param entry SuggestionReview.ActivityEntry
---@return SuggestionReview.DrawnBlock
local function drawn(entry)
  local block = activity_lines.of(entry)
  local levels = {}
  for index in ipairs(block.lines) do
    levels[index] = "0"
    if block.fold and index >= block.fold then
      levels[index] = index == block.fold and ">1" or "1"
    end
  end
  return { id = entry.id, number = entry.number, lines = block.lines, levels = levels }
end

--- The blocks of a session; those that did not change are the ones of before.
---@param view SuggestionReview.AgentView
---@return SuggestionReview.DrawnBlock[]
local function blocks_of(view)
  local before = {}
  for _, block in ipairs(view.blocks) do
    before[block.id] = block
  end
  return vim.tbl_map(function(entry)
    local known = before[entry.id]
    return known and known.number == entry.number and known or drawn(entry)
  end, activity.entries(view.server, view.root))
end

---@param blocks SuggestionReview.DrawnBlock[]
---@param first integer
---@param last integer
---@param field "lines"|"levels"
---@return string[]
local function flat(blocks, first, last, field)
  local found = {}
  for index = first, last do
    vim.list_extend(found, blocks[index][field])
  end
  return found
end

--- Windows of a buffer whose cursor is at its end.
---@param buf integer
---@return integer[]
local function following(buf)
  local count = vim.api.nvim_buf_line_count(buf)
  return vim.tbl_filter(function(win)
    return vim.api.nvim_win_get_cursor(win)[1] >= count
  end, vim.fn.win_findbuf(buf))
end

--- Replaces the blocks that differ, and nothing else.
---@param buf integer
local function redraw(buf)
  local view = views[buf]
  if not view or not vim.api.nvim_buf_is_loaded(buf) then
    return
  end
  view.due = false
  local old, new = view.blocks, blocks_of(view)
  local first = 1
  while first <= #old and first <= #new and old[first] == new[first] do
    first = first + 1
  end
  local old_last, new_last = #old, #new
  while old_last >= first and new_last >= first and old[old_last] == new[new_last] do
    old_last, new_last = old_last - 1, new_last - 1
  end
  if first > old_last and first > new_last then
    return
  end
  local follow = following(buf)
  local from = #flat(old, 1, first - 1, "lines")
  -- The empty line of an empty buffer is replaced too.
  local upto = #old == 0 and -1 or from + #flat(old, first, old_last, "lines")
  view.blocks, view.levels = new, flat(new, 1, #new, "levels")
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, from, upto, false, flat(new, first, new_last, "lines"))
  vim.bo[buf].modifiable, vim.bo[buf].modified = false, false
  local count = vim.api.nvim_buf_line_count(buf)
  for _, win in ipairs(follow) do
    vim.api.nvim_win_set_cursor(win, { count, 0 })
  end
end

---@param buf integer
local function redraw_soon(buf)
  local view = views[buf]
  if not view or view.due then
    return
  end
  view.due = true
  vim.defer_fn(function()
    redraw(buf)
  end, PACE)
end

--- 'foldexpr' of the buffer.
---@param line integer
---@return string
function M.fold(line)
  local view = views[vim.api.nvim_get_current_buf()]
  return view and view.levels[line] or "0"
end

local listening = false

local function listen()
  if listening then
    return
  end
  listening = true
  listeners.subscribe(function(event)
    if event.type ~= "activity.changed" and event.type ~= "client.state" then
      return
    end
    for buf, view in pairs(views) do
      if
        view.server == event.server
        and event.type == "activity.changed"
        and view.root == event.session_id
      then
        redraw_soon(buf)
      elseif view.server == event.server and event.type == "client.state" and event.state == "connected" then
        -- Another ledger may be behind it: what is not at hand any more is loaded anew.
        activity.load(view.server, view.root, function()
          redraw_soon(buf)
        end)
      end
    end
  end)
end

---@param buf integer
local function set_up(buf)
  vim.bo[buf].buftype, vim.bo[buf].swapfile, vim.bo[buf].bufhidden = "nofile", false, "wipe"
  vim.bo[buf].modifiable = false
  vim.bo[buf].undolevels = -1
  vim.keymap.set("n", "q", "<Cmd>close<CR>", { buffer = buf, nowait = true, desc = "Close" })
  vim.api.nvim_create_autocmd("BufWipeout", {
    buffer = buf,
    once = true,
    callback = function()
      local view = views[buf]
      views[buf] = nil
      for _, other in pairs(views) do
        if view and other.server == view.server and other.root == view.root then
          return
        end
      end
      if view then
        activity.unload(view.server, view.root)
      end
    end,
  })
  vim.bo[buf].filetype = "markdown"
end

---@param win integer
local function set_up_window(win)
  local function set(name, value)
    vim.api.nvim_set_option_value(name, value, { win = win, scope = "local" })
  end
  set("foldmethod", "expr")
  set("foldexpr", "v:lua.require'suggestion-review.ui.agent'.fold(v:lnum)")
  set("foldlevel", 0)
  set("wrap", true)
  set("linebreak", true)
end

--- Puts the cursor where an entry begins, and opens its fold.
---@param buf integer
---@param entry_id string
local function point_at(buf, entry_id)
  redraw(buf)
  local line = 1
  for _, block in ipairs(views[buf].blocks) do
    if block.id == entry_id then
      local from = line + (block.lines[1] == "" and 1 or 0)
      vim.api.nvim_win_set_cursor(0, { from, 0 })
      vim.cmd("normal! zvzz")
      return
    end
    line = line + #block.lines
  end
  notify.info("This call is in the agent's own session only")
end

--- A window that can be divided: the one that one is in may lie over the others.
local function leave_floating()
  if vim.api.nvim_win_get_config(0).relative == "" then
    return
  end
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.api.nvim_win_get_config(win).relative == "" then
      return vim.api.nvim_set_current_win(win)
    end
  end
end

---@param server string
---@param root string
---@param entry_id? string
local function show(server, root, entry_id)
  for buf, view in pairs(views) do
    local win = vim.fn.bufwinid(buf)
    if view.server == server and view.root == root and win ~= -1 then
      vim.api.nvim_set_current_win(win)
      return entry_id and point_at(buf, entry_id)
    end
  end
  leave_floating()
  vim.cmd("botright vsplit")
  local win, buf = vim.api.nvim_get_current_win(), vim.api.nvim_create_buf(false, true)
  views[buf] = { server = server, root = root, blocks = {}, levels = {}, due = false }
  vim.api.nvim_win_set_buf(win, buf)
  vim.api.nvim_buf_set_name(buf, ("suggestion-agent://%s/%s/%d"):format(server, root, buf))
  set_up(buf)
  set_up_window(win)
  listen()
  redraw(buf)
  vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(buf), 0 })
  if entry_id then
    point_at(buf, entry_id)
  end
end

--- Opens it on a session, else on the one that was asked last from here, else on the one that was active last.
---@param opts? { server?: string, session_id?: string, entry_id?: string } at an entry, else at the end
function M.open(opts)
  opts = opts or {}
  local target = client.get(opts.server)
  if not target or target.state ~= "connected" then
    return notify.error("Not shown: " .. client.state(opts.server).message)
  end
  local server = target.server.name
  local function open(root)
    activity.load(server, root, function(err)
      if err then
        return notify.error("Not shown: " .. err.message)
      end
      show(server, root, opts.entry_id)
    end)
  end
  if opts.session_id then
    return open(opts.session_id)
  end
  with_project(target, nil, function(project)
    which_session(server, project, nil, function(err, root)
      if err then
        notify.error("Not shown: " .. err.message)
      elseif root then
        open(root)
      else
        notify.info("The agent has done nothing yet: :Suggest ask")
      end
    end)
  end)
end

return M
