--- The hunks as a quickfix list, each at its line in the file as it is now. It is a list of its own at the end of the
--- stack: the developer's lists stay, |:colder| goes back to them.
local M = {}

---@param session SuggestionReview.Session
---@param items table[]
local function put(session, items)
  local text_of = require("suggestion-review.text.display")
  local what = {
    title = "Suggestion: " .. text_of.first_line(session:suggestion().description),
    items = items,
    context = { suggestion_review = session.id },
  }
  -- The list of the same suggestion is filled again, wherever it is in the stack.
  for nr = 1, vim.fn.getqflist({ nr = "$" }).nr do
    local list = vim.fn.getqflist({ nr = nr, context = true, id = 0 })
    if type(list.context) == "table" and list.context.suggestion_review == session.id then
      what.id = list.id
      vim.fn.setqflist({}, "r", what)
      local here = vim.fn.getqflist({ nr = 0 }).nr
      if nr ~= here then
        vim.cmd(("silent %d%s"):format(math.abs(nr - here), nr > here and "cnewer" or "colder"))
      end
      return
    end
  end
  what.nr = "$"
  vim.fn.setqflist({}, " ", what)
  local last, here = vim.fn.getqflist({ nr = "$" }).nr, vim.fn.getqflist({ nr = 0 }).nr
  if last ~= here then
    vim.cmd(("silent %dcnewer"):format(last - here))
  end
end

---@param session SuggestionReview.Session
---@param index integer
---@param path string|nil
---@param line integer
local function item_of(session, index, path, line)
  local text_of = require("suggestion-review.text.display")
  local hunk = session.hunks[index]
  local state = session:state_of(hunk)
  local block = require("suggestion-review.ui.rows").block_of(hunk)
  local root = session.place.root
  return {
    filename = path
      or root and require("suggestion-review.worktree.paths").resolve(root, hunk.file)
      or hunk.file,
    lnum = line,
    type = state == "pending" and "I" or (state == "rejected" and "E" or "N"),
    text = ("%d/%d %s +%d -%d  %s"):format(
      index,
      #session.hunks,
      text_of.STATE[state].word,
      hunk.new_count,
      hunk.old_count,
      text_of.first_line(block.new[1] or block.old[1] or hunk.diff)
    ),
    user_data = { suggestion = session.id, hunk = hunk.id },
  }
end

--- Fills the list, closes the review and opens the window of the list.
---@param session SuggestionReview.Session
---@param place_in_file { path: fun(...): string|nil; of: fun(...) }
---@param review { is_under_way: (fun(): boolean), close: fun() } of the session
function M.fill(session, place_in_file, review)
  local items, left = {}, #session.files
  local function finish()
    if not review.is_under_way() then
      return
    end
    put(session, items)
    review.close()
    if
      not pcall(vim.cmd --[[@as function]], "botright copen")
    then
      require("suggestion-review.say.notify").info(
        "The hunks are in the quickfix list; there is no room for its window"
      )
    end
  end
  for _, file in ipairs(session.files) do
    local first = session.hunks[file.first]
    local path = place_in_file.path(session, first)
    local function add(line_of)
      for index = file.first, file.last do
        local hunk = session.hunks[index]
        local at = { old = hunk.old_count > 0 and hunk.old_start or nil, nth = 1 }
        items[index] =
          item_of(session, index, path, line_of and line_of(hunk, at) or math.max(1, hunk.old_start))
      end
      left = left - 1
      if left == 0 then
        finish()
      end
    end
    if path then
      place_in_file.of(session, first, path, add)
    else
      add()
    end
  end
end

return M
