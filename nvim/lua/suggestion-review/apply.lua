--- Brings the developer's decisions into the developer's files: plans first (what would happen to each hunk), then
--- carries out the plan. Applies only what was decided in this developer's Neovim, only text that fits its digest,
--- only inside the worktree, and nothing where the developer's own edits are in the way.
local diff = require("suggestion-review.diff")
local digest = require("suggestion-review.digest")
local mapping = require("suggestion-review.mapping")
local form = require("suggestion-review.form")
local worktree = require("suggestion-review.worktree")
local carrier = require("suggestion-review.carrier")
local fileop = require("suggestion-review.fileop")
local applied = require("suggestion-review.applied")
local base_of = require("suggestion-review.base")

local M = {}

--- What a hunk is to be in the worktree.
---@class (exact) SuggestionReview.Want
---@field hunk SuggestionReview.Hunk
---@field state SuggestionReview.HunkState
---@field modified_diff? string

---@class SuggestionReview.PlanItem
---@field hunk SuggestionReview.Hunk
---@field want SuggestionReview.Want
---@field status SuggestionReview.Outcome
---@field reason? string
---@field code? "unknown_base"
---@field placed? SuggestionReview.Placed
---@field plan? SuggestionReview.FilePlan

---@class SuggestionReview.FilePlan
---@field file string raw bytes
---@field items SuggestionReview.PlanItem[]
---@field run? fun(): boolean, string|nil
---@field carrier? SuggestionReview.Carrier
---@field tick? integer of the carrier when the plan was made
---@field base? SuggestionReview.Base
---@field shape? SuggestionReview.Form
---@field others? SuggestionReview.Replacement[] what else is applied in the file

---@class SuggestionReview.Place where a suggestion's hunks go
---@field suggestion SuggestionReview.Suggestion
---@field root string|nil the worktree
---@field git_root? string where git may be asked for base texts: only in a repository of the developer's own
---@field in_place boolean the agent works in this very worktree: nothing to apply, only to reload
---@field applied SuggestionReview.Applied|nil
---@field unknown_base_ok? boolean the developer wants hunks here although this checkout lacks their base commit

--- Kinds that change a file's existence, name or nature rather than lines of it.
local WHOLE = { binary = true, symlink = true, type = true }
local LATER = {
  submodule = "a submodule is brought over when the suggestion is adopted",
  swap = "a file that takes a directory's place is brought over when the suggestion is adopted",
}

---@param suggestion SuggestionReview.Suggestion
---@param directory? string
---@return SuggestionReview.Place
function M.place(suggestion, directory)
  local config = require("suggestion-review.config")
  local root
  for _, server in ipairs(config.servers()) do
    if server.name == suggestion.server and server.root then
      root = vim.uv.fs_realpath(server.root)
    end
  end
  root = root or worktree.root_of(directory or vim.fn.getcwd())
  local project = vim.uv.fs_realpath(suggestion.project or "")
  local in_place = root ~= nil and project == root
  -- A repository that somebody else can write could make git run programs of theirs.
  local owner = root and vim.uv.fs_stat(root)
  return {
    suggestion = suggestion,
    root = root,
    git_root = owner and owner.uid == vim.uv.getuid() and not in_place and root or nil,
    in_place = in_place,
    applied = root and applied.open(root) or nil,
  }
end

--- Text of hunks whose digest was found right, by the very fields it was computed from.
---@type table<SuggestionReview.Hunk, table>
local verified = setmetatable({}, { __mode = "k" })

---@param hunk SuggestionReview.Hunk
---@return SuggestionReview.HunkText|nil
---@return string|nil reason
local function verified_text(hunk)
  local known = verified[hunk]
  local mode = hunk.kind == "delete" and hunk.old_mode or hunk.new_mode
  if
    known
    and known.diff == hunk.diff
    and known.digest == hunk.digest
    and known.kind == hunk.kind
    and known.file == digest.path(hunk)
    and known.mode == mode
  then
    return known.text
  end
  if digest.of(hunk) ~= hunk.digest then
    return nil, "what the server sent is not what its digest names; nothing was applied"
  end
  local text, reason = diff.text_of(hunk)
  if not text then
    return nil, reason
  end
  verified[hunk] = {
    diff = hunk.diff,
    digest = hunk.digest,
    kind = hunk.kind,
    file = digest.path(hunk),
    mode = mode,
    text = text,
  }
  return text
end

