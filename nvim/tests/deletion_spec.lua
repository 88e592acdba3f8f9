--- A file that is made or taken away in parts, and a deletion that the developer made a change of: on the real server,
--- with keys, the checkout always being what the server has as accepted.

local reviewing = require("reviewing")

if not reviewing.available() then
  pending("a file that comes or goes in parts", "needs Bun and jj")
  return
end

local OLD = "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\n"

---@param from integer
---@param to? integer
---@return string
local function lines(from, to)
  local out = {}
  for i = from, to or 10 do
    out[#out + 1] = ("line %d\n"):format(i)
  end
  return table.concat(out)
end

---@type Reviewing
local r

after_each(function()
  if r then
    r:finish()
  end
end)

--- The file in the tree of what the server has as accepted.
---@param path string
---@return string|nil
local function accepted_of(path)
  local directory = t.tempdir()
  r.server:git(nil, "clone", "-q", "--shared", r.server.checkout, directory .. "/tree")
  local patch = t.run({
    "curl",
    "-s",
    "-H",
    "Authorization: Bearer " .. r.server.token,
    r.server.url .. "/suggestions/" .. r.suggestion .. ".patch?part=accepted",
  })
  if patch ~= "" then
    t.write(directory .. "/patch", patch)
    r.server:git(nil, "-C", directory .. "/tree", "apply", "--whitespace=nowarn", directory .. "/patch")
  end
  return t.read(directory .. "/tree/" .. path)
end

--- Waits for the states, the file, which is to be that of the server's accepted tree, and the notes at the hunks.
---@param path string
---@param states string[]
---@param text string|nil
---@param notes? table<integer, string>
local function wait(path, states, text, notes)
  r:wait_states(states)
  r:wait_file(path, text)
  t.eq(accepted_of(path), text)
  r:wait_for(
    function()
      return r.s:lua(
        [[
        local x = require("suggestion-review.review").session()
        if #x.hunks ~= ... or next(x.sent) then return nil end
        local out = {}
        for i, hunk in ipairs(x.hunks) do out[i] = x.outcomes[hunk.id] or "" end
        return out
      ]],
        #states
      )
    end,
    vim.tbl_map(function(i)
      return notes and notes[i] or ""
    end, vim.fn.range(1, #states))
  )
end

---@param number integer
local function go(number)
  r.s:lua([[require("suggestion-review.review").go(...)]], number)
  r:at(number)
end

local function reject(number)
  go(number)
  r.s:type("r")
  r.s:wait("Reject because", true)
  r.s:type("Enter")
end

--- Opens the review anew, with nothing but what the record has on disk.
local function again()
  r.s:type("q")
  r.s:wait_lua([[return not require("suggestion-review").is_open()]])
  r.s:lua([[
    require("suggestion-review.apply").reset()
    require("suggestion-review.apply.applied").reset()
  ]])
  r:open()
end

describe("a file", function()
  for _, opened in ipairs({ false, true }) do
    it(
      ("A14: that is taken away in parts has the other lines, and each part goes in and out (%s)"):format(
        opened and "in a buffer" or "on disk"
      ),
      function()
        t.needs(120000, "every step is looked at in the server's tree")
        r = reviewing.begin({ ["d.txt"] = OLD }, { ["d.txt"] = false }, { file = opened and "d.txt" or nil })
        r:open()
        r.s:type("V", "j", "a")
        wait("d.txt", { "accepted", "pending" }, lines(3))
        r.s:type("u")
        wait("d.txt", { "pending" }, OLD)
        r.s:type("C-r")
        wait("d.txt", { "accepted", "pending" }, lines(3))
        again()
        wait("d.txt", { "accepted", "pending" }, lines(3))
        go(2)
        r.s:type("V", "j", "a")
        wait("d.txt", { "accepted", "accepted", "pending" }, lines(5))
        go(3)
        r.s:type("a")
        wait("d.txt", { "accepted", "accepted", "accepted" }, nil)
        r.s:type("u")
        wait("d.txt", { "accepted", "accepted", "pending" }, lines(5))
        r.s:type("C-r")
        wait("d.txt", { "accepted", "accepted", "accepted" }, nil)
        again()
        wait("d.txt", { "accepted", "accepted", "accepted" }, nil)
        reject(1)
        wait("d.txt", { "rejected", "accepted", "accepted" }, lines(1, 2))
        reject(3)
        wait("d.txt", { "rejected", "accepted", "rejected" }, lines(1, 2) .. lines(5))
        reject(2)
        wait("d.txt", { "rejected", "rejected", "rejected" }, OLD)
        for _, expected in ipairs({ lines(1, 2) .. lines(5), lines(1, 2) }) do
          r.s:type("u")
          r:wait_file("d.txt", expected)
        end
        wait("d.txt", { "rejected", "accepted", "accepted" }, lines(1, 2))
        r:no_traceback()
      end
    )
  end

  it(
    "A4: whose deletion was taken in parts is said to be back where it is, and goes again part by part",
    function()
      r = reviewing.begin({ ["d.txt"] = OLD }, { ["d.txt"] = false })
      r:open()
      r.s:type("V", "j", "a")
      wait("d.txt", { "accepted", "pending" }, lines(3))
      go(2)
      r.s:type("a")
      wait("d.txt", { "accepted", "accepted" }, nil)
      r.s:type("q")
      r.s:wait_lua([[return not require("suggestion-review").is_open()]])
      r.server:git("checkout", "checkout", "--", "d.txt")
      r:open()
      local function notes()
        return r.s:lua([[
        local x = require("suggestion-review.review").session()
        return vim.tbl_map(function(hunk) return x.outcomes[hunk.id] or "" end, x.hunks)
      ]])
      end
      r:wait_for(notes, { "not in your file", "not in your file" })
      go(1)
      r.s:type("a")
      r:wait_file("d.txt", lines(3))
      r:wait_for(notes, { "", "not in your file" })
      go(2)
      r.s:type("a")
      r:wait_file("d.txt", nil)
      r:wait_for(notes, { "", "" })
    end
  )

  it("A1: whose deletion meets the developer's edit in one part is not removed for that part", function()
    r = reviewing.begin({ ["d.txt"] = OLD }, { ["d.txt"] = false })
    t.write(r.server.checkout .. "/d.txt", (OLD:gsub("line 2", "mine")))
    r:open()
    r.s:type("V", "j", "a")
    r.s:wait("accepted · delete · +0 -2 · conflicts with your edits", true)
    go(1)
    r.s:type("a")
    r.s:wait("Yours: ", true)
    r.s:wait("╭ Suggested ─", true)
    r.s:type("t")
    r:wait_states({ "accepted", "pending" })
    r:wait_file("d.txt", lines(3))
    r.s:type("u")
    r:wait_file("d.txt", (OLD:gsub("line 2", "mine")))
  end)

  it("A14: that is made in parts is there with one of them, and goes with the last", function()
    r = reviewing.begin({ ["k.txt"] = "k\n" }, { ["made.txt"] = lines(1, 6) })
    r:open()
    r.s:type("V", "j", "a")
    wait("made.txt", { "accepted", "pending" }, lines(1, 2))
    r.s:type("u")
    wait("made.txt", { "pending" }, nil)
    r.s:type("C-r")
    wait("made.txt", { "accepted", "pending" }, lines(1, 2))
    go(2)
    r.s:type("a")
    wait("made.txt", { "accepted", "accepted" }, lines(1, 6))
    again()
    reject(1)
    wait("made.txt", { "rejected", "accepted" }, lines(3, 6))
    reject(2)
    wait("made.txt", { "rejected", "rejected" }, nil)
    r.s:type("u")
    wait("made.txt", { "rejected", "accepted" }, lines(3, 6))
  end)
end)

describe("the developer's version that the agent builds on", function()
  --- Presses `m`, writes, settles, and publishes another file again.
  ---@param path string
  ---@param typed string
  ---@param new table<string, string|false>
  local function modify(path, typed, new)
    r.s:type("m")
    r.s:wait("Edit " .. path, true)
    r.s:text(typed)
    r.s:type("Escape")
    r.s:text(":w")
    r.s:type("Enter")
    r:wait_for(function()
      return (select(2, r:states())).hunks[1].state
    end, "modified")
    r.server:http("POST", "/settle", { project = r.server.project })
    r.server:publish(new, "Better words", (select(2, r:states())).jj_change_id)
    r.s:wait_lua([[
      local x = require("suggestion-review.review").session()
      return x and x.revision == 2
    ]])
  end

  for name, one in
    vim.spairs({
      ["with a line of their own"] = {
        typed = "ggcckept",
        text = "kept\n",
        states = { "accepted", "pending" },
      },
      -- What is left between two deletions.
      ["with one of the file's lines"] = {
        typed = "ggccline 3",
        text = "line 3\n",
        states = { "accepted", "accepted", "pending" },
      },
    })
  do
    it(
      ("A11: of a deletion %s is known in the file, counts, and goes out when it is rejected"):format(name),
      function()
        r = reviewing.begin({ ["a.txt"] = OLD, ["k.txt"] = "k\n" }, { ["a.txt"] = false, ["k.txt"] = "K\n" })
        r:open()
        modify("a.txt", one.typed, { ["k.txt"] = "KK\n" })
        wait("a.txt", one.states, one.text)
        t.eq(r.s:lua([[return require("suggestion-review.review").session().hunks[1].kind]]), "text")
        again()
        wait("a.txt", one.states, one.text)
        local own = r.s:lua([[
        local x = require("suggestion-review.review").session()
        local here = require("suggestion-review.decisions.record").by_hunk(x.id)
        local own = require("suggestion-review.adopt.own_decisions")
          .resolve(x.hunks, here, x:suggestion().base_commit)
        return vim.tbl_map(function(item) return item.state end, own)
      ]])
        t.eq(own, one.states)
        local rejected = vim.list_slice(one.states)
        for i = 1, #rejected - 1 do
          reject(i)
          rejected[i] = "rejected"
          r:wait_states(rejected)
        end
        wait("a.txt", rejected, OLD)
        r:no_traceback()
      end
    )
  end
end)
