--- The review: opens a suggestion and moves between its hunks. Every key of the review is a function here; what keys do
--- beyond moving is in `review/`, loaded when it is first asked for. The styles in `ui/` draw, `feedback` tells the
--- server, `apply` brings the outcome into the developer's files.
local attributes = require("suggestion-review.worktree.attributes")
local current = require("suggestion-review.review.current")
local digest = require("suggestion-review.text.digest")
local editor = require("suggestion-review.lib.editor")
local notify = require("suggestion-review.say.notify")
local text_of = require("suggestion-review.text.display")
local choose_from = require("suggestion-review.say.choose_from")

local M = {}

---@param owner string module of `review/`
---@param name string
---@return function
local function of(owner, name)
  return require("suggestion-review.review." .. owner)[name]
end

-- Actions, from the modules that own them.
for _, one in ipairs(require("suggestion-review.actions").list) do
  local owner, name = one.owner, one.action
  if owner then
    M[name] = function(...)
      return editor.attempt(of(owner, name), ...)
    end
  end
end

--- What is no action, and says by itself what is not possible now.
for name, owner in pairs({ is_open = "current", go = "current", set_style = "current", index_of = "shown" }) do
  M[name] = function(...)
    return of(owner, name)(...)
  end
end

--- The session under way.
---@return SuggestionReview.Session|nil
function M.session()
  return current.get()
end

--- Id of the suggestion under review.
---@return string|nil
function M.current_id()
  local session = current.get()
  return session and session.id
end

-- Opening ---------------------------------------------------------------------------------------------------

--- Asks for the bases of the files and for what git does to them, so that a key press does not wait for it.
---@param session SuggestionReview.Session
local function prefetch(session)
  local base = require("suggestion-review.model.base_text")
  local paths = {}
  for _, hunk in ipairs(session.hunks) do
    paths[digest.path(hunk)] = true
    paths[hunk.old_file or digest.path(hunk)] = true
  end
  attributes.of(session.place.git_root, vim.tbl_keys(paths), function() end)
  local seen = {}
  for _, file in ipairs({ session:current_file(), unpack(session.files, 1, 20) }) do
    local hunk = session.hunks[file.first]
    if not seen[file.file] and hunk.kind ~= "create" then
      seen[file.file] = true
      base.get(session:suggestion(), hunk, session.place.git_root, function() end)
    end
  end
end

--- Where a review begins: in the file that the developer looks at, else at the first undecided hunk.
---@param session SuggestionReview.Session
---@param origin string name of the buffer the review is opened from
---@return integer
local function first_hunk(session, origin)
  local root = session.place.root
  if root and origin ~= "" then
    for index, hunk in ipairs(session.hunks) do
      if root .. "/" .. hunk.file == origin and not session:is_decided(hunk) then
        return index
      end
    end
  end
  return session:pending_from(1) or 1
end

---@param suggestion SuggestionReview.Suggestion with hunks
---@param opts { style?: string, hunk?: string }
local function start(suggestion, opts)
  if #suggestion.hunks == 0 then
    return notify.info("This suggestion changes nothing")
  end
  current.close()
  local apply = require("suggestion-review.apply")
  local config = require("suggestion-review.config").get().ui
  local origin = vim.api.nvim_buf_get_name(0)
  local directory = origin ~= "" and vim.bo.buftype == "" and vim.fs.dirname(origin) or nil
  local place = apply.place(suggestion, directory)
  if not place.root then
    place = apply.place(suggestion)
  end
  local session = require("suggestion-review.review.session").new(suggestion, place, {
    style = opts.style or config.style,
    layout = config.layout,
    redraw_soon = current.refresh_soon,
  })
  session.index = first_hunk(session, origin)
  if opts.hunk then
    session:point_at(opts.hunk)
  end
  session.unsubscribe =
    require("suggestion-review.model.store").subscribe(require("suggestion-review.review.follow").on_event)
  prefetch(session)
  current.open(session, M)
  require("suggestion-review.review.standing").begin(session)
  local warnings = session:warnings()
  if #warnings > 0 and session.style ~= "floating" then
    notify.warn(
      ("Not in this suggestion: %s%s"):format(
        text_of.first_line(warnings[1]),
        #warnings > 1 and (" (and %d more)"):format(#warnings - 1) or ""
      )
    )
  end
end

--- Asks which of several suggestions to review.
---@param open SuggestionReview.Suggestion[]
---@param opts { style?: string, hunk?: string }
local function choose(open, opts)
  choose_from(open, {
    prompt = require("suggestion-review.watch.label").above("Review which suggestion?"),
    kind = "suggestion-review",
    format_item = function(suggestion)
      return require("suggestion-review.watch.label").line(suggestion)
    end,
  }, function(suggestion)
    if suggestion then
      M.open(suggestion.id, opts)
    end
  end)
end

--- Opens the review of a suggestion: the named one, else the only open one, else asks which.
---@param id? string
---@param opts? { style?: string, hunk?: string }
function M.open(id, opts)
  vim.validate("id", id, "string", true)
  opts = opts or {}
  local store = require("suggestion-review.model.store")
  if not id then
    if current.is_open() and not opts.style then
      return editor.attempt(current.style().focus)
    end
    local open = store.list()
    if #open == 0 then
      return require("suggestion-review.watch.label").say_nothing()
    elseif #open > 1 then
      return choose(open, opts)
    end
    id = open[1].id
  end
  local suggestion = store.get(id)
  if suggestion and suggestion.hunks then
    return editor.attempt(start, suggestion, opts)
  end
  store.fetch(id, function(err, whole)
    if err or not whole then
      return notify.warn(err and err.message or "This suggestion could not be loaded")
    end
    editor.attempt(start, whole, opts)
  end)
end

-- Moving ----------------------------------------------------------------------------------------------------

---@param delta integer
local function step(delta)
  local session = current.get()
  if not session then
    return M.open()
  end
  current.look_at_cursor()
  local total = #session.hunks
  current.go((session.index - 1 + delta * vim.v.count1) % total + 1, { moved = true })
end

--- Next hunk, over the ends of files.
function M.next()
  editor.attempt(step, 1)
end

function M.prev()
  editor.attempt(step, -1)
end

function M.next_pending()
  local session = current.need()
  if not session then
    return
  end
  current.look_at_cursor()
  local index
  local from = session.index
  for _ = 1, vim.v.count1 do
    index = session:pending_from(from % #session.hunks + 1)
    from = index or from
  end
  if index then
    editor.attempt(current.go, index)
  else
    notify.info("Every hunk is decided")
  end
end

---@param delta integer
local function step_file(delta)
  local session = current.need()
  if not session then
    return
  end
  current.look_at_cursor()
  local total = #session.files
  local file = session.files[(session:file_of(session.index) - 1 + delta * vim.v.count1) % total + 1]
  local index = file.first
  for i = file.first, file.last do
    if not session:is_decided(session.hunks[i]) then
      index = i
      break
    end
  end
  current.go(index)
end

function M.next_file()
  editor.attempt(step_file, 1)
end

function M.prev_file()
  editor.attempt(step_file, -1)
end

return M
