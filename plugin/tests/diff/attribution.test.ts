/** Which call made which line: by example, and against an oracle that follows each line from edit to edit. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { align, UNSURE } from "../../src/diff/alignment.ts";
import {
  type Attribution,
  attribute,
  type Content,
  type LineRange,
  type Origin,
  OUTSIDE,
  originOf,
  type Step,
  UNKNOWN,
} from "../../src/diff/attribution.ts";
import { utf8 } from "../../src/diff/bytes.ts";

setDefaultTimeout(120_000);

const text = (lines: readonly string[]): Uint8Array => utf8(lines.map((line) => `${line}\n`).join(""));
const by = (call: number, before: Content, after: Content, watched = true): Step => ({
  origin: originOf([call]),
  watched,
  before,
  after,
});
const said = ({ kind, calls }: Origin): string => (calls.length === 0 ? kind : `${kind} ${calls.join("+")}`);
const lineByLine = (runs: Attribution["added"]): Map<number, Origin> =>
  new Map(
    runs.flatMap(({ from, count, origin }) =>
      Array.from({ length: count }, (_, at) => [from + at, origin] as const),
    ),
  );
const spoken = (runs: Attribution["added"]): string[] => [...lineByLine(runs).values()].map(said);
const whole = (base: readonly string[], proposed: readonly string[]): LineRange[] => [
  { oldFrom: 0, oldCount: base.length, newFrom: 0, newCount: proposed.length },
];

describe("by example", () => {
  test("a line belongs to the call that wrote it last, and a removal to the call that took it out", () => {
    const [a, b, c] = [
      ["one", "two"],
      ["one", "2", "three"],
      ["one", "zwei", "three"],
    ];
    const steps = [by(1, text(a), text(b)), by(2, text(b), text(c))];
    const hunk = { oldFrom: 1, oldCount: 1, newFrom: 1, newCount: 2 };
    const found = attribute(text(a), steps, text(c), [hunk], true);
    expect(spoken(found.added)).toEqual(["call 2", "call 1"]);
    expect(spoken(found.removed)).toEqual(["call 1"]);
  });

  test("what changed between two calls that were both seen is outside; where something was missed, unknown", () => {
    const [a, b, c, d] = [
      ["x"],
      ["x", "by one"],
      ["x", "by one", "elsewhere"],
      ["x", "by one", "elsewhere", "by two"],
    ];
    for (const [watched, word] of [
      [true, "outside"],
      [false, "unknown"],
    ] as const) {
      const steps = [by(1, text(a), text(b)), by(2, text(c), text(d), watched)];
      const found = attribute(
        text(a),
        steps,
        text(d),
        [{ oldFrom: 1, oldCount: 0, newFrom: 1, newCount: 3 }],
        true,
      );
      expect(spoken(found.added)).toEqual(["call 1", word, "call 2"]);
    }
  });

  test("what was there before the first call, and a file that no call touched, are unknown", () => {
    const [base, first, last] = [["x"], ["x", "before"], ["x", "before", "mine"]];
    const hunks = [{ oldFrom: 1, oldCount: 0, newFrom: 1, newCount: 2 }];
    const found = attribute(text(base), [by(7, text(first), text(last))], text(last), hunks, true);
    expect(spoken(found.added)).toEqual(["unknown", "call 7"]);
    expect(spoken(attribute(text(base), [], text(last), hunks, true).added)).toEqual(["unknown", "unknown"]);
  });

  test("what several calls could have made is not one's", () => {
    const step: Step = { origin: originOf([4, 3, 4]), watched: true, before: null, after: text(["a"]) };
    const found = attribute(null, [step], text(["a"]), whole([], ["a"]), true);
    expect(spoken(found.added)).toEqual(["several 3+4"]);
  });

  test("content that was not kept: what differs afterwards is unknown, what is the same as before stays", () => {
    const [a, b] = [["k"], ["k", "new"]];
    const steps = [by(1, text([]), text(a)), by(2, text(a), undefined), by(3, text(b), text([...b, "end"]))];
    const proposed = [...b, "end"];
    const found = attribute(text([]), steps, text(proposed), whole([], proposed), true);
    expect(spoken(found.added)).toEqual(["call 1", "unknown", "call 3"]);
  });

  test("of two lines alike that two calls put next to each other, nobody says which is whose", () => {
    const [a, b, c] = [
      ["f {", "}"],
      ["f {", "}", "}"],
      ["f {", "}", "}", "}"],
    ];
    const steps = [by(1, text(a), text(b)), by(2, text(b), text(c))];
    const hunk = { oldFrom: 2, oldCount: 0, newFrom: 2, newCount: 2 };
    expect(spoken(attribute(text(a), steps, text(c), [hunk], true).added)).toEqual([
      "several 1+2",
      "several 1+2",
    ]);
  });

  test("a file without anchors that is too much to compare is unsure, not guessed", () => {
    const lines = (n: number, from: number): number[] =>
      Array.from({ length: n }, (_, at) => from + (at % 2));
    const { from, unsure } = align(
      [...lines(1500, 0)],
      [9, 9, ...lines(1500, 1).map((one) => one % 2), 9, 9],
    );
    expect(from.includes(UNSURE)).toBe(true);
    expect(unsure.includes(1)).toBe(true);
  });
});

// ── The oracle ──────────────────────────────────────────────────────────────────────────────────────────────────

interface Line {
  text: string;
  /** Who put it in; null for the base. */
  made: Origin | null;
  base: number;
}

