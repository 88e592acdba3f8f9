--- Looks at one file: names in annotations, parameters, and fields of what is known to be of a class.
local declarations = require("annotations.declarations")
local expression = require("annotations.expression")

local M = {}

local BUILTIN = {}
for _, names in ipairs({
  "any nil boolean string number integer function table thread userdata lightuserdata",
  "true false unknown self",
}) do
  for name in names:gmatch("%S+") do
    BUILTIN[name] = true
  end
end

---@class Scan
---@field source string
---@field lines string[]
---@field known Declarations
---@field tell fun(row: integer, message: string)
---@field scopes table<string, TypeExpression|false>[]
---@field classes table<string, string> class that a local variable of the file is the table of
local Scan = {}
Scan.__index = Scan

---@param node TSNode
---@return string
function Scan:text(node)
  return vim.treesitter.get_node_text(node, self.source)
end

--- Annotations right above a row, as `{ row, tag, rest }`.
---@param row integer 0-based
---@return { row: integer, tag: string, rest: string }[]
function Scan:above(row)
  local found = {}
  while row > 0 do
    local line = self.lines[row]
    if not line:find("^%s*%-%-%-") then
      break
    end
    local tag, rest = line:match("^%s*%-%-%-@(%l+)%s*(.*)$")
    if tag then
      table.insert(found, 1, { row = row, tag = tag, rest = rest })
    end
    row = row - 1
  end
  return found
end

---@param name string
---@return TypeExpression|false
function Scan:lookup(name)
  for depth = #self.scopes, 1, -1 do
    local type = self.scopes[depth][name]
    if type ~= nil then
      return type
    end
  end
  return false
end

