-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: no max line length
--- A user's Neovim against the real server: notifications, autocommands, statusline, health, adopting by keys.

local real = require("real")
if not real.available() then
  pending("live", "the server's programs are not provisioned")
  return
end
local child = require("child")

local server = real.start({ ["a.txt"] = "one\ntwo\nthree\n", ["b.txt"] = "b\n" })

---@param extra? string
local function settings(extra)
  return ([[
    vim.g.mapleader = " "
    notices, fired = {}, {}
    vim.notify = function(message, level) table.insert(notices, { message, level }) end
    vim.g.suggestion_review = {
      server = { name = "real", host = "127.0.0.1", port = %d, token_file = %q },
      %s
    }
    vim.api.nvim_create_autocmd("User", {
      pattern = "Suggestion*",
      callback = function(args) table.insert(fired, { args.match, args.data.event and args.data.event.type or "" }) end,
    })
  ]]):format(server.port, server.token_file, extra or "")
end

local function start(extra, opts)
  opts = opts or {}
  return child.start(vim.tbl_extend("force", {
    ui = true,
    cwd = server.checkout,
    init = settings(extra),
    env = { GIT_CONFIG_NOSYSTEM = "1", JJ_USER = "Dev", JJ_EMAIL = "dev@example.org" },
  }, opts))
end

local CONNECTED = "require('suggestion-review.connection.client').state().state == 'connected'"

--- Waits for a notification.
local function notice(one, pattern)
  return one:wait(
    ([[(function() for _, n in ipairs(notices) do if n[1]:find(%q) then return n[1] end end end)()]]):format(
      pattern
    )
  )
end
local function fired(one, pattern)
  return one:wait(
    ([[(function() for _, n in ipairs(fired) do if n[1] == %q then return true end end end)()]]):format(
      pattern
    )
  )
end

