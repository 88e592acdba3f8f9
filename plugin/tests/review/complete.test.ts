/** Ending a review: one commit of what was accepted, or none; suggestions on each other; the shared branch moving. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { code, Review, refusal } from "../support/desk.ts";
import { HEALTHY, numbered } from "../support/repo.ts";

setDefaultTimeout(60_000);

let review: Review;
afterEach(() => review.close());

const poem = () => Review.of({ poem: numbered(30) });
const tip = async () => (await review.project.hub.resolve("refs/heads/main")) as string;

describe("finalize", () => {
  test("makes one commit of what was accepted and leaves the agent what was not decided", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two", "line 10": "ten", "line 20": "twenty" });
    const { suggestion_id: id } = await review.publish();
    review.accept(id, "+two");
    review.reject(id, "+ten");
    const result = await review.finalize(id, { description: "Count in words" });
    expect(result).toMatchObject({ action: "finalized", base_commit: await tip(), files: ["poem"] });
    expect(result.ref).toMatch(/^suggestions\/count-in-words-[0-9a-f]{8}$/);
    const expected = numbered(30).replace("line 2\n", "two\n").trimEnd();
    expect(await review.hub(`refs/heads/${result.ref}`, "poem")).toBe(expected);
    expect(await review.project.hub.text(["log", "-1", "--format=%an %s", result.commit as string])).toBe(
      "Agent Count in words",
    );

    expect((await review.settle()).settled).toBe(true);
    expect(review.repo.read("poem")).toBe(
      numbered(30).replace("line 2\n", "two\n").replace("line 20\n", "twenty\n"),
    );
    expect(await review.repo.health()).toEqual(HEALTHY);
    expect(await code(review.finalize(id))).toBe("suggestion_closed");
  });

  test("of nothing is an error, not an empty commit", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    expect(await code(review.finalize(id))).toBe("nothing_to_do");
    review.reject(id, "+two");
    expect(await code(review.finalize(id))).toBe("nothing_to_do");
    expect(review.desk.get(id).state).toBe("open");
  });

  test("asked twice at once under one request id is done once", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    const answers = await Promise.all([1, 2, 3].map(() => review.finalize(id, { request_id: "finalize" })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  test("goes onto a shared branch that moved elsewhere", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    const moved = await review.sharedBranchMoves({ other: "new\n" });
    expect(review.desk.get(id).base_moved).toBe(true);
    const result = await review.finalize(id);
    expect(result.base_commit).toBe(moved);
    expect(await review.hub(result.commit as string, "other")).toBe("new");
    expect((await review.settle()).settled).toBe(true);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("names the files where the shared branch says something else, and pushes nothing", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    await review.sharedBranchMoves({ poem: numbered(30).replace("line 2\n", "zwei\n") });
    const refs = () => review.project.hub.text(["for-each-ref", "refs/heads"]);
    const before = await refs();
    const { code: refused, details } = await refusal(review.finalize(id));
    expect([refused, details?.files]).toEqual(["merge_conflict", ["poem"]]);
    expect(await refs()).toBe(before);
    expect(review.desk.get(id).state).toBe("open");
  });

  test("of a change whose parent nobody shares is refused", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "private" });
    await review.repo.commit("not published");
    review.repo.edit("poem", { "line 20": "twenty" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    const { code: refused, message } = await refusal(review.finalize(id));
    expect(refused).toBe("push_rejected");
    expect(message).toContain("is on no shared branch");
  });

  test("onto a configured branch moves it only from where it was seen", async () => {
    review = await Review.of({ poem: numbered(30) }, { sync: { branch: "main" } });
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    const result = await review.finalize(id);
    expect([result.ref, await tip()]).toEqual(["main", result.commit as string]);
    expect((await review.settle()).settled).toBe(true);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("that was cut off after it was decided is finished at the next start", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    // What the ledger holds when the process dies between deciding on the push and the push.
    const commit = (await review.project.hub.resolve(`refs/review/${id}/1`)) as string;
    const finalizing = {
      commit,
      tree: await review.project.hub.treeOf(commit),
      base: await tip(),
      ref: "refs/heads/suggestions/x",
      expected: "0".repeat(40),
      by: "developer",
    };
    review.desk.ledger.change(
      "UPDATE suggestion SET finalizing = ? WHERE id = ?",
      JSON.stringify(finalizing),
      id,
    );
    expect(await code(review.discard(id))).toBe("suggestion_closed");
    await review.restart();
    expect(review.remarks.join()).toContain("finished the interrupted push");
    expect(await review.project.hub.resolve("refs/heads/suggestions/x")).toBe(commit);
    expect(review.desk.get(id)).toMatchObject({ state: "finalized", result: { commit } });
  });
});

describe("discard", () => {
  test("drops what was not accepted and keeps what was", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two", "line 20": "twenty" });
    const { suggestion_id: id } = await review.publish();
    review.accept(id, "+two");
    await review.discard(id);
    await review.settle();
    expect(review.repo.read("poem")).toBe(numbered(30).replace("line 2\n", "two\n"));
    expect(await code(review.finalize(id))).toBe("suggestion_closed");
  });
});

describe("a suggestion on another", () => {
  async function stack() {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two", "line 5": "five" });
    const lower = (await review.publish()).suggestion_id;
    review.repo.edit("poem", { "line 20": "twenty", "line 28": "end" });
    const upper = (await review.publish(undefined, "More words")).suggestion_id;
    return { lower, upper };
  }

  test("says so, and cannot be pushed first", async () => {
    const { lower, upper } = await stack();
    expect(review.desk.get(upper).stacked_on).toBe(lower);
    review.acceptAll(upper);
    const { code: refused, details } = await refusal(review.finalize(upper));
    expect([refused, details?.stacked_on]).toEqual(["merge_conflict", lower]);
  });

  test("follows the lower one when that is finalized, and keeps its decisions", async () => {
    const { lower, upper } = await stack();
    review.accept(upper, "+twenty");
    review.acceptAll(lower);
    const below = await review.finalize(lower);
    expect((await review.settle()).settled).toBe(true);
    expect(review.desk.get(upper)).toMatchObject({
      revision: 2,
      stacked_on: null,
      base_commit: below.commit,
    });
    expect(review.states(upper)).toEqual({ twenty: "accepted", end: "pending" });
    const above = await review.finalize(upper);
    expect(above.base_commit).toBe(below.commit as string);
    await review.settle();
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("E9: that cannot follow is told to both, to each in words for what they can do, and once", async () => {
    const { lower, upper } = await stack();
    const change = review.desk.get(upper).jj_change_id;
    await review.repo.jj("restore", "--changes-in", change);
    const heard: string[] = [];
    review.reject(lower, "+five");
    heard.push(...(await review.settle()).feedback);
    review.accept(lower, "+two");
    heard.push(...(await review.settle()).feedback);
    heard.push(...(await review.settle()).feedback);
    const errors = review.desk
      .events({ since: 0, limit: 1000 })
      .events.filter(({ type }) => type === "suggestion.error")
      .map((event) => (event as { message: string }).message);
    expect(errors).toEqual([
      '"More words" stands on a suggestion that has changed, and has to be published anew by the agent; it was told why',
    ]);
    const told = heard.join("\n");
    expect(told.split("could not be published anew there").length).toBe(2);
    expect(told).toContain("is empty: there is nothing to review");
  });

  test("follows the lower one when a hunk of that is rejected", async () => {
    const { lower, upper } = await stack();
    review.accept(upper, "+end");
    review.reject(lower, "+five");
    expect((await review.settle()).settled).toBe(true);
    expect(review.desk.get(upper)).toMatchObject({ revision: 2, stacked_on: lower });
    expect(review.states(upper)).toEqual({ twenty: "pending", end: "accepted" });
    expect(review.repo.read("poem")).not.toContain("five");
    expect(await review.repo.health()).toEqual(HEALTHY);
  });
});

describe("rebase", () => {
  test("brings a suggestion onto the shared branch and keeps its decisions", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 5": "five", "line 20": "twenty" });
    const { suggestion_id: id } = await review.publish();
    review.accept(id, "+five");
    const moved = await review.sharedBranchMoves({ poem: `title\n${numbered(30)}` });
    const result = await review.desk.rebase({ suggestion_id: id, request_id: "rebase" }, "developer");
    expect(result).toMatchObject({ revision: 2, pending_count: 1 });
    expect(review.desk.get(id)).toMatchObject({ base_commit: moved, base_moved: false });
    expect(review.states(id)).toEqual({ five: "accepted", twenty: "pending" });
    expect(await review.desk.rebase({ suggestion_id: id, request_id: "rebase" }, "developer")).toEqual(
      result,
    );
    expect(await code(review.desk.rebase({ suggestion_id: id }, "developer"))).toBe("nothing_to_do");
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("that would conflict moves nothing and names the files", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 5": "five" });
    const { suggestion_id: id } = await review.publish();
    await review.sharedBranchMoves({ poem: numbered(30).replace("line 5\n", "fünf\n") });
    const { code: refused, details } = await refusal(review.desk.rebase({ suggestion_id: id }, "developer"));
    expect([refused, details?.files]).toEqual(["merge_conflict", ["poem"]]);
    expect(review.desk.get(id).revision).toBe(1);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });
});
