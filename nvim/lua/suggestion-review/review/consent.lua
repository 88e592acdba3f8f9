--- The questions that are asked before a hunk is decided whose file will not simply follow.
local text_of = require("suggestion-review.text.display")

local M = {}

--- Asks once whether hunks are to come into a checkout that does not have the commit they are based on.
---@param place SuggestionReview.Place
---@return "apply"|"skip"|nil
function M.ask_unknown_base(place)
  local answer = vim.fn.confirm(
    ("%s does not have the commit that the suggestion is based on (git fetch may bring it).\nAccepted hunks:"):format(
      vim.fn.fnamemodify(place.root, ":~")
    ),
    "&Apply here all the same\nAccept &without changing files\n&Cancel",
    3,
    "Question"
  )
  if answer == 1 then
    place.unknown_base_ok = true
    return "apply"
  end
  return answer == 2 and "skip" or nil
end

--- Asks once whether to decide although the file will not follow.
---@param reason string
---@param verb string
---@return boolean
function M.anyway(reason, verb)
  return vim.fn.confirm(
    ("%s\n%s anyway, leaving your file as it is?"):format(reason, verb),
    "&Yes\n&No",
    2,
    "Question"
  ) == 1
end

--- Asks whether a modification is to remove lines that the hunk leaves alone.
---@param count integer
---@return boolean
function M.removes_context(count)
  return vim.fn.confirm(
    ("Your version also removes %d line%s outside the hunk.\nSend it so?"):format(
      count,
      count == 1 and "" or "s"
    ),
    "&Yes\n&No",
    2,
    "Question"
  ) == 1
end

--- Asks before finalizing what the files do not hold as it was decided.
---@param lines string[] what is not so
---@param shows boolean there is a hunk to go to
---@return "go"|"show"|nil
function M.not_as_decided(lines, shows)
  local answer = vim.fn.confirm(
    table.concat(lines, "\n") .. "\nFinalize all the same?",
    shows and "&Yes\n&No\n&Show it" or "&Yes\n&No",
    2,
    "Warning"
  )
  return ({ "go", nil, "show" })[answer]
end

--- Hunks named in one question at most; the rest is counted.
local NAMED = 12

--- Marked hunks as lines for a question.
---@param marked SuggestionReview.MarkedHunk[]
---@return string
function M.list(marked)
  local lines, left_out = {}, 0
  for i, one in ipairs(marked) do
    for _, mark in ipairs(one.marks) do
      if i <= NAMED then
        lines[#lines + 1] = ("%s: %s"):format(text_of.plain(one.hunk.file), text_of.plain(mark.text))
      end
    end
    left_out = left_out + (i > NAMED and 1 or 0)
  end
  if left_out > 0 then
    lines[#lines + 1] = ("… and %s more"):format(text_of.count(left_out, "hunk"))
  end
  return table.concat(lines, "\n")
end

--- Asks a question with yes and no.
---@param question string
---@param verb string what yes does
---@return boolean
function M.ask(question, verb)
  return vim.fn.confirm(("%s\n%s?"):format(question, verb), "&Yes\n&No", 2, "Warning") == 1
end

--- Asks whether marked hunks are accepted with the rest.
---@param marked SuggestionReview.MarkedHunk[]
---@param total integer hunks that are to be accepted
---@return "all"|"rest"|nil
function M.ask_marked(marked, total)
  local answer = vim.fn.confirm(
    ("%s of %d:\n%s"):format(
      text_of.count(#marked, "hunk wants", "hunks want") .. " a second look",
      total,
      M.list(marked)
    ),
    "&Accept them too\n&Leave them undecided\n&Cancel",
    3,
    "Warning"
  )
  return ({ "all", "rest" })[answer]
end

return M
