/**
 * WebSocket messages. Commands carry an optional `id`, echoed by the response. Their schemas are those of the requests:
 * under `request` as REST has it, or in camelCase beside `type`; `requestOf` is where one becomes the other.
 */
import { z } from "zod";
import { ActivityQuery, ActivityStreamQuery, AsksQuery } from "./activity.ts";
import { REQUESTS, type UseCaseName } from "./changes.ts";
import { HunkId, SuggestionId } from "./model.ts";
import { ContentQuery, HunksQuery, ListQuery } from "./queries.ts";
import { ChoicesQuery, SessionsQuery, TranscriptQuery } from "./sessions.ts";
import { SlashCommandsQuery } from "./slash-commands.ts";

const id = z
  .union([z.string().max(128), z.number()])
  .optional()
  .describe("Echoed in the response");

/** `suggestion_id` → `suggestionId` */
export function camelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
type CamelCase<Field> = Field extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Field;

/** The first two use cases have the request's fields beside `type`, in camelCase; the others have it under `request`. */
const SPELLED_OUT = ["feedback", "complete"] as const;
type SpelledOut = (typeof SPELLED_OUT)[number];

type CamelShape<Shape> = { [Field in keyof Shape as CamelCase<Field>]: Shape[Field] };
const spelledOut = <Name extends SpelledOut>(name: Name) => {
  const fields = Object.entries(REQUESTS[name].shape).map(([field, schema]) => [camelCase(field), schema]);
  const shape = Object.fromEntries(fields) as CamelShape<(typeof REQUESTS)[Name]["shape"]>;
  return z.strictObject({ type: z.literal(name), id, ...shape });
};

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
const why = z.strictObject({ type: z.literal("why"), id, suggestionId: SuggestionId, hunkId: HunkId });
const subscribe = z.strictObject({
  type: z.literal("subscribe"),
  id,
  since: z.int().min(0).describe("Replay events after this sequence number, then go live"),
  project: z.string().optional(),
});
const activity = z.strictObject({ type: z.literal("activity"), id, ...ActivityQuery.shape });
const watch = z.strictObject({
  type: z.literal("watch"),
  id,
  ...ActivityStreamQuery.shape,
  since: z
    .int()
    .min(0)
    .optional()
    .describe("The agent's activity with a higher number, then live; left out: from now on"),
});
const permissions = z.strictObject({ type: z.literal("permissions"), id, ...AsksQuery.shape });
const questions = z.strictObject({ type: z.literal("questions"), id, ...AsksQuery.shape });
const sessions = z.strictObject({ type: z.literal("sessions"), id, ...SessionsQuery.shape });
const choices = z.strictObject({ type: z.literal("choices"), id, ...ChoicesQuery.shape });
const commands = z.strictObject({ type: z.literal("commands"), id, ...SlashCommandsQuery.shape });
const transcript = z.strictObject({ type: z.literal("transcript"), id, ...TranscriptQuery.shape });
const ping = z.strictObject({ type: z.literal("ping"), id });
type Wrapped = Exclude<UseCaseName, SpelledOut>;
const wrapped = <Name extends Wrapped>(name: Name) =>
  z.strictObject({ type: z.literal(name), id, request: REQUESTS[name] });
const isWrapped = (name: string): name is Wrapped => !SPELLED_OUT.some((other) => other === name);

export const Command = z.discriminatedUnion("type", [
  spelledOut("feedback"),
  spelledOut("complete"),
  list,
  get,
  hunks,
  content,
  why,
  subscribe,
  activity,
  watch,
  permissions,
  questions,
  sessions,
  choices,
  commands,
  transcript,
  ping,
  ...Object.keys(REQUESTS)
    .filter(isWrapped)
    .map((name) => wrapped(name) as { [Name in Wrapped]: ReturnType<typeof wrapped<Name>> }[Wrapped]),
]);
export type Command = z.infer<typeof Command>;

/** The fields of a command that is spelled out, as the request that they stand for. */
export function requestOf(command: Extract<Command, { type: SpelledOut }>): Record<string, unknown> {
  const { type, id: _, ...fields } = command;
  const snake = new Map(Object.keys(REQUESTS[type].shape).map((field) => [camelCase(field), field]));
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [snake.get(field), value]));
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
