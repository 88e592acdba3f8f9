--- What the developer says: decisions, undo, comments, completion. Each request names the digest of what was on the
--- screen and a request id, so that it can neither hit other text nor count twice, and is on disk before it is sent.

local turns = require("suggestion-review.decisions.turns")
local client = require("suggestion-review.connection.client")
local decisions = require("suggestion-review.decisions.record")
local sha256 = require("suggestion-review.lib.sha256")
local task = require("suggestion-review.lib.task")
local store = require("suggestion-review.model.store")

local M = {}

---@class SuggestionReview.DecideOpts
---@field comment? string
---@field modified_diff? string required for "modify"
---@field lines? SuggestionReview.LineRange only this part of the hunk
---@field turn? SuggestionReview.Turn its place among what is sent, where that was taken before

---@class SuggestionReview.BatchItem
---@field hunk SuggestionReview.Hunk
---@field action SuggestionReview.Action
---@field comment? string
---@field modified_diff? string
---@field lines? SuggestionReview.LineRange only this part of the hunk

---@class SuggestionReview.Scope
---@field action "accept"|"reject"
---@field file? string
---@field include? "remaining"|"all" default "remaining"
---@field comment? string

---@class SuggestionReview.BatchOpts either decisions or scope
---@field decisions? SuggestionReview.BatchItem[]
---@field scope? SuggestionReview.Scope
---@field turn? SuggestionReview.Turn its place among what is sent, where that was taken before

---@alias SuggestionReview.Callback fun(err?: SuggestionReview.Error, data?: table)

local MISFIT = "The server's digest of %s does not fit the text it sent; nothing was decided"
local OTHER_FILE = "%s is shown with lines of another file, and nothing renames that; nothing was decided"
--- Codes after which nobody knows whether a request was carried out.
local UNANSWERED = { disconnected = true, timeout = true, malformed = true }
local OUTCOME = { accept = "accepted", reject = "rejected", modify = "modified" }

---@type table<string, true>
local in_flight = {}

--- Suggestions that a finalize was asked for in this Neovim.
---@type table<string, true>
local finalized_here = {}

---@return string 32 hex digits
local function new_id()
  return sha256.to_hex(assert(vim.uv.random(16)))
end

--- Request ids whose answers are still to come.
---@return table<string, true>
function M.in_flight()
  return in_flight
end

--- Whether a finalized suggestion was finalized in this Neovim. Answered so once.
---@param id string
---@return boolean
function M.take_finalized(id)
  local here = finalized_here[id] == true
  finalized_here[id] = nil
  return here
end

---@param callback SuggestionReview.Callback?
---@param code string
---@param message string
---@param details? table
local function refuse(callback, code, message, details)
  vim.schedule(function()
    local err = { code = code, message = message, details = details }
    if callback then
      callback(err)
    end
  end)
end

---@param id string
---@param callback SuggestionReview.Callback?
---@param even_discarded? boolean what is asked for may concern a discarded suggestion
---@return SuggestionReview.Suggestion?
local function open_suggestion(id, callback, even_discarded)
  local suggestion = store.get(id)
  if not suggestion then
    refuse(callback, "not_found", "This suggestion is not known here; :Suggest list shows those that are")
    return nil
  end
  if suggestion.state ~= "open" and not (even_discarded and suggestion.state == "discarded") then
    refuse(callback, "suggestion_closed", ("This suggestion is already %s"):format(suggestion.state))
    return nil
  end
  local state = client.state(suggestion.server)
  if state.state ~= "connected" then
    refuse(
      callback,
      "disconnected",
      ("Not connected to %s, so nothing was decided; what is shown stays readable. %s"):format(
        suggestion.server,
        state.message or ""
      )
    )
    return nil
  end
  return suggestion
end

