-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- Verify and adopt, against the real server and real checkouts.

local real = require("real")
if not real.available() then
  pending("adopt", "the server's programs are not provisioned")
  return
end

local adopt = require("suggestion-review.adopt")
local hub = require("suggestion-review.adopt.hub")
local plan_text = require("suggestion-review.adopt.plan_text")
local rules = require("suggestion-review.adopt.rules")
local decisions = require("suggestion-review.decisions.record")
local feedback = require("suggestion-review.decisions.requests")
local store = require("suggestion-review.model.store")
local task = require("suggestion-review.lib.task")
local verify = require("suggestion-review.adopt.verify")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

local function lines(n, edits)
  local out = {}
  for i = 1, n do
    out[i] = edits and edits[i] or ("line " .. i)
  end
  return table.concat(out, "\n") .. "\n"
end

local BASE = {
  ["a.txt"] = lines(40),
  ["b.txt"] = lines(20),
  ["dir/c.txt"] = "c\n",
  ["gone.txt"] = "bye\nbye\n",
  ["bin"] = "\0\1\2\255",
  ["last"] = "no newline",
  ["latin"] = "caf\233\nth\233\nend\n",
}
local CHANGED = {
  ["a.txt"] = lines(40, { [3] = "LINE 3", [20] = "LINE 20\nLINE 20b", [38] = "LINE 38" }),
  ["b.txt"] = lines(20, { [10] = "LINE 10" }),
  ["dir/new.txt"] = "new\nfile\n",
  ["gone.txt"] = false,
  ["bin"] = "\0\9\9\255",
  ["last"] = "no newline either",
  ["latin"] = "CAF\201\nth\233\nEND\n",
}

--- One server for the whole file: a suggestion each, always on the same base.
local server = real.start(BASE)
server:connect()
local base = vim.trim(server:git("agent", "rev-parse", "main"))

local counter = 0
--- Publishes `files` on the base and loads its hunks.
local function publish(files)
  counter = counter + 1
  local id = server:publish(files, "Change " .. counter, "new")
  t.wait(function()
    return store.get(id)
  end)
  local err = t.await(function(callback)
    store.fetch(id, callback)
  end)
  t.eq(err, nil)
  return id
end

local function decide(id, index, action, opts)
  local hunk = store.hunks(id)[index]
  local err = t.await(function(callback)
    feedback.decide(id, hunk, action, opts, callback)
  end)
  if err then
    error(vim.inspect(err) .. vim.inspect(hunk))
  end
end

local function batch(id, action)
  local err = t.await(function(callback)
    feedback.batch(id, { scope = { action = action } }, callback)
  end)
  t.eq(err, nil)
end

local function finalize(id)
  local answer, status = server:http("POST", "/complete", { suggestion_id = id, action = "finalize" })
  t.eq(status, 200, vim.inspect(answer))
  t.wait(function()
    return store.get(id).state == "finalized"
  end)
  return store.get(id).result.commit
end

describe("the token", function()
  it("goes to the address that proved itself, whatever the URL's name leads to", function()
    local url = server.hub:gsub("^http://[^/]+", "http://hub.invalid")
    local peer = server.hub:match("^http://([^/]+)")
    local env = vim.tbl_extend("force", server.environment, hub.transport_env(url, server.token, peer))
    t.match(t.run({ "git", "ls-remote", url }, { env = env }), "refs/heads/main")
    -- Neither by that name nor to another address is it sent.
    for name, value in pairs(env) do
      if value:find(server.token, 1, true) then
        local key = env[name:gsub("VALUE", "KEY")]
        t.eq(key, ("http.%s.extraHeader"):format(server.hub))
      end
    end
  end)
end)

--- A fresh clone at the base, as the developer has it.
local function clone()
  local path = t.tempdir() .. "/checkout"
  t.run({
    "git",
    "-c",
    "http.extraHeader=Authorization: Bearer " .. server.token,
    "clone",
    "--quiet",
    server.hub,
    path,
  }, { env = server.environment })
  t.run({ "git", "checkout", "--quiet", "-B", "main", base }, { cwd = path, env = server.environment })
  return path
end

local function run(body)
  local err, result
  local finished = false
  task.run(body, function(e, r)
    err, result, finished = e, r, true
  end)
  t.wait(function()
    return finished
  end, 60000, "the task")
  return err, result
end

local function prepare(id, checkout)
  local err, plan = run(function()
    return adopt.prepare(store.get(id), checkout)
  end)
  if err then
    error(vim.inspect(err))
  end
  return plan
end

local function execute(plan)
  return run(function()
    return adopt.execute(plan)
  end)
