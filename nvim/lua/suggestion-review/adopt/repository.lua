--- How an adoption asks git about the developer's repository: no replaced or grafted object stands in for a real one,
--- and no hook runs that the developer did not start.
local git = require("suggestion-review.worktree.git")

local M = {}

--- Settings that git is given through its environment, where they are in no argument.
---@param settings [string, string][]
---@param env? table<string, string>
---@return table<string, string>
function M.with_settings(settings, env)
  local result = vim.deepcopy(env or {})
  local count = tonumber(result.GIT_CONFIG_COUNT or "") or 0
  for _, setting in ipairs(settings) do
    result["GIT_CONFIG_KEY_" .. count] = setting[1]
    result["GIT_CONFIG_VALUE_" .. count] = setting[2]
    count = count + 1
  end
  result.GIT_CONFIG_COUNT = tostring(count)
  return result
end

--- Inside a task: what every git of an adoption is run with.
---@param root string
---@param is_jj boolean
---@return SuggestionReview.GitOpts
function M.opts(root, is_jj)
  local env = M.with_settings({ { "core.hooksPath", "/dev/null" } }, {
    -- gitrepository-layout(5): both would show other parents or another content than the commit's name stands for.
    GIT_NO_REPLACE_OBJECTS = "1",
    GIT_GRAFT_FILE = "/dev/null/none",
  })
  if is_jj then
    local store = git.command({ "jj", "git", "root", "--ignore-working-copy" }, { cwd = root })
    env.GIT_DIR = store.stdout:gsub("\n$", "")
  end
  return { cwd = root, env = env }
end

--- A directory of another user's that the repository borrows objects from, if there is one: git takes what is there for
--- what its name says, without looking.
---@param opts SuggestionReview.GitOpts
---@return string?
function M.borrows_from(opts)
  local objects = git.line({ "rev-parse", "--path-format=absolute", "--git-path", "objects" }, opts)
  local todo, seen = { objects }, {}
  local trusted = { [0] = true, [vim.uv.getuid()] = true }
  local owner = vim.uv.fs_stat(objects)
  if owner then
    trusted[owner.uid] = true
  end
  while #todo > 0 do
    local directory = table.remove(todo)
    local stat = not seen[directory] and vim.uv.fs_stat(directory)
    seen[directory] = true
    if stat and not trusted[stat.uid] then
      return directory
    end
    local handle = stat and io.open(directory .. "/info/alternates", "rb")
    for line in (handle and handle:read("*a") or ""):gmatch("[^\n]+") do
      todo[#todo + 1] = vim.fs.normalize(line:sub(1, 1) == "/" and line or directory .. "/" .. line)
    end
    if handle then
      handle:close()
    end
  end
end

--- Options with exit codes that are answers.
---@param opts SuggestionReview.GitOpts
---@param ... integer
---@return SuggestionReview.GitOpts
function M.answers(opts, ...)
  local ok = { [0] = true }
  for _, code in ipairs({ ... }) do
    ok[code] = true
  end
  return vim.tbl_extend("force", opts, { ok = ok })
end

--- A word as a shell reads it back.
---@param word string
---@return string
function M.quote(word)
  if word:find("^[%w@%%+=:,./_-]+$") then
    return word
  end
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

return M
