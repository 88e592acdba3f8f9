--- Checks the annotations of Lua files: `nvim -l main.lua [folder or file …]`.
---
--- Neither npm nor Debian has a language server for Lua, so this looks for what goes wrong when code and types drift
--- apart: types that nothing declares, names declared twice, @param of parameters that are not there, fields that a
--- class does not have. What annotations do not tell the type of (results of functions, mostly) is not looked at, and
--- neither is whether a value may be nil.

local here = vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, "S").source:sub(2)))
package.path = vim.fs.dirname(here) .. "/?.lua;" .. package.path
local declarations = require("annotations.declarations")
local scan = require("annotations.scan")

local root = vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(here)))
local wanted = #arg > 0 and vim.list_slice(arg, 1) or { root .. "/nvim" }

local paths = {}
for _, place in ipairs(wanted) do
  if place:sub(-4) == ".lua" then
    paths[#paths + 1] = place
  else
    for name, kind in vim.fs.dir(place, { depth = 20 }) do
      if kind == "file" and name:sub(-4) == ".lua" then
        paths[#paths + 1] = place .. "/" .. name
      end
    end
  end
end
table.sort(paths)

local found = {}
---@param path string
local function teller(path)
  return function(row, message)
    found[#found + 1] = ("%s:%d: %s"):format(vim.fs.relpath(root, vim.fs.abspath(path)) or path, row, message)
  end
end

local known = declarations.new()
declarations.add_runtime(known, vim.env.VIMRUNTIME)
local files = {}
for _, path in ipairs(paths) do
  local file = assert(io.open(path, "rb"))
  local source = file:read("*a")
  file:close()
  local lines = vim.split(source, "\n", { plain = true })
  files[#files + 1] = { path = path, source = source, lines = lines }
  declarations.add(known, path, lines, teller(path))
end
for _, file in ipairs(files) do
  file.classes = scan.methods(file.lines, known)
end
for _, file in ipairs(files) do
  scan.scan(file.source, file.lines, file.classes, known, teller(file.path))
end
for _, one in ipairs(found) do
  io.write(one .. "\n")
end
io.write(("%d files, %d classes, %d problems\n"):format(#files, vim.tbl_count(known.classes), #found))
os.exit(#found == 0 and 0 or 1)
