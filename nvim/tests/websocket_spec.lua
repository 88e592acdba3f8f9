-- luacheck: read globals t describe it before_each after_each pending
local websocket = require("suggestion-review.connection.websocket")
local sha256 = require("suggestion-review.lib.sha256")

local server = t.spawn(
  { "node", t.root .. "/nvim/tests/fixtures/hostile.mjs" },
  { cwd = t.root .. "/nvim/tests" }
)
local port = t.wait(function()
  return tonumber(server.out:match('{"port":(%d+)}'))
end, 10000, "the hostile server")

---@param path string
---@param opts? table
local function open(path, opts)
  local seen = { messages = {}, closed = nil, opened = false }
  seen.socket = websocket.connect(vim.tbl_extend("force", {
    host = "127.0.0.1",
    port = port,
    path = path,
    close_timeout = 1000,
    on_open = function()
      seen.opened = true
    end,
    on_message = function(text)
      table.insert(seen.messages, text)
    end,
    on_close = function(code, reason)
      t.ok(not seen.closed, "on_close came twice")
      seen.closed = { code = code, reason = reason }
    end,
    on_refused = function(status, _, body)
      seen.refused = { status = status, body = body }
    end,
  }, opts or {}))
  return seen
end

local function message(seen, index, timeout)
  return t.wait(function()
    return seen.messages[index or 1]
  end, timeout, "a message")
end

local function closed(seen, timeout)
  return t.wait(function()
    return seen.closed
  end, timeout, "the close")
end

--- What the server saw of the close of `path`.
local function server_saw(path)
  return t.wait(function()
    for line in server.out:gmatch("[^\n]+") do
      local entry = vim.json.decode(line)
      if entry.closed == path then
        return entry
      end
    end
  end, 15000, "the server to see the close")
end

before_each(function()
  server.out = ""
end)

