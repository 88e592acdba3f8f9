--- What the review says of hunks and does with the developer's own text, on the real server: conflicts, undo, new
--- revisions, Vim's own undo, finalize and the plan of an adoption.

local real = require("real")

if not real.available() then
  pending("what the review says", "needs Bun and jj")
  return
end

local feedback = require("suggestion-review.decisions.requests")
local review = require("suggestion-review.review")
local store = require("suggestion-review.model.store")

local OLD = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
local NEW = "one\nTWO\nthree\nfour\nfive\nsix\nseven\neight\nNINE\nten\n"
local MINE = OLD:gsub("two", "mine")

---@type Real
local server
local id
local asked = {}
local answers = {}
local confirm = vim.fn.confirm
local input = vim.ui.input

local function clear()
  if review.is_open() then
    review.close()
  end
  vim.cmd("silent! %bwipeout!")
  require("suggestion-review.connection.client")._reset()
  store._clear()
  require("suggestion-review.apply").reset()
  require("suggestion-review.apply.applied").reset()
  require("suggestion-review.model.base_text").reset()
end

before_each(function()
  asked, answers = {}, {}
  rawset(vim.fn, "confirm", function(message)
    asked[#asked + 1] = message
    return table.remove(answers, 1) or 0
  end)
  rawset(vim.ui, "input", function(_, done)
    done("")
  end)
end)

after_each(function()
  rawset(vim.fn, "confirm", confirm)
  rawset(vim.ui, "input", input)
  clear()
  if server then
    server:stop("sigkill")
  end
  server = nil
end)

local function session()
  return assert(review.session())
end

local function settled()
  t.wait(function()
    return next(session().sent) == nil and next(feedback.in_flight()) == nil
  end, 10000, "answers")
end

local function open()
  review.open(id)
  t.wait(review.is_open)
end

local function start(old, new)
  server = real.start(old)
  id = server:publish(new, "Changes")
  server:connect()
  t.wait(function()
    return store.get(id)
  end)
  vim.cmd.cd(server.checkout)
end

--- Publishes the change again, and waits for the review to have it.
local function publish_again(files)
  server:publish(files, "Changes again", store.get(id).jj_change_id)
  t.wait(function()
    return session().revision == 2
  end, 10000, "revision 2")
end

local function checkout(path)
  return t.read(server.checkout .. "/" .. (path or "a.txt"))
end

local function wait_file(text, path)
  local last
  if not pcall(t.wait, function()
    last = checkout(path)
    return last == text
  end) then
    t.eq(last, text)
  end
end

local function note_of(index)
  return session().outcomes[session().hunks[index].id]
end

local function wait_note(index, note)
  local last
  if not pcall(t.wait, function()
    last = note_of(index)
    return last == note
  end) then
    t.eq(last, note)
  end
end

local function state_of(index)
  return session().hunks[index].state
end

local function accept(index)
  review.go(index)
  review.accept()
  settled()
end

--- Presses a key in the conflict window, once it is there.
local function conflict(key)
  t.wait(function()
    return vim.fn.maparg(key, "n", false, true).desc ~= nil
      and (vim.fn.maparg(key, "n", false, true).desc):find("^Conflict")
  end, 15000, "the conflict window")
  vim.api.nvim_feedkeys(key, "mx", false)
  settled()
end

local function undo_in(path)
  local buf = vim.fn.bufnr(server.checkout .. "/" .. path)
  vim.api.nvim_buf_call(buf, function()
    vim.cmd("silent undo")
  end)
end

describe("the developer's own text", function()
  for _, key in ipairs({ "o", "t", "b" }) do
    it(
      ("A1: comes back by undo after %s in the conflict window, in a file that is not open"):format(key),
      function()
        start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
        t.write(server.checkout .. "/a.txt", MINE)
        open()
        accept(1)
        conflict(key)
        t.wait(function()
          return state_of(1) == (key == "t" and "accepted" or "modified")
        end)
        review.undo()
        t.wait(function()
          return state_of(1) == "pending"
        end)
        wait_file(MINE)
        review.redo()
        t.wait(function()
          return state_of(1) ~= "pending"
        end)
        review.go(1)
        review.reject({ comment = "" })
        settled()
        wait_file(MINE)
      end
    )
  end

  it("A2: is asked about again when a new revision comes to the same line", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    t.write(server.checkout .. "/a.txt", MINE)
    open()
    accept(1)
    conflict("o")
    publish_again({ ["a.txt"] = (NEW:gsub("TWO", "zwei")) })
    t.eq(state_of(1), "pending")
    accept(1)
    t.eq(checkout(), MINE)
    conflict("t")
    wait_file((OLD:gsub("two", "zwei")))
    review.go(1)
    review.reject({ comment = "" })
    settled()
    wait_file(MINE)
  end)

  it("A12: is asked about again when a single hunk is decided twice", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("two", "TWO")) })
    t.write(server.checkout .. "/a.txt", MINE)
    open()
    accept(1)
    conflict("o")
    t.eq(checkout(), MINE)
    accept(1)
    t.eq(checkout(), MINE)
    conflict("o")
    t.eq(checkout(), MINE)
    t.eq(state_of(1), "modified")
  end)
