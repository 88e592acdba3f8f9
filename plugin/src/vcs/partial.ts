/**
 * The part of a wanted change that stands in nobody's way. What another commit did to the same lines, or to the same
 * file where it has no lines, is left as it was; everything else is brought.
 */
import type { Piece } from "../diff/compose.ts";
import { type FoundHunk, linesOfDiff } from "../diff/hunks.ts";
import { displayPath, type RawPath } from "../diff/paths.ts";
import { type FoundChanges, findChanges } from "./find-changes.ts";
import type { Git } from "./git.ts";
import { writeComposed } from "./trees.ts";

/** A piece of the wanted change that was left out; lines are counted in the wanted tree. */
export interface HeldHunk {
  file: string;
  kind: FoundHunk["kind"];
  newFrom: number;
  newCount: number;
}

export interface PartialChange {
  /** Commit with the part that can be brought. */
  commit: string;
  held: HeldHunk[];
  /** How many pieces are in it. */
  brought: number;
}

interface Rivals {
  /** Commits whose changes must not be touched. */
  commits: Iterable<string>;
  /** Files in which nothing is to be changed. */
  files: ReadonlySet<string>;
}

/** Paths that a hunk concerns, before and after. */
function pathsOf({ entries }: FoundChanges, hunk: FoundHunk): RawPath[] {
  return (hunk.group ?? [hunk.entry]).flatMap((index) => {
    const entry = entries[index];
    return [entry?.oldPath, entry?.newPath].filter((path) => path != null);
  });
}

/**
 * Whether a merge would call both a conflict. As git does, changes that touch without a line between them count as one
 * place (xdiff/xmerge.c), and the same change on both sides does not.
 */
function clash(wanted: FoundHunk, other: FoundHunk): boolean {
  if (wanted.digest === other.digest && wanted.oldFrom === other.oldFrom) return false;
  const kinds = new Set([wanted.kind, other.kind]);
  if (kinds.has("mode") && kinds.has("text")) return false;
  if (kinds.size > 1 || !kinds.has("text")) return true;
  return (
    wanted.oldFrom <= other.oldFrom + other.oldCount && other.oldFrom <= wanted.oldFrom + wanted.oldCount
  );
}

const toPiece = (hunk: FoundHunk, applied: boolean): Piece => ({
  ...hunk,
  applied,
  replacement: null,
  text: () => linesOfDiff(hunk.diff).new,
});

/**
 * @param base commit that both the wanted change and the rivals' changes are looked at from
 * @param keep ref that keeps the result, and its parent
 */
export async function partBeside(
  hub: Git,
  base: string,
  wanted: string,
  rivals: Rivals,
  keep: { ref: string; parent: string },
): Promise<PartialChange> {
  const baseTree = await hub.treeOf(base);
  const changes = await findChanges(hub, baseTree, await hub.treeOf(wanted));
  const others = new Map<RawPath, FoundHunk[]>();
  for (const commit of rivals.commits) {
    const found = await findChanges(hub, baseTree, await hub.treeOf(commit));
    for (const hunk of found.hunks)
      for (const path of new Set(pathsOf(found, hunk))) others.set(path, [...(others.get(path) ?? []), hunk]);
  }
  const isHeld = (hunk: FoundHunk): boolean =>
    pathsOf(changes, hunk).some(
      (path) =>
        rivals.files.has(displayPath(path)) || (others.get(path) ?? []).some((other) => clash(hunk, other)),
    );
  const held = new Set(changes.hunks.filter(isHeld));
  const { commit } = await writeComposed(
    hub,
    base,
    changes.entries,
    changes.hunks.map((hunk) => toPiece(hunk, !held.has(hunk))),
    { ...keep, message: "what could be settled\n" },
  );
  return {
    commit,
    brought: changes.hunks.length - held.size,
    held: [...held].map(({ path, kind, newFrom, newCount }) => ({
      file: displayPath(path),
      kind,
      newFrom,
      newCount,
    })),
  };
}
