--- What becomes of a conflict once a text was chosen: it goes into the file, and to the server where it decides.
local notify = require("suggestion-review.say.notify")
local resolution = require("suggestion-review.apply.resolution")
local text_of = require("suggestion-review.text.display")

local M = {}

--- Brings the text that was chosen into the file.
---@param conflict SuggestionReview.Conflict
---@param lines string[]|nil nil: the file goes
---@param replacement SuggestionReview.Replacement|nil
---@return boolean ok
---@return string|nil reason
local function bring(conflict, lines, replacement)
  local hunk = conflict.item.hunk
  local ok, reason = resolution.resolve(conflict.session.place, conflict.item, lines, replacement)
  conflict.session.outcomes[hunk.id] = not ok and "not in your file" or nil
  if reason then
    notify.warn(("%s: %s"):format(text_of.plain(hunk.file), reason))
  end
  conflict.door.draw()
  return ok, reason
end

--- Carries out a choice that changes no decision.
---@param conflict SuggestionReview.Conflict
---@param lines string[]|nil
---@param done? fun(reason?: string)
local function settle_here(conflict, lines, done)
  local ok, reason = bring(conflict, lines, nil)
  if done then
    done(not ok and (reason or "it is not in your file") or nil)
  end
  conflict.door.settled()
end

--- Whether the server has the very decision that the suggested text is of: what is chosen is about the file alone then.
---@param conflict SuggestionReview.Conflict
---@return boolean
local function is_decided_so(conflict)
  local session, want = conflict.session, conflict.item.want
  if session:state_of(conflict.item.hunk) ~= want.state then
    return false
  end
  for _, hunk in ipairs(want.state == "modified" and session.hunks or {}) do
    if hunk.id == want.hunk.id then
      return hunk.decision ~= nil and hunk.decision.modified_diff == want.modified_diff
    end
  end
  return true
end

--- Carries out what was chosen.
---@param conflict SuggestionReview.Conflict
---@param lines string[]|nil nil: the file goes
---@param choice "ours"|"theirs"|"own"
---@param done? fun(reason?: string) told what became of a text that was edited
function M.settle(conflict, lines, choice, done)
  local item, door = conflict.item, conflict.door
  conflict.is_chosen = true
  conflict.session = door.session()
  conflict:close()
  if conflict.taken_out then
    return settle_here(conflict, lines, done)
  end
  local answered = done and function(err)
    done(err and err.message or nil)
  end
  if choice == "theirs" or (lines and vim.deep_equal(lines, conflict.theirs)) then
    if is_decided_so(conflict) then
      return settle_here(conflict, lines, done)
    end
    return door.send(item.want.state == "modified" and "modify" or "accept", {
      modified_diff = item.want.modified_diff,
      resolution = function()
        bring(conflict, lines, nil)
      end,
      answered = answered,
    })
  end
  local modified, reason, replacement = resolution.as_modification(item, lines or {})
  if not modified then
    if done then
      return done(reason)
    end
    notify.warn(("%s: %s"):format(text_of.plain(item.hunk.file), reason))
    return door.left(reason or "conflict")
  end
  door.send("modify", {
    modified_diff = modified,
    comment = "resolved against my own edits",
    resolution = function()
      bring(conflict, lines, replacement)
    end,
    answered = answered,
  })
end

return M
