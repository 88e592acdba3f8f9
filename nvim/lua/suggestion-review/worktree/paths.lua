--- The developer's files on disk: which paths may be touched at all, reading, and writing without a moment in which a
--- crash could leave half a file. Knows nothing of hunks.
local M = {}

local uv = vim.uv

--- Whether a path component names a repository's own data on some file system, by the rules of git's protectHFS and
--- protectNTFS: HFS+ ignores some code points, NTFS and FAT have short names, end a name before dots and blanks, split
--- it at a backslash, and take what follows a colon for a stream of the file.
---@param part string
---@return boolean
function M.is_reserved(part)
  local plain =
    part:gsub("\226\128[\140-\143\170-\174]", ""):gsub("\226\129[\170-\175]", ""):gsub("\239\187\191", "")
  for piece in vim.gsplit(plain:lower(), "\\", { plain = true }) do
    local name = piece:gsub(":.*$", ""):gsub("[%. ]+$", "")
    if name == ".git" or name == ".jj" or name:find("^git~%d+$") or name:find("^jj~%d+$") then
      return true
    end
  end
  return false
end

--- Path components that are never ours to write.
---@param part string
local function forbidden(part)
  return part:gsub("[%. ]+$", "") == "" or M.is_reserved(part)
end

--- Whether some file system would take the path for a repository's own files, or it leads out of the worktree.
---@param path string
---@return boolean
function M.is_forbidden(path)
  for part in (path .. "/"):gmatch("([^/]*)/") do
    -- NTFS takes what follows a colon for a stream of the file before it.
    if forbidden(part) or forbidden((part:gsub(":.*$", ""))) then
      return true
    end
  end
  return path:find("%z") ~= nil
end

--- The absolute path of `path` below `root`, or why it may not be touched.
---@param root string
---@param path string raw bytes, "/" between parts
---@return string|nil absolute
---@return string|nil reason
function M.resolve(root, path)
  if path == "" or path:find("%z") then
    return nil, "the path is empty or holds a NUL byte"
  elseif path:sub(1, 1) == "/" or path:sub(-1) == "/" then
    return nil, ("%s is not a path inside the worktree"):format(path)
  end
  local parts = vim.split(path, "/", { plain = true })
  for _, part in ipairs(parts) do
    if part == ".." or forbidden(part) then
      return nil, ("%s leaves the worktree or reaches into its repository"):format(path)
    end
  end
  local at = root
  for i = 1, #parts - 1 do
    at = at .. "/" .. parts[i]
    local stat = uv.fs_lstat(at)
    if not stat then
      break
    elseif stat.type == "link" then
      return nil, ("%s goes through a symbolic link (%s)"):format(path, table.concat(parts, "/", 1, i))
    elseif stat.type ~= "directory" then
      return nil, ("%s: %s is not a directory"):format(path, table.concat(parts, "/", 1, i))
    end
  end
  return root .. "/" .. path
end

