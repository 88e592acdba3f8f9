-- luacheck: read globals t describe it before_each after_each pending
--- The table of actions is what all that is named after an action agrees with: functions, settings, maps, subcommands,
--- the help window.

local actions = require("suggestion-review.actions")

--- What is wrong with a table of actions, a sentence each.
---@param list SuggestionReview.KeyAction[]
---@param public table functions by name
---@param review table functions by name
---@param settings table<"keymaps"|"global_keymaps", table<string, string>> keys by name
---@return string[]
local function faults(list, public, review, settings)
  local found, named = {}, {}
  local function fault(text, ...)
    found[#found + 1] = text:format(...)
  end
  for _, one in ipairs(list) do
    if named[one.name] then
      fault("%s stands twice", one.name)
    end
    named[one.name] = one
    if type(public[one.action]) ~= "function" then
      fault('%s: require("suggestion-review").%s is no function', one.name, one.action)
    end
    -- What has a key in the windows of the review is called there; what a module owns is passed on to it unseen.
    local owner = one.owner and require("suggestion-review.review." .. one.owner) or review
    if (one.default or one.owner) and type(owner[one.action]) ~= "function" then
      fault(
        "%s: %s has no function %s",
        one.name,
        one.owner and "review/" .. one.owner or "the review",
        one.action
      )
    end
    if one.default and not vim.list_contains(actions.GROUPS, one.group) then
      fault("%s: it is in no group of the help window", one.name)
    end
  end
  for group, keys in pairs(settings) do
    for name in pairs(keys) do
      if not named[name] then
        fault("%s.%s: there is no such action", group, name)
      end
    end
  end
  table.sort(found)
  return found
end

local function plug(name)
  return ("<Plug>(suggestion-review-%s)"):format((name:gsub("_", "-")))
end

describe("the actions of the review", function()
  local public, review = require("suggestion-review"), require("suggestion-review.review")

  it("have a function each, and every key of the settings is of one", function()
    local defaults = require("suggestion-review.config").defaults()
    local set = { keymaps = defaults.keymaps, global_keymaps = defaults.global_keymaps }
    t.eq(faults(actions.list, public, review, set), {})
    local names = {}
    for _, setting in ipairs(require("suggestion-review.config").settings()) do
      local group, name = setting.name:match("^(%w*_?keymaps)%.(.+)$")
      if group then
        names[group] = names[group] or {}
        names[group][name] = true
      end
    end
    t.ok(names.keymaps.undo and names.global_keymaps.accept)
    t.eq(faults(actions.list, public, review, names), {})
  end)

  it("are found out, by name, where one has no function or a key has no action", function()
    local list = vim.list_slice(actions.list)
    list[#list + 1] = { name = "fly", action = "fly", default = "y", text = "fly away", group = "Move" }
    list[#list + 1] = { name = "undo", action = "undo", text = "again" }
    list[#list + 1] =
      { name = "leap", action = "undo", owner = "view", default = "Y", text = "leap", group = "Move" }
    t.eq(faults(list, public, review, { keymaps = { accept = "a", acept = "a" } }), {
      'fly: require("suggestion-review").fly is no function',
      "fly: the review has no function fly",
      "keymaps.acept: there is no such action",
      "leap: review/view has no function undo",
      "undo stands twice",
    })
  end)

  it("have a <Plug> map each, and the keys of everywhere", function()
    vim.cmd.source(t.root .. "/nvim/plugin/suggestion-review.lua")
    vim.api.nvim_exec_autocmds("VimEnter", { group = "suggestion-review" })
    local left = {}
    for _, map in ipairs(vim.api.nvim_get_keymap("n")) do
      left[map.lhs:match("^<Plug>%(suggestion%-review%-(.*)%)$") or ""] = true
    end
    left[""] = nil
    for _, one in ipairs(actions.list) do
      -- Two keys for the same.
      local name = one.name:gsub("_in_file$", "_hunk")
      t.ok(vim.fn.maparg(plug(name), "n") ~= "", one.name)
      t.eq(vim.fn.maparg(plug(name), "x") ~= "", one.visual == true, one.name)
      left[name:gsub("_", "-")] = nil
      if one.global then
        local default = vim.fn.maparg(one.global, "n", false, true)
        t.eq(default.rhs, plug(one.name), one.name)
      end
    end
    t.eq(vim.tbl_keys(left), { "ask" }, "maps that are of no action")
  end)

  it("have the subcommands that they name", function()
    local command = require("suggestion-review.command")
    for _, one in ipairs(actions.list) do
      t.ok(not one.command or command.get(one.command), one.name)
    end
  end)

  it("stand in the help window with their keys", function()
    local columns = vim.o.columns
    vim.o.columns, vim.o.lines = 120, 60
    require("suggestion-review.ui.help").open()
    local shown = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
    vim.cmd.close()
    vim.o.columns = columns
    for _, one in ipairs(actions.keys()) do
      if not one.name:find("_in_file$") then
        t.match(shown, "%f[^%s]" .. vim.pesc(one.default) .. " +" .. vim.pesc(one.text))
      end
    end
  end)
end)
