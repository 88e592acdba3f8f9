/**
 * What stands on both sides of a hunk that has no lines: a reviewer who sees "Changes symbolic link x" has not seen
 * where it leads. Modes and object ids are what the hunk's digest is made of, so a client can check them.
 */
import type { FoundHunk, FoundSide } from "../diff/hunks.ts";
import type { RawPath } from "../diff/paths.ts";
import type { Entry } from "../diff/raw.ts";
import type { Git } from "./git.ts";

const SYMLINK = "120000";
const SUBMODULE = "160000";
/** PATH_MAX of Linux: a longer target leads nowhere. */
const LONGEST_TARGET = 4096;

const hasObjectIds = ({ kind, encoding }: FoundHunk): boolean =>
  encoding === "binary" && kind !== "rename" && kind !== "mode";

function sideOf(path: RawPath | null, mode: string | null, oid: string | null): FoundSide[] {
  return path === null || mode === null || oid === null
    ? []
    : [{ path, mode, oid, size: null, target: null }];
}

/** Looks at the objects of all such hunks, with two processes at most. */
export async function addSides(git: Git, entries: Entry[], hunks: FoundHunk[]): Promise<void> {
  const all: FoundSide[] = [];
  for (const hunk of hunks) {
    if (!hasObjectIds(hunk)) continue;
    const members = (hunk.group ?? [hunk.entry]).map((index) => entries[index] as Entry);
    const before = members.flatMap((member) => sideOf(member.oldPath, member.oldMode, member.oldOid));
    const after = members.flatMap((member) => sideOf(member.newPath, member.newMode, member.newOid));
    hunk.sides = { before, after };
    all.push(...before, ...after);
  }
  const sizes = await git.sizesOf(all.filter(({ mode }) => mode !== SUBMODULE).map(({ oid }) => oid));
  for (const side of all) if (side.mode !== SUBMODULE) side.size = sizes.get(side.oid) ?? null;
  const links = all.filter(({ mode, size }) => mode === SYMLINK && size !== null && size <= LONGEST_TARGET);
  const targets = await git.readObjects(links.map(({ oid }) => oid));
  for (const side of links) side.target = targets.get(side.oid)?.bytes ?? null;
}
