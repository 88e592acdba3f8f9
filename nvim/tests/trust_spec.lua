-- luacheck: read globals t describe it before_each after_each pending
--- What an adoption believes when the hub, the ledger and the token are the agent's: nothing.

local real = require("real")
if not real.available() then
  pending("trust", "the server's programs are not provisioned")
  return
end

local adoption = require("adoption")
local store = require("suggestion-review.model.store")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

local server = real.start({
  ["a.txt"] = adoption.lines(30),
  ["other.txt"] = adoption.lines(30),
  ["keep.txt"] = "keep\n",
})
server:connect()
local on = adoption.on(server)
local CHANGED = { ["a.txt"] = adoption.lines(30, { [3] = "LINE 3" }), ["new.txt"] = "new\n" }
local EVIL = { ["evil.txt"] = "EVIL\n" }

--- Moves the hub's main, as the agent can, and back when the test is over.
local function move_main(commit)
  on:in_hub("update-ref", "refs/heads/main", commit)
end

local function put_back()
  move_main(on.base)
  on:in_hub("symbolic-ref", "HEAD", "refs/heads/main")
  for ref in on:in_hub("for-each-ref", "--format=%(refname)", "refs/tags"):gmatch("%S+") do
    on:in_hub("update-ref", "-d", ref)
  end
end

--- The agent's ways to have a line that nobody reviewed under a finalized commit. Each returns the suggestion.
local WAYS = {
  ["the shared branch fast-forwarded"] = function()
    local id = on:publish(CHANGED)
    on:accept_all(id)
    move_main(on:commit_in_hub({ on.base }, EVIL, "EVIL subject"))
    on:finalize(id)
    return id
  end,
  ["a side branch merged into the shared one"] = function()
    local id = on:publish(CHANGED)
    on:accept_all(id)
    local side = on:commit_in_hub({ on.base }, EVIL, "EVIL subject")
    move_main(on:commit_in_hub({ on.base, side }, EVIL, "EVIL merge"))
    on:finalize(id)
    return id
  end,
  ["the shared branch rewritten, and the work published on that"] = function()
    local root = on:commit_in_hub({}, {
      ["a.txt"] = adoption.lines(30),
      ["keep.txt"] = "keep\n",
      ["evil.txt"] = "EVIL\n",
    }, "EVIL subject")
    move_main(root)
    server:git("agent", "fetch", "--quiet", on.hub_dir, "refs/heads/main:refs/heads/rewritten")
    return (on:finalized(CHANGED, root))
  end,
  ["a tag of the branch's name, and its commit claimed"] = function()
    local id, commit = on:finalized(CHANGED)
    local foreign = on:commit_in_hub({ on.base }, EVIL, "EVIL subject")
    local tree = on:in_hub("rev-parse", commit .. "^{tree}")
    local twin = on:in_hub("commit-tree", "-p", foreign, "-m", "EVIL subject too", tree)
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/tags/" .. ref, twin)
    on:in_hub("update-ref", "refs/tags/main", foreign)
    on:claim(id, { commit = twin, ref = ref, base_commit = on.base })
    return id
  end,
  ["the finalized commit's parent swapped"] = function()
    local id, commit = on:finalized(CHANGED)
    local foreign = on:commit_in_hub({ on.base }, EVIL, "EVIL subject")
    local tree = on:in_hub("rev-parse", commit .. "^{tree}")
    local twin = on:in_hub("commit-tree", "-p", foreign, "-m", "Change", tree)
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, twin)
    on:claim(id, { commit = twin, ref = ref, base_commit = on.base })
    return id
  end,
}

local CHECKOUTS = {
  ["a git checkout"] = function()
    return on:git_checkout()
  end,
  ["a colocated jj checkout"] = function()
    return on:jj_checkout(true)
  end,
  ["a jj checkout that is not colocated"] = function()
    return on:jj_checkout(false)
  end,
}

--- Everything reachable from what the developer works on.
local function history(checkout, kind)
  if kind == "a git checkout" then
    return on:sh(checkout, "git log -p --format=%s HEAD --branches --")
  end
  return on:sh(checkout, "jj --ignore-working-copy log --no-graph -p -r '::@ | ::bookmarks()'")
