--- Which of a server's projects is meant, where it has several.
local store = require("suggestion-review.model.store")
local choose_from = require("suggestion-review.say.choose_from")

--- Calls back with the project to ask about: the server's only one, the one that lies in this checkout, the one the
--- suggestion under review is from, else what the user chooses.
---@param target SuggestionReview.Client?
---@param under_review string|nil id of a suggestion
---@param callback fun(project?: string)
return function(target, under_review, callback)
  local projects = vim.tbl_keys(target and target.projects or {})
  if #projects <= 1 then
    return callback(projects[1])
  end
  table.sort(projects)
  local root = vim.fs.root(0, { ".jj", ".git" }) or vim.fs.root(vim.fn.getcwd(), { ".jj", ".git" })
  root = root and vim.uv.fs_realpath(root)
  if root and vim.list_contains(projects, root) then
    return callback(root)
  end
  local suggestion = under_review and store.get(under_review)
  if suggestion then
    return callback(suggestion.project)
  end
  choose_from(projects, { prompt = "Which project's agent?" }, function(choice)
    if choice then
      callback(choice)
    end
  end)
end
