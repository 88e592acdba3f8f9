--- Which hunks of a suggestion the developer has seen in which revision, on disk, so that "new in this revision" means
--- the same after the review was closed or Neovim was left. One small file of JSON per suggestion; losing it loses
--- nothing but that mark.
local sha256 = require("suggestion-review.lib.sha256")

local M = {}

---@class (exact) SuggestionReview.Seen
---@field revision integer the last one that was looked at
---@field digests table<string, true> its hunks
---@field before table<string, true>|nil hunks of the revision looked at before that one

--- Enough of a digest to tell the hunks of one suggestion apart.
local LENGTH = 16

---@param id string suggestion
---@return string
local function path_of(id)
  local name = id:find("^[%w%-]+$") and id or sha256.hex(id)
  return ("%s/suggestion-review/seen/%s.json"):format(vim.fn.stdpath("state"), name)
end

---@param list any
---@return table<string, true>|nil
local function set_of(list)
  if type(list) ~= "table" then
    return
  end
  local set = {}
  for _, digest in ipairs(list) do
    if type(digest) == "string" then
      set[digest] = true
    end
  end
  return set
end

---@param id string
---@return SuggestionReview.Seen|nil
local function read(id)
  local file = io.open(path_of(id), "rb")
  if not file then
    return
  end
  local text = file:read("*a")
  file:close()
  local ok, data = pcall(vim.json.decode, text)
  local digests = ok and type(data) == "table" and set_of(data.digests)
  if digests and type(data.revision) == "number" then
    return { revision = data.revision, digests = digests, before = set_of(data.before) }
  end
end

--- Suggestions that nobody looked at for so long are over, or were given up on.
local KEEP_DAYS = 90

---@param directory string
local function forget_old(directory)
  for name in vim.fs.dir(directory) do
    local stat = vim.uv.fs_stat(directory .. "/" .. name)
    if stat and os.time() - stat.mtime.sec > KEEP_DAYS * 24 * 3600 then
      vim.uv.fs_unlink(directory .. "/" .. name)
    end
  end
end

---@param id string
---@param seen SuggestionReview.Seen
local function write(id, seen)
  local path = path_of(id)
  forget_old(vim.fs.dirname(path))
  vim.fn.mkdir(vim.fs.dirname(path), "p", "0o700")
  -- Beside it first: another Neovim never reads half a file.
  local beside = ("%s.%d"):format(path, vim.uv.os_getpid())
  local file = io.open(beside, "wb")
  if not file then
    return
  end
  file:write(vim.json.encode({
    revision = seen.revision,
    digests = vim.tbl_keys(seen.digests),
    before = seen.before and vim.tbl_keys(seen.before) or nil,
  }))
  file:close()
  vim.uv.fs_rename(beside, path)
end

--- Notes that a revision is being looked at.
---@param id string suggestion
---@param revision integer
---@param hunks SuggestionReview.Hunk[]
---@return table<string, true> fresh ids of hunks that were in no revision looked at before
function M.look(id, revision, hunks)
  local seen = read(id)
  if not seen or seen.revision ~= revision then
    local digests = {}
    for _, hunk in ipairs(hunks) do
      digests[hunk.digest:sub(1, LENGTH)] = true
    end
    -- A revision that is older than the last one looked at is another server's suggestion of the same name.
    local before = seen and seen.revision < revision and seen.digests or nil
    seen = { revision = revision, digests = digests, before = before }
    write(id, seen)
  end
  local fresh = {}
  for _, hunk in ipairs(seen.before and hunks or {}) do
    -- Parts of a hunk that was split here were seen as that hunk.
    local digest = hunk.digest:sub(1, LENGTH)
    if not seen.before[digest] and seen.digests[digest] then
      fresh[hunk.id] = true
    end
  end
  return fresh
end

return M
