-- luacheck: read globals t describe it before_each after_each pending
--- Keys typed one after the other or in one go, counts, selections, windows one writes in: what they decide, and what
--- becomes of what was typed when it cannot be sent.

local reviewing = require("reviewing")

if not reviewing.available() then
  pending("keys of the review", "needs Bun, jj and tmux")
  return
end

local P, A, R, M = "pending", "accepted", "rejected", "modified"

---@param changes table<integer, string|string[]> lines by number; a list takes the line's place
local function poem(changes)
  local lines = {}
  for i = 1, 40 do
    local line = changes[i] or ("line %d"):format(i)
    vim.list_extend(lines, type(line) == "table" and line or { line })
  end
  return table.concat(lines, "\n") .. "\n"
end

local OLD = { ["a.txt"] = poem({}), ["b.txt"] = "one\n", ["c.txt"] = "red\n" }
local CHANGES = { [5] = "five", [12] = { "twelve", "twelve and a half" }, [20] = "twenty", [28] = "end" }
local NEW = { ["a.txt"] = poem(CHANGES), ["b.txt"] = "two\n", ["c.txt"] = "blue\n" }

---@type Reviewing
local r

---@param opts? ReviewingOpts
---@param style? string
local function begin(opts, style)
  r = reviewing.begin(OLD, NEW, vim.tbl_extend("keep", opts or {}, { file = "a.txt" }))
  r:open(style)
  r:at(1)
end

local function finish()
  if r then
    r:finish()
  end
  r = nil
end

--- The poem with some of the changes.
---@param ... integer
local function with(...)
  local taken = {}
  for _, line in ipairs({ ... }) do
    taken[line] = CHANGES[line]
  end
  return poem(taken)
end

local function command(text)
  r.s:text(":" .. text)
  r.s:type("Enter")
end

local function server_goes()
  r.server:stop("sigkill")
  r.s:wait_lua([[return require("suggestion-review.connection.client").state().state ~= "connected"]])
end

local function server_comes()
  r.server:serve()
  r.s:wait_lua([[return require("suggestion-review.connection.client").state().state == "connected"]], 20000)
end

--- Opens the current hunk's window and puts "mine " before its line.
local function edit()
  r.s:type("m")
  r.s:wait_lua([[return vim.bo.buftype == "acwrite"]])
  r.s:text("Imine ")
  r.s:type("Escape")
  r.s:wait_lua([[return vim.bo.modified and vim.api.nvim_get_mode().mode == "n"]])
end

local function in_editor()
  return r.s:lua([[return vim.bo.buftype == "acwrite"]])
end

local function reviewing_again()
  r.s:wait_lua([[return vim.bo.filetype == "suggestion-review"]])
end

