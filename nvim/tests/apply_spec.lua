local apply = require("suggestion-review.apply")
local resolution = require("suggestion-review.apply.resolution")
local revision = require("suggestion-review.apply.revision")
local applied = require("suggestion-review.apply.applied")
local base_of = require("suggestion-review.model.base_text")
local worktree = require("suggestion-review.worktree.paths")
local diff = require("suggestion-review.text.diff")
local build = require("suggestion")

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

--- Brings hunks into a state; returns the plan's items.
local function bring(place, hunks, state, modified)
  local wants = {}
  for i, hunk in ipairs(hunks) do
    wants[i] = { hunk = hunk, state = state, modified_diff = modified }
  end
  local plans, items = t.await(function(done)
    apply.plan(place, wants, done)
  end)
  local problems = apply.run(plans)
  return items, problems
end

local function read(path)
  return t.read(root .. "/" .. path)
end

local function edit(path)
  vim.cmd("silent edit " .. vim.fn.fnameescape(root .. "/" .. path))
  return vim.api.nvim_get_current_buf()
end

--- Another program writes a.txt, later than it was read, whatever the clock of the file system tells apart.
---@param text string
local function written_elsewhere(text)
  t.write(root .. "/a.txt", text)
  local later = os.time() + 2
  assert(vim.uv.fs_utime(root .. "/a.txt", later, later))
end

before_each(function()
  vim.cmd("silent! %bwipeout!")
  apply.reset()
  applied.reset()
  base_of.reset()
  require("suggestion-review.config").setup({})
end)

local OLD = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
local NEW = "one\nTWO\nthree\nfour\nfive\nsix\nseven\neight\nNINE\nten\n"

