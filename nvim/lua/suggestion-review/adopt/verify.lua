--- Whether a finalized commit holds what this developer decided, and nothing else. The server's list of hunks says
--- where hunks are; what counts of them, and with what text, comes from the decisions kept here alone.
---
--- The expected tree is made anew: base + own decisions, merged onto the commit's parent when that is not the base.
--- Then two tree ids are compared; there is no room for a path that was not looked at.

local diff = require("suggestion-review.text.diff")
local digest = require("suggestion-review.text.digest")
local git = require("suggestion-review.worktree.git")
local mapping = require("suggestion-review.text.merge")
local task = require("suggestion-review.lib.task")

local M = {}

M.EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

---@class SuggestionReview.Own a hunk of the final revision with this developer's decision on it
---@field hunk SuggestionReview.Hunk
---@field state SuggestionReview.HunkState
---@field modified_diff? string

--- The hunk that a decision on a part of a hunk was about, with the digest the server must give it.
---@param hunk SuggestionReview.Hunk
---@param lines SuggestionReview.LineRange
---@return string? digest
function M.part_digest(hunk, lines)
  local text = diff.text_of(hunk)
  if not text then
    return nil
  end
  local old = table.concat(text.old, "", lines.old[1] + 1, lines.old[1] + lines.old[2])
  local new = table.concat(text.new, "", lines.new[1] + 1, lines.new[1] + lines.new[2])
  local mode = hunk.new_mode or hunk.old_mode or ""
  if hunk.kind == "create" then
    new = mode .. "\n" .. new
  end
  if hunk.kind == "delete" then
    old = mode .. "\n" .. old
  end
  return digest.compute(hunk.kind, digest.path(hunk), old, new)
end

--- Digest of the text a decision stands for.
---@param record SuggestionReview.Record
---@return string
function M.digest_of(record)
  if not record.lines then
    return record.hunk.digest
  end
  return M.part_digest(record.hunk, record.lines) or ""
end

