--- The shapes of what a server sends, as far as anything here relies on them: one table for the events and one for the
--- answers, by type. Field names and meanings are the protocol's (|suggestion-review-events|, types.lua).
local shape = require("suggestion-review.connection.shape")

local M = {}

local text, flag, count = shape.string, shape.boolean, shape.count
local list, object, one_of, optional = shape.list, shape.object, shape.one_of, shape.optional

local STATES = { "pending", "accepted", "modified", "rejected" }

local comment = object({ text = text, by = optional(text), at = optional(text) })

local hunk = object({
  id = text,
  file = text,
  diff = text,
  diff_omitted = optional(flag),
  diff_bytes = optional(count),
  digest = text,
  kind = text,
  old_file = optional(text),
  file_b64 = optional(text),
  old_mode = optional(text),
  new_mode = optional(text),
  old_start = count,
  old_count = count,
  new_start = count,
  new_count = count,
  context_before = count,
  context_after = count,
  encoding = text,
  atomic_reason = optional(text),
  state = one_of(unpack(STATES)),
  decision = optional(object({
    by = optional(text),
    at = optional(text),
    comment = optional(text),
    modified_diff = optional(text),
    carried_from = optional(count),
  })),
  earlier = optional(object({ revision = count, comment = optional(text), diff = text })),
  comments = optional(list(comment)),
})

--- Fields of every suggestion. Those of NULLABLE_SUMMARY may be null.
local summary_fields = {
  id = text,
  jj_change_id = text,
  description = text,
  files = list(text),
  hunk_count = count,
  reviewed_count = count,
  accepted_count = count,
  rejected_count = count,
  status = text,
  state = text,
  revision = count,
  base_commit = text,
  commit = text,
  project = text,
  hub = text,
  stacked_on = optional(text),
  base_moved = flag,
  created_at = text,
  updated_at = text,
  result = optional(object({ commit = text, ref = text, base_commit = text })),
}

--- Fields that only a whole suggestion has.
local whole_fields = {
  hunks = optional(list(hunk)),
  hunks_omitted = optional(flag),
  warnings = optional(list(text)),
  file_summaries = optional(list(object({
    file = text,
    hunk_count = count,
    reviewed_count = count,
    added = count,
    removed = count,
  }))),
  verify = optional(object({
    ok = flag,
    exit_code = optional(shape.integer),
    output = text,
    at = optional(text),
    tree = optional(text),
  })),
}

local summary = object(summary_fields)
local whole = object(vim.tbl_extend("error", summary_fields, whole_fields))

--- Fields that are null, or absent, where there is nothing to say: taking in a suggestion without one of them clears
--- what was known of it. `summary` holds for every suggestion, `whole` for those that come with all their fields.
M.NULLABLE = { summary = { "result", "stacked_on" }, whole = { "verify" } }

---@param fields table<string, SuggestionReview.Rule>
---@return SuggestionReview.Rule
local function event(fields)
  return object(vim.tbl_extend("error", { seq = count, ts = text, project = text }, fields))
end

--- Events, by their type. Others are passed on as they are.
---@type table<string, SuggestionReview.Rule>
M.events = {
  ["suggestion.ready"] = event({ suggestion = whole }),
  ["suggestion.error"] = event({
    code = text,
    message = text,
    suggestion_id = optional(text),
    hunk_id = optional(text),
  }),
  ["suggestion.status"] = event({ status = text, message = text, suggestion_id = optional(text) }),
  ["suggestion.hunk_applied"] = event({
    suggestion_id = text,
    hunk_id = text,
    action = one_of("accepted", "modified", "rejected"),
    by = optional(text),
    comment = optional(text),
    modified_diff = optional(text),
    carried = optional(flag),
  }),
  ["suggestion.hunk_reset"] = event({ suggestion_id = text, hunk_id = text, by = optional(text) }),
  ["suggestion.hunk_split"] = event({ suggestion_id = text, hunk_id = text, into = list(hunk) }),
  ["suggestion.hunk_joined"] = event({ suggestion_id = text, hunk = hunk, parts = list(text) }),
  ["suggestion.comment"] = event({
    suggestion_id = text,
    hunk_id = text,
    comment = text,
    by = optional(text),
  }),
  ["suggestion.completed"] = event({
    suggestion_id = text,
    action = one_of("finalized", "discarded"),
    commit = optional(text),
    ref = optional(text),
    base_commit = optional(text),
  }),
  ["suggestion.reopened"] = event({ suggestion_id = text, by = optional(text) }),
  ["suggestion.base_moved"] = event({ suggestion_id = text, branch = text, commit = optional(text) }),
  ["suggestion.verified"] = event({
    suggestion_id = text,
    ok = flag,
    exit_code = optional(shape.integer),
    output = text,
  }),
  ["agent.turn"] = event({ session_id = text, state = text, message = text }),
  ["sandbox.refused"] = event({
    kind = text,
    target = text,
    reason = text,
    program = optional(text),
    command = optional(text),
    count = count,
    total = count,
  }),
}

local decision = object({
  hunks = optional(list(hunk)),
  changed = optional(count),
  state = optional(one_of("open", "discarded")),
})

