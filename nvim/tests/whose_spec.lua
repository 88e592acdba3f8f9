--- Whose text it is: what the applied record knows of each line, on real files, buffers and logs.

local apply = require("suggestion-review.apply")
local applied = require("suggestion-review.apply.applied")
local base_of = require("suggestion-review.model.base_text")
local build = require("suggestion")
local diff = require("suggestion-review.text.diff")
local resolution = require("suggestion-review.apply.resolution")
local revision = require("suggestion-review.apply.revision")
local stale = require("suggestion-review.apply.stale")
local standing = require("suggestion-review.apply.standing")

local root

---@param files table<string, string>
local function checkout(files)
  root = vim.uv.fs_realpath(t.tempdir())
  vim.fn.mkdir(root .. "/.git", "p")
  for path, text in pairs(files) do
    t.write(root .. "/" .. path, text)
  end
end

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
  apply.run(plans)
  return items
end

--- Presses a key of the conflict window.
---@param choice "ours"|"theirs"|"both"|string[]
local function settle(place, item, choice)
  t.eq(item.status, "conflict")
  local ours, theirs = item.placed.ours, item.placed.theirs
  local rejected = item.want.state == "rejected" or item.want.state == "pending"
  if rejected or choice == "theirs" then
    return t.ok(resolution.resolve(place, item, choice == "ours" and ours or theirs))
  end
  local lines = choice
  if choice == "ours" then
    lines = ours
  elseif choice == "both" then
    lines = vim.list_extend(vim.list_slice(ours), theirs)
  end
  local modified, reason, replacement = resolution.as_modification(item, lines --[[@as string[] ]])
  t.ok(modified, reason)
  t.ok(resolution.resolve(place, item, lines --[[@as string[] ]], replacement))
  return modified
end

local function read(path)
  return t.read(root .. "/" .. path)
end

local function edit(path)
  vim.cmd("silent edit " .. vim.fn.fnameescape(root .. "/" .. path))
  return vim.api.nvim_get_current_buf()
end

--- Forgets everything but what is on disk, as a new Neovim would.
local function restart()
  apply.reset()
  applied.reset()
end

local function look(place, hunks)
  return t.await(function(done)
    standing.look(place, hunks, nil, done)
  end)
end

local function take_out(place)
  return t.await(function(done)
    stale.take_out(place, done)
  end)
end

before_each(function()
  vim.cmd("silent! %bwipeout!")
  restart()
  base_of.reset()
  require("suggestion-review.config").setup({})
end)

local OLD = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"
local NEW = "one\nTWO\nthree\nfour\nfive\nsix\nseven\neight\nNINE\nten\n"
local MINE = OLD:gsub("two", "mine")

---@param text string the developer's file
---@param new? string
---@return table place
---@return table[] hunks
local function start(text, new)
  checkout({ ["a.txt"] = text })
  local suggestion = build.build({ ["a.txt"] = OLD }, { ["a.txt"] = new or NEW })
  return place_of(suggestion), suggestion.hunks
end

--- The next revision, filed over the record as the review does it.
local function publish(place, new, fields)
  local next_one = build.build(
    { ["a.txt"] = fields and fields.old or OLD },
    { ["a.txt"] = new },
    { revision = place.suggestion.revision + 1, base_commit = fields and fields.base_commit or nil }
  )
  local new_place = place_of(next_one)
  revision.rekey(new_place, next_one.hunks)
  return new_place, next_one.hunks
end