end)

describe("an accepted hunk", function()
  it("is said to conflict when the version that was settled on is undone", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("two", "TWO\nTOO")) })
    vim.cmd("silent edit a.txt")
    local buf = vim.api.nvim_get_current_buf()
    open()
    accept(1)
    wait_file((OLD:gsub("two", "TWO\nTOO")))
    vim.api.nvim_buf_set_lines(buf, 2, 4, false, {})
    wait_note(1, "edited in your file since")
    accept(1)
    conflict("o")
    t.wait(function()
      return state_of(1) == "modified"
    end)
    wait_note(1, nil)
    review.undo()
    t.wait(function()
      return state_of(1) == "accepted"
    end)
    settled()
    wait_note(1, "conflicts with your edits")
  end)

  it("A4: is said to be gone after Vim's own undo, and asked about before finalizing", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    vim.cmd("silent edit a.txt")
    open()
    accept(1)
    wait_file((OLD:gsub("two", "TWO")))
    accept(2)
    wait_file(NEW)
    t.eq({ note_of(1), note_of(2) }, {})
    undo_in("a.txt")
    wait_note(2, "not in your file")
    t.eq(note_of(1), nil)
    answers = { 2 }
    review.complete()
    t.wait(function()
      return #asked > 0
    end)
    t.match(asked[1], "1 hunk you accepted is not in your file any more %(a%.txt:9%)")
    t.eq(#asked, 1)
    t.eq(store.get(id).state, "open")
    -- Accepted once more, it is there, and nothing is asked but whether to finalize.
    accept(2)
    wait_note(2, nil)
    asked = {}
    review.complete()
    t.wait(function()
      return #asked > 0
    end)
    t.match(asked[1], "^Finalize “Changes”")
  end)

  it("A4: is said to be gone when the file was checked out anew and the review is opened", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    open()
    accept(1)
    wait_file((OLD:gsub("two", "TWO")))
    review.close()
    server:git("checkout", "checkout", "--", "a.txt")
    open()
    wait_note(1, "not in your file")
  end)

  it("A5: is one step of Vim's undo, and a batch is one", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    vim.cmd("silent edit a.txt")
    local buf = vim.api.nvim_get_current_buf()
    local function text()
      return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
    end
    open()
    accept(1)
    wait_file((OLD:gsub("two", "TWO")))
    accept(2)
    t.wait(function()
      return text() == NEW
    end)
    undo_in("a.txt")
    t.eq(text(), (OLD:gsub("two", "TWO")))
    undo_in("a.txt")
    t.eq(text(), OLD)
    review.undo()
    review.undo()
    t.wait(function()
      return state_of(1) == "pending" and state_of(2) == "pending"
    end)
    settled()
    review.accept_all()
    t.wait(function()
      return text() == NEW
    end)
    undo_in("a.txt")
    t.eq(text(), OLD)
  end)
end)

