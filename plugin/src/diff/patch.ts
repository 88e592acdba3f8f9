/**
 * Reads `git diff-tree -p` output into runs of changed lines. Lines are taken by the counts of the `@@` headers,
 * never by what they look like: `--- a/x` may be the removed line `-- a/x`, and a removed line may read `@@ -1 +1 @@`.
 */
import { ReviewError } from "../protocol/errors.ts";
import { concat, toLatin1, utf8 } from "./bytes.ts";

/** A maximal run of removed and added lines. Line numbers are 0-based; bytes hold the lines with their ends. */
export interface Run {
  oldFrom: number;
  oldCount: number;
  newFrom: number;
  newCount: number;
  old: Uint8Array;
  new: Uint8Array;
  /** Up to 3 unchanged base lines before and after, never lines of another run; left out where `body` has them. */
  before: Uint8Array;
  beforeCount: number;
  after: Uint8Array;
  afterCount: number;
  /** All of that as the patch shows it, signs and all; a part of the patch, not a copy. */
  body?: Uint8Array;
}

/** What `-p` says of one file. */
export interface Section {
  binary: boolean;
  runs: Run[];
}

const LF = 10;
const CONTEXT = 3;
const startsWith = (bytes: Uint8Array, at: number, text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
};

class LineReader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}
  get done(): boolean {
    return this.at >= this.bytes.length;
  }
  looksAt(text: string): boolean {
    return startsWith(this.bytes, this.at, text);
  }
  /** Moves past the line and gives [start, end) with its "\n". */
  next(): [number, number] {
    const start = this.at;
    const end = this.bytes.indexOf(LF, start);
    this.at = end === -1 ? this.bytes.length : end + 1;
    return [start, this.at];
  }
}

/** Byte ranges of consecutive patch lines of one sort, with their leading sign left out when gathered. */
interface Gathered {
  ranges: [number, number][];
  /** The last line has no "\n" in the file: git said so in the line after it. */
  open: boolean;
}

const none = (): Gathered => ({ ranges: [], open: false });

function gather(bytes: Uint8Array, lines: Gathered): Uint8Array {
  let length = 0;
  for (const [start, end] of lines.ranges) length += end - start - 1;
  if (lines.open) length -= 1;
  const out = new Uint8Array(length);
  let at = 0;
  // By the byte: a view of each line would cost more than the copy.
  for (const [start, end] of lines.ranges) {
    for (let from = start + 1; from < end && at < length; from++) out[at++] = bytes[from] as number;
  }
  return out;
}

