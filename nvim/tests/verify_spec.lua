-- luacheck: read globals t describe it before_each after_each pending
--- The server's check, run from Neovim by its command.

local real = require("real")
if not real.available() then
  pending("verify", "the server's programs are not provisioned")
  return
end
local child = require("child")

describe("C1: :Suggest verify", function()
  local server, one

  ---@param command string|nil
  ---@param on_error? boolean
  local function begin(command, on_error)
    server =
      real.start({ ["a.txt"] = "one\n", ["b.txt"] = "b\n" }, command and { "--verify-command", command })
    one = child.start({
      ui = true,
      cwd = server.checkout,
      init = ([[
        notices = {}
        vim.notify = function(message, level) table.insert(notices, { message, level }) end
        vim.g.suggestion_review = {
          server = { name = "real", host = "127.0.0.1", port = %d, token_file = %q },
          notifications = { on_ready = false, on_error = %s },
        }
      ]]):format(server.port, server.token_file, on_error ~= false),
    })
    one:wait("require('suggestion-review').client.state().state == 'connected'")
    local id = server:publish({ ["a.txt"] = "ONE\n", ["b.txt"] = "B\n" }, "Capital letters")
    one:wait("#require('suggestion-review').list() == 1")
    local hunks = server:http("GET", "/suggestions/" .. id .. "/hunks").hunks
    server:http("POST", "/feedback", { suggestion_id = id, hunk_id = hunks[1].id, action = "accept" })
    one:cmd("Suggest verify")
  end

  local function notice(pattern)
    return one:wait(
      ([[(function() for _, n in ipairs(notices) do if n[1]:find(%q) then return n[1] end end end)()]]):format(
        pattern
      ),
      20000
    )
  end

  after_each(function()
    one:stop()
    server:stop()
  end)

  it("C1: runs the check on the accepted hunks alone and says that it passed", function()
    begin("grep -x ONE a.txt && grep -x b b.txt")
    notice("The check passed")
  end)

  it("C1: shows what a failing check printed", function()
    begin("echo the reason; exit 1")
    t.match(notice("The check failed"), "the reason")
  end)

  it("C1: warns of a failed check, unless errors are not to be told", function()
    local function warned()
      notice("The check failed")
      -- The event is there before the answer.
      return one:get(
        [[vim.iter(notices):any(function(n) return n[1]:find("check of the accepted work failed") ~= nil end)]]
      )
    end
    begin("exit 1")
    t.eq(warned(), true)
    one:stop()
    server:stop()
    begin("exit 1", false)
    t.eq(warned(), false)
  end)

  it("C1: names the setting where there is no check", function()
    begin(nil)
    notice("verify.command is not set")
  end)
end)
