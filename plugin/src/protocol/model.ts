/**
 * The nouns of the protocol: hunks, suggestions, decisions. These schemas are the single source of the runtime
 * check, the TypeScript types and the published API documents.
 */
import { z } from "zod";

export const Digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "expected a SHA-256 digest in lower-case hex (64 characters)")
  .describe("SHA-256 over kind, path, base lines and new lines of a hunk");

export const SuggestionId = z.string().min(1).max(64).describe("Suggestion id (UUID version 7)");
export const HunkId = z
  .string()
  .min(1)
  .max(8192)
  .describe("Hunk id: <suggestion>:<file>:<index>; parts of a split hunk add .1, .2");
export const Comment = z
  .string()
  .max(16_384)
  .describe("The developer's words on a hunk; at most 16,384 characters");

/** How a change is decided: a run of lines, or one file-level operation. */
export const HunkKind = z.enum([
  "text",
  "create",
  "delete",
  "rename",
  "mode",
  "symlink",
  "binary",
  "submodule",
  "type",
  "swap",
]);
export type HunkKind = z.infer<typeof HunkKind>;

/** What the rings around the agent refused, or saw refused. */
export const Refusal = z.object({
  kind: z
    .enum(["network", "file", "system_call", "disk", "memory"])
    .describe(
      "What was refused; disk and memory: a command was stopped because it took what has a limit. There will be others: show one that you do not know as it is",
    ),
  target: z
    .string()
    .min(1)
    .max(512)
    .describe(
      "What was tried: host:port, a path, the name of a system call; of disk the folder that grew, of memory what was taken",
    ),
  reason: z.string().min(1).max(255).describe("Why it was refused, in a word or a sentence"),
  program: z
    .string()
    .max(255)
    .optional()
    .describe(
      "What the program that tried calls itself, which can be anything it likes; of a file the tool of opencode's",
    ),
  command: z
    .string()
    .max(512)
    .optional()
    .describe(
      "The command, or the call of a tool, that it belonged to, as one line of text, where it is known; of alike ones the last",
    ),
  count: z.int().min(1).describe("How many like this one"),
});
export type Refusal = z.infer<typeof Refusal>;

/** Refusals that are alike, as one. */
export const CountedRefusal = Refusal.extend({
  first_at: z.string().describe("ISO 8601 time"),
  last_at: z.string().describe("ISO 8601 time"),
});

export const HunkState = z.enum(["pending", "accepted", "modified", "rejected"]);
export type HunkState = z.infer<typeof HunkState>;

/** Who decided: the developer, or the agent where settings allow self-approval. */
export const Actor = z.enum(["developer", "agent"]);
export type Actor = z.infer<typeof Actor>;

export const CommentEntry = z.object({
  text: Comment,
  by: Actor,
  at: z.string().describe("ISO 8601 time"),
});
export type CommentEntry = z.infer<typeof CommentEntry>;

export const FileSide = z
  .object({
    file: z.string().describe("Path of the file on this side"),
    file_b64: z
      .string()
      .optional()
      .describe("The path's raw bytes in base64, only when it is not valid UTF-8"),
    mode: z.string().describe("git file mode, e.g. 120000 for a symbolic link"),
    oid: z.string().describe("git object id of the content; of a submodule the commit"),
    size: z.int().optional().describe("Bytes of the content; absent for a submodule"),
    target: z.string().optional().describe("Where a symbolic link leads"),
    target_b64: z.string().optional().describe("The same in base64, when it is not valid UTF-8"),
  })
  .describe("A file on one side of a hunk without lines");
export type FileSide = z.infer<typeof FileSide>;

