/**
 * The use cases that change something: what each is asked with and what it answers, as schemas. REST bodies use the
 * requests directly; WebSocket commands are the same requests in the camelCase the protocol gave them (see
 * commands.ts). The types that the use cases return come from the answers (`…Result`). No rule lives here beyond shape.
 */
import { z } from "zod";
import { PermissionAnswer, PermissionRequest, QuestionAnswer, QuestionRequest } from "./activity.ts";
import { Comment, Digest, Hunk, HunkId, Refusal, SuggestionId } from "./model.ts";
import {
  CompactSessionAnswer,
  CompactSessionRequest,
  choices,
  DeleteSessionAnswer,
  DeleteSessionRequest,
  ForkSessionRequest,
  RenameSessionRequest,
  SessionAnswer,
} from "./sessions.ts";
import { SlashArguments, SlashName } from "./slash-commands.ts";

export const RequestId = z
  .string()
  .min(1)
  .max(128)
  .describe(
    "Makes the request idempotent: the same id and body get the same answer, another body is refused",
  );

export const DecisionAction = z.enum(["accept", "reject", "modify"]);
export type DecisionAction = z.infer<typeof DecisionAction>;

export const LineRange = z
  .object({
    old: z
      .tuple([z.int().min(0), z.int().min(0)])
      .describe("[first, count] of the hunk's removed lines, 0-based"),
    new: z
      .tuple([z.int().min(0), z.int().min(0)])
      .describe("[first, count] of the hunk's added lines, 0-based"),
  })
  .describe("A part of a hunk: the hunk splits there and the parts are decided apart");

const decisionFields = {
  hunk_id: HunkId,
  action: DecisionAction,
  modified_diff: z.string().optional().describe("Required when action is modify: the edited unified diff"),
  comment: Comment.optional(),
  digest: Digest.optional().describe("Digest of the hunk text the decision was made on; a mismatch is 409"),
  lines: LineRange.optional(),
};

const needsModifiedDiff = <T extends { action: DecisionAction; modified_diff?: string | undefined }>(
  value: T,
) => value.action !== "modify" || value.modified_diff !== undefined;
const modifiedDiffIssue = {
  path: ["modified_diff"],
  message: "expected the edited unified diff when action is modify",
};

export const HunkDecision = z.strictObject(decisionFields).refine(needsModifiedDiff, modifiedDiffIssue);
export type HunkDecision = z.infer<typeof HunkDecision>;

/** `POST /feedback`: one hunk. */
export const FeedbackRequest = z
  .strictObject({ suggestion_id: SuggestionId, ...decisionFields, request_id: RequestId.optional() })
  .refine(needsModifiedDiff, modifiedDiffIssue);
export type FeedbackRequest = z.infer<typeof FeedbackRequest>;

/** `POST /feedback/batch`: many hunks decided as one: listed, or all that are still pending, or those of a file. */
export const BatchRequest = z
  .strictObject({
    suggestion_id: SuggestionId,
    decisions: z.array(HunkDecision).min(1).max(50_000).optional(),
    scope: z
      .strictObject({
        action: z.enum(["accept", "reject"]),
        file: z.string().optional().describe("Only hunks of this file"),
        include: z.enum(["remaining", "all"]).default("remaining"),
        comment: Comment.optional(),
        revision: z
          .int()
          .optional()
          .describe("Refused with 409 when a newer revision was published meanwhile"),
      })
      .optional(),
    request_id: RequestId.optional(),
  })
  .refine((value) => (value.decisions === undefined) !== (value.scope === undefined), {
    path: ["decisions"],
    message: "expected either decisions or scope",
  });
export type BatchRequest = z.infer<typeof BatchRequest>;

/** `POST /undo` and `POST /redo`: a hunk's last decision, or without hunk_id the last decision (batch) of the suggestion. */
export const UndoRequest = z.strictObject({
  suggestion_id: SuggestionId,
  hunk_id: HunkId.optional(),
  request_id: RequestId.optional(),
});
export type UndoRequest = z.infer<typeof UndoRequest>;

export const CommentRequest = z.strictObject({
  suggestion_id: SuggestionId,
  hunk_id: HunkId,
  comment: Comment.min(1),
  request_id: RequestId.optional(),
});
export type CommentRequest = z.infer<typeof CommentRequest>;