---@param path string
---@return string|nil bytes
---@return string|nil reason
function M.read(path)
  local fd, message = uv.fs_open(path, "r", 0)
  if not fd then
    return nil, message
  end
  local stat = uv.fs_fstat(fd)
  local parts, offset = {}, 0
  while true do
    local data, read_message = uv.fs_read(fd, math.max(65536, stat and stat.size or 0), offset)
    if not data then
      uv.fs_close(fd)
      return nil, read_message
    elseif data == "" then
      break
    end
    parts[#parts + 1] = data
    offset = offset + #data
  end
  uv.fs_close(fd)
  return table.concat(parts)
end

--- Whether nobody wrote a file between two looks at it.
---@param a uv.fs_stat.result|nil
---@param b uv.fs_stat.result|nil
---@return boolean
function M.same_stat(a, b)
  return a ~= nil
    and b ~= nil
    and a.ino == b.ino
    and a.size == b.size
    and a.mtime.sec == b.mtime.sec
    and a.mtime.nsec == b.mtime.nsec
end

---@param fd integer
---@param bytes string
local function write_all(fd, bytes)
  local offset = 0
  repeat
    local written, message = uv.fs_write(fd, bytes:sub(offset + 1), offset)
    if not written then
      return nil, message
    end
    offset = offset + written
  until offset >= #bytes
  return uv.fs_fsync(fd)
end

--- Makes the directories above `path`; returns those that were not there before, innermost last.
---@param path string
---@return string[]|nil made
---@return string|nil reason
function M.make_parents(path)
  local missing = {}
  local at = vim.fs.dirname(path)
  while not uv.fs_lstat(at) do
    table.insert(missing, 1, at)
    at = vim.fs.dirname(at)
  end
  for _, directory in ipairs(missing) do
    local ok, message = uv.fs_mkdir(directory, 511)
    if not ok then
      return nil, message
    end
  end
  return missing
end

--- Removes directories above `path` that are empty, up to `root`.
---@param root string
---@param path string
function M.remove_empty_parents(root, path)
  local at = vim.fs.dirname(path)
  while #at > #root and at:sub(1, #root + 1) == root .. "/" do
    if not uv.fs_rmdir(at) then
      return
    end
    at = vim.fs.dirname(at)
  end
end

---@class (exact) SuggestionReview.WriteOpts
---@field executable? boolean of a new file
---@field expect? uv.fs_stat.result|false what the file was when it was read; false: there was none

--- Replaces the content of a file in one step. A file that is a second name of another, or belongs to someone else,
--- is written in place instead, since a rename would cut it loose.
---@param path string absolute
---@param bytes string
---@param opts SuggestionReview.WriteOpts
---@return boolean ok
---@return string|nil reason
function M.write(path, bytes, opts)
  local before = uv.fs_lstat(path)
  if opts.expect == false and before then
    return false, "a file of that name appeared meanwhile"
  elseif opts.expect and not M.same_stat(before, opts.expect) then
    return false, "the file changed on disk meanwhile"
  end
  -- A link is replaced, not followed.
  local file = before and before.type ~= "link" and before or nil
  if file and (file.nlink > 1 or file.uid ~= uv.getuid()) then
    local fd, message = uv.fs_open(path, "r+", 438)
    if not fd then
      return false, message
    end
    local ok, write_message = write_all(fd, bytes)
    if ok then
      ok, write_message = uv.fs_ftruncate(fd, #bytes)
    end
    uv.fs_close(fd)
    return ok and true or false, write_message
  end
  if file and not uv.fs_access(path, "W") then
    return false, "the file is not writable"
  end
  local made, parents_message = M.make_parents(path)
  if not made then
    return false, parents_message
  end
  -- The umask applies to a new file as to any that the developer makes; an old one keeps its mode.
  local temporary = ("%s/.suggestion-review-%d-%d"):format(
    vim.fs.dirname(path),
    uv.os_getpid(),
    uv.hrtime() % 1e9
  )
  local fd, open_message = uv.fs_open(temporary, "wx", opts.executable and 511 or 438)
  if not fd then
    return false, open_message
  end
  local ok, message = write_all(fd, bytes)
  if ok and file then
    ok, message = uv.fs_fchmod(fd, file.mode % 4096)
  end
  uv.fs_close(fd)
  if ok and opts.expect ~= nil and opts.expect and not M.same_stat(uv.fs_lstat(path), opts.expect) then
    ok, message = nil, "the file changed on disk meanwhile"
  end
  if ok and opts.expect == false then
    -- A hard link, unlike a rename, never replaces what is there.
    ok, message = uv.fs_link(temporary, path)
    if ok then
      uv.fs_unlink(temporary)
      return true
    end
  elseif ok then
    ok, message = uv.fs_rename(temporary, path)
  end
  if not ok then
    uv.fs_unlink(temporary)
    return false, message
  end
  return true
end

--- Says why `path` may not be touched any more, if it was resolved to `absolute` before: links may have come since.
---@param root string
---@param path string
---@param absolute string
---@return string|nil reason
function M.moved(root, path, absolute)
  local now, reason = M.resolve(root, path)
  if now ~= absolute then
    return reason or ("%s is another file now"):format(path)
  end
end

--- The buffer that shows `path`, if one is loaded or at least listed.
---@param path string absolute
---@return integer|nil
function M.buffer_of(path)
  local bufs = vim.api.nvim_list_bufs()
  for _, buf in ipairs(bufs) do
    if vim.api.nvim_buf_get_name(buf) == path and vim.bo[buf].buftype == "" then
      return buf
    end
  end
  -- Opened by another name of the same file.
  local real = uv.fs_realpath(path)
  for _, buf in ipairs(real and bufs or {}) do
    local name = vim.api.nvim_buf_get_name(buf)
    if name ~= "" and vim.bo[buf].buftype == "" and uv.fs_realpath(name) == real then
      return buf
    end
  end
end

--- The repository that holds `directory`, as git or jj has it.
---@param directory string
---@return string|nil
function M.root_of(directory)
  local found = vim.fs.root(directory, { ".git", ".jj" })
  return found and (uv.fs_realpath(found) or found)
end

return M
