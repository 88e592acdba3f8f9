-- luacheck: read globals t describe it before_each after_each pending
--- `:help suggestion-review` works after every way of installing that the help and the README name.

local Child = require("child")

--- The plugin as it is handed out: no tags.
local function copy(to)
  vim.fn.mkdir(vim.fs.dirname(to), "p")
  t.run({ "cp", "-r", t.root .. "/nvim", to })
  os.remove(to .. "/doc/tags")
  return to
end

--- A Neovim of its own that opens the help; returns the file it shows, with the home as "~".
local function help_of(init, home)
  local child = Child.start({ init = init, home = home, bare = true })
  local ok, shown = pcall(child.lua, child, "vim.cmd.help('suggestion-review') return vim.fn.expand('%:p')")
  t.ok(ok, tostring(shown))
  return shown
end

describe("C13: the help is found", function()
  it("C13: from the runtime path, without a plugin manager", function()
    local home = t.tempdir()
    local nvim = copy(home .. "/src/nvim")
    t.eq(help_of(("vim.opt.runtimepath:append(%q)"):format(nvim), home), nvim .. "/doc/suggestion-review.txt")
  end)

  it("C13: as a package, and by a path with blanks in it", function()
    local home = t.tempdir()
    local nvim = copy(home .. "/a b/pack/x/start/suggestion-review")
    local init = ("vim.opt.packpath:append(%q)"):format(home .. "/a b")
    t.eq(help_of(init, home), nvim .. "/doc/suggestion-review.txt")
  end)

  it("C13: as vim.pack installs it from a repository, as the README says it", function()
    local home = t.tempdir()
    local origin = home .. "/src"
    copy(origin .. "/nvim")
    local git = { env = require("real").env(home), cwd = origin }
    t.run({ "sh", "-ec", "git init -q -b main .; git add .; git commit -q -m all" }, git)
    local snippet = assert(t.read(t.root .. "/README.md"):match("\n(vim%.pack%.add.-\n}%))\n"))
    snippet = snippet:gsub("file:///path/to/isolated%-ai%-coder", "file://" .. origin)
    local shown = help_of(snippet:gsub("}, {", "}, { confirm = false,", 1), home)
    t.match(shown, "/isolated%-ai%-coder/nvim/doc/suggestion%-review.txt$")
  end)

  it("C13: as a package of Neovim's own, as the README says it", function()
    local home = t.tempdir()
    local origin = home .. "/src"
    copy(origin .. "/nvim")
    local commands = assert(t.read(t.root .. "/README.md"):match("\n(mkdir %-p ~/%.local/share/nvim.-)\n```"))
    commands = commands:gsub("/path/to/isolated%-ai%-coder", origin)
    t.run({ "sh", "-ec", commands }, { env = { HOME = home }, cwd = home })
    t.match(help_of("", home), "/start/suggestion%-review/doc/suggestion%-review.txt$")
  end)

  it("C13: as a plugin manager loads it, after the start", function()
    local home = t.tempdir()
    local nvim = copy(home .. "/src/nvim")
    local init = ([[
vim.api.nvim_create_autocmd("VimEnter", { callback = function()
  vim.opt.runtimepath:append(%q)
  vim.cmd.runtime("plugin/suggestion-review.lua")
end })]]):format(nvim)
    t.eq(help_of(init, home), nvim .. "/doc/suggestion-review.txt")
  end)

  it("C13: anew when the text is newer than the tags", function()
    local home = t.tempdir()
    local nvim = copy(home .. "/src/nvim")
    t.write(nvim .. "/doc/tags", "")
    vim.uv.fs_utime(nvim .. "/doc/tags", 1, 1)
    t.eq(help_of(("vim.opt.runtimepath:append(%q)"):format(nvim), home), nvim .. "/doc/suggestion-review.txt")
  end)

  it("C13: where the plugin's folder cannot be written", function()
    local home = t.tempdir()
    local nvim = copy(home .. "/src/nvim")
    -- A folder in the file's place stops root as well.
    vim.fn.mkdir(nvim .. "/doc/tags", "p")
    t.match(
      help_of(("vim.opt.runtimepath:append(%q)"):format(nvim), home),
      "/suggestion%-review/doc/suggestion%-review.txt$"
    )
  end)
end)
