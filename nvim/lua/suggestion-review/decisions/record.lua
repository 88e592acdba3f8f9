--- What this developer decided in their own Neovim, on disk. At finalize nothing else counts: the server's word on
--- what was accepted is a claim, this is the evidence (see `adopt/verify.lua`).
---
--- One file of JSON lines per suggestion under `stdpath("state")/suggestion-review/decisions/`. A decision is written
--- and synced before it is sent ("intent") and closed by the answer ("done" or "void"); several Neovims append to the
--- same file.
local hunk_id = require("suggestion-review.text.hunk_id")
local own_digest = require("suggestion-review.decisions.own_digest")
local sha256 = require("suggestion-review.lib.sha256")
local store = require("suggestion-review.model.store")
local log = require("suggestion-review.say.log")

local M = {}

--- One decision made in a Neovim of this developer, as kept on disk.
---@class SuggestionReview.Record
---@field at string ISO 8601 time
---@field server string
---@field suggestion_id string
---@field revision integer
---@field base_commit string
---@field request_id string
---@field state SuggestionReview.HunkState what the hunk became
---@field hunk SuggestionReview.Hunk the hunk as it was when it was decided
---@field modified_diff? string
---@field lines? SuggestionReview.LineRange only this part of `hunk` was decided

---@class SuggestionReview.Ledger
---@field path string
---@field offset integer bytes read so far
---@field intents table<string, SuggestionReview.Record[]> unanswered, by request id
---@field voided table<string, SuggestionReview.Record[]> refused, or given up on
---@field by_hunk table<string, SuggestionReview.Record> latest, by hunk id ("\0" and a digest where another has that)
---@field history SuggestionReview.Record[] every decision that stood once, oldest first

---@type table<string, SuggestionReview.Ledger>
local ledgers = {}

---@return string
function M.directory()
  return vim.fn.stdpath("state") .. "/suggestion-review/decisions"
end

---@param id string suggestion
---@return string
local function path_of(id)
  local name = id:find("^[%w%-]+$") and id or sha256.hex(id)
  return ("%s/%s.jsonl"):format(M.directory(), name)
end

--- A later revision may give the number of a decided hunk to another one, while the decision is carried on under
--- another number: it is kept by what it was made on, until the same text is decided anew.
---@param ledger SuggestionReview.Ledger
---@param record SuggestionReview.Record
local function stand(ledger, record)
  local id, name = record.hunk.id, own_digest.of(record)
  local before = ledger.by_hunk[id]
  if before and own_digest.of(before) ~= name then
    ledger.by_hunk["\0" .. own_digest.of(before)] = before
  end
  ledger.by_hunk["\0" .. name] = nil
  ledger.by_hunk[id] = record
  table.insert(ledger.history, record)
end

---@param ledger SuggestionReview.Ledger
---@param entry table one line of the file
local function take_in(ledger, entry)
  if entry.t == "intent" then
    local records = {}
    for i, item in ipairs(entry.items) do
      records[i] = {
        at = entry.at,
        server = entry.server,
        suggestion_id = entry.suggestion_id,
        revision = entry.revision,
        base_commit = entry.base_commit,
        request_id = entry.request_id,
        state = item.state,
        hunk = item.hunk,
        modified_diff = item.modified_diff,
        lines = item.lines,
      }
    end
    ledger.intents[entry.request_id] = records
  elseif entry.t == "done" then
    -- An answer outweighs another Neovim's guess that none would come.
    for _, record in ipairs(ledger.intents[entry.request_id] or ledger.voided[entry.request_id] or {}) do
      stand(ledger, record)
    end
    ledger.intents[entry.request_id], ledger.voided[entry.request_id] = nil, nil
  elseif entry.t == "void" then
    ledger.voided[entry.request_id] = ledger.intents[entry.request_id]
    ledger.intents[entry.request_id] = nil
  elseif entry.t == "state" then
    for _, item in ipairs(entry.items) do
      if item.record then
        local record = ledger.history[item.record]
        local under = ledger.by_hunk[item.hunk_id]
        if record.lines and under and own_digest.of(under) == own_digest.of(record) then
          -- What was decided of the part later, under its own number, does not stand any more.
          ledger.by_hunk[item.hunk_id] = nil
        elseif not record.lines and record.hunk.id ~= item.hunk_id then
          -- Carried on by a revision under another number.
          record = vim.tbl_extend("force", record, {
            hunk = vim.tbl_extend("force", record.hunk, { id = item.hunk_id }),
          })
        end
        stand(ledger, record)
      elseif ledger.by_hunk[item.hunk_id] then
        local record = vim.tbl_extend("force", ledger.by_hunk[item.hunk_id], {
          at = entry.at,
          state = item.state,
        })
        record.modified_diff, record.lines = nil, nil
        stand(ledger, record)
      end
    end
  end
end

