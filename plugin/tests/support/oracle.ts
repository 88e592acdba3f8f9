/**
 * What a tree must hold when only some hunks count, worked out another way than the engine does it: whole lines of
 * the two sides are copied by number from the files themselves, no diff text and no object id is looked at.
 */
import type { Entry } from "../../src/diff/raw.ts";
import { type File, linesOf, type Tree } from "./trees.ts";

/** Where a hunk is and what it is; the engine's rows and found hunks both are this. */
export interface Place {
  entry: number;
  kind: string;
  group: number[] | null;
  oldFrom: number;
  oldCount: number;
  newFrom: number;
  newCount: number;
}

export function expectedTree(
  before: Tree,
  after: Tree,
  entries: Entry[],
  places: Place[],
  counts: (place: Place) => boolean,
): Tree {
  const result = new Map(before);
  for (const entry of entries) if (entry.oldPath !== null) result.delete(entry.oldPath);
  entries.forEach((entry, index) => {
    const own = places.filter((place) => (place.group ?? [place.entry]).includes(index));
    const old = entry.oldPath === null ? null : (before.get(entry.oldPath) as File);
    const fresh = entry.newPath === null ? null : (after.get(entry.newPath) as File);
    const chosen = (kind: string) => own.some((place) => place.kind === kind && counts(place));
    const lines = own.filter((place) => ["text", "create", "delete"].includes(place.kind));
    const put = (path: string | null, value: File | null) => {
      if (path !== null && value !== null) result.set(path, value);
    };
    const whole = own.find((place) => ["swap", "type"].includes(place.kind));
    if (whole !== undefined) {
      if (counts(whole)) put(entry.newPath, fresh);
      else put(entry.oldPath, old);
      return;
    }
    if (old === null && !lines.some(counts)) return;
    if (fresh === null && lines.every(counts)) return;
    const isLine = lines.length > 0 && lines.every((place) => place.oldCount + place.newCount > 0);
    const path = old === null || (fresh !== null && chosen("rename")) ? entry.newPath : entry.oldPath;
    const mode = old === null || (fresh !== null && chosen("mode")) ? fresh?.mode : old.mode;
    const atomic = ["binary", "symlink", "submodule"].some(chosen) || (!isLine && lines.some(counts));
    const text = isLine
      ? merged(old?.text ?? "", fresh?.text ?? "", lines, counts)
      : atomic
        ? fresh?.text
        : old?.text;
    put(path, { mode: mode as File["mode"], text: text as string });
  });
  return result;
}

function merged(old: string, fresh: string, places: Place[], counts: (place: Place) => boolean): string {
  const oldLines = linesOf(old);
  const newLines = linesOf(fresh);
  const out: string[] = [];
  let line = 0;
  const ordered = [...places].sort((a, b) => a.oldFrom - b.oldFrom || a.newFrom - b.newFrom);
  for (const place of ordered) {
    out.push(...oldLines.slice(line, place.oldFrom));
    line = place.oldFrom + place.oldCount;
    if (counts(place)) out.push(...newLines.slice(place.newFrom, place.newFrom + place.newCount));
    else out.push(...oldLines.slice(place.oldFrom, line));
  }
  out.push(...oldLines.slice(line));
  return out.join("");
}
