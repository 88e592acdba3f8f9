/**
 * The two trees of a suggestion, for generated trees of every kind of change: whatever is decided, in whatever order
 * and however often it is taken back, the trees are those that the decisions that stand describe.
 *
 *     SUGGESTION_LONG=1 bun test plugin/tests/review/trees.test.ts     10,000 pairs of trees
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { linesOfDiff } from "../../src/diff/hunks.ts";
import type { HunkRow } from "../../src/review/ledger/hunk-rows.ts";
import { type PairOfTrees, pairOfTrees } from "../support/generate.ts";
import { type Listing, LowDesk, listingOf, type Published, treeIdOf } from "../support/low-desk.ts";
import { expectedTree, type Place } from "../support/oracle.ts";
import { linesOf, type Tree } from "../support/trees.ts";

const LONG = process.env.SUGGESTION_LONG === "1";
/** In npm test it runs under two Buns, with other seeds. */
const PAIRS = Number(process.env.SUGGESTION_PAIRS ?? (LONG ? 10_000 : 250));
/** Two at a time: most of it is waiting for git. */
const SHARDS = 2;
/** Suggestions after which ledger and hub are made anew, so that a long run does not slow down. */
const RENEW = 250;

/** One thing the developer does; numbers choose among what is there. */
type Step =
  | { do: "accept"; pick: number }
  | { do: "reject"; pick: number }
  | { do: "part"; pick: number; cut: [number, number, number, number]; accept: boolean }
  | { do: "undo"; pick: number | null }
  | { do: "redo"; pick: number | null }
  | { do: "discard"; again: boolean }
  | { do: "rest"; accept: boolean; include: "remaining" | "all"; file: number | null }
  | { do: "several"; picks: number[]; accept: boolean };

const pick = fc.nat({ max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("accept" as const), pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("reject" as const), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("part" as const),
      pick,
      cut: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.nat({ max: 3 })),
      accept: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("undo" as const), pick: fc.option(pick) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("redo" as const), pick: fc.option(pick) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("discard" as const), again: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("rest" as const),
      accept: fc.boolean(),
      include: fc.constantFrom("remaining" as const, "all" as const),
      file: fc.option(pick),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("several" as const),
      picks: fc.array(pick, { minLength: 1, maxLength: 6 }),
      accept: fc.boolean(),
    }),
  },
);

const REFUSALS = new Set(["nothing_to_do", "invalid_request", "stale_hunk"]);

/** Does the step; one that makes no sense now is refused by the desk, and must then have changed nothing. */
function take(desk: LowDesk, published: Published, one: Step): void {
  const hunks = desk.hunks(published.id);
  const at = (number: number) => hunks[number % hunks.length] as HunkRow;
  const on = { suggestion_id: published.id };
  const action = (accept: boolean) => (accept ? "accept" : "reject");
  const before = JSON.stringify(hunks);
  try {
    if (one.do === "accept" || one.do === "reject") {
      desk.decide({ ...on, hunk_id: at(one.pick).id, action: one.do, digest: at(one.pick).digest });
    } else if (one.do === "part") {
      const [oldFirst, oldCount, newFirst, newCount] = one.cut;
      desk.decide({
        ...on,
        hunk_id: at(one.pick).id,
        action: action(one.accept),
        lines: { old: [oldFirst, oldCount], new: [newFirst, newCount] },
      });
    } else if (one.do === "undo" || one.do === "redo") {
      const { state } = desk[one.do]({ ...on, ...(one.pick === null ? {} : { hunk_id: at(one.pick).id }) });
      // What was taken back last was a discard: it is not what this step is about.
      if (state === "discarded") desk.undo(on);
    } else if (one.do === "discard") {
      // Taken back at once, and perhaps done again and taken back: hunks, decisions and their history are as they were.
      desk.discard(published.id);
      expect(desk.undo(on).state).toBe("open");
      if (one.again) {
        expect(desk.redo(on).state).toBe("discarded");
        expect(desk.undo(on).state).toBe("open");
      }
      expect(JSON.stringify(desk.hunks(published.id))).toBe(before);
    } else if (one.do === "rest") {
      const file = one.file === null ? {} : { file: at(one.file).file };
      desk.decideMany({ ...on, scope: { action: action(one.accept), include: one.include, ...file } });
    } else {
      const ids = [...new Set(one.picks.map((number) => at(number).id))];
      desk.decideMany({ ...on, decisions: ids.map((hunk_id) => ({ hunk_id, action: action(one.accept) })) });
    }
  } catch (thrown) {
    const { code } = thrown as { code?: string };
    if (code === undefined || !REFUSALS.has(code)) throw thrown;
    expect(JSON.stringify(desk.hunks(published.id))).toBe(before);
  }
}

