--- Puts messages on the screen that nobody asked for: each in one line that fits, so that Neovim never stops for "Press
--- ENTER" and never takes the next key for an answer. What does not fit is whole in the log. A `vim.notify` of the
--- user's own gets every message as it is.
local log = require("suggestion-review.say.log")

local M = {}

local TITLE = { title = "suggestion-review" }
local MORE = "… (:Suggest log)"
local GROUP = { [vim.log.levels.WARN] = "WarningMsg", [vim.log.levels.ERROR] = "ErrorMsg" }

---@type { text: string, level: integer }[]
local queue = {}
local flushing = false

--- Whether messages end up in Neovim's own message line.
---@return boolean
local function is_builtin()
  local source = debug.getinfo(vim.notify, "S").source
  -- Neovim's own has no source file, or one of the runtime.
  return source == "?" or source:find("vim/_", 1, true) ~= nil
end

--- `text` as one line of at most `width` cells.
---@param text string
---@param width integer
---@return string line
---@return boolean whole nothing was left out
function M.fit(text, width)
  local line = vim.trim(text):gsub("%s*\n%s*", " · "):gsub("%c", " ")
  if vim.fn.strdisplaywidth(line) <= width then
    return line, not text:find("\n")
  end
  local more = vim.fn.strdisplaywidth(MORE) < width and MORE or "…"
  local room = math.max(0, width - vim.fn.strdisplaywidth(more))
  local count = math.min(vim.fn.strchars(line), room)
  local cut = vim.fn.strcharpart(line, 0, count)
  while count > 0 and vim.fn.strdisplaywidth(cut) > room do
    count = count - 1
    cut = vim.fn.strcharpart(line, 0, count)
  end
  return cut .. more, false
end

--- Whether the message line is in use: a command is typed there, or a question waits for a key.
---@return boolean
local function is_taken()
  local mode = vim.api.nvim_get_mode().mode
  return mode:find("^[cr!]") ~= nil
end

local function flush()
  if is_taken() then
    return vim.defer_fn(flush, 100)
  end
  flushing = false
  local messages = queue
  queue = {}
  for _, message in ipairs(messages) do
    if is_builtin() then
      local line, whole = M.fit(message.text, vim.v.echospace)
      if not whole then
        log.said("%s", message.text)
      end
      -- The line is free again after a redraw; without one the next message scrolls the screen and asks for a key.
      vim.cmd("redraw")
      vim.api.nvim_echo({ { line, GROUP[message.level] } }, true, {})
    else
      vim.notify(message.text, message.level, TITLE)
    end
  end
end

--- Shows a message as soon as the screen is free for it.
---@param text string
---@param level integer of `vim.log.levels`
function M.show(text, level)
  queue[#queue + 1] = { text = text, level = level }
  if not flushing then
    flushing = true
    vim.schedule(flush)
  end
end

--- Shows what the user has just asked for, all lines of it, at once.
---@param text string
function M.answer(text)
  if is_builtin() then
    vim.api.nvim_echo({ { text } }, true, {})
  else
    vim.notify(text, vim.log.levels.INFO, TITLE)
  end
end

require("suggestion-review.config").on_problems(function(text)
  M.show(text, vim.log.levels.ERROR)
end)

return M
