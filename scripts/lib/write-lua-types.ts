/**
 * `npm run lua-types`: writes nvim/lua/suggestion-review/types.lua anew from the schemas of the protocol. A test compares
 * the file with what this makes.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import * as activity from "../../plugin/src/protocol/activity.ts";
import * as changes from "../../plugin/src/protocol/changes.ts";
import { DecisionAction, LineRange } from "../../plugin/src/protocol/changes.ts";
import { ErrorAnswer } from "../../plugin/src/protocol/errors.ts";
import { ReviewEvent, STAMPED_EVENTS } from "../../plugin/src/protocol/events.ts";
import * as model from "../../plugin/src/protocol/model.ts";
import * as queries from "../../plugin/src/protocol/queries.ts";
import * as sessions from "../../plugin/src/protocol/sessions.ts";
import * as slash from "../../plugin/src/protocol/slash-commands.ts";

export const LUA_TYPES = "nvim/lua/suggestion-review/types.lua";

/** Exported schemas whose name in the client is another. */
const RENAMED: Readonly<Record<string, string>> = {
  SuggestionSummary: "Summary",
  DecisionAction: "Action",
};
/** Schemas that stand inside another one and have a name of their own in the client. */
const NESTED: Readonly<Record<string, string>> = {
  "Hunk.decision": "Decision",
  "Hunk.earlier": "Earlier",
  "SuggestionSummary.result": "Result",
  "Suggestion.verify": "Verify",
  "ContentAnswer.side": "Side",
  "suggestion.ready.suggestion": "Suggestion",
};
/** The client has a suggestion from its summary on: what only the whole one has may not be known yet. */
const KNOWN_LATER = "Suggestion";

/** Longest line of the client's files. */
const WIDTH = 120;

const HEAD = `---@meta
--- Types of the protocol, made from the schemas that the server validates with: \`npm run lua-types\` writes the file,
--- and a test compares the two. Field names are the protocol's own. What may be null there is absent here. Types of the
--- client's own stand in the modules that own them, and so do the fields that the client adds to these.
`;

type Shape = Readonly<Record<string, z.ZodType>>;
/** Looked up by definition: \`describe\` makes another schema with the same one. */
type Names = Map<unknown, string>;

interface Field {
  type: string;
  optional: boolean;
}

/** The parts of a definition that are read here; zod types each of them in a class of its own. */
interface Definition {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  keyType?: z.ZodType;
  items?: readonly z.ZodType[];
  options?: readonly z.ZodType[];
  entries?: Readonly<Record<string, string>>;
  values?: readonly unknown[];
  format?: string;
  shape?: Shape;
}
const definition = (schema: z.ZodType) => schema.def as unknown as Definition;

const quoted = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value)).join("|");

/** What a schema's wrappers hold, and whether they let the value be absent or null. */
function unwrapped(schema: z.ZodType): { inner: z.ZodType; optional: boolean } {
  const { type, innerType } = definition(schema);
  if (innerType !== undefined && (type === "optional" || type === "nullable"))
    return { inner: unwrapped(innerType).inner, optional: true };
  if (innerType !== undefined && type === "default") return unwrapped(innerType);
  return { inner: schema, optional: false };
}

class LuaTypes {
  readonly #names: Names = new Map();
  readonly #parts: string[] = [];

  name(schema: z.ZodType, name: string): void {
    this.#names.set(schema.def, name);
  }

  text(): string {
    return `${[HEAD, ...this.#parts].join("\n")}`;
  }

  /** A type, as an annotation writes it. */
  #type(schema: z.ZodType): string {
    const { inner } = unwrapped(schema);
    const name = this.#names.get(inner.def);
    return name === undefined ? this.#structure(inner) : `SuggestionReview.${name}`;
  }

  #structure(schema: z.ZodType): string {
    const def = definition(schema);
    const within = (part: z.ZodType | undefined) => (part === undefined ? "any" : this.#type(part));
    switch (def.type) {
      case "string":
      case "boolean":
        return def.type;
      case "number":
        return def.format?.includes("int") ? "integer" : "number";
      case "enum":
        return quoted(Object.values(def.entries ?? {}));
      case "literal":
        return quoted(def.values ?? []);
      case "array": {
        const element = within(def.element);
        return element.includes("|") ? `(${element})[]` : `${element}[]`;
      }
      case "tuple":
        return `[${(def.items ?? []).map(within).join(", ")}]`;
      case "record":
        return `table<${within(def.keyType)}, ${within(def.valueType)}>`;
      case "union":
        return [...new Set((def.options ?? []).map(within))].join("|");
      case "object":
        return `{ ${this.#fields(def.shape ?? {})
          .map(({ name, type, optional }) => `${name}${optional ? "?" : ""}: ${type}`)
          .join(", ")} }`;
      case "unknown":
      case "any":
        return "any";
      default:
        throw new Error(`No Lua type is known for a schema of type ${def.type}`);
    }
  }

  #fields(shape: Shape): (Field & { name: string; description: string })[] {
    return Object.entries(shape).map(([name, schema]) => {
      const { inner, optional } = unwrapped(schema);
      const description = schema.description ?? inner.description ?? "";
      return { name, type: this.#type(schema), optional, description };
    });
  }

  alias(name: string, schema: z.ZodType): void {
    const type = this.#structure(schema);
    const short = `---@alias SuggestionReview.${name} ${type}`;
    const values = type.split("|").map((value) => `\n---| ${value}`);
    this.#parts.push(
      `${short.length <= WIDTH ? short : `---@alias SuggestionReview.${name}${values.join("")}`}\n`,
    );
  }

  /** @param parent class whose fields these come on top of */
  object(name: string, shape: Shape, description = "", parent: string | null = null): void {
    const head = `---@class SuggestionReview.${name}${parent === null ? "" : ` : SuggestionReview.${parent}`}`;
    const fields = this.#fields(shape).map((field) => {
      const optional = field.optional || name === KNOWN_LATER;
      return line(field.name, field.type, optional, field.description);
    });
    this.#parts.push(`${[description === "" ? head : `${head} ${description}`, ...fields].join("\n")}\n`);
  }

  /** All events as one class, as listeners get them: a field is absent from events that do not have it. */
  event(): void {
    const types = STAMPED_EVENTS.map(({ shape }) => shape.type.value);
    const found = new Map<string, { types: Set<string>; events: string[] }>();
    for (const { shape } of STAMPED_EVENTS)
      for (const field of this.#fields(shape)) {
        if (field.name === "type") continue;
        const known = found.get(field.name) ?? { types: new Set(), events: [] };
        // One name has other values in other events, and the client has events of its own with yet others.
        known.types.add(field.type.startsWith('"') ? "string" : field.type);
        known.events.push(shape.type.value);
        found.set(field.name, known);
      }
    this.#parts.push(
      `---@alias SuggestionReview.EventType\n${types.map((type) => `---| "${type}"`).join("\n")}\n`,
      [
        "---@class SuggestionReview.Event an event of the journal; those of the client's own have no seq, ts and project",
        "---@field type SuggestionReview.EventType|string",
        ...[...found].map(([name, { types: of, events }]) =>
          line(
            name,
            [...of].join("|"),
            true,
            events.length === types.length ? "" : `in ${events.join(", ")}`,
          ),
        ),
      ]
        .join("\n")
        .concat("\n"),
    );
  }
}

