-- luacheck: read globals t describe it before_each after_each pending
--- Nothing is accepted that was not shown: links, files that run by themselves, hunks without lines, long ones; in
--- every style, in a terminal, against the real server on a real repository.

local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("what is shown before it is accepted", "needs Bun, jj and tmux")
  return
end

local server
---@type Screen
local s
local suggestion

---@param file string
---@param columns? integer
local function open_nvim(file, columns)
  s = screen.start({
    cwd = server.checkout,
    columns = columns or 110,
    lines = 40,
    file = file,
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.termguicolors = true
      vim.o.ruler, vim.o.showcmd, vim.o.swapfile, vim.o.shada = false, false, false, ""
      vim.o.shortmess = vim.o.shortmess .. "FWIc"
      vim.g.mapleader = " "
      vim.notify = function(message) table.insert(_G.notes, message) end
      _G.notes = {}
      require("suggestion-review").setup(%s)
    ]]):format(t.root .. "/nvim", vim.inspect(server:settings())),
  })
  s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
end

after_each(function()
  if s then
    s:stop()
  end
  if server then
    server:stop("sigkill")
  end
  s, server = nil, nil
end)

---@param style string
local function review(style)
  s:lua([[require("suggestion-review.review").open(nil, { style = ... })]], style)
  s:wait_lua([[return require("suggestion-review.review").session() ~= nil]])
end

