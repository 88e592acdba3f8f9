--- Settings: defaults, `vim.g.suggestion_review`, then `setup()`. A setting that is not known or of the wrong type is
--- reported by name and left at its default; nothing else breaks over it. Requires nothing but a table of names, so
--- that every module may require it.
local actions = require("suggestion-review.actions")

local M = {}

---@class SuggestionReview.ServerConfig
---@field name? string shown to the user; default "host:port"
---@field host? string default "localhost"
---@field port? integer default 4097
---@field token_file? string default: see |suggestion-review-token|
---@field root? string checkout that this server's suggestions apply to

---@class SuggestionReview.UiConfig
---@field style? "floating"|"telescope"|"picker"|"inline"
---@field position? "right"|"left"|"top"|"bottom"|"center"
---@field width? number fraction of the editor's width
---@field [string] any further settings of the review, see |suggestion-review-config|

---@class SuggestionReview.Config
---@field server SuggestionReview.ServerConfig
---@field servers SuggestionReview.ServerConfig[] several servers; empty means just `server`
---@field ui table
---@field keymaps table<string, string|false>
---@field notifications { on_ready: boolean, on_error: boolean, on_status: boolean }
---@field write_on_accept boolean
---@field auto_connect boolean
---@field [string] any

--- Default keys of the review: the basic ones, and the one that opens it.
---@return table<string, string>
local function review_keys()
  local keys = { [actions.OPENS.name] = actions.OPENS.global }
  for _, one in ipairs(actions.keys()) do
    keys[one.name] = one.basic and one.default or nil
  end
  return keys
end

--- Default keys of everywhere, but for the one that opens the review.
---@return table<string, string>
local function global_keys()
  local keys = {}
  for _, one in ipairs(actions.list) do
    if one ~= actions.OPENS then
      keys[one.name] = one.global
    end
  end
  return keys
end

---@type SuggestionReview.Config
local defaults = {
  server = {
    name = nil,
    host = "localhost",
    port = 4097,
    token_file = nil, -- default: see M.default_token_file()
    root = nil, -- default: found by the suggestion's base commit
  },
  servers = {},
  auto_connect = true,
  write_on_accept = true,
  adopt_on_finalize = "ask", -- "ask" | "never"
  adopt_own_commits = "replay", -- "replay" | "merge"
  request_timeout = 30000,
  ui = {
    style = "floating",
    position = "right",
    width = 0.4,
    height = 0.8,
    layout = "unified",
    border = nil, -- default: 'winborder', or "rounded"
    word_diff = true,
    treesitter = true,
    file_panel = true,
    approvals = "floating", -- "floating" | "select"
  },
  keymaps = review_keys(),
  global_keymaps = global_keys(),
  notifications = {
    on_ready = true,
    on_error = true,
    on_status = false,
  },
  log_level = "warn",
}

---@param ... any
local function one_of(...)
  local allowed = { ... }
  local words = {}
  for index, value in ipairs(allowed) do
    words[index] = vim.inspect(value)
  end
  return {
    values = allowed,
    check = function(value)
      return vim.list_contains(allowed, value)
    end,
    expected = "one of " .. table.concat(words, ", "),
  }
end

local port = {
  check = function(value)
    return type(value) == "number" and value % 1 == 0 and value >= 1 and value <= 65535
  end,
  expected = "a port from 1 to 65535",
}
local fraction = {
  check = function(value)
    return type(value) == "number" and value > 0 and (value <= 1 or value % 1 == 0) and value <= 10000
  end,
  expected = "a number above 0 (up to 1: a share of the editor, above: whole cells)",
}
local milliseconds = {
  check = function(value)
    return type(value) == "number" and value % 1 == 0 and value >= 1 and value <= 2 ^ 31 - 1
  end,
  expected = "a whole number of milliseconds, 1 or more",
}
local key = {
  check = function(value)
    return value == false or (type(value) == "string" and value ~= "" and not value:find("[%z\n]"))
  end,
  expected = "a key sequence, or false for none",
}
local a_word = {
  check = function(value)
    return type(value) == "string" and value:find("%S") ~= nil and not value:find("%c")
  end,
  expected = "a word that is not empty",
}
local a_host = {
  check = function(value)
    return type(value) == "string" and value:find("^[%w%.%-_:%%%[%]]+$") ~= nil
  end,
  expected = "a host name or an IP address",
}
local a_path = {
  check = function(value)
    return type(value) == "string" and value:find("%S") ~= nil and not value:find("[%z\n]")
  end,
  expected = "a path that is not empty",
}

local BORDERS = { "none", "single", "double", "rounded", "solid", "shadow", "bold" }

