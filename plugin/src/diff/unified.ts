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

/** An edited diff as it reads where its lines are in a base in which they have moved. */
export function movedDiff(diff: string, by: number): string {
  return diff.replace(
    /^@@ -(\d+)((?:,\d+)?) \+(\d+)/m,
    (_, oldStart, oldCount, newStart) =>
      `@@ -${Number(oldStart) + by}${oldCount} +${Math.max(0, Number(newStart) + by)}`,
  );
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
  const baseLines = new Lines(base);
  const { start, changed, kept } = new EditedReader(diff, baseLines).read();
  // A block without any change asks for the base as it is: an empty replacement of nothing, at a place of its own.
  const nowhere = Math.min(Math.max(start, claimFree.from), claimFree.to);
  const { from, to } = changed ?? { from: nowhere, to: nowhere };
  if (changed !== null && (from < claimFree.from || to > claimFree.to)) {
    throw refuse(
      `changes base lines ${from + 1} to ${to}, but only lines ${claimFree.from + 1} to ${claimFree.to} are this hunk's to change; the neighbouring lines belong to other hunks`,
    );
  }
  const own = kept.filter((line) => line.at === -1 || (line.at >= from && line.at < to));
  if (own.slice(0, -1).some(({ line }) => line[line.length - 1] !== LF)) {
    throw refuse("only the file's last line may lack its newline");
  }
  const text = concat(own.map((line) => line.line));
  checkEnds(text, baseLines, from, to);
  return { from, count: to - from, text };
}

/** Bytes by their lines, each with its end. */
class Lines {
  readonly #offsets: ArrayLike<number>;
  constructor(readonly bytes: Uint8Array) {
    this.#offsets = lineOffsets(bytes);
  }
  get count(): number {
    return this.#offsets.length - 1;
  }
  at(index: number): Uint8Array {
    return this.bytes.subarray(this.#offsets[index], this.#offsets[index + 1]);
  }
}

/** What an edited block says, before it is asked whose lines it changes. */
interface EditedBlock {
  /** The base line at which the block begins. */
  start: number;
  /** Base lines [from, to) that it changes; null for none. */
  changed: { from: number; to: number } | null;
  /** Lines of the text as it is to be: context by its base line, added ones with -1. */
  kept: { at: number; line: Uint8Array }[];
}

/** Reads the one `@@` block of an edited diff by its counts, line by line against the base. */
class EditedReader {
  readonly #diff: Lines;
  /** The line of the diff that is next. */
  #at = 0;
  #oldLeft: number;
  #newLeft: number;
  readonly #stated: { old: number; new: number };
  /** The base line that is next. */
  #position: number;
  readonly #block: EditedBlock;

  constructor(
    diff: Uint8Array,
    private readonly base: Lines,
  ) {
    this.#diff = new Lines(diff);
    while (this.#at < this.#diff.count && !startsWith(this.#diff.at(this.#at), "@@ ")) this.#at++;
    const head = this.#at < this.#diff.count ? HEADER.exec(toLatin1(this.#diff.at(this.#at))) : null;
    if (head === null) throw refuse('expected a unified diff with an "@@ -start,count +start,count @@" line');
    this.#at++;
    this.#oldLeft = Number(head[2] ?? 1);
    this.#newLeft = Number(head[4] ?? 1);
    this.#stated = { old: this.#oldLeft, new: this.#newLeft };
    this.#position = this.#oldLeft === 0 ? Number(head[1]) : Number(head[1]) - 1;
    this.#block = { start: this.#position, changed: null, kept: [] };
  }

  read(): EditedBlock {
    while (this.#oldLeft > 0 || this.#newLeft > 0) this.#takeLine();
    for (; this.#at < this.#diff.count; this.#at++) {
      const rest = this.#diff.at(this.#at);
      if (rest.length > 1 || rest[0] !== LF)
        throw refuse("expected nothing after the lines that the header counts");
    }
    return this.#block;
  }

  #takeLine(): void {
    const number = this.#at + 1;
    if (this.#at >= this.#diff.count) {
      throw refuse(
        `ended too early: the header states ${this.#stated.old} old and ${this.#stated.new} new lines, ${this.#oldLeft} old and ${this.#newLeft} new are missing`,
      );
    }
    const sign = this.#diff.at(this.#at)[0];
    // Editors strip trailing blanks: an empty line of the diff is an empty context line.
    if (sign === 0x20 || sign === LF) {
      if (this.#oldLeft === 0 || this.#newLeft === 0)
        throw refuse(`line ${number} is context beyond the counts of the header`);
      const line = sign === LF ? this.#diff.at(this.#at++) : this.#signedText();
      this.#matchBase(line, number, "context");
      this.#block.kept.push({ at: this.#position, line });
      this.#position++;
      this.#oldLeft--;
      this.#newLeft--;
    } else if (sign === 0x2d) {
      if (this.#oldLeft === 0) throw refuse(`line ${number} removes more lines than the header states`);
      this.#matchBase(this.#signedText(), number, "removed");
      this.#change(1);
      this.#oldLeft--;
    } else if (sign === 0x2b) {
      if (this.#newLeft === 0) throw refuse(`line ${number} adds more lines than the header states`);
      this.#block.kept.push({ at: -1, line: this.#signedText() });
      this.#change(0);
      this.#newLeft--;
    } else {
      throw refuse(`line ${number} begins with neither " ", "-", "+" nor "\\"`);
    }
  }

  /** @param removed how many base lines go here */
  #change(removed: number): void {
    const from = this.#block.changed?.from ?? this.#position;
    this.#position += removed;
    this.#block.changed = { from, to: this.#position };
  }

  /** The next line without its sign, and with the end that it has in the file. */
  #signedText(): Uint8Array {
    const line = this.#diff.at(this.#at++).subarray(1);
    const ended = line[line.length - 1] === LF;
    if (this.#at < this.#diff.count && startsWith(this.#diff.at(this.#at), "\\")) {
      this.#at++;
      return ended ? line.subarray(0, -1) : line;
    }
    // A diff cut at its very end: the text's last line lacks "\n" though the file's line does not.
    return ended ? line : concat([line, utf8("\n")]);
  }

  #matchBase(text: Uint8Array, number: number, sort: string): void {
    const index = this.#position;
    if (index >= this.base.count)
      throw refuse(`line ${number} speaks of base line ${index + 1}, but the file has ${this.base.count}`);
    if (!equalBytes(this.base.at(index), text)) {
      throw refuse(`line ${number} (${sort}) is not what the base has in line ${index + 1}`);
    }
  }
}

/** Only the last line of a file may lack its newline, before and after. */
function checkEnds(text: Uint8Array, base: Lines, from: number, to: number): void {
  if (text.length === 0) return;
  if (to !== base.count && text[text.length - 1] !== LF) {
    throw refuse("only the file's last line may lack its newline");
  }
  if (from === base.count && from > 0 && base.bytes[base.bytes.length - 1] !== LF) {
    throw refuse(
      "the file's last line has no newline: replace it with itself and a newline to add lines after it",
    );
  }
}

function startsWith(line: Uint8Array | undefined, text: string): boolean {
  if (line === undefined || line.length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (line[i] !== text.charCodeAt(i)) return false;
  return true;
}
