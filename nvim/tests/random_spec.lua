--- A random editor: a real Neovim in a terminal, driven by keys that a seed chooses, against the real server, jj and
--- git. After every step must hold what `random/invariants.lua` says. A failure prints the shortest list of steps
--- and how to play it again. Without more being said a few fixed seeds are played, so that a run does not go red by
--- chance; SUGGESTION_LONG=1 plays ten of 3000 steps each, SUGGESTION_SEED=random one that nobody has played.
---   nvim --clean --headless -l nvim/tests/run.lua random_spec --seed=N [--steps=N]
---   nvim --clean --headless -l nvim/tests/run.lua random_spec --replay=FILE
local player = require("random.player")
local real = require("real")
local shrink = require("random.shrink")

if not real.available() then
  pending("a random editor", "needs Bun and jj")
  return
end

--- Seeds of the short form, of the long form, and how many steps each plays. Those of the long form have both checkouts
--- with one user and with two, and all styles with both.
local SHORT, SHORT_STEPS = { 1, 2, 8 }, 120
local LONG, LONG_STEPS = { 1, 2, 3, 4, 6, 8, 17, 19, 34, 38 }, 3000

--- Tries at making a failure shorter, and milliseconds for all of them in the short form: one that fails by waiting in
--- vain takes long to fail, and what is said at the end of the test must come.
local TRIES, TRIES_MS = tonumber(vim.env.SUGGESTION_TRIES) or 60, 4 * 60 * 1000

---@param text string
local function say(text)
  io.write("    " .. text .. "\n")
  io.flush()
end

---@param plan RandomPlan
---@param steps table[]
---@param name string
---@return string path
local function keep(plan, steps, name)
  local path =
    vim.fs.joinpath(vim.uv.os_tmpdir(), ("random-steps-%d-%s.jsonl"):format(vim.uv.os_getpid(), name))
  local lines = { vim.json.encode({ plan = plan }) }
  for _, step in ipairs(steps) do
    lines[#lines + 1] = vim.json.encode(step)
  end
  t.write(path, table.concat(lines, "\n") .. "\n")
  return path
end

---@param name string
---@param plan RandomPlan
---@param failure RandomFailure
---@param until_ms number|nil by `vim.uv.now`, when the last try may begin
local function fail(name, plan, failure, until_ms)
  say(("%s: %s: %s"):format(name, failure.kind, failure.text))
  say("kept whole in " .. keep(plan, failure.steps, "whole"))
  local last = failure
  local steps = TRIES == 0 and failure.steps
    or shrink.shorten(
      failure.steps,
      function(list)
        if until_ms and vim.uv.now() > until_ms then
          return false
        end
        local again = player.list(plan, list).failure
        if again and again.kind == failure.kind then
          last = again
          return true
        end
        return false
      end,
      TRIES,
      function(list, left)
        keep(plan, list, "short")
        say(("%d steps, %d tries left"):format(#list, left))
      end
    )
  local lines = {}
  for i, step in ipairs(steps) do
    lines[i] = vim.json.encode(step)
  end
  error(
    ("%s: %s\n%s\nplan %s\n%d steps, in %s:\n%s\n%s"):format(
      failure.kind,
      last.text,
      name,
      vim.json.encode(plan),
      #steps,
      keep(plan, steps, "short"),
      #lines > 60 and "(many)" or table.concat(lines, "\n"),
      table.concat({
        last.screen,
        "the applied record: " .. (last.record or ""),
        "the record of decisions: " .. (last.decided or ""),
        "hunks: " .. vim.inspect(last.hunks),
        "files: " .. vim.inspect(last.files),
        "events: " .. table.concat(last.events, "\n"),
      }, "\n\n")
    ),
    0
  )
end

---@param seed integer
---@param opts table
local function play(seed, opts)
  local result, plan = player.seed(
    seed,
    vim.tbl_extend("error", opts, {
      progress = function(number)
        if number % 250 == 0 then
          say(("seed %d: %d steps"):format(seed, number))
        end
      end,
    })
  )
  local places = {}
  for place, count in vim.spairs(result.places) do
    places[#places + 1] = ("%s %d"):format(place, count)
  end
  say(
    ("seed %d (%s, %d user%s, %s): %d steps; %s"):format(
      seed,
      plan.checkout,
      plan.users,
      plan.users == 1 and "" or "s",
      plan.style,
      result.played,
      table.concat(places, ", ")
    )
  )
  if result.failure then
    fail("seed " .. seed, plan, result.failure, opts.steps <= SHORT_STEPS and vim.uv.now() + TRIES_MS or nil)
  end
  t.ok(result.played > 0, "no step was played")
end

---@param path string
---@return RandomPlan
---@return table[] steps
local function read(path)
  local plan, steps = nil, {}
  for line in t.read(path):gmatch("[^\n]+") do
    local one = vim.json.decode(line)
    if one.plan then
      plan = one.plan
    else
      steps[#steps + 1] = one
    end
  end
  return plan, steps
end

--- Seeds that are played and how many steps.
---@return integer[]
---@return integer
local function chosen()
  local asked = vim.env.SUGGESTION_SEED
  local steps = tonumber(vim.env.SUGGESTION_STEPS)
  if asked == "random" then
    return { vim.uv.hrtime() % 1000000 }, steps or LONG_STEPS
  elseif asked then
    local seed = assert(tonumber(asked), "SUGGESTION_SEED is not a number, nor `random`: " .. asked)
    return { seed }, steps or LONG_STEPS
  elseif vim.env.SUGGESTION_LONG then
    return LONG, steps or LONG_STEPS
  end
  return SHORT, steps or SHORT_STEPS
end

describe("a random editor", function()
  if vim.env.SUGGESTION_REPLAY then
    it("plays a list of steps", function()
      t.needs(24 * 60 * 60 * 1000, "a list that somebody kept is as long as it is")
      local plan, steps = read(vim.env.SUGGESTION_REPLAY)
      local result = player.list(plan, steps)
      say(("%d steps, %d passed over, the first %s"):format(result.played, result.passed_over, result.parted))
      if result.failure then
        fail("replay", plan, result.failure)
      end
    end)
    return
  end
  local seeds, steps = chosen()
  for _, seed in ipairs(seeds) do
    it(("keeps what must hold: seed %d, %d steps"):format(seed, steps), function()
      local asked = steps > SHORT_STEPS
      t.needs(
        asked and 24 * 60 * 60 * 1000 or 10 * 60 * 1000,
        asked and "as many steps as were asked for" or "a failure is shortened, which takes many tries"
      )
      play(seed, { steps = steps })
    end)
  end
end)
