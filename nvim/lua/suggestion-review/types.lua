---@meta
--- Types of the protocol, made from the schemas that the server validates with: `npm run lua-types` writes the file,
--- and a test compares the two. Field names are the protocol's own. What may be null there is absent here. Types of the
--- client's own stand in the modules that own them, and so do the fields that the client adds to these.

---@alias SuggestionReview.Actor "developer"|"agent"

---@alias SuggestionReview.HunkKind
---| "text"
---| "create"
---| "delete"
---| "rename"
---| "mode"
---| "symlink"
---| "binary"
---| "submodule"
---| "type"
---| "swap"

---@alias SuggestionReview.HunkState "pending"|"accepted"|"modified"|"rejected"

---@alias SuggestionReview.Lifecycle "open"|"finalized"|"discarded"

---@alias SuggestionReview.ReviewStatus "pending"|"partial"|"complete"

---@alias SuggestionReview.Action "accept"|"reject"|"modify"

---@alias SuggestionReview.ErrorCode
---| "invalid_request"
---| "unauthorized"
---| "forbidden"
---| "not_found"
---| "method_not_allowed"
---| "stale_hunk"
---| "suggestion_closed"
---| "request_reused"
---| "nothing_to_do"
---| "not_waiting"
---| "invalid_modification"
---| "merge_conflict"
---| "push_rejected"
---| "unpublishable"
---| "request_timeout"
---| "payload_too_large"
---| "unsupported_media_type"
---| "upgrade_required"
---| "rate_limited"
---| "jj_error"
---| "git_error"
---| "internal"
---| "ledger_busy"
---| "state_damaged"
---| "storage_full"
---| "unavailable"

---@alias SuggestionReview.Side "base"|"proposed"|"accepted"|"sandbox"

---@class SuggestionReview.Decision
---@field by SuggestionReview.Actor
---@field at string
---@field comment? string
---@field modified_diff? string
---@field carried_from? integer Revision in which this decision was made, if an earlier one

---@class SuggestionReview.Earlier
---@field revision integer
---@field comment? string
---@field diff string

---@class SuggestionReview.Verify
---@field ok boolean
---@field exit_code? integer
---@field output string
---@field at string
---@field tree string

---@class SuggestionReview.Result
---@field commit string The pushed commit
---@field ref string Bookmark it was pushed as, e.g. suggestions/add-validation-0198c0de
---@field base_commit string Its parent

---@class SuggestionReview.CommentEntry
---@field text string The developer's words on a hunk; at most 16,384 characters
---@field by SuggestionReview.Actor
---@field at string ISO 8601 time

---@class SuggestionReview.CountedRefusal
--- What was refused; disk and memory: a command was stopped because it took what has a limit. There will be others:
--- show one that you do not know as it is
---@field kind "network"|"file"|"system_call"|"disk"|"memory"
--- What was tried: host:port, a path, the name of a system call; of disk the folder that grew, of memory what was taken
---@field target string
---@field reason string Why it was refused, in a word or a sentence
--- What the program that tried calls itself, which can be anything it likes; of a file the tool of opencode's
---@field program? string
--- The command, or the call of a tool, that it belonged to, as one line of text, where it is known; of alike ones the
--- last
---@field command? string
---@field count integer How many like this one
---@field first_at string ISO 8601 time
---@field last_at string ISO 8601 time

---@class SuggestionReview.FileSide A file on one side of a hunk without lines
---@field file string Path of the file on this side
---@field file_b64? string The path's raw bytes in base64, only when it is not valid UTF-8
---@field mode string git file mode, e.g. 120000 for a symbolic link
---@field oid string git object id of the content; of a submodule the commit
---@field size? integer Bytes of the content; absent for a submodule
---@field target? string Where a symbolic link leads
---@field target_b64? string The same in base64, when it is not valid UTF-8

---@class SuggestionReview.FileSummary
---@field file string
---@field hunk_count integer
---@field reviewed_count integer
---@field added integer Lines added by all hunks of the file
---@field removed integer