describe("a Neovim that starts with a token", function()
  it("connects by itself and tells of a suggestion", function()
    local one = start()
    one:wait(CONNECTED)
    one:cmd("set columns=120")
    local id =
      server:publish({ ["a.txt"] = "CAPITALS\n", ["b.txt"] = "CAPITALS\n" }, "Capital letters", "new")
    t.match(
      notice(one, "^Suggestion ready"),
      "Capital letters %(2 hunks in 2 files%) — <Space>sr to review$"
    )
    fired(one, "SuggestionReady")
    t.eq(one:get("require('suggestion-review').statusline()"), "1 suggestion, 2 hunks to decide")
    one:cmd("Suggest status")
    t.match(notice(one, "Connected to real"), "Capital letters: 0 of 2 decided")
    server:http("POST", "/status", { message = "Running tests…", status = "testing" })
    fired(one, "SuggestionStatus")
    server:http("POST", "/complete", { suggestion_id = id, action = "discard" })
    fired(one, "SuggestionCompleted")
    t.eq(one:get("require('suggestion-review').statusline()"), "")
    one:stop()
  end)

  it("tells what the cage refused, several things as one, and keeps the count", function()
    local one = start()
    one:wait(CONNECTED)
    local function refused(...)
      local refusals = {}
      for i, one_of in ipairs({ ... }) do
        local target, command = one_of, nil
        if type(one_of) == "table" then
          target, command = one_of[1], one_of[2]
        end
        refusals[i] = {
          kind = "network",
          target = target,
          reason = "not on the list",
          program = "curl/8",
          command = command,
          count = 2,
        }
      end
      local _, status = server:http("POST", "/sandbox/refusals", { refusals = refusals })
      t.eq(status, 200)
    end
    refused("one.example:443")
    t.eq(
      notice(one, "^The cage refused one"),
      "The cage refused one.example:443 to curl/8 (not on the list); npm run sandbox -- allow one.example:443"
    )
    fired(one, "SuggestionSandboxRefused")
    refused("two.example:443", "three.example:443", "four.example:443", "five.example:443")
    t.eq(
      notice(one, "^The cage refused 4"),
      "The cage refused 4 things: two.example:443, three.example:443, four.example:443 …; :Suggest status"
    )
    one:cmd("Suggest status")
    t.match(notice(one, "Connected to real"), "The cage refused 10, five.example:443 last")
    local _, stopped = server:http("POST", "/sandbox/refusals", {
      refusals = {
        {
          kind = "disk",
          target = "/agent",
          reason = "less than 2 GiB is free",
          command = "make all",
          count = 1,
        },
      },
    })
    t.eq(stopped, 200)
    t.eq(
      notice(one, "^The cage stopped"),
      "The cage stopped “make all”: less than 2 GiB is free (/agent)"
    )
    refused({ "six.example:443", "curl \27[2J\u{202e}https://six.example\n" .. ("x"):rep(2000) })
    local told = notice(one, "^The cage refused six")
    t.match(told, "to curl/8 in “curl %[2J https://six%.example x+…” %(not on the list%)")
    t.ok(#told < 700)
    one:cmd("Suggest status")
    t.match(
      notice(one, "The cage refused 13"),
      "six.example:443 last in “curl %[2J https://six%.example x+…”"
    )
    one:stop()
  end)

  it("tells what of files and system calls the cage refused, who tried, and how many there were", function()
    local one = start()
    one:wait(CONNECTED)
    local function refused(refusal)
      refusal.count = refusal.count or 1
      local _, status = server:http("POST", "/sandbox/refusals", { refusals = { refusal } })
      t.eq(status, 200)
    end
    refused({
      kind = "file",
      target = "opencode.json",
      reason = "opencode itself would load it",
      program = "write",
      command = "write opencode.json",
    })
    t.eq(
      notice(one, "opencode%.json"),
      "The cage refused the file opencode.json to opencode's write (opencode itself would load it)"
    )
    refused({
      kind = "file",
      target = "/home/dev/\u{202e}key\7",
      reason = "outside of the repository",
      program = "bash",
      command = "cat /home/dev/key",
    })
    t.eq(
      notice(one, "/home/dev"),
      "The cage refused the file /home/dev/<202e>key<07> to bash in “cat /home/dev/key” (outside of the repository)"
    )
    refused({
      kind = "system_call",
      target = "ptrace",
      reason = "the cage has none",
      program = "gdb",
      count = 3,
    })
    t.eq(notice(one, "ptrace"), "The cage refused the system call ptrace to gdb (the cage has none)")
    refused({ kind = "disk", target = "/work", reason = "more than its share" })
    t.eq(notice(one, "its share"), "The cage stopped the agent's commands: more than its share (/work)")
    one:cmd("Suggest status")
    t.match(
      notice(one, "Connected to real"),
      "The cage refused %d+ %(.*2 files, 3 system calls, 1 stop for want of disk%), /work last"
    )
    one:stop()
  end)

  it("tells what was waiting before it came", function()
    local id = server:publish({ ["a.txt"] = "one\nzwei\nthree\n" }, "Waiting", "new")
    local one = start()
    notice(one, "^Suggestion ready: Waiting %(1 hunk in 1 file%)")
    server:http("POST", "/complete", { suggestion_id = id, action = "discard" })
    one:stop()
  end)

  it("says nothing where the settings say so, but fires the autocommands", function()
    local one = start("notifications = { on_ready = false, on_error = false, on_status = true }")
    one:wait(CONNECTED)
    local id = server:publish({ ["a.txt"] = "one\nquiet\nthree\n" }, "Quiet", "new")
    fired(one, "SuggestionReady")
    server:http("POST", "/status", { message = "Loud status" })
    notice(one, "Loud status")
    t.eq(
      one:get(
        [[(function() for _, n in ipairs(notices) do if n[1]:find("ready") then return true end end return false end)()]]
      ),
      false
    )
    server:http("POST", "/complete", { suggestion_id = id, action = "discard" })
    one:stop()
  end)

  it("does not connect when told not to", function()
    local one = start("auto_connect = false")
    one:started()
    t.eq(one:get("package.loaded['suggestion-review.connection.client'] == nil"), true)
    one:cmd("Suggest connect")
    one:wait(CONNECTED)
    one:cmd("Suggest disconnect")
    t.eq(one:get("require('suggestion-review.connection.client').state().state"), "stopped")
    one:stop()
  end)

  it("leaves without waiting for the server", function()
    local one = start()
    one:wait(CONNECTED)
    local started = vim.uv.hrtime()
    pcall(vim.rpcrequest, one.channel, "nvim_command", "qall!")
    vim.fn.jobwait({ one.job }, 5000)
    t.ok((vim.uv.hrtime() - started) / 1e6 < 1500)
  end)
end)

--- The plan of an adoption is shown, and its keys count.
local PLAN =
  "vim.bo.filetype == 'suggestion-plan' and vim.inspect(vim.api.nvim_win_get_config(0).footer):find('do it', 1, true) ~= nil"

describe("the whole way by keys", function()
  it("reviews, finalizes, verifies and adopts", function()
    local id = server:publish({ ["a.txt"] = "one\nTWO\nthree\nfour\n", ["b.txt"] = "B\n" }, "By keys", "new")
    local one = start("adopt_on_finalize = 'ask',")
    one:wait(CONNECTED)
    notice(one, "^Suggestion ready: By keys")
    one:type(" sr")
    one:wait("require('suggestion-review.review').is_open()")
    one:wait(("require('suggestion-review.model.store').hunks(%q) ~= nil"):format(id))
    one:type("a")
    one:wait(("require('suggestion-review.model.store').get(%q).accepted_count == 1"):format(id))
    local accepted = one:get(("require('suggestion-review.model.store').hunks(%q)[1].file"):format(id))
    t.wait(function()
      return t.read(server.checkout .. "/" .. accepted)
        ~= (accepted == "a.txt" and "one\ntwo\nthree\n" or "b\n")
    end, 15000, "the accepted hunk in the file")
    one:lua("require('suggestion-review.decisions.requests').complete(..., 'finalize')", id)
    one:wait(PLAN, 15000)
    t.match(one:get("table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')"), "Verified yes")
    -- A plan that comes while one writes something else takes none of those keys.
    local head = server:git("checkout", "rev-parse", "HEAD")
    one:type("q:Suggest adopt " .. id .. "<CR>:enew<CR>iyes<CR>y<Esc>")
    notice(one, "^The plan to adopt %x+ is made; :Suggest adopt shows it")
    t.eq(one:get("vim.api.nvim_buf_get_lines(0, 0, -1, false)"), { "yes", "y" })
    t.eq(server:git("checkout", "rev-parse", "HEAD"), head)
    one:type(":Suggest adopt<CR>")
    one:wait(PLAN, 15000)
    one:type("<CR>")
    local commit = one:get(("require('suggestion-review.model.store').get(%q).result.commit"):format(id))
    t.wait(function()
      return vim.trim(server:git("checkout", "rev-parse", "HEAD")) == commit
    end, 15000, "HEAD to move")
    t.eq(server:git("checkout", "status", "--porcelain"), "")
    notice(one, "now on " .. commit:sub(1, 12))
    fired(one, "SuggestionAdopted")
    one:stop()
  end)
end)

describe(":checkhealth", function()
  local function report(one)
    one:cmd("checkhealth suggestion-review")
    return one:get("table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')")
  end

  it("finds nothing wrong where nothing is", function()
    local one = start()
    one:wait(CONNECTED)
    local text = report(one)
    t.eq(text:find("ERROR", 1, true), nil, text)
    t.match(text, "has proven that it knows the token")
    t.match(text, "Connected")
    t.match(text, "suggestion%-manager %d")
    one:stop()
  end)

  it("finds a server that is not there", function()
    local one = start("auto_connect = false, server = { port = 1, host = '127.0.0.1' }")
    t.match(report(one), "No server at 127.0.0.1:1: nothing listens there")
    one:stop()
  end)

  it("finds a wrong token, which it does not send", function()
    local file = t.tempdir() .. "/token"
    t.write(file, "smd_wrong")
    vim.uv.fs_chmod(file, 384)
    local one = start(
      ("auto_connect = false, server = { port = %d, host = '127.0.0.1', token_file = %q }"):format(
        server.port,
        file
      )
    )
    t.match(report(one), "does not know this token, so it was not sent")
    one:stop()
  end)

  it("finds a missing token, a token others can read, and the agent's token", function()
    local one = start("auto_connect = false, server = { token_file = '/none' }")
    t.match(report(one), "there is no token file /none")
    one:stop()
    local file = t.tempdir() .. "/token"
    t.write(file, t.read(server.state .. "/agent-token"))
    vim.uv.fs_chmod(file, 420)
    one = start(
      ("auto_connect = false, server = { port = %d, host = '127.0.0.1', token_file = %q }"):format(
        server.port,
        file
      )
    )
    local text = report(one)
    t.match(text, "can be read by others")
    t.match(text, "agent's token")
    one:stop()
  end)

  it("finds a stranger on the port", function()
    local stranger = t.spawn({
      "node",
      "-e",
      [[
      require("http").createServer((q, r) => r.end("hello")).listen(0, "127.0.0.1", function () { console.log(this.address().port) })
    ]],
    })
    local port = t.wait(function()
      return tonumber(stranger.out:match("%d+"))
    end)
    local one = start(("auto_connect = false, server = { port = %d, host = '127.0.0.1' }"):format(port))
    t.match(report(one), "Something else listens")
    one:stop()
  end)

  it("finds a checkout that has nothing to do with the suggestion", function()
    local id = server:publish({ ["a.txt"] = "one\nelse\nthree\n" }, "Elsewhere", "new")
    local other = t.tempdir()
    t.run({ "git", "init", "-q", other })
    local one = start(nil, { cwd = other })
    one:wait(CONNECTED)
    one:wait("#require('suggestion-review.model.store').list() == 1")
    t.match(report(one), "does not have commit %x+, the base of “Elsewhere”")
    server:http("POST", "/complete", { suggestion_id = id, action = "discard" })
    one:stop()
  end)

  it("finds autoread off, bad settings, old or missing programs", function()
    local one = start(
      "auto_connect = false, nonsense = 1",
      { init = settings("auto_connect = false, nonsense = 1") .. "vim.o.autoread = false" }
    )
    local text = report(one)
    t.match(text, "'autoread' is off")
    t.match(text, "nonsense is not a setting")
    one:stop()
    local bin = t.tempdir()
    t.write(bin .. "/git", "#!/bin/sh\necho git version 2.20.1\n")
    vim.uv.fs_chmod(bin .. "/git", 493)
    one = start("auto_connect = false", { env = { PATH = bin .. ":/usr/bin:/bin" } })
    t.match(report(one), "git version 2.20.1 is too old")
    one:stop()
    one = start("auto_connect = false", { env = { PATH = "/nonexistent" } })
    t.match(report(one), "git is not on the PATH")
    one:stop()
  end)
end)