--- Names of the files whose hunks are accepted, as the server has them.
local function accepted()
  local names = {}
  for _, hunk in ipairs(server:http("GET", "/suggestions/" .. suggestion .. "/hunks?limit=100").hunks) do
    if hunk.state == "accepted" then
      names[#names + 1] = hunk.file
    end
  end
  return names
end

local function wait_accepted(names)
  local last
  local ok = pcall(t.wait, function()
    last = accepted()
    return vim.deep_equal(last, names)
  end)
  if not ok then
    t.eq(last, names, s:capture())
  end
end

--- Makes the file's first hunk the current one.
local function at(file)
  s:lua(
    [[
    local current = require("suggestion-review.review.current")
    for index, hunk in ipairs(current.get().hunks) do
      if hunk.file == ... then
        return current.go(index, { text = true })
      end
    end
  ]],
    file
  )
end

local function link_of(name)
  return (vim.uv.fs_readlink(server.checkout .. "/" .. name))
end

local BIG = {}
for i = 1, 12000 do
  BIG[i] = ("line %d of a file that is too large for one message"):format(i)
end
BIG = table.concat(BIG, "\n") .. "\n"

local LINKS = {
  conf = ".git/config",
  evil = "/etc/passwd",
  fine = "sub/file.txt",
  step = "up/../OUT",
  up = ".",
}

--- A suggestion of links, files that run by themselves, a binary and a big file.
local function publish_all()
  server = real.start({ ["a.txt"] = "one\n", ["sub/file.txt"] = "inside\n", ["pic.bin"] = "\0one" })
  for name, target in pairs(LINKS) do
    assert(vim.uv.fs_symlink(target, server.agent .. "/" .. name))
  end
  suggestion = server:publish({
    ["a.txt"] = "two\n",
    ["big.txt"] = BIG,
    ["pic.bin"] = "\0two!",
    Makefile = "all:\n\ttrue\n",
    [".envrc"] = "export X=1\n",
  }, "Links and more")
end

describe("what must not be overlooked", function()
  it("B2, B6, B8: is shown in the floating review, asked about, and named in the plan", function()
    publish_all()
    open_nvim("a.txt")
    review("floating")
    at(".envrc")
    s:wait("! direnv runs it on entering the folder", true)
    at("evil")
    s:wait("after:  symbolic link -> /etc/passwd", true)
    s:wait("! it leads out of the worktree: evil -> /etc/passwd", true)
    at("step")
    s:wait("! it leads out of the worktree: step -> up/../OUT", true)
    at("conf")
    s:wait("! it leads into a repository's own data: conf -> .git/config", true)
    at("pic.bin")
    s:wait("before: file, 4 bytes, object", true)
    s:wait("after:  file, 5 bytes, object", true)

    -- A batch names them; those are left.
    s:type("A")
    s:wait("6 hunks want a second look of 10", true)
    for _, said in ipairs({
      ".envrc: direnv runs it on entering the folder",
      "Makefile: make runs it",
      "big.txt: not shown: too large to be shown at once",
      "conf: it leads into a repository's own data: conf -> .git/config",
      "evil: it leads out of the worktree: evil -> /etc/passwd",
      "step: it leads out of the worktree: step -> up/../OUT",
    }) do
      t.ok(s:capture():find(said, 1, true), said .. "\n" .. s:capture())
    end
    s:type("l")
    wait_accepted({ "a.txt", "fine", "pic.bin", "up" })
    t.wait(function()
      return link_of("fine") == "sub/file.txt" and link_of("up") == "."
    end)
    t.eq({ link_of("conf"), link_of("evil"), link_of("step") }, {})

    -- One by one: a link out of the worktree is asked about, and is not made before it is adopted.
    at("evil")
    s:type("a")
    s:wait("Accept it all the same?", true)
    s:type("n")
    s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
    t.eq(#accepted(), 4)
    s:type("a")
    s:wait("Accept it all the same?", true)
    s:type("y")
    wait_accepted({ "a.txt", "evil", "fine", "pic.bin", "up" })
    t.eq(link_of("evil"), nil)

    -- A file that runs by itself is marked, and not asked about when it is on the screen.
    at(".envrc")
    s:type("a")
    wait_accepted({ ".envrc", "a.txt", "evil", "fine", "pic.bin", "up" })

    -- What is too large for a message is read first, or that it was not is said.
    at("big.txt")
    s:wait("(too large to be shown at once; accepting shows it first)", true)
    s:type("a")
    s:wait("+line 1 of a file", true)
    s:type("a")
    s:wait("+line 40 of a file", true)
    t.eq(#accepted(), 6)
    s:type("G")
    s:wait("+line 12000 of a file", true)
    s:type("a")
    s:wait("lines were not on the screen", true)
    s:type("y")
    wait_accepted({ ".envrc", "a.txt", "big.txt", "evil", "fine", "pic.bin", "up" })
    t.wait(function()
      return t.read(server.checkout .. "/big.txt") == BIG
    end)

    -- The rest on purpose, and the plan says it again.
    s:type("A")
    s:wait("3 hunks want a second look of 3", true)
    s:type("a")
    wait_accepted({
      ".envrc",
      "Makefile",
      "a.txt",
      "big.txt",
      "conf",
      "evil",
      "fine",
      "pic.bin",
      "step",
      "up",
    })
    t.eq({ link_of("conf"), link_of("step") }, {})
    s:type("Enter")
    s:wait("Finalize “Links", true)
    s:type("f")
    s:wait("<CR> do it", true, 15000)
    local plan = s:wait("Look at this before you go on:", true)
    for _, said in ipairs({
      "! .envrc: direnv runs it",
      "! Makefile: make runs it",
      "! conf: it leads into a repository's own data: conf -> .git/config",
      "! evil: it leads out of the worktree: evil -> /etc/passwd",
      "  fine -> sub/file.txt",
      "! step: it leads out of the worktree: step -> up/../OUT",
    }) do
      t.ok(plan:find(said, 1, true), said .. "\n" .. plan)
    end
    s:type("Enter")
    t.wait(function()
      return link_of("conf") == ".git/config" and link_of("evil") == "/etc/passwd"
    end, 10000)
    -- HEAD moves last.
    t.wait(function()
      return server:git("checkout", "status", "--porcelain") == ""
    end, 10000)
  end)

  it("B2, B6, C4: is asked about where several are accepted by a count or a selection", function()
    publish_all()
    open_nvim("a.txt")
    review("floating")
    local function sent()
      return s:lua([[return vim.tbl_count(require("suggestion-review.review").session().sent)]])
    end
    at("a.txt")
    s:text("3a")
    s:wait("2 hunks want a second look of 3", true)
    s:type("c")
    s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
    t.eq(sent(), 0)
    t.eq(accepted(), {})
    s:text("3a")
    s:wait("2 hunks want a second look of 3", true)
    for _, said in ipairs({
      "big.txt: not shown: too large to be shown at once",
      "conf: it leads into a repository's own data: conf -> .git/config",
    }) do
      t.ok(s:capture():find(said, 1, true), said .. "\n" .. s:capture())
    end
    s:type("l")
    wait_accepted({ "a.txt" })
    t.wait(function()
      return sent() == 0
    end)
    -- A link by its headline.
    at("evil")
    s:text("Va")
    s:wait("Accept it all the same?", true)
    s:type("n")
    s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
    t.eq(accepted(), { "a.txt" })
    t.eq(sent(), 0)
  end)

  it("B2, B6: is shown inline, beside what comes; a hunk longer than that is shown whole first", function()
    local long = {}
    for i = 1, 700 do
      long[i] = "new line " .. i
    end
    server = real.start({ Makefile = "all:\n\ttrue\n", ["long.txt"] = "one\n", conf = "text\n" })
    vim.fn.delete(server.agent .. "/conf")
    assert(vim.uv.fs_symlink(".git/config", server.agent .. "/conf"))
    suggestion = server:publish(
      { Makefile = "all:\n\tfalse\n", ["long.txt"] = table.concat(long, "\n") .. "\n" },
      "Inline"
    )
    open_nvim("Makefile")
    review("inline")
    at("Makefile")
    s:wait("! make runs it", true)
    at("conf")
    s:wait("after:  symbolic link -> .git/config", true)
    s:wait("! it leads into a repository's own data: conf -> .git/config", true)
    s:lua([[vim.schedule(function() require("suggestion-review.review").accept() end)]])
    s:wait("Accept it all the same?", true)
    s:type("n")
    t.eq(accepted(), {})
    at("long.txt")
    s:wait("+ new line 1", true)
    s:lua([[vim.schedule(function() require("suggestion-review.review").accept() end)]])
    s:wait("+new line 1", true)
    s:wait("read on, then accept", true)
    t.eq(accepted(), {})
    for _ = 1, 60 do
      if #accepted() > 0 then
        break
      end
      s:type("a")
    end
    wait_accepted({ "long.txt" })
    t.eq(
      s:lua([[return #vim.tbl_filter(function(note) return note:find("not on the screen") end, _G.notes)]]),
      0
    )
  end)

  it("B8: is shown by the picker before the choice: all of it, page by page where it is long", function()
    local long = {}
    for i = 1, 90 do
      long[i] = "new line " .. i
    end
    server = real.start({ ["a.txt"] = "one\n", ["pic.bin"] = "\0one" })
    suggestion = server:publish(
      { ["a.txt"] = "two\n", ["long.txt"] = table.concat(long, "\n") .. "\n", ["pic.bin"] = "\0two!" },
      "Pick"
    )
    open_nvim("a.txt")
    review("picker")
    s:wait("Type number", true)
    s:text("1")
    s:type("Enter")
    local shown = s:wait("1: accept", true)
    t.ok(shown:find("-one", 1, true) and shown:find("+two", 1, true), shown)
    s:text("1")
    s:type("Enter")
    wait_accepted({ "a.txt" })
    s:wait("1/3 decided", true)
    s:text("2")
    s:type("Enter")
    -- The list of actions of the hunk before may be on the screen still.
    t.wait(function()
      shown = s:capture()
      return shown:find("before: file, 4 bytes, object", 1, true) and shown:find("1: accept", 1, true)
    end)
    t.ok(shown:find("after:  file, 5 bytes, object", 1, true), shown)
    s:text("1")
    s:type("Enter")
    wait_accepted({ "a.txt", "pic.bin" })
    s:wait("2/3 decided", true)
    s:text("1")
    s:type("Enter")
    -- No choice before the end.
    s:wait("read on, then choose", true)
    t.ok(not s:capture():find("1: accept", 1, true))
    s:wait("+new line 1", true)
    local pages = 0
    while not s:capture():find("1: accept", 1, true) do
      pages = pages + 1
      t.ok(pages < 10, s:capture())
      local before = s:capture()
      s:type("Enter")
      t.wait(function()
        return s:capture() ~= before
      end)
    end
    t.ok(pages >= 3, tostring(pages))
    s:text("1")
    s:type("Enter")
    wait_accepted({ "a.txt", "long.txt", "pic.bin" })
  end)

  it("B8: of a submodule is its commits, with their log where the checkout has them", function()
    server = real.start({ ["a.txt"] = "one\n" })
    local source = server.directory .. "/module"
    vim.fn.mkdir(source, "p")
    local function git(directory, ...)
      return vim.trim(t.run({ t.program("git"), ... }, { cwd = directory, env = server.environment }))
    end
    git(source, "init", "--quiet")
    git(source, "commit", "--quiet", "--allow-empty", "--message=First of the module")
    local first = git(source, "rev-parse", "HEAD")
    git(source, "commit", "--quiet", "--allow-empty", "--message=Second of the module")
    local second = git(source, "rev-parse", "HEAD")
    local function commit(oid, message)
      git(server.agent, "update-index", "--add", "--cacheinfo", "160000," .. oid .. ",module")
      git(server.agent, "commit", "--quiet", "--message=" .. message)
      return git(server.agent, "rev-parse", "HEAD")
    end
    commit(first, "with a module")
    suggestion = server:publish({}, "Module", commit(second, "a newer module"))
    git(server.checkout, "clone", "--quiet", source, "module")
    open_nvim("a.txt")
    review("floating")
    s:wait("before: submodule " .. first, true)
    s:wait("after:  submodule " .. second, true)
    s:wait("Second of the module", true)
    t.ok(not s:capture():find("First of the module", 1, true))
  end)
end)