end

describe("B1: the agent moves the shared branch:", function()
  for way, attack in pairs(WAYS) do
    for kind, make in pairs(CHECKOUTS) do
      it(way .. ", in " .. kind, function()
        put_back()
        local checkout = make()
        local before = history(checkout, kind)
        local id = attack()
        local plan = adoption.prepare(id, checkout)
        local text = adoption.text(plan)
        t.eq(plan.verdict.ok, false, text)
        t.match(text, "Verified NO")
        t.match(text, "EVIL subject")
        t.match(text, "%+EVIL")
        for _, word in ipairs({
          "git merge",
          "git pull",
          "git stash",
          "git reset",
          "rebase",
          "cherry",
          "jj new",
        }) do
          t.eq(text:find(word, 1, true), nil, word .. " is printed:\n" .. text)
        end
        t.match(adoption.execute(plan).message, "nothing to carry out")
        local commands = adoption.printed(plan, "To go on by hand:")
        t.ok(#commands > 0)
        for _, command in ipairs(commands) do
          t.match(on:sh(checkout, command), "%+EVIL", command)
        end
        t.eq(history(checkout, kind), before)
        t.eq(vim.uv.fs_stat(checkout .. "/evil.txt"), nil)
      end)
    end
  end

  it("also when the developer's own fetch brought the agent's branch and tags", function()
    put_back()
    local checkout = on:git_checkout()
    local id = WAYS["the shared branch fast-forwarded"]()
    on:in_hub("tag", "v1", "refs/heads/main")
    t.run({ "git", "fetch", "--quiet", "--tags", "agent" }, { cwd = checkout, env = on:with_token() })
    t.match(on:sh(checkout, "git log --format=%s refs/remotes/agent/main refs/tags/v1"), "EVIL subject")
    local plan = adoption.prepare(id, checkout)
    t.eq(plan.verdict.ok, false)
    t.match(adoption.text(plan), "EVIL subject")
  end)

  it("also when the checkout was cloned from the agent's repository by its path", function()
    put_back()
    local checkout = on:git_checkout()
    on:sh(checkout, "git remote add origin " .. server.agent .. "/.git")
    local id = WAYS["the shared branch fast-forwarded"]()
    server:git("agent", "fetch", "--quiet", on.hub_dir, "refs/heads/main:refs/heads/evil")
    on:sh(checkout, "git fetch --quiet origin")
    t.match(on:sh(checkout, "git log --format=%s refs/remotes/origin/evil"), "EVIL subject")
    t.eq(adoption.prepare(id, checkout).verdict.ok, false)
  end)

  it("also when a jj fetch of the developer's moved a bookmark that follows the agent's", function()
    put_back()
    local checkout = on:jj_checkout(true)
    local id = WAYS["the shared branch fast-forwarded"]()
    t.run({ "jj", "git", "fetch" }, { cwd = checkout, env = on:with_token() })
    t.match(on:sh(checkout, "jj log --no-graph -r main -T description"), "EVIL subject")
    local plan = adoption.prepare(id, checkout)
    t.eq(plan.verdict.ok, false)
    t.match(adoption.text(plan), "EVIL subject")
  end)
end)

describe("B4: names in the hub that could be taken for others:", function()
  it("tags called like the branches bring nothing along, and the commit is the branch's", function()
    put_back()
    local checkout = on:git_checkout()
    on:sh(checkout, "git tag main HEAD")
    local id, commit = on:finalized(CHANGED)
    local foreign = on:commit_in_hub({ on.base }, EVIL, "EVIL subject of no other test")
    for _, name in ipairs({ "main", store.get(id).result.ref, "heads/main", "v1" }) do
      on:in_hub("update-ref", "refs/tags/" .. name, foreign)
    end
    on:in_hub("update-ref", "refs/heads/heads/main", foreign)
    local plan = adoption.prepare(id, checkout)
    t.ok(plan.verdict.ok, adoption.text(plan))
    t.eq(plan.branch, "main")
    t.eq(adoption.execute(plan), nil)
    t.eq(on:sh(checkout, "git rev-parse refs/heads/main HEAD"), commit .. "\n" .. commit .. "\n")
    t.eq(on:sh(checkout, "git tag"), "main\n")
    t.eq(
      on:sh(checkout, "git for-each-ref --format='%(refname)' --contains " .. on.base .. " refs/heads"),
      "refs/heads/main\n"
    )
    t.eq(pcall(on.sh, on, checkout, "git cat-file -e " .. foreign), false)
    on:in_hub("update-ref", "-d", "refs/heads/heads/main")
  end)

  it("a branch that begins with a dash is adopted into like any other", function()
    put_back()
    local checkout = on:git_checkout()
    on:sh(checkout, "git update-ref refs/heads/-x HEAD; git symbolic-ref HEAD refs/heads/-x")
    local id, commit = on:finalized(CHANGED)
    local plan = adoption.prepare(id, checkout)
    t.eq(plan.branch, "-x")
    t.eq(adoption.execute(plan), nil)
    t.eq(on:sh(checkout, "git rev-parse refs/heads/-x refs/heads/main"), commit .. "\n" .. on.base .. "\n")
  end)

  it("names that are none, from a server that lies, reach no command", function()
    put_back()
    local id = on:finalized(CHANGED)
    local checkout = on:git_checkout()
    local lies = {
      { "result", { ref = "x:refs/heads/main" } },
      { "result", { ref = "../../evil" } },
      { "result", { ref = "-x\n" } },
      { "result", { commit = "--upload-pack=touch evil" } },
      { "hub", "@example.org/git/x.git" },
      { "id", "../heads/main" },
    }
    for _, lie in ipairs(lies) do
      local suggestion = vim.deepcopy(store.get(id))
      suggestion[lie[1]] = type(lie[2]) == "table" and vim.tbl_extend("force", suggestion.result, lie[2])
        or lie[2]
      local err = adoption.run(function()
        return require("suggestion-review.adopt").prepare(suggestion, checkout)
      end)
      t.match(err.message, "^The server named")
    end
    t.eq(on:sh(checkout, "git for-each-ref refs/suggestion-review"), "")
  end)
end)

describe("B1: a hunk that is shown under another name than it has", function()
  it("cannot be decided", function()
    local digest = require("suggestion-review.text.digest")
    local hunk = { kind = "mode", file = "README.md", old_mode = "100644", new_mode = "100755" }
    hunk.digest = digest.compute("mode", "README.md", "100644", "100755")
    t.ok(digest.fits(hunk))
    for _, hidden in ipairs({ ".git/hooks/pre-commit", "README.md", "caf\233" }) do
      hunk.file_b64 = vim.base64.encode(hidden)
      hunk.digest = digest.compute("mode", hidden, "100644", "100755")
      t.eq(digest.fits(hunk), false, hidden)
    end
    hunk.file = [["caf\351\t\"\\\001"]]
    hunk.file_b64 = vim.base64.encode('caf\233\t"\\\1')
    hunk.digest = digest.compute("mode", 'caf\233\t"\\\1', "100644", "100755")
    t.ok(digest.fits(hunk))
  end)
end)

describe("B1: the message of a verified commit", function()
  it("is shown whole, and who committed it", function()
    put_back()
    local id, commit = on:finalized(CHANGED)
    local raw = t.run({ "git", "--git-dir", on.hub_dir, "cat-file", "commit", commit })
    raw = raw:gsub("committer [^\n]*", "committer Eve <eve@example.org> 1 +0000"):gsub("%s*$", "")
    local made = vim.trim(
      t.run(
        { "git", "--git-dir", on.hub_dir, "hash-object", "-t", "commit", "-w", "--stdin" },
        { stdin = raw .. "\n\nSigned-off-by: Dev <dev@example.org>\n" }
      )
    )
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, made)
    on:claim(id, { commit = made, ref = ref, base_commit = on.base })
    local plan = adoption.prepare(id, on:git_checkout())
    t.ok(plan.verdict.ok, adoption.text(plan))
    t.match(adoption.text(plan), "Signed%-off%-by: Dev")
    t.match(adoption.text(plan), "Committer Eve <eve@example.org>")
  end)
end)

