--- A file of a suggestion as rows of a screen: headers, context, removed and added lines, gaps. Pure but for the lazy
--- word marks; the same rows serve the unified and the side-by-side layout.
local diff = require("suggestion-review.text.diff")

local M = {}

---@class SuggestionReview.Row
---@field kind "header"|"note"|"context"|"old"|"new"|"gap"
---@field text string      what stands in the buffer ("" for rows that are drawn)
---@field hunk integer|nil index into the session's hunks
---@field old integer|nil  line number in the base
---@field new integer|nil  line number after all hunks
---@field nth integer|nil  old, new: position among the hunk's removed or added lines, 1-based
---@field gap integer|nil  gap: lines hidden
---@field from integer|nil gap: first hidden base line, 0-based
---@field chunks? string[][] header, note, gap: what is drawn
---@field block SuggestionReview.Block|nil

---@class SuggestionReview.Block the lines of one hunk, for highlighting
---@field hunk SuggestionReview.Hunk
---@field at integer base lines before it
---@field diff? string what it was made of
---@field start integer and where it stood
---@field own boolean the developer's version of the hunk
---@field before string[]
---@field old string[]
---@field new string[]
---@field after string[]
---@field no_newline_old? boolean
---@field no_newline_new? boolean
---@field words? { old: table<integer, integer[][]>, new: table<integer, integer[][]> }
---@field syntax? { old: table<integer, table>, new: table<integer, table> }

---@type table<string, SuggestionReview.Block>
local blocks = setmetatable({}, { __mode = "v" })

--- Lets go of everything that was kept; for tests and benches.
function M.forget()
  blocks = setmetatable({}, { __mode = "v" })
end

---@param lines string[]
local function bare(lines)
  for i, line in ipairs(lines) do
    if line:sub(-1) == "\n" then
      lines[i] = line:sub(1, -2)
    end
  end
  return lines
end

--- The diff that is shown of a hunk: the developer's version where there is one, else the agent's.
---@param hunk SuggestionReview.Hunk
---@return string diff
---@return boolean own
function M.diff_of(hunk)
  local own = hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff
  return own or hunk.diff, own ~= nil and own ~= false
end

---@param text string a diff of lines
---@return table|nil sides
local function sides_of(text)
  local quick = diff.quick_sides(text)
  if quick and #quick.old + #quick.new > 0 then
    return quick
  end
  local parsed = text:sub(1, 3) == "@@ " and diff.parse(text)
  if not parsed then
    return quick
  end
  local sides = diff.sides(parsed)
  return {
    no_newline_old = #sides.old > 0 and sides.old[#sides.old]:sub(-1) ~= "\n",
    no_newline_new = #sides.new > 0 and sides.new[#sides.new]:sub(-1) ~= "\n",
    before = bare(sides.before),
    old = bare(sides.old),
    new = bare(sides.new),
    after = bare(sides.after),
  }
end

--- The hunk's lines as they are shown.
---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.Block
function M.block_of(hunk)
  local text, own = M.diff_of(hunk)
  local key = hunk.id .. "\0" .. hunk.digest .. (own and "\0" .. text or "")
  local block = blocks[key]
  -- A digest is of the lines, not of where they stand: a later revision may have the same change elsewhere.
  if block and block.diff == hunk.diff and block.start == hunk.old_start then
    block.hunk = hunk
    return block
  end
  block = nil
  local at = diff.zero_based(hunk.old_start, hunk.old_count)
  if own then
    text = diff.bare_edit(text)
    block = sides_of(text)
    local start, count = text:match("^@@ %-(%d+),?(%d*) ")
    if block and start then
      -- It may reach into the lines around the hunk.
      at = diff.zero_based(tonumber(start), count == "" and 1 or tonumber(count)) + #block.before
    else
      block, own = nil, false
    end
  end
  block = block
    or diff.has_text(hunk) and sides_of(hunk.diff)
    or { before = {}, old = {}, new = {}, after = {} }
  block.hunk, block.at, block.own = hunk, at, own
  block.diff, block.start = hunk.diff, hunk.old_start
  blocks[key] = block
  return block
end

--- How many lines are shown to come and to go.
---@param hunk SuggestionReview.Hunk
---@return integer added
---@return integer removed
function M.size_of(hunk)
  local block = hunk.state == "modified" and M.block_of(hunk)
  if block and block.own then
    return #block.new, #block.old
  end
  return hunk.new_count, hunk.old_count
end

--- Byte spans of the words that differ, for one removed or added line.
---@param block SuggestionReview.Block
---@param side "old"|"new"
---@param nth integer
---@return integer[][]
function M.words(block, side, nth)
  if not block.words then
    block.words = { old = {}, new = {} }
    for _, pair in ipairs(diff.pairs_of(block.old, block.new)) do
      local old, new = diff.words(block.old[pair.old], block.new[pair.new])
      block.words.old[pair.old], block.words.new[pair.new] = old, new
    end
  end
  return block.words[side][nth] or {}
end