describe("what the developer had before", function()
  for _, choice in ipairs({ "ours", "theirs", "both", { "by hand\n", "mine\n" } }) do
    local name = type(choice) == "string" and choice or "an edit"
    for _, way in ipairs({ "pending", "rejected" }) do
      it(("A1: comes back when a hunk resolved by %s is %s"):format(name, way), function()
        local place, hunks = start(MINE)
        local item = bring(place, { hunks[1] }, "accepted")[1]
        settle(place, item, choice)
        restart()
        place = place_of(place.suggestion)
        t.ok(apply.is_applied(place, hunks[1]))
        bring(place, { hunks[1] }, way)
        t.eq(read("a.txt"), MINE)
        t.eq(apply.is_applied(place, hunks[1]), false)
      end)
    end
  end

  for _, choice in ipairs({ "ours", "theirs" }) do
    it(("A1: stays known when the same decision comes twice (%s)"):format(choice), function()
      local place, hunks = start(MINE)
      local own = settle(place, bring(place, { hunks[1] }, "accepted")[1], choice)
      local modified = type(own) == "string" and own or nil
      t.eq(bring(place, { hunks[1] }, modified and "modified" or "accepted", modified)[1].status, "already")
      bring(place, { hunks[1] }, "rejected")
      t.eq(read("a.txt"), MINE)
    end)
  end

  it("A1: comes back with the lines around the hunk that the developer had changed too", function()
    local mine = OLD:gsub("two\nthree\nfour", "all mine")
    local place, hunks = start(mine)
    settle(place, bring(place, { hunks[1] }, "accepted")[1], "theirs")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
    bring(place, { hunks[2] }, "accepted")
    bring(place, { hunks[1] }, "rejected")
    t.eq(read("a.txt"), (mine:gsub("nine", "NINE")))
  end)

  it("A1: is asked about where another hunk stands among those lines by now", function()
    local new = OLD:gsub("two", "TWO"):gsub("four", "FOUR")
    local mine = OLD:gsub("two\nthree\nfour", "all mine")
    local place, hunks = start(mine, new)
    settle(place, bring(place, { hunks[1] }, "accepted")[1], "theirs")
    t.eq(bring(place, { hunks[2] }, "accepted")[1].status, "clean")
    t.eq(read("a.txt"), new)
    local item = bring(place, { hunks[1] }, "rejected")[1]
    t.eq(item.placed.theirs, { "all mine\n" })
    t.eq(read("a.txt"), new)
    settle(place, item, "theirs")
    t.eq(read("a.txt"), mine)
  end)

  it("A1: comes back in a buffer with CR LF and a file in another form than the base", function()
    local mine = MINE:gsub("\n", "\r\n")
    local place, hunks = start(mine)
    settle(place, bring(place, { hunks[1] }, "accepted")[1], "theirs")
    local buf = edit("a.txt")
    t.eq(vim.bo[buf].fileformat, "dos")
    bring(place, { hunks[1] }, "pending")
    t.eq(read("a.txt"), mine)
  end)

  it("A1: stays where the developer had made the very same edit", function()
    local place, hunks = start((OLD:gsub("two", "TWO")))
    t.eq(bring(place, { hunks[1] }, "accepted")[1].status, "already")
    bring(place, { hunks[1] }, "rejected")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
  end)

  it("A1: is the whole file where a hunk makes one of that name, or removes a changed one", function()
    checkout({ ["new.txt"] = "mine\n", ["gone.txt"] = "old\nmine\n", ["same.txt"] = "agent\n" })
    local suggestion = build.build(
      { ["gone.txt"] = "old\n" },
      { ["new.txt"] = "agent\n", ["gone.txt"] = false, ["same.txt"] = "agent\n" }
    )
    local place = place_of(suggestion)
    local gone, new, same = unpack(suggestion.hunks)
    settle(place, bring(place, { new }, "accepted")[1], "theirs")
    t.eq(read("new.txt"), "agent\n")
    local item = bring(place, { gone }, "accepted")[1]
    t.ok(resolution.resolve(place, item, nil))
    t.eq(read("gone.txt"), nil)
    t.eq(bring(place, { same }, "accepted")[1].status, "already")
    restart()
    place = place_of(suggestion)
    bring(place, suggestion.hunks, "pending")
    t.eq({ read("new.txt"), read("gone.txt"), read("same.txt") }, { "mine\n", "old\nmine\n", "agent\n" })
  end)

  it("A1: is the name and the mode of a file that the developer had changed alike", function()
    checkout({ ["b.txt"] = OLD, ["run.sh"] = "x\n" })
    vim.uv.fs_chmod(root .. "/run.sh", 493)
    local place = place_of(build.build({ ["a.txt"] = OLD }, {}))
    local rename = build.hunk("s", "b.txt", 0, "rename", {
      old_file = "a.txt",
      diff = "Renames a.txt\n",
      encoding = "binary",
    })
    local mode =
      build.hunk("s", "run.sh", 0, "mode", { new_mode = "100755", diff = "mode\n", encoding = "binary" })
    for _, hunk in ipairs({ rename, mode }) do
      t.eq(bring(place, { hunk }, "accepted")[1].status, "already")
      t.ok(apply.is_applied(place, hunk))
      bring(place, { hunk }, "rejected")
      t.eq(apply.is_applied(place, hunk), false)
    end
    t.eq(read("b.txt"), OLD)
    t.ok(vim.uv.fs_access(root .. "/run.sh", "X"))
  end)

  it("A1: is kept in the record where the developer lets a rejection overwrite it", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "accepted")
    t.write(root .. "/a.txt", (OLD:gsub("two", "TWO and mine")))
    settle(place, bring(place, { hunks[1] }, "rejected")[1], "theirs")
    t.eq(read("a.txt"), OLD)
    t.ok(place.applied.path and t.read(place.applied.path):find(vim.base64.encode("TWO and mine\n"), 1, true))
  end)

  it("A1: is known from lines that an earlier version logged, and those are still read", function()
    local place, hunks = start((OLD:gsub("two", "TWO")))
    local one = hunks[1]
    local entry = {
      suggestion = place.suggestion.id,
      file = vim.base64.encode("a.txt"),
      put = {
        key = one.id,
        at = 1,
        count = 1,
        lines = { vim.base64.encode("TWO\n") },
        order = 2,
        digest = one.digest,
        kind = "text",
        decided = "accepted",
        base = place.suggestion.base_commit,
      },
    }
    vim.fn.mkdir(vim.fs.dirname(place.applied.path), "p")
    t.write(place.applied.path, vim.json.encode(entry) .. "\n")
    restart()
    place = place_of(place.suggestion)
    t.ok(apply.is_applied(place, one))
    bring(place, { one }, "rejected")
    t.eq(read("a.txt"), OLD)
    -- What was modified may have been the answer to a conflict: it is not overwritten unasked.
    entry.put.decided, entry.put.lines = "modified", { vim.base64.encode("mine\n") }
    t.write(place.applied.path, vim.json.encode(entry) .. "\n")
    t.write(root .. "/a.txt", MINE)
    restart()
    place = place_of(place.suggestion)
    t.eq(bring(place, { one }, "accepted")[1].status, "conflict")
    t.eq(read("a.txt"), MINE)
  end)

  it("A1: is nothing that a copy of the checkout takes over", function()
    local place, hunks = start(MINE)
    settle(place, bring(place, { hunks[1] }, "accepted")[1], "theirs")
    local first = root
    root = vim.uv.fs_realpath(t.tempdir())
    vim.fn.mkdir(root .. "/.git", "p")
    t.write(root .. "/a.txt", t.read(first .. "/a.txt"))
    local copy = place_of(place.suggestion)
    t.eq(apply.is_applied(copy, hunks[1]), false)
    bring(copy, { hunks[1] }, "rejected")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
  end)