---@class SuggestionReview.Hunk The smallest thing that is decided
---@field id string Hunk id: <suggestion>:<file>:<index>; parts of a split hunk add .1, .2
---@field file string Path after the change, relative to the repository root, '/' between parts
--- Unified diff of this hunk with up to 3 lines of context taken from the base. For file-level hunks without text: a
--- line of prose. Empty when diff_omitted.
---@field diff string
---@field diff_omitted? boolean The diff was left out for its size; ask for it by page or by content
---@field diff_bytes integer Length of the diff in UTF-8 bytes
---@field digest string SHA-256 over kind, path, base lines and new lines of a hunk
---@field kind SuggestionReview.HunkKind
---@field old_file? string Path before the change; null when the file is new
---@field file_b64? string The path's raw bytes in base64, only when it is not valid UTF-8
---@field old_mode? string git file mode before, e.g. 100644
---@field new_mode? string git file mode after
---@field old_start integer First base line of the changed run, 1-based; for a pure insertion the line before it
---@field old_count integer Base lines replaced
---@field new_start integer
---@field new_count integer
---@field context_before integer Leading context lines in diff
---@field context_after integer Trailing context lines in diff
--- How diff was decoded: latin1 maps each byte to one code point and is lossless; binary has no text
---@field encoding "utf-8"|"latin1"|"binary"
--- Hunks without lines: what stands before (nothing: the file is new). A swap names all its files.
---@field before? SuggestionReview.FileSide[]
---@field after? SuggestionReview.FileSide[] Hunks without lines: what stands after
---@field atomic_reason? string Why this change is one hunk and cannot be split
---@field state SuggestionReview.HunkState
---@field decision? SuggestionReview.Decision
---@field earlier? SuggestionReview.Earlier This content was rejected before: when, why, and what was rejected
---@field comments? SuggestionReview.CommentEntry[]

---@class SuggestionReview.Refusal
--- What was refused; disk and memory: a command was stopped because it took what has a limit. There will be others:
--- show one that you do not know as it is
---@field kind "network"|"file"|"system_call"|"disk"|"memory"
--- What was tried: host:port, a path, the name of a system call; of disk the folder that grew, of memory what was taken
---@field target string
---@field reason string Why it was refused, in a word or a sentence
--- What the program that tried calls itself, which can be anything it likes; of a file the tool of opencode's
---@field program? string
--- The command, or the call of a tool, that it belonged to, as one line of text, where it is known; of alike ones the
--- last
---@field command? string
---@field count integer How many like this one

---@class SuggestionReview.Suggestion : SuggestionReview.Summary
---@field hunks? SuggestionReview.Hunk[]
---@field hunks_omitted? boolean True when the hunks are too many for one message: page through them
---@field file_summaries? SuggestionReview.FileSummary[]
---@field warnings? string[] What jj could not snapshot, and other remarks made at publish
---@field verify? SuggestionReview.Verify Last preflight of the accepted-only tree

---@class SuggestionReview.Summary
---@field id string Suggestion id (UUID version 7)
---@field jj_change_id string
---@field description string
---@field files string[]
---@field hunk_count integer
---@field reviewed_count integer
---@field accepted_count integer
---@field rejected_count integer
---@field status SuggestionReview.ReviewStatus
---@field state SuggestionReview.Lifecycle
---@field revision integer
---@field base_commit string Commit the revision is a change of
---@field commit string The pinned commit of the revision
---@field project string Absolute path of the agent's repository
---@field hub string Path of the shared repository below the server: /git/<name>.git
---@field stacked_on? string Open suggestion whose revision this one is based on
---@field base_moved boolean The shared branch has moved past the base
---@field created_at string
---@field updated_at string
---@field result? SuggestionReview.Result Set once finalized

---@class SuggestionReview.WhyCall
---@field call_id string `<session>/<call>`
---@field session_id? string
---@field root_session_id? string The session at the top
---@field session_title? string Its title in opencode; for the developer's token alone
---@field tool? string
---@field summary? string What was asked for, in one line
---@field began_at? string
---@field ended_at? string
---@field exit_code? integer Of a command
---@field added integer Lines of the hunk that it made, alone
---@field removed integer
---@field entry_id? string Its entry in the agent's activity; for the developer's token alone
---@field prompt? string What began the turn, shortened; for the developer's token alone
---@field task? string What the subagent was told, shortened; for the developer's token alone
---@field words? string What the agent said last before the call, shortened; for the developer's token alone