end

--- Everything that could be lost: HEAD, index and every file of the worktree.
local function snapshot(checkout)
  local files = {}
  for name, kind in vim.fs.dir(checkout, { depth = 10 }) do
    if not vim.startswith(name, ".git/") and name ~= ".git" and kind ~= "directory" then
      files[name] = kind == "link" and vim.uv.fs_readlink(checkout .. "/" .. name)
        or t.read(checkout .. "/" .. name)
    end
  end
  return {
    head = vim.trim(t.run({ "git", "rev-parse", "HEAD" }, { cwd = checkout })),
    index = t.run({ "git", "ls-files", "-s" }, { cwd = checkout }),
    files = files,
  }
end

local function apply_diff(checkout, commit)
  t.run({ "git", "checkout", commit, "--", "." }, { cwd = checkout })
  for _, change in
    ipairs(
      vim.split(t.run({ "git", "diff-tree", "-r", "--name-status", base, commit }, { cwd = checkout }), "\n")
    )
  do
    local gone = change:match("^D\t(.*)$")
    if gone then
      vim.fn.delete(checkout .. "/" .. gone)
    end
  end
  t.run({ "git", "reset", "--quiet" }, { cwd = checkout })
end

local function fetch_into(checkout, id)
  t.run({
    "git",
    "-c",
    "http.extraHeader=Authorization: Bearer " .. server.token,
    "fetch",
    "--quiet",
    server.hub,
    "refs/heads/" .. store.get(id).result.ref,
  }, { cwd = checkout, env = server.environment })
end

