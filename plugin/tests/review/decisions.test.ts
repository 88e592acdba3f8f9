/** Deciding: what each use case does to hunks, and what it refuses, over a real ledger and hub. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { decisionOf, type HunkRow, toHunk } from "../../src/review/ledger/hunk-rows.ts";
import { lastOfOutbox, takeFeedback } from "../../src/review/tell/courier.ts";
import { LowDesk, type Published } from "../support/low-desk.ts";
import { executable, file, symlink, type Tree, tree } from "../support/trees.ts";

setDefaultTimeout(60_000);

let desk: LowDesk;
beforeAll(async () => {
  desk = await LowDesk.open();
});
afterAll(() => desk.close());

const lines = (...numbers: (number | string)[]): string => numbers.map((line) => `${line}\n`).join("");
const BEFORE = tree({ a: lines(1, 2, 3, 4, 5, 6, 7, 8, 9), b: "x\n" });
const AFTER = tree({ a: lines(1, "two", 3, 4, "five", "more", 6, 7, 8, "nine"), b: "y\n", c: "new\n" });

const published = (before: Tree = BEFORE, after: Tree = AFTER, onto?: Published) =>
  desk.publish(before, after, onto);
const states = (id: string): string =>
  desk
    .hunks(id)
    .map((hunk) => hunk.state[0])
    .join("");
const hunk = (id: string, number: number): HunkRow => desk.hunks(id)[number] as HunkRow;
const refusal = (
  work: () => unknown,
): { code: string; message: string; details?: Record<string, unknown> } => {
  try {
    work();
  } catch (thrown) {
    return thrown as { code: string; message: string };
  }
  throw new Error("expected a refusal");
};
const eventsOf = (id: string): string[] =>
  desk.ledger
    .rows<{ type: string }>(
      "SELECT type FROM event WHERE coalesce(json ->> '$.suggestion_id', json ->> '$.suggestion.id') = ? ORDER BY seq",
      id,
    )
    .map(({ type }) => type);

describe("a decision", () => {
  test("sets its hunk and counts it", async () => {
    const { id } = await published();
    const answer = desk.accept(hunk(id, 1));
    expect(answer).toMatchObject({ changed: 1, remaining_hunks: 4, reviewed_count: 1, hunk_count: 5 });
    expect(states(id)).toBe("papp" + "p");
  });
  test("can be another one later", async () => {
    const { id } = await published();
    desk.accept(hunk(id, 0));
    desk.reject(hunk(id, 0), "no");
    expect(states(id)[0]).toBe("r");
    expect(decisionOf(hunk(id, 0))?.comment).toBe("no");
  });
  test("asks for a settle, also after one that failed; a comment asks for none", async () => {
    const { id } = await published();
    const needed = () =>
      desk.ledger.row("SELECT settle_needed AS n FROM suggestion WHERE id = ?", id) as { n: string };
    for (const before of ["no", "failed"]) {
      desk.ledger.change("UPDATE suggestion SET settle_needed = ? WHERE id = ?", before, id);
      desk.comment(hunk(id, 0), "why?");
      expect(needed().n).toBe(before);
      desk.reject(hunk(id, 0));
      expect(needed().n).toBe("yes");
    }
  });
  test("on a text that has changed since is refused with the hunk as it is", async () => {
    const { id } = await published();
    const digest = "0".repeat(64);
    const request = { suggestion_id: id, hunk_id: hunk(id, 0).id, action: "accept" as const, digest };
    const { code, details } = refusal(() => desk.decide(request));
    expect(code).toBe("stale_hunk");
    expect(details?.hunk).toEqual(toHunk(hunk(id, 0)));
    expect(states(id)).toBe("ppppp");
  });
  test("on a hunk that is not there is refused", async () => {
    const { id } = await published();
    expect(
      refusal(() => desk.decide({ suggestion_id: id, hunk_id: `${id}:a:99`, action: "accept" })).code,
    ).toBe("not_found");
    expect(refusal(() => desk.decide({ suggestion_id: "none", hunk_id: "x", action: "accept" })).code).toBe(
      "not_found",
    );
  });
  test("on a closed suggestion is refused, and so is every other use case", async () => {
    const { id } = await published();
    const target = hunk(id, 0);
    desk.accept(target);
    for (const set of ["state = 'finalized'", "state = 'open', finalizing = '{}'"]) {
      desk.ledger.change(`UPDATE suggestion SET ${set} WHERE id = ?`, id);
      const on = { suggestion_id: id };
      const asks = [
        () => desk.reject(target),
        () => desk.decideMany({ ...on, scope: { action: "accept", include: "all" } }),
        () => desk.undo(on),
        () => desk.redo(on),
        () => desk.comment(target, "late"),
      ];
      expect(asks.map((ask) => refusal(ask).code)).toEqual(asks.map(() => "suggestion_closed"));
    }
  });
});

describe("a batch", () => {
  test("is one step: all of it or nothing", async () => {
    const { id } = await published();
    const decisions = [
      { hunk_id: hunk(id, 0).id, action: "accept" as const },
      { hunk_id: hunk(id, 1).id, action: "accept" as const, digest: "0".repeat(64) },
    ];
    expect(refusal(() => desk.decideMany({ suggestion_id: id, decisions })).code).toBe("stale_hunk");
    expect(states(id)).toBe("ppppp");
    expect(eventsOf(id)).toEqual(["suggestion.ready"]);
  });
  test("does not take a hunk twice", async () => {
    const { id } = await published();
    const one = { hunk_id: hunk(id, 0).id, action: "accept" as const };
    expect(refusal(() => desk.decideMany({ suggestion_id: id, decisions: [one, one] })).message).toContain(
      "decisions.1.hunk_id",
    );
  });
  test("can be what remains, a file, or everything", async () => {
    const { id } = await published();
    desk.reject(hunk(id, 0));
    desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "remaining", file: "a" } });
    expect(states(id)).toBe("raapp");
    desk.decideMany({ suggestion_id: id, scope: { action: "reject", include: "remaining" } });
    expect(states(id)).toBe("raarr");
    desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } });
    expect(states(id)).toBe("aaaaa");
    expect(
      refusal(() => desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "remaining" } }))
        .code,
    ).toBe("nothing_to_do");
  });
  test("of an older revision is refused", async () => {
    const { id } = await published();
    const scope = { action: "accept" as const, include: "all" as const, revision: 7 };
    expect(refusal(() => desk.decideMany({ suggestion_id: id, scope })).code).toBe("stale_hunk");
  });
  test("is undone and redone as one", async () => {
    const { id } = await published();
    desk.reject(hunk(id, 0));
    desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } });
    desk.undo({ suggestion_id: id });
    expect(states(id)).toBe("rpppp");
    desk.redo({ suggestion_id: id });
    expect(states(id)).toBe("aaaaa");
  });
});

describe("what the agent is told", () => {
  test("has every word of the developer's, and counts the rest", async () => {
    const changed = (mark: string) =>
      Object.fromEntries(Array.from({ length: 110 }, (_, file) => [`f${file}`, `${mark} ${file}\n`]));
    const { id } = await published(tree(changed("old")), tree(changed("new")));
    const rows = desk.hunks(id);
    // What other tests left to be told.
    takeFeedback(desk.ledger, desk.project.dir, lastOfOutbox(desk.ledger));
    desk.decideMany({
      suggestion_id: id,
      decisions: rows.map((row, index) => ({
        hunk_id: row.id,
        action: index < 10 ? "accept" : "reject",
        ...(index >= 60 ? { comment: `reason ${index}.` } : {}),
      })),
    });
    const last = rows[109] as HunkRow;
    desk.reject(last, "on second thoughts.");
    const [text = ""] = takeFeedback(desk.ledger, desk.project.dir, lastOfOutbox(desk.ledger));
    expect(text).toContain("10 hunks accepted in");
    expect([...(text.match(/reason \d+\./g) ?? [])]).toEqual(
      Array.from({ length: 49 }, (_, index) => `reason ${index + 60}.`),
    );
    expect(text).toContain("on second thoughts.");
    expect(text.match(/: rejected: it is taken out/g)).toHaveLength(90);
    expect(text).toContain("… and 10 more decisions; get_suggestion lists them");
    expect(takeFeedback(desk.ledger, desk.project.dir, lastOfOutbox(desk.ledger))).toEqual([]);
  });
});

describe("undo and redo", () => {
  test("of a hunk leave the others alone, in any order", async () => {
    const { id } = await published();
    for (const number of [0, 1, 2]) desk.accept(hunk(id, number));
    desk.undo({ suggestion_id: id, hunk_id: hunk(id, 0).id });
    expect(states(id)).toBe("paapp");
    desk.redo({ suggestion_id: id, hunk_id: hunk(id, 0).id });
    expect(states(id)).toBe("aaapp");
  });
  test("walk a hunk's history back and forth", async () => {
    const { id } = await published();
    desk.accept(hunk(id, 0));
    desk.reject(hunk(id, 0), "why");
    desk.undo({ suggestion_id: id });
    expect(states(id)[0]).toBe("a");
    desk.undo({ suggestion_id: id });
    expect(states(id)[0]).toBe("p");
    desk.redo({ suggestion_id: id });
    desk.redo({ suggestion_id: id });
    expect([states(id)[0], decisionOf(hunk(id, 0))?.comment]).toEqual(["r", "why"]);
  });
  test("redo goes back over undos in the order they came, whatever was decided first", async () => {
    const { id } = await published();
    desk.accept(hunk(id, 0));
    desk.reject(hunk(id, 1));
    desk.undo({ suggestion_id: id, hunk_id: hunk(id, 0).id });
    desk.undo({ suggestion_id: id, hunk_id: hunk(id, 1).id });
    desk.redo({ suggestion_id: id });
    expect(states(id).slice(0, 2)).toBe("pr");
    desk.redo({ suggestion_id: id });
    expect(states(id).slice(0, 2)).toBe("ar");
  });
  test("a new decision ends what could be redone", async () => {
    const { id } = await published();
    desk.accept(hunk(id, 0));
    desk.undo({ suggestion_id: id });
    desk.reject(hunk(id, 0));
    expect(refusal(() => desk.redo({ suggestion_id: id })).code).toBe("nothing_to_do");
  });
  test("refuse when there is nothing", async () => {
    const { id } = await published();
    expect(refusal(() => desk.undo({ suggestion_id: id })).message).toContain("nothing to undo");
    expect(refusal(() => desk.redo({ suggestion_id: id, hunk_id: hunk(id, 0).id })).message).toContain(
      "nothing to redo on this hunk",
    );
  });
});

describe("a part of a hunk", () => {
  const parts = (old: [number, number], fresh: [number, number]) => ({ old, new: fresh });

  test("is decided apart from the rest", async () => {
    const { id } = await published(tree({ a: lines(1, 2, 3) }), tree({ a: lines("x", "y", "z") }));
    const whole = hunk(id, 0);
    const answer = desk.decide({
      suggestion_id: id,
      hunk_id: whole.id,
      action: "accept",
      lines: parts([1, 1], [1, 1]),
    });
    expect(desk.hunks(id).map((part) => [part.id, part.state])).toEqual([
      [`${whole.id}.1`, "pending"],
      [`${whole.id}.2`, "accepted"],
      [`${whole.id}.3`, "pending"],
    ]);
    expect(answer).toMatchObject({ hunk_count: 3, remaining_hunks: 2 });
    const [expected] = await desk.store.write([tree({ a: lines(1, "y", 3) })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
  test("joins again when none is decided any more, and the hunk is as it was", async () => {
    const { id } = await published(tree({ a: lines(1, 2, 3) }), tree({ a: lines("x", "y", "z") }));
    const before = hunk(id, 0);
    desk.decide({ suggestion_id: id, hunk_id: before.id, action: "accept", lines: parts([0, 1], [0, 1]) });
    desk.undo({ suggestion_id: id });
    expect(desk.hunks(id)).toEqual([before]);
    expect(eventsOf(id).filter((type) => type === "suggestion.hunk_joined")).toHaveLength(1);
    expect(desk.accept(before)).toMatchObject({ hunk_count: 1, remaining_hunks: 0 });
  });
  test("can be cut again", async () => {
    const { id } = await published(tree({ a: "" }), tree({ a: lines(1, 2, 3, 4) }));
    const whole = hunk(id, 0);
    desk.decide({ suggestion_id: id, hunk_id: whole.id, action: "accept", lines: parts([0, 0], [0, 1]) });
    desk.decide({
      suggestion_id: id,
      hunk_id: `${whole.id}.2`,
      action: "reject",
      lines: parts([0, 0], [1, 1]),
    });
    const [accepted, sandbox] = await desk.store.write([tree({ a: lines(1) }), tree({ a: lines(1, 2, 4) })]);
    expect([await desk.treeOf(id, "accepted"), await desk.treeOf(id, "sandbox")]).toEqual([
      accepted?.tree as string,
      sandbox?.tree as string,
    ]);
    desk.undo({ suggestion_id: id });
    desk.undo({ suggestion_id: id });
    expect(desk.hunks(id).map((row) => row.id)).toEqual([whole.id]);
  });
  test("that was taken back is decided again by redo, cut anew at any depth", async () => {
    const { id } = await published(tree({ a: "", b: "1\n" }), tree({ a: lines(1, 2, 3, 4), b: "2\n" }));
    const whole = hunk(id, 0);
    desk.decide({ suggestion_id: id, hunk_id: whole.id, action: "accept", lines: parts([0, 0], [0, 1]) });
    desk.decide({
      suggestion_id: id,
      hunk_id: `${whole.id}.2`,
      action: "reject",
      comment: "not this",
      lines: parts([0, 0], [1, 1]),
    });
    const decided = desk.hunks(id);
    const trees = [await desk.treeOf(id, "accepted"), await desk.treeOf(id, "sandbox")];
    desk.undo({ suggestion_id: id });
    desk.undo({ suggestion_id: id });
    expect(refusal(() => desk.reject({ ...whole, id: `${whole.id}.1` })).details).toEqual({
      hunk_id: `${whole.id}.1`,
      joined: whole.id,
    });
    // Something else in between ends nothing on this hunk.
    desk.accept(hunk(id, 1));
    desk.undo({ suggestion_id: id });
    desk.redo({ suggestion_id: id, hunk_id: whole.id });
    desk.redo({ suggestion_id: id, hunk_id: `${whole.id}.2` });
    expect(desk.hunks(id)).toEqual(decided);
    expect([await desk.treeOf(id, "accepted"), await desk.treeOf(id, "sandbox")]).toEqual(trees);
    expect(desk.undo({ suggestion_id: id })).toMatchObject({ hunk_count: 3, remaining_hunks: 2 });
  });
  test("cannot be redone once the whole was decided or cut in another way", async () => {
    const { id } = await published(tree({ a: lines(1, 2) }), tree({ a: lines("x", "y") }));
    const whole = hunk(id, 0);
    const first = { suggestion_id: id, hunk_id: whole.id, action: "accept" as const };
    desk.decide({ ...first, lines: parts([0, 1], [0, 1]) });
    desk.undo({ suggestion_id: id });
    desk.decide({ ...first, action: "reject", lines: parts([1, 1], [1, 1]) });
    expect(refusal(() => desk.redo({ suggestion_id: id })).code).toBe("nothing_to_do");
    expect(states(id)).toBe("pr");
    desk.undo({ suggestion_id: id });
    desk.accept(whole);
    expect(refusal(() => desk.redo({ suggestion_id: id })).code).toBe("nothing_to_do");
    expect(desk.hunks(id).map((row) => [row.id, row.state])).toEqual([[whole.id, "accepted"]]);
  });
  test("leaves the whole hunk to nobody: a client is told the parts", async () => {
    const { id } = await published(tree({ a: lines(1, 2) }), tree({ a: lines("x", "y") }));
    const whole = hunk(id, 0);
    desk.decide({ suggestion_id: id, hunk_id: whole.id, action: "accept", lines: parts([0, 1], [0, 1]) });
    const { code, details } = refusal(() => desk.accept(whole));
    expect([code, details?.parts]).toEqual(["stale_hunk", [`${whole.id}.1`, `${whole.id}.2`]]);
  });
  test("of a file without a newline at its end can be taken where that keeps lines apart", async () => {
    const { id } = await published(tree({ a: "1\n2" }), tree({ a: "x\ny" }));
    desk.decide({
      suggestion_id: id,
      hunk_id: hunk(id, 0).id,
      action: "accept",
      lines: parts([0, 1], [0, 1]),
    });
    const [expected] = await desk.store.write([tree({ a: "x\n2" })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
  test("is refused where it would join two lines", async () => {
    const { id } = await published(tree({ a: "1" }), tree({ a: "1\n2\n" }));
    const cut = {
      suggestion_id: id,
      hunk_id: hunk(id, 0).id,
      action: "accept" as const,
      lines: parts([0, 1], [0, 0]),
    };
    expect(refusal(() => desk.decide(cut)).message).toContain("without a newline");
  });
  test("is refused beyond the hunk, for nothing, for a decided hunk and for what has no lines", async () => {
    const { id } = await published(
      tree({ a: lines(1), m: "m\n" }),
      tree({ a: lines(2), m: executable("m\n") }),
    );
    const cut = (number: number, range: ReturnType<typeof parts>) =>
      refusal(() =>
        desk.decide({ suggestion_id: id, hunk_id: hunk(id, number).id, action: "accept", lines: range }),
      ).message;
    expect(cut(0, parts([0, 2], [0, 1]))).toContain("lines: old: the hunk removes 1 lines");
    expect(cut(0, parts([0, 0], [0, 5]))).toContain("lines: new: the hunk adds 1 lines");
    expect(cut(0, parts([0, 0], [0, 0]))).toContain("at least one line");
    expect(cut(1, parts([0, 1], [0, 0]))).toContain("cannot be split, a file has one mode");
    desk.accept(hunk(id, 0));
    expect(cut(0, parts([0, 1], [0, 0]))).toContain("decided already");
  });
});

describe("a modification", () => {
  const modify = (target: HunkRow, diff: string) =>
    desk.decide({
      suggestion_id: target.suggestion,
      hunk_id: target.id,
      action: "modify",
      modified_diff: diff,
    });

  test("puts the developer's text in both trees", async () => {
    const { id } = await published();
    const answer = modify(hunk(id, 0), "@@ -2 +2 @@\n-2\n+zwei\n");
    expect(answer.hunks[0]?.state).toBe("modified");
    const [expected] = await desk.store.write([tree({ a: lines(1, "zwei", 3, 4, 5, 6, 7, 8, 9), b: "x\n" })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
  test("may give a created file another text, and a deleted one a life", async () => {
    const { id } = await published(tree({ gone: "1\n2\n" }), tree({ made: "3\n" }));
    const [made, gone] = desk.hunks(id).sort((a, b) => (a.kind < b.kind ? -1 : 1)) as [HunkRow, HunkRow];
    modify(made, "@@ -0,0 +1 @@\n+drei\n");
    modify(gone, "@@ -1,2 +1 @@\n-1\n 2\n");
    const [expected] = await desk.store.write([tree({ gone: "2\n", made: "drei\n" })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
  test("keeps out of other hunks and of what they were modified to", async () => {
    const { id } = await published();
    expect(refusal(() => modify(hunk(id, 0), "@@ -2,4 +2 @@\n-2\n-3\n-4\n-5\n+x\n")).code).toBe(
      "invalid_modification",
    );
    modify(hunk(id, 0), "@@ -2,3 +2 @@\n-2\n-3\n-4\n+x\n");
    expect(refusal(() => modify(hunk(id, 1), "@@ -4,2 +4 @@\n-4\n-5\n+x\n")).message).toContain(
      "belong to other hunks",
    );
  });
  test("that was undone is not redone over a neighbour's", async () => {
    const { id } = await published();
    modify(hunk(id, 0), "@@ -2,3 +2 @@\n-2\n-3\n-4\n+x\n");
    desk.undo({ suggestion_id: id });
    modify(hunk(id, 1), "@@ -4,2 +4 @@\n-4\n-5\n+x\n");
    const redo = refusal(() => desk.redo({ suggestion_id: id, hunk_id: hunk(id, 0).id }));
    expect([redo.code, states(id)]).toEqual(["invalid_modification", "pmppp"]);
  });
  test("that changes nothing stands for the base and disturbs no other hunk", async () => {
    const { id } = await published();
    modify(hunk(id, 1), "@@ -1,3 +1,3 @@\n 1\n 2\n 3\n");
    desk.accept(hunk(id, 0));
    const [expected] = await desk.store.write([tree({ a: lines(1, "two", 3, 4, 5, 6, 7, 8, 9), b: "x\n" })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
  test("is bytes: what a Latin-1 file cannot hold is refused, what it can is kept", async () => {
    const { id } = await published(tree({ a: "\xe9\n" }), tree({ a: "\xe8\n" }));
    modify(hunk(id, 0), "@@ -1 +1 @@\n-é\n+ü\n");
    const [expected] = await desk.store.write([tree({ a: "\xfc\n" })]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
    expect(refusal(() => modify(hunk(id, 0), "@@ -1 +1 @@\n-é\n+€\n")).message).toContain(
      '"€" cannot be written',
    );
  });
  test("of what has no lines is refused", async () => {
    const { id } = await published(tree({ l: symlink("a") }), tree({ l: symlink("b") }));
    expect(refusal(() => modify(hunk(id, 0), "@@ -1 +1 @@\n-a\n+b\n")).message).toContain(
      "one target; accept or reject it",
    );
  });
});

describe("a comment", () => {
  test("decides nothing", async () => {
    const { id } = await published();
    desk.comment(hunk(id, 0), "hm");
    desk.comment(hunk(id, 0), "hm again");
    expect(states(id)).toBe("ppppp");
    expect(toHunk(hunk(id, 0)).comments?.map(({ text }) => text)).toEqual(["hm", "hm again"]);
    expect(refusal(() => desk.undo({ suggestion_id: id })).code).toBe("nothing_to_do");
  });
});

describe("a request id", () => {
  test("gets the same answer for the same request, and nothing is done twice", async () => {
    const { id } = await published();
    const request = {
      suggestion_id: id,
      hunk_id: hunk(id, 0).id,
      action: "accept" as const,
      request_id: `once-${id}`,
    };
    const first = desk.decide(request);
    const events = eventsOf(id).length;
    desk.reject(hunk(id, 0));
    expect(desk.decide({ ...request })).toEqual(first);
    expect(eventsOf(id).length - events).toBe(2);
    expect(states(id)[0]).toBe("r");
  });
  test("is refused for another body and for another use case with the same body", async () => {
    const { id } = await published();
    desk.accept(hunk(id, 0));
    const request = { suggestion_id: id, request_id: `reused-${id}` };
    desk.undo(request);
    expect(refusal(() => desk.redo(request)).code).toBe("request_reused");
    expect(refusal(() => desk.undo({ ...request, hunk_id: hunk(id, 0).id })).code).toBe("request_reused");
    expect(states(id)).toBe("ppppp");
  });
  test("of a refused request is free again", async () => {
    const { id } = await published();
    const request = { suggestion_id: id, request_id: `free-${id}` };
    expect(refusal(() => desk.undo(request)).code).toBe("nothing_to_do");
    desk.accept(hunk(id, 0));
    expect(desk.undo(request).changed).toBe(1);
  });
});

describe("two files of which one is called what the other is shown as", () => {
  test("have hunks of their own", async () => {
    const names = new Map([
      ["\xff", file("1\n")],
      ['"\\377"', file("2\n")],
    ]);
    const { id } = await published(tree({}), names);
    const [first, second] = desk.hunks(id) as [HunkRow, HunkRow];
    expect(first.file).toBe(second.file);
    desk.accept(first);
    const [expected] = await desk.store.write([new Map([[first.path, names.get(first.path) ?? file("")]])]);
    expect(await desk.treeOf(id, "accepted")).toBe(expected?.tree as string);
  });
});
