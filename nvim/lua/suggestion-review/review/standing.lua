--- Keeps what is said beside each hunk ("not in your file", "still in your file") true to the record and the files: at
--- opening, after every decision, and when a buffer or a file changes under the review.
local exchange = require("suggestion-review.text.exchange")
local current = require("suggestion-review.review.current")
local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local hunk_id = require("suggestion-review.text.hunk_id")
local notify = require("suggestion-review.say.notify")
local sessions = require("suggestion-review.review.session")
local standing_of = require("suggestion-review.apply.standing")
local stale_text = require("suggestion-review.apply.stale")
local text_of = require("suggestion-review.text.display")
local whole = require("suggestion-review.apply.whole")

local M = {}

M.STILL_IN = "still in your file"
M.STILL_IN_EDITED = "still in your file: you edited it"
M.EDITED = "edited in your file since"

--- What of a hunk, or of the hunk it is a part of, is recorded in its file and not gone.
---@param session SuggestionReview.Session
---@param file string raw bytes
---@param hunk SuggestionReview.Hunk
---@param found table<string, SuggestionReview.Presence>
---@return string|nil key
local function still_there(session, file, hunk, found)
  for _, key in ipairs(hunk_id.with_wholes(hunk.id)) do
    if session.place.applied:get(session.id, file, key) and found[key] ~= "gone" then
      return key
    end
  end
end

--- Whether what is recorded is what the decision says: the state, and of the developer's versions the one that counts.
---@param recorded SuggestionReview.Replacement
---@param hunk SuggestionReview.Hunk
local function is_decided_so(recorded, hunk)
  if recorded.decided and recorded.decided ~= hunk.state then
    return false
  end
  local given = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
  local own = given and diff.read_modification(hunk, given)
  return not own or own.count == recorded.count and vim.deep_equal(own.lines, recorded.lines)
end

--- What is said of a hunk.
---@param session SuggestionReview.Session
---@param file string raw bytes
---@param hunk SuggestionReview.Hunk
---@param found table<string, SuggestionReview.Presence>
---@param stale SuggestionReview.Replacement[] text of earlier revisions in the file
---@return string|nil
local function note(session, file, hunk, found, stale)
  if hunk.state == "accepted" or hunk.state == "modified" then
    if whole.comes_later(hunk) then
      return sessions.KEPT_OUT.deferred
    end
    local recorded = session.place.applied:get(session.id, file, hunk.id)
    if not recorded then
      return session.outcomes[hunk.id] or sessions.KEPT_OUT.refused
    elseif not is_decided_so(recorded, hunk) then
      -- What stands there is what another decision brought: this one could not take its place.
      local refused = session.outcomes[hunk.id] == sessions.KEPT_OUT.refused
      return refused and sessions.KEPT_OUT.refused or sessions.KEPT_OUT.conflict
    elseif found[hunk.id] == "gone" then
      return sessions.KEPT_OUT.refused
    end
    return found[hunk.id] == "edited" and M.EDITED or nil
  end
  local key = still_there(session, file, hunk, found)
  if key then
    return found[key] == "edited" and M.STILL_IN_EDITED or M.STILL_IN
  end
  local place = { at = diff.zero_based(hunk.old_start, hunk.old_count), count = hunk.old_count }
  for _, replacement in ipairs(stale) do
    if found[replacement.key] ~= "gone" and exchange.makes_room(replacement, place) then
      return ("text of revision %s is in your file"):format(replacement.revision or "before")
    end
  end
end

---@param session SuggestionReview.Session
---@param standing SuggestionReview.Standing
---@param only string[]|nil
local function take(session, standing, only)
  local changed = false
  local stale = {}
  for _, one in ipairs(stale_text.list(session.place)) do
    stale[one.file] = stale[one.file] or {}
    table.insert(stale[one.file], one.replacement)
  end
  for _, hunk in ipairs(session.hunks) do
    local file = digest.path(hunk)
    if not session.sent[hunk.id] and (not only or vim.list_contains(only, file)) then
      local waits = hunk.state == "pending" or hunk.state == "rejected"
      -- Of a file with nothing in it there is nothing to be said.
      local said = not (waits and not standing[file] and not stale[file])
          and note(session, file, hunk, standing[file] or {}, stale[file] or {})
        or nil
      changed = changed or said ~= session.outcomes[hunk.id]
      session.outcomes[hunk.id] = said
    end
  end
  if changed and current.get() == session then
    current.refresh_soon()
  end
end

--- Looks at the files and says of each hunk what is so.
---@param session SuggestionReview.Session
---@param only? string[] files (raw bytes)
---@param done? fun(standing: SuggestionReview.Standing)
function M.look(session, only, done)
  if session.place.in_place or not session.place.applied then
    return done and done({})
  end
  standing_of.look(session.place, session.hunks, only, function(standing)
    take(session, standing, only)
    if done then
      done(standing)
    end
  end)
end

-- What changes under the review ----------------------------------------------------------------------------------

--- Milliseconds without a change before a buffer is looked at.
local QUIET = 120

---@type table<string, true>|nil files to look at soon; "" for all
local waiting

--- Looks at the session that is under way by then: the review may have been opened again since the file changed.
---@param file string raw bytes, "" for all
local function soon(file)
  local first = waiting == nil
  waiting = waiting or {}
  waiting[file] = true
  if not first then
    return
  end
  vim.defer_fn(function()
    local files = waiting or {}
    waiting = nil
    local session = current.get()
    if session then
      M.look(session, not files[""] and vim.tbl_keys(files) or nil)
    end
  end, QUIET)
