-- luacheck: read globals t describe it before_each after_each pending
--- A review from its opening to adopting, gone through in three ways: by `:Suggest`, by <Plug> maps and default keys,
--- and by keys that the user chose for everything. Each step is taken when its effect is seen; each test has a review
--- of its own.

local real = require("real")
local screen = require("screen")
if not real.available() or not screen.available() then
  pending("a review by every door", "needs Bun, jj and tmux")
  return
end

local LINES = {}
for i = 1, 40 do
  LINES[i] = "line " .. i
end
local OLD_A = table.concat(LINES, "\n") .. "\n"
local NEW_A = OLD_A:gsub("line 3\n", "line three\n"):gsub("line 37\n", "line thirty-seven\n")
local OLD = { ["a.txt"] = OLD_A, ["b.txt"] = "b\n", ["c.txt"] = "c\n", ["d.txt"] = "d\n" }
local NEW = { ["a.txt"] = NEW_A, ["b.txt"] = "B\n", ["c.txt"] = "C\n", ["d.txt"] = "D\n" }

---@type Real
local server
---@type Screen
local s
---@type string
local suggestion
---@type fun(name: string)
local enter
---@type boolean? the step `revise` asks what is to be done
local asks_what
---@type (fun(name: string))|nil enters with the line under the cursor selected
local enter_selected

local function stop()
  if s then
    s:stop()
  end
  if server then
    server:stop("sigkill")
  end
  s, server = nil, nil
end

local function hunks()
  return server:http("GET", "/suggestions/" .. suggestion).hunks
end

---@param expected string a letter for each hunk: p, a, r, m
local function decided(expected)
  local last
  local ok = pcall(t.wait, function()
    last = table.concat(vim.tbl_map(function(hunk)
      return hunk.state:sub(1, 1)
    end, hunks()))
    return last == expected
  end, 10000)
  if not ok then
    t.eq(last, expected, s:capture())
  end
end

local function lua(code)
  return s:wait_lua(code, 10000)
end
local function at(index)
  lua(([[local x = require("suggestion-review.review").session() return x and x.index == %d]]):format(index))
end
local function go(index)
  s:lua(([[require("suggestion-review.review").go(%d)]]):format(index))
  at(index)
end
local function is_open(yes)
  lua(([[return require("suggestion-review").is_open() == %s]]):format(yes))
end
local function is_drawn()
  lua([[return vim.bo.filetype == "suggestion-review"]])
end
local LENGTH = [[vim.api.nvim_buf_line_count(0)]]

--- Takes a step and gives back what it changed, by an expression before and after.
local function changes(name, expression)
  local before = s:lua("return " .. expression)
  enter(name)
  lua(("return (%s) ~= %s"):format(expression, vim.inspect(before)))
end

local function answer(prompt, text)
  s:wait(prompt, true, 10000)
  if text ~= "" then
    s:text(text)
  end
  s:type("Enter")
end

---@param settings string Lua before the client is set up
---@param columns? integer
local function begin(settings, columns)
  server = real.start(OLD)
  suggestion = server:publish(NEW, "Better words")
  t.write(server.checkout .. "/d.txt", "my own d\n")
  s = screen.start({
    cwd = server.checkout,
    columns = columns,
    file = "a.txt",
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.swapfile, vim.o.shada, vim.g.mapleader = false, "", " "
      vim.o.shortmess = vim.o.shortmess .. "FWIc"
      notes = {}
      vim.notify = function(message) table.insert(notes, message) end
      local settings = %s
      %s
      require("suggestion-review").setup(settings)
    ]]):format(t.root .. "/nvim", vim.inspect(server:settings()), settings),
  })
end

local function noted(pattern)
  lua(([[
    for _, note in ipairs(notes) do if note:find(%q) then return true end end
  ]]):format(pattern))
end

local function move()
  enter("open_review")
  is_open(true)
  is_drawn()
  at(1)
  for _, step in ipairs({
    { "next_hunk", 2 },
    { "prev_hunk", 1 },
    { "next_in_file", 2 },
    { "prev_in_file", 1 },
    { "next_pending", 2 },
    { "next_file", 3 },
    { "prev_file", 1 },
  }) do
    enter(step[1])
    if s:lua([[return require("suggestion-review.review").session().index]]) ~= step[2] then
      at(step[2])
    end
  end
end