--- The replacement a decision stands for.
---@param want SuggestionReview.Want
---@param base_commit string
---@return SuggestionReview.Replacement|nil
---@return string|nil reason
---@return SuggestionReview.HunkText|nil
local function replacement_of(want, base_commit)
  local hunk = want.hunk
  local text, reason = verified_text(hunk)
  if not text then
    return nil, reason
  end
  local replacement = {
    key = hunk.id,
    at = diff.zero_based(hunk.old_start, hunk.old_count),
    count = #text.old,
    lines = text.new,
    order = hunk.new_start,
    digest = hunk.digest,
    kind = hunk.kind,
    decided = want.state,
    base = base_commit,
  }
  if want.state == "modified" then
    local edited = want.modified_diff or ""
    if hunk.encoding == "latin1" then
      edited = diff.latin1_to_bytes(edited) or ""
    end
    local parsed, parse_reason = diff.parse(edited)
    if not parsed then
      return nil, "the modification is not a diff: " .. parse_reason
    end
    local own = diff.sides(parsed)
    replacement.at = diff.zero_based(parsed.old_start, parsed.old_count) + #own.before
    replacement.count = #own.old
    replacement.lines = own.new
  end
  return replacement, nil, text
end

--- Texts known to be as expected: by buffer, the tick at which that held and for what.
---@type table<integer, { tick: integer, key: string }>
local in_step = {}

---@param lines string[]
---@param shape SuggestionReview.Form
---@param first boolean
---@return string[]|nil
---@return string|nil reason
local function decode_lines(lines, shape, first)
  if
    shape.eol == "unix"
    and (shape.encoding == "" or shape.encoding == "utf-8")
    and not (first and shape.bom)
  then
    return lines
  end
  local text, reason = form.decode(table.concat(lines), shape, first)
  return text and diff.split_lines(text), reason
end

--- The base as the carrier would show it. A repository that keeps LF under a worktree of CR LF is met half-way.
---@param base SuggestionReview.Base
---@param shape SuggestionReview.Form
---@return string[]|nil
---@return SuggestionReview.Form|string shape that hunks are read with, or why not
local function decode_base(base, shape)
  local id = ("%s %s %s"):format(shape.eol, shape.encoding, tostring(shape.bom))
  local known = base.decoded[id]
  if known then
    return known, base.decoded[id .. " form"] or shape
  end
  local lines, reason = decode_lines(base.lines, shape, true)
  local used = shape
  if not lines and shape.eol == "dos" and not base.bytes:find("\r", 1, true) then
    used = { eol = "unix", encoding = shape.encoding, bom = shape.bom }
    lines, reason = decode_lines(base.lines, used, true)
  end
  if not lines then
    return nil, reason or "its base cannot be read like the buffer"
  end
  base.decoded[id] = lines
  if used ~= shape then
    base.decoded[id .. " form"] = used
  end
  return lines, used
end

---@param replacement SuggestionReview.Replacement
---@param shape SuggestionReview.Form
---@return SuggestionReview.Replacement|nil
---@return string|nil reason
local function decode_replacement(replacement, shape)
  local lines, reason = decode_lines(replacement.lines, shape, replacement.at == 0)
  if not lines then
    return nil, reason
  elseif lines == replacement.lines then
    return replacement
  end
  local copy = vim.tbl_extend("force", replacement, {})
  copy.lines = lines
  return copy
end

