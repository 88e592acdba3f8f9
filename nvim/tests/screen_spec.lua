-- luacheck: read globals t describe it before_each after_each pending
--- The terminal that the tests of screens look at: a Neovim in it that waits for somebody keeps no test waiting.

local screen = require("screen")
if not screen.available() then
  pending("a screen", "needs tmux")
  return
end

describe("a screen whose Neovim shows a prompt", function()
  it("fails what is asked of it, with the prompt that is seen", function()
    local s = screen.start({ cwd = t.tempdir(), init = "" })
    for _, case in ipairs({
      { command = [[:for i in range(99) | echo i | endfor]], prompt = "-- More --" },
      { command = [[:echo "one\ntwo"]], prompt = "Press ENTER" },
    }) do
      s:text(case.command)
      s:type("Enter")
      s:wait(case.prompt, true)
      for _, ask in ipairs({ s.lua, s.wait_lua }) do
        local ok, message = pcall(ask, s, "return true")
        t.eq(ok, false, case.prompt)
        t.match(message, "Neovim waits at a prompt")
        t.ok(message:find(case.prompt, 1, true), message)
      end
      s:type("q")
      t.eq(s:lua("return 1"), 1)
    end
    s:stop()
  end)
end)
