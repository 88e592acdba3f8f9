--- What a submodule's step from one commit to another holds, as far as the developer's own clone of the submodule
--- knows.
local program = require("suggestion-review.lib.program")
local sides = require("suggestion-review.text.sides")
local worktree = require("suggestion-review.worktree.paths")

local M = {}

--- Subjects shown at most.
local MOST = 20

---@type table<string, string[]> by path and commits
local known = {}

---@param path string
---@param from string|nil
---@param to string
---@param callback fun(lines: string[])
local function ask(path, from, to, callback)
  local range = from and { from .. ".." .. to } or { to }
  local command = {
    "git",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "log.showSignature=false",
    "-C",
    path,
    "log",
    "--no-color",
    "--no-ext-diff",
    "--format=%h %an: %s",
    "--max-count=" .. (MOST + 1),
  } -- stylua: ignore
  program.start(vim.list_extend(command, range), { env = { GIT_NO_LAZY_FETCH = "1" } }, function(result)
    vim.schedule(function()
      if result.code ~= 0 then
        return callback({ "its commits are not in this checkout's clone of the submodule" })
      end
      local lines = vim.split(result.stdout, "\n", { plain = true, trimempty = true })
      if #lines > MOST then
        lines[MOST + 1] = "…"
      elseif #lines == 0 then
        lines[1] = "no commits in between: it goes back, or aside"
      end
      callback(lines)
    end)
  end)
end

--- The commits a submodule hunk brings; what is asked for the first time comes later, with a word to `arrived`.
---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@param arrived fun()
---@return string[]
function M.log(place, hunk, arrived)
  local before, after = (hunk.before or {})[1], (hunk.after or {})[1]
  if not after or after.mode ~= "160000" then
    return {}
  end
  local path = place.git_root and worktree.resolve(place.git_root, sides.path(after))
  -- Only in a repository of its own: git would look for one above the folder.
  if not path or not vim.uv.fs_lstat(path .. "/.git") then
    return { "there is no clone of the submodule here to tell its commits" }
  end
  local from = before and before.mode == "160000" and before.oid or nil
  if not after.oid:find("^%x+$") or (from and not from:find("^%x+$")) then
    return {}
  end
  local key = ("%s\0%s\0%s"):format(path, from or "", after.oid)
  if not known[key] then
    known[key] = { "…" }
    ask(path, from, after.oid, function(lines)
      known[key] = lines
      arrived()
    end)
  end
  return known[key]
end

return M
