-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: no max line length
--- What a user meets: start-up, the command, keys, settings, health, asking.

local child = require("child")

local function loaded(one)
  return one:get([[vim.tbl_filter(function(name)
    return name:find("^suggestion%-review") ~= nil
  end, vim.tbl_keys(package.loaded))]])
end

describe("start-up", function()
  it("loads nothing but names", function()
    local one = child.start({ ui = true })
    one:started()
    t.eq(loaded(one), {})
    t.eq(one:get("vim.fn.exists(':Suggest')"), 2)
    t.eq(one:get("vim.fn.maparg('<Plug>(suggestion-review-accept)', 'n') ~= ''"), true)
    one:stop()
  end)

  it("costs at most a millisecond", function()
    local log = t.tempdir() .. "/startup"
    local init = t.tempdir() .. "/init.lua"
    t.write(init, ("vim.opt.runtimepath:prepend(%q)"):format(t.root .. "/nvim"))
    local best = math.huge
    for _ = 1, 10 do
      vim.fn.delete(log)
      t.run({ vim.v.progpath, "--headless", "-i", "NONE", "-u", init, "--startuptime", log, "+qa" })
      local took = t.read(log)
        :match("[%d.]+%s+([%d.]+)%s+[%d.]+: sourcing [^\n]*plugin/suggestion%-review.lua")
      t.ok(took, "the plugin was not sourced")
      best = math.min(best, tonumber(took))
    end
    io.write(("       plugin/suggestion-review.lua: %.2f ms\n"):format(best))
    t.ok(best <= 1, ("%.2f ms"):format(best))
  end)

  it("costs little on VimEnter as well", function()
    local one = child.start()
    local took = one:lua([[
      vim.g.loaded_suggestion_review = nil
      local best = math.huge
      for _ = 1, 20 do
        vim.g.loaded_suggestion_review = nil
        local started = vim.uv.hrtime()
        vim.cmd.runtime("plugin/suggestion-review.lua")
        best = math.min(best, vim.uv.hrtime() - started)
      end
      return best / 1e6
    ]])
    io.write(("       sourcing and default keys: %.2f ms\n"):format(took))
    t.ok(took <= 1, ("%.2f ms"):format(took))
    one:stop()
  end)

  it("does not connect without a token, and does not speak", function()
    local one = child.start({ ui = true })
    one:started()
    t.eq(one:get("vim.api.nvim_exec2('messages', { output = true }).output"):lower():find("suggest"), nil)
    one:stop()
  end)
end)

describe("keys", function()
  it("are mapped under <leader>s", function()
    local one = child.start({ init = "vim.g.mapleader = ' '" })
    for key, name in pairs({
      r = "open-review",
      n = "next-hunk",
      p = "prev-hunk",
      a = "accept",
      x = "reject",
      m = "modify",
      A = "accept-all",
      X = "reject-all",
      d = "discard",
      c = "complete",
    }) do -- stylua: ignore
      t.eq(one:get("vim.fn.maparg(' s' .. ..., 'n')", key), ("<Plug>(suggestion-review-%s)"):format(name))
    end
    one:stop()
  end)

  it("leave the user's own alone", function()
    local one = child.start({
      init = [[
        vim.g.mapleader = " "
        vim.keymap.set("n", "<leader>sa", ":echo 1<CR>")
        vim.keymap.set("n", "gs", "<Plug>(suggestion-review-reject)")
      ]],
    })
    t.eq(one:get("vim.fn.maparg(' sa', 'n')"), ":echo 1<CR>")
    t.eq(one:get("vim.fn.maparg(' sx', 'n')"), "")
    one:stop()
  end)

  it("can be changed or left out", function()
    local one = child.start({
      init = [[
        vim.g.mapleader = " "
        vim.g.suggestion_review = {
          global_keymaps = { accept = "<leader>y", reject = false },
          keymaps = { open_review = "<F5>" },
        }
      ]],
    })
    t.eq(one:get("vim.fn.maparg(' y', 'n')"), "<Plug>(suggestion-review-accept)")
    t.eq(one:get("vim.fn.maparg(' sa', 'n')"), "")
    t.eq(one:get("vim.fn.maparg(' sx', 'n')"), "")
    t.eq(one:get("vim.fn.maparg('<F5>', 'n')"), "<Plug>(suggestion-review-open-review)")
    one:stop()
    one =
      child.start({ init = "vim.g.mapleader = ' '; vim.g.suggestion_review = { global_keymaps = false }" })
    t.eq(one:get("vim.fn.maparg(' sr', 'n')"), "")
    one:stop()
    one = child.start({
      init = [[
        vim.g.mapleader = " "
        require("suggestion-review").setup({ global_keymaps = { accept = "<leader>z" } })
      ]],
    })
    t.eq(one:get("vim.fn.maparg(' z', 'n')"), "<Plug>(suggestion-review-accept)")
    one:stop()
  end)
end)