describe("hashes", function()
  it("agree with published vectors", function()
    -- FIPS 180-4 examples and RFC 4231 test case 1 and 2; RFC 6455 §1.3 for SHA-1.
    t.eq(sha256.hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    t.eq(sha256.hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    t.eq(
      sha256.hmac(("\11"):rep(20), "Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )
    t.eq(
      sha256.hmac("Jefe", "what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    t.eq(
      sha256.hmac(("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    )
    t.eq(
      vim.base64.encode(sha256.sha1_raw("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")),
      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    )
  end)

  it("take every length around the block borders, and NUL bytes", function()
    for length = 0, 200 do
      local text = ("y"):rep(length)
      t.eq(sha256.hex(text), vim.fn.sha256(text))
    end
    t.eq(sha256.hex("a\0b"), "59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138")
  end)
end)

describe("UTF-8", function()
  it("tells valid from invalid", function()
    for _, text in ipairs({
      "",
      "a",
      "grün",
      "€",
      "🦊",
      "\u{10FFFF}",
      "\u{D7FF}\u{E000}",
      "a🦊b€c",
      "\0",
    }) do
      t.ok(websocket.is_utf8(text), vim.inspect(text))
    end
    for _, text in ipairs({
      "\128",
      "\191",
      "\192\128",
      "\193\191",
      "\194",
      "\194a",
      "\224\128\128",
      "\224\160",
      "\237\160\128",
      "\240\128\128\128",
      "\244\144\128\128",
      "\245\128\128\128",
      "\255",
      "a\226\130",
      "ok\240\159\166",
    }) do -- stylua: ignore
      t.ok(not websocket.is_utf8(text), vim.inspect(text))
    end
  end)

  it("agrees with a decoder on random bytes", function()
    math.randomseed(7)
    local function reference(text)
      local at = 1
      while at <= #text do
        local c = text:byte(at)
        local n, min
        if c < 0x80 then
          n, min = 0, 0
        elseif c >= 0xc2 and c < 0xe0 then
          n, min, c = 1, 0x80, c - 0xc0
        elseif c >= 0xe0 and c < 0xf0 then
          n, min, c = 2, 0x800, c - 0xe0
        elseif c >= 0xf0 and c < 0xf5 then
          n, min, c = 3, 0x10000, c - 0xf0
        else
          return false
        end
        for i = 1, n do
          local d = text:byte(at + i)
          if not d or d < 0x80 or d > 0xbf then
            return false
          end
          c = c * 64 + d - 0x80
        end
        if c < min or c > 0x10ffff or (c >= 0xd800 and c <= 0xdfff) then
          return false
        end
        at = at + n + 1
      end
      return true
    end
    local bytes =
      { 0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0x8f, 0x90, 0xff }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(1, 7) do
        text[i] = string.char(bytes[math.random(#bytes)])
      end
      text = table.concat(text)
      t.eq(websocket.is_utf8(text), reference(text), vim.inspect(text))
    end
  end)
end)

describe("masking", function()
  it("is its own inverse at every length", function()
    for _, length in ipairs({ 0, 1, 3, 4, 5, 4095, 4096, 4097, 70001 }) do
      local text = ("abcdefg\0\255"):rep(math.ceil(length / 9)):sub(1, length)
      t.eq(websocket.mask(websocket.mask(text, "\1\2\3\255"), "\1\2\3\255") == text, true)
    end
    -- RFC 6455 §5.7: a masked "Hello".
    t.eq(websocket.mask("Hello", "\x37\xfa\x21\x3d"), "\x7f\x9f\x4d\x51\x58")
  end)
end)

describe("handshake", function()
  it("opens, sends the headers given and no extension", function()
    local seen = open("/headers", { headers = { Authorization = "Bearer abc" } })
    local headers = vim.json.decode(message(seen))
    t.eq(headers.authorization, "Bearer abc")
    t.eq(headers.host, "127.0.0.1:" .. port)
    t.eq(headers.origin, nil)
    t.eq(headers["sec-websocket-extensions"], nil)
    seen.socket:close()
    t.eq(closed(seen).code, 1000)
  end)

  it("takes a message that came in the same packet", function()
    local seen = open("/eager")
    t.eq(message(seen), "early")
    seen.socket:destroy()
  end)

  it("works by name and over either address family", function()
    local seen = open("/echo", { host = "localhost" })
    t.wait(function()
      return seen.opened
    end)
    seen.socket:close()
    closed(seen)
  end)

  it("reports a refusal with its status", function()
    local seen = open("/status401")
    t.match(closed(seen).reason, "status 401")
    t.eq(seen.refused.status, 401)
    t.ok(not seen.opened)
  end)

  it("refuses an accept value that does not answer the key", function()
    local seen = open("/badaccept")
    t.match(closed(seen).reason, "Sec%-WebSocket%-Accept")
    t.ok(not seen.opened)
  end)

  it("refuses an extension it did not offer", function()
    t.match(closed(open("/extension")).reason, "extension")
  end)

  it("refuses what is not HTTP", function()
    t.match(closed(open("/garbage")).reason, "not HTTP")
  end)

  it("gives up on an answer without end", function()
    t.match(closed(open("/endless")).reason, "too long")
  end)

  it("gives up on a server that does not answer", function()
    local seen = open("/hang", { connect_timeout = 200 })
    t.match(closed(seen).reason, "ETIMEDOUT")
  end)

  it("reports a port where nothing listens", function()
    t.match(closed(open("/echo", { port = 1 })).reason, "ECONNREFUSED")
  end)

  it("never lets a header break out of its line", function()
    t.match(closed(open("/echo", { headers = { Authorization = "a\r\nX: 1" } })).reason, "line break")
  end)
end)

describe("messages", function()
  it("come back as they were sent, at every length of header", function()
    local seen = open("/echo")
    t.wait(function()
      return seen.opened
    end)
    local texts = {}
    for _, length in ipairs({ 0, 1, 125, 126, 127, 65535, 65536, 200000, 1048576 }) do
      texts[#texts + 1] = ("äbc"):rep(math.ceil(length / 4)):sub(1, length - length % 4)
      seen.socket:send(texts[#texts])
    end
    message(seen, #texts)
    for i, text in ipairs(texts) do
      t.ok(seen.messages[i] == text, "message " .. i .. " differs")
    end
    seen.socket:close()
    t.eq(closed(seen).code, 1000)
  end)

  it("are put together from fragments, with pings between them", function()
    local seen = open("/fragments?text=abcdefghij")
    t.eq(message(seen), "abcdefghij")
    seen.socket:destroy()
  end)

  it("may be cut inside a character", function()
    local seen = open("/cut")
    t.eq(message(seen), "grün 🦊")
    seen.socket:destroy()
  end)

  it("may arrive byte by byte", function()
    local seen = open("/dribble?bytes=3000")
    t.eq(#message(seen, 1, 20000), 3000)
    seen.socket:destroy()
  end)

  it("keep their order in a burst of 50,000", function()
    local seen = open("/many?count=50000")
    message(seen, 50000, 20000)
    for i = 1, 50000, 997 do
      t.eq(seen.messages[i], ('{"n":%d}'):format(i))
    end
    seen.socket:destroy()
  end)

  it("of 4 MB are taken, and cost one copy", function()
    local started = vim.uv.hrtime()
    local seen = open("/size?bytes=4194304")
    t.eq(#message(seen, 1, 20000), 4194304)
    io.write(("       4 MB received in %.0f ms\n"):format((vim.uv.hrtime() - started) / 1e6))
    seen.socket:destroy()
  end)

  it("of 20 MB are refused with 1009, which the server gets to read", function()
    local before = collectgarbage("count")
    local seen = open("/size?bytes=20971520")
    t.eq(closed(seen, 10000).code, 1009)
    t.eq(#seen.messages, 0)
    t.eq(server_saw("/size?bytes=20971520").code, 1009)
    t.ok(collectgarbage("count") - before < 12 * 1024, "kept what it refused")
  end)

  it("that grow too big by fragments are refused as well", function()
    local seen = open("/pieces?count=400")
    t.eq(closed(seen, 10000).code, 1009)
    t.eq(server_saw("/pieces?count=400").code, 1009)
  end)

  it("that claim 9 exabytes are refused at the header", function()
    t.eq(closed(open("/claim")).code, 1009)
  end)

  it("may be limited to less", function()
    t.eq(closed(open("/size?bytes=2000", { max_message = 1000 })).code, 1009)
  end)

  it("in binary are refused with 1003", function()
    t.eq(closed(open("/binary")).code, 1003)
    t.eq(server_saw("/binary").code, 1003)
  end)
end)

describe("hostile frames", function()
  local cases = {
    { "masked", "8185000000004142434445", 1002 },
    { "with RSV1", "c1024142", 1002 },
    { "with RSV2", "a1024142", 1002 },
    { "with RSV3", "91024142", 1002 },
    { "of an unknown data opcode", "83024142", 1002 },
    { "of an unknown control opcode", "8b00", 1002 },
    { "continuing nothing", "80024142", 1002 },
    { "starting a message inside a message", "01014101014280014300", 1002 },
    { "fragmenting a ping", "0900", 1002 },
    { "pinging with 126 bytes", "897e007e" .. ("41"):rep(126), 1002 },
    { "with a 16-bit length below 126", "817e000441424344", 1002 },
    { "with a 64-bit length below 65536", "817f000000000000000441424344", 1002 },
    { "closing with one byte", "880103", 1002 },
    { "closing with code 1005", "880203ed", 1002 },
    { "closing with code 999", "880203e7", 1002 },
    { "closing with code 5000", "88021388", 1002 },
    { "closing with a reason that is not UTF-8", "880403e8c328", 1007 },
    { "of text that is not UTF-8", "8102c328", 1007 },
    { "of text with a surrogate", "8103eda080", 1007 },
    { "of text cut inside a character at its end", "8102e282", 1007 },
  }
  for _, case in ipairs(cases) do
    it(case[1] .. " end the connection with " .. case[3], function()
      local seen = open("/raw?hex=" .. case[2])
      t.eq(closed(seen).code, case[3])
      t.eq(#seen.messages, 0)
      t.eq(server_saw("/raw?hex=" .. case[2]).code, case[3])
    end)
  end

  it("after a close frame are ignored", function()
    local seen = open("/raw?hex=880203e881024142")
    t.eq(closed(seen).code, 1000)
    t.eq(#seen.messages, 0)
  end)

  it("of random bytes never raise an error or hang", function()
    math.randomseed(11)
    for _ = 1, 200 do
      local hex = {}
      for i = 1, math.random(1, 40) do
        hex[i] = ("%02x"):format(math.random(0, 255))
      end
      local path = "/raw?hex=" .. table.concat(hex)
      local seen = open(path, { close_timeout = 50 })
      t.wait(function()
        return (seen.opened or seen.closed) and server.out:find(('{"wrote":"%s"}'):format(path), 1, true)
      end)
      seen.socket:close(1000, "enough")
      closed(seen)
    end
  end)
end)

describe("closing", function()
  it("reports the server's code and reason, and answers with the code", function()
    local seen = open("/close?code=4008&reason=too%20slow")
    t.eq(closed(seen), { code = 4008, reason = "too slow" })
    t.eq(server_saw("/close?code=4008&reason=too%20slow").code, 4008)
  end)

  it("reports a cut connection as 1006", function()
    t.eq(closed(open("/cutoff")).code, 1006)
  end)

  it("sends our own code and reason", function()
    local seen = open("/echo?own")
    t.wait(function()
      return seen.opened
    end)
    seen.socket:close(4321, "done here")
    t.eq(closed(seen).code, 4321)
    t.eq(server_saw("/echo?own"), { closed = "/echo?own", code = 4321, reason = "done here" })
  end)

  it("does not wait for ever for a server that does not answer it", function()
    local seen = open("/deaf", { close_timeout = 100 })
    t.wait(function()
      return seen.opened
    end)
    seen.socket:close()
    t.eq(closed(seen).code, 1000)
  end)

  it("while connecting ends the attempt", function()
    local seen = open("/hang")
    seen.socket:close()
    t.eq(closed(seen).code, 1006)
  end)

  it("leaves no timer and no handle behind", function()
    local function handles()
      local count = 0
      vim.uv.walk(function(handle)
        if not handle:is_closing() then
          count = count + 1
        end
      end)
      return count
    end
    -- Counted while waiting, which takes a handle itself.
    local before = t.wait(handles)
    for _ = 1, 20 do
      local seen = open("/echo")
      t.wait(function()
        return seen.opened
      end)
      seen.socket:close()
      closed(seen)
    end
    local now
    local ok = pcall(t.wait, function()
      now = handles()
      return now <= before
    end)
    t.ok(ok, ("%d handles before, %s after"):format(before, now))
  end)
end)

describe("keeping alive", function()
  it("answers pings", function()
    local seen = open("/pings?count=50")
    t.eq(message(seen), "50 pongs")
    seen.socket:destroy()
  end)

  it("drops a server that answers no ping", function()
    local seen = open("/deaf", { ping_interval = 50, pong_timeout = 100 })
    local close = closed(seen)
    t.eq(close.code, 1006)
    t.match(close.reason, "stopped answering")
  end)

  it("keeps one that does", function()
    local seen = open("/echo?pinged", { ping_interval = 30, pong_timeout = 500 })
    -- More pings than fit into the time after which an unanswered one ends it.
    t.wait(function()
      return seen.closed or select(2, server.out:gsub('{"pinged":"/echo%?pinged"}', "")) == 20
    end, 20000, "twenty pings")
    t.eq(seen.closed, nil)
    seen.socket:destroy()
  end)
end)

describe("back-pressure", function()
  it("refuses to queue without bound for a server that does not read", function()
    local seen = open("/stuck", { max_queue = 4 * 1024 * 1024 })
    t.wait(function()
      return seen.opened
    end)
    local chunk = ("x"):rep(1024 * 1024)
    local refused
    for _ = 1, 64 do
      local ok, err = seen.socket:send(chunk)
      if not ok then
        refused = err
        break
      end
      -- A turn of the loop, in which as much goes out as the server takes.
      vim.wait(0)
    end
    t.match(refused or "", "bytes already wait")
    t.eq(seen.closed, nil)
    seen.socket:destroy()
  end)

  it("stops reading while paused and loses nothing", function()
    local seen = open("/many?count=200000")
    message(seen, 1)
    seen.socket:pause()
    local held = #seen.messages
    -- Meanwhile another connection on the same loop is read from again and again.
    local other = open("/echo")
    t.wait(function()
      return other.opened
    end)
    for i = 1, 50 do
      other.socket:send("ping")
      message(other, i)
    end
    other.socket:destroy()
    t.eq(#seen.messages, held)
    t.ok(held < 200000, "all of it had come before the pause")
    seen.socket:resume()
    message(seen, 200000, 30000)
    seen.socket:destroy()
  end)

  it("has a round trip well under a millisecond", function()
    local seen = open("/echo")
    t.wait(function()
      return seen.opened
    end)
    local started = vim.uv.hrtime()
    for i = 1, 500 do
      seen.socket:send("ping")
      t.ok(vim.wait(1000, function()
        return #seen.messages == i
      end, 0))
    end
    io.write(("       round trip %.3f ms\n"):format((vim.uv.hrtime() - started) / 1e6 / 500))
    seen.socket:destroy()
  end)
end)