describe("accepting into a file that no buffer shows", function()
  it("writes it at once and takes it out again", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(suggestion)
    t.eq(bring(place, { suggestion.hunks[1] }, "accepted")[1].status, "clean")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
    bring(place, { suggestion.hunks[2] }, "accepted")
    t.eq(read("a.txt"), NEW)
    bring(place, { suggestion.hunks[1] }, "rejected")
    t.eq(read("a.txt"), (OLD:gsub("nine", "NINE")))
    bring(place, { suggestion.hunks[2] }, "pending")
    t.eq(read("a.txt"), OLD)
  end)

  it("remembers over a restart what it applied", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    applied.reset()
    apply.reset()
    t.ok(apply.is_applied(place_of(suggestion), suggestion.hunks[1]))
    bring(place_of(suggestion), { suggestion.hunks[1] }, "rejected")
    t.eq(read("a.txt"), (OLD:gsub("nine", "NINE")))
  end)

  it("keeps mode, CR LF ends and odd bytes", function()
    local old = "a\r\nb \233\r\nc\r\n"
    checkout({ ["a.txt"] = old })
    vim.uv.fs_chmod(root .. "/a.txt", 493)
    local suggestion = build.build({ ["a.txt"] = old }, { ["a.txt"] = "a\r\nB \233\232\r\nc\r\n" })
    t.eq(suggestion.hunks[1].encoding, "latin1")
    t.eq(bring(place_of(suggestion), suggestion.hunks, "accepted")[1].status, "clean")
    t.eq(read("a.txt"), "a\r\nB \233\232\r\nc\r\n")
    t.eq(vim.uv.fs_stat(root .. "/a.txt").mode % 512, 493)
  end)

  it("meets a worktree of CR LF over a repository of LF", function()
    checkout({ ["a.txt"] = (OLD:gsub("\n", "\r\n")) })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    t.eq(bring(place_of(suggestion), suggestion.hunks, "accepted")[1].status, "clean")
    t.eq(read("a.txt"), (NEW:gsub("\n", "\r\n")))
  end)

  it("leaves a file alone that another program changed in the same place", function()
    local mine = OLD:gsub("two", "mine")
    checkout({ ["a.txt"] = mine })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local items = bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq({ items[1].status, items[2].status }, { "conflict", "clean" })
    t.eq(read("a.txt"), (mine:gsub("nine", "NINE")))
  end)

  it("writes through a second name of the file instead of cutting it loose", function()
    checkout({ ["a.txt"] = OLD })
    vim.uv.fs_link(root .. "/a.txt", root .. "/b.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(read("b.txt"), NEW)
  end)
end)

describe("accepting into a buffer", function()
  it("is one undo step and saves a buffer without unsaved changes", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(vim.bo[buf].modified, false)
    t.eq(read("a.txt"), NEW)
    vim.cmd("silent undo")
    t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", OLD)
  end)

  it("leaves unsaved edits unsaved and shifts by them", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    vim.api.nvim_buf_set_lines(buf, 5, 5, false, { "mine", "mine too" })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local items = bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq({ items[1].status, items[2].status }, { "clean", "clean" })
    t.eq(vim.bo[buf].modified, true)
    t.eq(read("a.txt"), OLD)
    t.eq(vim.api.nvim_buf_get_lines(buf, 10, 11, false), { "NINE" })
    bring(place_of(suggestion), suggestion.hunks, "rejected")
    t.eq(vim.api.nvim_buf_get_lines(buf, 10, 11, false), { "nine" })
    t.eq(vim.api.nvim_buf_get_lines(buf, 5, 7, false), { "mine", "mine too" })
  end)

  it("does not write when write_on_accept is off", function()
    require("suggestion-review.config").setup({ write_on_accept = false })
    checkout({ ["a.txt"] = OLD, ["b.txt"] = OLD })
    local buf = edit("a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD, ["b.txt"] = OLD }, { ["a.txt"] = NEW, ["b.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(vim.bo[buf].modified, true)
    t.eq(read("a.txt"), OLD)
    t.eq(read("b.txt"), OLD)
    local other = worktree.buffer_of(root .. "/b.txt")
    t.eq(vim.api.nvim_buf_get_lines(other, 1, 2, false), { "TWO" })
    t.ok(vim.bo[other].modified)
  end)

  it("keeps lowercase marks, the cursor and views of every window", function()
    local old, new = {}, {}
    for i = 1, 200 do
      old[i] = "line " .. i
      new[i] = i == 50 and "LINE 50" or old[i]
    end
    table.insert(new, 20, "inserted")
    table.insert(new, 20, "inserted too")
    local before, after = table.concat(old, "\n") .. "\n", table.concat(new, "\n") .. "\n"
    checkout({ ["a.txt"] = before })
    local buf = edit("a.txt")
    vim.cmd("split")
    local other = vim.api.nvim_get_current_win()
    vim.cmd("wincmd p")
    vim.api.nvim_win_set_cursor(0, { 100, 3 })
    vim.api.nvim_win_set_cursor(other, { 150, 2 })
    for name, row in pairs({ a = 10, b = 50, c = 120 }) do
      vim.api.nvim_buf_set_mark(buf, name, row, 2, {})
    end
    local suggestion = build.build({ ["a.txt"] = before }, { ["a.txt"] = after })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(vim.api.nvim_buf_get_mark(buf, "a"), { 10, 2 })
    t.eq(vim.api.nvim_buf_get_mark(buf, "b")[1], 52)
    t.eq(vim.api.nvim_buf_get_mark(buf, "c"), { 122, 2 })
    t.eq(vim.api.nvim_win_get_cursor(0), { 102, 3 })
    t.eq(vim.api.nvim_win_get_cursor(other), { 152, 2 })
    vim.cmd("only")
  end)

  it("keeps closed folds closed", function()
    local old, new = {}, {}
    for i = 1, 60 do
      old[i] = "line " .. i
      new[i] = i == 5 and "LINE 5\nLINE 5b" or old[i]
    end
    local before, after = table.concat(old, "\n") .. "\n", table.concat(new, "\n") .. "\n"
    checkout({ ["a.txt"] = before })
    edit("a.txt")
    vim.wo.foldmethod = "manual"
    vim.cmd("30,40fold")
    local suggestion = build.build({ ["a.txt"] = before }, { ["a.txt"] = after })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(vim.fn.foldclosed(31), 31)
    t.eq(vim.fn.foldclosedend(31), 41)
  end)

  it("refuses read-only and unmodifiable buffers, and changes nothing", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    vim.bo[buf].readonly = true
    local item = bring(place_of(suggestion), suggestion.hunks, "accepted")[1]
    t.eq({ item.status, item.reason }, { "refused", "its buffer is read-only" })
    vim.bo[buf].readonly = false
    vim.bo[buf].modifiable = false
    item = bring(place_of(suggestion), suggestion.hunks, "accepted")[1]
    t.eq({ item.status, item.reason }, { "refused", "its buffer is not modifiable" })
    vim.bo[buf].modifiable = true
    t.eq(read("a.txt"), OLD)
  end)

  it("takes in what was written by another program before it applies", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    written_elsewhere("zero\n" .. OLD)
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(read("a.txt"), "zero\n" .. NEW)
    t.eq(vim.api.nvim_buf_get_lines(buf, 0, 1, false), { "zero" })
  end)

  it("never writes a buffer that is behind its file over it", function()
    checkout({ ["a.txt"] = OLD })
    vim.o.autoread = false
    local buf = edit("a.txt")
    written_elsewhere("zero\n" .. OLD)
    -- Warned of once, and not taken in.
    vim.cmd("silent! checktime")
    t.eq(vim.api.nvim_buf_get_lines(buf, 0, 1, false), { "one" })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(read("a.txt"), "zero\n" .. NEW)
    t.eq(vim.o.autoread, false)
    vim.o.autoread = true
  end)

  it("says so when saving fails, and keeps the text", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    vim.api.nvim_create_autocmd("BufWriteCmd", {
      buffer = buf,
      callback = function()
        error("no disk")
      end,
    })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local _, problems = bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.match(problems[1].reason, "applied, but not saved")
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 2, false), { "TWO" })
    t.eq(read("a.txt"), OLD)
  end)

  it("finds an edit the developer undid by hand gone already", function()
    checkout({ ["a.txt"] = OLD })
    edit("a.txt")
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(suggestion)
    bring(place, { suggestion.hunks[1] }, "accepted")
    vim.cmd("silent undo")
    t.eq(bring(place, { suggestion.hunks[1] }, "rejected")[1].status, "already")
    t.ok(not apply.is_applied(place, suggestion.hunks[1]))
  end)
end)

