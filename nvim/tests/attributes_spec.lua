--- Files that git changes between repository and worktree: filters, line ends. Against the real server, with git as the
--- developer has it.
local real = require("real")
if not real.available() then
  pending("attributes", "the server's programs are not provisioned")
  return
end

local adopt = require("suggestion-review.adopt")
local apply = require("suggestion-review.apply")
local attributes = require("suggestion-review.worktree.attributes")
local feedback = require("suggestion-review.decisions.requests")
local store = require("suggestion-review.model.store")
local task = require("suggestion-review.lib.task")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.env.GIT_CONFIG_GLOBAL = "/dev/null"
vim.notify = function() end

local ATTRIBUTES =
  "*.secret filter=rot13\n*.bat text eol=crlf\n*.auto text=auto eol=crlf\n*.off filter=nobody\n"

---@type Real
local server

after_each(function()
  require("suggestion-review.connection.client")._reset()
  store._clear()
  server:stop("sigkill")
  vim.cmd("silent! %bwipeout!")
  attributes.reset()
end)

--- A server and a checkout in which git is set up as the developer has it.
---@param base table<string, string>
---@param changed table<string, string|false>
---@return string suggestion_id
---@return SuggestionReview.Place
local function begin(base, changed)
  base[".gitattributes"] = ATTRIBUTES
  server = real.start(base)
  -- "Encrypts" what goes into the repository.
  server:git("checkout", "config", "filter.rot13.clean", "tr a-zA-Z n-za-mN-ZA-M")
  server:git("checkout", "config", "filter.rot13.smudge", "tr a-zA-Z n-za-mN-ZA-M")
  server:git("checkout", "rm", "--quiet", "--cached", "-r", ".")
  server:git("checkout", "reset", "--quiet", "--hard")
  local id = server:publish(changed, "Change")
  server:connect()
  t.wait(function()
    return store.get(id)
  end, 10000)
  t.eq(
    t.await(function(callback)
      store.fetch(id, callback)
    end),
    nil
  )
  return id, apply.place(store.get(id), server.checkout)
end

--- Brings all hunks of a suggestion into a state.
---@return table<string, SuggestionReview.PlanItem> by file, the last of each
local function bring(id, place, state)
  local wants = vim.tbl_map(function(hunk)
    return { hunk = hunk, state = state }
  end, store.hunks(id))
  local plans, items = t.await(function(callback)
    apply.plan(place, wants, callback)
  end)
  t.eq(apply.run(plans), {})
  local by_file = {}
  for _, item in ipairs(items) do
    by_file[item.hunk.file] = item
  end
  return by_file
end

local function read(path)
  return t.read(server.checkout .. "/" .. path)
end

--- What git says has changed in the checkout, and how git itself would have checked a file out.
local function status()
  return vim.trim(server:git("checkout", "status", "--porcelain"))
end

describe("a file that git filters", function()
  it("C11: is left to adopting, which brings it", function()
    -- "hello" and "there" in the worktree.
    local id, place = begin(
      { ["a.secret"] = "uryyb\n", ["old.secret"] = "uryyb\n", ["plain.txt"] = "plain\n", ["b.off"] = "off\n" },
      {
        ["a.secret"] = "gurer\n",
        ["new.secret"] = "gurer\n",
        ["old.secret"] = false,
        ["plain.txt"] = "PLAIN\n",
        ["b.off"] = "OFF\n",
      }
    )
    t.eq(read("a.secret"), "hello\n")
    local items = bring(id, place, "accepted")
    for _, file in ipairs({ "a.secret", "new.secret", "old.secret" }) do
      t.eq({ file, items[file].status }, { file, "deferred" })
      t.match(items[file].reason, "filter=rot13")
    end
    t.eq({ items["plain.txt"].status, items["b.off"].status }, { "clean", "clean" })
    t.eq({ read("a.secret"), read("new.secret"), read("old.secret") }, { "hello\n", nil, "hello\n" })
    t.eq({ read("plain.txt"), read("b.off") }, { "PLAIN\n", "OFF\n" })

    t.eq(
      t.await(function(callback)
        feedback.batch(id, { scope = { action = "accept" } }, callback)
      end),
      nil
    )
    local answer, code = server:http("POST", "/complete", { suggestion_id = id, action = "finalize" })
    t.eq(code, 200, vim.inspect(answer))
    t.wait(function()
      return store.get(id).state == "finalized"
    end)
    local done, problem
    task.run(function()
      local plan = adopt.prepare(store.get(id), server.checkout)
      if plan.refusal then
        error(plan.refusal.reason .. vim.inspect(plan.files), 0)
      end
      adopt.execute(plan)
    end, function(err)
      done, problem = true, err
    end)
    t.wait(function()
      return done
    end, 20000)
    t.eq(problem, nil)
    t.eq({ read("a.secret"), read("new.secret"), read("old.secret") }, { "there\n", "there\n" })
    t.eq(status(), "")
  end)
end)

