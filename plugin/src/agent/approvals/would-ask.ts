/**
 * Whether the host is going to ask before a call runs, read from its rules: what would be asked for, or null. Where that is
 * not certain it asks; a call that is let pass is asked for by the host itself. Pure.
 */
import { homedir } from "node:os";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { CallArguments } from "../../protocol/activity.ts";
import { pathsOf } from "../links.ts";
import { canAsk, evaluate, type Rule } from "./rules.ts";
import { commandsOf, isPattern, kindOf, wordsOf } from "./shell-words.ts";

export interface Call {
  tool: string;
  session: string;
  call: string;
  /** The host's own object: what stands in it when the call begins is what runs. */
  arguments: CallArguments;
}

/** What a call would be asked for. */
export interface WouldAsk {
  permission: string;
  patterns: string[];
  /** What is allowed from then on by `always`; empty where no rule can be made of it. */
  always: Rule[];
}

export interface Place {
  /** What relative paths are relative to. */
  directory: string;
  worktree: string;
}

/** Tools that change files, which the host asks for as one permission. */
export const EDITS: ReadonlySet<string> = new Set(["edit", "write", "multiedit", "apply_patch", "patch"]);
export const EDITABLE = new Set(["bash", ...EDITS]);

/** Those whose words the host takes for paths. */
const TAKES_PATHS = new Set("cd pushd rm cp mv mkdir touch chmod chown cat".split(" "));
/** Those that the host does not ask for by themselves. */
const MOVES = new Set(["cd", "pushd", "popd"]);

export const OUTSIDE = "external_directory";

/** Permissions that the host may ask for one call of a tool. */
export const permissionsOf = (tool: string): string[] => [tool === "bash" ? "bash" : "edit", OUTSIDE];

const isWithin = (path: string, folder: string) => path === folder || path.startsWith(`${folder}${sep}`);

/** The folders outside of the project that these paths are in, as the host's patterns. */
export function outside(paths: readonly string[], { directory, worktree }: Place): string[] {
  const places = paths.map((path) => {
    const home = path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
    return resolve(directory, home);
  });
  const left = places.filter((path) => !isWithin(path, worktree) && !isWithin(path, directory));
  return [...new Set(left.map((path) => join(dirname(path), "*")))];
}

const allowing = (permission: string, patterns: readonly string[]): Rule[] =>
  patterns.map((pattern) => ({ permission, pattern, action: "allow" }));

/** With what allows these folders; none at all where a folder's own name would be read as wildcards. */
const withFolders = (rules: Rule[], folders: readonly string[]): Rule[] =>
  folders.some((folder) => isPattern(dirname(folder))) ? [] : [...rules, ...allowing(OUTSIDE, folders)];

/** What the host takes for paths in a call of the shell. */
export function namedBy(args: CallArguments): string[] {
  const command = typeof args.command === "string" ? args.command : "";
  const named = typeof args.workdir === "string" ? [args.workdir] : [];
  const parts = commandsOf(command) ?? command.split(/[\n;|&(){}`]|\$\(/);
  for (const [name = "", ...rest] of parts.map((part) => wordsOf(part)))
    if (TAKES_PATHS.has(name)) named.push(...rest.filter((word) => !word.startsWith("-")));
  return named;
}

function ofCommand(args: CallArguments, rules: readonly Rule[], place: Place): WouldAsk | null {
  const command = typeof args.command === "string" ? args.command : "";
  const parts = commandsOf(command);
  const there = canAsk(OUTSIDE, rules) ? outside(namedBy(args), place) : [];
  const left = there.filter((pattern) => evaluate(OUTSIDE, pattern, rules) !== "allow");
  if (left.some((pattern) => evaluate(OUTSIDE, pattern, rules) === "deny")) return null;
  const asked = askedFor(parts, command, rules);
  if (asked === null || (asked.patterns.length === 0 && left.length === 0)) return null;
  return {
    permission: asked.patterns.length === 0 ? OUTSIDE : "bash",
    patterns: [...asked.patterns, ...left],
    always: parts === null || asked.always === null ? [] : withFolders(asked.always, left),
  };
}

/** Null where the host refuses it by itself. */
function askedFor(
  parts: string[] | null,
  command: string,
  rules: readonly Rule[],
): { patterns: string[]; always: Rule[] | null } | null {
  if (!canAsk("bash", rules)) return { patterns: [], always: [] };
  if (parts === null) return { patterns: [command], always: [] };
  const own = parts.filter((part) => !MOVES.has(wordsOf(part)[0] ?? ""));
  const actions = own.map((part) => evaluate("bash", part, rules));
  if (actions.includes("deny")) return null;
  if (!actions.includes("ask")) return { patterns: [], always: [] };
  const kinds = [...new Set(own.map(kindOf))].filter((kind) => kind !== null);
  return { patterns: own, always: own.every((one) => kindOf(one) !== null) ? allowing("bash", kinds) : null };
}

function ofEdit(tool: string, args: CallArguments, rules: readonly Rule[], place: Place): WouldAsk | null {
  const paths = pathsOf(tool, args);
  const patterns = paths.map((path) => relative(place.worktree, resolve(place.directory, path)));
  const there = outside(paths, place);
  const actions = patterns.map((pattern) => evaluate("edit", pattern, rules));
  const beyond = there.map((pattern) => evaluate(OUTSIDE, pattern, rules));
  if (actions.includes("deny") || beyond.includes("deny")) return null;
  const edits = actions.includes("ask");
  const left = there.filter((_, index) => beyond[index] === "ask");
  if (!edits && left.length === 0) return null;
  return {
    permission: edits ? "edit" : OUTSIDE,
    patterns: [...(edits ? patterns : []), ...left],
    always: withFolders(edits ? allowing("edit", ["*"]) : [], left),
  };
}

/** @param rules the host's for the session's agent, and what was allowed since; null where they cannot be had */
export function wouldAsk(call: Call, rules: readonly Rule[] | null, place: Place): WouldAsk | null {
  if (!EDITABLE.has(call.tool)) return null;
  // Without rules the host asks for everything.
  const known = rules ?? [];
  return call.tool === "bash"
    ? ofCommand(call.arguments, known, place)
    : ofEdit(call.tool, call.arguments, known, place);
}

/** The file that the host names when it asks for a call. */
export const fileOf = (args: CallArguments, { directory }: Place): string | undefined => {
  const { filePath } = args;
  if (typeof filePath !== "string") return undefined;
  return isAbsolute(filePath) ? filePath : join(directory, filePath);
};