---@class SuggestionReview.WhyLines
---@field side "added"|"removed"
---@field start integer First line, 1-based: of the file as proposed, or of the base for what was removed
---@field count integer
--- call: this call; several: one of these, and it cannot be said which; outside: changed between two calls, by none;
--- unknown: not seen
---@field origin "call"|"several"|"outside"|"unknown"
---@field calls string[] Their call_id

---@class SuggestionReview.WhyTest
---@field call_id string
---@field session_id string
---@field command string
---@field began_at string
---@field exit_code? integer null: it was stopped, or the host did not say

---@class SuggestionReview.AgentSession
---@field session_id string
---@field title string
---@field project string
---@field created_at string
---@field updated_at string
---@field state "idle"|"busy"|"retry" retry: its provider refuses for now
---@field agent? string Who answers, where that is known
---@field model? string provider/model, where that is known
---@field variant? string
---@field cost? number In US dollars, as the host counts it

---@class SuggestionReview.LineRange A part of a hunk: the hunk splits there and the parts are decided apart
---@field old [integer, integer] [first, count] of the hunk's removed lines, 0-based
---@field new [integer, integer] [first, count] of the hunk's added lines, 0-based

---@class SuggestionReview.ErrorAnswer The shape of every refusal
---@field error { code: SuggestionReview.ErrorCode, message: string, details?: table<string, any> }

---@class SuggestionReview.AskedQuestion
---@field question string
---@field header string
---@field options { label: string, description: string }[]
---@field multiple boolean More than one option may be chosen
---@field custom boolean An answer of one's own may be given

---@class SuggestionReview.MessageEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.message"
---@field message_id string
---@field role "user"|"assistant"
---@field kind "text"|"reasoning"
---@field text string The whole text so far
---@field cut integer Bytes left out for their number; the agent's own session has them
---@field done boolean Nothing more comes
---@field synthetic? boolean Put in by a program, for the model to know

---@class SuggestionReview.NoticeEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.notice"
--- dropped: entries of this root session up to the position `upto` are no longer kept here
---@field kind "retry"|"compaction"|"error"|"dropped"
---@field message string
---@field attempt? integer
---@field next_at? string Of the next attempt
---@field upto? integer

---@class SuggestionReview.PermissionEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.permission"
---@field state "asked"|"answered"|"gone" gone: it waits no more and was not answered; nothing was approved
---@field call_id? string The tool call that waits
--- Who answered. opencode: another client of it, or it followed there from the answer to another ask
---@field by? "developer"|"opencode"
---@field answered_at? string ISO 8601 time
---@field reason? string Why it is gone
---@field permission string What is asked for, such as bash, edit or external_directory
---@field patterns string[] What it is asked for on
---@field always string[] What `always` would allow from then on
---@field command? string
---@field file? string
---@field diff? string What an edit would change, shortened
---@field cut integer Bytes of all this that are left out: with any, what is asked for is not here whole
---@field editable? boolean The call is held before it begins: the reply `edit` changes what runs
---@field arguments? table<string, any> Of a call that is held: its arguments, whole, as the model made them
---@field reply? "once"|"always"|"edit"|"reject"
---@field edited? table<string, any> With the reply `edit`: the arguments that it ran with
---@field message? string What the agent is told with a rejection

---@class SuggestionReview.QuestionEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.question"
---@field state "asked"|"answered"|"gone" gone: it waits no more and was not answered; nothing was approved
---@field call_id? string The tool call that waits
--- Who answered. opencode: another client of it, or it followed there from the answer to another ask
---@field by? "developer"|"opencode"
---@field answered_at? string ISO 8601 time
---@field reason? string Why it is gone
---@field questions SuggestionReview.AskedQuestion[]
---@field answers? string[][] Of each question; absent where it was rejected

---@class SuggestionReview.TodoEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.todo"
---@field todos { content: string, status: string, priority: string }[]

