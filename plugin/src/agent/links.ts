/**
 * File tools run in the host and follow links. In a cage the agent's commands cannot leave the repository, so a link that
 * one of them has made must not lead a file tool out of it either.
 */
import { readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { ReviewError } from "../protocol/errors.ts";

/** Set by a launcher that cages the agent's commands. */
export const CAGED = "ISOLATED_AI_CODER_CAGE";

/** A path of the repository that leads out of it. */
export class LinkOut extends ReviewError {
  constructor(readonly path: string) {
    super("invalid_request", `${path} is a link that leads out of the repository: it is not followed`);
  }
}

/** Paths that a call of a tool names. */
export function pathsOf(tool: string, args: Record<string, unknown>): string[] {
  const named = [args.filePath, args.path].filter((one) => typeof one === "string");
  if (tool !== "apply_patch" || typeof args.patchText !== "string") return named;
  const headers = args.patchText.matchAll(/^\*\*\* (?:Add File|Update File|Delete File|Move to): (.*)$/gm);
  return [...named, ...[...headers].map(([, path = ""]) => path.trim())];
}

/** As many as the kernel follows. */
const MOST_LINKS = 40;

/** Where a path leads, as far as it is there: what is written to a link without a target is made at the target. */
function realPlace(path: string, links = 0): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    if (parent === path || links > MOST_LINKS) return path;
    const place = join(realPlace(parent, links), basename(path));
    const target = targetOf(place);
    return target === null ? place : realPlace(resolve(dirname(place), target), links + 1);
  }
}

function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(`${folder}${sep}`);

/**
 * Paths that are outside by their names are for the host's own permissions to refuse.
 * @param directory what relative paths are relative to
 * @throws LinkOut when a path of the worktree leads out of it
 */
export function refuseLinksOut(tool: string, args: unknown, directory: string, worktree: string): void {
  if (typeof args !== "object" || args === null) return;
  const root = realPlace(worktree);
  for (const path of pathsOf(tool, args as Record<string, unknown>)) {
    const named = resolve(directory, path);
    if (!isWithin(named, worktree) && !isWithin(named, root)) continue;
    if (isWithin(realPlace(named), root)) continue;
    throw new LinkOut(path);
  }
}
