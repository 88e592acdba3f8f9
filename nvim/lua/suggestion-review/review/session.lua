--- A review's data: the suggestion's hunks and files, which one is current, what was sent, and what keeps a change out
--- of the worktree. Draws nothing; `review/current.lua` knows which session is on the screen.
local apply = require("suggestion-review.apply")
local hunk_id = require("suggestion-review.text.hunk_id")
local text_of = require("suggestion-review.text.display")
local revision = require("suggestion-review.apply.revision")
local client = require("suggestion-review.connection.client")
local base_of = require("suggestion-review.model.base_text")
local seen = require("suggestion-review.model.seen")
local store = require("suggestion-review.model.store")

local M = {}

---@class SuggestionReview.SessionFile
---@field file string
---@field display string
---@field old_display string|nil
---@field first integer
---@field last integer
---@field decided integer
---@field added integer
---@field removed integer
---@field expanded table<integer, boolean>

---@class SuggestionReview.Session
---@field id string
---@field place SuggestionReview.Place
---@field hunks SuggestionReview.Hunk[] a list of its own: what is drawn changes only together with it
---@field files SuggestionReview.SessionFile[]
---@field index integer current hunk
---@field decided integer
---@field revision integer
---@field version integer rises with every count
---@field style string
---@field layout "unified"|"side-by-side"
---@field sent table<string, SuggestionReview.HunkState> decided, not answered yet
---@field outcomes table<string, string> what keeps a hunk's change out of the worktree
---@field fresh table<string, true> hunks that the latest revision brought
---@field stale_text? boolean more than states changed since the last drawing
---@field private redraw_soon fun()
---@field unsubscribe fun()
---@field shown table<string, true> digests of hunks that were read whole where the style does not show them so
---@field agreed table<string, true> digests of hunks whose marks the developer has agreed to
---@field last_comment string|nil reason of the last rejection, for "."
---@field private opened_with SuggestionReview.Suggestion
---@field private source SuggestionReview.Hunk[] the store's list that `hunks` was taken from
local Session = {}
Session.__index = Session

--- What is said of a hunk that is decided and not in the worktree.
---@type table<SuggestionReview.Outcome, string>
M.KEPT_OUT = {
  refused = "not in your file",
  deferred = "brought over when adopted",
  conflict = "conflicts with your edits",
}

---@param suggestion SuggestionReview.Suggestion with hunks
---@param place SuggestionReview.Place
---@param opts { style: string, layout: "unified"|"side-by-side", redraw_soon: fun() }
---@return SuggestionReview.Session
function M.new(suggestion, place, opts)
  local session = setmetatable({
    id = suggestion.id,
    place = place,
    hunks = {},
    files = {},
    index = 1,
    decided = 0,
    revision = suggestion.revision,
    version = 0,
    style = opts.style,
    layout = opts.layout,
    redraw_soon = opts.redraw_soon,
    sent = {},
    outcomes = {},
    shown = {},
    agreed = {},
    fresh = seen.look(suggestion.id, suggestion.revision, suggestion.hunks),
    opened_with = suggestion,
  }, Session)
  session:take_hunks(suggestion)
  return session
end

---@return SuggestionReview.Suggestion
function Session:suggestion()
  return store.get(self.id) or self.opened_with
end

--- Something that is shown beside a hunk was not known yet, and is now.
function Session:text_arrived()
  self.stale_text = true
  self.redraw_soon()
end

--- What the agent has and the suggestion does not, as the server told it; each may have several lines.
---@return string[]
function Session:warnings()
  return self:suggestion().warnings or {}
end

---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.HunkState
function Session:state_of(hunk)
  return self.sent[hunk.id] or hunk.state
end

--- What keeps the answer to a decision on this hunk, where it takes longer than one expects.
---@param hunk SuggestionReview.Hunk
---@return string?
function Session:unanswered(hunk)
  if not self.sent[hunk.id] then
    return
  end
  local _, fine = client.brief(self:suggestion().server)
  return not fine and "no answer yet" or nil
end

---@param hunk SuggestionReview.Hunk
---@return boolean
function Session:is_decided(hunk)
  local state = self:state_of(hunk)
  return state == "accepted" or state == "modified" or state == "rejected"
end

---@return SuggestionReview.Hunk
function Session:current_hunk()
  return self.hunks[self.index]
end

--- Index of the file that a hunk is in.
---@param index integer of the hunk
---@return integer
function Session:file_of(index)
  for i, file in ipairs(self.files) do
    if index >= file.first and index <= file.last then
      return i
    end
  end
  return 1
end

---@return SuggestionReview.SessionFile
function Session:current_file()
  return self.files[self:file_of(self.index)]
end

---@param file SuggestionReview.SessionFile
---@return string[]|nil
function Session:base_lines(file)
  local hunk = self.hunks[file.first]
  if hunk.kind == "create" or not hunk.old_file or hunk.encoding == "latin1" then
    return nil
  end
  local base = base_of.known(self:suggestion().base_commit, hunk.old_file)
  return base and base.lines
end