---@class SuggestionReview.ToolEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.tool"
---@field message_id string
---@field call_id string
---@field tool string
---@field status "pending"|"running"|"completed"|"failed"
---@field title? string
---@field input string Arguments as JSON text; empty as long as they are not known
---@field input_cut integer Bytes left out for their number; the agent's own session has them
---@field output string The end of what came out so far
---@field output_cut integer Bytes left out for their number; the agent's own session has them
---@field error? string
---@field child_session_id? string The subagent's session that this call started

---@class SuggestionReview.TurnEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.turn"
---@field state "began"|"ended"
---@field prompt? string What the turn answers, shortened
---@field end? "done"|"stopped"|"failed"|"cut_off" cut_off: its host ended before the turn did
---@field message? string Why it failed

---@class SuggestionReview.UsageEntry
---@field id string The same in every form of an entry
---@field number integer Of this form: higher than that of every form written before, with gaps
---@field position integer Place among the entries: stays as it was when the entry began
---@field project string Absolute path of the project
---@field session_id string
---@field root_session_id string The session at the top: another one than session_id for a subagent
---@field at string When it began
---@field ts string When it became as it is
---@field removed? boolean The agent's session has it no more (a revert, say): not to be shown
---@field type "agent.usage"
---@field message_id string
---@field provider string
---@field model string
---@field agent string
---@field tokens { input: number, output: number, reasoning: number, cache_read: number, cache_write: number }
---@field cost number US dollars, by opencode's own table

---@class SuggestionReview.AbortAnswer
---@field aborted boolean

---@class SuggestionReview.AskAnswer
---@field session_id string

---@class SuggestionReview.CompleteAnswer
---@field success true
---@field suggestion_id string Suggestion id (UUID version 7)
---@field action "finalized"|"discarded"
---@field commit? string
---@field ref? string
---@field base_commit? string
---@field files? string[]

---@class SuggestionReview.DecisionAnswer
---@field success true
---@field suggestion_id string Suggestion id (UUID version 7)
---@field revision integer
--- Hunks this request set, as they are now; none when there are more than 200 (see changed)
---@field hunks SuggestionReview.Hunk[]
---@field changed integer How many hunks this request set
---@field remaining_hunks integer
---@field reviewed_count integer
---@field hunk_count integer
---@field seq integer Sequence number of the last event this request caused
--- Only where undo took back a discard, or redo discarded again: what the suggestion is now
---@field state? "open"|"discarded"

---@class SuggestionReview.PublishAnswer
---@field suggestion_id string Suggestion id (UUID version 7)
---@field revision integer
---@field hunk_count integer
---@field pending_count integer
---@field files string[]
---@field warnings string[]
---@field feedback string[] What the developer decided since the agent last heard

---@class SuggestionReview.RefusalsAnswer
---@field refused integer How many there were in this project up to now

---@class SuggestionReview.ReviseAnswer
---@field sent boolean
---@field message string

---@class SuggestionReview.SettleAnswer
---@field settled boolean
---@field message string
---@field feedback string[]

---@class SuggestionReview.StatusAnswer
---@field sent true
---@field feedback string[]

---@class SuggestionReview.VerifyAnswer
---@field ok boolean
---@field exit_code? integer
---@field output string

---@class SuggestionReview.ContentAnswer
---@field file string
---@field side SuggestionReview.Side
---@field exists boolean
---@field mode? string
---@field size integer
---@field offset integer
---@field base64 string
---@field next? integer

---@class SuggestionReview.DecisionsAnswer
--- Those with a reason, and those that the developer wrote anew; the latest first
---@field decisions ({ suggestion_id: string, description: string, hunk_id: string, file: string, state: "accepted"|"modified"|"rejected", by: SuggestionReview.Actor, at: string, comment?: string, diff: string, modified_diff?: string })[]
---@field next_cursor? string Cursor of the next page, null at the end

---@class SuggestionReview.EventPageAnswer
---@field events SuggestionReview.Event[]
---@field last_seq integer
---@field more boolean