const placeOf = (row: HunkRow): Place & { state: string } => ({
  entry: row.entry,
  kind: row.kind,
  group: row.members === null ? null : (JSON.parse(row.members) as number[]),
  oldFrom: row.old_from,
  oldCount: row.old_count,
  newFrom: row.new_from,
  newCount: row.new_count,
  state: row.state,
});

const STATES: Record<"accepted" | "sandbox", string[]> = {
  accepted: ["accepted"],
  sandbox: ["accepted", "pending"],
};

/** The tree by the independent composition. */
function expectedFor(desk: LowDesk, id: string, pair: PairOfTrees, part: "accepted" | "sandbox"): Tree {
  const places = desk.hunks(id).map(placeOf);
  return expectedTree(pair.before, pair.after, desk.entries(id), places, (place) =>
    STATES[part].includes((place as (typeof places)[number]).state),
  );
}

/** Both trees, as the engine composes them in memory. */
function composed(desk: LowDesk, id: string, pair: PairOfTrees): [Listing, Listing] {
  return [desk.listing(id, "accepted", pair.before), desk.listing(id, "sandbox", pair.before)];
}

/** Both trees, written by the engine and by the independent composition, have the same ids. */
async function expectWritten(desk: LowDesk, id: string, pair: PairOfTrees): Promise<void> {
  const expected = (["accepted", "sandbox"] as const).map((part) =>
    treeIdOf(listingOf(expectedFor(desk, id, pair, part))),
  );
  const written: string[] = await Promise.all([desk.treeOf(id, "accepted"), desk.treeOf(id, "sandbox")]);
  expect(written).toEqual(expected);
}

/** Changes the texts of hunks say are those of the files. */
function expectTexts(desk: LowDesk, published: Published, pair: PairOfTrees): void {
  const entries = desk.entries(published.id);
  for (const row of desk.hunks(published.id)) {
    if (row.atomic_reason !== null) continue;
    const entry = entries[row.entry];
    const side = (
      path: string | null | undefined,
      files: PairOfTrees["before"],
      from: number,
      count: number,
    ) =>
      linesOf(path == null ? "" : (files.get(path)?.text ?? ""))
        .slice(from, from + count)
        .join("");
    const said = linesOfDiff(row.diff);
    expect(Buffer.from(said.old).toString("latin1")).toBe(
      side(entry?.oldPath, pair.before, row.old_from, row.old_count),
    );
    expect(Buffer.from(said.new).toString("latin1")).toBe(
      side(entry?.newPath, pair.after, row.new_from, row.new_count),
    );
  }
}

const totals = { pairs: 0, hunks: 0, steps: 0 };

