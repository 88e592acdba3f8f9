--- Checks what came over the wire against a description of it. A rule is a function that looks at one value and returns
--- nothing where it fits, else where in the value it does not and what was expected there. Fields that a rule does not
--- name pass: a newer server may send more.

local M = {}

---@alias SuggestionReview.Rule fun(value: any): where: string?, expected: string?

---@param value any
---@return string
local function kind_of(value)
  if value == nil then
    return "nothing"
  end
  return type(value)
end

---@param kind string
---@return SuggestionReview.Rule
local function of_type(kind)
  return function(value)
    if type(value) ~= kind then
      return "", ("expected a %s, got %s"):format(kind, kind_of(value))
    end
  end
end

M.string = of_type("string")
M.boolean = of_type("boolean")
M.number = of_type("number")

--- A whole number, 0 or more: nothing in the protocol counts below.
---@type SuggestionReview.Rule
function M.count(value)
  if type(value) ~= "number" or value % 1 ~= 0 or value < 0 then
    local got = type(value) == "number" and tostring(value) or kind_of(value)
    return "", "expected a whole number, 0 or more, got " .. got
  end
end

--- Any whole number.
---@type SuggestionReview.Rule
function M.integer(value)
  if type(value) ~= "number" or value % 1 ~= 0 then
    return "", "expected a whole number, got " .. kind_of(value)
  end
end

---@param rule SuggestionReview.Rule
---@return SuggestionReview.Rule
function M.optional(rule)
  return function(value)
    if value ~= nil then
      return rule(value)
    end
  end
end

---@param ... string
---@return SuggestionReview.Rule
function M.one_of(...)
  local allowed = {}
  for _, word in ipairs({ ... }) do
    allowed[word] = true
  end
  local expected = "expected one of " .. table.concat({ ... }, ", ")
  return function(value)
    if value == nil or not allowed[value] then
      return "", expected .. ", got " .. (type(value) == "string" and vim.inspect(value) or kind_of(value))
    end
  end
end

---@param rule SuggestionReview.Rule
---@return SuggestionReview.Rule
function M.list(rule)
  return function(value)
    if type(value) ~= "table" or not vim.islist(value) then
      return "", "expected a list, got " .. kind_of(value)
    end
    for index, item in ipairs(value) do
      local where, expected = rule(item)
      if where then
        return ("[%d]%s"):format(index, where), expected
      end
    end
  end
end

---@param fields table<string, SuggestionReview.Rule>
---@return SuggestionReview.Rule
function M.object(fields)
  local names = vim.tbl_keys(fields)
  table.sort(names)
  return function(value)
    if type(value) ~= "table" or (#value > 0) then
      return "", "expected an object, got " .. (type(value) == "table" and "a list" or kind_of(value))
    end
    for _, name in ipairs(names) do
      local where, expected = fields[name](value[name])
      if where then
        return "." .. name .. where, expected
      end
    end
  end
end

--- What is wrong with a value, as a clause such as "hunks[2].state: expected one of …, got nothing"; nil where it fits.
---@param value any
---@param rule SuggestionReview.Rule
---@return string?
function M.problem(value, rule)
  local where, expected = rule(value)
  if not where then
    return nil
  end
  local place = where:gsub("^%.", "")
  return place == "" and expected or ("%s: %s"):format(place, expected)
end

return M
