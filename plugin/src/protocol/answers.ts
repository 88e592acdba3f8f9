/**
 * What the use cases answer, as schemas: the published API documents are made from these, and so are the types that
 * the use cases return (`…Result` of an act, else by what it holds).
 */
import { z } from "zod";
import { ERROR_STATUS, type ErrorCode } from "./errors.ts";
import { ReviewEvent } from "./events.ts";
import { Hunk, SuggestionId, SuggestionSummary } from "./model.ts";
import type { UseCaseName } from "./requests.ts";

export const ErrorAnswer = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
      message: z.string().describe("One sentence for people"),
      details: z.record(z.string(), z.unknown()).optional().describe("For programs; depends on the code"),
    }),
  })
  .describe("The shape of every refusal");

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
export const VerifyAnswer = z.object({
  ok: z.boolean(),
  exit_code: z.int().nullable(),
  output: z.string(),
});
export type VerifyResult = z.output<typeof VerifyAnswer>;

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
} as const satisfies Record<UseCaseName, z.ZodType>;

export const ListAnswer = z.object({
  suggestions: z.array(SuggestionSummary),
  total: z.int(),
  next: z.int().nullable().describe("Offset of the next page, null at the end"),
  next_cursor: z.string().nullable().describe("Cursor of the next page, null at the end"),
});

export const HunkPageAnswer = z.object({
  suggestion_id: SuggestionId,
  revision: z.int(),
  offset: z.int(),
  hunks: z.array(Hunk),
  total: z.int(),
  next: z.int().nullable().describe("Offset of the next page, null at the end"),
  next_cursor: z.string().nullable().describe("Cursor of the next page, null at the end"),
});
export type HunkPage = z.output<typeof HunkPageAnswer>;

export const ContentAnswer = z.object({
  file: z.string(),
  side: z.enum(["base", "proposed", "accepted", "sandbox"]),
  exists: z.boolean(),
  mode: z.string().nullable(),
  size: z.int(),
  offset: z.int(),
  base64: z.string(),
  next: z.int().nullable(),
});
export type ContentChunk = z.output<typeof ContentAnswer>;

export const EventPageAnswer = z.object({
  events: z.array(ReviewEvent),
  last_seq: z.int(),
  more: z.boolean(),
});
export type EventPage = Omit<z.output<typeof EventPageAnswer>, "events"> & { events: ReviewEvent[] };

const health = {
  healthy: z.boolean().describe("false: something must be seen to, see `problems`"),
  service: z.literal("suggestion-manager"),
  wsClients: z.int().describe("Open WebSockets"),
  version: z.string(),
  protocol: z.int().describe("Version of the protocol: a client made for another one should say so and stop"),
  uptime_seconds: z.number(),
};

/** `GET /health`. Callers without a token learn only that the service is there. */
export const HealthAnswer = z.object({
  ...health,
  proofs: z
    .array(z.string())
    .optional()
    .describe(
      'With ?nonce=: for each developer token and each address the server is bound to, the lower-case hex HMAC-SHA256 of "suggestion-manager:" + nonce + ":" + address under the key hex(SHA-256(token)). The address is an IP address and the port, such as 127.0.0.1:4097 or [::1]:4097: compute it for the one your connection really goes to (its peer), never for a name',
    ),
  ledger_bytes: z.int().optional(),
  last_seq: z.int().optional(),
  open_suggestions: z.int().optional(),
  eventStreams: z.int().optional(),
  projects: z
    .array(z.object({ project: z.string(), hub: z.string(), branch: z.string().nullable() }))
    .optional(),
  problems: z
    .array(z.string())
    .optional()
    .describe("With a token, while `healthy` is false: what is wrong, where, and what to do about it"),
  last_error: z.object({ at: z.string(), message: z.string() }).nullable().optional(),
});

export const HealthQuery = z.strictObject({
  nonce: z
    .string()
    .regex(/^[A-Za-z0-9_-]{8,128}$/, "expected 8 to 128 characters of A-Z a-z 0-9 _ -")
    .optional(),
});

/** `GET /settings`: what is in force, nothing secret. */
export const SettingsAnswer = z.object({
  host: z.string(),
  port: z.int(),
  auto_sync: z.boolean(),
  sync: z.object({
    own_hub: z.boolean().describe("Finalized work goes to the server's own hub rather than to a remote"),
    branch: z.string().nullable(),
    base: z.string().nullable(),
    prefix: z.string(),
    push_branches: z.array(z.string()).describe("Branches of the hub that may be pushed to over HTTP"),
  }),
  verify: z.object({ configured: z.boolean(), timeout_seconds: z.int() }),
  agent_may_approve: z.boolean(),
  role: z.enum(["developer", "agent"]).describe("What the presented token is"),
  projects: z.array(z.object({ project: z.string(), hub: z.string(), branch: z.string().nullable() })),
  limits: z.record(z.string(), z.number()),
  version: z.string(),
});
