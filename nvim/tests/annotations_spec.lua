-- luacheck: read globals t describe it before_each after_each pending
--- The check of annotations finds what it is there for, and says nothing of what is right.

---@param source string with annotations as `--+@`, so that they are none of this file
---@return string[] problems, without the path
local function problems(source)
  local path = t.tempdir() .. "/one.lua"
  t.write(path, (source:gsub("%-%-%+@", "---@")))
  local result = vim
    .system({ vim.v.progpath, "--clean", "-l", t.root .. "/nvim/tests/annotations/main.lua", path })
    :wait(20000)
  local found = {}
  for message in result.stdout:gmatch("one%.lua:(%d+: [^\n]*)\n") do
    found[#found + 1] = message:gsub("%S*/one%.lua", "one")
  end
  t.eq(result.code, #found == 0 and 0 or 1, result.stdout .. result.stderr)
  t.match(result.stdout, ("%d problems"):format(#found))
  return found
end

local CLASS = [[
--+@class Fruit
--+@field name string
--+@field seeds? Seed[]
--+@class Seed
--+@field size integer
]]

---@param body string with CLASS in front: its first line is 6
local function found(body)
  return problems(CLASS .. body)
end

describe("the check of annotations finds", function()
  it("a type that nothing declares, in a field, a parameter, a result and an alias", function()
    t.eq(
      problems([[
--+@class Fruit
--+@field seeds Sed[]
--+@alias Basket table<string, Friut>
--+@param a fun(b: Missing): boolean
--+@return Gone|nil
local function f(a)
  return a
end
f()
]]),
      {
        "2: no type is called Sed",
        "3: no type is called Friut",
        "4: no type is called Missing",
        "5: no type is called Gone",
      }
    )
  end)

  it("@param of what is no parameter, and one in the wrong place", function()
    t.eq(
      found([[
--+@param b string
--+@param a string
--+@param c string
local function f(a, b)
  return a, b
end
f()
]]),
      {
        "7: @param a stands behind one that comes after it",
        "8: @param c: the function has no such parameter",
      }
    )
  end)

  it("a field that a class does not have: of a parameter, a variable, an element, a field's field", function()
    t.eq(
      found([[
--+@param fruit Fruit
local function f(fruit)
  print(fruit.nmae)
  for _, seed in ipairs(fruit.seeds) do
    print(seed.sise)
  end
  print(fruit.seeds[1].wieght)
  --+@type Seed
  local one = { size = 1 }
  fruit.colour = one.colour
  return function()
    return fruit.taste
  end
end
f()
]]),
      {
        "8: Fruit has no field nmae",
        "10: Seed has no field sise",
        "12: Seed has no field wieght",
        "15: Seed has no field colour",
        "15: Fruit has no field colour",
        "17: Fruit has no field taste",
      }
    )
  end)

  it("a name or a field that is declared twice", function()
    t.eq(
      found([[

--+@alias Fruit string

--+@class (exact) Other
--+@field a string
--+@field a integer

--+@class (exact) Other
--+@field b string
]]),
      {
        "7: Fruit is declared already, at one:1",
        "11: field a of Other stands there twice",
        "13: Other is exact, and declared elsewhere as well, at one:9",
      }
    )
  end)
end)

describe("the check of annotations says nothing of", function()
  it(
    "fields that are there: a parent's, a method's, what a method puts into self, another name of the class",
    function()
      t.eq(
        found([[

--+@class Apple : Fruit
--+@field [string] any
local Apple = {}
Apple.__index = Apple

--+@class Pear : Fruit
local Pear = {}

--+@return string
function Pear:pick()
  self.picked = true
  return self.name
end

--+@alias Snack Apple|Pear

--+@param pear Pear
--+@param snack Snack
--+@param record { weight: integer }
--+@generic T
--+@param more T
local function f(pear, snack, record, more)
  print(pear.picked, pear:pick(), pear.name, snack.anything, record.weight, more.x, Apple)
  local fruit = pear --+@type Fruit
  do
    local pear = {}
    print(pear.whatever)
  end
  return fruit.name
end
f()
]]),
        {}
      )
    end
  )
end)
