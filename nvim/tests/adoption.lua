--- For specs of adopting: a suggestion published and decided on the real server, a checkout of the developer's own, the
--- plan of its adoption, everything that an adoption could lose, and the recipes of a plan typed into a shell.

local adopt = require("suggestion-review.adopt")
local feedback = require("suggestion-review.decisions.requests")
local plan_text = require("suggestion-review.adopt.plan_text")
local store = require("suggestion-review.model.store")
local t = require("support")
local task = require("suggestion-review.lib.task")

local M = {}

---@param n integer
---@param edits? table<integer, string>
---@return string
function M.lines(n, edits)
  local out = {}
  for i = 1, n do
    out[i] = edits and edits[i] or ("line " .. i)
  end
  return table.concat(out, "\n") .. "\n"
end

---@class Adoption
---@field server Real
---@field base string commit that everything is published on
---@field hub_dir string the hub's directory, which is the agent's
local Adoption = {}
Adoption.__index = Adoption

---@param server Real
---@return Adoption
function M.on(server)
  local self = setmetatable({ server = server }, Adoption)
  self.base = vim.trim(server:git("agent", "rev-parse", "refs/heads/main"))
  self.hub_dir = server.state .. "/git/" .. server.hub:match("([^/]+)$")
  return self
end

--- Publishes `files` on `on` (default: the base) and loads the hunks.
---@param files table<string, string|false>
---@param on? string
---@return string id
function Adoption:publish(files, on)
  self.count = (self.count or 0) + 1
  self.server:jj("new", on or self.base)
  local id = self.server:publish(files, "Change " .. self.count)
  t.wait(function()
    return store.get(id)
  end)
  t.eq(
    t.await(function(callback)
      store.fetch(id, callback)
    end),
    nil
  )
  return id
end

---@param id string
---@param index integer
---@param action string
function Adoption.decide(_, id, index, action)
  local err = t.await(function(callback)
    feedback.decide(id, store.hunks(id)[index], action, nil, callback)
  end)
  t.eq(err, nil)
end

---@param id string
function Adoption.accept_all(_, id)
  local err = t.await(function(callback)
    feedback.batch(id, { scope = { action = "accept" } }, callback)
  end)
  t.eq(err, nil)
end

---@param id string
---@return string commit
function Adoption:finalize(id)
  local answer, status = self.server:http("POST", "/complete", { suggestion_id = id, action = "finalize" })
  t.eq(status, 200, vim.inspect(answer))
  t.wait(function()
    return store.get(id).state == "finalized"
  end)
  return store.get(id).result.commit
end

--- Everything accepted and finalized.
---@param files table<string, string|false>
---@param on? string
---@return string id
---@return string commit
function Adoption:finalized(files, on)
  local id = self:publish(files, on)
  self:accept_all(id)
  return id, self:finalize(id)
end

--- git in the hub, as the agent, whose directory it is.
---@return string
function Adoption:in_hub(...)
  return vim.trim(t.run({ "git", "--git-dir", self.hub_dir, ... }, { env = self.server.environment }))
end

