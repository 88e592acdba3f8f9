--- How the client's files may lean on each other, read from their text: a file names modules of its own folder and of
--- those below it, no two files need each other, and no function is longer than a screen or two.

local M = {}

--- The folders, the lowest first.
M.FOLDERS = {
  "say",
  "lib",
  "text",
  "connection",
  "model",
  "worktree",
  "decisions",
  "apply",
  "adopt",
  "watch",
  "ui",
  "review",
}

--- Modules at the top that hold data: every folder may require them.
M.DATA = { config = true, actions = true, types = true }

M.MOST_AT_THE_TOP = 8
M.LONGEST_FUNCTION = 80

---@class LuaFile
---@field path string below the tree that was read
---@field module string "" for init.lua at the top
---@field folder string "" at the top
---@field names LuaName[]
---@field functions { line: integer, lines: integer }[]

---@class LuaName a module that the text names
---@field module string
---@field line integer
---@field exists boolean
---@field inside? boolean all modules of a folder, by a name put together

---@class LuaToken
---@field kind "word"|"string"|"other"
---@field text string of a string without its quotes
---@field line integer

--- The words, strings and other characters of a Lua text, without its comments.
---@param text string
---@return LuaToken[]
local function tokens(text)
  local found, at, line = {}, 1, 1
  local function skip(to)
    local _, breaks = text:sub(at, to):gsub("\n", "")
    line, at = line + breaks, to + 1
  end
  local function take(kind, to, shown)
    found[#found + 1] = { kind = kind, text = shown or text:sub(at, to), line = line }
    skip(to)
  end
  --- End of a long bracket that begins at `from`.
  local function long(from)
    local level = text:match("^%[(=*)%[", from)
    return level and select(2, assert(text:find("]" .. level .. "]", from, true)))
  end
  while at <= #text do
    local char = text:sub(at, at)
    if char == "-" and text:sub(at, at + 1) == "--" then
      skip(long(at + 2) or (text:find("\n", at, true) or #text + 1) - 1)
    elseif char:find("[%a_]") then
      take("word", select(2, text:find("^[%w_]+", at)))
    elseif char == "[" and long(at) then
      take("string", long(at))
    elseif char == '"' or char == "'" then
      local to = at + 1
      while text:sub(to, to) ~= char do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
      take("string", to, text:sub(at + 1, to - 1))
    elseif char:find("%s") then
      skip(select(2, text:find("^%s+", at)))
    else
      take("other", at)
    end
  end
  return found
end

--- Where each function begins, and how many lines it has.
---@param list LuaToken[]
---@return { line: integer, lines: integer }[]
local function functions_of(list)
  local found, open = {}, {}
  for _, token in ipairs(list) do
    local word = token.kind == "word" and token.text
    if word == "function" or word == "do" or word == "then" or word == "repeat" then
      open[#open + 1] = token
    elseif word == "elseif" then
      open[#open] = nil
    elseif word == "end" or word == "until" then
      local begun = table.remove(open)
      if begun.text == "function" then
        found[#found + 1] = { line = begun.line, lines = token.line - begun.line + 1 }
      end
    end
  end
  return found
end

--- Every module of the client that the text names: in a require, in `package.loaded`, in a command that is a string.
---@param list LuaToken[]
---@param modules table<string, LuaFile>
---@return LuaName[]
local function names_of(list, modules)
  local found = {}
  for index, token in ipairs(list) do
    local before = list[index - 1]
    before = before and before.text == "(" and list[index - 2] or before
    local required = before ~= nil and before.kind == "word" and before.text == "require"
    local joined = list[index + 1] ~= nil and list[index + 1].text == "."
    for name in (token.kind == "string" and token.text or ""):gmatch("suggestion%-review([%w_.]*)") do
      local module, inside = name:gsub("^%.", ""), false
      if joined and module:find("%.$") then
        module, inside = module:gsub("%.$", ""), true
      end
      local exists = modules[module] ~= nil
      -- "suggestion-review" alone is the name of much else.
      local meant = module ~= "" and exists
      if required or meant or token.text:find("require%s*%(?['\"]suggestion%-review") then
        found[#found + 1] = { module = module, line = token.line, exists = exists, inside = inside }
      end
    end
  end
  return found
end

--- Reads all files of a client.
---@param root string its folder lua/suggestion-review
---@return LuaFile[] by path
function M.read(root)
  local files, modules, texts = {}, {}, {}
  for path, kind in vim.fs.dir(root, { depth = 10 }) do
    if kind == "file" and path:find("%.lua$") then
      local module = path:gsub("%.lua$", ""):gsub("/", "."):gsub("%.?init$", "")
      local file = { path = path, module = module, folder = path:match("^(.-)/") or "" }
      texts[path] = tokens(table.concat(vim.fn.readfile(root .. "/" .. path), "\n"))
      file.functions = functions_of(texts[path])
      modules[module] = file
      files[#files + 1] = file
    end
  end
  table.sort(files, function(a, b)
    return a.path < b.path
  end)
  for _, file in ipairs(files) do
    file.names = names_of(texts[file.path], modules)
  end
  return files
end

---@param files LuaFile[]
---@return table<string, LuaFile>
local function by_module(files)
  local found = {}
  for _, file in ipairs(files) do
    found[file.module] = file
  end
  return found
end

--- Names of modules that are above the file that has them, or that do not exist.
---@param files LuaFile[]
---@return string[] sentences
function M.upward(files)
  local rank, modules, found = {}, by_module(files), {}
  for index, folder in ipairs(M.FOLDERS) do
    rank[folder] = index
  end
  for _, file in ipairs(files) do
    local own = file.folder == "" and math.huge or rank[file.folder]
    if M.DATA[file.module] then
      own = 0
    elseif not own then
      found[#found + 1] = ("%s: %s is not among the folders"):format(file.path, file.folder)
    end
    for _, name in ipairs(file.names) do
      local other = modules[name.module]
      local place = ("%s:%d: "):format(file.path, name.line)
      if not name.exists and not (name.inside and rank[name.module]) then
        found[#found + 1] = place .. "there is no " .. name.module
      elseif own and other ~= file and not M.DATA[name.module] then
        local folder = other and other.folder or name.module
        if (rank[folder] or math.huge) > own then
          found[#found + 1] = ("%s%s is above %s"):format(
            place,
            name.module == "" and "init" or name.module,
            own == 0 and "data" or file.folder
          )
        end
      end
    end
  end
  return found
end

--- Files that need each other, by any way round.
---@param files LuaFile[]
---@return string[] sentences, one for each circle
function M.circles(files)
  local modules, found, state = by_module(files), {}, {}
  local path = {}
  local function visit(file)
    state[file] = "open"
    path[#path + 1] = file
    for _, name in ipairs(file.names) do
      local other = modules[name.module]
      if other and other ~= file and not name.inside then
        if state[other] == "open" then
          local circle = {}
          for index = #path, 1, -1 do
            table.insert(circle, 1, path[index].path)
            if path[index] == other then
              break
            end
          end
          found[#found + 1] = ("%s:%d: %s → %s"):format(
            file.path,
            name.line,
            table.concat(circle, " → "),
            other.path
          )
        elseif not state[other] then
          visit(other)
        end
      end
    end
    path[#path] = nil
    state[file] = "done"
  end
  for _, file in ipairs(files) do
    if not state[file] then
      visit(file)
    end
  end
  return found
end

--- What is too much at the top.
---@param files LuaFile[]
---@return string[] sentences
function M.crowd(files)
  local top = {}
  for _, file in ipairs(files) do
    if file.folder == "" then
      top[#top + 1] = file.path
    end
  end
  if #top <= M.MOST_AT_THE_TOP then
    return {}
  end
  return { ("%d files at the top: %s"):format(#top, table.concat(top, " ")) }
end

--- Functions that are too long.
---@param files LuaFile[]
---@return string[] sentences
function M.long(files)
  local found = {}
  for _, file in ipairs(files) do
    for _, one in ipairs(file.functions) do
      if one.lines > M.LONGEST_FUNCTION then
        found[#found + 1] = ("%s:%d: a function of %d lines"):format(file.path, one.line, one.lines)
      end
    end
  end
  return found
end

return M
