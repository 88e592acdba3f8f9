--- Makes a list of steps that fails as short as it can be: first its end alone, then with parts left out.
local M = {}

---@param list any[]
---@param from integer
---@param to integer
local function without(list, from, to)
  local out = vim.list_slice(list, 1, from - 1)
  return vim.list_extend(out, list, to + 1)
end

--- Steps that the end of a list cannot do without: what the agent published last.
---@param steps table[]
---@param from integer
---@return table[]
local function needed(steps, from)
  for i = from - 1, 1, -1 do
    if steps[i].op == "publish" then
      return { steps[i] }
    end
  end
  return {}
end

--- The shortest list found within a number of tries.
---@param steps table[]
---@param fails fun(steps: table[]): boolean
---@param tries integer
---@param say? fun(text: string)
---@return table[]
function M.shorten(steps, fails, tries, say)
  say = say or function() end
  local left = tries
  local function try(list)
    if left <= 0 then
      return false
    end
    left = left - 1
    return fails(list)
  end
  local best = steps
  local length = 8
  while length < #steps do
    local from = #steps - length + 1
    local list = vim.list_extend(needed(steps, from), steps, from)
    if try(list) then
      best = list
      break
    end
    length = length * 2
  end
  local size = math.max(1, math.floor(#best / 2))
  while size >= 1 and left > 0 do
    local at, changed = 1, false
    while at <= #best and #best > 1 do
      local list = without(best, at, math.min(at + size - 1, #best))
      if try(list) then
        best, changed = list, true
        say(("%d steps, %d tries left"):format(#best, left))
      else
        at = at + size
      end
    end
    if size == 1 and not changed then
      break
    end
    size = size > 1 and math.floor(size / 2) or 1
  end
  return best
end

return M