describe(":Suggest", function()
  ---@type Child
  local one
  before_each(function()
    one = child.start({ init = "notices = {}; vim.notify = function(m) table.insert(notices, m) end" })
  end)
  after_each(function()
    one:stop()
  end)

  it("completes its subcommands", function()
    local names = one:get("vim.fn.getcompletion('Suggest ', 'cmdline')")
    for _, name in ipairs({
      "review",
      "next",
      "prev",
      "accept",
      "reject",
      "modify",
      "accept_all",
      "reject_all",
      "accept_file",
      "reject_file",
      "undo",
      "redo",
      "comment",
      "complete",
      "discard",
      "list",
      "style",
      "ask",
      "abort",
      "revise",
      "log",
      "connect",
      "disconnect",
      "status",
      "adopt",
      "close",
      "next_file",
      "prev_file",
      "verify",
      "rebase",
    }) do -- stylua: ignore
      t.ok(vim.list_contains(names, name), name)
    end
    t.eq(one:get("vim.fn.getcompletion('Suggest acc', 'cmdline')"), { "accept", "accept_all", "accept_file" })
    t.eq(
      one:get("vim.fn.getcompletion('Suggest style ', 'cmdline')"),
      { "floating", "inline", "picker", "telescope" }
    )
    t.eq(one:get("vim.fn.getcompletion('Suggest connect ', 'cmdline')"), { "localhost:4097" })
    t.eq(one:get("vim.fn.getcompletion('Suggest accept ', 'cmdline')"), {})
  end)

  it("names the nearest when there is no such subcommand", function()
    one:cmd("Suggest acept")
    t.match(one:wait("notices[1]"), "did you mean accept%?")
  end)

  it("says why when there is no connection", function()
    one:cmd("Suggest list")
    t.match(one:wait("notices[1]"), ":Suggest connect")
    one:lua("notices = {}")
    one:cmd("Suggest ask do something")
    t.match(one:wait("notices[1]"), "^Not asked: ")
    one:lua("notices = {}")
    one:cmd("Suggest status")
    t.match(one:wait("notices[1]"), "Not connected")
  end)
end)