end)

describe("text that the developer kept", function()
  for _, choice in ipairs({ "ours", "both", { "by hand\n" } }) do
    local name = type(choice) == "string" and choice or "an edit"
    it(("A2: is not overwritten by the next revision (%s)"):format(name), function()
      local place, hunks = start(MINE)
      settle(place, bring(place, { hunks[1] }, "accepted")[1], choice)
      local kept = read("a.txt")
      local next_place, next_hunks = publish(place, (NEW:gsub("TWO", "zwei")))
      take_out(next_place)
      t.eq(read("a.txt"), kept)
      local item = bring(next_place, { next_hunks[1] }, "accepted")[1]
      t.eq(item.status, "conflict")
      t.eq(read("a.txt"), kept)
      settle(next_place, item, "theirs")
      t.eq(read("a.txt"), (OLD:gsub("two", "zwei")))
      bring(next_place, { next_hunks[1] }, "rejected")
      t.eq(read("a.txt"), kept)
    end)

    it(("A12: is not overwritten by deciding again (%s)"):format(name), function()
      local place, hunks = start(MINE)
      settle(place, bring(place, { hunks[1] }, "accepted")[1], choice)
      local kept = read("a.txt")
      restart()
      place = place_of(place.suggestion)
      local item = bring(place, { hunks[1] }, "accepted")[1]
      t.eq(item.status, "conflict")
      t.eq(read("a.txt"), kept)
      settle(place, item, "theirs")
      t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
      -- Back to what stood there before anything of the suggestion did.
      bring(place, { hunks[1] }, "pending")
      t.eq(read("a.txt"), MINE)
    end)
  end

  it("A2: is a modification's text too, once the hunk is another", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "modified", "@@ -2 +2 @@\n-two\n+my version\n")
    t.eq(read("a.txt"), (OLD:gsub("two", "my version")))
    local next_place, next_hunks = publish(place, (NEW:gsub("TWO", "zwei")))
    take_out(next_place)
    t.eq(bring(next_place, { next_hunks[1] }, "accepted")[1].status, "conflict")
    t.eq(read("a.txt"), (OLD:gsub("two", "my version")))
  end)

  it("A12: asks nothing where the hunk's own text stands untouched", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "modified", "@@ -2 +2 @@\n-two\n+my version\n")
    t.eq(bring(place, { hunks[1] }, "accepted")[1].status, "clean")
    t.eq(bring(place, { hunks[1] }, "accepted")[1].status, "already")
    bring(place, { hunks[1] }, "pending")
    t.eq(read("a.txt"), OLD)
  end)

  it("A12: is asked about where an accepted hunk was edited and is decided again", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "accepted")
    local edited = OLD:gsub("two", "TWO and mine")
    t.write(root .. "/a.txt", edited)
    t.eq(bring(place, { hunks[1] }, "accepted")[1].status, "conflict")
    t.eq(read("a.txt"), edited)
  end)
