--- What one can do in a review, once: the key in its windows and the one of everywhere, what the help calls it, the
--- `<Plug>` map and the subcommand of `:Suggest`. Settings, maps, functions and commands are made from this table;
--- `tests/actions_spec.lua` names what it lacks. Data alone: it requires nothing.
local M = {}

---@class (exact) SuggestionReview.KeyAction what a key does
---@field name string      in the settings `keymaps` and `global_keymaps`, and in <Plug>(suggestion-review-…)
---@field action string    function of `require("suggestion-review")`, and of the review
---@field owner? string    module of `review/` that has the function, where `review/init.lua` has it not itself
---@field default? string  key in the windows of the review
---@field basic? boolean   its key is among the defaults that |suggestion-review-config| shows
---@field global? string   key everywhere
---@field global_text? string what a list of all maps calls that key
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
    global_text = "Open suggestion review",
    command = "review",
    text = "open the review",
  },
  {
    name = "accept",
    action = "accept",
    owner = "decide",
    default = "a",
    basic = true,
    global = "<leader>sa",
    global_text = "Accept hunk",
    command = "accept",
    text = "accept the hunk",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "reject",
    action = "reject",
    owner = "decide",
    default = "r",
    basic = true,
    global = "<leader>sx",
    global_text = "Reject hunk",
    command = "reject",
    text = "reject, with a reason if you like",
    group = "Decide",
    visual = true,
    repeats = true,
  },
  {
    name = "modify",
    action = "modify",
    owner = "modify",
    default = "m",
    basic = true,
    global = "<leader>sm",
    global_text = "Modify hunk",
    command = "modify",
    text = "edit it; :w sends your version",
    group = "Decide",
  },
  {
    name = "accept_file",
    action = "accept_file",
    owner = "batch",
    default = "f",
    command = "accept_file",
    text = "accept the rest of this file",
    group = "Decide",
  },
  {
    name = "reject_file",
    action = "reject_file",
    owner = "batch",
    default = "F",
    command = "reject_file",
    text = "reject the rest of this file",
    group = "Decide",
  },
  {
    name = "accept_all",
    action = "accept_all",
    owner = "batch",
    default = "A",
    global = "<leader>sA",
    global_text = "Accept all remaining hunks",
    command = "accept_all",
    text = "accept all that remain",
    group = "Decide",
  },
  {
    name = "reject_all",
    action = "reject_all",
    owner = "batch",
    default = "X",
    global = "<leader>sX",
    global_text = "Reject all remaining hunks",
    command = "reject_all",
    text = "reject all that remain",
    group = "Decide",
  },
  {
    name = "undo",
    action = "undo",
    owner = "history",
    default = "u",
    command = "undo",
    text = "undo the last decision",
    group = "Decide",
    counts = true,
  },
  {
    name = "redo",
    action = "redo",
    owner = "history",
    default = "<C-r>",
    command = "redo",
    text = "redo it",
    group = "Decide",
    counts = true,
  },
  {
    name = "comment",
    action = "comment",
    owner = "decide",
    default = "c",
    command = "comment",
    text = "comment, deciding nothing",
    group = "Decide",
  },
  {
    name = "resolve",
    action = "resolve",
    owner = "decide",
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
    global_text = "Next hunk",
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
    global_text = "Previous hunk",
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
    owner = "view",
    default = "gf",
    text = "go to this place in the file",
    group = "Move",
  },
  {
    name = "toggle_gap",
    action = "toggle_gap",
    owner = "view",
    default = "za",
    text = "show or hide unchanged lines",
    group = "View",
  },
  {
    name = "open_gaps",
    action = "open_gaps",
    owner = "view",
    default = "zR",
    text = "show all unchanged lines",
    group = "View",
  },
  {
    name = "close_gaps",
    action = "close_gaps",
    owner = "view",
    default = "zM",
    text = "hide them",
    group = "View",
  },
  {
    name = "toggle_layout",
    action = "toggle_layout",
    owner = "view",
    default = "s",
    command = "layout",
    text = "unified or side by side",
    group = "View",
  },
  {
    name = "compare",
    action = "compare",
    owner = "view",
    default = "D",
    command = "compare",
    text = "compare with what you rejected",
    group = "View",
  },
  {
    name = "why",
    action = "why",
    owner = "why",
    default = "K",
    global = "<leader>sw",
    global_text = "Why this hunk is there",
    command = "why",
    text = "why it is there: calls and tests",
    group = "View",
  },
  {
    name = "toggle_panel",
    action = "toggle_panel",
    owner = "view",
    default = "<Tab>",
    command = "panel",
    text = "list of files",
    group = "View",
  },
  {
    name = "next_style",
    action = "next_style",
    owner = "current",
    default = "S",
    text = "floating, inline or picker",
    group = "View",
  },
  {
    name = "quickfix",
    action = "quickfix",
    owner = "view",
    default = "Q",
    command = "quickfix",
    text = "hunks into the quickfix list",
    group = "View",
  },
  {
    name = "help",
    action = "help",
    owner = "view",
    default = "?",
    command = "help",
    text = "this help",
    group = "View",
  },
  {
    name = "revise",
    action = "revise",
    owner = "finalize",
    default = "R",
    command = "revise",
    text = "ask the agent for a revision",
    group = "Finish",
  },
  {
    name = "complete",
    action = "complete",
    owner = "finalize",
    default = "<CR>",
    basic = true,
    global = "<leader>sc",
    global_text = "Complete review",
    command = "complete",
    text = "finalize (asks first)",
    group = "Finish",
  },
  {
    name = "discard",
    action = "discard",
    owner = "finalize",
    default = "<Esc>",
    basic = true,
    global = "<leader>sd",
    global_text = "Discard suggestion",
    command = "discard",
    text = "discard what remains (asks first)",
    group = "Finish",
  },
  {
    name = "close",
    action = "close",
    owner = "current",
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
  { name = "agent", action = "agent", command = "agent", text = "what the agent does, as it does it" },
  {
    name = "permission",
    action = "permission",
    command = "permission",
    text = "answer what the agent wants to do",
  },
  { name = "answer", action = "answer", command = "answer", text = "answer a question of the agent's" },
  { name = "session", action = "session", command = "session", text = "choose the agent's session" },
  { name = "model", action = "model", command = "model", text = "choose the model" },
  { name = "mode", action = "mode", command = "mode", text = "choose who answers: build, plan, …" },
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