---@class SuggestionReview.RowsInput
---@field hunks SuggestionReview.Hunk[] all of the session
---@field first integer the file's hunks
---@field last integer
---@field base string[]|nil lines of the base, when known
---@field expanded table<integer, boolean> gaps that are open, by their first base line
---@field notes fun(hunk: SuggestionReview.Hunk): string[][][] lines of chunks below the header
---@field head? string[][][] lines of chunks above everything

---@param index integer
---@param block SuggestionReview.Block
---@return SuggestionReview.Row
local function without_newline(index, block)
  local chunks = { { "no newline at end of file", "SuggestionReviewHint" } }
  return { kind = "note", text = "", hunk = index, block = block, chunks = chunks }
end

---@param input SuggestionReview.RowsInput
---@return SuggestionReview.Row[]
---@return table<integer, integer> header_row by hunk index, 1-based
function M.build(input)
  local rows, header_row, n = {}, {}, 0
  local line, shift = 0, 0 -- base lines shown so far; new line number = old + shift
  local function add(row)
    n = n + 1
    rows[n] = row
  end
  local function context(text, hunk, block)
    line = line + 1
    add({ kind = "context", text = text, hunk = hunk, old = line, new = line + shift, block = block })
  end
  local function skip_to(target)
    if target <= line then
      return
    end
    if input.expanded[line] and input.base then
      for i = line + 1, target do
        local text = input.base[i]
        context(text:sub(-1) == "\n" and text:sub(1, -2) or text)
      end
    else
      add({ kind = "gap", text = "", gap = target - line, from = line })
      line = target
    end
  end

  for _, chunks in ipairs(input.head or {}) do
    local block = M.block_of(input.hunks[input.first])
    add({ kind = "note", text = "", hunk = input.first, chunks = chunks, block = block })
  end
  local following = input.hunks[input.first] and M.block_of(input.hunks[input.first])
  for index = input.first, input.last do
    local hunk = input.hunks[index]
    local block = following
    local at = block.at
    local has_lines = diff.has_text(hunk)
    local next_hunk = index < input.last and input.hunks[index + 1] or nil
    following = next_hunk and M.block_of(next_hunk)
    local next_at = following and following.at or math.huge
    if has_lines then
      skip_to(at - math.min(#block.before, math.max(0, at - line)))
    end
    header_row[index] = n + 1
    add({ kind = "header", text = "", hunk = index, block = block })
    for _, chunks in ipairs(input.notes(hunk)) do
      add({ kind = "note", text = "", hunk = index, chunks = chunks, block = block })
    end
    if has_lines then
      local wanted = math.max(0, at - line)
      for i = #block.before - math.min(#block.before, wanted) + 1, #block.before do
        context(block.before[i], index, block)
      end
      for i, text in ipairs(block.old) do
        line = line + 1
        add({ kind = "old", text = text, hunk = index, old = line, nth = i, block = block })
      end
      if block.no_newline_old ~= block.no_newline_new and block.no_newline_old then
        add(without_newline(index, block))
      end
      local new_line = line - #block.old + shift
      for i, text in ipairs(block.new) do
        add({ kind = "new", text = text, hunk = index, new = new_line + i, nth = i, block = block })
      end
      if block.no_newline_old ~= block.no_newline_new and block.no_newline_new then
        add(without_newline(index, block))
      end
      shift = shift + #block.new - #block.old
      for _, text in ipairs(block.after) do
        if line >= next_at then
          break
        end
        context(text, index, block)
      end
    end
  end
  if input.base and line > 0 then
    skip_to(#input.base)
  end
  return rows, header_row
end

--- Rows of both sides for the side-by-side layout: pairs of a left and a right row, either of which may be missing.
---@param rows SuggestionReview.Row[]
---@return { left: SuggestionReview.Row|nil, right: SuggestionReview.Row|nil }[]
function M.pair_up(rows)
  local out = {}
  local i = 1
  while i <= #rows do
    local row = rows[i]
    if row.kind == "old" or row.kind == "new" then
      local old, new = {}, {}
      while rows[i] and (rows[i].kind == "old" or rows[i].kind == "new") and rows[i].hunk == row.hunk do
        table.insert(rows[i].kind == "old" and old or new, rows[i])
        i = i + 1
      end
      local at_old, at_new = 1, 1
      local function until_pair(old_end, new_end)
        while at_old < old_end or at_new < new_end do
          local left = at_old < old_end and old[at_old] or nil
          local right = at_new < new_end and new[at_new] or nil
          out[#out + 1] = { left = left, right = right }
          at_old = at_old + (left and 1 or 0)
          at_new = at_new + (right and 1 or 0)
        end
      end
      for _, pair in ipairs(diff.pairs_of(row.block.old, row.block.new)) do
        until_pair(pair.old, pair.new)
        out[#out + 1] = { left = old[pair.old], right = new[pair.new] }
        at_old, at_new = pair.old + 1, pair.new + 1
      end
      until_pair(#old + 1, #new + 1)
    else
      out[#out + 1] = { left = row, right = row }
      i = i + 1
    end
  end
  return out
end

return M