describe("B1: commits that are the developer's", function()
  it("may be the parent: a branch, another remote, an earlier commit that was verified", function()
    local cases = {
      branch = "git update-ref refs/heads/mine %s",
      remote = "git remote add origin https://example.org/own.git; git update-ref refs/remotes/origin/main %s",
      verified = "git update-ref refs/suggestion-review/verified/x %s",
    }
    for _, script in pairs(cases) do
      put_back()
      local checkout = on:git_checkout()
      local id = WAYS["the shared branch fast-forwarded"]()
      local parent = store.get(id).result.base_commit
      t.run({ "git", "fetch", "--quiet", "agent" }, { cwd = checkout, env = on:with_token() })
      on:sh(checkout, script:format(parent))
      local plan = adoption.prepare(id, checkout)
      t.ok(plan.verdict.ok, adoption.text(plan))
    end
  end)

  it("are remembered when verified, so that the next suggestion may stand on one", function()
    put_back()
    local checkout = on:git_checkout()
    local first, commit = on:finalized(CHANGED)
    t.ok(adoption.prepare(first, checkout).verdict.ok)
    move_main(commit)
    server:git("agent", "fetch", "--quiet", on.hub_dir, "refs/heads/main:refs/heads/first")
    local second = on:finalized({ ["second.txt"] = "second\n" }, commit)
    t.eq(store.get(second).base_commit, commit)
    local plan = adoption.prepare(second, checkout)
    t.ok(plan.verdict.ok, adoption.text(plan))
    -- And not only because the hub has it.
    local other = adoption.prepare(second, on:git_checkout())
    t.eq(other.verdict.ok, false, adoption.text(other))
  end)
end)

