-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- What the agent does, shown in a buffer, and what it asks, answered: real opencode with the plugin, and a model whose
--- answers are written down.

local agent_host = require("agent_host")
local notices = require("notices")
if not agent_host.available() then
  pending("agent", "opencode is not provisioned")
  return
end

local review = require("suggestion-review")
local client = review.client
local activity = require("suggestion-review.model.activity")

local function call(tool, args)
  return { calls = { { tool = tool, args = args } } }
end
local function bash(command)
  return call("bash", { command = command, description = "works" })
end

local words = {}
for index = 1, 40 do
  words[index] = ("word%d%s"):format(index, index % 8 == 0 and "\n" or " ")
end
local todos = {
  { content = "look around", status = "completed", priority = "high" },
  { content = "tidy up", status = "in_progress", priority = "low" },
}
local question = {
  question = "Which way?",
  header = "Way",
  options = {
    { label = "Left", description = "to the left" },
    { label = "Right", description = "to the right" },
  },
}
local which = vim.tbl_extend("force", question, { question = "Which ones?", multiple = true })

local host = agent_host.start({
  conversations = {
    {
      when = "tell me all",
      turns = {
        vim.tbl_extend("force", { reasoning = "Hm.\nWell.", text = words, pieceDelayMs = 15 }, {
          calls = { { tool = "todowrite", args = { todos = todos } } },
        }),
        call("glob", { pattern = "*.txt" }),
        { text = "That was all." },
      },
    },
    { when = "touch once", turns = { bash("touch touched-once"), { text = "touched" } } },
    { when = "touch always", turns = { bash("mkdir made-always"), { text = "made" } } },
    { when = "touch as edited", turns = { bash("touch first-form"), { text = "touched" } } },
    {
      when = "touch by keys",
      turns = { bash("touch first-key"), bash("touch key-rejected"), { text = "touched" } },
    },
    { when = "touch by call", turns = { bash("touch first-call"), { text = "touched" } } },
    {
      when = "write as edited",
      turns = { call("write", { filePath = "poem.txt", content = "one\ntwo\n" }), { text = "written" } },
    },
    {
      when = "write a verse",
      turns = {
        vim.tbl_extend("force", call("write", { filePath = "verse.txt", content = "one line\n" }), {
          text = "Now the verse.",
        }),
        call("publish_suggestion", { description = "A verse" }),
        { text = "published" },
      },
    },
    { when = "touch never", turns = { bash("touch touched-never"), { text = "not touched" } } },
    { when = "touch rather not", turns = { bash("touch rather-not"), { text = "as you like" } } },
    {
      when = "which way",
      turns = { call("question", { questions = { question, which } }), { text = "thank you" } },
    },
    { when = "own words", turns = { call("question", { questions = { question } }), { text = "noted" } } },
    { when = "hide it", turns = { { text = "left\u{202e}right\27[2J\n## You" } } },
    { when = "straight on", turns = { call("question", { questions = { question } }), { text = "on" } } },
  },
  otherwise = { text = "Heard." },
}, { edit = "ask", bash = "ask" })

notices.listen()
local notice = notices.wait
local function exists(name)
  return vim.uv.fs_stat(host.agent .. "/" .. name) ~= nil
end

--- How a permission is shown where its answer is not given.
local function approvals(kind)
  local settings = agent_host.settings(host)
  settings.ui = { approvals = kind }
  require("suggestion-review.config").setup(settings)
end
approvals("select")
vim.cmd("source " .. t.root .. "/nvim/plugin/suggestion-review.lua")
review.connect()
t.wait(function()
  return client.state().state == "connected"
end, 10000, "the connection")

--- What is chosen of each list that comes, and typed at each prompt.
local plain_select, plain_input = vim.ui.select, vim.ui.input
local prompts
local function will_answer(choices, inputs)
  prompts = {}
  choices, inputs = vim.deepcopy(choices), vim.deepcopy(inputs or {})
  vim.ui.select = function(items, opts, done)
    table.insert(prompts, opts.prompt)
    local wanted = table.remove(choices, 1)
    for index, item in ipairs(items) do
      if wanted and (opts.format_item or tostring)(item):find(wanted, 1, true) then
        return done(item, index)
      end
    end
    done(nil)
  end
  vim.ui.input = function(opts, done)
    table.insert(prompts, opts.prompt)
    done(table.remove(inputs, 1))
  end