---@param name string
---@param type? TypeExpression|false
function Scan:bind(name, type)
  self.scopes[#self.scopes][name] = type or false
end

--- Whether a type has a field, and of what type it is; what is not known has every field.
---@param type TypeExpression|false
---@param field string
---@return boolean has
---@return TypeExpression|false field_type
function Scan:field(type, field)
  if not type then
    return true, false
  elseif type.kind == "union" then
    local any, found = false, false
    for _, part in ipairs(type.parts) do
      local has, of = self:field(part, field)
      any, found = any or has, found or (has and of) or false
    end
    return any, found
  elseif type.kind == "fields" then
    return type.fields[field] ~= nil, type.fields[field] or false
  elseif type.kind ~= "name" then
    return true, false
  end
  local alias = self.known.aliases[type.name]
  if alias then
    return self:field(alias.type or false, field)
  elseif not self.known.classes[type.name] then
    return true, false
  end
  local found = declarations.field(self.known, type.name, field)
  return found ~= nil, found or false
end

---@param type TypeExpression|false
---@return TypeExpression|false
local function element(type)
  return type and (type.kind == "array" or type.kind == "map") and type.element or false
end

--- Type of an expression, as far as annotations tell it.
---@param node TSNode?
---@return TypeExpression|false
function Scan:type_of(node)
  if not node then
    return false
  end
  local kind = node:type()
  if kind == "identifier" then
    return self:lookup(self:text(node))
  elseif kind == "parenthesized_expression" then
    return self:type_of(node:named_child(0))
  elseif kind == "dot_index_expression" then
    local _, type = self:field(self:type_of(node:field("table")[1]), self:text(node:field("field")[1]))
    return type
  elseif kind == "bracket_index_expression" then
    return element(self:type_of(node:field("table")[1]))
  end
  return false
end

---@param node TSNode
---@return string[]
function Scan:parameters(node)
  local names = {}
  for child in node:field("parameters")[1]:iter_children() do
    if child:type() == "identifier" or child:type() == "vararg_expression" then
      names[#names + 1] = self:text(child)
    end
  end
  return names
end

---@param node TSNode the function
---@param statement TSNode what its annotations stand above
---@param class? string whose method it is
function Scan:enter_function(node, statement, class)
  local names = self:parameters(node)
  local places = {}
  for place, name in ipairs(names) do
    places[name] = place
  end
  table.insert(self.scopes, {})
  if class then
    self:bind("self", { kind = "name", name = class })
  end
  for _, name in ipairs(names) do
    self:bind(name)
  end
  local last = 0
  for _, one in ipairs(self:above((statement:range()))) do
    local name, type = one.rest:match("^([%w_.]+)%??%s+(.*)$")
    if one.tag == "param" then
      if not name or not places[name] and not (name == "self" and class) then
        self.tell(one.row, ("@param %s: the function has no such parameter"):format(name or one.rest))
      else
        local place = places[name] or 0
        if place < last then
          self.tell(one.row, ("@param %s stands behind one that comes after it"):format(name))
        end
        last = math.max(last, place)
        self:bind(name, (expression.read(type)))
      end
    end
  end
  self:walk(node:field("body")[1])
  table.remove(self.scopes)
end

--- Types that `---@type` or `--[[@as …]]` give the variables of a statement.
---@param statement TSNode
---@return (TypeExpression|false)[]
function Scan:declared(statement)
  local row, _, last = statement:range()
  local text
  for _, one in ipairs(self:above(row)) do
    text = one.tag == "type" and one.rest or text
  end
  text = text or self.lines[row + 1]:match("%-%-%-@type%s+(.*)$")
  local types = {}
  while text do
    local type, rest = expression.read(text)
    types[#types + 1] = type or false
    text = type and rest:match("^%s*,%s*(.*)$")
  end
  local cast = #types == 0 and self.lines[last + 1]:match("%-%-%[%[@as%s+(.-)%]%]")
  if cast then
    types[1] = expression.read(cast) or false
  end
  return types
end

---@param statement TSNode
---@param assignment TSNode
function Scan:assign(statement, assignment)
  local variables = assignment:named_child(0)
  local values = assignment:named_child(1)
  local types = self:declared(statement)
  for place = 0, (values and values:named_child_count() or 0) - 1 do
    local value = assert(values):named_child(place)
    if value:type() == "function_definition" then
      self:enter_function(value, statement)
    else
      self:walk(value)
    end
  end
  for place = 0, variables:named_child_count() - 1 do
    local variable = variables:named_child(place)
    if variable:type() ~= "identifier" then
      self:walk(variable)
    elseif statement:type() == "variable_declaration" then
      local value = values and values:named_child(place)
      self:bind(self:text(variable), types[place + 1] or (#types == 0 and self:type_of(value)) or false)
    end
  end
end

---@param node TSNode
function Scan:loop(node)
  table.insert(self.scopes, {})
  local clause = node:field("clause")[1]
  if clause:type() == "for_generic_clause" then
    local names, values = clause:named_child(0), clause:named_child(1)
    local call = values:named_child(0)
    self:walk(values)
    local type = false
    if call and call:type() == "function_call" then
      local called = self:text(call:field("name")[1])
      if called == "ipairs" or called == "pairs" then
        type = element(self:type_of(call:field("arguments")[1]:named_child(0)))
      end
    end
    for place = 0, names:named_child_count() - 1 do
      self:bind(self:text(names:named_child(place)), place == 1 and type or false)
    end
  else
    self:bind(self:text(clause:field("name")[1]))
    for _, part in ipairs({ "start", "end", "step" }) do
      self:walk(clause:field(part)[1])
    end
  end
  self:walk(node:field("body")[1])
  table.remove(self.scopes)
end

---@param node TSNode
function Scan:index(node)
  local object, field = node:field("table")[1], node:field("field")[1] or node:field("method")[1]
  local type = self:type_of(object)
  local name = self:text(field)
  if not self:field(type, name) then
    local class = type and type.name or "what " .. self:text(object) .. " is"
    self.tell(({ field:range() })[1] + 1, ("%s has no field %s"):format(class, name))
  end
  self:walk(object)
end

local SCOPED = { do_statement = true, while_statement = true, repeat_statement = true, if_statement = true }

---@param node TSNode?
function Scan:walk(node)
  if not node then
    return
  end
  local kind = node:type()
  if kind == "function_declaration" then
    local name = node:field("name")[1]
    local class
    if name:type() == "identifier" then
      self:bind(self:text(name))
    elseif name:type() == "method_index_expression" then
      class = self.classes[self:text(name:field("table")[1])]
    end
    return self:enter_function(node, node, class)
  elseif kind == "function_definition" then
    local statement = node:parent()
    return self:enter_function(node, statement and statement:type() == "field" and statement or node)
  elseif kind == "variable_declaration" then
    local inner = node:named_child(0)
    if inner:type() == "assignment_statement" then
      return self:assign(node, inner)
    end
    local types = self:declared(node)
    for place = 0, inner:named_child_count() - 1 do
      self:bind(self:text(inner:named_child(place)), types[place + 1])
    end
    return
  elseif kind == "assignment_statement" then
    return self:assign(node, node)
  elseif kind == "for_statement" then
    return self:loop(node)
  elseif kind == "dot_index_expression" or kind == "method_index_expression" then
    return self:index(node)
  elseif kind == "comment" then
    local name, type = self:text(node):match("^%-%-%-@cast%s+([%w_]+)%s+([^+%-%s].*)$")
    if name then
      self:bind(name, (expression.read(type)))
    end
    return
  end
  local scoped = SCOPED[kind] or kind == "block"
  if scoped then
    table.insert(self.scopes, {})
  end
  for child in node:iter_children() do
    if child:named() then
      self:walk(child)
    end
  end
  if scoped then
    table.remove(self.scopes)
  end
end

local TYPED = {
  param = "^[%w_.]+%??%s+(.*)$",
  field = "^(.*)$",
  ["return"] = "^(.*)$",
  type = "^(.*)$",
  alias = "^[%w_.]+%s+(.*)$",
}

--- Every type in an annotation is one that is declared.
function Scan:names()
  local generic = {}
  for row, line in ipairs(self.lines) do
    local tag, rest = line:match("^%s*%-%-%-@(%l+)%s*(.*)$")
    if not tag and not line:find("^%s*%-%-%-") then
      generic = {}
    end
    if tag == "generic" then
      for name in rest:gmatch("[%w_]+") do
        generic[name] = true
      end
    end
    local text = tag and TYPED[tag] and rest:match(TYPED[tag])
    if text and tag == "field" then
      text = text:gsub("^private%s+", ""):gsub("^protected%s+", "")
      text = text:match("^%[.-%]%s+(.*)$") or text:match("^[%w_]+%??%s+(.*)$") or text
    end
    if text then
      local type, problem = expression.read(text)
      if not type then
        self.tell(row, ("@%s: %s"):format(tag, problem))
      else
        expression.each_name(type, function(name)
          local known = BUILTIN[name]
            or generic[name]
            or self.known.classes[name]
            or self.known.aliases[name]
            or self.known.foreign[name]
          if not known then
            self.tell(row, ("no type is called %s"):format(name))
          end
        end)
      end
    end
  end
end

---@param source string
---@return TSNode
local function tree_of(source)
  return vim.treesitter.get_string_parser(source, "lua"):parse()[1]:root()
end

--- The tables that classes of a file are, with their methods and with what methods put into `self`.
---@param lines string[]
---@param known Declarations
---@return table<string, string> classes by the variable
function M.methods(lines, known)
  local classes = {}
  for row, line in ipairs(lines) do
    local variable = line:match("^local ([%w_]+) = ")
    local above = row - 1
    while variable and above > 0 and lines[above]:find("^%-%-%-") do
      local class = lines[above]:gsub("%(%l+%)%s*", "", 1):match("^%-%-%-@class ([%w_.]+)")
      if class then
        classes[variable] = class
        break
      end
      above = above - 1
    end
  end
  local method
  for _, line in ipairs(lines) do
    local variable, name = line:match("^function ([%w_]+)[.:]([%w_]+)")
    if not variable then
      variable, name = line:match("^([%w_]+)%.([%w_]+) = ")
    end
    method = line:match("^function ([%w_]+):") or (not line:find("^function") and method) or nil
    local class = variable and classes[variable]
    if class and known.classes[class].fields[name] == nil then
      known.classes[class].fields[name] = false
    end
    for field in (method and classes[method] and line or ""):gmatch("self%.([%w_]+)[%w_.,%s]* = ") do
      local of = known.classes[classes[method]]
      if of.fields[field] == nil then
        of.fields[field] = false
      end
    end
  end
  return classes
end

---@param source string
---@param lines string[]
---@param classes table<string, string>
---@param known Declarations
---@param tell fun(row: integer, message: string)
function M.scan(source, lines, classes, known, tell)
  local scan = setmetatable(
    { source = source, lines = lines, known = known, tell = tell, scopes = { {} }, classes = classes },
    Scan
  )
  scan:names()
  scan:walk(tree_of(source))
end

return M