describe("settings", function()
  ---@type Child
  local one
  before_each(function()
    one = child.start({ init = "notices = {}; vim.notify = function(m) table.insert(notices, m) end" })
  end)
  after_each(function()
    one:stop()
  end)

  it("have the documented defaults", function()
    local config = one:get("require('suggestion-review.config').get()")
    t.eq(config.server.host, "localhost")
    t.eq(config.server.port, 4097)
    t.eq({ config.ui.style, config.ui.position, config.ui.width }, { "floating", "right", 0.4 })
    t.eq(config.keymaps, {
      open_review = "<leader>sr",
      accept = "a",
      reject = "r",
      modify = "m",
      next_hunk = "n",
      prev_hunk = "p",
      complete = "<CR>",
      discard = "<Esc>",
    }) -- stylua: ignore
    t.eq(config.notifications, { on_ready = true, on_error = true, on_status = false })
    t.eq(config.write_on_accept, true)
  end)

  it("merge vim.g and setup(), the latter winning", function()
    one:lua("vim.g.suggestion_review = { server = { port = 5000 }, ui = { width = 0.6 } }")
    one:lua("require('suggestion-review').setup({ server = { port = 6000 } })")
    local config = one:get("require('suggestion-review.config').get()")
    t.eq({ config.server.port, config.ui.width, config.server.host }, { 6000, 0.6, "localhost" })
    one:lua("vim.g.suggestion_review = nil")
  end)

  it("report what is unknown or of the wrong type by name, and keep the rest", function()
    one:lua([[notices = {}
      require('suggestion-review').setup({
        servr = {}, server = { port = "4097", host = "example" }, ui = { style = "fancy", widht = 1 },
        keymaps = { acept = "x", reject = 7, undo = "U" }, notifications = true, write_on_accept = "yes",
      })]])
    local message = one:wait("notices[1]")
    for _, expected in ipairs({
      "servr is not a setting %(did you mean server",
      "server.port: expected a port from 1 to 65535",
      'ui.style: expected one of "floating", "telescope", "picker", "inline"',
      "ui.widht is not a setting %(did you mean ui.width",
      "keymaps.acept is not a setting",
      "keymaps.reject: expected a key sequence, or false for none",
      "notifications: expected table, got boolean",
      "write_on_accept: expected boolean, got string",
    }) do
      t.match(message, expected)
    end
    t.eq(message:find("undo", 1, true), nil)
    local config = one:get("require('suggestion-review.config').get()")
    t.eq(config.server.host, "example")
    t.eq(config.server.port, 4097)
    t.eq(config.keymaps.undo, "U")
    t.eq(config.keymaps.reject, "r")
  end)

  it("C18: refuse by name whatever is of the right type and still nothing", function()
    local refused = {
      { "server.host", "''", "a host name or an IP address" },
      { "server.host", "'my host'", "a host name or an IP address" },
      { "server.name", "' '", "a word that is not empty" },
      { "server.token_file", "''", "a path that is not empty" },
      { "server.root", "''", "a path that is not empty" },
      { "server.port", "0", "a port from 1 to 65535" },
      { "server.port", "4097.5", "a port from 1 to 65535" },
      { "servers", "{ api = { port = 1 } }", "a list" },
      { "servers", "{ 'api' }", "table" },
      { "auto_connect", "1", "boolean" },
      { "write_on_accept", "'no'", "boolean" },
      { "adopt_on_finalize", "'always'", "one of" },
      { "request_timeout", "0", "milliseconds" },
      { "request_timeout", "1.5", "milliseconds" },
      { "request_timeout", "math.huge", "milliseconds" },
      { "ui.style", "'window'", "one of" },
      { "ui.position", "'middle'", "one of" },
      { "ui.width", "0", "a number above 0" },
      { "ui.width", "0/0", "a number above 0" },
      { "ui.height", "math.huge", "a number above 0" },
      { "ui.height", "'80%'", "a number above 0" },
      { "ui.layout", "'split'", "one of" },
      { "ui.border", "'weird'", 'one of "none"' },
      { "ui.border", "''", 'one of "none"' },
      { "ui.border", "{}", 'one of "none"' },
      { "ui.border", "{ 'a', 'b', 'c' }", 'one of "none"' },
      { "ui.border", "{ 'long' }", 'one of "none"' },
      { "ui.border", "{ { 'x', 7 } }", 'one of "none"' },
      { "ui.word_diff", "0", "boolean" },
      { "ui.treesitter", "'on'", "boolean" },
      { "ui.file_panel", "2", "boolean" },
      { "keymaps.accept", "''", "a key sequence" },
      { "keymaps.accept", "true", "a key sequence" },
      { "global_keymaps.accept", "''", "a key sequence" },
      { "notifications.on_ready", "'yes'", "boolean" },
      { "log_level", "'trace'", "one of" },
    }
    for _, case in ipairs(refused) do
      local name, value, expected = unpack(case)
      local outer, inner = name:match("^(%w+_?%w*_?%w*)%.(.*)$")
      local given = inner and ("{ %s = { %s = %s } }"):format(outer, inner, value)
        or ("{ %s = %s }"):format(name, value)
      one:lua(("require('suggestion-review').setup(%s)"):format(given))
      local said = table.concat(one:get("require('suggestion-review.config').problems()"), "\n")
      t.ok(said:find(name, 1, true), ("%s = %s: %s"):format(name, value, said))
      t.ok(said:find(expected, 1, true), ("%s = %s: %s"):format(name, value, said))
      local config = one:get("require('suggestion-review.config').get()")
      local defaults = one:get("require('suggestion-review.config').defaults()")
      if name ~= "servers" then
        t.eq(config, defaults, ("%s = %s"):format(name, value))
      end
    end
    one:lua("require('suggestion-review').setup({})")
  end)

  it("C18: take every border that a window takes", function()
    for _, border in ipairs({
      "'none'",
      "'single'",
      "'double'",
      "'rounded'",
      "'solid'",
      "'shadow'",
      "'bold'",
      "{ '+' }",
      "{ '+', '-' }",
      "{ { '+', 'Title' }, '-', '+', '|' }",
      "{ '', '', '', '|', '', '', '', '|' }",
    }) do
      one:lua(("require('suggestion-review').setup({ ui = { border = %s } })"):format(border))
      t.eq(one:get("require('suggestion-review.config').problems()"), {}, border)
      one:lua([[vim.api.nvim_win_close(vim.api.nvim_open_win(vim.api.nvim_create_buf(false, true), false, {
        relative = "editor", row = 1, col = 1, width = 5, height = 2,
        border = require("suggestion-review.config").get().ui.border,
      }), true)]])
    end
    one:lua("require('suggestion-review').setup({})")
  end)

  it("take several servers", function()
    one:lua([[require('suggestion-review').setup({
      server = { host = "127.0.0.1" },
      servers = { { port = 1, token_file = "~/a" }, { name = "two", port = 2, root = "/tmp" }, { port = 1 } },
    })]])
    local servers = one:get("require('suggestion-review.config').servers()")
    t.eq(servers[1].name, "127.0.0.1:1")
    t.eq(servers[1].token_file, one.home .. "/a")
    t.eq({ servers[2].name, servers[2].root }, { "two", "/tmp" })
    t.eq(servers[3].name, "127.0.0.1:1#3")
  end)

  it("find the token where it is by default", function()
    one:lua("require('suggestion-review').setup({})")
    local function where()
      return one:get("require('suggestion-review.config').servers()[1].token_file")
    end
    t.eq(where(), one.home .. "/.config/suggestion-manager/token")
    t.write(one.home .. "/.local/state/suggestion-manager/token", "x")
    t.eq(where(), one.home .. "/.local/state/suggestion-manager/token")
    t.write(one.home .. "/.config/suggestion-manager/token", "x")
    t.eq(where(), one.home .. "/.config/suggestion-manager/token")
    one:lua("vim.env.SUGGESTION_MANAGER_TOKEN_FILE = '/elsewhere'")
    t.eq(where(), "/elsewhere")
  end)
end)

