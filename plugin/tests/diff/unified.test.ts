/** Unified diffs written for people and read back when a developer edited one. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, toLatin1 } from "../../src/diff/bytes.ts";
import { linesOfDiff } from "../../src/diff/hunks.ts";
import type { Run } from "../../src/diff/patch.ts";
import { formatRun, parseEdited } from "../../src/diff/unified.ts";
import { text } from "../support/generate.ts";
import { linesOf } from "../support/trees.ts";

setDefaultTimeout(60_000);

const BASE = "one\ntwo\nthree\nfour\nfive\n";
const WHOLE = { from: 0, to: 5 };

function edit(diff: string, base = BASE, free = WHOLE) {
  const { from, count, text: bytes } = parseEdited(fromLatin1(diff), fromLatin1(base), free);
  return { from, count, text: toLatin1(bytes) };
}

/** The base with the replacement in its place. */
function applied(diff: string, base = BASE, free = WHOLE): string {
  const { from, count, text: fresh } = edit(diff, base, free);
  const lines = linesOf(base);
  return [...lines.slice(0, from), fresh, ...lines.slice(from + count)].join("");
}

const run = (old: string, fresh: string, before = "", after = ""): Run => ({
  oldFrom: linesOf(before).length,
  oldCount: linesOf(old).length,
  newFrom: linesOf(before).length,
  newCount: linesOf(fresh).length,
  old: fromLatin1(old),
  new: fromLatin1(fresh),
  before: fromLatin1(before),
  beforeCount: linesOf(before).length,
  after: fromLatin1(after),
  afterCount: linesOf(after).length,
});

describe("a run written as a diff", () => {
  test("reads back as the same lines, whatever they hold", () => {
    fc.assert(
      fc.property(text, text, (old, fresh) => {
        const lines = linesOfDiff(formatRun(run(old, fresh)));
        expect([toLatin1(lines.old), toLatin1(lines.new)]).toEqual([old, fresh]);
      }),
      { numRuns: 500 },
    );
  });

  test("and, unedited, asks for exactly the change it shows", () => {
    fc.assert(
      fc.property(text, text, text, text, (before, old, fresh, after) => {
        const closed = (part: string) => (/[^\n]$/.test(part) ? `${part}\n` : part);
        const head = closed(before);
        const tail = after;
        const middle = tail === "" ? old : closed(old);
        const replaced = tail === "" ? fresh : closed(fresh);
        fc.pre(middle !== replaced && !(middle === "" && tail === "" && before !== head));
        const base = head + middle + tail;
        const shown = toLatin1(formatRun(run(middle, replaced, head, tail)));
        expect(applied(shown, base, { from: 0, to: linesOf(base).length })).toBe(head + replaced + tail);
      }),
      { numRuns: 500 },
    );
  });
});

describe("an edited diff", () => {
  test("may say something else for its lines", () => {
    expect(applied("@@ -2 +2 @@\n-two\n+zwei\n")).toBe("one\nzwei\nthree\nfour\nfive\n");
  });
  test("may grow into lines that are nobody's", () => {
    expect(edit("@@ -2,2 +2 @@\n-two\n-three\n+both\n")).toEqual({ from: 1, count: 2, text: "both\n" });
  });
  test("may change lines apart from each other; those between are kept", () => {
    expect(edit("@@ -2,3 +2,3 @@\n-two\n+2\n three\n-four\n+4\n")).toEqual({
      from: 1,
      count: 3,
      text: "2\nthree\n4\n",
    });
  });
  test("may carry file headers and text after the second @@", () => {
    expect(applied("--- a/x\n+++ b/x\n@@ -1 +1 @@ function\n-one\n+1\n")).toStartWith("1\n");
  });
  test("may have lost the blank of an empty context line to an editor", () => {
    expect(applied("@@ -1,2 +1,2 @@\n\n-b\n+B\n", "\nb\n", { from: 0, to: 2 })).toBe("\nB\n");
  });
  test("may lack its own last newline", () => {
    expect(applied("@@ -2 +2 @@\n-two\n+zwei")).toBe("one\nzwei\nthree\nfour\nfive\n");
  });
  test("may take the newline off the end of the file", () => {
    expect(applied("@@ -5 +5 @@\n-five\n+5\n\\ No newline at end of file\n")).toEndWith("four\n5");
  });
  test("may change nothing: that keeps the base, wherever the block stands", () => {
    expect(applied("@@ -2,2 +2,2 @@\n two\n three\n")).toBe(BASE);
    const free = { from: 3, to: 4 };
    const { from, count, text: fresh } = edit("@@ -1,2 +1,2 @@\n one\n two\n", BASE, free);
    expect({ count, fresh }).toEqual({ count: 0, fresh: "" });
    expect(from).toBeWithin(free.from, free.to + 1);
  });
});

describe("an edited diff is refused, by name, when", () => {
  const cases: [string, string, string][] = [
    ["it is no diff", "hello", 'expected a unified diff with an "@@'],
    ["it is empty", "", 'expected a unified diff with an "@@'],
    ["it ends early", "@@ -2,2 +2 @@\n-two\n", "1 old and 1 new are missing"],
    [
      "it removes more than it states",
      "@@ -2,1 +2,2 @@\n-two\n-three\n+x\n+y\n",
      "removes more lines than the header states",
    ],
    [
      "it adds more than it states",
      "@@ -2,2 +2 @@\n+x\n+y\n-two\n-three\n",
      "adds more lines than the header states",
    ],
    ["it keeps more than it states", "@@ -2,2 +2 @@\n two\n three\n", "context beyond the counts"],
    ["a line is of no sort", "@@ -2 +2 @@\n*two\n+x\n", 'begins with neither " ", "-", "+"'],
    [
      "its context is not the base's",
      "@@ -1,2 +1,2 @@\n ONE\n-two\n+x\n",
      "(context) is not what the base has in line 1",
    ],
    [
      "its removed line is not the base's",
      "@@ -2 +2 @@\n-TWO\n+x\n",
      "(removed) is not what the base has in line 2",
    ],
    ["it is beyond the file", "@@ -9 +9 @@\n-nine\n+x\n", "base line 9, but the file has 5"],
    ["there is more behind it", "@@ -2 +2 @@\n-two\n+x\n@@ -4 +4 @@\n-four\n+y\n", "expected nothing after"],
    [
      "a line within the file lacks its newline",
      "@@ -2 +2 @@\n-two\n+x\n\\ No newline at end of file\n",
      "only the file's last line",
    ],
    [
      "a line within its own text lacks its newline",
      "@@ -5 +5,2 @@\n-five\n+x\n\\ No newline at end of file\n+y\n",
      "only the file's last line",
    ],
  ];
  for (const [what, diff, sentence] of cases) {
    test(what, () => {
      expect(() => edit(diff)).toThrow(sentence);
      expect(() => edit(diff)).toThrow(expect.objectContaining({ code: "invalid_modification" }));
    });
  }
  test("it reaches into another hunk", () => {
    expect(() => edit("@@ -2,2 +2 @@\n-two\n-three\n+x\n", BASE, { from: 1, to: 2 })).toThrow(
      "only lines 2 to 2 are this hunk's to change",
    );
  });
  test("it adds lines behind a last line without a newline", () => {
    expect(() => edit("@@ -2,0 +3 @@\n+c\n", "a\nb", { from: 0, to: 2 })).toThrow(
      "replace it with itself and a newline",
    );
  });
});
