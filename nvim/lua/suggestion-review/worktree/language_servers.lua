--- What language servers are told of files that are written, renamed, made and removed outside of `:write`: as an
--- editor does it that does these things by itself. What a server would change in other files because of a renaming is
--- not taken: the suggestion's own hunks say what changes, and nothing else is written.
local M = {}

--- The servers that run, of all files or of a buffer's.
---@param buf? integer
---@return vim.lsp.Client[]
local function clients_of(buf)
  -- Where nobody has asked for a server yet, the client is not even loaded.
  return package.loaded["vim.lsp"] and vim.lsp.get_clients({ bufnr = buf }) or {}
end

--- Tells the servers of a buffer that its file was written.
---@param buf integer
function M.did_save(buf)
  for _, client in ipairs(clients_of(buf)) do
    if client:supports_method("textDocument/didSave", buf) then
      local sync = client.server_capabilities.textDocumentSync
      local save = type(sync) == "table" and sync.save
      local params = { textDocument = { uri = vim.uri_from_bufnr(buf) } }
      if type(save) == "table" and save.includeText then
        local lines = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
        params.text = lines .. (vim.bo[buf].eol and "\n" or "")
      end
      client:notify("textDocument/didSave", params)
    end
  end
end

---@param filter table a FileOperationFilter
---@param path string
---@return boolean
local function matches(filter, path)
  local pattern = filter.pattern or {}
  if filter.scheme and filter.scheme ~= "file" or pattern.matches == "folder" then
    return false
  end
  local glob = pattern.glob or "**"
  if pattern.options and pattern.options.ignoreCase then
    glob, path = glob:lower(), path:lower()
  end
  local ok, compiled = pcall(vim.glob.to_lpeg, glob)
  return ok and compiled:match(path) ~= nil
end

--- Whether a server asked for an operation on a file.
---@param client vim.lsp.Client
---@param operation string of `workspace.fileOperations`
---@param path string
---@return boolean
local function asked_for(client, operation, path)
  local workspace = (client.server_capabilities or {}).workspace or {}
  local options = (workspace.fileOperations or {})[operation]
  for _, filter in ipairs(options and options.filters or {}) do
    if matches(filter, path) then
      return true
    end
  end
  return false
end

---@param what "Rename"|"Create"|"Delete"
---@param path string absolute; for a renaming the old one
---@param new_path? string
---@return table params
local function params_of(what, path, new_path)
  local uri = vim.uri_from_fname(path)
  local file = what == "Rename" and { oldUri = uri, newUri = vim.uri_from_fname(new_path) } or { uri = uri }
  return { files = { file } }
end

--- Says that something is about to happen to a file, to the servers that asked for it. Nobody waits for the answer.
---@param what "Rename"|"Create"|"Delete"
---@param path string absolute; for a renaming the old one
---@param new_path? string
function M.will(what, path, new_path)
  for _, client in ipairs(clients_of()) do
    if asked_for(client, "will" .. what, path) then
      client:request(("workspace/will%sFiles"):format(what), params_of(what, path, new_path), function() end)
    end
  end
end

--- Says that it has happened.
---@param what "Rename"|"Create"|"Delete"
---@param path string absolute; for a renaming the old one
---@param new_path? string
function M.did(what, path, new_path)
  for _, client in ipairs(clients_of()) do
    if asked_for(client, "did" .. what, path) then
      client:notify(("workspace/did%sFiles"):format(what), params_of(what, path, new_path))
    end
  end
end

--- Closes a buffer's document with all its servers, under the name it has now. The text must not change before `open`:
--- Neovim would stop listening to a buffer that no server has.
---@param buf integer
---@return vim.lsp.Client[] clients that had it
function M.close(buf)
  local clients = clients_of(buf)
  for _, client in ipairs(clients) do
    vim.lsp.buf_detach_client(buf, client.id)
  end
  return clients
end

--- Opens a buffer's document under the name it has now, with the servers that had it and still fit.
---@param buf integer
---@param clients vim.lsp.Client[]
---@param filetype string what it was for them
function M.open(buf, clients, filetype)
  for _, client in ipairs(clients) do
    local filetypes = (client.config or {}).filetypes
    local fits = vim.bo[buf].filetype == filetype
      or (filetypes and vim.list_contains(filetypes, vim.bo[buf].filetype))
    if fits and not client:is_stopped() and not client.attached_buffers[buf] then
      vim.lsp.buf_attach_client(buf, client.id)
    end
  end
end

return M