describe("verification", function()
  it("finds the accepted whole to be what was decided", function()
    local id = publish(CHANGED)
    batch(id, "accept")
    finalize(id)
    local plan = prepare(id, clone())
    t.eq(plan.verdict, {
      ok = true,
      message = plan.verdict.message,
      reasons = {},
      differing = {},
      foreign = {},
      diff = "",
      tree = plan.verdict.tree,
    })
  end)

  it("holds for random decisions, modifications and undos", function()
    math.randomseed(3)
    for _ = 1, 12 do
      local id = publish(CHANGED)
      local actions = { "accept", "reject", "accept", "modify" }
      for _ = 1, 14 do
        local index = math.random(#store.hunks(id))
        local hunk = store.hunks(id)[index]
        local action = actions[math.random(#actions)]
        if math.random(6) == 1 then
          t.await(function(callback)
            feedback.undo(id, nil, callback)
          end)
        elseif action == "modify" then
          if hunk.diff:find("\n%+LINE") then
            decide(id, index, "modify", { modified_diff = (hunk.diff:gsub("\n%+LINE", "\n+Mine")) })
          end
        else
          decide(id, index, action)
        end
      end
      -- Something must be there to finalize.
      if store.get(id).accepted_count == 0 then
        decide(id, 1, "accept")
      end
      finalize(id)
      local plan = prepare(id, clone())
      t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
    end
  end)

  --- The agent settles, and publishes the suggestion again with an edit of its own.
  ---@param id string
  ---@param edit fun(text: string): string of b.txt
  local function publish_again(id, edit)
    server:http("POST", "/settle", { project = server.project })
    local change, revision = store.get(id).jj_change_id, store.get(id).revision
    server:jj("edit", change)
    server:publish({ ["b.txt"] = edit(t.read(server.agent .. "/b.txt")) }, "Once more", change)
    t.wait(function()
      return store.get(id).revision == revision + 1
    end)
    t.await(function(callback)
      store.fetch(id, callback)
    end)
  end

  it("holds for a modification that the agent built on", function()
    for _, mine in ipairs({ "\n+Mine", "\n+Above\n line 9\n+Mine\n+Below" }) do
      local id = publish({ ["b.txt"] = lines(20, { [10] = "LINE 10" }) })
      local diff = store.hunks(id)[1].diff
      if mine:find("Above") then
        diff = diff:gsub("\n line 9\n%-line 10\n%+LINE", "\n+Above\n line 9\n-line 10\n+Mine")
        diff = diff:gsub("@@.-@@", "@@ -7,7 +7,8 @@")
      else
        diff = diff:gsub("\n%+LINE", mine)
      end
      decide(id, 1, "modify", { modified_diff = diff })
      publish_again(id, function(text)
        t.match(text, "Mine")
        return (text:gsub("line 20", "LINE 20"))
      end)
      for index, hunk in ipairs(store.hunks(id)) do
        if hunk.state == "pending" then
          decide(id, index, "accept")
        end
      end
      finalize(id)
      local plan = prepare(id, clone())
      t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
    end
  end)

  it("holds for a decision that was carried on, where another hunk has its number now", function()
    local id = publish({ ["b.txt"] = lines(20, { [10] = "LINE 10" }) })
    decide(id, 1, "accept")
    publish_again(id, function(text)
      return (text:gsub("line 1\n", "LINE 1\n"))
    end)
    decide(id, 1, "accept")
    finalize(id)
    local plan = prepare(id, clone())
    t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
  end)

  it(
    "holds for a decision that was carried on under another number, after one on it was taken back",
    function()
      local id = publish({ ["b.txt"] = lines(20, { [10] = "LINE 10" }) })
      decide(id, 1, "accept")
      publish_again(id, function(text)
        return (text:gsub("line 1\n", "LINE 1\n"))
      end)
      decide(id, 2, "reject")
      local err = t.await(function(callback)
        feedback.undo(id, nil, callback)
      end)
      t.eq(err, nil)
      t.eq({ store.hunks(id)[1].state, store.hunks(id)[2].state }, { "pending", "accepted" })
      finalize(id)
      local plan = prepare(id, clone())
      t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
    end
  )

  it("holds for parts of hunks", function()
    local id = publish({ ["b.txt"] = lines(20, { [10] = "X 10", [11] = "X 11", [12] = "X 12" }) })
    decide(id, 1, "accept", { lines = { old = { 1, 1 }, new = { 1, 1 } } })
    t.wait(function()
      return #store.hunks(id) == 3
    end)
    decide(id, 3, "reject")
    finalize(id)
    local plan = prepare(id, clone())
    t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
  end)

  it("holds for renames, modes, links, and a file that becomes a folder", function()
    local id = publish({
      ["dir/c.txt"] = false,
      ["dir/renamed.txt"] = "c\n",
      ["gone.txt"] = false,
      ["gone.txt/inside"] = "x\n",
    })
    local change = store.get(id).jj_change_id
    server:jj("edit", change)
    t.run({ "sh", "-ec", "chmod +x b.txt && ln -s b.txt link" }, { cwd = server.agent })
    server:publish({ ["last"] = "changed" }, "With modes", change)
    t.wait(function()
      return store.get(id).revision == 2
    end)
    t.await(function(callback)
      store.fetch(id, callback)
    end)
    batch(id, "accept")
    finalize(id)
    local plan = prepare(id, clone())
    t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
    local kinds = {}
    for _, hunk in ipairs(store.hunks(id)) do
      kinds[hunk.kind] = true
    end
    t.ok(kinds.swap and kinds.mode, vim.inspect(kinds))
  end)

  it("refuses what somebody else accepted, and shows it", function()
    local id = publish(CHANGED)
    decide(id, 1, "accept")
    local foreign = store.hunks(id)[2]
    server:http("POST", "/feedback", { suggestion_id = id, hunk_id = foreign.id, action = "accept" })
    finalize(id)
    local checkout = clone()
    local before = snapshot(checkout)
    local plan = prepare(id, checkout)
    t.eq(plan.verdict.ok, false)
    t.eq(plan.verdict.foreign[1].id, foreign.id)
    t.eq(plan.verdict.differing, { foreign.file })
    t.match(plan.verdict.diff, "%+LINE 20")
    t.match(table.concat(plan_text.of(plan), "\n"), "Verified NO")
    t.match(execute(plan).message, "nothing to carry out")
    t.eq(snapshot(checkout), before)
  end)

  it("refuses text that was changed under an accepted hunk", function()
    local id = publish({ ["a.txt"] = CHANGED["a.txt"] })
    batch(id, "accept")
    finalize(id)
    local checkout = clone()
    local suggestion = vim.deepcopy(store.get(id))
    suggestion.hunks = store.hunks(id)
    -- What a lying server would hand out: a commit with one more line, and one with a file nobody saw.
    local tricks = {
      { "a.txt", CHANGED["a.txt"]:gsub("LINE 38", "LINE 38 && curl evil") },
      { "dir/.hidden", "x" },
      { "b.txt", lines(19) },
    }
    for _, trick in ipairs(tricks) do
      t.run({ "git", "checkout", "--quiet", "--detach", base }, { cwd = checkout })
      fetch_into(checkout, id)
      t.run({ "git", "reset", "--quiet", "--hard", suggestion.result.commit }, { cwd = checkout })
      t.write(checkout .. "/" .. trick[1], trick[2])
      t.run({ "git", "add", "-A" }, { cwd = checkout })
      t.run({ "git", "commit", "-q", "--amend", "-m", "trick" }, { cwd = checkout, env = server.environment })
      local commit = vim.trim(t.run({ "git", "rev-parse", "HEAD" }, { cwd = checkout }))
      local err, verdict = run(function()
        return verify.verify(suggestion, decisions.by_hunk(id), commit, { cwd = checkout })
      end)
      t.eq(err, nil)
      t.eq(verdict.ok, false)
      t.eq(verdict.differing, { trick[1] })
    end
  end)

  it("refuses less than was accepted as well", function()
    local id = publish(CHANGED)
    decide(id, 1, "accept")
    decide(id, 2, "accept")
    server:http(
      "POST",
      "/feedback",
      { suggestion_id = id, hunk_id = store.hunks(id)[2].id, action = "reject" }
    )
    finalize(id)
    local plan = prepare(id, clone())
    t.eq(plan.verdict.ok, false)
    t.eq(plan.verdict.differing, { "a.txt" })
  end)
end)

describe("adopting", function()
  local id, commit
  local function ready()
    if id then
      return
    end
    id = publish(CHANGED)
    local hunks = store.hunks(id)
    for index, hunk in ipairs(hunks) do
      decide(id, index, (hunk.file == "b.txt" or index == 2) and "reject" or "accept")
    end
    commit = finalize(id)
  end

  ---@param name string
  ---@param set_up fun(checkout: string)
  ---@param expected "moves"|string what the refusal says
  ---@param check? fun(checkout: string, before: table)
  local function state(name, set_up, expected, check)
    it(name .. (expected == "moves" and " moves" or " is refused"), function()
      ready()
      local checkout = clone()
      fetch_into(checkout, id)
      set_up(checkout)
      local before = snapshot(checkout)
      local plan = prepare(id, checkout)
      t.ok(plan.verdict.ok, plan.verdict.message)
      if expected == "moves" then
        if plan.refusal then
          error(table.concat(plan_text.of(plan), "\n"))
        end
        t.eq(snapshot(checkout), before, "planning changed something")
        local err, remarks = execute(plan)
        t.eq(err, nil)
        t.eq(remarks, {})
        t.eq(snapshot(checkout).head, commit)
        -- What is not committed is exactly what was the developer's own.
        if check then
          check(checkout, before)
        end
      else
        t.ok(plan.refusal, "it was not refused")
        t.match(plan.refusal.reason, expected)
        t.ok(execute(plan))
        t.eq(snapshot(checkout), before)
      end
    end)
  end
  local function clean(checkout)
    t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = checkout }), "")
  end
  local function sh(script)
    return function(checkout)
      t.run({ "sh", "-ec", script }, { cwd = checkout, env = server.environment })
    end
  end

  state("a clean checkout", function() end, "moves", clean)
  state("a worktree with every accepted hunk in it", function(checkout)
    apply_diff(checkout, commit)
  end, "moves", clean)
  state("a worktree with some of them in it", function(checkout)
    t.run({ "git", "checkout", commit, "--", "a.txt", "bin" }, { cwd = checkout })
    t.run({ "git", "reset", "--quiet" }, { cwd = checkout })
  end, "moves", clean)
  state("hunks that are staged", function(checkout)
    apply_diff(checkout, commit)
    t.run({ "git", "add", "-A" }, { cwd = checkout })
  end, "moves", clean)
  state("hunks of which some are staged", function(checkout)
    apply_diff(checkout, commit)
    t.run({ "git", "add", "a.txt", "gone.txt" }, { cwd = checkout })
  end, "moves", clean)
  state(
    "own edits elsewhere",
    function(checkout)
      t.write(checkout .. "/b.txt", lines(20, { [1] = "mine" }))
      t.write(checkout .. "/untracked", "mine")
    end,
    "moves",
    function(checkout)
      t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = checkout }), " M b.txt\n?? untracked\n")
      t.eq(t.read(checkout .. "/b.txt"), lines(20, { [1] = "mine" }))
    end
  )
  state(
    "own edits elsewhere that are staged",
    function(checkout)
      t.write(checkout .. "/b.txt", lines(20, { [1] = "mine" }))
      t.write(checkout .. "/added", "mine")
      t.run({ "git", "add", "b.txt", "added" }, { cwd = checkout })
    end,
    "moves",
    function(checkout)
      t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = checkout }), "A  added\nM  b.txt\n")
    end
  )
  state(
    "own edits in a file beside its accepted hunks",
    function(checkout)
      t.run({ "git", "checkout", commit, "--", "a.txt" }, { cwd = checkout })
      t.run({ "git", "reset", "--quiet" }, { cwd = checkout })
      t.write(checkout .. "/a.txt", (t.read(checkout .. "/a.txt"):gsub("line 30", "mine 30")))
    end,
    "moves",
    function(checkout)
      t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = checkout }), " M a.txt\n")
      t.match(t.run({ "git", "diff" }, { cwd = checkout }), "%+mine 30")
      t.eq(t.run({ "git", "diff", "--stat" }, { cwd = checkout }):match("(%d+) insertion"), "1")
    end
  )
  state("a detached HEAD", sh("git checkout -q --detach"), "moves", function(checkout)
    clean(checkout)
    t.eq(t.run({ "git", "rev-parse", "main" }, { cwd = checkout }), base .. "\n")
  end)
  state("a branch of one's own", sh("git checkout -q -b topic"), "moves", function(checkout)
    clean(checkout)
    t.eq(t.run({ "git", "rev-parse", "topic" }, { cwd = checkout }), commit .. "\n")
  end)
  state("a stash", sh("echo mine > b.txt; git stash -q"), "moves", function(checkout)
    clean(checkout)
    t.match(t.run({ "git", "stash", "list" }, { cwd = checkout }), "stash@{0}")
  end)
  state("ignored files", sh("echo ignored > .gitignore; echo x > ignored"), "moves")
  state("a file deleted elsewhere", sh("rm b.txt"), "moves", function(checkout)
    t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = checkout }), " D b.txt\n")
  end)

  state("an own edit in the place of a hunk", function(checkout)
    t.write(checkout .. "/a.txt", lines(40, { [3] = "mine 3" }))
  end, "a.txt was changed here")
  state("an own edit in a file whose hunks are missing", function(checkout)
    t.write(checkout .. "/a.txt", lines(40, { [30] = "mine 30" }))
  end, "a.txt was changed here in a way")
  state("other content staged in a file of the commit", function(checkout)
    t.write(checkout .. "/a.txt", lines(40, { [30] = "mine 30" }))
    t.run({ "git", "add", "a.txt" }, { cwd = checkout })
    t.write(checkout .. "/a.txt", lines(40))
  end, "a.txt has other content staged")
  state("a file in the place of a new one", function(checkout)
    t.write(checkout .. "/dir/new.txt", "mine")
  end, "dir/new.txt exists here with other content")
  state("an edit in a file that the commit deletes", function(checkout)
    t.write(checkout .. "/gone.txt", "bye\nmine\n")
  end, "gone.txt was changed here")
  state("a deleted file that the commit changes", sh("rm a.txt"), "a.txt is gone")
  state("a directory in the place of a file", sh("rm a.txt; mkdir a.txt; touch a.txt/mine"), "directory")
  state("a link in the place of a folder", sh("mv dir other; ln -s other dir"), "symbolic link")
  state("a removal that is staged", sh("git rm -q --cached a.txt"), "staged for removal")
  state(
    "a merge under way",
    sh([[
    git checkout -q -b side; echo s > b.txt; git commit -qam side
    git checkout -q main; git merge -q --no-ff --no-commit side
  ]]),
    "A merge is going on"
  )
  state(
    "a rebase under way",
    sh([[
    git checkout -q -b side; echo s > b.txt; git commit -qam side; git checkout -q main
    echo m > b.txt; git commit -qam main; git rebase side >/dev/null 2>&1 || true
  ]]),
    "going on"
  )
  state(
    "a conflict",
    sh([[
    git checkout -q -b side; echo s > b.txt; git commit -qam side; git checkout -q -b three main
    echo m > b.txt; git commit -qam three; git merge side >/dev/null 2>&1 || true; rm -f .git/MERGE_HEAD
  ]]),
    "A conflict"
  )
  state("another git command at work", sh("touch .git/index.lock"), "Another git command")

  it("goes through while prompts and plugins ask for the status of the checkout all the time", function()
    ready()
    local checkout = clone()
    -- Each writes the index anew, which it has locked for that long.
    local asking = vim.fn.jobstart({
      "sh",
      "-c",
      [[
        ask() { while touch -c b.txt a.txt 2>/dev/null; do git status >/dev/null 2>&1; git diff >/dev/null 2>&1; done; }
        ask & ask & ask & wait
      ]],
    }, { cwd = checkout, detach = true })
    t.defer(function()
      pcall(vim.uv.kill, -vim.fn.jobpid(asking), "sigkill")
    end)
    -- One that takes longer, as in a big checkout.
    local lock = checkout .. "/.git/index.lock"
    local held = t.wait(function()
      return vim.uv.fs_open(lock, "wx", 420)
    end)
    vim.uv.fs_close(held)
    vim.defer_fn(function()
      vim.uv.fs_unlink(lock)
    end, 300)
    local plan = prepare(id, checkout)
    t.ok(not plan.refusal, vim.inspect(plan.refusal))
    local err = execute(plan)
    t.eq(err, nil, vim.inspect(err))
    t.eq(snapshot(checkout).head, commit)
  end)
  it("lets files and directories swap places, and stops where a directory holds something else", function()
    for _, case in ipairs({
      { files = { ["gone.txt"] = false, ["gone.txt/inside"] = "x\n" }, written = "gone.txt/inside" },
      { files = { ["dir/c.txt"] = false, ["dir"] = "now a file\n" }, written = "dir" },
    }) do
      local swap = publish(case.files)
      batch(swap, "accept")
      local head = finalize(swap)
      local checkout = clone()
      local plan = prepare(swap, checkout)
      t.ok(not plan.refusal, table.concat(plan_text.of(plan), "\n"))
      local err, remarks = execute(plan)
      t.eq(err, nil)
      t.eq(remarks, {})
      t.eq(snapshot(checkout).head, head)
      clean(checkout)
      t.eq(t.read(checkout .. "/" .. case.written), case.files[case.written])
      if case.written == "dir" then
        local mine = clone()
        t.write(mine .. "/dir/mine", "mine\n")
        local before = snapshot(mine)
        plan = prepare(swap, mine)
        t.ok(plan.refusal)
        t.match(table.concat(plan_text.of(plan), "\n"), "a directory is in its place: move it away")
        t.ok(execute(plan))
        t.eq(snapshot(mine), before)
        t.eq(t.read(mine .. "/dir/mine"), "mine\n")
      else
        local mine = clone()
        t.write(mine .. "/gone.txt", "changed\n")
        plan = prepare(swap, mine)
        t.ok(plan.refusal)
        t.eq(t.read(mine .. "/gone.txt"), "changed\n")
      end
    end
  end)
  it("tells in the plan that an empty directory is in a new file's place", function()
    local fresh = publish({ ["fresh"] = "new\n" })
    batch(fresh, "accept")
    finalize(fresh)
    local checkout = clone()
    vim.fn.mkdir(checkout .. "/fresh/empty", "p")
    local before = snapshot(checkout)
    local plan = prepare(fresh, checkout)
    t.ok(plan.refusal)
    t.match(table.concat(plan_text.of(plan), "\n"), "fresh a directory is in its place: move it away")
    t.ok(execute(plan))
    t.eq(snapshot(checkout), before)
    vim.fn.delete(checkout .. "/fresh", "rf")
    t.eq(execute(prepare(fresh, checkout)), nil)
    t.eq(t.read(checkout .. "/fresh"), "new\n")
  end)

  it("again says that there is nothing to do", function()
    ready()
    local checkout = clone()
    t.eq(execute(prepare(id, checkout)), nil)
    local plan = prepare(id, checkout)
    t.ok(plan.done)
    t.match(table.concat(plan_text.of(plan), "\n"), "has this commit already")
  end)

  it("refuses when something changed between the plan and its run", function()
    ready()
    for _, change in ipairs({
      "echo mine > a.txt",
      "git commit -q --allow-empty -m mine",
      "echo x > dir/new.txt",
    }) do
      local checkout = clone()
      local plan = prepare(id, checkout)
      t.eq(plan.refusal, nil)
      sh(change)(checkout)
      local before = snapshot(checkout)
      t.match(execute(plan).message, "since the plan was made")
      t.eq(snapshot(checkout), before)
    end
  end)

  it("refuses where a buffer has unsaved edits in a file it would write", function()
    ready()
    local checkout = clone()
    vim.cmd.edit(checkout .. "/a.txt")
    vim.api.nvim_buf_set_lines(0, 0, 1, false, { "unsaved" })
    local plan = prepare(id, checkout)
    t.match(plan.refusal.reason, "unsaved edits in a buffer")
    vim.cmd("bwipeout!")
  end)

  it("refuses a checkout of something else and leaves nothing in it", function()
    ready()
    local other = t.tempdir()
    t.run(
      { "sh", "-ec", "git init -q && git commit -q --allow-empty -m other" },
      { cwd = other, env = server.environment }
    )
    local err = run(function()
      return adopt.prepare(store.get(id), other)
    end)
    t.match(err.message, "Is it the right checkout")
    t.eq(t.run({ "git", "for-each-ref", "refs/suggestion-review" }, { cwd = other }), "")
  end)

  it("follows the developer's line ends", function()
    ready()
    local checkout = clone()
    t.run({ "git", "config", "core.autocrlf", "true" }, { cwd = checkout })
    vim.fn.delete(checkout .. "/a.txt")
    t.run({ "git", "checkout", "--", "a.txt" }, { cwd = checkout })
    t.ok(t.read(checkout .. "/a.txt"):find("\r\n", 1, true))
    local plan = prepare(id, checkout)
    t.eq(plan.refusal, nil)
    t.eq(execute(plan), nil)
    t.ok(t.read(checkout .. "/a.txt"):find("LINE 3\r\n", 1, true))
  end)

  it("follows them also where git is to stop at line ends that would change", function()
    ready()
    local checkout = clone()
    t.run({ "git", "config", "core.autocrlf", "input" }, { cwd = checkout })
    t.run({ "git", "config", "core.safecrlf", "true" }, { cwd = checkout })
    local text = t.read(checkout .. "/a.txt"):gsub("\n", "\r\n")
    t.write(checkout .. "/a.txt", text)
    local plan = prepare(id, checkout)
    t.eq(plan.refusal, nil)
    t.eq(execute(plan), nil)
    t.ok(t.read(checkout .. "/a.txt"):find("LINE 3", 1, true))
  end)

  it("works in a linked worktree", function()
    ready()
    local checkout = clone()
    local linked = t.tempdir() .. "/linked"
    t.run({ "git", "worktree", "add", "-q", "-b", "linked", linked, base }, { cwd = checkout })
    local plan = prepare(id, linked)
    t.eq(plan.refusal, nil)
    t.eq(execute(plan), nil)
    t.eq(t.run({ "git", "status", "--porcelain" }, { cwd = linked }), "")
    t.eq(t.run({ "git", "rev-parse", "main" }, { cwd = checkout }), base .. "\n")
  end)

  it("keeps the token out of arguments, configuration and output", function()
    ready()
    local checkout = clone()
    local seen = {}
    local system = vim.system
    vim.system = function(command, opts, callback)
      table.insert(seen, table.concat(command, " "))
      return system(command, opts, callback)
    end
    prepare(id, checkout)
    vim.system = system
    t.ok(#seen > 5)
    t.eq(table.concat(seen, "\n"):find(server.token, 1, true), nil)
    t.eq(t.read(checkout .. "/.git/config"):find(server.token, 1, true), nil)
  end)

  it("shows the plan in a window, from which it is run", function()
    ready()
    local checkout = clone()
    local plan = prepare(id, checkout)
    local window = require("suggestion-review.ui.plan").show(plan)
    local shown =
      table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), "\n")
    t.match(shown, "Verified yes")
    t.match(shown, "git read%-tree")
    t.match(shown, "write   a.txt")
    t.eq(snapshot(checkout).head, base)
    t.wait(function()
      return vim.inspect(vim.api.nvim_win_get_config(window).footer):find("do it", 1, true)
    end)
    vim.api.nvim_feedkeys(vim.keycode("<CR>"), "xt", false)
    t.wait(function()
      return snapshot(checkout).head == commit
    end)
    t.eq(vim.api.nvim_win_is_valid(window), false)
  end)
