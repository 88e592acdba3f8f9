--- Bench of the review on one file of 50,000 lines with 1,000 hunks, beside Neovim's own diff mode and bare calls.
--- `nvim -l nvim/bench/review.lua` starts itself in a terminal of 120x40 (drawing needs one) and prints one JSON row
--- a figure: {suite, name, ours, against, ratio, goal, unit}. Figures are medians.

local here = vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, "S").source:sub(2)))
local root = vim.fs.dirname(here)
local child = vim.env.SUGGESTION_REVIEW_BENCH

local LINES, HUNKS = 50000, 1000

local function now()
  return vim.uv.hrtime() / 1e6
end

---@param list number[]
---@param share? number
local function quantile(list, share)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * (share or 0.5)))]
end

local function row(name, ours, against, goal, unit)
  return {
    suite = "nvim",
    name = name,
    ours = tonumber(("%.3f"):format(ours)),
    against = tonumber(("%.3f"):format(against)),
    ratio = tonumber(("%.3f"):format(ours / against)),
    goal = ("<= %s"):format(goal),
    unit = unit,
  }
end

local function parent()
  local out = vim.fn.tempname()
  local home = vim.fn.tempname()
  vim.fn.mkdir(home, "p")
  local done
  vim.fn.jobstart({ vim.v.progpath, "--clean", "-n", "-S", here .. "/review.lua" }, {
    pty = true,
    width = 120,
    height = 40,
    env = {
      SUGGESTION_REVIEW_BENCH = out,
      HOME = home,
      XDG_STATE_HOME = home .. "/state",
      XDG_DATA_HOME = home .. "/data",
      TERM = "xterm-256color",
    },
    on_exit = function()
      done = true
    end,
  })
  vim.wait(300000, function()
    return done
  end, 20)
  local file = io.open(out)
  if not file then
    io.stderr:write("the bench gave no figures\n")
    os.exit(1)
  end
  for line in file:lines() do
    if line:sub(1, 6) == "error " then
      io.stderr:write(line .. "\n")
      os.exit(1)
    end
    -- What `print` says is a message, and may be wrapped like one.
    io.stdout:write(line, "\n")
  end
  os.exit(0)
end

