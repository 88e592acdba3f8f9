/**
 * zod schemas as JSON Schema (draft 2020-12, which OpenAPI 3.1 and AsyncAPI 3 use). What has a name in the protocol
 * becomes a component, everything else is written in place.
 */
import { z } from "zod";
import { NAMED_SCHEMAS, type NamedSchema } from "./named-schemas.ts";

export type JsonObject = Record<string, unknown>;

const BY_SCHEMA = new Map<unknown, NamedSchema>(NAMED_SCHEMAS.map((named) => [named.schema, named]));

/** Collects the named components that the schemas written through it refer to. */
export class SchemaWriter {
  readonly components: JsonObject = {};
  readonly #io: "input" | "output";

  constructor(io: "input" | "output" = "input") {
    this.#io = io;
  }

  write(schema: z.ZodType, io = this.#io): JsonObject {
    const named = BY_SCHEMA.get(schema);
    return named === undefined ? this.inPlace(schema, io) : this.#component(named);
  }

  #component({ name, schema, io }: NamedSchema): JsonObject {
    if (!(name in this.components)) {
      this.components[name] = {};
      this.components[name] = this.inPlace(schema, io);
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** Without a name of its own, though it may refer to others. */
  inPlace(schema: z.ZodType, io = this.#io): JsonObject {
    const found: NamedSchema[] = [];
    const written = z.toJSONSchema(schema, {
      io,
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        if ((zodSchema as unknown) === schema) return;
        const named = BY_SCHEMA.get(zodSchema);
        if (named === undefined) return;
        found.push(named);
        for (const key of Object.keys(jsonSchema)) delete (jsonSchema as JsonObject)[key];
        Object.assign(jsonSchema, { $ref: `#/components/schemas/${named.name}` });
      },
    }) as JsonObject;
    for (const named of found) this.#component(named);
    const { $schema: _dialect, ...rest } = written;
    return rest;
  }
}
