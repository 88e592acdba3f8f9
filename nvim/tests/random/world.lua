--- The real parts of a random run: server, agent's jj repository, the developer's checkout, Neovim in a terminal. Each
--- function here is something that a person, the agent or another process does.
local driven = require("random.driven")
local project = require("random.project")
local real = require("real")
local t = require("support")

local M = {}

---@class RandomWorld
---@field plan RandomPlan
---@field server Real
---@field driven RandomDriven
---@field nvim Child
---@field pid integer of the Neovim that is driven
---@field root string the checkout
---@field home string
---@field up boolean the server runs
---@field unseen table<string, true> files that were changed from outside while the editor had no reason to look
---@field started integer[] process numbers of Neovims that were started
local World = {}
World.__index = World

---@class RandomPlan
---@field checkout "git"|"jj"
---@field users 1|2
---@field style "floating"|"inline"|"picker"

---@param plan RandomPlan
---@return RandomWorld
function M.open(plan)
  local files = {}
  for file in pairs(project.FILES) do
    files[file] = project.text(project.base(file))
  end
  local self = setmetatable({ plan = plan, up = true, unseen = {} }, World)
  self.server = real.start(files)
  self.root = plan.users == 1 and self.server.agent or self.server.checkout
  if plan.checkout == "jj" and plan.users == 2 then
    t.run({ t.program("jj"), "git", "init", "--colocate", "." }, {
      cwd = self.root,
      env = self.server.environment,
    })
  end
  self.home = t.tempdir()
  vim.fn.mkdir(self.home .. "/tmp", "p")
  self:start()
  return self
end

--- Lua of the developer's configuration.
---@return string
function World:_init()
  local settings = self.server:settings()
  settings.server.root = self.root
  settings.ui = { style = self.plan.style }
  return ([[
    vim.g.mapleader = " "
    vim.o.swapfile, vim.o.shada, vim.o.autoread, vim.o.hidden = true, "", true, true
    vim.o.timeout = false
    vim.o.undolevels = 100000
    vim.g.suggestion_review = %s
    _G.probe = dofile(%q)
  ]]):format(vim.inspect(settings), t.root .. "/nvim/tests/random/probe.lua")
end

function World:start()
  self.driven = driven.start({
    ui = true,
    cwd = self.root,
    home = self.home,
    args = { "a.txt" },
    init = self:_init(),
    env = vim.tbl_extend("force", self.server.environment, {
      HOME = self.home,
      XDG_CONFIG_HOME = self.home .. "/.config",
      TMPDIR = self.home .. "/tmp",
      JJ_USER = "Dev",
      JJ_EMAIL = "dev@example.org",
    }),
  }, function()
    return self.up
  end, function()
    return (self:get("/health") or {}).last_seq
  end)
  self.nvim, self.pid = self.driven.nvim, self.driven.pid
end

--- Kills Neovim while it is certain that its number is its own: the process that has the buffers, whose terminal is
--- another's and ends with it.
function World:_kill()
  if self.nvim.job and vim.fn.jobwait({ self.nvim.job }, 0)[1] == -1 then
    vim.uv.kill(self.pid, "sigkill")
  end
end

--- Waits until a process has ended, whether or not anybody has asked for its end.
---@param pid integer
local function ended(pid)
  t.wait(function()
    local stat = io.open(("/proc/%d/stat"):format(pid))
    local state = stat and stat:read("*a"):match("^.*%) (%a)") or "Z"
    if stat then
      stat:close()
    end
    return state == "Z"
  end, 30000, "the end of Neovim")
end

--- Neovim ends as a person ends it, or is killed.
---@param how "quit"|"kill"
function World:restart(how)
  if how == "kill" then
    self:_kill()
  else
    pcall(vim.rpcrequest, self.nvim.channel, "nvim_command", "silent! wall! | qall!")
  end
  vim.fn.jobwait({ self.nvim.job }, 10000)
  -- Its end takes its socket away, which must not be the next one's.
  ended(self.pid)
  pcall(vim.fn.chanclose, self.nvim.channel)
  self.nvim.job = nil
  self.unseen = {}
  vim.fn.delete(self.home .. "/nvim.sock")
  if how == "kill" then
    -- What the developer does about the swap files of a Neovim that is gone is not the matter here.
    vim.fn.delete(self.home .. "/.local/state/nvim/swap", "rf")
  end
  self:start()