describe("a new revision", function()
  it("shows the same change elsewhere where it is now, with the lines around it", function()
    local lines = {}
    for i = 1, 60 do
      lines[i] = (i == 10 or i == 50) and "red" or ("line %d"):format(i)
    end
    local function blue_at(at)
      local new = vim.list_slice(lines)
      new[at] = "blue"
      return table.concat(new, "\n") .. "\n"
    end
    local function shows(first, other)
      t.wait(function()
        for _, win in ipairs(vim.api.nvim_list_wins()) do
          local buf = vim.api.nvim_win_get_buf(win)
          if vim.bo[buf].filetype == "suggestion-review" then
            local text = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
            return text:find(first, 1, true) ~= nil and text:find(other, 1, true) == nil
          end
        end
      end, 15000, first)
    end
    start({ ["a.txt"] = table.concat(lines, "\n") .. "\n" }, { ["a.txt"] = blue_at(10) })
    open()
    shows("line 11", "line 51")
    local before = session().hunks[1]
    publish_again({ ["a.txt"] = blue_at(50) })
    t.eq({ session().hunks[1].id, session().hunks[1].digest }, { before.id, before.digest })
    shows("line 51", "line 11")
    accept(1)
    wait_file(blue_at(50))
  end)

  it("A11: takes the text of a hunk that it changes or drops out of the files", function()
    start(
      { ["a.txt"] = OLD, ["b.txt"] = "b\n" },
      { ["a.txt"] = NEW, ["b.txt"] = "B\n", ["new.txt"] = "new\n" }
    )
    open()
    review.accept_all()
    settled()
    wait_file(NEW)
    wait_file("new\n", "new.txt")
    -- One hunk is changed, one file is left alone now, one is not made any more.
    publish_again({ ["a.txt"] = (NEW:gsub("TWO", "zwei")), ["b.txt"] = "b\n", ["new.txt"] = false })
    wait_file((OLD:gsub("nine", "NINE")))
    wait_file("b\n", "b.txt")
    t.wait(function()
      return checkout("new.txt") == nil
    end)
    t.eq({ state_of(1), state_of(2) }, { "pending", "accepted" })
    t.eq({ note_of(1), note_of(2) }, {})
  end)

  it("A11: says where that text was edited, asks before finalizing, and the plan names it", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    open()
    review.accept_all()
    settled()
    wait_file(NEW)
    review.close()
    -- Edited within the accepted lines, in a file that the next revision changes elsewhere only.
    server:publish({ ["a.txt"] = (OLD:gsub("nine", "NINE")) }, "Changes again", store.get(id).jj_change_id)
    t.write(server.checkout .. "/a.txt", (NEW:gsub("TWO", "TWO and mine")))
    t.wait(function()
      return store.get(id).revision == 2
    end)
    open()
    t.wait(function()
      return #session().hunks == 1
    end)
    asked, answers = {}, { 1, 1 }
    review.complete()
    t.wait(function()
      return #asked == 2
    end, 15000, "both questions")
    t.match(asked[1], "a%.txt has text of revision 1, which the commit will not have")
    t.wait(function()
      return store.get(id).state == "finalized"
    end, 10000, "the end")
    local plan, err
    require("suggestion-review.lib.task").run(function()
      return require("suggestion-review.adopt").prepare(store.get(id))
    end, function(message, result)
      plan, err = result, message
    end)
    t.wait(function()
      return plan or err
    end, 10000, "the plan")
    t.ok(plan, vim.inspect(err))
    local text = table.concat(require("suggestion-review.adopt.plan_text").of(plan), "\n")
    t.match(text, "a%.txt: text of revision 1, not of the final commit")
    t.ok(not text:find("further edits", 1, true), text)
  end)

  it("A11: says at a hunk that its earlier text is in the file, and rejecting takes it out", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("two", "TWO")) })
    open()
    accept(1)
    wait_file((OLD:gsub("two", "TWO")))
    t.write(server.checkout .. "/a.txt", (OLD:gsub("two", "TWO and mine")))
    publish_again({ ["a.txt"] = (OLD:gsub("two", "zwei")) })
    wait_note(1, "text of revision 1 is in your file")
    t.write(server.checkout .. "/a.txt", (OLD:gsub("two", "TWO")))
    review.go(1)
    review.reject({ comment = "" })
    settled()
    wait_file(OLD)
    wait_note(1, nil)
  end)
end)