export const CompleteRequest = z.strictObject({
  suggestion_id: SuggestionId,
  action: z.enum(["finalize", "discard"]),
  description: z
    .string()
    .min(1)
    .max(65_536)
    .optional()
    .describe("Commit message; the suggestion's description if left out"),
  request_id: RequestId.optional(),
});
export type CompleteRequest = z.infer<typeof CompleteRequest>;

export const PublishRequest = z.strictObject({
  description: z.string().min(1).max(65_536).describe("Human-readable description of the changes"),
  change_id: z
    .string()
    .regex(
      /^([k-z]{4,64}|[0-9a-f]{7,64}|@-?)$/,
      "expected a jj change id (letters k-z), a commit id, @ or @-",
    )
    .optional()
    .describe("jj change id; the working copy's change if left out"),
  project: z
    .string()
    .optional()
    .describe("Absolute path of the agent's repository; needed only when the server has several"),
  request_id: RequestId.optional(),
});
export type PublishRequest = z.infer<typeof PublishRequest>;

export const StatusRequest = z.strictObject({
  message: z.string().min(1).max(4096).describe("One-line status message"),
  status: z.enum(["working", "testing", "ready", "applying", "applied", "partial"]).default("working"),
  suggestion_id: SuggestionId.optional(),
  project: z.string().optional(),
});
export type StatusRequest = z.input<typeof StatusRequest>;

export const ReviseRequest = z.strictObject({
  suggestion_id: SuggestionId,
  comment: Comment.optional().describe("What the agent should do about the rejections"),
  request_id: RequestId.optional(),
});
export type ReviseRequest = z.infer<typeof ReviseRequest>;

export const RebaseRequest = z.strictObject({
  suggestion_id: SuggestionId,
  request_id: RequestId.optional(),
});
export type RebaseRequest = z.infer<typeof RebaseRequest>;

export const VerifyRequest = z.strictObject({ suggestion_id: SuggestionId });
export type VerifyRequest = z.infer<typeof VerifyRequest>;

export const SettleRequest = z.strictObject({ project: z.string().optional() });
export type SettleRequest = z.infer<typeof SettleRequest>;

export const AskRequest = z
  .strictObject({
    text: z.string().min(1).max(262_144).optional().describe("The prompt"),
    command: SlashName.optional(),
    arguments: SlashArguments.optional(),
    project: z.string().optional(),
    session_id: z
      .string()
      .optional()
      .describe("Session to go on with; the last one of this project if left out"),
    new_session: z.literal(true).optional().describe("Begin a session; not with session_id"),
    ...choices,
    attachments: z
      .array(
        z.strictObject({
          file: z.string(),
          text: z.string().max(524_288).optional(),
          first_line: z.int().min(1).optional(),
          last_line: z.int().min(1).optional(),
        }),
      )
      .max(64)
      .optional(),
    request_id: RequestId.optional(),
  })
  .refine((value) => (value.text === undefined) !== (value.command === undefined), {
    path: ["text"],
    message: "expected either text or command",
  })
  .refine((value) => value.arguments === undefined || value.command !== undefined, {
    path: ["arguments"],
    message: "expected arguments only with command",
  })
  .refine((value) => value.session_id === undefined || value.new_session === undefined, {
    path: ["new_session"],
    message: "expected either session_id or new_session",
  })
  .refine((value) => value.variant === undefined || value.model !== undefined, {
    path: ["variant"],
    message: "expected a variant only with model",
  });
export type AskRequest = z.infer<typeof AskRequest>;

export const RefusalsRequest = z.strictObject({
  refusals: z
    .array(
      z.strictObject({
        ...Refusal.shape,
        command: z
          .string()
          .optional()
          .describe("The command of the agent's that it belonged to; shortened where it is long"),
        call: z
          .string()
          .max(64)
          .optional()
          .describe("Number of the command, as the server gave it; one that it does not know says nothing"),
      }),
    )
    .min(1)
    .max(100),
  project: z.string().optional(),
});
export type RefusalsRequest = z.infer<typeof RefusalsRequest>;

export const AbortRequest = z.strictObject({
  project: z.string().optional(),
  session_id: z.string().optional(),
});
export type AbortRequest = z.infer<typeof AbortRequest>;

