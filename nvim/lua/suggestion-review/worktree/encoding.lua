--- How a buffer stands for a file: line ends, byte order mark, encoding and the final newline. Turns the bytes of a
--- hunk or a base into the text a buffer would hold for them (UTF-8, lines ended by "\n"), and says when it cannot.
local diff = require("suggestion-review.text.diff")

local M = {}

---@class (exact) SuggestionReview.Form
---@field eol "unix"|"dos"|"mac"
---@field encoding string  'fileencoding', "" meaning UTF-8
---@field bom boolean

local BOM = {
  ["utf-8"] = "\239\187\191",
  ["utf-16"] = "\254\255",
  ["utf-16le"] = "\255\254",
  ["ucs-2"] = "\254\255",
  ["ucs-2le"] = "\255\254",
  ["ucs-4"] = "\0\0\254\255",
  ["ucs-4le"] = "\255\254\0\0",
}

---@param encoding string
local function is_utf8(encoding)
  return encoding == "" or encoding == "utf-8" or encoding == "utf8"
end

---@param buf integer
---@return SuggestionReview.Form
function M.of_buffer(buf)
  local bo = vim.bo[buf]
  if bo.binary then
    return { eol = "unix", encoding = "", bom = false }
  end
  return { eol = bo.fileformat, encoding = bo.fileencoding:lower(), bom = bo.bomb }
end

--- Swaps "\r" and "\n": how Vim reads files of the old Macintosh.
local function swap_ends(text)
  return (text:gsub("[\r\n]", { ["\r"] = "\n", ["\n"] = "\r" }))
end

--- Bytes as they would be in the buffer, with "\n" ends. `first`: they begin the file (where a byte order mark is).
--- Fails rather than lose anything: writing the answer back gives the same bytes.
---@param bytes string
---@param form SuggestionReview.Form
---@param first boolean
---@return string|nil
---@return string|nil reason
function M.decode(bytes, form, first)
  local text = bytes
  local mark = BOM[form.encoding == "" and "utf-8" or form.encoding]
  if first and form.bom and mark and text:sub(1, #mark) == mark then
    text = text:sub(#mark + 1)
  end
  if not is_utf8(form.encoding) then
    local converted = vim.iconv(text, form.encoding, "utf-8")
    local back = converted and vim.iconv(converted, "utf-8", form.encoding)
    if not converted or back ~= text then
      return nil, ("it holds bytes that are not %s, the encoding of the buffer"):format(form.encoding)
    end
    text = converted
  end
  if form.eol == "dos" then
    local unix = text:gsub("\r\n", "\n")
    if unix:gsub("\n", "\r\n") ~= text then
      return nil, "its lines do not all end in CR LF as the buffer's do"
    end
    text = unix
  elseif form.eol == "mac" then
    text = swap_ends(text)
  end
  return text
end

--- The inverse of `decode`.
---@param text string
---@param form SuggestionReview.Form
---@param first boolean
---@return string|nil
---@return string|nil reason
function M.encode(text, form, first)
  local bytes = text
  if form.eol == "dos" then
    bytes = bytes:gsub("\n", "\r\n")
  elseif form.eol == "mac" then
    bytes = swap_ends(bytes)
  end
  if not is_utf8(form.encoding) then
    local converted = vim.iconv(bytes, "utf-8", form.encoding)
    if not converted or vim.iconv(converted, form.encoding, "utf-8") ~= bytes then
      return nil, ("it holds characters that %s cannot store"):format(form.encoding)
    end
    bytes = converted
  end
  local mark = BOM[form.encoding == "" and "utf-8" or form.encoding]
  if first and form.bom and mark then
    bytes = mark .. bytes
  end
  return bytes
end

--- Whether lines of the bytes and lines of the buffer correspond one to one.
---@param form SuggestionReview.Form
function M.line_wise(form)
  return form.eol ~= "mac" and (is_utf8(form.encoding) or not form.encoding:find("^u[ct][sf]"))
end

--- The buffer's lines in bare form (see `diff.bare`), as `:write` would store them ('fixeol' apart).
---@param buf integer
---@return string[]
function M.buffer_lines(buf)
  local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  if #lines == 1 and lines[1] == "" then
    -- A file without a byte and one with a single empty line look alike but for their size.
    local empty = vim.api.nvim_buf_call(buf, function()
      return vim.fn.wordcount().bytes == 0
    end)
    return not empty and vim.bo[buf].eol and lines or {}
  end
  if not vim.bo[buf].eol then
    if lines[#lines] == "" then
      lines[#lines] = nil
    else
      lines[#lines] = lines[#lines] .. "\n"
    end
  end
  return lines
end

--- The buffer's text with "\n" ends.
---@param buf integer
---@return string
function M.buffer_text(buf)
  return table.concat(diff.bare_lines(M.buffer_lines(buf)))
end

--- The bytes that the file holds when the buffer was written with 'nofixeol'.
---@param buf integer
---@return string|nil
---@return string|nil reason
function M.buffer_bytes(buf)
  local bytes, reason = M.encode(M.buffer_text(buf), M.of_buffer(buf), true)
  if bytes and vim.bo[buf].endoffile then
    bytes = bytes .. "\26"
  end
  return bytes, reason
end

return M
