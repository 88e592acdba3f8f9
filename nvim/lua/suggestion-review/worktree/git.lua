--- What git (and jj) are asked inside a task. Knows commands, not suggestions; `lib/program.lua` starts them.

local program = require("suggestion-review.lib.program")
local task = require("suggestion-review.lib.task")

local M = {}

---@class SuggestionReview.GitOpts
---@field cwd string
---@field env? table<string, string>
---@field stdin? string
---@field ok? table<integer, true> exit codes that are answers (default: 0)
---@field timeout? integer ms (120,000)

---@class SuggestionReview.GitResult
---@field code integer
---@field stdout string
---@field stderr string

--- Runs a command to its end. Raises `{ message }` when it cannot be started or its exit code is not among `opts.ok`.
---@param command string[]
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.GitResult
function M.command(command, opts)
  local result = task.await(function(callback)
    program.start(command, opts, callback)
  end)
  if result.code == 0 or (opts.ok and opts.ok[result.code]) then
    return result
  end
  local said = vim.trim(result.stderr ~= "" and result.stderr or result.stdout)
  error({
    message = ("%s %s: %s"):format(
      command[1],
      command[2] or "",
      said ~= "" and said or ("exit code " .. result.code)
    ),
    code = result.code,
    stderr = result.stderr,
  }, 0)
end

--- git with `args` in `opts.cwd`.
---@param args string[]
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.GitResult
function M.run(args, opts)
  return M.command(vim.list_extend({ "git" }, args), opts)
end

--- Milliseconds for which a lock of another git is waited for: a prompt or a plugin that asks for the status has one
--- for a moment, again and again.
local LOCK_MS, LOOK_MS = 2000, 20

--- Inside a task: asks again and again, for as long as such a lock may be held.
---@generic T
---@param ask fun(): boolean, T whether it was no lock that was in the way; what came of it
---@return T
function M.past_locks(ask)
  local started = vim.uv.now()
  while true do
    local is_free, result = ask()
    if is_free or vim.uv.now() - started > LOCK_MS then
      return result
    end
    task.await(function(callback)
      vim.defer_fn(callback, LOOK_MS)
    end)
  end
end

--- Like `run`, for what writes the index: waits for another git that has it.
---@param args string[]
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.GitResult
function M.run_past_locks(args, opts)
  local ran = M.past_locks(function()
    local outcome = { pcall(M.run, args, opts) }
    local err = not outcome[1] and outcome[2]
    return not (type(err) == "table" and (err.stderr or ""):find(".lock': File exists", 1, true)), outcome
  end)
  if not ran[1] then
    error(ran[2], 0)
  end
  return ran[2]
end

--- Standard output without its last line end.
---@param args string[]
---@param opts SuggestionReview.GitOpts
---@return string
function M.line(args, opts)
  return (M.run(args, opts).stdout:gsub("\n$", ""))
end

---@param text string
---@return string[]
function M.split_nul(text)
  local fields, from = {}, 1
  while true do
    local at = text:find("\0", from, true)
    if not at then
      break
    end
    fields[#fields + 1] = text:sub(from, at - 1)
    from = at + 1
  end
  return fields
end

---@class SuggestionReview.TreeEntry
---@field mode string
---@field oid string

--- Entries of `tree` at `paths`, by path; what is not there is missing from the answer.
---@param tree string
---@param paths string[]
---@param opts SuggestionReview.GitOpts
---@return table<string, SuggestionReview.TreeEntry>
function M.entries(tree, paths, opts)
  local found = {}
  for from = 1, #paths, 200 do
    local args = { "--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--" }
    vim.list_extend(args, paths, from, math.min(from + 199, #paths))
    for _, record in ipairs(M.split_nul(M.run(args, opts).stdout)) do
      local mode, kind, oid, path = record:match("^(%d+) (%a+) (%x+)\t(.*)$")
      if mode and kind ~= "tree" then
        found[path] = { mode = mode, oid = oid }
      end
    end
  end
  return found
end

---@class SuggestionReview.TreeChange
---@field path string
---@field old? SuggestionReview.TreeEntry
---@field new? SuggestionReview.TreeEntry

--- What differs between two trees, path by path, renames taken apart.
---@param from string
---@param to string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.TreeChange[]
function M.changes(from, to, opts)
  local args = { "diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", from, to }
  local fields = M.split_nul(M.run(args, opts).stdout)
  local changes = {}
  for i = 1, #fields, 2 do
    local old_mode, new_mode, old_oid, new_oid = fields[i]:match("^:(%d+) (%d+) (%x+) (%x+) %a")
    if not old_mode then
      error({ message = "git diff-tree printed something unknown: " .. fields[i] }, 0)
    end
    changes[#changes + 1] = {
      path = fields[i + 1],
      old = old_mode ~= "000000" and { mode = old_mode, oid = old_oid } or nil,
      new = new_mode ~= "000000" and { mode = new_mode, oid = new_oid } or nil,
    }
  end
  return changes
end

--- Bytes of a blob.
---@param oid string
---@param opts SuggestionReview.GitOpts
---@return string
function M.blob(oid, opts)
  return M.run({ "cat-file", "blob", oid }, opts).stdout
end

--- Bytes of many blobs, by object id, with one process.
---@param oids string[]
---@param opts SuggestionReview.GitOpts
---@return table<string, string>
function M.blobs(oids, opts)
  local blobs = {}
  if #oids == 0 then
    return blobs
  end
  local stdin = table.concat(oids, "\n") .. "\n"
  local out = M.run({ "cat-file", "--batch" }, vim.tbl_extend("force", opts, { stdin = stdin })).stdout
  local at = 1
  for _, oid in ipairs(oids) do
    local stop = out:find("\n", at, true)
    local size = stop and tonumber(out:sub(at, stop - 1):match("^%x+ blob (%d+)$"))
    if not size then
      error({ message = "git does not have the blob " .. oid }, 0)
    end
    blobs[oid] = out:sub(stop + 1, stop + size)
    at = stop + size + 2
  end
  return blobs
end

--- Version of git as numbers, or nil.
---@param text string output of `git version`
---@return integer? major
---@return integer? minor
function M.parse_version(text)
  local major, minor = text:match("git version (%d+)%.(%d+)")
  return tonumber(major), tonumber(minor)
end

return M
