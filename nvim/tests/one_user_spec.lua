--- One user: the agent works in the very checkout that is open in Neovim. In a terminal, since a dialog is what must
--- not come; against the real server.
local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("one user in a terminal", "needs Bun, jj and tmux")
  return
end

local OLD = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
local NEW = (OLD:gsub("two", "TWO"):gsub("nine", "NINE"))

---@type Real
local server
---@type Screen
local s
---@type string
local id

---@param opts? { autoread?: boolean, files?: table<string, string|false> }
local function begin(opts)
  opts = opts or {}
  server = real.start({ ["a.txt"] = OLD })
  id = server:publish(opts.files or { ["a.txt"] = NEW }, "Shout")
  local settings = server:settings()
  settings.server.root = server.agent
  s = screen.start({
    cwd = server.agent,
    file = "a.txt",
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.swapfile, vim.o.shada, vim.o.autoread = false, "", %s
      _G.notes = {}
      vim.notify = function(message) table.insert(_G.notes, message) end
      require("suggestion-review").setup(%s)
    ]]):format(t.root .. "/nvim", tostring(opts.autoread ~= false), vim.inspect(settings)),
  })
  s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
end

local function open_review()
  s:lua([[vim.schedule(require("suggestion-review").open)]])
  s:wait_lua([[return require("suggestion-review.review").is_open()]])
end

--- Rejects a hunk, and lets the agent's repository follow.
---@param index integer
---@param expected string|nil what is in the file then
local function reject(index, expected)
  local before = server:http("GET", "/suggestions/" .. id).rejected_count
  s:lua([[require("suggestion-review.review").go(...)]], index)
  s:lua([[require("suggestion-review.review").reject({ comment = "no" })]])
  t.wait(function()
    return server:http("GET", "/suggestions/" .. id).rejected_count > before
  end)
  server:http("POST", "/settle", { project = server.project })
  t.wait(function()
    return t.read(server.agent .. "/a.txt") == expected
  end, 10000, "the agent's file to be settled")
end

local function buffer()
  return table.concat(s:lua([[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("a.txt"), 0, -1, false)]]), "\n")
    .. "\n"
end

--- Accepts every hunk, and waits until server and screen know.
local function accept_every_hunk()
  for index = 1, #server:http("GET", "/suggestions/" .. id).hunks do
    s:lua([[require("suggestion-review.review").go(...)]], index)
    s:lua([[require("suggestion-review.review").accept()]])
  end
  t.wait(function()
    local suggestion = server:http("GET", "/suggestions/" .. id)
    return suggestion.accepted_count == suggestion.hunk_count
  end)
  s:wait_lua([[local suggestion = require("suggestion-review").list()[1]
    return suggestion.accepted_count == suggestion.hunk_count]])
end

--- Has Neovim look at its files as it does when its window gets the focus; no question may come.
local function focus()
  s:lua([[vim.cmd("doautocmd <nomodeline> FocusGained"); vim.cmd("checktime")]])
  t.eq(s:lua([[return vim.api.nvim_get_mode().blocking]]), false)
  local shown = s:capture()
  t.ok(not shown:find("W1[12]"), shown)
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

