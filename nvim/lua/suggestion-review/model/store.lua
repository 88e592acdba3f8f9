--- What is known of the suggestions of all servers: kept from lists, answers and events, asked for nowhere else.
--- Decides nothing and draws nothing; whoever shows suggestions subscribes here.

local client = require("suggestion-review.connection.client")
local activity = require("suggestion-review.model.activity")
local listeners = require("suggestion-review.model.listeners")
local shapes = require("suggestion-review.model.shapes")

local M = {}

--- What `get` returns: a summary, and the rest once it is known (see `fetch`). Besides the protocol's events, listeners
--- hear "store.loaded" (hunks of `suggestion_id` are known now), "store.reset" (everything was listed anew) and, from
--- the connection, "client.state" (`server`, `state`, `message`).
---@class SuggestionReview.Suggestion
---@field server string name of the server it came from

---@class SuggestionReview.Fetch a load of all hunks under way
---@field callbacks fun(err?: SuggestionReview.Error, suggestion?: SuggestionReview.Suggestion)[]
---@field events SuggestionReview.Event[] what happened meanwhile
---@field restart? boolean a newer revision came meanwhile

---@type table<string, SuggestionReview.Suggestion>
local suggestions = {}
--- Position of each hunk in its suggestion's list, by hunk id.
---@type table<string, table<string, integer>>
local positions = {}
---@type table<string, SuggestionReview.Fetch>
local fetches = {}
---@type table<string, SuggestionReview.Event> last suggestion.status by server
local last_status = {}
---@type table<string, table<string, SuggestionReview.Event>> last agent.turn by server and project
local turns = {}

--- What the rings around the agent refused, as far as events tell, by server.
---@type table<string, { alike: table<string, SuggestionReview.Event>, last: SuggestionReview.Event }>
local refusals = {}
---@type table<string, true> servers whose summaries are to be listed anew
local stale = {}

local DECIDED = { accepted = true, modified = true, rejected = true }

--- What is done with a suggestion whose hunks were just loaded.
---@type fun(suggestion: SuggestionReview.Suggestion)
local function loaded() end

local announce = listeners.announce
M.announce = announce
M.subscribe = listeners.subscribe

---@param suggestion SuggestionReview.Suggestion
local function restate(suggestion)
  local reviewed, count = suggestion.reviewed_count, suggestion.hunk_count
  suggestion.status = reviewed == 0 and "pending" or (reviewed >= count and "complete" or "partial")
end

