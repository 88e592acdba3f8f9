--- The thing that carries a file's text: a loaded buffer, or the file on disk when no buffer has it. Reads it as
--- lines, applies edits in one step (one undo step in a buffer) and saves, losing nothing on the way.
local diff = require("suggestion-review.text.diff")
local form = require("suggestion-review.worktree.encoding")
local peers = require("suggestion-review.worktree.peers")
local reload = require("suggestion-review.worktree.reload")
local save = require("suggestion-review.worktree.save")
local swap_file = require("suggestion-review.worktree.swap_file")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

---@class (exact) SuggestionReview.Edit lines [from, to) become `lines`
---@field from integer
---@field to integer
---@field old string[]
---@field lines string[]

---@class SuggestionReview.Carrier
---@field path string absolute
---@field buf integer|nil
---@field form SuggestionReview.Form
---@field stat uv.fs_stat.result|nil the file as it was when the carrier was opened
---@field bytes string|nil disk: its content
---@field exists boolean whether the file is there, or a buffer holds what is to become it

---@param buf integer
---@return string|nil reason why its text may not be changed
local function locked(buf)
  if not vim.bo[buf].modifiable then
    return "its buffer is not modifiable"
  elseif vim.bo[buf].readonly then
    return "its buffer is read-only"
  end
end

---@param path string absolute
---@param load boolean load a buffer for it if none is
---@return SuggestionReview.Carrier|nil
---@return string|nil reason
function M.open(path, load)
  local buf = worktree.buffer_of(path)
  if buf and not vim.api.nvim_buf_is_loaded(buf) and not load then
    buf = nil
  end
  local stat = vim.uv.fs_lstat(path)
  if stat and stat.type ~= "file" then
    return nil, ("is a %s here"):format(stat.type == "link" and "symbolic link" or stat.type)
  end
  local elsewhere = swap_file.unsaved_elsewhere(path)
  if elsewhere then
    return nil, elsewhere
  end
  if not buf and load and stat then
    buf = vim.fn.bufadd(path)
    vim.bo[buf].buflisted = true
  end
  if buf then
    if not vim.api.nvim_buf_is_loaded(buf) then
      local ok, message = pcall(vim.fn.bufload, buf)
      if not ok then
        return nil, "could not be loaded: " .. tostring(message)
      end
    end
    reload.refresh(buf)
    local reason = locked(buf)
    if reason then
      return nil, reason
    end
    return {
      path = path,
      buf = buf,
      form = form.of_buffer(buf),
      exists = stat ~= nil or vim.bo[buf].modified,
      stat = vim.uv.fs_lstat(path),
    }
  end
  local none = { eol = "unix", encoding = "", bom = false }
  if not stat then
    return { path = path, form = none, exists = false, bytes = "" }
  end
  local bytes, message = worktree.read(path)
  if not bytes then
    return nil, message
  end
  if bytes:find("\r\n", 1, true) and bytes:gsub("\r\n", "\n"):gsub("\n", "\r\n") == bytes then
    none.eol = "dos"
  end
  return { path = path, form = none, exists = true, bytes = bytes, stat = stat }
end

--- Gives a text that has no line end yet the ends that git would check it out with.
---@param carrier SuggestionReview.Carrier
function M.prefer_crlf(carrier)
  local one_line
  if carrier.buf then
    one_line = vim.api.nvim_buf_line_count(carrier.buf) == 1
      and not form.buffer_text(carrier.buf):find("\n", 1, true)
  else
    one_line = not carrier.bytes:find("\n", 1, true)
  end
  if one_line then
    carrier.form.eol = "dos"
  end
end

--- Takes the line ends of a file that no buffer has for a part of its text.
---@param carrier SuggestionReview.Carrier
function M.keep_ends(carrier)
  carrier.form.eol = "unix"
end

--- The text now, with "\n" ends.
---@param carrier SuggestionReview.Carrier
---@return string
function M.text(carrier)
  if carrier.buf then
    return form.buffer_text(carrier.buf)
  end
  if carrier.form.eol == "dos" then
    return (carrier.bytes:gsub("\r\n", "\n"))
  end
  return carrier.bytes --[[@as string]]
end

--- Its lines in bare form (see `diff.bare`).
---@param carrier SuggestionReview.Carrier
---@return string[]
function M.bare(carrier)
  if carrier.buf then
    return form.buffer_lines(carrier.buf)
  end
  return diff.bare_lines(diff.split_lines(M.text(carrier)))
end

--- Something that is the same only while nobody changed the text.
---@param carrier SuggestionReview.Carrier
function M.tick(carrier)
  return carrier.buf and vim.api.nvim_buf_get_changedtick(carrier.buf) or nil
end

--- Why a text that was looked at is not the one that is there now, if it is not.
---@param carrier SuggestionReview.Carrier
---@param tick integer|nil its tick then
---@return string|nil reason
function M.moved_on(carrier, tick)
  if M.tick(carrier) ~= tick then
    return "the buffer changed meanwhile"
  elseif carrier.stat and not worktree.same_stat(vim.uv.fs_lstat(carrier.path), carrier.stat) then
    return "the file changed on disk meanwhile"
  end
end

---@param line string
local function bare(line)
  return line:sub(-1) == "\n" and line:sub(1, -2) or line
end

