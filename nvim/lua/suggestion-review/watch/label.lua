--- What stands beside a suggestion's title wherever it is shown: in the review's title, in lists, in the status report.
local M = {}

---@class (exact) SuggestionReview.StateMark
---@field text string
---@field fine boolean nothing is wrong

--- How it stands with a suggestion and with the server it is from.
---@param suggestion SuggestionReview.Suggestion
---@return SuggestionReview.StateMark[]
function M.marks(suggestion)
  local marks = {}
  if suggestion.state ~= "open" then
    marks[#marks + 1] = { text = suggestion.state, fine = true }
  end
  if suggestion.base_moved then
    marks[#marks + 1] = { text = "base moved", fine = false }
  end
  local words, fine = require("suggestion-review.connection.client").brief(suggestion.server)
  if words then
    marks[#marks + 1] = { text = words, fine = fine }
  end
  return marks
end

--- A suggestion as one line of a list: its title, how far it is decided, and what is to be known about it.
---@param suggestion SuggestionReview.Suggestion
---@param more? string
---@return string
function M.line(suggestion, more)
  local text_of = require("suggestion-review.text.display")
  local parts = {
    ("%d/%d decided"):format(suggestion.reviewed_count, suggestion.hunk_count),
    text_of.count(#suggestion.files, "file"),
  }
  for _, mark in ipairs(M.marks(suggestion)) do
    -- A server that is as it should be is no news in a list.
    if not (mark.fine and suggestion.state == "open") then
      parts[#parts + 1] = mark.text
    end
  end
  parts[#parts + 1] = more
  return ("%s  (%s)"):format(text_of.first_line(suggestion.description), table.concat(parts, ", "))
end

--- What stands above a list of suggestions: with it the servers that are not heard, whose suggestions it may lack.
---@param text string
---@return string
function M.above(text)
  local missing = {}
  local client = require("suggestion-review.connection.client")
  for _, one in ipairs(client.all()) do
    local words, fine = client.brief(one.server.name)
    if not fine then
      missing[#missing + 1] = words
    end
  end
  return #missing == 0 and text or ("%s (%s)"):format(text, table.concat(missing, ", "))
end

--- What to say where there is no open suggestion: that nothing waits, or that it is not known.
---@return string
---@return boolean fine all servers are connected, so there is none indeed
function M.nothing()
  local client = require("suggestion-review.connection.client")
  local troubles = client.troubles()
  if #troubles == 0 then
    return "No suggestion waits for review", true
  end
  local heard = #client.all() > #troubles and "No suggestion waits for review elsewhere. " or ""
  return heard .. table.concat(troubles, " "), false
end

--- Says it.
function M.say_nothing()
  local text, fine = M.nothing()
  require("suggestion-review.say.notify")[fine and "info" or "warn"](text)
end

return M