end

local function ask(text)
  notices.forget()
  vim.cmd("Suggest! ask " .. text)
  notice("^Asked")
end

--- Ends when the turn that was asked for has.
local function turn_over()
  notice("turn has ended")
end

--- What a buffer that is opened now holds, with its folds.
---@return string[] lines
---@return integer[] folds first line of each closed fold
local function opened_now()
  vim.cmd("Suggest agent")
  local buf = t.wait(function()
    return vim.bo.filetype == "markdown" and vim.api.nvim_get_current_buf()
  end, 10000, "the buffer")
  local lines, folds = vim.api.nvim_buf_get_lines(buf, 0, -1, false), {}
  for line = 1, #lines do
    folds[line] = vim.fn.foldclosed(line)
  end
  return lines, folds
end

before_each(function()
  vim.ui.select, vim.ui.input = plain_select, plain_input
  -- What was said before, and who answered, is no matter.
  vim.cmd("Suggest session new")
end)

describe("what the agent does", function()
  it("is followed in a buffer, which holds the same as one that is opened afterwards", function()
    ask("tell me all")
    vim.cmd("Suggest agent")
    local buf = t.wait(function()
      return vim.bo.filetype == "markdown" and vim.api.nvim_get_current_buf()
    end, 10000, "the buffer")
    t.ok(not vim.bo[buf].modifiable)
    turn_over()
    t.wait(function()
      -- Of this turn: the buffer may hold others.
      local text =
        table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n"):match(".*\ntell me all\n(.*)$")
      return text
        and text:find("\nThat was all.", 1, true)
        and text:find("*The turn is over*", 1, true)
        and text:find("\n%*scripted%-1: [^\n]*$")
    end, 10000, "all of it")
    -- It follows where the cursor is at the end.
    t.eq(vim.api.nvim_win_get_cursor(0)[1], vim.api.nvim_buf_line_count(buf))
    local live, live_folds = vim.api.nvim_buf_get_lines(buf, 0, -1, false), {}
    for line = 1, #live do
      live_folds[line] = vim.fn.foldclosed(line)
    end
    vim.api.nvim_feedkeys("q", "x", false)
    t.ok(not vim.api.nvim_buf_is_valid(buf))
    local later, later_folds = opened_now()
    t.eq(later, live)
    t.eq(later_folds, live_folds)
    local text = table.concat(later, "\n")
    t.match(text, "## You\n\ntell me all")
    t.match(text, "> thought\n> Hm%.\n> Well%.")
    t.match(text, "word1 word2 .-word40")
    t.match(text, "%- %[x%] look around\n%- %[%-%] tidy up")
    t.match(text, "%- ✔ `glob` [^\n]*\n.-    [^\n]*greet%.txt")
    -- The output is folded away, the call's own line is not.
    for line, content in ipairs(later) do
      if content:find("✔ `glob`", 1, true) then
        t.eq(later_folds[line], -1)
        t.eq(later_folds[line + 1], line + 1)
      end
    end
    vim.cmd("normal q")
  end)

  it("is where K on a hunk leads: the call that made it, with the words before it", function()
    ask("write a verse")
    notice("verse%.txt")
    review.permission({ reply = "once" })
    turn_over()
    local id, hunk
    t.wait(function()
      for _, suggestion in ipairs(review.store.list()) do
        for _, one in ipairs(suggestion.hunks or {}) do
          if one.file == "verse.txt" then
            id, hunk = suggestion.id, one.id
          end
        end
      end
      return id
    end, 15000, "the suggestion")
    for _, style in ipairs({ "floating", "inline" }) do
      review.open(id, { hunk = hunk, style = style })
      t.wait(review.is_open, 15000, "the review")
      -- Of several hunks, where other tests have left files, the one with the verse.
      for index, one in ipairs(require("suggestion-review.review").session().hunks) do
        if one.id == hunk then
          require("suggestion-review.review").go(index)
        end
      end
      vim.api.nvim_feedkeys("K", "x", false)
      t.eq(vim.bo.filetype, "suggestion-why")
      local text
      local told = vim.wait(15000, function()
        text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
        return text:find("write verse.txt  +1\n", 1, true)
          and text:find("prompt   write a verse\n", 1, true)
          and text:find("said     Now the verse.", 1, true) ~= nil
      end, 10)
      t.ok(told, style .. ":\n" .. text)
      vim.api.nvim_win_set_cursor(0, { 1, 0 })
      vim.api.nvim_feedkeys(vim.keycode("<CR>"), "x", false)
      t.wait(function()
        return vim.bo.filetype == "markdown"
          and vim.api.nvim_get_current_line():find("^%- ✔ `write`")
          and vim.fn.foldclosed(".") == -1
      end, 15000, "the call in its session")
      vim.cmd("normal q")
      review.close()
    end
    -- Nothing of it is left for the other tests.
    require("suggestion-review.decisions.requests").complete(id, "discard")
    t.wait(function()
      return #review.store.list() == 0
    end, 15000, "the end of the suggestion")
  end)

  it("leaves the cursor where it is not at the end", function()
    ask("tell me all")
    turn_over()
    vim.cmd("Suggest agent")
    local buf = t.wait(function()
      return vim.bo.filetype == "markdown" and vim.api.nvim_get_current_buf()
    end, 10000, "the buffer")
    vim.cmd("normal! gg")
    local count = vim.api.nvim_buf_line_count(buf)
    notices.forget()
    review.ask(
      "straight on",
      { session_id = vim.api.nvim_buf_get_name(buf):match("/(ses_[^/]+)/"), without_file = true }
    )
    t.wait(function()
      return vim.api.nvim_buf_line_count(buf) > count
    end, 20000, "more lines")
    t.eq(vim.api.nvim_win_get_cursor(0)[1], 1)
    notice("^The agent asks Which way")
    review.answer({ answers = { { "Left" } } })
    notice("^Answered: Which way")
    turn_over()
    vim.cmd("normal q")
  end)
end)