--- Sends a decision that is on disk already, and closes its record by the answer.
---@param suggestion SuggestionReview.Suggestion
---@param request_id string
---@param command table
---@param callback SuggestionReview.Callback?
---@param expected? integer how many hunks it is to set
local function send(suggestion, request_id, command, callback, expected)
  in_flight[request_id] = true
  client.request(command, function(err, data)
    in_flight[request_id] = nil
    if err then
      -- Without an answer it is open whether the decision arrived: left to the next load of the suggestion.
      if not UNANSWERED[err.code] then
        decisions.void(suggestion.id, request_id, err.message)
      end
      if err.code == "stale_hunk" then
        store.fetch(suggestion.id)
      end
      if callback then
        callback(err)
      end
      return
    end
    decisions.confirm(suggestion.id, request_id)
    store.merge(suggestion.id, data.hunks or {})
    if expected and data.changed ~= expected then
      -- Another client decided some of them in the meantime: what is kept here follows what became of them.
      store.fetch(suggestion.id, function(_, whole)
        if whole then
          decisions.follow(whole, whole.hunks)
        end
      end)
    end
    if callback then
      callback(nil, data)
    end
  end, suggestion.server)
end

--- Why a hunk is not what it looks like, if it is not.
---@param hunk SuggestionReview.Hunk
---@param suggestion SuggestionReview.Suggestion
---@return string?
local function misfit_of(hunk, suggestion)
  local digest = require("suggestion-review.text.digest")
  if not digest.fits(hunk) then
    return MISFIT:format(hunk.file)
  elseif suggestion.hunks and not digest.shows_its_source(hunk, suggestion.hunks) then
    return OTHER_FILE:format(hunk.file)
  end
end

--- Decides one hunk.
---@param suggestion_id string
---@param hunk SuggestionReview.Hunk as it is shown
---@param action SuggestionReview.Action
---@param opts? SuggestionReview.DecideOpts
---@param callback? SuggestionReview.Callback
function M.decide(suggestion_id, hunk, action, opts, callback)
  vim.validate("suggestion_id", suggestion_id, "string")
  vim.validate("hunk", hunk, "table")
  vim.validate("action", action, function(value)
    return OUTCOME[value] ~= nil
  end, "accept, reject or modify")
  opts = opts or {}
  local turn = opts.turn or turns.take(suggestion_id)
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return turn:give_up()
  end
  if action == "modify" and not opts.modified_diff then
    turn:give_up()
    return refuse(callback, "invalid_request", "A modification needs the edited diff")
  end
  local misfit = misfit_of(hunk, suggestion)
  if misfit then
    turn:give_up()
    return refuse(callback, "local", misfit)
  end
  local request_id = new_id()
  local item =
    { hunk = hunk, state = OUTCOME[action], modified_diff = opts.modified_diff, lines = opts.lines }
  local digest, hunk_id = hunk.digest, hunk.id
  in_flight[request_id] = true
  decisions.intend(suggestion, request_id, { item }, function(err)
    if err then
      in_flight[request_id] = nil
      turn:give_up()
      return refuse(callback, "local", "The decision could not be kept on disk, so it was not sent: " .. err)
    end
    turn:use(function()
      send(suggestion, request_id, {
        type = "feedback",
        suggestionId = suggestion_id,
        hunkId = hunk_id,
        action = action,
        digest = digest,
        comment = opts.comment,
        modifiedDiff = opts.modified_diff,
        lines = opts.lines,
        requestId = request_id,
      }, callback)
    end)
  end)
end

--- Hunks a scope means, as they are known here.
---@param hunks SuggestionReview.Hunk[]
---@param scope SuggestionReview.Scope
---@return SuggestionReview.Hunk[]
local function in_scope(hunks, scope)
  return vim.tbl_filter(function(hunk)
    return (not scope.file or hunk.file == scope.file) and (scope.include == "all" or hunk.state == "pending")
  end, hunks)
end

