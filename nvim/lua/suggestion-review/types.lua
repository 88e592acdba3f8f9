---@meta
--- Types shared by the modules of suggestion-review. Field names are the protocol's own (snake_case, as the server
--- sends them); nothing here runs.

---@alias SuggestionReview.HunkKind
---| "text" | "create" | "delete" | "rename" | "mode" | "symlink" | "binary" | "submodule" | "type" | "swap"

---@alias SuggestionReview.HunkState "pending"|"accepted"|"modified"|"rejected"
---@alias SuggestionReview.Action "accept"|"reject"|"modify"
---@alias SuggestionReview.Actor "developer"|"agent"
---@alias SuggestionReview.Side "base"|"proposed"|"accepted"|"sandbox"

---@class SuggestionReview.Comment
---@field text string
---@field by SuggestionReview.Actor
---@field at string ISO 8601 time

---@class SuggestionReview.Decision
---@field by SuggestionReview.Actor
---@field at string ISO 8601 time
---@field comment? string
---@field modified_diff? string
---@field carried_from? integer revision in which the decision was made, if an earlier one

---@class SuggestionReview.Earlier content that was rejected in an earlier revision
---@field revision integer
---@field comment? string
---@field diff string

---@class SuggestionReview.FileSide a file on one side of a hunk without lines
---@field file string
---@field file_b64? string raw bytes of the path, only when it is not valid UTF-8
---@field mode string git's file mode
---@field oid string git's object id of the content; of a submodule the commit
---@field size? integer bytes; nil for a submodule
---@field target? string where a symbolic link leads
---@field target_b64? string the same in raw bytes, when it is not valid UTF-8

---@class SuggestionReview.Hunk the smallest thing that is decided
---@field id string `<suggestion>:<file>:<index>`; parts of a split hunk add `.1`, `.2`
---@field file string path after the change, relative to the repository root
---@field diff string unified diff with up to 3 lines of context; prose for file-level hunks; empty when diff_omitted
---@field diff_omitted? boolean left out for its size; see `store.content()`
---@field diff_bytes integer length of the diff in UTF-8 bytes
---@field digest string SHA-256 (hex) over kind, path, base lines and new lines
---@field kind SuggestionReview.HunkKind
---@field old_file? string path before the change; nil when the file is new
---@field file_b64? string raw bytes of the path, only when it is not valid UTF-8
---@field old_mode? string git file mode before, e.g. "100644"
---@field new_mode? string
---@field old_start integer first base line of the changed run, 1-based; for a pure insertion the line before it
---@field old_count integer base lines replaced
---@field new_start integer
---@field new_count integer
---@field context_before integer leading context lines in diff
---@field context_after integer trailing context lines in diff
---@field encoding "utf-8"|"latin1"|"binary" latin1 maps each byte to one code point; binary has no text
---@field before? SuggestionReview.FileSide[] hunks without lines: what stands before (a swap names all its files)
---@field after? SuggestionReview.FileSide[] and what stands after
---@field atomic_reason? string why this change is one hunk and cannot be split
---@field state SuggestionReview.HunkState
---@field decision? SuggestionReview.Decision
---@field earlier? SuggestionReview.Earlier
---@field comments? SuggestionReview.Comment[]

---@class SuggestionReview.FileSummary
---@field file string
---@field hunk_count integer
---@field reviewed_count integer
---@field added integer
---@field removed integer

---@class SuggestionReview.Result
---@field commit string the pushed commit
---@field ref string bookmark it was pushed as
---@field base_commit string its parent

---@class SuggestionReview.Verify last check of the accepted-only tree
---@field ok boolean
---@field exit_code? integer
---@field output string
---@field at string
---@field tree string

---@class SuggestionReview.Summary
---@field id string
---@field jj_change_id string
---@field description string
---@field files string[]
---@field hunk_count integer
---@field reviewed_count integer
---@field accepted_count integer
---@field rejected_count integer
---@field status "pending"|"partial"|"complete"
---@field state "open"|"finalized"|"discarded"
---@field revision integer
---@field base_commit string commit the revision is a change of
---@field commit string pinned commit of the revision
---@field project string absolute path of the agent's repository
---@field hub string path of the shared repository below the server: `/git/<name>.git`
---@field stacked_on? string open suggestion this one is based on
---@field base_moved boolean the shared branch has moved past the base
---@field created_at string
---@field updated_at string
---@field result? SuggestionReview.Result set once finalized

--- What `store.get()` returns. `hunks` is nil until they are known (see `store.fetch()`).
---@class SuggestionReview.Suggestion : SuggestionReview.Summary
---@field hunks? SuggestionReview.Hunk[] in the server's order: by file, then by position
---@field hunks_omitted? boolean
---@field file_summaries? SuggestionReview.FileSummary[]
---@field warnings? string[]
---@field verify? SuggestionReview.Verify
---@field server string name of the server it came from (added by the client)