describe("a permission", function()
  it("is announced, shown whole and allowed once", function()
    ask("touch once")
    notice("^The agent wants bash: touch touched%-once — :Suggest permission")
    t.ok(not exists("touched-once"))
    t.eq(review.statusline(), "asks for bash: touch touched-once")
    will_answer({ "Allow once" })
    vim.cmd("Suggest permission")
    t.match(prompts[1], "The agent wants to use bash:\n  touch touched%-once\n")
    notice("^Allowed once: bash: touch touched%-once")
    turn_over()
    t.ok(exists("touched-once"))
    t.eq(review.statusline(), "")
    notices.forget()
    vim.cmd("Suggest permission")
    notice("^The agent waits for no permission")
  end)

  it("is not shown as whole where there was no room for all of it", function()
    local asked = { permission = "bash", patterns = {}, always = {}, command = "touch it", cut = 12 }
    t.eq(require("suggestion-review.text.activity_lines").subject(asked), {
      "touch it",
      "⚠ 12 bytes more are asked for than are shown here",
    })
  end)

  it("is allowed from now on, by words on the command line", function()
    ask("touch always")
    notice("mkdir made%-always — ")
    vim.cmd("Suggest permission always")
    notice("^Allowed from now on")
    turn_over()
    t.ok(exists("made-always"))
  end)

  it("is rejected with a reason, which the model is told", function()
    ask("touch rather not")
    notice("rather%-not — ")
    will_answer({ "Reject" }, { "use another name" })
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-permission)"), "x", false)
    notice("^Rejected: bash: touch rather%-not")
    turn_over()
    t.ok(not exists("rather-not"))
    t.match(t.read(host.requests), "use another name")
  end)

  it("that somebody else answered first is said to be so", function()
    ask("touch never")
    notice("touched%-never — ")
    local asked = activity.asks("agent.permission")[1]
    -- As long as the list is open another client answers.
    will_answer({})
    local choose
    vim.ui.select = function(items, _, done)
      choose = function()
        done(items[1], 1)
      end
    end
    review.permission()
    local answered
    client.request({
      type = "permission",
      request = { permission_id = asked.entry.id, reply = "reject" },
    }, function(err)
      t.ok(not err)
      answered = true
    end)
    t.wait(function()
      return answered
    end, 10000, "the other answer")
    turn_over()
    choose()
    notice("^Not answered: It was answered already, by the developer")
    t.ok(not exists("touched-never"))
  end)
