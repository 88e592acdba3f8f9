--- A floating window with the plan of an adoption: read it, then carry it out or leave it.
local adopt = require("suggestion-review.adopt")
local plan_text = require("suggestion-review.adopt.plan_text")
local popup = require("suggestion-review.ui.popup")

local M = {}

--- The other way in which own commits and the finalized one can come together, and its key.
local OTHER_WAY = {
  replay = { way = "merge", key = "m", text = "m merge instead" },
  merge = { way = "replay", key = "r", text = "r replay instead" },
}

--- Milliseconds from when it is on the screen to when a key carries it out: nobody has seen a window sooner, and what
--- is typed then was meant for something else.
local SEEN_AFTER = 300

---@param buf integer
---@param window integer
---@param do_it fun()
---@param footer string with these keys
local function bind_run(buf, window, do_it, footer)
  local is_seen = false
  for _, key in ipairs({ "<CR>", "y" }) do
    vim.keymap.set("n", key, function()
      if is_seen then
        do_it()
      end
    end, { buffer = buf, nowait = true, desc = "Carry the plan out" })
  end
  vim.defer_fn(function()
    is_seen = true
    if vim.api.nvim_win_is_valid(window) and vim.api.nvim_win_get_config(window).footer then
      vim.api.nvim_win_set_config(window, { footer = footer, footer_pos = "right" })
    end
  end, SEEN_AFTER)
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
  local footer = (other and " " .. other.text or "") .. (can_run and "  q leave it " or "  q close ")
  local window = popup.open(buf, true, {
    width = width,
    height = height,
    keep = true,
    title = can_run and " Adopt this commit? " or " Adopt ",
    title_pos = "center",
    footer = footer,
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
    bind_run(buf, window, function()
      close()
      adopt.run(plan)
    end, " <CR> do it " .. footer)
  end
  if other then
    vim.keymap.set("n", other.key, function()
      close()
      adopt.plan(plan.suggestion, plan.root, other.way, M.show)
    end, { buffer = buf, nowait = true, desc = "Plan it the other way" })
  end
  return window
end

return M
