-- luacheck: read globals t describe it before_each after_each pending
--- Adopting where the developer went on meanwhile: own commits, uncommitted work, and everything that a plan prints.

local real = require("real")
if not real.available() then
  pending("own commits", "the server's programs are not provisioned")
  return
end

local adoption = require("adoption")
local lines = adoption.lines
local own_commits = require("suggestion-review.adopt.own_commits")
local store = require("suggestion-review.model.store")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

local server = real.start({
  ["a.txt"] = lines(40),
  ["b.txt"] = lines(20),
  ["gone.txt"] = "bye\nbye\n",
  ["old name.txt"] = lines(30),
  ["run.sh"] = "#!/bin/sh\n",
})
server:connect()
local on = adoption.on(server)

--- Created, renamed, deleted and changed files.
local CHANGED = {
  ["a.txt"] = lines(40, { [3] = "LINE 3", [38] = "LINE 38" }),
  ["dir/new.txt"] = "new\nfile\n",
  ["gone.txt"] = false,
  ["old name.txt"] = false,
  ["new name.txt"] = lines(30, { [5] = "five" }),
}
local id, commit = on:finalized(CHANGED)

--- The worktree as it is after every hunk was accepted in the review.
local function accepted_in_worktree(checkout)
  for path, text in pairs(CHANGED) do
    if text then
      t.write(checkout .. "/" .. path, text)
    else
      vim.uv.fs_unlink(checkout .. "/" .. path)
    end
  end
end

local OWN = [[
  printf 'mine\n' > mine.txt; git add mine.txt; git commit -qm 'own: a file'
  sed -i 's/^line 20$/mine 20/' b.txt; git commit -qam 'own: a line'
]]

local function log(checkout)
  return on:sh(checkout, "git log --format=%s " .. on.base .. "..HEAD")
end

local function status(checkout)
  return on:sh(checkout, "git -c core.quotePath=false status --porcelain")
end

local function is_in(checkout, ancestor)
  return pcall(on.sh, on, checkout, ("git merge-base --is-ancestor %s HEAD"):format(ancestor))
end

--- Executes and expects it to go well.
local function adopt(plan)
  t.eq(plan.refusal, nil, adoption.text(plan))
  local err = adoption.execute(plan)
  t.eq(err, nil)
end

