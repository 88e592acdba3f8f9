--- Prints the client's doors as a JSON list, from the client's own tables: `nvim -l nvim/tests/door_list.lua`.

local here = vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, "S").source:sub(2)))
local root = vim.fs.dirname(here)
vim.opt.runtimepath:prepend(root)
vim.cmd.source(root .. "/plugin/suggestion-review.lua")

local config = require("suggestion-review.config")
local doors = {}

---@param ... string
local function door(...)
  doors[#doors + 1] = table.concat({ ... }, " ")
end

for _, name in ipairs(require("suggestion-review.command").names()) do
  door("suggest", name)
end
for _, key in ipairs(require("suggestion-review.ui.keys").list) do
  door("key", key.name)
  if key.visual then
    door("key", key.name, "on a selection")
  end
end

local function plug(mode, behind)
  for _, map in ipairs(vim.api.nvim_get_keymap(mode)) do
    local name = map.lhs:match("^<Plug>%(suggestion%-review%-(.+)%)$")
    if name and not (mode == "x" and name == "ask") then
      door("plug", name .. behind)
    end
  end
end
plug("n", "")
plug("x", " on a selection")

local defaults = config.defaults()
door("default key", "open-review")
for name in pairs(defaults.global_keymaps) do
  door("default key", (name:gsub("_", "-")))
end

for _, setting in ipairs(config.settings()) do
  local default = vim.tbl_get(defaults, unpack(vim.split(setting.name, ".", { plain = true })))
  for _, value in ipairs(setting.values or {}) do
    if value ~= default then
      door("setting", ("%s=%s"):format(setting.name, value))
    end
  end
  if not setting.values then
    door("setting", setting.name)
  end
end

table.sort(doors)
io.write(vim.json.encode(doors), "\n")
