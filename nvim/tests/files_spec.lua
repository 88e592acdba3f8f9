--- How the developer's files and buffers are written: byte for byte, never over what somebody else has unsaved, and
--- nothing removed that could not be brought back.
local apply = require("suggestion-review.apply")
local applied = require("suggestion-review.apply.applied")
local base_of = require("suggestion-review.model.base_text")
local build = require("suggestion")
local child = require("child")

local root

---@param files table<string, string>
local function checkout(files)
  root = vim.uv.fs_realpath(t.tempdir())
  vim.fn.mkdir(root .. "/.git", "p")
  for path, text in pairs(files) do
    t.write(root .. "/" .. path, text)
  end
end

---@param suggestion table
local function place_of(suggestion)
  return { suggestion = suggestion, root = root, in_place = false, applied = applied.open(root) }
end

--- Brings hunks into a state; returns the plan's items and what went wrong.
local function bring(place, hunks, state)
  local wants = {}
  for i, hunk in ipairs(hunks) do
    wants[i] = { hunk = hunk, state = state }
  end
  local plans, items = t.await(function(done)
    apply.plan(place, wants, done)
  end)
  return items, apply.run(plans)
end

local function read(path)
  return t.read(root .. "/" .. path)
end

local function edit(path)
  vim.cmd("silent edit " .. vim.fn.fnameescape(root .. "/" .. path))
  return vim.api.nvim_get_current_buf()
end

before_each(function()
  vim.cmd("silent! %bwipeout!")
  vim.cmd("silent! only!")
  apply.reset()
  applied.reset()
  base_of.reset()
  require("suggestion-review.config").setup({})
end)

local OLD = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
local NEW = "one\nTWO\nthree\nfour\nfive\nsix\nseven\neight\nNINE\nten\n"