describe("C9: own commits meanwhile, with accepted hunks that create and rename files:", function()
  it("the own commits are replayed on it, and the plan shows them first", function()
    local checkout = on:git_checkout()
    on:sh(checkout, OWN)
    accepted_in_worktree(checkout)
    local before = on:snapshot(checkout)
    local plan = adoption.prepare(id, checkout)
    t.eq(on:snapshot(checkout), before, "planning changed something")
    local text = adoption.text(plan)
    t.match(text, "put on top of it")
    t.match(text, "own: a file")
    t.match(text, "own: a line")
    adopt(plan)
    t.eq(log(checkout), "own: a line\nown: a file\nChange 1\n")
    t.eq(on:sh(checkout, "git rev-parse HEAD~2"), commit .. "\n")
    t.eq(status(checkout), "")
    t.eq(on:snapshot(checkout).files, before.files)
    t.eq(on:sh(checkout, "git log -1 --format='%an %ae'"), "Dev dev@example.org\n")
  end)

  it("a merge is made instead when that is asked for or set", function()
    local config = require("suggestion-review.config")
    for _, by in ipairs({ "way", "setting" }) do
      local checkout = on:git_checkout()
      on:sh(checkout, OWN)
      accepted_in_worktree(checkout)
      local own = on:sh(checkout, "git rev-parse HEAD")
      config.get().adopt_own_commits = by == "setting" and "merge" or "replay"
      local plan = adoption.prepare(id, checkout, by == "way" and "merge" or nil)
      config.get().adopt_own_commits = "replay"
      t.match(adoption.text(plan), "merged with it")
      adopt(plan)
      t.eq(on:sh(checkout, "git rev-parse HEAD^1"), own)
      t.eq(on:sh(checkout, "git rev-parse HEAD^2"), commit .. "\n")
      t.eq(status(checkout), "")
    end
  end)

  it("nothing uncommitted, staged, untracked or ignored is lost, and no hook runs", function()
    local checkout = on:git_checkout()
    on:sh(checkout, OWN)
    accepted_in_worktree(checkout)
    on:sh(
      checkout,
      [[
      sed -i 's/^line 30$/mine 30/' a.txt
      sed -i 's/^line 1$/mine 1/' b.txt; git add b.txt; sed -i 's/^line 2$/mine 2/' b.txt
      echo staged > staged.txt; git add staged.txt
      echo untracked > untracked.txt; echo x.ignored > .gitignore; echo keep > x.ignored
      chmod +x run.sh; echo stash > b2; git stash list > /dev/null
      for hook in reference-transaction post-index-change post-checkout post-merge post-rewrite \
        pre-commit post-commit; do
        printf '#!/bin/sh\necho %s >> "%s/hooks-ran"\n' $hook "$PWD/.git" > .git/hooks/$hook; chmod +x .git/hooks/$hook
      done
      rm -f .git/hooks-ran
    ]]
    )
    local before = on:snapshot(checkout)
    on:sh(checkout, "rm -f .git/hooks-ran")
    local plan = adoption.prepare(id, checkout)
    adopt(plan)
    t.eq(vim.uv.fs_stat(checkout .. "/.git/hooks-ran"), nil)
    t.eq(on:snapshot(checkout).files, before.files)
    t.eq(
      status(checkout),
      " M a.txt\nMM b.txt\n M run.sh\nA  staged.txt\n?? .gitignore\n?? b2\n?? untracked.txt\n"
    )
    t.match(on:sh(checkout, "git diff --cached b.txt"), "%+mine 1")
    t.match(on:sh(checkout, "git diff a.txt"), "%+mine 30")
  end)

  it("an own commit that holds the accepted hunks already is left out", function()
    local checkout = on:git_checkout()
    accepted_in_worktree(checkout)
    on:sh(checkout, "git add -A; git commit -qm 'own: the accepted hunks'; " .. OWN)
    local plan = adoption.prepare(id, checkout)
    t.match(adoption.text(plan), "own: the accepted hunks   %(left out")
    adopt(plan)
    t.eq(log(checkout), "own: a line\nown: a file\nChange 1\n")
    t.eq(status(checkout), "")
  end)

  it("own commits with a merge among them, or on a remote already, are merged by default", function()
    local cases = {
      ["a merge among them"] = "git checkout -qb side; echo s > side; git add side; git commit -qm side;"
        .. "git checkout -q main; "
        .. OWN
        .. " git merge -q --no-ff -m joined side",
      ["on a remote already"] = OWN
        .. "git remote add origin https://example.org/x.git; git update-ref refs/remotes/origin/main HEAD",
    }
    for why, script in pairs(cases) do
      local checkout = on:git_checkout()
      on:sh(checkout, script)
      accepted_in_worktree(checkout)
      local own = on:sh(checkout, "git rev-parse HEAD")
      local plan = adoption.prepare(id, checkout)
      t.match(adoption.text(plan), why)
      adopt(plan)
      t.eq(on:sh(checkout, "git rev-parse HEAD^1"), own)
      t.eq(status(checkout), "")
    end
  end)

  it("where replaying conflicts and merging does not, it is merged, and the plan says why", function()
    local checkout = on:git_checkout()
    on:sh(checkout, "sed -i 's/^line 3$/mine 3/' a.txt; git commit -qam 'own: there'")
    on:sh(checkout, "git revert --no-edit HEAD")
    local plan = adoption.prepare(id, checkout)
    t.match(adoption.text(plan), "replaying “.*own: there” conflicts")
    adopt(plan)
    t.eq(on:sh(checkout, "git rev-parse HEAD^2"), commit .. "\n")
    t.eq(status(checkout), "")
  end)

  it("a checkout that is behind goes forward, and the plan shows what comes along", function()
    local other = on:git_checkout()
    on:sh(other, "echo else > else.txt; git add else.txt; git commit -qm 'someone else'")
    local tip = vim.trim(on:sh(other, "git rev-parse HEAD"))
    t.run({ "git", "push", "--quiet", "agent", "HEAD:main" }, { cwd = other, env = on:with_token() })
    local later, ahead = on:finalized({ ["later.txt"] = "later\n", ["b.txt"] = lines(20, { [2] = "LATER" }) })
    on:in_hub("update-ref", "refs/heads/main", on.base)
    on:sh(other, "git branch mine; git reset -q --keep " .. on.base)
    t.write(other .. "/later.txt", "later\n")
    local plan = adoption.prepare(later, other)
    t.match(adoption.text(plan), "someone else")
    adopt(plan)
    t.eq(vim.trim(on:sh(other, "git rev-parse HEAD HEAD~1")), ahead .. "\n" .. tip)
    t.eq(status(other), "")
  end)

  it("the window offers the other way by a key", function()
    local checkout = on:git_checkout()
    on:sh(checkout, OWN)
    local window = require("suggestion-review.ui.plan").show(adoption.prepare(id, checkout))
    local function shown()
      local buf = vim.api.nvim_get_current_buf()
      return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
    end
    t.match(shown(), "put on top of it")
    t.match(vim.inspect(vim.api.nvim_win_get_config(window).footer), "m merge instead")
    vim.api.nvim_feedkeys("m", "xt", false)
    t.wait(function()
      return vim.bo.filetype == "suggestion-plan" and shown():find("merged with it", 1, true)
    end, 30000)
    -- Typed before anybody can have seen the plan, it was meant for something else.
    local now = vim.api.nvim_get_current_win()
    vim.api.nvim_feedkeys(vim.keycode("<CR>"), "xt", false)
    t.eq(vim.api.nvim_get_current_win(), now)
    t.wait(function()
      return vim.inspect(vim.api.nvim_win_get_config(now).footer):find("do it", 1, true)
    end)
    vim.api.nvim_feedkeys(vim.keycode("<CR>"), "xt", false)
    t.wait(function()
      return log(checkout):find("Merge commit", 1, true)
    end, 30000)
  end)
end)