--- Whether this is a border of |nvim_open_win()|: a name, or 1, 2, 4 or 8 texts of at most one cell, each with or
--- without a highlight group.
---@param value any
---@return boolean
local function is_border(value)
  if type(value) == "string" then
    return vim.list_contains(BORDERS, value)
  elseif type(value) ~= "table" or not vim.islist(value) or not vim.list_contains({ 1, 2, 4, 8 }, #value) then
    return false
  end
  for _, edge in ipairs(value) do
    local text, group = edge, nil
    if type(edge) == "table" then
      text, group = edge[1], edge[2]
    end
    if type(text) ~= "string" or vim.fn.strdisplaywidth(text) > 1 or text:find("%c") then
      return false
    elseif group ~= nil and type(group) ~= "string" then
      return false
    end
  end
  return true
end

local border = {
  check = is_border,
  expected = ("one of %s, or a list of 1, 2, 4 or 8 characters"):format(
    table.concat(vim.tbl_map(vim.inspect, BORDERS), ", ")
  ),
}

local server = { name = a_word, host = a_host, port = port, token_file = a_path, root = a_path }

--- Shape of the settings: a type name, a check, a nested shape, or `each` for lists and free keys.
local schema = {
  server = server,
  servers = { each = server, list = true },
  auto_connect = "boolean",
  write_on_accept = "boolean",
  adopt_on_finalize = one_of("ask", "never"),
  adopt_own_commits = one_of("replay", "merge"),
  request_timeout = milliseconds,
  ui = {
    style = one_of("floating", "telescope", "picker", "inline"),
    position = one_of("right", "left", "top", "bottom", "center"),
    width = fraction,
    height = fraction,
    layout = one_of("unified", "side-by-side"),
    border = border,
    word_diff = "boolean",
    treesitter = "boolean",
    file_panel = "boolean",
    approvals = one_of("floating", "select"),
  },
  keymaps = { each = key, keys = "keymaps" },
  global_keymaps = { each = key, keys = "global_keymaps", off = true },
  notifications = { on_ready = "boolean", on_error = "boolean", on_status = "boolean" },
  log_level = one_of("error", "warn", "info", "debug"),
}

---@type SuggestionReview.Config?
local merged
---@type string[]
local problems = {}
---@type table?
local from_setup
--- What is wrong with the settings, as long as nobody has said it.
---@type string?
local unsaid
---@type fun(text: string)?
local say

local function say_unsaid()
  local text = unsaid
  if text and say then
    unsaid = nil
    say(text)
  end
end

---@param name string
---@param value any
---@param rule any
---@return string? problem
local function check_value(name, value, rule)
  local ok, message
  if type(rule) == "table" and rule.check then
    ok, message = pcall(vim.validate, name, value, rule.check, rule.expected)
  else
    ok, message = pcall(vim.validate, name, value, rule)
  end
  if ok then
    return nil
  end
  return (tostring(message):gsub("^.-: ", "", message:match("^[^:]+:%d+: ") and 1 or 0))
end

---@param known string[]
---@param word string
---@return string?
local function nearest(known, word)
  local match = vim.fn.matchfuzzy(known, word)[1]
  if match then
    return match
  end
  for _, candidate in ipairs(known) do
    if candidate:sub(1, 3) == word:sub(1, 3) then
      return candidate
    end
  end
end

--- Names of keys: those with a default here, and for the review's own all that it knows.
---@param group "keymaps"|"global_keymaps"
---@return string[]
local function key_names(group)
  local names = vim.tbl_keys(defaults[group])
  if group == "keymaps" then
    for _, one in ipairs(actions.keys()) do
      names[#names + 1] = one.name
    end
  end
  return names
end

---@param group "keymaps"|"global_keymaps"
---@param name any
local function is_key(group, name)
  return defaults[group][name] ~= nil or vim.list_contains(key_names(group), name)
end

--- Copies `given` over `into` where `shape` allows it; what it does not allow goes to `problems`.
---@param into table
---@param given table
---@param shape table
---@param path string
local function merge(into, given, shape, path)
  for name, value in pairs(given) do
    local full = path == "" and tostring(name) or ("%s.%s"):format(path, tostring(name))
    local rule = shape.each or shape[name]
    if shape.keys and not is_key(shape.keys, name) then
      rule = nil
    end
    if rule == nil then
      local known = shape.keys and key_names(shape.keys) or vim.tbl_keys(shape)
      local close = type(name) == "string" and nearest(known, name)
      problems[#problems + 1] = ("%s is not a setting%s"):format(
        full,
        close and (" (did you mean %s?)"):format(path == "" and close or path .. "." .. close) or ""
      )
    elseif type(rule) == "table" and not rule.check and not vim.islist(rule) then
      if rule.off and value == false then
        for key_name in pairs(into[name]) do
          into[name][key_name] = false
        end
      elseif type(value) ~= "table" then
        problems[#problems + 1] = ("%s: expected table, got %s"):format(full, type(value))
      elseif rule.list and not vim.islist(value) then
        problems[#problems + 1] = ("%s: expected a list, got a table with names"):format(full)
      else
        if type(into[name]) ~= "table" then
          into[name] = {}
        end
        merge(into[name], value, rule, full)
      end
    else
      local problem = check_value(full, value, rule)
      if problem then
        problems[#problems + 1] = problem
      else
        into[name] = value
      end
    end
  end
end

---@return SuggestionReview.Config
local function build()
  problems = {}
  local config = vim.deepcopy(defaults)
  local global = vim.g.suggestion_review
  if global ~= nil and type(global) ~= "table" then
    problems[#problems + 1] = ("vim.g.suggestion_review: expected table, got %s"):format(type(global))
    global = nil
  end
  -- opencode.nvim takes its options from this variable; the part meant for us is welcome there too.
  local opencode = vim.g.opencode_opts
  opencode = type(opencode) == "table" and opencode.suggestion_review
  for _, given in ipairs({ type(opencode) == "table" and opencode or {}, global or {}, from_setup or {} }) do
    merge(config, given, schema, "")
    local own = type(given.keymaps) == "table" and given.keymaps.open_review
    if given.global_keymaps == false and not own then
      config.keymaps.open_review = false
    end
  end
  unsaid = #problems > 0 and "suggestion-review: " .. table.concat(problems, "\n  ") or nil
  say_unsaid()
  return config
end

--- Sets who says what is wrong with the settings; at once where that is known.
---@param callback fun(text: string)
function M.on_problems(callback)
  say = callback
  say_unsaid()
end

--- The settings in force.
---@return SuggestionReview.Config
function M.get()
  if not merged then
    merged = build()
  end
  return merged
end

--- Merges `opts` over `vim.g.suggestion_review` and the defaults. Calling it again replaces the earlier `opts`.
---@param opts? table
function M.setup(opts)
  vim.validate("opts", opts, "table", true)
  -- The shape that opencode.nvim's options have is taken as well.
  if opts and type(opts.suggestion_review) == "table" then
    opts = opts.suggestion_review
  end
  from_setup = opts and vim.deepcopy(opts) or nil
  merged = build()
end

--- What was wrong with the settings, one sentence each.
---@return string[]
function M.problems()
  M.get()
  return problems
end

---@class (exact) SuggestionReview.Setting
---@field name string full name, as `ui.style`
---@field values? any[] what may stand there, where those are few

---@param shape table
---@param path string
---@param into SuggestionReview.Setting[]
local function collect(shape, path, into)
  for name, rule in pairs(shape) do
    local full = path .. name
    local group = type(rule) == "table" and not rule.check and not vim.islist(rule)
    if not group then
      into[#into + 1] = { name = full, values = type(rule) == "table" and rule.values or nil }
    elseif rule.keys then
      local seen = {}
      for _, key_name in ipairs(key_names(rule.keys)) do
        into[#into + 1] = not seen[key_name] and { name = full .. "." .. key_name } or nil
        seen[key_name] = true
      end
    elseif rule.each then
      into[#into + 1] = { name = full }
    else
      collect(rule, full .. ".", into)
    end
  end
end

--- Every setting there is, by name.
---@return SuggestionReview.Setting[]
function M.settings()
  local found = {}
  collect(schema, "", found)
  table.sort(found, function(a, b)
    return a.name < b.name
  end)
  return found
end

--- The defaults, as a fresh copy.
---@return SuggestionReview.Config
function M.defaults()
  return vim.deepcopy(defaults)
end

---@param variable string
---@param fallback string below the home directory
local function xdg(variable, fallback)
  local given = vim.env[variable]
  return given and given ~= "" and given or (vim.env.HOME or "") .. fallback
end

--- Where the token of a server is looked for when no `token_file` is set: $SUGGESTION_MANAGER_TOKEN_FILE, the
--- developer's own place, then the state directory of a server that this same user runs.
---@return string
function M.default_token_file()
  local given = vim.env.SUGGESTION_MANAGER_TOKEN_FILE
  if given and given ~= "" then
    return vim.fs.abspath(given)
  end
  local own = xdg("XDG_CONFIG_HOME", "/.config") .. "/suggestion-manager/token"
  if vim.uv.fs_stat(own) then
    return own
  end
  local state = vim.env.SUGGESTION_MANAGER_STATE
  if not state or state == "" then
    state = xdg("XDG_STATE_HOME", "/.local/state") .. "/suggestion-manager"
  end
  return vim.uv.fs_stat(state .. "/token") and state .. "/token" or own
end

---@class SuggestionReview.Server a server's settings with nothing left open
---@field name string
---@field host string
---@field port integer
---@field token_file string
---@field root? string

--- The servers to talk to, the first being the one used when nothing else says which.
---@return SuggestionReview.Server[]
function M.servers()
  local config = M.get()
  local list = #config.servers > 0 and config.servers or { config.server }
  local servers, names = {}, {}
  for index, given in ipairs(list) do
    local host = given.host or config.server.host
    local number = given.port or config.server.port
    local name = given.name or ("%s:%d"):format(host, number)
    if names[name] then
      name = ("%s#%d"):format(name, index)
    end
    names[name] = true
    local token_file = given.token_file or config.server.token_file
    local root = given.root or config.server.root
    servers[index] = {
      name = name,
      host = host,
      port = number,
      token_file = token_file and vim.fs.abspath(vim.fs.normalize(token_file)) or M.default_token_file(),
      root = root and vim.fs.abspath(vim.fs.normalize(root)) or nil,
    }
  end
  return servers
end

return M
