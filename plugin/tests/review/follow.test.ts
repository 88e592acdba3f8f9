/** The shared branch goes on: the agent's working copy goes with it where nothing is lost, else both sides are told. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ReviewEvent } from "../../src/protocol/events.ts";
import { Review } from "../support/desk.ts";
import { HEALTHY, numbered } from "../support/repo.ts";

setDefaultTimeout(60_000);

let review: Review;
afterEach(() => review.close());

const open = async (): Promise<void> => {
  review = await Review.of({ poem: numbered(30), other: "other\n" });
};

const parent = () => review.repo.value("@-", "commit_id");
const problems = () =>
  review.heard
    .map(({ json }) => JSON.parse(json) as ReviewEvent)
    .filter((event) => event.type === "suggestion.error");

/** Somebody else's commits reach the hub while no server runs. */
async function movesWhileAway(files: Record<string, string>): Promise<string> {
  const { hub } = review.project;
  review.desk.close();
  const from = await hub.resolve("refs/heads/main");
  const parts = [
    `commit refs/heads/main\ncommitter Other <o@example.org> 1750000000 +0000\ndata 5\nother\nfrom ${from}\n`,
  ];
  for (const [path, text] of Object.entries(files))
    parts.push(`M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
  await hub.run(["fast-import", "--quiet", "--date-format=raw"], { input: `${parts.join("")}\n` });
  await review.start();
  return (await hub.resolve("refs/heads/main")) as string;
}

describe("D1: a push to the hub", () => {
  test("D1: moves a clean working copy to the new base, files and all, and the agent is told", async () => {
    await open();
    const tip = await review.sharedBranchMoves({ fresh: "fresh\n" });
    const settled = await review.settle();
    expect(await parent()).toBe(tip);
    expect(review.repo.read("fresh")).toBe("fresh\n");
    expect(settled.feedback.join("\n")).toContain(`main went on to ${tip.slice(0, 12)}`);
    expect(settled.feedback.join("\n")).toContain("Your working copy stands on it now");
    expect((await review.settle()).feedback).toEqual([]);
    expect(problems()).toEqual([]);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("D1: rebases unpublished work that merges cleanly, described or not", async () => {
    await open();
    review.repo.edit("poem", { "line 2": "two" });
    await review.repo.commit("Two");
    const change = await review.repo.changeId("@-");
    review.repo.edit("poem", { "line 20": "twenty" });
    const tip = await review.sharedBranchMoves({ other: "theirs\n" });
    const { feedback } = await review.settle();
    expect(await review.repo.value("@--", "commit_id")).toBe(tip);
    expect(await review.repo.changeId("@-")).toBe(change);
    expect(review.repo.read("poem")).toBe(
      numbered(30).replace("line 2\n", "two\n").replace("line 20\n", "twenty\n"),
    );
    expect(review.repo.read("other")).toBe("theirs\n");
    expect(feedback.join("\n")).toContain("2 unpublished changes stand on it now");
    expect(await review.repo.health()).toEqual(HEALTHY);
    // The lowest first: what is said of a change that is under no review is another matter.
    expect((await review.publish(change)).warnings).toEqual([]);
    expect((await review.publish()).warnings).toEqual([]);
  });

  test("D1: leaves work that conflicts as it is, and tells the agent and the developer, once", async () => {
    await open();
    review.repo.edit("poem", { "line 2": "two" });
    const before = await parent();
    const tip = await review.sharedBranchMoves({ poem: numbered(30).replace("line 2\n", "zwei\n") });
    const { feedback } = await review.settle();
    expect(await parent()).toBe(before);
    expect(review.repo.read("poem")).toBe(numbered(30).replace("line 2\n", "two\n"));
    expect(feedback.join("\n")).toContain(`jj rebase -b @ -d ${tip.slice(0, 12)}`);
    expect(problems()).toMatchObject([{ code: "sync_failed" }]);
    expect((problems()[0] as { message: string }).message).toContain(
      "The agent's unpublished work conflicts",
    );
    await review.settle();
    expect(problems()).toHaveLength(1);
    // The recipe is what the agent runs.
    await review.repo.jj("rebase", "-b", "@", "-d", tip.slice(0, 12));
    expect(await parent()).toBe(tip);
  });

  test("D1: publishing on a stale base warns the agent in its answer and the developer in the review", async () => {
    await open();
    review.repo.edit("poem", { "line 2": "two" });
    const tip = await review.sharedBranchMoves({ poem: numbered(30).replace("line 2\n", "zwei\n") });
    const { suggestion_id: id, warnings } = await review.publish();
    expect(warnings.join("\n")).toContain(`The shared branch main has gone on to ${tip.slice(0, 12)}`);
    const ready = review.heard
      .map(({ json }) => JSON.parse(json))
      .find(({ type }) => type === "suggestion.ready");
    expect(ready.suggestion.warnings).toEqual(warnings);
    expect(review.desk.get(id).base_moved).toBe(true);
    // And what it says to run works.
    const [, command = ""] = /run "jj (rebase [^"]+)"/.exec(warnings.join("\n")) ?? [];
    await review.repo.jj(...command.split(" "));
    expect(await review.repo.value(`change_id(${review.desk.get(id).jj_change_id})-`, "commit_id")).toBe(tip);
  });

  test("D1: what is under review stays where it is, and the working copy moves once the review is over", async () => {
    await open();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    const reviewed = await parent();
    const tip = await review.sharedBranchMoves({ fresh: "fresh\n" });
    const { feedback } = await review.settle();
    expect(await parent()).toBe(reviewed);
    expect(review.desk.get(id).base_moved).toBe(true);
    expect(feedback.join("\n")).toContain("under review on an older base");
    await review.discard(id);
    await review.settle();
    expect(await parent()).toBe(tip);
    expect(review.repo.read("fresh")).toBe("fresh\n");
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("D1: work on another branch of the agent's own choosing is left there", async () => {
    await open();
    await review.repo.jj("new", "root()");
    review.repo.file("apart", "apart\n");
    await review.sharedBranchMoves({ fresh: "fresh\n" });
    await review.settle();
    expect(await review.repo.value("@-", "commit_id")).toBe("0".repeat(40));
    expect(existsSync(join(review.repo.dir, "fresh"))).toBe(false);
  });

  test("D1: a rewritten shared branch takes the working copy along and brings nothing back that it dropped", async () => {
    await open();
    const dropped = await review.sharedBranchMoves({ dropped: "dropped\n" });
    await review.settle();
    expect(await parent()).toBe(dropped);
    review.repo.file("mine", "mine\n");
    const { hub } = review.project;
    await hub.setRef("refs/heads/main", (await hub.resolve(`${dropped}^`)) as string);
    const tip = await review.sharedBranchMoves({ fresh: "fresh\n" });
    await review.settle();
    expect(await parent()).toBe(tip);
    expect(existsSync(join(review.repo.dir, "dropped"))).toBe(false);
    expect(review.repo.read("mine")).toBe("mine\n");
    expect(await review.repo.health()).toEqual(HEALTHY);
  });
});

describe("D1: a start after the shared branch went on", () => {
  test("D1: fetches it and moves a clean working copy", async () => {
    await open();
    const tip = await movesWhileAway({ fresh: "fresh\n" });
    await review.settle();
    expect(await parent()).toBe(tip);
    expect(review.repo.read("fresh")).toBe("fresh\n");
  });

  test("D1: marks what is under review on the old base", async () => {
    await open();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    await movesWhileAway({ fresh: "fresh\n" });
    expect(review.desk.get(id).base_moved).toBe(true);
  });

  test("D1: does nothing in a repository that is up to date", async () => {
    await open();
    await review.settle();
    const before = await review.repo.jj("op", "log", "--no-graph", "-T", "id");
    await review.restart();
    await review.settle();
    expect(await review.repo.jj("op", "log", "--no-graph", "-T", "id")).toBe(before);
  });
});
