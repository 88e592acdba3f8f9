--- Undo and redo of decisions, on the server and in the files; of a discard as well.
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
local outcome = require("suggestion-review.review.outcome")
local sessions = require("suggestion-review.review.session")
local store = require("suggestion-review.model.store")
local text_of = require("suggestion-review.text.display")
local feedback = require("suggestion-review.decisions.requests")

local M = {}

--- Steps that were asked for, oldest first. One at a time: the files have followed when the next is asked for.
---@type { session: SuggestionReview.Session, direction: "undo"|"redo" }[]
local asked = {}
local under_way = false

local go_on

--- Brings the files and the screen to what one step has set.
---@param session SuggestionReview.Session
---@param direction "undo"|"redo"
---@param data table the server's answer
---@param from string the hunk one was at when it was asked for
local function follow(session, direction, data, from)
  session:follow_store()
  local hunks = data.hunks or {}
  local changed = {}
  if data.changed and data.changed > #hunks then
    changed = session.hunks
  else
    for _, hunk in ipairs(hunks) do
      changed[#changed + 1] = store.hunk(session.id, hunk.id)
    end
  end
  -- Whoever has gone on since stays there.
  if hunks[1] and sessions.is_akin(session:current_hunk().id, from) then
    session:point_at(hunks[1].id)
  end
  current.draw({ keep_cursor = not hunks[1] })
  outcome.reconcile(session, changed, function()
    if current.get() == session then
      session:count()
      current.draw({ keep_cursor = true })
      notify.info(
        ("%s: %s"):format(
          direction == "undo" and "Undone" or "Done again",
          data.state and "the discard" or text_of.count(data.changed or #hunks, "decision")
        )
      )
    end
  end)
end

function go_on()
  local step = not under_way and table.remove(asked, 1)
  if not step then
    return
  end
  under_way = true
  local session, direction = step.session, step.direction
  local from = session:current_hunk().id
  feedback[direction](session.id, nil, function(err, data)
    under_way = false
    local ok, message = xpcall(function()
      if err then
        -- The steps behind it were meant to follow it.
        asked = {}
        notify[err.code == "nothing_to_do" and "info" or "warn"](err.message)
      elseif current.get() == session and data.state ~= "discarded" then
        follow(session, direction, data, from)
      end
    end, debug.traceback)
    go_on()
    if not ok then
      error(message, 0)
    end
  end)
end

--- Suggestions that were discarded in this Neovim, the last one last.
---@type string[]
local discarded = {}

--- Notes a discard, so that undo knows it although its review has closed.
---@param id string suggestion
function M.note_discard(id)
  discarded[#discarded + 1] = id
end

--- The last discard of this Neovim's that stands.
---@return SuggestionReview.Suggestion|nil
local function last_discarded()
  while #discarded > 0 do
    local suggestion = store.get(discarded[#discarded])
    if suggestion and suggestion.state == "discarded" then
      return suggestion
    end
    table.remove(discarded)
  end
end

--- Takes the last discard back and opens its review again.
local function undo_discard()
  local suggestion = last_discarded()
  if not suggestion then
    return notify.info("No review is open; :Suggest review opens one")
  end
  feedback.undo(suggestion.id, nil, function(err)
    if err then
      return notify.warn(err.message)
    end
    notify.info(("“%s” is under review again"):format(text_of.first_line(suggestion.description)))
    require("suggestion-review.review").open(suggestion.id)
  end)
end

---@param direction "undo"|"redo"
---@param opts? { count?: integer }
local function travel(direction, opts)
  local session = current.need_seen(true)
  if not session then
    return
  end
  for _ = 1, opts and opts.count or 1 do
    asked[#asked + 1] = { session = session, direction = direction }
  end
  go_on()
  current.before_next_key(function()
    return not under_way and #asked == 0
  end)
end

--- Takes back the last decision (or batch), in the file as well; with a count, as many. Where no review is open, the
--- last discard.
---@param opts? { count?: integer }
function M.undo(opts)
  if not current.is_open() then
    return undo_discard()
  end
  travel("undo", opts)
end

---@param opts? { count?: integer }
function M.redo(opts)
  travel("redo", opts)
end

return M
