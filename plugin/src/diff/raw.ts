/** Reads `git diff-tree -r -z --raw`: which paths changed, exactly, whatever bytes their names hold. */
import { ReviewError } from "../protocol/errors.ts";
import { toLatin1 } from "./bytes.ts";
import { isBelow, type RawPath } from "./paths.ts";

/** One changed path (or pair of paths, for a rename). A null path or mode: the file is not there on that side. */
export interface Entry {
  status: "A" | "D" | "M" | "T" | "R";
  oldPath: RawPath | null;
  newPath: RawPath | null;
  oldMode: string | null;
  newMode: string | null;
  /** Object id of the content; for submodules the commit. */
  oldOid: string | null;
  newOid: string | null;
}

/** @param output bytes of `git diff-tree -r -z --raw [-M] <tree> <tree>` (see gitdiff-tree(1), RAW OUTPUT FORMAT) */
export function parseRaw(output: Uint8Array): Entry[] {
  const fields = toLatin1(output).split("\0");
  const entries: Entry[] = [];
  let at = 0;
  while (at < fields.length) {
    const head = fields[at++];
    if (head === undefined || head === "") break;
    const match = /^:(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*$/.exec(head);
    const first = fields[at++];
    if (match === null || first === undefined) {
      throw new ReviewError(
        "git_error",
        `git diff-tree printed a record that is not understood: ${head.slice(0, 120)}`,
      );
    }
    const [, oldMode, newMode, oldOid, newOid, status] = match as unknown as string[];
    const entry = { oldMode, newMode, oldOid, newOid } as Entry;
    switch (status) {
      case "A":
        entries.push({ ...entry, status, oldPath: null, newPath: first, oldMode: null, oldOid: null });
        break;
      case "D":
        entries.push({ ...entry, status, oldPath: first, newPath: null, newMode: null, newOid: null });
        break;
      case "M":
      case "T":
        entries.push({ ...entry, status, oldPath: first, newPath: first });
        break;
      case "R":
        entries.push({ ...entry, status, oldPath: first, newPath: fields[at++] ?? "" });
        break;
      default:
        throw new ReviewError(
          "git_error",
          `git diff-tree reported status ${status}, which has no meaning here`,
        );
    }
  }
  return entries;
}

/**
 * Groups of entries that only make sense together: where a path of one side is a directory on the other, taking
 * one entry without the other would need a file and a directory of the same name.
 *
 * @returns for each entry the number of its group, or -1
 */
export function swapGroups(entries: Entry[]): number[] {
  const before = new Map<RawPath, number>();
  const after = new Map<RawPath, number>();
  entries.forEach((entry, index) => {
    if (entry.oldPath !== null) before.set(entry.oldPath, index);
    if (entry.newPath !== null) after.set(entry.newPath, index);
  });
  const parent = entries.map((_, index) => index);
  const root = (index: number): number => {
    let at = index;
    while (parent[at] !== at) at = parent[at] as number;
    return at;
  };
  const grouped = new Set<number>();
  const joinBelow = (paths: Map<RawPath, number>, files: Map<RawPath, number>) => {
    for (const [path, index] of paths) {
      for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
        const directory = path.slice(0, slash);
        const other = files.get(directory);
        if (other === undefined || !isBelow(path, directory)) continue;
        parent[root(index)] = root(other);
        grouped.add(index).add(other);
      }
    }
  };
  joinBelow(after, before);
  joinBelow(before, after);
  return entries.map((_, index) => (grouped.has(index) ? root(index) : -1));
}
