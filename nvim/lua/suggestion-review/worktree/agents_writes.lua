--- A checkout in which the agent works as well (one user): what is written there by others than this Neovim comes
--- into its buffers without a question. A buffer with unsaved edits is merged: its own lines stay unsaved, the others
--- follow.
local diff = require("suggestion-review.text.diff")
local document = require("suggestion-review.worktree.document")
local form = require("suggestion-review.worktree.encoding")
local mapping = require("suggestion-review.text.merge")
local notify = require("suggestion-review.say.notify")
local reload = require("suggestion-review.worktree.reload")
local worktree = require("suggestion-review.worktree.paths")
local store = require("suggestion-review.model.store")

local M = {}

---@type table<string, true> roots that are watched
local roots = {}

--- What a buffer and its file had in common last.
---@type table<integer, string>
local common = {}

--- What a buffer is to hold once it has been read again, and what it then holds first.
---@type table<integer, { disk: string, merged: string }>
local merging = {}

---@param buf integer
---@return boolean
local function is_watched(buf)
  if not vim.api.nvim_buf_is_loaded(buf) or vim.bo[buf].buftype ~= "" then
    return false
  end
  local name = vim.api.nvim_buf_get_name(buf)
  for root in pairs(roots) do
    if vim.startswith(name, root .. "/") then
      return true
    end
  end
  return false
end

--- The file's text as the buffer would hold it, with "\n" ends.
---@param buf integer
---@return string|nil
local function text_on_disk(buf)
  local bytes = worktree.read(vim.api.nvim_buf_get_name(buf))
  return bytes and form.decode(bytes, form.of_buffer(buf), true) or nil
end

--- Keeps the text of a buffer that was just read or written.
---@param buf integer
local function remember(buf)
  if not vim.bo[buf].modified then
    common[buf] = form.buffer_text(buf)
  end
end

--- Replaces a buffer's text with another by its smallest changes, as one step.
---@param buf integer
---@param text string
---@param joined? boolean as a part of the undo step before
local function become(buf, text, joined)
  local now, wanted = diff.split_lines(form.buffer_text(buf)), diff.split_lines(text)
  local edits = {}
  for _, range in ipairs(diff.ranges(now, wanted)) do
    edits[#edits + 1] = {
      from = range[1],
      to = range[2],
      old = vim.list_slice(now, range[1] + 1, range[2]),
      lines = vim.list_slice(wanted, range[3] + 1, range[4]),
    }
  end
  local carrier =
    { path = vim.api.nvim_buf_get_name(buf), buf = buf, form = form.of_buffer(buf), exists = true }
  document.apply(carrier, edits, #now, { joined = joined })
end

--- What changed on disk, in the place that it has in the buffer's own text.
---@param base string
---@param disk string
---@param own string
---@return string merged
---@return integer[] conflicts lines of the merged text at which both have edits; the buffer's own stand there
local function merge(base, disk, own)
  local expected, wanted, actual = diff.split_lines(base), diff.split_lines(disk), diff.split_lines(own)
  local changes = {}
  for _, range in ipairs(diff.ranges(expected, wanted)) do
    changes[#changes + 1] = {
      keys = {},
      from = range[1],
      to = range[2],
      old = vim.list_slice(expected, range[1] + 1, range[2]),
      lines = vim.list_slice(wanted, range[3] + 1, range[4]),
      base_from = range[1],
      base_to = range[2],
    }
  end
  local placed = mapping.place(changes, expected, actual)
  local conflicts, shift = {}, 0
  for _, one in ipairs(placed) do
    if one.status == "conflict" then
      conflicts[#conflicts + 1] = one.from + shift + 1
    elseif one.status == "clean" then
      shift = shift + #one.lines - (one.to - one.from)
    end
  end
  return table.concat(mapping.result(actual, placed)), conflicts
end

---@param buf integer
---@return string
local function short_name(buf)
  return vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buf), ":.")
end

---@param message string
local function warn(message)
  vim.schedule(function()
    notify.warn(message)
  end)
end

