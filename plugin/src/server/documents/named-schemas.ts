/** The nouns, requests, answers and events of the protocol by the names that the published documents give them. */
import { z } from "zod";
import * as activity from "../../protocol/activity.ts";
import * as changes from "../../protocol/changes.ts";
import { ErrorAnswer } from "../../protocol/errors.ts";
import { STAMPED_EVENTS } from "../../protocol/events.ts";
import * as model from "../../protocol/model.ts";
import * as queries from "../../protocol/queries.ts";
import * as sessions from "../../protocol/sessions.ts";
import * as slash from "../../protocol/slash-commands.ts";

export interface NamedSchema {
  name: string;
  schema: z.ZodType;
  /** Which side of a schema with defaults is meant: what may be sent, or what is answered. */
  io: "input" | "output";
}

/** `suggestion.hunk_applied` → `SuggestionHunkAppliedEvent` */
export const eventName = (type: string): string =>
  `${type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())}Event`;

const exported = (module: Record<string, unknown>, io: (name: string) => NamedSchema["io"]): NamedSchema[] =>
  Object.entries(module).flatMap(([name, schema]) =>
    // Queries are parameters, one by one.
    schema instanceof z.ZodType && !name.endsWith("Query") ? [{ name, schema, io: io(name) }] : [],
  );

const byName = (name: string) => (name.endsWith("Answer") ? "output" : "input");

export const NAMED_SCHEMAS: readonly NamedSchema[] = [
  ...exported(model, () => "output"),
  ...exported(changes, byName),
  ...exported(activity, (name) => (/Request$/.test(name) ? "input" : "output")),
  ...exported(sessions, (name) => (/Request$/.test(name) ? "input" : "output")),
  ...exported(slash, () => "output"),
  { name: "Error", schema: ErrorAnswer, io: "output" },
  ...exported(queries, byName),
  ...STAMPED_EVENTS.map((schema) => ({
    name: eventName(schema.shape.type.value),
    schema,
    io: "output" as const,
  })),
];