end

---@param code string
---@return any value
---@return table|nil asks
function World:ask(code, ...)
  return self.driven:ask(code, ...)
end

---@return table
function World:look()
  return self.driven:look()
end

---@param keys string
---@return string|nil problem
function World:type(keys)
  return self.driven:type(keys)
end

---@return string|nil problem
function World:rest()
  return self.driven:rest()
end

--- A GET without a process of its own.
---@param path string
---@return table|nil
function World:get(path)
  if not self.up then
    return nil
  end
  local socket, out, done = assert(vim.uv.new_tcp()), {}, false
  socket:connect("127.0.0.1", self.server.port, function(err)
    if err then
      done = true
      return
    end
    socket:read_start(function(_, data)
      if data then
        out[#out + 1] = data
      else
        done = true
      end
    end)
    socket:write(
      ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n"):format(
        path,
        self.server.port,
        self.server.token
      )
    )
  end)
  vim.wait(10000, function()
    return done
  end, 1)
  socket:close()
  local head, body = table.concat(out):match("^(.-)\r\n\r\n(.*)$")
  if not head or not head:match("^HTTP/1.1 200") then
    return nil
  end
  return vim.json.decode(body, { luanil = { object = true, array = true } })
end

--- Messages of all commits of the shared repository; a finalized suggestion is one.
---@return string
function World:messages()
  local hub = vim.fn.glob(self.server.state .. "/git/*.git", true, true)[1]
  return vim
    .system({ t.program("git"), "--git-dir", hub, "log", "--all", "--format=%B" }, {
      cwd = self.home,
      env = self.server.environment,
    })
    :wait(20000).stdout or ""
end

--- Text of a file in a commit of the agent's repository, as lines; nil where there is none.
---@param commit string
---@param file string
---@return string[]|nil
function World:committed(commit, file)
  local result = vim
    .system({ t.program("git"), "show", commit .. ":" .. file }, {
      cwd = self.server.agent,
      env = self.server.environment,
      clear_env = false,
    })
    :wait(20000)
  return result.code == 0 and project.lines(result.stdout) or nil
end

--- One user: the agent changes its own lines in files that the developer edits as well, whose lines it leaves.
---@param files table<string, string>
function World:_beside_the_developer(files)
  self.written = self.written or {}
  for file, text in pairs(files) do
    local path = self.root .. "/" .. file
    local now, before = t.read(path), self.written[file] or project.text(project.base(file))
    self.written[file] = text
    if now and now ~= before then
      local names = {}
      for i, side in ipairs({ now, before, text }) do
        names[i] = ("%s/merge-%d"):format(self.home, i)
        t.write(names[i], side)
      end
      files[file] = vim
        .system({ t.program("git"), "merge-file", "-p", "--union", unpack(names) }, { cwd = self.home })
        :wait(20000).stdout
      -- An agent on an older base than the file was written on last would take the developer's lines for its own.
      for word in now:gmatch("mine%d+%.") do
        if files[file] and not files[file]:find(word, 1, true) then
          files[file], self.written[file] = now, before
        end
      end
    end
  end
end

