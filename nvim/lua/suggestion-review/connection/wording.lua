--- How the state of a connection is put into words: a sentence where there is room, two or three words for a title.
local M = {}

---@param at integer? seconds since the epoch
---@return string
local function clock(at)
  if not at then
    return "the start"
  end
  local far = os.time() - at > 12 * 3600
  return os.date(far and "%Y-%m-%d %H:%M" or "%H:%M:%S", at) --[[@as string]]
end

--- What is tried next, as a sentence.
---@param client SuggestionReview.Client
---@return string
local function next_try(client)
  local left = client.next_try and (client.next_try - vim.uv.now()) / 1000 or 0
  if left < 1 then
    return "Trying again."
  end
  return ("Trying again in %d s."):format(math.floor(left + 0.5))
end

--- One or two sentences: how it stands, since when, and what happens next.
---@param client SuggestionReview.Client
---@return string
function M.sentence(client)
  local name, state = client.server.name, client.state
  if state == "connected" then
    if client.unanswered > 0 then
      return ("Connected to %s; no answer yet to what was sent"):format(name)
    end
    return ("Connected to %s"):format(name)
  elseif state == "connecting" then
    return ("Connecting to %s since %s…"):format(name, clock(client.since))
  elseif state == "waiting" then
    return ("No connection to %s since %s: %s. %s"):format(
      name,
      clock(client.since),
      client.why,
      next_try(client)
    )
  elseif state == "refused" then
    return ("Not connected to %s since %s: %s. Tried again when the token file changes%s."):format(
      name,
      clock(client.since),
      client.why,
      client.looks_again and ", and once a minute" or ""
    )
  end
  return ("Not connected to %s: :Suggest connect"):format(name)
end

--- For a title or a statusline.
---@param client SuggestionReview.Client
---@return string
---@return boolean fine nothing is wrong with it
function M.brief(client)
  local state = client.state
  if state == "connected" then
    if client.unanswered > 0 then
      return "no answer yet", false
    end
    return "connected", true
  elseif state == "stopped" then
    return "stopped", false
  elseif state == "refused" then
    return "refused since " .. clock(client.since), false
  end
  return "connecting since " .. clock(client.since), false
end

return M
