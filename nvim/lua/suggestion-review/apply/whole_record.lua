--- What the record keeps of a change of a file itself: by which names git knows what stood there before and what came.
--- The bytes from before are those of the base commit, which the developer's own repository has; where it has not, they
--- are kept in a file beside the record. So a change can be taken out when the server tells of it no longer.
local fileop = require("suggestion-review.worktree.whole_file")
local program = require("suggestion-review.lib.program")

local M = {}

local uv = vim.uv

local ENV = { GIT_OPTIONAL_LOCKS = "0", GIT_NO_LAZY_FETCH = "1" }

---@param place SuggestionReview.Place
---@param oid string
---@return string absolute path of the file in which bytes are kept
local function file_of(place, oid)
  return place.applied.path:gsub("%.jsonl$", "") .. ".files/" .. oid
end

---@param path string
---@return string|nil
local function read(path)
  local fd = uv.fs_open(path, "r", 0)
  if not fd then
    return nil
  end
  local stat = uv.fs_fstat(fd)
  local bytes = stat and uv.fs_read(fd, stat.size, 0)
  uv.fs_close(fd)
  return bytes
end

--- Writes a file whole or raises, as writing the record does: nothing is changed that could not be taken back.
---@param path string
---@param bytes string
local function write(path, bytes)
  vim.fn.mkdir(vim.fs.dirname(path), "p", 448)
  local temporary = ("%s.%d"):format(path, uv.os_getpid())
  local fd, message = uv.fs_open(temporary, "w", 384)
  local written
  if fd then
    written, message = uv.fs_write(fd, bytes)
    uv.fs_fsync(fd)
    uv.fs_close(fd)
  end
  if written ~= #bytes or not uv.fs_rename(temporary, path) then
    uv.fs_unlink(temporary)
    error(("suggestion-review: cannot write %s: %s"):format(path, message or "disk full"), 0)
  end
end

---@param place SuggestionReview.Place
---@param ... string
---@return string|nil
local function git(place, ...)
  if not place.git_root then
    return nil
  end
  local result = program.wait({ "git", "-C", place.git_root, ... }, { env = ENV, timeout = 10000 })
  return result.code == 0 and result.stdout or nil
end

---@param place SuggestionReview.Place
---@param side SuggestionReview.Whole
---@return SuggestionReview.KeptSide
local function named(place, side)
  if not side.mode then
    return {}
  end
  return { mode = side.mode, oid = side.oid or fileop.object_id(place.git_root, side.bytes) }
end

--- What is recorded of a change that is about to come in; sees to it that the bytes from before are kept.
---@param place SuggestionReview.Place
---@param old_file string path in the base commit
---@param from SuggestionReview.Whole as the repository has it
---@param to SuggestionReview.Whole as it is written
---@return SuggestionReview.KeptSides
function M.keep(place, old_file, from, to)
  local sides = { from = named(place, from), to = named(place, to) }
  local oid, commit = sides.from.oid, place.suggestion.base_commit
  if oid and not (commit:match("^%x+$") and git(place, "cat-file", "-e", commit .. ":" .. old_file)) then
    local path = file_of(place, oid)
    if read(path) ~= from.bytes then
      write(path, from.bytes)
    end
  end
  return sides
end

--- What a hunk tells of both sides by itself, for records that do not have it.
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.KeptSides|nil
function M.told_by(hunk)
  if not hunk.before or not hunk.after then
    return nil
  end
  local function side(list)
    return list[1] and { mode = list[1].mode, oid = list[1].oid } or {}
  end
  return { from = side(hunk.before), to = side(hunk.after) }
end

--- Both sides of a change that is in the files. What came stands for itself: it is what the file is now, or nothing
--- that a file could be.
---@param place SuggestionReview.Place
---@param sides SuggestionReview.KeptSides
---@param path string absolute
---@return { from: SuggestionReview.Whole, to: SuggestionReview.Whole }|nil nil: the bytes from before are nowhere
function M.sides(place, sides, path)
  local from = { mode = sides.from.mode, bytes = "" }
  if sides.from.mode then
    local oid = sides.from.oid or ""
    local bytes
    for _, get in ipairs({
      function()
        return git(place, "cat-file", "blob", oid)
      end,
      function()
        return read(file_of(place, oid))
      end,
    }) do
      bytes = bytes or get()
      if bytes and fileop.object_id(place.git_root, bytes) ~= oid then
        bytes = nil
      end
    end
    if not bytes then
      return nil
    end
    from.bytes = bytes
  end
  local now = fileop.current(path)
  local stands = now
    and now.mode == sides.to.mode
    and (not now.mode or fileop.object_id(place.git_root, now.bytes) == sides.to.oid)
  return { from = from, to = stands and now or { mode = "another", bytes = "" } }
end

return M