export const DecisionAnswer = z.object({
  success: z.literal(true),
  suggestion_id: SuggestionId,
  revision: z.int(),
  hunks: z
    .array(Hunk)
    .describe("Hunks this request set, as they are now; none when there are more than 200 (see changed)"),
  changed: z.int().describe("How many hunks this request set"),
  remaining_hunks: z.int(),
  reviewed_count: z.int(),
  hunk_count: z.int(),
  seq: z.int().describe("Sequence number of the last event this request caused"),
  state: z
    .enum(["open", "discarded"])
    .optional()
    .describe("Only where undo took back a discard, or redo discarded again: what the suggestion is now"),
});
export type DecisionResult = z.output<typeof DecisionAnswer>;

export const PublishAnswer = z.object({
  suggestion_id: SuggestionId,
  revision: z.int(),
  hunk_count: z.int(),
  pending_count: z.int(),
  files: z.array(z.string()),
  warnings: z.array(z.string()),
  feedback: z.array(z.string()).describe("What the developer decided since the agent last heard"),
});
export type PublishResult = z.output<typeof PublishAnswer>;

export const CompleteAnswer = z.object({
  success: z.literal(true),
  suggestion_id: SuggestionId,
  action: z.enum(["finalized", "discarded"]),
  commit: z.string().optional(),
  ref: z.string().optional(),
  base_commit: z.string().optional(),
  files: z.array(z.string()).optional(),
});
export type CompleteResult = z.output<typeof CompleteAnswer>;

export const SettleAnswer = z.object({
  settled: z.boolean(),
  message: z.string(),
  feedback: z.array(z.string()),
});
export type SettleResult = z.output<typeof SettleAnswer>;

export const StatusAnswer = z.object({ sent: z.literal(true), feedback: z.array(z.string()) });
export type StatusResult = z.output<typeof StatusAnswer>;
export const ReviseAnswer = z.object({ sent: z.boolean(), message: z.string() });
export type ReviseResult = z.output<typeof ReviseAnswer>;
export const AskAnswer = z.object({ session_id: z.string() });
export type AskResult = z.output<typeof AskAnswer>;
export const AbortAnswer = z.object({ aborted: z.boolean() });
export type AbortResult = z.output<typeof AbortAnswer>;
export const RefusalsAnswer = z.object({
  refused: z.int().describe("How many there were in this project up to now"),
});
export type RefusalsResult = z.output<typeof RefusalsAnswer>;
export const VerifyAnswer = z.object({
  ok: z.boolean(),
  exit_code: z.int().nullable(),
  output: z.string(),
});
export type VerifyResult = z.output<typeof VerifyAnswer>;

/**
 * Every use case that changes something, by its name, with what it is asked with. Routes, WebSocket commands and the
 * record of request ids go by this table: what is in it is served by all of them.
 */
export const REQUESTS = {
  feedback: FeedbackRequest,
  complete: CompleteRequest,
  batch: BatchRequest,
  undo: UndoRequest,
  redo: UndoRequest,
  comment: CommentRequest,
  publish: PublishRequest,
  status: StatusRequest,
  revise: ReviseRequest,
  rebase: RebaseRequest,
  verify: VerifyRequest,
  settle: SettleRequest,
  ask: AskRequest,
  abort: AbortRequest,
  refusals: RefusalsRequest,
  permission: PermissionRequest,
  question: QuestionRequest,
  renameSession: RenameSessionRequest,
  forkSession: ForkSessionRequest,
  compactSession: CompactSessionRequest,
  deleteSession: DeleteSessionRequest,
} as const;
export type UseCaseName = keyof typeof REQUESTS;

/** What each use case that changes something answers; the other half of `REQUESTS`. */
export const ANSWERS = {
  feedback: DecisionAnswer,
  complete: CompleteAnswer,
  batch: DecisionAnswer,
  undo: DecisionAnswer,
  redo: DecisionAnswer,
  comment: DecisionAnswer,
  publish: PublishAnswer,
  status: StatusAnswer,
  revise: ReviseAnswer,
  rebase: PublishAnswer,
  verify: VerifyAnswer,
  settle: SettleAnswer,
  ask: AskAnswer,
  abort: AbortAnswer,
  refusals: RefusalsAnswer,
  permission: PermissionAnswer,
  question: QuestionAnswer,
  renameSession: SessionAnswer,
  forkSession: SessionAnswer,
  compactSession: CompactSessionAnswer,
  deleteSession: DeleteSessionAnswer,
} as const satisfies Record<UseCaseName, z.ZodType>;