local function look()
  changes("open_gaps", LENGTH)
  changes("close_gaps", LENGTH)
  s:lua([[vim.fn.search("lines\\? unchanged", "w")]])
  changes("toggle_gap", LENGTH)
  local LAYOUT = [[require("suggestion-review.review").session().layout]]
  changes("toggle_layout", LAYOUT)
  changes("toggle_layout", LAYOUT)
  local WINDOWS = [[#vim.api.nvim_list_wins()]]
  changes("toggle_panel", WINDOWS)
  changes("toggle_panel", WINDOWS)
  enter("why")
  s:wait("not seen", true)
  s:type("q")
  is_drawn()
  enter("help")
  s:wait("Keys of the review", true)
  s:type("q")
  is_drawn()
  enter("quickfix")
  lua([[return #vim.fn.getqflist() == 5]])
  s:lua([[vim.cmd.cclose()]])
  enter("open_review")
  is_drawn()
  go(2)
  enter("open_file")
  is_open(false)
  t.eq(s:lua([[return vim.api.nvim_get_current_line()]]), "line 37")
  enter("open_review")
  is_drawn()
  changes("next_style", [[require("suggestion-review.review").session().style]])
  s:lua([[require("suggestion-review").set_style("floating")]])
  is_drawn()
end

local function decide()
  go(1)
  enter("comment")
  answer("Comment:", "why so?")
  t.wait(function()
    return hunks()[1].comments and hunks()[1].comments[1].text == "why so?"
  end)
  enter("accept")
  decided("apppp")
  enter("undo")
  decided("ppppp")
  enter("redo")
  decided("apppp")
  go(2)
  if enter_selected then
    enter_selected("reject")
    answer("Reject these lines because", "not this line")
    t.wait(function()
      return vim.iter(hunks()):any(function(hunk)
        return hunk.state == "rejected"
      end)
    end, 10000)
    enter("undo")
    decided("apppp")
    go(2)
  end
  enter("reject")
  answer("Reject because", "no")
  decided("arppp")
  go(1)
  enter("modify")
  s:wait("Edit a.txt", true)
  s:text("A mine")
  s:type("Escape")
  s:text(":w")
  s:type("Enter")
  decided("mrppp")
  lua([[return vim.bo.filetype == "suggestion-review"]])
  go(1)
  enter("compare")
  s:wait("mine", true)
  lua([[return vim.bo.filetype ~= "suggestion-review"]])
  s:type("q")
  is_drawn()
  go(3)
  enter("accept_file")
  decided("mrapp")
  go(4)
  enter("reject_file")
  answer("Reject the remaining", "")
  decided("mrarp")
  go(5)
  enter("resolve")
  s:wait("Yours: ", true)
  s:type("q")
  is_drawn()
  enter("revise")
  -- The key asks what is to be done; the command has it behind it.
  if asks_what then
    answer("What should the agent do", "better")
  end
  noted("next call")
  go(5)
  enter("reject_all")
  answer("Reject the remaining", "")
  decided("mrarr")
  enter("undo")
  decided("mrarp")
end

local function finish()
  enter("close")
  is_open(false)
  enter("open_review")
  is_drawn()
  enter("complete")
  s:wait("Finalize “Better", true)
  s:text("f")
  is_open(false)
  t.eq(server:http("GET", "/suggestions/" .. suggestion).state, "finalized")
  -- Settings keep the plan from showing by itself.
  enter("adopt")
  s:wait("HEAD", true, 15000)
  s:type("q")
end

local function rest()
  suggestion = server:publish({ ["e.txt"] = "e\n", ["f.txt"] = "f\n" }, "More words", "new")
  lua([[return #require("suggestion-review").list() == 1]])
  enter("open_review")
  is_drawn()
  enter("accept_all")
  decided("aa")
  enter("undo")
  decided("pp")
  enter("discard")
  s:wait("Discard “More", true)
  s:text("!")
  is_open(false)
  t.eq(server:http("GET", "/suggestions/" .. suggestion).state, "discarded")
end

local function rebase()
  suggestion = server:publish({ ["b.txt"] = "B once more\n" }, "Late words", "new")
  t.write(server.checkout .. "/z.txt", "z\n")
  server:git("checkout", "add", "z.txt")
  server:git("checkout", "commit", "--quiet", "--message=mine", "--", "z.txt")
  local header = "http.extraHeader=Authorization: Bearer " .. server.token
  server:git("checkout", "-c", header, "push", "--quiet", server.hub, "HEAD:main")
  lua([[local one = require("suggestion-review").list()[1] return one and one.base_moved]])
  enter("rebase")
  lua([[local one = require("suggestion-review").list()[1] return one.revision == 2 and not one.base_moved]])
end

---@class Way how a review is gone through
---@field name string
---@field settings string Lua before the client is set up
---@field enter fun(name: string) takes a step
---@field enter_selected? fun(name: string) takes it with the line under the cursor selected
---@field asks_what? boolean the step `revise` asks what is to be done
---@field comes? fun() what else it can do, before anything is there to be reviewed
---@field leaves? fun() what else it can do, once all is reviewed

--- What the commands are called where that is not the name of the action; there is none for what a key does.
local SUBCOMMANDS = {
  open_review = "review",
  next_hunk = "next",
  prev_hunk = "prev",
  next_in_file = "next",
  prev_in_file = "prev",
  toggle_layout = "layout",
  toggle_panel = "panel",
  next_style = "style inline",
}
local NO_SUBCOMMAND = { open_gaps = "zR", close_gaps = "zM", toggle_gap = "za", open_file = "gf" }

---@type Way
local by_command = {
  name = ":Suggest",
  settings = [[
    settings.auto_connect = false
    settings.adopt_on_finalize = "never"
  ]],
  enter = function(name)
    if NO_SUBCOMMAND[name] then
      return s:text(NO_SUBCOMMAND[name])
    end
    s:text(":Suggest " .. (SUBCOMMANDS[name] or name))
    s:type("Enter")
  end,
  comes = function()
    t.eq(s:lua([[return require("suggestion-review").client.state().state]]), "stopped")
    enter("connect")
    lua([[return #require("suggestion-review").list() == 1]])
    enter("disconnect")
    lua([[return require("suggestion-review").client.state().state ~= "connected"]])
    enter("connect")
    lua([[return require("suggestion-review").client.state().state == "connected"]])
    enter("status")
    noted("Better words")
  end,
  leaves = function()
    rebase()
    enter("log")
    lua([[return vim.api.nvim_buf_get_name(0) == require("suggestion-review.say.log").path()]])
  end,
}

local DEFAULT_KEYS = {
  open_review = "r",
  next_hunk = "n",
  prev_hunk = "p",
  accept = "a",
  reject = "x",
  modify = "m",
  accept_all = "A",
  reject_all = "X",
  discard = "d",
  complete = "c",
  why = "w",
}

---@type Way
local by_map = {
  name = "<Plug> maps and the default keys",
  settings = [[settings.adopt_on_finalize = "never"]],
  enter = function(name)
    if DEFAULT_KEYS[name] then
      return s:type("Space", "s", DEFAULT_KEYS[name])
    end
    local plug = name:gsub("_in_file$", "_hunk"):gsub("_", "-")
    s:lua(([[vim.keymap.set({ "n", "x" }, "<F9>", "<Plug>(suggestion-review-%s)")]]):format(plug))
    s:type("F9")
  end,
  enter_selected = function(name)
    s:lua(([[vim.keymap.set("x", "<F9>", "<Plug>(suggestion-review-%s)")]]):format(name))
    s:type("V", "F9")
  end,
}

---@type Way
local by_own_key = {
  name = "keys of the user's own",
  asks_what = true,
  settings = [[
    settings.adopt_on_finalize = "never"
    settings.keymaps, settings.global_keymaps = {}, {}
    chosen = { open_review = "\\0" }
    local defaults = require("suggestion-review.config").defaults()
    for index, name in ipairs(require("suggestion-review.ui.keys").names()) do
      chosen[name] = "\\" .. string.char(96 + math.floor(index / 26) + 1, 97 + index % 26)
      settings.keymaps[name] = chosen[name]
    end
    for name in pairs(defaults.global_keymaps) do
      settings.global_keymaps[name] = "g" .. chosen[name]
    end
    settings.keymaps.open_review = chosen.open_review
    chosen.adopt = "\\9"
    vim.keymap.set("n", chosen.adopt, "<Plug>(suggestion-review-adopt)")
  ]],
  enter = function(name)
    s:text(s:lua(([[return chosen.%s]]):format(name)))
  end,
  enter_selected = function(name)
    s:type("V")
    s:text(s:lua(([[return chosen.%s]]):format(name)))
  end,
  leaves = function()
    for _, name in ipairs(vim.tbl_keys(require("suggestion-review.config").defaults().global_keymaps)) do
      local key = s:lua(([[return "g" .. chosen.%s]]):format(name))
      t.eq(
        s:lua([[return vim.fn.maparg(..., "n")]], key),
        ("<Plug>(suggestion-review-%s)"):format((name:gsub("_", "-")))
      )
    end
  end,
}

for _, way in ipairs({ by_command, by_map, by_own_key }) do
  describe("a review, by " .. way.name .. ",", function()
    before_each(function()
      enter, enter_selected, asks_what = way.enter, way.enter_selected, way.asks_what
      begin(way.settings)
    end)
    after_each(stop)

    local function come()
      if way.comes then
        way.comes()
      end
      lua([[return #require("suggestion-review").list() == 1]])
    end

    it("is looked at", function()
      come()
      move()
      look()
    end)

    it("is decided", function()
      come()
      enter("open_review")
      is_drawn()
      decide()
    end)

    it("is ended", function()
      come()
      enter("open_review")
      is_drawn()
      at(1)
      enter("accept")
      decided("apppp")
      finish()
      rest()
      if way.leaves then
        way.leaves()
      end
    end)
  end)
end

describe("settings", function()
  local WINDOW = [[vim.api.nvim_win_get_config(0)]]

  --- Opens the review with these settings over the others; closed again afterwards.
  ---@param given string Lua table
  ---@param effects string[] expressions that hold then
  local function with(given, effects)
    s:lua(([[
      require("suggestion-review").setup(vim.tbl_deep_extend("force", settings, %s))
      require("suggestion-review").open()
    ]]):format(given))
    is_open(true)
    for _, effect in ipairs(effects) do
      lua("return " .. effect)
    end
    s:lua([[require("suggestion-review").close()]])
    is_open(false)
  end

  --- Lua that holds where the buffer has such a mark.
  local function marked(pattern)
    return ([[vim.iter(vim.api.nvim_buf_get_extmarks(0, -1, 0, -1, { details = true })):any(function(mark)
      return tostring(mark[4].hl_group):find(%q) ~= nil
    end)]]):format(pattern)
  end

  before_each(function()
    -- Wide enough for the list of files.
    begin("_G.settings = settings", 160)
  end)
  after_each(stop)

  it("of the look are seen", function()
    lua([[return #require("suggestion-review").list() == 1]])
    for position, effect in pairs({
      left = "col == 0 and %s.width < vim.o.columns - 2",
      top = "row == 0 and %s.width >= vim.o.columns - 2",
      bottom = "row > 0 and %s.width >= vim.o.columns - 2",
      center = "col > 0 and %s.col + %s.width < vim.o.columns - 2",
    }) do
      with(
        ("{ ui = { position = %q, file_panel = false } }"):format(position),
        { WINDOW .. "." .. effect:gsub("%%s", WINDOW) }
      )
    end
    with([[{ ui = { width = 95 } }]], { WINDOW .. ".width >= 90" })
    with([[{ ui = { position = "center", height = 12 } }]], { WINDOW .. ".height <= 12" })
    with([[{ ui = { border = "double" } }]], { "vim.inspect(" .. WINDOW .. [[.border):find("═")]] })
    with([[{ ui = { layout = "side-by-side" } }]], {
      [[require("suggestion-review.review").session().layout == "side-by-side"]],
    })
    local WINDOWS = [[#vim.api.nvim_list_wins()]]
    with("{}", { WINDOWS .. " > 2" })
    with("{ ui = { file_panel = false } }", { WINDOWS .. " == 2" })
    for _, style in ipairs({ "inline", "picker", "telescope" }) do
      with(("{ ui = { style = %q } }"):format(style), {
        ([[require("suggestion-review.review").session().style == %q]]):format(style),
      })
    end
    local WORDS, SYNTAX = marked("Word$"), marked("^@")
    server:http("POST", "/complete", { suggestion_id = suggestion, action = "discard" })
    suggestion = server:publish({ ["b.txt"] = "b and more\n", ["e.lua"] = "return nil\n" }, "Colours", "new")
    lua(
      ([[local list = require("suggestion-review").list() return #list == 1 and list[1].id == %q]]):format(
        suggestion
      )
    )
    with("{ ui = { word_diff = true } }", { WORDS })
    with("{ ui = { word_diff = false } }", { "not " .. WORDS })
    s:lua([[vim.cmd.edit("e.lua")]])
    with("{ ui = { treesitter = true } }", { SYNTAX })
    with("{ ui = { treesitter = false } }", { "not " .. SYNTAX })
  end)

  it("of the log say how much it holds", function()
    local expected = { error = "error", info = "error warn info", debug = "error warn info debug" }
    for level, kept in pairs(expected) do
      s:lua(
        ([[require("suggestion-review").setup(vim.tbl_extend("force", settings, { log_level = %q }))]]):format(
          level
        )
      )
      local found = s:lua(
        [[
        local log, name = require("suggestion-review.say.log"), ...
        local found = {}
        for _, level in ipairs({ "error", "warn", "info", "debug" }) do
          log[level]("kept at %s", name)
        end
        for line in io.lines(log.path()) do
          found[#found + 1] = line:match("^%S+ (%a+) kept at " .. name .. "$")
        end
        return table.concat(found, " ")
      ]],
        level
      )
      t.eq(found, kept)
    end
  end)
end)
