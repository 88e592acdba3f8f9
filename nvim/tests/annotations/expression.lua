--- Reads a type as an annotation writes it. Pure.
local M = {}

---@class (exact) TypeExpression
---@field kind "name"|"array"|"map"|"fields"|"union"|"other"
---@field name? string
---@field parts? TypeExpression[] of a union, and whatever else stands inside
---@field element? TypeExpression of an array or a map
---@field fields? table<string, TypeExpression>

---@class TypeReader
---@field text string
---@field at integer
local Reader = {}
Reader.__index = Reader

---@private
---@param pattern string anchored
---@return string?
function Reader:take(pattern)
  local from, to, found = self.text:find("^%s*(" .. pattern .. ")", self.at)
  if from then
    self.at = to + 1
    return found
  end
end

---@private
---@param closing string
---@return TypeExpression[]
function Reader:list(closing)
  local parts = {}
  while not self:take("%" .. closing) do
    if self.at > #self.text then
      error("expected " .. closing, 0)
    end
    parts[#parts + 1] = self:union()
    self:take(",")
  end
  return parts
end

--- `(name: type, ...): type, type`
---@private
---@return TypeExpression
function Reader:signature()
  local parts = {}
  if self:take("%(") then
    while not self:take("%)") do
      if self.at > #self.text then
        error("expected )", 0)
      end
      local named = self:take("[%a_][%w_]*%??%s*:") or self:take("%.%.%.%s*:")
      if named then
        parts[#parts + 1] = self:union()
      elseif not self:take("%.%.%.") then
        self:take("[%a_][%w_]*%??")
      end
      self:take(",")
    end
  end
  if self:take(":") then
    repeat
      self:take("[%a_][%w_]*%??%s*:")
      parts[#parts + 1] = self:union()
    until not self:take(",")
  end
  return { kind = "other", parts = parts }
end

--- `{ name: type, [type]: type }`
---@private
---@return TypeExpression
function Reader:record()
  local parts, fields = {}, {}
  while not self:take("}") do
    if self.at > #self.text then
      error("expected }", 0)
    end
    local name
    if self:take("%[") then
      parts[#parts + 1] = self:union()
      self:take("%]")
    else
      name = self:take("[%a_][%w_]*")
      self:take("%?")
    end
    if not self:take(":") then
      error("expected a colon behind a field's name", 0)
    end
    parts[#parts + 1] = self:union()
    if name then
      fields[name] = parts[#parts]
    end
    self:take("[,;]")
  end
  return {
    kind = next(fields) and #parts == vim.tbl_count(fields) and "fields" or "other",
    parts = parts,
    fields = fields,
  }
end

---@private
---@return TypeExpression
function Reader:primary()
  if self:take('"[^"]*"') or self:take("'[^']*'") or self:take("`[^`]*`") or self:take("%-?%d[%d.]*") then
    return { kind = "other" }
  elseif self:take("%(") then
    local inner = self:union()
    self:take("%)")
    return inner
  elseif self:take("{") then
    return self:record()
  elseif self:take("%[") then
    return { kind = "other", parts = self:list("]") }
  elseif self:take("%.%.%.") then
    return { kind = "other" }
  end
  local name = self:take("[%a_][%w_.%-]*")
  if not name then
    error("expected a type", 0)
  elseif name == "fun" then
    return self:signature()
  elseif self.text:sub(self.at, self.at) == "<" then
    self.at = self.at + 1
    local parts = self:list(">")
    return { kind = name == "table" and "map" or "name", name = name, parts = parts, element = parts[2] }
  end
  return { kind = "name", name = name }
end

---@private
---@return TypeExpression
function Reader:union()
  local parts = {}
  repeat
    local one = self:primary()
    while true do
      if self.text:sub(self.at, self.at + 1) == "[]" then
        self.at = self.at + 2
        one = { kind = "array", element = one, parts = { one } }
      elseif self.text:sub(self.at, self.at) == "?" then
        self.at = self.at + 1
      else
        break
      end
    end
    if not (one.kind == "name" and one.name == "nil") then
      parts[#parts + 1] = one
    end
  until not self:take("|")
  return #parts == 1 and parts[1] or { kind = "union", parts = parts }
end

--- The type at the beginning of a text, and what stands behind it.
---@param text string
---@return TypeExpression? type
---@return string rest, or what is wrong
function M.read(text)
  local reader = setmetatable({ text = text, at = 1 }, Reader)
  local ok, result = pcall(reader.union, reader)
  if not ok then
    return nil, tostring(result)
  end
  return result, text:sub(reader.at)
end

--- Every name that a type is made of.
---@param type TypeExpression
---@param visit fun(name: string)
function M.each_name(type, visit)
  if type.name and type.name ~= "table" then
    visit(type.name)
  end
  for _, part in ipairs(type.parts or {}) do
    M.each_name(part, visit)
  end
end

return M
