/**
 * Which file a call of the host's own tools was denied, read from how the call ended. The host tells no event of it and calls no
 * hook: the call's part is an error, whose text holds the rules of the permission that was denied (1.18). Whatever else
 * failed is none: a file that is not there, a pattern that fits nothing. Pure.
 */
import { relative, resolve } from "node:path";
import { rulesIn } from "./approvals/host-rules.ts";
import { evaluate, matches, type Rule } from "./approvals/rules.ts";
import { EDITS, namedBy, OUTSIDE, outside, type Place } from "./approvals/would-ask.ts";
import { pathsOf } from "./links.ts";
import { LOADED_PATTERNS } from "./loaded.ts";

/** A file that a call did not get. */
export interface DeniedFile {
  /** The tool. */
  program: string;
  /** As the call named it; from the repository's root where it is in it. */
  target: string;
  reason: string;
  /** The call as one line. */
  command: string;
}

export interface EndedCall {
  tool: string;
  error: string;
  input: Record<string, unknown>;
}

const DENIED =
  "The user has specified a rule which prevents you from using this specific tool call. Here are some of the relevant rules ";

export const IS_OUTSIDE = "outside of the repository";
export const IS_LINK = "a link that leads out of the repository";
export const IS_LOADED = "opencode itself would load it";
export const IS_RULE = "a rule of opencode's settings";

/** The permission that a tool asks for the files themselves. */
const OWN: Readonly<Record<string, string>> = { read: "read", list: "list", glob: "glob", grep: "grep" };

/** The call as one line of text, without what it would write. */
export function callLine(tool: string, input: Record<string, unknown>): string {
  if (tool === "bash") return typeof input.command === "string" ? input.command : tool;
  const { pattern } = input;
  return [tool, ...(typeof pattern === "string" ? [pattern] : []), ...pathsOf(tool, input)].join(" ");
}

/** The rules of the permission that was denied, or null where the call failed otherwise. */
function rulesOf(error: string): Rule[] | null {
  if (!error.startsWith(DENIED)) return null;
  try {
    return rulesIn(JSON.parse(error.slice(DENIED.length)));
  } catch {
    return null;
  }
}

/** The first of the call's files that these rules deny; null where none was denied, or nobody can say which. */
export function deniedFile({ tool, error, input }: EndedCall, place: Place): DeniedFile | null {
  const rules = rulesOf(error);
  if (rules === null) return null;
  const refused = (target: string, reason: string): DeniedFile => ({
    program: tool,
    target,
    reason,
    command: callLine(tool, input),
  });
  const denies = (permission: string, pattern: string) =>
    rules.every((rule) => matches(permission, rule.permission)) &&
    evaluate(permission, pattern, rules) === "deny";
  const paths = tool === "bash" ? namedBy(input) : pathsOf(tool, input);
  // The host looks at this first.
  for (const path of paths) {
    const [folder] = outside([path], place);
    if (folder !== undefined && denies(OUTSIDE, folder)) return refused(path, IS_OUTSIDE);
  }
  const permission = EDITS.has(tool) ? "edit" : OWN[tool];
  if (permission === undefined) return null;
  for (const path of paths) {
    const name = relative(place.worktree, resolve(place.directory, path)) || ".";
    // Of these two the host's pattern is what is looked for, not where.
    const pattern = permission === "glob" || permission === "grep" ? String(input.pattern) : name;
    if (!denies(permission, pattern)) continue;
    const isLoaded = permission === "edit" && LOADED_PATTERNS.some((one) => matches(name, one));
    return refused(name, isLoaded ? IS_LOADED : IS_RULE);
  }
  return null;
}
