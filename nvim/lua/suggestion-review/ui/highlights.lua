--- Highlight groups of the review. Each has a default that follows the colour scheme; define a group of the same name
--- to change it.
local M = {}

local LINKS = {
  SuggestionReviewAdd = "DiffAdd",
  SuggestionReviewDelete = "DiffDelete",
  SuggestionReviewAddSign = "Added",
  SuggestionReviewDeleteSign = "Removed",
  SuggestionReviewNumber = "LineNr",
  SuggestionReviewGap = "Folded",
  SuggestionReviewFiller = "NonText",
  SuggestionReviewPending = "DiagnosticInfo",
  SuggestionReviewAccepted = "DiagnosticOk",
  SuggestionReviewModified = "DiagnosticHint",
  SuggestionReviewRejected = "DiagnosticError",
  SuggestionReviewNotApplied = "DiagnosticWarn",
  SuggestionReviewTitle = "FloatTitle",
  SuggestionReviewBorder = "FloatBorder",
  SuggestionReviewNormal = "NormalFloat",
  SuggestionReviewFile = "Directory",
  SuggestionReviewCount = "Number",
  SuggestionReviewKey = "Special",
  SuggestionReviewHint = "Comment",
  SuggestionReviewComment = "Comment",
  SuggestionReviewRule = "NonText",
  SuggestionReviewCurrent = "CursorLineNr",
  SuggestionReviewOurs = "DiffText",
}

---@param color integer
---@param toward integer
---@param share number
local function mix(color, toward, share)
  local out = 0
  for shift = 16, 0, -8 do
    local scale = 2 ^ shift
    local a, b = math.floor(color / scale) % 256, math.floor(toward / scale) % 256
    out = out + math.floor(a + (b - a) * share + 0.5) * scale
  end
  return out
end

--- The colour as strong as its hue allows: text colours of many schemes are too pale to make a background of.
---@param color integer
local function vivid(color)
  local channels, highest = {}, 1
  for i, scale in ipairs({ 65536, 256, 1 }) do
    channels[i] = math.floor(color / scale) % 256
    highest = math.max(highest, channels[i])
  end
  local out = 0
  for i, scale in ipairs({ 65536, 256, 1 }) do
    local channel = math.max(0, highest - (highest - channels[i]) * 3)
    out = out + math.floor(channel * 255 / highest) * scale
  end
  return out
end

---@param name string
local function resolved(name)
  return vim.api.nvim_get_hl(0, { name = name, link = false })
end

--- Backgrounds of the colour scheme's own hue, quiet enough for syntax colours on top, with a stronger shade for words.
---@param name string
---@param source string
---@param sign string
local function shades(name, source, sign)
  local diff, normal = resolved(source), resolved("Normal")
  local hue = diff.bg or resolved(sign).fg
  if not hue then
    return
  end
  local ground = normal.bg or (vim.o.background == "dark" and 0x14161b or 0xe0e2ea)
  local quiet, strong
  if diff.bg then
    quiet, strong = mix(ground, hue, 0.55), mix(hue, resolved(sign).fg or hue, 0.25)
  else
    quiet, strong = mix(ground, vivid(hue), 0.16), mix(ground, vivid(hue), 0.36)
  end
  local cterm = { ctermbg = diff.ctermbg, ctermfg = diff.ctermfg }
  vim.api.nvim_set_hl(
    0,
    "SuggestionReview" .. name,
    vim.tbl_extend("force", cterm, { bg = quiet, default = true })
  )
  vim.api.nvim_set_hl(
    0,
    ("SuggestionReview%sWord"):format(name),
    vim.tbl_extend(
      "force",
      cterm,
      { bg = strong, bold = true, cterm = { bold = true, underline = true }, default = true }
    )
  )
end

local function define()
  shades("Add", "DiffAdd", "Added")
  shades("Delete", "DiffDelete", "Removed")
  for name, target in pairs(LINKS) do
    vim.api.nvim_set_hl(0, name, { link = target, default = true })
  end
  vim.api.nvim_set_hl(0, "SuggestionReviewAddWord", { link = "DiffText", default = true })
  vim.api.nvim_set_hl(0, "SuggestionReviewDeleteWord", { link = "DiffText", default = true })
end

---@type table<string, boolean>
local shown = {}

--- Whether a group of syntax looks different from plain text in the review's windows. In most colour schemes most
--- captures (variables, brackets) do not, and drawing those is half of what colours cost.
---@param group string
---@return boolean
function M.shows(group)
  local text = vim.o.termguicolors and "fg" or "ctermfg"
  local key = text .. group
  local known = shown[key]
  if known == nil then
    local own = resolved(group)
    own.cterm, own[text == "fg" and "ctermfg" or "fg"] = nil, nil
    local plain = resolved("SuggestionReviewNormal")[text] or resolved("Normal")[text]
    known = next(own) ~= nil and (own[text] ~= plain or vim.tbl_count(own) > 1)
    -- Where changed lines have a text colour of their own, plain text is a colour as well.
    for _, line in ipairs({ "SuggestionReviewAdd", "SuggestionReviewDelete" }) do
      known = known or (resolved(line)[text] or plain) ~= plain
    end
    shown[key] = known
  end
  return known
end

local ready = false

--- Defines the groups once, and again whenever the colour scheme changes.
function M.ensure()
  if ready then
    return
  end
  ready = true
  define()
  vim.api.nvim_create_autocmd("ColorScheme", {
    group = vim.api.nvim_create_augroup("suggestion-review.highlights", {}),
    callback = function()
      shown = {}
      define()
    end,
  })
end

return M
