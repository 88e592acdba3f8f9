--- Text from elsewhere made fit for one line of the screen: nothing in it can move the cursor, reorder what stands
--- around it, or be read as a statusline item.
local M = {}

--- Code points that change the order or visibility of text around them, that draw nothing (Unicode's property
--- Default_Ignorable_Code_Point, U+2800) or look like the blank and are none (Zs but U+3000, which is wider): first and
--- last of each range.
local HIDDEN = {
  { 0x00a0, 0x00a0 },
  { 0x00ad, 0x00ad },
  { 0x034f, 0x034f },
  { 0x061c, 0x061c },
  { 0x115f, 0x1160 },
  { 0x1680, 0x1680 },
  { 0x17b4, 0x17b5 },
  { 0x180b, 0x180f },
  { 0x2000, 0x200f },
  { 0x2028, 0x202f },
  { 0x205f, 0x206f },
  { 0x2800, 0x2800 },
  { 0x3164, 0x3164 },
  { 0xfe00, 0xfe0f },
  { 0xfeff, 0xfeff },
  { 0xffa0, 0xffa0 },
  { 0xfff0, 0xfffb },
  { 0x1bca0, 0x1bca3 },
  { 0x1d173, 0x1d17a },
  { 0xe0000, 0xe0fff },
}

---@type table<integer, true>
local INVISIBLE = {}
for _, range in ipairs(HIDDEN) do
  for code = range[1], range[2] do
    INVISIBLE[code] = true
  end
end

--- Control characters and invisible ones shown as <xx>.
---@param text string
---@return string
function M.plain(text)
  if not text:find("[%z\1-\31\127-\255]") then
    return text
  end
  text = text:gsub("[%z\1-\31\127]", function(char)
    return char == "\t" and " " or ("<%02x>"):format(char:byte())
  end)
  if not text:find("[\128-\255]") then
    return text
  end
  return (
    text:gsub("[\194-\244][\128-\191]+", function(sequence)
      local ok, code = pcall(vim.fn.char2nr, sequence, true)
      if ok and (INVISIBLE[code] or (code >= 0x80 and code < 0xa0)) then
        return ("<%04x>"):format(code)
      end
    end)
  )
end