--- Makes counts and per-file progress anew from the hunks.
---@param suggestion SuggestionReview.Suggestion
local function recount(suggestion)
  local hunks = suggestion.hunks
  if not hunks then
    return
  end
  local accepted, rejected = 0, 0
  local index, files, by_file = {}, {}, {}
  for i, hunk in ipairs(hunks) do
    index[hunk.id] = i
    local file = by_file[hunk.file]
    if not file then
      file = { file = hunk.file, hunk_count = 0, reviewed_count = 0, added = 0, removed = 0 }
      by_file[hunk.file] = file
      files[#files + 1] = file
    end
    file.hunk_count = file.hunk_count + 1
    file.added = file.added + (hunk.new_count or 0)
    file.removed = file.removed + (hunk.old_count or 0)
    if DECIDED[hunk.state] then
      file.reviewed_count = file.reviewed_count + 1
      if hunk.state == "rejected" then
        rejected = rejected + 1
      else
        accepted = accepted + 1
      end
    end
  end
  positions[suggestion.id] = index
  suggestion.file_summaries = files
  suggestion.hunk_count = #hunks
  suggestion.accepted_count = accepted
  suggestion.rejected_count = rejected
  suggestion.reviewed_count = accepted + rejected
  restate(suggestion)
end

--- Sets one hunk's state and moves the counts by the difference, so that a burst of thousands stays linear.
---@param suggestion SuggestionReview.Suggestion
---@param hunk SuggestionReview.Hunk
---@param state SuggestionReview.HunkState
local function set_state(suggestion, hunk, state)
  local before = hunk.state
  hunk.state = state
  if before == state then
    return
  end
  local function by(name, amount)
    suggestion[name] = (suggestion[name] or 0) + amount
  end
  local was, is = DECIDED[before] and 1 or 0, DECIDED[state] and 1 or 0
  by("reviewed_count", is - was)
  if was == 1 then
    by(before == "rejected" and "rejected_count" or "accepted_count", -1)
  end
  if is == 1 then
    by(state == "rejected" and "rejected_count" or "accepted_count", 1)
  end
  if is ~= was then
    for _, file in ipairs(suggestion.file_summaries or {}) do
      if file.file == hunk.file then
        file.reviewed_count = file.reviewed_count + is - was
        break
      end
    end
  end
  restate(suggestion)
end

--- The suggestion with this id. Not a copy: change nothing in it.
---@param id string
---@return SuggestionReview.Suggestion?
function M.get(id)
  return suggestions[id]
end

--- Suggestions, oldest first; only the open ones unless `opts.all`.
---@param opts? { all?: boolean, server?: string, project?: string }
---@return SuggestionReview.Suggestion[]
function M.list(opts)
  opts = opts or {}
  local list = {}
  for _, suggestion in pairs(suggestions) do
    if
      (opts.all or suggestion.state == "open")
      and (not opts.server or suggestion.server == opts.server)
      and (not opts.project or suggestion.project == opts.project)
    then
      list[#list + 1] = suggestion
    end
  end
  table.sort(list, function(a, b)
    if a.created_at ~= b.created_at then
      return a.created_at < b.created_at
    end
    return a.id < b.id
  end)
  return list
end

--- Hunks in the server's order, or nil while they are not known: call `fetch` then.
---@param id string
---@return SuggestionReview.Hunk[]?
function M.hunks(id)
  local suggestion = suggestions[id]
  return suggestion and suggestion.hunks
end

---@param id string suggestion
---@param hunk_id string
---@return SuggestionReview.Hunk?
---@return integer? index
function M.hunk(id, hunk_id)
  local suggestion = suggestions[id]
  local index = suggestion and suggestion.hunks and positions[id] and positions[id][hunk_id]
  if not index then
    return nil
  end
  return suggestion.hunks[index], index
end

--- Last `suggestion.status` of a server.
---@param server string
---@return SuggestionReview.Event?
function M.status(server)
  return last_status[server]
end

--- Last `agent.turn` of each project of a server.
---@param server string
---@return table<string, SuggestionReview.Event>
function M.turns(server)
  return turns[server] or {}
end

--- What the rings around the agent refused, as far as events told of it.
---@param server string
---@return integer count
---@return SuggestionReview.Event? last
---@return table<string, integer> counts by kind
function M.refused(server)
  local known, sum, counts = refusals[server], 0, {}
  for _, one in pairs(known and known.alike or {}) do
    sum = sum + one.total
    counts[one.kind] = (counts[one.kind] or 0) + one.total
  end
  return sum, known and known.last, counts
end

--- What the server sends no value for holds no longer: a null is not in what was decoded.
---@param known SuggestionReview.Suggestion
---@param given SuggestionReview.Suggestion
local function clear_nulls(known, given)
  local whole = given.file_summaries ~= nil
  for group, names in pairs(shapes.NULLABLE) do
    for _, name in ipairs(names) do
      if group == "summary" or whole then
        known[name] = given[name]
      end
    end
  end
end

--- Takes in a summary or a whole suggestion; hunks already known survive a summary of the same revision.
---@param server string
---@param given SuggestionReview.Suggestion
---@return SuggestionReview.Suggestion
local function put(server, given)
  local known = suggestions[given.id]
  local suggestion = given
  suggestion.server = server
  if
    suggestion.hunks and (suggestion.hunks_omitted or #suggestion.hunks == 0 and suggestion.hunk_count > 0)
  then
    suggestion.hunks = nil
  end
  local same = known and known.revision == suggestion.revision and known.server == server
  if known and same then
    clear_nulls(known, given)
    for name, value in pairs(suggestion) do
      known[name] = value
    end
    suggestion = known
  else
    suggestions[given.id] = suggestion
    positions[given.id] = nil
  end
  if given.hunks then
    recount(suggestion)
  end
  return suggestion
end

--- The list of a server as it is now: open suggestions that are no longer in it are forgotten.
---@param server string
---@param summaries SuggestionReview.Summary[]
function M.reset(server, summaries)
  local listed, outdated = {}, {}
  for _, summary in ipairs(summaries) do
    listed[summary.id] = true
    local suggestion = put(server, summary --[[@as SuggestionReview.Suggestion]])
    -- Counts that differ from the hunks': their events are on the way still, or were missed. Loading tells.
    if suggestion.hunks then
      local reviewed, accepted = suggestion.reviewed_count, suggestion.accepted_count
      recount(suggestion)
      if suggestion.reviewed_count ~= reviewed or suggestion.accepted_count ~= accepted then
        outdated[#outdated + 1] = suggestion.id
      end
    end
  end
  for id, suggestion in pairs(suggestions) do
    if suggestion.server == server and suggestion.state == "open" and not listed[id] then
      suggestions[id], positions[id] = nil, nil
    end
  end
  stale[server] = nil
  announce({ type = "store.reset", server = server })
  for _, id in ipairs(outdated) do
    M.fetch(id)
  end
end

---@param server string
---@param page SuggestionReview.Summary[]
function M.put_closed(server, page)
  for _, summary in ipairs(page) do
    put(server, summary --[[@as SuggestionReview.Suggestion]])
  end
end

--- Everything of a server is forgotten.
---@param server string
function M.forget(server)
  for id, suggestion in pairs(suggestions) do
    if suggestion.server == server then
      suggestions[id], positions[id] = nil, nil
    end
  end
  last_status[server], turns[server], stale[server], refusals[server] = nil, nil, nil, nil
  announce({ type = "store.reset", server = server })
end

--- Counts of a suggestion whose hunks are not loaded cannot be moved by events: list again, once for many events.
---@param server string
local function refresh_later(server)
  if stale[server] then
    return
  end
  stale[server] = true
  vim.defer_fn(function()
    if stale[server] then
      client.refresh(server)
    end
  end, 200)
end

---@param suggestion SuggestionReview.Suggestion
---@param hunk_id string
---@return SuggestionReview.Hunk?
local function find(suggestion, hunk_id)
  return (M.hunk(suggestion.id, hunk_id))
end

---@type table<string, fun(suggestion: SuggestionReview.Suggestion, event: SuggestionReview.Event)>
local on = {}

on["suggestion.hunk_applied"] = function(suggestion, event)
  local hunk = find(suggestion, event.hunk_id)
  if not hunk then
    return
  end
  set_state(suggestion, hunk, event.action --[[@as SuggestionReview.HunkState]])
  if event.carried and hunk.decision then
    return
  end
  hunk.decision = {
    by = event.by,
    at = event.ts,
    comment = event.comment,
    modified_diff = event.modified_diff,
  }
end

on["suggestion.hunk_reset"] = function(suggestion, event)
  local hunk = find(suggestion, event.hunk_id)
  if not hunk then
    return
  end
  set_state(suggestion, hunk, "pending")
  hunk.decision = nil
end

on["suggestion.hunk_split"] = function(suggestion, event)
  local _, index = M.hunk(suggestion.id, event.hunk_id)
  if not index then
    return
  end
  table.remove(suggestion.hunks, index)
  for offset, part in ipairs(event.into) do
    table.insert(suggestion.hunks, index + offset - 1, part)
  end
  recount(suggestion)
end

on["suggestion.hunk_joined"] = function(suggestion, event)
  local gone, first = {}, nil
  for _, part in ipairs(event.parts) do
    gone[part] = true
  end
  local kept = {}
  for _, hunk in ipairs(suggestion.hunks) do
    if gone[hunk.id] or hunk.id == event.hunk.id then
      if not first then
        first = true
        kept[#kept + 1] = event.hunk
      end
    else
      kept[#kept + 1] = hunk
    end
  end
  suggestion.hunks = kept
  recount(suggestion)
end

on["suggestion.comment"] = function(suggestion, event)
  local hunk = find(suggestion, event.hunk_id)
  if not hunk then
    return
  end
  hunk.comments = hunk.comments or {}
  for _, known in ipairs(hunk.comments) do
    if known.at == event.ts and known.text == event.comment then
      return
    end
  end
  table.insert(hunk.comments, { text = event.comment, by = event.by, at = event.ts })
end

--- Events that need the hunks to be taken in.
local NEEDS_HUNKS = {
  ["suggestion.hunk_applied"] = true,
  ["suggestion.hunk_reset"] = true,
  ["suggestion.hunk_split"] = true,
  ["suggestion.hunk_joined"] = true,
  ["suggestion.comment"] = true,
}

---@param event SuggestionReview.Event
local function take_in(event)
  local server = event.server --[[@as string]]
  if event.type == "suggestion.ready" then
    local given = event.suggestion --[[@as SuggestionReview.Suggestion]]
    local fetch = fetches[given.id]
    local known = suggestions[given.id]
    -- A replayed publication that is older than what is known tells nothing.
    if known and known.revision > given.revision then
      return
    end
    put(server, vim.deepcopy(given))
    if fetch then
      fetch.restart = true
    end
    return
  elseif event.type == "suggestion.status" then
    last_status[server] = event
    return
  elseif event.type == "agent.turn" then
    turns[server] = turns[server] or {}
    turns[server][event.project or ""] = event
    return
  elseif event.type == "sandbox.refused" then
    refusals[server] = refusals[server] or { alike = {} }
    local key = { event.project or "", event.kind, event.target, event.reason, event.program or "" }
    refusals[server].alike[table.concat(key, "\0")] = event
    refusals[server].last = event
    return
  end
  local id = event.suggestion_id
  local suggestion = id and suggestions[id]
  if not suggestion then
    return
  end
  if event.ts then
    suggestion.updated_at = event.ts
  end
  if event.type == "suggestion.completed" then
    suggestion.state = event.action --[[@as "finalized"|"discarded"]]
    if event.commit then
      suggestion.result = { commit = event.commit, ref = event.ref, base_commit = event.base_commit }
    end
  elseif event.type == "suggestion.reopened" then
    suggestion.state = "open"
  elseif event.type == "suggestion.base_moved" then
    suggestion.base_moved = true
  elseif event.type == "suggestion.verified" then
    suggestion.verify = {
      ok = event.ok,
      exit_code = event.exit_code,
      output = event.output,
      at = event.ts,
      tree = suggestion.verify and suggestion.verify.tree or "",
    }
  elseif NEEDS_HUNKS[event.type] then
    if fetches[id] then
      table.insert(fetches[id].events, event)
    end
    if suggestion.hunks then
      on[event.type](suggestion, event)
    elseif event.type ~= "suggestion.comment" then
      refresh_later(server)
    end
  end
end

--- Takes in one event of a server, then tells the listeners. Events come in the order of the journal; one that was
--- already taken in (through an answer or a list) changes nothing.
---@param event SuggestionReview.Event
function M.apply(event)
  take_in(event)
  announce(event)
end

--- Sets what is done with a suggestion whose hunks were just loaded, before anyone hears of it.
---@param callback fun(suggestion: SuggestionReview.Suggestion)
function M.on_load(callback)
  loaded = callback
end

--- Takes in hunks as an answer states them.
---@param id string suggestion
---@param hunks SuggestionReview.Hunk[]
function M.merge(id, hunks)
  local suggestion = suggestions[id]
  if not suggestion or not suggestion.hunks then
    return
  end
  for _, hunk in ipairs(hunks) do
    local known, index = M.hunk(id, hunk.id)
    if known and index then
      local state = hunk.state
      hunk.state = known.state
      suggestion.hunks[index] = hunk
      set_state(suggestion, hunk, state)
    end
  end
end

--- Loads all hunks of a suggestion, page by page when they are many.
---@param id string
---@param callback? fun(err?: SuggestionReview.Error, suggestion?: SuggestionReview.Suggestion)
function M.fetch(id, callback)
  callback = callback or function() end
  if fetches[id] then
    table.insert(fetches[id].callbacks, callback)
    return
  end
  local fetch = { callbacks = { callback }, events = {} }
  fetches[id] = fetch

  local function finish(err)
    fetches[id] = nil
    local suggestion = suggestions[id]
    for _, waiting in ipairs(fetch.callbacks) do
      waiting(err, not err and suggestion or nil)
    end
    if not err then
      announce({ type = "store.loaded", suggestion_id = id, server = suggestion.server })
    end
  end

  ---@param whole SuggestionReview.Suggestion
  ---@param hunks SuggestionReview.Hunk[]
  local function complete(whole, server, hunks)
    whole.hunks, whole.hunks_omitted = hunks, false
    whole.hunk_count = #hunks
    put(server, whole)
    local suggestion = suggestions[id]
    -- Pages are from different moments: what happened since the first is taken in once more, in order.
    for _, event in ipairs(fetch.events) do
      on[event.type](suggestion, event)
    end
    loaded(suggestion)
    finish(nil)
  end

  local attempts = 0
  local target = client.get(client.server_of(id))
  local server = target and target.server.name or ""
  local function load()
    attempts = attempts + 1
    fetch.events, fetch.restart = {}, nil
    client.request({ type = "get", suggestionId = id }, function(err, whole)
      if err then
        return finish(err)
      end
      if not whole.hunks_omitted then
        return complete(whole, server, whole.hunks)
      end
      local hunks = {}
      local function page(offset)
        client.request({ type = "hunks", suggestionId = id, offset = offset }, function(page_err, data)
          if page_err then
            return finish(page_err)
          end
          if (fetch.restart or data.revision ~= whole.revision) and attempts < 5 then
            return load()
          end
          vim.list_extend(hunks, data.hunks)
          -- A page that leads nowhere further is the last.
          if data.next and data.next > offset then
            return page(data.next)
          end
          complete(whole, server, hunks)
        end, server)
      end
      page(0)
    end, server)
  end
  load()
end

--- Bytes of one side of a file, from the server.
---@param id string suggestion
---@param file string
---@param side SuggestionReview.Side
---@param callback fun(err?: SuggestionReview.Error, content?: { exists: boolean, mode?: string, bytes: string })
function M.content(id, file, side, callback)
  local parts = {}
  local function chunk(offset)
    local command = { type = "content", suggestionId = id, file = file, side = side, offset = offset }
    client.request(command, function(err, data)
      if err then
        return callback(err)
      end
      local ok, bytes = pcall(vim.base64.decode, data.base64)
      if not ok then
        return callback({ code = "local", message = "The server sent content that is not base64" })
      end
      parts[#parts + 1] = bytes
      if data.next and data.next > offset then
        return chunk(data.next)
      end
      callback(nil, { exists = data.exists, mode = data.mode, bytes = table.concat(parts) })
    end)
  end
  chunk(0)
end

client.serve({
  announce = announce,
  apply = M.apply,
  reset = M.reset,
  forget = M.forget,
  event_problem = shapes.event_problem,
  answer_problem = shapes.answer_problem,
  activity = activity.take,
  activity_problem = shapes.activity_problem,
  watching = activity.watching,
  forget_activity = activity.forget,
  server_of = function(id)
    local suggestion = suggestions[id]
    return suggestion and suggestion.server or nil
  end,
})

--- For tests: an empty store.
function M._clear()
  suggestions, positions, fetches, last_status, turns, stale, refusals = {}, {}, {}, {}, {}, {}, {}
end

return M
