--- Notes which of the client's doors were gone through: `:Suggest` subcommands, keys of the review, default keys,
--- `<Plug>` maps and settings that are not at their default. `npm test` names the file ($SUGGESTION_DOORS) and fails on
--- a door that no test went through. A door counts when it was entered from outside (the command line, a key, a map),
--- did not raise, and no warning or error was said before the next one was entered.
---
--- The client knows nothing of this: its modules are wrapped as they are loaded, none is loaded for it.

local M = {}

local file = vim.env.SUGGESTION_DOORS
local count = 0
---@type string? the latest use that may still turn out not to have worked
local open

---@param entry table
local function append(entry)
  -- One write each, so that lines of several processes stay whole.
  local handle = assert(vim.uv.fs_open(file, "a", 420))
  vim.uv.fs_write(handle, vim.json.encode(entry) .. "\n")
  vim.uv.fs_close(handle)
end

local function take_back()
  if open then
    append({ taken_back = open })
    open = nil
  end
end

---@param door string
local function entered(door)
  count = count + 1
  open = ("%d:%d"):format(vim.uv.os_getpid(), count)
  append({ door = door, use = open })
end

--- Runs what is behind a door; what it raises is raised on.
local function through(door, work, ...)
  entered(door)
  local ok, message = pcall(work, ...)
  if not ok then
    take_back()
    error(message, 0)
  end
end

---@param level integer
---@return string where the caller of the function that asks is written
local function source_of(level)
  local info = debug.getinfo(level + 1, "S")
  return info and info.source or ""
end

local function from_client(source)
  return source:find("/lua/suggestion-review/", 1, true)
    or source:find("/plugin/suggestion-review.lua", 1, true)
end

---@type table<string, fun(module: table)>
local patches = {}

patches["suggestion-review.command"] = function(command)
  local run = command.run
  function command.run(opts)
    if source_of(2):find("/plugin/suggestion-review.lua", 1, true) then
      return through("suggest " .. (opts.fargs[1] or "review"), run, opts)
    end
    return run(opts)
  end
end

patches["suggestion-review.ui.keys"] = function(keys)
  local run, press = keys.run, keys.press
  local by_map = false
  function keys.run(key, visual, actions)
    -- A <Plug> map is a door of its own.
    if by_map or not from_client(source_of(2)) then
      return run(key, visual, actions)
    end
    return through(
      ("key %s%s"):format(key.name, visual and " on a selection" or ""),
      run,
      key,
      visual,
      actions
    )
  end
  function keys.press(name, visual, actions)
    by_map = true
    local ok, message = pcall(press, name, visual, actions)
    by_map = false
    if not ok then
      error(message, 0)
    end
  end
end

patches["suggestion-review.say.echo"] = function(echo)
  local show = echo.show
  function echo.show(message, level)
    if (level or vim.log.levels.INFO) >= vim.log.levels.WARN then
      take_back()
    end
    return show(message, level)
  end
end

patches["suggestion-review.config"] = function(config)
  local get = config.get
  ---@type table<string, SuggestionReview.Setting>
  local known = {}
  for _, setting in ipairs(config.settings()) do
    known[setting.name] = setting
  end
  local read = {}

  ---@param name string
  ---@param value any
  local function note(name, value)
    local door = "setting " .. name
    if known[name].values then
      door = ("%s=%s"):format(door, value)
    end
    if not read[door] then
      read[door] = true
      append({ door = door })
    end
  end

  --- The same settings, live, where reading one that is not at its default is noticed. Nothing in the client goes
  --- through them with pairs().
  local function watched(settings, defaults, path)
    return setmetatable({}, {
      __index = function(_, name)
        local value, full = settings[name], path .. name
        local default = type(defaults) == "table" and defaults[name] or nil
        if known[full] then
          if not vim.deep_equal(value, default) then
            note(full, value)
          end
        elseif type(value) == "table" then
          return watched(value, default, full .. ".")
        end
        return value
      end,
    })
  end

  local of = setmetatable({}, { __mode = "k" })
  function config.get()
    local settings = get()
    -- Tests that look at the settings themselves use none.
    if not from_client(source_of(2)) then
      return settings
    end
    of[settings] = of[settings] or watched(settings, config.defaults(), "")
    return of[settings]
  end
end

--- Default keys, by the <Plug> map they lead to.
---@type table<string, string>
local leads = {}
local typed = ""

local function watch_maps()
  local set = vim.keymap.set
  function vim.keymap.set(mode, lhs, rhs, opts)
    local name = lhs:match("^<Plug>%(suggestion%-review%-(.+)%)$")
    local to = type(rhs) == "string" and rhs:match("^<Plug>%(suggestion%-review%-(.+)%)$")
    if not from_client(source_of(2)) then
      return set(mode, lhs, rhs, opts)
    end
    if to then
      leads[to] = vim.fn.maparg(lhs, "n")
      set(mode, lhs, rhs, opts)
      leads[to] = vim.fn.maparg(lhs, "n", false, true).lhsraw
      return
    end
    if name and type(rhs) == "function" then
      local door = mode == "x" and name .. " on a selection" or name
      return set(mode, lhs, function()
        -- What is behind it may ask, and then keys are typed before it ends.
        local by = typed
        through("plug " .. door, rhs)
        if leads[name] and leads[name] == by then
          if open then
            append({ door = "default key " .. name, use = open })
          end
        end
      end, opts)
    elseif name then
      _G.suggestion_review_door = entered
      return set(mode, lhs, ("<Cmd>lua suggestion_review_door(%q)<CR>"):format("plug " .. name) .. rhs, opts)
    end
    return set(mode, lhs, rhs, opts)
  end
  vim.on_key(function(_, keys)
    if keys and keys ~= "" then
      typed = keys
    end
  end)
end

--- The client's modules are patched when they are loaded.
local function watch_modules()
  local function loader(name)
    local patch = patches[name]
    if not patch then
      return nil
    end
    for _, other in ipairs(package.loaders) do
      local load = other ~= loader and other(name)
      if type(load) == "function" then
        return function(...)
          local module = load(...)
          patch(module)
          return module
        end
      end
    end
  end
  table.insert(package.loaders, 1, loader)
end

--- Notes an answer of the server's to a request of a test's.
---@param method string
---@param path string
---@param status integer
---@param answer any
function M.http(method, path, status, answer)
  local refused = type(answer) == "table" and (answer.ok == false or answer.settled == false)
  if file and status >= 200 and status < 300 and not refused then
    append({ http = { method, (path:gsub("%?.*$", "")) } })
  end
end

--- Notes the flags of a command of ours that did what it was started for.
---@param program string
---@param command string[]
function M.flags(program, command)
  for _, word in ipairs(command) do
    if file and word:sub(1, 2) == "--" then
      append({ door = ("flag %s %s"):format(program, word) })
    end
  end
end

--- Lua for the init.lua of a Neovim that a test starts: it notes its doors as well.
---@return string
function M.init()
  if not file then
    return ""
  end
  local here = vim.fs.abspath(debug.getinfo(1, "S").source:sub(2))
  return ("vim.env.SUGGESTION_DOORS = %q\ndofile(%q).watch()\n"):format(file, here)
end

function M.watch()
  if file then
    watch_modules()
    watch_maps()
  end
end

return M