async function checkPair(
  desk: LowDesk,
  pair: PairOfTrees,
  script: Step[],
  dice: Iterator<number>,
): Promise<void> {
  let published: Published;
  try {
    published = await desk.publish(pair.before, pair.after);
  } catch (thrown) {
    // Two equal trees are nothing to review.
    expect((thrown as { code?: string }).code).toBe("unpublishable");
    const [before, after] = await desk.store.write([pair.before, pair.after]);
    expect(before?.tree).toBe(after?.tree as string);
    return;
  }
  const { id, baseTree, commitTree } = published;
  totals.pairs++;
  if (LONG && totals.pairs % 500 === 0) console.log(JSON.stringify(totals));
  totals.hunks += published.hunk_count;
  totals.steps += script.length;
  expectTexts(desk, published, pair);

  const before = listingOf(pair.before);
  const after = listingOf(pair.after);

  // Undecided, the sandbox has everything and the accepted part nothing.
  expect(composed(desk, id, pair)).toEqual([before, after]);
  // Any sequence of decisions, undos and redos.
  for (const one of script) {
    take(desk, published, one);
    expect(composed(desk, id, pair)).toEqual([
      listingOf(expectedFor(desk, id, pair, "accepted")),
      listingOf(expectedFor(desk, id, pair, "sandbox")),
    ]);
  }
  await expectWritten(desk, id, pair);
  const trees = composed(desk, id, pair);

  // The same standing decisions, made anew in another order: the same trees.
  const standing = desk.hunks(id).filter((row) => row.state === "accepted");
  desk.decideMany({ suggestion_id: id, scope: { action: "reject", include: "all" } });
  expect(composed(desk, id, pair)).toEqual([before, before]);
  desk.undo({ suggestion_id: id });
  const shuffled = standing
    .map((row) => ({ row, key: dice.next().value as number }))
    .sort((a, b) => a.key - b.key);
  for (const { row } of shuffled) desk.reject(row);
  for (const { row } of shuffled.reverse()) desk.accept(row);
  expect(composed(desk, id, pair)).toEqual(trees);

  // Everything taken is what was published, and nothing taken is what it was published on.
  desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } });
  const all = await desk.treeOf(id, "accepted");
  desk.decideMany({ suggestion_id: id, scope: { action: "reject", include: "all" } });
  expect([all, await desk.treeOf(id, "sandbox")]).toEqual([commitTree, baseTree]);
}

async function runShard(pairs: number): Promise<void> {
  let desk = await LowDesk.open();
  let used = 0;
  const seed = process.env.SUGGESTION_SEED === undefined ? {} : { seed: Number(process.env.SUGGESTION_SEED) };
  await fc.assert(
    fc.asyncProperty(
      pairOfTrees,
      fc.array(step, { maxLength: 14 }),
      fc.infiniteStream(fc.nat()),
      async (pair, script, dice) => {
        if (++used % RENEW === 0) {
          desk.close();
          desk = await LowDesk.open();
        }
        await checkPair(desk, pair, script, dice);
      },
    ),
    { numRuns: pairs, ...seed },
  );
  desk.close();
}

test("A10: a discard that is taken back leaves the trees, and the history, as they were", async () => {
  const desk = await LowDesk.open();
  await fc.assert(
    fc.asyncProperty(pairOfTrees, fc.array(step, { maxLength: 8 }), async (pair, script) => {
      const published = await desk.publish(pair.before, pair.after).catch(() => null);
      if (published === null) return;
      for (const one of script) take(desk, published, one);
      const trees = async () =>
        Promise.all([desk.treeOf(published.id, "accepted"), desk.treeOf(published.id, "sandbox")]);
      const before = await trees();
      const undoable = () =>
        desk.ledger
          .rows("SELECT id, hunk, undone FROM decision ORDER BY id")
          .map((row) => JSON.stringify(row));
      const history = undoable();
      desk.discard(published.id);
      desk.undo({ suggestion_id: published.id });
      expect(await trees()).toEqual(before);
      expect(undoable()).toEqual(history);
    }),
    { numRuns: 60 },
  );
  desk.close();
}, 120_000);

describe("the trees of generated suggestions", () => {
  test(
    `are exact for ${PAIRS} pairs of trees`,
    async () => {
      await Promise.all(Array.from({ length: SHARDS }, () => runShard(PAIRS / SHARDS)));
      if (LONG) console.log(`${totals.pairs} pairs of trees, ${totals.hunks} hunks, ${totals.steps} steps`);
    },
    LONG ? 7_200_000 : 600_000,
  );
});
