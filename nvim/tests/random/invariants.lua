--- What must hold after every step of a random run. Judges what was looked at; changes nothing but its own memory.
local hunks = require("random.hunks")
local project = require("random.project")
local records = require("random.records")
local steps = require("random.steps")
local t = require("support")
local undo = require("random.undo")

local M = {}

---@class RandomMemory
---@field words table<string, true> the developer's words that are somewhere
---@field owned table<string, true> lines of the agent's that the developer made theirs
---@field suggestions table<string, true> those that were ever open
---@field dropped table<string, true> words that the developer took out of what they send
---@field step table|nil that was judged last
---@field before table<string, table<string, true>> lines of the files before that step, by file
---@field held table<string, table<string, true>> and after it
---@field suggested string[]|nil the other side of the conflict that was shown last
---@field brought table<string, true> lines that the developer brought back behind the review
---@field editor { name: string, words: table<string, true> }|nil what the developer had in the editor they were in
local Memory = {}
Memory.__index = Memory

---@return RandomMemory
function M.new()
  return setmetatable({
    words = {},
    owned = {},
    suggestions = {},
    dropped = {},
    before = {},
    held = {},
    brought = {},
  }, Memory)
end

---@param text string
---@param into table<string, true>
local function words_in(text, into)
  for word in text:gmatch("mine%d+%.") do
    into[word] = true
  end
  for word in text:gmatch("said%d+%.") do
    into[word] = true
  end
end

--- Words that can be seen: in buffers, in files, in the line that is being typed. What is drawn from hunks is no place
--- of the developer's: it goes with the hunk, which may be of long ago.
---@param world RandomWorld
---@param seen table
---@return table<string, true> kept in what the developer edits
---@return table<string, true> drawn
---@return table<string, true> in editors: what a hunk says, and what was typed
local function visible(world, seen)
  local out, drawn, editors = {}, {}, {}
  words_in(seen.line or "", out)
  for _, buffer in ipairs(seen.buffers) do
    local into = buffer.type == "" and out or buffer.type == "acwrite" and editors or drawn
    words_in(table.concat(buffer.lines or {}, "\n"), into)
  end
  for name, kind in vim.fs.dir(world.root, { depth = 2 }) do
    if kind == "file" and name:sub(-4) == ".txt" then
      words_in(t.read(world.root .. "/" .. name) or "", out)
    end
  end
  return out, drawn, editors
end

--- Words that the developer takes out of the editor they are in, to send the rest: another window may show them still.
---@param memory RandomMemory
---@param seen table
---@param step table
---@return table<string, true>
local function given_up(memory, seen, step)
  local before, gone = memory.editor, {}
  memory.editor = nil
  for _, buffer in ipairs(seen.where == "editor" and seen.buffers or {}) do
    if buffer.name == seen.buffer then
      local words = {}
      words_in(table.concat(buffer.lines or {}, "\n"), words)
      if before and before.name == seen.buffer and step.own then
        for word in pairs(before.words) do
          gone[word] = not words[word] or nil
        end
      end
      memory.editor = { name = seen.buffer, words = words }
    end
  end
  return gone
end

