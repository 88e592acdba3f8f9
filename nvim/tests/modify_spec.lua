-- luacheck: read globals t describe it before_each after_each pending
--- A hunk that was modified before opens for editing as it was left.

local diff = require("suggestion-review.text.diff")
local modify = require("suggestion-review.ui.modify")
local build = require("suggestion")

---@param base string
---@param proposed string
---@param edited_diff fun(hunk: table): string
---@return string[] lines of the editor
local function opened(base, proposed, edited_diff)
  local hunk = build.build({ ["a.txt"] = base }, { ["a.txt"] = proposed }).hunks[1]
  hunk.state = "modified"
  hunk.decision = { by = "developer", at = "", modified_diff = edited_diff(hunk) }
  modify.open(hunk, assert(diff.text_of(hunk)), edited_diff(hunk), function() end)
  local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
  vim.cmd("close!")
  return lines
end

describe("a modified hunk opens as it was left", function()
  it("with the context that it has", function()
    local lines = opened("a\nb\nc\n", "a\nB\nc\n", function()
      return "@@ -1,3 +1,4 @@\n a\n-b\n+own\n+words\n c\n"
    end)
    t.eq(lines, { "a", "own", "words", "c" })
  end)

  it("where the file is not UTF-8", function()
    local lines = opened("na\239ve\nx\n", "na\239f\nx\n", function(hunk)
      t.eq(hunk.encoding, "latin1")
      return "@@ -1,2 +1,2 @@\n-naïve\n+naïveté\n x\n"
    end)
    t.eq(lines, { "na\239vet\233", "x" })
  end)

  it("where another client sent it with file headers in front and an empty line behind", function()
    local lines = opened("a\nb\nc\n", "a\nB\nc\n", function()
      return "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-b\n+own\n\n"
    end)
    t.eq(lines, { "a", "own", "c" })
  end)
end)

describe("the window of a hunk that is edited", function()
  it("shows nothing else: a file that is opened where Vim put the cursor does not take its place", function()
    local hunk = build.build({ ["a.txt"] = "a\nb\nc\n" }, { ["a.txt"] = "a\nB\nc\n" }).hunks[1]
    local other = t.tempdir() .. "/other.txt"
    t.write(other, "other\n")
    modify.open(hunk, assert(diff.text_of(hunk)), "a key", function() end)
    local win, buf = vim.api.nvim_get_current_win(), vim.api.nvim_get_current_buf()
    vim.api.nvim_buf_set_lines(buf, 1, 2, false, { "mine" })
    local ok, message = pcall(vim.cmd.edit, other)
    t.ok(not ok)
    t.match(message, "E1513")
    t.eq(vim.api.nvim_win_get_buf(win), buf)
    t.eq(vim.api.nvim_buf_get_lines(buf, 0, -1, false), { "a", "mine", "c" })
    vim.cmd("quit!")
    t.eq(vim.api.nvim_win_is_valid(win), false)
  end)
end)
