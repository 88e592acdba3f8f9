--- The developer's files follow what was decided, as the real server composes it: in any order, with undo, parts of
--- hunks, modifications, and every kind of change.

local real = require("real")
local build = require("suggestion")

if not real.available() then
  pending("files follow decisions", "needs Bun and jj")
  return
end

local review = require("suggestion-review.review")
local store = require("suggestion-review.model.store")
local base_text = require("suggestion-review.model.base_text")
local feedback = require("suggestion-review.decisions.requests")
local turns = require("suggestion-review.decisions.turns")

---@type Real
local server

local function clear()
  if review.is_open() then
    review.close()
  end
  vim.cmd("silent! %bwipeout!")
  require("suggestion-review.connection.client")._reset()
  store._clear()
  require("suggestion-review.apply").reset()
  base_text.reset()
end

after_each(function()
  clear()
  if server then
    server:stop("sigkill")
  end
  server = nil
end)

--- The tree of a directory: path to mode and content.
local function tree(directory)
  local out = {}
  for name, kind in vim.fs.dir(directory, { depth = 20 }) do
    local path = directory .. "/" .. name
    if not name:find("^%.git") and not name:find("^%.jj") and kind ~= "directory" then
      local stat = vim.uv.fs_lstat(path)
      if stat.type == "link" then
        out[name] = { "link", vim.uv.fs_readlink(path) }
      else
        out[name] = { stat.mode % 128 >= 64 and "x" or "-", t.read(path) }
      end
    end
  end
  return out
end

--- The accepted tree, as the server says it would be pushed.
local function accepted(id, files)
  local out = {}
  for _, file in ipairs(files) do
    local content = t.await(function(done)
      store.content(id, file, "accepted", function(err, data)
        assert(not err, err and err.message)
        done(data)
      end)
    end)
    if content.exists then
      out[file] = content.bytes
    end
  end
  return out
end

--- Waits until everything sent is answered and brought into the files.
local function settled()
  local session = review.session()
  -- What was asked for before has been sent when it is our turn.
  t.await(function(callback)
    turns.take(session.id):use(callback)
  end, 10000)
  t.wait(function()
    return next(session.sent) == nil and next(feedback.in_flight()) == nil
  end, 10000, "answers")
  -- And what the answers put off has been done.
  t.await(vim.schedule)
end

local function open(id)
  server:connect()
  t.wait(function()
    return store.get(id)
  end)
  vim.cmd.cd(server.checkout)
  review.open(id)
  t.wait(review.is_open)
  -- Bases are fetched on opening; decisions would wait for them anyway.
  t.wait(function()
    return vim.iter(store.hunks(id)):all(function(hunk)
      return hunk.kind == "create" or base_text.known(store.get(id).base_commit, hunk.old_file)
    end)
  end, 10000, "the bases")
end