describe("line ends, encodings and the final newline", function()
  local function both_ways(old, new, check)
    checkout({ ["a.txt"] = old })
    local buf = edit("a.txt")
    if check then
      check(buf)
    end
    local suggestion = build.build({ ["a.txt"] = old }, { ["a.txt"] = new })
    local place = place_of(suggestion)
    for _, item in ipairs(bring(place, suggestion.hunks, "accepted")) do
      t.eq({ item.status, item.reason }, { "clean" })
    end
    t.eq(read("a.txt"), new)
    bring(place, suggestion.hunks, "rejected")
    t.eq(read("a.txt"), old)
  end

  it("keeps CR LF", function()
    both_ways("a\r\nb\r\nc\r\n", "a\r\nB\r\nB2\r\nc\r\n", function(buf)
      t.eq(vim.bo[buf].fileformat, "dos")
    end)
  end)
  it("keeps mixed ends as they are", function()
    both_ways("a\r\nb\nc\r\n", "a\r\nb\r\nc\n")
  end)
  it("refuses LF lines for a CR LF buffer rather than convert them", function()
    checkout({ ["a.txt"] = "a\r\nb\r\nc\r\n" })
    local buf = edit("a.txt")
    local suggestion = build.build({ ["a.txt"] = "a\r\nb\r\nc\r\n" }, { ["a.txt"] = "a\r\nb\nc\r\n" })
    local item = bring(place_of(suggestion), suggestion.hunks, "accepted")[1]
    t.eq(item.status, "refused")
    t.match(item.reason, "CR LF")
    t.eq(vim.bo[buf].modified, false)
  end)
  it("keeps lone CR", function()
    vim.o.fileformats = "unix,dos,mac"
    both_ways("a\rb\rc\r", "a\rB\rB2\rc\r", function(buf)
      t.eq(vim.bo[buf].fileformat, "mac")
    end)
    vim.o.fileformats = "unix,dos"
  end)
  it("keeps a byte order mark", function()
    both_ways("\239\187\191a\nb\n", "\239\187\191A\nb\n", function(buf)
      t.ok(vim.bo[buf].bomb)
    end)
  end)
  it("keeps latin1 bytes in a latin1 buffer", function()
    both_ways("caf\233\nb\n", "caf\233\nb\233\232\n", function(buf)
      t.eq(vim.bo[buf].fileencoding, "latin1")
    end)
  end)
  it("brings bytes into a latin1 buffer that it shows differently but keeps exactly", function()
    both_ways("caf\233\nb\n", "caf\233\nb \240\159\153\130\n")
  end)
  it("refuses what a multi-byte encoding cannot hold", function()
    checkout({ ["a.txt"] = "\164\162\nb\n" })
    vim.cmd("silent edit ++enc=euc-jp " .. root .. "/a.txt")
    local suggestion = build.build(
      { ["a.txt"] = "\164\162\nb\n" },
      { ["a.txt"] = "\164\162\nb \240\159\153\130\n" }
    )
    local item = bring(place_of(suggestion), suggestion.hunks, "accepted")[1]
    t.eq(item.status, "refused")
    t.match(item.reason, "euc%-jp")
  end)
  it("gives and takes the final newline", function()
    both_ways("a\nb", "a\nb\n")
    both_ways("a\nb\n", "a\nb")
    both_ways("a\nb", "a\nB")
    both_ways("a\nb", "a\nb\nc")
    both_ways("a\nb\n", "a\n")
    both_ways("a\nb", "a\n")
  end)
  it("adds no newline that nobody decided on", function()
    both_ways("a\nb\nc\nd\ne\nf", "A\nb\nc\nd\ne\nf")
  end)
  it("empties and fills files", function()
    both_ways("a\nb\n", "")
    both_ways("", "a\nb\n")
    both_ways("", "a")
    both_ways("", "\n")
    both_ways("\n", "")
    both_ways("\n", "\n\n")
    both_ways("\n\n", "x\n\n")
  end)
  it("keeps NUL bytes and bytes that are no character", function()
    both_ways("a\0b\nc\n", "a\0b\nc\0d\255\n")
  end)
end)

