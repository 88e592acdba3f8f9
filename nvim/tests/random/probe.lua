--- Runs in the Neovim that is driven: tells what it shows and holds, changing nothing.

--- Bytes of what was typed that Neovim has taken, and whether it waits for more, with nothing left to do.
local taken, ready = 0, true
local told

local function tell()
  if told then
    vim.rpcnotify(told, "nvim_exec_lua", "_G.random_taken(...)", { taken, ready })
  end
end

vim.on_key(function(_, typed)
  if typed and typed ~= "" then
    taken, ready = taken + #typed, false
    tell()
  end
end)

vim.api.nvim_create_autocmd("SafeState", {
  callback = function()
    if not ready then
      ready = true
      tell()
    end
  end,
})

---@param win integer
---@return string
local function title_of(win)
  local config, title = vim.api.nvim_win_get_config(win), ""
  for _, chunk in ipairs(type(config.title) == "table" and config.title or {}) do
    title = title .. chunk[1]
  end
  return title
end

--- What a person would say they are looking at.
---@return string
local function where()
  local mode = vim.api.nvim_get_mode().mode
  if mode:sub(1, 1) == "c" then
    return vim.fn.getcmdtype() == "@" and "input" or "cmdline"
  end
  local buf, win = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  local name, config = vim.api.nvim_buf_get_name(buf), vim.api.nvim_win_get_config(win)
  local opened = name:match("^suggestion%-review://(%w+)/")
  if opened == "modify" or opened == "conflict" or opened == "message" then
    return "editor"
  elseif vim.bo[buf].filetype == "suggestion-plan" then
    return "plan"
  elseif vim.bo[buf].filetype == "suggestion-review" then
    return "review"
  elseif config.relative ~= "" then
    local title = title_of(win)
    return (title:find("^ Yours") or title:find("^ Suggested") or title:find("^ Without")) and "conflict"
      or "popup"
  end
  return vim.bo[buf].buftype == "" and "file" or "other"
end

---@return table|nil
local function session()
  local review = package.loaded["suggestion-review.review"]
  local one = review and review.session()
  if not one then
    return nil
  end
  local hunks, sent = {}, 0
  for _ in pairs(one.sent) do
    sent = sent + 1
  end
  for i, hunk in ipairs(one.hunks) do
    hunks[i] = {
      id = hunk.id,
      file = hunk.file,
      kind = hunk.kind,
      state = hunk.state,
      diff = hunk.diff,
      said = one.outcomes[hunk.id],
      own = hunk.decision and hunk.decision.modified_diff or nil,
    }
  end
  return {
    id = one.id,
    style = one.style,
    index = one.index,
    open = review.is_open(),
    revision = one.revision,
    in_place = one.place.in_place,
    sent = sent,
    hunks = hunks,
  }
end

--- What is suggested, in the windows of a conflict.
---@return string[]
local function suggested()
  local out = {}
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    local title = title_of(win)
    if title:find("^ Suggested") or title:find("^ Without") then
      vim.list_extend(out, vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false))
    end
  end
  return out
end

---@return integer commands without an answer, and decisions on their way
local function pending()
  local client = package.loaded["suggestion-review.connection.client"]
  local count = 0
  for _, connection in ipairs(client and client.all() or {}) do
    local commands = connection.commands or connection
    for _ in pairs(commands.pending or {}) do
      count = count + 1
    end
  end
  local record = package.loaded["suggestion-review.decisions.record"]
  local requests = package.loaded["suggestion-review.decisions.requests"]
  return count
    + (record and not record.idle() and 1 or 0)
    + vim.tbl_count(requests and requests.in_flight() or {})
end

--- What was typed at a prompt and is kept to be offered again.
---@return string[]
local function drafts()
  local module = package.loaded["suggestion-review.review.drafts"]
  local _, kept = debug.getupvalue(module and module.get or function() end, 1)
  return vim.tbl_values(kept or {})
end

local M = {}

--- From now on tells how much it has taken; in a question too, where nothing can be asked.
---@param channel integer
function M.tell_taken(channel)
  told = channel
  tell()
