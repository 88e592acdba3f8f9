--- The one place that starts git and jj. Whatever Neovim was started from (a hook, an alias, `git commit` with it as
--- the editor), these programs see the repository they are run in and nothing else: of the variables that begin with
--- `GIT_` only those pass that say who the developer is and how the network is reached.
local M = {}

---@class (exact) SuggestionReview.ProgramOpts
---@field cwd? string
---@field env? table<string, string> set beside the cleaned environment
---@field stdin? string
---@field timeout? integer ms

---@class (exact) SuggestionReview.ProgramResult
---@field code integer -1: it could not be started
---@field stdout string
---@field stderr string

--- Variables of git that are the developer's own: which files hold the settings, who commits, where git's parts are
--- and how it reaches others. All others name a repository, its parts or settings of one call, or write traces in
--- which the token would stand.
local KEPT = {
  "^GIT_EXEC_PATH$",
  "^GIT_TEMPLATE_DIR$",
  "^GIT_CONFIG_GLOBAL$",
  "^GIT_CONFIG_SYSTEM$",
  "^GIT_CONFIG_NOSYSTEM$",
  "^GIT_ATTR_NOSYSTEM$",
  "^GIT_AUTHOR_",
  "^GIT_COMMITTER_",
  "^GIT_SSH$",
  "^GIT_SSH_COMMAND$",
  "^GIT_SSH_VARIANT$",
  "^GIT_SSL_",
  "^GIT_PROXY_",
}

local ALWAYS = { GIT_TERMINAL_PROMPT = "0", GIT_ASKPASS = "true", SSH_ASKPASS = "true", LC_ALL = "C" }

---@param name string
---@return boolean
local function passes(name)
  -- Upper and lower case are one on Windows.
  local upper = name:upper()
  if upper:sub(1, 4) ~= "GIT_" then
    return true
  end
  for _, pattern in ipairs(KEPT) do
    if upper:find(pattern) then
      return true
    end
  end
  return false
end

--- The environment git and jj get.
---@param extra? table<string, string>
---@return table<string, string>
function M.environment(extra)
  local env = {}
  for name, value in pairs(vim.fn.environ()) do
    if passes(name) then
      env[name] = value
    end
  end
  return vim.tbl_extend("force", env, ALWAYS, extra or {})
end

---@param opts SuggestionReview.ProgramOpts
local function options(opts)
  return {
    cwd = opts.cwd,
    env = M.environment(opts.env),
    clear_env = true,
    stdin = opts.stdin,
    text = false,
    timeout = opts.timeout or 120000,
  }
end

---@param result { code: integer, stdout?: string, stderr?: string }
---@return SuggestionReview.ProgramResult
local function whole(result)
  return { code = result.code, stdout = result.stdout or "", stderr = result.stderr or "" }
end

--- Starts a program; `callback` gets how it ended, outside the main loop's safe context.
---@param command string[] never through a shell
---@param opts SuggestionReview.ProgramOpts
---@param callback fun(result: SuggestionReview.ProgramResult)
function M.start(command, opts, callback)
  local ok, message = pcall(vim.system, command, options(opts), function(result)
    callback(whole(result))
  end)
  if not ok then
    callback({ code = -1, stdout = "", stderr = tostring(message) })
  end
end

--- Runs a program to its end while the editor waits: for what takes milliseconds.
---@param command string[]
---@param opts SuggestionReview.ProgramOpts
---@return SuggestionReview.ProgramResult
function M.wait(command, opts)
  local ok, result = pcall(function()
    return vim.system(command, options(opts)):wait()
  end)
  return ok and whole(result) or { code = -1, stdout = "", stderr = tostring(result) }
end

return M