describe("a text that was typed", function()
  after_each(finish)

  it("A3: stays in its window, modified, until the server has taken it", function()
    begin()
    edit()
    server_goes()
    command("w")
    r.s:wait("Not sent: Not connected", true)
    r:wait_note("Not connected")
    t.eq(r.s:lua([[return { vim.bo.buftype, vim.bo.modified }]]), { "acwrite", true })
    t.match(r.s:lua([[return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")]]), "mine five")
    t.eq(r.s:lua([[return next(require("suggestion-review.review").session().sent) == nil]]), true)
    server_comes()
    command("w")
    r:wait_states({ M, P, P, P, P, P })
    r:wait_file("a.txt", poem({ [5] = "mine five" }))
    reviewing_again()
    t.eq(r.s:lua([[return vim.fn.bufnr("suggestion-review://modify")]]), -1)
    r:no_traceback()
  end)

  it("A3: is there after :wq when the server was away", function()
    begin()
    edit()
    server_goes()
    command("wq")
    r.s:wait("Not sent: Not connected", true)
    r.s:wait("mine five", true)
    server_comes()
    r.s:lua(
      [[vim.api.nvim_set_current_win(vim.fn.win_findbuf(vim.fn.bufnr("suggestion-review://modify"))[1])]]
    )
    command("wq")
    r:wait_states({ M, P, P, P, P, P })
  end)

  it(
    "A3: is kept when the agent publishes another revision meanwhile, and goes in its place when that is asked for",
    function()
      begin()
      edit()
      local change = select(2, r:states()).jj_change_id
      local newer = vim.tbl_extend("force", CHANGES, { [5] = "FIVE" })
      r.server:publish({ ["a.txt"] = poem(newer) }, "Better words", change)
      r.s:wait_lua([[return require("suggestion-review.review").session().revision == 2]])
      command("w")
      r.s:wait("Not sent: the agent changed this hunk in revision 2; :w! sends", true)
      t.eq(r.s:lua([[return vim.bo.modified]]), true)
      t.eq(r:states()[1], P)
      command("w!")
      r:wait_states({ M, P, P, P, P, P })
      r:wait_file("a.txt", poem({ [5] = "mine five" }))
    end
  )

  it("A3: is offered again when its window was closed; :q asks, :q! drops it", function()
    begin()
    edit()
    r.s:lua([[vim.api.nvim_win_close(0, true)]])
    reviewing_again()
    r:wait_note("is kept as you left it; m on its hunk shows it again")
    r.s:type("m")
    r.s:wait("mine five", true)
    t.eq(r.s:lua([[return { vim.bo.buftype, vim.bo.modified }]]), { "acwrite", true })
    command("q")
    r.s:wait_lua([[return vim.fn.execute("messages"):find("E37", 1, true) ~= nil]])
    t.ok(in_editor())
    -- Leaving Neovim with everything written does not leave it behind either.
    command("wqa")
    r.s:wait_lua([[return vim.fn.execute("messages"):find("E45", 1, true) ~= nil]])
    t.ok(in_editor())
    command("q!")
    reviewing_again()
    t.eq(r:states(), { P, P, P, P, P, P })
    r.s:type("m")
    r.s:wait_lua([[return vim.bo.buftype == "acwrite"]])
    t.ok(not r.s:capture():find("mine five", 1, true))
    t.eq(r.s:lua([[return vim.bo.modified]]), false)
  end)

  it("A3: arrives although the review was closed meanwhile", function()
    begin()
    edit()
    r.s:lua([[require("suggestion-review").close()]])
    t.ok(in_editor())
    command("w")
    r:wait_states({ M, P, P, P, P, P })
    r:wait_file("a.txt", poem({ [5] = "mine five" }))
  end)

  it("A3: as the reason of a rejection, a comment or a wish is offered again", function()
    begin()
    server_goes()
    r.s:type("r")
    r.s:wait("Reject because", true)
    r.s:text("too loud")
    r.s:type("Enter")
    r:wait_note("what you typed is offered again")
    r.s:type("c")
    r.s:wait("Comment:", true)
    r.s:text("why five?")
    r.s:type("Enter")
    r.s:wait_lua([[local n = 0
      for _, note in ipairs(_G.notes) do n = n + (note:find("offered again", 1, true) and 1 or 0) end
      return n == 2]])
    r.s:lua([[require("suggestion-review").ask("make it rhyme")]])
    r:wait_note("Not asked")
    server_comes()
    r.s:type("r")
    r.s:wait("Reject because (optional): too loud", true)
    r.s:type("Enter")
    r:wait_states({ R, P, P, P, P, P })
    t.eq(select(2, r:states()).hunks[1].decision.comment, "too loud")
    r.s:type("p")
    r:at(1)
    r.s:type("c")
    r.s:wait("Comment: why five?", true)
    r.s:type("Enter")
    r:wait_for(function()
      local comments = select(2, r:states()).hunks[1].comments
      return comments and comments[1].text
    end, "why five?")
    command("Suggest ask")
    r.s:wait("Ask the agent: make it rhyme", true)
    r.s:type("Escape")
    -- What arrived is not offered any more.
    r.s:type("n")
    r.s:type("p")
    r:at(1)
    r.s:type("u")
    r:wait_states({ P, P, P, P, P, P })
    r.s:type("r")
    t.ok(not r.s:wait("Reject because (optional):", true):find("(optional): too loud", 1, true))
    r.s:type("Escape")
  end)

  it("A3: as a reason is offered again for what the agent has made of the hunk meanwhile", function()
    begin()
    r.s:type("r")
    r.s:wait("Reject because", true)
    r.s:text("too loud")
    local change = select(2, r:states()).jj_change_id
    r.server:publish(
      { ["a.txt"] = poem(vim.tbl_extend("force", CHANGES, { [5] = "FIVE" })) },
      "Better words",
      change
    )
    r.s:type("Enter")
    r:wait_note("what you typed is offered again")
    t.eq(r:states(), { P, P, P, P, P, P })
    r.s:wait_lua([[return require("suggestion-review.review").session().revision == 2]])
    r:at(1)
    r.s:type("r")
    r.s:wait("Reject because (optional): too loud", true)
    r.s:type("Enter")
    r:wait_states({ R, P, P, P, P, P })
  end)

  it("A3: as a version of one's own waits while a conflict with unsaved edits is left undecided", function()
    begin()
    r.s:lua([[vim.api.nvim_buf_set_lines(vim.fn.bufnr("a.txt"), 4, 5, false, { "my own five" })]])
    edit()
    command("w")
    r.s:wait("Yours: ", true)
    r.s:type("q")
    r.s:wait("Not sent: a.txt: it touches your own edits, and was left undecided", true)
    r.s:lua(
      [[vim.api.nvim_set_current_win(vim.fn.win_findbuf(vim.fn.bufnr("suggestion-review://modify"))[1])]]
    )
    t.eq(r:states(), { P, P, P, P, P, P })
    command("w")
    r.s:wait("Yours: ", true)
    r.s:type("t")
    r:wait_states({ M, P, P, P, P, P })
    r:wait_for(function()
      return r.s:lua([[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("a.txt"), 4, 5, false)[1] ]])
    end, "mine five")
    t.eq(r.s:lua([[return vim.fn.bufnr("suggestion-review://modify")]]), -1)
    r:no_traceback()
  end)

  it("A3: as a resolved conflict stays when the server goes away", function()
    begin()
    r.s:lua([[vim.api.nvim_buf_set_lines(vim.fn.bufnr("a.txt"), 4, 5, false, { "my own five" })]])
    r.s:type("a")
    r.s:wait("Yours: ", true)
    r.s:type("e")
    r.s:wait("<<<<<<< yours", true)
    r.s:text("ggdd:g/^[=>]/d\r:%s/my own/our own/\r:/^five/d\r")
    server_goes()
    command("w")
    r.s:wait("Not sent: Not connected", true)
    t.eq(r.s:lua([[return { vim.bo.buftype, vim.bo.modified }]]), { "acwrite", true })
    server_comes()
    command("w")
    r:wait_states({ M, P, P, P, P, P })
    r:wait_for(function()
      return r.s:lua([[return vim.api.nvim_buf_get_lines(vim.fn.bufnr("a.txt"), 4, 5, false)[1] ]])
    end, "our own five")
    reviewing_again()
  end)

  it("C18: as a commit message stays when the server goes away", function()
    begin()
    r.s:type("a")
    r:wait_states({ A, P, P, P, P, P })
    r.s:type("Enter")
    r.s:wait("Finalize “Better", true)
    r.s:text("e")
    r.s:wait("Commit message", true)
    r.s:text("A, and why")
    r.s:type("Escape")
    server_goes()
    command("w")
    r.s:wait("Not sent: Not connected", true)
    t.eq(r.s:lua([[return { vim.bo.filetype, vim.bo.modified }]]), { "gitcommit", true })
    server_comes()
    command("w")
    r:wait_for(function()
      return select(2, r:states()).state
    end, "finalized")
    local commit = select(2, r:states()).result.commit
    local hub = vim.fn.glob(r.server.state .. "/git/*.git")
    t.eq(
      vim.trim(r.server:git(nil, "--git-dir", hub, "log", "-1", "--format=%B", commit)),
      "Better words, and why"
    )
  end)
end)

describe("a write", function()
  after_each(finish)

  it("C3: sends only as :w to the buffer's own name; another name gets a copy", function()
    begin({
      settings = [[
        vim.api.nvim_create_autocmd("InsertLeave", { nested = true, callback = function()
          vim.cmd("silent! write")
        end })
        vim.api.nvim_create_autocmd("TextChanged", { nested = true, callback = function()
          vim.defer_fn(function() vim.cmd("silent! wall") vim.g.saved = 1 end, 10)
        end })
      ]],
    })
    edit()
    local copy = t.tempdir() .. "/copy.txt"
    r.s:type("x", "P")
    r.s:wait_lua([[return vim.g.saved == 1]])
    command("wall")
    r.s:lua([[vim.cmd("silent! write")]])
    command("w " .. copy)
    r.s:wait_lua([[return vim.uv.fs_stat(...) ~= nil]], nil, copy)
    t.match(t.read(copy), "mine five")
    t.eq(r.s:lua([[return { vim.bo.buftype, vim.bo.modified }]]), { "acwrite", true })
    -- An existing file is not overwritten without a word.
    command("w " .. copy)
    r.s:wait_lua([[return vim.fn.execute("messages"):find("E13", 1, true) ~= nil]])
    r.s:lua([[vim.o.autowrite, vim.o.autowriteall = true, true]])
    command("silent make -v")
    r:rest()
    t.ok(in_editor())
    t.eq(r.s:lua([[return vim.bo.modified]]), true)
    t.eq(r:states(), { P, P, P, P, P, P })
    r:wait_note("Not sent, ")
    command("w")
    r:wait_states({ M, P, P, P, P, P })
    reviewing_again()
  end)

  it("C3: is also :update, :x, ZZ or a map that writes", function()
    begin({
      settings = [[
        vim.keymap.set("n", "<C-s>", "<Cmd>write<CR>")
        vim.keymap.set("n", "<C-t>", function() vim.cmd.write() end)
      ]],
    })
    for number, write in ipairs({
      function()
        r.s:type("C-s")
      end,
      function()
        r.s:type("C-t")
      end,
      function()
        command("silent update")
      end,
      function()
        r.s:text("ZZ")
      end,
    }) do
      r:at(number)
      edit()
      write()
      r:wait_for(function()
        return r:states()[number]
      end, M)
      reviewing_again()
    end
    r:no_traceback()
  end)

  it("C18: of one empty line in a one-line file is that line", function()
    r = reviewing.begin({ ["b.txt"] = "one\n" }, { ["b.txt"] = "two\n" }, { file = "b.txt" })
    r:open()
    r.s:type("m")
    r.s:wait_lua([[return vim.bo.buftype == "acwrite"]])
    r.s:text("cc")
    r.s:type("Escape")
    command("w")
    r:wait_states({ M })
    r:wait_file("b.txt", "\n")
    local _, whole = r:states()
    t.match(whole.hunks[1].decision.modified_diff, "\n%+\n")
  end)
end)

describe("keys in one go", function()
  after_each(finish)

  it("C2: decide the hunk each was typed on", function()
    begin()
    r.s:text("ana")
    r:wait_states({ A, P, A, P, P, P })
    r:wait_file("a.txt", with(5, 20))
    r:at(4)
    -- The cursor went to another hunk by itself.
    r.s:text("gg/twelve\ra")
    r:wait_states({ A, A, A, P, P, P })
  end)

  it("C2: also where the user has longer maps that begin with them", function()
    begin({
      settings = [[
        vim.keymap.set("n", "an", "<Cmd>let g:longer = 1<CR>")
        vim.keymap.set("x", "an", "<Cmd>let g:longer = 1<CR>")
        vim.keymap.set("n", "sa", "<Cmd>let g:longer = 1<CR>")
      ]],
    })
    r.s:lua([[vim.api.nvim_feedkeys("ana", "t", false)]])
    r:wait_states({ A, P, A, P, P, P })
    r.s:lua([[vim.api.nvim_feedkeys("sa", "t", false)]])
    r:wait_states({ A, P, A, A, P, P })
    r.s:wait("base of", true)
    r.s:lua([[vim.api.nvim_feedkeys("p[fVGanu", "t", false)]])
    r:wait_note("Undone: 1 decision")
    t.eq(r.s:lua([[return vim.g.longer]]), vim.NIL)
    r:no_traceback()
  end)

  it("C2: do not wait for a longer map to come, also under 'notimeout'", function()
    begin({
      settings = [[
        vim.o.timeout = false
        vim.keymap.set("n", "an", "<Cmd>let g:longer = 1<CR>")
        vim.keymap.set("x", "an", "<Cmd>let g:longer = 1<CR>")
      ]],
    })
    -- One of the two lines: the hunk is split.
    r.s:text("Va")
    r:wait_states({ A, P, P, P, P, P, P })
    r.s:text("u")
    r:wait_states({ P, P, P, P, P, P })
    -- Until the review has it whole again, a key is about the part, and refused.
    r.s:wait_lua([[return #require("suggestion-review.review").session().hunks == 6]])
    r.s:text("a")
    r:wait_for(function()
      return vim.tbl_count(vim.tbl_filter(function(state)
        return state == A
      end, (r:states())))
    end, 1)
    t.eq(r.s:lua([[return vim.g.longer]]), vim.NIL)
  end)

  it("C2: as a macro, and a decision with its undo behind it", function()
    begin()
    r.s:lua([[vim.fn.setreg("q", "an")]])
    r.s:text("2@q")
    r:wait_states({ A, P, A, P, P, P })
    r:at(5)
    r.s:text("au")
    r:wait_note("Undone: 1 decision")
    t.eq(r:states(), { A, P, A, P, P, P })
    r.s:text("auauaq")
    r.s:wait_lua([[return not require("suggestion-review").is_open()]])
    r:wait_states({ A, P, A, P, A, P })
    r:wait_file("b.txt", "two\n")
    r:no_traceback()
  end)

  it("C2: bring the cursor to the hunk gone to before anybody knew where it is in the real file", function()
    r = reviewing.begin(OLD, NEW, { file = "a.txt" })
    r.s:lua(
      [[
        require("suggestion-review.model.store").fetch(..., function()
          require("suggestion-review.review").open(nil, { style = "inline" })
          require("suggestion-review.review").go(4)
        end)
      ]],
      r.suggestion
    )
    r:wait_for(function()
      return r.s:lua([[return vim.api.nvim_win_get_cursor(0)[1] ]])
    end, 28)
    r.s:text("yih")
    r:wait_for(function()
      return r.s:lua([[return vim.fn.getreg('"')]])
    end, "line 28\n")
    r.s:text(" sa")
    r:wait_states({ P, P, P, A, P, P })
  end)

  it("C4: a count decides as many hunks, as one decision", function()
    begin()
    r.s:text("3a")
    r:wait_states({ A, A, A, P, P, P })
    r:wait_file("a.txt", with(5, 12, 20))
    r:at(4)
    r.s:type("u")
    r:wait_states({ P, P, P, P, P, P })
    r:wait_file("a.txt", OLD["a.txt"])
    r.s:text("gg2a")
    r:wait_states({ A, A, P, P, P, P })
    r:at(3)
    -- "." again: the same, with the same count.
    r.s:type(".")
    r:wait_states({ A, A, A, A, P, P })
    r:at(5)
    r.s:text("2r")
    r.s:wait("Reject 2 hunks because", true)
    r.s:text("neither")
    r.s:type("Enter")
    r:wait_states({ A, A, A, A, R, R })
    local _, whole = r:states()
    t.eq({ whole.hunks[5].decision.comment, whole.hunks[6].decision.comment }, { "neither", "neither" })
    r.s:text("3u")
    r:wait_states({ P, P, P, P, P, P })
    r.s:text("2")
    r.s:type("C-r")
    r:wait_states({ A, A, A, A, P, P })
    r:wait_file("a.txt", NEW["a.txt"])
    -- More than there are.
    r:at(3)
    r.s:text("nn9a")
    r:wait_states({ A, A, A, A, A, A })
    r:wait_note("only 2 hunks from here on")
    r:no_traceback()
  end)

  it("C4: a selection decides all of its lines, as one decision", function()
    begin()
    r.s:text("ggVGa")
    r:wait_states({ A, A, A, A, P, P })
    r:wait_file("a.txt", NEW["a.txt"])
    r.s:type("u")
    r:wait_states({ P, P, P, P, P, P })
    r:wait_file("a.txt", OLD["a.txt"])
    -- From the middle of one hunk to the middle of another: parts of those, all of what is between.
    r.s:lua([[vim.fn.cursor(1, 1) vim.fn.search("^five$")]])
    r.s:text("V/twelve$\rr")
    r.s:wait("Reject 2 hunks because", true)
    r.s:type("Enter")
    r:wait_for(function()
      return #r:states()
    end, 8)
    t.eq(r:states(), { R, P, R, P, P, P, P, P })
    r.s:type("u")
    r:wait_states({ P, P, P, P, P, P })
    r:no_traceback()
  end)

  it("C4: a selection in the real file as well", function()
    begin(nil, "inline")
    r.s:text("ggVG sa")
    r:wait_states({ A, A, A, A, P, P })
    r:wait_file("a.txt", NEW["a.txt"])
  end)

  it("C16: no text object where there is no hunk", function()
    begin(nil, "inline")
    r.s:text("35G")
    r.s:text("dih")
    r.s:text("35Gcih")
    r.s:text("35Gyih")
    r.s:text("35Gvihd")
    r:rest()
    -- Only the last, which is Vim's own on one character.
    t.eq(
      r.s:lua([[return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n") .. "\n"]]),
      (OLD["a.txt"]:gsub("line 35", "ine 35"))
    )
    r.s:text("u20Gdih")
    r:rest()
    t.eq(r.s:lua([[return vim.fn.getreg('"')]]), "line 20\n")
    r:no_traceback()
  end)

  it("C16: nor between the hunks of the floating review", function()
    begin()
    r.s:lua([[vim.fn.setreg('"', "nothing") vim.fn.search("^line 9$")]])
    r.s:text("yih")
    r:rest()
    t.eq(r.s:lua([[return vim.fn.getreg('"')]]), "nothing")
    r.s:text("/twenty\ryih")
    r.s:wait_lua([[return vim.fn.getreg('"') == "line 20\ntwenty\n"]])
    r:no_traceback()
  end)

  it("C17: draw what is there, over hunks that were split and joined", function()
    r = reviewing.begin(OLD, {
      ["a.txt"] = poem({ [5] = { "a", "b", "c", "d" }, [20] = "twenty", [28] = "end" }),
      ["b.txt"] = "two\n",
    }, { file = "a.txt" })
    r:open()
    r:at(1)
    for _, line in ipairs({ "a", "b", "c" }) do
      local before = #r:states()
      r.s:lua([[vim.fn.cursor(1, 1) vim.fn.search(...)]], "^" .. line .. "$")
      r.s:text("Va")
      r:wait_for(function()
        return #r:states() > before or #r:states() == 7
      end, true)
    end
    local split, decided = #r:states(), 0
    for _, state in ipairs(r:states()) do
      decided = decided + (state == A and 1 or 0)
    end
    t.ok(split > 4 and decided >= 3, vim.inspect(r:states()))
    -- Many times over, with moves between: each way of drawing comes up.
    for _, keys in ipairs({ "uuu", "GuGuGu", "nununu", "pupupu" }) do
      r.s:text(keys)
      r:wait_states({ P, P, P, P })
      for _ = 1, decided do
        r.s:type("C-r")
      end
      r:wait_for(function()
        return #r:states()
      end, split)
    end
    r.s:text("uuu")
    r:wait_states({ P, P, P, P })
    r:wait_file("a.txt", OLD["a.txt"])
    r.s:wait("0/4 decided", true)
    r:no_traceback()
  end)
end)

describe("whatever is typed", function()
  after_each(finish)

  it("C17: is drawn as it is, for any keys in any order", function()
    r = reviewing.begin(OLD, {
      ["a.txt"] = poem({ [5] = { "a", "b", "c", "d" }, [12] = { "e", "f" }, [28] = "end" }),
      ["b.txt"] = "two\n",
      ["c.txt"] = "blue\n",
    }, { file = "a.txt" })
    r:open()
    local keys = {
      "a",
      "a",
      "2a",
      "n",
      "p",
      "u",
      "u",
      "3u",
      "Va",
      "jVa",
      "\18",
      "]p",
      "]f",
      "[f",
      "s",
      "za",
      "gg",
      "G",
      "f",
    }
    local random = require("suggestion").random(20261127)
    for _ = 1, 12 do
      local burst = {}
      for i = 1, 25 do
        burst[i] = keys[random(1, #keys)]
      end
      burst = table.concat(burst)
      -- As typeahead, so that nothing comes between two of them.
      r.s:lua([[vim.api.nvim_feedkeys(..., "t", false)]], burst)
      r:rest()
      r.s:wait_lua([[return require("suggestion-review.decisions.record").idle()
        and next(require("suggestion-review.review").session().sent) == nil
        and next(require("suggestion-review.decisions.requests").in_flight()) == nil]])
      r:wait_for(function()
        return r.s:lua([[
          local shown = {}
          for i, hunk in ipairs(require("suggestion-review.review").session().hunks) do shown[i] = hunk.state end
          return shown
        ]])
      end, (r:states()))
      -- The headlines on the screen say the same.
      r:wait_for(function()
        return r.s:lua([[
          local session = require("suggestion-review.review").session()
          local view = require("suggestion-review.ui.render").view(vim.api.nvim_get_current_buf())
          for _, row in ipairs(view.rows) do
            if row and row.kind == "header" and view.hunks[row.hunk].id ~= session.hunks[row.hunk].id then
              return "another hunk"
            end
          end
          return "the same"
        ]])
      end, "the same")
      r:no_traceback()
    end
  end)
end)

describe("a discard", function()
  after_each(finish)

  it("A10: is confirmed by a key of its own, and undone", function()
    begin()
    r.s:text("a")
    r:wait_states({ A, P, P, P, P, P })
    r.s:type("Escape")
    r.s:wait("Discard “Better", true)
    -- Whatever the review knows, and what a hand on its way types; but for `q`, which closes it, and `K`, whose window
    -- would take the keys after it.
    local keys = {}
    for _, key in
      ipairs(
        r.s:lua(
          [[return vim.tbl_map(function(key) return key.default end, require("suggestion-review.ui.keys").list)]]
        )
      )
    do
      if #key == 1 and key ~= "q" and key ~= "K" then
        keys[#keys + 1] = key
      end
    end
    r.s:text(table.concat(keys) .. "Dy")
    r.s:type("Escape")
    r:rest()
    t.eq(select(2, r:states()).state, "open")
    r.s:type("Escape")
    r.s:wait("(!)Discard", true)
    r.s:text("!")
    r.s:wait_lua([[return not require("suggestion-review").is_open()]])
    r:wait_note(":Suggest undo brings it back")
    t.eq(select(2, r:states()).state, "discarded")
    command("Suggest undo")
    r.s:wait_lua([[return require("suggestion-review").is_open()]])
    t.eq(select(2, r:states()).state, "open")
    t.eq(r:states(), { A, P, P, P, P, P })
    r.s:wait("1/6 decided", true)
    -- Further back are the decisions.
    r.s:type("u")
    r:wait_states({ P, P, P, P, P, P })
    r:wait_file("a.txt", OLD["a.txt"])
    r:no_traceback()
  end)

  it("A10: is undone by u in its review, also in another Neovim, and done again by <C-r>", function()
    begin()
    r.server:http("POST", "/complete", { suggestion_id = r.suggestion, action = "discard" })
    r.s:wait_lua([[return not require("suggestion-review").is_open()]])
    command("Suggest review " .. r.suggestion)
    r.s:wait("· discarded", true)
    r.s:text("a")
    r:wait_note("already discarded")
    t.eq(r:states(), { P, P, P, P, P, P })
    r.s:text("u")
    r:wait_note("Undone: the discard")
    r.s:text("a")
    r:wait_states({ A, P, P, P, P, P })
    r.s:text("u")
    r:wait_states({ P, P, P, P, P, P })
    r:no_traceback()
  end)
end)

describe("a decision", function()
  after_each(finish)

  for _, hidden in ipairs({ "hidden", "nohidden" }) do
    it(
      "A15: in the real file is sent with unsaved edits there, and goes on, with '" .. hidden .. "'",
      function()
        r = reviewing.begin(OLD, {
          ["a.txt"] = poem({ [5] = "five", [20] = "twenty" }),
          ["c.txt"] = "blue\n",
        }, { file = "a.txt", settings = "vim.o.hidden = " .. tostring(hidden == "hidden") })
        r:open("inline")
        r.s:text("Go")
        r.s:text("unsaved")
        r.s:type("Escape")
        r.s:text("5G")
        r.s:wait_lua([[return vim.bo.modified and vim.fn.line(".") == 5]])
        for number, state in ipairs({ { M, P, P }, { M, M, P } }) do
          r:at(number)
          r.s:text(" sm")
          r.s:wait_lua([[return vim.bo.buftype == "acwrite"]])
          r.s:text("Imine ")
          r.s:type("Escape")
          command("w")
          r:wait_states(state)
          r.s:wait_lua([[return vim.bo.buftype == ""]])
        end
        r.s:wait_lua([[return vim.api.nvim_buf_get_name(0):find("c.txt$") ~= nil]])
        r:at(3)
        r:wait_for(function()
          return r.s:lua([[return table.concat(
          vim.api.nvim_buf_get_lines(vim.fn.bufnr("a.txt"), 0, -1, false), "\n")]])
        end, poem({ [5] = "mine five", [20] = "mine twenty" }) .. "unsaved")
        t.eq(r.s:lua([[return vim.bo[vim.fn.bufnr("a.txt")].modified]]), true)
        r:no_traceback()
      end
    )
  end

  it("A15: that cannot be kept on disk is not sent, and is shown undecided", function()
    begin()
    r.s:lua([[local directory = require("suggestion-review.decisions.record").directory()
      vim.fn.mkdir(vim.fs.dirname(directory), "p")
      vim.fn.writefile({ "a file where the folder belongs" }, directory)]])
    r.s:text("a")
    r:wait_note("could not be kept on disk, so it was not sent")
    r:at(1)
    t.eq(r.s:lua([[return next(require("suggestion-review.review").session().sent) == nil]]), true)
    r.s:wait("0/6 decided", true)
    r.s:text("3a")
    r:wait_note("could not be kept on disk, so they were not sent")
    r.s:wait("0/6 decided", true)
    t.eq(r:states(), { P, P, P, P, P, P })
    r.s:lua([[vim.uv.fs_unlink(require("suggestion-review.decisions.record").directory())]])
    r.s:text("3a")
    r:wait_states({ A, A, A, P, P, P })
  end)

  it("A15: is sent and comes into the file although nothing can be drawn", function()
    begin()
    r.s:lua([[
      local floating = require("suggestion-review.ui.floating")
      _G.refresh = floating.refresh
      floating.refresh = function() error("the screen is on fire") end
    ]])
    r.s:text("a")
    r:wait_states({ A, P, P, P, P, P })
    r:wait_file("a.txt", with(5))
    r:wait_note("the screen is on fire")
    t.eq(r.s:lua([[return next(require("suggestion-review.review").session().sent) == nil]]), true)
    r.s:lua([[require("suggestion-review.ui.floating").refresh = _G.refresh]])
    -- The cursor has stayed where it was: the first goes on, the second decides.
    r.s:text("aa")
    r:wait_states({ A, A, P, P, P, P })
    r.s:wait("2/6 decided", true)
  end)
end)