end

--- Everything that is judged, at one moment.
function M.look()
  local buffers = {}
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local loaded = vim.api.nvim_buf_is_loaded(buf)
    local marks = 0
    for name, namespace in pairs(loaded and vim.api.nvim_get_namespaces() or {}) do
      if name:find("^suggestion%-review") then
        marks = marks + #vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, {})
      end
    end
    buffers[#buffers + 1] = {
      number = buf,
      name = vim.api.nvim_buf_get_name(buf),
      type = vim.bo[buf].buftype,
      listed = vim.bo[buf].buflisted,
      modified = vim.bo[buf].modified,
      lines = loaded and vim.api.nvim_buf_get_lines(buf, 0, -1, false) or nil,
      marks = marks,
      -- The plan of an adoption stays until it is answered.
      plan = vim.bo[buf].filetype == "suggestion-plan" or nil,
      shown = #vim.fn.win_findbuf(buf) > 0 or nil,
    }
  end
  local floats, dressed = {}, {}
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(win).relative ~= "" then
      local float = vim.api.nvim_win_get_buf(win)
      -- The plan of an adoption is not the review's, and stays until it is answered.
      if vim.bo[float].filetype ~= "suggestion-plan" then
        floats[#floats + 1] = title_of(win)
      end
    elseif vim.wo[win].statuscolumn ~= "" or vim.wo[win].winhighlight ~= "" or vim.wo[win].scrollbind then
      dressed[#dressed + 1] = vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win))
    end
  end
  local client = package.loaded["suggestion-review.connection.client"]
  local store = package.loaded["suggestion-review.model.store"]
  local list = store and store.list() or {}
  local messages = vim.api.nvim_exec2("messages", { output = true }).output
  return {
    where = where(),
    mode = vim.api.nvim_get_mode().mode,
    line = vim.fn.getcmdline(),
    buffer = vim.api.nvim_buf_get_name(0),
    errmsg = vim.v.errmsg,
    messages = messages,
    pending = pending(),
    connected = client ~= nil and client.state().state == "connected",
    last_event = client and client.state().last_seq,
    open = vim.tbl_map(function(one)
      return { id = one.id, change = one.jj_change_id }
    end, list),
    session = session(),
    drafts = drafts(),
    buffers = buffers,
    floats = floats,
    dressed = dressed,
    windows = #vim.api.nvim_list_wins(),
    tabs = #vim.api.nvim_list_tabpages(),
    pane = where() == "conflict" and vim.api.nvim_buf_get_lines(0, 0, -1, false) or nil,
    suggested = where() == "conflict" and suggested() or nil,
  }
end

--- The screen as text.
---@return string
function M.screen()
  vim.cmd("redraw")
  local rows = {}
  for row = 1, vim.o.lines do
    local cells = {}
    for column = 1, vim.o.columns do
      cells[column] = vim.fn.screenstring(row, column)
    end
    rows[row] = (table.concat(cells):gsub("%s+$", ""))
  end
  return table.concat(rows, "\n")
end

--- Writes the undo history of the loaded files; returns what it belongs to.
---@param directory string
---@return { lines: string[], path: string }[]
function M.histories(directory)
  local out = {}
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].buftype == "" then
      local path = ("%s/undo-%d"):format(directory, buf)
      vim.api.nvim_buf_call(buf, function()
        vim.cmd("silent noautocmd wundo! " .. vim.fn.fnameescape(path))
      end)
      if vim.uv.fs_stat(path) then
        out[#out + 1] = { lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false), path = path }
      end
    end
  end
  return out
end

--- Everything that was said is forgotten.
function M.forget()
  vim.v.errmsg = ""
  vim.cmd("silent! messages clear")
end

--- Puts the cursor where a click would: into the window of a file.
function M.click_on_file()
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    if
      vim.api.nvim_win_get_config(win).relative == ""
      and vim.bo[vim.api.nvim_win_get_buf(win)].buftype == ""
    then
      vim.api.nvim_set_current_win(win)
      return true
    end
  end
  return false
end

return M
