--- Keys of the review: their names in `keymaps`, defaults, and what they are called. One table, read by the windows,
--- the help popup, the `<Plug>` maps and the documentation.
local M = {}

---@class (exact) SuggestionReview.Key
---@field name string    in the `keymaps` setting, and in <Plug>(suggestion-review-…)
---@field default string
---@field action string  function of review.lua
---@field text string
---@field group string
---@field visual? boolean also on a selection
---@field repeats? boolean "." repeats it; a count decides as many hunks
---@field counts? boolean a count does it as often

---@type SuggestionReview.Key[]
M.list = {
  {
    name = "accept",
    default = "a",
    action = "accept",
    text = "accept the hunk",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "reject",
    default = "r",
    action = "reject",
    text = "reject, with a reason if you like",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "modify",
    default = "m",
    action = "modify",
    text = "edit it; :w sends your version",
    group = "Decide",
  },
  {
    name = "accept_file",
    default = "f",
    action = "accept_file",
    text = "accept the rest of this file",
    group = "Decide",
  },
  {
    name = "reject_file",
    default = "F",
    action = "reject_file",
    text = "reject the rest of this file",
    group = "Decide",
  },
  {
    name = "accept_all",
    default = "A",
    action = "accept_all",
    text = "accept all that remain",
    group = "Decide",
  },
  {
    name = "reject_all",
    default = "X",
    action = "reject_all",
    text = "reject all that remain",
    group = "Decide",
  },
  {
    name = "undo",
    default = "u",
    action = "undo",
    text = "undo the last decision",
    group = "Decide",
    counts = true,
  },
  { name = "redo", default = "<C-r>", action = "redo", text = "redo it", group = "Decide", counts = true },
  {
    name = "comment",
    default = "c",
    action = "comment",
    text = "comment, deciding nothing",
    group = "Decide",
  },
  {
    name = "resolve",
    default = "e",
    action = "resolve",
    text = "resolve a conflict with your edits",
    group = "Decide",
  },
  { name = "next_hunk", default = "n", action = "next", text = "next hunk", group = "Move" },
  { name = "prev_hunk", default = "p", action = "prev", text = "previous hunk", group = "Move" },
  { name = "next_in_file", default = "]h", action = "next", text = "next hunk", group = "Move" },
  { name = "prev_in_file", default = "[h", action = "prev", text = "previous hunk", group = "Move" },
  {
    name = "next_pending",
    default = "]p",
    action = "next_pending",
    text = "next undecided hunk",
    group = "Move",
  },
  { name = "next_file", default = "]f", action = "next_file", text = "next file", group = "Move" },
  { name = "prev_file", default = "[f", action = "prev_file", text = "previous file", group = "Move" },
  {
    name = "open_file",
    default = "gf",
    action = "open_file",
    text = "go to this place in the file",
    group = "Move",
  },
  {
    name = "toggle_gap",
    default = "za",
    action = "toggle_gap",
    text = "show or hide unchanged lines",
    group = "View",
  },
  {
    name = "open_gaps",
    default = "zR",
    action = "open_gaps",
    text = "show all unchanged lines",
    group = "View",
  },
  { name = "close_gaps", default = "zM", action = "close_gaps", text = "hide them", group = "View" },
  {
    name = "toggle_layout",
    default = "s",
    action = "toggle_layout",
    text = "unified or side by side",
    group = "View",
  },
  {
    name = "compare",
    default = "D",
    action = "compare",
    text = "compare with what you rejected",
    group = "View",
  },
  {
    name = "toggle_panel",
    default = "<Tab>",
    action = "toggle_panel",
    text = "list of files",
    group = "View",
  },
  {
    name = "next_style",
    default = "S",
    action = "next_style",
    text = "floating, inline or picker",
    group = "View",
  },
  {
    name = "quickfix",
    default = "Q",
    action = "quickfix",
    text = "hunks into the quickfix list",
    group = "View",
  },
  { name = "help", default = "?", action = "help", text = "this help", group = "View" },
  {
    name = "revise",
    default = "R",
    action = "revise",
    text = "ask the agent for a revision",
    group = "Finish",
  },
  {
    name = "complete",
    default = "<CR>",
    action = "complete",
    text = "finalize (asks first)",
    group = "Finish",
  },
  {
    name = "discard",
    default = "<Esc>",
    action = "discard",
    text = "discard what remains (asks first)",
    group = "Finish",
  },
  {
    name = "close",
    default = "q",
    action = "close",
    text = "close, keeping everything as it is",
    group = "Finish",
  },
}

