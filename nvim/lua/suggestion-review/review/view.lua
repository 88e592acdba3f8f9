--- Other looks at what is under review: unchanged lines, layout and panel, what changed since a rejection, the real
--- file, the quickfix list. Decides nothing.
local current = require("suggestion-review.review.current")
local editor = require("suggestion-review.lib.editor")
local notify = require("suggestion-review.say.notify")
local place_in_file = require("suggestion-review.review.place_in_file")
local target = require("suggestion-review.review.target")

local M = {}

--- Shows what the hunk has become since it was rejected; of a modified hunk, what the agent proposed and what the
--- developer made of it.
function M.compare()
  local hunk = target.of()
  if not hunk then
    return
  end
  local own = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
  if not own and not hunk.earlier then
    return notify.info("You have not rejected this hunk in an earlier revision, nor modified it")
  elseif not require("suggestion-review.ui.interdiff").open(hunk, current.get().revision) then
    notify.warn("This change has no text to compare")
  end
end

--- Goes to the current hunk's place in the real file as it is now, in a normal window. Where that cannot be, the review
--- stays as it is.
function M.open_file()
  local hunk = target.of()
  if not hunk then
    return
  end
  local session = current.get() --[[@as SuggestionReview.Session]]
  local path = place_in_file.path(session, hunk)
  if not path then
    return notify.warn("There is no such file in this worktree")
  end
  local style = current.style()
  local at = style.place_at_cursor and style.place_at_cursor()
  local line = style.line_at_cursor and style.line_at_cursor()
  local origin = style.origin and style.origin()
  place_in_file.of(session, hunk, path, function(line_of)
    if current.get() ~= session then
      return
    end
    line = line or line_of(hunk, at or { old = hunk.old_count > 0 and hunk.old_start or nil, nth = 1 })
    local real_window = require("suggestion-review.ui.real_window")
    local shown, reason = real_window.show(path, origin)
    if not shown then
      return notify.warn("The file cannot be shown here: " .. reason)
    end
    local win = vim.api.nvim_get_current_win()
    current.close()
    vim.api.nvim_set_current_win(win)
    real_window.go_to(line, true)
  end)
end

--- Changes which unchanged lines of the current file are shown, once they are known.
---@param session SuggestionReview.Session
---@param change fun(file: SuggestionReview.SessionFile)
---@param otherwise? fun(reason: string|nil)
local function change_gaps(session, change, otherwise)
  local file = session:current_file()
  require("suggestion-review.model.base_text").get(
    session:suggestion(),
    session.hunks[file.first],
    session.place.git_root,
    function(base, reason)
      if current.get() ~= session then
        return
      elseif not base then
        return otherwise and otherwise(reason)
      end
      change(file)
      current.draw({ keep_cursor = true })
    end
  )
end

--- Shows or hides a stretch of unchanged lines.
function M.toggle_gap()
  local session = current.need()
  local gap_at_cursor = session and current.style().gap_at_cursor
  local from = gap_at_cursor and gap_at_cursor()
  if not session or not from then
    return
  end
  change_gaps(session, function(file)
    file.expanded[from] = not file.expanded[from] or nil
  end, function(reason)
    notify.warn("The unchanged lines are not known: " .. tostring(reason))
  end)
end

local EVERYWHERE = {
  __index = function()
    return true
  end,
}

---@param open boolean
local function all_gaps(open)
  local session = current.need()
  if session then
    change_gaps(session, function(file)
      file.expanded = open and setmetatable({}, EVERYWHERE) or {}
    end)
  end
end

function M.open_gaps()
  all_gaps(true)
end

function M.close_gaps()
  all_gaps(false)
end

function M.toggle_layout()
  local session = current.need()
  local toggle = session and current.style().toggle_layout
  if not session or not toggle then
    return
  end
  session.layout = session.layout == "unified" and "side-by-side" or "unified"
  toggle()
end

function M.toggle_panel()
  local toggle = current.need() and current.style().toggle_panel
  if toggle then
    toggle()
  end
end

--- All hunks as a quickfix list.
function M.quickfix()
  local session = current.need()
  if not session then
    return
  end
  require("suggestion-review.ui.quickfix").fill(session, place_in_file, {
    is_under_way = function()
      return current.get() == session
    end,
    close = function()
      editor.attempt(current.close)
    end,
  })
end

function M.help()
  require("suggestion-review.ui.help").open()
end

return M