end)

describe("what is called accepted", function()
  it("A4: is found gone after Vim's own undo, and comes in again", function()
    local place, hunks = start(OLD)
    local buf = edit("a.txt")
    bring(place, { hunks[1] }, "accepted")
    bring(place, { hunks[2] }, "accepted")
    t.eq(look(place, hunks), { ["a.txt"] = {} })
    vim.cmd("silent undo")
    t.eq(look(place, hunks)["a.txt"], { [hunks[2].id] = "gone" })
    vim.cmd("silent undo")
    t.eq(look(place, hunks)["a.txt"], { [hunks[1].id] = "gone", [hunks[2].id] = "gone" })
    vim.cmd("silent redo")
    t.eq(look(place, hunks)["a.txt"], { [hunks[2].id] = "gone" })
    t.eq(bring(place, { hunks[2] }, "accepted")[1].status, "clean")
    t.eq(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n", NEW)
  end)

  it("A4: is found gone after git checkout, a deleted file, and edits that leave nothing of it", function()
    checkout({ ["a.txt"] = OLD, ["gone.txt"] = "bye\n" })
    local suggestion = build.build(
      { ["a.txt"] = OLD, ["gone.txt"] = "bye\n" },
      { ["a.txt"] = NEW, ["b.txt"] = "b\n", ["gone.txt"] = false }
    )
    local place, hunks = place_of(suggestion), suggestion.hunks
    bring(place, hunks, "accepted")
    t.eq(look(place, hunks), { ["a.txt"] = {}, ["b.txt"] = {}, ["gone.txt"] = {} })
    t.write(root .. "/a.txt", OLD)
    t.write(root .. "/gone.txt", "bye\n")
    vim.uv.fs_unlink(root .. "/b.txt")
    t.eq(look(place, hunks), {
      ["a.txt"] = { [hunks[1].id] = "gone", [hunks[2].id] = "gone" },
      ["b.txt"] = { [hunks[3].id] = "gone" },
      ["gone.txt"] = { [hunks[4].id] = "gone" },
    })
    for _, item in ipairs(bring(place, hunks, "accepted")) do
      t.eq({ item.hunk.id, item.status }, { item.hunk.id, "clean" })
    end
    t.eq({ read("a.txt"), read("b.txt"), read("gone.txt") }, { NEW, "b\n" })
    t.write(root .. "/a.txt", (NEW:gsub("TWO\n", "")))
    t.eq(look(place, hunks)["a.txt"], { [hunks[1].id] = "gone" })
    t.write(root .. "/a.txt", (NEW:gsub("TWO\n", "TWO!\n")))
    t.eq(look(place, hunks)["a.txt"], { [hunks[1].id] = "edited" })
    t.write(root .. "/a.txt", (NEW:gsub("TWO\n", "mine\nTWO\nmine\n")))
    t.eq(look(place, hunks)["a.txt"], {})
  end)
end)

describe("Vim's undo", function()
  it("A5: has one step for every accepted hunk, while another window has the cursor", function()
    local place, hunks = start(OLD)
    local buf = edit("a.txt")
    vim.cmd("new")
    bring(place, { hunks[1] }, "accepted")
    bring(place, { hunks[2] }, "accepted")
    local function text()
      return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
    end
    t.eq(text(), NEW)
    local function undo()
      vim.api.nvim_buf_call(buf, function()
        vim.cmd("silent undo")
      end)
    end
    undo()
    t.eq(text(), (OLD:gsub("two", "TWO")))
    undo()
    t.eq(text(), OLD)
  end)

  it("A5: has one step for a batch, apart from what was typed before it", function()
    local place, hunks = start(OLD)
    local buf = edit("a.txt")
    vim.api.nvim_buf_set_lines(buf, 4, 5, false, { "typed" })
    vim.cmd("new")
    bring(place, hunks, "accepted")
    vim.api.nvim_buf_call(buf, function()
      vim.cmd("silent undo")
    end)
    t.eq(
      table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n",
      (OLD:gsub("five", "typed"))
    )
  end)
end)

describe("an earlier revision's text", function()
  it("A11: is taken out where the next revision changes or drops the hunk", function()
    local place, hunks = start(OLD)
    bring(place, hunks, "accepted")
    local next_place, next_hunks = publish(place, (OLD:gsub("two", "zwei")))
    t.eq(#next_hunks, 1)
    local taken, left = take_out(next_place)
    t.eq({ #taken, #left }, { 2, 0 })
    t.eq(read("a.txt"), OLD)
    t.eq(next_place.applied:files(next_place.suggestion.id), {})
  end)

  it("A11: is taken out of a file that the next revision leaves alone, and of one it rebases", function()
    local place, hunks = start(OLD)
    bring(place, hunks, "accepted")
    local empty = build.build({ ["a.txt"] = OLD }, {}, { revision = 2 })
    local next_place = place_of(empty)
    revision.rekey(next_place, {})
    take_out(next_place)
    t.eq(read("a.txt"), OLD)

    place, hunks = start(OLD)
    bring(place, hunks, "accepted")
    local rebased = "zero\n" .. OLD
    next_place = publish(place, (rebased:gsub("two", "zwei")), { old = rebased, base_commit = ("1"):rep(40) })
    take_out(next_place)
    t.eq(read("a.txt"), OLD)
  end)

  it("A11: is not left beside the next revision's where both insert, or both make the file", function()
    local place, hunks = start(OLD, (OLD:gsub("three\n", "three\nfirst\n")))
    bring(place, hunks, "accepted")
    local next_place, next_hunks = publish(place, (OLD:gsub("three\n", "three\nsecond\n")))
    bring(next_place, next_hunks, "accepted")
    t.eq(read("a.txt"), (OLD:gsub("three\n", "three\nsecond\n")))

    checkout({})
    local first = build.build({}, { ["new.txt"] = "first\n" })
    bring(place_of(first), first.hunks, "accepted")
    local second = build.build({}, { ["new.txt"] = "second\n" }, { revision = 2 })
    next_place = place_of(second)
    revision.rekey(next_place, second.hunks)
    take_out(next_place)
    t.eq(read("new.txt"), nil)
    bring(next_place, second.hunks, "accepted")
    t.eq(read("new.txt"), "second\n")
  end)

  it("A11: stays where the developer edited it, and is asked about by every decision there", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "accepted")
    local edited = OLD:gsub("two", "TWO and mine")
    t.write(root .. "/a.txt", edited)
    local next_place, next_hunks = publish(place, (OLD:gsub("two", "zwei")))
    local taken, left = take_out(next_place)
    t.eq({ #taken, #left }, { 0, 1 })
    t.eq(read("a.txt"), edited)
    t.eq(stale.list(next_place)[1].replacement.revision, 1)
    t.eq(bring(next_place, next_hunks, "accepted")[1].status, "conflict")
    local item = bring(next_place, next_hunks, "rejected")[1]
    t.eq(item.status, "conflict")
    settle(next_place, item, "theirs")
    t.eq(read("a.txt"), OLD)
    t.eq(stale.list(next_place), {})
  end)

  it("A11: goes when the new hunk is rejected", function()
    local place, hunks = start(OLD)
    bring(place, { hunks[1] }, "accepted")
    local next_place, next_hunks = publish(place, (OLD:gsub("two", "zwei")))
    t.eq(bring(next_place, next_hunks, "rejected")[1].status, "clean")
    t.eq(read("a.txt"), OLD)
    t.eq(stale.list(next_place), {})
  end)
end)

describe("parts of a hunk", function()
  it("A14: are known to be in the file after the hunk they were is split", function()
    local new = OLD:gsub("two\nthree", "TWO\nTHREE")
    local place, hunks = start(OLD, new)
    t.eq(#hunks, 1)
    bring(place, hunks, "accepted")
    local first = build.hunks_of(place.suggestion.id, "a.txt", OLD, (OLD:gsub("two", "TWO")))[1]
    local second = build.hunks_of(place.suggestion.id, "a.txt", OLD, (OLD:gsub("three", "THREE")))[1]
    first.id, second.id = hunks[1].id .. ".1", hunks[1].id .. ".2"
    revision.rekey(place, { first, second })
    t.ok(apply.is_applied(place, first) and apply.is_applied(place, second))
    t.eq(bring(place, { second }, "rejected")[1].status, "clean")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO")))
    t.write(root .. "/a.txt", (OLD:gsub("two", "TWO and mine")))
    t.eq(look(place, { first, second })["a.txt"], { [first.id] = "edited" })
    t.eq(bring(place, { first }, "rejected")[1].status, "conflict")
    t.eq(read("a.txt"), (OLD:gsub("two", "TWO and mine")))
  end)

  --- A hunk that inserts three lines, taken over what the developer had put there, and split after that: what is
  --- applied stays filed as one, since the developer's text cannot be told apart.
  local function split_where_mine_stood()
    local place, hunks = start((OLD:gsub("two", "mine\ntwo")), (OLD:gsub("two", "p\nq\nr\ntwo")))
    settle(place, bring(place, hunks, "accepted")[1], "theirs")
    t.eq(read("a.txt"), (OLD:gsub("two", "p\nq\nr\ntwo")))
    local parts = {}
    for i, line in ipairs({ "p", "q", "r" }) do
      local part = build.hunks_of(place.suggestion.id, "a.txt", OLD, (OLD:gsub("two", line .. "\ntwo")))[1]
      part.id, part.new_start = ("%s.%d"):format(hunks[1].id, i), part.new_start + i - 1
      parts[i] = part
    end
    revision.rekey(place, parts)
    t.ok(place.applied:get(place.suggestion.id, "a.txt", hunks[1].id))
    return place, parts, hunks[1]
  end

  it("A14: take the place of the hunk they were, once, and the developer's line comes back", function()
    local place, parts, hunk = split_where_mine_stood()
    t.eq(bring(place, { parts[3] }, "accepted")[1].status, "clean")
    t.eq(read("a.txt"), (OLD:gsub("two", "mine\nr\ntwo")))
    t.eq(place.applied:get(place.suggestion.id, "a.txt", hunk.id), nil)
  end)

  it("A14: ask where the text of the hunk they were was edited, and take its place once", function()
    local place, parts, hunk = split_where_mine_stood()
    local stood = OLD:gsub("two", "p\nq and mine\nr\ntwo")
    t.write(root .. "/a.txt", stood)
    local item = bring(place, { parts[3] }, "accepted")[1]
    t.eq(look(place, parts)["a.txt"], { [hunk.id] = "edited" })
    settle(place, item, "theirs")
    t.eq(read("a.txt"), (OLD:gsub("two", "r\ntwo")))
    t.eq(place.applied:get(place.suggestion.id, "a.txt", hunk.id), nil)
    t.eq(look(place, parts)["a.txt"], {})
    bring(place, { parts[3] }, "rejected")
    t.eq(read("a.txt"), stood)
    t.eq(place.applied:of_file(place.suggestion.id, "a.txt"), {})
  end)
end)

describe("random edits, decisions, answers, revisions and undos", function()
  local function numbered(count)
    local lines = {}
    for i = 1, count do
      lines[i] = ("line %d"):format(i)
    end
    return lines
  end

  ---@param random fun(low: integer, high: integer): integer
  ---@param base string[]
  ---@param number integer
  local function proposal(random, base, number)
    local new = vim.list_slice(base)
    for i = 1, random(1, 4) do
      local at = random(1, #new)
      local what = random(1, 4)
      if what == 1 then
        table.insert(new, at, ("agent %d.%d"):format(number, i))
      elseif what == 2 then
        table.remove(new, at)
      else
        new[at] = ("agent %d.%d"):format(number, i)
      end
    end
    return table.concat(new, "\n") .. "\n"
  end

  --- The hunk with its context, as the developer might write it. What is typed there is kept as a decision.
  local function version_of(hunk, number)
    local text = assert(diff.text_of(hunk))
    local lines = vim.list_slice(text.before)
    lines[#lines + 1] = ("version %d\n"):format(number)
    return vim.list_extend(lines, text.after)
  end

  it(
    "A1 A2 A4 A11 A12: lose no line that the developer typed, and the record is what the file holds",
    function()
      local counts = { conflicts = 0, decided = 0, revisions = 0, gone = 0 }
      for seed = 200, 350 do
        local random = build.random(seed * 7919)
        local base = numbered(random(6, 14))
        local old = table.concat(base, "\n") .. "\n"
        vim.cmd("silent! %bwipeout!")
        restart()
        base_of.reset()
        checkout({ ["a.txt"] = old })
        local suggestion = build.build({ ["a.txt"] = old }, { ["a.txt"] = proposal(random, base, 1) })
        local place, hunks = place_of(suggestion), suggestion.hunks
        local buf = seed % 2 == 0 and edit("a.txt") or nil
        local typed, seen, log = {}, {}, {}

        local function text()
          if buf then
            return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
          end
          return read("a.txt") or ""
        end
        local function put(lines)
          if buf then
            vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
          else
            t.write(root .. "/a.txt", #lines > 0 and table.concat(lines, "\n") .. "\n" or "")
          end
        end
        local function own_edit()
          local lines = vim.split(text(), "\n")
          table.remove(lines)
          local at = random(1, math.max(1, #lines))
          local token = ("mine %d.%d"):format(seed, #log)
          local what = random(1, 4)
          local gone = lines[at]
          if what == 1 or #lines == 0 then
            table.insert(lines, at, token)
            typed[token] = true
          elseif what == 2 then
            table.remove(lines, at)
            typed[gone] = nil
          else
            lines[at] = token
            typed[gone], typed[token] = nil, true
          end
          put(lines)
        end
        local function decide()
          local hunk = hunks[random(1, math.max(1, #hunks))]
          if not hunk then
            return
          end
          local state = ({ "accepted", "accepted", "accepted", "rejected", "pending", "modified" })[random(
            1,
            6
          )]
          local own = state == "modified"
            and diff.format_modification(hunk, assert(diff.text_of(hunk)), version_of(hunk, random(1, 1000)))
          if state == "modified" and not own then
            return
          end
          local item = bring(place, { hunk }, state, own or nil)[1]
          counts.decided = counts.decided + 1
          log[#log] = log[#log] .. (" %s %s %s"):format(hunk.id:match("%d+$"), state, item.status)
          local answer = random(1, 4)
          if item.status ~= "conflict" or answer == 4 then
            return
          end
          -- What was clean beside the conflict is done: the window shows what there is now.
          local _, again = t.await(function(done)
            apply.plan(place, { item.want }, done)
          end)
          item = again[1]
          if item.status ~= "conflict" then
            return
          end
          counts.conflicts = counts.conflicts + 1
          local placed = item.placed
          local lines, replacement = placed.theirs, nil
          if answer ~= 2 then
            lines = answer == 1 and placed.ours or vim.list_extend(vim.list_slice(placed.ours), placed.theirs)
            if state == "accepted" or state == "modified" then
              replacement = select(3, resolution.as_modification(item, lines))
              if not replacement then
                return
              end
            end
          end
          local ok, reason = resolution.resolve(place, item, lines, replacement)
          t.ok(ok, reason)
          log[#log] = log[#log] .. (" answer %d"):format(answer)
        end
        local function next_revision()
          counts.revisions = counts.revisions + 1
          local number = place.suggestion.revision + 1
          local new = build.build(
            { ["a.txt"] = old },
            { ["a.txt"] = proposal(random, base, number) },
            { revision = number }
          )
          place, hunks = place_of(new), new.hunks
          revision.rekey(place, hunks)
          take_out(place)
        end
        local function check()
          local where = ("seed %d:\n%s\n%s"):format(seed, table.concat(log, "\n"), text())
          local now = "\n" .. text()
          seen[#seen + 1] = buf and now or nil
          local kept = {}
          for _, line in ipairs(place.applied.kept) do
            for _, one in ipairs(vim.json.decode(line).kept.lines) do
              kept[vim.base64.decode(one)] = true
            end
          end
          local entries = place.applied:of_file(suggestion.id, "a.txt")
          for _, entry in ipairs(entries) do
            for _, line in ipairs(entry.before and entry.before.lines or {}) do
              kept[line] = true
            end
          end
          for token in pairs(typed) do
            local needle = "\n" .. token .. "\n"
            local there = now:find(needle, 1, true) or kept[token .. "\n"]
            -- A buffer has every text that it had as a state of its undo tree.
            for i = #seen, 1, -1 do
              there = there or seen[i]:find(needle, 1, true)
            end
            if not there then
              error(("lost %q, %s"):format(token, where))
            end
          end
          local standing_now = look(place, hunks)["a.txt"] or {}
          for i, entry in ipairs(entries) do
            if standing_now[entry.key] == nil and #entry.lines > 0 then
              if not now:find("\n" .. table.concat(entry.lines), 1, true) then
                error(("%s is called in and is not, %s"):format(entry.key, where))
              end
            elseif standing_now[entry.key] == "gone" then
              counts.gone = counts.gone + 1
            end
            local next_entry = entries[i + 1]
            if next_entry and next_entry.at < entry.at + entry.count then
              error(("two records claim the same lines, %s\n%s"):format(where, vim.inspect(entries)))
            end
          end
        end

        for step = 1, 14 do
          local what = random(1, 20)
          log[#log + 1] = ("%d:"):format(step)
          if what <= 6 then
            log[#log] = log[#log] .. " edit"
            own_edit()
          elseif what <= 15 then
            decide()
          elseif what <= 17 then
            log[#log] = log[#log] .. " revision"
            next_revision()
          elseif what == 18 then
            log[#log] = log[#log] .. " restart"
            restart()
            place = place_of(place.suggestion)
          elseif buf then
            log[#log] = log[#log] .. " vim undo"
            vim.cmd("silent! undo")
          end
          check()
        end
      end
      t.ok(counts.decided > 600 and counts.conflicts > 50, vim.inspect(counts))
      t.ok(counts.revisions > 50 and counts.gone > 20, vim.inspect(counts))
    end
  )
end)
