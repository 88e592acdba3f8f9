--- Builds suggestions from pairs of texts, with the hunks, ids and digests the server would give them.

local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")

local M = {}

local CONTEXT = 3

---@param id string
---@param file string
---@param index integer
---@param kind string
---@param fields table
local function hunk(id, file, index, kind, fields)
  local one = vim.tbl_extend("force", {
    id = ("%s:%s:%d"):format(id, file, index),
    file = file,
    old_file = kind ~= "create" and file or nil,
    kind = kind,
    old_mode = kind ~= "create" and "100644" or nil,
    new_mode = kind ~= "delete" and "100644" or nil,
    old_start = 0,
    old_count = 0,
    new_start = 0,
    new_count = 0,
    context_before = 0,
    context_after = 0,
    encoding = "utf-8",
    state = "pending",
    diff = "",
    digest = "",
  }, fields)
  one.diff_bytes = #one.diff
  local own = digest.of(one)
  if own then
    one.digest = own
  end
  return one
end
M.hunk = hunk

---@param from integer
---@param to integer
local function start_of(from, to)
  return to == from and from or from + 1
end

---@param id string
---@param file string
---@param old string|false
---@param new string|false
---@return table[]
function M.hunks_of(id, file, old, new)
  if old == new then
    return {}
  end
  local a, b = diff.split_lines(old or ""), diff.split_lines(new or "")
  local kind = not old and "create" or (not new and "delete" or "text")
  local ranges = kind == "text" and diff.ranges(a, b) or { { 0, #a, 0, #b } }
  local hunks = {}
  for index, range in ipairs(ranges) do
    local before = kind == "text" and math.min(CONTEXT, range[1]) or 0
    local after = kind == "text" and math.min(CONTEXT, #a - range[2]) or 0
    local text = (#a + #b == 0) and ""
      or diff.format(
        range[1] - before,
        math.max(0, range[3] - before),
        vim.list_slice(a, range[1] - before + 1, range[1]),
        vim.list_slice(a, range[1] + 1, range[2]),
        vim.list_slice(b, range[3] + 1, range[4]),
        vim.list_slice(a, range[2] + 1, range[2] + after)
      )
    local utf8 = diff.is_utf8(text)
    hunks[#hunks + 1] = hunk(id, file, index - 1, kind, {
      diff = utf8 and text or diff.bytes_to_latin1(text),
      encoding = utf8 and "utf-8" or "latin1",
      old_start = start_of(range[1], range[2]),
      old_count = range[2] - range[1],
      new_start = start_of(range[3], range[4]),
      new_count = range[4] - range[3],
      context_before = before,
      context_after = after,
    })
  end
  return hunks
end

--- A suggestion that turns `old` files into `new` ones.
---@param old table<string, string>
---@param new table<string, string|false>
---@param fields? table
---@return table
function M.build(old, new, fields)
  local id = fields and fields.id or "0198c0de-0000-7000-8000-000000000001"
  local files = vim.tbl_keys(new)
  table.sort(files)
  local hunks = {}
  for _, file in ipairs(files) do
    vim.list_extend(hunks, M.hunks_of(id, file, old[file] or false, new[file]))
  end
  local suggestion = vim.tbl_extend("force", {
    id = id,
    server = "test",
    jj_change_id = "kkmpptqz",
    description = "A suggestion",
    files = files,
    hunks = hunks,
    hunk_count = #hunks,
    reviewed_count = 0,
    accepted_count = 0,
    rejected_count = 0,
    status = "pending",
    state = "open",
    revision = 1,
    base_commit = "0000000000000000000000000000000000000000",
    commit = "",
    project = "/nonexistent",
    hub = "/git/x.git",
    base_moved = false,
    created_at = "2026-01-01T00:00:00Z",
    updated_at = "2026-01-01T00:00:00Z",
  }, fields or {})
  for file, text in pairs(old) do
    require("suggestion-review.model.base_text").put(suggestion.base_commit, file, text)
  end
  return suggestion
end

--- A generator that gives the same numbers for the same seed on every machine.
---@param seed integer
function M.random(seed)
  local state = seed % 2147483647
  if state <= 0 then
    state = state + 2147483646
  end
  return function(low, high)
    state = (state * 16807) % 2147483647
    return low + state % (high - low + 1)
  end
end

return M
