--- `:Suggest {subcommand}`: what it takes, what it completes, what it calls. No rule lives here.

local M = {}

---@class SuggestionReview.Subcommand
---@field run fun(args: string[], opts: table)
---@field complete? fun(lead: string): string[]
---@field text string one line for the list of subcommands

local function notify()
  return require("suggestion-review.say.notify")
end

---@param suggestion SuggestionReview.Suggestion
---@return string
local function label(suggestion)
  return require("suggestion-review.watch.label").line(suggestion, suggestion.id)
end

---@param names string[]
---@param lead string
---@return string[]
local function beginning_with(names, lead)
  return vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names)
end

---@param lead string
---@param all? boolean
local function ids(lead, all)
  local found = {}
  for _, suggestion in ipairs(require("suggestion-review.model.store").list({ all = all })) do
    if vim.startswith(suggestion.id, lead) then
      found[#found + 1] = suggestion.id
    end
  end
  return found
end

local function servers(lead)
  return vim.tbl_filter(
    function(name)
      return vim.startswith(name, lead)
    end,
    vim.tbl_map(function(server)
      return server.name
    end, require("suggestion-review.config").servers())
  )
end

--- Those that take something, or are no action of the review.
---@type table<string, SuggestionReview.Subcommand>
local subcommands = {
  review = {
    text = "open the review [id]",
    run = function(args)
      require("suggestion-review").open(args[1])
    end,
    complete = function(lead)
      return vim.tbl_filter(function(id)
        return require("suggestion-review.model.store").get(id).state ~= "finalized"
      end, ids(lead, true))
    end,
  },
  reject = {
    text = "reject the hunk [reason]",
    run = function(args)
      local reason = table.concat(args, " ")
      require("suggestion-review").reject(reason ~= "" and { comment = reason } or nil)
    end,
  },
  revise = {
    text = "ask the agent for a revision [comment]",
    run = function(args)
      local comment = table.concat(args, " ")
      require("suggestion-review").revise(comment ~= "" and comment or nil)
    end,
  },
  rebase = {
    text = "make the suggestion anew on the shared branch",
    run = function()
      require("suggestion-review.review.requests").rebase()
    end,
  },
  verify = {
    text = "run the server's check on what is accepted",
    run = function()
      require("suggestion-review.review.requests").verify()
    end,
  },
  adopt = {
    text = "bring a finalized suggestion into the checkout [id]",
    run = function(args)
      require("suggestion-review").adopt(args[1])
    end,
    complete = function(lead)
      return vim.tbl_filter(function(id)
        return require("suggestion-review.model.store").get(id).state == "finalized"
      end, ids(lead, true))
    end,
  },
  list = {
    text = "choose an open suggestion",
    run = function()
      local open = require("suggestion-review.model.store").list()
      if #open == 0 then
        return require("suggestion-review.watch.label").say_nothing()
      end
      local prompt = require("suggestion-review.watch.label").above("Suggestions")
      require("suggestion-review.say.choose_from")(
        open,
        { prompt = prompt, format_item = label },
        function(choice)
          if choice then
            require("suggestion-review").open(choice.id)
          end
        end
      )
    end,
  },
  style = {
    text = "floating, picker or inline",
    run = function(args)
      if not args[1] then
        return notify().warn("Which style? :Suggest style floating|picker|inline")
      end
      require("suggestion-review").set_style(args[1])
    end,
    complete = function(lead)
      return beginning_with({ "floating", "inline", "picker", "telescope" }, lead)
    end,
  },
  ask = {
    text = "ask the agent for a change [text|/command arguments]",
    run = function(args, opts)
      local text = table.concat(args, " ")
      require("suggestion-review").ask(text ~= "" and text or nil, {
        first_line = opts.range > 0 and opts.line1 or nil,
        last_line = opts.range > 0 and opts.line2 or nil,
        without_file = opts.bang,
      })
    end,
    complete = function(lead)
      return require("suggestion-review.decisions.slash").complete(lead)
    end,
  },
  permission = {
    text = "answer what the agent wants to do [once|always|edit|reject [reason]]",
    run = function(args)
      local reply = table.remove(args, 1)
      local message = table.concat(args, " ")
      require("suggestion-review").permission({ reply = reply, message = message ~= "" and message or nil })
    end,
    complete = function(lead)
      return beginning_with({ "always", "edit", "once", "reject" }, lead)
    end,
  },
  session = {
    text = "choose the agent's session [new|rename [title]|fork|compact|export|delete]",
    run = function(args)
      local action = table.remove(args, 1)
      local title = table.concat(args, " ")
      require("suggestion-review").session({ action = action, title = title ~= "" and title or nil })
    end,
    complete = function(lead)
      return beginning_with(require("suggestion-review.decisions.sessions").ACTIONS, lead)
    end,
  },
  model = {
    text = "choose the model [provider/model [variant]]",
    run = function(args)
      require("suggestion-review").model({ model = args[1], variant = args[2] })
    end,
    complete = function(lead)
      return beginning_with(require("suggestion-review.decisions.speaker").known("models"), lead)
    end,
  },
  mode = {
    text = "choose who answers: build, plan, … [agent]",
    run = function(args)
      require("suggestion-review").mode({ agent = args[1] })
    end,
    complete = function(lead)
      return beginning_with(require("suggestion-review.decisions.speaker").known("agents"), lead)
    end,
  },
  log = {
    text = "open the log",
    run = function()
      vim.cmd.tabedit(vim.fn.fnameescape(require("suggestion-review.say.log").path()))
    end,
  },
  connect = {
    text = "connect [server]",
    run = function(args)
      require("suggestion-review").connect(args[1])
    end,
    complete = servers,
  },
  disconnect = {
    text = "disconnect [server]",
    run = function(args)
      require("suggestion-review").disconnect(args[1])
    end,
    complete = servers,
  },
  status = {
    text = "connection, suggestions, what the agent does",
    run = function()
      notify().answer(table.concat(require("suggestion-review.watch.statusline").report(), "\n"))
    end,
  },
}

-- The others call the function of the public module.
for _, one in ipairs(require("suggestion-review.actions").list) do
  local name = one.command
  if name and not subcommands[name] then
    subcommands[name] = {
      text = one.text,
      run = function()
        require("suggestion-review")[one.action]()
      end,
    }
  end
end

---@return string[]
function M.names()
  local names = vim.tbl_keys(subcommands)
  table.sort(names)
  return names
end

---@param name string
---@return SuggestionReview.Subcommand?
function M.get(name)
  return subcommands[name]
end

---@param opts table as |nvim_create_user_command()| gives it
function M.run(opts)
  local args = vim.list_slice(opts.fargs)
  local name = table.remove(args, 1) or "review"
  local subcommand = subcommands[name]
  if not subcommand then
    local close = vim.fn.matchfuzzy(M.names(), name)[1]
    return notify().error(
      (":Suggest has no %s%s"):format(name, close and ("; did you mean %s?"):format(close) or "")
    )
  end
  if name == "ask" then
    -- Words as they were typed, blanks included.
    args = { (opts.args:gsub("^%s*ask%s?", "", 1)) }
  end
  subcommand.run(args, opts)
end

---@param lead string
---@param line string
---@param position integer
---@return string[]
function M.complete(lead, line, position)
  local before = line:sub(1, position)
  local words = vim.split(before:gsub("^.-Suggest!?%s*", "", 1), "%s+")
  if #words <= 1 then
    return vim.tbl_filter(function(name)
      return vim.startswith(name, lead)
    end, M.names())
  end
  local subcommand = subcommands[words[1]]
  if not subcommand or not subcommand.complete or #words > 2 then
    return {}
  end
  return subcommand.complete(lead)
end

return M
