--- What of a suggestion stands in the files without being in its commit: text of an earlier revision, and of hunks that
--- were not accepted in the end. It is the agent's text, not the developer's further edits.
local digest = require("suggestion-review.text.digest")
local exchange = require("suggestion-review.text.exchange")
local revision = require("suggestion-review.apply.revision")
local standing = require("suggestion-review.apply.standing")

local M = {}

---@class (exact) SuggestionReview.Remains
---@field file string raw bytes
---@field what string in words

---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[] of the last revision
---@param callback fun(remains: SuggestionReview.Remains[])
function M.look(place, hunks, callback)
  if place.in_place or not place.applied then
    return callback({})
  end
  revision.rekey(place, hunks)
  local state_of = {}
  for _, hunk in ipairs(hunks) do
    state_of[digest.path(hunk) .. "\0" .. hunk.id] = hunk.state
  end
  standing.look(place, hunks, nil, function(found)
    local remains = {}
    local id = place.suggestion.id
    for _, file in ipairs(place.applied:files(id)) do
      local said = {}
      for _, replacement in ipairs(place.applied:of_file(id, file)) do
        local state, what = state_of[file .. "\0" .. replacement.key], nil
        if (found[file] or {})[replacement.key] == "gone" then
          what = nil
        elseif exchange.is_stale(replacement) then
          what = ("text of revision %s, not of the final commit"):format(replacement.revision or "before")
        elseif state == "rejected" then
          what = "text of a hunk that you rejected, not of the final commit"
        elseif state == "pending" then
          what = "text of a hunk that you left undecided, not of the final commit"
        end
        if what and not said[what] then
          said[what] = true
          remains[#remains + 1] = { file = file, what = what }
        end
      end
    end
    callback(remains)
  end)
end

return M