describe("files that come and go", function()
  it("makes a file, and removes it again with the directory it made", function()
    checkout({})
    local suggestion = build.build({}, { ["deep/er/new.txt"] = "hello\n" })
    local place = place_of(suggestion)
    t.eq(bring(place, suggestion.hunks, "accepted")[1].status, "clean")
    t.eq(read("deep/er/new.txt"), "hello\n")
    bring(place, suggestion.hunks, "rejected")
    t.eq(vim.uv.fs_stat(root .. "/deep"), nil)
  end)
  it("makes it executable where the hunk says so", function()
    checkout({})
    local suggestion = build.build({}, {})
    suggestion.hunks = {
      build.hunk("s", "run.sh", 0, "create", {
        diff = "@@ -0,0 +1 @@\n+#!/bin/sh\n",
        new_mode = "100755",
        new_start = 1,
        new_count = 1,
      }),
    } -- stylua: ignore
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.ok(vim.uv.fs_access(root .. "/run.sh", "X"))
  end)
  it("makes an empty file", function()
    checkout({})
    local suggestion = build.build({}, { ["empty"] = "" })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(read("empty"), "")
  end)
  it("loads a buffer that waits for the file", function()
    checkout({})
    local buf = edit("new.txt")
    local suggestion = build.build({}, { ["new.txt"] = "hello\n" })
    bring(place_of(suggestion), suggestion.hunks, "accepted")
    t.eq(vim.api.nvim_buf_get_lines(buf, 0, -1, false), { "hello" })
    t.eq(vim.bo[buf].modified, false)
    vim.cmd("silent write")
  end)
  it("does not touch a file of that name that holds something else", function()
    checkout({ ["new.txt"] = "mine\n" })
    local suggestion = build.build({}, { ["new.txt"] = "hello\n" })
    t.eq(bring(place_of(suggestion), suggestion.hunks, "accepted")[1].status, "conflict")
    t.eq(read("new.txt"), "mine\n")
  end)
  it("keeps a made file that the developer went on with", function()
    checkout({})
    local suggestion = build.build({}, { ["new.txt"] = "hello\n" })
    local place = place_of(suggestion)
    bring(place, suggestion.hunks, "accepted")
    t.write(root .. "/new.txt", "hello\nmine\n")
    t.eq(bring(place, suggestion.hunks, "rejected")[1].status, "conflict")
    t.eq(read("new.txt"), "hello\nmine\n")
  end)
  it("removes a file and brings it back, closing its buffer only when nothing is lost", function()
    checkout({ ["old.txt"] = OLD })
    local buf = edit("old.txt")
    local suggestion = build.build({ ["old.txt"] = OLD }, { ["old.txt"] = false })
    local place = place_of(suggestion)
    vim.api.nvim_buf_set_lines(buf, 0, 0, false, { "unsaved" })
    t.eq(bring(place, suggestion.hunks, "accepted")[1].status, "conflict")
    t.eq(read("old.txt"), OLD)
    vim.cmd("silent undo")
    vim.cmd("silent write")
    t.eq(bring(place, suggestion.hunks, "accepted")[1].status, "clean")
    t.eq(vim.uv.fs_stat(root .. "/old.txt"), nil)
    t.eq(vim.api.nvim_buf_is_loaded(buf), false)
    bring(place, suggestion.hunks, "rejected")
    t.eq(read("old.txt"), OLD)
  end)
  it("renames the file and its buffer, unsaved text included", function()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    vim.api.nvim_buf_set_lines(buf, 5, 5, false, { "unsaved" })
    local suggestion = build.build({ ["a.txt"] = OLD }, {})
    local rename = build.hunk(
      "s",
      "b/c.txt",
      0,
      "rename",
      { old_file = "a.txt", diff = "Renames a.txt\n", encoding = "binary" }
    )
    local text = build.hunks_of("s", "b/c.txt", OLD, NEW)
    for _, hunk in ipairs(text) do
      hunk.old_file = "a.txt"
    end
    local place = place_of(suggestion)
    local hunks = { rename, text[1], text[2] }
    for _, item in ipairs(bring(place, hunks, "accepted")) do
      t.eq({ item.status, item.reason }, { "clean" })
    end
    t.eq(vim.uv.fs_stat(root .. "/a.txt"), nil)
    t.eq(vim.api.nvim_buf_get_name(buf), root .. "/b/c.txt")
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 2, false), { "TWO" })
    t.eq(vim.api.nvim_buf_get_lines(buf, 5, 6, false), { "unsaved" })
    t.ok(vim.bo[buf].modified)
    vim.cmd("silent write")
    bring(place, { rename }, "rejected")
    t.ok(vim.uv.fs_stat(root .. "/a.txt"))
    t.eq(vim.uv.fs_stat(root .. "/b"), nil)
  end)
  it("renames a file whose buffer cannot be modified, and keeps what is unsaved and undone of it", function()
    local function renamed(settle)
      checkout({ ["a.txt"] = OLD })
      local buf = edit("a.txt")
      vim.cmd("silent set fileformat=dos fileencoding=utf-16le")
      vim.api.nvim_buf_set_lines(buf, 5, 5, false, { "unsaved" })
      local group = settle(buf)
      local place = place_of(build.build({ ["a.txt"] = OLD }, {}))
      local rename = build.hunk(
        "s",
        "c.txt",
        0,
        "rename",
        { old_file = "a.txt", diff = "Renames a.txt\n", encoding = "binary" }
      )
      local item = bring(place, { rename }, "accepted")[1]
      if group then
        vim.api.nvim_del_augroup_by_id(group)
      end
      t.eq({ item.status, item.reason }, { "clean" })
      t.eq(vim.api.nvim_buf_get_name(buf), root .. "/c.txt")
      t.eq(vim.api.nvim_buf_get_lines(buf, 5, 6, false), { "unsaved" })
      t.eq({ vim.bo[buf].fileformat, vim.bo[buf].fileencoding }, { "dos", "utf-16le" })
      t.eq({ vim.bo[buf].modified, vim.bo[buf].modifiable }, { true, false })
      vim.bo[buf].modifiable = true
      vim.cmd("silent undo 0")
      t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", OLD)
      vim.cmd("silent bwipeout!")
    end
    local reload = vim.go.undoreload
    t.defer(function()
      vim.go.undoreload = reload
    end)
    vim.go.undoreload = 2
    renamed(function(buf)
      vim.bo[buf].modifiable = false
    end)
    -- By an autocommand of the user's for the new name.
    renamed(function()
      local group = vim.api.nvim_create_augroup("spec_not_modifiable", {})
      vim.api.nvim_create_autocmd("BufReadPost", {
        group = group,
        pattern = "c.txt",
        callback = function()
          vim.bo.modifiable = false
        end,
      })
      return group
    end)
  end)
  it("changes the mode both ways, and refuses where it is another", function()
    checkout({ ["run.sh"] = "x\n" })
    local suggestion = build.build({}, {})
    local hunk =
      build.hunk("s", "run.sh", 0, "mode", { new_mode = "100755", diff = "mode\n", encoding = "binary" })
    local place = place_of(suggestion)
    bring(place, { hunk }, "accepted")
    t.ok(vim.uv.fs_access(root .. "/run.sh", "X"))
    bring(place, { hunk }, "rejected")
    t.ok(vim.uv.fs_stat(root .. "/run.sh").mode % 128 < 64)
  end)
  it("leaves submodules and swaps to the adoption, saying so", function()
    checkout({ ["thing"] = "x\n" })
    local place = place_of(build.build({}, {}))
    for _, kind in ipairs({ "submodule", "swap" }) do
      local hunk = build.hunk("s", "thing", 0, kind, { diff = "prose\n", encoding = "binary" })
      local item = bring(place, { hunk }, "accepted")[1]
      t.eq(item.status, "deferred")
      t.match(item.reason, "when the suggestion is adopted")
      t.eq(place.applied:get(place.suggestion.id, "thing", hunk.id), nil)
      t.eq(read("thing"), "x\n")
    end
  end)
  it("brings binary content whole, checked by its object id", function()
    checkout({ ["x.bin"] = "\0one" })
    local store = require("suggestion-review.model.store")
    local content, given = store.content, { base = "\0one", proposed = "\0two\255" }
    store.content = function(_, _, side, callback)
      callback(nil, { exists = true, mode = "100644", bytes = given[side] })
    end
    t.defer(function()
      store.content = content
    end)
    local function oid(bytes)
      return vim.trim(t.run({ t.program("git"), "hash-object", "--stdin" }, { stdin = bytes, cwd = "/" }))
    end
    vim.fn.delete(root .. "/.git", "rf")
    t.run({ t.program("git"), "init", "--quiet", root })
    local digest = require("suggestion-review.text.digest")
    local hunk =
      build.hunk("s", "x.bin", 0, "binary", { encoding = "binary", diff = "Changes binary file x.bin\n" })
    hunk.digest =
      digest.compute("binary", "x.bin", "100644 " .. oid(given.base), "100644 " .. oid(given.proposed))
    local place = place_of(build.build({}, {}))
    t.eq(bring(place, { hunk }, "accepted")[1].status, "clean")
    t.eq(read("x.bin"), "\0two\255")
    bring(place, { hunk }, "rejected")
    t.eq(read("x.bin"), "\0one")
    given.proposed = "\0evil"
    local item = bring(place, { hunk }, "accepted")[1]
    t.eq(item.status, "refused")
    t.match(item.reason, "digest")
    t.eq(read("x.bin"), "\0one")
  end)