local function work()
  vim.opt.runtimepath:prepend(root)
  package.path = root .. "/tests/?.lua;" .. package.path
  vim.o.termguicolors = true
  vim.o.more = false
  local rows = {}
  local build = require("suggestion")
  local review = require("suggestion-review.review")
  local apply = require("suggestion-review.apply")
  local store = require("suggestion-review.model.store")
  local applied = require("suggestion-review.apply.applied")
  require("suggestion-review.config").setup({ write_on_accept = false, ui = { width = 0.9 } })

  local step = math.floor(LINES / HUNKS)
  -- In a function: the tables of lines are not to weigh on every collection that is measured.
  local function texts()
    local old, new = {}, {}
    for i = 1, LINES do
      old[i] = ('local value_%d = compute(%d, "text of line %d") -- remark'):format(i, i * 7, i)
      new[i] = old[i]
      if i % step == 10 then
        new[i] = ('local value_%d = compute(%d, "changed text of line %d")\nlocal more_%d = true'):format(
          i,
          i * 7,
          i,
          i
        )
      end
    end
    return table.concat(old, "\n") .. "\n", table.concat(new, "\n") .. "\n"
  end
  local before, after = texts()
  local directory = vim.uv.fs_realpath(vim.fn.fnamemodify(vim.fn.tempname(), ":h"))
  local checkout = directory .. "/checkout"
  vim.fn.mkdir(checkout .. "/.git", "p")
  local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end
  write(checkout .. "/big.lua", before)
  write(directory .. "/new.lua", after)
  vim.cmd.cd(checkout)

  local function suggestion_of()
    return build.build({ ["big.lua"] = before }, { ["big.lua"] = after })
  end
  store.reset("test", { suggestion_of() })
  local id = store.list()[1].id
  assert(#store.hunks(id) == HUNKS, "hunks: " .. #store.hunks(id))

  local function drawn(body)
    local from = now()
    body()
    vim.cmd.redraw()
    return now() - from
  end
  local function timed(body)
    collectgarbage()
    return drawn(body)
  end

  -- Open to first redraw.
  vim.cmd("silent edit big.lua")
  vim.cmd.redraw()
  -- Neovim's own colours come in pieces while it waits: they are there before anything is measured, or they would be
  -- drawn for one side only.
  local colours = vim.treesitter.highlighter.active[vim.api.nvim_get_current_buf()]
  vim.wait(30000, function()
    return not colours or colours.tree:is_valid()
  end, 5)
  vim.cmd("redraw!")
  local ours, inline, theirs = {}, {}, {}
  for _ = 1, 7 do
    require("suggestion-review.ui.rows").forget()
    ours[#ours + 1] = timed(function()
      review.open(id, { style = "floating" })
    end)
    review.close()
    vim.cmd.redraw()
    require("suggestion-review.ui.rows").forget()
    inline[#inline + 1] = timed(function()
      review.open(id, { style = "inline" })
    end)
    review.close()
    vim.cmd.redraw()
  end
  for _ = 1, 5 do
    theirs[#theirs + 1] = timed(function()
      vim.cmd("silent vertical diffsplit " .. directory .. "/new.lua")
    end)
    vim.cmd("diffoff! | silent only | silent bwipeout " .. directory .. "/new.lua")
    vim.cmd.redraw()
  end
  local diff_open = quantile(theirs)
  rows[#rows + 1] = row(
    "open 1,000 hunks in 50,000 lines, floating, against :diffsplit",
    quantile(ours),
    diff_open,
    0.1,
    "ms"
  )
  rows[#rows + 1] = row(
    "open 1,000 hunks in 50,000 lines, inline, against :diffsplit",
    quantile(inline),
    diff_open,
    0.1,
    "ms"
  )

  -- Jump to the next hunk: the same hunks in the same terminal, with the drawing of every window that moves. Each run
  -- starts on a collected heap and is long enough to pay for the garbage it makes itself. The four take turns, so that
  -- what else the machine does meets all of them.
  local jumps, inline_jumps, bare_jumps, diff_jumps = {}, {}, {}, {}
  local RUN = 150
  local function jump(list, body)
    collectgarbage()
    for _ = 1, RUN do
      vim.wait(2)
      list[#list + 1] = drawn(body)
    end
  end
  for round = 0, 1 do
    local from = round * RUN + 1
    local first = store.hunks(id)[from]
    local line = first.old_start
    review.open(id, { style = "floating", hunk = first.id })
    vim.cmd.redraw()
    jump(jumps, review.next)
    review.close()
    review.open(id, { style = "inline", hunk = first.id })
    vim.cmd.redraw()
    jump(inline_jumps, review.next)
    review.close()
    -- The floor of every review inside the buffer: the cursor set to the next hunk's line, nothing of ours.
    vim.api.nvim_win_set_cursor(0, { line, 0 })
    vim.cmd("normal! zz")
    vim.cmd.redraw()
    local at = line
    jump(bare_jumps, function()
      at = at + step
      vim.api.nvim_win_set_cursor(0, { at, 0 })
    end)
    vim.cmd("silent vertical diffsplit " .. directory .. "/new.lua")
    vim.api.nvim_win_set_cursor(0, { line + from - 1, 0 })
    vim.cmd.redraw()
    -- With 'diffopt' as it is by default (linematch) the changed line and the added one are a stop each.
    jump(diff_jumps, function()
      vim.cmd("normal! 2]c")
    end)
    assert(
      vim.api.nvim_win_get_cursor(0)[1] == line + from - 1 + RUN * (step + 1),
      "]c went from hunk to hunk"
    )
    vim.cmd("diffoff! | silent only | silent bwipeout! " .. directory .. "/new.lua")
    vim.cmd.redraw()
  end
  -- What a person takes for immediate, whatever diff mode does.
  rows[#rows + 1] =
    row("jump to the next hunk p95, floating, against 2 ms", quantile(jumps, 0.95), 2, 1, "ms")
  for name, share in vim.spairs({ p95 = 0.95, median = 0.5 }) do
    local diff_jump, bare_jump = quantile(diff_jumps, share), quantile(bare_jumps, share)
    local function jump_row(what, list, against, goal)
      rows[#rows + 1] =
        row(("jump to the next hunk %s, %s"):format(name, what), quantile(list, share), against, goal, "ms")
    end
    jump_row("floating, against ]c", jumps, diff_jump, share == 0.5 and 0.2 or 0.1)
    jump_row("inline, against ]c", inline_jumps, diff_jump, 0.1)
    -- No review in the buffer itself can be below this: Neovim draws the window with the file's own syntax colours.
    jump_row("floor of inline: bare cursor in the same buffer, against ]c", bare_jumps, diff_jump, 0.1)
    jump_row("inline, against that floor", inline_jumps, bare_jump, 1.5)
  end

  -- Memory of an open review.
  review.close()
  package.loaded["suggestion-review.ui.rows"].forget()
  collectgarbage()
  collectgarbage()
  local memory = collectgarbage("count")
  review.open(id, { style = "floating" })
  vim.cmd.redraw()
  for _ = 1, 400 do
    review.next()
    vim.cmd.redraw()
    vim.wait(0)
  end
  collectgarbage()
  collectgarbage()
  rows[#rows + 1] = row(
    "memory of an open review of 1,000 hunks, 400 of them seen",
    (collectgarbage("count") - memory) / 1024,
    5,
    1,
    "MB"
  )
  review.close()

  -- Bring one accepted hunk into the buffer.
  local suggestion = store.get(id)
  local buf = vim.fn.bufnr(checkout .. "/big.lua")
  vim.cmd.redraw()
  -- The place of the edit is on the screen, as it is when one looks at what one accepts.
  local function look_at(line)
    vim.api.nvim_win_set_cursor(0, { line, 0 })
    vim.cmd("normal! zz")
    vim.cmd.redraw()
  end
  local bare = {}
  for i = 1, 100 do
    local line = i * step + 9
    look_at(line)
    bare[#bare + 1] = timed(function()
      vim.api.nvim_buf_set_text(buf, line, 0, line, 5, { "LOCAL changed", "more" })
    end)
  end
  vim.cmd("silent edit!")
  vim.cmd.redraw()
  local place =
    { suggestion = suggestion, root = checkout, in_place = false, applied = applied.open(checkout) }
  local function bring(hunk, state)
    apply.plan(place, { { hunk = hunk, state = state } }, function(plans, items)
      assert(items[1].status == "clean", items[1].status .. (items[1].reason or ""))
      assert(#apply.run(plans) == 0)
    end)
  end
  bring(suggestion.hunks[1], "accepted")
  local even, uneven, diffs = {}, {}, {}
  for i = 2, 101 do
    look_at(i * step + i)
    even[#even + 1] = timed(function()
      bring(suggestion.hunks[i], "accepted")
    end)
  end
  rows[#rows + 1] = row(
    "apply an accepted hunk, buffer not diverged, against nvim_buf_set_text",
    quantile(even),
    quantile(bare),
    2,
    "ms"
  )
  for i = 102, 131 do
    vim.api.nvim_buf_set_lines(buf, i * 3, i * 3, false, { "-- mine " .. i })
    vim.cmd.redraw()
    uneven[#uneven + 1] = timed(function()
      bring(suggestion.hunks[i], "accepted")
    end)
  end
  local a, b = before, table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n"
  for _ = 1, 20 do
    diffs[#diffs + 1] = timed(function()
      (vim.text and vim.text.diff or vim.diff)(a, b, { result_type = "indices" })
    end)
  end
  rows[#rows + 1] = row(
    "apply an accepted hunk, buffer diverged, against one vim.text.diff",
    quantile(uneven),
    quantile(diffs),
    2,
    "ms"
  )

  -- All 1,000 at once, beside setting the lines anew.
  vim.cmd("silent edit!")
  local every = {}
  for i, hunk in ipairs(suggestion.hunks) do
    every[i] = { hunk = hunk, state = "rejected" }
  end
  apply.plan(place, every, function(plans)
    apply.run(plans)
  end)
  vim.cmd("silent edit!")
  for i, hunk in ipairs(suggestion.hunks) do
    every[i] = { hunk = hunk, state = "accepted" }
  end
  local all_at_once = timed(function()
    apply.plan(place, every, function(plans, items)
      assert(items[HUNKS].status == "clean", items[HUNKS].reason)
      assert(#apply.run(plans) == 0)
    end)
  end)
  assert(table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n") .. "\n" == after)
  vim.cmd("silent edit!")
  vim.cmd.redraw()
  local many = {}
  for _ = 1, 5 do
    many[#many + 1] = timed(function()
      for i = HUNKS, 1, -1 do
        local at = (i - 1) * step + 9
        vim.api.nvim_buf_set_text(buf, at, 0, at, 5, { "LOCAL", "more" })
      end
    end)
    vim.cmd("silent edit!")
  end
  rows[#rows + 1] = row(
    "apply 1,000 accepted hunks at once, against 1,000 nvim_buf_set_text",
    all_at_once,
    quantile(many),
    4,
    "ms"
  )
  return rows
end

if not child then
  parent()
else
  vim.api.nvim_create_autocmd("VimEnter", {
    callback = vim.schedule_wrap(function()
      local ok, result = xpcall(work, debug.traceback)
      local file = assert(io.open(child, "w"))
      if ok then
        for _, one in ipairs(result) do
          file:write(vim.json.encode(one), "\n")
        end
      else
        file:write("error ", (tostring(result):gsub("\n", " | ")), "\n")
      end
      file:close()
      vim.cmd("qall!")
    end),
  })
end
