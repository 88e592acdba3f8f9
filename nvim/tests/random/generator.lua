--- Chooses the next step of a random run from a seed and what is on the screen. Every choice comes from the seed's
--- numbers, and goes into the step whole.
local project = require("random.project")

local M = {}

---@class RandomGenerator
---@field number integer of the step
---@field pick fun(low: integer, high: integer): integer
---@field slots table<string, table<integer, integer>> what the agent published last
---@field token integer
local Generator = {}
Generator.__index = Generator

---@param seed integer
---@return RandomGenerator
function M.new(seed)
  return setmetatable({
    number = 0,
    token = 0,
    slots = {},
    pick = require("suggestion").random(seed * 7919 + 17),
  }, Generator)
end

--- How the world of a seed is set up.
---@return RandomPlan
function Generator:plan()
  return {
    checkout = self:one_of({ "git", "git", "jj" }),
    users = self:one_of({ 2, 2, 2, 1 }),
    style = self:one_of({ "floating", "floating", "inline", "picker" }),
  }
end

---@generic T
---@param list T[]
---@return T
function Generator:one_of(list)
  return list[self.pick(1, #list)]
end

--- A value by weight: { { weight, value } … }.
function Generator:weighted(choices)
  local total = 0
  for _, choice in ipairs(choices) do
    total = total + choice[1]
  end
  local at = self.pick(1, total)
  for _, choice in ipairs(choices) do
    at = at - choice[1]
    if at <= 0 then
      return choice[2]
    end
  end
end

--- A word that stands nowhere else, of the developer's: in a file ("mine"), or in what is sent ("said").
---@param kind "mine"|"said"
---@return string
function Generator:word(kind)
  self.token = self.token + 1
  return ("%s%d."):format(kind, self.token)
end

local FILES = { "a.txt", "b.txt", "d/c.txt" }

---@param new boolean
function Generator:publish(new)
  if new then
    self.slots = {}
  end
  for _, file in ipairs(FILES) do
    self.slots[file] = self.slots[file] or {}
    for slot = 1, project.slots(file) do
      local roll = self.pick(1, 100)
      if new and roll <= 55 or not new and roll <= 25 then
        self.slots[file][slot] = self.number
      elseif not new and roll <= 35 then
        self.slots[file][slot] = nil
      end
    end
  end
  if not next(self.slots["a.txt"]) then
    self.slots["a.txt"][2] = self.number
  end
  local slots = {}
  for _, file in ipairs(FILES) do
    for slot = 1, project.slots(file) do
      if self.slots[file][slot] then
        slots[#slots + 1] = { file, slot, self.slots[file][slot] }
      end
    end
  end
  return {
    op = "publish",
    new = new or nil,
    slots = slots,
    created = self.pick(1, 4) == 1 and { { "new.txt", self.number } } or {},
    deleted = self.pick(1, 8) == 1 and { "d/c.txt" } or {},
  }
end

---@param where string
---@param keys_typed string
---@param own? boolean
local function keys(where, keys_typed, own)
  return { op = "keys", where = where, keys = keys_typed, own = own }
end

--- Keys with which the developer edits a file.
function Generator:edit()
  local line, word = self.pick(1, 34), self:word("mine")
  return self:weighted({
    { 14, keys("file", ("%dGo%s below<Esc>"):format(line, word)) },
    { 8, keys("file", ("%dGO%s above<Esc>"):format(line, word)) },
    { 14, keys("file", ("%dGcc%s instead<Esc>"):format(line, word), true) },
    { 8, keys("file", ("%dGA %s after<Esc>"):format(line, word)) },
    { 8, keys("file", ("%dGdd"):format(line), true) },
    { 3, keys("file", ("%dG2dd"):format(line), true) },
    { 4, keys("file", ("%dGJ"):format(line)) },
    { 10, keys("file", "u", true) },
    { 5, keys("file", "<C-r>", true) },
    { 3, keys("file", "uu", true) },
    { 16, keys("file", ":silent! w!<CR>", true) },
    { 4, keys("file", ":silent! e!<CR>", true) },
    { 2, keys("file", ":silent! bdelete!<CR>:silent! edit a.txt<CR>", true) },
    { 2, keys("file", ":vsplit<CR>") },
    { 3, keys("file", ":silent! only<CR>") },
  })
end

--- What happens outside the editor.
function Generator:around()
  return self:weighted({
    { 30, self:publish(false) },
    { 4, self:publish(true) },
    { 25, self:outside() },
    { 8, { op = "settle" } },
    { 6, { op = "restart", how = self:one_of({ "quit", "quit", "kill" }), own = true } },
    { 4, { op = "server", how = self:one_of({ "sigterm", "sigkill" }) } },
    { 4, { op = "push" } },
  })
end

function Generator:outside()
  self.token = self.token + 1
  return {
    op = "outside",
    own = true,
    file = self:one_of(FILES),
    how = self:weighted({ { 5, "insert" }, { 5, "replace" }, { 3, "checkout" }, { 1, "delete" } }),
    line = self.pick(1, 30),
    token = self.token,
    unseen = self.pick(1, 3) == 1 or nil,
  }
end

---@type table<string, fun(self: RandomGenerator, seen: table): table>
local by_place = {}

function by_place.review(self)
  return keys(
    "review",
    self:weighted({
      { 24, "a" },
      { 10, "r" },
      { 9, "m" },
      { 3, "A" },
      { 2, "X" },
      { 2, "f" },
      { 1, "F" },
      { 12, "u" },
      { 7, "<C-r>" },
      { 10, "n" },
      { 6, "p" },
      { 3, "]p" },
      { 2, "]f" },
      { 2, "2n" },
      { 2, "3a" },
      { 3, "Va" },
      { 3, "Vja" },
      { 2, "Vjr" },
      { 1, "ggVGa" },
      { 7, "e" },
      { 4, "gf" },
      { 1, "za" },
      { 1, "zR" },
      { 1, "zM" },
      { 2, "s" },
      { 2, "D" },
      { 2, "<Tab>" },
      { 3, "S" },
      { 1, "Q" },
      { 1, "?" },
      { 2, "c" },
      { 3, "an" },
      { 2, "aa" },
      { 3, "uu" },
      { 1, "uuu" },
      { 1, "." },
      { 2, "j" },
      { 1, "k" },
      { 4, "q" },
      { 2, "<CR>" },
      { 1, "<Esc>" },
      { 1, "<C-w>w" },
      { 1, "R" },
    })
  )
end

function by_place.file(self)
  if self.pick(1, 100) <= 45 then
    return self:edit()
  end
  return keys(
    "file",
    self:weighted({
      { 22, " sr" },
      { 14, " sa" },
      { 6, " sx" },
      { 6, " sm" },
      { 8, " sn" },
      { 5, " sp" },
      { 2, " sA" },
      { 1, " sX" },
      { 1, " sc" },
      { 1, " sd" },
      { 6, ":Suggest undo<CR>" },
      { 3, ":Suggest redo<CR>" },
      { 4, ":Suggest resolve<CR>" },
      { 2, ":Suggest close<CR>" },
      { 2, ":Suggest style floating<CR>" },
      { 2, ":Suggest style inline<CR>" },
      { 1, ":Suggest style picker<CR>" },
      { 2, ":Suggest adopt<CR>" },
      { 1, ":Suggest accept_file<CR>" },
    })
  )
end

function by_place.conflict(self)
  return keys(
    "conflict",
    self:weighted({ { 5, "o" }, { 5, "t" }, { 4, "b" }, { 4, "e" }, { 2, "q" }, { 1, "<Esc>" } })
  )
end

function by_place.editor(self, seen)
  local message = seen.buffer:find("//message/")
  return self:weighted({
    { 4, keys("editor", ("Go%s below<Esc>"):format(self:word("said")), message and true or nil) },
    { 3, keys("editor", ("ggO%s above<Esc>"):format(self:word("said")), message and true or nil) },
    { 3, keys("editor", ("cc%s instead<Esc>"):format(self:word("said")), true) },
    { 1, keys("editor", "ggdG", true) },
    { 2, keys("editor", "u", true) },
    { 4, keys("editor", [[:silent! g/^[<lt>=>]\{7}/d<CR>]]) },
    { 10, keys("editor", ":w<CR>") },
    { 3, keys("editor", ":q!<CR>", true) },
  })
end

function by_place.input(self)
  return self:weighted({
    { 5, keys("input", ("%s because<CR>"):format(self:word("said"))) },
    { 3, keys("input", "<CR>") },
    { 2, keys("input", "<Esc>", true) },
    { 1, keys("input", "1<CR>") },
  })
end

function by_place.cmdline(self)
  -- A list to choose from.
  return keys(
    "cmdline",
    self:one_of({ "<Esc>", "<CR>", "1<CR>", "1<CR>", "2<CR>", "3<CR>", "4<CR>", "5<CR>" })
  )
end

function by_place.confirm(self)
  return keys(
    "confirm",
    self:weighted({
      { 5, "y" },
      { 3, "n" },
      { 5, "a" },
      { 4, "f" },
      { 1, "e" },
      { 2, "d" },
      { 1, "l" },
      { 1, "k" },
      { 1, "s" },
      { 1, "w" },
      { 2, "<CR>" },
      { 2, "<Esc>" },
    })
  )
end

function by_place.plan(self)
  return keys("plan", self:weighted({ { 5, "y" }, { 2, "q" }, { 1, "m<Esc>" }, { 1, "r<Esc>" } }))
end

function by_place.popup(self)
  return keys("popup", self:weighted({ { 5, "q" }, { 2, "<Esc>" }, { 2, "a" }, { 1, "j" }, { 1, "<C-w>w" } }))
end

function by_place.other(self)
  return keys("other", self:weighted({ { 5, ":silent! close<CR>" }, { 1, "<CR>" }, { 2, "<C-w>w" } }))
end

--- The next step.
---@param seen table what the Neovim shows
---@param world RandomWorld
---@return table
function Generator:next(seen, world)
  self.number = self.number + 1
  local step
  local asked = seen.blocking or seen.where == "input" or seen.where == "cmdline"
  if not asked and not world.up and self.pick(1, 4) == 1 then
    step = { op = "server", how = "up" }
  elseif not asked and world.up and #seen.open == 0 and self.pick(1, 3) == 1 then
    step = self:publish(true)
  elseif not asked and self.pick(1, 100) <= 6 then
    step = self:around()
  elseif not asked and self.pick(1, 100) <= 4 then
    step = { op = "visit", file = self:one_of(FILES) }
  else
    step = by_place[seen.where](self, seen)
  end
  step.number = self.number
  return step
end

return M
