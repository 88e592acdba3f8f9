-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- What becomes of changes to files themselves (binary content, links, modes, names) that were accepted, when a new
--- revision changes or drops them: on the real server.

local real = require("real")

if not real.available() then
  pending("whole files over revisions", "needs Bun and jj")
  return
end

local feedback = require("suggestion-review.decisions.requests")
local review = require("suggestion-review.review")
local reviewing = require("reviewing")
local store = require("suggestion-review.model.store")

---@type Real|nil
local server
local id
local notices = {}
local notify = vim.notify
local confirm = vim.fn.confirm

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
  notices = {}
  -- Of the links and of what may be run by now it is asked: yes.
  rawset(vim.fn, "confirm", function()
    return 1
  end)
  vim.notify = function(message)
    notices[#notices + 1] = message
  end
end)

after_each(function()
  clear()
  vim.notify = notify
  rawset(vim.fn, "confirm", confirm)
  if server then
    server:stop("sigkill")
  end
  server = nil
end)

--- A file by what it is: its bytes, "-> target" for a link, "x " before the bytes of one that may be run.
---@param root string
---@param path string
---@param what string|false
local function make(root, path, what)
  local absolute = root .. "/" .. path
  vim.uv.fs_unlink(absolute)
  if not what then
    return
  elseif vim.startswith(what, "-> ") then
    assert(vim.uv.fs_symlink(what:sub(4), absolute))
  else
    t.write(absolute, (what:gsub("^x ", "")))
    vim.uv.fs_chmod(absolute, vim.startswith(what, "x ") and 493 or 420)
  end
end

---@param path string
---@return string|false
local function there(path)
  local absolute = server.checkout .. "/" .. path
  local stat = vim.uv.fs_lstat(absolute)
  if not stat then
    return false
  elseif stat.type == "link" then
    return "-> " .. vim.uv.fs_readlink(absolute)
  end
  return (stat.mode % 128 >= 64 and "x " or "") .. t.read(absolute)
end

---@param files table<string, string|false>
local function wait_files(files)
  local last
  local function look()
    last = {}
    for path in pairs(files) do
      last[path] = there(path)
    end
    return vim.deep_equal(last, files)
  end
  if not pcall(t.wait, look, 15000) then
    t.eq(last, files, vim.inspect(notices))
  end
end

local function settled()
  t.wait(function()
    return next(review.session().sent) == nil and next(feedback.in_flight()) == nil
  end, 15000, "answers")
end

---@param files table<string, string|false>
local function publish(files)
  local change = id and store.get(id).jj_change_id
  server:jj(unpack(change and { "edit", change } or { "new", "main" }))
  for path, what in pairs(files) do
    make(server.agent, path, what)
  end
  -- Ours is the working copy already: nothing is made anew.
  local answer, status = server:http("POST", "/suggestions", { description = "Changes", change_id = change })
  t.ok(status == 200 or status == 201, vim.inspect(answer))
  id = answer.suggestion_id
end

---@param revision integer
local function at_revision(revision)
  t.wait(function()
    return review.session() and review.session().revision == revision
  end, 15000, "the revision")
end

--- Publishes `new` over `old`, and accepts it all.
local function accepted(old, new)
  id = nil
  local files, links = { ["k.txt"] = "k\n" }, {}
  for path, what in pairs(old) do
    local target = what and what:match("^%-> (.*)")
    links[path] = target or nil
    files[path] = not target and what or nil
  end
  server = real.start(files, nil, nil, links)
  publish(vim.tbl_extend("force", { ["k.txt"] = "K\n" }, new))
  server:connect()
  t.wait(function()
    return store.get(id)
  end)
  vim.cmd.cd(server.checkout)
  wait_files(old)
  review.open(id)
  t.wait(review.is_open)
  review.accept_all()
  settled()
  wait_files(new)
end

local OLD = {
  ["changed.bin"] = "\0\1base",
  ["removed.bin"] = "\0\1removed",
  ["link"] = "-> k.txt",
  ["link2file"] = "-> k.txt",
  ["run.sh"] = "echo\n",
  ["name.bin"] = "\0\1name",
  ["name.txt"] = "one\ntwo\nthree\nfour\n",
  ["both.txt"] = "eins\nzwei\ndrei\nvier\nfünf\nsechs\n",
  ["new.bin"] = false,
  ["newlink"] = false,
  ["name2.bin"] = false,
  ["name2.txt"] = false,
  ["both2.txt"] = false,
}

local ONE = {
  ["changed.bin"] = "\0\1ONE",
  ["removed.bin"] = false,
  ["link"] = "-> run.sh",
  ["link2file"] = "now a file\n",
  ["run.sh"] = "x echo\n",
  ["name.bin"] = false,
  ["name.txt"] = false,
  ["both.txt"] = false,
  ["new.bin"] = "\0\1NEW",
  ["newlink"] = "-> run.sh",
  ["name2.bin"] = "\0\1name",
  ["name2.txt"] = "one\ntwo\nthree\nfour\n",
  ["both2.txt"] = "eins\nZWEI\ndrei\nvier\nfünf\nsechs\n",
}

