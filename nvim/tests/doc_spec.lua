-- luacheck: read globals t describe it before_each after_each pending
--- The help says all there is, and nothing that is not.

local text = t.read(t.root .. "/nvim/doc/suggestion-review.txt")

describe("the help", function()
  it("has no broken and no double tags", function()
    local copy = t.tempdir()
    t.write(copy .. "/suggestion-review.txt", text)
    vim.cmd.helptags(copy)
    local tags = {}
    for line in io.lines(copy .. "/tags") do
      tags[line:match("^[^\t]+")] = true
    end
    for tag in text:gmatch("|([%w%-_%.:<>()]+)|") do
      local own = tag:find("suggestion%-review") or tag:find("^:Suggest")
      if own then
        t.ok(tags[tag], tag .. " leads nowhere")
      end
    end
    for line in vim.gsplit(text, "\n") do
      t.ok(vim.fn.strdisplaywidth(line) <= 80, line)
    end
  end)

  it("names every subcommand", function()
    local command = require("suggestion-review.command")
    for _, name in ipairs(command.names()) do
      t.ok(text:find("*:Suggest-" .. name .. "*", 1, true), name)
      t.ok(command.get(name).text ~= "")
    end
    for name in text:gmatch("%*:Suggest%-([%w_]+)%*") do
      t.ok(command.get(name), name)
    end
  end)

  it("names every key of the review with its default", function()
    for _, key in ipairs(require("suggestion-review.ui.keys").list) do
      local line = text:match(("\n    %s +%s +([^\n]+)"):format(vim.pesc(key.default), key.name))
      t.ok(line, key.name)
    end
  end)

  it("names every <Plug> map", function()
    vim.cmd.source(t.root .. "/nvim/plugin/suggestion-review.lua")
    local count = 0
    for _, map in ipairs(vim.api.nvim_get_keymap("n")) do
      local name = map.lhs:match("^<Plug>%(suggestion%-review%-(.*)%)$")
      if name then
        count = count + 1
        t.ok(text:find("`" .. name .. "`", 1, true), name)
      end
    end
    t.ok(count > 30)
    -- Each key of the review has one.
    for _, key in ipairs(require("suggestion-review.ui.keys").list) do
      local name = key.name:gsub("_in_file$", "_hunk"):gsub("_", "-")
      t.ok(vim.fn.maparg(("<Plug>(suggestion-review-%s)"):format(name), "n") ~= "", name)
    end
  end)

  it("names every setting with its default", function()
    local block = text:match('require%("suggestion%-review"%)%.setup%({(.-)\n    }%)')
    local shown = assert(loadstring("return {" .. block .. "\n}"))()
    local defaults = require("suggestion-review.config").defaults()
    t.eq(shown, defaults)
  end)

  it("names every event", function()
    for _, pattern in pairs(require("suggestion-review.watch.announce").patterns) do
      t.ok(text:find(pattern, 1, true), pattern)
    end
    for _, pattern in pairs(require("suggestion-review.watch.asks").patterns) do
      t.ok(text:find(pattern, 1, true), pattern)
    end
    t.ok(text:find("SuggestionAdopted", 1, true))
  end)

  it("names every public function", function()
    local section = text:match("%*suggestion%-review%-lua%*(.-)\n====")
    for name in pairs(require("suggestion-review")) do
      local internal = name == "auto_connect" or name:find("_gap") or name:find("_gaps")
      if not internal then
        t.ok(section:find(name, 1, true), name)
      end
    end
  end)

  it("names every highlight group", function()
    require("suggestion-review.ui.highlights").ensure()
    for _, name in ipairs(vim.fn.getcompletion("SuggestionReview", "highlight")) do
      t.ok(text:find(name, 1, true), name)
    end
  end)
end)
