--- Whether the text of hunks is in the files as the review says. What is written in a random run is always new, so
--- that a line is in a file or is not; no diff is needed.
local project = require("random.project")
local t = require("support")

local M = {}

--- Lines that a hunk brings and lines that it takes away.
---@param text string unified diff
---@return string[] added
---@return string[] removed
---@return string[][] runs added lines that stand right below each other
local function sides(text)
  local added, removed, runs = {}, {}, {}
  local body = text:match("\n(@@ .*)$") or text:match("^(@@ .*)$") or ""
  for line in body:gmatch("[^\n]+") do
    if line:sub(1, 1) == "-" then
      removed[line:sub(2)] = true
    end
  end
  local run
  for line in body:gmatch("[^\n]+") do
    local sign, rest = line:sub(1, 1), line:sub(2)
    if sign == "+" and removed[rest] then
      -- A modification may hold lines of its context on both sides.
      removed[rest], run = nil, nil
    elseif sign == "+" then
      added[#added + 1] = rest
      if not run then
        run = {}
        runs[#runs + 1] = run
      end
      run[#run + 1] = rest
    elseif sign == " " then
      run = nil
    end
  end
  return added, vim.tbl_keys(removed), runs
end
M.sides = sides

--- The text of a file as the developer has it: the buffer where there is one, else the file.
---@param world RandomWorld
---@param seen table
---@param file string
---@return string[]|nil
---@return boolean loaded there is a buffer
function M.lines(world, seen, file)
  for _, buffer in ipairs(seen.buffers) do
    if buffer.name == world.root .. "/" .. file and buffer.lines then
      return buffer.lines, true
    end
  end
  local text = t.read(world.root .. "/" .. file)
  return text and project.lines(text), false
end

---@param lines string[]
---@return table<string, integer[]>
local function places(lines)
  local at = {}
  for i, line in ipairs(lines) do
    at[line] = at[line] or {}
    table.insert(at[line], i)
  end
  return at
end

--- Whether lines stand right below each other. A file may hold some of them twice: who keeps both sides of a conflict
--- has what both have.
---@param run string[]
---@param lines string[]
---@param at table<string, integer[]>
local function stands_together(run, lines, at)
  for _, first in ipairs(at[run[1]]) do
    if vim.deep_equal(vim.list_slice(lines, first, first + #run - 1), run) then
      return true
    end
  end
  return false
end

---@param hunk table
---@param lines string[]|nil
---@param memory RandomMemory
---@return string|nil problem
local function judge(hunk, lines, memory)
  local owned = memory.owned
  local decided_in = hunk.state == "accepted" or hunk.state == "modified"
  local at = places(lines or {})
  local added, removed, runs = sides(hunk.state == "modified" and hunk.own or hunk.diff)
  if hunk.said then
    return nil
  elseif not decided_in then
    for _, line in ipairs(added) do
      if at[line] and not owned[line] and not memory.brought[line] then
        return ("is %s, and “%s” is in the file"):format(hunk.state, line)
      end
    end
    return nil
  end
  if hunk.kind == "delete" and hunk.state == "accepted" then
    return lines and #lines > 0 and lines[1] ~= "" and "is accepted, and the file is there" or nil
  end
  for _, line in ipairs(added) do
    if not at[line] then
      return ("is %s, and “%s” is not in the file"):format(hunk.state, line)
    end
  end
  for _, run in ipairs(runs) do
    if not stands_together(run, lines or {}, at) then
      return ("is %s, and “%s” stands apart"):format(hunk.state, run[1])
    end
  end
  for _, line in ipairs(removed) do
    -- Who keeps both sides of a conflict may have put it back.
    if at[line] and not owned[line] then
      return ("is %s, and “%s” is still in the file"):format(hunk.state, line)
    end
  end
end

local KINDS = { text = true, create = true, delete = true }

--- What the review says of its hunks is so.
---@param world RandomWorld
---@param seen table
---@param memory RandomMemory
---@return string|nil problem
function M.problem(world, seen, memory)
  local session = seen.session
  if not session or session.in_place then
    return nil
  end
  for _, hunk in ipairs(session.hunks) do
    local lines, loaded = M.lines(world, seen, hunk.file)
    -- Of a file that no buffer holds, and that changed while nobody was looking, nothing can be known yet.
    if KINDS[hunk.kind] and (loaded or not world.unseen[hunk.file]) then
      local problem = judge(hunk, lines, memory)
      if problem then
        return ("hunk %s (%s) of revision %d %s"):format(
          hunk.id:match(":(.*)$"),
          hunk.kind,
          session.revision,
          problem
        )
      end
    end
  end
end

--- Server and client agree on every hunk's state.
---@param world RandomWorld
---@param seen table
---@return string|nil problem
function M.disagreement(world, seen)
  local session = seen.session
  if not session or not world.up or not seen.connected then
    return nil
  end
  local whole = world:get("/suggestions/" .. session.id)
  if not whole or whole.state ~= "open" then
    return nil
  end
  local states = {}
  for _, hunk in ipairs(whole.hunks or {}) do
    states[hunk.id] = hunk.state
  end
  if whole.revision ~= session.revision then
    return ("the server has revision %d, the review shows %d"):format(whole.revision, session.revision)
  end
  for _, hunk in ipairs(session.hunks) do
    if states[hunk.id] ~= hunk.state then
      return ("hunk %s: server %s, review %s"):format(hunk.id:match(":(.*)$"), states[hunk.id], hunk.state)
    end
  end
end

return M
