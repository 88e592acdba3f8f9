--- `:checkhealth suggestion-review`: looks at everything a review rests on, and says what to do about what is wrong.

local task = require("suggestion-review.lib.task")

local M = {}

local h = vim.health

---@param command string[]
---@param cwd? string
---@return string?
local function output(command, cwd)
  local result = require("suggestion-review.lib.program").wait(command, { cwd = cwd, timeout = 5000 })
  return result.code == 0 and vim.trim(result.stdout) or nil
end

local function check_editor()
  h.start("Neovim")
  local version = vim.version()
  local text = ("%d.%d.%d"):format(version.major, version.minor, version.patch)
  if vim.fn.has("nvim-0.11") == 1 then
    h.ok("Neovim " .. text)
  else
    h.error("Neovim " .. text .. " is too old", "Install 0.11 or newer")
  end
  if not jit then
    h.error("This Neovim has no LuaJIT: the connection needs its bit library")
  end
  if vim.o.autoread then
    h.ok("'autoread' is on: files that change on disk are read again")
  else
    h.warn("'autoread' is off: buffers do not follow files that adopt or the agent changes", ":set autoread")
  end
end

local function check_settings()
  h.start("Settings")
  local config = require("suggestion-review.config")
  local problems = config.problems()
  for _, problem in ipairs(problems) do
    h.error(problem, "See :help suggestion-review-config")
  end
  if #problems == 0 then
    h.ok("All settings are known and of the right type")
  end
  local style = config.get().ui.style
  if style == "telescope" and not pcall(require, "telescope") then
    h.warn("ui.style is telescope, which is not installed; vim.ui.select is used", 'Set ui.style = "picker"')
  end
  local keys = config.get().global_keymaps
  if type(keys) == "table" then
    for name, key in pairs(keys) do
      local map = key and vim.fn.maparg(key, "n", false, true) or {}
      local plug = ("<Plug>(suggestion-review-%s)"):format((name:gsub("_", "-")))
      if map.rhs and map.rhs ~= plug or (map.callback and not map.rhs) then
        h.info(("%s is mapped to something else, so %s has no key"):format(key, name))
      end
    end
  end
end

local function check_programs()
  h.start("Programs")
  local git = require("suggestion-review.worktree.git")
  local text = output({ "git", "version" })
  if not text then
    h.error("git is not on the PATH", "Install git 2.38 or newer: bases, verification and adopt need it")
  else
    local major, minor = git.parse_version(text)
    if major and (major > 2 or (major == 2 and minor >= 38)) then
      h.ok(text)
    else
      h.error(text .. " is too old", "Install git 2.38 or newer: adopt needs git merge-tree --write-tree")
    end
  end
  local root = vim.fs.root(vim.fn.getcwd(), { ".jj" })
  local jj = output({ "jj", "--version" })
  if jj then
    h.ok(jj)
  elseif root then
    h.error("This is a jj repository, but jj is not on the PATH", "Install jj 0.43 or newer")
  end
end

---@param a? string
---@param b? string
---@return boolean whether two versions agree as far as compatibility goes
local function compatible(a, b)
  local function parts(version)
    local major, minor = (version or ""):match("^(%d+)%.(%d+)")
    return tonumber(major), tonumber(minor)
  end
  local a_major, a_minor = parts(a)
  local b_major, b_minor = parts(b)
  if not a_major or not b_major then
    return true
  end
  return a_major == b_major and (a_major > 0 or a_minor == b_minor)
end

M.version = "0.1.0"

--- Says which version the server is, and whether it fits this plugin's.
---@param health table
local function check_version(health)
  local version = type(health.version) == "string" and health.version or nil
  local up = type(health.uptime_seconds) == "number" and health.uptime_seconds or 0
  h.ok(("suggestion-manager %s, up for %d min"):format(version or "?", up / 60))
  if not compatible(version, M.version) then
    h.warn(
      ("The server is version %s, this plugin %s"):format(version, M.version),
      "Update the older of the two"
    )
  end
end

--- Has the server prove itself and, where it did, asks for its settings.
---@param server SuggestionReview.Server
---@param token? string without one it can still be said what listens there; nothing proves itself then
---@return SuggestionReview.Proven? proven
---@return SuggestionReview.HandshakeProblem? failed
---@return table? settings
---@return SuggestionReview.HandshakeProblem? refused
---@return table? health
local function visit(server, token)
  local handshake = require("suggestion-review.connection.handshake")
  local opts = { timeout = 3000 }
  local found
  task.run(function()
    local proven, failed = handshake.prove(server, token or "none", opts)
    if not proven then
      return { failed = failed }
    end
    local settings, refused = handshake.get(proven, "/settings", opts)
    local health = settings and handshake.get(proven, "/health", opts)
    handshake.close(proven)
    return { proven = proven, settings = settings, refused = refused, health = health }
  end, function(err, result)
    found = result or { failed = { kind = "unreachable", message = tostring(err) } }
  end)
  -- A health check has to end with its findings.
  vim.wait(9000, function()
    return found ~= nil
  end, 5)
  found = found or { failed = { kind = "unreachable", message = "it did not answer in time" } }
  return found.proven, found.failed, found.settings, found.refused, found.health
end