--- Words of the developer's that were somewhere before the step and are nowhere now.
---@param memory RandomMemory
---@param world RandomWorld
---@param seen table
---@param step table
---@return string|nil
local function lost(memory, world, seen, step)
  local now, drawn, editors = visible(world, seen)
  for word in pairs(editors) do
    -- A word in an editor is the developer's since it was typed; till then a hunk says it, which says it still.
    local typed = memory.words[word] or (step.keys or ""):find(word, 1, true)
    local into = typed and now or drawn
    into[word] = true
  end
  for _, one in ipairs(seen.open) do
    memory.suggestions[one.id] = true
  end
  local missing = {}
  for word in pairs(memory.words) do
    if not now[word] and not drawn[word] then
      missing[word] = true
    end
  end
  if next(missing) then
    local state = world.home .. "/.local/state/nvim/suggestion-review"
    local kept = {}
    words_in(records.applied(state), kept)
    if world.plan.users == 1 then
      -- In one directory for both the developer's lines are in the agent's hunks, and go with one that is rejected.
      words_in(records.turned_down(state), kept)
    end
    local decided = {}
    words_in(records.decided(state), decided)
    words_in(table.concat(seen.drafts, "\n"), decided)
    for id in pairs(memory.suggestions) do
      words_in(vim.json.encode(world:get("/suggestions/" .. id) or {}), decided)
    end
    words_in(world:messages(), decided)
    for word in pairs(missing) do
      -- What the server has taken of a reason or a comment is there for good.
      local sent = word:find("^said") and (decided[word] or not world.up)
      if kept[word] then
        now[word] = true
      end
      if kept[word] or sent then
        missing[word] = nil
      end
    end
  end
  for word in pairs(missing) do
    if steps.takes_away(step, word) then
      missing[word] = nil
    end
  end
  if next(missing) then
    local undone = {}
    for _, history in ipairs(world:ask("return probe.histories(...)", world.home .. "/tmp") or {}) do
      words_in(undo.texts(history), undone)
      os.remove(history.path)
    end
    for word in pairs(missing) do
      if not undone[word] then
        return word
      end
    end
  end
  for word in pairs(given_up(memory, seen, step)) do
    memory.dropped[word] = word:find("^said") ~= nil or nil
  end
  for word in pairs(memory.dropped) do
    now[word] = nil
  end
  memory.words = now
end

--- What the developer makes theirs: lines in a conflict window, and in what they sent as their version. Who keeps both
--- sides of a conflict keeps lines of the base that the other side has, beside where they were.
---@param memory RandomMemory
---@param seen table
---@param step table
local function note_owned(memory, seen, step)
  if step.where == "conflict" and step.keys == "b" then
    for _, line in ipairs(memory.suggested or {}) do
      memory.owned[line] = line:find("^base ") ~= nil or memory.owned[line]
    end
  end
  memory.suggested = seen.suggested or step.where ~= "conflict" and {} or memory.suggested
  for _, line in ipairs(seen.pane or {}) do
    memory.owned[line] = true
  end
  if seen.where == "editor" then
    for _, buffer in ipairs(seen.buffers) do
      if buffer.name == seen.buffer then
        for _, line in ipairs(buffer.lines) do
          memory.owned[line] = true
        end
      end
    end
  end
  for _, hunk in ipairs(seen.session and seen.session.hunks or {}) do
    if hunk.own then
      for _, line in ipairs((hunks.sides(hunk.own))) do
        memory.owned[line] = true
      end
    end
  end
end

--- What the developer brings back behind the review: Vim's undo, a buffer that is read anew, a version that is checked
--- out. What was taken out of the file and stands there again by this is the developer's own text, of which no hunk
--- that is not taken has to say anything.
---@param memory RandomMemory
---@param world RandomWorld
---@param seen table
---@param step table
local function note_brought(memory, world, seen, step)
  if memory.step ~= step then
    memory.step, memory.before, memory.held = step, memory.held, {}
  end
  for _, file in ipairs(project.NAMES) do
    memory.held[file] = {}
    for _, line in ipairs(hunks.lines(world, seen, file) or {}) do
      memory.held[file][line] = true
      local before = memory.before[file]
      if step.own and before and not before[line] then
        memory.brought[line] = true
      end
    end
  end
end

---@param seen table
---@return string|nil
local function said_wrongly(seen)
  for _, text in ipairs({ seen.errmsg, seen.messages }) do
    for _, pattern in ipairs({ "stack traceback", "Error executing", "Error in ", "E5108", "[Ll]ua:%d+:" }) do
      if text:find(pattern) then
        return text
      end
    end
  end
end

--- There is no other Neovim here, and nobody decides without one: what is said to come from elsewhere is wrong.
---@param seen table
---@return string|nil
local function foreign(seen)
  for _, hunk in ipairs(seen.session and seen.session.hunks or {}) do
    if hunk.said and hunk.said:find("decided elsewhere", 1, true) then
      return ("hunk %s (%s): %s"):format(hunk.id:match(":(.*)$"), hunk.state, hunk.said)
    end
  end
  for _, buffer in ipairs(seen.buffers) do
    for _, line in ipairs(buffer.plan and buffer.lines or {}) do
      if line:find("not in a Neovim of yours", 1, true) then
        return line
      end
    end
  end
