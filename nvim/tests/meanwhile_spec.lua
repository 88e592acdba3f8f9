-- luacheck: read globals t describe it before_each after_each pending
--- What the developer does to a file between the plan of a change and the change itself. A batch is planned as a whole,
--- and one file of it may have to wait for the server while the others are planned already.

local real = require("real")
if not real.available() then
  pending("between plan and change", "the server's programs are not provisioned")
  return
end

local adoption = require("adoption")
local apply = require("suggestion-review.apply")
local store = require("suggestion-review.model.store")

vim.env.PATH = t.root .. "/.tools/bin:" .. vim.env.PATH
vim.notify = function() end

local PICTURE = "\0picture\n"
local server = real.start({
  ["gone.txt"] = "one\ntwo\nthree\n",
  ["old.txt"] = adoption.lines(20),
  ["picture.bin"] = PICTURE,
  ["lost.bin"] = PICTURE,
})
server:connect()
local on = adoption.on(server)
local id = on:publish({
  ["gone.txt"] = false,
  ["old.txt"] = false,
  ["new.txt"] = adoption.lines(20),
  ["picture.bin"] = "\0another\n",
  ["lost.bin"] = false,
  ["made.txt"] = "made\n",
})

--- Plans that every hunk comes in, lets the developer work, and carries the plans out.
---@param work fun(checkout: string)
---@return string checkout
---@return string reasons of what was not done
local function accept_while(work)
  local checkout = on:git_checkout()
  local suggestion = store.get(id) --[[@as SuggestionReview.Suggestion]]
  local root = assert(vim.uv.fs_realpath(checkout))
  local place = {
    suggestion = suggestion,
    root = root,
    git_root = root,
    in_place = false,
    applied = require("suggestion-review.apply.applied").open(root),
  }
  local wants = {}
  for i, hunk in ipairs(store.hunks(id)) do
    wants[i] = { hunk = hunk, state = "accepted" }
  end
  local plans, items = t.await(function(callback)
    apply.plan(place, wants, callback)
  end)
  for _, item in ipairs(items) do
    t.eq(item.status, "clean", item.hunk.file .. ": " .. tostring(item.reason))
  end
  work(checkout)
  local reasons = {}
  for _, problem in ipairs(apply.run(plans)) do
    reasons[#reasons + 1] = problem.plan.file .. ": " .. problem.reason
  end
  table.sort(reasons)
  return checkout, table.concat(reasons, "\n")
end

describe("A6: between the plan and the change", function()
  it("A6: nobody works: all of it is done", function()
    local checkout, reasons = accept_while(function() end)
    t.eq(reasons, "")
    t.eq(on:sh(checkout, "ls"), "made.txt\nnew.txt\npicture.bin\n")
  end)

  local WORK = {
    ["gone.txt"] = "one\ntwo\nmine\n",
    ["new.txt"] = "mine\n",
    ["picture.bin"] = "\0mine\n",
    ["lost.bin"] = "\0mine\n",
    ["made.txt"] = "mine\n",
  }
  for path, text in pairs(WORK) do
    it(("A6: what the developer wrote to %s stays"):format(path), function()
      local checkout, reasons = accept_while(function(checkout)
        t.write(checkout .. "/" .. path, text)
      end)
      t.eq(t.read(checkout .. "/" .. path), text)
      t.ok(reasons ~= "" and not reasons:find("\n"), reasons)
      if path == "new.txt" then
        t.eq(t.read(checkout .. "/old.txt"), adoption.lines(20))
      end
    end)
  end
end)
