/**
 * Unified diff text of single hunks: written for people and clients, and read back when a developer edited one.
 * The format is POSIX `diff -u` with git's "\ No newline at end of file".
 */
import { ReviewError } from "../protocol/errors.ts";
import { concat, equalBytes, lineOffsets, toLatin1, utf8 } from "./bytes.ts";
import type { Run } from "./patch.ts";

const LF = 10;
const NO_NEWLINE = utf8("\\ No newline at end of file\n");

function signed(sign: string, text: Uint8Array): Uint8Array[] {
  const offsets = lineOffsets(text);
  const parts: Uint8Array[] = [];
  const prefix = utf8(sign);
  for (let i = 0; i + 1 < offsets.length; i++) {
    const line = text.subarray(offsets[i], offsets[i + 1]);
    parts.push(prefix, line);
    if (line[line.length - 1] !== LF) parts.push(utf8("\n"), NO_NEWLINE);
  }
  return parts;
}

/** Line number as a header states it: 1-based, and the line before the place when there is no line. */
const headerStart = (from: number, count: number): number => (count === 0 ? from : from + 1);
const headerRange = (from: number, count: number): string =>
  count === 1 ? `${headerStart(from, count)}` : `${headerStart(from, count)},${count}`;

/** One hunk as unified diff, context included. */
export function formatRun(run: Run): Uint8Array {
  const oldFrom = run.oldFrom - run.beforeCount;
  const newFrom = run.newFrom - run.beforeCount;
  const context = run.beforeCount + run.afterCount;
  const header = `@@ -${headerRange(oldFrom, run.oldCount + context)} +${headerRange(newFrom, run.newCount + context)} @@\n`;
  if (run.body !== undefined) {
    const diff = new Uint8Array(header.length + run.body.length);
    for (let i = 0; i < header.length; i++) diff[i] = header.charCodeAt(i);
    diff.set(run.body, header.length);
    return diff;
  }
  return concat([
    utf8(header),
    ...signed(" ", run.before),
    ...signed("-", run.old),
    ...signed("+", run.new),
    ...signed(" ", run.after),
  ]);
}

/** What an edited diff asks for: base lines [from, from + count) become `text`. */
export interface Replacement {
  from: number;
  count: number;
  text: Uint8Array;
}

const HEADER = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@[^\n]*\n?$/;
const refuse = (message: string): ReviewError =>
  new ReviewError("invalid_modification", `modified_diff: ${message}`, {
    details: { field: "modified_diff" },
  });

/**
 * Reads an edited diff of one hunk against the file it was made on.
 *
 * File headers (`---`, `+++`, `diff --git`) before the `@@` line are passed over; there must be exactly one `@@`
 * block, its counts must be right, and its context and removed lines must be the base's at the stated place.
 *
 * @param diff the edited text
 * @param base the whole base file
 * @param claimFree lines [from, to) of the base that no other hunk claims: the block's changes must lie inside
 * @throws ReviewError invalid_modification, saying which line and what was expected
 */