describe("B1: a commit with the right tree is refused when", function()
  --- A commit as bytes, put into the hub as the suggestion's.
  local function forged(change)
    put_back()
    local id, commit = on:finalized(CHANGED)
    local raw = t.run({ "git", "--git-dir", on.hub_dir, "cat-file", "commit", commit })
    local made = t.run(
      { "git", "--git-dir", on.hub_dir, "hash-object", "-t", "commit", "-w", "--stdin", "--literally" },
      { stdin = change(raw, commit) }
    )
    made = vim.trim(made)
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, made)
    on:claim(id, { commit = made, ref = ref, base_commit = on.base })
    return id, made, commit
  end
  local function header(line)
    return function(raw)
      return (raw:gsub("\n\n", "\n" .. line .. "\n\n", 1))
    end
  end
  local FORMS = {
    ["jj reads another tree in it"] = function(raw)
      local empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
      return header(("jj:trees %s %s %s"):format(empty, empty, empty))(raw)
    end,
    ["it has a second parent"] = function(raw)
      return (
        raw:gsub("(parent %x+\n)", "%1parent " .. on:commit_in_hub({ on.base }, EVIL, "EVIL") .. "\n", 1)
      )
    end,
    ["it carries a signature that says something"] = header(
      "gpgsig -----BEGIN EVIL-----\n x\n -----END EVIL-----"
    ),
    ["its text is in another encoding"] = header("encoding UTF-7"),
    ["it has a header that nobody knows"] = header("x-evil 1"),
    ["its message hides text behind a NUL"] = function(raw)
      return raw .. "shown\0hidden\n"
    end,
  }
  for name, change in pairs(FORMS) do
    it(name, function()
      local checkouts = { on:git_checkout(), on:jj_checkout(true) }
      local id, made = forged(change)
      for _, checkout in ipairs(checkouts) do
        local err, plan = adoption.run(function()
          return require("suggestion-review.adopt").prepare(store.get(id), checkout)
        end)
        if err then
          -- git's own check of what it fetches comes first, where it has one.
          t.match(err.message, "fsck")
        else
          t.eq(plan.verdict.ok, false, adoption.text(plan))
          t.match(adoption.text(plan), "Verified NO")
        end
        t.eq(on:sh(checkout, "git branch -a --contains " .. made .. " 2>/dev/null || true"), "")
      end
    end)
  end

  it("a replacement in the checkout would make it look like another", function()
    put_back()
    local id, commit = on:finalized(CHANGED)
    local foreign = on:commit_in_hub({ on.base }, EVIL, "EVIL subject")
    local twin = on:commit_in_hub({ foreign }, CHANGED, "Change")
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, twin)
    on:claim(id, { commit = twin, ref = ref, base_commit = on.base })
    local checkout = on:git_checkout()
    on:sh(checkout, "mkdir -p .git/refs/replace")
    for _, name in ipairs({ commit, twin }) do
      t.run({ "git", "fetch", "--quiet", "agent", name }, { cwd = checkout, env = on:with_token() })
    end
    on:sh(checkout, ("git replace %s %s"):format(twin, commit))
    local plan = adoption.prepare(id, checkout)
    t.eq(plan.verdict.ok, false, adoption.text(plan))
    t.match(adoption.text(plan), "EVIL subject")
  end)

  it("the checkout borrows objects from a directory that another user can change", function()
    if vim.uv.getuid() ~= 0 then
      t.skip("only root can give a directory to another user")
    end
    put_back()
    local id = on:finalized(CHANGED)
    local checkout = on:git_checkout()
    local lender = t.tempdir()
    on:sh(checkout, ("git init -q --bare %s; chown 12345 %s/objects"):format(lender, lender))
    t.write(checkout .. "/.git/objects/info/alternates", lender .. "/objects\n")
    local plan = adoption.prepare(id, checkout)
    t.eq(plan.verdict.ok, false)
    t.match(adoption.text(plan), "borrows objects from " .. vim.pesc(lender))
    on:sh(checkout, "chown 0 " .. lender .. "/objects")
    t.ok(adoption.prepare(id, checkout).verdict.ok)
  end)

  it("the hub hides its history by being shallow", function()
    put_back()
    local id = on:finalized(CHANGED)
    local foreign = on:commit_in_hub({ on.base }, EVIL, "EVIL subject")
    local twin = on:commit_in_hub({ foreign }, CHANGED, "Change")
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, twin)
    on:claim(id, { commit = twin, ref = ref, base_commit = on.base })
    local checkout = on:git_checkout()
    t.write(on.hub_dir .. "/shallow", twin .. "\n")
    local err, plan = adoption.run(function()
      return require("suggestion-review.adopt").prepare(store.get(id), checkout)
    end)
    vim.uv.fs_unlink(on.hub_dir .. "/shallow")
    t.ok(err ~= nil or plan.verdict.ok == false)
    t.eq(vim.uv.fs_stat(checkout .. "/.git/shallow"), nil)
  end)

  it("its tree has a mode that no diff shows", function()
    local id = forged(function(raw, commit)
      local listed = on:in_hub("ls-tree", commit)
      local bytes = {}
      for mode, _, oid, path in listed:gmatch("(%d+) (%a+) (%x+)\t([^\n]+)") do
        mode = path == "keep.txt" and "100664" or mode
        table.insert(bytes, mode .. " " .. path .. "\0" .. vim.text.hexdecode(oid))
      end
      local tree = t.run(
        { "git", "--git-dir", on.hub_dir, "hash-object", "-t", "tree", "-w", "--stdin", "--literally" },
        { stdin = table.concat(bytes) }
      )
      return (raw:gsub("^tree %x+", "tree " .. vim.trim(tree)))
    end)
    local err, plan = adoption.run(function()
      return require("suggestion-review.adopt").prepare(store.get(id), on:git_checkout())
    end)
    if err then
      t.match(err.message, "fsck")
    else
      t.eq(plan.verdict.ok, false)
      t.match(adoption.text(plan), "Verified NO")
    end
  end)