--- Reads what was appended since the last call, by whichever Neovim.
---@param id string
---@return SuggestionReview.Ledger
local function read(id)
  local ledger = ledgers[id]
  if not ledger then
    ledger = { path = path_of(id), offset = 0, intents = {}, voided = {}, by_hunk = {}, history = {} }
    ledgers[id] = ledger
  end
  local file = io.open(ledger.path, "rb")
  if not file then
    return ledger
  end
  if file:seek("end") > ledger.offset then
    file:seek("set", ledger.offset)
    local text = file:read("*a")
    local from = 1
    while true do
      local stop = text:find("\n", from, true)
      if not stop then
        break
      end -- a line being written, or cut off by a crash: taken in once it is whole
      local line = text:sub(from, stop - 1)
      local ok, entry = pcall(vim.json.decode, line, { luanil = { object = true, array = true } })
      if ok and type(entry) == "table" then
        take_in(ledger, entry)
      elseif line ~= "" then
        log.warn("%s: passed over a line that is not JSON", ledger.path)
      end
      from = stop + 1
    end
    ledger.offset = ledger.offset + from - 1
  end
  file:close()
  return ledger
end

--- Writes waiting their turn, so that lines of one Neovim keep their order.
---@type { path?: string, text?: string, callback: fun(err?: string) }[]
local queue = {}
local writing = false

local function write_next()
  local job = queue[1]
  if not job then
    writing = false
    return
  end
  writing = true
  local uv = vim.uv
  local function finish(handle, err)
    if handle then
      uv.fs_close(handle)
    end
    table.remove(queue, 1)
    vim.schedule(function()
      job.callback(err)
    end)
    write_next()
  end
  if not job.path then
    return finish()
  end
  uv.fs_open(job.path, "a+", tonumber("600", 8), function(open_err, handle)
    if open_err then
      return finish(nil, open_err)
    end
    uv.fs_fstat(handle, function(_, stat)
      local function append(text)
        uv.fs_write(handle, text, -1, function(write_err, written)
          if write_err then
            return finish(handle, write_err)
          end
          if written < #text then
            return append(text:sub(written + 1))
          end
          uv.fs_fsync(handle, function(sync_err)
            finish(handle, sync_err)
          end)
        end)
      end
      -- A line cut off by a crash must not swallow the next one.
      if stat and stat.size > 0 then
        uv.fs_read(handle, 1, stat.size - 1, function(_, last)
          append(last == "\n" and job.text or "\n" .. job.text)
        end)
      else
        append(job.text)
      end
    end)
  end)
end

---@param id string
---@param entry table
---@param callback? fun(err?: string)
local function append(id, entry, callback)
  callback = callback or function() end
  local made, problem = pcall(vim.fn.mkdir, M.directory(), "p", "0o700")
  if not made then
    return vim.schedule(function()
      callback((tostring(problem):gsub("^.-(E%d+:)", "%1", 1)))
    end)
  end
  table.insert(queue, { path = path_of(id), text = vim.json.encode(entry) .. "\n", callback = callback })
  if not writing then
    write_next()
  end
end

--- Calls `callback` when everything written so far is on disk.
---@param callback fun()
function M.after_writes(callback)
  table.insert(queue, { callback = callback })
  if not writing then
    write_next()
  end
end

---@return string
local function now()
  return os.date("!%Y-%m-%dT%H:%M:%SZ") --[[@as string]]
end

--- What of a hunk is kept: enough to compose a file from it, nothing that changes.
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.Hunk
local function essence(hunk)
  local kept = {}
  for name, value in pairs(hunk) do
    if name ~= "state" and name ~= "decision" and name ~= "comments" and name ~= "earlier" then
      kept[name] = value
    end
  end
  return kept
end

---@class SuggestionReview.Intent
---@field hunk SuggestionReview.Hunk
---@field state SuggestionReview.HunkState
---@field modified_diff? string
---@field lines? SuggestionReview.LineRange

--- Makes a decision durable before it is sent.
---@param suggestion SuggestionReview.Suggestion
---@param request_id string
---@param items SuggestionReview.Intent[]
---@param callback fun(err?: string)
function M.intend(suggestion, request_id, items, callback)
  local kept = {}
  for i, item in ipairs(items) do
    kept[i] = {
      hunk = essence(item.hunk),
      state = item.state,
      modified_diff = item.modified_diff,
      lines = item.lines,
    }
  end
  append(suggestion.id, {
    t = "intent",
    at = now(),
    server = suggestion.server,
    suggestion_id = suggestion.id,
    revision = suggestion.revision,
    base_commit = suggestion.base_commit,
    request_id = request_id,
    items = kept,
  }, callback)
end

--- The server took the decision.
---@param id string suggestion
---@param request_id string
---@param callback? fun(err?: string)
function M.confirm(id, request_id, callback)
  append(id, { t = "done", at = now(), request_id = request_id }, callback)
end

--- The server refused it, or it was never sent.
---@param id string
---@param request_id string
---@param reason string
---@param callback? fun(err?: string)
function M.void(id, request_id, reason, callback)
  append(id, { t = "void", at = now(), request_id = request_id, reason = reason }, callback)
end

