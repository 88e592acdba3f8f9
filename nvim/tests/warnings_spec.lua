--- What is left out of a suggestion stands at the head of its review and before finalize, in a terminal, against the
--- real server.
local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("warnings in a terminal", "needs Bun, jj and tmux")
  return
end

local OLD = { ["a.txt"] = "one\ntwo\n", ["b.txt"] = "one\ntwo\n" }
local NEW = { ["a.txt"] = "one\nTWO\n", ["b.txt"] = "one\nTWO\n" }

---@type Real
local server
---@type Screen
local s

---@param style string
---@param file string
local function begin(style, file)
  server = real.start(OLD)
  t.run({ "mkfifo", server.agent .. "/pipe" })
  server:publish(NEW, "Shout")
  local settings = vim.tbl_extend("force", server:settings(), { ui = { style = style } })
  s = screen.start({
    cwd = server.checkout,
    file = file,
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.swapfile, vim.o.shada = false, ""
      _G.notes = {}
      vim.notify = function(message) table.insert(_G.notes, message) end
      require("suggestion-review").setup(%s)
    ]]):format(t.root .. "/nvim", vim.inspect(settings)),
  })
  s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
  s:lua([[vim.schedule(require("suggestion-review").open)]])
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

describe("warnings", function()
  it("C11: stand above the first hunk, in the title and before finalize", function()
    begin("floating", "b.txt")
    s:wait("Not in this suggestion:", true)
    local shown = s:wait("pipe: a FIFO cannot be part of a suggestion", true)
    t.ok(shown:find("1 left out", 1, true), shown)
    t.ok(shown:find("a FIFO", 1, true) < shown:find("TWO", 1, true), shown)
    s:type("A")
    s:wait_lua([[return require("suggestion-review.review").session().decided == 2]])
    s:type("Enter")
    shown = s:wait("Finalize “Shout”", true)
    t.match(shown, "Not in this suggestion:\n[^\n]*pipe: a FIFO")
    s:type("c")
  end)

  it("C11: stand above the first hunk in the file itself", function()
    begin("inline", "a.txt")
    local shown = s:wait("pipe: a FIFO cannot be part of a suggestion", true)
    t.ok(shown:find("Not in this suggestion:", 1, true), shown)
    t.match(table.concat(s:lua("return _G.notes"), "\n"), "Not in this suggestion: pipe: a FIFO")
  end)
end)
