--- Test runner: `nvim -l nvim/tests/run.lua [options] [file or name filter …]`.
---
--- Each `*_spec.lua` runs in a Neovim of its own with a fresh HOME; inside, `describe`, `it`, `before_each`,
--- `after_each`, `pending` and the functions of `tests/support.lua` (as `t`) are global.
--- Options: `--only=<pattern>` runs the tests whose full name matches the Lua pattern; `--shuffle[=seed]` runs those of
--- each file in another order, once the whole file was read, and says by which seed.
--- `--seed=N`, `--steps=N` and `--replay=FILE` are for the random editor (`random_spec.lua`).
--- A test may take a minute, or what it says with `t.needs`; then its file's Neovim is ended and the test named.
--- Last line: `N passed, N failed, N skipped`; exit code 1 when anything failed.

local here = vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, "S").source:sub(2)))
local nvim_root = vim.fs.dirname(here)

--- Longest a test may take, in milliseconds; SUGGESTION_LONG=1 runs the long forms, which take what they need.
local TEST_MS = vim.env.SUGGESTION_LONG and 24 * 60 * 60 * 1000 or 60 * 1000

---@param path string
local function set_up(path)
  vim.opt.runtimepath:prepend(nvim_root)
  vim.opt.runtimepath:append(nvim_root .. "/after")
  vim.opt.swapfile = false
  package.path = here .. "/?.lua;" .. package.path
  require("doors").watch()
  _G.t = require("support")
  _G.t.spec = path
end

--- A test begins in a window of a file: what another left open is not to be the place where it edits.
local function close_floats()
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_is_valid(win) and vim.api.nvim_win_get_config(win).relative ~= "" then
      pcall(vim.api.nvim_win_close, win, true)
    end
  end
end

--- The same order for the same seed, on every machine.
---@param list any[]
---@param seed integer
local function shuffle(list, seed)
  local state = seed % 2147483647
  for last = #list, 2, -1 do
    state = (state * 48271 + 11) % 2147483647
    local other = state % last + 1
    list[last], list[other] = list[other], list[last]
  end
end

---@class RunOptions
---@field only? string Lua pattern
---@field seed? integer

