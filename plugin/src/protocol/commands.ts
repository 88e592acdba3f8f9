/**
 * WebSocket messages. Commands carry an optional `id`, echoed by the response. Field names are camelCase here and
 * snake_case over REST; `toRequest` functions are the only place where one becomes the other.
 */
import { z } from "zod";
import { SuggestionId } from "./model.ts";
import {
  AbortRequest,
  AskRequest,
  BatchRequest,
  CommentRequest,
  type CompleteRequest,
  ContentQuery,
  DecisionAction,
  type FeedbackRequest,
  HunksQuery,
  LineRange,
  ListQuery,
  PublishRequest,
  RebaseRequest,
  ReviseRequest,
  SettleRequest,
  StatusRequest,
  UndoRequest,
  VerifyRequest,
} from "./requests.ts";

const id = z
  .union([z.string().max(128), z.number()])
  .optional()
  .describe("Echoed in the response");

const feedback = z.strictObject({
  type: z.literal("feedback"),
  id,
  suggestionId: z.string(),
  hunkId: z.string(),
  action: DecisionAction,
  modifiedDiff: z.string().optional(),
  comment: z.string().optional(),
  digest: z.string().optional(),
  lines: LineRange.optional(),
  requestId: z.string().optional(),
});

const complete = z.strictObject({
  type: z.literal("complete"),
  id,
  suggestionId: z.string(),
  action: z.enum(["finalize", "discard"]),
  description: z.string().optional(),
  requestId: z.string().optional(),
});

const list = z.strictObject({ type: z.literal("list"), id, ...ListQuery.shape });
const get = z.strictObject({ type: z.literal("get"), id, suggestionId: SuggestionId });
const hunks = z.strictObject({
  type: z.literal("hunks"),
  id,
  suggestionId: SuggestionId,
  ...HunksQuery.shape,
});
const content = z.strictObject({
  type: z.literal("content"),
  id,
  suggestionId: SuggestionId,
  ...ContentQuery.shape,
});
const subscribe = z.strictObject({
  type: z.literal("subscribe"),
  id,
  since: z.int().min(0).describe("Replay events after this sequence number, then go live"),
  project: z.string().optional(),
});
const ping = z.strictObject({ type: z.literal("ping"), id });
/** The newer use cases: the REST request, as it is, under `request`. */
const wrapped = <Name extends string, Schema extends z.ZodType>(name: Name, request: Schema) =>
  z.strictObject({ type: z.literal(name), id, request });

export const Command = z.discriminatedUnion("type", [
  feedback,
  complete,
  list,
  get,
  hunks,
  content,
  subscribe,
  ping,
  wrapped("batch", BatchRequest),
  wrapped("undo", UndoRequest),
  wrapped("redo", UndoRequest),
  wrapped("comment", CommentRequest),
  wrapped("publish", PublishRequest),
  wrapped("status", StatusRequest),
  wrapped("revise", ReviseRequest),
  wrapped("rebase", RebaseRequest),
  wrapped("verify", VerifyRequest),
  wrapped("settle", SettleRequest),
  wrapped("ask", AskRequest),
  wrapped("abort", AbortRequest),
]);
export type Command = z.infer<typeof Command>;

/** The seed's camelCase feedback command as the REST request it stands for. */
export function feedbackRequest(command: z.infer<typeof feedback>): z.input<typeof FeedbackRequest> {
  return {
    suggestion_id: command.suggestionId,
    hunk_id: command.hunkId,
    action: command.action,
    ...(command.modifiedDiff === undefined ? {} : { modified_diff: command.modifiedDiff }),
    ...(command.comment === undefined ? {} : { comment: command.comment }),
    ...(command.digest === undefined ? {} : { digest: command.digest }),
    ...(command.lines === undefined ? {} : { lines: command.lines }),
    ...(command.requestId === undefined ? {} : { request_id: command.requestId }),
  };
}

export function completeRequest(command: z.infer<typeof complete>): z.input<typeof CompleteRequest> {
  return {
    suggestion_id: command.suggestionId,
    action: command.action,
    ...(command.description === undefined ? {} : { description: command.description }),
    ...(command.requestId === undefined ? {} : { request_id: command.requestId }),
  };
}

/** Answer to a command. `error` is the sentence; `code` and `details` are for programs. */
export const Response = z.object({
  type: z.literal("response"),
  id: z.union([z.string(), z.number()]).optional(),
  success: z.boolean(),
  data: z.record(z.string(), z.unknown()).optional(),
  error: z.string().optional(),
  code: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});
export type Response = z.infer<typeof Response>;
