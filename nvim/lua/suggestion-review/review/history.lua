--- Undo and redo of decisions, on the server and in the files.
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local store = require("suggestion-review.model.store")
local text_of = require("suggestion-review.text.display")

local M = {}

---@param direction "undo"|"redo"
local function travel(direction)
  local session = current.need_seen(true)
  if not session then
    return
  end
  require("suggestion-review.decisions.requests")[direction](session.id, nil, function(err, data)
    if err then
      return notify[err.code == "nothing_to_do" and "info" or "warn"](err.message)
    end
    if current.get() ~= session then
      return
    end
    local suggestion = store.get(session.id)
    if suggestion and suggestion.hunks then
      session:take_parts(suggestion)
    else
      session:count()
    end
    local hunks = data.hunks or {}
    local changed = {}
    if data.changed and data.changed > #hunks then
      changed = session.hunks
    else
      for _, hunk in ipairs(hunks) do
        changed[#changed + 1] = store.hunk(session.id, hunk.id)
      end
    end
    if hunks[1] then
      session:point_at(hunks[1].id)
    end
    outcome.reconcile(session, changed, function()
      if current.get() == session then
        session:count()
        current.style().refresh()
        notify.info(
          ("%s: %s"):format(
            direction == "undo" and "Undone" or "Done again",
            text_of.count(data.changed or #hunks, "decision")
          )
        )
      end
    end)
  end)
end

--- Takes back the last decision (or batch), in the file as well.
function M.undo()
  travel("undo")
end

function M.redo()
  travel("redo")
end

return M
