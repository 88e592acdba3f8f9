--- Where the developer's edits and a hunk met: the text they settle on, as a modification for the server and as lines
--- of the file.
local applied_as = require("suggestion-review.apply.replacement")
local carrier = require("suggestion-review.worktree.document")
local diff = require("suggestion-review.text.diff")
local fileop = require("suggestion-review.worktree.whole_file")
local form = require("suggestion-review.worktree.encoding")
local mapping = require("suggestion-review.text.merge")

local M = {}

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
    }
end

--- Puts `lines` where the developer's edits and the suggestion met, and files it as what is applied there.
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
  local carried = plan.carrier
  if carrier.tick(carried) ~= plan.tick then
    return false, "the file changed meanwhile; look at the hunk again"
  end
  local rejected = item.want.state == "rejected" or item.want.state == "pending"
  local reason
  if not lines then
    local ok
    ok, reason = fileop.remove(place.root, carried.path)
    if not ok then
      return false, reason
    end
  elseif not vim.deep_equal(lines, placed.ours) then
    local write = require("suggestion-review.config").get().write_on_accept
    local save = carried.buf and write and not vim.bo[carried.buf].modified
    local total = #diff.split_lines(carrier.text(carried))
    local ok
    ok, reason = carrier.apply(
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
  end
  if rejected then
    place.applied:record(place.suggestion.id, plan.file, {}, { item.hunk.id })
  else
    place.applied:record(
      place.suggestion.id,
      plan.file,
      { replacement or applied_as.of(item.want, place.suggestion.base_commit) },
      {}
    )
  end
  return true, reason
end

return M