--- Neovim has found that a file is another: decides what becomes of the buffer.
---@param buf integer
---@param reason string see |v:fcs_reason|
---@return ""|"reload" choice
local function choose(buf, reason)
  if reason == "deleted" then
    if vim.bo[buf].modified then
      warn(("%s was removed on disk; your unsaved text is in its buffer only"):format(short_name(buf)))
    end
    return ""
  elseif not vim.bo[buf].modified then
    return "reload"
  end
  local disk, base, own = text_on_disk(buf), common[buf], form.buffer_text(buf)
  if not disk or disk == base then
    return ""
  elseif not base then
    common[buf] = disk
    warn(
      ("%s changed on disk and has unsaved edits here; compare them (:diffsplit) before you write"):format(
        short_name(buf)
      )
    )
    return ""
  end
  local merged, conflicts = merge(base, disk, own)
  common[buf] = disk
  if #conflicts > 0 then
    -- Not read again: a :write asks first, since it would put these lines back.
    vim.schedule(function()
      if vim.api.nvim_buf_is_loaded(buf) and form.buffer_text(buf) == own then
        become(buf, merged)
      end
    end)
    warn(
      ("%s changed on disk in lines that you have edited (line %s): yours stay"):format(
        short_name(buf),
        table.concat(conflicts, ", ")
      )
    )
    return ""
  end
  merging[buf] = { disk = disk, merged = merged }
  return "reload"
end

--- The buffer was read again: its own lines come back, unsaved.
---@param buf integer
local function after_reload(buf)
  local waiting = merging[buf]
  merging[buf] = nil
  if not waiting then
    return remember(buf)
  elseif form.buffer_text(buf) ~= waiting.merged then
    -- Reading it and putting the own lines back are one step for the user.
    become(buf, waiting.merged, true)
  end
end

local group

local function listen()
  group = vim.api.nvim_create_augroup("suggestion-review.agents-writes", {})
  local function on(events, body)
    vim.api.nvim_create_autocmd(events, {
      group = group,
      callback = function(event)
        if is_watched(event.buf) then
          body(event.buf)
        end
      end,
    })
  end
  on("FileChangedShell", function(buf)
    vim.v.fcs_choice = choose(buf, vim.v.fcs_reason)
  end)
  on("FileChangedShellPost", after_reload)
  on({ "BufReadPost", "BufWritePost" }, remember)
  vim.api.nvim_create_autocmd("BufWipeout", {
    group = group,
    callback = function(event)
      common[event.buf], merging[event.buf] = nil, nil
    end,
  })
end

--- Takes in what was written to the file of a buffer.
---@param buf integer
function M.take_in(buf)
  if not is_watched(buf) then
    return
  elseif not vim.bo[buf].modified then
    reload.refresh(buf)
    return remember(buf)
  end
  pcall(vim.cmd --[[@as function]], "silent! checktime " .. buf)
end

--- Watches a checkout from now on, where the agent works in this very one.
---@param root string
function M.watch(root)
  root = vim.uv.fs_realpath(root) or root
  if roots[root] then
    return
  end
  roots[root] = true
  if not group then
    listen()
  end
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if not is_watched(buf) then
      goto continue
    elseif not vim.bo[buf].modified then
      reload.refresh(buf)
      remember(buf)
    elseif not reload.is_behind(buf) then
      common[buf] = text_on_disk(buf)
    end
    ::continue::
  end
end

--- Takes in what was written below a root that is watched.
---@param root string
function M.take_in_all(root)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if is_watched(buf) and vim.startswith(vim.api.nvim_buf_get_name(buf), root .. "/") then
      M.take_in(buf)
    end
  end
end

--- Learns from the server's events where the agent works, and when it has written.
---@param event SuggestionReview.Event
function M.on_event(event)
  local project = event.project or (event.suggestion and event.suggestion.project)
  if event.type == "store.reset" then
    for _, suggestion in ipairs(store.list()) do
      if vim.uv.fs_stat(suggestion.project) then
        M.watch(suggestion.project)
      end
    end
  elseif project and (event.type == "suggestion.ready" or event.type == "suggestion.status") then
    if vim.uv.fs_stat(project) then
      M.watch(project)
    end
    if event.type == "suggestion.status" and event.status == "settled" and not event.replayed then
      M.take_in_all(vim.uv.fs_realpath(project) or project)
    end
  end
end

--- Watches nothing any more; for tests.
function M.reset()
  roots, common, merging = {}, {}, {}
end

return M