export function parseEdited(
  diff: Uint8Array,
  base: Uint8Array,
  claimFree: { from: number; to: number },
): Replacement {
  const lines: Uint8Array[] = [];
  const offsets = lineOffsets(diff);
  for (let i = 0; i + 1 < offsets.length; i++) lines.push(diff.subarray(offsets[i], offsets[i + 1]));

  let at = 0;
  while (at < lines.length && !startsWith(lines[at], "@@ ")) at++;
  const head = lines[at] === undefined ? null : HEADER.exec(toLatin1(lines[at] as Uint8Array));
  if (head === null) throw refuse('expected a unified diff with an "@@ -start,count +start,count @@" line');
  let oldLeft = Number(head[2] ?? 1);
  let newLeft = Number(head[4] ?? 1);
  const stated = { old: oldLeft, new: newLeft };
  const baseOffsets = lineOffsets(base);
  const baseLines = baseOffsets.length - 1;
  const baseLine = (index: number): Uint8Array => base.subarray(baseOffsets[index], baseOffsets[index + 1]);

  let position = oldLeft === 0 ? Number(head[1]) : Number(head[1]) - 1;
  const start = position;
  let first = -1;
  let lastChanged = position;
  const kept: { at: number; line: Uint8Array }[] = [];
  at++;

  /** Editors strip trailing blanks: an empty line of the diff is an empty context line. */
  const takeEmpty = (line: Uint8Array): Uint8Array => {
    at++;
    return line;
  };
  const takeLine = (): Uint8Array => {
    const line = (lines[at] as Uint8Array).subarray(1);
    at++;
    if (at < lines.length && startsWith(lines[at], "\\")) {
      at++;
      return line[line.length - 1] === LF ? line.subarray(0, -1) : line;
    }
    // A diff cut at its very end: the text's last line lacks "\n" though the file's line does not.
    return line[line.length - 1] === LF ? line : concat([line, utf8("\n")]);
  };

  while (oldLeft > 0 || newLeft > 0) {
    const line = lines[at];
    if (line === undefined) {
      throw refuse(
        `ended too early: the header states ${stated.old} old and ${stated.new} new lines, ${oldLeft} old and ${newLeft} new are missing`,
      );
    }
    const sign = line[0];
    const number = at + 1;
    if (sign === 0x20 || sign === LF) {
      if (oldLeft === 0 || newLeft === 0)
        throw refuse(`line ${number} is context beyond the counts of the header`);
      const text = sign === LF ? takeEmpty(line) : takeLine();
      matchBase(position, text, number, "context");
      kept.push({ at: position, line: text });
      position++;
      oldLeft--;
      newLeft--;
    } else if (sign === 0x2d) {
      if (oldLeft === 0) throw refuse(`line ${number} removes more lines than the header states`);
      const text = takeLine();
      matchBase(position, text, number, "removed");
      if (first === -1) first = position;
      position++;
      lastChanged = position;
      oldLeft--;
    } else if (sign === 0x2b) {
      if (newLeft === 0) throw refuse(`line ${number} adds more lines than the header states`);
      const text = takeLine();
      if (first === -1) first = position;
      kept.push({ at: -1, line: text });
      lastChanged = position;
      newLeft--;
    } else {
      throw refuse(`line ${number} begins with neither " ", "-", "+" nor "\\"`);
    }
  }
  for (const rest of lines.slice(at)) {
    if (rest.length > 1 || rest[0] !== LF)
      throw refuse("expected nothing after the lines that the header counts");
  }

  // A block without any change asks for the base as it is: an empty replacement of nothing, at a place of its own.
  const nowhere = Math.min(Math.max(start, claimFree.from), claimFree.to);
  const from = first === -1 ? nowhere : first;
  const to = first === -1 ? nowhere : lastChanged;
  if (first !== -1 && (from < claimFree.from || to > claimFree.to)) {
    throw refuse(
      `changes base lines ${from + 1} to ${to}, but only lines ${claimFree.from + 1} to ${claimFree.to} are this hunk's to change; the neighbouring lines belong to other hunks`,
    );
  }
  const own = kept.filter((line) => line.at === -1 || (line.at >= from && line.at < to));
  if (own.slice(0, -1).some(({ line }) => line[line.length - 1] !== LF)) {
    throw refuse("only the file's last line may lack its newline");
  }
  const text = concat(own.map((line) => line.line));
  checkEnds(text, to === baseLines);
  return { from, count: to - from, text };

  function matchBase(index: number, text: Uint8Array, number: number, sort: string): void {
    if (index >= baseLines)
      throw refuse(`line ${number} speaks of base line ${index + 1}, but the file has ${baseLines}`);
    if (!equalBytes(baseLine(index), text)) {
      throw refuse(`line ${number} (${sort}) is not what the base has in line ${index + 1}`);
    }
  }
  function checkEnds(replacement: Uint8Array, atEnd: boolean): void {
    if (!atEnd && replacement.length > 0 && replacement[replacement.length - 1] !== LF) {
      throw refuse("only the file's last line may lack its newline");
    }
    if (from === baseLines && from > 0 && replacement.length > 0 && base[base.length - 1] !== LF) {
      throw refuse(
        "the file's last line has no newline: replace it with itself and a newline to add lines after it",
      );
    }
  }
}

function startsWith(line: Uint8Array | undefined, text: string): boolean {
  if (line === undefined || line.length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (line[i] !== text.charCodeAt(i)) return false;
  return true;
}