--- Whether the file exists where exactly `list` is applied.
---@param base SuggestionReview.Base
---@param list SuggestionReview.Replacement[]
local function exists_with(base, list)
  local exists, gone, removed = base.exists, false, 0
  for _, replacement in ipairs(list) do
    if replacement.kind == "create" then
      exists = true
    elseif replacement.kind == "delete" and replacement.decided ~= "modified" then
      gone, removed = true, removed + replacement.count
    end
  end
  -- A deletion that is taken only in part leaves a file.
  return exists and not (gone and removed == #base.lines)
end

---@param items SuggestionReview.PlanItem[]
---@param status SuggestionReview.Outcome
---@param reason? string
local function all(items, status, reason)
  for _, item in ipairs(items) do
    item.status, item.reason = status, reason
  end
end

local LINE_KINDS = { text = true, create = true, delete = true }

---@param list SuggestionReview.Replacement[]
---@return SuggestionReview.Replacement[] those that are about lines
local function line_replacements(list)
  for _, one in ipairs(list) do
    if not LINE_KINDS[one.kind or "text"] then
      return vim.tbl_filter(function(replacement)
        return LINE_KINDS[replacement.kind or "text"]
      end, list)
    end
  end
  return list
end

--- The path a file has in the worktree now: its old one until its renaming was applied.
---@param place SuggestionReview.Place
---@param file string raw bytes
---@param old string|nil
---@param renaming boolean|nil the state after this plan, if it decides that
---@return string
local function path_now(place, file, old, renaming)
  if not old or old == file then
    return file
  end
  if renaming == nil then
    for _, replacement in ipairs(place.applied:of_file(place.suggestion.id, file)) do
      if replacement.kind == "rename" then
        return file
      end
    end
    -- Renamed by the developer's own hand.
    if not vim.uv.fs_lstat(place.root .. "/" .. old) and vim.uv.fs_lstat(place.root .. "/" .. file) then
      return file
    end
    return old
  end
  return renaming and file or old
end

--- The text as it should be before the change, made only when it is asked for.
---@class (exact) SuggestionReview.Expected
---@field lines fun(): string[]
---@field bare fun(): string[] the same in bare form, see `diff.bare`

local NOTHING = {
  lines = function()
    return {}
  end,
  bare = function()
    return {}
  end,
}

--- What changes in a carrier whose lines are the file's lines.
---@param plan SuggestionReview.FilePlan
---@param base SuggestionReview.Base
---@param now SuggestionReview.Replacement[]
---@param remove table<string, true>
---@param add SuggestionReview.Replacement[]
---@return SuggestionReview.TextChange[]|nil
---@return SuggestionReview.Expected
---@return string[] displaced
---@return string|nil reason
---@return table<string, string>|nil refused by key
local function line_changes(plan, base, now, remove, add)
  local base_lines, shape = decode_base(base, plan.carrier.form)
  if not base_lines then
    return nil, NOTHING, {}, shape --[[@as string]]
  end
  ---@cast shape SuggestionReview.Form
  plan.shape = shape
  local expected_list, adding, refused = {}, {}, {}
  for _, replacement in ipairs(now) do
    local decoded, reason = decode_replacement(replacement, shape)
    if not decoded then
      return nil, NOTHING, {}, reason
    end
    expected_list[#expected_list + 1] = decoded
  end
  for _, replacement in ipairs(add) do
    local decoded, reason = decode_replacement(replacement, shape)
    if decoded then
      adding[#adding + 1] = decoded
    else
      refused[replacement.key] = reason
    end
  end
  local changes, _, displaced = mapping.changes(base_lines, expected_list, remove, adding)
  return changes,
    {
      lines = function()
        return mapping.compose(base_lines, expected_list)
      end,
      bare = function()
        local bare = base.bare[base_lines]
        if not bare then
          bare = diff.bare_lines(base_lines)
          base.bare[base_lines] = bare
        end
        return mapping.compose_bare(bare, expected_list)
      end,
    },
    displaced,
    nil,
    refused
end

--- What changes in a carrier whose lines are others than the file's (lone CR, UTF-16): both texts are decoded as a
--- whole and compared; all hunks go together or none.
---@param plan SuggestionReview.FilePlan
---@param base SuggestionReview.Base
---@param now SuggestionReview.Replacement[]
---@param remove table<string, true>
---@param add SuggestionReview.Replacement[]
---@return SuggestionReview.TextChange[]|nil
---@return SuggestionReview.Expected
---@return string[] displaced
---@return string|nil reason
local function whole_changes(plan, base, now, remove, add)
  local _, after, displaced = mapping.changes({}, now, remove, add)
  local shape = plan.carrier.form
  local function decoded(list)
    local text, reason = form.decode(table.concat(mapping.compose(base.lines, list)), shape, true)
    return text and diff.split_lines(text), reason
  end
  local expected, reason = decoded(now)
  local wanted, wanted_reason = decoded(after)
  if not expected or not wanted then
    return nil, NOTHING, {}, reason or wanted_reason
  end
  plan.shape = shape
  local keys = vim.tbl_keys(remove)
  for _, replacement in ipairs(add) do
    keys[#keys + 1] = replacement.key
  end
  local changes = {}
  for _, range in ipairs(diff.ranges(expected, wanted)) do
    changes[#changes + 1] = {
      keys = keys,
      from = range[1],
      to = range[2],
      old = vim.list_slice(expected, range[1] + 1, range[2]),
      lines = vim.list_slice(wanted, range[3] + 1, range[4]),
      base_from = 0,
      base_to = #base.lines,
    }
  end
  return changes,
    {
      lines = function()
        return expected
      end,
      bare = function()
        return diff.bare_lines(expected)
      end,
    },
    displaced
end

---@param place SuggestionReview.Place
---@param plan SuggestionReview.FilePlan
---@param base SuggestionReview.Base
local function plan_lines(place, plan, base, relative)
  local id = place.suggestion.id
  local items = plan.items
  if base.source == "server" and not place.unknown_base_ok and vim.uv.fs_lstat(place.root .. "/.git") then
    for _, item in ipairs(items) do
      item.code = "unknown_base"
    end
    return all(items, "refused", "this checkout does not have the commit that the suggestion is based on")
  end
  local path, reason = worktree.resolve(place.root, relative)
  if not path then
    return all(items, "refused", reason)
  end
  local now = line_replacements(place.applied:of_file(id, plan.file))
  local remove, add = {}, {}
  for _, item in ipairs(items) do
    if item.want.state == "accepted" or item.want.state == "modified" then
      local replacement, why, text = replacement_of(item.want, place.suggestion.base_commit)
      if not replacement or not text then
        item.status, item.reason = "refused", why
      elseif not base_of.fits(base, item.hunk, text) then
        item.status, item.reason = "refused", "its base lines are not those of the base commit"
      else
        add[#add + 1] = replacement
      end
    else
      remove[item.hunk.id] = true
    end
  end

  plan.base = base
  local item_of = {}
  for _, item in ipairs(items) do
    item.plan = plan
    item_of[item.hunk.id] = item
  end
  plan.others = vim.tbl_filter(function(replacement)
    return item_of[replacement.key] == nil
  end, now)

  local stat = vim.uv.fs_lstat(path)
  local after, expected_exists, wanted_exists = nil, true, true
  if not base.exists or (items[1].hunk.kind == "delete") then
    local _, wanted = mapping.changes({}, now, remove, add)
    after = wanted
    expected_exists, wanted_exists = exists_with(base, now), exists_with(base, after)
  end
  if expected_exists ~= wanted_exists then
    local expected = table.concat(mapping.compose(base.lines, now))
    local wanted = table.concat(mapping.compose(base.lines, after))
    local load = stat ~= nil and worktree.buffer_of(path) ~= nil
    local carried, why = carrier.open(path, load)
    if not carried then
      return all(items, "refused", why)
    end
    local function bytes_now()
      local text = carrier.text(carried)
      return carried.buf and form.encode(text, carried.form, true) or text
    end
    local mode
    for _, item in ipairs(items) do
      mode = item.hunk.new_mode or item.hunk.old_mode
    end
    local function note()
      place.applied:record(id, plan.file, add, vim.tbl_keys(remove))
    end
    if wanted_exists then
      if not carried.exists then
        all(items, "clean")
        plan.run = function()
          local ok, create_reason = fileop.create(path, wanted, mode)
          if ok then
            note()
          end
          return ok, create_reason
        end
      elseif bytes_now() == wanted then
        all(items, "already")
        plan.run = function()
          note()
          return true
        end
      else
        all(items, "conflict", "a file of that name is here already")
      end
    elseif not carried.exists then
      all(items, "already")
      plan.run = function()
        note()
        return true
      end
    elseif bytes_now() == expected and not (carried.buf and vim.bo[carried.buf].modified) then
      all(items, "clean")
      plan.run = function()
        local ok, remove_reason = fileop.remove(place.root, path)
        if ok then
          note()
        end
        return ok, remove_reason
      end
    else
      all(items, "conflict", "you have changed this file")
    end
    if items[1].status == "conflict" then
      local ours = diff.split_lines(carrier.text(carried))
      for _, item in ipairs(items) do
        item.placed = {
          status = "conflict",
          from = 0,
          to = #ours,
          lines = wanted_exists and mapping.compose(base.lines, after) or {},
          ours = ours,
          theirs = wanted_exists and mapping.compose(base.lines, after) or {},
          base = diff.split_lines(expected),
          base_from = 0,
          base_to = #base.lines,
        }
      end
      plan.carrier, plan.tick = carried, carrier.tick(carried)
      plan.shape = carried.buf and carried.form or { eol = "unix", encoding = "", bom = false }
    end
    return
  end
  if not wanted_exists then
    all(items, "already")
    plan.run = function()
      place.applied:record(id, plan.file, add, vim.tbl_keys(remove))
      return true
    end
    return
  end

  local write = require("suggestion-review.config").get().write_on_accept
  local carried, why = carrier.open(path, not write)
  if not carried then
    return all(items, "refused", why)
  elseif not carried.exists and not carried.buf then
    return all(items, "refused", "there is no such file in this worktree")
  end
  plan.carrier, plan.tick = carried, carrier.tick(carried)

  local changes, expected, displaced, refused, shape_reason
  local line_wise = form.line_wise(carried.form)
  if line_wise then
    changes, expected, displaced, shape_reason, refused = line_changes(plan, base, now, remove, add)
  else
    changes, expected, displaced, shape_reason = whole_changes(plan, base, now, remove, add)
  end
  if not changes then
    return all(items, "refused", shape_reason)
  end
  for _, item in ipairs(items) do
    if refused and refused[item.hunk.id] then
      item.status, item.reason = "refused", refused[item.hunk.id]
    end
  end
  local step_key = ("%s\0%s\0%s\0%d"):format(
    id,
    place.suggestion.base_commit,
    plan.file,
    place.applied:version_of(id, plan.file)
  )
  local buf = carried.buf
  local known = buf and in_step[buf]
  local placed, total
  local tick = carrier.tick(carried)
  if known and known.tick == tick and known.key == step_key then
    placed = mapping.place(changes, nil, nil)
    total = vim.api.nvim_buf_line_count(buf --[[@as integer]])
  else
    local actual = carrier.bare(carried)
    total = #actual
    local ranges = diff.ranges_near(expected.bare(), actual)
    if not ranges then
      placed = mapping.place(changes, nil, nil)
      if buf then
        in_step[buf] = { tick = tick, key = step_key }
        known = in_step[buf]
      end
    else
      placed = mapping.place(changes, expected.lines, function()
        return diff.bare_lines(actual)
      end, ranges)
      known = nil
    end
  end

  if not line_wise and vim.iter(placed):any(function(one)
    return one.status == "conflict"
  end) then
    return all(items, "refused", "your own edits touch the same lines")
  end
  local by_key = {}
  for _, one in ipairs(placed) do
    for _, key in ipairs(one.change.keys) do
      if not by_key[key] or by_key[key].status == "already" then
        by_key[key] = one
      end
    end
  end
  for _, item in ipairs(items) do
    if not item.status then
      local one = by_key[item.hunk.id]
      item.placed = one
      item.status = one and one.status or "already"
      if item.status == "conflict" then
        item.reason = "your own edits touch the same lines"
      end
    end
  end

  plan.run = function()
    local edits, put, out = {}, {}, {}
    local settled = {}
    for _, one in ipairs(placed) do
      if one.status == "clean" then
        edits[#edits + 1] = { from = one.from, to = one.to, old = one.change.old, lines = one.lines }
      end
      if one.status ~= "conflict" then
        for _, key in ipairs(one.change.keys) do
          settled[key] = true
        end
      end
    end
    for _, replacement in ipairs(add) do
      local item = item_of[replacement.key]
      local done = settled[replacement.key] or not by_key[replacement.key]
      if done and not (item and item.status == "refused") then
        put[#put + 1] = replacement
      end
    end
    for key in pairs(remove) do
      if settled[key] or not by_key[key] then
        out[#out + 1] = key
      end
    end
    for _, key in ipairs(displaced) do
      if settled[key] then
        out[#out + 1] = key
      end
    end
    if buf and carrier.tick(carried) ~= tick then
      return false, "the buffer changed meanwhile"
    end
    local save = buf and write and not vim.bo[buf].modified and vim.bo[buf].buftype == ""
    if #edits > 0 then
      local ok, apply_reason = carrier.apply(carried, edits, total)
      if not ok then
        return false, apply_reason
      end
    end
    place.applied:record(id, plan.file, put, out)
    local save_reason
    if save and #edits > 0 then
      local saved
      saved, save_reason = carrier.save(carried)
      if saved then
        save_reason = nil
      end
    end
    if buf and vim.api.nvim_buf_is_valid(buf) then
      -- Still as expected, unless it was not before or a formatter had its say while it was saved.
      local tick_now = vim.api.nvim_buf_get_changedtick(buf)
      local untouched = known ~= nil and (not save or #edits == 0)
      in_step[buf] = untouched
          and {
            tick = tick_now,
            key = ("%s\0%s\0%s\0%d"):format(
              id,
              place.suggestion.base_commit,
              plan.file,
              place.applied:version_of(id, plan.file)
            ),
          }
        or nil
    end
    if save_reason then
      return true, "applied, but not saved: " .. save_reason
    end
    return true
  end
end

---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param callback fun(run: (fun(): boolean, string|nil)|nil)
local function plan_whole(place, item, callback)
  local hunk = item.hunk
  local file = digest.path(hunk)
  local into = item.want.state == "accepted" or item.want.state == "modified"
  local function note()
    if into then
      place.applied:record(place.suggestion.id, file, {
        {
          key = hunk.id,
          at = 0,
          count = 0,
          lines = {},
          order = 0,
          digest = hunk.digest,
          kind = hunk.kind,
          decided = "accepted",
        },
      }, {})
    else
      place.applied:record(place.suggestion.id, file, {}, { hunk.id })
    end
    return true
  end
  local function finish(status, reason, run)
    item.status, item.reason = status, reason
    if status == "already" then
      callback(note)
    elseif status == "clean" then
      callback(function()
        local ok, why = run()
        if ok then
          note()
        end
        return ok, why
      end)
    else
      callback(nil)
    end
  end
  if LATER[hunk.kind] then
    return finish("deferred", LATER[hunk.kind])
  end
  local was = place.applied:get(place.suggestion.id, file, hunk.id)
  if not into and not was then
    return finish("already")
  end
  if hunk.kind == "rename" then
    if digest.of(hunk) ~= hunk.digest then
      return finish("refused", "the renaming is not what its digest names")
    end
    local old, old_reason = worktree.resolve(place.root, hunk.old_file)
    local new, new_reason = worktree.resolve(place.root, file)
    if not old or not new then
      return finish("refused", old_reason or new_reason)
    end
    local from, to = into and old or new, into and new or old
    local status, reason = fileop.rename_state(from, to)
    return finish(status, reason, function()
      return fileop.rename(place.root, from, to)
    end)
  end
  local path, reason = worktree.resolve(place.root, path_now(place, file, hunk.old_file))
  if not path then
    return finish("refused", reason)
  end
  if hunk.kind == "mode" then
    if digest.of(hunk) ~= hunk.digest then
      return finish("refused", "the mode is not what its digest names")
    end
    local from, to = hunk.old_mode, hunk.new_mode
    if not into then
      from, to = to, from
    end
    local status, mode_reason = fileop.mode_state(path, from --[[@as string]], to --[[@as string]])
    return finish(status, mode_reason, function()
      return fileop.change_mode(path, to --[[@as string]])
    end)
  end
  fileop.fetch_sides(place.suggestion, hunk, place.git_root, function(sides, sides_reason)
    if not sides then
      return finish("refused", sides_reason)
    end
    local from, to = sides.from, sides.to
    if not into then
      from, to = to, from
    end
    local status, whole_reason = fileop.whole_state(place.root, path, from, to)
    return finish(status, whole_reason, function()
      return fileop.replace(place.root, path, to)
    end)
  end)
end

---@param hunk SuggestionReview.Hunk
local function is_whole(hunk)
  return WHOLE[hunk.kind]
    or LATER[hunk.kind]
    or hunk.kind == "rename"
    or hunk.kind == "mode"
    or hunk.encoding == "binary"
end

--- Works out what bringing `wants` into the worktree would do, changing nothing.
---@param place SuggestionReview.Place
---@param wants SuggestionReview.Want[]
---@param callback fun(plans: SuggestionReview.FilePlan[], items: SuggestionReview.PlanItem[])
function M.plan(place, wants, callback)
  local files, order = {}, {}
  local items = {}
  for i, want in ipairs(wants) do
    local file = digest.path(want.hunk)
    if not files[file] then
      files[file] = {}
      order[#order + 1] = file
    end
    items[i] = { hunk = want.hunk, want = want }
    table.insert(files[file], items[i])
  end
  if place.in_place or not place.root then
    all(
      items,
      place.in_place and "already" or "refused",
      not place.in_place and "this Neovim is not in a checkout (set server.root, or :cd there)" or nil
    )
    return callback({}, items)
  end
  place.applied:refresh()
  local plans = {}
  local next_file

  ---@param file string
  ---@param text_items SuggestionReview.PlanItem[]
  ---@param renaming boolean|nil
  local function plan_text(file, text_items, renaming)
    if #text_items == 0 then
      return next_file()
    end
    local hunk = text_items[1].hunk
    base_of.get(place.suggestion, hunk, place.git_root, function(base, reason)
      if not base then
        all(text_items, "refused", reason)
        return next_file()
      end
      local plan = { file = file, items = text_items }
      local relative = path_now(place, file, hunk.kind ~= "create" and hunk.old_file or nil, nil)
      if renaming ~= nil then
        -- The file is not renamed yet: planned where it is, carried out where it will be.
        plan.run = function()
          local later = { file = file, items = text_items }
          for _, item in ipairs(text_items) do
            item.status, item.reason, item.placed = nil, nil, nil
          end
          plan_lines(place, later, base, path_now(place, file, hunk.old_file, renaming))
          return later.run and later.run() or true
        end
        local probe = { file = file, items = text_items }
        plan_lines(place, probe, base, relative)
      else
        plan_lines(place, plan, base, relative)
      end
      plans[#plans + 1] = plan
      next_file()
    end)
  end

  local at = 0
  function next_file()
    at = at + 1
    local file = order[at]
    if not file then
      return callback(plans, items)
    end
    local whole, text_items = {}, {}
    for _, item in ipairs(files[file]) do
      table.insert(is_whole(item.hunk) and whole or text_items, item)
    end
    local index, renaming = 0, nil
    local function next_whole()
      index = index + 1
      local item = whole[index]
      if not item then
        return plan_text(file, text_items, renaming)
      end
      plan_whole(place, item, function(run)
        plans[#plans + 1] = { file = file, items = { item }, run = run }
        if item.hunk.kind == "rename" and item.status == "clean" then
          renaming = item.want.state == "accepted"
        end
        next_whole()
      end)
    end
    next_whole()
  end
  next_file()
end

--- Where hunks are in a worktree that holds the agent's own work (one for both): "clean" where what is proposed
--- stands, "already" where the base's text does, "conflict" where it is neither. Changes nothing.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[]
---@param callback fun(items: SuggestionReview.PlanItem[])
function M.locate(place, hunks, callback)
  local by_file, wants = {}, {}
  for i, hunk in ipairs(hunks) do
    wants[i] = { hunk = hunk, state = "rejected" }
    local want = { hunk = hunk, state = "accepted" }
    if hunk.state == "modified" and hunk.decision and hunk.decision.modified_diff then
      -- The server's word, but nothing is written by it here.
      want.state, want.modified_diff = "modified", hunk.decision.modified_diff
    end
    local replacement = not is_whole(hunk) and replacement_of(want, place.suggestion.base_commit)
    if replacement then
      local file = digest.path(hunk)
      by_file[file] = by_file[file] or {}
      table.insert(by_file[file], replacement)
    end
  end
  local version = 0
  for _, hunk in ipairs(hunks) do
    version = version + (hunk.state == "modified" and 1 or 0)
  end
  -- As if all of it had been applied by us; taking it out again is what is planned, and not done.
  local all_applied = {
    of_file = function(_, _, file)
      return by_file[file] or {}
    end,
    version_of = function()
      return -1 - version
    end,
    get = function() end,
    refresh = function() end,
  }
  M.plan(
    vim.tbl_extend("force", place, { in_place = false, unknown_base_ok = true, applied = all_applied }),
    wants,
    function(_, items)
      callback(items)
    end
  )
end

--- Carries out plans. Each file succeeds or fails on its own; a failure leaves that file as it was.
---@param plans SuggestionReview.FilePlan[]
---@return { plan: SuggestionReview.FilePlan, reason: string }[] problems
function M.run(plans)
  local problems = {}
  for _, plan in ipairs(plans) do
    if plan.run then
      local ok, done, reason = pcall(plan.run)
      if not ok or not done then
        local text = tostring(ok and reason or done)
        for _, item in ipairs(plan.items) do
          if item.status == "clean" then
            item.status, item.reason = "refused", text
          end
        end
        problems[#problems + 1] = { plan = plan, reason = text }
      elseif reason then
        problems[#problems + 1] = { plan = plan, reason = reason }
      end
    end
  end
  return problems
end

--- The diff that makes a conflict's place in the base read as `lines`: the developer's own version as a modification.
---@param item SuggestionReview.PlanItem
---@param lines string[] as the carrier holds them
---@return string|nil diff
---@return string|nil reason
---@return SuggestionReview.Replacement|nil
function M.as_modification(item, lines)
  local placed, plan = item.placed, item.plan
  if not placed or not plan or not plan.base then
    return nil, "there is no text to put there"
  end
  local base = plan.base.lines
  local from, to = placed.base_from, placed.base_to
  local encoded, reason = form.encode(table.concat(lines), plan.shape, from == 0)
  if not encoded then
    return nil, reason
  end
  local wanted = diff.split_lines(encoded)
  for _, replacement in ipairs(plan.others) do
    if mapping.overlap(replacement, { at = from, count = to - from }) then
      return nil, "your edits reach into another hunk of the suggestion"
    end
  end
  local first = math.max(0, from - 3)
  local text = diff.format(
    first,
    first,
    vim.list_slice(base, first + 1, from),
    vim.list_slice(base, from + 1, to),
    wanted,
    vim.list_slice(base, to + 1, math.min(#base, to + 3))
  )
  if item.hunk.encoding == "latin1" then
    text = diff.bytes_to_latin1(text)
  elseif not diff.is_utf8(text) then
    return nil, "your text is not UTF-8"
  end
  return text,
    nil,
    {
      key = item.hunk.id,
      at = from,
      count = to - from,
      lines = wanted,
      order = item.hunk.new_start,
      digest = item.hunk.digest,
      kind = item.hunk.kind,
      decided = "modified",
    }
end

--- Puts `lines` where the developer's edits and the suggestion met, and files it as what is applied there.
---@param place SuggestionReview.Place
---@param item SuggestionReview.PlanItem
---@param lines string[]|nil nil: the file goes
---@param replacement SuggestionReview.Replacement|nil nil: the hunk's own change, or for a rejected one nothing
---@return boolean ok
---@return string|nil reason
function M.resolve(place, item, lines, replacement)
  local plan, placed = item.plan, item.placed
  if not plan or not placed or not plan.carrier then
    return false, "there is nothing to resolve"
  end
  local carried = plan.carrier
  if carrier.tick(carried) ~= plan.tick then
    return false, "the file changed meanwhile; look at the hunk again"
  end
  local rejected = item.want.state == "rejected" or item.want.state == "pending"
  local reason
  if not lines then
    local ok
    ok, reason = fileop.remove(place.root, carried.path)
    if not ok then
      return false, reason
    end
  elseif not vim.deep_equal(lines, placed.ours) then
    local write = require("suggestion-review.config").get().write_on_accept
    local save = carried.buf and write and not vim.bo[carried.buf].modified
    local total = #diff.split_lines(carrier.text(carried))
    local ok
    ok, reason = carrier.apply(
      carried,
      { { from = placed.from, to = placed.to, old = placed.ours, lines = lines } },
      total
    )
    if not ok then
      return false, reason
    end
    if save then
      ok, reason = carrier.save(carried)
      reason = not ok and "applied, but not saved: " .. tostring(reason) or nil
    end
  end
  if rejected then
    place.applied:record(place.suggestion.id, plan.file, {}, { item.hunk.id })
  else
    place.applied:record(
      place.suggestion.id,
      plan.file,
      { replacement or replacement_of(item.want, place.suggestion.base_commit) },
      {}
    )
  end
  return true, reason
end

--- Whether a hunk's change is in the worktree by our hand.
---@param place SuggestionReview.Place
---@param hunk SuggestionReview.Hunk
---@return boolean
function M.is_applied(place, hunk)
  if place.in_place then
    return hunk.state ~= "rejected"
  end
  return place.applied ~= nil and place.applied:get(place.suggestion.id, digest.path(hunk), hunk.id) ~= nil
end

--- Reloads what the agent changed under our buffers (one worktree for both).
---@param place SuggestionReview.Place
function M.reload(place)
  if not place.in_place then
    return
  end
  for _, file in ipairs(place.suggestion.files or {}) do
    local buf = worktree.buffer_of(place.root .. "/" .. file)
    if buf and vim.api.nvim_buf_is_loaded(buf) then
      carrier.refresh(buf)
    end
  end
end

--- After a new revision: what is applied under ids that now name something else is filed under its new id, by digest.
---@param place SuggestionReview.Place
---@param hunks SuggestionReview.Hunk[]
function M.rekey(place, hunks)
  if not place.applied then
    return
  end
  local by_file = {}
  for _, hunk in ipairs(hunks) do
    local file = digest.path(hunk)
    by_file[file] = by_file[file] or {}
    table.insert(by_file[file], hunk)
  end
  local id, base = place.suggestion.id, place.suggestion.base_commit
  for file, list in pairs(by_file) do
    local put, out, taken = {}, {}, {}
    local by_id = {}
    for _, hunk in ipairs(list) do
      by_id[hunk.id] = hunk
    end
    local moved = {}
    for _, replacement in ipairs(place.applied:of_file(id, file)) do
      local same_base = replacement.base == nil or replacement.base == base
      local hunk = by_id[replacement.key]
      if hunk and hunk.digest == replacement.digest and same_base then
        taken[hunk.id] = true
      elseif not (same_base and replacement.key:match("^stale ")) then
        moved[#moved + 1] = replacement
      end
    end
    for _, replacement in ipairs(moved) do
      out[#out + 1] = replacement.key
      local match
      for _, hunk in ipairs(list) do
        if not taken[hunk.id] and hunk.digest == replacement.digest then
          match = hunk
          break
        end
      end
      local copy = vim.deepcopy(replacement)
      local place_known = replacement.base == nil or replacement.base == base
      if match then
        taken[match.id] = true
        copy.key, copy.base, copy.order = match.id, base, match.new_start
        if replacement.decided == "modified" then
          -- The modification's place is the one thing asked of the server here, and only for the very same text.
          local given = match.decision and match.decision.modified_diff
          if match.encoding == "latin1" then
            given = given and diff.latin1_to_bytes(given)
          end
          local own = given and diff.parse(given)
          local sides = own and diff.sides(own)
          if own and sides and vim.deep_equal(sides.new, replacement.lines) then
            copy.at = diff.zero_based(own.old_start, own.old_count) + #sides.before
            copy.count = #sides.old
            place_known = true
          end
        else
          copy.at = diff.zero_based(match.old_start, match.old_count)
          place_known = true
        end
      else
        copy.key = ("stale %s %d"):format(replacement.digest or "", replacement.at)
      end
      -- Where nothing tells its place in the new base, the text is the developer's own from now on.
      if place_known then
        put[#put + 1] = copy
      end
    end
    place.applied:record(id, file, put, out)
  end
end

--- Forgets which buffers are in step; for tests.
function M.reset()
  in_step = {}
end

return M
