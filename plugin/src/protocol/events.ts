/**
 * Events: what the server tells clients. Each is written to the journal in the same transaction as the change it
 * tells of, gets the next `seq` there, and is sent afterwards; a replay yields the same bytes as the live socket.
 */
import { z } from "zod";
import { Actor, Digest, Hunk, HunkId, Refusal, SuggestionId, SuggestionSummary } from "./model.ts";

const suggestionReady = z.object({
  type: z.literal("suggestion.ready"),
  suggestion: SuggestionSummary.extend({
    hunks: z.array(Hunk).describe("Empty when hunks_omitted"),
    hunks_omitted: z.boolean(),
    warnings: z.array(z.string()),
  }),
});

const suggestionError = z.object({
  type: z.literal("suggestion.error"),
  code: z.enum(["experiment_failed", "sync_failed", "jj_error", "apply_failed", "unknown"]),
  message: z.string(),
  suggestion_id: SuggestionId.optional(),
  hunk_id: HunkId.optional(),
});

const suggestionStatus = z.object({
  type: z.literal("suggestion.status"),
  suggestion_id: SuggestionId.optional(),
  status: z.enum([
    "working",
    "testing",
    "ready",
    "applying",
    "applied",
    "partial",
    "settling",
    "settled",
    "verifying",
    "idle",
  ]),
  message: z.string(),
});

const hunkApplied = z.object({
  type: z.literal("suggestion.hunk_applied"),
  suggestion_id: SuggestionId,
  hunk_id: HunkId,
  action: z.enum(["accepted", "modified", "rejected"]),
  digest: Digest,
  revision: z.int(),
  by: Actor,
  comment: z.string().optional(),
  modified_diff: z.string().optional(),
  carried: z.boolean().optional().describe("Kept from an earlier revision rather than decided now"),
});

const hunkReset = z.object({
  type: z.literal("suggestion.hunk_reset"),
  suggestion_id: SuggestionId,
  hunk_id: HunkId,
  digest: Digest,
  revision: z.int(),
  by: Actor,
});

const hunkSplit = z.object({
  type: z.literal("suggestion.hunk_split"),
  suggestion_id: SuggestionId,
  hunk_id: HunkId.describe("The hunk that is no more"),
  into: z.array(Hunk),
});

const hunkJoined = z.object({
  type: z.literal("suggestion.hunk_joined"),
  suggestion_id: SuggestionId,
  hunk: Hunk.describe("The hunk that is whole again"),
  parts: z.array(HunkId),
});

const commented = z.object({
  type: z.literal("suggestion.comment"),
  suggestion_id: SuggestionId,
  hunk_id: HunkId,
  comment: z.string(),
  by: Actor,
});

const completed = z.object({
  type: z.literal("suggestion.completed"),
  suggestion_id: SuggestionId,
  action: z.enum(["finalized", "discarded"]),
  commit: z.string().optional(),
  ref: z.string().optional(),
  base_commit: z.string().optional(),
  by: Actor,
});

const reopened = z
  .object({ type: z.literal("suggestion.reopened"), suggestion_id: SuggestionId, by: Actor })
  .describe("A discard was taken back: the suggestion is under review again, as it was");

const baseMoved = z.object({
  type: z.literal("suggestion.base_moved"),
  suggestion_id: SuggestionId,
  branch: z.string(),
  commit: z.string(),
});

const verified = z.object({
  type: z.literal("suggestion.verified"),
  suggestion_id: SuggestionId,
  ok: z.boolean(),
  exit_code: z.int().nullable(),
  output: z.string(),
});

const agentTurn = z.object({
  type: z.literal("agent.turn"),
  session_id: z.string(),
  state: z.enum(["busy", "idle", "error"]),
  message: z.string(),
  retry: z
    .object({ attempt: z.int().min(1), at: z.string().describe("ISO time of the next attempt") })
    .optional()
    .describe("The provider refused for now (rate limit, overload); the turn goes on at that time"),
});

const sandboxRefused = z.object({
  type: z.literal("sandbox.refused"),
  ...Refusal.shape,
  total: z.int().min(1).describe("How often this was refused in this project up to now"),
});

/** An event as its maker writes it, before the journal numbers it. */
export const EventBody = z.discriminatedUnion("type", [
  suggestionReady,
  suggestionError,
  suggestionStatus,
  hunkApplied,
  hunkReset,
  hunkSplit,
  hunkJoined,
  commented,
  completed,
  reopened,
  baseMoved,
  verified,
  agentTurn,
  sandboxRefused,
]);
export type EventBody = z.infer<typeof EventBody>;
export type EventType = EventBody["type"];

const stamp = {
  seq: z.int().min(1).describe("Position in the journal, 1-based, without gaps"),
  ts: z.string().describe("ISO 8601 time"),
  project: z.string().describe("Absolute path of the project the event belongs to"),
};

/**
 * Each event as clients receive it. One object with all its fields: an intersection of two schemas that each refuse
 * unknown fields, as published ones do, could never be satisfied.
 */
export const STAMPED_EVENTS = EventBody.options.map((body) => z.object({ ...body.shape, ...stamp }));
export const ReviewEvent = z.discriminatedUnion(
  "type",
  STAMPED_EVENTS as unknown as [
    z.ZodObject<{ type: z.ZodLiteral<EventType> }>,
    ...z.ZodObject<{ type: z.ZodLiteral<EventType> }>[],
  ],
);
export type ReviewEvent = EventBody & { seq: number; ts: string; project: string };

/** Receives each event once, in order, with the exact text that is in the journal. */
export type EventListener = (event: ReviewEvent, json: string) => void;