end)

describe("B1: after a line was accepted, a ledger that says of it", function()
  --- The base's lines with one more below the line `at`.
  local function added(at)
    return adoption.lines(30, { [at] = ("line %d\nadded"):format(at) })
  end

  --- What the ledger, which is the agent's, says of all hunks of a suggestion.
  local function say(id, what)
    local script = [[
      const { Database } = require("bun:sqlite");
      const db = new Database(process.argv[1]);
      db.exec("PRAGMA busy_timeout = 5000");
      db.query(`UPDATE hunk SET ${process.argv[2]} WHERE suggestion = ?`).run(process.argv[3]);
    ]]
    local command = { t.program("bun"), "-e", script, server.state .. "/ledger.sqlite", what, id }
    t.run(command, { env = server.environment })
  end

  --- The suggestion adds a line to a.txt, which is accepted; then hub and ledger agree on another commit.
  local function forged(files, what)
    put_back()
    local id = on:finalized({ ["a.txt"] = added(5) })
    local made = on:commit_in_hub({ on.base }, files, "Change")
    local ref = store.get(id).result.ref
    on:in_hub("update-ref", "refs/heads/" .. ref, made)
    say(id, what)
    on:claim(id, { commit = made, ref = ref, base_commit = on.base })
    return adoption.prepare(id, on:git_checkout())
  end

  it("B1: that it is another file's is not believed", function()
    local plan = forged({ ["other.txt"] = added(5) }, "old_path = 'other.txt'")
    t.eq(plan.verdict.ok, false, adoption.text(plan))
    t.match(adoption.text(plan), "Verified NO")
  end)

  it("B1: that it stands in another place is not believed", function()
    local plan = forged({ ["a.txt"] = added(20) }, "old_from = 20, new_from = 20")
    t.eq(plan.verdict.ok, false, adoption.text(plan))
    t.match(adoption.text(plan), "Verified NO")
  end)

  it("B1: that parts of one insertion stand in another order is not believed", function()
    put_back()
    local feedback = require("suggestion-review.decisions.requests")
    local id = on:publish({ ["a.txt"] = adoption.lines(30, { [5] = "line 5\nfirst\nsecond" }) })
    local parts = { lines = { old = { 0, 0 }, new = { 0, 1 } } }
    local err = t.await(function(callback)
      feedback.decide(id, store.hunks(id)[1], "accept", parts, callback)
    end)
    t.eq(err, nil)
    t.wait(function()
      return #store.hunks(id) == 2
    end)
    on:decide(id, 2, "accept")
    local commit = on:finalize(id)
    t.ok(adoption.prepare(id, on:git_checkout()).verdict.ok)
    local turned = { ["a.txt"] = adoption.lines(30, { [5] = "line 5\nsecond\nfirst" }) }
    local made = on:commit_in_hub({ on.base }, turned, "Change")
    local ref = store.get(id).result.ref
    t.ok(made ~= commit)
    on:in_hub("update-ref", "refs/heads/" .. ref, made)
    say(id, "new_from = CASE WHEN new_from = 5 THEN 6 ELSE 5 END")
    on:claim(id, { commit = made, ref = ref, base_commit = on.base })
    local plan = adoption.prepare(id, on:git_checkout())
    t.eq(plan.verdict.ok, false, adoption.text(plan))
    t.match(adoption.text(plan), "Verified NO")
  end)

  it("B1: before it is accepted, that it is another file's, is told", function()
    put_back()
    local feedback = require("suggestion-review.decisions.requests")
    local id = on:publish({ ["a.txt"] = added(7) })
    say(id, "old_path = 'other.txt'")
    local failed = t.await(function(callback)
      store.fetch(id, callback)
    end)
    t.eq(failed, nil)
    t.eq(store.hunks(id)[1].old_file, "other.txt")
    for _, way in ipairs({ "decide", "batch" }) do
      local err = t.await(function(callback)
        if way == "decide" then
          return feedback.decide(id, store.hunks(id)[1], "accept", nil, callback)
        end
        feedback.batch(id, { scope = { action = "accept" } }, callback)
      end)
      t.match(err and err.message, "lines of another file")
    end
  end)
end)
