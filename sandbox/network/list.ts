/**
 * The lists on disk: what the developer allowed and denied for one project, and what is allowed from the start. Read again
 * for each connection, so that a word of the developer's counts at once. What cannot be read allows nothing.
 */
import { readFileSync, statSync } from "node:fs";
import { BY_NAME } from "./addresses.ts";
import { type Entry, entryText, parseEntry, type Rules, sameEntry } from "./rules.ts";

/** Somebody's mistake in a list, in one sentence. */
export class ListError extends Error {
  override readonly name = "ListError";
}

/** Entries by the door that they are for; see {@link import("./proxy.ts").Door}. */
export type Defaults = Readonly<Record<string, readonly Entry[]>>;

const NOTHING: Rules = { allow: [], deny: [] };
const FILE_BYTES = 1 << 20;

function readJson(path: string): Record<string, unknown> | null {
  let text: string;
  try {
    if (statSync(path).size > FILE_BYTES) throw new ListError(`${path} is larger than a list can be`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw error instanceof ListError
      ? error
      : new ListError(`${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new Error("expected an object");
    const { version, ...rest } = value as Record<string, unknown>;
    if (version !== 1) throw new Error(`expected "version": 1, got ${JSON.stringify(version)}`);
    return rest;
  } catch (error) {
    throw new ListError(`${path} is no list of hosts: ${(error as Error).message}`);
  }
}

function entriesIn(value: unknown, path: string, name: string): Entry[] {
  const wrong = (why: string) => new ListError(`${path}, ${name}: ${why}`);
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong("expected a list");
  return value.map((one: unknown): Entry => {
    const { host: text, reach = [] } = (typeof one === "string" ? { host: one } : (one ?? {})) as {
      host?: unknown;
      reach?: unknown;
    };
    if (typeof text !== "string") throw wrong(`expected a host, got ${JSON.stringify(one)}`);
    const parsed = parseEntry(text);
    if (typeof parsed === "string") throw wrong(parsed);
    const kinds = Array.isArray(reach) ? BY_NAME.filter((kind) => reach.includes(kind)) : [];
    if (!Array.isArray(reach) || kinds.length !== new Set(reach).size)
      throw wrong(`reach of ${text}: expected some of ${BY_NAME.join(", ")}`);
    return { ...parsed, reach: kinds };
  });
}

/** @throws ListError */
export function readRules(path: string): Rules {
  const file = readJson(path);
  if (file === null) return NOTHING;
  return { allow: entriesIn(file.allow, path, "allow"), deny: entriesIn(file.deny, path, "deny") };
}

/** @throws ListError */
export function readDefaults(path: string): Defaults {
  const doors = readJson(path)?.doors ?? {};
  return Object.fromEntries(
    Object.entries(doors as Record<string, unknown>).map(([door, value]) => [
      door,
      entriesIn(value, path, door),
    ]),
  );
}

const written = ({ reach, ...entry }: Entry) =>
  reach.length === 0 ? entryText(entry) : { host: entryText(entry), reach };

export const rulesText = ({ allow, deny }: Rules): string =>
  `${JSON.stringify({ version: 1, allow: allow.map(written), deny: deny.map(written) }, null, 2)}\n`;
export const defaultsText = (doors: Defaults): string =>
  `${JSON.stringify(
    {
      version: 1,
      doors: Object.fromEntries(Object.entries(doors).map(([door, list]) => [door, list.map(written)])),
    },
    null,
    2,
  )}\n`;

/** The rules with one more host allowed: its denial is taken back. */
export const allowing = (rules: Rules, entry: Entry): Rules => ({
  allow: [...rules.allow.filter((one) => !sameEntry(one, entry)), entry],
  deny: rules.deny.filter((one) => !sameEntry(one, entry)),
});

/** The rules with one more host denied, whatever was allowed from the start. */
export const denying = (rules: Rules, entry: Entry): Rules => ({
  allow: rules.allow.filter((one) => !sameEntry(one, entry)),
  deny: [...rules.deny.filter((one) => !sameEntry(one, entry)), { ...entry, reach: [] }],
});

/** What stands for one door right now. */
export function rulesFor(door: string, files: { rules: string; defaults: string }): Rules {
  const { allow, deny } = readRules(files.rules);
  return { allow: [...allow, ...(readDefaults(files.defaults)[door] ?? [])], deny };
}
