--- A log file under `stdpath("log")`, for what no one needs to see until something is wrong. Never holds a token.

local M = {}

local LEVELS = { said = 0, error = 1, warn = 2, info = 3, debug = 4 }
local MAX_BYTES = 1024 * 1024

---@type integer?
local threshold
---@type integer?, boolean
local file, failed

---@return string
function M.path()
  return vim.fn.stdpath("log") .. "/suggestion-review.log"
end

local function open()
  if file or failed then
    return file
  end
  local path = M.path()
  vim.fn.mkdir(vim.fs.dirname(path), "p")
  local stat = vim.uv.fs_stat(path)
  if stat and stat.size > MAX_BYTES then
    vim.uv.fs_rename(path, path .. ".old")
  end
  file = vim.uv.fs_open(path, "a", tonumber("600", 8))
  failed = file == nil
  return file
end

---@param level "said"|"error"|"warn"|"info"|"debug"
---@param format string
local function write(level, format, ...)
  local ok, text = pcall(string.format, format, ...)
  if not ok then
    text = format
  end
  local line = ("%s %s %s\n"):format(os.date("!%Y-%m-%dT%H:%M:%SZ"), level, text)
  local function put()
    if not threshold then
      threshold = LEVELS[require("suggestion-review.config").get().log_level] or 2
    end
    if LEVELS[level] > threshold then
      return
    end
    local handle = open()
    if handle then
      vim.uv.fs_write(handle, line)
    end
  end
  if vim.in_fast_event() then
    vim.schedule(put)
  else
    put()
  end
end

--- What was told to the user and did not fit the screen, at every level of the log.
function M.said(format, ...)
  write("said", format, ...)
end
function M.error(format, ...)
  write("error", format, ...)
end
function M.warn(format, ...)
  write("warn", format, ...)
end
function M.info(format, ...)
  write("info", format, ...)
end
function M.debug(format, ...)
  write("debug", format, ...)
end

--- Takes the level from the settings again.
function M.reload()
  threshold = nil
end

return M