describe("C9: all or nothing:", function()
  local function failing(name, set_up, what)
    it(name, function()
      local checkout = on:git_checkout()
      on:sh(checkout, OWN)
      on:sh(checkout, "echo untracked > untracked; sed -i 's/^line 1$/mine 1/' b.txt; git add b.txt")
      set_up(checkout)
      local plan = adoption.prepare(id, checkout)
      t.eq(plan.refusal, nil, adoption.text(plan))
      local before = on:snapshot(checkout)
      local index = t.read(checkout .. "/.git/index")
      local err = adoption.execute(plan)
      t.match(err.message, what)
      t.match(err.message, "Everything is as it was")
      t.eq(on:snapshot(checkout), before)
      t.ok(t.read(checkout .. "/.git/index") == index, "the index has other bytes")
      t.eq(vim.fn.glob(checkout .. "/.git/suggestion-review-*"), "")
    end)
  end

  failing("a file that git cannot write", function(checkout)
    on:sh(checkout, "git config filter.broken.smudge false; git config filter.broken.clean cat")
    on:sh(checkout, "git config filter.broken.required true; mkdir -p .git/info")
    t.write(checkout .. "/.git/info/attributes", "/new?name.txt filter=broken\n")
  end, "smudge filter broken failed")

  failing("a branch that is locked at the last moment", function(checkout)
    t.write(checkout .. "/.git/refs/heads/main.lock", "")
  end, "main.lock")

  failing("C9: files that are called like one that is put back, with an ending", function(checkout)
    for _, ending in ipairs({ "restored", "orig", "bak", "tmp", "new", "old" }) do
      t.write(("%s/a.txt.%s"):format(checkout, ending), "mine\n")
    end
    t.write(checkout .. "/.git/refs/heads/main.lock", "")
  end, "main.lock")
end)

