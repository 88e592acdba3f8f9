/**
 * Which decisions a new revision keeps. A hunk keeps its decision when its content and its place are what they
 * were; everything else is pending. Pure: it is given both revisions and the map between their bases.
 */
import { EMPTY } from "../../diff/bytes.ts";
import { compose, type Piece } from "../../diff/compose.ts";
import type { FoundHunk } from "../../diff/hunks.ts";
import { linesOfDiff } from "../../diff/hunks.ts";
import { formatRun, movedDiff } from "../../diff/unified.ts";
import type { HunkState } from "../../protocol/model.ts";
import {
  type DecisionRecord,
  decisionOf,
  diffText,
  type HunkRow,
  type NewHunk,
} from "../ledger/hunk-rows.ts";

/** Where a base line of the old revision is in the new one's base, or null when it was changed. */
export type MapLine = (path: string, line: number, count: number) => number | null;

export interface Carried {
  state: HunkState;
  decision: DecisionRecord | null;
  earlier: { revision: number; comment?: string; diff: string } | null;
}

const PENDING: Carried = { state: "pending", decision: null, earlier: null };

const placeKey = (path: string, digest: string, line: number): string => `${digest} ${line} ${path}`;
const rawPathOf = (row: HunkRow): string => row.path;

/**
 * @param previous standing hunks of the revision before
 * @param found hunks of the new revision
 * @param oldPath base path of a found hunk, where modifications are looked up
 */
export function carryDecisions(
  previous: HunkRow[],
  found: FoundHunk[],
  mapLine: MapLine,
  revision: number,
): Carried[] {
  const decided = new Map<string, HunkRow>();
  for (const row of previous) {
    if (row.state === "pending") continue;
    const line = mapLine(rawPathOf(row), row.old_from, row.old_count);
    if (line !== null) decided.set(placeKey(row.path, row.digest, line), row);
  }
  const carried = found.map((hunk): Carried => {
    const row = decided.get(placeKey(hunk.path, hunk.digest, hunk.oldFrom));
    const decision = row === undefined ? null : decisionOf(row);
    if (row === undefined || decision === null) return PENDING;
    const moved = mapLine(rawPathOf(row), row.old_from, row.old_count);
    const shift = (moved ?? row.old_from) - row.old_from;
    return { state: row.state, decision: carriedDecision(row, decision, shift), earlier: null };
  });
  carryModifications(previous, found, carried, mapLine);
  const rejectedIn = Map.groupBy(
    previous.filter((row) => row.state === "rejected"),
    (row) => row.path,
  );
  for (const [index, hunk] of found.entries()) {
    const own = carried[index] as Carried;
    if (own.state !== "pending") continue;
    const rejected = rejectedIn.get(hunk.path)?.find((row) => touches(row, hunk, mapLine));
    if (rejected === undefined) continue;
    const comment = decisionOf(rejected)?.comment;
    carried[index] = {
      ...own,
      earlier: { revision, ...(comment === undefined ? {} : { comment }), diff: diffText(rejected) },
    };
  }
  return carried;
}

/**
 * A hunk that was split and is what it was stays split: its parts are decided apart in the new revision too.
 *
 * @param roots hunks of the revision before that were split, with all the parts below them
 * @param whole the new revision's hunk
 * @returns parts of `whole`, those that were split again among them; [] when it was not split
 */
export function carryParts(
  roots: { root: HunkRow; parts: HunkRow[] }[],
  whole: NewHunk,
  mapLine: MapLine,
): NewHunk[] {
  const before = roots.find(
    ({ root }) =>
      root.digest === whole.digest &&
      root.path === whole.path &&
      mapLine(root.path, root.old_from, root.old_count) === whole.old_from,
  );
  if (before === undefined) return [];
  const { root, parts } = before;
  const shift = whole.old_from - root.old_from;
  const renamed = (id: string): string => `${whole.id}${id.slice(root.id.length)}`;
  return parts.map((part) => {
    const decision = decisionOf(part);
    return {
      ...whole,
      id: renamed(part.id),
      split_from: renamed(part.split_from ?? root.id),
      retired: part.retired,
      digest: part.digest,
      diff: movedHeader(part, shift, whole.new_from - root.new_from),
      encoding: part.encoding,
      old_from: part.old_from + shift,
      old_count: part.old_count,
      new_from: part.new_from + whole.new_from - root.new_from,
      new_count: part.new_count,
      context_before: part.context_before,
      context_after: part.context_after,
      state: part.state,
      decision: decision === null ? null : JSON.stringify(carriedDecision(part, decision, shift)),
      earlier: null,
    };
  });
}

