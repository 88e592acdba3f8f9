--- The real server on a real jj repository, for specs: an agent's repository, a developer's clone, publishing and
--- everything else through the server's own doors.

local doors = require("doors")
local t = require("support")

local M = {}

---@class Real
---@field directory string
---@field agent string the agent's jj repository
---@field checkout string the developer's git clone
---@field state string
---@field port integer
---@field url string
---@field token string
---@field token_file string
---@field project string
---@field hub string URL of the shared repository
---@field process Support.Process
---@field arguments string[]
---@field plugin? string folder of the server's source, where it is not the repository's own
local Real = {}
Real.__index = Real

--- Environment with the project's own programs in front and nothing of the user's configuration.
---@return table<string, string>
function M.env(home)
  return {
    PATH = t.root .. "/.tools/bin:" .. vim.env.PATH,
    HOME = home,
    GIT_CONFIG_GLOBAL = "/dev/null",
    GIT_CONFIG_NOSYSTEM = "1",
    GIT_AUTHOR_NAME = "Dev",
    GIT_AUTHOR_EMAIL = "dev@example.org",
    GIT_COMMITTER_NAME = "Dev",
    GIT_COMMITTER_EMAIL = "dev@example.org",
    JJ_USER = "Agent",
    JJ_EMAIL = "agent@example.org",
    XDG_CONFIG_HOME = home .. "/.config",
  }
end

---@return boolean
function M.available()
  return t.program("bun") ~= nil
    and t.program("jj") ~= nil
    and vim.uv.fs_stat(t.root .. "/plugin/src/serve.ts") ~= nil
end

---@return integer port that nobody listens on just now
function M.free_port()
  local socket = assert(vim.uv.new_tcp())
  socket:bind("127.0.0.1", 0)
  local port = socket:getsockname().port
  socket:close()
  return port
end

---@param files table<string, string>
---@param arguments? string[] further ones for the server
---@param plugin? string folder of the server's source, where it is not the repository's own
---@param links? table<string, string> symbolic links of the base, with their targets
---@return Real
function M.start(files, arguments, plugin, links)
  local self = setmetatable({ directory = t.tempdir(), arguments = arguments or {}, plugin = plugin }, Real)
  self.agent = self.directory .. "/agent"
  self.checkout = self.directory .. "/checkout"
  self.state = self.directory .. "/state"
  self.environment = M.env(self.directory)
  vim.fn.mkdir(self.agent, "p")
  for path, text in pairs(files) do
    t.write(self.agent .. "/" .. path, text)
  end
  for path, target in pairs(links or {}) do
    assert(vim.uv.fs_symlink(target, self.agent .. "/" .. path))
  end
  self:git("agent", "init", "--quiet", "--initial-branch=main")
  self:git("agent", "add", "--all")
  self:git("agent", "commit", "--quiet", "--message=base")
  self:jj("git", "init", "--colocate", ".")
  -- The same port across restarts, as a client expects it. Whoever else looks for one may have taken it meanwhile.
  for attempt = 1, 5 do
    self.port = M.free_port()
    local ok, message = pcall(self.serve, self)
    if ok then
      break
    elseif attempt == 5 or not tostring(message):find(tostring(self.port), 1, true) then
      error(message, 0)
    end
  end
  self:git(
    nil,
    "-c",
    "http.extraHeader=Authorization: Bearer " .. self.token,
    "clone",
    "--quiet",
    self.hub,
    self.checkout
  )
  return self
end

--- Starts the server (again).
function Real:serve()
  local command = vim.list_extend({
    t.program("bun"),
    (self.plugin or t.root .. "/plugin") .. "/src/serve.ts",
    "--project",
    self.agent,
    "--port",
    tostring(self.port),
    "--state",
    self.state,
    "--json",
  }, self.arguments)
  self.process = t.spawn(command, { env = self.environment, cwd = t.root })
  local line = t.wait(function()
    if self.process.code then
      error("the server ended: " .. self.process.err)
    end
    return self.process.out:match("^(%b{})\n")
  end, 20000, "the server to be ready")
  local ready = vim.json.decode(line)
  self.url, self.token_file, self.hub, self.project =
    ready.url, ready.token_file, ready.remote, ready.agent_repo
  self.token = vim.trim(t.read(self.token_file))
  doors.flags("serve", command)
end

---@param signal? string
function Real:stop(signal)
  self.process:kill(signal or "sigterm")
  t.wait(function()
    return self.process.code
  end, 10000, "the server to end")
end

---@param where "agent"|"checkout"|nil
function Real:git(where, ...)
  return t.run(
    { t.program("git"), ... },
    { cwd = where and self[where] or self.directory, env = self.environment }
  )
end

function Real:jj(...)
  return t.run({ t.program("jj"), ... }, { cwd = self.agent, env = self.environment })
end

--- An HTTP request with the token, through curl.
---@param method string
---@param path string
---@param body? table
---@return table answer
---@return integer status
function Real:http(method, path, body)
  local command = {
    "curl",
    "--silent",
    "--show-error",
    "--request",
    method,
    self.url .. path,
    "--header",
    "Authorization: Bearer " .. self.token,
    "--write-out",
    "\n%{http_code}",
  } -- stylua: ignore
  local opts = {}
  if body then
    vim.list_extend(command, { "--header", "Content-Type: application/json", "--data-binary", "@-" })
    opts.stdin = vim.json.encode(body)
  end
  local out = t.run(command, opts)
  local text, status = out:match("^(.*)\n(%d+)$")
  local answer = vim.json.decode(text, { luanil = { object = true, array = true } })
  doors.http(method, path, tonumber(status) --[[@as integer]], answer)
  return answer, tonumber(status) --[[@as integer]]
end

--- Writes files in the agent's repository (false deletes) and publishes them.
---@param files table<string, string|false>
---@param description string
---@param change? string publish this change again; "new" starts another on main
---@return string suggestion_id
function Real:publish(files, description, change)
  if change == "new" then
    self:jj("new", "main")
    change = nil
  elseif change then
    self:jj("edit", change)
  end
  -- Deletions first: a folder may take the place of a file, or the reverse.
  for path, text in pairs(files) do
    if not text then
      vim.fn.delete(self.agent .. "/" .. path)
      vim.fn.delete(vim.fs.dirname(self.agent .. "/" .. path), "d")
    end
  end
  for path, text in pairs(files) do
    if text then
      t.write(self.agent .. "/" .. path, text)
    end
  end
  local answer, status = self:http("POST", "/suggestions", { description = description, change_id = change })
  if status ~= 201 and status ~= 200 then
    error(vim.inspect(answer))
  end
  return answer.suggestion_id
end

--- Settings for this server.
---@return table
function Real:settings()
  return {
    server = {
      name = "real",
      host = "127.0.0.1",
      port = self.port,
      token_file = self.token_file,
      root = self.checkout,
    },
    notifications = { on_ready = true, on_error = true, on_status = false },
  }
end

--- Connects this Neovim to it.
function Real:connect()
  require("suggestion-review.config").setup(self:settings())
  require("suggestion-review").connect()
  t.wait(function()
    local state = require("suggestion-review.connection.client").state()
    if state.state == "refused" then
      error(state.message)
    end
    return state.state == "connected"
  end, 10000, "the connection")
end

return M