describe("a change of a file itself that was accepted", function()
  it("A11: is taken out where the next revision drops it, of every kind, after a restart too", function()
    accepted(OLD, ONE)
    for _, hunk in ipairs(review.session().hunks) do
      t.eq(hunk.state, "accepted", hunk.id)
    end
    -- Nothing but the record says what stood there.
    review.close()
    require("suggestion-review.apply.applied").reset()
    publish(OLD)
    t.wait(function()
      return store.get(id).revision == 2
    end, 15000, "revision 2")
    review.open(id)
    at_revision(2)
    wait_files(OLD)
    wait_files({ ["k.txt"] = "K\n" })
    t.eq(#server:git("checkout", "status", "--short"), #" M k.txt\n")
    t.ok(not table.concat(notices, "\n"):find("you edited it", 1, true), vim.inspect(notices))
  end)

  it("A11: makes room where the next revision changes it, which comes in when it is accepted", function()
    accepted(OLD, ONE)
    local two = {
      ["changed.bin"] = "\0\1TWO",
      ["removed.bin"] = "\0\1kept but changed",
      ["link"] = "-> name2.txt",
      ["link2file"] = "another file\n",
      ["run.sh"] = "x echo\n",
      ["name2.bin"] = false,
      ["name3.bin"] = "\0\1name",
      ["name2.txt"] = false,
      ["name3.txt"] = "one\ntwo\nthree\nfour\n",
      ["both2.txt"] = "eins\nZWO\ndrei\nvier\nfünf\nsechs\n",
      ["new.bin"] = "\0\1NEWER",
      ["newlink"] = "-> k.txt",
    }
    publish(two)
    at_revision(2)
    wait_files({
      ["changed.bin"] = OLD["changed.bin"],
      ["removed.bin"] = OLD["removed.bin"],
      ["link"] = OLD["link"],
      ["link2file"] = OLD["link2file"],
      ["name.bin"] = OLD["name.bin"],
      ["name.txt"] = OLD["name.txt"],
      ["new.bin"] = false,
      ["newlink"] = false,
      ["run.sh"] = ONE["run.sh"],
      ["k.txt"] = "K\n",
    })
    t.eq(review.session().outcomes, {})
    review.accept_all()
    settled()
    wait_files(two)
    t.eq(review.session().outcomes, {})
  end)

  it("A11: stays, and that is said, where the developer has changed it since", function()
    accepted(
      { ["a.bin"] = "\0\1base", ["b.bin"] = "\0\1base" },
      { ["a.bin"] = "\0\1ONE", ["b.bin"] = "\0\1ONE" }
    )
    make(server.checkout, "a.bin", "\0\1MINE")
    publish({ ["a.bin"] = "\0\1TWO", ["b.bin"] = "\0\1base" })
    at_revision(2)
    wait_files({ ["a.bin"] = "\0\1MINE", ["b.bin"] = "\0\1base" })
    local function said(text)
      t.wait(function()
        return table.concat(notices, "\n"):find(text, 1, true)
      end, 15000, text)
    end
    said("What revision 1 made of a.bin was not taken out: it was changed here")
    said("the text was taken out of b.bin")
    t.wait(function()
      local session = review.session()
      return session.outcomes[session.hunks[1].id] == "text of revision 1 is in your file"
    end, 15000, "what is said at the hunk")
  end)

  it("A11: is taken out of a checkout that lacks the base commit: what stood there is kept", function()
    accepted({ ["a.bin"] = "\0\1base" }, { ["a.bin"] = "\0\1ONE" })
    -- Undone and accepted anew in a checkout with another history.
    review.undo()
    settled()
    wait_files({ ["a.bin"] = "\0\1base" })
    vim.fn.delete(server.checkout .. "/.git", "rf")
    server:git("checkout", "init", "--quiet")
    review.accept_all()
    settled()
    wait_files({ ["a.bin"] = "\0\1ONE" })
    publish({ ["a.bin"] = "\0\1TWO" })
    at_revision(2)
    wait_files({ ["a.bin"] = "\0\1base" })
  end)

  if not reviewing.available() then
    pending("what is said of it on the screen", "needs a terminal")
    return
  end

  it("A11: is said above the hunk before what else is said there, so that no window cuts it off", function()
    local r = reviewing.begin({ ["a.bin"] = "\0\1base" }, { ["a.bin"] = "\0\1ONE" }, { columns = 90 })
    r:open()
    r.s:type("a")
    r:wait_file("a.bin", "\0\1ONE")
    t.write(r.server.checkout .. "/a.bin", "\0\1MINE")
    local _, whole = r:states()
    r.server:publish({ ["a.bin"] = "\0\1TWO" }, "Better words", whole.jj_change_id)
    r.s:wait("1/1 pending · binary · text of revision 1 is in your file · new", true)
    r:finish()
  end)
end)
