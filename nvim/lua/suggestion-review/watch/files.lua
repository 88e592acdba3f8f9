--- Follows what others write to the files of this Neovim: the agent where it works in the same checkout, and other
--- Neovims that review. Begins with the first connection.
local agents_writes = require("suggestion-review.worktree.agents_writes")
local peers = require("suggestion-review.worktree.peers")

local M = {}

local attached = false

--- Starts listening; once is enough.
function M.attach()
  if attached then
    return
  end
  attached = true
  peers.listen()
  require("suggestion-review.model.store").subscribe(agents_writes.on_event)
end

return M
