--- What one can do in a review, once: the key in its windows and the one of everywhere, what the help calls it, the
--- `<Plug>` map and the subcommand of `:Suggest`. Settings, maps, functions and commands are made from this table, or
--- compared with it by `tests/actions_spec.lua`. Data alone: it requires nothing.
local M = {}

---@class (exact) SuggestionReview.KeyAction what a key does
---@field name string      in the settings `keymaps` and `global_keymaps`, and in <Plug>(suggestion-review-…)
---@field action string    function of `require("suggestion-review")`, and of the review
---@field default? string  key in the windows of the review
---@field basic? boolean   its key is among the defaults that |suggestion-review-config| shows
---@field global? string   key everywhere
---@field command? string  subcommand of `:Suggest`
---@field text string
---@field group? "Decide"|"Move"|"View"|"Finish" in the help window
---@field visual? boolean  also on a selection
---@field repeats? boolean "." repeats it; a count decides as many hunks
---@field counts? boolean  a count does it as often

--- Groups of the help window.
M.GROUPS = { "Decide", "Move", "View", "Finish" }

---@type SuggestionReview.KeyAction[]
M.list = {
  {
    name = "open_review",
    action = "open",
    global = "<leader>sr",
    command = "review",
    text = "open the review",
  },
  {
    name = "accept",
    action = "accept",
    default = "a",
    basic = true,
    global = "<leader>sa",
    command = "accept",
    text = "accept the hunk",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "reject",
    action = "reject",
    default = "r",
    basic = true,
    global = "<leader>sx",
    command = "reject",
    text = "reject, with a reason if you like",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "modify",
    action = "modify",
    default = "m",
    basic = true,
    global = "<leader>sm",
    command = "modify",
    text = "edit it; :w sends your version",
    group = "Decide",
  },
  {
    name = "accept_file",
    action = "accept_file",
    default = "f",
    command = "accept_file",
    text = "accept the rest of this file",
    group = "Decide",
  },
  {
    name = "reject_file",
    action = "reject_file",
    default = "F",
    command = "reject_file",
    text = "reject the rest of this file",
    group = "Decide",
  },
  {
    name = "accept_all",
    action = "accept_all",
    default = "A",
    global = "<leader>sA",
    command = "accept_all",
    text = "accept all that remain",
    group = "Decide",
  },
  {
    name = "reject_all",
    action = "reject_all",
    default = "X",
    global = "<leader>sX",
    command = "reject_all",
    text = "reject all that remain",
    group = "Decide",
  },
  {
    name = "undo",
    action = "undo",
    default = "u",
    command = "undo",
    text = "undo the last decision",
    group = "Decide",
    counts = true,
  },
  {
    name = "redo",
    action = "redo",
    default = "<C-r>",
    command = "redo",
    text = "redo it",
    group = "Decide",
    counts = true,
  },
  {
    name = "comment",
    action = "comment",
    default = "c",
    command = "comment",
    text = "comment, deciding nothing",
    group = "Decide",
  },
  {
    name = "resolve",
    action = "resolve",
    default = "e",
    command = "resolve",
    text = "resolve a conflict with your edits",
    group = "Decide",
  },
  {
    name = "next_hunk",
    action = "next",
    default = "n",
    basic = true,
    global = "<leader>sn",
    command = "next",
    text = "next hunk",
    group = "Move",
  },
  {
    name = "prev_hunk",
    action = "prev",
    default = "p",
    basic = true,
    global = "<leader>sp",
    command = "prev",
    text = "previous hunk",
    group = "Move",
  },
  { name = "next_in_file", action = "next", default = "]h", text = "next hunk", group = "Move" },
  { name = "prev_in_file", action = "prev", default = "[h", text = "previous hunk", group = "Move" },
  {
    name = "next_pending",
    action = "next_pending",
    default = "]p",
    command = "next_pending",
    text = "next undecided hunk",
    group = "Move",
  },
  {
    name = "next_file",
    action = "next_file",
    default = "]f",
    command = "next_file",
    text = "next file",
    group = "Move",
  },
  {
    name = "prev_file",
    action = "prev_file",
    default = "[f",
    command = "prev_file",
    text = "previous file",
    group = "Move",
  },
  {
    name = "open_file",
    action = "open_file",
    default = "gf",
    text = "go to this place in the file",
    group = "Move",
  },
  {
    name = "toggle_gap",
    action = "toggle_gap",
    default = "za",
    text = "show or hide unchanged lines",
    group = "View",
  },
  {
    name = "open_gaps",
    action = "open_gaps",
    default = "zR",
    text = "show all unchanged lines",
    group = "View",
  },
  { name = "close_gaps", action = "close_gaps", default = "zM", text = "hide them", group = "View" },
  {
    name = "toggle_layout",
    action = "toggle_layout",
    default = "s",
    command = "layout",
    text = "unified or side by side",
    group = "View",
  },
  {
    name = "compare",
    action = "compare",
    default = "D",
    command = "compare",
    text = "compare with what you rejected",
    group = "View",
  },
  {
    name = "toggle_panel",
    action = "toggle_panel",
    default = "<Tab>",
    command = "panel",
    text = "list of files",
    group = "View",
  },
  {
    name = "next_style",
    action = "next_style",
    default = "S",
    text = "floating, inline or picker",
    group = "View",
  },
  {
    name = "quickfix",
    action = "quickfix",
    default = "Q",
    command = "quickfix",
    text = "hunks into the quickfix list",
    group = "View",
  },
  { name = "help", action = "help", default = "?", command = "help", text = "this help", group = "View" },
  {
    name = "revise",
    action = "revise",
    default = "R",
    command = "revise",
    text = "ask the agent for a revision",
    group = "Finish",
  },
  {
    name = "complete",
    action = "complete",
    default = "<CR>",
    basic = true,
    global = "<leader>sc",
    command = "complete",
    text = "finalize (asks first)",
    group = "Finish",
  },
  {
    name = "discard",
    action = "discard",
    default = "<Esc>",
    basic = true,
    global = "<leader>sd",
    command = "discard",
    text = "discard what remains (asks first)",
    group = "Finish",
  },
  {
    name = "close",
    action = "close",
    default = "q",
    command = "close",
    text = "close, keeping everything as it is",
    group = "Finish",
  },
  {
    name = "adopt",
    action = "adopt",
    command = "adopt",
    text = "bring a finalized suggestion into the checkout",
  },
  { name = "abort", action = "abort", command = "abort", text = "stop the agent" },
}

--- The key that opens the review is set among the keys of the review.
M.OPENS = M.list[1]

--- The actions that have a key in the windows of the review.
---@return SuggestionReview.Key[]
function M.keys()
  return vim.tbl_filter(function(one)
    return one.default ~= nil
  end, M.list)
end

return M
