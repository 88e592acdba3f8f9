/** What the engine reads of `git diff-tree` against the files themselves. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, toLatin1 } from "../../src/diff/bytes.ts";
import { type FoundHunk, linesOfDiff } from "../../src/diff/hunks.ts";
import { parsePatch } from "../../src/diff/patch.ts";
import { parseRaw } from "../../src/diff/raw.ts";
import { findChanges } from "../../src/vcs/find-changes.ts";
import { pairOfTexts } from "../support/generate.ts";
import {
  executable,
  file,
  linesOf,
  submodule,
  symlink,
  type Tree,
  type TreeStore,
  tree,
  treeStore,
} from "../support/trees.ts";

setDefaultTimeout(60_000);

let store: TreeStore;
beforeAll(async () => {
  store = await treeStore();
});
afterAll(() => store.remove());

async function changes(before: Tree, after: Tree) {
  const [from, to] = await store.write([before, after]);
  return findChanges(store.git, from?.tree as string, to?.tree as string);
}
const hunksOf = async (before: Tree, after: Tree) => (await changes(before, after)).hunks;
const kinds = async (before: Tree, after: Tree) => (await hunksOf(before, after)).map((hunk) => hunk.kind);
const shown = (diff: Uint8Array) => toLatin1(diff);

describe("hunks of a text file", () => {
  test("replace exactly the lines they name, in generated files", async () => {
    // Many files in one tree: one pair of git processes for all of them.
    const pairs = fc.sample(pairOfTexts, { numRuns: 1500, seed: 7 });
    const name = (index: number) => `${index}`.padStart(5, "0");
    const before: Tree = new Map(pairs.map((pair, index) => [name(index), file(pair.before)]));
    const after: Tree = new Map(pairs.map((pair, index) => [name(index), file(pair.after)]));
    const found = await changes(before, after);
    const byFile = Map.groupBy(found.hunks, (hunk) => hunk.path);
    pairs.forEach((pair, index) => {
      const old = linesOf(pair.before);
      const fresh = linesOf(pair.after);
      const out: string[] = [];
      let line = 0;
      for (const hunk of byFile.get(name(index)) ?? []) {
        const text = linesOfDiff(hunk.diff);
        expect(toLatin1(text.old)).toBe(old.slice(hunk.oldFrom, hunk.oldFrom + hunk.oldCount).join(""));
        expect(toLatin1(text.new)).toBe(fresh.slice(hunk.newFrom, hunk.newFrom + hunk.newCount).join(""));
        expect(hunk.contextBefore).toBe(Math.min(3, hunk.oldFrom, Math.max(hunk.oldFrom - line, 0)));
        out.push(...old.slice(line, hunk.oldFrom), toLatin1(text.new));
        line = hunk.oldFrom + hunk.oldCount;
      }
      out.push(...old.slice(line));
      expect(out.join("")).toBe(pair.after);
    });
  });

  const newlineAtEnd: [string, string, string, string[]][] = [
    ["lost", "a\n", "a", ["-a", "+a", "\\ No newline at end of file"]],
    ["gained", "a", "a\n", ["-a", "\\ No newline at end of file", "+a"]],
    [
      "missing on both sides",
      "a",
      "b",
      ["-a", "\\ No newline at end of file", "+b", "\\ No newline at end of file"],
    ],
  ];
  for (const [what, before, after, lines] of newlineAtEnd) {
    test(`with the newline at the end of the file ${what}`, async () => {
      const [hunk] = await hunksOf(tree({ a: before }), tree({ a: after }));
      expect(
        shown(hunk?.diff as Uint8Array)
          .split("\n")
          .slice(1, -1),
      ).toEqual(lines);
      const text = linesOfDiff(hunk?.diff as Uint8Array);
      expect([toLatin1(text.old), toLatin1(text.new)]).toEqual([before, after]);
    });
  }

  test("keep a missing newline in the context that follows them", async () => {
    const [hunk] = await hunksOf(tree({ a: "1\n2\n3" }), tree({ a: "one\n2\n3" }));
    expect(shown(hunk?.diff as Uint8Array)).toBe(
      "@@ -1,3 +1,3 @@\n-1\n+one\n 2\n 3\n\\ No newline at end of file\n",
    );
  });

  test("share context only as far as it is nobody's line", async () => {
    const before = tree({ a: "1\n2\n3\n4\n5\n" });
    const [first, second] = await hunksOf(before, tree({ a: "x\n2\n3\ny\n5\n" }));
    expect(shown(first?.diff as Uint8Array)).toBe("@@ -1,3 +1,3 @@\n-1\n+x\n 2\n 3\n");
    expect(shown(second?.diff as Uint8Array)).toBe("@@ -2,4 +2,4 @@\n 2\n 3\n-4\n+y\n 5\n");
  });

  test("are not misled by lines that look like headers", async () => {
    const before = "-- a/x\n@@ -1 +1 @@\ndiff --git a b\n";
    const after = "++ b/x\n@@ -9 +9 @@\nBinary files a and b differ\n";
    const [hunk, ...more] = await hunksOf(tree({ a: before }), tree({ a: after }));
    expect(more).toEqual([]);
    const text = linesOfDiff(hunk?.diff as Uint8Array);
    expect([toLatin1(text.old), toLatin1(text.new)]).toEqual([before, after]);
  });

  const encodings: [string, string, "utf-8" | "latin1"][] = [
    ["UTF-8", "\xc3\xa9\n", "utf-8"],
    ["UTF-8 with a mark", "\xef\xbb\xbfa\n", "utf-8"],
    ["Latin-1", "\xe9\n", "latin1"],
    ["invalid UTF-8", "\xc3\n", "latin1"],
    ["lone carriage returns", "a\rb\rc", "utf-8"],
  ];
  for (const [what, text, encoding] of encodings) {
    test(`say how they were decoded: ${what}`, async () => {
      const [hunk] = await hunksOf(tree({ a: "x\n" }), tree({ a: text }));
      expect([hunk?.kind, hunk?.encoding]).toEqual(["text", encoding]);
    });
  }

  test("hold lines of 200 kB", async () => {
    const long = "x".repeat(200_000);
    const [hunk] = await hunksOf(tree({ a: `${long}\n` }), tree({ a: `${long}y\n` }));
    expect(linesOfDiff(hunk?.diff as Uint8Array).new.length).toBe(200_002);
  });
});

describe("what has no lines is one hunk", () => {
  const cases: [string, Tree, Tree, FoundHunk["kind"][]][] = [
    ["a mode", tree({ a: "x\n" }), tree({ a: executable("x\n") }), ["mode"]],
    ["a mode and content", tree({ a: "x\n" }), tree({ a: executable("y\n") }), ["mode", "text"]],
    ["a rename", tree({ a: "x\ny\nz\n" }), tree({ b: "x\ny\nz\n" }), ["rename"]],
    [
      "a rename with edits",
      tree({ a: "1\n2\n3\n4\n5\n6\n" }),
      tree({ b: "1\n2\n3\n4\n5\nsix\n" }),
      ["rename", "text"],
    ],
    ["a rename with a mode", tree({ a: "x\ny\n" }), tree({ b: executable("x\ny\n") }), ["rename", "mode"]],
    ["a copy", tree({ a: "x\ny\nz\n" }), tree({ a: "x\ny\nz\n", b: "x\ny\nz\n" }), ["create"]],
    ["an empty file", tree({}), tree({ a: "" }), ["create"]],
    ["an empty file gone", tree({ a: "" }), tree({}), ["delete"]],
    ["NUL bytes", tree({ a: "a\0" }), tree({ a: "b\0" }), ["binary"]],
    ["UTF-16", tree({ a: "\xff\xfea\0" }), tree({ a: "\xff\xfeb\0" }), ["binary"]],
    ["text that became binary", tree({ a: "a\n" }), tree({ a: "a\0" }), ["binary"]],
    ["a symbolic link made", tree({}), tree({ a: symlink("b") }), ["create"]],
    ["a symbolic link retargeted", tree({ a: symlink("b") }), tree({ a: symlink("c") }), ["symlink"]],
    ["a symbolic link turned into a file", tree({ a: symlink("b") }), tree({ a: "b" }), ["type"]],
    ["a file turned into a submodule", tree({ a: "b" }), tree({ a: submodule("1") }), ["type"]],
    ["a submodule moved on", tree({ a: submodule("1") }), tree({ a: submodule("2") }), ["submodule"]],
    ["a file that becomes a directory", tree({ a: "x" }), tree({ "a/b": "x", "a/c": "y" }), ["swap"]],
    ["a directory that becomes a file", tree({ "a/b": "x", "a/c": "y" }), tree({ a: "x" }), ["swap"]],
  ];
  for (const [what, before, after, expected] of cases) {
    test(what, async () => expect(await kinds(before, after)).toEqual(expected));
  }

  test("and says why", async () => {
    for (const hunk of await hunksOf(tree({ a: "x", l: symlink("b") }), tree({ "a/b": "y", l: "b" }))) {
      expect(hunk.atomicReason).not.toBeNull();
    }
  });

  test("attributes in the tree do not change what counts as text", async () => {
    const before = tree({ ".gitattributes": "* binary\n", a: "x\n" });
    expect(await kinds(before, tree({ ".gitattributes": "* binary\n", a: "y\n" }))).toEqual(["text"]);
  });
});

describe("paths", () => {
  test("are bytes, whatever they hold", async () => {
    const names = [
      "a b",
      "tab\t",
      "new\nline",
      '"quoted"',
      "back\\slash",
      "-dash",
      "\xff",
      "\xc3\xa9",
      " ",
      ":(glob)*",
    ];
    const found = await changes(tree({}), new Map(names.map((name) => [name, file("x\n")])));
    expect(found.entries.map((entry) => entry.newPath).sort()).toEqual([...names].sort());
  });
});

describe("output of git that is not understood is refused", () => {
  test("a record of another form", () =>
    expect(() => parseRaw(fromLatin1("nonsense\0a\0"))).toThrow("not understood"));
  test("a status without meaning here", () => {
    const zero = "0".repeat(40);
    expect(() => parseRaw(fromLatin1(`:100644 100644 ${zero} ${zero} X\0a\0`))).toThrow("status X");
  });
  test("a hunk that ends early", () => {
    expect(() => parsePatch(fromLatin1("diff --git a/a b/a\n@@ -1,2 +1,2 @@\n-a\n"))).toThrow(
      "ended inside a hunk",
    );
  });
  test("a line of another sort", () => {
    expect(() => parsePatch(fromLatin1("diff --git a/a b/a\n@@ -1 +1 @@\n*a\n"))).toThrow("neither context");
  });
});