--- States in which an adoption is refused, and what own work must still be there after the printed recipe.
local REFUSED = {
  ["an own edit in the place of a hunk"] = {
    "sed -i 's/^line 3$/mine 3/' a.txt",
    conflicts = "a.txt",
    own = "mine 3",
  },
  ["an own edit in a file whose hunks are missing"] = {
    "sed -i 's/^line 30$/mine 30/' a.txt",
    own = "mine 30",
  },
  ["other content staged"] = {
    "cp a.txt keep; sed -i 's/^line 30$/mine 30/' a.txt; git add a.txt; mv keep a.txt",
    own = "",
  },
  ["a file of the name of a new one"] = {
    "mkdir dir; echo mine > dir/new.txt",
    conflicts = "dir/new.txt",
    own = "mine",
  },
  ["an edit in a file that is deleted"] = { "echo mine >> gone.txt", conflicts = "gone.txt", own = "mine" },
  ["a deleted file that is changed"] = { "rm a.txt", conflicts = "a.txt", own = "" },
  ["a new file's name that was announced"] = {
    "mkdir dir; echo mine > dir/new.txt; git add -N dir/new.txt",
    conflicts = "dir/new.txt",
    own = "mine",
  },
  ["an own edit, and another file that was announced"] = {
    "sed -i 's/^line 30$/mine 30/' a.txt; echo soon > soon.txt; git add -N soon.txt",
    own = "mine 30",
  },
  ["an own edit that git was told not to look at"] = {
    "git update-index --assume-unchanged a.txt; sed -i 's/^line 30$/mine 30/' a.txt",
    own = "mine 30",
  },
  ["an own edit in a file that is not to be checked out"] = {
    "git update-index --skip-worktree a.txt; sed -i 's/^line 30$/mine 30/' a.txt",
    own = "mine 30",
  },
  ["a removal that is staged"] = { "git rm -q --cached a.txt", own = "" },
  ["an own edit in a created file"] = {
    "mkdir dir; printf 'new\\nfile\\nmine\\n' > dir/new.txt",
    conflicts = "dir/new.txt",
    own = "mine",
  },
  ["own commits, and an edit in the place of a hunk"] = {
    OWN .. "sed -i 's/^line 3$/mine 3/' a.txt",
    conflicts = "a.txt",
    own = "mine 3",
    log = "own: a line\nown: a file\nChange 1\n",
  },
}

