--- The digest names the exact text a decision is made on. The definition is the server's
--- (`plugin/src/diff/digest.ts`); it is computed here again from what is shown, so that a digest vouches for the text.
local hashing = require("suggestion-review.lib.sha256")
local diff = require("suggestion-review.text.diff")
local sides = require("suggestion-review.text.sides")

local M = {}

---@param bytes string
---@return string lower-case hex
local function sha256(bytes)
  -- The built-in is faster, but takes no NUL before Neovim 0.12 and cannot be called from a uv callback.
  if bytes:find("\0", 1, true) or vim.in_fast_event() then
    return hashing.hex(bytes)
  end
  return vim.fn.sha256(bytes)
end

---@param kind SuggestionReview.HunkKind
---@param path string raw bytes
---@param old string
---@param new string
---@return string
function M.compute(kind, path, old, new)
  return sha256(("hunk v1\n%s\n%d:%s\n%d:%s\n%d:%s"):format(kind, #path, path, #old, old, #new, new))
end

--- One side of a hunk that has no lines.
---@param mode? string
---@param oid? string
---@return string
function M.side(mode, oid)
  if not mode or not oid then
    return ""
  end
  return mode .. " " .. oid
end

--- Raw bytes of the hunk's path.
---@param hunk SuggestionReview.Hunk
---@return string
function M.path(hunk)
  return hunk.file_b64 and vim.base64.decode(hunk.file_b64) or hunk.file
end

--- git's name for a blob; by SHA-256 in a repository that uses that.
---@param bytes string
---@param length integer of the id: 40 or 64
---@return string
function M.blob_id(bytes, length)
  local object = ("blob %d\0%s"):format(#bytes, bytes)
  return length == 64 and hashing.hex(object) or hashing.to_hex(hashing.sha1_raw(object))
end

--- Digest of a hunk that is told by object ids; "" (which no digest is) where what it tells contradicts itself.
---@param hunk SuggestionReview.Hunk
---@return string?
local function of_sides(hunk)
  if not hunk.before or not hunk.after then
    return nil
  end
  local text = {}
  for i, list in ipairs({ hunk.before, hunk.after }) do
    local lines = {}
    for n, side in ipairs(list) do
      local target = sides.is_link(side) and sides.target(side)
      if target and (M.blob_id(target, #side.oid) ~= side.oid or side.size ~= #target) then
        return ""
      end
      lines[n] = M.side(side.mode, side.oid)
        .. (hunk.kind == "swap" and (" %s\n"):format(sides.path(side)) or "")
    end
    text[i] = table.concat(lines)
  end
  local shown = hunk.after[1] or hunk.before[1]
  if hunk.kind ~= "swap" and (#hunk.before > 1 or #hunk.after > 1 or sides.path(shown) ~= M.path(hunk)) then
    return ""
  end
  return M.compute(hunk.kind, M.path(hunk), text[1], text[2])
end

--- Digest of the hunk as its own fields state it, or nil where those do not hold its content (text left out for its
--- size; an older server says nothing of what binary files, links, submodules and swaps are on both sides).
---@param hunk SuggestionReview.Hunk
---@return string?
function M.of(hunk)
  if hunk.diff_omitted then
    return nil
  end
  local path = M.path(hunk)
  if hunk.kind == "mode" then
    return M.compute("mode", path, hunk.old_mode or "", hunk.new_mode or "")
  end
  if hunk.kind == "rename" then
    -- A previous path that is not UTF-8 travels quoted, without its bytes.
    if not hunk.old_file or hunk.old_file:sub(1, 1) == '"' then
      return nil
    end
    return M.compute("rename", path, hunk.old_file, path)
  end
  if hunk.encoding == "binary" then
    return of_sides(hunk)
  end
  if hunk.kind ~= "text" and hunk.kind ~= "create" and hunk.kind ~= "delete" then
    return nil
  end
  local text = diff.text_of(hunk)
  if not text then
    return ""
  end -- not a diff at all: no digest fits it
  local old, new = table.concat(text.old), table.concat(text.new)
  if hunk.kind == "create" then
    new = (hunk.new_mode or "") .. "\n" .. new
  end
  if hunk.kind == "delete" then
    old = (hunk.old_mode or "") .. "\n" .. old
  end
  return M.compute(hunk.kind, path, old, new)
end

local ESCAPES = {
  ["\a"] = "\\a",
  ["\b"] = "\\b",
  ["\t"] = "\\t",
  ["\n"] = "\\n",
  ["\v"] = "\\v",
  ["\f"] = "\\f",
  ["\r"] = "\\r",
  ['"'] = '\\"',
  ["\\"] = "\\\\",
}

--- Whether the name that is shown is the one that the hunk is about: where the raw bytes travel beside it, it must be
--- those bytes, quoted as git quotes them. Otherwise one file would be shown and another be changed.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.shows_its_path(hunk)
  if not hunk.file_b64 then
    return true
  end
  local ok, raw = pcall(vim.base64.decode, hunk.file_b64)
  if not ok then
    return false
  end
  local quoted = raw:gsub(".", function(character)
    local byte = character:byte()
    if ESCAPES[character] then
      return ESCAPES[character]
    end
    return (byte < 32 or byte > 126) and ("\\%03o"):format(byte) or nil
  end)
  return hunk.file == '"' .. quoted .. '"'
end

--- Whether the hunk's digest can be the digest of what it shows.
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.fits(hunk)
  if not M.shows_its_path(hunk) then
    return false
  end
  local own = M.of(hunk)
  return own == nil or own == hunk.digest
end

--- Whether the file that a hunk takes its lines from is the one that it is shown under, or one that another hunk of the
--- suggestion renames to it. The digest does not hold that file.
---@param hunk SuggestionReview.Hunk
---@param hunks SuggestionReview.Hunk[] of the suggestion
---@return boolean
function M.shows_its_source(hunk, hunks)
  local path = M.path(hunk)
  if not hunk.old_file or hunk.old_file == path or hunk.kind == "rename" then
    return true
  elseif hunk.file_b64 and hunk.old_file == hunk.file then
    return true
  end
  for _, other in ipairs(hunks) do
    if other.kind == "rename" and other.old_file == hunk.old_file and M.path(other) == path then
      return M.fits(other)
    end
  end
  return false
end

return M
