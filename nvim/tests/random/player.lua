--- Plays steps in a world and looks after each whether everything holds: steps of a generator, or a list.
local hunks = require("random.hunks")
local invariants = require("random.invariants")
local project = require("random.project")
local records = require("random.records")
local steps = require("random.steps")
local worlds = require("random.world")

local M = {}

--- Milliseconds that what is said may take to become true: the review looks at the files after a pause.
local SETTLE_MS = tonumber(vim.env.SUGGESTION_SETTLE_MS) or 6000

---@class RandomFailure
---@field kind string
---@field text string
---@field steps table[]
---@field screen string
---@field record string|nil the end of the applied record
---@field decided string|nil the end of the record of decisions
---@field hunks table[]|nil of the session
---@field files table<string, string[]>|nil the text of the files as the developer has it
---@field events string[] decisions that the server told of, the last ones

---@class RandomResult
---@field played integer
---@field passed_over integer
---@field parted integer|nil the number of the first step that was passed over
---@field places table<string, integer> how often each place was come by
---@field failure RandomFailure|nil

--- What the server tells of decisions, on the suggestion under review if there is one, the last ones, a line each.
---@param world RandomWorld
---@param seen table
---@return string[]
local function events_of(world, seen)
  local out, since = {}, 0
  local id = seen.session and seen.session.id
  while true do
    local page = world:get("/events?since=" .. since)
    if not page or #(page.events or {}) == 0 then
      break
    end
    for _, event in ipairs(page.events) do
      since = event.seq
      local about = event.suggestion_id or event.suggestion and event.suggestion.id
      if not id or about == id then
        out[#out + 1] = ("%d %s %s %s"):format(
          event.seq,
          event.type,
          (event.hunk_id or ""):match(":(.*)$") or "",
          event.action or ""
        )
      end
    end
  end
  return vim.list_slice(out, math.max(1, #out - 60))
end

---@param world RandomWorld
---@param seen table
---@return table<string, string[]>
local function files_of(world, seen)
  local out = {}
  for _, file in ipairs(project.NAMES) do
    out[file] = not seen.blocking and hunks.lines(world, seen, file) or nil
  end
  return out
end

---@param memory RandomMemory
---@param world RandomWorld
---@param step table
---@return { kind: string, text: string }|nil
---@return table seen
local function judge(memory, world, step)
  local seen, violation
  vim.wait(SETTLE_MS, function()
    seen = world:look()
    violation = invariants.check(memory, world, seen, step)
    -- A prompt and a traceback do not become right.
    return not violation or violation.kind == "prompt" or violation.kind == "traceback"
  end, 30)
  return violation, seen
end

---@param plan RandomPlan
---@param choose fun(seen: table, world: RandomWorld, number: integer): table|nil nil ends
---@return RandomResult
function M.play(plan, choose)
  local world = worlds.open(plan)
  local memory = invariants.new()
  local result = { played = 0, passed_over = 0, places = {}, failure = nil }
  local done = {}
  vim.wait(15000, function()
    return world:look().connected
  end, 20)
  -- The terminal here does not answer what Neovim asks it at its start; that is no fault.
  world:ask("probe.forget()")
  local seen = world:look()
  local ok, err = xpcall(function()
    while true do
      local step = choose(seen, world, #done + 1)
      if not step then
        break
      end
      done[#done + 1] = step
      local ran, problem = steps.run(world, step, seen)
      local violation
      if problem then
        violation = { kind = "stuck", text = problem }
      elseif ran then
        violation, seen = judge(memory, world, step)
        result.played = result.played + 1
        result.places[seen.where] = (result.places[seen.where] or 0) + 1
      else
        result.passed_over, result.parted = result.passed_over + 1, result.parted or step.number
      end
      if violation then
        if violation.kind == "prompt" then
          -- What it waits over is in the messages, once it waits no longer.
          world.nvim:type("<CR>")
          vim.wait(2000, function()
            seen = world:look()
            return not seen.blocking
          end, 20)
          violation.text = violation.text .. ": " .. tostring(seen.messages)
        end
        -- While it waits at a prompt Neovim tells nothing; what it drew last does.
        local shown = world.nvim.written:gsub("\27%[[%d;?]*[A-Za-z]", " "):gsub("%c", " "):sub(-3000)
        if not seen.blocking then
          local has, screen = pcall(world.ask, world, "return probe.screen()")
          shown = has and screen or ""
        end
        local state = world.home .. "/.local/state/nvim/suggestion-review"
        result.failure = {
          kind = violation.kind,
          text = violation.text,
          steps = done,
          screen = shown,
          record = records.log(state, "applied"),
          decided = records.log(state, "decisions"),
          hunks = seen.session and seen.session.hunks or nil,
          files = files_of(world, seen),
          events = world.up and events_of(world, seen) or {},
        }
        break
      end
      if not seen.blocking and #seen.messages > 4000 then
        world:ask("probe.forget()")
      end
    end
  end, debug.traceback)
  if not ok then
    result.failure = { kind = "broken", text = tostring(err), steps = done, screen = "", events = {} }
  end
  world:close()
  return result
end

--- Plays what a seed leads to.
---@param seed integer
---@param opts { steps: integer, progress?: fun(number: integer) }
---@return RandomResult
---@return RandomPlan
function M.seed(seed, opts)
  local generator = require("random.generator").new(seed)
  local plan = generator:plan()
  return M.play(plan, function(seen, world, number)
    if number > opts.steps then
      return nil
    elseif opts.progress then
      opts.progress(number)
    end
    return generator:next(seen, world)
  end),
    plan
end

--- Plays a list of steps.
---@param plan RandomPlan
---@param list table[]
---@return RandomResult
function M.list(plan, list)
  return M.play(plan, function(_, _, number)
    return list[number]
  end)
end

return M
