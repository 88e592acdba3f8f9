--- One of the agent's sessions as Markdown: fetched part by part, shown in a buffer of its own.
local client = require("suggestion-review.connection.client")

local M = {}

--- A session that changes while its parts are fetched is begun anew this often.
local TRIES = 5

--- Calls back with the whole text, as the session was at one moment.
---@param server string
---@param project? string
---@param session string
---@param callback fun(err?: SuggestionReview.Error, markdown?: string)
function M.fetch(server, project, session, callback)
  local tries = 0
  local function begin()
    tries = tries + 1
    local parts, digest = {}, nil
    local function part(offset)
      client.request(
        { type = "transcript", project = project, session = session, offset = offset },
        function(err, data)
          ---@cast data SuggestionReview.TranscriptAnswer?
          if err or not data then
            return callback(err)
          elseif digest and data.digest ~= digest then
            if tries < TRIES then
              return begin()
            end
            return callback({
              code = "local",
              message = "The session goes on changing; try again when it rests",
            })
          end
          digest = data.digest
          parts[#parts + 1] = data.markdown
          if data.next then
            return part(data.next)
          end
          callback(nil, table.concat(parts))
        end,
        server
      )
    end
    part(0)
  end
  begin()
end

--- Nothing is written by itself.
---@param server string
---@param session string
---@param markdown string
function M.open(server, session, markdown)
  vim.cmd("botright new")
  local buf = vim.api.nvim_get_current_buf()
  vim.bo[buf].buftype, vim.bo[buf].swapfile, vim.bo[buf].bufhidden = "nofile", false, "wipe"
  vim.api.nvim_buf_set_name(buf, ("suggestion-session://%s/%s/%d.md"):format(server, session, buf))
  local lines = vim.split((markdown:gsub("\n$", "")), "\n", { plain = true })
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modified = false
  vim.bo[buf].filetype = "markdown"
end

return M
