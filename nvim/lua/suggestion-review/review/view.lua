--- Other looks at what is under review: unchanged lines, layout and panel, what changed since a rejection, the real
--- file, the quickfix list. Decides nothing.
local current = require("suggestion-review.review.current")
local notify = require("suggestion-review.say.notify")
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

--- Goes to the current hunk's place in the real file.
function M.open_file()
  local hunk = target.of()
  if not hunk then
    return
  end
  local worktree = require("suggestion-review.worktree.paths")
  local root = current.get().place.root
  local path = root and worktree.resolve(root, require("suggestion-review.text.digest").path(hunk))
  if path and not vim.uv.fs_stat(path) and hunk.old_file then
    path = worktree.resolve(root, hunk.old_file)
  end
  if not path or not vim.uv.fs_stat(path) then
    return notify.warn("There is no such file in this worktree")
  end
  local line_at_cursor = current.style().line_at_cursor
  local line = line_at_cursor and line_at_cursor() or hunk.old_start
  current.close()
  vim.cmd("keepalt edit " .. vim.fn.fnameescape(vim.fn.fnamemodify(path, ":.")))
  pcall(vim.api.nvim_win_set_cursor, 0, { math.max(1, math.min(line, vim.api.nvim_buf_line_count(0))), 0 })
  vim.cmd("normal! zvzz")
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
      current.style().refresh({ keep_cursor = true })
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
  if session then
    require("suggestion-review.ui.quickfix").fill(session)
  end
end

function M.help()
  require("suggestion-review.ui.help").open()
end

return M
