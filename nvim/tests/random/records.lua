--- What the client keeps on disk of the developer's words, read without the client's own code.
local t = require("support")

local M = {}

---@param value any
---@param into string[]
local function texts(value, into)
  if type(value) == "table" then
    for _, one in pairs(value) do
      texts(one, into)
    end
  elseif type(value) == "string" then
    into[#into + 1] = value
    local ok, decoded = pcall(vim.base64.decode, value)
    if ok then
      into[#into + 1] = decoded
    end
  end
end

---@param directory string
---@param each fun(path: string, line: string)
local function lines_of(directory, each)
  for name, kind in vim.fs.dir(directory) do
    if kind == "file" then
      for line in (t.read(directory .. "/" .. name) or ""):gmatch("[^\n]+") do
        each(name, line)
      end
    end
  end
end

--- The applied record as it counts now (what was taken out is out), and what is kept for good.
---@param state string the client's state directory
---@return string
function M.applied(state)
  local entries, out = {}, {}
  lines_of(state .. "/applied", function(name, line)
    local ok, entry = pcall(vim.json.decode, line)
    if ok and entry.kept then
      texts(entry.kept, out)
    elseif ok and entry.put then
      entries[table.concat({ name, entry.suggestion, entry.file, entry.put.key }, "\0")] = entry.put
    elseif ok and entry.out then
      entries[table.concat({ name, entry.suggestion, entry.file, entry.out }, "\0")] = nil
    end
  end)
  texts(entries, out)
  return table.concat(out, "\n")
end

--- The end of a record, for a person to read.
---@param state string
---@param name "applied"|"decisions"
---@return string
function M.log(state, name)
  local out = {}
  lines_of(state .. "/" .. name, function(_, line)
    local readable = line:gsub('"([%w+/]+=*)"', function(word)
      local ok, text = pcall(vim.base64.decode, word)
      return ok and #word % 4 == 0 and text:find("^[%g ]+\n?$") and vim.json.encode(text) or nil
    end)
    out[#out + 1] = readable
  end)
  return table.concat(vim.list_slice(out, math.max(1, #out - 30)), "\n")
end

--- The text of hunks that the developer rejected or put their own version in the place of.
---@param state string
---@return string
function M.turned_down(state)
  local out = {}
  lines_of(state .. "/decisions", function(_, line)
    local ok, entry = pcall(vim.json.decode, line)
    for _, item in ipairs(ok and entry.t == "intent" and entry.items or {}) do
      out[#out + 1] = (item.state == "rejected" or item.state == "modified") and item.hunk.diff or nil
    end
  end)
  return table.concat(out, "\n")
end

--- Everything that was ever decided.
---@param state string
---@return string
function M.decided(state)
  local out = {}
  lines_of(state .. "/decisions", function(_, line)
    out[#out + 1] = line
  end)
  return table.concat(out, "\n")
end

return M
