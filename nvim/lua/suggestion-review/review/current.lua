--- The review on the screen: which session it is, in which style it is drawn, and at which hunk. What the keys do
--- (`review/init.lua` and its neighbours) asks this module for the session and for drawing, and after every wait
--- whether the session is still the one it began with.
local editor = require("suggestion-review.lib.editor")
local notify = require("suggestion-review.say.notify")

local M = {}

--- A way of drawing a review. What is optional is not offered by all of them.
---@class SuggestionReview.Style
---@field open fun(session: SuggestionReview.Session, actions: SuggestionReview.Actions)
---@field refresh fun(opts?: table)
---@field close fun()
---@field is_open fun(): boolean
---@field is_seen fun(many: boolean): boolean the current hunk is before the developer's eyes; of many, the review is
---@field focus fun()
---@field selection? fun(first: integer, last: integer): SuggestionReview.Selected[]
---@field line_at_cursor? fun(): integer|nil line of the real file, where the cursor is in it
---@field place_at_cursor? fun(): SuggestionReview.ReviewLine|nil
---@field origin? fun(): integer|nil the window it was opened from
---@field gap_at_cursor? fun(): integer|nil
---@field shows_in_part? fun(hunk: SuggestionReview.Hunk): string|nil why a hunk is not to be seen whole
---@field hunk_at_cursor? fun(): integer|nil the hunk that a key typed here and now is about
---@field toggle_layout? fun()
---@field toggle_panel? fun()

local STYLES = {
  floating = "suggestion-review.ui.floating",
  inline = "suggestion-review.ui.inline",
  picker = "suggestion-review.ui.picker",
  telescope = "suggestion-review.ui.picker",
}

---@type SuggestionReview.Session|nil
local session
--- What the keys of the style do.
---@type SuggestionReview.Actions
local actions

--- The session under way.
---@return SuggestionReview.Session|nil
function M.get()
  return session
end

--- The session that a window is about which stays when the review is closed: the review may have been opened again
--- since, of the same hunks.
---@param begun SuggestionReview.Session the one it was opened in
---@return SuggestionReview.Session
function M.same_as(begun)
  local is_it = session and session.id == begun.id and session.revision == begun.revision
  return is_it and session or begun
end

--- What draws the session under way.
---@return SuggestionReview.Style
function M.style()
  return require(STYLES[session.style])
end

---@return boolean
function M.is_open()
  return session ~= nil and M.style().is_open()
end

--- The session under way, or a word on how to begin one.
---@return SuggestionReview.Session|nil
function M.need()
  if session and M.is_open() then
    return session
  end
  notify.info("No review is open; :Suggest review opens one")
end

--- The session under way, where what is to be decided is before the developer's eyes; else the review comes to the
--- front, and nothing is decided by a key that was typed elsewhere.
---@param many? boolean more than the current hunk
---@return SuggestionReview.Session|nil
function M.need_seen(many)
  if not M.need() then
    return
  elseif M.style().is_seen(many == true) then
    return session
  end
  M.style().focus()
  notify.info("Here is the review; nothing was decided yet")
end

--- The inline review shows where hunks would go in the developer's own files; without those there is the floating one.
---@param name string
---@param place SuggestionReview.Place
---@return string
local function fitting_style(name, place)
  if name ~= "inline" or place.root then
    return name
  end
  notify.info("The inline review needs a checkout; :cd to it or set server.root")
  return "floating"
end

--- Draws the session as it is now. What goes wrong in drawing is told and logged, and keeps nothing from being sent
--- or brought into files.
---@param opts? table
function M.draw(opts)
  if not session then
    return
  end
  local ok, message = xpcall(M.style().refresh, debug.traceback, opts)
  if not ok then
    require("suggestion-review.say.log").error("drawing the review: %s", message)
    notify.failure(message)
  end
end

--- The cursor may have moved without the review having been told: keys in one go, a macro, ".".
function M.look_at_cursor()
  if not session then
    return
  end
  local hunk_at_cursor = M.style().hunk_at_cursor
  local index = hunk_at_cursor and hunk_at_cursor()
  if index and session.hunks[index] then
    session.index = index
  end
end

--- Makes this the session under way and draws it.
---@param opened SuggestionReview.Session
---@param does SuggestionReview.Actions what keys do
function M.open(opened, does)
  session, actions = opened, does
  session.style = fitting_style(session.style, session.place)
  M.style().open(session, actions)
end

--- Closes the windows. Decisions stay; nothing is sent.
function M.close()
  require("suggestion-review.ui.popup").close_all()
  if not session then
    return
  end
  local style = M.style()
  session.unsubscribe()
  session = nil
  style.close()
end

--- Makes a hunk the current one and shows it.
---@param index integer
---@param opts? table
function M.go(index, opts)
  if not session then
    return
  end
  session.index = math.max(1, math.min(index, #session.hunks))
  M.draw(vim.tbl_extend("force", { text = false }, opts or {}))
end

--- Milliseconds that keys typed in the same go are kept waiting for an answer.
local PATIENCE = 1000

--- Keeps what was typed in the same go waiting until an answer has changed what hunks there are, or which one is the
--- current one: those keys are about what follows from it.
---@param is_done fun(): boolean
function M.before_next_key(is_done)
  if vim.fn.getchar(1) ~= 0 then
    vim.wait(PATIENCE, is_done, 2)
  end
end

local refresh_pending = false

--- Draws again soon; many events make one drawing.
function M.refresh_soon()
  if refresh_pending then
    return
  end
  refresh_pending = true
  vim.schedule(function()
    editor.when_free(function()
      refresh_pending = false
      if session and M.is_open() then
        local text = session:follow_store() or session.stale_text == true
        session.stale_text = nil
        M.draw({ keep_cursor = true, text = text })
      end
    end)
  end)
end

--- Shows the same review in another style, at the same hunk.
---@param name string "floating", "inline" or "picker"
function M.set_style(name)
  if not STYLES[name] then
    error(
      ("suggestion-review: %s is not a style; expected floating, inline or picker"):format(vim.inspect(name)),
      2
    )
  end
  if not M.need() then
    return
  end
  editor.attempt(function()
    local before = M.style()
    name = fitting_style(name, session.place)
    before.close()
    session.style = name
    M.style().open(session, actions)
  end)
end

function M.next_style()
  if M.need() then
    M.set_style(({ floating = "inline", inline = "picker" })[session.style] or "floating")
  end
end

return M