end)

describe("what the server says is not believed", function()
  it("applies nothing whose text does not fit its digest", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local hunk = vim.deepcopy(suggestion.hunks[1])
    hunk.diff = hunk.diff:gsub("TWO", "rm %-rf")
    local item = bring(place_of(suggestion), { hunk }, "accepted")[1]
    t.eq(item.status, "refused")
    t.match(item.reason, "digest")
    t.eq(read("a.txt"), OLD)
  end)

  it("applies nothing whose base lines are not the base's", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    base_of.put(suggestion.base_commit, "a.txt", (OLD:gsub("two", "other")))
    local item = bring(place_of(suggestion), { suggestion.hunks[1] }, "accepted")[1]
    t.eq(item.status, "refused")
    t.eq(read("a.txt"), OLD)
  end)

  it("stays inside the worktree", function()
    checkout({ ["a.txt"] = OLD })
    local outside = t.tempdir()
    vim.uv.fs_symlink(outside, root .. "/link")
    vim.uv.fs_symlink(outside .. "/target", root .. "/file-link")
    for _, path in ipairs({
      "../evil",
      "/etc/evil",
      "a/../../evil",
      ".git/hooks/post-checkout",
      "sub/.GIT/config",
      ".jj/config",
      "link/evil",
      ".git /config",
      "GIT~1/config",
      ".g\226\128\140it/config",
      "a//b",
      "",
      "file-link",
    }) do -- stylua: ignore
      local suggestion = build.build({}, { [path] = "evil\n" })
      local item = bring(place_of(suggestion), suggestion.hunks, "accepted")[1]
      t.ok(item.status == "refused", ("%s: %s"):format(path, item.status))
    end
    t.eq(vim.fn.readdir(outside), {})
    t.eq(vim.fn.readdir(root .. "/.git"), {})
  end)
end)