--- Fields of every entry of the agent's activity.
---@param fields table<string, SuggestionReview.Rule>
---@return SuggestionReview.Rule
local function entry(fields)
  local stamp = {
    id = text,
    number = count,
    position = count,
    project = text,
    session_id = text,
    root_session_id = text,
    at = text,
    ts = text,
    removed = optional(flag),
  }
  return object(vim.tbl_extend("error", stamp, fields))
end

local asked = { state = one_of("asked", "answered", "gone"), by = optional(text), reason = optional(text) }

---@param fields table<string, SuggestionReview.Rule>
---@return SuggestionReview.Rule
local function ask(fields)
  return entry(vim.tbl_extend("error", asked, fields))
end

--- What the agent does, by the type of the entry. Others are kept and not shown.
---@type table<string, SuggestionReview.Rule>
M.entries = {
  ["agent.turn"] = entry({
    state = one_of("began", "ended"),
    ["end"] = optional(text),
    message = optional(text),
  }),
  ["agent.message"] = entry({ role = text, kind = text, text = text, cut = count, done = flag }),
  ["agent.tool"] = entry({
    tool = text,
    status = text,
    title = optional(text),
    input = text,
    output = text,
    output_cut = count,
    error = optional(text),
  }),
  ["agent.todo"] = entry({ todos = list(object({ content = text, status = text })) }),
  ["agent.permission"] = ask({
    permission = text,
    cut = count,
    patterns = list(text),
    always = list(text),
    command = optional(text),
    file = optional(text),
    diff = optional(text),
    editable = optional(flag),
    arguments = optional(object({})),
    reply = optional(text),
    edited = optional(object({})),
    message = optional(text),
  }),
  ["agent.question"] = ask({
    questions = list(object({
      question = text,
      header = text,
      options = list(object({ label = text, description = text })),
      multiple = flag,
      custom = flag,
    })),
    answers = optional(list(list(text))),
  }),
  ["agent.usage"] = entry({ model = text, tokens = object({}), cost = shape.number }),
  ["agent.notice"] = entry({ kind = text, message = text, upto = optional(count) }),
}

local agent_session = object({
  session_id = text,
  title = text,
  updated_at = text,
  state = one_of("idle", "busy", "retry"),
  agent = optional(text),
  model = optional(text),
  variant = optional(text),
})

local any_entry = entry({ type = text })

--- Answers, by the type of the command.
---@type table<string, SuggestionReview.Rule>
M.answers = {
  subscribe = object({ last_seq = optional(count) }),
  list = object({ suggestions = list(summary), total = optional(count), next = optional(count) }),
  get = whole,
  hunks = object({ revision = count, hunks = list(hunk), next = optional(count) }),
  why = object({
    lines = list(object({ side = one_of("added", "removed"), start = count, count = count, origin = text })),
    whole = list(object({ origin = text })),
    calls = list(object({
      call_id = text,
      session_id = optional(text),
      root_session_id = optional(text),
      session_title = optional(text),
      tool = optional(text),
      summary = optional(text),
      began_at = optional(text),
      exit_code = optional(shape.integer),
      added = count,
      removed = count,
      entry_id = optional(text),
      prompt = optional(text),
      task = optional(text),
      words = optional(text),
    })),
    tests = list(object({ command = text, began_at = text, exit_code = optional(shape.integer) })),
  }),
  content = object({ exists = flag, mode = optional(text), base64 = text, next = optional(count) }),
  feedback = decision,
  batch = decision,
  undo = decision,
  redo = decision,
  comment = decision,
  complete = object({ commit = optional(text), ref = optional(text), base_commit = optional(text) }),
  revise = object({ message = text }),
  verify = object({ ok = flag, exit_code = optional(shape.integer), output = text }),
  ask = object({ session_id = text }),
  abort = object({ aborted = flag }),
  watch = object({ last = count }),
  activity = object({ entries = list(any_entry), next = optional(count) }),
  permissions = object({ permissions = list(M.entries["agent.permission"]) }),
  questions = object({ questions = list(M.entries["agent.question"]) }),
  permission = object({ permission = M.entries["agent.permission"] }),
  question = object({ question = M.entries["agent.question"] }),
  sessions = object({ sessions = list(agent_session), next = optional(count) }),
  choices = object({
    models = list(object({ model = text, name = text, variants = list(text) })),
    default_model = optional(text),
    agents = list(object({ agent = text, description = text })),
  }),
  transcript = object({ markdown = text, digest = text, next = optional(count) }),
  commands = object({
    commands = list(object({ name = text, description = text, refused = optional(text) })),
  }),
  renameSession = object({ session = agent_session }),
  forkSession = object({ session = agent_session }),
}

--- What is wrong with an event, or nil.
---@param given table
---@return string?
function M.event_problem(given)
  local rule = M.events[given.type]
  return rule and shape.problem(given, rule)
end

--- What is wrong with an entry of the agent's activity, or nil.
---@param given any
---@return string?
function M.activity_problem(given)
  return shape.problem(given, any_entry)
    or (M.entries[given.type] and shape.problem(given, M.entries[given.type]))
end

--- What is wrong with the answer to a command, or nil.
---@param command string the command's type
---@param data any
---@return string?
function M.answer_problem(command, data)
  local rule = M.answers[command]
  return rule and shape.problem(data, rule)
end

return M