--- A commit in the hub with `files` over the tree of `parents[1]`, made behind everybody's back.
---@param parents string[]
---@param files table<string, string>
---@param subject string
---@return string
function Adoption:commit_in_hub(parents, files, subject)
  local ref = "refs/review/agent-made"
  local stream = {
    ("commit %s\ncommitter Agent <agent@example.org> 1750000000 +0000\ndata %d\n%s\n"):format(
      ref,
      #subject,
      subject
    ),
  }
  for index, parent in ipairs(parents) do
    table.insert(stream, ("%s %s\n"):format(index == 1 and "from" or "merge", parent))
  end
  for path, text in pairs(files) do
    table.insert(stream, ("M 100644 inline %s\ndata %d\n%s\n"):format(path, #text, text))
  end
  t.run(
    { "git", "--git-dir", self.hub_dir, "fast-import", "--quiet", "--force", "--date-format=raw" },
    { env = self.server.environment, stdin = table.concat(stream) }
  )
  local commit = self:in_hub("rev-parse", ref)
  self:in_hub("update-ref", "-d", ref)
  return commit
end

--- The ledger is the agent's: what the server then says of a finalized suggestion.
---@param id string
---@param result SuggestionReview.Result
function Adoption:claim(id, result)
  local script = [[
    const { Database } = require("bun:sqlite");
    const db = new Database(process.argv[1]);
    db.exec("PRAGMA busy_timeout = 5000");
    db.query("UPDATE suggestion SET result = ? WHERE id = ?").run(process.argv[2], process.argv[3]);
  ]]
  local command = { t.program("bun"), "-e", script, self.server.state .. "/ledger.sqlite" }
  vim.list_extend(command, { vim.json.encode(result), id })
  t.run(command, { env = self.server.environment })
  t.eq(
    t.await(function(callback)
      store.fetch(id, callback)
    end),
    nil
  )
  t.eq(store.get(id).result.commit, result.commit)
end

--- Environment in which git may ask the hub, as `npm start` sets it up with a credential helper.
function Adoption:with_token()
  return vim.tbl_extend("force", self.server.environment, {
    GIT_CONFIG_COUNT = "1",
    GIT_CONFIG_KEY_0 = "http.extraHeader",
    GIT_CONFIG_VALUE_0 = "Authorization: Bearer " .. self.server.token,
  })
end

--- A git checkout at the base with the hub as the remote `agent`, as `npm start` sets it up.
---@return string
function Adoption:git_checkout()
  local path = t.tempdir() .. "/checkout"
  local env = self:with_token()
  t.run({ "git", "clone", "--quiet", "--no-tags", "--origin=agent", self.server.hub, path }, { env = env })
  t.run({ "git", "checkout", "--quiet", "-B", "main", self.base }, { cwd = path, env = env })
  self:sh(path, "git config user.name Dev; git config user.email dev@example.org")
  return path
end

--- A jj checkout with an empty working copy on the base.
---@param colocate boolean
---@return string
function Adoption:jj_checkout(colocate)
  local path = t.tempdir() .. "/checkout"
  local kind = colocate and "--colocate" or "--no-colocate"
  local command = { "jj", "git", "clone", "--remote=agent", kind, self.server.hub, path }
  t.run(command, { env = self:with_token() })
  self:sh(path, "jj config set --repo user.name Dev; jj config set --repo user.email dev@example.org")
  self:sh(path, "jj new " .. self.base .. " --quiet")
  return path
end

---@param checkout string
---@param script string
---@return string stdout
function Adoption:sh(checkout, script)
  return t.run({ "sh", "-ec", script }, { cwd = checkout, env = self.server.environment })
end

---@param body fun(): any
---@return any err
---@return any result
function M.run(body)
  local err, result
  local finished = false
  task.run(body, function(e, r)
    err, result, finished = e, r, true
  end)
  t.wait(function()
    return finished
  end, 60000, "the task")
  return err, result
end

---@param id string
---@param checkout string
---@param way? string
---@return SuggestionReview.AdoptPlan
function M.prepare(id, checkout, way)
  local err, plan = M.run(function()
    return adopt.prepare(store.get(id), checkout, way)
  end)
  if err then
    error(vim.inspect(err))
  end
  return plan
end

---@param plan SuggestionReview.AdoptPlan
---@return any err
---@return string[]? remarks
function M.execute(plan)
  return M.run(function()
    return adopt.execute(plan)
  end)
end

---@param plan SuggestionReview.AdoptPlan
---@return string
function M.text(plan)
  return table.concat(plan_text.of(plan), "\n")
end

--- Commands that the plan's window prints below a heading.
---@param plan SuggestionReview.AdoptPlan
---@param heading string
---@return string[]
function M.printed(plan, heading)
  local found, inside = {}, false
  for _, line in ipairs(plan_text.of(plan)) do
    if line == heading then
      inside = true
    elseif inside and line:sub(1, 2) == "  " then
      found[#found + 1] = line:sub(3)
    elseif inside then
      break
    end
  end
  return found
end

--- Types the printed commands into a shell, one after another.
---@param checkout string
---@param commands string[]
---@param stops? fun(command: string, code: integer) called for one that ends with an error; none may if left out
function Adoption:type_in(checkout, commands, stops)
  for _, command in ipairs(commands) do
    local done = vim
      .system({ "sh", "-c", command }, { cwd = checkout, env = self.server.environment })
      :wait(60000)
    if done.code ~= 0 then
      if not stops then
        error(("%s: exit %d\n%s%s"):format(command, done.code, done.stdout, done.stderr))
      end
      stops(command, done.code)
    end
  end
end

--- Everything of a git checkout that could be lost.
---@param checkout string
---@return { head: string, refs: string, index: string, stash: string, files: table<string, string> }
function Adoption:snapshot(checkout)
  local files = {}
  for name, kind in
    vim.fs.dir(checkout, {
      depth = 10,
      skip = function(dir)
        return dir ~= ".git" and dir ~= ".jj"
      end,
    })
  do
    if kind ~= "directory" and name ~= ".git" then
      local path = checkout .. "/" .. name
      local mode = bit.band(assert(vim.uv.fs_lstat(path)).mode, 73)
      files[name] = ("%s %d %s"):format(
        kind,
        mode,
        kind == "link" and vim.uv.fs_readlink(path) or t.read(path)
      )
    end
  end
  return {
    head = self:sh(checkout, "git rev-parse HEAD; git symbolic-ref -q HEAD || true"),
    refs = self:sh(checkout, "git for-each-ref refs/heads refs/tags"),
    index = self:sh(checkout, "git ls-files -s"),
    stash = self:sh(checkout, "git stash list --format=%H"),
    files = files,
  }
end

return M
