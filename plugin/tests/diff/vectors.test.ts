/**
 * What stands in the server and in the client, pinned by vectors that both suites read: test-harness/vectors, and for
 * the client nvim/tests/vectors_spec.lua. Their answers were computed by neither of the two.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fromLatin1, lineOffsets, toLatin1, utf8 } from "../../src/diff/bytes.ts";
import { compose, LINE_KINDS, type Piece } from "../../src/diff/compose.ts";
import { hunkDigest } from "../../src/diff/digest.ts";
import { linesOfDiff } from "../../src/diff/hunks.ts";
import { parseEdited } from "../../src/diff/unified.ts";
import { HunkKind } from "../../src/protocol/model.ts";
import { splitHunk } from "../../src/review/decide/split.ts";
import type { HunkRow } from "../../src/review/ledger/hunk-rows.ts";
import { addTokenHash, ensureTokens, openTokens, sha256hex } from "../../src/server/tokens/tokens.ts";
import { temporaryDirectory } from "../server/place.ts";

interface Vectors<Case> {
  about: string;
  cases: Case[];
}
function vectors<Case>(name: string): Case[] {
  const text = readFileSync(join(import.meta.dir, "../../../test-harness/vectors", `${name}.json`), "utf8");
  const { cases } = JSON.parse(text) as Vectors<Case>;
  expect(cases.length).toBeGreaterThan(0);
  return cases;
}

interface DigestCase {
  name: string;
  kind: HunkKind;
  path: string;
  before: string;
  after: string;
  digest: string;
  hunk?: { diff: string; encoding: string };
}

describe("digest", () => {
  for (const { name, kind, path, before, after, digest, hunk } of vectors<DigestCase>("digests"))
    test(name, () => {
      expect(hunkDigest(kind, path, fromLatin1(before), fromLatin1(after))).toBe(digest);
      if (kind !== "text" || hunk === undefined) return;
      const diff = hunk.encoding === "latin1" ? fromLatin1(hunk.diff) : utf8(hunk.diff);
      const { old, new: fresh } = linesOfDiff(diff);
      expect([toLatin1(old), toLatin1(fresh)]).toEqual([before, after]);
    });
});

interface PartCase {
  name: string;
  kind: HunkKind;
  path: string;
  old_mode: string | null;
  new_mode: string | null;
  diff: string;
  old_count: number;
  new_count: number;
  lines: { old: [number, number]; new: [number, number] };
  digest: string;
}

describe("digest of a part", () => {
  for (const { name, diff, lines, digest, ...fields } of vectors<PartCase>("parts"))
    test(name, () => {
      const row = {
        ...fields,
        id: "s:a:0",
        key: 1,
        diff: fromLatin1(diff),
        encoding: "utf-8",
        state: "pending",
        atomic_reason: null,
        old_from: 0,
        new_from: 0,
      } as unknown as HunkRow;
      const chosen = splitHunk(row, lines).find((part) => part.chosen);
      expect(chosen?.row.digest).toBe(digest);
    });
});

interface ModificationCase {
  name: string;
  base: string;
  diff: string;
  result?: string;
  refused?: true;
}

/** The base with lines [from, from + count) replaced. */
function replaced(base: string, from: number, count: number, text: string): string {
  const offsets = lineOffsets(fromLatin1(base));
  return base.slice(0, offsets[from]) + text + base.slice(offsets[from + count]);
}

describe("modified diff", () => {
  for (const { name, base, diff, result, refused } of vectors<ModificationCase>("modifications"))
    test(name, () => {
      const free = { from: 0, to: lineOffsets(fromLatin1(base)).length - 1 };
      const read = () => parseEdited(fromLatin1(diff), fromLatin1(base), free);
      if (refused === true) return void expect(read).toThrow("modified_diff:");
      const { from, count, text } = read();
      expect(replaced(base, from, count, toLatin1(text))).toBe(result as string);
    });
});

interface ComposedHunk {
  diff: string;
  old_from: number;
  old_count: number;
  new_from: number;
  state: "pending" | "accepted" | "modified" | "rejected";
  modified_diff?: string;
}
interface CompositionCase {
  name: string;
  base: string;
  hunks: ComposedHunk[];
  result: string;
}

function pieceOf(base: string, hunk: ComposedHunk, others: ComposedHunk[]): Piece {
  const free = {
    from: Math.max(
      0,
      ...others.filter((one) => one.old_from < hunk.old_from).map((one) => one.old_from + one.old_count),
    ),
    to: Math.min(
      lineOffsets(fromLatin1(base)).length - 1,
      ...others.filter((one) => one.old_from > hunk.old_from).map((one) => one.old_from),
    ),
  };
  return {
    entry: 0,
    group: null,
    kind: "text",
    oldFrom: hunk.old_from,
    oldCount: hunk.old_count,
    newFrom: hunk.new_from,
    applied: hunk.state === "accepted" || hunk.state === "modified",
    replacement:
      hunk.modified_diff === undefined
        ? null
        : parseEdited(fromLatin1(hunk.modified_diff), fromLatin1(base), free),
    text: () => linesOfDiff(fromLatin1(hunk.diff)).new,
  };
}

describe("composition", () => {
  for (const { name, base, hunks, result } of vectors<CompositionCase>("compositions"))
    test(name, () => {
      const pieces = hunks.map((hunk) => pieceOf(base, hunk, hunks));
      const entry = { oldPath: "a", newPath: "a", oldMode: "100644", newMode: "100644" };
      // Taken whole or not at all it is named by its id; the lines are the client's to compose then.
      const entries = [{ ...entry, oldOid: "base", newOid: "whole" }] as Parameters<typeof compose>[0];
      const [file] = compose(entries, pieces, () => fromLatin1(base)).files;
      if (file === undefined) throw new Error("nothing was composed");
      if ("content" in file) return void expect(toLatin1(file.content)).toBe(result);
      const states = new Set(hunks.map(({ state }) => state));
      if (file.oid === "whole") expect([...states]).toEqual(["accepted"]);
      else expect(result).toBe(base);
    });
});

interface ProofCase {
  name: string;
  token: string;
  nonce: string;
  address: string;
  proof: string;
}

describe("proof of the server", () => {
  const dir = temporaryDirectory("vectors");
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  for (const { name, token, nonce, address, proof } of vectors<ProofCase>("proofs"))
    test(name, () => {
      ensureTokens(dir);
      addTokenHash(dir, "developer", sha256hex(token));
      expect(openTokens(dir).proofs(nonce, [address])).toContain(proof);
      expect(openTokens(dir).proofs(`${nonce}x`, [address])).not.toContain(proof);
    });
});

describe("kinds", () => {
  const cases = vectors<{ kind: HunkKind; lines: boolean }>("kinds");
  test("all of them are named", () => {
    expect(cases.map(({ kind }) => kind).sort()).toEqual([...HunkKind.options].sort());
  });
  for (const { kind, lines } of cases)
    test(`${kind} is composed ${lines ? "by lines" : "as a whole"}`, () => {
      expect(LINE_KINDS.has(kind)).toBe(lines);
    });
});
