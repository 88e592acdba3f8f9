--- The texts of a random run: files whose lines are all different, and what the agent makes of them. A file is divided
--- into slots; a slot in version N is always the same text, so that a publication is described by its versions. Pure.
local M = {}

--- Lines of each file in the base.
M.FILES = { ["a.txt"] = 30, ["b.txt"] = 18, ["d/c.txt"] = 12 }

--- These, and the one that the agent makes.
M.NAMES = { "a.txt", "b.txt", "d/c.txt", "new.txt" }

--- Lines a slot.
local SLOT = 6

---@param file string
---@return string[]
function M.base(file)
  local lines = {}
  for i = 1, M.FILES[file] do
    lines[i] = ("base %s %d"):format(file, i)
  end
  return lines
end

---@param file string
---@return integer
function M.slots(file)
  return M.FILES[file] / SLOT
end

--- A number that depends on nothing but its arguments.
---@return integer
local function mix(file, slot, version, nth)
  return tonumber(vim.fn.sha256(table.concat({ file, slot, version, nth }, "/")):sub(1, 6), 16)
end

--- What a file becomes where some of its slots have a version.
---@param file string
---@param lines string[] what it is made from
---@param versions table<integer, integer>
---@return string[]
function M.variant(file, lines, versions)
  local out, at = {}, 1
  for slot = 1, math.max(1, math.floor(#lines / SLOT)) do
    local version = versions[slot]
    if version then
      local from = (slot - 1) * SLOT + mix(file, slot, version, 1) % 4
      local removed = mix(file, slot, version, 2) % 3
      local added = mix(file, slot, version, 3) % 4
      removed = math.min(removed + (added == 0 and 1 or 0), #lines - from)
      vim.list_extend(out, lines, at, from)
      for i = 1, added do
        out[#out + 1] = ("agent %s %d.%d.%d"):format(file, slot, version, i)
      end
      at = from + removed + 1
    end
  end
  return vim.list_extend(out, lines, at)
end

--- A file that the agent makes.
---@param file string
---@param version integer
---@return string[]
function M.created(file, version)
  local lines = {}
  for i = 1, 3 do
    lines[i] = ("agent %s new.%d.%d"):format(file, version, i)
  end
  return lines
end

---@param lines string[]
---@return string
function M.text(lines)
  return #lines == 0 and "" or table.concat(lines, "\n") .. "\n"
end

---@param text string
---@return string[]
function M.lines(text)
  local lines = vim.split(text, "\n", { plain = true })
  if lines[#lines] == "" then
    lines[#lines] = nil
  end
  return lines
end

return M
