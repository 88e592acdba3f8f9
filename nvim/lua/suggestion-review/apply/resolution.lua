--- Where the developer's edits and a hunk met: the text they settle on, as a modification for the server and as lines
--- of the file.
local applied_as = require("suggestion-review.apply.replacement")
local carrier = require("suggestion-review.worktree.document")
local diff = require("suggestion-review.text.diff")
local exchange = require("suggestion-review.text.exchange")
local fileop = require("suggestion-review.worktree.whole_file")
local form = require("suggestion-review.worktree.encoding")
local mapping = require("suggestion-review.text.merge")
local config = require("suggestion-review.config")

local M = {}

--- What the developer had where a change goes, as it is recorded: what stood there before anything of the suggestion
--- did, or where the developer has edited that, what stands there now. Nothing where the base's lines stood there.
---@param placed SuggestionReview.Placed
---@param plan SuggestionReview.FilePlan
---@return SuggestionReview.Before|nil
---@return string|nil reason
function M.before(placed, plan)
  local before = placed.change and placed.change.before
  if placed.ours and not (before and vim.deep_equal(placed.ours, placed.base)) then
    before = { at = placed.base_from, count = placed.base_to - placed.base_from, lines = placed.ours }
  end
  if not before then
    return nil
  end
  local bytes, reason = form.encode(table.concat(before.lines), plan.shape, before.at == 0)
  if not bytes then
    return nil, reason
  end
  return { at = before.at, count = before.count, lines = diff.split_lines(bytes) }
end

--- The diff that makes a conflict's place in the base read as `lines`: the developer's own version as a modification.
---@param item SuggestionReview.PlanItem
---@param lines string[] as the carrier holds them
---@return string|nil diff
---@return string|nil reason
---@return SuggestionReview.Replacement|nil
function M.as_modification(item, lines)
  local placed, plan = item.placed, item.plan
  if not placed or not plan or not plan.base then
    return nil, "there is no text to put there"
  end
  local base = plan.base.lines
  local from, to = placed.base_from, placed.base_to
  local encoded, reason = form.encode(table.concat(lines), plan.shape, from == 0)
  if not encoded then
    return nil, reason
  end
  local wanted = diff.split_lines(encoded)
  for _, replacement in ipairs(plan.others) do
    if mapping.overlap(replacement, { at = from, count = to - from }) then
      return nil, "your edits reach into another hunk of the suggestion"
    end
  end
  local first = math.max(0, from - 3)
  local text = diff.format(
    first,
    first,
    vim.list_slice(base, first + 1, from),
    vim.list_slice(base, from + 1, to),
    wanted,
    vim.list_slice(base, to + 1, math.min(#base, to + 3))
  )
  if item.hunk.encoding == "latin1" then
    text = diff.bytes_to_latin1(text)
  elseif not diff.is_utf8(text) then
    return nil, "your text is not UTF-8"
  end
  return text,
    nil,
    {
      key = item.hunk.id,
      at = from,
      count = to - from,
      lines = wanted,
      order = item.hunk.new_start,
      digest = item.hunk.digest,
      kind = item.hunk.kind,
      decided = "modified",
      whose = "resolved",
    }
end

--- Writes the settled lines, or takes the file away.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param lines string[]|nil
---@return boolean ok
---@return string|nil reason
local function write(place, item, lines)
  local carried, placed = item.plan.carrier, item.placed
  ---@cast placed SuggestionReview.Placed
  if not lines then
    return fileop.remove(place.root, carried.path)
  elseif vim.deep_equal(lines, placed.ours) then
    return true
  end
  local write_on_accept = config.get().write_on_accept
  local save = carried.buf and write_on_accept and not vim.bo[carried.buf].modified
  local total = #diff.split_lines(carrier.text(carried))
  local ok, reason = carrier.apply(
    carried,
    { { from = placed.from, to = placed.to, old = placed.ours, lines = lines } },
    total
  )
  if not ok then
    return false, reason
  end
  if save then
    ok, reason = carrier.save(carried)
    reason = not ok and "applied, but not saved: " .. tostring(reason) or nil
  end
  return true, reason
end

--- What is recorded of a settled conflict.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param replacement SuggestionReview.Replacement|nil
---@return SuggestionReview.Replacement[]|nil put
---@return string[]|string out keys, or why it cannot be recorded
local function entries_of(place, item, replacement)
  local plan, placed = item.plan, item.placed
  ---@cast plan SuggestionReview.FilePlan
  ---@cast placed SuggestionReview.Placed
  if item.want.state == "rejected" or item.want.state == "pending" then
    return {}, vim.list_extend({ item.hunk.id }, item.also or {})
  end
  local put = replacement or applied_as.of(item.want, place.suggestion) --[[@as SuggestionReview.Replacement]]
  local before, reason = M.before(placed, plan)
  if not before and reason then
    return nil, "what stands there cannot be kept: " .. reason
  end
  put = vim.tbl_extend("force", put, {
    before = before,
    whose = put.decided == "modified" and "resolved" or "hunk",
    base = place.suggestion.base_commit,
    revision = place.suggestion.revision,
  })
  -- What is written takes the place of all that stood in this stretch.
  local region = { at = placed.base_from, count = placed.base_to - placed.base_from }
  local out = {}
  for _, key in ipairs(plan.displaced or {}) do
    local other = place.applied:get(place.suggestion.id, plan.file, key)
    if other and (exchange.makes_room(other, region) or exchange.makes_room(other, put)) then
      out[#out + 1] = key
    end
  end
  return { put }, out
end

--- Puts `lines` where the developer's edits and the suggestion met, and files it as what is applied there, with what
--- the developer had there. The developer's lines that make room for a rejection are kept in the record.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param lines string[]|nil nil: the file goes
---@param replacement SuggestionReview.Replacement|nil nil: the hunk's own change, or for a rejected one nothing
---@return boolean ok
---@return string|nil reason
function M.resolve(place, item, lines, replacement)
  local plan, placed = item.plan, item.placed
  if not plan or not placed or not plan.carrier then
    return false, "there is nothing to resolve"
  end
  if carrier.tick(plan.carrier) ~= plan.tick then
    return false, "the file changed meanwhile; look at the hunk again"
  end
  local put, out = entries_of(place, item, replacement)
  if not put then
    return false, out --[[@as string]]
  end
  ---@cast out string[]
  local id = place.suggestion.id
  if #put == 0 and #placed.ours > 0 and not (lines and vim.deep_equal(lines, placed.ours)) then
    place.applied:keep(id, plan.file, item.hunk.id, placed.ours)
  end
  local take_back = place.applied:record(id, plan.file, put, out)
  local called, ok, reason = pcall(write, place, item, lines)
  if not called or not ok then
    take_back()
    return false, tostring(called and reason or ok)
  end
  return true, reason
end

return M
