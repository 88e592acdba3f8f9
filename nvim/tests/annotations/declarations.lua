--- The classes and aliases that annotations declare, over all files.
local expression = require("annotations.expression")

local M = {}

---@class (exact) DeclaredClass
---@field name string
---@field at string where, for messages
---@field parents string[]
---@field fields table<string, TypeExpression|false> false where the type is not known
---@field open boolean any further field may be there
---@field exact boolean

---@class (exact) Declarations
---@field classes table<string, DeclaredClass>
---@field aliases table<string, { at: string, type?: TypeExpression }>
---@field foreign table<string, true> names that Neovim declares

---@return Declarations
function M.new()
  return { classes = {}, aliases = {}, foreign = {} }
end

--- Names that Neovim's own files declare.
---@param into Declarations
---@param runtime string
function M.add_runtime(into, runtime)
  for name, kind in vim.fs.dir(runtime .. "/lua", { depth = 12 }) do
    if kind == "file" and name:sub(-4) == ".lua" then
      local file = assert(io.open(runtime .. "/lua/" .. name, "rb"))
      for tag, declared in file:read("*a"):gsub("%(exact%)%s*", ""):gmatch("%-%-%-%s?@(%l+) +([%w_.%-]+)") do
        into.foreign[declared] = into.foreign[declared]
          or tag == "class"
          or tag == "alias"
          or tag == "enum"
          or nil
      end
      file:close()
    end
  end
end

--- Takes in the declarations of one file.
---@param into Declarations
---@param path string
---@param lines string[]
---@param tell fun(row: integer, message: string)
function M.add(into, path, lines, tell)
  local current, seen ---@type DeclaredClass?, table<string, true>
  for row, line in ipairs(lines) do
    local tag, rest = line:match("^%s*%-%-%-@(%l+)%s*(.*)$")
    if tag == "class" then
      local name, parent = rest:gsub("^%(%l+%)%s*", ""):match("^([%w_.]+)%s*:?%s*([%w_.]*)")
      name = name or ""
      local has_parent = rest:find("^%(?%l*%)?%s*[%w_.]+%s*:") ~= nil
      if into.aliases[name] then
        tell(row, ("%s is an alias already, at %s"):format(name, into.aliases[name].at))
      end
      local exact = rest:find("^%(exact%)") ~= nil
      local other = into.classes[name]
      if other and (exact or other.exact) then
        tell(row, ("%s is exact, and declared elsewhere as well, at %s"):format(name, other.at))
      end
      current = other
        or { name = name, at = path .. ":" .. row, parents = {}, fields = {}, open = false, exact = exact }
      into.classes[name] = current
      seen = {}
      if has_parent then
        current.parents[#current.parents + 1] = parent
      end
    elseif tag == "field" and current then
      local name, type = rest:gsub("^private%s+", ""):gsub("^protected%s+", ""):match("^([%w_]+)%??%s+(.*)$")
      if not name then
        current.open = rest:find("^%[") ~= nil or current.open
      elseif seen[name] then
        tell(row, ("field %s of %s stands there twice"):format(name, current.name))
      elseif current.fields[name] ~= nil then
        tell(row, ("field %s of %s is declared elsewhere already"):format(name, current.name))
      else
        seen[name] = true
        current.fields[name] = expression.read(type) or false
      end
    elseif tag == "alias" then
      local name, type = rest:match("^([%w_.]+)%s*(.*)$")
      if into.aliases[name] or into.classes[name] then
        local other = into.aliases[name] or into.classes[name]
        tell(row, ("%s is declared already, at %s"):format(name, other.at))
      end
      into.aliases[name] = { at = path .. ":" .. row, type = type ~= "" and expression.read(type) or nil }
      current = nil
    elseif not line:find("^%s*%-%-%-") then
      current = nil
    end
  end
end

--- Type of a field, false where it has one that is not known, nil where the class has no such field.
---@param from Declarations
---@param class string
---@param field string
---@return TypeExpression|false|nil
function M.field(from, class, field)
  local declared = from.classes[class]
  if not declared then
    return false
  elseif declared.fields[field] ~= nil then
    return declared.fields[field]
  end
  for _, parent in ipairs(declared.parents) do
    local found = M.field(from, parent, field)
    if found ~= nil then
      return found
    end
  end
  if declared.open then
    return false
  end
  return nil
end

return M
