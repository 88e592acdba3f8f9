--- Makes a list of steps that fails as short as it can be: first its end alone, then without all steps of one sort,
--- then with parts left out (delta debugging).
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

--- What a step is a case of.
---@param step table
---@return string
local function sort_of(step)
  return table.concat(
    { step.op, step.where or "", step.how or "", #(step.keys or "") < 5 and step.keys or "" },
    " "
  )
end

--- Sorts of steps, the most frequent first.
---@param steps table[]
---@return string[]
local function sorts_of(steps)
  local count = {}
  for _, step in ipairs(steps) do
    local sort = sort_of(step)
    count[sort] = (count[sort] or 0) + 1
  end
  local sorts = vim.tbl_keys(count)
  table.sort(sorts, function(a, b)
    return count[a] == count[b] and a < b or count[a] > count[b]
  end)
  return sorts
end

--- The shortest list found within a number of tries.
---@param steps table[]
---@param fails fun(steps: table[]): boolean
---@param tries integer
---@param better fun(steps: table[], left: integer) called with each shorter list
---@return table[]
function M.shorten(steps, fails, tries, better)
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
      better(best, left)
      break
    end
    length = length * 2
  end
  for _, sort in ipairs(sorts_of(best)) do
    local list = vim.tbl_filter(function(step)
      return sort_of(step) ~= sort
    end, best)
    if #list > 0 and #list < #best - 1 and try(list) then
      best = list
      better(best, left)
    end
  end
  local size = math.max(1, math.floor(#best / 2))
  while size >= 1 and left > 0 do
    local at, changed = 1, false
    while at <= #best and #best > 1 do
      local list = without(best, at, math.min(at + size - 1, #best))
      if try(list) then
        best, changed = list, true
        better(best, left)
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
