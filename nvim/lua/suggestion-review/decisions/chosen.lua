--- What was chosen for the next prompt: a session, who answers in it, by which model. Who answers stays with the
--- session once the prompt was sent; the session stays chosen.

local M = {}

---@class (exact) SuggestionReview.Chosen
---@field session? string
---@field new? boolean the next prompt begins a session
---@field agent? string
---@field model? string "provider/model"
---@field variant? string

---@type table<string, SuggestionReview.Chosen> by server and project: a session is of one
local chosen_for = {}

---@param server? string
---@param project? string
---@return SuggestionReview.Chosen
function M.of(server, project)
  local key = ("%s\0%s"):format(server or "", project or "")
  chosen_for[key] = chosen_for[key] or {}
  return chosen_for[key]
end

--- What of it goes along with a prompt; what the caller says outweighs it.
---@param server? string
---@param project? string
---@param opts SuggestionReview.AskOpts
---@return { session_id?: string, new_session?: boolean, agent?: string, model?: string, variant?: string }
function M.request(server, project, opts)
  local chosen = M.of(server, project)
  local named = opts.session_id or opts.new_session
  local fresh = opts.new_session or (not named and chosen.new) or nil
  local model = opts.model or chosen.model
  return {
    session_id = opts.session_id or (not fresh and chosen.session) or nil,
    new_session = fresh,
    agent = opts.agent or chosen.agent,
    model = model,
    variant = opts.variant or (model == chosen.model and chosen.variant) or nil,
  }
end

--- A prompt has arrived: what it chose is the session's now. What was chosen meanwhile is for the next one.
---@param server? string
---@param project? string
---@param sent { new_session?: boolean, agent?: string, model?: string, variant?: string }
---@param session string
function M.sent(server, project, sent, session)
  local chosen = M.of(server, project)
  if sent.new_session and chosen.new then
    chosen.new, chosen.session = nil, session
  end
  if chosen.agent == sent.agent then
    chosen.agent = nil
  end
  if chosen.model == sent.model and chosen.variant == sent.variant then
    chosen.model, chosen.variant = nil, nil
  end
end

return M