describe("a hunk taken back whose text was edited", function()
  it("A14: is said to be in the file at every opening, and so are its parts", function()
    local new = OLD:gsub("two\nthree", "TWO\nTHREE")
    start({ ["a.txt"] = OLD }, { ["a.txt"] = new })
    open()
    accept(1)
    wait_file(new)
    local edited = new:gsub("TWO", "TWO and mine")
    t.write(server.checkout .. "/a.txt", edited)
    review.undo()
    t.wait(function()
      return state_of(1) == "pending"
    end)
    local note = "still in your file: you edited it"
    wait_note(1, note)
    review.close()
    require("suggestion-review.apply.applied").reset()
    open()
    wait_note(1, note)
    -- A part of it is decided.
    local floating = require("suggestion-review.ui.floating")
    local selection = floating.selection
    floating.selection = function()
      return { { index = 1, lines = { old = { 0, 1 }, new = { 0, 1 } } } }
    end
    review.reject({ selection = true, comment = "" })
    floating.selection = selection
    t.wait(function()
      return #session().hunks == 2
    end)
    settled()
    -- The second part stands beside the edit, untouched.
    wait_note(1, note)
    wait_note(2, "still in your file")
    t.eq(checkout(), edited)
    review.close()
    open()
    wait_note(1, note)
    wait_note(2, "still in your file")
  end)

  it("A14: is said to be in the file after it was tried in vain to take a part of it out", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("two", "p\nq\nr\ntwo")) })
    t.write(server.checkout .. "/a.txt", (OLD:gsub("two", "mine\ntwo")))
    open()
    accept(1)
    conflict("t")
    local came = OLD:gsub("two", "p\nq\nr\ntwo")
    wait_file(came)
    local edited = came:gsub("q", "q and mine")
    t.write(server.checkout .. "/a.txt", edited)
    review.undo()
    t.wait(function()
      return state_of(1) == "pending"
    end)
    local note = "still in your file: you edited it"
    wait_note(1, note)
    local floating = require("suggestion-review.ui.floating")
    local selection = floating.selection
    floating.selection = function()
      return { { index = 1, lines = { old = { 0, 0 }, new = { 0, 1 } } } }
    end
    review.reject({ selection = true, comment = "" })
    floating.selection = selection
    t.wait(function()
      return #session().hunks == 2
    end)
    settled()
    wait_note(1, note)
    local decisions = require("suggestion-review.decisions.record")
    t.wait(function()
      return #vim.tbl_filter(function(record)
        return record.lines ~= nil
      end, vim.tbl_values(decisions.by_hunk(id))) == 1
    end, 15000, "the decision on the part in the record")
    review.go(1)
    local notices, notify = require("notices"), vim.notify
    notices.listen()
    review.resolve()
    notices.wait("a%.txt: still in your file: you edited it; it cannot be taken apart here")
    vim.notify = notify
    wait_note(1, note)
    t.eq(checkout(), edited)
  end)
end)

--- Writes as it is typed: nothing else sends.
local function write()
  vim.api.nvim_feedkeys(vim.keycode(":silent write<CR>"), "tx", false)
end