describe("the shape of opencode.nvim's setup", function()
  it("is taken where that plugin is not installed", function()
    local one = child.start({
      init = 'require("opencode").setup({ suggestion_review = { server = { port = 4444 } } })',
    })
    t.eq(one:get("require('suggestion-review.config').get().server.port"), 4444)
    t.eq(one:get("package.loaded.opencode == nil"), true)
    t.match(
      one:get("select(2, pcall(function() return require('opencode').toggle() end))"),
      "opencode.nvim is not installed"
    )
    one:stop()
  end)

  it("never hides the real plugin, whichever comes first on the runtimepath", function()
    local plugin = t.tempdir()
    t.write(plugin .. "/lua/opencode.lua", "return { real = true }")
    for _, how in ipairs({ "prepend", "append" }) do
      local one = child.start({ init = ("vim.opt.runtimepath:%s(%q)"):format(how, plugin) })
      t.eq(one:get("require('opencode').real"), true)
      one:stop()
    end
    -- Kept off the runtimepath by lazy.nvim until it is required.
    local kept = child.start({
      init = ([[
        package.loaded["lazy.core.config"] = { plugins = { ["opencode.nvim"] = { dir = %q } } }
        package.loaded["lazy"] = { load = function() vim.opt.runtimepath:append(%q) end }
      ]]):format(plugin, plugin),
    })
    t.eq(kept:get("require('opencode').real"), true)
    kept:stop()
    -- Loaded lazily, after the stand-in was used.
    local one = child.start({ init = 'require("opencode").setup({})' })
    one:lua("vim.opt.runtimepath:append(...)", plugin)
    t.eq(one:get("require('opencode').real"), true)
    one:stop()
  end)

  it("is taken from that plugin's own variable and by our setup()", function()
    local one = child.start({
      init = "vim.g.opencode_opts = { suggestion_review = { server = { port = 4445 } }, other = 1 }",
    })
    t.eq(one:get("require('suggestion-review.config').get().server.port"), 4445)
    t.eq(one:get("#require('suggestion-review.config').problems()"), 0)
    one:lua('require("suggestion-review").setup({ suggestion_review = { server = { port = 4446 } } })')
    t.eq(one:get("require('suggestion-review.config').get().server.port"), 4446)
    one:stop()
  end)
end)

describe("the statusline", function()
  it("is empty and loads nothing before there is anything", function()
    local one = child.start()
    t.eq(one:get("require('suggestion-review').statusline()"), "")
    t.eq(loaded(one), { "suggestion-review" })
    one:stop()
  end)
end)

