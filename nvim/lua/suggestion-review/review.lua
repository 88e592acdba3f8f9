--- The review: which suggestion and hunk one is at, and what each key does. Owns the session; the styles in `ui/` draw
--- it, `feedback` tells the server, `apply` brings the outcome into the developer's files.
local apply = require("suggestion-review.apply")
local digest = require("suggestion-review.digest")
local text_of = require("suggestion-review.ui.text")

local M = {}

---@class SuggestionReview.SessionFile
---@field file string
---@field display string
---@field old_display string|nil
---@field first integer
---@field last integer
---@field decided integer
---@field added integer
---@field removed integer
---@field expanded table<integer, boolean>

---@class SuggestionReview.Session
---@field id string
---@field place SuggestionReview.Place
---@field hunks SuggestionReview.Hunk[]
---@field files SuggestionReview.SessionFile[]
---@field index integer current hunk
---@field decided integer
---@field revision integer
---@field style string
---@field layout "unified"|"side-by-side"
---@field sent table<string, SuggestionReview.HunkState> decided, not answered yet
---@field outcomes table<string, string> what keeps a hunk's change out of the worktree
---@field fresh table<string, true> hunks that the latest revision brought
---@field unsubscribe fun()
---@field last_comment string|nil reason of the last rejection, for "."

---@type SuggestionReview.Session|nil
local session

local function store()
  return require("suggestion-review.store")
end

local function feedback()
  return require("suggestion-review.feedback")
end

---@param message string
---@param level? "info"|"warn"|"error"
local function tell(message, level)
  require("suggestion-review.notify")[level or "info"](message)
end

---@param err SuggestionReview.Error|string|nil
local function tell_error(err)
  tell(type(err) == "table" and err.message or tostring(err), "warn")
end

local STYLES = {
  floating = "suggestion-review.ui.floating",
  inline = "suggestion-review.ui.inline",
  picker = "suggestion-review.ui.picker",
  telescope = "suggestion-review.ui.picker",
}

local function ui()
  return require(STYLES[session.style])
end

---@param name string
local function is_decided(name)
  return name == "accepted" or name == "modified" or name == "rejected"
end

local SHORT = {
  refused = "not in your file",
  deferred = "brought over when adopted",
  conflict = "conflicts with your edits",
}

