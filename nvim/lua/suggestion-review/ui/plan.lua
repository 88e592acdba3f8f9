--- A floating window with the plan of an adoption: read it, then carry it out or leave it.
local adopt = require("suggestion-review.adopt")
local plan_text = require("suggestion-review.adopt.plan_text")
local refusal = require("suggestion-review.adopt.refusal")
local task = require("suggestion-review.lib.task")
local notify = require("suggestion-review.say.notify")
local popup = require("suggestion-review.ui.popup")

local M = {}

--- The other way in which own commits and the finalized one can come together, and its key.
local OTHER_WAY = {
  replay = { way = "merge", key = "m", text = "m merge instead" },
  merge = { way = "replay", key = "r", text = "r replay instead" },
}

--- Plans anew with own commits brought together in another way.
---@param plan SuggestionReview.AdoptPlan
---@param way "replay"|"merge"
local function show_other(plan, way)
  task.run(function()
    return adopt.prepare(plan.suggestion, plan.root, way)
  end, function(err, made)
    if err then
      local text = refusal.text(err)
      return notify.error("Not adopted: " .. text)
    end
    M.show(made)
  end)
end

---@param plan SuggestionReview.AdoptPlan
---@return integer window
function M.show(plan)
  local lines = plan_text.of(plan)
  local can_run = not plan.refusal and not plan.done
  local other = #plan.own > 0 and not plan.done and OTHER_WAY[plan.way or ""] or nil
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = "wipe"
  local widest = 40
  for _, line in ipairs(lines) do
    widest = math.max(widest, vim.fn.strdisplaywidth(line))
  end
  local width = math.min(widest + 2, math.max(20, vim.o.columns - 8))
  local height = math.min(#lines, math.max(5, vim.o.lines - 6))
  local window = popup.open(buf, true, {
    width = width,
    height = height,
    keep = true,
    title = can_run and " Adopt this commit? " or " Adopt ",
    title_pos = "center",
    footer = table.concat({
      can_run and " <CR> do it" or "",
      other and " " .. other.text or "",
      can_run and " q leave it " or " q close ",
    }, " "),
    footer_pos = "right",
  })
  vim.bo[buf].filetype = "suggestion-plan"
  if plan.verdict.diff ~= "" then
    pcall(vim.treesitter.start, buf, "diff")
  end

  local function close()
    if vim.api.nvim_win_is_valid(window) then
      vim.api.nvim_win_close(window, true)
    end
  end
  for _, key in ipairs({ "q", "<Esc>", "n" }) do
    vim.keymap.set("n", key, close, { buffer = buf, nowait = true, desc = "Leave everything as it is" })
  end
  if can_run then
    for _, key in ipairs({ "<CR>", "y" }) do
      vim.keymap.set("n", key, function()
        close()
        adopt.run(plan)
      end, { buffer = buf, nowait = true, desc = "Carry the plan out" })
    end
  end
  if other then
    vim.keymap.set("n", other.key, function()
      close()
      show_other(plan, other.way)
    end, { buffer = buf, nowait = true, desc = "Plan it the other way" })
  end
  return window
end

return M
