/** Entries that can only be decided together, and the digests hunks are known by. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { fromLatin1, utf8 } from "../../src/diff/bytes.ts";
import { compose } from "../../src/diff/compose.ts";
import { hunkDigest } from "../../src/diff/digest.ts";
import { displayPath, pathBase64, quotePath } from "../../src/diff/paths.ts";
import { type Entry, swapGroups } from "../../src/diff/raw.ts";

const MODE = { oldMode: "100644", newMode: "100644", oldOid: "1", newOid: "2" };
const gone = (path: string): Entry => ({
  ...MODE,
  status: "D",
  oldPath: path,
  newPath: null,
  newMode: null,
  newOid: null,
});
const made = (path: string): Entry => ({
  ...MODE,
  status: "A",
  oldPath: null,
  newPath: path,
  oldMode: null,
  oldOid: null,
});
const moved = (from: string, to: string): Entry => ({ ...MODE, status: "R", oldPath: from, newPath: to });

/** Names of the groups: equal letters belong together, "." is alone. */
function groups(...entries: Entry[]): string {
  const found = swapGroups(entries);
  const letters = [...new Set(found.filter((group) => group !== -1))];
  return found.map((group) => (group === -1 ? "." : "abc"[letters.indexOf(group)])).join("");
}

describe("entries belong together when", () => {
  test("a file becomes a directory", () => expect(groups(gone("a"), made("a/b"), made("a/c/d"))).toBe("aaa"));
  test("a directory becomes a file", () => expect(groups(gone("a/b"), gone("a/c"), made("a"))).toBe("aaa"));
  test("a file moves below its own name", () => expect(groups(moved("a", "a/b"))).toBe("a"));
  test("one is the other's directory through a third", () => {
    expect(groups(gone("a"), moved("x", "a/x"), made("x/y"), made("z"))).toBe("aaa.");
  });
  test("but not for names that only begin alike", () =>
    expect(groups(gone("a"), made("ab/c"), made("a.b"))).toBe("..."));
  test("and two such places are two groups", () => {
    expect(groups(gone("a"), made("a/b"), gone("x/y"), made("x"))).toBe("aabb");
  });
});

describe("the digest of a hunk", () => {
  test("is the one the protocol documents", () => {
    const expected = createHash("sha256")
      .update("hunk v1\ntext\n1:a\n2:x\n\n4:\xff\ny\n", "latin1")
      .digest("hex");
    expect(hunkDigest("text", "a", fromLatin1("x\n"), fromLatin1("\xff\ny\n"))).toBe(expected);
  });
  test("does not confuse where one part ends and the next begins", () => {
    const digests = [
      hunkDigest("text", "a", utf8("b"), utf8("")),
      hunkDigest("text", "a", utf8(""), utf8("b")),
      hunkDigest("text", "ab", utf8(""), utf8("")),
      hunkDigest("create", "a", utf8(""), utf8("b")),
    ];
    expect(new Set(digests).size).toBe(4);
  });
});

describe("a path", () => {
  test("is shown as it is when it is UTF-8", () => {
    expect([displayPath("\xc3\xa9"), pathBase64("\xc3\xa9")]).toEqual(["é", undefined]);
  });
  test("is shown quoted, with its bytes beside it, when it is not", () => {
    expect([displayPath("a\xff"), pathBase64("a\xff")]).toEqual(['"a\\377"', "Yf8="]);
  });
  test("is quoted as git quotes", () => expect(quotePath('a\n"\\\x7f\xff')).toBe('"a\\n\\"\\\\\\177\\377"'));
});

describe("composing", () => {
  const entry: Entry = { ...MODE, status: "M", oldPath: "a", newPath: "a" };
  const piece = (oldFrom: number, oldCount: number, text: string) => ({
    entry: 0,
    group: null,
    kind: "text" as const,
    oldFrom,
    oldCount,
    newFrom: oldFrom,
    applied: true,
    replacement: { from: oldFrom, count: oldCount, text: utf8(text) },
    text: () => utf8(text),
  });
  test("refuses two hunks that claim the same lines", () => {
    expect(() => compose([entry], [piece(0, 2, "x\n"), piece(1, 1, "y\n")], () => utf8("1\n2\n3\n"))).toThrow(
      "same base lines",
    );
  });
});