/** Follows each line by what was done to it, not by what the texts look like. */
class Oracle {
  lines: Line[];
  readonly gone = new Map<number, Origin>();
  /** Texts, each with all that put a line of it in, or took one out, in whatever way. */
  readonly putIn = new Map<string, Set<string>>();
  readonly takenOut = new Map<string, Set<string>>();
  readonly makers = new Set<string>();
  readonly #went = new Set<string>();
  readonly #came = new Set<string>();

  constructor(readonly base: readonly string[]) {
    this.lines = base.map((line, index) => ({ text: line, made: null, base: index }));
  }

  texts(): string[] {
    return this.lines.map((line) => line.text);
  }

  splice(at: number, count: number, put: readonly string[], origin: Origin): void {
    this.makers.add(said(origin));
    const taken = this.lines.splice(
      at,
      count,
      ...put.map((line) => ({ text: line, made: origin, base: -1 })),
    );
    for (const line of taken) {
      if (line.base >= 0) this.gone.set(line.base, origin);
      this.#went.add(line.text);
      note(this.takenOut, line.text, origin);
    }
    for (const line of put) {
      this.#came.add(line);
      note(this.putIn, line, origin);
    }
  }

  /** One look at the texts has all of `edits` in it: what went and came again there may as well be other lines that moved. */
  seenAsOne(origin: Origin, edits: () => void): void {
    const before = this.texts();
    this.#went.clear();
    this.#came.clear();
    edits();
    if (![...this.#went].some((line) => this.#came.has(line))) return;
    for (const line of [...before, ...this.texts()]) {
      note(this.putIn, line, origin);
      note(this.takenOut, line, origin);
    }
  }
}

function note(into: Map<string, Set<string>>, line: string, origin: Origin): void {
  const known = into.get(line) ?? new Set();
  into.set(line, known.add(said(origin)));
}

function random(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

const COMMON = ["", "}", "  return;", "end"];

function edit(oracle: Oracle, origin: Origin, pick: (below: number) => number, fresh: () => string): void {
  const some = () =>
    Array.from({ length: 1 + pick(4) }, () =>
      pick(5) === 0 ? (COMMON[pick(COMMON.length)] as string) : fresh(),
    );
  const length = oracle.lines.length;
  const at = pick(length + 1);
  const count = Math.min(pick(4), length - at);
  const moved = oracle.texts().slice(at, at + count);
  const what = pick(7);
  if (what <= 1) oracle.splice(at, 0, some(), origin);
  else if (what === 2) oracle.splice(at, count, [], origin);
  else if (what <= 4) oracle.splice(at, count, some(), origin);
  else if (what === 5) {
    // What stood in the base, put back.
    const line = oracle.base[pick(oracle.base.length)];
    oracle.splice(at, count, line === undefined ? [] : [line], origin);
  } else if (pick(2) === 0) {
    oracle.splice(at, count, [], origin);
    oracle.splice(pick(length - count + 1), 0, moved, origin);
  }
}

interface Case {
  oracle: Oracle;
  steps: Step[];
  watchedToTheEnd: boolean;
}

function chain(seed: number): Case {
  const pick = random(seed);
  let number = 0;
  const fresh = () => `line ${number++}`;
  const base = Array.from({ length: 1 + pick(25) }, () =>
    pick(4) === 0 ? (COMMON[pick(4)] as string) : fresh(),
  );
  const oracle = new Oracle(base);
  const steps: Step[] = [];
  let watched = false;
  let origin: Origin = UNKNOWN;
  /** Everything that is not a call's: only what lies between two steps of one watch is outside. */
  const between = () => {
    origin = steps.length > 0 && watched ? OUTSIDE : UNKNOWN;
    oracle.seenAsOne(origin, () => edit(oracle, origin, pick, fresh));
  };
  const calls = 1 + pick(12);
  for (let call = 1; call <= calls; call++) {
    watched = steps.length === 0 || pick(6) > 0;
    if (pick(4) === 0) between();
    const before = oracle.texts();
    origin = pick(8) === 0 ? originOf([call, call + 100]) : originOf([call]);
    oracle.seenAsOne(origin, () => {
      for (let times = 1 + pick(3); times > 0; times--) edit(oracle, origin, pick, fresh);
    });
    steps.push({ origin, watched, before: text(before), after: text(oracle.texts()) });
  }
  watched = pick(4) > 0;
  if (pick(4) === 0) between();
  return { oracle, steps, watchedToTheEnd: watched };
}

/** The hunks as git has them. */
function hunksOf(dir: string, before: Uint8Array, after: Uint8Array): LineRange[] {
  writeFileSync(join(dir, "a"), before);
  writeFileSync(join(dir, "b"), after);
  const { stdout } = Bun.spawnSync(["git", "diff", "--no-index", "--patience", "-U0", "a", "b"], {
    cwd: dir,
  });
  const headers = stdout.toString().matchAll(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/gm);
  return [...headers].map(([, oldAt, oldCount = "1", newAt, newCount = "1"]) => ({
    oldFrom: Number(oldAt) - (oldCount === "0" ? 0 : 1),
    oldCount: Number(oldCount),
    newFrom: Number(newAt) - (newCount === "0" ? 0 : 1),
    newCount: Number(newCount),
  }));
}

const CHAINS = 300;

describe("against the oracle", () => {
  const dir = mkdtempSync(join(tmpdir(), "sm-attribution-"));
  let exact = 0;
  let inCommon = 0;

  /** @param makers of lines of that text */
  function check(
    seed: number,
    line: string,
    found: Origin,
    truth: Origin | null,
    makers: Set<string>,
    all: Set<string>,
  ) {
    const about = `chain ${seed}: ${JSON.stringify(line)} is ${said(found)}; ${truth && said(truth)} of ${[...makers]}`;
    if (truth !== null && makers.size === 1) {
      exact++;
      expect(about.replace(/ is .*;/, ` is ${said(truth)};`)).toBe(about);
      return;
    }
    inCommon++;
    // One change of the whole file explains whatever differs.
    if (all.size === 1 && all.has(said(found))) return;
    if (found.kind === "unknown") return;
    const numbers = (one: string): string[] => one.split(" ")[1]?.split("+") ?? [];
    const known = found.kind === "several" ? new Set([...makers].flatMap(numbers)) : makers;
    const named = found.kind === "several" ? numbers(said(found)) : [said(found)];
    expect(named.every((one) => known.has(one)) ? about : "one that wrote such a line").toBe(about);
  }

  test(`${CHAINS} random chains of edits`, () => {
    for (let seed = 1; seed <= CHAINS; seed++) {
      const { oracle, steps, watchedToTheEnd } = chain(seed);
      const [base, proposed] = [text(oracle.base), text(oracle.texts())];
      const hunks = hunksOf(dir, base, proposed);
      const found = attribute(base, steps, proposed, hunks, watchedToTheEnd);
      const inBase = new Map<string, number>();
      for (const line of oracle.base) inBase.set(line, (inBase.get(line) ?? 0) + 1);
      const none = new Set<string>();
      for (const [at, origin] of lineByLine(found.added)) {
        const line = oracle.lines[at] as Line;
        const truth = inBase.has(line.text) ? null : line.made;
        check(seed, line.text, origin, truth, oracle.putIn.get(line.text) ?? none, oracle.makers);
      }
      for (const [at, origin] of lineByLine(found.removed)) {
        const line = oracle.base[at] as string;
        const isPlain = inBase.get(line) === 1 && !oracle.putIn.has(line);
        const truth = isPlain ? (oracle.gone.get(at) ?? null) : null;
        check(seed, line, origin, truth, oracle.takenOut.get(line) ?? none, oracle.makers);
      }
      const wanted = (side: "old" | "new") => hunks.reduce((sum, hunk) => sum + hunk[`${side}Count`], 0);
      expect([lineByLine(found.added).size, lineByLine(found.removed).size]).toEqual([
        wanted("new"),
        wanted("old"),
      ]);
    }
    rmSync(dir, { recursive: true, force: true });
    // What compares nothing finds nothing.
    expect(exact).toBeGreaterThan(2_000);
    expect(inCommon).toBeGreaterThan(500);
  });
});
