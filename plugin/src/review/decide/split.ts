/** Cutting a hunk so that a range of its lines can be decided apart. Pure. */
import { concat, lineOffsets, utf8 } from "../../diff/bytes.ts";
import { hunkDigest } from "../../diff/digest.ts";
import { encodingOf, linesOfDiff } from "../../diff/hunks.ts";
import { formatRun } from "../../diff/unified.ts";
import type { HunkDecision } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { HunkRow, NewHunk } from "../ledger/hunk-rows.ts";

const LF = 10;

export interface Part {
  row: NewHunk;
  chosen: boolean;
}

/**
 * Up to three parts: what is before the lines, the lines, what is after.
 *
 * @param lines 0-based ranges [first, count] among the lines that the hunk removes and adds
 * @throws ReviewError invalid_request, naming the side and what was expected
 */
export function splitHunk(hunk: HunkRow, lines: NonNullable<HunkDecision["lines"]>): Part[] {
  const refuse = (message: string) => new ReviewError("invalid_request", `lines: ${message}`);
  if (hunk.atomic_reason !== null)
    throw refuse(`this ${hunk.kind} hunk cannot be split, ${hunk.atomic_reason}`);
  if (hunk.state !== "pending")
    throw refuse("the hunk is decided already; undo that before deciding a part of it");
  const [oldFirst, oldCount] = lines.old;
  const [newFirst, newCount] = lines.new;
  if (oldFirst + oldCount > hunk.old_count) throw refuse(`old: the hunk removes ${hunk.old_count} lines`);
  if (newFirst + newCount > hunk.new_count) throw refuse(`new: the hunk adds ${hunk.new_count} lines`);
  if (oldCount + newCount === 0) throw refuse("expected at least one line");
  const text = linesOfDiff(hunk.diff);
  const old = lineOffsets(text.old);
  const fresh = lineOffsets(text.new);
  const oldCuts = [0, oldFirst, oldFirst + oldCount, hunk.old_count];
  const newCuts = [0, newFirst, newFirst + newCount, hunk.new_count];
  const { key: _, ...whole } = hunk;
  const parts: Part[] = [];
  const cut = (bytes: Uint8Array, offsets: number[], from: number, to: number) =>
    bytes.subarray(offsets[from], offsets[to]);
  for (let i = 0; i < 3; i++) {
    const [oldFrom, oldTo, newFrom, newTo] = [oldCuts[i], oldCuts[i + 1], newCuts[i], newCuts[i + 1]] as [
      number,
      number,
      number,
      number,
    ];
    if (oldTo === oldFrom && newTo === newFrom) continue;
    const part = { old: cut(text.old, old, oldFrom, oldTo), new: cut(text.new, fresh, newFrom, newTo) };
    // Without its newline a line can only be last, whichever parts are taken.
    const last = oldTo === hunk.old_count && newTo === hunk.new_count;
    const open = (bytes: Uint8Array) => bytes.length > 0 && bytes[bytes.length - 1] !== LF;
    if (!last && (open(part.old) || open(part.new))) {
      throw refuse("a line that ends the file without a newline can only be in the last part");
    }
    const run = {
      oldFrom: hunk.old_from + oldFrom,
      oldCount: oldTo - oldFrom,
      newFrom: hunk.new_from + newFrom,
      newCount: newTo - newFrom,
      ...part,
      before: new Uint8Array(0),
      beforeCount: 0,
      after: new Uint8Array(0),
      afterCount: 0,
    };
    const diff = formatRun(run);
    const mode = (hunk.new_mode ?? hunk.old_mode) as string;
    const side = (kind: "create" | "delete", bytes: Uint8Array) =>
      hunk.kind === kind ? concat([utf8(`${mode}\n`), bytes]) : bytes;
    parts.push({
      chosen: i === 1,
      row: {
        ...whole,
        id: `${hunk.id}.${parts.length + 1}`,
        split_from: hunk.id,
        diff,
        encoding: encodingOf(diff) === "latin1" ? "latin1" : hunk.encoding,
        digest: hunkDigest(hunk.kind, hunk.path, side("delete", part.old), side("create", part.new)),
        old_from: run.oldFrom,
        old_count: run.oldCount,
        new_from: run.newFrom,
        new_count: run.newCount,
        context_before: 0,
        context_after: 0,
        comments: null,
      },
    });
  }
  return parts;
}
