-- luacheck: read globals t describe it before_each after_each pending
--- The client's folders stand one above the other: see `layers.lua`.

local layers = require("layers")

---@param sentences string[]
local function none(sentences)
  t.eq(table.concat(sentences, "\n"), "")
end

--- Reads a tree of the given texts.
---@param texts table<string, string>
---@return LuaFile[]
local function tree(texts)
  local root = t.tempdir()
  for path, text in pairs(texts) do
    t.write(root .. "/" .. path, text)
  end
  return layers.read(root)
end

describe("the client's files", function()
  local files = layers.read(t.root .. "/nvim/lua/suggestion-review")

  it("are all read, with what they require", function()
    t.ok(#files > 100)
    local required = 0
    for _, file in ipairs(files) do
      required = required + #file.names
    end
    t.ok(required > 400, tostring(required))
  end)

  it("require nothing above them", function()
    none(layers.upward(files))
  end)

  it("require each other in no circle", function()
    none(layers.circles(files))
  end)

  it("stand in folders", function()
    none(layers.crowd(files))
  end)

  it("have functions that fit a screen or two", function()
    none(layers.long(files))
  end)

  it("are in the folders that the contributors' guide and the design name, in that order", function()
    local guide = t.read(t.root .. "/CONTRIBUTING.md")
    t.ok(guide:find("`" .. table.concat(layers.FOLDERS, " ") .. "`", 1, true))
    local named = {}
    for folder in t.read(t.root .. "/DESIGN.md"):gmatch("\n| `(%a+)` |") do
      named[#named + 1] = folder
    end
    t.eq(vim.list_slice(named, 1, #layers.FOLDERS), layers.FOLDERS)
  end)
end)

describe("a planted fault", function()
  it("is found: a require of what is above, in each of its forms", function()
    local files = tree({
      ["init.lua"] = 'return require("suggestion-review.ui.a")',
      ["config.lua"] = "\n-- require('suggestion-review.ui.a')\nreturn require('suggestion-review.text.b')",
      ["text/b.lua"] = 'local M = {}\n\nfunction M.f()\n  return require("suggestion-review.ui.a")\nend\nreturn M',
      ["text/c.lua"] = "return package.loaded['suggestion-review.ui.a']",
      ["text/d.lua"] = "return \"v:lua.require'suggestion-review.ui.a'.again\"",
      ["text/e.lua"] = 'return require "suggestion-review"',
      ["text/f.lua"] = 'return function(name)\n  return require("suggestion-review.ui." .. name)\nend',
      ["text/g.lua"] = 'return require("suggestion-review.gone"), "suggestion-review.anything"',
      ["odd/h.lua"] = "return {}",
      ["ui/a.lua"] = 'return require("suggestion-review.text.b"), require("suggestion-review.config")',
    })
    t.eq(layers.upward(files), {
      "config.lua:3: text.b is above data",
      "odd/h.lua: odd is not among the folders",
      "text/b.lua:4: ui.a is above text",
      "text/c.lua:1: ui.a is above text",
      "text/d.lua:1: ui.a is above text",
      "text/e.lua:1: init is above text",
      "text/f.lua:2: ui is above text",
      "text/g.lua:1: there is no gone",
    })
  end)

  it("is found: a circle, an inline require in it or not", function()
    local files = tree({
      ["text/a.lua"] = 'return require("suggestion-review.text.b")',
      ["text/b.lua"] = 'return function()\n  return require("suggestion-review.text.c")\nend',
      ["text/c.lua"] = 'return require("suggestion-review.text.a")',
      ["text/d.lua"] = 'return require("suggestion-review.text.a")',
    })
    t.eq(layers.circles(files), { "text/c.lua:1: text/a.lua → text/b.lua → text/c.lua → text/a.lua" })
  end)

  it("is found: a crowd at the top", function()
    local texts = {}
    for nth = 1, layers.MOST_AT_THE_TOP do
      texts[("m%d.lua"):format(nth)] = "return {}"
    end
    none(layers.crowd(tree(texts)))
    texts["one_more.lua"] = "return {}"
    t.match(layers.crowd(tree(texts))[1], "^9 files at the top: .*one_more.lua")
  end)

  it("is found: a function that is too long", function()
    local function lines(count)
      return "local x = 1\nlocal function f()\n"
        .. ("  if x then x = 2 elseif x == 3 then x = [[ end ]] -- end\n  end\n"):rep(count / 2)
        .. "end\nreturn f\n"
    end
    local most = layers.LONGEST_FUNCTION
    local files = tree({ ["a.lua"] = lines(most - 2), ["b.lua"] = lines(most) })
    t.eq(layers.long(files), { ("b.lua:2: a function of %d lines"):format(most + 2) })
  end)
end)
