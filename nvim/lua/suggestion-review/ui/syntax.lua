--- Treesitter colours for lines that are in no file: each hunk's sides are parsed on their own, when they first come
--- into view, and kept.
local M = {}

---@type table<string, string|false> language by path extension or name
local languages = {}

--- The language whose parser is installed for a file, if any.
---@param file string
---@return string|nil language
---@return string|nil filetype
function M.language(file)
  local name = vim.fs.basename(file)
  local known = languages[name]
  if known == nil then
    local filetype = vim.filetype.match({ filename = name }) or false
    local language = filetype and vim.treesitter.language.get_lang(filetype) or false
    if language and not pcall(vim.treesitter.get_string_parser, "", language) then
      language = false
    end
    known = { language = language, filetype = filetype }
    languages[name] = known
  end
  return known.language or nil, known.filetype or nil
end

local MAX_BYTES = 200000

--- Languages whose text is mostly in other languages; elsewhere looking for those costs more than it shows.
local NESTED =
  { markdown = true, html = true, vue = true, svelte = true, astro = true, php = true, vim = true }

---@param text string
---@param language string
---@param offset integer lines of `text` before the first wanted one
---@return table<integer, { [1]: integer, [2]: integer, [3]: string }[]> spans by line, 1-based from the first wanted
local function colours(text, language, offset)
  local spans = {}
  local ok, parser = pcall(vim.treesitter.get_string_parser, text, language)
  if not ok or not parser then
    return spans
  end
  local lengths = {}
  for line in vim.gsplit(text, "\n", { plain = true }) do
    lengths[#lengths + 1] = #line
  end
  parser:parse(NESTED[language])
  parser:for_each_tree(function(tree, language_tree)
    local query = vim.treesitter.query.get(language_tree:lang(), "highlights")
    if not query then
      return
    end
    local lang = language_tree:lang()
    for id, node, metadata in query:iter_captures(tree:root(), text) do
      local name = query.captures[id]
      if name:sub(1, 1) ~= "_" and name ~= "spell" and name ~= "nospell" and name ~= "conceal" then
        local range = vim.treesitter.get_range(node, text, metadata[id])
        local from_row, from_col, to_row, to_col = range[1], range[2], range[4], range[5]
        local group = ("@%s.%s"):format(name, lang)
        for row = from_row, math.min(to_row, #lengths - 1) do
          local first = row == from_row and from_col or 0
          local last = row == to_row and to_col or lengths[row + 1]
          if last > first then
            local at = row - offset + 1
            local line = spans[at]
            if not line then
              line = {}
              spans[at] = line
            end
            -- Of several captures of one node the last is the one that shows.
            local before = line[#line]
            if before and before[1] == first and before[2] == last then
              before[3] = group
            else
              line[#line + 1] = { first, last, group }
            end
          end
        end
      end
    end
  end)
  return spans
end

--- Colour spans of one row of a block; nil when there is no parser for the file.
---@param block SuggestionReview.Block
---@param side "old"|"new"
---@param file string
---@return table<integer, table>|nil by line of the side: context before, the lines, context after
function M.of_block(block, side, file)
  block.syntax = block.syntax or {}
  local known = block.syntax[side]
  if known ~= nil then
    return known or nil
  end
  local language = M.language(file)
  local size = 0
  for _, line in ipairs(block[side]) do
    size = size + #line
  end
  if not language or size > MAX_BYTES then
    block.syntax[side] = false
    return nil
  end
  local lines = {}
  vim.list_extend(lines, block.before)
  vim.list_extend(lines, block[side])
  vim.list_extend(lines, block.after)
  local ok, spans = pcall(colours, table.concat(lines, "\n"), language, #block.before)
  block.syntax[side] = ok and spans or false
  return block.syntax[side] or nil
end

return M
