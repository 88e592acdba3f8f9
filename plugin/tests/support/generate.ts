/** Generators of hostile file contents and of pairs of trees that hold every kind of change. */
import fc from "fast-check";
import { rawFromText } from "../../src/diff/paths.ts";
import { type File, file, linesOf, type Tree } from "./trees.ts";

const bytes = (text: string): string => rawFromText(text);

/** Line contents that have misled parsers of diffs. */
const ODD_LINES = [
  "",
  " ",
  "a",
  "b",
  "c",
  "}",
  "-- a/x",
  "++ b/x",
  "--- a/x",
  "+++ b/x",
  "@@ -1 +1 @@",
  "@@ -1,2 +3,4 @@ fn",
  "diff --git a/x b/x",
  "Binary files a/x and b/x differ",
  "\\ No newline at end of file",
  "-",
  "+",
  "\t",
  bytes("é"),
  "\xe9 latin1",
  "\xff\xfe\x80",
  bytes("a\u2028b"),
  bytes("\ufeffbom"),
  "a\rb",
  "\r",
  `x${"y".repeat(300)}`,
];

const lineText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ODD_LINES) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 30 }).map((n) => `line ${n}`) },
);
const lineEnd = fc.constantFrom("\n", "\n", "\n", "\r\n");
const line = fc.tuple(lineText, lineEnd).map(([text, end]) => text + end);

/** Text of 0 to 30 lines, with or without a newline at its end. */
export const text: fc.Arbitrary<string> = fc
  .tuple(fc.array(line, { maxLength: 30 }), fc.boolean(), fc.constantFrom("", "", "", "\xef\xbb\xbf"))
  .map(([lines, open, mark]) => mark + (open ? lines.join("").replace(/\r?\n$/, "") : lines.join("")));

type Edit = { at: number; remove: number; insert: string[] };
const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 30 }),
  remove: fc.nat({ max: 4 }),
  insert: fc.array(line, { maxLength: 4 }),
});

const END = {
  keep: (t: string) => t,
  open: (t: string) => t.replace(/\n$/, ""),
  closed: (t: string) => (/[^\n]$/.test(t) ? `${t}\n` : t),
};

/** The same text, edited in a few places; its last newline kept, lost or gained. */
export const edited = (base: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(edit, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...(Object.keys(END) as (keyof typeof END)[])),
    )
    .map(([edits, end]) => {
      const lines = linesOf(END.closed(base));
      for (const { at, remove, insert } of edits) lines.splice(Math.min(at, lines.length), remove, ...insert);
      return END[end](lines.join(""));
    });

export const pairOfTexts: fc.Arbitrary<{ before: string; after: string }> = text.chain((before) =>
  fc
    .oneof({ weight: 5, arbitrary: edited(before) }, { weight: 1, arbitrary: text })
    .map((after) => ({ before, after })),
);

const binary = fc
  .string({ unit: fc.constantFrom("\0", "a", "\n", "\xff"), maxLength: 40 })
  .map((t) => `\0${t}`);
/** UTF-16 with its mark: binary to git. */
const utf16 = fc
  .string({ maxLength: 12 })
  .map((t) => Buffer.from(`\ufeff${t}\n`, "utf16le").toString("latin1"));
const blob = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 1, arbitrary: binary },
  { weight: 1, arbitrary: utf16 },
);
const regularMode = fc.constantFrom<File["mode"]>("100644", "100644", "100755");
const target = fc.constantFrom("a", "../b", "dir/with space", "\xff");
const link = target.map((t) => file(t, "120000"));
const module = fc.constantFrom("1", "2", "a").map((digit) => file(digit.repeat(40), "160000"));
const regular = fc.tuple(blob, regularMode).map(([content, mode]) => file(content, mode));
const anyFile = fc.oneof(
  { weight: 5, arbitrary: regular },
  { weight: 1, arbitrary: link },
  { weight: 1, arbitrary: module },
);

const ODD_NAMES = [
  "plain",
  "with space",
  " leading",
  "trailing ",
  "tab\there",
  "new\nline",
  'quote"d',
  '"\\377"',
  "\xff",
  "back\\slash",
  "-dash",
  "--",
  "*?[glob]",
  ":(top)magic",
  'a b\tc\\d"e\n',
  bytes("ünï"),
  bytes("emoji 😀"),
  "\x01control\x7f",
  ".gitattributes",
  "CON",
  "a=>b",
  "{x => y}",
  "%41",
  "$HOME",
  "'single'",
  ";rm",
  "~",
];

/** What one scenario leaves at its own name, before and after. */
interface Scenario {
  before: Record<string, File>;
  after: Record<string, File>;
}

const at = (name: string, value: File | null): Record<string, File> =>
  value === null ? {} : { [name]: value };

/** `name` is free for the scenario, and everything below it. */
function scenario(name: string): fc.Arbitrary<Scenario> {
  const kinds: Record<string, fc.Arbitrary<Scenario>> = {
    kept: anyFile.map((f) => ({ before: at(name, f), after: at(name, f) })),
    created: anyFile.map((f) => ({ before: {}, after: at(name, f) })),
    deleted: anyFile.map((f) => ({ before: at(name, f), after: {} })),
    edited: fc
      .tuple(pairOfTexts, regularMode, regularMode)
      .map(([t, a, b]) => ({ before: at(name, file(t.before, a)), after: at(name, file(t.after, b)) })),
    mode: regular.map((f) => ({
      before: at(name, file(f.text, "100644")),
      after: at(name, file(f.text, "100755")),
    })),
    replaced: fc.tuple(anyFile, anyFile).map(([a, b]) => ({ before: at(name, a), after: at(name, b) })),
    renamed: fc.tuple(pairOfTexts, fc.boolean(), regularMode, regularMode).map(([t, pure, a, b]) => ({
      before: at(`${name}.old`, file(t.before, a)),
      after: at(`${name}.new`, file(pure ? t.before : t.after, b)),
    })),
    copied: regular.map((f) => ({
      before: at(name, f),
      after: { ...at(name, f), ...at(`${name}.copy`, f) },
    })),
    becameDirectory: fc.tuple(anyFile, regular, regular, fc.boolean()).map(([a, b, c, same]) => ({
      before: at(name, a),
      after: { ...at(`${name}/x`, same ? { ...a } : b), ...at(`${name}/y/z`, c) },
    })),
    wasDirectory: fc.tuple(anyFile, regular, regular, fc.boolean()).map(([a, b, c, same]) => ({
      before: { ...at(`${name}/x`, same ? { ...a } : b), ...at(`${name}/y/z`, c) },
      after: at(name, a),
    })),
    movedIntoDirectory: pairOfTexts.map((t) => ({
      before: at(`${name}/one`, file(t.before)),
      after: at(`${name}/two/deep`, file(t.after)),
    })),
  };
  return fc.oneof({ weight: 4, arbitrary: kinds.edited as fc.Arbitrary<Scenario> }, ...Object.values(kinds));
}

export interface PairOfTrees {
  before: Tree;
  after: Tree;
}

export const pairOfTrees: fc.Arbitrary<PairOfTrees> = fc
  .uniqueArray(fc.constantFrom(...ODD_NAMES), { minLength: 1, maxLength: 8 })
  .chain((names) => fc.tuple(...names.map((name) => scenario(name))))
  .map((scenarios) => ({
    before: new Map(scenarios.flatMap((one) => Object.entries(one.before))),
    after: new Map(scenarios.flatMap((one) => Object.entries(one.after))),
  }));