describe("a conflict with the developer's own edits", function()
  local function conflict()
    checkout({ ["a.txt"] = OLD })
    local buf = edit("a.txt")
    vim.api.nvim_buf_set_lines(buf, 1, 2, false, { "mine", "more of mine" })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(suggestion)
    local item = bring(place, { suggestion.hunks[1] }, "accepted")[1]
    t.eq(item.status, "conflict")
    return place, item, buf, suggestion
  end

  it("keeps the buffer until one side is chosen", function()
    local _, item, buf = conflict()
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 3, false), { "mine", "more of mine" })
    t.eq(item.placed.ours, { "mine\n", "more of mine\n" })
    t.eq(item.placed.theirs, { "TWO\n" })
  end)

  it("takes theirs", function()
    local place, item, buf = conflict()
    t.ok(resolution.resolve(place, item, item.placed.theirs))
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 2, false), { "TWO" })
    t.ok(apply.is_applied(place, item.hunk))
  end)

  it("takes the developer's text as a modification that fits the base", function()
    local place, item, buf, suggestion = conflict()
    local modified, _, replacement = resolution.as_modification(item, item.placed.ours)
    local own = diff.sides(assert(diff.parse(modified)))
    t.eq(own.old, { "two\n" })
    t.eq(own.new, { "mine\n", "more of mine\n" })
    t.ok(resolution.resolve(place, item, item.placed.ours, replacement))
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 3, false), { "mine", "more of mine" })
    bring(place, { suggestion.hunks[1] }, "rejected")
    t.eq(vim.api.nvim_buf_get_lines(buf, 0, 4, false), { "one", "mine", "more of mine", "three" })
  end)

  it("refuses to settle a file that changed since it was looked at", function()
    local place, item, buf = conflict()
    vim.api.nvim_buf_set_lines(buf, 0, 0, false, { "later" })
    local ok, reason = resolution.resolve(place, item, item.placed.theirs)
    t.eq(ok, false)
    t.match(reason, "changed meanwhile")
  end)
end)

describe("a new revision", function()
  it("carries what is applied over to the new ids, by digest", function()
    checkout({ ["a.txt"] = OLD })
    local first = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(first)
    bring(place, first.hunks, "accepted")
    local second = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = "zero\n" .. NEW }, { revision = 2 })
    t.eq(#second.hunks, 3)
    local new_place = place_of(second)
    revision.rekey(new_place, second.hunks)
    t.eq(apply.is_applied(new_place, second.hunks[1]), false)
    t.ok(apply.is_applied(new_place, second.hunks[2]))
    bring(new_place, { second.hunks[2] }, "rejected")
    t.eq(read("a.txt"), (NEW:gsub("TWO", "two")))
    bring(new_place, { second.hunks[1] }, "accepted")
    t.eq(read("a.txt"), "zero\n" .. NEW:gsub("TWO", "two"))
  end)

  it("lets a changed hunk replace what was accepted of it before", function()
    checkout({ ["a.txt"] = OLD })
    local first = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(first), first.hunks, "accepted")
    local second = build.build(
      { ["a.txt"] = OLD },
      { ["a.txt"] = (NEW:gsub("TWO", "zwei")) },
      { revision = 2 }
    )
    local place = place_of(second)
    revision.rekey(place, second.hunks)
    local item = bring(place, { second.hunks[1] }, "accepted")[1]
    t.eq(item.status, "clean")
    t.eq(read("a.txt"), (NEW:gsub("TWO", "zwei")))
  end)
end)

