-- luacheck: read globals t describe it before_each after_each pending
--- Adopting what was put on top of a shared branch that had moved. It moves that branch for good, and so has a server
--- of its own.

local real = require("real")
if not real.available() then
  pending("adopt rebased", "the server's programs are not provisioned")
  return
end

local adoption = require("adoption")
local store = require("suggestion-review.model.store")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

describe("verification after a rebase", function()
  it("holds when the shared branch has moved and the work was put on top", function()
    local lines = adoption.lines
    local server = real.start({ ["a.txt"] = lines(40), ["b.txt"] = lines(20) })
    server:connect()
    local on = adoption.on(server)
    local id = on:publish({ ["a.txt"] = lines(40, { [3] = "LINE 3", [20] = "LINE 20", [38] = "LINE 38" }) })
    on:decide(id, 1, "accept")
    local other = on:git_checkout()
    t.write(other .. "/b.txt", lines(20, { [1] = "someone else" }))
    on:sh(other, "git commit -qam 'someone else'")
    t.run({ "git", "push", "--quiet", "agent", "HEAD:main" }, { cwd = other, env = on:with_token() })
    local commit = on:finalize(id)
    local new_base = store.get(id).result.base_commit
    t.ok(new_base ~= on.base, "it was not rebased")
    -- That commit came to the hub behind this clone's back: only a branch of one's own vouches for it.
    local behind = on:git_checkout()
    t.eq(adoption.prepare(id, behind).verdict.ok, false)
    t.run({ "git", "branch", "mine", new_base }, { cwd = behind })
    local plan = adoption.prepare(id, behind)
    t.ok(plan.verdict.ok, adoption.text(plan))
    t.match(adoption.text(plan), "someone else")
    t.eq(adoption.execute(plan), nil)
    t.match(on:snapshot(behind).head, commit)
    -- A checkout that has the newer commit takes it.
    local plan2 = adoption.prepare(id, other)
    t.eq(plan2.refusal, nil)
    t.eq(adoption.execute(plan2), nil)
    t.match(on:snapshot(other).head, commit)
    server:stop("sigkill")
  end)
end)
