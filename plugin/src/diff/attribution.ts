/**
 * Which call made which line. Pure: from what a file held before and after each call that changed it, and from the hunks
 * of what came of it. A line that no call explains has none: `outside` where it changed between two calls that were both
 * seen, `unknown` where that was not seen or could not be told, `several` where any of several calls may have made it.
 */
import { align, NEW, UNSURE } from "./alignment.ts";
import { lineOffsets, toLatin1 } from "./bytes.ts";

export type OriginKind = "call" | "several" | "outside" | "unknown";

export interface Origin {
  readonly kind: OriginKind;
  /** Numbers of the calls: one, or those of which it is not known which. */
  readonly calls: readonly number[];
}

export const OUTSIDE: Origin = { kind: "outside", calls: [] };
export const UNKNOWN: Origin = { kind: "unknown", calls: [] };

export const originOf = (calls: readonly number[]): Origin => {
  const sorted = [...new Set(calls)].sort((one, other) => one - other);
  return sorted.length === 0 ? UNKNOWN : { kind: sorted.length === 1 ? "call" : "several", calls: sorted };
};

/** What a file held: null where it was not there, undefined where that is not known. */
export type Content = Uint8Array | null | undefined;

export interface Step {
  readonly origin: Origin;
  /** Nothing was missed between the step before and this one: what differs came from elsewhere. */
  readonly watched: boolean;
  readonly before: Content;
  readonly after: Content;
}

export interface LineRange {
  oldFrom: number;
  oldCount: number;
  newFrom: number;
  newCount: number;
}

/** Lines [from, from + count) of one side, and where they came from. */
export interface OriginRun {
  from: number;
  count: number;
  origin: Origin;
}

export interface Attribution {
  /** Of the lines that the hunks propose, in the file as it is proposed. */
  added: OriginRun[];
  /** Of the lines that they take out, in the base. */
  removed: OriginRun[];
}

/**
 * @param base,proposed the two sides that the hunks are the difference of; null where the file is not there
 * @param steps in the order in which they came
 * @param watched whether nothing was missed after the last step
 */
export function attribute(
  base: Uint8Array | null,
  steps: readonly Step[],
  proposed: Uint8Array | null,
  hunks: readonly LineRange[],
  watched: boolean,
): Attribution {
  const chain = new Chain(base);
  steps.forEach((step, index) => {
    // What was changed before anything was seen is nobody's.
    chain.follow(step.before, index > 0 && step.watched ? OUTSIDE : UNKNOWN);
    chain.follow(step.after, step.origin);
  });
  chain.follow(proposed, steps.length > 0 && watched ? OUTSIDE : UNKNOWN);
  return chain.read(hunks);
}

const sameOrigin = (one: Origin, other: Origin): boolean =>
  one.kind === other.kind && one.calls.join() === other.calls.join();

/** Of two lines alike that one and the other made, nobody can say which is whose. */
function either(one: Origin, other: Origin): Origin {
  if (sameOrigin(one, other)) return one;
  return one.calls.length === 0 || other.calls.length === 0
    ? UNKNOWN
    : originOf([...one.calls, ...other.calls]);
}

class Chain {
  readonly #numbers = new Map<string, number>();
  readonly #base: number[];
  #lines: number[];
  /** Of each line as it stands, null for one of the base. */
  #made: (Origin | null)[];
  /** The base's line that each line is, or {@link NEW}. */
  #baseLine: number[];
  /** Of each line of the base that stands no more. */
  readonly #gone: (Origin | null)[];
  /** Lines of the base alike, of which one was taken out: it cannot be seen which. */
  readonly #alike: [number, number][] = [];
  /** All that ever changed a line. */
  readonly #makers: Origin[] = [];

  constructor(base: Uint8Array | null) {
    this.#content = base;
    this.#base = this.#numbered(base);
    this.#lines = this.#base;
    this.#made = this.#base.map(() => null);
    this.#baseLine = this.#base.map((_, index) => index);
    this.#gone = this.#base.map(() => null);
  }