describe("line ends", function()
  local TWO = "one\ntwo\n"

  it("C11: are those that git would check out", function()
    local base = {
      ["text.bat"] = TWO,
      ["gone.bat"] = TWO,
      ["line.bat"] = "one",
      ["open.bat"] = "one",
      ["empty.bat"] = "",
      ["kept.auto"] = TWO,
    }
    local changed = {
      ["text.bat"] = "one\nTWO\nthree\n",
      ["gone.bat"] = false,
      ["line.bat"] = "one\ntwo\n",
      ["open.bat"] = "one\ntwo\n",
      ["empty.bat"] = TWO,
      ["new.bat"] = TWO,
      ["new.auto"] = TWO,
      ["binary.auto"] = "a\0b\n",
      ["new.txt"] = TWO,
    }
    local id, place = begin(base, changed)
    t.eq({ read("text.bat"), read("gone.bat") }, { "one\r\ntwo\r\n", "one\r\ntwo\r\n" })
    vim.cmd("silent edit " .. server.checkout .. "/open.bat")
    local items = bring(id, place, "accepted")
    for file, item in pairs(items) do
      t.eq({ file, item.status, item.reason }, { file, "clean" })
    end
    -- git's own answer, from the published commit.
    local commit = store.get(id).commit
    server:git("checkout", "fetch", "--quiet", server.agent, "+refs/heads/*:refs/heads/seen/*", commit)
    for file, text in pairs(changed) do
      local expected = text and server:git("checkout", "cat-file", "--filters", commit .. ":" .. file) or nil
      t.eq({ file, read(file) }, { file, expected })
    end
    t.eq(read("new.bat"), "one\r\ntwo\r\n")
    items = bring(id, place, "rejected")
    for file, text in pairs(base) do
      local expected = server:git("checkout", "cat-file", "--filters", "main:" .. file)
      t.eq({ file, read(file) }, { file, expected }, items[file] and items[file].reason)
      t.ok(text)
    end
    t.eq(status(), "")
  end)

  it("C11: follow core.autocrlf as well", function()
    local id, place = begin({ ["a.txt"] = TWO }, { ["a.txt"] = "one\nTWO\n", ["new.txt"] = TWO })
    server:git("checkout", "config", "core.autocrlf", "true")
    server:git("checkout", "rm", "--quiet", "--cached", "-r", ".")
    server:git("checkout", "reset", "--quiet", "--hard")
    bring(id, place, "accepted")
    t.eq({ read("a.txt"), read("new.txt") }, { "one\r\nTWO\r\n", "one\r\ntwo\r\n" })
    bring(id, place, "pending")
    t.eq({ read("a.txt"), read("new.txt"), status() }, { "one\r\ntwo\r\n", nil, "" })
  end)

  it("C11: of the repository are taken out again, too", function()
    local crlf = "one\r\ntwo\r\n"
    local id, place = begin({ ["gone.txt"] = crlf }, { ["gone.txt"] = false, ["new.txt"] = "three\r\n" })
    local items = bring(id, place, "accepted")
    t.eq({ items["gone.txt"].status, items["new.txt"].status }, { "clean", "clean" })
    t.eq({ read("gone.txt"), read("new.txt") }, { nil, "three\r\n" })
    bring(id, place, "pending")
    t.eq({ read("gone.txt"), read("new.txt") }, { crlf })
  end)
end)