---@class SuggestionReview.HealthAnswer
---@field healthy boolean false: something must be seen to, see `problems`
---@field service "suggestion-manager"
---@field wsClients integer Open WebSockets
---@field version string
---@field protocol integer Version of the protocol: a client made for another one should say so and stop
---@field uptime_seconds number
--- With ?nonce=: for each developer token and each address the server is bound to, the lower-case hex HMAC-SHA256 of
--- "suggestion-manager:" + nonce + ":" + address under the key hex(SHA-256(token)). The address is an IP address and
--- the port, such as 127.0.0.1:4097 or [::1]:4097: compute it for the one your connection really goes to (its peer),
--- never for a name
---@field proofs? string[]
---@field ledger_bytes? integer
---@field last_seq? integer
---@field open_suggestions? integer
---@field eventStreams? integer
---@field projects? { project: string, hub: string, branch?: string }[]
---@field problems? string[] With a token, while `healthy` is false: what is wrong, where, and what to do about it
---@field last_error? { at: string, message: string }
--- With the developer's token: what confines the agent, as whoever started it said
---@field confinement? { host: "opencode"|"none", confined: boolean, words: string[] }

---@class SuggestionReview.HunkPageAnswer
---@field suggestion_id string Suggestion id (UUID version 7)
---@field revision integer
---@field offset integer
---@field hunks SuggestionReview.Hunk[]
---@field total integer
---@field next? integer Offset of the next page, null at the end
---@field next_cursor? string Cursor of the next page, null at the end

---@class SuggestionReview.ListAnswer
---@field suggestions SuggestionReview.Summary[]
---@field total integer
---@field next? integer Offset of the next page, null at the end
---@field next_cursor? string Cursor of the next page, null at the end

---@class SuggestionReview.SandboxAnswer
---@field refused integer How many there were
---@field refusals SuggestionReview.CountedRefusal[] Alike ones as one; the 200 that came last

---@class SuggestionReview.SettingsAnswer
---@field host string
---@field port integer
---@field auto_sync boolean
---@field sync { own_hub: boolean, branch?: string, base?: string, prefix: string, push_branches: string[] }
---@field verify { configured: boolean, timeout_seconds: integer }
---@field agent_may_approve boolean
---@field role "developer"|"agent" What the presented token is
---@field projects { project: string, hub: string, branch?: string }[]
---@field limits table<string, number>
---@field version string

---@class SuggestionReview.WhyAnswer
---@field suggestion_id string Suggestion id (UUID version 7)
---@field revision integer
---@field hunk_id string Hunk id: <suggestion>:<file>:<index>; parts of a split hunk add .1, .2
---@field lines SuggestionReview.WhyLines[] Every changed line, by runs
--- Of a hunk without lines, such as a rename: what made it
---@field whole ({ origin: "call"|"several"|"outside"|"unknown", calls: string[] })[]
---@field calls SuggestionReview.WhyCall[] In the order in which they began
--- Commands after the last of these calls that look like runs of tests, until it was published
---@field tests SuggestionReview.WhyTest[]

---@class SuggestionReview.ActivityAnswer
---@field entries SuggestionReview.ActivityEntry[] In the order of their numbers
---@field last integer The highest number that was given so far
---@field next? integer `since` of the next page, null at the end

---@class SuggestionReview.PermissionAnswer
---@field success true
---@field permission SuggestionReview.PermissionEntry

---@class SuggestionReview.PermissionsAnswer
---@field permissions SuggestionReview.PermissionEntry[] Those that wait for an answer, the oldest first

---@class SuggestionReview.QuestionAnswer
---@field success true
---@field question SuggestionReview.QuestionEntry

---@class SuggestionReview.QuestionsAnswer
---@field questions SuggestionReview.QuestionEntry[] Those that wait for an answer, the oldest first

---@class SuggestionReview.ChoicesAnswer
---@field models { model: string, name: string, provider: string, context: integer, variants: string[] }[]
---@field default_model? string What answers where nothing is chosen, if that is set
---@field agents { agent: string, description: string, model?: string }[]

---@class SuggestionReview.CompactSessionAnswer
---@field success true
---@field session_id string The agent makes a summary now; `agent.notice` tells when it is there

