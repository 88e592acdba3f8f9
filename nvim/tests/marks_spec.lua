-- luacheck: read globals t describe it before_each after_each pending
--- What is marked in a hunk, and what is never touched: links, reserved names, files that run by themselves.

local apply = require("suggestion-review.apply")
local applied = require("suggestion-review.apply.applied")
local build = require("suggestion")
local digest = require("suggestion-review.text.digest")
local links = require("suggestion-review.worktree.links")
local marks = require("suggestion-review.apply.marks")
local runs = require("suggestion-review.text.runs")
local worktree = require("suggestion-review.worktree.paths")

local function temporary_root()
  local root = vim.uv.fs_realpath(t.tempdir()) --[[@as string]]
  vim.fn.mkdir(root .. "/.git", "p")
  vim.fn.mkdir(root .. "/sub/deep", "p")
  return root
end

--- A hunk that makes a symbolic link, as the server tells it.
local function link_hunk(path, target, fields)
  local oid = digest.blob_id(target, 40)
  local hunk = build.hunk("s", path, 0, "create", {
    encoding = "binary",
    diff = "Creates symbolic link " .. path .. "\n",
    new_mode = "120000",
    before = {},
    after = { { file = path, mode = "120000", oid = oid, size = #target, target = target } },
  })
  return vim.tbl_extend("force", hunk, fields or {})
end

local function place_of(root, hunks)
  local suggestion = build.build({}, {})
  suggestion.hunks = hunks
  return { suggestion = suggestion, root = root, in_place = false, applied = applied.open(root) }
end

local function texts(list)
  return vim.tbl_map(function(mark)
    return mark.text
  end, list)
end

describe("where a link leads", function()
  it("B2: is walked step by step through the links that are there, not by its text", function()
    local root = temporary_root()
    vim.uv.fs_symlink(".", root .. "/up")
    vim.uv.fs_symlink("sub/deep", root .. "/down")
    vim.uv.fs_symlink("/", root .. "/far")
    vim.uv.fs_symlink("loop", root .. "/loop")
    for _, case in ipairs({
      { "x", "sub/file", "inside" },
      { "sub/x", "../a", "inside" },
      { "x", "not/there/../yet", "inside" },
      { "x", "down/../file", "inside" },
      { "x", "/etc/passwd", "outside" },
      { "x", root .. "/sub", "outside" },
      { "x", "../OUT", "outside" },
      { "sub/x", "../../OUT", "outside" },
      { "x", "up/../OUT", "outside" },
      { "x", "up/up/../OUT", "outside" },
      { "x", "down/../../../OUT", "outside" },
      { "x", "far/etc", "outside" },
      { "x", "loop/file", "outside" },
      { "x", ".git/config", "repository" },
      { "x", "sub/../.git/hooks", "repository" },
      { "x", "up/.git", "repository" },
      { "x", ".GIT/config", "repository" },
      { "x", ".git./config", "repository" },
      { "x", "GIT~1/config", "repository" },
      { "x", ".g\226\128\140it/config", "repository" },
      { "x", ".git::$INDEX_ALLOCATION/config", "repository" },
      { "x", "sub\\.git\\config", "repository" },
      { "x", ".jj/repo", "repository" },
    }) do
      t.eq({ case[2], links.leads(root, case[1], case[2]) }, { case[2], case[3] })
    end
  end)

  it("B2: counts links that an earlier hunk of the same suggestion makes", function()
    local root = temporary_root()
    local hunks = { link_hunk("up", "."), link_hunk("evil", "up/../OUT"), link_hunk("fine", "sub/file") }
    local place = place_of(root, hunks)
    t.eq(texts(marks.of(place, hunks[1])), {})
    t.eq(texts(marks.of(place, hunks[3])), {})
    local found = marks.of(place, hunks[2])
    t.eq(texts(found), { "it leads out of the worktree: evil -> up/../OUT" })
    t.ok(marks.asks(found))
    -- On a file system without case, UP is up.
    t.eq(#marks.of(place, link_hunk("other", "UP/../OUT")), 1)
  end)

  it("B2: decides what is made: harmless links at once, others only when adopted", function()
    local root = temporary_root()
    vim.uv.fs_symlink(".", root .. "/up")
    t.run({ t.program("git"), "init", "--quiet", root })
    local store = require("suggestion-review.model.store")
    local content = store.content
    t.defer(function()
      store.content = content
    end)
    for path, case in pairs({
      fine = { "sub/file", "clean" },
      conf = { ".git/config", "deferred" },
      evil = { "up/../OUT", "deferred" },
      away = { "/etc/passwd", "deferred" },
    }) do
      store.content = function(_, _, side, callback)
        callback(
          nil,
          { exists = side == "proposed", mode = "120000", bytes = side == "proposed" and case[1] or "" }
        )
      end
      local hunk = link_hunk(path, case[1])
      local plans, items = t.await(function(done)
        apply.plan(place_of(root, { hunk }), { { hunk = hunk, state = "accepted" } }, done)
      end)
      apply.run(plans)
      t.eq({ path, items[1].status }, { path, case[2] }, items[1].reason)
      t.eq(vim.uv.fs_readlink(root .. "/" .. path), case[2] == "clean" and case[1] or nil)
    end
  end)

  it("B2: a target that is not the named object's is no hunk that can be decided", function()
    local honest = link_hunk("x", "sub/file")
    t.ok(digest.fits(honest))
    local lying = link_hunk("x", "/etc/passwd")
    lying.after[1].target = "sub/file"
    t.ok(not digest.fits(lying))
    local other = link_hunk("x", "sub/file")
    other.after[1].file = "y"
    t.ok(not digest.fits(other))
  end)

  it("B2: a file planned before a link came on its way is not written through it", function()
    local root = temporary_root()
    local outside = t.tempdir()
    local suggestion = build.build({}, { ["new/a.txt"] = "text\n" })
    local place = { suggestion = suggestion, root = root, in_place = false, applied = applied.open(root) }
    local plans = t.await(function(done)
      apply.plan(place, { { hunk = suggestion.hunks[1], state = "accepted" } }, done)
    end)
    vim.uv.fs_symlink(outside, root .. "/new")
    local problems = apply.run(plans)
    t.match(problems[1].reason, "symbolic link")
    t.eq(vim.fn.readdir(outside), {})
  end)

  it("B2: names that are a repository's own data on some file system are refused", function()
    for _, part in ipairs({
      ".git",
      ".Git",
      ".git.",
      ".git ",
      ".git. .",
      "git~1",
      "GIT~2",
      ".git:stream",
      ".git::$INDEX_ALLOCATION",
      ".g\226\128\142it",
      "\239\187\191.git",
      ".gi\226\129\170t",
      ".jj",
      ".JJ",
      "jj~1",
      "a\\.git",
      ".git\\x",
    }) do -- stylua: ignore
      t.ok(worktree.is_reserved(part), part)
    end
    for _, part in ipairs({ ".github", ".gitignore", "git", "a.git", ".gita", "git~", "x~1", "a\\b", "a:b" }) do
      t.ok(not worktree.is_reserved(part), part)
    end
    local root = temporary_root()
    for _, path in ipairs({ "a\\.git\\hooks\\x", ".git::$DATA", "sub/.GIT /config", "..", "sub/. ./x" }) do
      t.ok(not worktree.resolve(root, path), path)
    end
  end)
end)

describe("files that run by themselves", function()
  it("B6: are known by path", function()
    for _, path in ipairs({
      ".exrc",
      "sub/.exrc",
      ".nvim.lua",
      ".nvimrc",
      ".vimrc",
      ".editorconfig",
      ".envrc",
      "mise.toml",
      ".mise.local.toml",
      ".tool-versions",
      "Makefile",
      "lib/GNUmakefile",
      "package.json",
      "web/package.json",
      ".husky/pre-commit",
      ".githooks/post-checkout",
      "hooks/pre-push",
      ".github/workflows/ci.yml",
      ".gitlab-ci.yml",
      "Jenkinsfile",
      ".circleci/config.yml",
      ".vscode/tasks.json",
      "app/.vscode/settings.json",
      ".gitattributes",
      "sub/.gitattributes",
      ".gitmodules",
      ".lfsconfig",
      ".opencode/plugins/x.js",
      "opencode.json",
      "opencode.jsonc",
      "AGENTS.md",
      "docs/AGENTS.md",
      "CLAUDE.md",
      "CLAUDE.local.md",
      "GEMINI.md",
      ".mcp.json",
      ".claude/settings.json",
      ".cursorrules",
      ".github/copilot-instructions.md",
      "build.rs",
      "setup.py",
      "tests/conftest.py",
      "pyproject.toml",
      ".cargo/config.toml",
      "vite.config.ts",
      ".eslintrc.cjs",
      ".npmrc",
      "Dockerfile",
      "CMakeLists.txt",
      "gradlew",
      "build.gradle.kts",
      ".pre-commit-config.yaml",
      "justfile",
      "flake.nix",
      ".devcontainer/devcontainer.json",
    }) do -- stylua: ignore
      t.ok(#runs.reasons({ path = path, mode = "100644" }) > 0, path)
    end
  end)

  it("B6: are not the files that programs only read when they are asked to", function()
    for _, path in ipairs({
      "src/app.ts",
      "README.md",
      "lua/app.lua",
      "makefile.txt",
      "docs/package.json.md",
      "env/readme",
      "src/config.ts",
      "test/setup.pyc.txt",
      "agents/list.ts",
      "src/hooks/useState.ts",
      ".gitignore",
      "data.json",
      "vscode/tasks.json",
      "src/mise.ts",
      "src/compose.ts",
      "src/build.rs.md",
      "claude/notes.txt",
    }) do -- stylua: ignore
      t.eq({ path, runs.reasons({ path = path, mode = "100644" }) }, { path, {} })
    end
  end)

  it("B6: are known by content and mode where those decide", function()
    local function reasons(query)
      return #runs.reasons(query)
    end
    t.eq(reasons({ path = "run", mode = "100755" }), 1)
    t.eq(reasons({ path = "run", mode = "100755", old_mode = "100755" }), 0)
    t.eq(reasons({ path = "package.json", added = '{ "name": "x" }', whole = true }), 0)
    t.eq(reasons({ path = "package.json", added = '{ "scripts": {} }', whole = true }), 1)
    t.eq(reasons({ path = "package.json", added = '  "name": "x"' }), 1)
    t.eq(reasons({ path = "a.txt", added = "# vim: set foldexpr=evil() :\n" }), 1)
    t.eq(reasons({ path = "a.txt", added = "I like vim: it is an editor" }), 1)
    t.eq(reasons({ path = "a.txt", added = "vi is short for visual" }), 0)
  end)

  it("B6: a mark says why, and is no refusal: such a file is applied like any other", function()
    local root = temporary_root()
    local suggestion = build.build({}, { Makefile = "all:\n\ttrue\n" })
    local place = { suggestion = suggestion, root = root, in_place = false, applied = applied.open(root) }
    local hunk = suggestion.hunks[1]
    local found = marks.of(place, hunk)
    t.eq(texts(found), { "make runs it" })
    t.ok(not marks.asks(found))
    local plans = t.await(function(done)
      apply.plan(place, { { hunk = hunk, state = "accepted" } }, done)
    end)
    t.eq(apply.run(plans), {})
    t.eq(t.read(root .. "/Makefile"), "all:\n\ttrue\n")
  end)
end)

describe("hunks without lines", function()
  it("B8: say object ids and sizes, in the digest that is decided on", function()
    local old, new = digest.blob_id("\0one", 40), digest.blob_id("\0two!", 40)
    local hunk = build.hunk("s", "a.bin", 0, "binary", {
      encoding = "binary",
      diff = "Changes binary file a.bin\n",
      before = { { file = "a.bin", mode = "100644", oid = old, size = 4 } },
      after = { { file = "a.bin", mode = "100644", oid = new, size = 1234567 } },
    })
    t.eq(hunk.digest, digest.compute("binary", "a.bin", "100644 " .. old, "100644 " .. new))
    t.eq(require("suggestion-review.text.sides").lines(hunk), {
      "before: file, 4 bytes, object " .. old:sub(1, 16),
      "after:  file, 1,234,567 bytes, object " .. new:sub(1, 16),
    })
    hunk.after[1].oid = old
    t.ok(not digest.fits(hunk))
  end)
end)
