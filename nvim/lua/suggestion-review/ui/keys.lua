--- Keys of the review: as they are set, mapped in its windows, and what typing one does.
local actions_of = require("suggestion-review.actions")
local config = require("suggestion-review.config")

local M = {}

---@class (exact) SuggestionReview.Key : SuggestionReview.KeyAction
---@field default string
---@field group string

--- The actions that have a key in the windows of the review.
---@type SuggestionReview.Key[]
M.list = actions_of.keys()

M.GROUPS = actions_of.GROUPS

---@type table<string, SuggestionReview.Key>
local by_name = {}
for _, key in ipairs(M.list) do
  by_name[key.name] = key
end

---@param name string
---@return string|false key as the user set it
function M.key(name)
  local set = config.get().keymaps[name]
  if set ~= nil then
    return set
  end
  local key = by_name[name]
  return key and key.default or false
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
  local key = by_name[name]
  if key then
    return M.run(key, visual, actions)
  end
end

--- Maps a key in a buffer of ours. Keys typed in one go may match a longer map of the user's ("sa" where `s` is ours):
--- 'nowait' does not help there, so the longer ones become ours and the rest of them.
---@param buf integer
---@param mode "n"|"x"
---@param lhs string
---@param own table<string, true> all keys of ours in this mode, as they are typed
---@param others table[] the user's maps of this mode
---@param run fun()
---@param desc string
local function map_key(buf, mode, lhs, own, others, run, desc)
  local opts = { buffer = buf, nowait = true, silent = true, desc = desc }
  local typed = vim.keycode(lhs)
  for _, longer in ipairs(others) do
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
  local others = { n = vim.api.nvim_get_keymap("n"), x = vim.api.nvim_get_keymap("x") }
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
      map_key(buf, "n", lhs, own.n, others.n, function()
        M.run(key, false, actions)
      end, "Review: " .. key.text)
      if key.visual then
        map_key(buf, "x", lhs, own.x, others.x, function()
          M.run(key, true, actions)
        end, "Review: " .. key.text .. " (selected lines)")
      end
    end
  end
end

return M