describe("a rebased suggestion", function()
  it("finds what is applied at its new place", function()
    checkout({ ["a.txt"] = OLD })
    local first = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(first), first.hunks, "accepted")
    -- The shared branch gained two lines above, and the developer pulled them.
    local above = "new above\nand more\n"
    t.write(root .. "/a.txt", above .. NEW)
    local second = build.build(
      { ["a.txt"] = above .. OLD },
      { ["a.txt"] = above .. NEW },
      { revision = 2, base_commit = ("1"):rep(40) }
    )
    local place = place_of(second)
    revision.rekey(place, second.hunks)
    t.ok(apply.is_applied(place, second.hunks[1]))
    t.eq(place.applied:get(second.id, "a.txt", second.hunks[1].id).at, 3)
    t.eq(bring(place, { second.hunks[1] }, "rejected")[1].status, "clean")
    t.eq(read("a.txt"), above .. NEW:gsub("TWO", "two"))
  end)

  it("leaves alone what has no place in the new base", function()
    checkout({ ["a.txt"] = OLD })
    local first = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    bring(place_of(first), first.hunks, "accepted")
    local second = build.build(
      { ["a.txt"] = "zero\n" .. OLD },
      { ["a.txt"] = "zero\n" .. (NEW:gsub("TWO", "zwei")) },
      { revision = 2, base_commit = ("1"):rep(40) }
    )
    local place = place_of(second)
    revision.rekey(place, second.hunks)
    -- Filed as text of an earlier revision, on the base that it was for.
    local filed = vim.tbl_filter(function(one)
      return one.key:find("^stale ") ~= nil
    end, place.applied:of_file(second.id, "a.txt"))
    t.eq({ #filed, filed[1].base, filed[1].lines }, { 1, first.base_commit, { "TWO\n" } })
    t.eq(read("a.txt"), NEW)
  end)
end)

describe("the log of what is applied", function()
  it("is shared by two Neovims, also when one of them writes it anew", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    local place = place_of(suggestion)
    bring(place, { suggestion.hunks[1] }, "accepted")
    local mine = place.applied
    applied.reset()
    local other = applied.open(root)
    t.ok(other:get(suggestion.id, "a.txt", suggestion.hunks[1].id))
    for _ = 1, 200 do
      bring(place_of(suggestion), { suggestion.hunks[2] }, "accepted")
      bring(place_of(suggestion), { suggestion.hunks[2] }, "rejected")
    end
    local before = vim.uv.fs_stat(other.path).size
    other:compact()
    t.ok(vim.uv.fs_stat(other.path).size < before / 10)
    other:refresh()
    t.ok(other:get(suggestion.id, "a.txt", suggestion.hunks[1].id))
    t.eq(other:get(suggestion.id, "a.txt", suggestion.hunks[2].id), nil)
    mine:refresh()
    t.ok(mine:get(suggestion.id, "a.txt", suggestion.hunks[1].id))
    bring(place_of(suggestion), { suggestion.hunks[2] }, "accepted")
    mine:refresh()
    t.ok(mine:get(suggestion.id, "a.txt", suggestion.hunks[2].id))
    t.eq(read("a.txt"), NEW)
  end)
end)

describe("a checkout that lacks the base commit", function()
  it("gets nothing before its developer says so", function()
    checkout({ ["a.txt"] = OLD })
    local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = NEW })
    base_of.known(suggestion.base_commit, "a.txt").source = "server"
    local place = place_of(suggestion)
    local item = bring(place, { suggestion.hunks[1] }, "accepted")[1]
    t.eq({ item.status, item.code }, { "refused", "unknown_base" })
    t.eq(read("a.txt"), OLD)
    place.unknown_base_ok = true
    t.eq(bring(place, { suggestion.hunks[1] }, "accepted")[1].status, "clean")
  end)
end)

