/** What a revision changed: the pinned commits read through git, once for what and once for where. */
import { type FoundHunk, HunkFinder, renamesInSwaps } from "../diff/hunks.ts";
import { PatchStream, type Section } from "../diff/patch.ts";
import { type Entry, parseRaw } from "../diff/raw.ts";
import { EMPTY_TREE, type Git } from "./git.ts";
import { together } from "./run.ts";
import { addSides } from "./sides.ts";

export interface FoundChanges {
  entries: Entry[];
  hunks: FoundHunk[];
}

// Attributes of the hub or the tree must not decide what counts as binary or which converter shows it.
const diffTree = (
  git: Git,
  renames: boolean,
  args: string[],
  from: string,
  to: string,
  onOutput?: (chunk: Uint8Array) => void,
) =>
  git.run(
    [
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
    ],
    onOutput === undefined ? {} : { onOutput },
  );

/** @param from tree id of the base, `to` tree id of the revision */
export async function findChanges(git: Git, from: string, to: string, renames = true): Promise<FoundChanges> {
  const stream = new PatchStream();
  const early: Section[] = [];
  let finder: HunkFinder | null = null;
  // Hunks are made while git is still comparing the files that follow. Patience keeps functions together as histogram
  // does, at five sixths of its time on many small changes.
  const patch = diffTree(
    git,
    renames,
    ["-p", "-U3", "--inter-hunk-context=0", "--diff-algorithm=patience", "--indent-heuristic"],
    from,
    to,
    (chunk) => {
      const sections = stream.push(chunk);
      if (finder === null) early.push(...sections);
      else finder.take(sections);
    },
  );
  const raw = diffTree(git, renames, ["-z", "--raw", "--no-abbrev"], from, to).then(({ stdout }) => {
    const entries = parseRaw(stdout);
    if (renames && renamesInSwaps(entries)) return entries;
    finder = new HunkFinder(entries);
    finder.take(early);
    return entries;
  });
  const [entries] = await together([raw, patch]);
  if (finder === null) return findChanges(git, from, to, false);
  const found: HunkFinder = finder;
  found.take(stream.end());
  const hunks = found.end();
  await addSides(git, entries, hunks);
  return { entries, hunks };
}
