--- A window in which the developer writes for the agent: a hunk's own version, a commit message, a resolved conflict.
--- The text stays in its modified buffer until it has arrived, whatever fails; a window that is closed before is
--- offered again, and only `:w` to the buffer's own name sends (see `own_write.lua`).
local notify = require("suggestion-review.say.notify")
local own_write = require("suggestion-review.ui.own_write")
local text_of = require("suggestion-review.text.display")
local log = require("suggestion-review.say.log")
local popup = require("suggestion-review.ui.popup")

local M = {}

---@class SuggestionReview.EditorOpts
---@field key string what the text is for; one text is kept for each
---@field name string
---@field title string
---@field lines string[]
---@field filetype? string
---@field height? integer
---@field again? string how a text that was put aside is reached
---@field on_open? fun(buf: integer, win: integer) each time it gets a window

--- Takes the text over, and calls `done` when it has arrived, or with the reason why not; both may happen, in any
--- order. `forced` is `:w!`.
---@alias SuggestionReview.EditorWrite fun(lines: string[], done: fun(reason?: string), forced: boolean)

---@class SuggestionReview.Editor
---@field opts SuggestionReview.EditorOpts
---@field buf integer
---@field win integer
---@field own_name string
---@field sending boolean
---@field reason? string why it was not sent
---@field told? boolean that only :w sends

---@type table<string, SuggestionReview.Editor>
local editors = {}

local HINTS = {
  { " :w", "SuggestionReviewKey" },
  { " send ", "SuggestionReviewHint" },
  { " :q!", "SuggestionReviewKey" },
  { " change nothing ", "SuggestionReviewHint" },
}

---@param one SuggestionReview.Editor
---@return boolean
local function has_window(one)
  return vim.api.nvim_win_is_valid(one.win) and vim.api.nvim_win_get_buf(one.win) == one.buf
end

--- The hints, or what became of the text.
---@param one SuggestionReview.Editor
local function draw_footer(one)
  if not has_window(one) then
    return
  end
  local room = vim.api.nvim_win_get_width(one.win) - 4
  local footer = HINTS
  if one.sending then
    footer = { { " being sent … ", "SuggestionReviewHint" } }
  elseif one.reason then
    local reason = text_of.fit("Not sent: " .. text_of.first_line(one.reason), room)
    footer = { { (" %s "):format(reason), "SuggestionReviewNotApplied" } }
  end
  -- On a screen too small for a border there is no place for it.
  if vim.api.nvim_win_get_config(one.win).footer then
    vim.api.nvim_win_set_config(one.win, { footer = footer })
  end
end

---@param one SuggestionReview.Editor
local function open_window(one)
  local opts = one.opts
  local count = vim.api.nvim_buf_line_count(one.buf)
  one.win = popup.open(one.buf, true, {
    width = math.min(vim.o.columns - 4, 100),
    height = math.min(vim.o.lines - 6, opts.height or math.max(6, count + 4)),
    keep = true,
    wrap = vim.go.wrap,
    title = { { (" %s "):format(opts.title), "SuggestionReviewTitle" } },
    footer = HINTS,
    zindex = 50,
  })
  draw_footer(one)
  if opts.on_open then
    opts.on_open(one.buf, one.win)
  end
end

---@param one SuggestionReview.Editor
local function close(one)
  if has_window(one) then
    vim.api.nvim_win_close(one.win, true)
  end
  if vim.api.nvim_buf_is_valid(one.buf) then
    vim.api.nvim_buf_delete(one.buf, { force = true })
  end
end

--- Says that the text is still there, and why; where its window is gone it comes back.
---@param one SuggestionReview.Editor
---@param reason string
local function keep(one, reason)
  one.reason = reason
  notify.warn(reason)
  if not has_window(one) then
    open_window(one)
  end
  draw_footer(one)
end

---@param one SuggestionReview.Editor
---@param write SuggestionReview.EditorWrite
---@param forced boolean
local function send(one, write, forced)
  one.sending, one.reason = true, nil
  draw_footer(one)
  local tick = vim.api.nvim_buf_get_changedtick(one.buf)
  local function done(reason)
    one.sending = false
    if not vim.api.nvim_buf_is_valid(one.buf) then
      return
    elseif reason then
      return keep(one, reason)
    elseif vim.api.nvim_buf_get_changedtick(one.buf) ~= tick then
      return keep(one, "sent as it was; what you typed since is not")
    end
    vim.bo[one.buf].modified = false
    close(one)
  end
  local lines = vim.api.nvim_buf_get_lines(one.buf, 0, -1, false)
  -- Not within the write, after which Neovim goes back to the window it came from.
  vim.schedule(function()
    local ok, message = xpcall(write, debug.traceback, lines, done, forced)
    if not ok then
      log.error("an edited text: %s", message)
      done("something went wrong: " .. text_of.first_line(message) .. " (see :Suggest log)")
    end
  end)
end

--- `:w other` writes a copy, as it does anywhere.
---@param file string
---@param forced boolean
local function write_copy(file, forced)
  local ok, message = pcall(vim.cmd, {
    cmd = "write",
    args = { vim.fn.fnameescape(file) },
    bang = forced,
    mods = { noautocmd = true, keepalt = true },
  })
  if not ok then
    notify.warn((tostring(message):gsub("^.-(E%d+:)", "%1", 1)))
  end