end

--- Ours after the review was closed.
---@param world RandomWorld
---@param seen table
---@return string|nil
local function left_behind(world, seen)
  if seen.session or seen.where ~= "file" or seen.mode ~= "n" then
    return nil
  end
  for _, title in ipairs(seen.floats) do
    -- What the developer types stays until they send it or drop it.
    if not (title:find("^ Edit ") or title:find("^ Resolve ") or title:find("^ Commit message")) then
      return "floating window: " .. title
    end
  end
  for _, buffer in ipairs(seen.buffers) do
    local typed_in = buffer.type == "acwrite"
    if buffer.name:find("^suggestion%-review://") and not typed_in then
      return "buffer " .. buffer.name
    elseif buffer.type == "nofile" and buffer.name == "" and not (buffer.plan and buffer.shown) then
      return ("scratch buffer %d: %s"):format(buffer.number, vim.inspect(buffer.lines))
    elseif buffer.marks > 0 and not typed_in then
      return ("%d marks in %s"):format(buffer.marks, buffer.name)
    end
  end
  if #seen.dressed > 0 then
    return "options of the review's in a window of " .. seen.dressed[1]
  end
  for name in vim.fs.dir(world.root, { depth = 2 }) do
    local base = vim.fs.basename(name)
    local known = name:find("^%.git") or name:find("^%.jj") or base:find("%.txt$") or name == "d"
    if not known and not base:find("%.sw.$") then
      return "file " .. name
    end
  end
  local children = io.open(("/proc/%d/task/%d/children"):format(world.pid, world.pid))
  if children then
    local pids = children:read("*a")
    children:close()
    local pid = pids:match("%d+")
    if pid then
      local name = t.read(("/proc/%s/cmdline"):format(pid)) or ""
      return ("process %s: %s"):format(pid, (name:gsub("%z", " ")))
    end
  end
end

--- A file that Neovim has unchanged is on disk as it is in Neovim.
---@param world RandomWorld
---@param seen table
---@return string|nil
local function not_on_disk(world, seen)
  if world.plan.users == 1 then
    return nil
  end
  for _, buffer in ipairs(seen.buffers) do
    local unseen = world.unseen[buffer.name:sub(#world.root + 2)]
    if
      buffer.type == ""
      and buffer.lines
      and not buffer.modified
      and not unseen
      and buffer.name:find("%.txt$")
    then
      local text = t.read(buffer.name)
      local held = table.concat(buffer.lines, "\n")
      if text and text ~= held .. "\n" and not (text == "" and held == "") then
        return ("%s is not modified, and differs from the file"):format(vim.fs.basename(buffer.name))
      end
    end
  end
end

--- The first thing that does not hold, or nil.
---@param memory RandomMemory
---@param world RandomWorld
---@param seen table
---@param step table
---@return { kind: string, text: string }|nil
function M.check(memory, world, seen, step)
  if seen.where == "prompt" then
    return { kind = "prompt", text = ("Vim waits in mode %q"):format(seen.mode) }
  elseif seen.where == "busy" then
    return { kind = "stuck", text = ("Neovim is at work in mode %q and answers nothing"):format(seen.mode) }
  elseif seen.blocking then
    return nil
  end
  note_owned(memory, seen, step)
  note_brought(memory, world, seen, step)
  local found = {
    { "traceback", said_wrongly(seen) },
    { "lost", lost(memory, world, seen, step) },
    { "text", seen.pending == 0 and hunks.problem(world, seen, memory) or nil },
    { "state", seen.pending == 0 and hunks.disagreement(world, seen) or nil },
    { "disk", not_on_disk(world, seen) },
    { "foreign", seen.pending == 0 and foreign(seen) or nil },
    { "left", left_behind(world, seen) },
  }
  for _, kind in ipairs({ 1, 2, 3, 4, 5, 6, 7 }) do
    if found[kind][2] then
      return { kind = found[kind][1], text = found[kind][2] }
    end
  end
end

return M