end)

--- The editor of what waits, with this text in it.
local function editor(text)
  return t.wait(function()
    local buf = vim.api.nvim_get_current_buf()
    return vim.api.nvim_buf_get_name(buf):find("suggestion%-review://approval/")
      and table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") == text
      and buf
  end, 10000, "the editor")
end

local function keys(text)
  vim.api.nvim_feedkeys(vim.keycode(text), "x", false)
end

describe("what waits for a permission", function()
  before_each(function()
    approvals("floating")
  end)
  after_each(function()
    approvals("select")
  end)

  it("is edited before it runs, and both forms are shown", function()
    ask("touch as edited")
    notice("touch first%-form — ")
    vim.cmd("Suggest permission edit")
    local buf = editor("touch first-form")
    t.eq(vim.bo[buf].filetype, "sh")
    -- Who leaves without writing has answered nothing.
    vim.cmd("quit")
    t.eq(#activity.asks("agent.permission"), 1)
    t.ok(not exists("first-form"))
    vim.cmd("Suggest permission")
    local shown = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    t.match(shown, "^touch first%-form\n\nalways: touch %*$")
    keys("e")
    editor("touch first-form")
    keys("cctouch second-form<Esc>")
    keys(":write<CR>")
    notice("^Allowed as edited: bash: touch first%-form")
    turn_over()
    t.ok(exists("second-form") and not exists("first-form"))
    vim.cmd("Suggest agent")
    t.wait(function()
      local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
      return text:find("**May it? bash** edited, and allowed so\n    touch first-form\n", 1, true)
        and text:find("\n*ran instead, command:*\n    touch second-form\n", 1, true)
    end, 10000, "both forms")
    vim.cmd("normal q")
  end)

  it("is a file's text, written as edited", function()
    ask("write as edited")
    notice("poem%.txt")
    vim.cmd("Suggest permission")
    local shown = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    t.match(shown, "poem%.txt\n%+one\n%+two")
    keys("e")
    editor("one\ntwo")
    keys("Gcc2<Esc>")
    keys(":write<CR>")
    notice("^Allowed as edited: edit: ")
    turn_over()
    t.eq(t.read(host.agent .. "/poem.txt"), "one\n2\n")
  end)

  it("is answered by a key, and the window goes when somebody else answers", function()
    ask("touch by keys")
    notice("touch first%-key — ")
    vim.cmd("Suggest permission")
    keys("o")
    notice("^Allowed once: bash: touch first%-key")
    notice("touch key%-rejected — ")
    t.ok(exists("first-key"))
    vim.cmd("Suggest permission")
    local win = vim.api.nvim_get_current_win()
    t.ok(vim.api.nvim_win_get_config(win).relative ~= "")
    keys("q")
    t.ok(not vim.api.nvim_win_is_valid(win))
    vim.cmd("Suggest permission")
    win = vim.api.nvim_get_current_win()
    local id = activity.asks("agent.permission")[1].entry.id
    client.request(
      { type = "permission", request = { permission_id = id, reply = "reject" } },
      function() end
    )
    t.wait(function()
      return not vim.api.nvim_win_is_valid(win)
    end, 10000, "the window to go")
    turn_over()
    t.ok(not exists("key-rejected"))
  end)

  it("is edited by the Lua function, and one that does not fit is refused by its field", function()
    ask("touch by call")
    notice("touch first%-call — ")
    review.permission({ reply = "edit", arguments = { comand = "touch x" } })
    notice("^Not answered: arguments%.comand: expected one of the call's own fields: .*command")
    review.permission({ reply = "edit", arguments = { command = "touch second-call" } })
    notice("^Allowed as edited")
    turn_over()
    t.ok(exists("second-call") and not exists("first-call"))
  end)
end)

describe("a question", function()
  it("is answered by choosing, one label or several", function()
    ask("which way")
    notice("^The agent asks Which way%? — :Suggest answer")
    will_answer({ "Right", "Left", "Right", "That is all" })
    vim.cmd("Suggest answer")
    notice("^Answered: Which way")
    turn_over()
    t.match(t.read(host.requests), 'Which way%?\\"=\\"Right\\"')
    t.match(t.read(host.requests), 'Which ones%?\\"=\\"Left, Right\\"')
  end)

  it("is answered in words of one's own", function()
    ask("own words")
    notice("^The agent asks Which way")
    will_answer({ "In words of my own" }, { "over the hills" })
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-answer)"), "x", false)
    notice("^Answered: Which way")
    turn_over()
    t.match(t.read(host.requests), "over the hills")
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-agent)"), "x", false)
    t.wait(function()
      return vim.bo.filetype == "markdown"
    end, 10000, "the buffer")
    t.match(
      table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n"),
      "%*%*Which way%?%*%* → over the hills"
    )
    vim.cmd("normal q")
  end)
