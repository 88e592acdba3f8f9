-- luacheck: read globals t describe it before_each after_each pending
--- Where the review's windows end: places in the real file, windows split off ours, colours, text that is wide or long.
--- In a terminal, against the real server on a real repository.

local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("the review among other windows", "needs Bun, jj and tmux")
  return
end

---@type Real
local server
---@type Screen
local s

---@param opts? { file?: string, settings?: string, columns?: integer }
local function open_nvim(opts)
  opts = opts or {}
  s = screen.start({
    cwd = server.checkout,
    columns = opts.columns or 110,
    lines = 30,
    file = opts.file or "a.txt",
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.termguicolors = true
      vim.o.ruler, vim.o.showcmd, vim.o.swapfile, vim.o.shada = false, false, false, ""
      vim.o.shortmess = vim.o.shortmess .. "FWIc"
      vim.notify = function(message) table.insert(_G.notes, message) end
      _G.notes = {}
      require("suggestion-review").setup(%s)
      %s
    ]]):format(t.root .. "/nvim", vim.inspect(server:settings()), opts.settings or ""),
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

---@param style? string
local function review(style)
  s:lua([[require("suggestion-review.review").open(nil, { style = ... })]], style or "floating")
  s:wait_lua([[return require("suggestion-review.review").session() ~= nil]])
end

--- A file of which the first hunk adds 20 lines at the top and the second changes line 50.
local function publish_two_hunks()
  local old, new = {}, {}
  for i = 1, 80 do
    old[i] = "line " .. i
    new[i] = i == 50 and "line 50 changed" or old[i]
  end
  for i = 1, 20 do
    table.insert(new, 5, "added " .. 21 - i)
  end
  server = real.start({ ["a.txt"] = table.concat(old, "\n") .. "\n", ["own.txt"] = "own\n" })
  server:publish({ ["a.txt"] = table.concat(new, "\n") .. "\n" }, "Two hunks")
end

local LINE = [[return { vim.fn.expand("%:t"), vim.fn.getline("."), vim.api.nvim_win_get_config(0).relative }]]

