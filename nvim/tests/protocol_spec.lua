-- luacheck: read globals t describe it before_each after_each pending
--- The version of the protocol: the client talks to a server that speaks its own, and to no other. The other server is
--- the real one with another number in its source.

local real = require("real")
if not real.available() then
  pending("protocol", "the server's programs are not provisioned")
  return
end

local client = require("suggestion-review").client
local handshake = require("suggestion-review.connection.handshake")

local notices = {}
vim.notify = function(message)
  notices[#notices + 1] = message
end

--- The server's source with another version of the protocol.
---@param version string TypeScript: a number, or undefined for a server that names none
---@return string folder
local function speaking(version)
  local folder = t.tempdir()
  t.run({ "cp", "-R", t.root .. "/plugin/src", t.root .. "/plugin/package.json", folder })
  t.write(
    folder .. "/src/protocol/version.ts",
    ("export const PROTOCOL_VERSION: any = %s;\n"):format(version)
  )
  assert(vim.uv.fs_symlink(t.root .. "/node_modules", folder .. "/node_modules"))
  return folder
end

---@param server Real
---@return SuggestionReview.State
local function outcome(server)
  client._reset()
  -- What was said of the server of another test, in the same second, is said again.
  require("suggestion-review.say.notify").connected("real")
  notices = {}
  require("suggestion-review.config").setup(server:settings())
  client.start()
  return t.wait(function()
    local state = client.state()
    return (state.state == "connected" or state.state == "refused") and state
  end, 10000, "a connection or a refusal")
end

---@param pattern string
---@return integer
local function said(pattern)
  return #vim.tbl_filter(function(message)
    return message:find(pattern) ~= nil
  end, notices)
end

after_each(function()
  client._reset()
end)

describe("the protocol's version", function()
  it("is the one that this repository's server speaks", function()
    local server = real.start({ ["a.txt"] = "a\n" })
    t.eq(outcome(server).state, "connected")
    t.eq(server:http("GET", "/health").protocol, handshake.PROTOCOL_VERSION)
    t.eq(said("protocol"), 0)
  end)

  it("that is another is told once, with both numbers and what to do; no socket is opened", function()
    local server = real.start({ ["a.txt"] = "a\n" }, nil, speaking("7"))
    local state = outcome(server)
    t.eq(state.state, "refused")
    t.match(
      state.message,
      "it speaks version 7 of the protocol and this plugin version 1; update the plugin%."
    )
    t.match(state.message, "Tried again .* once a minute%.$")
    t.wait(function()
      return said("version 7 of the protocol") > 0
    end)
    -- It looks again, at the same server: nothing new to tell.
    local tries = 0
    local stop = require("suggestion-review.model.store").subscribe(function(event)
      tries = tries + (event.type == "client.state" and 1 or 0)
    end)
    client.start()
    t.wait(function()
      return client.state().state == "refused" and tries > 0
    end, 10000, "another look")
    stop()
    t.eq(said("version 7 of the protocol"), 1)
    t.eq(server:http("GET", "/health").wsClients, 0)

    -- The server is put right: the same client comes by itself.
    server:stop()
    server.plugin = nil
    server:serve()
    t.write(server.token_file, server.token .. "\n\n")
    t.wait(function()
      return client.state().state == "connected"
    end, 15000, "the connection")
  end)

  it("that is older says to update the server", function()
    t.match(
      handshake.other_protocol({ protocol = 0 }),
      "^it speaks version 0 of the protocol and this plugin version 1; update the server$"
    )
    t.match(handshake.other_protocol({ protocol = "new" }), "version %? of the protocol")
  end)

  it("that is not named is the first", function()
    local server = real.start({ ["a.txt"] = "a\n" }, nil, speaking("undefined"))
    t.eq(outcome(server).state, "connected")
    t.eq(server:http("GET", "/health").protocol, nil)
    t.eq(said("protocol"), 0)
  end)

  it("that is another keeps adopt from that server, and the health check says why", function()
    local server = real.start({ ["a.txt"] = "a\n" }, nil, speaking("7"))
    local servers = (outcome(server) and require("suggestion-review.config").servers())
    local failed
    require("suggestion-review.lib.task").run(function()
      require("suggestion-review.adopt.hub").token_for(servers[1])
    end, function(err)
      failed = err
    end)
    t.wait(function()
      return failed
    end)
    local reason = type(failed) == "table" and vim.inspect(failed) or tostring(failed)
    t.match(reason, "real cannot be used: it speaks version 7 of the protocol")
    vim.cmd("checkhealth suggestion-review")
    local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    t.match(text, "The server cannot be used: it speaks version 7 of the protocol")
  end)
end)