end)

--- The last request in which the model was asked for something, as it was sent.
local function heard(text)
  local found
  for line in t.read(host.requests):gmatch("[^\n]+") do
    local request = vim.json.decode(line)
    local last = request.messages[#request.messages]
    if request.kind == "turn" and vim.json.encode(last):find(text, 1, true) then
      found = request
    end
  end
  return found
end

--- Asks and waits for the end of the turn; the session that it was in.
local function asked_in(text)
  local session
  local commands = require("suggestion-review.connection.client")
  local request = commands.request
  rawset(commands, "request", function(command, done, server)
    return request(command, function(err, data)
      session = command.type == "ask" and data and data.session_id or session
      done(err, data)
    end, server)
  end)
  ask(text)
  rawset(commands, "request", request)
  turn_over()
  return session
end

describe("what is chosen for the next prompt", function()
  it("is a session, a new one or one of before", function()
    vim.cmd("Suggest session new")
    notice("^The next prompt begins a session")
    local first = asked_in("good morning")
    -- It stays chosen.
    t.eq(asked_in("good day"), first)
    vim.cmd("Suggest session rename Of the morning")
    notice("^The session is called: Of the morning")
    vim.cmd("Suggest session new")
    local second = asked_in("good evening")
    t.ok(second ~= first)
    will_answer({ "Of the morning" })
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-session)"), "x", false)
    notice("^The next prompt goes to: Of the morning")
    t.eq(asked_in("good night"), first)
    will_answer({ "A new session" })
    vim.cmd("Suggest session")
    notice("^The next prompt begins a session")
    local third = asked_in("hello again")
    t.ok(third ~= first and third ~= second)
  end)

  it("is who answers, by which model and variant, and stays with the session", function()
    vim.cmd("Suggest session new")
    will_answer({ "The other", "high" })
    vim.cmd("Suggest model")
    notice("^The next prompt is answered by scripted/scripted%-2, high")
    will_answer({ "plan" })
    vim.cmd("Suggest mode")
    notice("^The next prompt is answered by plan")
    asked_in("make a plan")
    local request = heard("make a plan")
    t.eq({ request.model, request.reasoning_effort }, { "scripted-2", "high" })
    t.match(vim.json.encode(request.messages), "Plan mode ACTIVE")
    asked_in("make another plan")
    t.eq(heard("make another plan").reasoning_effort, "high")
    -- By name, and completed from what there was.
    t.eq(vim.fn.getcompletion("Suggest model scripted/scripted-2", "cmdline"), { "scripted/scripted-2" })
    t.eq(vim.fn.getcompletion("Suggest mode bui", "cmdline"), { "build" })
    t.eq(vim.fn.getcompletion("Suggest session f", "cmdline"), { "fork" })
    vim.cmd("Suggest mode build")
    vim.cmd("Suggest model scripted/scripted-1")
    asked_in("now build")
    t.eq(heard("now build").model, "scripted-1")
  end)

  it("is refused by name where opencode does not have it, and the text is offered again", function()
    review.model({ model = "scripted/none" })
    notices.forget()
    review.ask("whatever you like", { without_file = true })
    notice("^Not asked: model: opencode has no scripted/none; expected one of scripted/scripted%-1")
    will_answer({ "scripted/scripted-1", "As it is" })
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-model)"), "x", false)
    notice("^The next prompt is answered by scripted/scripted%-1")
    will_answer({ "build" })
    vim.api.nvim_feedkeys(vim.keycode("<Plug>(suggestion-review-mode)"), "x", false)
    notice("^The next prompt is answered by build")
    asked_in("as you were")
    t.eq(heard("as you were").model, "scripted-1")
  end)
