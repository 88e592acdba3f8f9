-- luacheck: read globals t describe it before_each after_each pending
-- luacheck: ignore 122
--- Why a hunk is there: what is said of an answer, and the window that opens before there is one.

local real = require("real")
local why_lines = require("suggestion-review.text.why_lines")
if not real.available() then
  pending("why", "bun, git or jj is not provisioned")
  return
end

local function call(more)
  return vim.tbl_extend("force", {
    call_id = "ses_1/call_1",
    session_id = "ses_1",
    root_session_id = "ses_1",
    session_title = "A title",
    tool = "edit",
    summary = "a.txt",
    began_at = "2026-01-02T03:04:05.678Z",
    added = 2,
    removed = 1,
    prompt = "Do it\nwell",
    words = "I do it.",
  }, more or {})
end

local function answer(more)
  return vim.tbl_extend("force", { lines = {}, whole = {}, calls = {}, tests = {} }, more)
end

describe("the lines", function()
  it("say of each call when, what, how much, for whom and in what words; a prompt is said once", function()
    local second =
      call({ call_id = "ses_1/call_2", tool = "bash", summary = "make x", exit_code = 2, added = 0 })
    local made = why_lines.of(answer({ calls = { call(), second } }), 80)
    t.eq(made.lines, {
      "  03:04:05  edit a.txt  +2 −1",
      "      session  A title",
      "      prompt   Do it",
      "               well",
      "      said     I do it.",
      "  03:04:05  bash make x  −1  exit 2",
      "      said     I do it.",
    })
    t.eq(made.calls[4].call_id, "ses_1/call_1")
    t.eq(made.calls[6].call_id, "ses_1/call_2")
  end)

  it("say what no call explains, and how the tests after it ended", function()
    local made = why_lines.of(
      answer({
        lines = {
          { side = "added", start = 1, count = 2, origin = "outside" },
          { side = "removed", start = 1, count = 1, origin = "unknown" },
          { side = "added", start = 3, count = 1, origin = "several" },
        },
        tests = {
          { command = "npm test", began_at = "2026-01-02T03:05:00.000Z", exit_code = 0 },
          { command = "npm test", began_at = "2026-01-02T03:06:00.000Z", exit_code = 1 },
          { command = "npm test", began_at = "2026-01-02T03:07:00.000Z" },
        },
      }),
      80
    )
    t.eq(made.lines, {
      "  1 line by one of several calls; which one cannot be said",
      "  2 lines by no call: changed between two of them",
      "  1 line not seen: nothing is known of how it came to be",
      "",
      "  Tests after it:",
      "  03:05:00  ✔ passed  npm test",
      "  03:06:00  ✘ exit 1  npm test",
      "  03:07:00  ? stopped  npm test",
    })
    local whole = why_lines.of(answer({ whole = { { origin = "unknown" } } }), 80)
    t.eq(whole.lines, { "  This change: not seen: nothing is known of how it came to be" })
  end)

  it("show what would move the cursor or turn the text around", function()
    local odd = "left\u{202e}right\27[2J"
    local made = why_lines.of(
      answer({
        calls = { call({ tool = odd, summary = odd, prompt = odd, words = odd, session_title = odd }) },
      }),
      80
    )
    for _, line in ipairs(made.lines) do
      t.eq(line:find("[%z\1-\31]"), nil)
      t.eq(line:find("\u{202e}", 1, true), nil)
    end
    t.ok(made.lines[1]:find("left<202e>right<1b>[2J", 1, true))
  end)

  it("keep the first lines of a long text, as wide as there is room", function()
    local made = why_lines.of(answer({ calls = { call({ prompt = ("word "):rep(200) }) } }), 60)
    t.eq(#made.lines, 6)
    for _, line in ipairs(made.lines) do
      t.ok(vim.api.nvim_strwidth(line) <= 60, line)
    end
  end)
end)

describe("the window", function()
  local review = require("suggestion-review")
  local server, id
  before_each(function()
    server = real.start({ ["a.txt"] = "one\ntwo\n" })
    id = server:publish({ ["a.txt"] = "one\n2\n" }, "A number")
    vim.cmd.cd(server.checkout)
    review.setup(server:settings())
    review.connect()
    t.wait(function()
      return review.client.state().state == "connected" and review.store.get(id)
    end, 15000, "the suggestion")
    review.open(id)
    t.wait(review.is_open, 15000, "the review")
  end)
  after_each(function()
    require("suggestion-review.ui.popup").close_all()
    review.close()
    review.disconnect()
  end)

  local function text()
    return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
  end

  local plain_select = vim.ui.select
  after_each(function()
    vim.ui.select = plain_select
  end)

  it("is there before the answer, in each style, and closes by q", function()
    vim.ui.select = function() end
    for _, style in ipairs({ "floating", "inline", "picker" }) do
      review.set_style(style)
      review.why()
      t.eq(vim.bo.filetype, "suggestion-why")
      t.ok(text():find("is asked", 1, true))
      t.wait(function()
        return text():find("2 lines not seen", 1, true)
      end, 15000, "the answer in " .. style)
      vim.api.nvim_feedkeys("q", "x", false)
      t.ok(vim.bo.filetype ~= "suggestion-why")
    end
  end)

  it("says why there is no answer, and stands an answer that comes when it is closed", function()
    review.why()
    vim.api.nvim_feedkeys("q", "x", false)
    server:stop()
    t.wait(function()
      return review.client.state().state ~= "connected"
    end, 15000, "the end of the connection")
    review.why()
    t.eq(vim.bo.filetype, "suggestion-why")
  end)
end)
