/**
 * zod schemas as JSON Schema (draft 2020-12, which OpenAPI 3.1 and AsyncAPI 3 use). The nouns of the protocol become
 * named components, everything else is written in place.
 */
import { z } from "zod";
import { ErrorAnswer } from "../../protocol/answers.ts";
import { Hunk, Suggestion, SuggestionSummary } from "../../protocol/model.ts";

export type JsonObject = Record<string, unknown>;

const NAMED: [string, z.ZodType][] = [
  ["Hunk", Hunk],
  ["SuggestionSummary", SuggestionSummary],
  ["Suggestion", Suggestion],
  ["Error", ErrorAnswer],
];

/** Collects the named components that the schemas written through it refer to. */
export class SchemaWriter {
  readonly components: JsonObject = {};
  readonly #io: "input" | "output";

  constructor(io: "input" | "output" = "input") {
    this.#io = io;
  }

  write(schema: z.ZodType, io = this.#io): JsonObject {
    const name = NAMED.find(([, named]) => named === schema)?.[0];
    if (name !== undefined) return this.#component(name, schema);
    return this.#inPlace(schema, io);
  }

  #component(name: string, schema: z.ZodType): JsonObject {
    if (!(name in this.components)) {
      this.components[name] = {};
      this.components[name] = this.#inPlace(schema, "output");
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #inPlace(schema: z.ZodType, io: "input" | "output"): JsonObject {
    const found: [string, z.ZodType][] = [];
    const written = z.toJSONSchema(schema, {
      io,
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        if ((zodSchema as unknown) === schema) return;
        const named = NAMED.find(([, candidate]) => candidate === (zodSchema as unknown));
        if (named === undefined) return;
        found.push(named);
        for (const key of Object.keys(jsonSchema)) delete (jsonSchema as JsonObject)[key];
        Object.assign(jsonSchema, { $ref: `#/components/schemas/${named[0]}` });
      },
    }) as JsonObject;
    for (const [name, named] of found) this.#component(name, named);
    const { $schema: _dialect, ...rest } = written;
    return rest;
  }
}
