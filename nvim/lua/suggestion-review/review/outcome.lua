--- Brings what was decided into the developer's files and notes what stays out of them, and why.
local apply = require("suggestion-review.apply")
local current = require("suggestion-review.review.current")
local digest = require("suggestion-review.text.digest")
local hunk_id = require("suggestion-review.text.hunk_id")
local notify = require("suggestion-review.say.notify")
local standing = require("suggestion-review.review.standing")
local sessions = require("suggestion-review.review.session")
local text_of = require("suggestion-review.text.display")
local verify = require("suggestion-review.adopt.verify")
local decisions = require("suggestion-review.decisions.record")

local M = {}

--- Carries out plans and says which failed.
---@param plans SuggestionReview.FilePlan[]
function M.run(plans)
  for _, problem in ipairs(apply.run(plans)) do
    notify.warn(("%s: %s"):format(text_of.plain(problem.plan.file), problem.reason))
  end
end

--- Brings wants into the worktree of a session and notes there what stays out. Where the session was closed meanwhile,
--- the decisions were made here all the same: their files follow.
---@param session SuggestionReview.Session
---@param wants SuggestionReview.Want[]
---@param done? fun() not called where the session was closed before
function M.bring(session, wants, done)
  if current.get() ~= session then
    return apply.plan(session.place, wants, function(plans)
      M.run(plans)
    end)
  end
  if #wants == 0 or session.place.in_place then
    if #wants > 0 then
      apply.reload(session.place)
    end
    return done and done()
  end
  apply.plan(session.place, wants, function(plans, items)
    M.run(plans)
    local told = {}
    for _, item in ipairs(items) do
      local out = item.want.state == "pending" or item.want.state == "rejected"
      session.outcomes[item.hunk.id] = not (out and item.status == "deferred")
          and sessions.KEPT_OUT[item.status]
        or nil
      if item.status == "deferred" and not out and not told[item.reason] then
        told[item.reason] = true
        notify.info(("%s: %s"):format(text_of.plain(item.hunk.file), item.reason))
      end
      if out and item.status == "conflict" then
        session.outcomes[item.hunk.id] = standing.STILL_IN_EDITED
      elseif out and item.status == "refused" and not apply.is_applied(session.place, item.hunk) then
        session.outcomes[item.hunk.id] = nil
      elseif out and item.status == "refused" then
        session.outcomes[item.hunk.id] = "could not be taken out: " .. tostring(item.reason)
      end
    end
    local files = {}
    for _, want in ipairs(wants) do
      files[digest.path(want.hunk)] = true
    end
    standing.look(session, vim.tbl_keys(files))
    if done then
      done()
    end
    current.refresh_soon()
  end)
end

--- Makes the worktree follow the states of hunks, as far as this developer decided them here.
---@param session SuggestionReview.Session
---@param hunks SuggestionReview.Hunk[]
---@param done fun()
function M.reconcile(session, hunks, done)
  -- What the server reports counts only where this developer decided the same here.
  local own = {}
  local here = decisions.by_hunk(session.id)
  for _, decision in pairs(verify.resolve(session.hunks, here, session:suggestion().base_commit)) do
    own[decision.hunk.id] = decision
  end
  local known = {}
  for _, hunk in ipairs(session.hunks) do
    known[hunk.id] = true
  end
  local wants = {}
  for _, hunk in ipairs(hunks) do
    local mine = own[hunk.id]
    if not known[hunk.id] then
      goto continue
    elseif hunk.state == "accepted" or hunk.state == "modified" then
      if mine and mine.state == hunk.state then
        wants[#wants + 1] = { hunk = hunk, state = hunk.state, modified_diff = mine.modified_diff }
      else
        session.outcomes[hunk.id] = "decided elsewhere, not in your file"
      end
    else
      session.outcomes[hunk.id] = nil
      if apply.is_applied(session.place, hunk) then
        wants[#wants + 1] = { hunk = hunk, state = hunk.state }
      end
    end
    -- Parts that were joined to this hunk again.
    if session.place.applied then
      for _, replacement in ipairs(session.place.applied:of_file(session.id, digest.path(hunk))) do
        if not known[replacement.key] and hunk_id.is_part(replacement.key, hunk.id) then
          wants[#wants + 1] =
            { hunk = vim.tbl_extend("force", hunk, { id = replacement.key }), state = "pending" }
        end
      end
    end
    ::continue::
  end
  M.bring(session, wants, done)
end

return M
