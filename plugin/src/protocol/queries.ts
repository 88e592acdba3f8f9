/** What is read: what each route is asked with and what it answers, as schemas. Nothing here changes anything. */
import { z } from "zod";
import { ReviewEvent } from "./events.ts";
import { Actor, CountedRefusal, Hunk, HunkId, SuggestionId, SuggestionSummary } from "./model.ts";

const count = (max: number, fallback: number) => z.coerce.number().int().min(1).max(max).default(fallback);
const offset = z.coerce.number().int().min(0).default(0);

const StateFilter = z.enum(["open", "finalized", "discarded", "all"]);
const cursor = z
  .string()
  .max(1024)
  .optional()
  .describe(
    "next_cursor of the page before; outweighs offset, and neither skips nor repeats when rows come or go",
  );

export const ListQuery = z.strictObject({
  status: StateFilter.default("open").describe("The older name of state"),
  state: StateFilter.optional().describe("Where suggestions are in their life; outweighs status"),
  project: z.string().optional(),
  text: z.string().min(1).max(1000).optional().describe("Part of the description, in either case"),
  file: z.string().min(1).max(4096).optional().describe("A file, or a directory, that the change touches"),
  updated_since: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("Only what changed at this ISO 8601 time or later"),
  limit: count(500, 100),
  offset,
  cursor,
});
export type ListQuery = z.infer<typeof ListQuery>;

export const HunksQuery = z.strictObject({
  limit: count(1000, 200).describe("Hunks at most; a page also ends before 900 kB"),
  offset,
  cursor,
  file: z.string().optional(),
  state: z.enum(["pending", "accepted", "modified", "rejected"]).optional(),
});
export type HunksQuery = z.infer<typeof HunksQuery>;

/** `GET /decisions`: what was decided and why, of all suggestions, closed ones too. */
export const DecisionsQuery = z.strictObject({
  project: z.string().optional(),
  text: z
    .string()
    .min(1)
    .max(1000)
    .optional()
    .describe(
      "Part of the reason, of the hunk's lines or of the developer's own version; letters of ASCII in either case",
    ),
  file: z.string().min(1).max(4096).optional().describe("A file, or a directory"),
  state: z.enum(["accepted", "modified", "rejected"]).optional(),
  since: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("Only what was decided then or later, ISO 8601"),
  limit: count(200, 50),
  cursor,
});
export type DecisionsQuery = z.infer<typeof DecisionsQuery>;

export const EventsQuery = z.strictObject({
  since: z.coerce.number().int().min(0).default(0).describe("Events after this sequence number"),
  limit: count(1000, 500),
  project: z.string().optional(),
  type: z
    .string()
    .max(1000)
    .optional()
    .describe("Only events of these types, by commas; one that ends with a dot stands for all that begin so"),
});
export type EventsQuery = z.infer<typeof EventsQuery>;

export const StreamQuery = EventsQuery.pick({ since: true, project: true });
export type StreamQuery = z.infer<typeof StreamQuery>;

/** One side of a file, as bytes; how a client gets binary hunks, the base it maps on, or a body over a page. */
export const ContentQuery = z.strictObject({
  file: z.string(),
  side: z.enum(["base", "proposed", "accepted", "sandbox"]),
  offset,
  limit: count(524_288, 524_288).describe("Bytes at most"),
});
export type ContentQuery = z.infer<typeof ContentQuery>;

export const PatchQuery = z.strictObject({
  part: z.enum(["accepted", "pending", "all"]).default("accepted"),
});
export type PatchQuery = z.infer<typeof PatchQuery>;

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