--- Whether two modifications say the same. A later revision gives the same lines another header.
---@param ours string|nil
---@param theirs string|nil
local function same_modification(ours, theirs)
  local function body(text)
    return text and text:gsub("^@@[^\n]*\n", "")
  end
  return body(ours) == body(theirs)
end

---@param record SuggestionReview.Record
---@param hunk SuggestionReview.Hunk
---@param carried? boolean the decision may stand under another number by now
local function same_outcome(record, hunk, carried)
  local part_of = record.lines ~= nil and hunk_id.is_part(hunk.id, record.hunk.id)
  return (record.hunk.id == hunk.id or part_of or carried == true)
    and own_digest.of(record) == hunk.digest
    and record.state == hunk.state
    and (
      hunk.state ~= "modified"
      or not hunk.decision
      or same_modification(record.modified_diff, hunk.decision.modified_diff)
    )
end

--- Finds the latest decision that says of a hunk what the server says of it. One whose number none of the hunks has
--- with the same text may have been carried on by a revision under another number.
---@param ledger SuggestionReview.Ledger
---@param standing? SuggestionReview.Hunk[] all hunks of the suggestion; not known, nothing was carried on
---@return fun(hunk: SuggestionReview.Hunk): integer? index in the history
local function finder(ledger, standing)
  local has_number = {}
  for _, hunk in ipairs(standing or {}) do
    for _, id in ipairs(hunk_id.with_wholes(hunk.id)) do
      has_number[id .. "\0" .. hunk.digest] = true
    end
  end
  local by_digest = vim.defaulttable()
  for index = #ledger.history, 1, -1 do
    table.insert(by_digest[own_digest.of(ledger.history[index])], index)
  end
  return function(hunk)
    for _, index in ipairs(by_digest[hunk.digest]) do
      local record = ledger.history[index]
      local carried = standing ~= nil and not has_number[record.hunk.id .. "\0" .. own_digest.of(record)]
      if same_outcome(record, hunk, carried) then
        return index
      end
    end
  end
end

--- After an undo or redo: notes the states the server reports, as far as this developer decided them before. A hunk
--- that the server calls accepted without a decision from here stays undecided in this record.
---@param suggestion SuggestionReview.Suggestion
---@param hunks SuggestionReview.Hunk[]
---@param callback? fun(err?: string)
function M.follow(suggestion, hunks, callback)
  M.after_writes(function()
    M._follow(suggestion, hunks, callback)
  end)
end

---@param suggestion SuggestionReview.Suggestion
---@param hunks SuggestionReview.Hunk[]
---@param callback? fun(err?: string)
function M._follow(suggestion, hunks, callback)
  local ledger = read(suggestion.id)
  local items, find = {}, nil
  for _, hunk in ipairs(hunks) do
    local known = ledger.by_hunk[hunk.id]
    if hunk.state == "pending" or hunk.state == "rejected" then
      if known and known.state ~= hunk.state then
        items[#items + 1] = { hunk_id = hunk.id, state = hunk.state }
      end
    elseif not (known and same_outcome(known, hunk)) then
      find = find or finder(ledger, suggestion.hunks)
      local index = find(hunk)
      items[#items + 1] = index and { hunk_id = hunk.id, record = index } or nil
    end
  end
  if #items == 0 then
    if callback then
      callback()
    end
    return
  end
  append(suggestion.id, { t = "state", at = now(), items = items }, callback)
end

--- Seconds after which an intent without an answer is taken for abandoned.
local PATIENCE = 10

--- Intents whose answer never came (the connection or a Neovim broke off) are settled by what the server reports of
--- those hunks: the developer did press the key; the question is only whether it arrived.
---@param suggestion SuggestionReview.Suggestion with hunks
---@param in_flight table<string, true> request ids whose answers are still to come
function M.settle_unanswered(suggestion, in_flight)
  local ledger = read(suggestion.id)
  if next(ledger.intents) == nil then
    return
  end
  local old = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - PATIENCE) --[[@as string]]
  for request_id, records in pairs(ledger.intents) do
    local abandoned = records[1] == nil or records[1].at <= old
    if abandoned and not in_flight[request_id] then
      local arrived = #records > 0
      for _, record in ipairs(records) do
        local hunk = store.hunk(suggestion.id, record.hunk.id)
        if record.lines then
          -- The whole hunk is gone when its split arrived.
          arrived = arrived and hunk == nil
        else
          arrived = arrived and hunk ~= nil and same_outcome(record, hunk)
        end
      end
      if arrived then
        M.confirm(suggestion.id, request_id)
      else
        M.void(suggestion.id, request_id, "no answer, and the server does not report it")
      end
    end
  end
end

--- The latest decision on each hunk, and those whose hunk's id is another one's by now.
---@param id string suggestion
---@return table<string, SuggestionReview.Record>
function M.by_hunk(id)
  return read(id).by_hunk
end

--- Every decision that stood once, oldest first.
---@param id string
---@return SuggestionReview.Record[]
function M.history(id)
  return read(id).history
end

--- Whether all writes have reached the disk.
---@return boolean
function M.idle()
  return not writing
end

--- For tests: reads everything from disk again.
function M._forget()
  ledgers = {}
end

return M
