-- luacheck: read globals t describe it before_each after_each pending
--- What is shown of the connection and of the suggestion's state, in a terminal, against real servers; and that
--- messages which nobody asked for never stop the editor.

local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("the state on the screen", "needs Bun, jj and tmux")
  return
end

local OLD = { ["a.txt"] = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\ntwelve\n" }
local NEW = { ["a.txt"] = "one\nTWO\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\nELEVEN\ntwelve\n" }

---@type Screen
local s
---@type Real[]
local servers = {}

---@param settings table
---@param opts? { columns?: integer, lines?: integer, extra?: string }
local function open_nvim(settings, opts)
  opts = opts or {}
  s = screen.start({
    cwd = servers[1].checkout,
    columns = opts.columns or 100,
    lines = opts.lines or 24,
    file = "a.txt",
    env = { PATH = servers[1].environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.swapfile, vim.o.shada = false, ""
      vim.g.mapleader = " "
      %s
      require("suggestion-review").setup(%s)
    ]]):format(t.root .. "/nvim", opts.extra or "", vim.inspect(settings)),
  })
end

local function start(files)
  local server = real.start(files or OLD)
  servers[#servers + 1] = server
  return server
end

local function listed(count)
  s:wait_lua(([[return #require("suggestion-review").list() == %d]]):format(count), 10000)
end

local function review()
  s:type("Space", "s", "r")
  s:wait_lua([[return require("suggestion-review").is_open()]])
  s:wait(" decided", true)
end

--- States of a suggestion's hunks, as its server has them.
local function states(server, id)
  return vim.tbl_map(function(hunk)
    return hunk.state
  end, server:http("GET", "/suggestions/" .. id).hunks)
end

local function mode()
  return vim.rpcrequest(s.channel, "nvim_get_mode")
end

after_each(function()
  if s then
    s:stop()
  end
  for _, server in ipairs(servers) do
    server.process:kill("sigcont")
    server.process:kill("sigkill")
  end
  s, servers = nil, {}
end)

describe("a server that does not answer", function()
  it("B5: is said after a second, at the decision and in the title", function()
    local server = start()
    local id = server:publish(NEW, "Two words")
    open_nvim(server:settings())
    listed(1)
    review()
    s:wait("0/2 decided · connected", true)
    server.process:kill("sigstop")
    s:type("a")
    s:wait("1/2 decided · no answer yet", true, 3000)
    s:wait("1/2 accepted · +1 -1 · no answer yet", true)
    t.eq(
      s:lua([[return require("suggestion-review").statusline()]]):find("no answer yet", 1, true) ~= nil,
      true
    )
    server.process:kill("sigcont")
    s:wait("1/2 decided · connected", true, 10000)
    t.wait(function()
      return vim.deep_equal(states(server, id), { "accepted", "pending" })
    end)
    t.eq(s:capture():find("no answer yet", 1, true), nil)
  end)

  it("B5: is said inline at the hunk, and in the list's title", function()
    local server = start()
    server:publish(NEW, "Two words")
    open_nvim(server:settings())
    listed(1)
    s:lua([[require("suggestion-review.review").open(nil, { style = "inline" })]])
    s:wait("1/2 pending", true)
    server.process:kill("sigstop")
    s:type("Space", "s", "a")
    s:wait("1/2 accepted · no answer yet", true, 3000)
    server.process:kill("sigcont")
    s:wait_lua([[return require("suggestion-review.connection.client").state().unanswered == 0]], 10000)
    t.wait(function()
      return not s:capture():find("no answer yet", 1, true)
    end)
    s:lua([[require("suggestion-review.review").set_style("picker")]])
    s:wait("Two words (1/2 decided, connected)", true)
  end)

  it("B5: that is gone is said in every style, with since when", function()
    local server = start()
    server:publish(NEW, "Two words")
    open_nvim(server:settings())
    listed(1)
    review()
    server:stop("sigkill")
    s:wait("0/2 decided · connecting since %d%d:%d%d:%d%d")
    s:lua([[require("suggestion-review.review").set_style("inline")]])
    s:wait("1/2 pending · %+1 %-1 · connecting since %d%d:%d%d:%d%d")
    s:lua([[require("suggestion-review").disconnect()]])
    s:wait("1/2 pending · +1 -1 · stopped", true)
    s:lua([[require("suggestion-review.review").set_style("floating")]])
    s:wait("0/2 decided · stopped", true)
    s:lua([[require("suggestion-review.review").set_style("picker")]])
    s:wait("Two words (0/2 decided, stopped)", true)
  end)
end)

describe("several servers", function()
  it("B9: of which one is down are told apart in the title, the list and the statusline", function()
    local first = start()
    local second = start()
    first:publish(NEW, "From the first")
    second:publish(NEW, "From the second")
    open_nvim({
      servers = {
        first:settings().server,
        vim.tbl_extend("force", second:settings().server, { name = "second" }),
      },
    }, { columns = 120 })
    listed(2)
    second:stop("sigkill")
    s:wait_lua([[return require("suggestion-review.connection.client").state("second").state == "waiting"]])
    t.match(s:lua([[return require("suggestion-review").statusline()]]), "second: offline")
    s:type("Space", "s", "r")
    local list = s:wait("From the second  (0/2 decided, 1 file, second: connecting since", true)
    t.ok(list:find("From the first  (0/2 decided, 1 file)", 1, true))
    t.match(list, "Review which suggestion%? %(second: connecting since %d%d:%d%d:%d%d%)")
    s:type("1", "Enter")
    s:wait("From the first", true)
    s:wait("0/2 decided · real: connected", true)
  end)
end)

describe("a base that moved", function()
  it("B9: is said in the title, the list and the statusline", function()
    local server = start()
    server:publish(NEW, "Two words")
    open_nvim(server:settings())
    listed(1)
    review()
    t.write(server.checkout .. "/other.txt", "other\n")
    server:git("checkout", "add", "other.txt")
    server:git("checkout", "commit", "--quiet", "--message=other")
    server:git(
      "checkout",
      "-c",
      "http.extraHeader=Authorization: Bearer " .. server.token,
      "push",
      "--quiet",
      "origin",
      "HEAD:main"
    )
    s:wait("0/2 decided · base moved", true, 10000)
    t.match(s:lua([[return require("suggestion-review").statusline()]]), "2 hunks to decide · base moved")
    s:type("q")
    s:lua([[vim.schedule(function() vim.cmd("Suggest list") end)]])
    s:wait("Two words  (0/2 decided, 1 file, base moved", true)
  end)
end)

describe("a hunk out of sight", function()
  for _, style in ipairs({ "floating", "inline" }) do
    it("B9: is not decided by a key typed in another tab page, " .. style, function()
      local server = start()
      local id = server:publish(NEW, "Two words")
      open_nvim(server:settings())
      listed(1)
      s:lua(([[require("suggestion-review.review").open(nil, { style = %q })]]):format(style))
      s:wait("1/2 pending", true)
      s:lua([[vim.cmd("tabnew") vim.cmd("edit other.txt")]])
      t.wait(function()
        return not s:capture():find("1/2 pending", 1, true)
      end)
      for _, keys in ipairs({ { "Space", "s", "a" }, { "Space", "s", "A" }, { "Space", "s", "x" } }) do
        s:lua([[vim.cmd("tablast")]])
        s:type(unpack(keys))
        s:wait("1/2 pending", true)
        s:wait("nothing was decided yet", true)
        t.eq(s:lua([[return next(require("suggestion-review.review").session().sent) == nil]]), true)
      end
      t.eq(states(server, id), { "pending", "pending" })
      -- Seen, the same key decides.
      s:type("Space", "s", "a")
      t.wait(function()
        return vim.deep_equal(states(server, id), { "accepted", "pending" })
      end)
    end)
  end
end)

describe("a server that is down", function()
  it("C12: is what <leader>sr says, since when, and what is tried", function()
    local server = start()
    server:stop("sigkill")
    open_nvim(server:settings(), { columns = 160, extra = "vim.o.cmdheight = 2" })
    s:wait_lua(
      [[
      return require("suggestion-review.connection.client").state().state == "waiting"
    ]],
      10000
    )
    s:type("Space", "s", "r")
    s:wait("No connection to real since %d%d:%d%d:%d%d: nothing listens there%. Trying again")
    t.eq(s:capture():find("No suggestion waits", 1, true), nil)
    server:serve()
    s:wait_lua([[return require("suggestion-review.connection.client").state().state == "connected"]], 40000)
    s:type("Space", "s", "r")
    s:wait("No suggestion waits for review", true)
  end)
end)

describe("messages that nobody asked for", function()
  --- The editor takes keys, and none was taken for an answer.
  local function goes_on()
    s:type("Escape", "i", "x", "Escape")
    s:wait_lua([[return vim.api.nvim_buf_get_lines(0, 0, 1, false)[1]:sub(1, 1) == "x"]])
    s:type("u")
    t.eq(mode().blocking, false)
    t.eq(s:capture():find("Press ENTER", 1, true), nil)
  end

  it("E9: never ask for ENTER, however long and however many", function()
    local server = start()
    open_nvim(server:settings(), { columns = 60, lines = 16 })
    s:wait_lua([[return require("suggestion-review.connection.client").state().state == "connected"]], 10000)
    server:publish(NEW, ("A title that goes on and on "):rep(12))
    s:wait("Suggestion ready", true)
    goes_on()
    s:lua([[
      local notify = require("suggestion-review.say.notify")
      for i = 1, 5 do
        notify.error(("number %d: "):format(i) .. ("a long sentence about it, "):rep(20))
        notify.info("and more:\nline two\nline three\nline four")
        notify.warn("ein Satz mit Ümlauten und 漢字 " .. ("漢字 "):rep(40))
      end
    ]])
    s:wait("ein Satz mit", true)
    goes_on()
    -- All of it is in the log, and each in the list of messages.
    local log = t.read(s:lua([[return require("suggestion-review.say.log").path()]]))
    t.ok(log:find(("a long sentence about it, "):rep(20), 1, true))
    t.ok(log:find("and more:\nline two", 1, true))
    local messages = s:lua([[return vim.fn.execute("messages")]])
    t.match(messages, "number 1: a long")
    t.match(messages, "and more: · line two · line three")
  end)

  it("E9: wait until a command line or a question is done with", function()
    local server = start()
    open_nvim(server:settings(), { columns = 60, lines = 16 })
    s:wait_lua([[return require("suggestion-review.connection.client").state().state == "connected"]], 10000)
    s:text(":let g:typed = 1")
    s:wait(":let g:typed = 1", true)
    s:lua([[require("suggestion-review.say.notify").warn("a message meanwhile")]])
    s:text("2")
    s:wait(":let g:typed = 12", true)
    t.eq(s:capture():find("a message meanwhile", 1, true), nil)
    s:type("Enter")
    s:wait("a message meanwhile", true)
    t.eq(s:lua([[return vim.g.typed]]), 12)
    goes_on()
  end)

  it("E9: of the settings that are wrong are one line", function()
    local server = start()
    local settings = server:settings()
    settings.no_such_setting = 1
    settings.ui = { style = "weird", border = 7, nothing = true }
    open_nvim(settings, { columns = 60, lines = 16 })
    s:wait("suggestion-review: ", true)
    goes_on()
  end)
end)