describe("C6: the place of a hunk in the file", function()
  --- Accepts the first hunk and goes to the second.
  local function to_second()
    s:type("a")
    s:wait_lua([[local session = require("suggestion-review.review").session()
      return session.decided == 1 and not next(session.sent)]])
    s:lua([[require("suggestion-review.review").go(2)]])
  end

  it("C6: gf goes to the line as it is now, past accepted hunks and unsaved edits", function()
    publish_two_hunks()
    open_nvim()
    review()
    to_second()
    s:lua([[vim.o.hidden = false
      vim.api.nvim_buf_set_lines(vim.fn.bufnr("a.txt"), 0, 0, false, { "mine", "mine", "mine" })]])
    s:type("g", "f")
    s:wait_lua([[return not require("suggestion-review.review").is_open()]])
    t.eq(s:lua(LINE), { "a.txt", "line 50", "" })
    t.eq(s:lua([[return vim.fn.getline(1)]]), "mine")
  end)

  it("C6: gf from an added line goes to that line once it is in the file", function()
    publish_two_hunks()
    open_nvim()
    review()
    s:type("a")
    s:wait_lua([[local session = require("suggestion-review.review").session()
      return session.decided == 1 and not next(session.sent)]])
    s:lua([[require("suggestion-review.review").go(1)]])
    s:lua([[vim.fn.search("^added 7$", "w")
      vim.api.nvim_buf_set_lines(vim.fn.bufnr("a.txt"), 0, 0, false, { "mine", "mine", "mine" })]])
    s:type("g", "f")
    s:wait_lua([[return not require("suggestion-review.review").is_open()]])
    t.eq(s:lua(LINE), { "a.txt", "added 7", "" })
  end)

  it("C6: gf finds a normal window beside the quickfix window and another file with unsaved edits", function()
    publish_two_hunks()
    open_nvim({ file = "own.txt" })
    s:lua([[vim.o.hidden = false
      vim.api.nvim_buf_set_lines(0, 0, 0, false, { "mine" })
      vim.fn.setqflist({ { filename = "own.txt", lnum = 1 } })
      vim.cmd("copen")]])
    review()
    to_second()
    s:type("g", "f")
    s:wait_lua([[return not require("suggestion-review.review").is_open()]])
    t.eq(s:lua(LINE), { "a.txt", "line 50", "" })
    t.eq(s:lua([[return vim.bo.buftype]]), "")
    t.eq(
      s:lua([[return { vim.fn.bufwinid("own.txt") > 0, vim.fn.getbufline("own.txt", 1)[1] }]]),
      { true, "mine" }
    )
    t.eq(s:lua([[return vim.fn.getqflist({ winid = 0 }).winid > 0]]), true)
    t.eq(s:lua([[return vim.fn.execute("messages"):find("E%d+:") == nil]]), true)
  end)

  it("C6: the quickfix list is one of its own, with the lines as they are now", function()
    publish_two_hunks()
    open_nvim()
    s:lua([[vim.fn.setqflist({ { filename = "own.txt", lnum = 1, text = "the user's" } })
      vim.fn.setqflist({ { filename = "own.txt", lnum = 1, text = "a later one" } })
      vim.cmd("silent colder")]])
    review()
    to_second()
    s:type("Q")
    s:wait_lua([[return vim.bo.buftype == "quickfix"]])
    local texts = [[local out = {}
      for nr = 1, vim.fn.getqflist({ nr = "$" }).nr do
        local list = vim.fn.getqflist({ nr = nr, items = true, title = true })
        out[nr] = { list.title:match("^Suggestion: Two hunks") or list.items[1].text, list.items[#list.items].lnum }
      end
      return out]]
    t.eq(s:lua(texts), { { "the user's", 1 }, { "a later one", 1 }, { "Suggestion: Two hunks", 70 } })
    t.match(s:lua([[return vim.fn.getqflist({ title = true }).title]]), "^Suggestion")
    -- Asked for again, the list is filled anew.
    review()
    s:type("Q")
    s:wait_lua([[return vim.bo.buftype == "quickfix"]])
    t.eq(#s:lua(texts), 3)
    s:lua([[vim.fn.setqflist({}, "a", { idx = 2 })]])
    s:type("Enter")
    s:wait_lua([[return vim.fn.expand("%:t") == "a.txt"]])
    t.eq(s:lua(LINE), { "a.txt", "line 50", "" })
  end)
end)

--- Options of a window that the review sets for itself, as the current window has them.
local OPTIONS = [[
  local out = {}
  for _, name in ipairs({ "statuscolumn", "winhighlight", "winbar", "signcolumn", "list", "wrap", "scrollbind",
    "cursorbind", "cursorcolumn", "winfixbuf", "number", "foldenable", "conceallevel", "scrolloff", "fillchars",
    "listchars", "spell", "diff" }) do
    out[name] = vim.api.nvim_get_option_value(name, { win = 0 })
  end
  return out
]]

describe("C7: windows beside the review", function()
  local SETTINGS =
    [[vim.o.number, vim.o.cursorcolumn, vim.o.scrollbind, vim.o.conceallevel = true, true, true, 2]]

  for _, layout in ipairs({ "unified", "side-by-side" }) do
    it("C7: a window split off one of ours (" .. layout .. ") has the developer's options", function()
      publish_two_hunks()
      open_nvim({ settings = SETTINGS, columns = 160 })
      local before = s:lua(OPTIONS)
      local windows = s:lua([[return #vim.api.nvim_list_wins()]])
      for _, command in ipairs({
        "vsplit",
        "split",
        "new",
        "vnew",
        "tabnew",
        "tab split",
        "wincmd T",
        "vsplit own.txt",
        "new own.txt",
        "split | edit own.txt",
        "split | buffer a.txt",
        "tabnew own.txt",
        "belowright vsplit | enew",
      }) do
        review()
        if layout == "side-by-side" then
          s:lua([[local review = require("suggestion-review.review")
            if review.session().layout == "unified" then review.toggle_layout() end]])
        end
        s:lua([[vim.cmd(...)]], "silent! " .. command:gsub("| ", "| silent! "))
        t.eq(s:lua([[return vim.api.nvim_win_get_config(0).relative]]), "", command)
        t.eq(s:lua(OPTIONS), before, command)
        s:lua([[require("suggestion-review").close()]])
        t.eq(s:lua(OPTIONS), before, command .. ", after closing")
        -- A file that is opened there, and a window split off that one.
        s:lua([[vim.cmd("silent! edit own.txt | split")]])
        t.eq(s:lua(OPTIONS), before, command .. ", a file in it")
        s:lua([[vim.cmd("silent! tabonly! | silent! only! | silent edit a.txt")]])
        t.eq(s:lua(OPTIONS), before, command .. ", the window it was opened from")
        t.eq(s:lua([[return #vim.api.nvim_list_wins()]]), windows, command)
        t.eq(
          s:lua([[return vim.tbl_filter(function(buf)
            return vim.api.nvim_buf_get_name(buf):find("^suggestion%-review://") ~= nil
          end, vim.api.nvim_list_bufs())]]),
          {},
          command
        )
      end
    end)
  end

  it("C7: the developer's options do not leak into ours, and the two sides scroll together alone", function()
    publish_two_hunks()
    open_nvim({ settings = SETTINGS .. "; vim.cmd('edit a.txt | vsplit')", columns = 160 })
    review()
    s:lua([[require("suggestion-review.review").toggle_layout()]])
    local ours = [[return vim.tbl_filter(function(win)
      return vim.api.nvim_win_get_config(win).relative ~= ""
    end, vim.api.nvim_list_wins())]]
    local wins = s:lua(ours)
    t.eq(#wins, 2)
    for _, win in ipairs(wins) do
      t.eq(
        s:lua(
          [[local wo = vim.wo[...]
            return { wo.scrollbind, wo.cursorbind, wo.cursorcolumn, wo.conceallevel, wo.number }]],
          win
        ),
        { false, false, false, 0, false }
      )
    end
    s:lua([[require("suggestion-review.review").open_gaps()]])
    local function tops(code)
      return s:lua(
        ([[return vim.tbl_map(function(win) return vim.fn.line("w0", win) end, %s)]]):format(code),
        wins
      )
    end
    local own = tops([[vim.tbl_filter(function(win)
      return vim.api.nvim_win_get_config(win).relative == ""
    end, vim.api.nvim_list_wins())]])
    for _, keys in ipairs({ "G", "gg", "C-d" }) do
      s:type(keys == "gg" and "g" or keys)
      if keys == "gg" then
        s:type("g")
      end
      s:wait_lua([[local line = vim.fn.line(".")
        return vim.api.nvim_get_mode().mode == "n" and line ~= vim.g.at and line]])
      s:lua([[vim.g.at = vim.fn.line(".")]])
      s:wait_lua(
        [[local wins = ... return vim.fn.line("w0", wins[1]) == vim.fn.line("w0", wins[2])
          and vim.fn.line(".", wins[1]) == vim.fn.line(".", wins[2])]],
        5000,
        wins
      )
    end
    t.ok(tops("...")[1] > 1, "nothing was scrolled")
    t.eq(
      tops([[vim.tbl_filter(function(win)
        return vim.api.nvim_win_get_config(win).relative == ""
      end, vim.api.nvim_list_wins())]]),
      own
    )
  end)
end)

describe("C15: text that is wide, long or odd", function()
  local LONG = "x = '" .. ("0123456789 "):rep(30) .. "THE-END'"
  local WIDE = "宽" .. ("字"):rep(120) .. "終わり"

  --- Rows of the virtual lines of the inline review, as text.
  local ROWS = [[
    local ns = vim.api.nvim_get_namespaces()["suggestion-review.inline"]
    local rows = {}
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })) do
      for _, chunks in ipairs(mark[4].virt_lines or {}) do
        local text = ""
        for _, chunk in ipairs(chunks) do text = text .. chunk[1] end
        rows[#rows + 1] = (text:gsub(" +$", ""))
      end
    end
    return rows
  ]]

  local function begin(settings)
    server = real.start({ ["a.txt"] = "one\n\ttwo\nthree\n" })
    server:publish({
      ["a.txt"] = table.concat({
        "one",
        "\ttwo",
        "ab\tc\t\td",
        "字\tafter",
        "e\204\129\tafter",
        "esc\27[31m\tred\194\155",
        LONG,
        WIDE,
        "three",
        "",
      }, "\n"),
    }, "Odd text")
    open_nvim({ columns = 60, settings = settings })
    review("inline")
    s:wait("THE%-END")
  end

  it("C15: goes on below in the file, so that its end is seen, with the file's tab stops", function()
    begin("vim.o.tabstop = 4")
    local rows = s:lua(ROWS)
    t.eq(vim.list_slice(rows, 1, 4), {
      "+ ab  c       d",
      "+ 字  after",
      "+ e\204\129   after",
      "+ esc<1b>[31m red<009b>",
    })
    local joined = table.concat(vim.tbl_map(function(row)
      t.ok(vim.api.nvim_strwidth(row) <= 60, "wider than the window: " .. row)
      return row:sub(3)
    end, vim.list_slice(rows, 5, #rows - 1)))
    t.eq((joined:gsub(" ", "")), (LONG .. WIDE):gsub(" ", ""))
    local seen = s:wait("終わり", true)
    t.match(seen, "THE%-END")
    -- A narrower window shows all of it as well.
    s:lua([[vim.cmd("vsplit") vim.cmd("vertical resize 30")]])
    s:wait_lua(([[%s]]):format((ROWS:gsub(
      "return rows",
      [[
      for _, row in ipairs(rows) do
        if row:find("^[+ ] ") and vim.api.nvim_strwidth(row) > 30 then return false end
      end
      return #rows > 12]]
    ))))
    s:wait("THE%-END")
  end)

  it("C15: goes on below where the window does not wrap, too", function()
    begin("vim.o.wrap = false")
    s:wait("終わり", true)
  end)

  it("C15: keeps variable tab stops, inline and in the floating review", function()
    begin("vim.o.vartabstop = '3,10'")
    t.eq(s:lua(ROWS)[1], "+ ab c                   d")
    s:lua([[require("suggestion-review.review").set_style("floating")]])
    s:wait_lua([[return vim.api.nvim_win_get_config(0).relative ~= ""]])
    t.eq(s:lua([[return vim.bo.vartabstop]]), "3,10")
    t.match(s:wait("after"), "%+ ab c                   d")
  end)
end)

describe("C8: colours", function()
  --- Groups of ours that are too faint, measured in Neovim; what is decoration is left out.
  local FAINT = [[
    local highlights = require("suggestion-review.ui.highlights")
    local get
    function get(name)
      local group = vim.api.nvim_get_hl(0, { name = name })
      return group.link and get(group.link) or group
    end
    local dark = vim.o.background == "dark"
    local normal = get("Normal")
    normal.fg = normal.fg or (dark and 0xffffff or 0)
    normal.bg = normal.bg or (dark and 0 or 0xffffff)
    local float = get("SuggestionReviewNormal")
    local faint, count = {}, 0
    for _, name in ipairs(vim.fn.getcompletion("SuggestionReview", "highlight")) do
      local short = name:sub(#"SuggestionReview" + 1)
      if not vim.list_contains({ "Filler", "Rule", "Border", "Normal" }, short) then
        local group = get(name)
        local fg, bg = group.fg or normal.fg, group.bg
        if group.reverse then fg, bg = bg or normal.bg, fg end
        count = count + 1
        for _, below in ipairs(bg and { bg } or { normal.bg, float.bg or normal.bg }) do
          local contrast = highlights.contrast(fg, below)
          if contrast < (short == "Number" and 3 or 4.5) then
            faint[#faint + 1] = ("%s %.1f"):format(short, contrast)
          end
        end
      end
    end
    return { faint, count > 20 }
  ]]
  local ADD = [[return vim.api.nvim_get_hl(0, { name = "SuggestionReviewAdd", link = false }).bg]]

  it("C8: follow 'background' without a named scheme, and stay readable", function()
    publish_two_hunks()
    open_nvim()
    s:lua([[vim.o.background = "dark"]])
    review()
    local dark = s:lua(ADD)
    t.eq(s:lua(FAINT), { {}, true }, "dark")
    s:lua([[vim.o.background = "light"]])
    t.eq(s:lua(FAINT), { {}, true }, "light")
    t.ok(s:lua(ADD) ~= dark, "the same background in light and dark")
    s:lua([[vim.o.background = "dark"]])
    t.eq(s:lua(ADD), dark)
    -- What stands on the screen is in the colours that fit: the light ones are gone.
    s:wait_lua([[return vim.fn.mode() == "n"]])
  end)

  it("C8: follow every scheme that comes with Neovim, in both backgrounds", function()
    publish_two_hunks()
    open_nvim()
    review()
    local wrong = {}
    for _, scheme in ipairs(s:lua([[return vim.fn.getcompletion("", "color")]])) do
      for _, background in ipairs({ "dark", "light" }) do
        s:lua(
          [[local scheme, background = ... vim.cmd.colorscheme(scheme) vim.o.background = background]],
          scheme,
          background
        )
        for _, one in ipairs(s:lua(FAINT)[1]) do
          wrong[#wrong + 1] = ("%s, %s: %s"):format(scheme, background, one)
        end
      end
    end
    t.eq(wrong, {})
  end)

  it("C8: leave what the developer defined", function()
    publish_two_hunks()
    open_nvim({
      settings = [[vim.api.nvim_set_hl(0, "SuggestionReviewAdd", { bg = 0x123456 })
      vim.api.nvim_set_hl(0, "SuggestionReviewHint", { link = "ErrorMsg" })]],
    })
    review()
    for _, background in ipairs({ "light", "dark", "light" }) do
      s:lua([[vim.o.background = ...]], background)
      t.eq(s:lua(ADD), 0x123456)
      t.eq(s:lua([[return vim.api.nvim_get_hl(0, { name = "SuggestionReviewHint" }).link]]), "ErrorMsg")
    end
  end)
end)