--- Events. Besides the protocol's, the store announces its own: "store.loaded" (hunks of `suggestion_id` are known
--- now), "store.reset" (everything was listed anew) and "client.state" (`server`, `state`, `message`).
---@class SuggestionReview.Event
---@field type string
---@field seq? integer position in the server's journal, absent on the client's own events
---@field ts? string
---@field project? string
---@field server? string name of the server (added by the client)
---@field suggestion? SuggestionReview.Suggestion suggestion.ready
---@field suggestion_id? string
---@field hunk_id? string
---@field hunk? SuggestionReview.Hunk suggestion.hunk_joined
---@field into? SuggestionReview.Hunk[] suggestion.hunk_split
---@field parts? string[] suggestion.hunk_joined
---@field action? string
---@field digest? string
---@field revision? integer
---@field by? SuggestionReview.Actor
---@field comment? string
---@field modified_diff? string
---@field carried? boolean
---@field code? string suggestion.error
---@field status? string suggestion.status
---@field state? string agent.turn, client.state
---@field retry? { attempt: integer, at: string } agent.turn: the provider refuses until then
---@field message? string
---@field commit? string
---@field ref? string
---@field base_commit? string
---@field branch? string
---@field ok? boolean
---@field exit_code? integer
---@field output? string
---@field session_id? string
---@field replayed? boolean it happened while this client was away (added by the client)

--- Part of a hunk: `{first, count}` of its removed and added lines, 0-based.
---@class SuggestionReview.LineRange
---@field old [integer, integer]
---@field new [integer, integer]

---@class SuggestionReview.Error
---@field message string one sentence for people
---@field code string the protocol's code, or "disconnected", "timeout", "refused", "local"
---@field details? table

---@class SuggestionReview.DecisionResult
---@field success true
---@field suggestion_id string
---@field revision integer
---@field hunks SuggestionReview.Hunk[] hunks this request changed, as they are now (at most 200)
---@field changed integer
---@field remaining_hunks integer
---@field reviewed_count integer
---@field hunk_count integer
---@field seq integer

---@class SuggestionReview.CompleteResult
---@field success true
---@field suggestion_id string
---@field action "finalized"|"discarded"
---@field commit? string
---@field ref? string
---@field base_commit? string
---@field files? string[]

--- One decision made in a Neovim of this developer, as kept on disk.
---@class SuggestionReview.Record
---@field at string ISO 8601 time
---@field server string
---@field suggestion_id string
---@field revision integer
---@field base_commit string
---@field request_id string
---@field state SuggestionReview.HunkState what the hunk became
---@field hunk SuggestionReview.Hunk the hunk as it was when it was decided
---@field modified_diff? string
---@field lines? SuggestionReview.LineRange only this part of `hunk` was decided

---@class SuggestionReview.DecideOpts
---@field comment? string
---@field modified_diff? string required for "modify"
---@field lines? SuggestionReview.LineRange only this part of the hunk
---@field turn? SuggestionReview.Turn its place among what is sent, where that was taken before

---@class SuggestionReview.BatchItem
---@field hunk SuggestionReview.Hunk
---@field action SuggestionReview.Action
---@field comment? string
---@field modified_diff? string
---@field lines? SuggestionReview.LineRange only this part of the hunk

---@class SuggestionReview.Scope
---@field action "accept"|"reject"
---@field file? string
---@field include? "remaining"|"all" default "remaining"
---@field comment? string

---@class SuggestionReview.BatchOpts either decisions or scope
---@field decisions? SuggestionReview.BatchItem[]
---@field scope? SuggestionReview.Scope
---@field turn? SuggestionReview.Turn its place among what is sent, where that was taken before

---@class SuggestionReview.ServerConfig
---@field name? string shown to the user; default "host:port"
---@field host? string default "localhost"
---@field port? integer default 4097
---@field token_file? string default: see |suggestion-review-token|
---@field root? string checkout that this server's suggestions apply to

---@class SuggestionReview.UiConfig
---@field style? "floating"|"telescope"|"picker"|"inline"
---@field position? "right"|"left"|"top"|"bottom"|"center"
---@field width? number fraction of the editor's width
---@field [string] any further settings of the review, see |suggestion-review-config|

---@class SuggestionReview.Config
---@field server SuggestionReview.ServerConfig
---@field servers SuggestionReview.ServerConfig[] several servers; empty means just `server`
---@field ui table
---@field keymaps table<string, string|false>
---@field notifications { on_ready: boolean, on_error: boolean, on_status: boolean }
---@field write_on_accept boolean
---@field auto_connect boolean
---@field [string] any