describe("a file that is gone", function()
  it("A6: a file removed on disk is not written again from its buffer", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    vim.fn.delete(root .. "/a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local items = bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(items[1].status, "refused")
    t.match(items[1].reason, "no such file")
    t.eq(read("a.txt"), nil)
    t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", OLD)
    t.eq(vim.bo[buf].modified, false)
  end)

  it("A6: nor one whose buffer has unsaved text, or that went between plan and write", function()
    checkout({ ["a.txt"] = OLD, ["b.txt"] = OLD })
    local buf = edit("a.txt")
    vim.api.nvim_buf_set_lines(buf, 9, 10, false, { "mine" })
    vim.fn.delete(root .. "/a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD, ["b.txt"] = OLD }, { ["a.txt"] = NEW, ["b.txt"] = NEW })
    local place = place_of(suggestion)
    t.eq(bring(place, { suggestion.hunks[1] }, "accepted")[1].status, "refused")
    t.eq(vim.api.nvim_buf_get_lines(buf, 9, 10, false), { "mine" })
    local later = edit("b.txt")
    local plans = t.await(function(done)
      apply.plan(place, { { hunk = suggestion.hunks[3], state = "accepted" } }, done)
    end)
    vim.fn.delete(root .. "/b.txt")
    t.match(apply.run(plans)[1].reason, "changed on disk")
    t.eq({ read("a.txt"), read("b.txt") }, {})
    t.eq(vim.api.nvim_buf_get_lines(later, 1, 2, false), { "two" })
    t.ok(not apply.is_applied(place, suggestion.hunks[3]))
  end)
end)

--- Trailing blanks on lines nobody touches, and no newline at the end.
local RAGGED = "one  \ntwo\nthree\t\nfour\nfive\nsix\nseven\neight\nnine  \nten"
local RAGGED_NEW = (RAGGED:gsub("two", "TWO"):gsub("nine", "NINE"))

describe("a write is byte-exact", function()
  --- Accepts both hunks one after the other, then takes them out again.
  local function round_trip()
    local suggestion = build.build({ ["a.txt"] = RAGGED }, { ["a.txt"] = RAGGED_NEW })
    local place = place_of(suggestion)
    local _, problems = bring(place, { suggestion.hunks[1] }, "accepted")
    t.eq(problems, {})
    t.eq(read("a.txt"), (RAGGED:gsub("two", "TWO")))
    local items = bring(place, { suggestion.hunks[2] }, "accepted")
    t.eq(items[1].status, "clean")
    t.eq(read("a.txt"), RAGGED_NEW)
    bring(place, suggestion.hunks, "rejected")
    t.eq(read("a.txt"), RAGGED)
    t.eq(vim.bo.modified, false)
    vim.cmd("silent! checktime")
    t.eq(vim.bo.modified, false)
  end

  it("A7: whatever EditorConfig wants of the last newline and of trailing blanks", function()
    checkout({
      ["a.txt"] = RAGGED,
      [".editorconfig"] = "root = true\n[*]\ninsert_final_newline = true\ntrim_trailing_whitespace = true\n",
    })
    vim.cmd.runtime("plugin/editorconfig.lua")
    local buf = edit("a.txt")
    t.eq(vim.b[buf].editorconfig.trim_trailing_whitespace, "true")
    round_trip()
  end)

  it("A7: whatever a formatter does before or after a write", function()
    checkout({ ["a.txt"] = RAGGED })
    local buf = edit("a.txt")
    local ran = {}
    local group = vim.api.nvim_create_augroup("formatter", {})
    vim.api.nvim_create_autocmd("BufWritePre", {
      group = group,
      pattern = "*",
      callback = function(event)
        ran[#ran + 1] = event.event
        vim.cmd([[silent! keeppatterns %s/\s\+$//]])
      end,
    })
    vim.api.nvim_create_autocmd("BufWritePost", {
      group = group,
      buffer = buf,
      nested = true,
      callback = function(event)
        ran[#ran + 1] = event.event
        local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
        vim.api.nvim_buf_set_lines(buf, 0, -1, false, vim.tbl_map(vim.trim, lines))
        vim.cmd("noautocmd write")
      end,
    })
    round_trip()
    t.eq(ran, {})
    vim.api.nvim_del_augroup_by_id(group)
  end)

  it("A7: whatever options say of writing", function()
    checkout({ ["a.txt"] = RAGGED })
    edit("a.txt")
    local options = {
      autoread = false,
      fixendofline = true,
      confirm = true,
      autowriteall = true,
      backup = true,
      patchmode = ".orig",
    }
    for name, value in pairs(options) do
      vim.o[name] = value
    end
    vim.bo.fixendofline = true
    local ok, message = pcall(round_trip)
    t.eq({ vim.o.confirm, vim.o.backup, vim.o.patchmode }, { true, true, ".orig" })
    for name in pairs(options) do
      vim.cmd(("set %s&"):format(name))
    end
    t.ok(ok, message)
    t.eq(vim.fn.readdir(root), { ".git", "a.txt" })
    t.eq(vim.bo.fixendofline, true)
  end)

  it("A7: a buffer that a plugin writes is left to the plugin", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    local group = vim.api.nvim_create_augroup("vault", {})
    vim.api.nvim_create_autocmd(
      "BufWriteCmd",
      { group = group, pattern = "*.txt", callback = function() end }
    )
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local _, problems = bring(place_of(suggestion), suggestion.hunks, "accepted")
    vim.api.nvim_del_augroup_by_id(group)
    t.match(problems[1].reason, "a plugin writes this buffer")
    t.eq(read("a.txt"), OLD)
    t.ok(vim.bo[buf].modified)
  end)

  it("A7: others are told of the write by an event", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    local heard
    vim.api.nvim_create_autocmd("User", {
      pattern = "SuggestionFileWritten",
      once = true,
      callback = function(event)
        heard = event.data
      end,
    })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(heard, { buf = buf, path = root .. "/a.txt" })
  end)
end)

describe("a file that goes", function()
  it("A8: a deletion under 'winfixbuf' is applied and can be undone", function()
    checkout({ ["a.txt"] = OLD, ["b.txt"] = "b\n" })
    edit("b.txt")
    local buf = edit("a.txt")
    vim.cmd("split")
    vim.wo.winfixbuf = true
    local windows = vim.fn.win_findbuf(buf)
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = false })
    local place = place_of(suggestion)
    local items, problems = bring(place, suggestion.hunks, "accepted")
    t.eq({ items[1].status, problems }, { "clean", {} })
    t.eq(read("a.txt"), nil)
    t.ok(apply.is_applied(place, suggestion.hunks[1]))
    t.eq(vim.fn.win_findbuf(buf), {})
    t.eq(#windows, 2)
    t.ok(vim.wo.winfixbuf, "the window stays bound")
    vim.wo.winfixbuf = false
    items, problems = bring(place, suggestion.hunks, "pending")
    t.eq({ items[1].status, problems }, { "clean", {} })
    t.eq(read("a.txt"), OLD)
  end)

  it("A8: nothing is removed, and every window is as it was, where one cannot let go", function()
    checkout({ ["a.txt"] = OLD, ["b.txt"] = "b\n" })
    edit("b.txt")
    local buf = edit("a.txt")
    vim.cmd("split")
    local stubborn = vim.api.nvim_get_current_win()
    local group = vim.api.nvim_create_augroup("stubborn", {})
    vim.api.nvim_create_autocmd("BufWinEnter", {
      group = group,
      callback = function()
        if vim.api.nvim_get_current_win() == stubborn then
          vim.api.nvim_win_set_buf(stubborn, buf)
        end
      end,
    })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = false })
    local place = place_of(suggestion)
    local _, problems = bring(place, suggestion.hunks, "accepted")
    vim.api.nvim_del_augroup_by_id(group)
    t.match(problems[1].reason, "a window that shows it")
    t.eq(read("a.txt"), OLD)
    t.eq(#vim.fn.win_findbuf(buf), 2)
    t.ok(not apply.is_applied(place, suggestion.hunks[1]))
  end)

  it("A8: a rename whose buffer cannot take the name renames nothing", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    local group = vim.api.nvim_create_augroup("bound", {})
    vim.api.nvim_create_autocmd("BufFilePre", {
      group = group,
      callback = function()
        error("not this name")
      end,
    })
    local fileop = require("suggestion-review.worktree.whole_file")
    local ok, reason = fileop.rename(root, root .. "/a.txt", root .. "/sub/b.txt")
    vim.api.nvim_del_augroup_by_id(group)
    t.eq(ok, false, reason)
    t.eq({ read("a.txt"), read("sub/b.txt") }, { OLD })
    t.eq(vim.uv.fs_stat(root .. "/sub"), nil)
    t.eq(vim.api.nvim_buf_get_name(buf), root .. "/a.txt")
  end)
end)

describe("other Vims on the same files", function()
  it("A9: unsaved edits of another Vim are told before anything is written", function()
    for _, directory in ipairs({ "", "vim.o.directory = '.'\n" }) do
      checkout({ ["a.txt"] = OLD, ["gone.txt"] = OLD })
      -- Neovim's own place of swap files is below the state directory, which is shared.
      local one = child.start({
        cwd = root,
        init = "vim.opt.swapfile = true\n" .. directory,
        env = { XDG_STATE_HOME = vim.fn.fnamemodify(vim.fn.stdpath("state"), ":h") },
      })
      for _, path in ipairs({ "a.txt", "gone.txt" }) do
        one:cmd("silent edit " .. path)
        one:cmd("call setline(10, 'theirs')")
      end
      local suggestion = build.build(
        { ["a.txt"] = OLD, ["gone.txt"] = OLD },
        { ["a.txt"] = NEW, ["gone.txt"] = false }
      )
      local place = place_of(suggestion)
      for _, load in ipairs({ false, true }) do
        if load then
          edit("a.txt")
        end
        local items = bring(place, suggestion.hunks, "accepted")
        t.eq({ items[1].status, items[3].status }, { "refused", "refused" })
        t.match(items[1].reason, "another Vim %(process %d+%) has unsaved edits")
        t.match(items[3].reason, "another Vim %(process %d+%) has unsaved edits")
        t.eq({ read("a.txt"), read("gone.txt") }, { OLD, OLD })
      end
      one:cmd("silent wall!")
      one:cmd("silent bufdo edit!")
      vim.cmd("silent! %bwipeout!")
      local ragged = OLD:gsub("ten", "theirs")
      t.eq(bring(place, { suggestion.hunks[1] }, "accepted")[1].status, "clean")
      t.eq(read("a.txt"), (ragged:gsub("two", "TWO")))
      one:stop()
    end
  end)

  it("A9: a swap file that comes into a folder that had none is seen at once", function()
    local swap_file = require("suggestion-review.worktree.swap_file")
    checkout({ ["a.txt"] = OLD })
    local path, looked, lstat = root .. "/a.txt", 0, vim.uv.fs_lstat
    -- Calls stay calls of the real function.
    vim.uv.fs_lstat = function(name, ...) ---@diagnostic disable-line: duplicate-set-field
      looked = looked + (vim.startswith(name, root) and 1 or 0)
      return lstat(name, ...)
    end
    t.defer(function()
      vim.uv.fs_lstat = lstat
    end)
    t.eq(swap_file.unsaved_elsewhere(path), nil)
    t.ok(looked > 0, "a folder that is new is looked through")
    t.wait(function()
      looked = 0
      return swap_file.unsaved_elsewhere(path) == nil and looked == 0
    end, 30000, "a folder that stays as it is, is not looked through again")
    vim.uv.fs_lstat = lstat
    local one = child.start({ cwd = root, init = "vim.opt.swapfile = true\nvim.o.directory = '.'\n" })
    t.defer(function()
      one:stop()
    end)
    one:cmd("silent edit a.txt")
    t.eq(swap_file.unsaved_elsewhere(path), nil)
    one:cmd("call setline(10, 'theirs')")
    one:cmd("preserve")
    t.match(swap_file.unsaved_elsewhere(path) or "", "another Vim %(process %d+%) has unsaved edits")
  end)

  it("A9: a second Neovim takes in what was written, made and removed here, and the reverse", function()
    checkout({ ["a.txt"] = OLD })
    local state = vim.fn.fnamemodify(vim.fn.stdpath("state"), ":h")
    local one = child.start({
      cwd = root,
      env = { XDG_STATE_HOME = state },
      init = "vim.o.autoread = false\nrequire('suggestion-review.worktree.peers').listen()\n",
    })
    one:cmd("silent edit a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(suggestion)
    bring(place, { suggestion.hunks[1] }, "accepted")
    one:wait("vim.fn.getline(2) == 'TWO'")
    t.eq(one:get("vim.bo.modified"), false)
    -- The other way round, into a buffer that is loaded here.
    require("suggestion-review.worktree.peers").listen()
    local buf = edit("a.txt")
    one:lua(
      [[
      local root = ...
      local document = require("suggestion-review.worktree.document")
      local carried = document.open(root .. "/a.txt", true)
      document.apply(carried, { { from = 8, to = 9, old = { "nine\n" }, lines = { "NINE\n" } } }, 10)
      assert(document.save(carried))
    ]],
      root
    )
    t.wait(function()
      return vim.api.nvim_buf_get_lines(buf, 8, 9, false)[1] == "NINE"
    end)
    t.eq(vim.bo[buf].modified, false)
  end)
end)