export const DecisionsAnswer = z.object({
  decisions: z
    .array(
      z.object({
        suggestion_id: SuggestionId,
        description: z.string().describe("The first line of the suggestion's"),
        hunk_id: z.string(),
        file: z.string(),
        state: z.enum(["accepted", "modified", "rejected"]),
        by: Actor,
        at: z.string(),
        comment: z.string().optional().describe("The reason that was given"),
        diff: z.string().describe("Of the hunk, its first 4,000 characters"),
        modified_diff: z.string().optional().describe("The developer's own version, likewise"),
      }),
    )
    .describe("Those with a reason, and those that the developer wrote anew; the latest first"),
  next_cursor: z.string().nullable().describe("Cursor of the next page, null at the end"),
});
export type DecisionsPage = z.output<typeof DecisionsAnswer>;

const callIds = z.array(z.string());
const words = (what: string) => z.string().optional().describe(`${what}; for the developer's token alone`);

const origin = z
  .enum(["call", "several", "outside", "unknown"])
  .describe(
    "call: this call; several: one of these, and it cannot be said which; outside: changed between two calls, by none; unknown: not seen",
  );

export const WhyLines = z.object({
  side: z.enum(["added", "removed"]),
  start: z
    .int()
    .describe("First line, 1-based: of the file as proposed, or of the base for what was removed"),
  count: z.int(),
  origin,
  calls: callIds.describe("Their call_id"),
});

export const WhyCall = z.object({
  call_id: z.string().describe("`<session>/<call>`"),
  session_id: z.string().optional(),
  root_session_id: z.string().optional().describe("The session at the top"),
  session_title: words("Its title in opencode"),
  tool: z.string().optional(),
  summary: z.string().optional().describe("What was asked for, in one line"),
  began_at: z.string().optional(),
  ended_at: z.string().optional(),
  exit_code: z.int().nullable().optional().describe("Of a command"),
  added: z.int().describe("Lines of the hunk that it made, alone"),
  removed: z.int(),
  entry_id: words("Its entry in the agent's activity"),
  prompt: words("What began the turn, shortened"),
  task: words("What the subagent was told, shortened"),
  words: words("What the agent said last before the call, shortened"),
});

export const WhyTest = z.object({
  call_id: z.string(),
  session_id: z.string(),
  command: z.string(),
  began_at: z.string(),
  exit_code: z.int().nullable().describe("null: it was stopped, or the host did not say"),
});

/** `GET /suggestions/:id/hunks/:hunk/why`: which calls of the agent's made a hunk. */
export const WhyAnswer = z.object({
  suggestion_id: SuggestionId,
  revision: z.int(),
  hunk_id: HunkId,
  lines: z.array(WhyLines).describe("Every changed line, by runs"),
  whole: z
    .array(z.object({ origin, calls: callIds }))
    .describe("Of a hunk without lines, such as a rename: what made it"),
  calls: z.array(WhyCall).describe("In the order in which they began"),
  tests: z
    .array(WhyTest)
    .describe("Commands after the last of these calls that look like runs of tests, until it was published"),
});
export type Why = z.output<typeof WhyAnswer>;

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
  confinement: z
    .object({
      host: z
        .enum(["opencode", "none"])
        .describe("Whether the server is in opencode, which runs the agent, or the agent is somewhere else"),
      confined: z.boolean().describe("Whether Isolated AI Coder has put rings around the agent"),
      words: z.array(z.string()).describe("What protects the developer, ring by ring, or that nothing does"),
    })
    .optional()
    .describe("With the developer's token: what confines the agent, as whoever started it said"),
});

export const HealthQuery = z.strictObject({
  nonce: z
    .string()
    .regex(/^[A-Za-z0-9_-]{8,128}$/, "expected 8 to 128 characters of A-Z a-z 0-9 _ -")
    .optional(),
});

export const SandboxQuery = z.strictObject({ project: z.string().optional() });
export type SandboxQuery = z.infer<typeof SandboxQuery>;

/** `GET /sandbox`: what the rings around the agent refused, the latest first. */
export const SandboxAnswer = z.object({
  refused: z.int().describe("How many there were"),
  refusals: z.array(CountedRefusal).describe("Alike ones as one; the 200 that came last"),
});
export type SandboxReport = z.output<typeof SandboxAnswer>;

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
