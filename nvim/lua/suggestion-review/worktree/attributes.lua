--- What git does to a file between its repository and the worktree: filters (LFS, encryption), other encodings, line
--- ends. Asked of git itself, in a repository of the developer's own; the rules for line ends are git's (convert.c).
local program = require("suggestion-review.lib.program")

local M = {}

local uv = vim.uv

---@class (exact) SuggestionReview.Attributes
---@field filtered string|nil what stands between the two texts, where it is more than line ends
---@field eol "lf"|"crlf"|"auto-crlf" how git ends lines here: as they are, always CR LF, or where it guesses text

---@type SuggestionReview.Attributes
local PLAIN = { eol = "lf" }

local ASKED = { "filter", "text", "crlf", "eol", "ident", "working-tree-encoding" }

--- Answers hold while no file of attributes on the path changes; older ones, ms, are asked for anew meanwhile, since
--- the user's own configuration may have changed.
local FRESH = 5000

---@type table<string, { at: integer, stamp: string, attributes: SuggestionReview.Attributes }>
local known = {}

--- What the answer for a path depends on.
---@param root string
---@param path string
---@return string
local function stamp_of(root, path)
  local out, at = {}, root
  local function look(file)
    local stat = uv.fs_stat(file)
    out[#out + 1] = stat and ("%d.%d.%d"):format(stat.ino, stat.mtime.sec, stat.mtime.nsec) or "-"
  end
  look(root .. "/.git/config")
  look(root .. "/.git/info/attributes")
  look(at .. "/.gitattributes")
  for folder in vim.fs.dirname(path):gmatch("[^/]+") do
    at = at .. "/" .. folder
    look(at .. "/.gitattributes")
  end
  return table.concat(out, " ")
end

--- How git ends the lines of a file that it checks out.
---@param given table<string, string> attributes
---@param config table<string, string> by name in lower case
---@return "lf"|"crlf"|"auto-crlf"
local function eol_of(given, config)
  local text = given.text
  if text == "unspecified" then
    text = ({ set = "set", unset = "unset", input = "input", auto = "auto" })[given.crlf] or "unspecified"
  end
  local eol = given.eol
  local autocrlf = (config["core.autocrlf"] or ""):lower()
  local by_default = autocrlf == "true"
    or (autocrlf ~= "input" and (config["core.eol"] or ""):lower() == "crlf")
  if text == "unset" then
    return "lf"
  elseif eol == "lf" or text == "input" then
    return "lf"
  elseif eol == "crlf" then
    return text == "auto" and "auto-crlf" or "crlf"
  elseif text == "set" then
    return by_default and "crlf" or "lf"
  elseif text == "auto" then
    return by_default and "auto-crlf" or "lf"
  end
  return autocrlf == "true" and "auto-crlf" or "lf"
end

---@param given table<string, string>
---@param config table<string, string>
---@return SuggestionReview.Attributes
local function read(given, config)
  local filtered
  local driver = given.filter
  local encoding = given["working-tree-encoding"]
  if driver ~= "unspecified" and driver ~= "unset" and driver ~= "set" then
    -- A driver that is not set up changes nothing.
    for _, step in ipairs({ "clean", "smudge", "process" }) do
      filtered = config[("filter.%s.%s"):format(driver, step)]
          and ("git filters it (filter=%s)"):format(driver)
        or filtered
    end
  end
  if
    not filtered
    and not vim.list_contains({ "unspecified", "unset", "set" }, encoding)
    and not encoding:lower():find("^utf%-?8$")
  then
    filtered = ("git stores it in another encoding (working-tree-encoding=%s)"):format(encoding)
  elseif not filtered and given.ident == "set" then
    filtered = "git writes its id into it (ident)"
  end
  return { filtered = filtered, eol = eol_of(given, config) }
end

---@param root string
---@param arguments string[]
---@param stdin string|nil
---@param callback fun(fields: string[]|nil)
local function ask(root, arguments, stdin, callback)
  local command = vim.list_extend({ "git", "-C", root }, arguments)
  program.start(command, { stdin = stdin, env = { GIT_OPTIONAL_LOCKS = "0" } }, function(result)
    vim.schedule(function()
      -- 1: no setting of this name.
      local answered = result.code == 0 or result.code == 1
      callback(answered and vim.split(result.stdout, "\0", { plain = true }) or nil)
    end)
  end)
end

---@param root string
---@param callback fun(config: table<string, string>)
local function read_config(root, callback)
  local wanted = [[^(core\.(autocrlf|eol)|filter\..*\.(clean|smudge|process))$]]
  ask(root, { "config", "-z", "--get-regexp", wanted }, nil, function(fields)
    local config = {}
    for _, field in ipairs(fields or {}) do
      local name, value = field:match("^([^\n]*)\n(.*)$")
      if name then
        config[name] = value
      elseif field ~= "" then
        -- A name alone means true.
        config[field] = "true"
      end
    end
    callback(config)
  end)
end

--- Asks git about paths and keeps the answers.
---@param root string
---@param paths string[]
---@param stamps table<string, string>
---@param callback fun(found: table<string, SuggestionReview.Attributes>)
local function look_up(root, paths, stamps, callback)
  local found = {}
  local arguments = vim.list_extend({ "check-attr", "-z", "--stdin" }, ASKED)
  ask(root, arguments, table.concat(paths, "\0") .. "\0", function(fields)
    if not fields then
      -- No git, or nothing that is git's: nothing is done to files, either.
      for _, path in ipairs(paths) do
        known[root .. "\0" .. path] = { at = uv.now(), stamp = stamps[path], attributes = PLAIN }
      end
      return callback(found)
    end
    read_config(root, function(config)
      local given = {}
      for i = 1, #fields - 2, 3 do
        given[fields[i]] = given[fields[i]] or {}
        given[fields[i]][fields[i + 1]] = fields[i + 2]
      end
      for path, attributes in pairs(given) do
        found[path] = read(attributes, config)
        known[root .. "\0" .. path] = { at = uv.now(), stamp = stamps[path] or "", attributes = found[path] }
      end
      callback(found)
    end)
  end)
end

--- Finds out what git does to files. At once where that is known: keys that are typed fast wait for nothing.
---@param root string|nil nil: not a repository in which git may be run
---@param paths string[] below the root
---@param callback fun(of: fun(path: string): SuggestionReview.Attributes)
function M.of(root, paths, callback)
  if not root then
    return callback(function()
      return PLAIN
    end)
  end
  local found, missing, old, stamps = {}, {}, {}, {}
  for _, path in ipairs(paths) do
    local stamp = stamp_of(root, path)
    local one = known[root .. "\0" .. path]
    stamps[path] = stamp
    if not one or one.stamp ~= stamp then
      missing[#missing + 1] = path
    else
      found[path] = one.attributes
      if uv.now() - one.at > FRESH then
        one.at = uv.now()
        old[#old + 1] = path
      end
    end
  end
  if #old > 0 then
    look_up(root, old, stamps, function() end)
  end
  if #missing == 0 then
    return callback(function(path)
      return found[path] or PLAIN
    end)
  end
  look_up(root, missing, stamps, function(answers)
    callback(function(path)
      return found[path] or answers[path] or PLAIN
    end)
  end)
end

--- Whether git takes bytes for something else than text.
---@param bytes string
---@return boolean
local function looks_binary(bytes)
  if bytes:find("\r[^\n]") or bytes:sub(-1) == "\r" or bytes:find("%z") then
    return true
  end
  local _, strange = bytes:gsub("[\1-\7\11\14-\26\28-\31\127]", "")
  return math.floor((#bytes - strange) / 128) < strange
end

--- Bytes of the repository as git checks them out, as far as line ends go.
---@param bytes string
---@param attributes SuggestionReview.Attributes
---@return string
function M.checked_out(bytes, attributes)
  if attributes.eol == "lf" or not bytes:find("\n", 1, true) then
    return bytes
  elseif attributes.eol == "auto-crlf" and (bytes:find("\r", 1, true) or looks_binary(bytes)) then
    return bytes
  end
  return (bytes:gsub("\r\n", "\n"):gsub("\n", "\r\n"))
end

--- Forgets what git answered; for tests.
function M.reset()
  known = {}
end

return M
