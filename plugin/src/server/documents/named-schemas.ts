/** The nouns, requests, answers and events of the protocol by the names that the published documents give them. */
import { z } from "zod";
import * as answers from "../../protocol/answers.ts";
import { STAMPED_EVENTS } from "../../protocol/events.ts";
import * as model from "../../protocol/model.ts";
import * as requests from "../../protocol/requests.ts";

export interface NamedSchema {
  name: string;
  schema: z.ZodType;
  /** Which side of a schema with defaults is meant: what may be sent, or what is answered. */
  io: "input" | "output";
}

/** `suggestion.hunk_applied` → `SuggestionHunkAppliedEvent` */
export const eventName = (type: string): string =>
  `${type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())}Event`;

const exported = (module: Record<string, unknown>, io: NamedSchema["io"]): NamedSchema[] =>
  Object.entries(module).flatMap(([name, schema]) =>
    // Queries are parameters, one by one.
    schema instanceof z.ZodType && !name.endsWith("Query")
      ? [{ name: name === "ErrorAnswer" ? "Error" : name, schema, io }]
      : [],
  );

export const NAMED_SCHEMAS: readonly NamedSchema[] = [
  ...exported(model, "output"),
  ...exported(requests, "input"),
  ...exported(answers, "output"),
  ...STAMPED_EVENTS.map((schema) => ({
    name: eventName(schema.shape.type.value),
    schema,
    io: "output" as const,
  })),
];
