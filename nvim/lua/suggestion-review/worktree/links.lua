--- Where a symbolic link would lead, walked step by step as the system would follow it, without opening anything:
--- what stands in the worktree counts, and so do links that are not there yet. `up/../x` is outside where `up` is a
--- link to ".".
local worktree = require("suggestion-review.worktree.paths")

local M = {}

local uv = vim.uv

--- Links followed on one way, as Linux does (path_resolution(7)).
local MOST_LINKS = 40

---@alias SuggestionReview.Leads "inside"|"outside"|"repository"

--- File systems may fold case: a link is known by its path in lower case, so that the careful answer is given.
---@param path string
---@return string
function M.key(path)
  return path:lower()
end

---@param target string
---@return string[] parts, first one last
local function reversed(target)
  local parts = vim.split(target, "/", { plain = true })
  local out = {}
  for i = #parts, 1, -1 do
    out[#out + 1] = parts[i]
  end
  return out
end

---@param root string|nil
---@param path string of the link, below root
---@param target string
---@param planned table<string, string> targets of links that may come to be, by `M.key` of their path
---@return SuggestionReview.Leads
local function walk(root, path, target, planned)
  local at = vim.split(path, "/", { plain = true })
  table.remove(at)
  local ahead = reversed(target)
  if target:sub(1, 1) == "/" then
    return "outside"
  end
  local followed = 0
  while #ahead > 0 do
    local part = table.remove(ahead) --[[@as string]]
    if part == ".." then
      if #at == 0 then
        return "outside"
      end
      table.remove(at)
    elseif part ~= "" and part ~= "." then
      if worktree.is_reserved(part) then
        return "repository"
      end
      at[#at + 1] = part
      local here = table.concat(at, "/")
      local link = planned[M.key(here)]
      if not link and root then
        local stat = uv.fs_lstat(root .. "/" .. here)
        link = stat and stat.type == "link" and uv.fs_readlink(root .. "/" .. here) or nil
      end
      if link then
        followed = followed + 1
        if followed > MOST_LINKS or link:sub(1, 1) == "/" then
          return "outside"
        end
        table.remove(at)
        vim.list_extend(ahead, reversed(link))
      end
    end
  end
  return "inside"
end

--- Whether a link at `path` with this target stays in the worktree: as that is now, and with all planned links in it.
---@param root string|nil nil: only the planned links are known
---@param path string of the link, below root, raw bytes
---@param target string raw bytes
---@param planned? table<string, string>
---@return SuggestionReview.Leads
function M.leads(root, path, target, planned)
  local now = walk(root, path, target, {})
  if now ~= "inside" or not planned then
    return now
  end
  return walk(root, path, target, planned)
end

return M
