--- What a real language server is told of files that a review renames, writes and removes.
local fileop = require("suggestion-review.worktree.whole_file")
local document = require("suggestion-review.worktree.document")

local TEXT = "return 1\n"
local server = vim.fs.dirname(t.spec) .. "/fixtures/language-server.mjs"

local root, log, client

--- What the server was told, without what is of no interest here.
---@return table[]
local function told()
  local out = {}
  for line in (t.read(log) or ""):gmatch("[^\n]+") do
    local message = vim.json.decode(line)
    if message.method:find("^textDocument/") or message.method:find("Files$") then
      out[#out + 1] = message
    end
  end
  return out
end

--- Waits until the server was told as many things, and gives them as short words.
---@param count integer
---@return string[]
local function words(count)
  t.wait(function()
    return #told() >= count
  end, 10000, count .. " messages")
  return vim.tbl_map(function(message)
    local params = message.params
    local file = params.files and params.files[1] or params.textDocument
    local function short(uri)
      return uri and uri:sub(#vim.uri_from_fname(root) + 2)
    end
    return vim.trim(
      ("%s %s %s"):format(
        message.method:match("/(.*)"),
        short(file.uri or file.oldUri),
        short(file.newUri) or ""
      )
    )
  end, told())
end

---@param path string
---@return integer buf attached
local function open(path)
  vim.cmd("silent edit " .. root .. "/" .. path)
  vim.bo.filetype = "lua"
  local buf = vim.api.nvim_get_current_buf()
  client = t.ok(vim.lsp.start({ name = "scribe", cmd = { "node", server, log }, root_dir = root }))
  t.wait(function()
    return vim.lsp.get_client_by_id(client).initialized
  end, 20000, "the language server")
  t.eq(words(1), { "didOpen " .. path })
  return buf
end

before_each(function()
  vim.cmd("silent! %bwipeout!")
  root = vim.uv.fs_realpath(t.tempdir())
  log = root .. "/told.jsonl"
  t.write(root .. "/a.lua", TEXT)
end)

after_each(function()
  vim.lsp.get_client_by_id(client):stop(true)
  t.wait(function()
    return not vim.lsp.get_client_by_id(client)
  end)
end)

describe("a language server", function()
  it("C10: closes the old name and opens the new one when a file is renamed, and back", function()
    local buf = open("a.lua")
    t.ok(fileop.rename(root, root .. "/a.lua", root .. "/sub/b.lua"))
    t.eq(words(5), {
      "didOpen a.lua",
      "willRenameFiles a.lua sub/b.lua",
      "didClose a.lua",
      "didOpen sub/b.lua",
      "didRenameFiles a.lua sub/b.lua",
    })
    t.eq(told()[4].params.textDocument.text, TEXT)
    t.ok(fileop.rename(root, root .. "/sub/b.lua", root .. "/a.lua"))
    t.eq(vim.list_slice(words(9), 6), {
      "willRenameFiles sub/b.lua a.lua",
      "didClose sub/b.lua",
      "didOpen a.lua",
      "didRenameFiles sub/b.lua a.lua",
    })
    t.eq(vim.bo[buf].modified, false)
    t.eq(
      { t.read(root .. "/a.lua"), vim.api.nvim_buf_get_lines(buf, 0, -1, false) },
      { TEXT, { "return 1" } }
    )
    vim.api.nvim_buf_set_lines(buf, 0, 0, false, { "-- typed" })
    t.eq(words(10)[10], "didChange a.lua")
  end)

  it("C10: is given the unsaved text under the new name", function()
    local buf = open("a.lua")
    vim.api.nvim_buf_set_lines(buf, 0, 0, false, { "-- unsaved" })
    words(2)
    t.ok(fileop.rename(root, root .. "/a.lua", root .. "/b.lua"))
    local last = words(7)
    t.eq(vim.list_slice(last, 3), {
      "willRenameFiles a.lua b.lua",
      "didClose a.lua",
      "didOpen b.lua",
      "didChange b.lua",
      "didRenameFiles a.lua b.lua",
    })
    t.eq(told()[6].params.contentChanges[1].text, "-- unsaved\n" .. TEXT)
    t.ok(vim.bo[buf].modified)
    t.eq(t.read(root .. "/b.lua"), TEXT)
  end)

  it("C10: is told of a renaming that no buffer shows, of a file made and removed, if it asked", function()
    open("a.lua")
    t.write(root .. "/c.lua", TEXT)
    t.write(root .. "/c.txt", TEXT)
    t.ok(fileop.rename(root, root .. "/c.txt", root .. "/d.txt"))
    t.ok(fileop.rename(root, root .. "/c.lua", root .. "/d.lua"))
    t.ok(fileop.create(root .. "/e.lua", TEXT, "100644"))
    t.ok(fileop.remove(root, root .. "/e.lua"))
    t.eq(vim.list_slice(words(5), 2), {
      "willRenameFiles c.lua d.lua",
      "didRenameFiles c.lua d.lua",
      "didCreateFiles e.lua",
      "didDeleteFiles e.lua",
    })
  end)

  it("A7: is told of a write, though no autocommand runs", function()
    open("a.lua")
    local carried = document.open(root .. "/a.lua", true)
    t.ok(carried)
    t.ok(document.apply(carried, { { from = 0, to = 1, old = { TEXT }, lines = { "return 2\n" } } }, 1))
    t.ok(document.save(carried))
    t.eq(words(3), { "didOpen a.lua", "didChange a.lua", "didSave a.lua" })
    t.eq(told()[3].params.text, "return 2\n")
  end)
end)