--- What confines the agent, in the words of whoever started it.
---@param health? table
local function check_confinement(health)
  local confinement = health and health.confinement
  if type(confinement) ~= "table" or type(confinement.words) ~= "table" then
    return
  end
  for _, word in ipairs(confinement.words) do
    local line = tostring(word):sub(1, 400)
    if confinement.confined == true then
      h.ok(line)
    else
      h.info(line)
    end
  end
end

---@param server SuggestionReview.Server
local function check_server(server)
  h.start("Server " .. server.name)
  local client = require("suggestion-review.connection.client")
  local handshake = require("suggestion-review.connection.handshake")
  local tcp = require("suggestion-review.connection.tcp")
  local loopback = server.host == "localhost" or server.host:find("^127%.") or server.host:find("^%[?::1%]?$")
  if not loopback then
    h.warn(
      ("%s is not this machine: the token would cross the network in clear text"):format(server.host),
      "Use an SSH tunnel and connect to localhost"
    )
  end

  local token, problem, warning = handshake.read_token(server.token_file)
  if token then
    h.ok("Token file " .. server.token_file)
    if warning then
      h.error(warning)
    end
    if token:find("^sma_") then
      h.error("This is the agent's token, which decides nothing", "Point token_file to the developer's token")
    end
  else
    h.error(problem --[[@as string]], {
      "Set server.token_file to the token that the server's set-up made for you",
      "See :help suggestion-review-token",
    })
  end

  local where = tcp.authority(server.host, server.port)
  local proven, failed, settings, refused, health = visit(server, token)
  if not proven and failed.kind == "unreachable" then
    h.error(("No server at %s: %s"):format(where, failed.message), {
      "Start it: npm start, npm run serve, or opencode with the plugin",
      "Check server.host and server.port against SUGGESTION_MANAGER_HOST and SUGGESTION_MANAGER_PORT",
    })
    return
  elseif not proven and failed.kind == "stranger" then
    h.error(
      ("Something else listens at %s (HTTP status %d)"):format(where, failed.status),
      "Set another port on both sides"
    )
    return
  end
  check_version((proven or failed).health or {})
  if not token then
    return
  elseif not proven and failed.kind == "protocol" then
    h.error("The server cannot be used: " .. failed.message)
    return
  elseif not proven then
    h.error("The server does not know this token, so it was not sent", {
      "Is it the server you mean? Another user's server may have the port",
      "Was the token replaced? Take the new one into " .. server.token_file,
    })
    return
  end
  h.ok("The server has proven that it knows the token")
  if not settings then
    h.error(("The server refused the token (%s)"):format(refused.message))
    return
  end
  h.ok("The server accepts the token")
  if settings.agent_may_approve then
    h.info("agent_may_approve is on: the agent can decide, but nothing it decides reaches your files")
  end

  check_confinement(health)

  local state = client.state(server.name)
  if state.state == "connected" then
    h.ok("Connected")
  elseif state.state == "stopped" then
    h.info("Not connected: :Suggest connect")
  else
    h.warn(state.message)
  end
  return settings
end

--- Whether the checkout and what the server serves can belong together.
---@param server SuggestionReview.Server
---@param settings table
local function check_checkout(server, settings)
  h.start("Checkout for " .. server.name)
  if server.root and not vim.uv.fs_stat(server.root) then
    h.error(("server.root is %s, which does not exist"):format(server.root))
    return
  end
  local root = server.root or vim.fs.root(vim.fn.getcwd(), { ".jj", ".git" })
  if not root then
    h.warn(
      ("%s is in no git or jj repository: accepted hunks have nowhere to go"):format(vim.fn.getcwd()),
      "Start Neovim in your checkout, or set server.root"
    )
    return
  end
  root = vim.uv.fs_realpath(root) or root
  local projects = settings.projects or {}
  for _, project in ipairs(projects) do
    if project.project == root then
      h.ok(("%s is the agent's own checkout: buffers follow what it does there"):format(root))
      return
    end
  end
  local store = require("suggestion-review.model.store")
  local open = store.list({ server = server.name })
  if #open == 0 then
    h.ok(("Accepted hunks go to %s; there is no open suggestion to compare it with"):format(root))
    return
  end
  for _, suggestion in ipairs(open) do
    local name = vim.split(suggestion.description, "\n", { plain = true })[1]
    if output({ "git", "-C", root, "cat-file", "-e", suggestion.base_commit .. "^{commit}" }) then
      h.ok(("%s has the base of “%s”"):format(root, name))
    else
      h.warn(
        ("%s does not have commit %s, the base of “%s”"):format(
          root,
          suggestion.base_commit:sub(1, 12),
          name
        ),
        {
          "Is this the right checkout? Set server.root otherwise",
          "Is it behind? Fetch from the shared repository",
        }
      )
    end
  end
end

function M.check()
  check_editor()
  check_settings()
  check_programs()
  for _, server in ipairs(require("suggestion-review.config").servers()) do
    local settings = check_server(server)
    if settings then
      check_checkout(server, settings)
    end
  end
  h.start("Files")
  h.info("Log: " .. require("suggestion-review.say.log").path())
  h.info("Decisions: " .. require("suggestion-review.decisions.record").directory())
end

return M