--- Takes over what answers and events have set on the hunks, which may be other tables by now.
---@private
function Session:renew_hunks()
  local suggestion = store.get(self.id)
  local now = suggestion and suggestion.revision == self.revision and suggestion.hunks
  if not now then
    return
  end
  for index, hunk in ipairs(self.hunks) do
    local other = now[index]
    if other and other.id == hunk.id then
      self.hunks[index] = other
    else
      self.hunks[index] = store.hunk(self.id, hunk.id) or hunk
    end
  end
end

--- Whether two ids are of the same hunk, or of a part of it and the whole.
---@param a string
---@param b string
---@return boolean
function M.is_akin(a, b)
  return a == b or hunk_id.is_part(a, b) or hunk_id.is_part(b, a)
end

--- Whether the list of hunks is still the store's.
---@private
---@param hunks SuggestionReview.Hunk[]
---@return boolean
function Session:has_same(hunks)
  if #hunks ~= #self.hunks then
    return false
  end
  for index, hunk in ipairs(hunks) do
    if hunk.id ~= self.hunks[index].id then
      return false
    end
  end
  return true
end

--- Follows hunks that were split or joined, or a new revision, staying at the hunk one was at. To be drawn at once
--- when it says so: rows on the screen and keys count hunks by their number.
---@return boolean changed
function Session:follow_store()
  local suggestion = store.get(self.id)
  local hunks = suggestion and suggestion.hunks
  if not suggestion or not hunks then
    return false
  elseif suggestion.revision ~= self.revision then
    self:take_hunks(suggestion)
    return true
  elseif self:has_same(hunks) then
    self:count()
    return false
  end
  local at = self.hunks[self.index]
  self.hunks, self.source = vim.list_slice(hunks), hunks
  -- What is applied of a hunk that was split is filed under its parts, and the other way round.
  revision.rekey(self.place, self.hunks)
  for index, hunk in ipairs(self.hunks) do
    if at and M.is_akin(hunk.id, at.id) then
      self.index = index
      break
    end
  end
  self:count()
  return true
end

--- Whether these are the hunks that the session has.
---@param hunks SuggestionReview.Hunk[]
---@return boolean
function Session:is_of(hunks)
  return self.source == hunks and self:has_same(hunks)
end

--- Rebuilds what follows from the hunks: files, counts.
function Session:count()
  self:renew_hunks()
  local files, by_file = {}, {}
  self.decided = 0
  for index, hunk in ipairs(self.hunks) do
    local file = by_file[hunk.file]
    if not file then
      local known
      for _, one in ipairs(self.files) do
        if one.file == hunk.file then
          known = one
        end
      end
      file = {
        file = hunk.file,
        display = text_of.plain(hunk.file),
        first = index,
        expanded = known and known.expanded or {},
        added = 0,
        removed = 0,
        decided = 0,
      }
      by_file[hunk.file] = file
      files[#files + 1] = file
    end
    if hunk.old_file and hunk.old_file ~= hunk.file then
      file.old_display = text_of.plain(hunk.old_file)
    end
    file.last = index
    file.added = file.added + hunk.new_count
    file.removed = file.removed + hunk.old_count
    if self:is_decided(hunk) then
      file.decided = file.decided + 1
      self.decided = self.decided + 1
    end
  end
  self.files = files
  self.version = self.version + 1
  self.index = math.max(1, math.min(self.index, #self.hunks))
end

--- Takes the hunks of a suggestion that was opened or has a new revision.
---@param suggestion SuggestionReview.Suggestion
function Session:take_hunks(suggestion)
  self.hunks, self.source = vim.list_slice(suggestion.hunks), suggestion.hunks
  self.revision = suggestion.revision
  -- Where they go follows the revision: its base, and how it is numbered in the record.
  self.place.suggestion = suggestion
  revision.rekey(self.place, self.hunks)
  self.outcomes = {}
  if not self.place.in_place then
    -- What is known without looking at the files; `review/standing.lua` looks.
    for _, hunk in ipairs(self.hunks) do
      if
        (hunk.state == "accepted" or hunk.state == "modified") and not apply.is_applied(self.place, hunk)
      then
        self.outcomes[hunk.id] = M.KEPT_OUT.refused
      end
    end
  end
  self:count()
end

--- Makes the hunk of this id the current one, if there is one.
---@param id string
function Session:point_at(id)
  for index, hunk in ipairs(self.hunks) do
    if hunk.id == id then
      self.index = index
      return
    end
  end
end

--- Index of the first undecided hunk from `from` on, around the end.
---@param from integer
---@return integer|nil
function Session:pending_from(from)
  local total = #self.hunks
  for step = 0, total - 1 do
    local index = (from - 1 + step) % total + 1
    if not self:is_decided(self.hunks[index]) then
      return index
    end
  end
end

--- The undecided hunks, of all files or of one.
---@param file? string
---@return SuggestionReview.Hunk[]
function Session:undecided(file)
  return vim.tbl_filter(function(hunk)
    return not self:is_decided(hunk) and (not file or hunk.file == file)
  end, self.hunks)
end

return M
