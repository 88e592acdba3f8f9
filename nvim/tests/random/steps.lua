--- Carries out one step of a random run. A step is plain data with everything that it needs, so that a list of steps
--- can be kept, shortened and run again; a step whose place on the screen is another is passed over.
local M = {}

--- Steps with which the developer takes away own text: what is gone then was meant to go. Who keeps the file's text in
--- a conflict gives up the version of the hunk that was on its way there.
---@param step table
---@param word string
---@return boolean
function M.takes_away(step, word)
  return step.own == true or step.where == "conflict" and step.keys == "o" and word:find("^said") ~= nil
end

---@param step table
---@return string
function M.line(step)
  return vim.json.encode(step)
end

---@param file string
local function visit(world, file)
  if world:ask("return probe.click_on_file()") then
    return world:type(("<C-\\><C-n>:silent! edit %s<CR>"):format(file))
  end
end

---@type table<string, fun(world: RandomWorld, step: table, seen: table): string|nil>
local run = {}

function run.keys(world, step)
  return world:type(step.keys)
end

function run.visit(world, step, seen)
  if seen.blocking or seen.where == "input" or seen.where == "cmdline" then
    return
  end
  return visit(world, step.file)
end

function run.publish(world, step, seen)
  if not world.up or seen.blocking then
    return
  end
  local change = not step.new and seen.open[1] and seen.open[#seen.open].change or nil
  local problem = world:publish(step, change)
  return problem or world:rest()
end

function run.settle(world)
  if world.up then
    world.server:http("POST", "/settle", { project = world.server.project })
    return world:rest()
  end
end

function run.outside(world, step, seen)
  if seen.blocking then
    return
  end
  -- Under unsaved edits Vim asks which to keep; that question is not the matter here.
  for _, buffer in ipairs(seen.buffers) do
    if buffer.name == world.root .. "/" .. step.file and buffer.modified then
      return
    end
  end
  world:outside(step)
  if not step.unseen then
    world:focus()
  end
  return world:rest()
end

function run.restart(world, step, seen)
  if seen.blocking then
    return
  end
  world:restart(step.how)
  if world.up then
    vim.wait(15000, function()
      local now = world:look()
      return now.blocking or now.connected
    end, 20)
  end
end

function run.server(world, step, seen)
  if step.how == "up" then
    if not seen.blocking then
      world:server_up()
    end
  else
    world:server_down(step.how)
  end
end

--- The developer's branch becomes what others have too.
function run.push(world)
  if world.up then
    vim
      .system({
        require("support").program("git"),
        "-c",
        "http.extraHeader=Authorization: Bearer " .. world.server.token,
        "push",
        "--quiet",
        world.server.hub,
        "HEAD:refs/heads/main",
      }, { cwd = world.root, env = world.server.environment })
      :wait(20000)
    world.server:http("POST", "/settle", { project = world.server.project })
    return world:rest()
  end
end

--- Runs a step.
---@param world RandomWorld
---@param step table
---@param seen table what was looked at before it
---@return boolean ran
---@return string|nil problem
function M.run(world, step, seen)
  if step.where and step.where ~= seen.where then
    return false
  end
  return true, run[step.op](world, step, seen)
end

return M
