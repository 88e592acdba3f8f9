--- The developer's own version of a hunk: edited in a window, and sent as a modification when that is written. The text
--- stays there until the server has taken it.
local apply = require("suggestion-review.apply")
local consent = require("suggestion-review.review.consent")
local current = require("suggestion-review.review.current")
local diff = require("suggestion-review.text.diff")
local notify = require("suggestion-review.say.notify")
local sending = require("suggestion-review.review.send")
local target = require("suggestion-review.review.target")
local modify = require("suggestion-review.ui.modify")

local M = {}

---@param text SuggestionReview.HunkText
---@param ... "before"|"old"|"new"|"after"
---@return string[]
local function joined(text, ...)
  local out = {}
  for _, part in ipairs({ ... }) do
    vim.list_extend(out, text[part])
  end
  return out
end

--- The hunk that an edited text is for, as it is now: the one it was begun on, or with `forced` what the agent has made
--- of it since, where that stands in the same lines.
---@param session SuggestionReview.Session
---@param begun SuggestionReview.Hunk
---@param forced boolean
---@return SuggestionReview.Hunk|nil
---@return string|nil reason
local function standing(session, begun, forced)
  local same_place
  for _, hunk in ipairs(session.hunks) do
    if hunk.id == begun.id and hunk.digest == begun.digest then
      return hunk
    elseif
      hunk.file == begun.file
      and hunk.old_start == begun.old_start
      and hunk.old_count == begun.old_count
    then
      same_place = hunk
    end
  end
  for _, hunk in ipairs(session.hunks) do
    if hunk.digest == begun.digest then
      return hunk
    end
  end
  if not same_place then
    return nil, "this hunk is not in the suggestion any more; your text stays here for you to copy"
  elseif not forced then
    return nil,
      ("the agent changed this hunk in revision %d; :w! sends your text in its place"):format(
        session.revision
      )
  end
  local now, text = diff.text_of(same_place), diff.text_of(begun)
  local function base(of)
    return of and joined(of, "before", "old", "after")
  end
  if not vim.deep_equal(base(now), base(text)) then
    return nil, "the lines around this hunk changed as well; your text stays here for you to copy"
  end
  return same_place
end

--- The session that an edited text belongs to: the review may have been closed and opened again meanwhile.
---@param session SuggestionReview.Session
---@return SuggestionReview.Session
local function session_now(session)
  local now = current.get()
  return now and now.id == session.id and now or session
end

---@param session SuggestionReview.Session the one it was begun in
---@param begun SuggestionReview.Hunk
---@param edited string[]
---@param done fun(reason?: string)
---@param forced boolean
local function submit(session, begun, edited, done, forced)
  session = session_now(session)
  if current.get() ~= session then
    session:follow_store()
  end
  local hunk, gone = standing(session, begun, forced)
  if not hunk then
    return done(gone)
  end
  local text = diff.text_of(hunk) --[[@as SuggestionReview.HunkText]]
  local function answered(err)
    done(err and err.message or nil)
  end
  edited = diff.within_context(text, edited)
  if vim.deep_equal(edited, joined(text, "before", "new", "after")) then
    return sending.send(session, hunk, "accept", { answered = answered, stay = true })
  end
  local removed = diff.context_removed(text, edited)
  if removed > 0 and not consent.removes_context(removed) then
    return done("not sent, since it removes lines outside the hunk")
  end
  local modified = diff.format_modification(hunk, text, edited)
  if not modified then
    return done("this is the text as it was before; reject the hunk to keep that")
  end
  local want = { hunk = hunk, state = "modified", modified_diff = modified }
  apply.plan(session.place, { want }, function(_, items)
    local item = items[1]
    if item.status == "conflict" then
      sending.settle_conflict(session, item, done)
    elseif item.status ~= "refused" then
      sending.send(session, hunk, "modify", { modified_diff = modified, answered = answered, stay = true })
    else
      vim.schedule(function()
        if not consent.anyway(item.reason, "Send your version") then
          return done(item.reason)
        end
        sending.send(
          session,
          hunk,
          "modify",
          { modified_diff = modified, skip_apply = true, answered = answered, stay = true }
        )
      end)
    end
  end)
end

--- Opens the hunk in a window of its own; writing it sends the modification.
function M.modify()
  local hunk = target.of()
  if not hunk then
    return
  end
  local text = diff.text_of(hunk)
  if not text or not diff.has_text(hunk) then
    return notify.warn(("This %s change has no text to edit; accept or reject it"):format(hunk.kind))
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  modify.open(hunk, text, "modify:" .. hunk.id, function(edited, done, forced)
    submit(session, hunk, edited, done, forced)
  end)
end

return M