M.GROUPS = { "Decide", "Move", "View", "Finish" }

---@param name string
---@return string|false key as the user set it
function M.key(name)
  local set = require("suggestion-review.config").get().keymaps[name]
  if set ~= nil then
    return set
  end
  for _, key in ipairs(M.list) do
    if key.name == name then
      return key.default
    end
  end
  return false
end

--- Names that the `keymaps` setting may hold.
---@return string[]
function M.names()
  return vim.tbl_map(function(key)
    return key.name
  end, M.list)
end

---@type fun()|nil what "." does again
local repeated

--- 'operatorfunc' of repeatable decisions.
function M.again()
  if repeated then
    repeated()
  end
end

--- Runs `first` now; "." runs `again`.
---@param first fun()
---@param again fun()
local function repeatable(first, again)
  repeated = function()
    repeated = again
    first()
  end
  vim.o.operatorfunc = "v:lua.require'suggestion-review.ui.keys'.again"
  -- Before what else was typed in the same go, or is still to come of a macro: the key is about where one is now.
  vim.api.nvim_feedkeys("g@_", "ni", false)
end

--- What a key calls: functions of the review by the name of the action.
---@alias SuggestionReview.Actions table<string, function>

--- Calls an action of the review the way its key does.
---@param key SuggestionReview.Key
---@param visual boolean
---@param actions SuggestionReview.Actions
function M.run(key, visual, actions)
  local count = vim.v.count > 0 and vim.v.count or nil
  if visual then
    return actions[key.action]({ selection = true })
  elseif key.repeats then
    return repeatable(function()
      actions[key.action]({ count = count })
    end, function()
      -- "." repeats the count as well, unless it is given another.
      actions[key.action]({ again = true, count = vim.v.count > 0 and vim.v.count or count })
    end)
  end
  actions[key.action](key.counts and { count = count } or nil)
end

--- Does what a key of the review does, "." included; for <Plug> maps.
---@param name string
---@param visual boolean
---@param actions SuggestionReview.Actions
function M.press(name, visual, actions)
  for _, key in ipairs(M.list) do
    if key.name == name then
      return M.run(key, visual, actions)
    end
  end
end

--- Maps a key in a buffer of ours. Keys typed in one go may match a longer map of the user's ("sa" where `s` is ours):
--- 'nowait' does not help there, so the longer ones become ours and the rest of them.
---@param buf integer
---@param mode "n"|"x"
---@param lhs string
---@param own table<string, true> all keys of ours in this mode, as they are typed
---@param run fun()
---@param desc string
local function map_key(buf, mode, lhs, own, run, desc)
  local opts = { buffer = buf, nowait = true, silent = true, desc = desc }
  local typed = vim.keycode(lhs)
  for _, longer in ipairs(vim.api.nvim_get_keymap(mode)) do
    local raw = longer.lhsraw
    if #raw > #typed and vim.startswith(raw, typed) and not own[raw] then
      vim.keymap.set(mode, longer.lhs, function()
        vim.api.nvim_feedkeys(raw:sub(#typed + 1), "mi", false)
        run()
      end, opts)
    end
  end
  -- Last, since <nowait> counts only against maps that are older: else the key would wait for a longer one to come,
  -- as visual `a` for Neovim's own `an`.
  vim.keymap.set(mode, lhs, run, opts)
end

--- Maps the keys in a buffer of ours.
---@param buf integer
---@param actions SuggestionReview.Actions
---@param skip? table<string, true> names that are not mapped there
function M.map(buf, actions, skip)
  local own = { n = {}, x = {} }
  for _, key in ipairs(M.list) do
    local lhs = M.key(key.name)
    if lhs then
      own.n[vim.keycode(lhs)] = true
      own.x[vim.keycode(lhs)] = key.visual
    end
  end
  for _, key in ipairs(M.list) do
    local lhs = M.key(key.name)
    if lhs and not (skip and skip[key.name]) then
      map_key(buf, "n", lhs, own.n, function()
        M.run(key, false, actions)
      end, "Review: " .. key.text)
      if key.visual then
        map_key(buf, "x", lhs, own.x, function()
          M.run(key, true, actions)
        end, "Review: " .. key.text .. " (selected lines)")
      end
    end
  end
end

return M
