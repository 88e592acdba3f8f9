-- luacheck: read globals t describe it before_each after_each pending
--- One door for git and jj: whatever variables Neovim was started with, they see the repository they are run in.

local program = require("suggestion-review.lib.program")

--- Each of these alone makes some git command look elsewhere.
local FOREIGN = {
  GIT_DIR = "/nonexistent/repository",
  GIT_WORK_TREE = "/nonexistent/tree",
  GIT_INDEX_FILE = "/nonexistent/index",
  GIT_OBJECT_DIRECTORY = "/nonexistent/objects",
  GIT_COMMON_DIR = "/nonexistent/common",
  GIT_NAMESPACE = "other",
  GIT_CONFIG_COUNT = "1",
  GIT_CONFIG_KEY_0 = "core.bare",
  GIT_CONFIG_VALUE_0 = "nonsense",
  GIT_CONFIG_PARAMETERS = "'core.bare'='nonsense'",
  GIT_TRACE = "2",
}

local function poison()
  for name, value in pairs(FOREIGN) do
    vim.env[name] = value
  end
end

local function heal()
  for name in pairs(FOREIGN) do
    vim.env[name] = nil
  end
end

--- A repository with one commit of a.txt.
---@return string root
---@return string commit
local function repository()
  heal()
  local root = vim.uv.fs_realpath(t.tempdir())
  local function git(...)
    return vim.trim(t.run({
      t.program("git"),
      "-c",
      "user.name=D",
      "-c",
      "user.email=d@example.org",
      ...,
    }, { cwd = root }))
  end
  git("init", "--quiet")
  t.write(root .. "/a.txt", "one\n")
  git("add", "--all")
  git("commit", "--quiet", "--message=base")
  return root, git("rev-parse", "HEAD")
end

describe("git and jj", function()
  after_each(heal)

  it("B7: see neither another repository nor settings of another call, and keep who commits", function()
    poison()
    vim.env.GIT_AUTHOR_NAME, vim.env.GIT_SSH_COMMAND = "Ann", "ssh -x"
    local env = program.environment({ GIT_OPTIONAL_LOCKS = "0" })
    vim.env.GIT_AUTHOR_NAME, vim.env.GIT_SSH_COMMAND = nil, nil
    for name in pairs(FOREIGN) do
      t.eq(env[name], nil, name)
    end
    t.eq({ env.GIT_AUTHOR_NAME, env.GIT_SSH_COMMAND }, { "Ann", "ssh -x" })
    t.eq({ env.GIT_OPTIONAL_LOCKS, env.GIT_TERMINAL_PROMPT }, { "0", "0" })
    t.eq(env.PATH, vim.env.PATH)
  end)

  it("B7: the base of a hunk comes from the developer's repository with GIT_DIR and the like set", function()
    local root, commit = repository()
    poison()
    local base_of = require("suggestion-review.model.base_text")
    base_of.reset()
    -- The server is not asked: there is none.
    require("suggestion-review.model.store").content = function(_, _, _, callback)
      callback({ code = "local", message = "the server was asked" })
    end
    local base, reason = t.await(function(done)
      base_of.get(
        { id = "s", base_commit = commit },
        { file = "a.txt", old_file = "a.txt", kind = "text" },
        root,
        done
      )
    end)
    t.eq(reason, nil)
    t.eq({ base.bytes, base.source }, { "one\n", "git" })
  end)

  it("B7: what adopt asks of git and content's object ids are right with GIT_DIR and the like set", function()
    local root, commit = repository()
    poison()
    local git = require("suggestion-review.worktree.git")
    local task = require("suggestion-review.lib.task")
    local err, line = t.await(function(done)
      task.run(function()
        return git.line({ "rev-parse", "HEAD" }, { cwd = root })
      end, done)
    end)
    t.eq(err, nil)
    t.eq(line, commit)
    local result = program.wait(
      { "git", "-C", root, "hash-object", "-t", "blob", "--stdin" },
      { stdin = "one\n" }
    )
    t.eq({ result.code, vim.trim(result.stdout) }, { 0, "5626abf0f72e58d7a153368ba57db4c673c0e171" })
    local missing = program.wait({ "no-such-program-of-anybody" }, {})
    t.eq(missing.code, -1)
  end)

  it("B7: no other file of the client starts a program", function()
    local starting, seen = {}, 0
    for _, folder in ipairs({ "lua", "plugin", "after" }) do
      for name, kind in vim.fs.dir(t.root .. "/nvim/" .. folder, { depth = 10 }) do
        if kind == "file" and name:sub(-4) == ".lua" then
          seen = seen + 1
          local text = t.read(t.root .. "/nvim/" .. folder .. "/" .. name) --[[@as string]]
          for _, call in ipairs({
            "vim%s*%.system",
            "jobstart",
            "fn%.system",
            "io%.popen",
            "os%.execute",
            "uv%.spawn",
            "vim%.cmd%(?[\"'%[]+!",
          }) do -- stylua: ignore
            if text:find(call) then
              starting[folder .. "/" .. name] = true
            end
          end
        end
      end
    end
    t.ok(seen > 60, tostring(seen))
    t.eq(starting, { ["lua/suggestion-review/lib/program.lua"] = true })
  end)
end)
