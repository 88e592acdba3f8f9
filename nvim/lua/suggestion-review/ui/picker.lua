--- The review as a list to pick from: Telescope, fzf-lua or snacks where they are installed, else `vim.ui.select`.
local rows_of = require("suggestion-review.ui.rows")
local text_of = require("suggestion-review.text.display")
local contents = require("suggestion-review.apply.contents")
local marks = require("suggestion-review.apply.marks")
local whole_hunk = require("suggestion-review.ui.whole_hunk")
local label = require("suggestion-review.watch.label")
local choose_from = require("suggestion-review.say.choose_from")

local M = {}

--- Longer lines are cut in two: a preview window does not always wrap them.
local PREVIEW_WIDTH = 200

---@type SuggestionReview.Session|nil
local current
---@type SuggestionReview.Actions
local review
--- The hunk that was chosen from the list last.
---@type string|nil
local chosen
local busy = false

--- The hunk as one line of the list.
---@param session SuggestionReview.Session
---@param index integer
---@return string
function M.line(session, index)
  local hunk = session.hunks[index]
  local state = text_of.STATE[session:state_of(hunk)]
  local block = rows_of.block_of(hunk)
  local sample = vim.trim(block.new[1] or block.old[1] or hunk.diff)
  local added, removed = rows_of.size_of(hunk)
  -- The rest of the line can be cut off; that it is marked cannot.
  local marked = #marks.of(session.place, hunk) > 0
  return ("%s %d/%d  %s%s:%d  +%d -%d  %s"):format(
    state.icon,
    index,
    #session.hunks,
    marked and "! " or "",
    text_of.plain(hunk.file),
    math.max(1, hunk.old_start),
    added,
    removed,
    text_of.fit(text_of.first_line(sample), 60)
  )
end

--- All of the hunk as text for a preview window.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@return string[]
function M.preview(session, hunk)
  local text, own = rows_of.diff_of(hunk)
  -- A modified hunk is shown as the developer wrote it.
  local shown = own and vim.tbl_extend("force", hunk, { diff = text }) or hunk
  return (whole_hunk.lines(shown, session, PREVIEW_WIDTH))
end

