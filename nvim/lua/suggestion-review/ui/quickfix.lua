--- The hunks as a quickfix list.
local M = {}

---@param session table
function M.fill(session)
  local text_of = require("suggestion-review.text.display")
  local worktree = require("suggestion-review.worktree.paths")
  local rows = require("suggestion-review.ui.rows")
  local items = {}
  for index, hunk in ipairs(session.hunks) do
    local state = session:state_of(hunk)
    local block = rows.block_of(hunk)
    local sample = block.new[1] or block.old[1] or hunk.diff
    local root = session.place.root
    local path = root and worktree.resolve(root, hunk.file) or nil
    items[#items + 1] = {
      filename = path or hunk.file,
      lnum = math.max(1, hunk.old_start),
      type = state == "pending" and "I" or (state == "rejected" and "E" or "N"),
      text = ("%d/%d %s +%d -%d  %s"):format(
        index,
        #session.hunks,
        text_of.STATE[state].word,
        hunk.new_count,
        hunk.old_count,
        text_of.first_line(sample)
      ),
      user_data = { suggestion = session.id, hunk = hunk.id },
    }
  end
  vim.fn.setqflist({}, " ", {
    title = "Suggestion: " .. text_of.first_line(session:suggestion().description),
    items = items,
  })
  require("suggestion-review.review").close()
  vim.cmd("botright copen")
end

return M
