-- Loaded at every start: defines names and nothing else. All work is in lua/suggestion-review, loaded on first use.
if vim.g.loaded_suggestion_review then
  return
end
vim.g.loaded_suggestion_review = true

vim.api.nvim_create_user_command("Suggest", function(opts)
  require("suggestion-review.command").run(opts)
end, {
  nargs = "*",
  range = true,
  bang = true,
  desc = "Review suggestions of the sandboxed agent",
  complete = function(lead, line, position)
    return require("suggestion-review.command").complete(lead, line, position)
  end,
})

local was_loaded = package.loaded["suggestion-review.actions"]
local actions = require("suggestion-review.actions").list
-- After a start only names are there.
package.loaded["suggestion-review.actions"] = was_loaded

---@param name string
local function plug_of(name)
  -- Two keys are for the same.
  return ("<Plug>(suggestion-review-%s)"):format((name:gsub("_in_file$", "_hunk"):gsub("_", "-")))
end

for _, one in ipairs(actions) do
  local name = one.name
  if one.repeats then
    -- Decisions: "." repeats them.
    vim.keymap.set("n", plug_of(name), function()
      require("suggestion-review.ui.keys").press(name, false, require("suggestion-review"))
    end)
  else
    vim.keymap.set("n", plug_of(name), function()
      require("suggestion-review")[one.action]()
    end)
  end
  if one.visual then
    -- A selection decides its lines alone.
    vim.keymap.set("x", plug_of(name), function()
      require("suggestion-review.ui.keys").press(name, true, require("suggestion-review"))
    end)
  end
end
vim.keymap.set({ "n", "x" }, "<Plug>(suggestion-review-ask)", ":Suggest ask<CR>", { silent = true })

--- Default keys, where the user has mapped neither the key nor the <Plug> map. Runs after all configuration.
local function set_default_keys()
  local given = vim.g.suggestion_review
  given = type(given) == "table" and given or {}
  local configured = package.loaded["suggestion-review.config"]
  if configured then
    given = configured.get()
  end
  local keys, local_keys = given.global_keymaps, given.keymaps
  if keys == false then
    return
  end
  for _, one in ipairs(actions) do
    local name, key = one.name, one.global
    local from = name == "open_review" and local_keys or keys
    if key and type(from) == "table" and from[name] ~= nil then
      key = from[name]
    end
    if key and type(key) == "string" then
      local plug = plug_of(name)
      if vim.fn.maparg(key, "n") == "" and vim.fn.hasmapto(plug, "n") == 0 then
        vim.keymap.set("n", key, plug, { desc = one.global_text })
      end
    end
  end
end

local group = vim.api.nvim_create_augroup("suggestion-review", {})

--- Connects in the background when there is a token to connect with; without one nothing is loaded.
local function connect_if_set_up()
  local given = vim.g.suggestion_review
  if type(given) == "table" and given.auto_connect == false then
    return
  end
  local config = package.loaded["suggestion-review.config"]
  if not config and type(given) ~= "table" then
    local home = vim.env.HOME or ""
    local found = vim.env.SUGGESTION_MANAGER_TOKEN_FILE
      or vim.env.SUGGESTION_MANAGER_STATE
      or vim.uv.fs_stat((vim.env.XDG_CONFIG_HOME or home .. "/.config") .. "/suggestion-manager/token")
      or vim.uv.fs_stat((vim.env.XDG_STATE_HOME or home .. "/.local/state") .. "/suggestion-manager/token")
    if not found then
      return
    end
  end
  require("suggestion-review").auto_connect()
end

local source = debug.getinfo(1, "S").source:sub(2)

local function after_start()
  local doc = vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(source))) .. "/doc"
  local text, tags = vim.uv.fs_stat(doc .. "/suggestion-review.txt"), vim.uv.fs_stat(doc .. "/tags")
  if text and not (tags and tags.mtime.sec >= text.mtime.sec and tags.type == "file") then
    require("suggestion-review.lib.help_tags").make(doc)
    -- Needed once: after a start only names are there.
    package.loaded["suggestion-review.lib.help_tags"] = nil
  end
  set_default_keys()
  -- Later than the first screen: nobody waits for a connection.
  if #vim.api.nvim_list_uis() > 0 then
    vim.defer_fn(connect_if_set_up, 20)
  end
end

if vim.v.vim_did_enter == 1 then
  after_start()
else
  vim.api.nvim_create_autocmd("VimEnter", { group = group, once = true, callback = after_start })
end

vim.api.nvim_create_autocmd("VimLeavePre", {
  group = group,
  callback = function()
    if package.loaded["suggestion-review.connection.client"] then
      require("suggestion-review.connection.client").stop()
    end
  end,
})