describe("C9: the recipe that is printed works:", function()
  for name, case in pairs(REFUSED) do
    it(name, function()
      local checkout = on:git_checkout()
      on:sh(checkout, case[1] .. "; echo untracked > untracked")
      local plan = adoption.prepare(id, checkout)
      t.ok(plan.refusal, adoption.text(plan))
      local commands = adoption.printed(plan, "To go on by hand:")
      t.ok(#commands >= 3, adoption.text(plan))
      local stopped
      on:type_in(checkout, commands, function(command)
        t.match(command, "^git stash pop")
        stopped = true
      end)
      t.eq(stopped, case.conflicts and true or nil)
      t.ok(is_in(checkout, commit))
      if case.log then
        t.eq(log(checkout), case.log)
      end
      t.eq(t.read(checkout .. "/untracked"), "untracked\n")
      if stopped then
        t.match(status(checkout), "[UAD][UAD] " .. vim.pesc(case.conflicts))
        t.match(on:sh(checkout, "git stash show -p --include-untracked"), case.own)
        t.eq(#vim.split(vim.trim(on:sh(checkout, "git stash list")), "\n"), 1)
      else
        t.eq(on:sh(checkout, "git stash list"), "")
        t.match(on:sh(checkout, "git diff HEAD"), case.own)
      end
    end)
  end

  it("own commits that conflict either way: git stops there, and what is uncommitted comes back", function()
    local checkout = on:git_checkout()
    on:sh(checkout, "sed -i 's/^line 3$/mine 3/' a.txt; git commit -qam 'own: there'")
    on:sh(checkout, "sed -i 's/^line 1$/mine 1/' b.txt; mkdir dir; printf 'new\\nfile\\n' > dir/new.txt")
    local before = on:snapshot(checkout)
    local plan = adoption.prepare(id, checkout)
    t.match(plan.refusal.reason, "conflict in a.txt")
    t.ok(adoption.execute(plan))
    t.eq(on:snapshot(checkout), before)
    local stops = 0
    on:type_in(checkout, adoption.printed(plan, "To go on by hand:"), function(command)
      stops = stops + 1
      t.match(command, "^git merge .*a.txt")
      on:sh(checkout, "git checkout -q --theirs a.txt; git add a.txt; git commit -qm resolved")
    end)
    t.eq(stops, 1)
    t.ok(is_in(checkout, commit))
    t.eq(status(checkout), " M b.txt\n")
    t.eq(t.read(checkout .. "/dir/new.txt"), "new\nfile\n")
    t.eq(on:sh(checkout, "git stash list"), "")
  end)

  for kind, make in pairs({
    ["a git checkout"] = function()
      return on:git_checkout()
    end,
    ["a colocated jj checkout"] = function()
      return on:jj_checkout(true)
    end,
    ["a jj checkout that is not colocated"] = function()
      return on:jj_checkout(false)
    end,
  }) do
    it("what the commit holds beyond one's decisions is shown, in " .. kind, function()
      local other = on:publish({ ["a.txt"] = CHANGED["a.txt"] })
      on:decide(other, 1, "accept")
      local foreign = store.hunks(other)[2]
      server:http("POST", "/feedback", { suggestion_id = other, hunk_id = foreign.id, action = "accept" })
      on:finalize(other)
      local checkout = make()
      local plan = adoption.prepare(other, checkout)
      t.match(adoption.text(plan), "Verified NO")
      local commands = adoption.printed(plan, "To go on by hand:")
      t.eq(#commands, 1)
      local shown = on:sh(checkout, commands[1])
      t.match(shown, "%+LINE 38")
      t.eq(shown:find("LINE 3\n", 1, true), nil)
    end)
  end

  it("an older stash of the developer's is never popped", function()
    local checkout = on:git_checkout()
    on:sh(
      checkout,
      "echo stashed >> b.txt; git stash -q; sed -i 's/^line 3$/mine 3/' a.txt; git commit -qam own"
    )
    local plan = adoption.prepare(id, checkout)
    t.eq(adoption.text(plan):find("stash", 1, true), nil)
  end)

  it("a repository without a commit", function()
    local checkout = t.tempdir()
    on:sh(checkout, "git init -q -b main .; echo untracked > untracked")
    t.run({ "git", "fetch", "--quiet", server.hub, commit }, { cwd = checkout, env = on:with_token() })
    local plan = { root = checkout, kind = "git", commit = commit, parent = "", title = "", author = "" }
    plan = vim.tbl_extend(
      "force",
      plan,
      { verdict = { ok = true, message = "", reasons = {}, foreign = {}, diff = "" } }
    )
    plan = vim.tbl_extend("force", plan, { files = {}, steps = {}, own = {}, brought = {}, second_look = {} })
    plan.opts = require("suggestion-review.adopt.repository").opts(checkout, false)
    t.eq(
      adoption.run(function()
        require("suggestion-review.adopt.git").plan(plan)
      end),
      nil
    )
    t.match(plan.refusal.reason, "no commit yet")
    on:type_in(checkout, adoption.printed(plan, "To go on by hand:"))
    t.eq(on:sh(checkout, "git rev-parse HEAD"), commit .. "\n")
    t.eq(t.read(checkout .. "/untracked"), "untracked\n")
  end)
end)

describe("C9: the steps that are printed do what the plan does:", function()
  local STATES = {
    ["a clean checkout"] = function() end,
    ["accepted hunks in the worktree"] = accepted_in_worktree,
    ["own commits"] = function(checkout)
      on:sh(checkout, OWN)
    end,
    ["own commits and accepted hunks"] = function(checkout)
      on:sh(checkout, OWN)
      accepted_in_worktree(checkout)
    end,
    ["own edits elsewhere"] = function(checkout)
      on:sh(checkout, "echo mine >> b.txt; git add b.txt; echo more >> b.txt; echo u > untracked")
    end,
  }
  for name, set_up in pairs(STATES) do
    it(name, function()
      local by_hand, by_plan = on:git_checkout(), on:git_checkout()
      for _, checkout in ipairs({ by_hand, by_plan }) do
        set_up(checkout)
        local plan = adoption.prepare(id, checkout)
        t.eq(plan.refusal, nil, adoption.text(plan))
        if checkout == by_plan then
          adopt(plan)
        else
          on:type_in(checkout, adoption.printed(plan, "This will:"))
        end
      end
      local left, right = on:snapshot(by_hand), on:snapshot(by_plan)
      t.eq(left.files, right.files)
      t.eq(left.index, right.index)
      t.eq(status(by_hand), status(by_plan))
      t.eq(log(by_hand), log(by_plan))
    end)
  end
end)

describe("C9: a jj checkout", function()
  local function jj(checkout, ...)
    return t.run({ "jj", "--no-pager", "--color=never", ... }, { cwd = checkout, env = server.environment })
  end
  local function descriptions(checkout)
    return jj(
      checkout,
      "log",
      "--no-graph",
      "-r",
      on.base .. "..@-",
      "-T",
      'description.first_line() ++ "\\n"'
    )
  end
  --- What jj says is there: every visible commit, bookmark, and the files.
  local function everything(checkout)
    local shown =
      jj(checkout, "log", "--no-graph", "-r", "all()", "-T", 'commit_id ++ " " ++ bookmarks ++ "\\n"')
    return shown .. on:sh(checkout, "cat a.txt b.txt; ls -a")
  end
  local function own(checkout)
    t.write(checkout .. "/mine.txt", "mine\n")
    jj(checkout, "commit", "-m", "own: a file")
  end

  for _, colocated in ipairs({ true, false }) do
    local kind = colocated and "colocated" or "not colocated"
    it(kind .. ": own commits are on top of it afterwards, or merged, and edits stay", function()
      for _, way in ipairs({ "replay", "merge" }) do
        local checkout = on:jj_checkout(colocated)
        own(checkout)
        accepted_in_worktree(checkout)
        t.write(checkout .. "/b.txt", lines(20, { [1] = "wip" }))
        local plan = adoption.prepare(id, checkout, way)
        t.match(adoption.text(plan), "own: a file")
        adopt(plan)
        if way == "replay" then
          t.eq(descriptions(checkout), "own: a file\nChange 1\n")
        else
          t.match(descriptions(checkout), "^Merge %x+\n")
        end
        t.eq(jj(checkout, "diff", "--summary"), "M b.txt\n")
        t.eq(t.read(checkout .. "/b.txt"), lines(20, { [1] = "wip" }))
        t.eq(jj(checkout, "log", "--no-graph", "-r", "conflicts()", "-T", "change_id"), "")
      end
    end)

    it(kind .. ": the steps that are printed do what the plan does", function()
      for _, way in ipairs({ "replay", "merge" }) do
        local checkout = on:jj_checkout(colocated)
        own(checkout)
        t.write(checkout .. "/b.txt", lines(20, { [1] = "wip" }))
        local plan = adoption.prepare(id, checkout, way)
        on:type_in(checkout, adoption.printed(plan, "This will:"))
        t.match(descriptions(checkout), "Change 1\n")
        t.eq(jj(checkout, "diff", "--summary"), "M b.txt\n")
        t.ok(adoption.prepare(id, checkout).done)
      end
    end)
  end

  it("is as it was after a conflict, edits made after the plan included", function()
    local checkout = on:jj_checkout(true)
    own(checkout)
    local plan = adoption.prepare(id, checkout)
    t.write(checkout .. "/a.txt", lines(40, { [3] = "mine 3" }))
    t.write(checkout .. "/b.txt", lines(20, { [1] = "after the plan" }))
    local before = everything(checkout)
    local err = adoption.execute(plan)
    t.match(err.message, "conflict")
    t.match(err.message, "Everything is as it was")
    t.eq(everything(checkout), before)
    -- What is printed then shows the conflict, in jj's way.
    on:type_in(checkout, err.commands)
    t.match(jj(checkout, "log", "--no-graph", "-r", "conflicts()", "-T", "change_id"), "%a")
  end)

  it("in which @ holds a conflict is refused, and what is printed shows it", function()
    local checkout = on:jj_checkout(true)
    t.write(checkout .. "/a.txt", lines(40, { [3] = "mine 3" }))
    jj(checkout, "commit", "-m", "left")
    jj(checkout, "new", on.base)
    t.write(checkout .. "/a.txt", lines(40, { [3] = "other 3" }))
    jj(checkout, "rebase", "-s", "@", "-d", "description(substring:left)")
    local plan = adoption.prepare(id, checkout)
    t.match(plan.refusal.reason, "holds a conflict")
    on:type_in(checkout, adoption.printed(plan, "To go on by hand:"))
  end)

  it("that cannot be put back says so, and the printed recipe brings everything back", function()
    local checkout = on:jj_checkout(true)
    own(checkout)
    t.write(checkout .. "/b.txt", lines(20, { [1] = "wip" }))
    local plan = adoption.prepare(id, checkout)
    local before = everything(checkout)
    -- The developer's editor saves half a setting in the middle of it: no jj command works from then on.
    t.run({ "jj", "config", "set", "--repo", "ui.color", "never" }, { cwd = checkout })
    local config = vim.trim(t.run({ "jj", "config", "path", "--repo" }, { cwd = checkout }))
    local good = t.read(config)
    local ref = checkout .. "/.git/refs/remotes/suggestions/" .. store.get(id).result.ref
    local watch = assert(vim.uv.new_timer())
    watch:start(0, 1, function()
      if vim.uv.fs_stat(ref) then
        watch:close()
        local file = assert(io.open(config, "ab"))
        file:write("\n[half")
        file:close()
      end
    end)
    local err = adoption.execute(plan)
    t.ok(err, "it went through")
    t.match(err.message, "could not be put back")
    t.write(config, good)
    on:type_in(checkout, err.commands)
    t.eq(everything(checkout), before)
  end)

  it("merges own commits that are on a remote already", function()
    local checkout = on:jj_checkout(true)
    own(checkout)
    on:sh(checkout, "jj git remote add origin https://example.org/x.git")
    on:sh(checkout, "git update-ref refs/remotes/origin/main $(jj log --no-graph -r @- -T commit_id)")
    local plan = adoption.prepare(id, checkout)
    t.match(adoption.text(plan), "on a remote already")
    adopt(plan)
    t.match(descriptions(checkout), "^Merge %x+\n")
  end)
end)

describe("a Neovim that is killed while it adopts", function()
  --- Carries the plan out in a Neovim of its own and kills that after `ms`.
  ---@return boolean finished
  local function killed(plan, ms)
    local file = t.tempdir() .. "/plan"
    t.write(file, vim.mpack.encode(plan))
    local script = t.root .. "/nvim/tests/fixtures/adopt_plan.lua"
    local process =
      t.spawn({ vim.v.progpath, "--clean", "--headless", "-l", script, t.root .. "/nvim", file })
    t.wait(function()
      return process.out:find("begun", 1, true)
    end)
    vim.wait(ms, function()
      return process.code ~= nil
    end, 1)
    process:kill("sigkill")
    t.wait(function()
      return process.code
    end)
    return process.out:find("done", 1, true) ~= nil
  end

  --- Waits for the program that the killed one had started, which goes on to its end.
  local function calm(checkout)
    t.wait(function()
      return not vim.uv.fs_stat(checkout .. "/.git/index.lock")
        and not vim.uv.fs_stat(checkout .. "/.git/HEAD.lock")
    end)
  end

  local function worked_in(checkout)
    on:sh(checkout, OWN)
    accepted_in_worktree(checkout)
    on:sh(checkout, "sed -i 's/^line 9$/mine 9/' b.txt; echo mine > untracked; echo staged > s; git add s")
  end

  it("leaves a git checkout in which adopting again does what one alone would have done", function()
    local undisturbed = on:git_checkout()
    worked_in(undisturbed)
    local undisturbed_plan = adoption.prepare(id, undisturbed)
    local begun = vim.uv.hrtime()
    adopt(undisturbed_plan)
    -- The kills are spread over the time that one takes.
    local whole = (vim.uv.hrtime() - begun) / 1e6
    local in_between = 0
    for round = 0, 11 do
      local checkout = on:git_checkout()
      worked_in(checkout)
      -- Something for the plan to write, delete and make executable.
      on:sh(checkout, round % 2 == 0 and "git checkout -q a.txt gone.txt; rm -r dir" or "true")
      local finished = killed(adoption.prepare(id, checkout), math.floor(whole * 1.2 * round / 11))
      calm(checkout)
      local plan = adoption.prepare(id, checkout)
      in_between = in_between + (not finished and not plan.done and 1 or 0)
      if not plan.done then
        adopt(plan)
      end
      local left, right = on:snapshot(undisturbed), on:snapshot(checkout)
      t.eq(right.files, left.files, "round " .. round)
      t.eq(right.index, left.index, "round " .. round)
      t.eq(status(checkout), status(undisturbed))
      t.eq(log(checkout), log(undisturbed))
    end
    t.ok(in_between > 0, "each was over before it was killed")
  end)

  it("leaves a jj checkout in which adopting again does what one alone would have done", function()
    for round = 0, 5 do
      local checkout = on:jj_checkout(round % 2 == 0)
      t.write(checkout .. "/b.txt", lines(20, { [1] = "wip" }))
      killed(adoption.prepare(id, checkout), round * 25)
      local plan
      t.wait(function()
        plan = adoption.prepare(id, checkout)
        return plan
      end)
      if not plan.done then
        adopt(plan)
      end
      local env = { cwd = checkout, env = server.environment }
      t.eq(t.run({ "jj", "diff", "--summary", "--color=never" }, env), "M b.txt\n")
      t.eq(t.read(checkout .. "/b.txt"), lines(20, { [1] = "wip" }))
      t.eq(
        t.run({ "jj", "log", "--no-graph", "-r", "conflicts() | divergent()", "-T", "change_id" }, env),
        ""
      )
    end
  end)
end)

describe("C9: an own commit that is written anew", function()
  it("keeps its author, encoding, message and other headers, and no signature", function()
    local raw = "tree 1\nparent 2\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\nencoding latin1\n"
      .. "gpgsig x\n y\n z\nchange-id k\nmergetag object 1\n type commit\n\ncaf\233\n\nparent of nothing\n"
    t.eq(
      own_commits.rewritten(raw, "T", "P", "D <d> 3 +0000"),
      "tree T\nparent P\nauthor A <a> 1 +0000\ncommitter D <d> 3 +0000\nencoding latin1\nchange-id k\n\n"
        .. "caf\233\n\nparent of nothing\n"
    )
  end)
end)

describe("C9: what is remembered", function()
  it("of a verified commit goes once it is adopted", function()
    local checkout = on:git_checkout()
    local plan = adoption.prepare(id, checkout)
    t.match(on:sh(checkout, "git for-each-ref refs/suggestion-review"), commit)
    adopt(plan)
    t.eq(on:sh(checkout, "git for-each-ref refs/suggestion-review"), "")
    t.ok(adoption.prepare(id, checkout).done)
    t.eq(store.get(id).result.commit, commit)
  end)
end)
