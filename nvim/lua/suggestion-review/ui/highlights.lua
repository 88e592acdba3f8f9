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

--- What a group looks like. Links are followed here: Neovim's own following takes 'winhighlight' of the current window
--- into account, which is ours.
---@param name string
local function resolved(name)
  local group = vim.api.nvim_get_hl(0, { name = name })
  for _ = 1, 20 do
    if not group.link then
      break
    end
    group = vim.api.nvim_get_hl(0, { name = group.link })
  end
  return group
end

--- How bright a colour is, as the Web Content Accessibility Guidelines measure it.
---@param color integer
local function luminance(color)
  local sum = 0
  for i, weight in ipairs({ 0.2126, 0.7152, 0.0722 }) do
    local channel = math.floor(color / ({ 65536, 256, 1 })[i]) % 256 / 255
    sum = sum + weight * (channel <= 0.03928 and channel / 12.92 or ((channel + 0.055) / 1.055) ^ 2.4)
  end
  return sum
end

--- Contrast of two colours, from 1 to 21; text is read well from 4.5 on.
---@param a integer
---@param b integer
---@return number
function M.contrast(a, b)
  local high, low = luminance(a), luminance(b)
  if high < low then
    high, low = low, high
  end
  return (high + 0.05) / (low + 0.05)
end

local READABLE, DISCERNIBLE = 4.5, 3

--- Groups that hold no text to be read, or are as the developer's other windows have them.
local DECORATION = {
  SuggestionReviewFiller = true,
  SuggestionReviewRule = true,
  SuggestionReviewBorder = true,
  SuggestionReviewNormal = true,
}

--- Colours of plain text, with those of the terminal guessed where the scheme leaves them to it.
---@return integer fg
---@return integer bg
local function ground()
  local normal, dark = resolved("Normal"), vim.o.background == "dark"
  return normal.fg or (dark and 0xe0e2ea or 0x14161b), normal.bg or (dark and 0x14161b or 0xe0e2ea)
end

--- What we defined, to know it from what the developer did.
---@type table<string, table>
local ours = {}

--- A group as it is defined. Whether as a default is not told any more once the background has changed.
---@param name string
local function as_it_is(name)
  local group = vim.api.nvim_get_hl(0, { name = name })
  group.default = nil
  return group
end

--- Defines a group, unless the developer or the scheme has.
---@param name string
---@param attributes table
local function set(name, attributes)
  local now = as_it_is(name)
  local is_ours = next(now) == nil
    or vim.deep_equal(now, ours[name])
    or (now.link ~= nil and now.link == LINKS[name])
  if not is_ours then
    ours[name] = nil
    return
  end
  vim.api.nvim_set_hl(0, name, vim.tbl_extend("force", attributes, { default = true, force = true }))
  ours[name] = as_it_is(name)
end

--- A colour moved towards another one until it stands out enough from all of the given ones.
---@param color integer
---@param toward integer
---@param against integer[]
---@param least number
---@return integer
local function until_clear(color, toward, against, least)
  for share = 0, 1, 0.1 do
    local mixed, clear = mix(color, toward, share), true
    for _, other in ipairs(against) do
      clear = clear and M.contrast(mixed, other) >= least
    end
    if clear then
      return mixed
    end
  end
  return toward
end

--- Black or white, whichever stands out more.
---@param color integer
local function far_from(color)
  return M.contrast(color, 0xffffff) > M.contrast(color, 0) and 0xffffff or 0
end

--- Backgrounds of the colour scheme's own hue, quiet enough for syntax colours on top, with a stronger shade for words.
---@param name string
---@param source string
---@param sign string
local function shades(name, source, sign)
  local diff = resolved(source)
  local hue = diff.bg or resolved(sign).fg
  if not hue then
    return
  end
  local text, below = ground()
  local quiet, strong
  if diff.bg then
    quiet, strong = mix(below, hue, 0.55), mix(hue, resolved(sign).fg or hue, 0.25)
  else
    quiet, strong = mix(below, vivid(hue), 0.16), mix(below, vivid(hue), 0.36)
  end
  -- Away from the text: towards the ground or, where that is a bright one itself, beyond it.
  local away = far_from(text)
  quiet = until_clear(until_clear(quiet, below, { text }, READABLE), away, { text }, READABLE)
  strong = until_clear(until_clear(strong, quiet, { text }, READABLE), away, { text }, READABLE)
  local cterm = { ctermbg = diff.ctermbg, ctermfg = diff.ctermfg }
  set("SuggestionReview" .. name, vim.tbl_extend("force", cterm, { bg = quiet }))
  set(
    ("SuggestionReview%sWord"):format(name),
    vim.tbl_extend("force", cterm, { bg = strong, bold = true, cterm = { bold = true, underline = true } })
  )
end

--- The scheme's own group; where its text is too faint to be read in our windows, its hue with more contrast.
---@param name string
---@param target string
local function link(name, target)
  local group = resolved(target)
  local text, below = ground()
  local grounds = { group.bg }
  if not group.bg then
    grounds = { below, resolved("SuggestionReviewNormal").bg }
  end
  local least = name == "SuggestionReviewNumber" and DISCERNIBLE or READABLE
  local own = group.fg or text
  local clear = until_clear(own, text, grounds, least)
  if clear == text then
    clear = until_clear(text, far_from(grounds[1]), grounds, least)
  end
  if DECORATION[name] or group.reverse or clear == own then
    return set(name, { link = target })
  end
  group.fg, group.default = clear, nil
  set(name, group)
end

--- What is read in our windows is read in files as well: where a scheme has floating windows on quite another ground
--- than its text, no colour fits both, and ours take the ground of the text.
local function ground_of_windows()
  local _, below = ground()
  local float = resolved("NormalFloat")
  local alike = not float.bg or M.contrast(below, float.bg) < 1.6
  local name = "SuggestionReviewNormal"
  LINKS[name] = alike and "NormalFloat" or "Normal"
  LINKS.SuggestionReviewBorder = alike and "FloatBorder" or "Normal"
  link(name, LINKS[name])
end

local function define()
  ground_of_windows()
  shades("Add", "DiffAdd", "Added")
  shades("Delete", "DiffDelete", "Removed")
  for name, target in pairs(LINKS) do
    if name ~= "SuggestionReviewAdd" and name ~= "SuggestionReviewDelete" then
      link(name, target)
    end
  end
  for _, name in ipairs({ "Add", "Delete" }) do
    local line, word = "SuggestionReview" .. name, ("SuggestionReview%sWord"):format(name)
    -- Without a hue to make shades of.
    if next(vim.api.nvim_get_hl(0, { name = line })) == nil then
      set(line, { link = LINKS[line] })
    end
    if next(vim.api.nvim_get_hl(0, { name = word })) == nil then
      set(word, { link = "DiffText" })
    end
  end
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
    -- Neovim's own look-up: a capture without colours has those of the capture that it is a case of.
    local own = vim.api.nvim_get_hl(0, { name = group, link = false })
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

--- Defines the groups once, and again whenever the colour scheme or 'background' changes: without a named scheme the
--- latter alone changes the colours.
function M.ensure()
  if ready then
    return
  end
  ready = true
  define()
  local group = vim.api.nvim_create_augroup("suggestion-review.highlights", {})
  local function again()
    shown = {}
    define()
  end
  vim.api.nvim_create_autocmd("ColorScheme", { group = group, callback = again })
  vim.api.nvim_create_autocmd("OptionSet", {
    group = group,
    pattern = { "background", "termguicolors" },
    callback = again,
  })
end

return M