describe("random interleavings on a buffer", function()
  ---@param first integer
  ---@param last integer seeds
  local function try(first, last)
    local decisions, conflicts, reloads, formats = 0, 0, 0, 0
    local directory = t.tempdir()
    for seed = first, last do
      local random = build.random(seed * 6151)
      local old = {}
      for i = 1, random(4, 40) do
        old[i] = random(1, 6) == 1 and "}" or ("line %d"):format(random(1, 10000))
      end
      local new = vim.list_slice(old)
      for _ = 1, random(1, 5) do
        local at = random(1, #new + 1)
        local what = random(1, 3)
        if what == 1 or not new[at] then
          table.insert(new, at, ("theirs %d"):format(random(1, 10000)))
        elseif what == 2 then
          new[at] = ("theirs %d"):format(random(1, 10000))
        else
          table.remove(new, at)
        end
      end
      local before, after = table.concat(old, "\n") .. "\n", table.concat(new, "\n") .. "\n"
      vim.cmd("silent! %bwipeout!")
      apply.reset()
      checkout({ ["a.txt"] = before })
      local buf = edit("a.txt")
      local suggestion = build.build({ ["a.txt"] = before }, { ["a.txt"] = after })
      local place = place_of(suggestion)
      local mine = {}
      local function text()
        return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
      end
      local function expected_with(list)
        local out = diff.split_lines(before)
        return table.concat(require("suggestion-review.text.merge").compose(out, list))
      end
      for _ = 1, 6 do
        local what = random(1, 10)
        if what <= 6 and #suggestion.hunks > 0 then
          local hunk = suggestion.hunks[random(1, #suggestion.hunks)]
          local now = place.applied:of_file(suggestion.id, "a.txt")
          local inside = place.applied:get(suggestion.id, "a.txt", hunk.id) ~= nil
          local ours = text()
          local marked = random(1, vim.api.nvim_buf_line_count(buf))
          local line = vim.api.nvim_buf_get_lines(buf, marked - 1, marked, false)[1]
          vim.api.nvim_buf_set_mark(buf, "m", marked, 0, {})
          local items = bring(place, { hunk }, inside and "rejected" or "accepted")
          decisions = decisions + 1
          local wanted = vim.tbl_filter(function(one)
            return one.key ~= hunk.id
          end, now)
          if not inside then
            local own = assert(diff.text_of(hunk))
            wanted[#wanted + 1] = {
              key = hunk.id,
              at = diff.zero_based(hunk.old_start, hunk.old_count),
              count = hunk.old_count,
              lines = own.new,
              order = hunk.new_start,
            }
          end
          t.write(directory .. "/ours", ours)
          t.write(directory .. "/base", expected_with(now))
          t.write(directory .. "/theirs", expected_with(wanted))
          local merged = vim
            .system({
              t.program("git"),
              "merge-file",
              "-p",
              "--quiet",
              directory .. "/ours",
              directory .. "/base",
              directory .. "/theirs",
            })
            :wait() -- stylua: ignore
          if items[1].status == "conflict" then
            conflicts = conflicts + 1
            t.ok(merged.code ~= 0, "seed " .. seed .. ": conflict where git merges")
            t.eq(text(), ours, "seed " .. seed)
          else
            t.eq(merged.code, 0, "seed " .. seed .. ": " .. items[1].status)
            -- A text that became empty still has one line in a buffer.
            t.eq(text(), merged.stdout == "" and "\n" or merged.stdout, "seed " .. seed)
            local mark = vim.api.nvim_buf_get_mark(buf, "m")[1]
            local kept = vim.list_contains(vim.split(merged.stdout, "\n"), line)
            local placed = items[1].placed
            local outside = not placed or marked <= placed.from or marked > placed.to
            if outside then
              t.ok(mark > 0, ("seed %d: the mark on line %d is gone"):format(seed, marked))
              if kept then
                t.eq(vim.api.nvim_buf_get_lines(buf, mark - 1, mark, false)[1], line, "seed " .. seed)
              end
            end
          end
        elseif what <= 8 then
          local at = random(0, vim.api.nvim_buf_line_count(buf))
          local token = ("mine %d %d"):format(seed, random(1, 1000000))
          vim.api.nvim_buf_set_lines(buf, at, at, false, { token })
          mine[#mine + 1] = token
        elseif what == 9 then
          vim.cmd("silent write")
          t.write(root .. "/a.txt", t.read(root .. "/a.txt") .. ("outside %d\n"):format(random(1, 1000)))
          vim.bo[buf].autoread = true
          vim.cmd("silent! checktime")
          reloads = reloads + 1
        else
          -- A formatter that sets every line anew.
          local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
          for i, one in ipairs(lines) do
            lines[i] = one:gsub("^line (%d%d)$", "line  %1")
          end
          vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
          formats = formats + 1
        end
        local now = "\n" .. text()
        for _, token in ipairs(mine) do
          if not now:find("\n" .. token .. "\n", 1, true) then
            error(("seed %d: lost %q"):format(seed, token))
          end
        end
      end
    end
    -- They were of every kind.
    t.ok(decisions > 300, "decisions: " .. decisions)
    t.ok(
      conflicts > 15 and reloads > 30 and formats > 30,
      vim.inspect({ decisions, conflicts, reloads, formats })
    )
  end

  -- In parts, each of which a busy machine gets through in its minute.
  for first = 1, 1000, 125 do
    it(
      ("give what git merge-file gives, or report a conflict, and lose no text or mark, from %d on"):format(
        first
      ),
      function()
        try(first, first + 124)
      end
    )
  end
end)

describe("A7: bytes that are no text in a buffer:", function()
  local function dos(text)
    return (text:gsub("\n", "\r\n"))
  end
  local CASES = {
    ["line ends that become CR LF"] = { "a\nb\nc\n", dos("a\nb\nc\n") },
    ["line ends that become LF"] = { dos("a\nb\nc\n"), "a\nb\nc\n" },
    ["a byte order mark that goes"] = { "\239\187\191a\nb\n", "a\nb\n" },
    ["a byte order mark that comes"] = { "a\nb\n", "\239\187\191a\nb\n" },
    ["a Ctrl-Z at the end"] = { dos("a\nb\nc\nd\n") .. "\26", dos("A\nb\nc\nd\n") .. "\26" },
  }
  for name, case in pairs(CASES) do
    local old, new = case[1], case[2]
    it(("A7: %s, no buffer: in and out byte for byte"):format(name), function()
      checkout({ ["a.txt"] = old })
      local suggestion = build.build({ ["a.txt"] = old }, { ["a.txt"] = new })
      local place = place_of(suggestion)
      local _, problems = bring(place, suggestion.hunks, "accepted")
      t.eq(problems, {})
      t.eq(read("a.txt"), new)
      bring(place, suggestion.hunks, "rejected")
      t.eq(read("a.txt"), old)
    end)

    it(("A7: %s, in a buffer: in and out, or told"):format(name), function()
      checkout({ ["a.txt"] = old })
      local suggestion = build.build({ ["a.txt"] = old }, { ["a.txt"] = new })
      local place = place_of(suggestion)
      edit("a.txt")
      local items, problems = bring(place, suggestion.hunks, "accepted")
      t.eq(problems, {})
      local told = vim.iter(items):any(function(item)
        return item.status == "refused"
      end)
      t.eq(read("a.txt"), told and old or new)
      -- Read anew, as by a Neovim that was started after it.
      vim.cmd("silent! %bwipeout!")
      edit("a.txt")
      items = bring(place, suggestion.hunks, "rejected")
      told = vim.iter(items):any(function(item)
        return item.status == "refused"
      end)
      t.eq(read("a.txt"), told and new or old)
    end)
  end
end)
