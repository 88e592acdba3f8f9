--- Looks through undo histories, in buffers of this Neovim, so that the one that is driven is left alone.
local M = {}

---@param entries table[]
---@param numbers integer[]
local function numbers_of(entries, numbers)
  for _, entry in ipairs(entries) do
    numbers[#numbers + 1] = entry.seq
    numbers_of(entry.alt or {}, numbers)
  end
end

--- All texts that a history leads to.
---@param history { lines: string[], path: string }
---@return string
function M.texts(history)
  local buf = vim.api.nvim_create_buf(false, true)
  local out = {}
  vim.api.nvim_buf_call(buf, function()
    vim.bo[buf].undolevels = -1
    vim.api.nvim_buf_set_lines(buf, 0, -1, false, history.lines)
    vim.bo[buf].undolevels = 100000
    vim.cmd("silent rundo " .. vim.fn.fnameescape(history.path))
    local numbers = { 0 }
    numbers_of(vim.fn.undotree(buf).entries, numbers)
    for _, number in ipairs(numbers) do
      vim.cmd("silent undo " .. number)
      out[#out + 1] = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n")
    end
  end)
  vim.api.nvim_buf_delete(buf, { force = true })
  return table.concat(out, "\n")
end

return M
