-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- Asking the agent: real opencode with the plugin, and a model whose answers are written down.

local agent_host = require("agent_host")
local notices = require("notices")
if not agent_host.available() then
  pending("ask", "opencode is not provisioned")
  return
end

local client = require("suggestion-review").client
local feedback = require("suggestion-review.decisions.requests")
local store = require("suggestion-review.model.store")

local script = {
  conversations = {
    -- Before the others: the feedback names the suggestion, and so has both words.
    {
      when = "rather whisper",
      turns = {
        {
          calls = {
            {
              tool = "bash",
              args = {
                command = "printf 'la...\\n' > song.txt && jj squash --quiet",
                description = "whisper",
              },
            },
          },
        },
        { calls = { { tool = "publish_suggestion", args = { description = "Whisper the song" } } } },
        { text = "Published again." },
      },
    },
    {
      when = "sing",
      turns = {
        {
          calls = {
            {
              tool = "bash",
              args = { command = "jj new main --quiet && printf 'LA\\n' > song.txt", description = "sing" },
            },
          },
        },
        { calls = { { tool = "publish_suggestion", args = { description = "Sing a song" } } } },
        { text = "Published." },
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
              args = {
                command = "jj new main --quiet && printf 'HELLO\\nworld\\n' > greet.txt",
                description = "shout",
              },
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

notices.listen()
local notice = notices.wait

local settings = agent_host.settings(host)
require("suggestion-review.config").setup(settings)
client.start()
t.wait(function()
  return client.state().state == "connected"
end, 10000, "the connection")

vim.cmd("source " .. t.root .. "/nvim/plugin/suggestion-review.lua")

--- Waits for a suggestion.
---@param description string
---@return string id
local function store_has(description)
  return t.wait(function()
    for _, suggestion in ipairs(store.list()) do
      if suggestion.description == description then
        return suggestion.id
      end
    end
  end, 20000, description)
end

describe("asking", function()
  before_each(function()
    notices.forget()
    vim.cmd.edit({ agent .. "/greet.txt", bang = true })
  end)

  -- Each leaves nothing to be reviewed and nobody at work.
  after_each(function()
    for _, suggestion in ipairs(store.list()) do
      t.await(function(callback)
        feedback.complete(suggestion.id, "discard", nil, callback)
      end, 20000)
    end
    t.wait(function()
      return #store.list() == 0 and not require("suggestion-review").statusline():find("working")
    end, 20000, "the agent and the list to be done")
  end)

  it("sends the selection, and shows how the turn goes until its end", function()
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
    store_has("Shout the greeting")
  end)

  it("sends rejections on R, and the review shows what came of them", function()
    local screen = require("screen")
    if not screen.available() then
      t.skip("needs tmux")
    end
    vim.cmd("Suggest! ask Please sing")
    local song = store_has("Sing a song")
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
    s:wait("+ LA", true)
    s:type("r")
    s:wait("Reject because", true)
    s:text("too loud")
    s:type("Enter")
    s:wait("✘ 1/1 rejected", true)
    s:type("R")
    s:wait("What should the agent do", true)
    s:text("rather whisper")
    s:type("Enter")
    s:wait("+ la...", true, 30000)
    s:wait("you rejected this in revision 1: too loud", true)
    s:wait("○ 1/1 pending", true)
    s:type("D")
    s:wait("-LA", true)
    s:wait("+la...", true)
    s:stop()
    local last
    for line in io.lines(directory .. "/requests.jsonl") do
      last = line:find("rather whisper", 1, true) and line or last
    end
    -- The model was told what was rejected, and why.
    t.match(last, "too loud")
    t.match(last, "song.txt")
    t.wait(function()
      return store.get(song).revision == 2
    end)
  end)

  it("shows the agent's work in the statusline, and stops it", function()
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