  #numbered(bytes: Uint8Array | null): number[] {
    if (bytes === null) return [];
    const offsets = lineOffsets(bytes);
    const text = toLatin1(bytes);
    return offsets.slice(0, -1).map((start, index) => {
      const line = text.slice(start, offsets[index + 1]);
      const known = this.#numbers.get(line) ?? this.#numbers.size;
      this.#numbers.set(line, known);
      return known;
    });
  }

  /** The file became this; where that is not known, what is known next differs for no known reason. */
  follow(content: Content, origin: Origin): void {
    if (content === undefined) {
      this.#isLost = true;
      return;
    }
    const by = this.#isLost ? UNKNOWN : origin;
    this.#isLost = false;
    // Most steps begin with what the one before has left.
    if (content === this.#content) return;
    this.#content = content;
    const next = this.#numbered(content);
    if (next.length === this.#lines.length && next.every((line, index) => line === this.#lines[index]))
      return;
    const { from, unsure } = align(this.#lines, next);
    const made: (Origin | null)[] = [];
    const baseLine: number[] = [];
    const kept = new Uint8Array(this.#lines.length);
    next.forEach((_, index) => {
      const earlier = from[index] as number;
      if (earlier >= 0) kept[earlier] = 1;
      made.push(earlier >= 0 ? (this.#made[earlier] ?? null) : earlier === UNSURE ? UNKNOWN : by);
      baseLine.push(earlier >= 0 ? (this.#baseLine[earlier] as number) : NEW);
    });
    this.#lines.forEach((_, index) => {
      const inBase = this.#baseLine[index] as number;
      if (kept[index] === 0 && inBase >= 0) this.#gone[inBase] = unsure[index] === 1 ? UNKNOWN : by;
    });
    markSliding(next, from, made);
    this.#markTaken(kept);
    this.#makers.push(by);
    this.#lines = next;
    this.#made = made;
    this.#baseLine = baseLine;
  }
  #isLost = false;
  #content: Content;

  /** What `markSliding` is for lines that were put in, for a run that was taken out from between others. */
  #markTaken(kept: Uint8Array): void {
    const lines = this.#lines;
    const note = (old: number, gone: number): void => {
      const [one, other] = [this.#baseLine[old] as number, this.#baseLine[gone] as number];
      if (one >= 0 && other >= 0) this.#alike.push([one, other]);
    };
    for (let start = 0; start < lines.length; start++) {
      if (kept[start] === 1) continue;
      let end = start;
      while (end < lines.length && kept[end] === 0) end++;
      for (let back = 1; kept[start - back] === 1 && lines[start - back] === lines[end - back]; back++)
        note(start - back, end - back);
      for (let on = 0; kept[end + on] === 1 && lines[start + on] === lines[end + on]; on++)
        note(end + on, start + on);
      start = end;
    }
  }

  read(hunks: readonly LineRange[]): Attribution {
    const added = hunks.flatMap(({ newFrom, newCount }) => numbersFrom(newFrom, newCount));
    const removed = hunks.flatMap(({ oldFrom, oldCount }) => numbersFrom(oldFrom, oldCount));
    for (const [one, other] of this.#alike) {
      const [first, second] = [this.#gone[one], this.#gone[other]];
      if (first == null || second == null) continue;
      this.#gone[one] = either(first, second);
      this.#gone[other] = this.#gone[one];
    }
    return {
      added: this.#runs(added, this.#lines, this.#made),
      removed: this.#runs(removed, this.#base, this.#gone),
    };
  }

  /**
   * The hunks' difference may see another of several lines alike as the changed one. Such a line is whose all those are
   * that the hunks pass over; a text that just stands elsewhere is explained by one call alone if no other changed anything.
   */
  #runs(wanted: readonly number[], lines: readonly number[], known: readonly (Origin | null)[]): OriginRun[] {
    const inHunks = new Set(wanted);
    const passedOver = new Map<number, Origin>();
    known.forEach((origin, index) => {
      const line = lines[index];
      if (origin === null || line === undefined || inHunks.has(index)) return;
      const other = passedOver.get(line);
      passedOver.set(line, other === undefined ? origin : either(origin, other));
    });
    const [first] = this.#makers;
    const only = first !== undefined && this.#makers.every((one) => sameOrigin(one, first)) ? first : UNKNOWN;
    const runs: OriginRun[] = [];
    for (const index of wanted) {
      const origin = known[index] ?? passedOver.get(lines[index] ?? NEW) ?? only;
      const last = runs.at(-1);
      if (last !== undefined && last.from + last.count === index && sameOrigin(last.origin, origin))
        last.count++;
      else runs.push({ from: index, count: 1, origin });
    }
    return runs;
  }
}

const numbersFrom = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => from + at);

/**
 * Lines that were put in between others may begin or end one line earlier or later where those are alike: which of two
 * lines alike is the new one cannot be seen.
 */
function markSliding(lines: readonly number[], from: Int32Array, made: (Origin | null)[]): void {
  const confuse = (old: number, fresh: number): void => {
    const [one, other] = [made[old], made[fresh]];
    // A line of the base stays where it was for the hunks, too.
    if (one == null || other == null) return;
    made[old] = either(one, other);
    made[fresh] = made[old];
  };
  const isOld = (at: number): boolean => at >= 0 && at < lines.length && (from[at] as number) >= 0;
  for (let start = 0; start < lines.length; start++) {
    if (from[start] !== NEW) continue;
    let end = start;
    while (end < lines.length && from[end] === NEW) end++;
    const taken = isOld(start - 1) && isOld(end) && (from[end] as number) - (from[start - 1] as number) > 1;
    if (!taken) {
      for (let back = 1; isOld(start - back) && lines[start - back] === lines[end - back]; back++)
        confuse(start - back, end - back);
      for (let on = 0; isOld(end + on) && lines[start + on] === lines[end + on]; on++)
        confuse(end + on, start + on);
    }
    start = end;
  }
}
