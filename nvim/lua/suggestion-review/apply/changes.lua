--- What changes in a file's text when replacements of base lines come and go, in the form in which a buffer or the file
--- carries that text. Pure: looks at no file.
local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local form = require("suggestion-review.worktree.encoding")
local mapping = require("suggestion-review.text.merge")

local M = {}

--- The text as it should be before the change, in bare form (see `diff.bare`), made only when it is asked for.
---@alias SuggestionReview.Expected fun(): string[]

--- What a plan does to the replacements of a file.
---@class (exact) SuggestionReview.LineWork
---@field now SuggestionReview.Replacement[] applied so far
---@field remove table<string, true> keys
---@field add SuggestionReview.Replacement[]
---@field gone? string[] keys that are not in the text any more and make room in the record
---@field yields? table<string, string[]> keys whose text the developer edited, and what takes their place in the record

---@class (exact) SuggestionReview.WantedChanges
---@field changes SuggestionReview.TextChange[]
---@field expected SuggestionReview.Expected
---@field list? SuggestionReview.Replacement[] what is applied so far, as the carrier holds it, in order
---@field base_lines? string[] as the carrier would show them
---@field displaced string[] keys of what has to make room
---@field refused table<string, string> why the carrier cannot hold it, by key
---@field together boolean all of it goes in, or none

---@param lines string[]
---@param shape SuggestionReview.Form
---@param first boolean
---@return string[]|nil
---@return string|nil reason
local function decode_lines(lines, shape, first)
  if
    shape.eol == "unix"
    and (shape.encoding == "" or shape.encoding == "utf-8")
    and not (first and shape.bom)
  then
    return lines
  end
  local text, reason = form.decode(table.concat(lines), shape, first)
  return text and diff.split_lines(text), reason
end

--- The base as the carrier would show it. A repository that keeps LF under a worktree of CR LF is met half-way.
---@param base SuggestionReview.Base
---@param shape SuggestionReview.Form
---@return string[]|nil
---@return SuggestionReview.Form|string shape that hunks are read with, or why not
local function decode_base(base, shape)
  local id = ("%s %s %s"):format(shape.eol, shape.encoding, tostring(shape.bom))
  local known = base.decoded[id]
  if known then
    return known, base.decoded[id .. " form"] or shape
  end
  local lines, reason = decode_lines(base.lines, shape, true)
  local used = shape
  if not lines and shape.eol == "dos" and not base.bytes:find("\r", 1, true) then
    used = { eol = "unix", encoding = shape.encoding, bom = shape.bom }
    lines, reason = decode_lines(base.lines, used, true)
  end
  if not lines then
    return nil, reason or "its base cannot be read like the buffer"
  end
  base.decoded[id] = lines
  if used ~= shape then
    base.decoded[id .. " form"] = used
  end
  return lines, used
end

--- A base of one line without an end says nothing of ends: its hunks do.
---@param base SuggestionReview.Base
---@param work SuggestionReview.LineWork
---@param shape SuggestionReview.Form
---@return SuggestionReview.Form shape that hunks are read with
local function ends_of_hunks(base, work, shape)
  if shape.eol ~= "dos" or base.bytes:find("\n", 1, true) then
    return shape
  end
  for _, list in ipairs({ work.now, work.add }) do
    for _, replacement in ipairs(list) do
      for _, line in ipairs(replacement.lines) do
        if line:sub(-1) == "\n" and line:sub(-2) ~= "\r\n" then
          return { eol = "unix", encoding = shape.encoding, bom = shape.bom }
        end
      end
    end
  end
  return shape
end

---@param line string
local function ends_dos(line)
  return line:sub(-2) == "\r\n"
end

--- Whether hunks give lines other ends than the base has: then the ends are text of the file, and no form of it.
---@param base SuggestionReview.Base
---@param work SuggestionReview.LineWork
---@return boolean
function M.changes_ends(base, work)
  local first = base.lines[1]
  if not first or first:sub(-1) ~= "\n" then
    return false
  end
  local dos = ends_dos(first)
  for _, list in ipairs({ work.now, work.add }) do
    for _, replacement in ipairs(list) do
      for _, line in ipairs(replacement.whose == "hunk" and replacement.lines or {}) do
        if line:sub(-1) == "\n" and ends_dos(line) ~= dos then
          return true
        end
      end
    end
  end
  return false
end

local MARK = "\239\187\191"

