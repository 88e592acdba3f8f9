--- Public functions. Each loads what it needs when it is called; none of them needs `setup()` first.

---@class SuggestionReview
---@field store table
---@field feedback table
---@field client table
local M = setmetatable({}, {
  __index = function(module, name)
    local parts = require("suggestion-review.wiring").parts
    if parts[name] then
      rawset(module, name, parts[name]())
    end
    return rawget(module, name)
  end,
})

--- Merges `opts` over `vim.g.suggestion_review` and the defaults; see |suggestion-review-config|.
---@param opts? table
function M.setup(opts)
  -- What is wrong with them is said by this one.
  require("suggestion-review.say.echo")
  require("suggestion-review.config").setup(opts)
  require("suggestion-review.say.log").reload()
  if vim.v.vim_did_enter == 1 and #vim.api.nvim_list_uis() > 0 then
    M.auto_connect()
  end
end

--- Connects unless settings or the lack of a token speak against it; says nothing in the latter case.
function M.auto_connect()
  local config = require("suggestion-review.config")
  if not config.get().auto_connect then
    return
  end
  for _, server in ipairs(config.servers()) do
    if vim.uv.fs_stat(server.token_file) then
      M.connect(server.name)
    end
  end
end

--- The connection is made on first use, so that a review can be asked for right after start.
---@param then_ fun()
local function connected(then_)
  local client = require("suggestion-review.connection.client")
  if not client.get() then
    M.connect()
  end
  local function ready()
    for _, one in ipairs(client.all()) do
      if one.state == "connecting" then
        return false
      end
    end
    return true
  end
  if ready() then
    return then_()
  end
  local store = require("suggestion-review.model.store")
  local stop
  stop = store.subscribe(function(event)
    if (event.type == "store.reset" or event.type == "client.state") and ready() then
      -- The list follows the connection; a state that is not "connected" will bring none.
      if event.type == "client.state" and event.state == "connected" then
        return
      end
      stop()
      then_()
    end
  end)
end

--- Opens the review of a suggestion, of the only open one, or asks which.
---@param id? string
function M.open(id)
  connected(function()
    require("suggestion-review.review").open(id)
  end)
end

--- Sends the rejections of the suggestion under review to the agent and lets it work.
---@param comment? string
function M.revise(comment)
  require("suggestion-review.review.requests").revise(comment)
end

--- Id of the suggestion under review, where one is.
---@return string|nil
local function under_review()
  local review = package.loaded["suggestion-review.review"]
  return review and review.current_id()
end

--- Asks the agent for a change; see |:Suggest-ask|.
---@param text? string asked for when left out
---@param opts? SuggestionReview.AskOpts
function M.ask(text, opts)
  opts = vim.tbl_extend("keep", opts or {}, { suggestion_id = under_review() })
  require("suggestion-review.decisions.ask").ask(text, opts)
end

--- Stops the agent's turn.
function M.abort()
  require("suggestion-review.decisions.ask").abort(under_review())
end

--- Shows what the agent does in a buffer that follows it; see |:Suggest-agent|.
---@param opts? { server?: string, session_id?: string }
function M.agent(opts)
  require("suggestion-review.ui.agent").open(opts)
end

--- Answers a permission that the agent waits for; asks what is not given. See |:Suggest-permission|.
---@param opts? SuggestionReview.PermissionOpts
function M.permission(opts)
  local view = require("suggestion-review.ui.approval")
  require("suggestion-review.decisions.answers").permission(opts or {}, view)
end

--- Answers a question of the agent's; asks what is not given. See |:Suggest-answer|.
---@param opts? SuggestionReview.QuestionOpts
function M.answer(opts)
  require("suggestion-review.decisions.answers").question(opts)
end

--- Chooses the session that the next prompt goes to, or names, forks, compacts, exports, deletes one. See
--- |:Suggest-session|.
---@param opts? SuggestionReview.SessionOpts
function M.session(opts)
  require("suggestion-review.decisions.sessions").session(opts)
end

--- Chooses the model for the next prompt; asks what is not given. See |:Suggest-model|.
---@param opts? SuggestionReview.ModelOpts
function M.model(opts)
  require("suggestion-review.decisions.speaker").model(opts)
end

--- Chooses which of the agents answers the next prompt; asks what is not given. See |:Suggest-mode|.
---@param opts? SuggestionReview.ModeOpts
function M.mode(opts)
  require("suggestion-review.decisions.speaker").mode(opts)
end

--- Brings a finalized suggestion into the checkout, after showing how; see |suggestion-review-adopt|.
---@param id? string
function M.adopt(id)
  require("suggestion-review.adopt").open(id, require("suggestion-review.wiring").show_plan)
end

--- Open suggestions.
---@return SuggestionReview.Suggestion[]
function M.list()
  return require("suggestion-review.model.store").list()
end

--- A short text for the statusline, "" when there is nothing to say; see |suggestion-review-statusline|.
---@return string
function M.statusline()
  if not package.loaded["suggestion-review.connection.client"] then
    return ""
  end
  return require("suggestion-review.watch.statusline").text()
end

function M.connect(name)
  require("suggestion-review.wiring").connect(name)
end

function M.disconnect(name)
  require("suggestion-review.connection.client").stop(name)
end

---@param name string function of the review
local function pass_on(name)
  M[name] = function(...)
    return require("suggestion-review.review")[name](...)
  end
end

-- What has a key in the windows of the review is a function of the review, where there is none above. The table is
-- let go again: a statusline that asks this module loads nothing else.
local was_loaded = package.loaded["suggestion-review.actions"]
for _, one in ipairs(require("suggestion-review.actions").list) do
  if one.default and not rawget(M, one.action) then
    pass_on(one.action)
  end
end
package.loaded["suggestion-review.actions"] = was_loaded
pass_on("set_style")
pass_on("is_open")

return M
