--- Nothing is accepted that was not shown whole: a hunk that the style on the screen does not show so is shown in a
--- window of its own first; what leads out of the worktree is asked about.
local consent = require("suggestion-review.review.consent")
local contents = require("suggestion-review.apply.contents")
local current = require("suggestion-review.review.current")
local marks = require("suggestion-review.apply.marks")
local text_of = require("suggestion-review.text.display")
local notify = require("suggestion-review.say.notify")
local keys = require("suggestion-review.ui.keys")
local whole_hunk = require("suggestion-review.ui.whole_hunk")

local M = {}

--- Why the hunk was not seen whole so far.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@return string|nil
function M.unseen(session, hunk)
  if session.shown[hunk.digest] then
    -- Its text may have to be put back into it.
    contents.missing(hunk)
    return nil
  end
  local missing = contents.missing(hunk)
  if missing then
    return missing
  end
  local partly = current.style().shows_in_part
  return partly and partly(hunk) or nil
end

--- The hunk as it is now, if it is still what was shown.
---@param session SuggestionReview.Session
---@param shown SuggestionReview.Hunk
---@return integer|nil index
local function index_of(session, shown)
  if current.get() ~= session then
    return
  end
  for index, hunk in ipairs(session.hunks) do
    if hunk.id == shown.id and hunk.digest == shown.digest then
      return index
    end
  end
  notify.warn(("%s is another hunk by now; look at it again"):format(text_of.plain(shown.file)))
end
M.index_of = index_of

--- Shows all of the hunk, then calls `and_then` if the developer goes on from there.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param and_then fun()
local function show(session, hunk, and_then)
  local function go_on()
    local index = index_of(session, hunk)
    if index then
      session.shown[hunk.digest] = true
      session.index = index
      and_then()
    end
  end
  contents.load(session.place, hunk, function(reason)
    vim.schedule(function()
      if not index_of(session, hunk) then
        return
      elseif reason then
        local question = ("%s cannot be shown whole: %s."):format(text_of.plain(hunk.file), reason)
        return consent.ask(question, "Accept it unseen") and go_on()
      end
      whole_hunk.open(session, hunk, {
        title = text_of.plain(hunk.file),
        key = keys.key("accept") or "a",
        label = "accept",
        on_key = go_on,
      })
    end)
  end)
end

--- Whether accepting has to wait: the hunk is shown whole first, or the developer says no to what is marked. Then
--- `again` is called when it may go on.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param again fun()
---@return boolean
function M.holds(session, hunk, again)
  if M.unseen(session, hunk) then
    show(session, hunk, again)
    return true
  end
  if session.agreed[hunk.digest] then
    return false
  end
  local found = marks.of(session.place, hunk)
  if not marks.asks(found) then
    return false
  end
  if not consent.ask(consent.list({ { hunk = hunk, marks = found } }), "Accept it all the same") then
    return true
  end
  session.agreed[hunk.digest] = true
  return false
end

---@class (exact) SuggestionReview.MarkedHunk
---@field hunk SuggestionReview.Hunk
---@field marks SuggestionReview.Mark[]

--- Those of many hunks that are marked or were not seen whole.
---@param session SuggestionReview.Session
---@param hunks SuggestionReview.Hunk[]
---@return SuggestionReview.MarkedHunk[]
function M.marked(session, hunks)
  local marked = {}
  for _, hunk in ipairs(hunks) do
    local found = marks.of(session.place, hunk)
    local unseen = not session.shown[hunk.digest] and contents.missing(hunk)
    if unseen then
      table.insert(found, 1, { text = "not shown: " .. unseen, asks = true })
    end
    if #found > 0 then
      marked[#marked + 1] = { hunk = hunk, marks = found }
    end
  end
  return marked
end

return M
