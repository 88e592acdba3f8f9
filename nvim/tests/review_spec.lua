--- The review by keys, in a terminal, against the real server on a real repository. Screens that people look at are
--- kept in tests/screens; UPDATE_SCREENS=1 writes them anew.

local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("review in a terminal", "needs Bun, jj and tmux")
  return
end

local APP = [[
local config = require("config")

local M = {}

function M.parse(input)
  local parts = vim.split(input, ",")
  return vim.tbl_map(tonumber, parts)
end

function M.sum(x, y)
  local z = 1
  return x + y
end

function M.unused()
  return nil
end

-- a long stretch of unchanged code follows
]]
for i = 1, 30 do
  APP = APP .. ("M.value%d = %d\n"):format(i, i * i)
end
APP = APP .. "\nreturn M\n"

local function replace(text, old, new)
  local from, to = text:find(old, 1, true)
  return text:sub(1, from - 1) .. new .. text:sub(to + 1)
end

local TRIM = "tbl_map(function(part) return tonumber(vim.trim(part)) end, parts)"
local VALID = '  -- Validate first\n  if x < 0 or y < 0 then error("negative") end\n  return x + y\n'
local NEW_APP = APP
NEW_APP = replace(NEW_APP, "tbl_map(tonumber, parts)", TRIM)
NEW_APP = replace(NEW_APP, "  return x + y\n", VALID)
NEW_APP = replace(NEW_APP, "function M.unused()\n  return nil\nend\n\n", "")
NEW_APP = replace(NEW_APP, "M.value7 = 49", "M.value7 = 50")

local OLD = { ["lua/app.lua"] = APP, ["lua/greet.lua"] = 'return "hello"\n', ["old.txt"] = "one\ntwo\n" }
local NEW = {
  ["lua/app.lua"] = NEW_APP,
  ["lua/greet.lua"] = 'return "hello world"\n',
  ["old.txt"] = false,
  ["docs/new.md"] = "# New\n\nA file that was not there.\n",
}

---@type Real
local server
---@type Screen
local s
local suggestion

---@param opts? { columns?: integer, lines?: integer, settings?: string, file?: string }
local function open_nvim(opts)
  opts = opts or {}
  s = screen.start({
    cwd = server.checkout,
    columns = opts.columns,
    lines = opts.lines,
    file = opts.file or "lua/app.lua",
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
      %s
    ]]):format(t.root .. "/nvim", vim.inspect(server:settings()), opts.settings or ""),
  })
  s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
end

local function begin(opts)
  server = real.start(OLD)
  suggestion = server:publish(NEW, "Validate and trim the input\n\nA longer text below.")
  open_nvim(opts)
end

local function finish()
  if s then
    s:stop()
  end
  if server then
    server:stop("sigkill")
  end
  s, server = nil, nil
end

