/** The agent's sessions in its host, and what may be chosen for them: who answers, by which model. */
import { z } from "zod";

const project = z.string().optional();
export const SessionId = z.string().min(1).max(256);

export const ModelName = z
  .string()
  .max(512)
  .regex(/^[^/\s]+\/\S+$/, "expected provider/model, as GET /agent/choices names it");

/** What may be chosen with a prompt. It stays with the session. */
export const choices = {
  agent: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe("Who answers, such as build or plan; the session's own if left out"),
  model: ModelName.optional().describe("By which model, as provider/model; the session's own if left out"),
  variant: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe("Which variant of the model, such as a reasoning effort; only with model"),
};

export const AgentSession = z.object({
  session_id: SessionId,
  title: z.string(),
  project: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  state: z.enum(["idle", "busy", "retry"]).describe("retry: its provider refuses for now"),
  agent: z.string().optional().describe("Who answers, where that is known"),
  model: z.string().optional().describe("provider/model, where that is known"),
  variant: z.string().optional(),
  cost: z.number().optional().describe("In US dollars, as the host counts it"),
});
export type AgentSession = z.infer<typeof AgentSession>;

export const SessionsQuery = z.strictObject({
  project,
  search: z.string().min(1).max(1000).optional().describe("Part of the title, in either case"),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  offset: z.coerce.number().int().min(0).max(10_000).default(0),
});
export type SessionsQuery = z.infer<typeof SessionsQuery>;

export const SessionsAnswer = z.object({
  sessions: z
    .array(AgentSession)
    .describe("Those that the developer speaks with, the one that changed last first; no subagents'"),
  next: z.int().nullable().describe("Offset of the next page, null at the end"),
});
export type SessionsPage = z.infer<typeof SessionsAnswer>;

export const ChoicesQuery = z.strictObject({ project });
export type ChoicesQuery = z.infer<typeof ChoicesQuery>;

export const ChoicesAnswer = z.object({
  models: z.array(
    z.object({
      model: z.string().describe("provider/model"),
      name: z.string(),
      provider: z.string().describe("The provider's name, for people"),
      context: z.int().describe("Tokens that it takes in; 0 where that is not known"),
      variants: z.array(z.string()),
    }),
  ),
  default_model: z.string().nullable().describe("What answers where nothing is chosen, if that is set"),
  agents: z.array(z.object({ agent: z.string(), description: z.string(), model: z.string().optional() })),
});
export type Choices = z.infer<typeof ChoicesAnswer>;

export const ExportQuery = z.strictObject({ project });

export const TranscriptQuery = z.strictObject({
  project,
  session: SessionId,
  offset: z.int().min(0).default(0).describe("Of the first character"),
});
export type TranscriptQuery = z.infer<typeof TranscriptQuery>;

export const TranscriptAnswer = z.object({
  markdown: z.string().describe("The session as Markdown, or a part of that"),
  digest: z.string().describe("Of the whole: parts with another one are of another state of the session"),
  next: z.int().nullable().describe("Offset of the next part, null at the end"),
});
export type TranscriptPage = z.infer<typeof TranscriptAnswer>;

const aSession = { session_id: SessionId, project };
const title = z
  .string()
  .max(200)
  .regex(/^[^\r\n]*\S[^\r\n]*$/, "expected a title on one line");

/** `POST /agent/sessions/:id/rename` */
export const RenameSessionRequest = z.strictObject({ ...aSession, title });
/** `POST /agent/sessions/:id/fork` */
export const ForkSessionRequest = z.strictObject({
  ...aSession,
  message_id: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe("The first message that the fork has no more; the fork has all if left out"),
});
/** `POST /agent/sessions/:id/compact` */
export const CompactSessionRequest = z.strictObject(aSession);
/** `POST /agent/sessions/:id/delete` */
export const DeleteSessionRequest = z.strictObject(aSession);

export type RenameSessionRequest = z.infer<typeof RenameSessionRequest>;
export type ForkSessionRequest = z.infer<typeof ForkSessionRequest>;
export type CompactSessionRequest = z.infer<typeof CompactSessionRequest>;
export type DeleteSessionRequest = z.infer<typeof DeleteSessionRequest>;

export const SessionAnswer = z.object({ success: z.literal(true), session: AgentSession });
export type SessionResult = z.infer<typeof SessionAnswer>;
export const CompactSessionAnswer = z.object({
  success: z.literal(true),
  session_id: SessionId.describe("The agent makes a summary now; `agent.notice` tells when it is there"),
});
export type CompactSessionResult = z.infer<typeof CompactSessionAnswer>;
export const DeleteSessionAnswer = z.object({ success: z.literal(true), session_id: SessionId });
export type DeleteSessionResult = z.infer<typeof DeleteSessionAnswer>;