--- The characters of a text, each with what combines with it.
---@param text string
---@return string[]
function M.characters(text)
  if not text:find("[%z\128-\255]") then
    local chars = {}
    for i = 1, #text do
      chars[i] = text:sub(i, i)
    end
    return chars
  end
  local chars = {}
  -- Vimscript has no text with NULs in it.
  for i, part in ipairs(vim.split(text, "\0", { plain = true })) do
    if i > 1 then
      chars[#chars + 1] = "\0"
    end
    vim.list_extend(chars, vim.fn.split(part, [[\zs]]))
  end
  return chars
end

--- Characters of a text that Vim draws as they are, and that nobody would see.
---@param text string
---@return { [1]: integer, [2]: string }[] bytes before where it is to be named, and its number as it is shown elsewhere
function M.unseen(text)
  local found = {}
  if not text:find("[\194-\243]") then
    return found
  end
  local at = 0
  for _, character in ipairs(M.characters(text)) do
    for inside, sequence in character:gmatch("()([\194-\243][\128-\191]+)") do
      local ok, code = pcall(vim.fn.char2nr, sequence, true)
      if ok and INVISIBLE[code] and vim.fn.strtrans(sequence) == sequence then
        -- What combines with the one before it has no place of its own.
        found[#found + 1] = { inside == 1 and at or at + #character, ("<%04x>"):format(code) }
      end
    end
    at = at + #character
  end
  return found
end

--- What a character looks like in a given column, and how many cells it takes.
---@param char string
---@param column integer cells before it
---@param stops integer[] widths between tab stops; the last one goes on
---@return string shown
---@return integer width
function M.cell(char, column, stops)
  if char == "\t" then
    local at, i = 0, 1
    while at <= column do
      at = at + math.max(1, stops[math.min(i, #stops)])
      i = i + 1
    end
    return (" "):rep(at - column), at - column
  end
  local shown = M.plain(char)
  return shown, vim.api.nvim_strwidth(shown)
end

--- Text with tabs as blanks up to the tab stops, and control characters shown.
---@param text string
---@param stops? integer[]
---@return string
function M.expand(text, stops)
  if not text:find("\t", 1, true) then
    return M.plain(text)
  end
  local out, column = {}, 0
  for i, char in ipairs(M.characters(text)) do
    local width
    out[i], width = M.cell(char, column, stops or { vim.go.tabstop })
    column = column + width
  end
  return table.concat(out)
end

--- The first line of a longer text.
---@param text string
---@return string
function M.first_line(text)
  return M.plain((text:match("^%s*([^\r\n]*)")))
end

--- For 'winbar', 'statuscolumn' and the like.
---@param text string
---@return string
function M.status(text)
  return (M.plain(text):gsub("%%", "%%%%"))
end

--- `text` cut to `width` cells with an ellipsis; `head` keeps its end instead of its beginning (for paths).
---@param text string
---@param width integer
---@param head? boolean
---@return string
function M.fit(text, width, head)
  local cells = vim.api.nvim_strwidth(text)
  if cells <= width then
    return text
  elseif width < 2 then
    return ""
  end
  local chars = vim.fn.strchars(text)
  if head then
    repeat
      chars = chars - 1
      text = vim.fn.strcharpart(text, 1)
    until vim.api.nvim_strwidth(text) <= width - 1 or chars == 0
    return "…" .. text
  end
  repeat
    chars = chars - 1
    text = vim.fn.strcharpart(text, 0, chars)
  until vim.api.nvim_strwidth(text) <= width - 1 or chars == 0
  return text .. "…"
end

--- Lines of at most `width` cells, broken between words; a longer word has a line of its own.
---@param text string one line
---@param width integer
---@return string[]
function M.wrap(text, width)
  if vim.api.nvim_strwidth(text) <= width then
    return { text }
  end
  local lines, line = {}, text:match("^%s*")
  for word in text:gmatch("%S+") do
    local longer = (line:find("%S") and line .. " " or line) .. word
    if line:find("%S") and vim.api.nvim_strwidth(longer) > width then
      lines[#lines + 1] = line
      longer = word
    end
    line = longer
  end
  lines[#lines + 1] = line
  return lines
end

--- A line cut to pieces of at most `width` cells, so that a row of the screen is a line of the buffer.
---@param line string
---@param width integer
---@return string[]
function M.fold(line, width)
  if #line <= width then
    return { line }
  end
  local pieces, from, cells = {}, 1, 0
  local starts = vim.str_utf_pos(line)
  for i, start in ipairs(starts) do
    local wide = vim.api.nvim_strwidth(line:sub(start, (starts[i + 1] or #line + 1) - 1))
    if cells + wide > width then
      pieces[#pieces + 1] = line:sub(from, start - 1)
      from, cells = start, 0
    end
    cells = cells + wide
  end
  pieces[#pieces + 1] = line:sub(from)
  return pieces
end

--- Texts as lines of plain text, the first few of them.
---@param texts string[] each may have several lines
---@param most integer
---@return string
function M.lines_of(texts, most)
  local lines = vim.split(vim.trim(table.concat(texts, "\n")), "\n", { plain = true })
  local out = vim.tbl_map(M.plain, vim.list_slice(lines, 1, most))
  if #lines > most then
    out[#out + 1] = ("… and %d more lines"):format(#lines - most)
  end
  return table.concat(out, "\n")
end

---@param count integer
---@param one string
---@param many? string
function M.count(count, one, many)
  return ("%d %s"):format(count, count == 1 and one or many or one .. "s")
end

--- A key as it is typed. The keys of the review do not work in a file, and one letter of a wrong leader edits it.
---@param lhs string
---@return string
function M.typed(lhs)
  local leader = vim.g.mapleader
  leader = (leader == nil or leader == "") and "\\" or tostring(leader)
  return (lhs:gsub("<[Ll][Ee][Aa][Dd][Ee][Rr]>", function()
    return vim.fn.keytrans(leader)
  end))
end

M.STATE = {
  pending = { icon = "○", word = "pending", group = "SuggestionReviewPending" },
  accepted = { icon = "✔", word = "accepted", group = "SuggestionReviewAccepted" },
  modified = { icon = "✎", word = "modified", group = "SuggestionReviewModified" },
  rejected = { icon = "✘", word = "rejected", group = "SuggestionReviewRejected" },
}

return M
