--- `vim.ui.select`, where Ctrl-C leaves the list as an empty answer does: Neovim's own list fails with it.
---@generic T
---@param items T[]
---@param opts table
---@param done fun(item?: T, index?: integer)
return function(items, opts, done)
  local asking = true
  local ok, reason = pcall(vim.ui.select, items, opts, function(...)
    asking = false
    done(...)
  end)
  if ok then
    return
  elseif asking and tostring(reason):find("Keyboard interrupt", 1, true) then
    return done(nil)
  end
  error(reason, 0)
end
