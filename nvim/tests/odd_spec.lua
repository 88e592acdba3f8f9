-- luacheck: read globals t describe it before_each after_each pending
--- Every key of the review in every odd state of Neovim: none ends in a traceback, a prompt that does not go away, or
--- in something of ours that is left behind. In a terminal, against the real server on a real repository.

local keys = require("suggestion-review.ui.keys")
local real = require("real")
local screen = require("screen")

if not real.available() or not screen.available() then
  pending("keys in odd states", "needs Bun, jj and tmux")
  return
end

--- Two files with as many hunks as there are keys that decide.
local HUNKS = 40
local function text(changed)
  local lines = {}
  for i = 1, HUNKS * 12 do
    lines[i] = ("line %d%s"):format(i, changed and i % 12 == 6 and " changed" or "")
  end
  return table.concat(lines, "\n") .. "\n"
end

---@type Real
local server
---@type Screen
local s

--- What the tests run in the Neovim under test.
local INSIDE = [[
_G.odd = { settled = 0 }
for _, mode in ipairs({ "n", "x", "i", "c", "t", "o" }) do
  vim.keymap.set(mode, "<F12>", function()
    vim.schedule(function() odd.settled = odd.settled + 1 end)
  end)
end

--- Back to one window with the file, nothing of ours open, default options.
function odd.reset()
  vim.cmd("silent! stopinsert")
  require("suggestion-review").close()
  vim.cmd("silent! tabonly!")
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(win).relative ~= "" then pcall(vim.api.nvim_win_close, win, true) end
  end
  vim.cmd("silent! only!")
  vim.wo.winfixbuf = false
  for name, value in pairs(odd.options) do vim.o[name] = value end
  local other = vim.api.nvim_create_buf(true, true)
  vim.api.nvim_win_set_buf(0, other)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if buf ~= other then pcall(vim.api.nvim_buf_delete, buf, { force = true }) end
  end
  vim.cmd("silent edit! a.txt")
  vim.fn.setqflist({}, "f")
  vim.cmd("silent! messages clear")
  vim.v.errmsg, _G.notes = "", {}
end
odd.options = {}
for _, name in ipairs({ "hidden", "confirm", "equalalways", "splitkeep", "scrollbind", "cursorcolumn" }) do
  odd.options[name] = vim.o[name]
end

--- What went wrong so far.
function odd.wrong()
  local found = {}
  for _, text in ipairs({ vim.fn.execute("messages"), vim.v.errmsg, table.concat(_G.notes, "\n") }) do
    for line in vim.gsplit(text, "\n") do
      -- A plain "E21: …" is Neovim's word on a key of its own.
      if line:find("traceback") or line:find("Error") or line:find("%.lua:%d") or line:find("went wrong") then
        found[#found + 1] = line
      end
    end
  end
  return found
end

--- Whether a buffer has this as its first line.
function odd.holds(text)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_lines(buf, 0, 1, false)[1] == text then return true end
  end
end

--- What is left of the review once it is closed.
function odd.left()
  local found = {}
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    local option = vim.wo[win].statuscolumn .. vim.wo[win].winhighlight .. vim.wo[win].winbar
    local name = vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win))
    -- An editor stays: there are edits in it.
    if option:find("SuggestionReview") and not name:find("^suggestion%-review://m") then
      found[#found + 1] = "options of a window: " .. option
    end
  end
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local name = vim.api.nvim_buf_get_name(buf)
    if name:find("^suggestion%-review://") and not name:find("//modify/") and not name:find("//message") then
      found[#found + 1] = "buffer " .. name
    end
    if not name:find("^suggestion%-review://") then
      if table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n"):find("g@") then
        found[#found + 1] = "keys of ours as text"
      end
      for _, mode in ipairs({ "n", "x", "o" }) do
        for _, map in ipairs(vim.api.nvim_buf_get_keymap(buf, mode)) do
          if (map.desc or ""):find("^Review: ") then found[#found + 1] = "map " .. map.lhs end
        end
      end
      for name, ns in pairs(vim.api.nvim_get_namespaces()) do
        if name:find("^suggestion%-review") and #vim.api.nvim_buf_get_extmarks(buf, ns, 0, -1, {}) > 0 then
          found[#found + 1] = "marks of " .. name
        end
      end
    end
  end
  return found
end
]]

local function open_nvim(lines, columns)
  s = screen.start({
    cwd = server.checkout,
    columns = columns or 110,
    lines = lines or 30,
    file = "a.txt",
    env = { PATH = server.environment.PATH },
    init = ([[
      vim.opt.runtimepath:prepend(%q)
      vim.o.ruler, vim.o.showcmd, vim.o.swapfile, vim.o.shada = false, false, false, ""
      vim.o.shortmess = vim.o.shortmess .. "FWIc"
      vim.notify = function(message) table.insert(_G.notes, message) end
      _G.notes = {}
      require("suggestion-review").setup(%s)
    ]]):format(t.root .. "/nvim", vim.inspect(server:settings())) .. INSIDE,
  })
  s:wait_lua([[return #require("suggestion-review").list() > 0]], 10000)
end

---@return boolean at a question, or at a line to be typed
local function asked()
  local mode = vim.rpcrequest(s.channel, "nvim_get_mode")
  return mode.blocking or mode.mode:find("^[cr]") ~= nil
end

--- Types keys and waits until they are worked off; questions are left with <Esc>. Fails where one does not go away.
---@param input string
local function press(input, what)
  vim.rpcrequest(s.channel, "nvim_input", input)
  local before
  local escapes = 0
  vim.uv.update_time()
  local started = vim.uv.now()
  while true do
    if asked() then
      escapes = escapes + 1
      if escapes > 40 then
        error(("%s: a question that does not go away:\n%s"):format(what, s:capture()), 0)
      end
      vim.rpcrequest(s.channel, "nvim_input", escapes % 4 == 0 and "<C-c>" or "<Esc>")
      vim.wait(5)
      before = nil
    elseif not before then
      before = s:lua("return odd.settled")
      vim.rpcrequest(s.channel, "nvim_input", "<F12>")
    elseif s:lua("return odd.settled") > before then
      return
    else
      vim.wait(2)
    end
    vim.uv.update_time()
    if vim.uv.now() - started > 20000 then
      error(
        ("%s: not worked off, mode %s, %d escapes:\n%s"):format(
          what,
          vim.inspect(vim.rpcrequest(s.channel, "nvim_get_mode")),
          escapes,
          s:capture()
        ),
        0
      )
    end
  end
end

---@class (exact) OddState
---@field name string
---@field lua? string run once the review is open
---@field before? string run before it is opened
---@field typed? string typed then
---@field styles? string[]
---@field visual? boolean only keys that take a selection are typed
---@field call? boolean functions are called, as no key of ours is within reach
---@field lines? integer
---@field columns? integer

---@type OddState[]
local STATES = {
  { name = "nothing odd" },
  {
    name = "'nohidden' with unsaved edits",
    before = [[vim.o.hidden = false vim.api.nvim_buf_set_lines(0, 0, 0, false, { "mine" })]],
  },
  {
    name = "'nohidden' with unsaved edits in another file",
    before = [[vim.o.hidden = false vim.cmd("edit own.txt") vim.api.nvim_buf_set_lines(0, 0, 0, false, { "mine" })]],
  },
  {
    name = "'confirm' and 'nohidden' with unsaved edits in another file",
    before = [[vim.o.hidden, vim.o.confirm = false, true vim.cmd("edit own.txt")
      vim.api.nvim_buf_set_lines(0, 0, 0, false, { "mine" })]],
  },
  { name = "'winfixbuf' in the only window", before = [[vim.cmd("edit own.txt") vim.wo.winfixbuf = true]] },
  { name = "five lines", lines = 5 },
  { name = "five lines with two windows in them", before = [[vim.cmd("split own.txt")]], lines = 5 },
  { name = "twenty columns", columns = 20 },
  {
    name = "the file's buffer deleted",
    lua = [[for _, b in ipairs(vim.api.nvim_list_bufs()) do
      if vim.api.nvim_buf_get_name(b):find("%.txt$") then vim.cmd("bdelete! " .. b) end end]],
  },
  {
    name = "the file's buffer wiped out",
    lua = [[for _, b in ipairs(vim.api.nvim_list_bufs()) do
      if vim.api.nvim_buf_get_name(b):find("%.txt$") then vim.cmd("bwipeout! " .. b) end end]],
  },
  { name = "the review's buffer wiped out", lua = [[vim.cmd("bwipeout!")]], call = true },
  { name = "the review's buffer deleted", lua = [[vim.cmd("bdelete!")]], call = true },
  {
    name = "its tab closed",
    before = [[vim.cmd("tabnew a.txt")]],
    lua = [[vim.cmd("tabfirst") vim.cmd("tabclose! 2")]],
    call = true,
  },
  {
    name = "its tab closed from another one",
    lua = [[vim.cmd("tabnew own.txt") vim.cmd("tabclose! 1")]],
    call = true,
  },
  {
    name = "two sides, and their tab closed from another one",
    lua = [[require("suggestion-review").toggle_layout() vim.cmd("tabnew own.txt") vim.cmd("tabclose! 1")]],
    call = true,
  },
  {
    name = "its tab closed, 'nohidden' and unsaved edits in the other one",
    before = [[vim.cmd("edit own.txt") vim.cmd("tabnew a.txt")]],
    lua = [[vim.cmd("tabfirst") vim.o.hidden = false vim.api.nvim_buf_set_lines(0, 0, 0, false, { "mine" })
      vim.cmd("tabclose! 2")]],
    call = true,
  },
  { name = "another tab", lua = [[vim.cmd("tabnew own.txt")]], call = true },
  { name = "after :only", lua = [[vim.cmd("silent! only!")]], call = true },
  {
    name = "the window it was opened from closed",
    before = [[vim.cmd("split own.txt")]],
    lua = [[vim.api.nvim_win_close(vim.fn.win_getid(1), true)]],
  },
  { name = "the command-line window", typed = ":<C-f>", call = true },
  { name = "terminal mode", typed = "<Cmd>tabnew<CR><Cmd>terminal<CR>i", call = true },
  { name = "insert mode", lua = [[vim.cmd("new")]], typed = "iword", call = true },
  { name = "insert mode in the file", styles = { "inline" }, typed = "iword", call = true },
  { name = "visual mode", typed = "V", visual = true },
  { name = "a line being asked for", typed = ":call input('Name: ')<CR>", call = true },
  { name = "two sides", lua = [[require("suggestion-review").toggle_layout()]] },
  {
    name = "one of two sides wiped out",
    lua = [[require("suggestion-review").toggle_layout() vim.cmd("bwipeout!")]],
    call = true,
  },
  {
    name = "'noequalalways' and 'splitkeep'",
    before = [[vim.o.equalalways, vim.o.splitkeep = false, "screen" vim.cmd("vsplit")]],
  },
  {
    name = "a help page as the only window",
    before = [[vim.bo.bufhidden = "wipe" vim.cmd("help")
      vim.cmd("only")]],
  },
  {
    name = "a quickfix window",
    before = [[vim.fn.setqflist({ { filename = "own.txt", lnum = 1 } }) vim.cmd("copen")]],
  },
}

---@param state OddState
---@param style string
local function go_into(state, style)
  s:lua("odd.reset()")
  s:lua(state.before or "")
  s:lua([[require("suggestion-review.review").open(nil, { style = ... })]], style)
  s:wait_lua([[return require("suggestion-review.review").session() ~= nil]], 10000)
  local where = state.name .. ", " .. style
  if state.lua then
    s:lua([[local run = ... vim.schedule(function() vim.cmd.lua(run) end)]], (state.lua:gsub("\n%s*", " ")))
    press("", where)
  end
  if state.typed then
    vim.rpcrequest(s.channel, "nvim_input", state.typed)
    t.wait(function()
      return s:lua([[return vim.api.nvim_get_mode().mode]]) ~= "n"
        or s:lua([[return vim.fn.getcmdwintype()]]) == ":"
    end, 15000, where)
  end
  t.eq(s:lua("return odd.wrong()"), {}, where)
end

---@param state OddState
local function try_all(state)
  server = real.start({ ["a.txt"] = text(false), ["b.txt"] = text(false), ["own.txt"] = "own\n" })
  server:publish({ ["a.txt"] = text(true), ["b.txt"] = text(true) }, "Many hunks")
  open_nvim(state.lines, state.columns)
  local wrong = {}
  for _, style in ipairs(state.styles or { "floating", "inline" }) do
    for _, key in ipairs(keys.list) do
      go_into(state, style)
      local what = ("%s, %s, %s"):format(state.name, style, key.name)
      if state.call or style == "inline" or state.visual and not key.visual then
        -- Where no key of ours is within reach, the user's own key calls the function.
        s:lua(
          [[local name = ... vim.schedule(function() require("suggestion-review")[name]() end)]],
          key.action
        )
        press("", what)
      else
        press(keys.key(key.name) --[[@as string]], what)
      end
      -- What the server says comes into the same state.
      s:lua([[vim.schedule(function()
        require("suggestion-review.review.follow").on_event({ type = "store.reset" })
      end)]])
      press("", what)
      local found = s:lua("return odd.wrong()")
      press("<C-\\><C-n>", what)
      if s:lua([[return vim.fn.getcmdwintype()]]) ~= "" then
        press("<C-c><C-c>", what)
      end
      s:lua([[require("suggestion-review").close()]])
      press("", what)
      vim.list_extend(found, s:lua("return odd.left()"))
      if
        ((state.before or "") .. (state.lua or "")):find('"mine"') and not s:lua([[return odd.holds("mine")]])
      then
        found[#found + 1] = "the unsaved edit is gone"
      end
      if #found > 0 then
        wrong[#wrong + 1] = what .. ": " .. table.concat(found, " | ")
      end
    end
  end
  t.eq(wrong, {})
end

after_each(function()
  if s then
    s:stop()
  end
  if server then
    server:stop("sigkill")
  end
  s, server = nil, nil
end)

describe("C14: every key of the review", function()
  for _, state in ipairs(STATES) do
    it("C14: works or says why not, with " .. state.name, function()
      try_all(state)
    end)
  end
end)

describe("C14: an inline review whose file was taken out of the list of buffers", function()
  for _, command in ipairs({ "bdelete", "bwipeout", "bunload" }) do
    it(("C14: has its keys and its marks again when the file comes back (:%s)"):format(command), function()
      server = real.start({ ["a.txt"] = text(false), ["b.txt"] = text(false), ["own.txt"] = "own\n" })
      local id = server:publish({ ["a.txt"] = text(true) }, "Many hunks")
      open_nvim()
      go_into({ name = command }, "inline")
      local function shown()
        return s:lua([[local found = { maps = 0, marks = 0 }
          for _, map in ipairs(vim.api.nvim_buf_get_keymap(0, "n")) do
            if (map.desc or ""):find("^Review: ") then found.maps = found.maps + 1 end
          end
          for name, ns in pairs(vim.api.nvim_get_namespaces()) do
            if name == "suggestion-review.inline" then
              found.marks = found.marks + #vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, {})
            end
          end
          return found]])
      end
      local before
      t.wait(function()
        before = shown()
        return before.maps > 0 and before.marks > 0
      end, 15000, "the keys and marks of the review")
      press((":%s! a.txt<CR>"):format(command), command)
      press(":edit a.txt<CR>", command)
      t.wait(function()
        return vim.deep_equal(shown(), before)
      end, 15000, "the keys and marks of the review")
      -- And the keys do what they are for.
      press("6G\\sa", command)
      t.wait(function()
        return server:http("GET", "/suggestions/" .. id).accepted_count == 1
      end, 10000, "the decision")
      t.eq(s:lua("return odd.wrong()"), {})
    end)
  end
end)
