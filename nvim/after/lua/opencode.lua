--- Stand-in for `require("opencode").setup({ suggestion_review = … })` where opencode.nvim is not installed.
---
--- It never hides that plugin: it lies in after/, which Neovim searches last; where it is found first all the same, it
--- hands over to the real module; and it leaves `package.loaded` again, so that one loaded later is found.

local here = vim.fs.normalize(debug.getinfo(1, "S").source:sub(2))

---@return string? path of the real module
local function real_module()
  for _, name in ipairs({ "lua/opencode.lua", "lua/opencode/init.lua" }) do
    for _, path in ipairs(vim.api.nvim_get_runtime_file(name, true)) do
      if vim.fs.normalize(path) ~= here then
        return path
      end
    end
  end
end

local path = real_module()
if not path and package.loaded["lazy.core.config"] then
  -- lazy.nvim keeps plugins off the runtimepath until they are needed; this is such a moment.
  for name, plugin in pairs(package.loaded["lazy.core.config"].plugins or {}) do
    local dir = plugin.dir or ""
    if vim.uv.fs_stat(dir .. "/lua/opencode.lua") or vim.uv.fs_stat(dir .. "/lua/opencode/init.lua") then
      require("lazy").load({ plugins = { name } })
      path = real_module()
    end
  end
end
if path then
  return dofile(path)
end

return setmetatable({
  ---@param opts? { suggestion_review?: table }
  setup = function(opts)
    package.loaded["opencode"] = nil
    require("suggestion-review").setup(opts and opts.suggestion_review or {})
  end,
}, {
  __index = function(_, name)
    package.loaded["opencode"] = nil
    error(
      ('opencode.nvim is not installed; suggestion-review only stands in for its setup(), not for "%s"'):format(
        name
      ),
      2
    )
  end,
})