--- States of all hunks, as the server has them.
local function states()
  local out = {}
  local answer = server:http("GET", "/suggestions/" .. suggestion)
  for _, hunk in ipairs(answer.hunks) do
    out[#out + 1] = hunk.state
  end
  return out, answer
end

--- For failures: the screen, and what was notified.
local function shown()
  return s:capture()
    .. "\nnotified: "
    .. vim.inspect(s:lua([[return _G.notes]]))
    .. s:lua([[return vim.fn.execute("messages")]])
end

local function wait_states(expected)
  local last
  local ok = pcall(t.wait, function()
    last = states()
    return vim.deep_equal(last, expected)
  end, 15000)
  if not ok then
    t.eq(last, expected, shown())
  end
end

--- Extmarks of the inline review in the current buffer, as Lua run in the terminal's Neovim.
local MARKS = [[
  local namespace = vim.api.nvim_create_namespace("suggestion-review.inline")
  local marks = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
]]

local P, A, R, M = "pending", "accepted", "rejected", "modified"

local function checkout(path)
  return t.read(server.checkout .. "/" .. path)
end

local function wait_file(path, text)
  local last
  local ok = pcall(t.wait, function()
    last = checkout(path)
    return last == text
  end, 15000)
  if not ok then
    t.eq(last, text, shown())
  end
end

--- Compares the screen with the one people have looked at.
local function golden(name)
  local path = ("%s/nvim/tests/screens/%s.txt"):format(t.root, name)
  local last
  local function trimmed()
    return (s:capture():gsub("%s+$", "")) .. "\n"
  end
  if vim.env.UPDATE_SCREENS then
    -- Still, when it looked the same many times in a row.
    local before, same = nil, 0
    t.wait(function()
      before, last = last, trimmed()
      same = before == last and same + 1 or 0
      return same == 30
    end, 10000)
    t.write(path, last)
    return
  end
  local expected = t.read(path)
  local ok = pcall(t.wait, function()
    last = trimmed()
    return last == expected
  end, 15000)
  if not ok then
    error(("the screen is not %s:\n%s\n--- expected\n%s"):format(name, last, expected), 2)
  end
end

local function at(number)
  s:wait_lua(
    ([[local x = require("suggestion-review.review").session() return x and x.index == %d]]):format(number)
  )
end

local function review()
  s:type("Space", "s", "r")
  s:wait_lua([[return require("suggestion-review").is_open()]])
  s:wait(" decided ", true)
end

describe("the floating review", function()
  after_each(finish)

  it("opens on <leader>sr at the file one is in, and shows what is asked", function()
    begin()
    s:type("Space", "s", "r")
    s:wait("Validate and trim the input", true)
    at(2)
    golden("floating")
    s:type("n")
    at(3)
    s:type("]", "h")
    at(4)
    s:type("[", "h")
    s:type("p")
    at(2)
    s:type("]", "f")
    s:wait("lua/greet.lua", true)
    s:type("?")
    s:wait("Keys of the review", true)
    golden("help")
    s:type("q")
    s:type("q")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    t.eq(states(), { P, P, P, P, P, P, P })
  end)

  it("accepts into the developer's files at once, and takes it back", function()
    begin()
    review()
    at(2)
    s:type("a")
    wait_states({ P, A, P, P, P, P, P })
    wait_file("lua/app.lua", replace(APP, "tbl_map(tonumber, parts)", TRIM))
    at(3)
    s:type("a")
    wait_states({ P, A, A, P, P, P, P })
    s:type("u")
    wait_states({ P, A, P, P, P, P, P })
    s:type("u")
    wait_states({ P, P, P, P, P, P, P })
    wait_file("lua/app.lua", APP)
    s:type("C-r")
    wait_states({ P, A, P, P, P, P, P })
    wait_file("lua/app.lua", replace(APP, "tbl_map(tonumber, parts)", TRIM))
    t.eq(s:lua([[return vim.bo[vim.fn.bufnr("lua/app.lua")].modified]]), false)
  end)

  it("decides as fast as one types", function()
    begin()
    review()
    at(2)
    s:text("aaaa")
    wait_states({ P, A, A, A, A, P, P })
    wait_file("lua/app.lua", NEW_APP)
  end)

  it("rejects with a reason, without one, and not at all on <Esc>", function()
    begin()
    review()
    s:type("r")
    s:wait("Reject because", true)
    s:text("not needed")
    s:type("Enter")
    wait_states({ P, R, P, P, P, P, P })
    s:wait("✘ 2/7 rejected", true)
    s:wait("» not needed", true)
    local _, whole = states()
    t.eq(whole.hunks[2].decision.comment, "not needed")
    at(3)
    s:type("r")
    s:wait("Reject because", true)
    s:type("Enter")
    wait_states({ P, R, R, P, P, P, P })
    at(4)
    s:type("r")
    s:wait("Reject because", true)
    s:type("Escape")
    s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
    t.eq(states(), { P, R, R, P, P, P, P })
    at(4)
  end)

  it("repeats a decision with the dot", function()
    begin()
    review()
    s:type("r")
    s:wait("Reject because", true)
    s:text("same for all")
    s:type("Enter")
    wait_states({ P, R, P, P, P, P, P })
    at(3)
    s:type(".")
    wait_states({ P, R, R, P, P, P, P })
    local _, whole = states()
    t.eq(whole.hunks[3].decision.comment, "same for all")
    s:type("a")
    wait_states({ P, R, R, A, P, P, P })
    s:type(".")
    wait_states({ P, R, R, A, A, P, P })
  end)

  it("sends an edited hunk on :w, and changes nothing on :q", function()
    begin()
    review()
    s:type("m")
    s:wait("Edit lua/app.lua", true)
    golden("modify")
    t.eq(s:lua([[return vim.bo.filetype]]), "lua")
    s:text(":q!")
    s:type("Enter")
    s:wait_lua([[return vim.bo.filetype == "suggestion-review"]])
    t.eq(states(), { P, P, P, P, P, P, P })
    s:type("m")
    s:wait("Edit lua/app.lua", true)
    s:text("A -- mine")
    s:type("Escape")
    s:text(":w")
    s:type("Enter")
    wait_states({ P, M, P, P, P, P, P })
    wait_file("lua/app.lua", replace(APP, "tbl_map(tonumber, parts)", TRIM .. " -- mine"))
    local _, whole = states()
    t.match(whole.hunks[2].decision.modified_diff, "%-%- mine")
    s:type("u")
    wait_states({ P, P, P, P, P, P, P })
    wait_file("lua/app.lua", APP)
  end)

  it("takes <Plug> maps, with a selection and the dot", function()
    begin({
      settings = [[
      vim.keymap.set({ "n", "x" }, "gA", "<Plug>(suggestion-review-accept)")
      vim.keymap.set("n", "gN", "<Plug>(suggestion-review-next-file)")
    ]],
    })
    review()
    s:type("g", "A")
    wait_states({ P, A, P, P, P, P, P })
    at(3)
    s:type(".")
    wait_states({ P, A, A, P, P, P, P })
    at(4)
    s:type("V", "g", "A")
    t.wait(function()
      return #states() == 8
    end)
    t.eq(vim.list_slice(states(), 3, 5), { A, A, P })
    s:type("g", "N")
    s:wait("lua/greet.lua", true)
  end)

  it("decides the selected lines of a hunk alone", function()
    begin()
    review()
    s:type("n")
    at(3)
    s:type("V")
    s:type("a")
    t.wait(function()
      return #states() == 8
    end)
    t.eq(states(), { P, P, A, P, P, P, P, P })
    wait_file("lua/app.lua", replace(APP, "  return x + y\n", "  -- Validate first\n  return x + y\n"))
    s:type("u")
    wait_states({ P, P, P, P, P, P, P })
    wait_file("lua/app.lua", APP)
  end)

  it("accepts a file, the rest, and all of it back as one step", function()
    begin()
    review()
    s:type("f")
    wait_states({ P, A, A, A, A, P, P })
    wait_file("lua/app.lua", NEW_APP)
    s:type("A")
    wait_states({ A, A, A, A, A, A, A })
    wait_file("docs/new.md", NEW["docs/new.md"])
    wait_file("old.txt", nil)
    s:type("u")
    wait_states({ P, A, A, A, A, P, P })
    wait_file("docs/new.md", nil)
    wait_file("old.txt", OLD["old.txt"])
    s:type("X")
    s:wait("Reject the remaining 3", true)
    s:type("Enter")
    wait_states({ R, A, A, A, A, R, R })
  end)

  it("comments without deciding", function()
    begin()
    review()
    s:type("c")
    s:wait("Comment:", true)
    s:text("why so?")
    s:type("Enter")
    s:wait("» why so?", true)
    local now, whole = states()
    t.eq(now[2], P)
    t.eq(whole.hunks[2].comments[1].text, "why so?")
  end)

  it("asks before it discards, and <Esc> twice keeps everything", function()
    begin()
    review()
    s:type("Escape")
    s:wait("Discard “Validate", true)
    s:type("Escape")
    s:wait_lua([[return vim.api.nvim_get_mode().mode == "n"]])
    local _, whole = states()
    t.eq(whole.state, "open")
    s:type("Escape")
    s:wait("Discard “Validate", true)
    -- Keys of the review, and the one that the word begins with, confirm nothing.
    s:text("d")
    s:text("D")
    s:text("!")
    t.wait(function()
      return select(2, states()).state == "discarded"
    end)
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    t.eq(checkout("lua/app.lua"), APP)
  end)

  it("finalizes once after asking", function()
    begin()
    review()
    s:type("f")
    wait_states({ P, A, A, A, A, P, P })
    s:type("Enter")
    s:wait("Finalize “Validate", true)
    s:text("f")
    t.wait(function()
      local _, whole = states()
      return whole.state == "finalized" and whole.result
    end, 10000)
    s:wait_lua([[return not require("suggestion-review").is_open()]])
  end)

  it("shows unchanged lines on demand", function()
    begin()
    review()
    s:wait("lines unchanged", true)
    s:type("z", "R")
    t.wait(function()
      return not s:capture():find("⋯", 1, true)
    end)
    golden("expanded")
    s:type("z", "M")
    s:wait("lines unchanged", true)
  end)

  it("shows both sides beside each other, with a list of files", function()
    begin({ columns = 180, lines = 32 })
    review()
    at(2)
    s:wait("Files", true)
    golden("panel")
    s:type("s")
    s:wait("base of lua/app.lua", true)
    golden("side-by-side")
    s:type("a")
    wait_states({ P, A, P, P, P, P, P })
    s:type("Tab")
    s:wait_lua([[return vim.api.nvim_win_get_width(0) < 40]])
    s:type("j", "Enter")
    s:wait("base of lua/greet.lua", true)
    at(6)
  end)

  it("is readable at 80 by 24", function()
    begin({ columns = 80, lines = 24 })
    review()
    at(2)
    golden("small")
  end)

  it("shows what a file would become that is made, and one that goes", function()
    begin()
    review()
    s:type("[", "f")
    s:wait("docs/new.md", true)
    golden("create")
  end)

  it("has the hunk as a textobject", function()
    begin()
    review()
    s:type("y", "i", "h")
    s:wait_lua([[return vim.fn.getreg('"'):find("tbl_map(tonumber", 1, true) ~= nil]])
    t.eq(s:lua([[return #vim.split(vim.trim(vim.fn.getreg('"')), "\n")]]), 2)
  end)

  it("colours by syntax and by word, and keeps colours for what is near the screen only", function()
    server = real.start({ ["long.lua"] = "return 1\n" })
    local long = { "-- a remark", "return 1" }
    for i = 3, 4000 do
      long[i] = ('local value_%d = "text"'):format(i)
    end
    suggestion = server:publish({ ["long.lua"] = table.concat(long, "\n") .. "\n" }, "Long")
    open_nvim({ file = "long.lua" })
    review()
    -- Groups of the marks on the first line that holds a text, and how many rows have marks.
    local groups = [[
      local row = vim.fn.search(..., "cnw") - 1
      local out, count = {}, 0
      for _, name in ipairs({ "suggestion-review.view", "suggestion-review.view.headers" }) do
        local namespace = vim.api.nvim_create_namespace(name)
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
          count = count + (mark[4].hl_eol and 1 or 0)
        end
        local here = { row, 0 }
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, here, { row, -1 }, { details = true })) do
          out[mark[4].hl_group or "?"] = true
        end
      end
      return { out, count }
    ]]
    local comment = s:lua(groups, "^-- a remark")[1]
    t.ok(comment.SuggestionReviewAdd and comment["@comment.lua"], vim.inspect(comment))
    -- What one has not seen has no marks; what one comes to gets them; what one leaves far behind loses them.
    t.eq(s:lua(groups, "value_3999 ")[1], {})
    s:type("G")
    t.wait(function()
      return s:lua(groups, "value_3999 ")[1]["@string.lua"]
    end)
    for _ = 1, 120 do
      s:lua([[vim.cmd("normal! 30k") vim.cmd.redraw()]])
    end
    local _, count = unpack(s:lua(groups, "value_5 "))
    t.ok(count > 100 and count < 2000, ("%d rows have marks"):format(count))
    s:type("g", "g")
    t.wait(function()
      return s:lua(groups, "^-- a remark")[1]["@comment.lua"]
    end)
  end)

  it("lets every colour be seen: of the line, of the changed words, of the current hunk's rule", function()
    begin()
    review()
    local groups = s:lua([[
      local out = {}
      for name, what in pairs({ SuggestionReviewAdd = "bg", SuggestionReviewAddWord = "bg",
        SuggestionReviewDelete = "bg", SuggestionReviewPending = "fg", SuggestionReviewRule = "fg" }) do
        local color = vim.api.nvim_get_hl(0, { name = name, link = false })[what]
        out[name] = ("%d;%d;%d"):format(math.floor(color / 65536), math.floor(color / 256) % 256, color % 256)
      end
      return out
    ]])
    local function line_with(pattern)
      for line in vim.gsplit(s:colours(), "\n", { plain = true }) do
        if line:gsub("\27%[[%d;:]*m", ""):find(pattern) then
          -- tmux writes colours with ";" or ":" by version.
          return (line:gsub(":", ";"))
        end
      end
    end
    local added = line_with("%+   return vim.tbl_map%(function")
    t.match(added, "48;2;" .. groups.SuggestionReviewAdd)
    t.match(added, "48;2;" .. groups.SuggestionReviewAddWord)
    t.match(line_with("%-   return vim.tbl_map%(tonumber"), "48;2;" .. groups.SuggestionReviewDelete)
    -- Both halves of the current rule; of another hunk's only its state.
    local rule = line_with("○ 2/7 pending")
    t.ok(not rule:find("38;2;" .. groups.SuggestionReviewRule, 1, true), rule)
    t.match(line_with("○ 3/7 pending"), "38;2;" .. groups.SuggestionReviewRule)
  end)

  it("follows a change of colour scheme", function()
    begin()
    review()
    s:wait("+ ", true)
    local function marks()
      return s:lua([[
        local namespace = vim.api.nvim_create_namespace("suggestion-review.view")
        local count = 0
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
          count = count + (mark[4].hl_group == "@variable.lua" and 1 or 0)
        end
        return count
      ]])
    end
    -- In the default colours a variable looks like any text, so nothing is drawn for it.
    t.eq(marks(), 0)
    s:lua([[vim.cmd.colorscheme("habamax") vim.api.nvim_set_hl(0, "@variable", { fg = "#ff00ff" })
      vim.api.nvim_exec_autocmds("ColorScheme", {})]])
    t.wait(function()
      return marks() > 0
    end)
  end)

  it("says of a file that becomes a directory that it comes when adopted, and it does", function()
    server = real.start({ ["thing"] = "a file\n", ["other.txt"] = "one\n" })
    suggestion = server:publish(
      { ["thing"] = false, ["thing/inner.txt"] = "inside\n", ["other.txt"] = "two\n" },
      "Room for more"
    )
    open_nvim({ file = "thing" })
    review()
    s:wait("2/2 pending · swap", true)
    golden("swap")
    s:type("a")
    wait_states({ P, A })
    s:wait_lua(
      [[return (_G.notes[#_G.notes] or ""):find("brought over when the suggestion is adopted", 1, true)]]
    )
    t.eq(checkout("thing"), "a file\n")
    s:type("]", "f")
    s:wait("accepted · swap · brought over when adopted", true)
    -- Taken back, it waits for nothing.
    s:type("u")
    wait_states({ P, P })
    s:wait_lua([[return next(require("suggestion-review.review").session().outcomes) == nil]])
    s:type("a")
    wait_states({ P, A })
    s:type("Enter")
    s:wait("Finalize “Room", true)
    s:type("f")
    s:wait("<CR> do it", true, 15000)
    s:type("Enter")
    t.wait(function()
      local inner = server.checkout .. "/thing/inner.txt"
      return vim.uv.fs_stat(inner) and t.read(inner) == "inside\n"
    end, 10000)
    -- HEAD follows the files.
    t.wait(function()
      return server:git("checkout", "status", "--porcelain") == ""
    end, 10000, "a clean checkout")
    t.eq(checkout("other.txt"), "one\n")
  end)

  it("lists the hunks in the quickfix window", function()
    begin()
    review()
    s:type("Q")
    s:wait("pending +1 -1", true)
    t.eq(s:lua([[return #vim.fn.getqflist()]]), 7)
  end)

  it("goes to the place in the real file", function()
    begin()
    review()
    s:type("n", "n", "n")
    at(5)
    s:type("g", "f")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    t.match(s:lua([[return vim.api.nvim_get_current_line()]]), "value7")
  end)

  it("shows both texts where the developer's own edits touch a hunk", function()
    begin()
    s:lua([[vim.api.nvim_buf_set_lines(0, 6, 7, false, { "  return my_own(parts)" })]])
    review()
    at(2)
    s:type("a")
    s:wait("Yours: ", true)
    golden("conflict")
    t.eq(states(), { P, P, P, P, P, P, P })
    s:type("q")
    s:wait_lua([[return vim.bo.filetype == "suggestion-review"]])
    s:type("a")
    s:wait("Yours: ", true)
    s:type("o")
    wait_states({ P, M, P, P, P, P, P })
    t.eq(
      s:lua([[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("lua/app.lua"), 6, 7, false)[1] ]]),
      "  return my_own(parts)"
    )
    local _, whole = states()
    t.match(whole.hunks[2].decision.modified_diff, "%+  return my_own")
    t.eq(s:lua([[return vim.bo[vim.fn.bufnr("lua/app.lua")].modified]]), true)
  end)

  it("takes theirs, and both, on the developer's word", function()
    begin()
    s:lua([[vim.api.nvim_buf_set_lines(0, 6, 7, false, { "  return my_own(parts)" })]])
    s:lua([[vim.api.nvim_buf_set_lines(0, 11, 12, false, { "  return y + x" })]])
    review()
    s:type("a")
    s:wait("Yours: ", true)
    s:type("t")
    wait_states({ P, A, P, P, P, P, P })
    s:wait_lua(
      [[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("lua/app.lua"), 6, 7, false)[1]:find("vim.trim") ~= nil]]
    )
    at(3)
    s:type("a")
    s:wait("Yours: ", true)
    s:type("b")
    wait_states({ P, A, M, P, P, P, P })
    s:wait_lua(
      [[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("lua/app.lua"), 11, 12, false)[1] == "  return y + x"]]
    )
    s:wait_lua(
      [[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("lua/app.lua"), 12, 13, false)[1] == "  -- Validate first"]]
    )
  end)

  it("follows a new revision, keeping decisions, and marks what is new", function()
    begin()
    review()
    s:type("a")
    wait_states({ P, A, P, P, P, P, P })
    local change = select(2, states()).jj_change_id
    server:publish({ ["lua/greet.lua"] = 'return "hello there"\n' }, "again", change)
    s:wait_lua([[return require("suggestion-review.review").session().revision == 2]])
    t.eq(states(), { P, A, P, P, P, P, P })
    s:wait_lua(
      [[local x = require("suggestion-review.review").session() return x.outcomes[x.hunks[2].id] == nil]]
    )
    s:wait_lua([[return _G.notes[#_G.notes]:find("Revision 2", 1, true)]])
    s:type("]", "f")
    s:wait("new in revision 2", true)
    s:wait('return "hello there"', true)
    -- The mark stays when one closes the review, and when one leaves Neovim.
    s:type("q")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    review()
    s:type("]", "f")
    s:wait("new in revision 2", true)
    s:type("q")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    s:restart()
    s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
    review()
    s:type("]", "f")
    s:wait("new in revision 2", true)
    t.eq(s:lua([[return vim.tbl_count(require("suggestion-review.review").session().fresh)]]), 1)
  end)

  it("shows what has become of a hunk that was rejected", function()
    begin()
    review()
    s:type("n")
    at(3)
    s:type("D")
    s:wait_lua([[return (_G.notes[#_G.notes] or ""):find("have not rejected", 1, true)]])
    s:type("r")
    s:wait("Reject because", true)
    s:text("say which one is negative")
    s:type("Enter")
    wait_states({ P, P, R, P, P, P, P })
    local better = replace(
      NEW_APP,
      '  if x < 0 or y < 0 then error("negative") end\n',
      '  if x < 0 then error("x is negative") end\n  if y < 0 then error("y is negative") end\n'
    )
    local change = select(2, states()).jj_change_id
    server:publish({ ["lua/app.lua"] = better }, "again", change)
    s:wait_lua([[return require("suggestion-review.review").session().revision == 2]])
    t.eq(states(), { P, P, P, P, P, P, P })
    s:wait_lua([[
      for i, hunk in ipairs(require("suggestion-review.review").session().hunks) do
        if hunk.earlier then
          require("suggestion-review.review").go(i)
          return i
        end
      end
    ]])
    s:wait("you rejected this in revision 1: say which one is negative", true)
    s:type("D")
    s:wait("Rejected in revision 1", true)
    golden("interdiff")
    s:type("q")
    s:wait_lua([[return vim.bo.filetype == "suggestion-review"]])
    t.eq(states(), { P, P, P, P, P, P, P })
  end)

  it("stays when the server goes, refuses clearly, and goes on when it is back", function()
    begin()
    review()
    server:stop("sigkill")
    s:wait_lua([[return require("suggestion-review.connection.client").state().state ~= "connected"]])
    s:type("a")
    s:wait_lua([[return (_G.notes[#_G.notes] or ""):find("Not connected", 1, true)]])
    at(2)
    t.eq(checkout("lua/app.lua"), APP)
    server:serve()
    s:wait_lua([[return require("suggestion-review.connection.client").state().state == "connected"]], 15000)
    s:type("a")
    wait_states({ P, A, P, P, P, P, P })
  end)

  it("applies nothing that somebody else decided", function()
    begin()
    review()
    local _, whole = states()
    server:http(
      "POST",
      "/feedback",
      { suggestion_id = suggestion, hunk_id = whole.hunks[2].id, action = "accept" }
    )
    s:wait("✔ 2/7 accepted", true)
    s:wait_lua([[return require("suggestion-review.review").session().decided == 1]])
    t.eq(checkout("lua/app.lua"), APP)
  end)

  it("never runs a modeline or an escape sequence of the agent's", function()
    server = real.start({ ["a.txt"] = "one\n" })
    suggestion = server:publish({
      ["a.txt"] = "one\n\27[31mred\27[0m \226\128\174evil \7\n# vim: set tw=7 ft=sh :\n",
    }, "Odd \27[2J bytes \226\128\174")
    open_nvim({ file = "a.txt" })
    review()
    local visible = s:wait("^[[31mred^[[0m <202e>evil", true)
    t.ok(not visible:find("\226\128\174", 1, true), "a bidi mark reached the screen")
    t.ok(s:lua([[return vim.o.textwidth]]) == 0)
  end)

  it("names every character that draws nothing, or looks like a blank and is none", function()
    local codes = {
      0xa0,
      0x34f,
      0x115f,
      0x17b4,
      0x2003,
      0x200b,
      0x2800,
      0x3164,
      0xfe0f,
      0xffa0,
      0x1d173,
      0xe0061,
      0xe0100,
    }
    local line = {}
    for i, code in ipairs(codes) do
      line[i] = "x" .. vim.fn.nr2char(code, true)
    end
    local half = math.ceil(#codes / 2)
    server = real.start({ ["a.txt"] = "one\n" })
    suggestion = server:publish({
      ["a.txt"] = ("one\n%s\n%s\n"):format(table.concat(line, "", 1, half), table.concat(line, "", half + 1)),
    }, "Nothing to see")
    open_nvim({ file = "a.txt" })
    review()
    for _, style in ipairs({ "floating", "inline" }) do
      s:lua([[require("suggestion-review.review").set_style(...)]], style)
      for _, code in ipairs(codes) do
        s:wait(("<%04x>"):format(code), true)
      end
    end
  end)
end)

describe("the inline review", function()
  after_each(finish)

  it("shows hunks in the real buffer, with keys only while it lasts", function()
    begin({
      settings = [[
      vim.api.nvim_create_autocmd("BufReadPost", { callback = function(event)
        vim.keymap.set("n", "]h", "<Cmd>let g:mine = 1<CR>", { buffer = event.buf })
      end })
    ]],
    })
    s:lua([[require("suggestion-review.review").open(nil, { style = "inline" })]])
    s:wait("+ ", true)
    at(2)
    golden("inline")
    s:type("]", "h")
    at(3)
    s:type("Space", "s", "a")
    wait_states({ P, P, A, P, P, P, P })
    wait_file("lua/app.lua", replace(APP, "  return x + y\n", VALID))
    s:wait("✔ 3/7 accepted", true)
    t.eq(s:lua([[return vim.g.mine]]), vim.NIL)
    s:lua([[require("suggestion-review").close()]])
    s:type("]", "h")
    s:wait_lua([[return vim.g.mine == 1]])
    t.eq(s:lua(MARKS .. "return #marks"), 0)
  end)

  it("selects the hunk as a textobject", function()
    begin()
    s:lua([[require("suggestion-review.review").open(nil, { style = "inline" })]])
    at(2)
    s:type("]", "h", "]", "h")
    at(4)
    s:type("y", "i", "h")
    s:wait_lua([[return vim.fn.getreg('"'):find("function M.unused") == 1]])
  end)

  it("follows the developer's typing", function()
    begin()
    s:lua([[require("suggestion-review.review").open(nil, { style = "inline" })]])
    at(2)
    s:type("g", "g", "O")
    s:text("-- typed above")
    s:type("Escape")
    s:wait_lua(MARKS .. [[
      for _, mark in ipairs(marks) do if mark[4].sign_text == "- " then return mark[2] == 7 end end
    ]])
    s:type("Space", "s", "a")
    wait_states({ P, A, P, P, P, P, P })
  end)

  it("shows what is there already where the agent works in the same checkout", function()
    server = real.start(OLD)
    suggestion = server:publish(NEW, "Validate and trim the input")
    server.checkout = server.agent
    open_nvim()
    s:lua([[require("suggestion-review.review").open(nil, { style = "inline" })]])
    at(2)
    s:wait("- " .. "  return vim.tbl_map(tonumber, parts)", true)
    golden("inline-in-place")
    s:type("]", "h")
    at(3)
    s:type("y", "i", "h")
    s:wait_lua(
      [[return vim.fn.getreg('"') == ...]],
      nil,
      table.concat({
        "  -- Validate first",
        '  if x < 0 or y < 0 then error("negative") end',
        "",
      }, "\n")
    )
    -- A selection decides the lines that are there, and what they stand for.
    s:type("V", "Space", "s", "a")
    t.wait(function()
      return #states() == 8
    end)
    t.eq(vim.list_slice(states(), 2, 5), { P, A, P, P })
    s:lua([[require("suggestion-review").undo()]])
    wait_states({ P, P, P, P, P, P, P })
    at(3)
    -- Accepting keeps it; the file is not touched.
    s:type("Space", "s", "a")
    wait_states({ P, P, A, P, P, P, P })
    wait_file("lua/app.lua", NEW_APP)
    at(4)
    -- Rejecting takes it out again, as soon as the agent rests.
    s:type("Space", "s", "x")
    s:wait("Reject because", true)
    s:type("Enter")
    wait_states({ P, P, A, R, P, P, P })
    server:http("POST", "/settle", { project = server.project })
    local unused = "function M.unused()\n  return nil\nend\n\n"
    local from = NEW_APP:find("-- a long stretch", 1, true)
    wait_file("lua/app.lua", NEW_APP:sub(1, from - 1) .. unused .. NEW_APP:sub(from))
    s:wait_lua([[return vim.fn.search("M.unused", "nw") > 0]])
    s:wait("✘ 4/7 rejected", true)
    s:lua([[require("suggestion-review").close()]])
    t.eq(s:lua(MARKS .. "return #marks"), 0)
  end)

  it("changes over to the other styles and back at the same hunk", function()
    begin()
    review()
    s:type("n")
    at(3)
    s:type("S")
    s:wait_lua([[return require("suggestion-review.review").session().style == "inline"]])
    at(3)
    s:lua([[require("suggestion-review").set_style("floating")]])
    s:wait("3/7", true)
    at(3)
  end)
end)

describe("the picker", function()
  after_each(finish)

  it("lists the hunks through vim.ui.select and decides the picked one", function()
    begin()
    s:lua([[require("suggestion-review.review").open(nil, { style = "picker" })]])
    s:wait("Type number", true)
    golden("picker")
    s:text("2")
    s:type("Enter")
    s:wait("1: accept", true)
    s:text("1")
    s:type("Enter")
    wait_states({ P, A, P, P, P, P, P })
    s:wait("1/7 decided", true)
    s:type("Enter")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
  end)

  it("is left by Ctrl-C as by an empty answer", function()
    begin()
    s:lua([[require("suggestion-review.review").open(nil, { style = "picker" })]])
    s:wait("Type number", true)
    s:type("C-c")
    s:wait_lua([[return not require("suggestion-review").is_open()]])
    t.eq(s:lua([[return vim.fn.execute("messages")]]):find("stack traceback", 1, true), nil)
  end)

  -- Other people's plugins are not fetched for tests; where a folder has their clones, they are tried for real.
  local folder = vim.env.SUGGESTION_REVIEW_PICKERS
  for name, one in
    vim.spairs({
      ["telescope.nvim"] = { paths = { "plenary.nvim", "telescope.nvim" }, setup = "", shows = "Hunk" },
      ["fzf-lua"] = { paths = { "fzf-lua" }, setup = 'require("fzf-lua").setup({})', shows = "Hunk>" },
      ["snacks.nvim"] = {
        paths = { "snacks.nvim" },
        setup = 'require("snacks").setup({ picker = { enabled = true } })',
        shows = "Validate",
      },
    })
  do
    -- The pickers are in no package registry: whoever has clones of them names their folder.
    if folder and vim.uv.fs_stat(folder .. "/" .. name) then
      it("uses " .. name, function()
        local settings = one.setup
        for _, path in ipairs(one.paths) do
          settings = ("vim.opt.runtimepath:append(%q)\n"):format(folder .. "/" .. path) .. settings
        end
        begin({ columns = 120, lines = 36, settings = settings })
        s:lua([[require("suggestion-review.review").open(nil, { style = "picker" })]])
        s:wait(one.shows, true)
        s:wait("○ 2/7  lua/app.lua:", true)
        -- The first in the list, which is the one that waits longest.
        s:type("C-a")
        wait_states({ A, P, P, P, P, P, P })
        -- The list comes back for the next.
        s:wait("✔ 1/7", true)
        s:wait("○ 2/7  lua/app.lua:", true)
        s:text("greet")
        t.wait(function()
          local text = s:capture()
          return text:find("lua/greet.lua", 1, true) and not text:find("○ 3/7", 1, true)
        end)
        s:type("C-r")
        s:wait("Reject because", true)
        s:type("Enter")
        t.wait(function()
          local now = states()
          return now[6] == R or now[7] == R
        end, 15000, "the rejection")
      end)
    end
  end
end)
