--- What this developer's Neovim has put into the worktree: for each suggestion and file, which hunks' text is in, whose
--- it is, and what of the developer's own stood there before. Kept in an append-only file below stdpath("state"), so
--- that a hunk can be taken out again after a restart, and so that two Neovims on one worktree agree. A checkout at
--- another path has a record of its own.
local mapping = require("suggestion-review.text.merge")

local M = {}

local uv = vim.uv

--- What is applied in one file, in order, and the keys of what has changed since.
---@class (exact) SuggestionReview.AppliedList
---@field list SuggestionReview.Replacement[]
---@field changed table<string, true>

---@class SuggestionReview.Applied
---@field root string
---@field path string the log
---@field size integer how much of the log has been read
---@field fd integer|nil
---@field ino integer|nil which file was read
---@field kept string[] log lines with text of the developer's that made room on their word
---@field suggestions table<string, table<string, table<string, SuggestionReview.Replacement>>>
---@field version table<string, integer> counts changes per suggestion and file
---@field lists table<string, SuggestionReview.AppliedList>
local Applied = {}
Applied.__index = Applied

---@type table<string, SuggestionReview.Applied>
local open = {}

---@return string
local function directory()
  return vim.fn.stdpath("state") .. "/suggestion-review/applied"
end

local function file_key(suggestion_id, file)
  return suggestion_id .. "\0" .. file
end

--- Logs above this are written anew with what still counts.
local MAX_BYTES = 4 * 1024 * 1024

---@param worktree string absolute path of the worktree's root
---@return SuggestionReview.Applied
function M.open(worktree)
  local self = open[worktree]
  if not self then
    self = setmetatable({
      root = worktree,
      path = ("%s/%s.jsonl"):format(directory(), vim.fn.sha256(worktree):sub(1, 24)),
      size = 0,
      suggestions = {},
      kept = {},
      version = {},
      lists = {},
    }, Applied)
    open[worktree] = self
    self:refresh()
    if self.size > MAX_BYTES then
      self:compact()
    end
  end
  self:refresh()
  return self
end

---@param lines string[] as they are in the log
---@return string[]
local function decoded(lines)
  return setmetatable(vim.tbl_map(vim.base64.decode, lines), nil)
end

---@param lines string[]
---@return string[]
local function encoded(lines)
  if #lines == 0 then
    return vim.empty_dict() --[[@as any]]
  end
  return vim.tbl_map(vim.base64.encode, lines)
end