end)

describe("a jj checkout", function()
  local id, commit
  local function ready()
    if id then
      return
    end
    id = publish(CHANGED)
    decide(id, 1, "accept")
    decide(id, 3, "accept")
    commit = finalize(id)
  end
  local function jj_clone(colocate)
    local checkout = t.tempdir() .. "/jj"
    local command = { "jj", "git", "clone", server.hub, checkout }
    if not colocate then
      table.insert(command, 4, "--no-colocate")
    end
    t.run(command, {
      env = vim.tbl_extend("force", server.environment, {
        GIT_CONFIG_COUNT = "1",
        GIT_CONFIG_KEY_0 = "http.extraHeader",
        GIT_CONFIG_VALUE_0 = "Authorization: Bearer " .. server.token,
      }),
    })
    return checkout
  end
  local function jj(checkout, ...)
    return t.run({ "jj", "--color=never", ... }, { cwd = checkout, env = server.environment })
  end

  for _, colocate in ipairs({ true, false }) do
    it(
      ("%s is rebased onto the commit and keeps its own edits"):format(
        colocate and "colocated" or "not colocated"
      ),
      function()
        ready()
        local checkout = jj_clone(colocate)
        t.write(checkout .. "/a.txt", lines(40, { [3] = "LINE 3", [38] = "LINE 38" }))
        t.write(checkout .. "/b.txt", lines(20, { [1] = "mine" }))
        local plan = prepare(id, checkout)
        t.ok(plan.verdict.ok, table.concat(plan_text.of(plan), "\n"))
        t.eq(plan.kind, "jj")
        t.eq(plan.refusal, nil)
        local err = execute(plan)
        t.eq(err, nil)
        t.match(jj(checkout, "log", "--no-graph", "-r", "@-", "-T", "commit_id"), commit)
        t.eq(jj(checkout, "diff", "--summary"), "M b.txt\n")
        t.ok(prepare(id, checkout).done)
      end
    )
  end

  it("is put back when the developer's edits conflict", function()
    ready()
    local checkout = jj_clone(true)
    t.write(checkout .. "/a.txt", lines(40, { [3] = "mine 3" }))
    local before = jj(checkout, "log", "--no-graph", "-r", "@", "-T", "commit_id")
    local plan = prepare(id, checkout)
    t.match(execute(plan).message, "conflict")
    t.eq(jj(checkout, "log", "--no-graph", "-r", "@", "-T", "commit_id"), before)
    t.eq(t.read(checkout .. "/a.txt"), lines(40, { [3] = "mine 3" }))
  end)

  it("with commits of its own has them on top afterwards", function()
    ready()
    local checkout = jj_clone(true)
    t.write(checkout .. "/mine", "x")
    jj(checkout, "commit", "-m", "mine")
    local plan = prepare(id, checkout)
    t.match(table.concat(plan_text.of(plan), "\n"), "put on top of it")
    t.eq(execute(plan), nil)
    t.eq(jj(checkout, "log", "--no-graph", "-r", "@-", "-T", "description"), "mine\n")
    t.match(jj(checkout, "log", "--no-graph", "-r", "@--", "-T", "commit_id"), commit)
  end)
end)