end

---@param session SuggestionReview.Session
---@param buf integer
---@param attached table<integer, true>
local function watch_buffer(session, buf, attached)
  if attached[buf] or not vim.api.nvim_buf_is_loaded(buf) or vim.bo[buf].buftype ~= "" then
    return
  end
  local name = vim.api.nvim_buf_get_name(buf)
  local root = session.place.root .. "/"
  local real = name ~= "" and (vim.uv.fs_realpath(name) or name) or ""
  if not vim.startswith(real, root) then
    return
  end
  local relative = real:sub(#root + 1)
  local file
  for _, hunk in ipairs(session.hunks) do
    if digest.path(hunk) == relative or hunk.old_file == relative then
      file = digest.path(hunk)
      break
    end
  end
  if not file then
    return
  end
  local function changed()
    if current.get() ~= session then
      attached[buf] = nil
      return true
    end
    soon(file)
  end
  attached[buf] = true
  vim.api.nvim_buf_attach(buf, false, {
    on_lines = changed,
    on_reload = function()
      changed()
    end,
    on_detach = function()
      attached[buf] = nil
      if current.get() == session then
        soon(file)
      end
    end,
  })
end

--- Buffers that are watched, by session.
---@type table<SuggestionReview.Session, table<integer, true>>
local watched = setmetatable({}, { __mode = "k" })

--- Watches the buffers of the files under review, and the moments at which files change behind them.
---@param session SuggestionReview.Session
local function watch(session)
  local attached = watched[session] or {}
  watched[session] = attached
  local group = vim.api.nvim_create_augroup("suggestion-review.standing", {})
  local function over()
    return current.get() ~= session
  end
  local function all_buffers()
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      watch_buffer(session, buf, attached)
    end
  end
  all_buffers()
  vim.api.nvim_create_autocmd({ "BufReadPost", "BufNewFile", "BufWritePost", "FileChangedShellPost" }, {
    group = group,
    callback = function(event)
      if over() then
        return true
      end
      watch_buffer(session, event.buf, attached)
      if attached[event.buf] then
        soon("")
      end
    end,
  })
  vim.api.nvim_create_autocmd({ "FocusGained", "ShellCmdPost", "TermLeave" }, {
    group = group,
    callback = function()
      if over() then
        return true
      end
      soon("")
    end,
  })
end

--- Takes an earlier revision's text out of the files, says what stays of it, and begins to watch.
---@param session SuggestionReview.Session
---@param done? fun()
function M.begin(session, done)
  if session.place.in_place or not session.place.applied then
    return done and done()
  end
  stale_text.take_out(session.place, function(taken, left)
    local function files_of(list)
      local names, seen = {}, {}
      for _, one in ipairs(list) do
        if not seen[one.file] then
          seen[one.file] = true
          names[#names + 1] = text_of.plain(one.file)
        end
      end
      return table.concat(names, ", ")
    end
    if #taken > 0 then
      notify.info(
        ("Revision %d changed or dropped %s that you had accepted; the text was taken out of %s"):format(
          session.revision,
          text_of.count(#taken, "hunk"),
          files_of(taken)
        )
      )
    end
    -- Of lines it is known that an edit is in the way, of a whole file why it must stay.
    local edited = vim.tbl_filter(function(one)
      return one.reason == nil
    end, left)
    if #edited > 0 then
      notify.warn(
        ("%s of an earlier revision is in %s still, where you edited it"):format(
          #edited == 1 and "Text" or "Some text",
          files_of(edited)
        )
      )
    end
    for _, one in ipairs(left) do
      if one.reason then
        notify.warn(
          ("What revision %s made of %s was not taken out: %s"):format(
            one.replacement.revision or "before",
            text_of.plain(one.file),
            text_of.plain(one.reason)
          )
        )
      end
    end
    if current.get() == session then
      watch(session)
    end
    M.look(session, nil, done)
  end)
end

--- What the developer should know before the suggestion is finalized.
---@param session SuggestionReview.Session
---@param callback fun(lines: string[], first: SuggestionReview.Hunk|nil) the first hunk that is meant
function M.before_finalize(session, callback)
  M.look(session, nil, function(standing)
    local lines, first, places, missing = {}, nil, {}, 0
    for _, hunk in ipairs(session.hunks) do
      local found = standing[digest.path(hunk)]
      if
        (hunk.state == "accepted" or hunk.state == "modified")
        and found
        and found[hunk.id] == "gone"
        and session.place.applied:get(session.id, digest.path(hunk), hunk.id)
      then
        first = first or hunk
        missing = missing + 1
        if missing <= 5 then
          places[#places + 1] = ("%s:%d"):format(text_of.plain(hunk.file), math.max(1, hunk.new_start))
        end
      end
    end
    if missing > 0 then
      lines[1] = ("%s you accepted %s not in your file any more (%s%s); the commit will have %s."):format(
        text_of.count(missing, "hunk"),
        missing == 1 and "is" or "are",
        table.concat(places, ", "),
        missing > #places and ", …" or "",
        missing == 1 and "it" or "them"
      )
    end
    for _, one in ipairs(stale_text.list(session.place)) do
      lines[#lines + 1] = ("%s has text of revision %s, which the commit will not have."):format(
        text_of.plain(one.file),
        one.replacement.revision or "before"
      )
    end
    callback(lines, first)
  end)
end

return M
