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

const [SPACE, MINUS, PLUS, BACKSLASH] = [0x20, 0x2d, 0x2b, 0x5c];

/** One `@@` block: cut into runs with context shared between neighbours only as far as it is nobody's line. */
class BlockReader {
  #oldLeft: number;
  #newLeft: number;
  #oldLine: number;
  #newLine: number;
  /** Unchanged lines since the last run, and those before the run that is open. */
  #context = none();
  #lead = none();
  #removed = none();
  #added = none();
  /** Where the run that is being read begins. */
  #open: { oldFrom: number; newFrom: number } | null = null;
  /** What the last line was taken into. */
  #last: Gathered | null = null;
  /** Where the lines of the last run begin and end in the patch, context before included. */
  #bodyFrom = 0;
  #bodyTo = 0;
  #contextTo = 0;
  readonly #firstRun: number;

  constructor(
    private readonly reader: LineReader,
    private readonly runs: Run[],
  ) {
    const [start, end] = reader.next();
    const header = HEADER.exec(toLatin1(reader.bytes.subarray(start, Math.min(end, start + 80))));
    if (header === null)
      throw new ReviewError("git_error", "git printed a hunk header that is not understood");
    this.#oldLeft = Number(header[2] ?? 1);
    this.#newLeft = Number(header[4] ?? 1);
    // A count of 0 names the line *before* the place (gitdiff-tree(1), "combined diff format" and POSIX diff -u).
    this.#oldLine = this.#oldLeft === 0 ? Number(header[1]) : Number(header[1]) - 1;
    this.#newLine = this.#newLeft === 0 ? Number(header[3]) : Number(header[3]) - 1;
    this.#firstRun = runs.length;
  }

  read(): void {
    const { reader } = this;
    while (this.#oldLeft > 0 || this.#newLeft > 0) {
      if (reader.done) throw new ReviewError("git_error", "git's patch ended inside a hunk");
      const range = reader.next();
      const sign = reader.bytes[range[0]];
      if (sign === SPACE) this.#takeContext(range);
      else if (sign === MINUS || sign === PLUS) this.#takeChange(range, sign === MINUS);
      else if (sign === BACKSLASH && this.#last !== null) this.#leaveOpen(this.#last);
      else {
        throw new ReviewError(
          "git_error",
          "git's patch holds a line that is neither context, removed nor added",
        );
      }
    }
    // "\ No newline at end of file" follows the last line it speaks of, after the counts are used up.
    if (!reader.done && reader.looksAt("\\ ") && this.#last !== null) {
      reader.next();
      this.#leaveOpen(this.#last);
    }
    this.#close();
    this.#trail();
  }

  #takeContext(range: [number, number]): void {
    this.#close();
    this.#context.ranges.push(range);
    this.#last = this.#context;
    this.#oldLeft--;
    this.#newLeft--;
    this.#oldLine++;
    this.#newLine++;
  }

  #takeChange(range: [number, number], removed: boolean): void {
    if (this.#open === null) {
      this.#trail();
      this.#lead = this.#context;
      this.#open = { oldFrom: this.#oldLine, newFrom: this.#newLine };
    }
    if (removed) {
      this.#last = this.#removed;
      this.#oldLeft--;
      this.#oldLine++;
    } else {
      this.#last = this.#added;
      this.#newLeft--;
      this.#newLine++;
    }
    this.#last.ranges.push(range);
    this.#bodyTo = this.reader.at;
  }

  #leaveOpen(last: Gathered): void {
    last.open = true;
    if (last === this.#context) this.#contextTo = this.reader.at;
    else this.#bodyTo = this.reader.at;
  }

  /** The run that was open is complete, but for the context after it. */
  #close(): void {
    if (this.#open === null) return;
    const before = this.#lead.ranges.slice(-CONTEXT);
    const first = before[0] ?? this.#removed.ranges[0] ?? this.#added.ranges[0];
    this.#bodyFrom = first?.[0] ?? 0;
    this.runs.push({
      ...this.#open,
      oldCount: this.#removed.ranges.length,
      newCount: this.#added.ranges.length,
      old: gather(this.reader.bytes, this.#removed),
      new: gather(this.reader.bytes, this.#added),
      before: new Uint8Array(0),
      beforeCount: before.length,
      after: new Uint8Array(0),
      afterCount: 0,
    });
    this.#open = null;
    this.#removed = none();
    this.#added = none();
    this.#context = none();
  }

  /** The last run gets the context after it, and with that its body. */
  #trail(): void {
    const run = this.runs[this.runs.length - 1];
    if (run === undefined || this.#firstRun === this.runs.length) return;
    const { ranges, open } = this.#context;
    const after = ranges.slice(0, CONTEXT);
    run.afterCount = after.length;
    const isOpen = open && ranges.length <= CONTEXT;
    const end = isOpen ? this.#contextTo : (after[after.length - 1]?.[1] ?? this.#bodyTo);
    run.body = this.reader.bytes.subarray(this.#bodyFrom, end);
  }
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
      new BlockReader(reader, section.runs).read();
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
