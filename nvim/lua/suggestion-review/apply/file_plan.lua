--- What a plan is made of: a want for each hunk, what it would come to, and the plan of the file they are in.
local M = {}

--- What a hunk is to be in the worktree.
---@class (exact) SuggestionReview.Want
---@field hunk SuggestionReview.Hunk
---@field state SuggestionReview.HunkState
---@field modified_diff? string

---@class SuggestionReview.PlanItem
---@field hunk SuggestionReview.Hunk
---@field want SuggestionReview.Want
---@field status SuggestionReview.Outcome
---@field reason? string
---@field code? "unknown_base"
---@field placed? SuggestionReview.Placed
---@field also? string[] keys of an earlier revision's text that go with it
---@field plan? SuggestionReview.FilePlan

---@class SuggestionReview.FilePlan
---@field file string raw bytes
---@field items SuggestionReview.PlanItem[]
---@field run? fun(): boolean, string|nil
---@field carrier? SuggestionReview.Carrier
---@field tick? integer of the carrier when the plan was made
---@field base? SuggestionReview.Base
---@field attributes? SuggestionReview.Attributes what git does to the file between repository and worktree
---@field shape? SuggestionReview.Form
---@field displaced? string[] keys that make room for what comes in
---@field presence? table<string, SuggestionReview.Presence> what of the record is not simply in the file, by key
---@field others? SuggestionReview.Replacement[] what else is applied in the file

--- Gives hunks the same outcome.
---@param items SuggestionReview.PlanItem[]
---@param status SuggestionReview.Outcome
---@param reason? string
function M.mark(items, status, reason)
  for _, item in ipairs(items) do
    item.status, item.reason = status, reason
  end
end

return M
