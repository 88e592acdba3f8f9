--- Whether a Vim that is not this one has edits of a file that it has not written: its swap file says so. Writing the
--- file would leave that Vim with a text that is made on another.
local M = {}

local uv = vim.uv

--- Where Vim keeps swap files when nobody told it otherwise; Neovim's place is in its own 'directory'.
local VIM_DIRECTORIES = { ".", "~/tmp", "/var/tmp", "/tmp" }

--- Endings in the order in which Vim tries them.
local ENDINGS = { "swp", "swo", "swn", "swm", "swl" }

---@param path string absolute
---@return string[] names that a swap file of it may have, without the last ending
local function stems(path)
  local directories = {}
  for _, directory in
    ipairs(vim.list_extend(vim.split(vim.o.directory, ",", { plain = true }), VIM_DIRECTORIES))
  do
    directories[directory] = true
  end
  local folder, name = vim.fs.dirname(path), vim.fs.basename(path)
  local out = {}
  for directory in pairs(directories) do
    local plain = directory:gsub("[/\\]+$", "")
    if plain == "." then
      out[#out + 1] = ("%s/%s%s"):format(folder, name:sub(1, 1) == "." and "" or ".", name)
    elseif vim.startswith(plain, "./") then
      out[#out + 1] = ("%s/%s/%s"):format(folder, plain:sub(3), name)
    elseif plain ~= "" then
      local base = vim.fs.normalize(plain)
      out[#out + 1] = ("%s/%s"):format(base, (path:gsub("/", "%%")))
      out[#out + 1] = ("%s/%s"):format(base, name)
    end
  end
  return out
end

--- Names of the last files that were asked about; making them takes longer than looking for the files.
---@type table<string, string[]>
local kept_names = {}
local kept_count = 0
local MOST_KEPT = 200

---@param path string absolute
---@return string[] every name that a swap file of it may have
local function names_of(path)
  local key = path .. "\0" .. vim.o.directory
  local names = kept_names[key]
  if not names then
    names = {}
    for _, stem in ipairs(stems(path)) do
      for _, ending in ipairs(ENDINGS) do
        names[#names + 1] = stem .. "." .. ending
      end
    end
    kept_count = kept_count + 1
    if kept_count > MOST_KEPT then
      kept_names, kept_count = {}, 1
    end
    kept_names[key] = names
  end
  return names
end

---@param pid integer
---@return boolean
local function is_alive(pid)
  local ok, _, code = uv.kill(pid, 0)
  return ok == 0 or code == "EPERM"
end

---@param swap string
---@param path string
---@return string|nil reason
local function unsaved_in(swap, path)
  local info = vim.fn.swapinfo(swap)
  if info.error or info.dirty ~= 1 or info.pid == uv.os_getpid() then
    return nil
  end
  local named = vim.fs.normalize(info.fname or "")
  if named ~= path and uv.fs_realpath(named) ~= (uv.fs_realpath(path) or path) then
    return nil
  end
  local here = uv.os_gethostname()
  -- Vim keeps no more than 39 bytes of the name.
  if info.pid == 0 or not vim.startswith(here, info.host) then
    return ("a Vim on %s has unsaved edits of it (%s)"):format(info.host, swap)
  elseif is_alive(info.pid) then
    return ("another Vim (process %d) has unsaved edits of it; write or drop them there first"):format(
      info.pid
    )
  end
  return ("a Vim that has ended left unsaved edits of it; recover or delete %s first"):format(swap)
end

--- Why the file should not be written now: another Vim's unsaved edits.
---@param path string absolute
---@return string|nil reason
function M.unsaved_elsewhere(path)
  for _, swap in ipairs(names_of(path)) do
    local reason = uv.fs_lstat(swap) and unsaved_in(swap, path)
    if reason then
      return reason
    end
  end
end

return M