export const Hunk = z
  .object({
    id: HunkId,
    file: z.string().describe("Path after the change, relative to the repository root, '/' between parts"),
    diff: z
      .string()
      .describe(
        "Unified diff of this hunk with up to 3 lines of context taken from the base. For file-level hunks without text: a line of prose. Empty when diff_omitted.",
      ),
    diff_omitted: z
      .boolean()
      .optional()
      .describe("The diff was left out for its size; ask for it by page or by content"),
    diff_bytes: z.int().describe("Length of the diff in UTF-8 bytes"),
    digest: Digest,
    kind: HunkKind,
    old_file: z.string().nullable().describe("Path before the change; null when the file is new"),
    file_b64: z
      .string()
      .optional()
      .describe("The path's raw bytes in base64, only when it is not valid UTF-8"),
    old_mode: z.string().nullable().describe("git file mode before, e.g. 100644"),
    new_mode: z.string().nullable().describe("git file mode after"),
    old_start: z
      .int()
      .describe("First base line of the changed run, 1-based; for a pure insertion the line before it"),
    old_count: z.int().describe("Base lines replaced"),
    new_start: z.int(),
    new_count: z.int(),
    context_before: z.int().describe("Leading context lines in diff"),
    context_after: z.int().describe("Trailing context lines in diff"),
    encoding: z
      .enum(["utf-8", "latin1", "binary"])
      .describe(
        "How diff was decoded: latin1 maps each byte to one code point and is lossless; binary has no text",
      ),
    before: z
      .array(FileSide)
      .optional()
      .describe(
        "Hunks without lines: what stands before (nothing: the file is new). A swap names all its files.",
      ),
    after: z.array(FileSide).optional().describe("Hunks without lines: what stands after"),
    atomic_reason: z.string().optional().describe("Why this change is one hunk and cannot be split"),
    state: HunkState,
    decision: z
      .object({
        by: Actor,
        at: z.string(),
        comment: z.string().optional(),
        modified_diff: z.string().optional(),
        carried_from: z
          .int()
          .optional()
          .describe("Revision in which this decision was made, if an earlier one"),
      })
      .optional(),
    earlier: z
      .object({ revision: z.int(), comment: z.string().optional(), diff: z.string() })
      .optional()
      .describe("This content was rejected before: when, why, and what was rejected"),
    comments: z.array(CommentEntry).optional(),
  })
  .describe("The smallest thing that is decided");
export type Hunk = z.infer<typeof Hunk>;

export const ReviewStatus = z.enum(["pending", "partial", "complete"]);
export const Lifecycle = z.enum(["open", "finalized", "discarded"]);
export type Lifecycle = z.infer<typeof Lifecycle>;

export const FileSummary = z.object({
  file: z.string(),
  hunk_count: z.int(),
  reviewed_count: z.int(),
  added: z.int().describe("Lines added by all hunks of the file"),
  removed: z.int(),
});

export const SuggestionSummary = z.object({
  id: SuggestionId,
  jj_change_id: z.string(),
  description: z.string(),
  files: z.array(z.string()),
  hunk_count: z.int(),
  reviewed_count: z.int(),
  accepted_count: z.int(),
  rejected_count: z.int(),
  status: ReviewStatus,
  state: Lifecycle,
  revision: z.int(),
  base_commit: z.string().describe("Commit the revision is a change of"),
  commit: z.string().describe("The pinned commit of the revision"),
  project: z.string().describe("Absolute path of the agent's repository"),
  hub: z.string().describe("Path of the shared repository below the server: /git/<name>.git"),
  stacked_on: SuggestionId.nullable().describe("Open suggestion whose revision this one is based on"),
  base_moved: z.boolean().describe("The shared branch has moved past the base"),
  created_at: z.string(),
  updated_at: z.string(),
  result: z
    .object({
      commit: z.string().describe("The pushed commit"),
      ref: z.string().describe("Bookmark it was pushed as, e.g. suggestions/add-validation-0198c0de"),
      base_commit: z.string().describe("Its parent"),
    })
    .nullable()
    .describe("Set once finalized"),
});
export type SuggestionSummary = z.infer<typeof SuggestionSummary>;

export const Suggestion = SuggestionSummary.extend({
  hunks: z.array(Hunk),
  hunks_omitted: z.boolean().describe("True when the hunks are too many for one message: page through them"),
  file_summaries: z.array(FileSummary),
  warnings: z.array(z.string()).describe("What jj could not snapshot, and other remarks made at publish"),
  verify: z
    .object({
      ok: z.boolean(),
      exit_code: z.int().nullable(),
      output: z.string(),
      at: z.string(),
      tree: z.string(),
    })
    .nullable()
    .describe("Last preflight of the accepted-only tree"),
});
export type Suggestion = z.infer<typeof Suggestion>;