describe("installation", function()
  --- The working tree as a git repository to install from.
  local function repository()
    local path = t.tempdir() .. "/isolated-ai-coder"
    vim.fn.mkdir(path, "p")
    t.run({ "cp", "-r", t.root .. "/nvim", path .. "/nvim" })
    t.run({
      "sh",
      "-ec",
      [[git init -q -b main && git add -A &&
      git -c user.name=x -c user.email=x@example.org commit -qm x]],
    }, { cwd = path })
    return path
  end

  it("works with vim.pack", function()
    if vim.fn.has("nvim-0.12") == 0 then
      t.skip("vim.pack comes with Neovim 0.12")
    end
    local home = t.tempdir()
    local init = home .. "/init.lua"
    t.write(
      init,
      ([[
      vim.pack.add({ { src = "file://%s" } }, { confirm = false, load = function(plugin)
        vim.opt.runtimepath:append(plugin.path .. "/nvim")
        vim.opt.runtimepath:append(plugin.path .. "/nvim/after")
        vim.cmd.runtime("plugin/suggestion-review.lua")
      end })
    ]]):format(repository())
    )
    local out = t.run({
      vim.v.progpath,
      "--headless",
      "-i",
      "NONE",
      "-u",
      init,
      "+lua io.write(vim.fn.exists(':Suggest'), ' ', #vim.api.nvim_get_runtime_file('doc/suggestion-review.txt', false))",
      "+qa",
    }, {
      env = {
        HOME = home,
        PATH = vim.env.PATH,
        GIT_CONFIG_GLOBAL = "/dev/null",
        XDG_DATA_HOME = home .. "/share",
        XDG_CONFIG_HOME = home .. "/config",
        XDG_STATE_HOME = home .. "/state",
      },
      clear_env = true,
    })
    t.match(out, "2 1$")
  end)

  it("works as a package folder, with help", function()
    local home = t.tempdir()
    local path = home .. "/share/nvim/site/pack/x/start/suggestion-review"
    vim.fn.mkdir(vim.fs.dirname(path), "p")
    t.run({ "cp", "-r", t.root .. "/nvim", path })
    local init = home .. "/init.lua"
    t.write(init, 'require("opencode").setup({ suggestion_review = { server = { port = 4447 } } })')
    local out = t.run({
      vim.v.progpath,
      "--headless",
      "-i",
      "NONE",
      "-u",
      init,
      "+helptags ALL",
      "+lua io.write(vim.fn.exists(':Suggest'), ' ', require('suggestion-review.config').get().server.port)",
      "+qa",
    }, {
      env = {
        HOME = home,
        PATH = vim.env.PATH,
        XDG_DATA_HOME = home .. "/share",
        XDG_STATE_HOME = home .. "/state",
        XDG_CONFIG_HOME = home .. "/config",
      },
      clear_env = true,
    })
    t.match(out, "2 4447$")
  end)
end)

describe("the oldest Neovim that is supported", function()
  --- Every Lua file of the plugin.
  local function sources()
    local found = {}
    for _, folder in ipairs({ "lua", "plugin", "after" }) do
      for name, kind in vim.fs.dir(t.root .. "/nvim/" .. folder, { depth = 10 }) do
        if kind == "file" and name:find("%.lua$") then
          found[#found + 1] = t.root .. "/nvim/" .. folder .. "/" .. name
        end
      end
    end
    t.ok(#found > 40)
    return found
  end

  -- Neovim 0.11 is API level 13.
  local OLDEST = 13
  -- What came later and is used only where it is there.
  local GUARDED = { ["vim.text.diff"] = "vim%.text and vim%.text%.diff or vim%.diff" }
  -- What came with 0.12, from its news.
  local LATER = {
    "vim.text.diff",
    "vim.net",
    "vim.pos",
    "vim.range",
    "vim.list.unique",
    "vim.list.bisect",
    "vim.fs.ext",
    "vim.version.intersect",
    "vim.filetype.inspect",
    "vim.pack",
  }

  it("has every API function that is called, and none is deprecated", function()
    local since = {}
    for _, one in ipairs(vim.fn.api_info().functions) do
      since[one.name] = one
    end
    local seen = 0
    for _, path in ipairs(sources()) do
      for name in t.read(path):gmatch("vim%.api%.(nvim_[%w_]+)") do
        seen = seen + 1
        -- Private ones are in no list; this one came with 0.10.
        local known = since[name] or name == "nvim__redraw" and { since = 12 }
        t.ok(known, name)
        t.ok(known.since <= OLDEST, ("%s: %s came with API level %d"):format(path, name, known.since))
        t.eq(known.deprecated_since, nil, name)
      end
    end
    t.ok(seen > 200)
  end)

  it("is asked for nothing that came with 0.12, unless it is there", function()
    for _, path in ipairs(sources()) do
      local text = t.read(path)
      for _, name in ipairs(LATER) do
        local bare = GUARDED[name] and text:gsub(GUARDED[name], "") or text
        -- In comments it may be named.
        for line in vim.gsplit(bare, "\n") do
          local code = line:gsub("%-%-.*", "")
          t.ok(not code:find(name, 1, true), ("%s: %s"):format(path, line))
        end
      end
    end
  end)
end)
