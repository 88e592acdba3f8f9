--- `:help suggestion-review` finds its text however the plugin was installed: the tags are made beside the help, or,
--- where that folder cannot be written, beside a copy in the user's cache.

local M = {}

local NAME = "/suggestion-review.txt"

---@param doc string
---@return boolean
local function make_in(doc)
  local ok = pcall(vim.cmd.helptags, { args = { doc }, magic = { file = false } })
  local tags = vim.uv.fs_stat(doc .. "/tags")
  return ok and tags ~= nil and tags.type == "file"
end

--- Makes the tags of a folder of help.
---@param doc string
function M.make(doc)
  if make_in(doc) then
    return
  end
  local copy = vim.fn.stdpath("cache") .. "/suggestion-review"
  vim.fn.mkdir(copy .. "/doc", "p")
  -- A new copy each time: its age says nothing of its text.
  if vim.uv.fs_copyfile(doc .. NAME, copy .. "/doc" .. NAME) and make_in(copy .. "/doc") then
    vim.opt.runtimepath:append(copy)
  end
end

return M