--- This developer's decision on each hunk of the final revision: found by the hunk's id with the same digest, else (a
--- decision carried from an earlier revision, or on a part of a hunk) by the digest alone. Each decision counts once.
---@param hunks SuggestionReview.Hunk[] of the final revision
---@param by_hunk table<string, SuggestionReview.Record> latest decisions
---@return SuggestionReview.Own[]
function M.resolve(hunks, by_hunk)
  local own, open = {}, {}
  local used = {}
  for i, hunk in ipairs(hunks) do
    local record = by_hunk[hunk.id]
    if record and not record.lines and record.hunk.digest == hunk.digest then
      -- Text that the server leaves out for its size was read before it was accepted.
      local same_place = record.hunk.old_start == hunk.old_start and record.hunk.new_start == hunk.new_start
      own[i] = {
        hunk = hunk.diff_omitted and same_place and record.hunk or hunk,
        state = record.state,
        modified_diff = record.modified_diff,
      }
      used[hunk.id] = true
    else
      open[#open + 1] = i
    end
  end
  if #open > 0 then
    local by_digest = {}
    local ids = vim.tbl_keys(by_hunk)
    table.sort(ids)
    for _, id in ipairs(ids) do
      if not used[id] then
        local name = M.digest_of(by_hunk[id])
        by_digest[name] = by_digest[name] or {}
        table.insert(by_digest[name], by_hunk[id])
      end
    end
    for _, i in ipairs(open) do
      local hunk = hunks[i]
      local records = by_digest[hunk.digest]
      -- Of several with the same text the one that says what the server says, if there is one: they are
      -- interchangeable, being the same text in the same file.
      local best
      for index, record in ipairs(records or {}) do
        if not best or record.state == hunk.state then
          best = index
        end
        if record.state == hunk.state then
          break
        end
      end
      local record = best and table.remove(records, best)
      own[i] = {
        hunk = hunk,
        state = record and record.state or "pending",
        modified_diff = record and record.modified_diff,
      }
    end
  end
  return own
end

local TAKEN = { accepted = true, modified = true }
local LINES = { text = true, create = true, delete = true }
local WHOLE = { binary = true, symlink = true, submodule = true, type = true }

---@param hunk SuggestionReview.Hunk
---@return string? raw path before the change
local function old_path(hunk)
  if hunk.kind == "create" then
    return nil
  end
  if not hunk.old_file then
    return nil
  end
  if hunk.file_b64 and hunk.kind ~= "rename" then
    -- Same path on both sides: the raw bytes are the new side's.
    return digest.path(hunk)
  end
  return hunk.old_file
end

---@class SuggestionReview.Change all hunks of one file (or pair of files, for a rename)
---@field old? string
---@field new? string nil for a deletion
---@field own SuggestionReview.Own[]

--- Hunks gathered by the file they change.
---@param own SuggestionReview.Own[]
---@return SuggestionReview.Change[]
function M.group(own)
  local groups, by_key = {}, {}
  for _, item in ipairs(own) do
    local hunk = item.hunk
    local new = digest.path(hunk)
    local old = old_path(hunk)
    local key = (old or "") .. "\0" .. new
    local group = by_key[key]
    if not group then
      group = { old = old, new = hunk.kind ~= "delete" and new or nil, own = {} }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    table.insert(group.own, item)
  end
  return groups
end

--- What a decision puts in the place of base lines.
---@param item SuggestionReview.Own
---@return SuggestionReview.Replacement? replacement
---@return string? reason
function M.replacement(item)
  local hunk = item.hunk
  if hunk.digest ~= digest.of(hunk) then
    return nil, "the text of a hunk is not what its digest names"
  end
  if item.state == "modified" then
    local edited = item.modified_diff or ""
    if hunk.encoding == "latin1" then
      edited = diff.latin1_to_bytes(edited) or ""
    end
    -- File headers in front are passed over, as the server does.
    if edited:sub(1, 3) ~= "@@ " then
      edited = edited:match("\n(@@ .*)$") or edited
    end
    local parsed, reason = diff.parse(edited)
    if not parsed then
      return nil, reason
    end
    local sides = diff.sides(parsed)
    return {
      key = hunk.id,
      at = diff.zero_based(parsed.old_start, parsed.old_count) + #sides.before,
      count = #sides.old,
      lines = sides.new,
      order = hunk.new_start,
      old = sides.old,
    }
  end
  local text, reason = diff.text_of(hunk)
  if not text then
    return nil, reason
  end
  local at = diff.zero_based(hunk.old_start, hunk.old_count)
  if #text.old == 0 and hunk.kind == "create" then
    at = 0
  end
  return {
    key = hunk.id,
    at = at,
    count = #text.old,
    lines = text.new,
    order = hunk.new_start,
    old = text.old,
  }
end

--- Base lines with the decisions in them. Every replaced line must be the base's.
---@param base string
---@param own SuggestionReview.Own[] hunks with lines that were taken
---@return string? bytes
---@return string? reason
function M.compose(base, own)
  local lines = diff.split_lines(base)
  local replacements, reached = {}, 0
  for i, item in ipairs(own) do
    local replacement, reason = M.replacement(item)
    if not replacement then
      return nil, reason
    end
    for offset, line in ipairs(replacement.old) do
      if lines[replacement.at + offset] ~= line then
        return nil, "a hunk does not fit its place in the base"
      end
    end
    replacements[i] = replacement
  end
  for _, replacement in ipairs(mapping.sorted(replacements)) do
    if replacement.at < reached or replacement.at + replacement.count > #lines then
      return nil, "two hunks claim the same base lines"
    end
    reached = replacement.at + replacement.count
  end
  return table.concat(mapping.compose(lines, replacements))
end

---@class SuggestionReview.FileState
---@field path string
---@field mode string
---@field oid? string
---@field content? string

--- The state of one file that follows from the decisions: mirrors `composeEntry` of the server, on this side's word.
---@param change SuggestionReview.Change
---@param before table<string, SuggestionReview.TreeEntry> entries of the base
---@param after table<string, SuggestionReview.TreeEntry> entries of the commit to verify
---@param read fun(oid: string): string
---@return string[] removed paths of the base to take out
---@return SuggestionReview.FileState? file
---@return string? reason
function M.file_state(change, before, after, read)
  local taken = vim.tbl_filter(function(item)
    return TAKEN[item.state]
  end, change.own)
  if #taken == 0 then
    return {}, nil
  end
  local function takes(kind)
    for _, item in ipairs(taken) do
      if item.hunk.kind == kind then
        return item
      end
    end
  end
  local base = change.old and before[change.old] or nil
  local removed = base and { change.old } or {}
  if change.old and not base then
    return removed, nil, "the base does not have this file"
  end
  local path = (takes("rename") or not change.old) and change.new or change.old --[[@as string]]
  path = path or change.old --[[@as string]]

  for kind in pairs(WHOLE) do
    local item = takes(kind)
    if item then
      local there = after[path]
      local found = digest.compute(
        item.hunk.kind,
        digest.path(item.hunk),
        digest.side(base and base.mode, base and base.oid),
        digest.side(there and item.hunk.new_mode, there and there.oid)
      )
      if found ~= item.hunk.digest then
        return removed, nil, "its content is not the one that was accepted"
      end
      local mode = (takes("mode") or kind == "type") and there.mode or base.mode
      return removed, { path = path, mode = mode, oid = there.oid }
    end
  end

  -- Created or deleted without lines to show: binary files, links, submodules.
  for _, item in ipairs(taken) do
    local hunk = item.hunk
    if (hunk.kind == "create" or hunk.kind == "delete") and hunk.encoding == "binary" then
      local there = hunk.kind == "create" and after[path] or nil
      local found = digest.compute(
        hunk.kind,
        digest.path(hunk),
        digest.side(base and base.mode, base and base.oid),
        digest.side(there and there.mode, there and there.oid)
      )
      if found ~= hunk.digest then
        return removed, nil, "its content is not the one that was accepted"
      end
      if not there then
        return removed, nil
      end
      return removed, { path = path, mode = there.mode, oid = there.oid }
    end
  end

  local with_lines = vim.tbl_filter(function(item)
    return LINES[item.hunk.kind]
  end, taken)
  local all_lines = vim.tbl_filter(function(item)
    return LINES[item.hunk.kind]
  end, change.own)
  local whole_deletion = not change.new and #with_lines == #all_lines
  for _, item in ipairs(with_lines) do
    whole_deletion = whole_deletion and item.state == "accepted"
  end
  if whole_deletion then
    local bytes, reason = M.compose(read(base.oid), with_lines)
    if reason then
      return removed, nil, reason
    end
    if bytes ~= "" then
      return removed, nil, "the deletion leaves lines that were not shown"
    end
    return removed, nil
  end
  local mode = base and base.mode
  local mode_item = takes("mode")
  if mode_item then
    if digest.of(mode_item.hunk) ~= mode_item.hunk.digest then
      return removed, nil, "its mode is not what was accepted"
    end
    mode = mode_item.hunk.new_mode
  elseif not mode then
    mode = change.own[1].hunk.new_mode
  end
  local rename = takes("rename")
  if rename and digest.of(rename.hunk) ~= rename.hunk.digest then
    return removed, nil, "its name is not what was accepted"
  end
  if #with_lines == 0 then
    if not base then
      return removed, nil
    end
    return removed, {
      path = path,
      mode = mode --[[@as string]],
      oid = base.oid,
    }
  end
  local bytes, reason = M.compose(base and read(base.oid) or "", with_lines)
  if not bytes then
    return removed, nil, reason
  end
  return removed, {
    path = path,
    mode = mode --[[@as string]],
    content = bytes,
  }
end

---@class SuggestionReview.Verdict
---@field ok boolean
---@field message string one sentence
---@field reasons string[] what could not be recomputed, per file
---@field differing string[] paths on which the commit is not what was decided here
---@field foreign SuggestionReview.Hunk[] hunks the server calls accepted that were not accepted here
---@field diff string from what was decided to what the commit holds, for people
---@field tree? string the expected tree

--- A swap of a file and a directory is one decision about several paths: its digest is over all of them.
---@param item SuggestionReview.Own
---@param changes SuggestionReview.TreeChange[] from the base to the commit
---@return string[]? removed
---@return SuggestionReview.FileState[]? files
local function swap_states(item, changes)
  local name = digest.path(item.hunk)
  local before, after, removed, files = {}, {}, {}, {}
  for _, change in ipairs(changes) do
    if change.path == name or vim.startswith(change.path, name .. "/") then
      if change.old then
        before[#before + 1] = ("%s %s %s\n"):format(change.old.mode, change.old.oid, change.path)
        removed[#removed + 1] = change.path
      end
      if change.new then
        after[#after + 1] = ("%s %s %s\n"):format(change.new.mode, change.new.oid, change.path)
        files[#files + 1] = { path = change.path, mode = change.new.mode, oid = change.new.oid }
      end
    end
  end
  if digest.compute("swap", name, table.concat(before), table.concat(after)) ~= item.hunk.digest then
    return nil
  end
  return removed, files
end

--- Puts base, decisions and (where the commit's parent is another) the parent together and returns the tree.
---@param removed string[]
---@param files SuggestionReview.FileState[]
---@param base string
---@param opts SuggestionReview.GitOpts
---@return string tree
local function write_tree(removed, files, base, opts)
  local directory = vim.fn.tempname()
  vim.fn.mkdir(directory, "p", "0o700")
  local index = {
    cwd = opts.cwd,
    env = vim.tbl_extend("force", opts.env or {}, { GIT_INDEX_FILE = directory .. "/index" }),
  }
  local names, written = {}, {}
  local breathe = task.breather()
  for _, file in ipairs(files) do
    breathe()
    if file.content then
      local name = ("%s/%d"):format(directory, #names + 1)
      local handle = assert(io.open(name, "wb"))
      handle:write(file.content)
      handle:close()
      names[#names + 1] = name
      written[#names] = file
    end
  end
  local ok, result = pcall(function()
    if #names > 0 then
      local args = { "hash-object", "-w", "-t", "blob", "--no-filters", "--stdin-paths" }
      local out =
        git.run(args, { cwd = opts.cwd, env = opts.env, stdin = table.concat(names, "\n") .. "\n" }).stdout
      local at = 0
      for oid in out:gmatch("%x+") do
        at = at + 1
        local file = written[at]
        file.oid = oid
      end
    end
    git.run({ "read-tree", base }, index)
    local records = {}
    for _, path in ipairs(removed) do
      records[#records + 1] = ("0 %s\t%s\0"):format(("0"):rep(40), path)
    end
    for _, file in ipairs(files) do
      records[#records + 1] = ("%s %s\t%s\0"):format(file.mode, file.oid, file.path)
    end
    if #records > 0 then
      git.run(
        { "update-index", "-z", "--index-info" },
        vim.tbl_extend("force", index, { stdin = table.concat(records) })
      )
    end
    return git.line({ "write-tree" }, index)
  end)
  vim.fn.delete(directory, "rf")
  if not ok then
    error(result, 0)
  end
  return result
end

--- Inside a task: verifies `commit`, which must be in the repository at `opts.cwd` with its parent and the base.
---@param suggestion SuggestionReview.Suggestion with the hunks of its final revision
---@param by_hunk table<string, SuggestionReview.Record>
---@param commit string
---@param opts SuggestionReview.GitOpts
---@return SuggestionReview.Verdict
function M.verify(suggestion, by_hunk, commit, opts)
  -- Work on the very first commit has no base.
  local base = suggestion.base_commit:find("^0+$") and M.EMPTY_TREE or suggestion.base_commit
  local own = M.resolve(suggestion.hunks, by_hunk)
  local verdict = { ok = false, message = "", reasons = {}, differing = {}, foreign = {}, diff = "" }
  for _, item in ipairs(own) do
    if TAKEN[item.hunk.state] and not TAKEN[item.state] then
      table.insert(verdict.foreign, item.hunk)
    end
  end
  local parents = vim.split(git.line({ "rev-list", "--parents", "-n", "1", commit }, opts), " ")
  if #parents ~= 2 and not (#parents == 1 and base == M.EMPTY_TREE) then
    verdict.message = "The commit does not have exactly one parent"
    return verdict
  end
  local parent = parents[2] or base
  local changes = git.changes(base, commit, opts)

  local groups = M.group(own)
  local old_paths, new_paths = {}, {}
  for _, group in ipairs(groups) do
    if group.old then
      table.insert(old_paths, group.old)
    end
    if group.new then
      table.insert(new_paths, group.new)
    end
    if group.old and group.new and group.old ~= group.new then
      table.insert(new_paths, group.old)
    end
  end
  local before = git.entries(base, old_paths, opts)
  local after = git.entries(commit, new_paths, opts)
  local removed, files = {}, {}
  -- The bases whose lines are needed, at once.
  local wanted, seen = {}, {}
  for _, group in ipairs(groups) do
    local entry = group.old and before[group.old]
    for _, item in ipairs(group.own) do
      if
        entry
        and TAKEN[item.state]
        and LINES[item.hunk.kind]
        and not seen[entry.oid]
        and entry.mode ~= "160000"
      then
        seen[entry.oid] = true
        wanted[#wanted + 1] = entry.oid
      end
    end
  end
  local bases = git.blobs(wanted, opts)
  local function read(oid)
    return bases[oid]
  end
  local breathe = task.breather()
  for _, group in ipairs(groups) do
    breathe()
    local first = group.own[1]
    local gone, put, reason
    if first.hunk.kind == "swap" then
      gone, put = {}, {}
      if TAKEN[first.state] then
        gone, put = swap_states(first, changes)
        if not gone then
          gone, put, reason = {}, {}, "its content is not the one that was accepted"
        end
      end
    else
      local state
      gone, state, reason = M.file_state(group, before, after, read)
      put = { state }
      if reason then
        gone, put = {}, {}
      end
    end
    if reason then
      table.insert(verdict.reasons, ("%s: %s"):format(first.hunk.file, reason))
    end
    vim.list_extend(removed, gone)
    vim.list_extend(files, put)
  end

  local expected = write_tree(removed, files, base, opts)
  if parent ~= base then
    -- The server moved the work onto a newer shared branch: the same merge, made here.
    local identity = {
      GIT_AUTHOR_NAME = "suggestion-review",
      GIT_AUTHOR_EMAIL = "suggestion-review@localhost",
      GIT_COMMITTER_NAME = "suggestion-review",
      GIT_COMMITTER_EMAIL = "suggestion-review@localhost",
      GIT_AUTHOR_DATE = "@0 +0000",
      GIT_COMMITTER_DATE = "@0 +0000",
    } -- stylua: ignore
    local with_identity = { cwd = opts.cwd, env = vim.tbl_extend("force", opts.env or {}, identity) }
    local work =
      git.line({ "commit-tree", "-p", base, "-m", "base and own decisions", expected }, with_identity)
    local merged = git.run(
      { "merge-tree", "--write-tree", "--no-messages", parent, work },
      { cwd = opts.cwd, env = opts.env, ok = { [0] = true, [1] = true } }
    )
    if merged.code ~= 0 then
      verdict.message = "Base and own decisions do not merge onto the commit's parent"
      return verdict
    end
    expected = merged.stdout:match("^%x+")
  end
  verdict.tree = expected

  local actual = git.line({ "rev-parse", "--verify", commit .. "^{tree}" }, opts)
  if expected == actual then
    verdict.ok = true
    verdict.message = "The commit is the base with exactly what was decided here"
    return verdict
  end
  for _, change in ipairs(git.changes(expected, actual, opts)) do
    table.insert(verdict.differing, change.path)
  end
  verdict.diff = git.run({
    "-c",
    "core.quotePath=true",
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    expected,
    actual,
  }, opts).stdout -- stylua: ignore
  local count = #verdict.differing
  verdict.message = ("The commit differs from what was decided here in %d file%s"):format(
    count,
    count == 1 and "" or "s"
  )
  return verdict
end

return M
