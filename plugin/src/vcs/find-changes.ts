/** What a revision changed: the pinned commits read through git, once for what and once for where. */
import { type FoundHunk, findHunks, renamesInSwaps } from "../diff/hunks.ts";
import { parsePatch } from "../diff/patch.ts";
import { type Entry, parseRaw } from "../diff/raw.ts";
import { EMPTY_TREE, type Git } from "./git.ts";

export interface FoundChanges {
  entries: Entry[];
  hunks: FoundHunk[];
}

// Attributes of the hub or the tree must not decide what counts as binary or which converter shows it.
const diffTree = (git: Git, renames: boolean, args: string[], from: string, to: string) =>
  git.run([
    `--attr-source=${EMPTY_TREE}`,
    "-c",
    "core.quotePath=true",
    "diff-tree",
    "-r",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--ignore-submodules=none",
    "--submodule=short",
    renames ? "-M50%" : "--no-renames",
    "-l1000",
    ...args,
    from,
    to,
  ]);

/** @param from tree id of the base, `to` tree id of the revision */
export async function findChanges(git: Git, from: string, to: string, renames = true): Promise<FoundChanges> {
  const [raw, patch] = await Promise.all([
    diffTree(git, renames, ["-z", "--raw", "--no-abbrev"], from, to),
    diffTree(
      git,
      renames,
      ["-p", "-U3", "--inter-hunk-context=0", "--diff-algorithm=histogram", "--indent-heuristic"],
      from,
      to,
    ),
  ]);
  const entries = parseRaw(raw.stdout);
  if (renames && renamesInSwaps(entries)) return findChanges(git, from, to, false);
  return { entries, hunks: findHunks(entries, parsePatch(patch.stdout)) };
}