end)

describe("an exported session", function()
  it(
    "is opened as Markdown in a buffer, where nothing is hidden, and nothing is written by itself",
    function()
      vim.cmd("Suggest session new")
      asked_in("hide it")
      local count = #vim.api.nvim_list_wins()
      vim.cmd("Suggest session export")
      notice("^The session as it is now; :write FILE keeps it")
      t.eq(#vim.api.nvim_list_wins(), count + 1)
      local buf = vim.api.nvim_get_current_buf()
      t.eq(
        { vim.bo[buf].filetype, vim.bo[buf].buftype, vim.bo[buf].modified },
        { "markdown", "nofile", false }
      )
      local text = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
      t.match(text, "## You\n\n> hide it\n\n## The agent\n\n> left<202e>right<1b>%[2J\n> ## You")
      local file = t.tempdir() .. "/kept.md"
      vim.cmd("write " .. vim.fn.fnameescape(file))
      t.eq(t.read(file), text .. "\n")
      vim.cmd("close")
    end
  )

  it("that is long is fetched in parts", function()
    vim.cmd("Suggest session new")
    notices.forget()
    local long = ("word "):rep(50000)
    review.ask("long " .. long, { without_file = true })
    notice("turn has ended")
    notices.forget()
    review.ask("longer " .. long, { without_file = true })
    notice("turn has ended")
    vim.cmd("Suggest session export")
    notice("^The session as it is now")
    local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    t.eq(select(2, text:gsub("word word", "")), 2 * 25000)
    vim.cmd("close")
  end)
end)

describe("a slash command", function()
  it("is completed and run with its arguments", function()
    t.eq(vim.fn.getcompletion("Suggest ask /ini", "cmdline"), { "/init" })
    t.ok(vim.list_contains(vim.fn.getcompletion("Suggest! ask /", "cmdline"), "/review"))
    t.eq(vim.fn.getcompletion("Suggest ask ini", "cmdline"), {})
    vim.cmd("Suggest session new")
    asked_in("/init only   the tests")
    local sent = vim.json.encode(heard("only   the tests").messages)
    t.match(sent, "Create or update `AGENTS.md` for this repository")
  end)

  it("that opencode does not have is refused, and the text is offered again", function()
    notices.forget()
    vim.cmd("Suggest! ask /nonesuch please")
    notice("^Not asked: command: opencode has no nonesuch; expected one of .*init")
    local offered
    vim.ui.input = function(opts, done)
      offered = opts.default
      done(nil)
    end
    vim.cmd("Suggest! ask")
    t.eq(offered, "/nonesuch please")
  end)

  it("is none where it is a path, or a blank stands before it", function()
    asked_in("/etc/hosts is odd")
    t.match(vim.json.encode(heard("is odd").messages):gsub("\\/", "/"), "/etc/hosts is odd")
    asked_in(" /init is a command")
    t.match(vim.json.encode(heard("is a command").messages):gsub("\\/", "/"), '"%s*/init is a command')
  end)
end)

describe("a session", function()
  it("is forked, compacted and, when it was said twice, deleted", function()
    vim.cmd("Suggest session new")
    local first = asked_in("to be forked")
    vim.cmd("Suggest session fork")
    notice("^Forked; the next prompt goes to: ")
    local fork = asked_in("in the fork")
    t.ok(fork ~= first)
    t.match(vim.json.encode(heard("in the fork").messages), "to be forked")
    notices.forget()
    vim.cmd("Suggest session compact")
    notice("^The agent summarizes the session")
    notice("turn has ended")
    will_answer({ "Keep it" })
    vim.cmd("Suggest session delete")
    t.wait(function()
      return #prompts == 1
    end)
    will_answer({ "Delete it" })
    vim.cmd("Suggest session delete")
    notice("^The session .+ was deleted")
    t.match(prompts[1], '^Delete the session ".+"%? Suggestions stay')
    local left
    client.request({ type = "sessions" }, function(_, data)
      left = vim.tbl_map(function(one)
        return one.session_id
      end, data.sessions)
    end)
    t.wait(function()
      return left
    end)
    t.ok(not vim.list_contains(left, fork) and vim.list_contains(left, first))
    t.ok(asked_in("who is there") ~= fork)
  end)
end)