--- Why a buffer cannot hold what a hunk makes of the file's first bytes: a byte order mark is no text in it.
---@param replacement SuggestionReview.Replacement
---@param base SuggestionReview.Base
---@param shape SuggestionReview.Form
---@return string|nil reason
local function mark_changes(replacement, base, shape)
  local first = replacement.lines[1]
  if not shape.bom or replacement.at ~= 0 or replacement.count == 0 or not first then
    return nil
  elseif (first:sub(1, #MARK) == MARK) ~= (base.bytes:sub(1, #MARK) == MARK) then
    return "it changes the byte order mark, which an open buffer keeps: close the file first"
  end
end

---@param replacement SuggestionReview.Replacement
---@param shape SuggestionReview.Form
---@return SuggestionReview.Replacement|nil
---@return string|nil reason
local function decode_replacement(replacement, shape)
  local lines, reason = decode_lines(replacement.lines, shape, replacement.at == 0)
  if not lines then
    return nil, reason
  elseif lines == replacement.lines and not replacement.before then
    return replacement
  end
  local copy = vim.tbl_extend("force", replacement, {})
  copy.lines = lines
  if replacement.before then
    local before, why = decode_lines(replacement.before.lines, shape, replacement.before.at == 0)
    if not before then
      return nil, why
    end
    copy.before = { at = replacement.before.at, count = replacement.before.count, lines = before }
  end
  return copy
end

--- In a carrier whose lines are the file's lines.
---@param plan SuggestionReview.FilePlan
---@param work SuggestionReview.LineWork
---@return SuggestionReview.WantedChanges|nil
---@return string|nil reason
local function line_changes(plan, work)
  local base = plan.base --[[@as SuggestionReview.Base]]
  local base_lines, shape = decode_base(base, plan.carrier.form)
  if not base_lines then
    return nil, shape --[[@as string]]
  end
  ---@cast shape SuggestionReview.Form
  shape = ends_of_hunks(base, work, shape)
  plan.shape = shape
  local expected, adding, refused = {}, {}, {}
  for _, replacement in ipairs(work.now) do
    local decoded, reason = decode_replacement(replacement, shape)
    local marked = shape.bom and mark_changes(replacement, base, shape)
    if not decoded or marked then
      return nil, reason or marked
    end
    expected[#expected + 1] = decoded
  end
  for _, replacement in ipairs(work.add) do
    local decoded, reason = decode_replacement(replacement, shape)
    reason = reason or mark_changes(replacement, base, shape)
    if decoded and not reason then
      adding[#adding + 1] = decoded
    else
      refused[replacement.key] = reason
    end
  end
  local changes, _, displaced = exchange.changes(base_lines, expected, work.remove, adding)
  return {
    changes = changes,
    list = mapping.sorted(expected),
    base_lines = base_lines,
    displaced = displaced,
    refused = refused,
    together = false,
    expected = function()
      local bare = base.bare[base_lines]
      if not bare then
        bare = diff.bare_lines(base_lines)
        base.bare[base_lines] = bare
      end
      return mapping.compose_bare(bare, expected)
    end,
  }
end

--- In a carrier whose lines are others than the file's (lone CR, UTF-16): both texts are decoded as a whole and
--- compared; all hunks go together or none.
---@param plan SuggestionReview.FilePlan
---@param work SuggestionReview.LineWork
---@return SuggestionReview.WantedChanges|nil
---@return string|nil reason
local function whole_changes(plan, work)
  local base, shape =
    plan.base, --[[@as SuggestionReview.Base]]
    plan.carrier.form
  local moves, after, displaced = exchange.changes({}, work.now, work.remove, work.add)
  local asks = vim.iter(moves):any(function(change)
    return change.asks or change.before
  end)
  local function decoded(list)
    local text, reason = form.decode(table.concat(mapping.compose(base.lines, list)), shape, true)
    return text and diff.split_lines(text), reason
  end
  local expected, reason = decoded(work.now)
  local wanted, wanted_reason = decoded(after)
  if not expected or not wanted then
    return nil, reason or wanted_reason
  end
  plan.shape = shape
  local keys = vim.tbl_keys(work.remove)
  for _, replacement in ipairs(work.add) do
    keys[#keys + 1] = replacement.key
  end
  local changes = {}
  for _, range in ipairs(diff.ranges(expected, wanted)) do
    changes[#changes + 1] = {
      keys = keys,
      from = range[1],
      to = range[2],
      old = vim.list_slice(expected, range[1] + 1, range[2]),
      lines = vim.list_slice(wanted, range[3] + 1, range[4]),
      base_from = 0,
      base_to = #base.lines,
      asks = asks or nil,
    }
  end
  return {
    changes = changes,
    displaced = displaced,
    refused = {},
    together = true,
    expected = function()
      return diff.bare_lines(expected)
    end,
  }
end

--- What is to change in the plan's carrier. Sets `plan.shape`, the form in which the hunks' text is read.
---@param plan SuggestionReview.FilePlan with its base and carrier
---@param work SuggestionReview.LineWork
---@return SuggestionReview.WantedChanges|nil
---@return string|nil reason
function M.of(plan, work)
  if form.line_wise(plan.carrier.form) then
    return line_changes(plan, work)
  end
  return whole_changes(plan, work)
end

return M
