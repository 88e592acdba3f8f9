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

--- A folder in which a file may have swap files.
---@class (exact) SuggestionReview.SwapFolder
---@field path string
---@field names string[] every name that a swap file may have there
---@field none_of? SuggestionReview.FolderState the folder as it was when it held none of another Vim's

--- How a folder is: another table as soon as a name came into it or went.
---@class (exact) SuggestionReview.FolderState
---@field dev integer
---@field ino integer
---@field sec integer
---@field nsec integer
---@field since integer ms: when it was first seen so

--- The folders of the last files that were asked about; making the names takes longer than looking for the files.
---@type table<string, SuggestionReview.SwapFolder[]>
local kept = {}
local kept_count = 0
local MOST_KEPT = 200

---@type table<string, SuggestionReview.FolderState>
local states = {}

--- Two changes of a folder may bear the same time where they are no further apart than this, ms (on FAT).
local COARSEST = 2500

---@param path string absolute
---@return SuggestionReview.SwapFolder[]
local function folders_of(path)
  local key = path .. "\0" .. vim.o.directory
  if kept[key] then
    return kept[key]
  end
  local folders, by_path = {}, {}
  for _, stem in ipairs(stems(path)) do
    local name = vim.fs.dirname(stem)
    local folder = by_path[name]
    if not folder then
      folder = { path = name, names = {} }
      by_path[name] = folder
      folders[#folders + 1] = folder
    end
    for _, ending in ipairs(ENDINGS) do
      folder.names[#folder.names + 1] = stem .. "." .. ending
    end
  end
  kept_count = kept_count + 1
  if kept_count > MOST_KEPT then
    kept, kept_count, states = {}, 1, {}
  end
  kept[key] = folders
  return folders
end

---@param folder string
---@return SuggestionReview.FolderState|nil how it is now; nil where there is none
local function state_of(folder)
  local stat = uv.fs_stat(folder)
  if not stat then
    return nil
  end
  local known = states[folder]
  if
    not known
    or known.ino ~= stat.ino
    or known.dev ~= stat.dev
    or known.sec ~= stat.ctime.sec
    or known.nsec ~= stat.ctime.nsec
  then
    known = {
      dev = stat.dev,
      ino = stat.ino,
      sec = stat.ctime.sec,
      nsec = stat.ctime.nsec,
      since = uv.hrtime() / 1e6,
    }
    states[folder] = known
  end
  return known
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
---@return boolean ours the swap file is this Neovim's
local function unsaved_in(swap, path)
  local info = vim.fn.swapinfo(swap)
  if info.pid == uv.os_getpid() then
    return nil, true
  elseif info.error or info.dirty ~= 1 then
    return nil, false
  end
  local named = vim.fs.normalize(info.fname or "")
  if named ~= path and uv.fs_realpath(named) ~= (uv.fs_realpath(path) or path) then
    return nil, false
  end
  local here = uv.os_gethostname()
  -- Vim keeps no more than 39 bytes of the name.
  if info.pid == 0 or not vim.startswith(here, info.host) then
    return ("a Vim on %s has unsaved edits of it (%s)"):format(info.host, swap), false
  elseif is_alive(info.pid) then
    return ("another Vim (process %d) has unsaved edits of it; write or drop them there first"):format(
      info.pid
    ),
      false
  end
  return ("a Vim that has ended left unsaved edits of it; recover or delete %s first"):format(swap), false
end

--- Looks at every name.
---@param folder SuggestionReview.SwapFolder
---@param path string
---@return string|nil reason
---@return boolean none no swap file of another Vim is there
local function look_in(folder, path)
  local none = true
  for _, swap in ipairs(folder.names) do
    if uv.fs_lstat(swap) then
      local reason, ours = unsaved_in(swap, path)
      if reason then
        return reason, false
      end
      none = none and ours
    end
  end
  return nil, none
end

--- Why the file should not be written now: another Vim's unsaved edits.
---@param path string absolute
---@return string|nil reason
function M.unsaved_elsewhere(path)
  for _, folder in ipairs(folders_of(path)) do
    local state = state_of(folder.path)
    if state and state ~= folder.none_of then
      -- Only a folder that has been so for a while will look otherwise as soon as a name comes into it.
      local settled = uv.hrtime() / 1e6 - state.since > COARSEST
      local reason, none = look_in(folder, path)
      if reason then
        return reason
      end
      folder.none_of = settled and none and state or nil
    end
  end
end

return M
