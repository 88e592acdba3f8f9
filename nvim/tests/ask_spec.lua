-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- Asking the agent: real opencode with the plugin, and a model whose answers are written down.

local agent_host = require("agent_host")
if not agent_host.available() then
  pending("ask", "opencode is not provisioned")
  return
end

local client = require("suggestion-review").client
local store = require("suggestion-review.model.store")

local script = {
  conversations = {
    -- Before the other: the feedback names the suggestion, and so has both words.
    {
      when = "rather whisper",
      turns = {
        {
          calls = {
            {
              tool = "bash",
              args = {
                command = "printf 'hello...\\nworld\\n' > greet.txt && jj squash --quiet",
                description = "whisper",
              },
            },
          },
        },
        { calls = { { tool = "publish_suggestion", args = { description = "Whisper the greeting" } } } },
        { text = "Published again." },
      },
    },
    {
      when = "shout",
      turns = {
        { calls = { { tool = "suggestion_status", args = { message = "Looking at greet.txt" } } } },
        {
          calls = {
            {
              tool = "bash",
              args = { command = "printf 'HELLO\\nworld\\n' > greet.txt", description = "shout" },
            },
          },
        },
        { calls = { { tool = "publish_suggestion", args = { description = "Shout the greeting" } } } },
        { text = "Published." },
      },
    },
    { when = "dawdle", turns = { { delayMs = 60000, text = "too late" } } },
  },
}
local host = agent_host.start(script, { bash = "allow", edit = "allow" })
local directory, agent, environment, port = host.directory, host.agent, host.environment, host.port

local notices = {}
vim.notify = function(message)
  table.insert(notices, message)
end
local function notice(pattern)
  return t.wait(function()
    for _, message in ipairs(notices) do
      if message:find(pattern) then
        return message
      end
    end
  end, 20000, pattern)
end

local settings = agent_host.settings(host)
require("suggestion-review.config").setup(settings)
client.start()
t.wait(function()
  return client.state().state == "connected"
end, 10000, "the connection")

describe("asking", function()
  it("sends the selection, and shows how the turn goes until its end", function()
    vim.cmd.edit(agent .. "/greet.txt")
    vim.cmd("source " .. t.root .. "/nvim/plugin/suggestion-review.lua")
    vim.cmd("1,1Suggest ask Please shout this  twice")
    notice("^Asked about greet.txt, lines 1 to 1")
    notice("Looking at greet.txt")
    notice("^Suggestion ready: Shout the greeting")
    notice("turn has ended")
    local asked
    for line in io.lines(directory .. "/requests.jsonl") do
      if line:find("Please shout this  twice", 1, true) then
        asked = line
      end
    end
    t.ok(asked)
    t.match(asked, "greet.txt[^\n]-lines 1")
    local suggestion = store.list()[1]
    t.eq(suggestion.description, "Shout the greeting")
  end)

  it("sends rejections on R, and the review shows what came of them", function()
    local screen = require("screen")
    if not screen.available() then
      t.skip("needs tmux")
    end
    local s = screen.start({
      cwd = directory,
      env = { PATH = environment.PATH },
      init = ([[
        vim.opt.runtimepath:prepend(%q)
        vim.o.shada, vim.o.swapfile, vim.g.mapleader = "", false, " "
        require("suggestion-review").setup(%s)
      ]]):format(
        t.root .. "/nvim",
        vim.inspect({
          server = { host = "127.0.0.1", port = port, token_file = directory .. "/state/token" },
        })
      ),
    })
    s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
    s:type("Space", "s", "r")
    s:wait("+ HELLO", true)
    s:type("r")
    s:wait("Reject because", true)
    s:text("too loud")
    s:type("Enter")
    s:wait("✘ 1/1 rejected", true)
    s:type("R")
    s:wait("What should the agent do", true)
    s:text("rather whisper")
    s:type("Enter")
    s:wait("+ hello...", true, 30000)
    s:wait("you rejected this in revision 1: too loud", true)
    s:wait("○ 1/1 pending", true)
    s:type("D")
    s:wait("-HELLO", true)
    s:wait("+hello...", true)
    s:stop()
    local last
    for line in io.lines(directory .. "/requests.jsonl") do
      last = line:find("rather whisper", 1, true) and line or last
    end
    -- The model was told what was rejected, and why.
    t.match(last, "too loud")
    t.match(last, "greet.txt")
    t.wait(function()
      return store.list()[1].revision == 2
    end)
  end)

  it("shows the agent's work in the statusline, and stops it", function()
    notices = {}
    vim.cmd("Suggest! ask Please dawdle")
    notice("^Asked; :Suggest abort stops it")
    t.wait(function()
      return require("suggestion-review").statusline():find("working")
    end, 10000, "the statusline")
    vim.cmd("Suggest abort")
    notice("The agent was stopped")
    t.wait(function()
      return not require("suggestion-review").statusline():find("working")
    end, 10000, "the end")
  end)

  it("asks and stops by <Plug> maps, with the turn's own end left unsaid", function()
    local config = require("suggestion-review.config")
    config.setup(vim.tbl_deep_extend("force", settings, { notifications = { on_error = false } }))
    notices = {}
    local plain = vim.ui.input
    -- As a plugin that draws prompts does it.
    vim.ui.input = function(_, answered)
      answered("Please dawdle")
    end
    local function plug(name)
      vim.api.nvim_feedkeys(vim.keycode(("<Plug>(suggestion-review-%s)"):format(name)), "x", false)
    end
    plug("ask")
    vim.ui.input = plain
    notice("^Asked")
    t.wait(function()
      return require("suggestion-review").statusline():find("working")
    end, 10000, "the statusline")
    plug("abort")
    notice("The agent was stopped")
    t.wait(function()
      return not require("suggestion-review").statusline():find("working")
    end, 10000, "the end")
    vim.cmd("Suggest! ask Please dawdle")
    t.wait(function()
      return require("suggestion-review").statusline():find("working")
    end, 10000, "the statusline")
    vim.cmd("Suggest abort")
    t.wait(function()
      return not require("suggestion-review").statusline():find("working")
    end, 10000, "the end")
    config.setup(settings)
  end)

  it("attaches the file, with its text only when the agent cannot have it", function()
    local attachments = require("suggestion-review.decisions.ask").attachments
    local buf = vim.api.nvim_get_current_buf()
    t.eq(attachments(buf, {}), { { file = "greet.txt" } })
    vim.api.nvim_buf_set_lines(buf, 0, 1, false, { "edited" })
    t.match(attachments(buf, {})[1].text, "^edited\n")
    t.eq(attachments(buf, { without_file = true }), {})
    t.eq(attachments(buf, { first_line = 1, last_line = 99 })[1].last_line, vim.api.nvim_buf_line_count(buf))
    vim.cmd.enew({ bang = true })
    t.eq(attachments(vim.api.nvim_get_current_buf(), {}), {})
  end)
end)