describe("a modified hunk", function()
  it(
    "C5: shows the developer's version in the review and the picker, and compares it with the agent's",
    function()
      start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
      open()
      review.go(1)
      review.modify()
      local buf = vim.api.nvim_get_current_buf()
      vim.api.nvim_buf_set_lines(buf, 1, 3, false, { "my two", "my three" })
      write()
      settled()
      wait_file((OLD:gsub("two\nthree", "my two\nmy three")))
      t.wait(function()
        return state_of(1) == "modified"
      end)
      local hunk = session().hunks[1]
      local function shows(lines)
        local text = table.concat(lines, "\n")
        return text:find("my three", 1, true) ~= nil and text:find("TWO", 1, true) == nil
      end
      local function drawn()
        for _, win in ipairs(vim.api.nvim_list_wins()) do
          if vim.bo[vim.api.nvim_win_get_buf(win)].filetype == "suggestion-review" then
            return vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
          end
        end
        return {}
      end
      t.wait(function()
        return shows(drawn())
      end, 15000, "the developer's version in the floating review")
      t.ok(shows(require("suggestion-review.ui.picker").preview(session(), hunk)))
      local rows = require("suggestion-review.ui.rows")
      t.eq(rows.block_of(hunk).new, { "my two", "my three" })
      t.eq({ rows.size_of(hunk) }, { 2, 2 })
      review.go(1)
      review.compare()
      local compared = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
      t.match(compared, "%-TWO\n")
      t.match(compared, "%+my two\n")
      vim.api.nvim_feedkeys("q", "mx", false)
      -- Inline, the buffer itself holds it.
      review.set_style("inline")
      t.ok(shows(vim.api.nvim_buf_get_lines(vim.fn.bufnr(server.checkout .. "/a.txt"), 0, 4, false)))
      -- Taken back, the agent's text is shown again.
      review.set_style("floating")
      review.undo()
      t.wait(function()
        return state_of(1) == "pending" and table.concat(drawn(), "\n"):find("TWO", 1, true)
      end)
    end
  )

  it(
    "is known to be in the file when the agent built on it, and goes out when it is rejected then",
    function()
      start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
      open()
      review.go(1)
      review.modify()
      local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
      for index, line in ipairs(lines) do
        lines[index] = line:gsub("TWO", "mine")
      end
      vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
      write()
      settled()
      wait_file(MINE)
      server:http("POST", "/settle", { project = server.project })
      server:jj("edit", store.get(id).jj_change_id)
      local built = t.read(server.agent .. "/a.txt")
      t.match(built, "mine")
      publish_again({ ["a.txt"] = (built:gsub("NINE", "neun")) })
      t.eq(state_of(1), "accepted")
      wait_note(1, nil)
      t.eq(checkout(), MINE)
      review.go(1)
      review.reject({ comment = "" })
      settled()
      wait_file(OLD)
    end
  )

  it(
    "A4: is said to be out of the file that changed while its conflict was written about, in the review of then",
    function()
      start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
      t.write(server.checkout .. "/a.txt", MINE)
      vim.cmd.edit(server.checkout .. "/a.txt")
      local buf = vim.api.nvim_get_current_buf()
      open()
      accept(1)
      conflict("e")
      local editor = vim.api.nvim_get_current_win()
      vim.api.nvim_buf_set_lines(0, 0, -1, false, { "mine and TWO" })
      review.close()
      t.ok(vim.api.nvim_win_is_valid(editor))
      open()
      local later = MINE:gsub("mine", "mine, and later")
      vim.api.nvim_buf_set_lines(buf, 1, 2, false, { "mine, and later" })
      -- The review has looked at that by then, and has no reason to look again.
      vim.wait(400)
      vim.api.nvim_set_current_win(editor)
      write()
      t.wait(function()
        return state_of(1) == "modified"
      end)
      settled()
      wait_note(1, require("suggestion-review.review.session").KEPT_OUT.refused)
      t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", later)
    end
  )

  it("A4: is said to be out of the file whose buffer is read anew, whenever the review was opened", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    t.write(server.checkout .. "/a.txt", MINE)
    vim.cmd.edit(server.checkout .. "/a.txt")
    local buf = vim.api.nvim_get_current_buf()
    vim.api.nvim_buf_set_lines(buf, 5, 6, false, { "six, unsaved" })
    open()
    accept(1)
    conflict("b")
    t.wait(function()
      return state_of(1) == "modified"
    end)
    review.close()
    open()
    wait_note(1, nil)
    t.eq(#vim.api.nvim_buf_get_lines(buf, 0, -1, false), 11)
    vim.api.nvim_set_current_win(vim.fn.win_findbuf(buf)[1])
    vim.cmd("silent edit!")
    t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", MINE)
    wait_note(1, require("suggestion-review.review.session").KEPT_OUT.refused)
  end)

  it("that is modified anew and meets the developer's edits is sent as it is then", function()
    local function modify(from, to)
      review.go(1)
      review.modify()
      local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
      for i, line in ipairs(lines) do
        lines[i] = line:gsub(from, to)
      end
      vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
      write()
    end
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("five", "FIVE")) })
    vim.cmd("silent edit a.txt")
    local buf = vim.api.nvim_get_current_buf()
    open()
    modify("FIVE", "5 mine")
    settled()
    wait_file((OLD:gsub("five", "5 mine")))
    vim.api.nvim_buf_set_lines(buf, 4, 5, false, { "5 other" })
    wait_note(1, "edited in your file since")
    modify("5 mine", "5 second")
    conflict("t")
    t.wait(function()
      return session().hunks[1].decision.modified_diff:find("+5 second", 1, true)
    end, 15000, "the later version")
    t.eq(vim.api.nvim_buf_get_lines(buf, 4, 5, false), { "5 second" })
    wait_note(1, nil)
  end)

  it("is said to conflict when an earlier version of the developer's is the one that counts again", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("five", "FIVE")) })
    vim.cmd("silent edit a.txt")
    local buf = vim.api.nvim_get_current_buf()
    open()
    review.go(1)
    review.modify()
    local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
    for i, line in ipairs(lines) do
      lines[i] = line:gsub("three", "3 mine"):gsub("FIVE", "5 mine")
    end
    answers = { 1 }
    vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
    write()
    settled()
    wait_file((OLD:gsub("three", "3 mine"):gsub("five", "5 mine")))
    vim.api.nvim_buf_set_lines(buf, 2, 3, false, { "3 other" })
    vim.api.nvim_buf_set_lines(buf, 4, 5, false, { "5 other" })
    wait_note(1, "edited in your file since")
    accept(1)
    conflict("o")
    wait_note(1, nil)
    review.undo()
    settled()
    t.wait(function()
      return session().hunks[1].decision.modified_diff:find("3 mine", 1, true)
    end)
    wait_note(1, "conflicts with your edits")
  end)

  it("is in its place on a base that has moved, goes out there, and is there in the commit", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = (OLD:gsub("nine", "NINE")) })
    open()
    review.go(1)
    review.modify()
    local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
    for i, line in ipairs(lines) do
      lines[i] = line:gsub("NINE", "mine")
    end
    vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
    write()
    settled()
    wait_file((OLD:gsub("nine", "mine")))
    server:http("POST", "/settle", { project = server.project })
    -- Somebody's lines come above it, in what both have.
    local above = "nought\nhalf\n"
    t.write(server.checkout .. "/a.txt", above .. OLD)
    server:git("checkout", "commit", "--quiet", "--all", "--message=above")
    local commit = vim.trim(server:git("checkout", "rev-parse", "HEAD"))
    local hub = { "-c", "http.extraHeader=Authorization: Bearer " .. server.token }
    server:git(
      "checkout",
      unpack(vim.list_extend(vim.list_slice(hub), { "push", "--quiet", server.hub, "HEAD:main" }))
    )
    t.write(server.checkout .. "/a.txt", above .. OLD:gsub("nine", "mine"))
    -- The agent takes its change onto that, and holds on to its own text.
    server:git(
      "agent",
      unpack(vim.list_extend(hub, { "fetch", "--quiet", server.hub, "main:refs/heads/shared" }))
    )
    local change = store.get(id).jj_change_id
    server:jj("rebase", "-s", change, "-d", commit)
    publish_again({ ["a.txt"] = above .. OLD:gsub("nine", "NINE") })
    t.eq(state_of(1), "modified")
    settled()
    wait_note(1, nil)
    review.go(1)
    review.reject({ comment = "" })
    settled()
    wait_file(above .. OLD)
    review.undo()
    wait_file(above .. OLD:gsub("nine", "mine"))
    wait_note(1, nil)
    asked, answers = {}, { 1 }
    review.complete()
    t.wait(function()
      return store.get(id).state == "finalized"
    end, 10000, "the end")
    local plan, err
    require("suggestion-review.lib.task").run(function()
      return require("suggestion-review.adopt").prepare(store.get(id))
    end, function(message, result)
      plan, err = result, message
    end)
    t.wait(function()
      return plan or err
    end, 10000, "the plan")
    t.ok(plan and plan.verdict.ok, vim.inspect(err or require("suggestion-review.adopt.plan_text").of(plan)))
  end)

  it("C5: emptied leaves the lines around the hunk, and asks before those are removed", function()
    start({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    open()
    review.go(1)
    review.modify()
    vim.api.nvim_buf_set_lines(0, 0, -1, false, {})
    write()
    settled()
    wait_file((OLD:gsub("two\n", "")))
    t.eq(asked, {})
    review.go(2)
    review.modify()
    local buf = vim.api.nvim_get_current_buf()
    vim.api.nvim_buf_set_lines(buf, 0, -1, false, { "only this" })
    answers = { 2 }
    write()
    t.wait(function()
      return #asked > 0
    end)
    t.eq(#asked, 1)
    t.match(asked[1], "also removes %d lines outside the hunk")
    t.ok(vim.api.nvim_buf_is_valid(buf))
    t.eq(state_of(2), "pending")
    vim.cmd("quit!")
  end)
end)