--- Rebuilds what follows from the hunks: files, counts.
local function count()
  local files, by_file = {}, {}
  session.decided = 0
  for index, hunk in ipairs(session.hunks) do
    local file = by_file[hunk.file]
    if not file then
      local known
      for _, one in ipairs(session.files or {}) do
        if one.file == hunk.file then
          known = one
        end
      end
      file = {
        file = hunk.file,
        display = text_of.plain(hunk.file),
        first = index,
        expanded = known and known.expanded or {},
        added = 0,
        removed = 0,
        decided = 0,
      }
      by_file[hunk.file] = file
      files[#files + 1] = file
    end
    if hunk.old_file and hunk.old_file ~= hunk.file then
      file.old_display = text_of.plain(hunk.old_file)
    end
    file.last = index
    file.added = file.added + hunk.new_count
    file.removed = file.removed + hunk.old_count
    if is_decided(session.state_of(hunk)) then
      file.decided = file.decided + 1
      session.decided = session.decided + 1
    end
  end
  session.files = files
  session.version = (session.version or 0) + 1
  session.index = math.max(1, math.min(session.index, #session.hunks))
end

local refresh_pending = false

--- Draws again soon; many events make one drawing.
local function refresh_soon()
  if refresh_pending then
    return
  end
  refresh_pending = true
  vim.schedule(function()
    refresh_pending = false
    if session and M.is_open() then
      count()
      ui().refresh({ keep_cursor = true, text = session.stale_text == true })
      session.stale_text = nil
    end
  end)
end

--- What fits beside the numbers on a screen of 80 columns: notes are lines of their own that nothing wraps.
local NOTE_WIDTH = 64

---@param hunk SuggestionReview.Hunk
---@return string[][][]
local function notes(hunk)
  local lines = {}
  local function note(text, group)
    for line in vim.gsplit(text:gsub("%s+$", ""), "\n", { plain = true }) do
      for _, part in ipairs(text_of.wrap(text_of.plain(line), NOTE_WIDTH)) do
        lines[#lines + 1] = { { part, group or "SuggestionReviewComment" } }
      end
    end
  end
  if
    not require("suggestion-review.diff").has_text(hunk) or (hunk.diff ~= "" and hunk.diff:sub(1, 3) ~= "@@ ")
  then
    note(hunk.diff_omitted and "(too large to be shown)" or hunk.diff, "Normal")
    if hunk.atomic_reason then
      note("decided as a whole: " .. hunk.atomic_reason)
    end
  elseif hunk.diff_omitted then
    note("(too large to be shown)")
  end
  if hunk.earlier then
    note(
      ("↩ you rejected this in revision %d%s"):format(
        hunk.earlier.revision,
        hunk.earlier.comment and hunk.earlier.comment ~= "" and ": " .. hunk.earlier.comment or ""
      ),
      "SuggestionReviewNotApplied"
    )
    local key = require("suggestion-review.ui.keys").key("compare")
    if key then
      note(("  %s shows what has changed since"):format(key), "SuggestionReviewHint")
    end
  end
  if hunk.decision then
    if hunk.decision.by == "agent" then
      note("decided by the agent, not by you", "SuggestionReviewNotApplied")
    end
    if hunk.decision.carried_from then
      note(("kept from revision %d"):format(hunk.decision.carried_from))
    end
    if hunk.decision.comment and hunk.decision.comment ~= "" then
      note("» " .. hunk.decision.comment)
    end
  end
  for _, comment in ipairs(hunk.comments or {}) do
    if not hunk.decision or hunk.decision.comment ~= comment.text then
      note(("» %s%s"):format(comment.by == "agent" and "agent: " or "", comment.text))
    end
  end
  return lines
end

--- Notes why accepted hunks are not in the worktree.
local function look_at_outcomes()
  session.outcomes = {}
  if session.place.in_place then
    return
  end
  for _, hunk in ipairs(session.hunks) do
    if
      (hunk.state == "accepted" or hunk.state == "modified") and not apply.is_applied(session.place, hunk)
    then
      session.outcomes[hunk.id] = "not in your file"
    end
  end
end

---@param suggestion SuggestionReview.Suggestion
local function take_hunks(suggestion)
  session.hunks = suggestion.hunks
  session.revision = suggestion.revision
  apply.rekey(session.place, session.hunks)
  look_at_outcomes()
  count()
end

--- Index of the first undecided hunk from `from` on, around the end.
---@param from integer
---@return integer|nil
local function pending_from(from)
  local total = #session.hunks
  for step = 0, total - 1 do
    local index = (from - 1 + step) % total + 1
    if not is_decided(session.state_of(session.hunks[index])) then
      return index
    end
  end
end

--- Asks for the bases of the files, so that a key press does not wait for them.
local function prefetch()
  local seen = {}
  local this = session
  for _, file in ipairs({ session.files[session.file_of(session.index)], unpack(session.files, 1, 20) }) do
    local hunk = session.hunks[file.first]
    if not seen[file.file] and hunk.kind ~= "create" then
      seen[file.file] = true
      require("suggestion-review.base").get(session.suggestion(), hunk, session.place.git_root, function(base)
        if base and session == this and session.files[session.file_of(session.index)].file == file.file then
          file.base_known = true
        end
      end)
    end
  end
end

---@param event SuggestionReview.Event
local function on_event(event)
  if not session then
    return
  end
  local id = event.suggestion_id or event.suggestion and event.suggestion.id
  if event.type == "suggestion.status" and event.status == "settled" then
    apply.reload(session.place)
  end
  if event.type == "store.reset" and not store().get(session.id) then
    return
  elseif event.type == "store.reset" then
    if not store().hunks(session.id) then
      store().fetch(session.id)
    else
      refresh_soon()
    end
    return
  end
  if id ~= session.id then
    return
  end
  if event.type == "store.loaded" or event.type == "suggestion.ready" then
    local suggestion = store().get(session.id)
    if not suggestion or not suggestion.hunks then
      return store().fetch(session.id)
    end
    local newer = suggestion.revision > session.revision
    if suggestion.hunks ~= session.hunks then
      local at = session.hunks[session.index]
      take_hunks(suggestion)
      for index, hunk in ipairs(session.hunks) do
        if at and hunk.digest == at.digest then
          session.index = index
          break
        end
      end
      count()
      if newer then
        session.fresh = require("suggestion-review.seen").look(id, suggestion.revision, session.hunks)
        local left = #session.hunks - session.decided
        session.index = pending_from(session.index) or session.index
        tell(
          ("Revision %d: %s to decide; the rest is as you decided it"):format(
            suggestion.revision,
            text_of.count(left, "hunk")
          )
        )
      end
      if M.is_open() then
        ui().refresh()
      end
    end
  elseif event.type == "suggestion.hunk_split" or event.type == "suggestion.hunk_joined" then
    local suggestion = store().get(session.id)
    if suggestion and suggestion.hunks then
      session.hunks = suggestion.hunks
      count()
      vim.schedule(function()
        if session and M.is_open() then
          ui().refresh({ keep_cursor = true })
        end
      end)
    end
  elseif
    event.type == "suggestion.hunk_applied"
    or event.type == "suggestion.hunk_reset"
    or event.type == "suggestion.comment"
  then
    session.stale_text = session.stale_text or event.type == "suggestion.comment" or event.comment ~= nil
    refresh_soon()
  elseif event.type == "suggestion.completed" then
    vim.schedule(function()
      if session and session.id == id then
        M.close()
        tell(
          event.action == "discarded"
              and "The suggestion was discarded; what you accepted stays in your files"
            or "The suggestion is finalized"
        )
      end
    end)
  end
end

--- The inline review shows where hunks would go in the developer's own files; without those there is the floating one.
---@param name string
---@return string
local function fitting_style(name)
  if name ~= "inline" or session.place.root then
    return name
  end
  tell("The inline review needs a checkout; :cd to it or set server.root")
  return "floating"
end

---@param suggestion SuggestionReview.Suggestion
---@param opts { style?: string, hunk?: string }
local function start(suggestion, opts)
  if session then
    M.close()
  end
  local config = require("suggestion-review.config").get().ui
  local origin = vim.api.nvim_buf_get_name(0)
  local directory = origin ~= "" and vim.bo.buftype == "" and vim.fs.dirname(origin) or nil
  local place = apply.place(suggestion, directory)
  if not place.root then
    place = apply.place(suggestion)
  end
  session = {
    id = suggestion.id,
    place = place,
    hunks = suggestion.hunks,
    files = {},
    index = 1,
    decided = 0,
    revision = suggestion.revision,
    style = opts.style or config.style,
    layout = config.layout,
    sent = {},
    outcomes = {},
    fresh = require("suggestion-review.seen").look(suggestion.id, suggestion.revision, suggestion.hunks),
    notes = notes,
  }
  local this = session
  function session.suggestion()
    return store().get(this.id) or suggestion
  end
  function session.state_of(hunk)
    return this.sent[hunk.id] or hunk.state
  end
  function session.file_of(index)
    for i, file in ipairs(this.files) do
      if index >= file.first and index <= file.last then
        return i
      end
    end
    return 1
  end
  function session.base_lines(file)
    local hunk = this.hunks[file.first]
    if hunk.kind == "create" or not hunk.old_file or hunk.encoding == "latin1" then
      return nil
    end
    local base = require("suggestion-review.base").known(this.suggestion().base_commit, hunk.old_file)
    return base and base.lines
  end
  take_hunks(suggestion)
  -- Begin where the developer is: in the file they look at, else at the first undecided hunk.
  local first = pending_from(1) or 1
  if place.root and origin ~= "" then
    for index, hunk in ipairs(session.hunks) do
      if place.root .. "/" .. hunk.file == origin and not is_decided(hunk.state) then
        first = index
        break
      end
    end
  end
  session.index = first
  if opts.hunk then
    for index, hunk in ipairs(session.hunks) do
      if hunk.id == opts.hunk then
        session.index = index
      end
    end
  end
  session.style = fitting_style(session.style)
  session.unsubscribe = store().subscribe(on_event)
  prefetch()
  ui().open(session)
end

--- Opens the review of a suggestion: the named one, else the only open one, else asks which.
---@param id? string
---@param opts? { style?: string, hunk?: string }
function M.open(id, opts)
  vim.validate("id", id, "string", true)
  opts = opts or {}
  if not id then
    if session and M.is_open() and not opts.style then
      return ui().focus()
    end
    local open = store().list()
    if #open == 0 then
      return tell("No suggestion waits for review", "info")
    elseif #open > 1 then
      return vim.ui.select(open, {
        prompt = "Review which suggestion?",
        kind = "suggestion-review",
        format_item = function(suggestion)
          return ("%s  (%d/%d decided, %s)"):format(
            text_of.first_line(suggestion.description),
            suggestion.reviewed_count,
            suggestion.hunk_count,
            text_of.count(#suggestion.files, "file")
          )
        end,
      }, function(suggestion)
        if suggestion then
          M.open(suggestion.id, opts)
        end
      end)
    end
    id = open[1].id
  end
  local suggestion = store().get(id)
  if suggestion and suggestion.hunks then
    if #suggestion.hunks == 0 then
      return tell("This suggestion changes nothing", "info")
    end
    return start(suggestion, opts)
  end
  store().fetch(id, function(err, whole)
    if err or not whole then
      return tell_error(err or "This suggestion could not be loaded")
    end
    if #whole.hunks == 0 then
      return tell("This suggestion changes nothing", "info")
    end
    start(whole, opts)
  end)
end

---@return boolean
function M.is_open()
  return session ~= nil and ui().is_open()
end

--- Id of the suggestion under review.
---@return string|nil
function M.current_id()
  return session and session.id
end

--- The session under way, for the styles and for tests.
---@return SuggestionReview.Session|nil
function M.session()
  return session
end

--- Closes the windows. Decisions stay; nothing is sent.
function M.close()
  if not session then
    return
  end
  local style = ui()
  session.unsubscribe()
  session = nil
  style.close()
end

---@return SuggestionReview.Session|nil
local function need()
  if session and M.is_open() then
    return session
  end
  tell("No review is open; :Suggest review opens one", "info")
end

--- Makes a hunk the current one and shows it.
---@param index integer
---@param opts? table
function M.go(index, opts)
  if not session then
    return
  end
  session.index = math.max(1, math.min(index, #session.hunks))
  ui().refresh(vim.tbl_extend("force", { text = false }, opts or {}))
end

---@param delta integer
local function step(delta)
  if not session then
    return M.open()
  end
  local total = #session.hunks
  M.go((session.index - 1 + delta * vim.v.count1) % total + 1, { moved = true })
end

--- Next hunk, over the ends of files.
function M.next()
  step(1)
end

function M.prev()
  step(-1)
end

function M.next_pending()
  if not need() then
    return
  end
  local index = pending_from(session.index % #session.hunks + 1)
  if index then
    M.go(index)
  else
    tell("Every hunk is decided")
  end
end

---@param delta integer
local function step_file(delta)
  if not need() then
    return
  end
  local total = #session.files
  local file = session.files[(session.file_of(session.index) - 1 + delta * vim.v.count1) % total + 1]
  local index = file.first
  for i = file.first, file.last do
    if not is_decided(session.state_of(session.hunks[i])) then
      index = i
      break
    end
  end
  M.go(index)
end

function M.next_file()
  step_file(1)
end

function M.prev_file()
  step_file(-1)
end

--- Says what finishing the last hunk leads to.
local function all_decided()
  local key = require("suggestion-review.ui.keys").key("complete")
  local total = #session.hunks
  local what = total == 1 and "The one hunk is decided" or ("All %d hunks are decided"):format(total)
  tell(what .. (key and ("; %s finalizes"):format(key) or ""))
end

---@param problems { plan: SuggestionReview.FilePlan, reason: string }[]
local function tell_problems(problems)
  for _, problem in ipairs(problems) do
    tell(("%s: %s"):format(text_of.plain(problem.plan.file), problem.reason), "warn")
  end
end

--- Brings wants into the worktree and notes what stays out.
---@param wants SuggestionReview.Want[]
---@param done? fun(items: SuggestionReview.PlanItem[])
local function bring(wants, done)
  local this = session
  if not this or #wants == 0 then
    return done and done({})
  end
  if this.place.in_place then
    apply.reload(this.place)
    return done and done({})
  end
  apply.plan(this.place, wants, function(plans, items)
    tell_problems(apply.run(plans))
    local told = {}
    for _, item in ipairs(items) do
      local out = item.want.state == "pending" or item.want.state == "rejected"
      this.outcomes[item.hunk.id] = not (out and item.status == "deferred") and SHORT[item.status] or nil
      if item.status == "deferred" and not out and not told[item.reason] then
        told[item.reason] = true
        tell(("%s: %s"):format(text_of.plain(item.hunk.file), item.reason))
      end
      if out and item.status == "conflict" then
        this.outcomes[item.hunk.id] = "still in your file: you edited it"
      elseif out and item.status == "refused" and not apply.is_applied(this.place, item.hunk) then
        this.outcomes[item.hunk.id] = nil
      end
    end
    if done then
      done(items)
    end
    refresh_soon()
  end)
end

---@class SuggestionReview.SendOpts : SuggestionReview.DecideOpts
---@field resolution? fun() brings the outcome into the file instead of the usual way
---@field skip_apply? boolean the file is left as it is

--- Sends one decision and shows the next hunk at once; the answer brings it into the file.
---@param hunk SuggestionReview.Hunk
---@param action SuggestionReview.Action
---@param opts SuggestionReview.SendOpts
local function send(hunk, action, opts)
  local this = session
  local outcome = { accept = "accepted", reject = "rejected", modify = "modified" }
  local state = outcome[action]
  local was_pending = hunk.state == "pending"
  if not opts.lines then
    this.sent[hunk.id] = state
  end
  count()
  local following = pending_from(this.index)
  if following and not opts.lines then
    M.go(following)
  else
    ui().refresh({ keep_cursor = true, text = false })
  end
  feedback().decide(this.id, hunk, action, {
    comment = opts.comment,
    modified_diff = opts.modified_diff,
    lines = opts.lines,
  }, function(err, data)
    this.sent[hunk.id] = nil
    if err then
      tell_error(err)
      if session == this then
        for index, one in ipairs(this.hunks) do
          if one.id == hunk.id then
            this.index = index
          end
        end
        count()
        ui().refresh({ keep_cursor = true })
      end
      return
    end
    local function finish()
      if was_pending and session == this and not pending_from(1) and next(this.sent) == nil then
        all_decided()
      end
      refresh_soon()
    end
    if opts.resolution then
      opts.resolution()
      return finish()
    elseif opts.skip_apply then
      this.outcomes[hunk.id] = SHORT.refused
      return finish()
    end
    local wants = {}
    if opts.lines then
      local part = M._part(hunk, data.hunks, opts.lines, state)
      if not part then
        tell("The server did not answer with the lines you selected, so nothing was applied", "warn")
        return finish()
      end
      wants[1] = { hunk = part, state = state }
      if session == this then
        for index, one in ipairs(this.hunks) do
          if one.id == part.id then
            this.index = index
          end
        end
        count()
        M.go(pending_from(this.index) or this.index, { text = true })
      end
    else
      wants[1] = { hunk = hunk, state = state, modified_diff = opts.modified_diff }
    end
    if session ~= this then
      -- Closed meanwhile: the decision was made here all the same.
      apply.plan(this.place, wants, function(plans)
        tell_problems(apply.run(plans))
      end)
      return
    end
    bring(wants, finish)
  end)
end

--- The part of `hunk` that the server made of the selected lines, if it is exactly those.
---@param hunk SuggestionReview.Hunk
---@param hunks SuggestionReview.Hunk[]
---@param lines SuggestionReview.LineRange
---@param state SuggestionReview.HunkState
---@return SuggestionReview.Hunk|nil
function M._part(hunk, hunks, lines, state)
  local diff = require("suggestion-review.diff")
  local whole = diff.text_of(hunk)
  if not whole then
    return
  end
  local old = table.concat(whole.old, "", lines.old[1] + 1, lines.old[1] + lines.old[2])
  local new = table.concat(whole.new, "", lines.new[1] + 1, lines.new[1] + lines.new[2])
  for _, part in ipairs(hunks or {}) do
    if part.state == state and vim.startswith(part.id, hunk.id .. ".") and part.file == hunk.file then
      local text = digest.of(part) == part.digest and diff.text_of(part)
      if text and table.concat(text.old) == old and table.concat(text.new) == new then
        return part
      end
    end
  end
end

--- The current hunk, and the selected part of it.
---@param opts table|nil
---@return SuggestionReview.Hunk|nil
---@return SuggestionReview.LineRange|nil
local function target(opts)
  if not need() then
    return
  end
  if not (opts and opts.selection) then
    return session.hunks[session.index]
  end
  local first, last = vim.fn.line("v"), vim.fn.line(".")
  vim.api.nvim_feedkeys(vim.keycode("<Esc>"), "nx", false)
  if first > last then
    first, last = last, first
  end
  local select = ui().selection
  local index, lines = nil, nil
  if select then
    index, lines = select(first, last)
  end
  if not index then
    tell("The selection holds no changed line", "warn")
    return
  end
  session.index = index
  local hunk = session.hunks[index]
  ---@cast lines SuggestionReview.LineRange
  -- A side without a selected line is cut where the other side's lines belong.
  local block = require("suggestion-review.ui.rows").block_of(hunk)
  if lines.old[2] == #block.old and lines.new[2] == #block.new then
    return hunk
  end
  local pairs_of = require("suggestion-review.diff").pairs_of(block.old, block.new)
  if lines.old[1] < 0 then
    local at = 0
    for _, pair in ipairs(pairs_of) do
      if pair.new - 1 < lines.new[1] then
        at = pair.old
      end
    end
    lines.old[1] = at
  elseif lines.new[1] < 0 then
    local at = 0
    for _, pair in ipairs(pairs_of) do
      if pair.old - 1 < lines.old[1] then
        at = pair.new
      end
    end
    lines.new[1] = at
  end
  return hunk, lines
end

--- Asks once whether hunks are to come into a checkout that does not have the commit they are based on.
---@param place SuggestionReview.Place
---@return "apply"|"skip"|nil
local function ask_unknown_base(place)
  local answer = vim.fn.confirm(
    ("%s does not have the commit that the suggestion is based on (git fetch may bring it).\nAccepted hunks:"):format(
      vim.fn.fnamemodify(place.root, ":~")
    ),
    "&Apply here all the same\nAccept &without changing files\n&Cancel",
    3,
    "Question"
  )
  if answer == 1 then
    place.unknown_base_ok = true
    return "apply"
  end
  return answer == 2 and "skip" or nil
end

--- Asks once whether to decide although the file will not follow.
---@param reason string
---@param verb string
local function anyway(reason, verb)
  return vim.fn.confirm(
    ("%s\n%s anyway, leaving your file as it is?"):format(reason, verb),
    "&Yes\n&No",
    2,
    "Question"
  ) == 1
end

--- Accepts the current hunk (or the selected lines of it): into the file at once.
---@param opts? { selection?: boolean, again?: boolean }
function M.accept(opts)
  local hunk, lines = target(opts)
  if not hunk then
    return
  end
  local state = session.state_of(hunk)
  if state == "accepted" and not session.outcomes[hunk.id] then
    M.go(pending_from(session.index) or session.index)
    return
  elseif session.sent[hunk.id] then
    return
  end
  if lines then
    return send(hunk, "accept", { lines = lines })
  end
  local this, index = session, session.index
  local want = { hunk = hunk, state = "accepted" }
  local decided = false
  local later = false
  apply.plan(this.place, { want }, function(_, items)
    decided = true
    if session ~= this then
      return
    end
    local item = items[1]
    if item.status == "conflict" then
      if later then
        M.go(index)
      end
      return require("suggestion-review.conflict").open(this, item, {
        send = function(action, resolve_opts)
          send(hunk, action, resolve_opts)
        end,
      })
    elseif item.code == "unknown_base" then
      vim.schedule(function()
        local answer = session == this and ask_unknown_base(this.place)
        if answer == "apply" then
          M.go(index)
          M.accept()
        elseif answer == "skip" then
          send(hunk, "accept", { skip_apply = true })
        end
      end)
      return
    elseif item.status == "refused" then
      vim.schedule(function()
        if session == this and anyway(("%s: %s"):format(text_of.plain(hunk.file), item.reason), "Accept") then
          send(hunk, "accept", { skip_apply = true })
        end
      end)
      return
    end
    send(hunk, "accept", {})
  end)
  later = not decided
end

--- Rejects the current hunk, after asking for a reason that may be left out.
---@param opts? { selection?: boolean, again?: boolean, comment?: string }
function M.reject(opts)
  local hunk, lines = target(opts)
  if not hunk then
    return
  end
  local this = session
  local function with(comment)
    if session ~= this or this.sent[hunk.id] then
      return
    end
    this.last_comment = comment
    send(hunk, "reject", { comment = comment ~= "" and comment or nil, lines = lines })
  end
  if opts and opts.comment then
    return with(opts.comment)
  elseif opts and opts.again and this.last_comment then
    return with(this.last_comment)
  end
  vim.ui.input(
    { prompt = lines and "Reject these lines because (optional): " or "Reject because (optional): " },
    function(comment)
      if comment then
        with(comment)
      end
    end
  )
end

--- Opens the hunk in a buffer of its own; writing it sends the modification.
function M.modify()
  local hunk = target()
  if not hunk then
    return
  end
  local diff = require("suggestion-review.diff")
  local text = diff.text_of(hunk)
  if not text or not diff.has_text(hunk) then
    return tell(("This %s change has no text to edit; accept or reject it"):format(hunk.kind), "warn")
  end
  local this = session
  require("suggestion-review.ui.modify").open(hunk, text, function(edited)
    if session ~= this then
      return false, "the review was closed"
    end
    local proposed = {}
    vim.list_extend(proposed, text.before)
    vim.list_extend(proposed, text.new)
    vim.list_extend(proposed, text.after)
    if vim.deep_equal(edited, proposed) then
      send(hunk, "accept", {})
      return true
    end
    local modified = diff.format_modification(hunk, text, edited)
    if not modified then
      return false, "this is the text as it was before; reject the hunk to keep that"
    end
    local want = { hunk = hunk, state = "modified", modified_diff = modified }
    apply.plan(this.place, { want }, function(_, items)
      local item = items[1]
      if item.status == "conflict" then
        require("suggestion-review.conflict").open(this, item, {
          send = function(action, resolve_opts)
            if action == "accept" then
              action = "modify"
              resolve_opts.modified_diff = modified
            end
            send(hunk, action, resolve_opts)
          end,
        })
      elseif item.status == "refused" and not anyway(item.reason, "Send your version") then
        return
      else
        send(hunk, "modify", { modified_diff = modified, skip_apply = item.status == "refused" })
      end
    end)
    return true
  end)
end

local decide_many

--- Decides many hunks as one decision.
---@param action "accept"|"reject"
---@param file string|nil
---@param comment string|nil
function decide_many(action, file, comment)
  local this = session
  local remaining = vim.tbl_filter(function(hunk)
    return not is_decided(this.state_of(hunk)) and (not file or hunk.file == file)
  end, this.hunks)
  if #remaining == 0 then
    return tell("Nothing is left to decide here")
  end
  local state = action == "accept" and "accepted" or "rejected"
  local wants = vim.tbl_map(function(hunk)
    return { hunk = hunk, state = state }
  end, remaining)
  local function go_on(chosen, left_out)
    if #chosen == 0 then
      return tell(
        ("%s touch your own edits; press %s on each"):format(
          text_of.count(left_out, "hunk"),
          require("suggestion-review.ui.keys").key("accept") or ":Suggest accept"
        ),
        "warn"
      )
    end
    local request
    if left_out == 0 then
      request = { scope = { action = action, file = file, comment = comment } }
    else
      request = {
        decisions = vim.tbl_map(function(want)
          return { hunk = want.hunk, action = action, comment = comment }
        end, chosen),
      }
    end
    feedback().batch(this.id, request, function(err)
      if err then
        return tell_error(err)
      end
      if session ~= this then
        apply.plan(this.place, chosen, function(plans)
          tell_problems(apply.run(plans))
        end)
        return
      end
      bring(chosen, function()
        count()
        local following = pending_from(this.index)
        M.go(following or this.index)
        if left_out > 0 then
          tell(
            ("%s %s; %d touch your own edits and are left to you"):format(
              text_of.count(#chosen, "hunk"),
              state,
              left_out
            ),
            "warn"
          )
        elseif not following then
          all_decided()
        end
      end)
    end)
  end
  if action == "reject" then
    return go_on(wants, 0)
  end
  apply.plan(this.place, wants, function(_, items)
    if session ~= this then
      return
    end
    local chosen, refused, conflicts = {}, {}, 0
    for _, item in ipairs(items) do
      if item.status == "conflict" then
        conflicts = conflicts + 1
      elseif item.status == "refused" then
        refused[#refused + 1] = item
      else
        chosen[#chosen + 1] = item.want
      end
    end
    if refused[1] and refused[1].code == "unknown_base" then
      local answer = ask_unknown_base(this.place)
      if answer == "apply" then
        return decide_many(action, file, comment)
      elseif not answer then
        return
      end
      for _, item in ipairs(refused) do
        chosen[#chosen + 1] = item.want
      end
    elseif #refused > 0 then
      local reason = ("%s cannot be applied here (%s: %s)."):format(
        text_of.count(#refused, "hunk"),
        text_of.plain(refused[1].hunk.file),
        refused[1].reason
      )
      if anyway(reason, "Accept them") then
        for _, item in ipairs(refused) do
          chosen[#chosen + 1] = item.want
        end
      else
        conflicts = conflicts + #refused
      end
    end
    go_on(chosen, conflicts)
  end)
end

local function remaining(file)
  local left = 0
  for _, hunk in ipairs(session.hunks) do
    if not is_decided(session.state_of(hunk)) and (not file or hunk.file == file) then
      left = left + 1
    end
  end
  return left
end

--- Accepts everything that is undecided, as one decision (one `u` takes it back).
function M.accept_all()
  if need() then
    decide_many("accept")
  end
end

--- Rejects everything that is undecided, as one decision.
function M.reject_all()
  if not need() then
    return
  end
  local left = remaining()
  if left == 0 then
    return tell("Nothing is left to decide")
  end
  local this = session
  vim.ui.input({ prompt = ("Reject the remaining %d because (optional): "):format(left) }, function(comment)
    if comment and session == this then
      decide_many("reject", nil, comment ~= "" and comment or nil)
    end
  end)
end

function M.accept_file()
  if need() then
    decide_many("accept", session.hunks[session.index].file)
  end
end

function M.reject_file()
  if not need() then
    return
  end
  local this, file = session, session.hunks[session.index].file
  local left = remaining(file)
  if left == 0 then
    return tell("Nothing is left to decide in this file")
  end
  vim.ui.input(
    { prompt = ("Reject the remaining %d of %s because (optional): "):format(left, text_of.plain(file)) },
    function(comment)
      if comment and session == this then
        decide_many("reject", file, comment ~= "" and comment or nil)
      end
    end
  )
end

--- Makes the worktree follow the states of hunks, as far as this developer decided them here.
---@param hunks SuggestionReview.Hunk[]
---@param done? fun()
local function reconcile(hunks, done)
  local this = session
  -- What the server reports counts only where this developer decided the same here.
  local own = {}
  for _, decision in
    pairs(require("suggestion-review.verify").resolve(this.hunks, store().decided_here(this.id)))
  do
    own[decision.hunk.id] = decision
  end
  local known = {}
  for _, hunk in ipairs(this.hunks) do
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
        this.outcomes[hunk.id] = "decided elsewhere, not in your file"
      end
    else
      this.outcomes[hunk.id] = nil
      if apply.is_applied(this.place, hunk) then
        wants[#wants + 1] = { hunk = hunk, state = hunk.state }
      end
    end
    -- Parts that were joined to this hunk again.
    if this.place.applied then
      for _, replacement in ipairs(this.place.applied:of_file(this.id, digest.path(hunk))) do
        if not known[replacement.key] and vim.startswith(replacement.key, hunk.id .. ".") then
          wants[#wants + 1] =
            { hunk = vim.tbl_extend("force", hunk, { id = replacement.key }), state = "pending" }
        end
      end
    end
    ::continue::
  end
  bring(wants, done)
end

---@param direction "undo"|"redo"
local function travel(direction)
  if not need() then
    return
  end
  local this = session
  feedback()[direction](this.id, nil, function(err, data)
    if err then
      return tell(err.message, err.code == "nothing_to_do" and "info" or "warn")
    end
    if session ~= this then
      return
    end
    local suggestion = store().get(this.id)
    if suggestion and suggestion.hunks then
      this.hunks = suggestion.hunks
    end
    count()
    local hunks = data.hunks or {}
    local changed = {}
    if data.changed and data.changed > #hunks then
      changed = this.hunks
    else
      for _, hunk in ipairs(hunks) do
        changed[#changed + 1] = store().hunk(this.id, hunk.id)
      end
    end
    if hunks[1] then
      for index, hunk in ipairs(this.hunks) do
        if hunk.id == hunks[1].id then
          this.index = index
        end
      end
    end
    reconcile(changed, function()
      if session == this then
        count()
        ui().refresh()
        tell(
          ("%s: %s"):format(
            direction == "undo" and "Undone" or "Done again",
            text_of.count(data.changed or #hunks, "decision")
          )
        )
      end
    end)
  end)
end

--- Takes back the last decision (or batch), in the file as well.
function M.undo()
  travel("undo")
end

function M.redo()
  travel("redo")
end

--- Adds a comment to the current hunk, deciding nothing.
function M.comment()
  local hunk = target()
  if not hunk then
    return
  end
  local this = session
  vim.ui.input({ prompt = "Comment: " }, function(text)
    if not text or vim.trim(text) == "" then
      return
    end
    feedback().comment(this.id, hunk, text, function(err)
      if err then
        return tell_error(err)
      end
      if session == this then
        ui().refresh({ keep_cursor = true })
      end
    end)
  end)
end

--- Shows what the hunk has become since it was rejected.
function M.compare()
  local hunk = target()
  if not hunk then
    return
  end
  if not hunk.earlier then
    return tell("You have not rejected this hunk in an earlier revision")
  elseif not require("suggestion-review.ui.interdiff").open(hunk, session.revision) then
    tell("This change has no text to compare", "warn")
  end
end

--- Tries again to bring an accepted hunk into the file; where edits are in the way, shows both.
function M.resolve()
  local hunk = target()
  if not hunk then
    return
  end
  local this = session
  if session.place.in_place then
    return tell("The agent works in this very checkout; there is nothing to apply")
  end
  local state = session.state_of(hunk)
  local record = store().decided_here(this.id)[hunk.id]
  if state ~= "pending" and not record then
    return tell("This hunk was not decided in your Neovim; decide it here first", "warn")
  end
  local want = {
    hunk = hunk,
    state = state == "pending" and "accepted" or state,
    modified_diff = record and record.modified_diff,
  }
  apply.plan(this.place, { want }, function(plans, items)
    local item = items[1]
    if item.status == "conflict" then
      require("suggestion-review.conflict").open(this, item, {
        send = function(action, resolve_opts)
          send(hunk, action, resolve_opts)
        end,
      })
    elseif item.status == "refused" then
      tell(("%s: %s"):format(text_of.plain(hunk.file), item.reason), "warn")
    elseif state == "pending" then
      tell("Nothing is in the way; accept it")
    else
      tell_problems(apply.run(plans))
      this.outcomes[hunk.id] = SHORT[item.status]
      refresh_soon()
    end
  end)
end

---@param message string
---@param choices string
local function ask(message, choices)
  return vim.fn.confirm(message, choices, 1, "Question")
end

local function complete_now(description)
  local this = session
  tell("Finalizing …")
  feedback().complete(this.id, "finalize", { description = description }, function(err)
    if err then
      local files = err.details and err.details.files
      return tell(err.message .. (files and (" (%s)"):format(table.concat(files, ", ")) or ""), "error")
    end
    if session == this then
      M.close()
    end
  end)
end

--- Finalizes: one commit of what is accepted. Asks once.
function M.complete()
  if not need() then
    return
  end
  local suggestion = session.suggestion()
  local left = remaining()
  local accepted = 0
  for _, hunk in ipairs(session.hunks) do
    local state = session.state_of(hunk)
    if state == "accepted" or state == "modified" then
      accepted = accepted + 1
    end
  end
  if accepted == 0 then
    return tell("Nothing is accepted, so there is nothing to finalize; discard drops the suggestion", "warn")
  end
  local message = ("Finalize “%s”?\n%s accepted%s."):format(
    text_of.first_line(suggestion.description),
    text_of.count(accepted, "hunk"),
    left > 0 and (", %d undecided stay with the agent"):format(left) or ""
  )
  local answer = ask(message, "&Finalize\n&Edit message\n&Cancel")
  if answer == 1 then
    complete_now(nil)
  elseif answer == 2 then
    require("suggestion-review.ui.modify").open_message(suggestion.description, complete_now)
  end
end

--- Gives up what is undecided. Asks once; what is accepted stays.
function M.discard()
  if not need() then
    return
  end
  local this = session
  local left = remaining()
  local message = ("Discard “%s”?\n%s given up; what you accepted stays in your files."):format(
    text_of.first_line(session.suggestion().description),
    left == 1 and "1 undecided hunk is" or ("%d undecided hunks are"):format(left)
  )
  if vim.fn.confirm(message, "&Discard\n&Keep reviewing", 2, "Warning") ~= 1 then
    return
  end
  feedback().complete(this.id, "discard", nil, function(err)
    if err then
      return tell_error(err)
    end
    if session == this then
      M.close()
    end
  end)
end

--- Sends the rejections to the agent and lets it work on them.
function M.revise()
  if not need() then
    return
  end
  local this = session
  vim.ui.input({ prompt = "What should the agent do about the rejections? (optional): " }, function(text)
    if not text then
      return
    end
    feedback().revise(this.id, { comment = text ~= "" and text or nil }, function(err, data)
      if err then
        return tell_error(err)
      end
      tell(data and data.message or "The agent was asked for a revision")
    end)
  end)
end

--- Goes to the current hunk's place in the real file.
function M.open_file()
  local hunk = target()
  if not hunk then
    return
  end
  local root = session.place.root
  local path = root and require("suggestion-review.worktree").resolve(root, digest.path(hunk))
  if path and not vim.uv.fs_stat(path) and hunk.old_file then
    path = require("suggestion-review.worktree").resolve(root, hunk.old_file)
  end
  if not path or not vim.uv.fs_stat(path) then
    return tell("There is no such file in this worktree", "warn")
  end
  local line = ui().line_at_cursor and ui().line_at_cursor() or hunk.old_start
  M.close()
  vim.cmd("keepalt edit " .. vim.fn.fnameescape(vim.fn.fnamemodify(path, ":.")))
  pcall(vim.api.nvim_win_set_cursor, 0, { math.max(1, math.min(line, vim.api.nvim_buf_line_count(0))), 0 })
  vim.cmd("normal! zvzz")
end

--- Shows or hides a stretch of unchanged lines.
function M.toggle_gap()
  if not need() or not ui().gap_at_cursor then
    return
  end
  local file = session.files[session.file_of(session.index)]
  local from = ui().gap_at_cursor()
  if not from then
    return
  end
  local this = session
  local hunk = session.hunks[file.first]
  require("suggestion-review.base").get(
    session.suggestion(),
    hunk,
    session.place.git_root,
    function(base, reason)
      if session ~= this then
        return
      elseif not base then
        return tell("The unchanged lines are not known: " .. tostring(reason), "warn")
      end
      file.expanded[from] = not file.expanded[from] or nil
      ui().refresh({ keep_cursor = true })
    end
  )
end

---@param open boolean
local function all_gaps(open)
  if not need() then
    return
  end
  local this = session
  local file = session.files[session.file_of(session.index)]
  require("suggestion-review.base").get(
    session.suggestion(),
    session.hunks[file.first],
    session.place.git_root,
    function(base)
      if session ~= this or not base then
        return
      end
      file.expanded = open
          and setmetatable({}, {
            __index = function()
              return true
            end,
          })
        or {}
      ui().refresh({ keep_cursor = true })
    end
  )
end

function M.open_gaps()
  all_gaps(true)
end

function M.close_gaps()
  all_gaps(false)
end

function M.toggle_layout()
  if not need() or not ui().toggle_layout then
    return
  end
  session.layout = session.layout == "unified" and "side-by-side" or "unified"
  ui().toggle_layout()
end

function M.toggle_panel()
  if need() and ui().toggle_panel then
    ui().toggle_panel()
  end
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
  if not need() then
    return
  end
  local before = ui()
  name = fitting_style(name)
  before.close()
  session.style = name
  ui().open(session)
end

function M.next_style()
  if need() then
    M.set_style(({ floating = "inline", inline = "picker" })[session.style] or "floating")
  end
end

--- All hunks as a quickfix list.
function M.quickfix()
  if not need() then
    return
  end
  require("suggestion-review.ui.quickfix").fill(session)
end

function M.help()
  require("suggestion-review.ui.help").open()
end

return M