---@class SuggestionReview.DeleteSessionAnswer
---@field success true
---@field session_id string

---@class SuggestionReview.SessionAnswer
---@field success true
---@field session SuggestionReview.AgentSession

---@class SuggestionReview.SessionsAnswer
--- Those that the developer speaks with, the one that changed last first; no subagents'
---@field sessions SuggestionReview.AgentSession[]
---@field next? integer Offset of the next page, null at the end

---@class SuggestionReview.TranscriptAnswer
---@field markdown string The session as Markdown, or a part of that
---@field digest string Of the whole: parts with another one are of another state of the session
---@field next? integer Offset of the next part, null at the end

---@class SuggestionReview.SlashCommandsAnswer
---@field commands { name: string, description: string, arguments: boolean, source: string, agent?: string, model?: string, subagent: boolean, refused?: string }[]

---@alias SuggestionReview.ActivityEntry
---| SuggestionReview.TurnEntry
---| SuggestionReview.MessageEntry
---| SuggestionReview.ToolEntry
---| SuggestionReview.TodoEntry
---| SuggestionReview.PermissionEntry
---| SuggestionReview.QuestionEntry
---| SuggestionReview.UsageEntry
---| SuggestionReview.NoticeEntry

---@alias SuggestionReview.EventType
---| "suggestion.ready"
---| "suggestion.error"
---| "suggestion.status"
---| "suggestion.hunk_applied"
---| "suggestion.hunk_reset"
---| "suggestion.hunk_split"
---| "suggestion.hunk_joined"
---| "suggestion.comment"
---| "suggestion.completed"
---| "suggestion.reopened"
---| "suggestion.base_moved"
---| "suggestion.verified"
---| "agent.turn"
---| "sandbox.refused"

---@class SuggestionReview.Event an event of the journal; those of the client's own have no seq, ts and project
---@field type SuggestionReview.EventType|string
---@field suggestion? SuggestionReview.Suggestion in suggestion.ready
---@field seq? integer
---@field ts? string
---@field project? string
---@field code? string in suggestion.error
---@field message? string in suggestion.error, suggestion.status, agent.turn
--- in suggestion.error, suggestion.status, suggestion.hunk_applied, suggestion.hunk_reset, suggestion.hunk_split,
--- suggestion.hunk_joined, suggestion.comment, suggestion.completed, suggestion.reopened, suggestion.base_moved,
--- suggestion.verified
---@field suggestion_id? string
--- in suggestion.error, suggestion.hunk_applied, suggestion.hunk_reset, suggestion.hunk_split, suggestion.comment
---@field hunk_id? string
---@field status? string in suggestion.status
---@field action? string in suggestion.hunk_applied, suggestion.completed
---@field digest? string in suggestion.hunk_applied, suggestion.hunk_reset
---@field revision? integer in suggestion.hunk_applied, suggestion.hunk_reset
--- in suggestion.hunk_applied, suggestion.hunk_reset, suggestion.comment, suggestion.completed, suggestion.reopened
---@field by? SuggestionReview.Actor
---@field comment? string in suggestion.hunk_applied, suggestion.comment
---@field modified_diff? string in suggestion.hunk_applied
---@field carried? boolean in suggestion.hunk_applied
---@field into? SuggestionReview.Hunk[] in suggestion.hunk_split
---@field hunk? SuggestionReview.Hunk in suggestion.hunk_joined
---@field parts? string[] in suggestion.hunk_joined
---@field commit? string in suggestion.completed, suggestion.base_moved
---@field ref? string in suggestion.completed
---@field base_commit? string in suggestion.completed
---@field branch? string in suggestion.base_moved
---@field ok? boolean in suggestion.verified
---@field exit_code? integer in suggestion.verified
---@field output? string in suggestion.verified
---@field session_id? string in agent.turn
---@field state? string in agent.turn
---@field retry? { attempt: integer, at: string } in agent.turn
---@field kind? string in sandbox.refused
---@field target? string in sandbox.refused
---@field reason? string in sandbox.refused
---@field program? string in sandbox.refused
---@field command? string in sandbox.refused
---@field count? integer in sandbox.refused
---@field total? integer in sandbox.refused
