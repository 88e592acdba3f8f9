--- Whether the text of hunks is in the files as the review says. All lines of a random run are different, so a line is
--- in a file or is not; no diff is needed.
local project = require("random.project")
local t = require("support")

local M = {}

--- Lines that a hunk brings and lines that it takes away.
---@param text string unified diff
---@return string[] added
---@return string[] removed
---@return table<string, true> joined added lines that stand right below another added one
local function sides(text)
  local added, removed, joined = {}, {}, {}
  local body = text:match("\n(@@ .*)$") or text:match("^(@@ .*)$") or ""
  for line in body:gmatch("[^\n]+") do
    if line:sub(1, 1) == "-" then
      removed[line:sub(2)] = true
    end
  end
  local previous = false
  for line in body:gmatch("[^\n]+") do
    local sign, rest = line:sub(1, 1), line:sub(2)
    if sign == "+" and removed[rest] then
      -- A modification may hold lines of its context on both sides.
      removed[rest], previous = nil, false
    elseif sign == "+" then
      added[#added + 1] = rest
      joined[rest] = previous or nil
      previous = true
    elseif sign == " " then
      previous = false
    end
  end
  return added, vim.tbl_keys(removed), joined
end
M.sides = sides

--- The text of a file as the developer has it: the buffer where there is one, else the file.
---@param world RandomWorld
---@param seen table
---@param file string
---@return string[]|nil
function M.lines(world, seen, file)
  for _, buffer in ipairs(seen.buffers) do
    if buffer.name == world.root .. "/" .. file and buffer.lines then
      return buffer.lines
    end
  end
  local text = t.read(world.root .. "/" .. file)
  return text and project.lines(text)
end

---@param lines string[]
---@return table<string, integer>
local function places(lines)
  local at = {}
  for i, line in ipairs(lines) do
    at[line] = i
  end
  return at
end

---@param hunk table
---@param lines string[]|nil
---@param owned table<string, true> lines of the agent's that the developer made theirs
---@return string|nil problem
local function judge(hunk, lines, owned)
  local decided_in = hunk.state == "accepted" or hunk.state == "modified"
  local at = places(lines or {})
  local added, removed, joined = sides(hunk.state == "modified" and hunk.own or hunk.diff)
  if hunk.said then
    return nil
  elseif not decided_in then
    for _, line in ipairs(added) do
      if at[line] and not owned[line] then
        return ("is %s, and “%s” is in the file"):format(hunk.state, line)
      end
    end
    return nil
  end
  if hunk.kind == "delete" and hunk.state == "accepted" then
    return lines and #lines > 0 and lines[1] ~= "" and "is accepted, and the file is there" or nil
  end
  local previous
  for _, line in ipairs(added) do
    if not at[line] then
      return ("is %s, and “%s” is not in the file"):format(hunk.state, line)
    elseif joined[line] and at[line] ~= previous + 1 then
      return ("is %s, and “%s” stands apart"):format(hunk.state, line)
    end
    previous = at[line]
  end
  for _, line in ipairs(removed) do
    if at[line] then
      return ("is %s, and “%s” is still in the file"):format(hunk.state, line)
    end
  end
end

local KINDS = { text = true, create = true, delete = true }

--- What the review says of its hunks is so.
---@param world RandomWorld
---@param seen table
---@param owned table<string, true>
---@return string|nil problem
function M.problem(world, seen, owned)
  local session = seen.session
  if not session or session.in_place then
    return nil
  end
  for _, hunk in ipairs(session.hunks) do
    if KINDS[hunk.kind] then
      local problem = judge(hunk, M.lines(world, seen, hunk.file), owned)
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