describe("one user: what is rejected", function()
  it("A13: goes out of a buffer with unsaved edits elsewhere, which stay, without a dialog", function()
    begin()
    s:lua([[vim.api.nvim_buf_set_lines(0, 4, 5, false, { "mine" })]])
    open_review()
    reject(1, (NEW:gsub("TWO", "two")))
    local expected = OLD:gsub("five", "mine"):gsub("nine", "NINE")
    s:wait_lua([[return vim.fn.getbufline("a.txt", 2)[1] == "two"]])
    t.eq(buffer(), expected)
    t.eq(s:lua([[return vim.bo[vim.fn.bufnr("a.txt")].modified]]), true)
    focus()
    t.eq(buffer(), expected)
    -- Written without a question, and without the rejected text.
    s:lua([[require("suggestion-review.review").close()]])
    s:text(":w")
    s:type("Enter")
    t.wait(function()
      return t.read(server.agent .. "/a.txt") == expected
    end, 15000, "the file to be written: " .. s:capture())
    -- One step back is what was in the buffer before.
    s:lua([[vim.cmd("silent undo")]])
    t.eq(buffer(), (NEW:gsub("five", "mine")))
  end)

  it("A13: leaves lines alone that were edited and not saved, and says so", function()
    begin()
    s:lua([[vim.api.nvim_buf_set_lines(0, 1, 2, false, { "TWO and mine" })]])
    open_review()
    reject(1, (NEW:gsub("TWO", "two")))
    s:wait_lua(
      [[return table.concat(_G.notes, "\n"):find("in lines that you have edited (line 2)", 1, true)]]
    )
    focus()
    t.eq(buffer(), (NEW:gsub("TWO", "TWO and mine")))
  end)

  it("A13: comes without a question under 'noautoread', whether or not the review is open", function()
    begin({ autoread = false })
    open_review()
    reject(1, (NEW:gsub("TWO", "two")))
    focus()
    s:wait_lua([[return vim.fn.getbufline("a.txt", 2)[1] == "two"]])
    reject(2, OLD)
    s:lua([[require("suggestion-review.review").close()]])
    focus()
    s:wait_lua([[return vim.fn.getbufline("a.txt", 9)[1] == "nine"]])
    t.eq(s:lua([[return vim.bo[vim.fn.bufnr("a.txt")].modified]]), false)
    t.eq(s:lua([[return vim.o.autoread]]), false)
  end)

  it("A13: finds the buffer also where Neovim asks before the review does", function()
    begin()
    s:lua([[vim.api.nvim_buf_set_lines(0, 4, 5, false, { "mine" })]])
    open_review()
    -- As the agent writes it, before any event of it.
    t.write(server.agent .. "/a.txt", (NEW:gsub("TWO", "two")))
    focus()
    s:wait_lua([[return vim.fn.getbufline("a.txt", 2)[1] == "two"]])
    t.eq(buffer(), (OLD:gsub("five", "mine"):gsub("nine", "NINE")))
  end)

  it("A13: a file that another process removed stays in its buffer when hunks are decided", function()
    begin()
    local mine = NEW:gsub("five", "mine")
    s:lua([[vim.api.nvim_buf_set_lines(0, 4, 5, false, { "mine" }); vim.cmd("silent write")]])
    s:lua([[vim.cmd("silent edit other.txt")]])
    open_review()
    os.remove(server.agent .. "/a.txt")
    accept_every_hunk()
    s:lua([[require("suggestion-review.review").close()]])
    t.eq(buffer(), mine)
    t.eq(s:lua([[return vim.fn.bufloaded("a.txt")]]), 1)
  end)

  for _, own in ipairs({ false, true }) do
    local ends = own and "stays in its buffer, where lines of one's own are in it"
      or "goes from its buffer too"
    it("A13: a file that the suggestion deletes " .. ends, function()
      begin({ files = { ["b.txt"] = "b\n" } })
      if own then
        s:lua([[vim.api.nvim_buf_set_lines(0, 4, 5, false, { "mine" }); vim.cmd("silent write")]])
      end
      local change = server:http("GET", "/suggestions/" .. id).jj_change_id
      server:publish({ ["a.txt"] = false }, "Shout", change)
      s:wait_lua([[return require("suggestion-review").list()[1].revision == 2]])
      t.eq(s:lua([[return vim.fn.bufloaded("a.txt")]]), 1)
      open_review()
      accept_every_hunk()
      if own then
        t.eq(buffer(), (OLD:gsub("five", "mine")))
      else
        s:wait_lua([[return vim.fn.bufexists("a.txt") == 0]])
      end
    end)
  end
end)