describe("planning", function()
  local A = { mode = "100644", oid = ("a"):rep(40) }
  local B = { mode = "100644", oid = ("b"):rep(40) }
  local C = { mode = "100644", oid = ("c"):rep(40) }
  local X = { mode = "100755", oid = ("b"):rep(40) }
  it("decides every combination of four places without ever overwriting a third content", function()
    local sides = { A, B, C, X, false }
    for _, old in ipairs({ A, false }) do
      for _, new in ipairs({ B, X, false }) do
        if old or new then
          for _, index in ipairs(sides) do
            for _, worktree in ipairs(sides) do
              for _, unsaved in ipairs({ true, false }) do
                local file = rules.decide_file({
                  path = "f",
                  old = old or nil,
                  new = new or nil,
                  index = index or nil,
                  worktree = worktree or nil,
                  unsaved = unsaved,
                })
                if file.action == "write" or file.action == "delete" then
                  t.eq(worktree or nil, old or nil)
                  t.eq(unsaved, false)
                elseif file.action == "keep" then
                  t.eq(worktree or nil, new or nil)
                end
              end
            end
          end
        end
      end
    end
  end)
end)

describe("files that are shown", function()
  it("A9: nothing is adopted over unsaved edits of another Vim", function()
    local id = publish({ ["b.txt"] = CHANGED["b.txt"] })
    batch(id, "accept")
    finalize(id)
    local checkout = vim.uv.fs_realpath(clone()) --[[@as string]]
    local other = require("child").start({
      cwd = checkout,
      init = "vim.opt.swapfile = true\nvim.o.directory = '.'\n",
    })
    other:cmd("silent edit b.txt")
    other:cmd("call setline(1, 'theirs')")
    local plan = prepare(id, checkout)
    t.ok(plan.refusal)
    t.match(table.concat(plan_text.of(plan), "\n"), "another Vim %(process %d+%) has unsaved edits")
    other:cmd("silent write!")
    other:cmd("silent edit!")
    other:stop()
    t.run({ "git", "checkout", "--quiet", "b.txt" }, { cwd = checkout })
    t.eq(prepare(id, checkout).refusal, nil)
  end)

  it("A13: buffers follow without a question under 'noautoread'", function()
    local id = publish({ ["b.txt"] = CHANGED["b.txt"] })
    batch(id, "accept")
    finalize(id)
    local checkout = vim.uv.fs_realpath(clone()) --[[@as string]]
    vim.o.autoread = false
    vim.cmd("silent edit " .. checkout .. "/b.txt")
    local buf = vim.api.nvim_get_current_buf()
    local err = execute(prepare(id, checkout))
    t.eq(err, nil)
    local shown = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
    t.eq(shown, t.run({ "git", "show", store.get(id).result.commit .. ":b.txt" }, { cwd = checkout }))
    t.match(shown, "\nLINE 10\n")
    t.eq({ vim.bo[buf].modified, vim.o.autoread }, { false, false })
    vim.o.autoread = true
    vim.cmd("silent! bwipeout!")
  end)
end)
