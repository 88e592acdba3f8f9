--- The order of what is sent about a suggestion. A decision goes to disk first, and finding out whether its file can
--- follow may take a while: what was asked for later (an undo, a finalize) waits for it, so that keys count in the
--- order they were typed in.
local M = {}

---@class SuggestionReview.Turn a place in the line; it has to be used or given up
---@field private run? fun()
---@field private line SuggestionReview.Turn[]
---@field private over boolean
local Turn = {}
Turn.__index = Turn

---@type table<string, SuggestionReview.Turn[]>
local lines = {}

---@param line SuggestionReview.Turn[]
local function advance(line)
  while line[1] and line[1].run do
    local first = table.remove(line, 1)
    first.run()
  end
end

--- Takes the next place in the line of a suggestion.
---@param id string
---@return SuggestionReview.Turn
function M.take(id)
  local line = lines[id] or {}
  lines[id] = line
  local turn = setmetatable({ line = line, over = false }, Turn)
  line[#line + 1] = turn
  return turn
end

--- Calls `run` when everybody before has had their turn.
---@param run fun()
function Turn:use(run)
  if self.over then
    return run()
  end
  self.over, self.run = true, run
  advance(self.line)
end

--- Leaves the line; nothing was sent.
function Turn:give_up()
  if not self.over then
    self:use(function() end)
  end
end

return M