---@param lines string[]
---@param from integer
---@param to integer
local function bare_slice(lines, from, to)
  local out = {}
  for i = from, to do
    out[#out + 1] = bare(lines[i])
  end
  return out
end

--- Replaces the part of one line that differs.
---@param buf integer
---@param row integer
---@param old string
---@param new string
local function edit_line(buf, row, old, new)
  local head = 0
  local limit = math.min(#old, #new)
  while head < limit and old:byte(head + 1) == new:byte(head + 1) do
    head = head + 1
  end
  local tail = 0
  while tail < limit - head and old:byte(#old - tail) == new:byte(#new - tail) do
    tail = tail + 1
  end
  vim.api.nvim_buf_set_text(buf, row, head, row, #old - tail, { new:sub(head + 1, #new - tail) })
end

--- Lines above this are replaced as a block instead of being matched line by line.
local MAX_MATCHED = 400

--- One edit as the smallest set of changes, so that marks, folds and cursors on lines that stay survive.
---@param buf integer
---@param edit SuggestionReview.Edit
local function edit_buffer(buf, edit)
  local old, new = edit.old, edit.lines
  local empty = vim.api.nvim_buf_line_count(buf) == 1 and #edit.old == edit.to - edit.from and edit.to == 0
  if empty and #new > 0 and vim.api.nvim_buf_get_lines(buf, 0, 1, false)[1] == "" then
    -- A buffer without text still has one line, which is no line of the file.
    if #form.buffer_text(buf) == 0 then
      vim.api.nvim_buf_set_lines(buf, 0, -1, false, bare_slice(new, 1, #new))
      return
    end
  end
  local ranges
  if #old == 0 or #new == 0 or #old + #new > MAX_MATCHED then
    local head = 0
    while head < #old and head < #new and bare(old[head + 1]) == bare(new[head + 1]) do
      head = head + 1
    end
    local tail = 0
    while tail < #old - head and tail < #new - head and bare(old[#old - tail]) == bare(new[#new - tail]) do
      tail = tail + 1
    end
    ranges = { { head, #old - tail, head, #new - tail } }
  else
    local a, b = bare_slice(old, 1, #old), bare_slice(new, 1, #new)
    ranges = diff.ranges_of_text(
      table.concat(a, "\n") .. "\n",
      table.concat(b, "\n") .. "\n",
      { linematch = #old + #new <= 60 and 60 or nil }
    )
  end
  for i = #ranges, 1, -1 do
    local a_from, a_to, b_from, b_to = unpack(ranges[i])
    local row = edit.from + a_from
    local common = math.min(a_to - a_from, b_to - b_from)
    if a_to - a_from ~= b_to - b_from then
      vim.api.nvim_buf_set_lines(
        buf,
        row + common,
        edit.from + a_to,
        true,
        bare_slice(new, b_from + common + 1, b_to)
      )
    end
    for k = common, 1, -1 do
      edit_line(buf, row + k - 1, bare(old[a_from + k]), bare(new[b_from + k]))
    end
  end
end

---@param lines string[]
local function ends_without_newline(lines)
  return #lines > 0 and lines[#lines]:sub(-1) ~= "\n"
end

--- Closes the buffer's undo step. Neovim closes one only where somebody types, which is in another buffer while a
--- review is open; setting 'undolevels' does it.
---@param buf integer
local function close_step(buf)
  vim.api.nvim_buf_call(buf, function()
    local levels = vim.bo[buf].undolevels
    vim.bo[buf].undolevels = levels
  end)
end

--- Applies edits (ascending, apart from each other).
---@param carrier SuggestionReview.Carrier
---@param edits SuggestionReview.Edit[]
---@param total integer lines there are now
---@param opts? { joined?: boolean } of a buffer: a part of the undo step before, instead of a step of its own
---@return boolean ok
---@return string|nil reason
function M.apply(carrier, edits, total, opts)
  if carrier.buf then
    local buf = carrier.buf
    if carrier.form.eol == "dos" and vim.bo[buf].fileformat ~= "dos" and not vim.bo[buf].binary then
      vim.bo[buf].fileformat = "dos"
    end
    if not (opts and opts.joined) then
      close_step(buf)
    end
    for i = #edits, 1, -1 do
      edit_buffer(buf, edits[i])
    end
    local last = edits[#edits]
    if last and last.to == total then
      -- The final newline is an option of the buffer, not text.
      local without
      if #last.lines > 0 then
        without = ends_without_newline(last.lines)
      elseif last.from > 0 and ends_without_newline(last.old) then
        without = false
      end
      if without ~= nil and vim.bo[buf].eol == without then
        vim.bo[buf].eol = not without
      end
    end
    return true
  end
  local lines = diff.split_lines(M.text(carrier))
  local out, line = {}, 0
  for _, edit in ipairs(edits) do
    vim.list_extend(out, lines, line + 1, edit.from)
    vim.list_extend(out, edit.lines)
    line = edit.to
  end
  vim.list_extend(out, lines, line + 1, #lines)
  local bytes = table.concat(out)
  if carrier.form.eol == "dos" then
    bytes = bytes:gsub("\n", "\r\n")
  end
  local elsewhere = swap_file.unsaved_elsewhere(carrier.path)
  if elsewhere then
    return false, elsewhere
  end
  local ok, reason = worktree.write(carrier.path, bytes, { expect = carrier.stat })
  if ok then
    peers.tell(carrier.path)
    carrier.bytes, carrier.stat = bytes, vim.uv.fs_lstat(carrier.path)
  end
  return ok, reason
end

--- Saves a buffer that had nothing unsaved before its edits: just its text, see `worktree/save.lua`.
---@param carrier SuggestionReview.Carrier
---@return boolean ok
---@return string|nil reason
function M.save(carrier)
  if not carrier.buf then
    return true
  end
  return save.buffer(carrier.buf, carrier.path, carrier.stat)
end

return M
