--- Ties the folders together. Each requires only those below it; what a lower one has to call back, and who listens,
--- is given here, by what stands above all of them.
local M = {}

local wired = false

--- Gives the store to the connections and the decisions to the store; once is enough.
local function wire()
  if wired then
    return
  end
  wired = true
  require("suggestion-review.model.store").on_load(function(suggestion)
    local in_flight = require("suggestion-review.decisions.requests").in_flight()
    require("suggestion-review.decisions.record").settle_unanswered(suggestion, in_flight)
  end)
end

--- Shows how a finalized suggestion would be adopted.
---@param plan SuggestionReview.AdoptPlan
function M.show_plan(plan)
  require("suggestion-review.ui.plan").show(plan)
end

--- Connects to every configured server, or to one, and follows what they tell.
---@param name? string
function M.connect(name)
  wire()
  require("suggestion-review.connection.client").start(name)
  require("suggestion-review.watch.announce").attach(M.show_plan)
  require("suggestion-review.watch.files").attach()
  require("suggestion-review.watch.asks").attach()
end

--- A part of the public interface: a module, and what it has only here.
---@param name string module
---@param more table<string, function>
---@return table
local function part(name, more)
  return setmetatable(more, { __index = require(name) })
end

--- The parts of the public interface with functions of their own, by the name under which |suggestion-review-lua| has
--- them.
---@type table<string, fun(): table>
M.parts = {
  store = function()
    wire()
    return part("suggestion-review.model.store", {
      --- What the developer decided in a Neovim of theirs, by hunk id.
      ---@param id string suggestion
      ---@return table<string, SuggestionReview.Record>
      decided_here = function(id)
        return require("suggestion-review.decisions.record").by_hunk(id)
      end,
    })
  end,
  feedback = function()
    return require("suggestion-review.decisions.requests")
  end,
  client = function()
    wire()
    return part("suggestion-review.connection.client", { start = M.connect })
  end,
}

return M