function line(name: string, type: string, optional: boolean, description: string): string {
  const text = description.replace(/\s+/g, " ").trim();
  const field = `---@field ${name}${optional ? "?" : ""} ${type}`;
  if (text === "") return field;
  const whole = `${field} ${text}`;
  // What does not fit behind its field stands above it.
  return whole.length <= WIDTH ? whole : [...wrapped(text), field].join("\n");
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let current = "---";
  for (const word of text.split(" ")) {
    if (current !== "---" && current.length + 1 + word.length > WIDTH) {
      lines.push(current);
      current = "---";
    }
    current += ` ${word}`;
  }
  return [...lines, current];
}

/** The object behind the wrappers of a field, if it is one. */
const objectOf = (schema: z.ZodType) => {
  const { inner } = unwrapped(schema);
  return inner instanceof z.ZodObject ? inner : null;
};

interface Named<Schema extends z.ZodType = z.ZodType> {
  key: string;
  name: string;
  schema: Schema;
}

/** What nvim/lua/suggestion-review/types.lua has to hold. */
export function luaTypes(): string {
  const lua = new LuaTypes();
  const protocol = { ...changes, ...queries, ...activity, ...sessions, ...slash };
  const answers = Object.entries(protocol).filter(([key]) => key.endsWith("Answer"));
  const entries = Object.fromEntries(
    Object.entries(activity).filter(([key]) => key.endsWith("Entry") || key === "AskedQuestion"),
  );
  const { AgentSession, SessionId } = sessions;
  const { WhyCall, WhyLines, WhyTest } = queries;
  const why = { WhyCall, WhyLines, WhyTest };
  const parts = {
    ...model,
    ...why,
    AgentSession,
    SessionId,
    DecisionAction,
    LineRange,
    ErrorAnswer,
    ...entries,
  };
  const named = [...Object.entries(parts), ...answers].flatMap(([key, schema]): Named[] =>
    schema instanceof z.ZodType ? [{ key, name: RENAMED[key] ?? key, schema }] : [],
  );
  const objects = named.flatMap(({ schema, ...rest }): Named<z.ZodObject>[] =>
    schema instanceof z.ZodObject ? [{ ...rest, schema }] : [],
  );
  const enums: Named[] = named.filter(({ schema }) => schema instanceof z.ZodEnum);
  enums.push({ key: "ErrorCode", name: "ErrorCode", schema: ErrorAnswer.shape.error.shape.code });
  for (const { name, schema } of [...enums, ...objects]) lua.name(schema, name);
  lua.name(ReviewEvent, "Event");
  lua.name(activity.ActivityEntry, "ActivityEntry");
  const inside: Named<z.ZodObject>[] = [];
  const insideEnums: Named[] = [];
  const shapes = [
    ...objects.map(({ key, schema }) => [key, schema.shape] as const),
    ...STAMPED_EVENTS.map(({ shape }) => [shape.type.value, shape] as const),
  ];
  for (const [path, shape] of shapes)
    for (const [field, schema] of Object.entries(shape as Shape)) {
      const name = NESTED[`${path}.${field}`];
      if (name === undefined) continue;
      const { inner } = unwrapped(schema);
      lua.name(inner, name);
      const object = objectOf(schema);
      if (object === null) insideEnums.push({ key: field, name, schema: inner });
      else if (name !== KNOWN_LATER) inside.push({ key: field, name, schema: object });
    }
  for (const { name, schema } of [...enums, ...insideEnums]) lua.alias(name, schema);
  for (const { key, name, schema } of [...inside, ...objects]) {
    const more = key === "Suggestion" ? model.SuggestionSummary.shape : null;
    const shape = Object.fromEntries(
      Object.entries(schema.shape as Shape).filter(([field]) => more === null || !(field in more)),
    );
    lua.object(name, shape, schema.description, more === null ? null : "Summary");
  }
  lua.alias("ActivityEntry", activity.ActivityEntry);
  lua.event();
  return lua.text();
}

if (import.meta.main) writeFileSync(join(import.meta.dir, "../..", LUA_TYPES), luaTypes());