--- The agent publishes: a new suggestion, or the open one again.
---@param step table slots = { { file, slot, version } … }, created = { { file, version } … }, deleted = { file … }
---@param change string|nil
---@return string|nil problem
function World:publish(step, change)
  local base = "main"
  if change then
    base = vim.trim(self.server:jj("log", "--no-graph", "-r", change .. "-", "-T", "commit_id"))
  end
  -- Two suggestions never propose the same text.
  self.ordinals = self.ordinals or {}
  local ordinal = change and self.ordinals[change] or step.number
  local versions, files = {}, {}
  for _, slot in ipairs(step.slots) do
    versions[slot[1]] = versions[slot[1]] or {}
    versions[slot[1]][slot[2]] = ordinal * 10000 + slot[3]
  end
  for file in pairs(project.FILES) do
    local lines = self:committed(base, file)
    files[file] = lines and project.text(project.variant(file, lines, versions[file] or {})) or nil
  end
  if self.plan.users == 1 then
    self:_beside_the_developer(files)
  end
  for _, created in ipairs(step.created) do
    files[created[1]] = project.text(project.created(created[1], ordinal * 10000 + created[2]))
  end
  for _, file in ipairs(step.deleted) do
    -- Nor does an agent in the developer's own directory take away a file with the developer's lines.
    local shared = self.plan.users == 1 and t.read(self.root .. "/" .. file) or ""
    if files[file] and not shared:find("mine%d+%.") then
      files[file] = false
    end
  end
  for _, file in ipairs(self.plan.users == 1 and project.NAMES or {}) do
    -- What it proposes next begins on another commit, which has not every file that it made before.
    local shared = t.read(self.root .. "/" .. file) or ""
    for word in shared:gmatch("mine%d+%.") do
      if not (files[file] or ""):find(word, 1, true) then
        files[file] = shared
      end
    end
  end
  local ok, err = pcall(self.server.publish, self.server, files, "Random " .. step.number, change or "new")
  -- The agent may have nothing to publish, or its change may have become part of the shared branch.
  if
    not ok
    and not tostring(err):find("immutable")
    and not tostring(err):find("empty")
    and not tostring(err):find("nothing", 1, true)
  then
    return "publish: " .. tostring(err)
  elseif ok then
    local whole = self:get("/suggestions/" .. err)
    if whole then
      self.ordinals[whole.jj_change_id] = ordinal
    end
  end
end

--- Another process of the developer's writes a file.
---@param step table
function World:outside(step)
  local path = self.root .. "/" .. step.file
  local text = t.read(path)
  self.unseen[step.file] = true
  if step.how == "checkout" then
    vim
      .system({ t.program("git"), "checkout", "--", step.file }, {
        cwd = self.root,
        env = self.server.environment,
      })
      :wait(20000)
  elseif step.how == "delete" then
    os.remove(path)
  elseif text then
    local lines = project.lines(text)
    local at = math.min(step.line, #lines + 1)
    if step.how == "replace" and lines[at] then
      lines[at] = ("mine%d. outside"):format(step.token)
    else
      table.insert(lines, at, ("mine%d. outside"):format(step.token))
    end
    t.write(path, project.text(lines))
  end
end

--- Neovim looks at its files, as when its window gets the focus; but at none with unsaved edits, which stays unseen.
function World:focus()
  local unsaved = self:ask([[
    -- A file that changed under unsaved edits is a question of Vim's own, which the developer brought about.
    local unsaved = {}
    vim.cmd("silent! doautocmd <nomodeline> FocusGained")
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      if vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].buftype == "" then
        if vim.bo[buf].modified then
          unsaved[vim.api.nvim_buf_get_name(buf)] = true
        else
          vim.cmd("silent! checktime " .. buf)
        end
      end
    end
    return next(unsaved) and unsaved or nil
  ]])
  for file in pairs(self.unseen) do
    self.unseen[file] = unsaved and unsaved[self.root .. "/" .. file] or nil
  end
end

function World:server_down(signal)
  if self.up then
    self.server:stop(signal)
    self.up = false
  end
end

function World:server_up()
  if not self.up then
    self.server:serve()
    self.up = true
    self:ask("vim.cmd('Suggest connect')")
    vim.wait(15000, function()
      local seen = self:look()
      return seen.blocking or seen.connected
    end, 20)
  end
end

function World:close()
  self:_kill()
  self.nvim:stop()
  self.server:stop("sigkill")
end

return M