--- What is sent of a batch, and what it is to become of each hunk.
---@param suggestion SuggestionReview.Suggestion with hunks
---@param opts SuggestionReview.BatchOpts
---@return table request
---@return SuggestionReview.Intent[] items
local function batch_request(suggestion, opts)
  local request = { suggestion_id = suggestion.id }
  local items = {}
  if opts.scope then
    local scope = opts.scope
    for i, hunk in ipairs(in_scope(suggestion.hunks, scope)) do
      items[i] = { hunk = hunk, state = OUTCOME[scope.action] }
    end
    request.scope = {
      action = scope.action,
      file = scope.file,
      include = scope.include,
      comment = scope.comment,
      revision = suggestion.revision,
    }
  else
    request.decisions = {}
    for i, decision in ipairs(opts.decisions or {}) do
      items[i] = {
        hunk = decision.hunk,
        state = OUTCOME[decision.action],
        modified_diff = decision.modified_diff,
        lines = decision.lines,
      }
      request.decisions[i] = {
        hunk_id = decision.hunk.id,
        action = decision.action,
        digest = decision.hunk.digest,
        comment = decision.comment,
        modified_diff = decision.modified_diff,
        lines = decision.lines,
      }
    end
  end
  return request, items
end

--- Decides many hunks as one decision: `opts.decisions` lists them, `opts.scope` names all, the remaining or those of
--- a file. A scope holds for the revision shown here and is refused when a newer one was published meanwhile.
---@param suggestion_id string
---@param opts SuggestionReview.BatchOpts
---@param callback? SuggestionReview.Callback
function M.batch(suggestion_id, opts, callback)
  vim.validate("suggestion_id", suggestion_id, "string")
  vim.validate("opts", opts, "table")
  local turn = opts.turn or turns.take(suggestion_id)
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return turn:give_up()
  end
  if not suggestion.hunks then
    store.fetch(suggestion_id, function(err)
      if err then
        turn:give_up()
        return callback and callback(err)
      end
      M.batch(suggestion_id, vim.tbl_extend("force", opts, { turn = turn }), callback)
    end)
    return
  end
  local request, items = batch_request(suggestion, opts)
  if #items == 0 then
    turn:give_up()
    return refuse(callback, "nothing_to_do", "There is no hunk left to decide")
  end
  local request_id = new_id()
  request.request_id = request_id
  in_flight[request_id] = true
  local function fail(code, message)
    in_flight[request_id] = nil
    turn:give_up()
    refuse(callback, code, message)
  end
  -- Thousands of digests take a while: the editor gets its turns in between.
  task.run(function()
    local breathe = task.breather()
    for _, item in ipairs(items) do
      breathe()
      local misfit = misfit_of(item.hunk, suggestion)
      if misfit then
        return misfit
      end
    end
  end, function(failed, misfit)
    if failed then
      return fail("local", "The digests could not be checked: " .. tostring(failed))
    elseif misfit then
      return fail("local", misfit)
    end
    decisions.intend(suggestion, request_id, items, function(err)
      if err then
        return fail("local", "The decisions could not be kept on disk, so they were not sent: " .. err)
      end
      turn:use(function()
        send(suggestion, request_id, { type = "batch", request = request }, callback, #items)
      end)
    end)
  end)
end

--- Sends a command after everything that was asked for before it.
---@param suggestion SuggestionReview.Suggestion
---@param command table
---@param callback SuggestionReview.Callback
---@param opts? { timeout?: integer }
local function in_turn(suggestion, command, callback, opts)
  turns.take(suggestion.id):use(function()
    client.request(command, callback, suggestion.server, opts)
  end)
end

---@param direction "undo"|"redo"
---@param suggestion_id string
---@param opts? { hunk_id?: string }
---@param callback? SuggestionReview.Callback
local function step(direction, suggestion_id, opts, callback)
  local suggestion = open_suggestion(suggestion_id, callback, true)
  if not suggestion then
    return
  end
  in_turn(suggestion, {
    type = direction,
    request = { suggestion_id = suggestion_id, hunk_id = opts and opts.hunk_id, request_id = new_id() },
  }, function(err, data)
    if err then
      return callback and callback(err)
    end
    store.merge(suggestion_id, data.hunks or {})
    local function follow(hunks)
      decisions.follow(suggestion, hunks, function()
        if callback then
          callback(nil, data)
        end
      end)
    end
    -- An answer names 200 hunks at most; for more, all are looked at.
    if data.changed and data.changed > #(data.hunks or {}) then
      return store.fetch(suggestion_id, function(_, whole)
        follow(whole and whole.hunks or data.hunks)
      end)
    end
    follow(data.hunks or {})
  end)
end

--- Takes back the last decision (or batch) of the suggestion, or of one hunk.
---@param suggestion_id string
---@param opts? { hunk_id?: string }
---@param callback? SuggestionReview.Callback
function M.undo(suggestion_id, opts, callback)
  step("undo", suggestion_id, opts, callback)
end

--- Brings back what was undone last.
---@param suggestion_id string
---@param opts? { hunk_id?: string }
---@param callback? SuggestionReview.Callback
function M.redo(suggestion_id, opts, callback)
  step("redo", suggestion_id, opts, callback)
end

--- Adds a comment to a hunk, deciding nothing.
---@param suggestion_id string
---@param hunk SuggestionReview.Hunk
---@param text string
---@param callback? SuggestionReview.Callback
function M.comment(suggestion_id, hunk, text, callback)
  vim.validate("text", text, "string")
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return
  end
  in_turn(suggestion, {
    type = "comment",
    request = { suggestion_id = suggestion_id, hunk_id = hunk.id, comment = text, request_id = new_id() },
  }, function(err, data)
    if not err then
      store.merge(suggestion_id, data.hunks or {})
    end
    if callback then
      callback(err, data)
    end
  end)
end

--- Finalizes or discards the suggestion.
---@param suggestion_id string
---@param action "finalize"|"discard"
---@param opts? { description?: string }
---@param callback? SuggestionReview.Callback data is a SuggestionReview.CompleteAnswer
function M.complete(suggestion_id, action, opts, callback)
  vim.validate("action", action, function(value)
    return value == "finalize" or value == "discard"
  end, "finalize or discard")
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return
  end
  if action == "finalize" then
    finalized_here[suggestion_id] = true
  end
  in_turn(suggestion, {
    type = "complete",
    suggestionId = suggestion_id,
    action = action,
    description = opts and opts.description,
    requestId = new_id(),
  }, function(err, data)
    if callback then
      callback(err, data)
    end
  end, { timeout = 300000 })
end

--- Sends the rejections to the agent and lets it work on them.
---@param suggestion_id string
---@param opts? { comment?: string }
---@param callback? SuggestionReview.Callback
function M.revise(suggestion_id, opts, callback)
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return
  end
  in_turn(suggestion, {
    type = "revise",
    request = { suggestion_id = suggestion_id, comment = opts and opts.comment, request_id = new_id() },
  }, function(err, data)
    if callback then
      callback(err, data)
    end
  end)
end

--- Asks for something to be done with the suggestion that decides nothing, beside what was asked for before it.
---@param name string the use case, as the protocol calls it
---@param suggestion_id string
---@param fields table more of its request
---@param callback? SuggestionReview.Callback
---@param opts? { timeout?: integer }
function M.ask_for(name, suggestion_id, fields, callback, opts)
  local suggestion = open_suggestion(suggestion_id, callback)
  if not suggestion then
    return
  end
  local request = vim.tbl_extend("error", { suggestion_id = suggestion_id }, fields)
  client.request({ type = name, request = request }, function(err, data)
    if callback then
      callback(err, data)
    end
  end, suggestion.server, opts)
end

--- Makes the suggestion anew on the shared branch as it is now.
---@param suggestion_id string
---@param callback? SuggestionReview.Callback
function M.rebase(suggestion_id, callback)
  M.ask_for("rebase", suggestion_id, { request_id = new_id() }, callback, { timeout = 120000 })
end

--- Runs the server's check on the tree that finalize would push.
---@param suggestion_id string
---@param callback? SuggestionReview.Callback
function M.verify(suggestion_id, callback)
  M.ask_for("verify", suggestion_id, {}, callback, { timeout = 24 * 3600 * 1000 })
end

return M