/** The part's diff with the line numbers of its new place. */
function movedHeader(part: HunkRow, oldShift: number, newShift: number): Uint8Array {
  const text = linesOfDiff(part.diff);
  return formatRun({
    oldFrom: part.old_from + oldShift,
    oldCount: part.old_count,
    newFrom: part.new_from + newShift,
    newCount: part.new_count,
    ...text,
    before: EMPTY,
    beforeCount: 0,
    after: EMPTY,
    afterCount: 0,
  });
}

function carriedDecision(row: HunkRow, decision: DecisionRecord, shift: number): DecisionRecord {
  const { modified } = decision;
  return {
    ...decision,
    ...(modified === undefined
      ? {}
      : {
          modified: {
            ...modified,
            from: modified.from + shift,
            diff: shift === 0 ? modified.diff : movedDiff(modified.diff, shift),
          },
        }),
    carried_from: decision.carried_from ?? row.revision,
  };
}

function touches(row: HunkRow, hunk: FoundHunk, mapLine: MapLine): boolean {
  const line = mapLine(rawPathOf(row), row.old_from, row.old_count);
  if (line === null || row.atomic_reason !== null || hunk.atomicReason !== null)
    return row.kind === hunk.kind && row.atomic_reason !== null;
  return line <= hunk.oldFrom + hunk.oldCount && hunk.oldFrom <= line + row.old_count;
}

/**
 * Once settled, the agent's change holds the developer's own text where a hunk was modified. New hunks that together
 * say exactly that text for those lines are the developer's, and accepted.
 */
function carryModifications(
  previous: HunkRow[],
  found: FoundHunk[],
  carried: Carried[],
  mapLine: MapLine,
): void {
  for (const row of previous) {
    const decision = decisionOf(row);
    const modified = decision?.modified;
    if (row.state !== "modified" || modified === undefined || decision === null) continue;
    const from = mapLine(rawPathOf(row), modified.from, modified.count);
    if (from === null) continue;
    const inside = [...found.keys()].filter((index) => {
      const hunk = found[index] as FoundHunk;
      return (
        (carried[index] as Carried).state === "pending" &&
        hunk.path === row.path &&
        hunk.atomicReason === null &&
        // A version of the developer's leaves a file, be it an empty one.
        hunk.kind !== "delete" &&
        hunk.oldFrom >= from &&
        hunk.oldFrom + hunk.oldCount <= from + modified.count
      );
    });
    if (inside.length === 0) continue;
    const wanted = Buffer.from(modified.text, "base64");
    const made = textOfRange(
      inside.map((index) => found[index] as FoundHunk),
      row,
      modified.count,
      from,
    );
    if (made === null || Buffer.compare(made, wanted) !== 0) continue;
    for (const index of inside) {
      const { modified: _, ...rest } = decision;
      carried[index] = {
        state: "accepted",
        decision: { ...rest, carried_from: decision.carried_from ?? row.revision },
        earlier: null,
      };
    }
  }
}

/** What hunks make of base lines [from, from + count), where the lines between them can be had from their diffs. */
function textOfRange(hunks: FoundHunk[], row: HunkRow, count: number, from: number): Uint8Array | null {
  // Only a base in which every line of the range is known can be composed; the old hunk's own lines and the context
  // of the new hunks give them.
  const lines = new Map<number, Uint8Array>();
  const learn = (diff: Uint8Array, first: number) => {
    let line = first;
    let at = diff.indexOf(10) + 1;
    while (at > 0 && at < diff.length) {
      const end = diff.indexOf(10, at) + 1 || diff.length;
      const sign = diff[at];
      if (sign === 0x20 || sign === 0x2d) lines.set(line++, diff.subarray(at + 1, end));
      at = end;
    }
  };
  for (const hunk of hunks) learn(hunk.diff, hunk.oldFrom - hunk.contextBefore);
  if (row.old_from === from) learn(row.diff, row.old_from - row.context_before);
  const base: Uint8Array[] = [];
  for (let line = from; line < from + count; line++) {
    const bytes = lines.get(line);
    if (bytes === undefined) return null;
    base.push(bytes);
  }
  const pieces: Piece[] = hunks.map((hunk) => ({
    entry: 0,
    group: null,
    kind: "text",
    oldFrom: hunk.oldFrom - from,
    oldCount: hunk.oldCount,
    newFrom: hunk.newFrom,
    applied: true,
    replacement: { from: hunk.oldFrom - from, count: hunk.oldCount, text: linesOfDiff(hunk.diff).new },
    text: () => new Uint8Array(0),
  }));
  const entry = {
    status: "M" as const,
    oldPath: "x",
    newPath: "x",
    oldMode: "100644",
    newMode: "100644",
    oldOid: "base",
    newOid: "new",
  };
  const [file] = compose([entry], pieces, () => Buffer.concat(base)).files;
  return file !== undefined && "content" in file ? file.content : null;
}