---@param entry table
---@param line string the entry as it is in the log
function Applied:_take(entry, line)
  if entry.kept then
    self.kept[#self.kept + 1] = line
    return
  end
  local files = self.suggestions[entry.suggestion]
  if not files then
    files = {}
    self.suggestions[entry.suggestion] = files
  end
  local file = vim.base64.decode(entry.file)
  files[file] = files[file] or {}
  if entry.put then
    local put = entry.put
    put.lines = decoded(put.lines)
    if put.before then
      put.before.lines = decoded(put.before.lines)
    end
    put.old_file = put.old_file and vim.base64.decode(put.old_file)
    files[file][put.key] = put
  elseif entry.out then
    files[file][entry.out] = nil
  end
  local key = file_key(entry.suggestion, file)
  self.version[key] = (self.version[key] or 0) + 1
  local list = self.lists[key]
  local changed = entry.put and entry.put.key or entry.out
  if list and changed then
    list.changed[changed] = true
  end
end

---@param suggestion_id string
---@param file string
---@param replacement SuggestionReview.Replacement
local function put_entry(suggestion_id, file, replacement)
  local copy = vim.deepcopy(replacement)
  copy.lines = encoded(copy.lines)
  if copy.before then
    copy.before.lines = encoded(copy.before.lines)
  end
  copy.old_file = copy.old_file and vim.base64.encode(copy.old_file)
  return { suggestion = suggestion_id, file = vim.base64.encode(file), put = copy }
end

---@param suggestion_id string
---@param file string raw bytes
---@param key string
---@param lines string[]
local function kept_entry(suggestion_id, file, key, lines)
  return {
    suggestion = suggestion_id,
    file = vim.base64.encode(file),
    kept = { key = key, at = os.date("!%Y-%m-%dT%H:%M:%SZ"), lines = encoded(lines) },
  }
end

---@param a SuggestionReview.Before
---@param b SuggestionReview.Before
local function same_lines(a, b)
  return vim.deep_equal(a.lines, b.lines)
end

--- Writes the log anew without what no longer counts; other Neovims notice by the file's number.
function Applied:compact()
  local lines = {}
  for _, kept in ipairs(self.kept) do
    lines[#lines + 1] = kept .. "\n"
  end
  for suggestion_id, files in pairs(self.suggestions) do
    for file, replacements in pairs(files) do
      for _, replacement in pairs(replacements) do
        lines[#lines + 1] = vim.json.encode(put_entry(suggestion_id, file, replacement)) .. "\n"
      end
    end
  end
  local text = table.concat(lines)
  if #text * 2 > self.size then
    return
  end
  local temporary = ("%s.%d"):format(self.path, uv.os_getpid())
  local fd = uv.fs_open(temporary, "w", 384)
  if not fd then
    return
  end
  local written = uv.fs_write(fd, text)
  uv.fs_fsync(fd)
  uv.fs_close(fd)
  if written == #text then
    uv.fs_rename(temporary, self.path)
  else
    uv.fs_unlink(temporary)
  end
end

--- Starts over with a log that was written anew.
function Applied:_start_over()
  if self.fd then
    uv.fs_close(self.fd)
    self.fd = nil
  end
  for key, version in pairs(self.version) do
    self.version[key] = version + 1
  end
  self.size, self.suggestions, self.kept, self.lists = 0, {}, {}, {}
end

--- Reads what was appended since, by this Neovim or another.
function Applied:refresh()
  local stat = uv.fs_stat(self.path)
  if stat and (self.ino and self.ino ~= stat.ino or stat.size < self.size) then
    self:_start_over()
  end
  if not stat or stat.size <= self.size then
    return
  end
  self.ino = stat.ino
  local fd = uv.fs_open(self.path, "r", 0)
  if not fd then
    return
  end
  local text = uv.fs_read(fd, stat.size - self.size, self.size) or ""
  uv.fs_close(fd)
  for line in text:gmatch("([^\n]*)\n") do
    self.size = self.size + #line + 1
    local ok, entry = pcall(vim.json.decode, line, { luanil = { object = true, array = true } })
    if
      ok
      and type(entry) == "table"
      and type(entry.suggestion) == "string"
      and type(entry.file) == "string"
    then
      pcall(self._take, self, entry, line)
    end
  end
end

---@param entries table[]
function Applied:_append(entries)
  if #entries == 0 then
    return
  end
  if self.fd then
    local held = uv.fs_fstat(self.fd)
    if not held or held.nlink == 0 then
      self:refresh()
    end
  end
  if not self.fd then
    vim.fn.mkdir(directory(), "p", 448)
    local fd, message = uv.fs_open(self.path, "a", 384)
    if not fd then
      error(("suggestion-review: cannot write %s: %s"):format(self.path, message), 0)
    end
    self.fd = fd
  end
  local lines = {}
  for i, entry in ipairs(entries) do
    lines[i] = vim.json.encode(entry) .. "\n"
  end
  local text = table.concat(lines)
  local written, message = uv.fs_write(self.fd, text)
  if written ~= #text then
    error(("suggestion-review: cannot write %s: %s"):format(self.path, message or "disk full"), 0)
  end
  local stat = uv.fs_fstat(self.fd)
  if stat and stat.nlink > 0 and stat.size == self.size + #text then
    for i, entry in ipairs(entries) do
      self:_take(entry, lines[i]:sub(1, -2))
    end
    self.size, self.ino = stat.size, stat.ino
  else
    -- Another Neovim wrote as well: its lines come first.
    self:refresh()
  end
end

--- The list as it is after a few changes. A list that was given out stays as it is.
---@param list SuggestionReview.AppliedList
---@param replacements table<string, SuggestionReview.Replacement> of the file, by key
---@return SuggestionReview.Replacement[]
local function brought_up(list, replacements)
  local new = {}
  for key in pairs(list.changed) do
    new[#new + 1] = replacements[key]
  end
  new = mapping.sorted(new)
  local out, n, at = {}, 0, 1
  for _, replacement in ipairs(list.list) do
    if not list.changed[replacement.key] then
      while new[at] and mapping.earlier(new[at], replacement) do
        n = n + 1
        out[n] = new[at]
        at = at + 1
      end
      n = n + 1
      out[n] = replacement
    end
  end
  for i = at, #new do
    n = n + 1
    out[n] = new[i]
  end
  return out
end

--- What is applied in one file, in order. Not a copy: change nothing in it.
---@param suggestion_id string
---@param file string raw bytes
---@return SuggestionReview.Replacement[]
function Applied:of_file(suggestion_id, file)
  local files = self.suggestions[suggestion_id]
  if not files or not files[file] then
    return {}
  end
  local key = file_key(suggestion_id, file)
  local kept = self.lists[key]
  if not kept then
    kept = { list = mapping.sorted(vim.tbl_values(files[file])), changed = {} }
    self.lists[key] = kept
  elseif next(kept.changed) then
    kept = { list = brought_up(kept, files[file]), changed = {} }
    self.lists[key] = kept
  end
  return kept.list
end

---@param suggestion_id string
---@param file string
---@param key string
---@return SuggestionReview.Replacement|nil
function Applied:get(suggestion_id, file, key)
  local files = self.suggestions[suggestion_id]
  return files and files[file] and files[file][key]
end

---@param suggestion_id string
---@param file string
---@return integer
function Applied:version_of(suggestion_id, file)
  return self.version[file_key(suggestion_id, file)] or 0
end

--- The files that something is recorded of.
---@param suggestion_id string
---@return string[] raw bytes, in order
function Applied:files(suggestion_id)
  local list = {}
  for file, replacements in pairs(self.suggestions[suggestion_id] or {}) do
    if next(replacements) then
      list[#list + 1] = file
    end
  end
  table.sort(list)
  return list
end

--- Keeps lines of the developer's that are about to make room on their own word, so that they are never lost.
---@param suggestion_id string
---@param file string raw bytes
---@param key string the hunk that they stood in the way of
---@param lines string[] as they are in the file or buffer
function Applied:keep(suggestion_id, file, key, lines)
  self:_append({ kept_entry(suggestion_id, file, key, lines) })
end

--- Notes that `put` goes in and `out` (keys) comes out. Done before the text is written: if that is cut off, the hunk
--- is found missing from the file, and nobody's text is taken for another's.
---@param suggestion_id string
---@param file string raw bytes
---@param put SuggestionReview.Replacement[]
---@param out string[]
---@return fun() take_back files what was there before, for when the text could not be written
function Applied:record(suggestion_id, file, put, out)
  local entries = {}
  local was, came = {}, {}
  for _, key in ipairs(out) do
    local earlier = self:get(suggestion_id, file, key)
    was[#was + 1] = earlier
    if earlier and earlier.before then
      entries[#entries + 1] = kept_entry(suggestion_id, file, key, earlier.before.lines)
    end
  end
  for _, replacement in ipairs(put) do
    local earlier = self:get(suggestion_id, file, replacement.key)
    was[#was + 1] = earlier
    local before = earlier and earlier.before
    if earlier and before and not (replacement.before and same_lines(before, replacement.before)) then
      -- The developer's lines of then are not what is given back any more: they are kept all the same.
      entries[#entries + 1] = kept_entry(suggestion_id, file, earlier.key, before.lines)
    end
    if not earlier then
      came[#came + 1] = replacement.key
    end
  end
  local encoded_file = vim.base64.encode(file)
  for _, key in ipairs(out) do
    entries[#entries + 1] = { suggestion = suggestion_id, file = encoded_file, out = key }
  end
  for _, replacement in ipairs(put) do
    entries[#entries + 1] = put_entry(suggestion_id, file, replacement)
  end
  self:_append(entries)
  return function()
    self:record(suggestion_id, file, was, came)
  end
end

--- Forgets what is only in memory; for tests.
function M.reset()
  for _, one in pairs(open) do
    if one.fd then
      uv.fs_close(one.fd)
    end
  end
  open = {}
end

return M
