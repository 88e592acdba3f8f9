/**
 * Composition: what a tree holds when some hunks count and others do not. Always from the base and the hunks'
 * ranges, never by patching an earlier result, so that every subset in every order gives the same bytes.
 */
import { ReviewError } from "../protocol/errors.ts";
import type { HunkKind } from "../protocol/model.ts";
import { concat, lineOffsets } from "./bytes.ts";
import type { RawPath } from "./paths.ts";
import type { Entry } from "./raw.ts";

/** A hunk reduced to what composition needs. */
export interface Piece {
  entry: number;
  group: number[] | null;
  kind: HunkKind;
  oldFrom: number;
  oldCount: number;
  /** Orders insertions at the same base line (parts of a split hunk). */
  newFrom: number;
  /** Whether the hunk's change counts in the tree being composed. */
  applied: boolean;
  /** The developer's own text for these base lines, where the hunk was modified. */
  replacement: { from: number; count: number; text: Uint8Array } | null;
  /** New lines of the hunk; asked for only when needed. */
  text: () => Uint8Array;
}

/** A file of a composed tree: content by object id where the whole side is taken, else as bytes. */
export type FileState =
  | { path: RawPath; mode: string; oid: string }
  | { path: RawPath; mode: string; content: Uint8Array };

export interface ComposedChange {
  /** Paths of the base that this change touches; all are to be taken out before `files` are put in. */
  removed: RawPath[];
  files: FileState[];
}

/** Content of a blob of the base, by object id. */
export type ReadBlob = (oid: string) => Uint8Array;

const sideState = (path: RawPath | null, mode: string | null, oid: string | null): FileState[] =>
  path === null || mode === null || oid === null ? [] : [{ path, mode, oid }];

function composeLines(base: Uint8Array, pieces: Piece[]): Uint8Array {
  const spans = pieces
    .filter((piece) => piece.applied)
    .map((piece) => ({
      from: piece.replacement?.from ?? piece.oldFrom,
      count: piece.replacement?.count ?? piece.oldCount,
      order: piece.newFrom,
      piece,
    }))
    .sort((a, b) => a.from - b.from || a.count - b.count || a.order - b.order);
  const offsets = lineOffsets(base);
  const parts: Uint8Array[] = [];
  let line = 0;
  for (const { from, count, piece } of spans) {
    if (from < line || from + count >= offsets.length) {
      throw new ReviewError("internal", "Two hunks claim the same base lines; nothing was composed");
    }
    parts.push(base.subarray(offsets[line], offsets[from]), piece.replacement?.text ?? piece.text());
    line = from + count;
  }
  parts.push(base.subarray(offsets[line]));
  return concat(parts);
}

/** Kinds that are composed by lines; the others are one operation on a file. */
export const LINE_KINDS: ReadonlySet<HunkKind> = new Set(["text", "create", "delete"]);

function composeEntry(entry: Entry, pieces: Piece[], readBlob: ReadBlob): FileState[] {
  const before = sideState(entry.oldPath, entry.oldMode, entry.oldOid);
  const after = sideState(entry.newPath, entry.newMode, entry.newOid);
  const untouched = pieces.every((piece) => piece.applied && piece.replacement === null);
  if (untouched) return after;
  if (pieces.every((piece) => !piece.applied)) return before;

  const takes = (kind: HunkKind) => pieces.some((piece) => piece.kind === kind && piece.applied);
  const lines = pieces.filter((piece) => LINE_KINDS.has(piece.kind));
  const wholesale = pieces.some((piece) => ["binary", "symlink", "submodule", "type"].includes(piece.kind));
  const path = (takes("rename") || entry.oldPath === null ? entry.newPath : entry.oldPath) as RawPath;
  const mode = (
    takes("mode") || entry.oldMode === null || takes("type") ? entry.newMode : entry.oldMode
  ) as string;
  const base = (): Uint8Array => (entry.oldOid === null ? new Uint8Array(0) : readBlob(entry.oldOid));

  if (wholesale) {
    const taken = takes("binary") || takes("symlink") || takes("submodule") || takes("type");
    return sideState(path, mode, taken ? entry.newOid : entry.oldOid);
  }
  // A deletion that holds only in part, or with the developer's own text, leaves a file.
  const allGone =
    entry.newPath === null && lines.every((piece) => piece.applied && piece.replacement === null);
  if (allGone) return [];
  if (entry.oldPath === null && !lines.some((piece) => piece.applied)) return [];
  const noLines = lines.every((piece) => !piece.applied);
  if (noLines && entry.oldOid !== null) return [{ path, mode, oid: entry.oldOid }];
  const allLines =
    entry.newOid !== null && lines.every((piece) => piece.applied && piece.replacement === null);
  if (allLines) return [{ path, mode, oid: entry.newOid as string }];
  return [{ path, mode, content: composeLines(base(), lines) }];
}

/**
 * @param entries of the revision
 * @param pieces all hunks of the revision, in any order
 * @returns what to change in the base tree
 */
export function compose(entries: Entry[], pieces: Piece[], readBlob: ReadBlob): ComposedChange {
  const byEntry = new Map<number, Piece[]>();
  for (const piece of pieces) {
    for (const index of piece.group ?? [piece.entry]) {
      const list = byEntry.get(index);
      if (list === undefined) byEntry.set(index, [piece]);
      else list.push(piece);
    }
  }
  const change: ComposedChange = { removed: [], files: [] };
  entries.forEach((entry, index) => {
    const own = byEntry.get(index) ?? [];
    if (entry.oldPath !== null) change.removed.push(entry.oldPath);
    const swapped = own.find((piece) => piece.group !== null);
    if (swapped !== undefined) {
      const [path, mode, oid] = swapped.applied
        ? [entry.newPath, entry.newMode, entry.newOid]
        : [entry.oldPath, entry.oldMode, entry.oldOid];
      change.files.push(...sideState(path, mode, oid));
    } else {
      change.files.push(...composeEntry(entry, own, readBlob));
    }
  });
  return change;
}

/** Ids of the base blobs that {@link compose} will ask for: of files whose lines count in part, or were modified. */
export function neededBlobs(entries: Entry[], pieces: Piece[]): string[] {
  const lines = new Map<number, { some: boolean; all: boolean }>();
  for (const piece of pieces) {
    if (piece.group !== null || !LINE_KINDS.has(piece.kind)) continue;
    const seen = lines.get(piece.entry) ?? { some: false, all: true };
    seen.some ||= piece.applied;
    seen.all &&= piece.applied && piece.replacement === null;
    lines.set(piece.entry, seen);
  }
  const needed = new Set<string>();
  for (const [index, { some, all }] of lines) {
    const oid = entries[index]?.oldOid;
    if (some && !all && oid) needed.add(oid);
  }
  return [...needed];
}