end

---@param one SuggestionReview.Editor
---@param write SuggestionReview.EditorWrite
---@param event table
---@param callback function the one that was called for the event
local function on_write(one, write, event, callback)
  local forced = vim.v.cmdbang == 1
  if event.match ~= one.own_name then
    return write_copy(event.match, forced)
  elseif one.sending then
    return notify.info("It is being sent")
  end
  local against = own_write.reason_against(callback)
  if not against then
    return send(one, write, forced)
  elseif not one.told then
    one.told = true
    notify.info(("Not sent, %s: :w in its window sends"):format(against))
  end
end

--- The window went: an unsent text stays in its buffer, anything else goes with it.
---@param one SuggestionReview.Editor
local function on_closed(one)
  if not vim.api.nvim_buf_is_valid(one.buf) or has_window(one) or #vim.fn.win_findbuf(one.buf) > 0 then
    return
  elseif not vim.bo[one.buf].modified then
    if not one.sending then
      close(one)
    end
  elseif not one.sending then
    notify.info(("“%s” is kept as you left it%s"):format(one.opts.title, one.opts.again or ""))
  end
end

---@param one SuggestionReview.Editor
---@param write SuggestionReview.EditorWrite
local function watch(one, write)
  local buf = one.buf
  local group = vim.api.nvim_create_augroup("suggestion-review.editor." .. buf, {})
  own_write.watch()
  local function written(event)
    on_write(one, write, event, written)
    -- Not a tail call: who called this is looked at.
    return false
  end
  vim.api.nvim_create_autocmd("BufWriteCmd", { group = group, buffer = buf, callback = written })
  -- `:edit!` begins anew.
  vim.api.nvim_create_autocmd("BufReadCmd", {
    group = group,
    buffer = buf,
    callback = function()
      vim.api.nvim_buf_set_lines(buf, 0, -1, false, one.opts.lines)
      vim.bo[buf].modified = false
    end,
  })
  -- Leaving asks about an unsent text (`:q`, `:qa`) or stays (`:wqa`, `:xa`, 'autowriteall'); `:q!` gives it up.
  vim.api.nvim_create_autocmd("QuitPre", {
    group = group,
    callback = function()
      if vim.bo[buf].modified and not one.sending then
        vim.bo[buf].bufhidden = "wipe"
        vim.bo[buf].readonly = true
        vim.schedule(function()
          if vim.api.nvim_buf_is_valid(buf) then
            vim.bo[buf].bufhidden = "hide"
            vim.bo[buf].readonly = false
          end
        end)
      end
    end,
  })
  vim.api.nvim_create_autocmd("WinClosed", {
    group = group,
    callback = function(event)
      if tonumber(event.match) == one.win then
        vim.schedule(function()
          on_closed(one)
        end)
      end
    end,
  })
  vim.api.nvim_create_autocmd("BufWipeout", {
    group = group,
    buffer = buf,
    callback = function()
      editors[one.opts.key] = nil
      own_write.unwatch()
      vim.schedule(function()
        pcall(vim.api.nvim_del_augroup_by_id, group)
      end)
    end,
  })
end

--- Shows the text that is kept under a key, as it was left.
---@param key string
---@return boolean shown
function M.show(key)
  local one = editors[key]
  if not one or not vim.api.nvim_buf_is_valid(one.buf) then
    return false
  elseif has_window(one) then
    vim.api.nvim_set_current_win(one.win)
  else
    open_window(one)
  end
  return true
end

--- Opens a text; one that is kept under the same key comes back instead, as it was left.
---@param opts SuggestionReview.EditorOpts
---@param write SuggestionReview.EditorWrite
---@return integer|nil buf nil where a kept one is shown
---@return integer|nil win
function M.open(opts, write)
  if M.show(opts.key) then
    return
  end
  local buf = vim.api.nvim_create_buf(false, false)
  vim.bo[buf].buftype = "acwrite"
  -- Whoever closes the window does not take an unsent text along.
  vim.bo[buf].bufhidden = "hide"
  vim.bo[buf].swapfile = false
  vim.bo[buf].modeline = false
  vim.api.nvim_buf_set_name(buf, ("suggestion-review://%s/%d"):format(opts.name, buf))
  local undolevels = vim.bo[buf].undolevels
  vim.bo[buf].undolevels = -1
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, opts.lines)
  vim.bo[buf].undolevels = undolevels
  vim.bo[buf].modified = false
  ---@type SuggestionReview.Editor
  local one = { opts = opts, buf = buf, win = -1, own_name = vim.api.nvim_buf_get_name(buf), sending = false }
  editors[opts.key] = one
  watch(one, write)
  open_window(one)
  -- Last, so that filetype plugins find the buffer as it stays.
  if opts.filetype then
    vim.bo[buf].filetype = opts.filetype
  end
  return buf, one.win
end

--- Whether a buffer holds no line at all, which looks like one empty line.
---@param buf integer
---@return boolean
function M.is_emptied(buf)
  return vim.api.nvim_buf_call(buf, function()
    return vim.fn.wordcount().bytes == 0
  end)
end

return M
