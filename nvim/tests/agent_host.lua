--- A real opencode with this plugin, in front of a model whose answers are written down, on a jj repository of the
--- agent's.

local real = require("real")
local t = require("support")

local M = {}

---@class (exact) AgentHost
---@field directory string
---@field agent string the agent's repository
---@field environment table<string, string>
---@field port integer of the plugin's server
---@field requests string file with what the model was asked, a JSON line each

---@return boolean
function M.available()
  return real.available() and t.program("opencode") ~= nil
end

---@param self AgentHost
---@param script table
---@return string url
local function start_model(self, script)
  t.write(self.directory .. "/script.json", vim.json.encode(script))
  local model = t.spawn({
    t.program("bun"),
    t.root .. "/demo/scripted-model.ts",
    "--script",
    self.directory .. "/script.json",
    "--log",
    self.requests,
  }, { env = self.environment, cwd = t.root }) -- stylua: ignore
  local url = t.wait(function()
    return model.out:match('"url":"([^"]+)"')
  end, 10000, "the model")
  return url:find("/v1$") and url or url .. "/v1"
end

---@param self AgentHost
---@param model string
---@param permission table
local function configure(self, model, permission)
  local plugin = self.directory .. "/plugin.js"
  t.run({
    t.program("bun"),
    "build",
    t.root .. "/plugin/src/index.ts",
    "--target=bun",
    "--format=esm",
    "--outfile",
    plugin,
  }, { cwd = t.root, env = self.environment }) -- stylua: ignore
  local options = {
    port = self.port,
    state_dir = self.directory .. "/state",
    feedback_log = self.directory .. "/feedback.jsonl",
  }
  t.write(
    self.directory .. "/opencode.json",
    vim.json.encode({
      model = "scripted/scripted-1",
      small_model = "scripted/scripted-1",
      enabled_providers = { "scripted" },
      share = "disabled",
      autoupdate = false,
      lsp = false,
      formatter = false,
      permission = permission,
      provider = {
        scripted = {
          npm = "@ai-sdk/openai-compatible",
          options = { baseURL = model, apiKey = "none" },
          models = {
            ["scripted-1"] = {
              tool_call = true,
              reasoning = true,
              limit = { context = 200000, output = 8192 },
            },
            ["scripted-2"] = {
              name = "The other",
              tool_call = true,
              limit = { context = 200000, output = 8192 },
              variants = { high = { reasoningEffort = "high" } },
            },
          },
        },
      },
      plugin = { { "file://" .. plugin, options } },
    })
  )
end

---@param self AgentHost
local function start_opencode(self)
  local host_port = real.free_port()
  local host = t.spawn(
    { t.program("opencode"), "serve", "--port", tostring(host_port), "--hostname", "127.0.0.1" },
    {
      cwd = self.agent,
      env = vim.tbl_extend("force", self.environment, {
        OPENCODE_CONFIG = self.directory .. "/opencode.json",
        OPENCODE_DISABLE_MODELS_FETCH = "1",
        OPENCODE_DISABLE_PROJECT_CONFIG = "1",
        npm_config_offline = "true",
        XDG_STATE_HOME = self.directory .. "/.local/state",
        XDG_DATA_HOME = self.directory .. "/.local/share",
        XDG_CACHE_HOME = self.directory .. "/.cache",
      }),
    }
  )
  local function curl(path)
    return vim
      .system({ "curl", "-s", "--max-time", "30", ("http://127.0.0.1:%d%s"):format(host_port, path) })
      :wait()
  end
  t.wait(function()
    if host.code then
      error("opencode ended: " .. host.out .. host.err)
    end
    return curl("/global/health").code == 0
  end, 60000, "opencode")
  curl("/path?directory=" .. vim.uri_encode(self.agent))
  t.wait(function()
    return vim.uv.fs_stat(self.directory .. "/state/token")
      and vim.system({ "curl", "-s", ("http://127.0.0.1:%d/health"):format(self.port) }):wait().code == 0
  end, 30000, "the plugin")
end

---@param script table of the model
---@param permission table what opencode asks
---@return AgentHost
function M.start(script, permission)
  local directory = t.tempdir()
  ---@type AgentHost
  local self = {
    directory = directory,
    agent = directory .. "/agent",
    environment = real.env(directory),
    port = real.free_port(),
    requests = directory .. "/requests.jsonl",
  }
  vim.fn.mkdir(self.agent, "p")
  t.write(self.agent .. "/greet.txt", "hello\nworld\n")
  t.run({
    "sh",
    "-ec",
    "git init -q -b main && git add -A && git commit -qm base && jj git init --colocate . 2>/dev/null",
  }, {
    cwd = self.agent,
    env = self.environment,
  })
  configure(self, start_model(self, script), permission)
  start_opencode(self)
  return self
end

--- Settings for this server.
---@param self AgentHost
---@return table
function M.settings(self)
  return {
    server = { host = "127.0.0.1", port = self.port, token_file = self.directory .. "/state/token" },
    notifications = { on_status = true },
  }
end

return M