---@param path string
---@param options RunOptions
local function run_file(path, options)
  set_up(path)
  ---@type fun()[] tests that wait for the others to be read
  local later = {}
  local groups, passed, failed, skipped = {}, 0, 0, 0
  local hooks = { { before = {}, after = {} } }

  function _G.describe(name, body)
    groups[#groups + 1] = name
    hooks[#hooks + 1] = { before = {}, after = {} }
    body()
    hooks[#hooks] = nil
    groups[#groups] = nil
  end
  function _G.before_each(body)
    table.insert(hooks[#hooks].before, body)
  end
  function _G.after_each(body)
    table.insert(hooks[#hooks].after, 1, body)
  end
  local function full_name(name)
    return table.concat(vim.list_extend(vim.list_slice(groups), { name }), " ")
  end
  function _G.pending(name, reason)
    skipped = skipped + 1
    io.write(("  skip %s (%s)\n"):format(full_name(name), tostring(reason)))
  end

  ---@param full string
  ---@param body fun()
  ---@param around { before: fun()[], after: fun()[] }[] the hooks of its groups
  local function run_test(full, body, around)
    io.write(("@start %s\n"):format(full))
    io.flush()
    local started = vim.uv.hrtime()
    close_floats()
    local ok, message = xpcall(function()
      for _, hook in ipairs(around) do
        for _, before in ipairs(hook.before) do
          before()
        end
      end
      body()
    end, function(thrown)
      if type(thrown) == "table" and thrown.skip then
        return thrown
      end
      return debug.traceback(type(thrown) == "string" and thrown or vim.inspect(thrown), 2)
    end)
    for index = #around, 1, -1 do
      for _, after in ipairs(around[index].after) do
        local after_ok, after_message = pcall(after)
        if not after_ok and ok then
          ok, message = false, "in after_each: " .. tostring(after_message)
        end
      end
    end
    local took = (vim.uv.hrtime() - started) / 1e6
    if ok then
      passed = passed + 1
      io.write(("  ok   %s%s\n"):format(full, took > 500 and (" (%.0f ms)"):format(took) or ""))
    elseif type(message) == "table" and message.skip then
      skipped = skipped + 1
      io.write(("  skip %s (%s)\n"):format(full, message.skip))
    else
      failed = failed + 1
      io.write(("  FAIL %s\n    %s\n"):format(full, (tostring(message):gsub("\n", "\n    "))))
    end
    io.flush()
  end

  function _G.it(name, body)
    local full = full_name(name)
    if options.only and not full:find(options.only) then
      return
    end
    local around = vim.list_slice(hooks)
    if not options.seed then
      return run_test(full, body, around)
    end
    later[#later + 1] = function()
      run_test(full, body, around)
    end
  end

  local ok, message = xpcall(dofile, debug.traceback, path)
  if options.seed then
    shuffle(later, options.seed)
  end
  for _, run in ipairs(ok and later or {}) do
    run()
  end
  if not ok then
    failed = failed + 1
    io.write(("  FAIL %s\n    %s\n"):format(path, (tostring(message):gsub("\n", "\n    "))))
  end
  _G.t.clean_up()
  io.write(("@result %d %d %d\n"):format(passed, failed, skipped))
  io.flush()
  os.exit(failed == 0 and 0 or 1)
end

---@param filters string[]
---@return string[]
local function find_specs(filters)
  local found = vim.fs.find(function(name)
    return name:sub(-9) == "_spec.lua"
  end, { path = here, type = "file", limit = math.huge })
  table.sort(found)
  if #filters == 0 then
    return found
  end
  return vim.tbl_filter(function(path)
    for _, filter in ipairs(filters) do
      if path:find(filter, 1, true) or vim.fs.abspath(filter) == path then
        return true
      end
    end
    return false
  end, found)
end

local function main()
  local filters, child = {}, nil
  ---@type RunOptions
  local options = {}
  for _, argument in ipairs(arg) do
    if argument:sub(1, 7) == "--only=" then
      options.only = argument:sub(8)
    elseif argument == "--shuffle" then
      options.seed = vim.uv.hrtime() % 1000000
    elseif argument:sub(1, 10) == "--shuffle=" then
      options.seed = assert(tonumber(argument:sub(11)), "--shuffle= expects a number")
    elseif argument:sub(1, 8) == "--child=" then
      child = argument:sub(9)
    elseif argument:match("^%-%-%l+=") then
      local name, value = argument:match("^%-%-(%l+)=(.*)$")
      vim.env["SUGGESTION_" .. name:upper()] = value
    else
      filters[#filters + 1] = argument
    end
  end
  if child then
    return run_file(child, options)
  end

  local passed, failed, skipped = 0, 0, 0
  if options.seed then
    io.write(("in another order: --shuffle=%d\n"):format(options.seed))
  end
  local this = here .. "/run.lua"
  for _, spec in ipairs(find_specs(filters)) do
    io.write(spec:sub(#nvim_root + 2) .. "\n")
    local home = vim.fn.tempname()
    vim.fn.mkdir(home, "p")
    local command = { vim.v.progpath, "-u", "NONE", "-i", "NONE", "-l", this, "--child=" .. spec }
    if options.only then
      command[#command + 1] = "--only=" .. options.only
    end
    if options.seed then
      command[#command + 1] = ("--shuffle=%d"):format(options.seed)
    end
    local counted, running = false, nil
    local tail = ""
    local handle
    local clock = assert(vim.uv.new_timer())
    local function too_long()
      handle:kill("sigkill")
    end
    local function show(_, data)
      if not data then
        return
      end
      tail = tail .. data
      while true do
        local line, rest = tail:match("^(.-)\n(.*)$")
        if not line then
          break
        end
        tail = rest
        local p, f, s = line:match("^@result (%d+) (%d+) (%d+)$")
        local begun = line:match("^@start (.*)$")
        local needed = line:match("^@needs (%d+)$")
        if p then
          passed, failed, skipped, counted = passed + p, failed + f, skipped + s, true
        elseif begun then
          running = begun
          clock:start(TEST_MS, 0, too_long)
        elseif needed then
          clock:start(math.max(TEST_MS, tonumber(needed)), 0, too_long)
        else
          io.write(line .. "\n")
          io.flush()
        end
      end
    end
    handle = vim.system(command, {
      stdout = show,
      stderr = show,
      env = {
        HOME = home,
        XDG_CONFIG_HOME = home .. "/.config",
        XDG_DATA_HOME = home .. "/.local/share",
        XDG_STATE_HOME = home .. "/.local/state",
        XDG_CACHE_HOME = home .. "/.cache",
        NVIM_LOG_FILE = home .. "/nvim.log",
        GIT_CONFIG_GLOBAL = "/dev/null",
        GIT_CONFIG_NOSYSTEM = "1",
      },
    })
    clock:start(TEST_MS, 0, too_long)
    local result = handle:wait()
    clock:close()
    if tail ~= "" then
      io.write(tail .. "\n")
    end
    if not counted then
      failed = failed + 1
      io.write(
        ("  FAIL %s ended early (code %d, signal %d) in: %s\n"):format(
          spec,
          result.code,
          result.signal,
          running or "its beginning"
        )
      )
    end
    vim.fn.delete(home, "rf")
  end
  io.write(("%d passed, %d failed, %d skipped\n"):format(passed, failed, skipped))
  io.flush()
  os.exit(failed == 0 and 0 or 1)
end

main()