const HEADER = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/** One `@@` block: cut into runs with context shared between neighbours only as far as it is nobody's line. */
function readBlock(reader: LineReader, runs: Run[]): void {
  const { bytes } = reader;
  const [start, end] = reader.next();
  const header = HEADER.exec(toLatin1(bytes.subarray(start, Math.min(end, start + 80))));
  if (header === null) throw new ReviewError("git_error", "git printed a hunk header that is not understood");
  let oldLeft = Number(header[2] ?? 1);
  let newLeft = Number(header[4] ?? 1);
  // A count of 0 names the line *before* the place (gitdiff-tree(1), "combined diff format" and POSIX diff -u).
  let oldLine = oldLeft === 0 ? Number(header[1]) : Number(header[1]) - 1;
  let newLine = newLeft === 0 ? Number(header[3]) : Number(header[3]) - 1;

  let context = none();
  let removed = none();
  let added = none();
  let lead = none();
  let leadLimit = CONTEXT;
  let open: { oldFrom: number; newFrom: number } | null = null;
  let last: Gathered | null = null;
  // Where the lines of the last run begin and end in the patch, context before included.
  let bodyFrom = 0;
  let bodyTo = 0;
  let contextTo = 0;

  const close = () => {
    if (open === null) return;
    const before = { ranges: lead.ranges.slice(Math.max(0, lead.ranges.length - leadLimit)), open: false };
    const first = before.ranges[0] ?? removed.ranges[0] ?? added.ranges[0];
    bodyFrom = first?.[0] ?? 0;
    runs.push({
      oldFrom: open.oldFrom,
      oldCount: removed.ranges.length,
      newFrom: open.newFrom,
      newCount: added.ranges.length,
      old: gather(bytes, removed),
      new: gather(bytes, added),
      before: new Uint8Array(0),
      beforeCount: before.ranges.length,
      after: new Uint8Array(0),
      afterCount: 0,
    });
    open = null;
    leadLimit = CONTEXT;
    removed = none();
    added = none();
    context = none();
  };
  const trail = () => {
    const run = runs[runs.length - 1];
    if (run === undefined || blockStart === runs.length) return;
    const after: Gathered = {
      ranges: context.ranges.slice(0, CONTEXT),
      open: context.open && context.ranges.length <= CONTEXT,
    };
    run.afterCount = after.ranges.length;
    const end = after.open ? contextTo : (after.ranges[after.ranges.length - 1]?.[1] ?? bodyTo);
    run.body = bytes.subarray(bodyFrom, end);
  };
  const blockStart = runs.length;

  while (oldLeft > 0 || newLeft > 0) {
    if (reader.done) throw new ReviewError("git_error", "git's patch ended inside a hunk");
    const range = reader.next();
    const sign = bytes[range[0]];
    if (sign === 0x20) {
      close();
      context.ranges.push(range);
      last = context;
      oldLeft--;
      newLeft--;
      oldLine++;
      newLine++;
    } else if (sign === 0x2d || sign === 0x2b) {
      if (open === null) {
        trail();
        lead = context;
        open = { oldFrom: oldLine, newFrom: newLine };
      }
      if (sign === 0x2d) {
        removed.ranges.push(range);
        last = removed;
        oldLeft--;
        oldLine++;
      } else {
        added.ranges.push(range);
        last = added;
        newLeft--;
        newLine++;
      }
      bodyTo = reader.at;
    } else if (sign === 0x5c && last !== null) {
      last.open = true;
      if (last === context) contextTo = reader.at;
      else bodyTo = reader.at;
    } else {
      throw new ReviewError(
        "git_error",
        "git's patch holds a line that is neither context, removed nor added",
      );
    }
  }
  // "\ No newline at end of file" follows the last line it speaks of, after the counts are used up.
  if (!reader.done && reader.looksAt("\\ ") && last !== null) {
    reader.next();
    last.open = true;
    if (last === context) contextTo = reader.at;
    else bodyTo = reader.at;
  }
  close();
  trail();
}

/**
 * @param bytes output of `git diff-tree -r -p -U3` with quoted paths, so that every header is one line
 * @returns one section per `diff --git` line, in order
 */
export function parsePatch(bytes: Uint8Array): Section[] {
  const reader = new LineReader(bytes);
  const sections: Section[] = [];
  let section: Section | null = null;
  while (!reader.done) {
    if (section !== null && reader.looksAt("@@ ")) {
      readBlock(reader, section.runs);
      continue;
    }
    if (reader.looksAt("diff --git ")) {
      section = { binary: false, runs: [] };
      sections.push(section);
    } else if (section !== null && reader.looksAt("Binary files ")) {
      section.binary = true;
    }
    reader.next();
  }
  return sections;
}

const NEXT_FILE = utf8("\ndiff --git ");

/** {@link parsePatch} of output that is still coming: whole files are read while git works on the next ones. */
export class PatchStream {
  #pending: Uint8Array[] = [];

  /** @returns sections that are complete with this; the last one never is */
  push(chunk: Uint8Array): Section[] {
    // Within a file every line begins with a sign, so that only a file's head can read like this.
    const end = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).lastIndexOf(NEXT_FILE) + 1;
    if (end === 0) {
      this.#pending.push(chunk);
      return [];
    }
    const whole = concat([...this.#pending, chunk.subarray(0, end)]);
    this.#pending = [chunk.subarray(end)];
    return parsePatch(whole);
  }

  /** @returns what is left, once git has ended */
  end(): Section[] {
    return parsePatch(concat(this.#pending));
  }
}
