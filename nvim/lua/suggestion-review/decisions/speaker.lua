--- Who answers the next prompt: by which model and variant, and which of the agents. It stays with the session then.
local choose_from = require("suggestion-review.say.choose_from")
local chosen = require("suggestion-review.decisions.chosen")
local notify = require("suggestion-review.say.notify")
local plain = require("suggestion-review.text.display").plain
local to_server = require("suggestion-review.decisions.to_server")

local M = {}

---@class SuggestionReview.ModelOpts
---@field model? string "provider/model"
---@field variant? string
---@field server? string

---@class SuggestionReview.ModeOpts
---@field agent? string
---@field server? string

--- What there was to choose when that was last asked for, for completion.
---@type SuggestionReview.ChoicesAnswer?
local known

---@param server string
---@param project? string
---@param callback fun(choices: SuggestionReview.ChoicesAnswer)
local function with_choices(server, project, callback)
  to_server.send(server, { type = "choices", project = project }, function(data)
    known = data --[[@as SuggestionReview.ChoicesAnswer]]
    callback(known)
  end)
end

---@param kind "models"|"agents"
---@return string[]
function M.known(kind)
  return vim.tbl_map(function(one)
    return one.model ~= nil and kind == "models" and one.model or one.agent
  end, known and known[kind] or {})
end

---@param of SuggestionReview.Chosen
---@param model string
---@param variant? string
local function take_model(of, model, variant)
  of.model, of.variant = model, variant
  notify.info(("The next prompt is answered by %s%s"):format(model, variant and ", " .. variant or ""))
end

--- Chooses the model for the next prompt; it stays with the session.
---@param opts? SuggestionReview.ModelOpts
function M.model(opts)
  opts = opts or {}
  to_server.with(opts.server, function(server, project)
    local of = chosen.of(server, project)
    if opts.model then
      -- Whether there is such a one is the server's to say, with the prompt.
      return take_model(of, opts.model, opts.variant)
    end
    with_choices(server, project, function(choices)
      choose_from(choices.models, {
        prompt = "Which model?",
        format_item = function(item)
          local mark = item.model == choices.default_model and " (where nothing is chosen)" or ""
          return ("%s · %s%s"):format(plain(item.name), item.model, mark)
        end,
      }, function(choice)
        if not choice then
          return
        elseif #choice.variants == 0 then
          return take_model(of, choice.model)
        end
        local variants = vim.list_extend({ false }, choice.variants)
        choose_from(variants, {
          prompt = "Which variant?",
          format_item = function(variant)
            return variant or "As it is"
          end,
        }, function(variant)
          if variant ~= nil then
            take_model(of, choice.model, variant or nil)
          end
        end)
      end)
    end)
  end)
end

--- Chooses which of the agents answers the next prompt, such as build or plan; it stays with the session.
---@param opts? SuggestionReview.ModeOpts
function M.mode(opts)
  opts = opts or {}
  to_server.with(opts.server, function(server, project)
    local function take(agent)
      chosen.of(server, project).agent = agent
      notify.info("The next prompt is answered by " .. agent)
    end
    if opts.agent then
      return take(opts.agent)
    end
    with_choices(server, project, function(choices)
      choose_from(choices.agents, {
        prompt = "Who answers?",
        format_item = function(item)
          local description = plain(item.description)
          return description == "" and item.agent or ("%s: %s"):format(item.agent, description)
        end,
      }, function(choice)
        if choice then
          take(choice.agent)
        end
      end)
    end)
  end)
end

return M
