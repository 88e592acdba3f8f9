--- Keeps the review on the screen in step with what the store tells: new revisions, split and joined hunks, decisions,
--- comments, the end of the suggestion.
local apply = require("suggestion-review.apply")
local current = require("suggestion-review.review.current")
local editor = require("suggestion-review.lib.editor")
local notify = require("suggestion-review.say.notify")
local store = require("suggestion-review.model.store")
local text_of = require("suggestion-review.text.display")
local seen = require("suggestion-review.model.seen")
local standing = require("suggestion-review.review.standing")

local M = {}

--- The store was filled anew.
---@param session SuggestionReview.Session
local function on_reset(session)
  if not store.get(session.id) then
    return
  elseif not store.hunks(session.id) then
    store.fetch(session.id)
  else
    current.refresh_soon()
  end
end

--- The suggestion was loaded, or published again.
---@param session SuggestionReview.Session
local function on_hunks(session)
  local suggestion = store.get(session.id)
  if not suggestion or not suggestion.hunks then
    return store.fetch(session.id)
  elseif suggestion.revision == session.revision and session:is_of(suggestion.hunks) then
    return
  end
  local newer = suggestion.revision > session.revision
  local at = session:current_hunk()
  session:take_hunks(suggestion)
  for index, hunk in ipairs(session.hunks) do
    if at and hunk.digest == at.digest then
      session.index = index
      break
    end
  end
  if newer then
    session.fresh = seen.look(session.id, suggestion.revision, session.hunks)
    local left = #session.hunks - session.decided
    session.index = session:pending_from(session.index) or session.index
    notify.info(
      ("Revision %d: %s to decide; the rest is as you decided it"):format(
        suggestion.revision,
        text_of.count(left, "hunk")
      )
    )
  end
  editor.when_free(function()
    if current.is_open() and current.get() == session then
      current.draw()
    end
  end)
  standing.begin(session)
end

--- A hunk was split, or its parts joined.
---@param session SuggestionReview.Session
local function on_parts(session)
  -- At once: the next key counts hunks as they are on the screen.
  if session:follow_store() and current.is_open() then
    current.draw({ keep_cursor = true })
  end
end

--- What is said when a review closes because its suggestion has ended.
M.ENDED = {
  discarded = "The suggestion was discarded; what you accepted stays in your files. :Suggest undo brings it back",
  finalized = "The suggestion is finalized",
}

---@param session SuggestionReview.Session
---@param action string
local function on_completed(session, action)
  vim.schedule(function()
    editor.when_free(function()
      local now = current.get()
      if now and now.id == session.id then
        current.close()
        notify.info(M.ENDED[action] or M.ENDED.finalized)
      end
    end)
  end)
end

---@param event SuggestionReview.Event
function M.on_event(event)
  local session = current.get()
  if not session then
    return
  end
  if event.type == "suggestion.status" and event.status == "settled" then
    apply.reload(session.place)
  end
  if event.type == "store.reset" then
    return on_reset(session)
  elseif event.type == "client.state" then
    -- The title says how it stands with the server, and a hunk that it is not answered yet.
    return event.server == session:suggestion().server and current.refresh_soon()
  elseif session.id ~= (event.suggestion_id or event.suggestion and event.suggestion.id) then
    return
  end
  if event.type == "store.loaded" or event.type == "suggestion.ready" then
    on_hunks(session)
  elseif event.type == "suggestion.hunk_split" or event.type == "suggestion.hunk_joined" then
    on_parts(session)
  elseif
    event.type == "suggestion.hunk_applied"
    or event.type == "suggestion.hunk_reset"
    or event.type == "suggestion.comment"
  then
    -- A modified hunk shows the developer's version, so its lines change with its state.
    session.stale_text = session.stale_text
      or event.type == "suggestion.comment"
      or event.comment ~= nil
      or event.modified_diff ~= nil
      or event.type == "suggestion.hunk_reset"
    current.refresh_soon()
  elseif event.type == "suggestion.base_moved" then
    current.refresh_soon()
  elseif event.type == "suggestion.reopened" then
    current.refresh_soon()
  elseif event.type == "suggestion.completed" then
    on_completed(session, event.action)
  end
end

return M