describe("the developer's files", function()
  it("are the accepted tree after every one of 250 random decisions", function()
    local lines = {}
    for i = 1, 120 do
      lines[i] = ("line %d"):format(i)
    end
    local old = table.concat(lines, "\n") .. "\n"
    local new_lines = vim.list_slice(lines)
    for i = 5, 110, 15 do
      new_lines[i] = ("changed %d\nand more %d"):format(i, i)
      new_lines[i + 1] = ("changed too %d"):format(i)
    end
    new_lines[60] = nil
    local new = {}
    for i = 1, 120 do
      new[#new + 1] = new_lines[i]
    end
    local proposed = table.concat(new, "\n") .. "\n"
    server = real.start({ ["a.txt"] = old, ["b.txt"] = "one\ntwo\n", ["gone.txt"] = "bye\nbye\n" })
    local files = { "a.txt", "b.txt", "gone.txt", "new/c.txt" }
    local id = server:publish({
      ["a.txt"] = proposed,
      ["b.txt"] = "one\nTWO\n",
      ["gone.txt"] = false,
      ["new/c.txt"] = "c\nd\n",
    }, "Many changes") -- stylua: ignore
    vim.cmd("silent edit " .. server.checkout .. "/a.txt")
    open(id)
    local random = build.random(20261121)
    local input = vim.ui.input
    rawset(vim.ui, "input", function(_, done)
      done("")
    end)
    -- A version that was modified before may lose lines around the hunk here, which is asked about.
    local confirm = vim.fn.confirm
    rawset(vim.fn, "confirm", function(message, ...)
      return message:find("outside the hunk", 1, true) and 1 or confirm(message, ...)
    end)
    t.defer(function()
      rawset(vim.fn, "confirm", confirm)
    end)
    local counts = {}
    for step = 1, 250 do
      local session = assert(review.session())
      review.go(random(1, #session.hunks))
      local hunk = session.hunks[session.index]
      local what = ({
        "accept",
        "accept",
        "accept",
        "reject",
        "undo",
        "undo",
        "redo",
        "part",
        "modify",
        "accept_file",
        "reject_all",
      })[random(1, 11)] -- stylua: ignore
      counts[what] = (counts[what] or 0) + 1
      if what == "part" then
        local old_count, new_count = hunk.old_count, hunk.new_count
        if hunk.state == "pending" and old_count + new_count > 1 and hunk.encoding == "utf-8" then
          local take_old = random(0, old_count)
          local take_new = random(take_old == 0 and math.min(1, new_count) or 0, new_count)
          if take_old + take_new > 0 then
            local selection = require("suggestion-review.ui.floating").selection
            require("suggestion-review.ui.floating").selection = function()
              return { { index = session.index, lines = { old = { 0, take_old }, new = { 0, take_new } } } }
            end
            review.accept({ selection = true })
            require("suggestion-review.ui.floating").selection = selection
          end
        end
      elseif what == "modify" then
        local diff = require("suggestion-review.text.diff")
        local text = diff.text_of(hunk)
        if text and diff.has_text(hunk) then
          review.modify()
          local buf = vim.api.nvim_get_current_buf()
          vim.api.nvim_buf_set_lines(
            buf,
            #text.before,
            #text.before + #text.new,
            false,
            { "modified " .. step }
          )
          -- As it is typed: nothing else sends.
          vim.api.nvim_feedkeys(vim.keycode(":silent write<CR>"), "tx", false)
          t.wait(function()
            return not vim.api.nvim_buf_is_valid(buf)
          end)
        end
      elseif what == "reject_all" then
        if random(1, 4) == 1 then
          review.reject_all()
        end
      else
        review[what]()
      end
      settled()
      local expected
      local ok = pcall(t.wait, function()
        expected = accepted(id, files)
        local now = {}
        for _, file in ipairs(files) do
          now[file] = t.read(server.checkout .. "/" .. file)
        end
        return vim.deep_equal(now, expected)
      end, 3000)
      if not ok then
        local now = {}
        for _, file in ipairs(files) do
          now[file] = t.read(server.checkout .. "/" .. file)
        end
        t.eq(now, expected, ("step %d, %s on %s (%s)"):format(step, what, hunk.id, hunk.state))
      end
    end
    rawset(vim.ui, "input", input)
    for _, what in ipairs({ "accept", "reject", "undo", "redo", "part", "modify", "accept_file" }) do
      t.ok((counts[what] or 0) > 5, what)
    end
  end)

  it("take every kind of change, and give it back", function()
    server = real.start({
      ["text.txt"] = "one\ntwo\n",
      ["rename-me.txt"] = "a\nb\nc\nd\ne\nf\n",
      ["mode.sh"] = "#!/bin/sh\n",
      ["bin.dat"] = "\0one\255",
      ["latin.txt"] = "caf\233\n",
      ["crlf.txt"] = "a\r\nb\r\n",
      ["noeol.txt"] = "x\ny",
      ["gone.txt"] = "bye\n",
      ["gone.bin"] = "\0\1",
      ["empty.txt"] = "",
    }) -- stylua: ignore
    local before = tree(server.checkout)
    local agent = server.agent
    vim.uv.fs_rename(agent .. "/rename-me.txt", agent .. "/renamed.txt")
    vim.uv.fs_chmod(agent .. "/mode.sh", 493)
    vim.uv.fs_symlink("text.txt", agent .. "/link")
    local id = server:publish({
      ["text.txt"] = "one\nTWO\n",
      ["bin.dat"] = "\0two\255\0",
      ["latin.txt"] = "caf\233s \232\n",
      ["crlf.txt"] = "a\r\nB\r\nc\r\n",
      ["noeol.txt"] = "x\ny\n",
      ["gone.txt"] = false,
      ["gone.bin"] = false,
      ["new.txt"] = "new",
      ["new.bin"] = "\0new",
      ["new-empty"] = "",
      ["empty.txt"] = "filled\n",
    }, "Everything at once") -- stylua: ignore
    vim.cmd("silent edit " .. server.checkout .. "/text.txt")
    vim.cmd("silent split " .. server.checkout .. "/crlf.txt")
    open(id)
    -- One file becomes a program: the batch names it and asks.
    local asked
    local confirm = vim.fn.confirm
    vim.fn.confirm = function(message)
      asked = message
      return 1
    end
    review.accept_all()
    t.wait(function()
      return asked
    end, 10000, "the question")
    vim.fn.confirm = confirm
    t.match(asked, "mode.sh: it becomes a program")
    settled()
    local proposed = tree(agent)
    local ok = pcall(t.wait, function()
      return vim.deep_equal(tree(server.checkout), proposed)
    end, 15000)
    if not ok then
      local notes = {}
      for _, hunk in ipairs(review.session().hunks) do
        notes[#notes + 1] = { hunk.id, hunk.kind, hunk.state, review.session().outcomes[hunk.id] }
      end
      t.eq(tree(server.checkout), proposed, vim.inspect(notes))
    end
    review.undo()
    ok = pcall(t.wait, function()
      return vim.deep_equal(tree(server.checkout), before)
    end, 15000)
    if not ok then
      t.eq(tree(server.checkout), before)
    end
  end)

  it("are only reloaded where the agent works in the same checkout", function()
    server = real.start({ ["a.txt"] = "one\ntwo\nthree\n" })
    local id = server:publish({ ["a.txt"] = "one\nTWO\nthree\n" }, "In place")
    local settings = server:settings()
    settings.server.root = server.agent
    require("suggestion-review.config").setup(settings)
    require("suggestion-review").connect()
    t.wait(function()
      return store.get(id)
    end, 10000)
    vim.cmd.cd(server.agent)
    vim.cmd("silent edit a.txt")
    local buf = vim.api.nvim_get_current_buf()
    vim.o.autoread = false
    review.open(id)
    t.wait(review.is_open)
    t.ok(review.session().place.in_place)
    t.eq(review.session().place.git_root, nil)
    review.accept()
    t.wait(function()
      return store.hunks(id)[1].state == "accepted"
    end)
    t.eq(vim.api.nvim_buf_get_lines(buf, 1, 2, false), { "TWO" })
    review.go(1)
    review.reject({ comment = "no" })
    t.wait(function()
      return store.hunks(id)[1].state == "rejected"
    end)
    server:http("POST", "/settle", { project = server.project })
    t.wait(function()
      return t.read(server.agent .. "/a.txt") == "one\ntwo\nthree\n"
    end, 10000, "the agent's file to be settled")
    t.wait(function()
      return vim.api.nvim_buf_get_lines(buf, 1, 2, false)[1] == "two"
    end, 15000, "the buffer to follow")
    t.eq(vim.bo[buf].modified, false)
  end)
end)
