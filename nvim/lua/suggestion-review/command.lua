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

--- The suggestion under review, else the only open one.
---@return SuggestionReview.Suggestion?
local function current()
  local store = require("suggestion-review.model.store")
  local review = package.loaded["suggestion-review.review"]
  local id = review and review.current_id and review.current_id()
  if id then
    return store.get(id)
  end
  local open = store.list()
  if #open == 1 then
    return open[1]
  end
  if #open == 0 then
    return require("suggestion-review.watch.label").say_nothing()
  end
  notify().warn("Several suggestions are open: open one with :Suggest review")
end
M.current = current

---@param comment? string
function M.revise(comment)
  local suggestion = current()
  if not suggestion then
    return
  end
  local drafts = require("suggestion-review.review.drafts")
  local draft = "revise:" .. suggestion.id
  drafts.keep(draft, comment or "")
  require("suggestion-review.decisions.requests").revise(
    suggestion.id,
    { comment = comment },
    function(err, data)
      drafts.settle(draft, err)
      if err then
        return
      end
      notify().info(data.message ~= "" and data.message or "The agent was asked to revise the suggestion")
    end
  )
end

--- A subcommand that is a function of the public module without arguments.
---@param name string
---@param text string
---@return SuggestionReview.Subcommand
local function plain(name, text)
  return {
    text = text,
    run = function()
      require("suggestion-review")[name]()
    end,
  }
end

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
  close = plain("close", "close the review"),
  next = plain("next", "next hunk"),
  prev = plain("prev", "previous hunk"),
  next_file = plain("next_file", "next file"),
  prev_file = plain("prev_file", "previous file"),
  accept = plain("accept", "accept the hunk"),
  reject = {
    text = "reject the hunk [reason]",
    run = function(args)
      local reason = table.concat(args, " ")
      require("suggestion-review").reject(reason ~= "" and { comment = reason } or nil)
    end,
  },
  modify = plain("modify", "edit the hunk in a buffer"),
  accept_all = plain("accept_all", "accept all remaining hunks"),
  reject_all = plain("reject_all", "reject all remaining hunks"),
  accept_file = plain("accept_file", "accept the remaining hunks of this file"),
  reject_file = plain("reject_file", "reject the remaining hunks of this file"),
  undo = plain("undo", "take back the last decision, or the discard"),
  redo = plain("redo", "bring it back"),
  comment = plain("comment", "comment on the hunk"),
  complete = plain("complete", "finalize the suggestion"),
  discard = plain("discard", "discard the suggestion"),
  resolve = plain("resolve", "resolve a conflict with your own edits"),
  compare = plain("compare", "compare with what you rejected before"),
  next_pending = plain("next_pending", "next undecided hunk"),
  layout = plain("toggle_layout", "unified or side by side"),
  panel = plain("toggle_panel", "list of files"),
  quickfix = plain("quickfix", "hunks into the quickfix list"),
  help = plain("help", "the review's keys"),
  revise = {
    text = "ask the agent for a revision [comment]",
    run = function(args)
      local comment = table.concat(args, " ")
      M.revise(comment ~= "" and comment or nil)
    end,
  },
  rebase = {
    text = "make the suggestion anew on the shared branch",
    run = function()
      local suggestion = current()
      if not suggestion then
        return
      end
      require("suggestion-review.decisions.requests").rebase(suggestion.id, function(err)
        if err then
          notify().error(err.message)
        end
      end)
    end,
  },
  verify = {
    text = "run the server's check on what is accepted",
    run = function()
      local suggestion = current()
      if not suggestion then
        return
      end
      require("suggestion-review.decisions.requests").verify(suggestion.id, function(err, data)
        if err then
          return notify().error(err.message)
        end
        notify().info(data.ok and "The check passed" or "The check failed:\n" .. data.output)
      end)
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
      vim.ui.select(open, { prompt = prompt, format_item = label }, function(choice)
        if choice then
          require("suggestion-review").open(choice.id)
        end
      end)
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
      return vim.tbl_filter(function(style)
        return vim.startswith(style, lead)
      end, { "floating", "inline", "picker", "telescope" })
    end,
  },
  ask = {
    text = "ask the agent for a change [text]",
    run = function(args, opts)
      local text = table.concat(args, " ")
      require("suggestion-review").ask(text ~= "" and text or nil, {
        first_line = opts.range > 0 and opts.line1 or nil,
        last_line = opts.range > 0 and opts.line2 or nil,
        without_file = opts.bang,
      })
    end,
  },
  abort = plain("abort", "stop the agent"),
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