--- What stands above the list: the suggestion, how far it is decided, how it stands with its server.
---@param session SuggestionReview.Session
---@return string
local function title(session)
  local parts = { ("%d/%d decided"):format(session.decided, #session.hunks) }
  for _, mark in ipairs(label.marks(session:suggestion())) do
    parts[#parts + 1] = mark.text
  end
  return ("%s (%s)"):format(text_of.first_line(session:suggestion().description), table.concat(parts, ", "))
end

---@param session SuggestionReview.Session
---@return integer[]
local function indices(session)
  local list = {}
  for index in ipairs(session.hunks) do
    list[index] = index
  end
  -- Undecided ones first, from where one is.
  table.sort(list, function(a, b)
    local a_open = session:state_of(session.hunks[a]) == "pending"
    local b_open = session:state_of(session.hunks[b]) == "pending"
    if a_open ~= b_open then
      return a_open
    end
    return a < b
  end)
  return list
end

local MENU = {
  { "accept", "accept" },
  { "reject", "reject" },
  { "modify", "modify" },
  { "comment", "comment" },
  { "open_file", "go to the file" },
  { "undo", "undo the last decision" },
  { "complete", "finalize the suggestion" },
  { "why", "why it is there" },
}

--- Rows of the screen that the built-in list of actions takes, with the question and the answer.
local MENU_ROWS = #MENU + 5

--- Calls `action` for the hunk that was shown, if it still is that hunk.
---@param session SuggestionReview.Session
---@param hunk SuggestionReview.Hunk
---@param action fun()
local function on(session, hunk, action)
  local index = review.index_of(session, hunk)
  if index then
    session.index = index
    action()
  elseif current == session then
    M.pick()
  end
end

--- What to do with one hunk, as a second list, beside all of the hunk: what does not fit is read first.
---@param index integer
local function act(index)
  local session = current
  if not session then
    return
  end
  session.index = index
  local hunk = session.hunks[index]
  chosen = hunk.id
  local window
  local function menu()
    choose_from(MENU, {
      prompt = M.line(session, index),
      kind = "suggestion-review.action",
      format_item = function(entry)
        return entry[2]
      end,
      preview = M.preview(session, hunk),
    }, function(entry)
      if window then
        window.close()
      end
      if current ~= session then
        return
      elseif not entry then
        return M.pick()
      end
      on(session, hunk, function()
        session.shown[hunk.digest] = window and true or nil
        review[entry[1]]()
      end)
    end)
  end
  contents.load(session.place, hunk, function(reason)
    vim.schedule(function()
      if current ~= session then
        return
      elseif reason then
        -- Accepting asks whether it may go unseen.
        return menu()
      end
      window = whole_hunk.open(session, hunk, {
        title = text_of.plain(hunk.file),
        key = "<CR>",
        label = "choose",
        rows = vim.o.lines - MENU_ROWS,
        beside = true,
        -- While the list is up, the window is; where it was read page by page it has closed.
        on_key = function()
          vim.schedule(menu)
        end,
        on_leave = M.pick,
      })
    end)
  end)
end

---@param actions table<string, fun(index: integer)>
local function with_telescope(actions)
  local ok, pickers = pcall(require, "telescope.pickers")
  if not ok then
    return false
  end
  local finders, previewers = require("telescope.finders"), require("telescope.previewers")
  local settings = require("telescope.config").values
  local telescope_actions, action_state = require("telescope.actions"), require("telescope.actions.state")
  local session = current
  pickers
    .new({}, {
      prompt_title = title(session),
      finder = finders.new_table({
        results = indices(session),
        entry_maker = function(index)
          local line = M.line(session, index)
          return { value = index, display = line, ordinal = line }
        end,
      }),
      sorter = settings.generic_sorter({}),
      previewer = previewers.new_buffer_previewer({
        title = "Hunk",
        define_preview = function(self, entry)
          vim.api.nvim_buf_set_lines(
            self.state.bufnr,
            0,
            -1,
            false,
            M.preview(session, session.hunks[entry.value])
          )
          vim.bo[self.state.bufnr].syntax = "diff"
        end,
      }),
      attach_mappings = function(prompt, map)
        local function bind(lhs, action)
          map({ "i", "n" }, lhs, function()
            local entry = action_state.get_selected_entry()
            telescope_actions.close(prompt)
            if entry then
              action(entry.value)
            end
          end)
        end
        telescope_actions.select_default:replace(function()
          local entry = action_state.get_selected_entry()
          telescope_actions.close(prompt)
          if entry then
            actions.act(entry.value)
          end
        end)
        bind("<C-a>", actions.accept)
        bind("<C-r>", actions.reject)
        bind("<C-e>", actions.modify)
        return true
      end,
    })
    :find()
  return true
end

---@param actions table<string, fun(index: integer)>
local function with_snacks(actions)
  local snacks = rawget(_G, "Snacks")
  if not (snacks and snacks.picker and snacks.picker.pick) then
    return false
  end
  local session = current
  local items = {}
  for _, index in ipairs(indices(session)) do
    items[#items + 1] = {
      text = M.line(session, index),
      index = index,
      preview = { text = table.concat(M.preview(session, session.hunks[index]), "\n"), ft = "diff" },
    }
  end
  local function bound(action)
    return function(picker, item)
      picker:close()
      if item then
        action(item.index)
      end
    end
  end
  snacks.picker.pick({
    title = title(session),
    items = items,
    format = "text",
    preview = "preview",
    confirm = bound(actions.act),
    actions = {
      sr_accept = bound(actions.accept),
      sr_reject = bound(actions.reject),
      sr_modify = bound(actions.modify),
    },
    win = {
      input = {
        keys = {
          ["<c-a>"] = { "sr_accept", mode = { "n", "i" } },
          ["<c-r>"] = { "sr_reject", mode = { "n", "i" } },
          ["<c-e>"] = { "sr_modify", mode = { "n", "i" } },
        },
      },
    },
  })
  return true
end

---@param actions table<string, fun(index: integer)>
local function with_fzf(actions)
  local ok, fzf = pcall(require, "fzf-lua")
  if not ok then
    return false
  end
  local session = current
  local lines, index_of = {}, {}
  for _, index in ipairs(indices(session)) do
    local line = M.line(session, index)
    lines[#lines + 1] = line
    index_of[line] = index
  end
  local function bound(action)
    return function(selected)
      local index = selected and selected[1] and index_of[selected[1]]
      if index then
        action(index)
      end
    end
  end
  fzf.fzf_exec(lines, {
    prompt = "Hunk> ",
    preview = function(selected)
      local index = selected and selected[1] and index_of[selected[1]]
      return index and table.concat(M.preview(session, session.hunks[index]), "\n") or ""
    end,
    actions = {
      ["default"] = bound(actions.act),
      ["ctrl-a"] = bound(actions.accept),
      ["ctrl-r"] = bound(actions.reject),
      ["ctrl-e"] = bound(actions.modify),
    },
  })
  return true
end

---@param name string
---@param shown SuggestionReview.Hunk[]
local function decide(name, shown)
  return function(index)
    local session = current
    local hunk = session and shown[index]
    if session and hunk then
      chosen = hunk.id
      on(session, hunk, review[name])
    end
  end
end

--- Shows the list.
function M.pick()
  local session = current
  if not session then
    return
  end
  busy = true
  -- What the list and its preview show; the session's own hunks may be others when a key is pressed.
  local shown = vim.list_slice(session.hunks)
  local actions = {
    act = act,
    accept = decide("accept", shown),
    reject = decide("reject", shown),
    modify = decide("modify", shown),
  }
  vim.schedule(function()
    busy = false
    if current ~= session then
      return
    end
    if with_telescope(actions) or with_snacks(actions) or with_fzf(actions) then
      return
    end
    choose_from(indices(session), {
      prompt = title(session),
      kind = "suggestion-review.hunk",
      format_item = function(index)
        return M.line(session, index)
      end,
    }, function(index)
      if not current then
        return
      elseif index then
        act(index)
      else
        review.close()
      end
    end)
  end)
end

---@param session SuggestionReview.Session
---@param actions SuggestionReview.Actions
function M.open(session, actions)
  current, review = session, actions
  M.pick()
end

--- After a decision the list comes back with the next hunk on top, until all are decided.
---@param opts? { keep_cursor?: boolean }
function M.refresh(opts)
  if current and not (opts and opts.keep_cursor) and not busy then
    M.pick()
  end
end

function M.is_open()
  return current ~= nil
end

--- Whether the current hunk was chosen from the list; for many it is enough that there was one.
---@param many boolean
---@return boolean
function M.is_seen(many)
  return current ~= nil and (many or chosen == current:current_hunk().id)
end

function M.focus()
  M.pick()
end

function M.close()
  current = nil
end

return M
