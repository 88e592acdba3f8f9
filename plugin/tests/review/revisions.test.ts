/** A change published again: what keeps its decision, what is to be looked at anew, and what is remembered. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { decisionOf, type HunkRow, toHunk } from "../../src/review/ledger/hunk-rows.ts";
import { LowDesk } from "../support/low-desk.ts";
import { tree } from "../support/trees.ts";

setDefaultTimeout(60_000);

let desk: LowDesk;
beforeAll(async () => {
  desk = await LowDesk.open();
});
afterAll(() => desk.close());

const lines = (...all: (number | string)[]): string => all.map((line) => `${line}\n`).join("");
const NINE = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const BASE = tree({ a: lines(...NINE) });
const changed = (...edits: [number, string][]) =>
  tree({ a: lines(...NINE.map((line) => edits.find(([at]) => at === line)?.[1] ?? line)) });
const summary = (id: string): [string, string][] =>
  desk.hunks(id).map((hunk) => [
    hunk.state,
    Buffer.from(hunk.diff)
      .toString()
      .match(/^\+.*$/m)?.[0] ?? "",
  ]);
const hunk = (id: string, number: number): HunkRow => desk.hunks(id)[number] as HunkRow;

describe("a new revision", () => {
  test("keeps the decisions of hunks that are what they were", async () => {
    const first = await desk.publish(BASE, changed([2, "two"], [8, "eight"]));
    desk.accept(hunk(first.id, 0));
    desk.reject(hunk(first.id, 1), "not this");
    const second = await desk.publish(BASE, changed([2, "two"], [5, "five"], [8, "eight"]), first);
    expect(second).toMatchObject({ revision: 2, pending_count: 1 });
    expect(summary(first.id)).toEqual([
      ["accepted", "+two"],
      ["pending", "+five"],
      ["rejected", "+eight"],
    ]);
    expect(decisionOf(hunk(first.id, 2))).toMatchObject({ comment: "not this", carried_from: 1 });
  });

  test("lets what it kept be taken back on that hunk, and done again; undo of the last step leaves it alone", async () => {
    const first = await desk.publish(BASE, changed([2, "two"], [8, "eight"]));
    desk.accept(hunk(first.id, 0));
    desk.reject(hunk(first.id, 1), "not this");
    await desk.publish(BASE, changed([2, "two"], [5, "five"], [8, "eight"]), first);
    const { id } = first;
    expect(() => desk.undo({ suggestion_id: id })).toThrow("nothing to undo");
    const kept = hunk(id, 2);
    desk.undo({ suggestion_id: id, hunk_id: kept.id });
    expect(summary(id).map(([state]) => state)).toEqual(["accepted", "pending", "pending"]);
    desk.accept(hunk(id, 1));
    desk.redo({ suggestion_id: id });
    expect(hunk(id, 2)).toEqual(kept);
    expect(summary(id).map(([state]) => state)).toEqual(["accepted", "accepted", "rejected"]);
  });

  test("asks again for a hunk that says something else, and shows what was rejected there", async () => {
    const first = await desk.publish(BASE, changed([5, "five"]));
    desk.reject(hunk(first.id, 0), "spell it out");
    await desk.publish(BASE, changed([5, "FIVE"]), first);
    const shown = toHunk(hunk(first.id, 0));
    expect(shown.state).toBe("pending");
    expect(shown.earlier).toMatchObject({ revision: 1, comment: "spell it out" });
    expect(shown.earlier?.diff).toContain("+five");
  });

  test("asks again for the same text at another place", async () => {
    const first = await desk.publish(
      tree({ a: lines("x", "m", "x", "n") }),
      tree({ a: lines("y", "m", "x", "n") }),
    );
    desk.accept(hunk(first.id, 0));
    await desk.publish(tree({ a: lines("x", "m", "x", "n") }), tree({ a: lines("x", "m", "y", "n") }), first);
    expect(hunk(first.id, 0).state).toBe("pending");
  });

  test("follows its hunks when the base moved under them", async () => {
    const first = await desk.publish(BASE, changed([2, "two"], [8, "eight"]));
    desk.accept(hunk(first.id, 0));
    desk.accept(hunk(first.id, 1));
    const top = (text: string) => `new\n${text}`;
    const base = tree({ a: top(lines(...NINE)) });
    await desk.publish(base, tree({ a: top(lines(1, "two", 3, 4, 5, 6, 7, "eight", 9)) }), first);
    expect(summary(first.id).map(([state]) => state)).toEqual(["accepted", "accepted"]);
  });

  test("asks again where the base itself changed the lines", async () => {
    const first = await desk.publish(BASE, changed([2, "two"], [8, "eight"]));
    desk.accept(hunk(first.id, 0));
    desk.accept(hunk(first.id, 1));
    const base = tree({ a: lines(1, "2!", 3, 4, 5, 6, 7, 8, 9) });
    await desk.publish(base, tree({ a: lines(1, "two", 3, 4, 5, 6, 7, "eight", 9) }), first);
    expect(summary(first.id)).toEqual([
      ["pending", "+two"],
      ["accepted", "+eight"],
    ]);
  });

  test("knows the developer's own text when the agent took it over", async () => {
    const first = await desk.publish(BASE, changed([5, "five"]));
    const target = hunk(first.id, 0);
    desk.decide({
      suggestion_id: first.id,
      hunk_id: target.id,
      action: "modify",
      modified_diff: "@@ -5 +5 @@\n-5\n+cinq\n",
    });
    await desk.publish(BASE, changed([5, "cinq"], [8, "eight"]), first);
    expect(summary(first.id)).toEqual([
      ["accepted", "+cinq"],
      ["pending", "+eight"],
    ]);
  });

  test("knows a file that the developer emptied when the agent took that over", async () => {
    const base = tree({ a: lines(1, 2), b: "1\n" });
    const first = await desk.publish(base, tree({ a: lines("x", "y"), b: "1\n" }));
    desk.decide({
      suggestion_id: first.id,
      hunk_id: hunk(first.id, 0).id,
      action: "modify",
      modified_diff: "@@ -1,2 +0,0 @@\n-1\n-2\n",
    });
    await desk.publish(base, tree({ a: "", b: "1\n" }), first);
    expect(summary(first.id).map(([state]) => state)).toEqual(["accepted"]);
  });

  test("A11: asks again for a deletion of the file that the developer emptied", async () => {
    const base = tree({ a: lines(1, 2), b: "1\n" });
    const first = await desk.publish(base, tree({ a: lines("x", "y"), b: "1\n" }));
    desk.decide({
      suggestion_id: first.id,
      hunk_id: hunk(first.id, 0).id,
      action: "modify",
      modified_diff: "@@ -1,2 +0,0 @@\n-1\n-2\n",
    });
    await desk.publish(base, tree({ b: "1\n" }), first);
    expect(summary(first.id).map(([state]) => state)).toEqual(["pending"]);
  });

  test("keeps a modification whose hunk is unchanged, at its new place", async () => {
    const first = await desk.publish(BASE, changed([5, "five"]));
    const target = hunk(first.id, 0);
    desk.decide({
      suggestion_id: first.id,
      hunk_id: target.id,
      action: "modify",
      modified_diff: "@@ -5 +5 @@\n-5\n+cinq\n",
    });
    const base = tree({ a: `new\n${lines(...NINE)}` });
    await desk.publish(base, tree({ a: `new\n${lines(1, 2, 3, 4, "five", 6, 7, 8, 9)}` }), first);
    const [expected] = await desk.store.write([tree({ a: `new\n${lines(1, 2, 3, 4, "cinq", 6, 7, 8, 9)}` })]);
    expect(await desk.treeOf(first.id, "accepted")).toBe(expected?.tree as string);
    expect(toHunk(hunk(first.id, 0)).decision?.modified_diff).toBe("@@ -6 +6 @@\n-5\n+cinq\n");
  });

  test("keeps the decision of a part when the rest is gone", async () => {
    const first = await desk.publish(tree({ a: lines(1, 2) }), tree({ a: lines("x", "y") }));
    const whole = hunk(first.id, 0);
    desk.decide({
      suggestion_id: first.id,
      hunk_id: whole.id,
      action: "accept",
      lines: { old: [0, 1], new: [0, 1] },
    });
    desk.reject(hunk(first.id, 1));
    await desk.publish(tree({ a: lines(1, 2) }), tree({ a: lines("x", 2) }), first);
    expect(summary(first.id)).toEqual([["accepted", "+x"]]);
  });

  test("keeps the parts of a hunk that is what it was", async () => {
    const first = await desk.publish(
      tree({ a: lines(1, 2), b: "1\n" }),
      tree({ a: lines("x", "y"), b: "2\n" }),
    );
    const whole = hunk(first.id, 0);
    desk.decide({
      suggestion_id: first.id,
      hunk_id: whole.id,
      action: "accept",
      lines: { old: [0, 1], new: [0, 1] },
    });
    await desk.publish(tree({ a: lines(1, 2), b: "1\n" }), tree({ a: lines("x", "y"), b: "3\n" }), first);
    expect(summary(first.id)).toEqual([
      ["accepted", "+x"],
      ["pending", "+y"],
      ["pending", "+3"],
    ]);
    const [accepted] = await desk.store.write([tree({ a: lines("x", 2), b: "1\n" })]);
    expect(await desk.treeOf(first.id, "accepted")).toBe(accepted?.tree as string);
  });

  test("does not undo decisions of the one before it", async () => {
    const first = await desk.publish(BASE, changed([2, "two"]));
    desk.accept(hunk(first.id, 0));
    await desk.publish(BASE, changed([2, "two"], [8, "eight"]), first);
    expect(() => desk.undo({ suggestion_id: first.id })).toThrow("nothing to undo");
  });
});

describe("another suggestion", () => {
  test("remembers that the same content was rejected before, and why", async () => {
    const first = await desk.publish(BASE, changed([3, "drei"]));
    desk.reject(hunk(first.id, 0), "in English please");
    const other = await desk.publish(BASE, changed([3, "drei"]));
    expect(toHunk(hunk(other.id, 0)).earlier).toMatchObject({ comment: "in English please" });
  });
});
