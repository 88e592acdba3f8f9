/** Publishing from an agent's jj repository: what is taken, what is refused and how the agent is told. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { Desk } from "../../src/review/desk.ts";
import { code, Review, refusal } from "../support/desk.ts";
import { HEALTHY, numbered } from "../support/repo.ts";

setDefaultTimeout(60_000);

let review: Review;
afterEach(() => review.close());
const poem = () => Review.of({ poem: numbered(30) });
const reason = async (work: Promise<unknown>) => {
  const { code, message, details } = await refusal(work);
  return { code, reason: details?.reason, message };
};

describe("publish", () => {
  test("takes the working copy's change, names it, and moves on to a new one", async () => {
    review = await poem();
    const change = await review.repo.changeId();
    review.repo.edit("poem", { "line 2": "two" });
    const answer = await review.publish(undefined, "Count in words");
    expect(answer).toMatchObject({ revision: 1, hunk_count: 1, pending_count: 1, files: ["poem"] });
    expect(review.desk.get(answer.suggestion_id).jj_change_id).toBe(change);
    expect(await review.repo.value("@-", "change_id ++ ' ' ++ description.first_line()")).toBe(
      `${change} Count in words`,
    );
    expect(await review.repo.value("@", "if(empty, 'empty', 'full')")).toBe("empty");
  });

  test("takes the parent when the working copy is empty and has no description", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    await review.repo.commit("done");
    const change = await review.repo.changeId("@-");
    const { suggestion_id } = await review.publish();
    expect(review.desk.get(suggestion_id).jj_change_id).toBe(change);
  });

  test("again makes a revision when something changed, and says so when nothing did", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    const change = review.desk.get(id).jj_change_id;
    expect(await code(review.publish(change))).toBe("nothing_to_do");
    review.repo.edit("poem", { "line 20": "twenty" });
    await review.repo.jj("squash", "--use-destination-message");
    expect(await review.publish(change)).toMatchObject({ suggestion_id: id, revision: 2, hunk_count: 2 });
  });

  test("is done once for one request id, even asked at the same time", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const request = { description: "Once", request_id: "publish" };
    const answers = await Promise.all([1, 2, 3].map(() => review.desk.publish(request, "agent")));
    expect(new Set(answers.map((answer) => answer.suggestion_id)).size).toBe(1);
    expect(answers.map((answer) => answer.revision)).toEqual([1, 1, 1]);
  });

  test("that was cut off before the working copy moved on is finished at the next start", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    await review.repo.jj("edit", "@-");
    review.desk.ledger.change("UPDATE suggestion SET leave_needed = 1 WHERE id = ?", id);
    await review.restart();
    expect(review.remarks.join()).toContain("moved the agent's working copy off");
    expect(await review.repo.value("@", "if(empty, 'empty', 'full')")).toBe("empty");
  });
});

describe("a change that cannot be reviewed as it is", () => {
  test("is empty", async () => {
    review = await poem();
    await review.repo.jj("describe", "-m", "nothing yet");
    expect(await reason(review.publish())).toMatchObject({ code: "unpublishable", reason: "empty" });
  });
  test("is not there", async () => {
    review = await poem();
    expect(await reason(review.publish("kkkkkkkk"))).toMatchObject({ code: "not_found" });
    expect(await reason(review.publish("fedcba98"))).toMatchObject({ code: "not_found" });
  });
  test("is immutable", async () => {
    review = await poem();
    await review.repo.jj("config", "set", "--repo", 'revset-aliases."immutable_heads()"', "main");
    expect(await reason(review.publish(await review.repo.changeId("main")))).toMatchObject({
      code: "unpublishable",
      reason: "immutable",
    });
  });
  test("is a merge", async () => {
    review = await poem();
    review.repo.file("left", "1\n");
    await review.repo.commit("left");
    await review.repo.jj("new", "main");
    review.repo.file("right", "1\n");
    await review.repo.commit("right");
    const ours = await review.repo.changeId("@-");
    const theirs = await review.repo.changeId('description("left\n")');
    await review.repo.jj("new", ours, theirs);
    review.repo.file("merged", "1\n");
    expect(await reason(review.publish("@"))).toMatchObject({ code: "unpublishable", reason: "merge" });
  });
  test("holds conflicts", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    await review.repo.commit("words");
    await review.repo.jj("new", "main");
    review.repo.edit("poem", { "line 2": "zwei" });
    await review.repo.jj("rebase", "-r", "@", "-d", 'description("words\n")');
    expect(await reason(review.publish("@"))).toMatchObject({ code: "unpublishable", reason: "conflict" });
  });
  test("is divergent", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    await review.repo.jj("describe", "-m", "one");
    const change = await review.repo.changeId();
    const operation = (await review.repo.jj("op", "log", "--no-graph", "--limit", "1", "-T", "id")).trim();
    await review.repo.jj("describe", "-m", "two");
    await review.repo.jj("--at-operation", operation, "describe", "-m", "three", "-r", change);
    await review.repo.jj("status");
    const { code: refused, reason: why, message } = await reason(review.publish(change));
    expect([refused, why]).toEqual(["unpublishable", "divergent"]);
    expect(message).toContain("jj abandon");
  });
});

describe("a project", () => {
  test("may lie in a directory whose name is not ASCII", async () => {
    review = await poem();
    const dir = join(review.repo.root, "Projekt é 日本");
    mkdirSync(dir);
    Bun.spawnSync(["jj", "git", "init", "--colocate", "."], { cwd: dir, env: review.repo.env });
    writeFileSync(join(dir, "a"), "1\n");
    const desk = new Desk(
      loadConfig({
        state_dir: join(review.repo.root, "ståte"),
        feedback_log: join(review.repo.root, "f.jsonl"),
      }),
    );
    await desk.addProject(dir);
    const { suggestion_id: id } = await desk.publish({ description: "First" }, "agent");
    desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } }, "developer");
    expect(await desk.complete({ suggestion_id: id, action: "finalize" }, "developer")).toMatchObject({
      files: ["a"],
    });
    expect((await desk.settle({}, "agent")).settled).toBe(true);
    desk.close();
  });
  test("that is no jj repository is refused by name", async () => {
    review = await poem();
    const { message } = await refusal(review.desk.addProject(review.repo.root));
    expect(message).toContain('is not a jj repository; run "jj git init --colocate"');
  });
});

describe("the agent's own attributes", () => {
  test("do not decide what counts as text", async () => {
    review = await poem();
    const config = join(review.repo.root, "config/git");
    mkdirSync(config, { recursive: true });
    writeFileSync(join(config, "attributes"), "* binary\n");
    const before = process.env.XDG_CONFIG_HOME;
    process.env.XDG_CONFIG_HOME = join(review.repo.root, "config");
    try {
      review.repo.edit("poem", { "line 2": "two" });
      const { suggestion_id: id } = await review.publish();
      expect(review.hunks(id).map((hunk) => hunk.kind)).toEqual(["text"]);
    } finally {
      if (before === undefined) delete process.env.XDG_CONFIG_HOME;
      else process.env.XDG_CONFIG_HOME = before;
    }
  });
});

describe("live and replayed", () => {
  test("the journal holds what was heard, byte for byte, over restarts", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two", "line 20": "twenty" });
    const { suggestion_id: id } = await review.publish();
    review.accept(id, "+two");
    review.reject(id, "+twenty");
    await review.settle();
    await review.restart();
    review.desk.undo({ suggestion_id: id }, "developer");
    await review.finalize(id);
    await review.settle();
    expect(review.desk.eventTexts(0, 1000)).toEqual(review.heard);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("the agent may not decide on its own work", async () => {
    review = await poem();
    review.repo.edit("poem", { "line 2": "two" });
    const { suggestion_id: id } = await review.publish();
    const decide = () =>
      review.desk.decide(
        { suggestion_id: id, hunk_id: review.hunk(id, "two").id, action: "accept" },
        "agent",
      );
    expect(decide).toThrow("may not decide on its own work");
    review.desk.comment(
      { suggestion_id: id, hunk_id: review.hunk(id, "two").id, comment: "a note" },
      "agent",
    );
  });
});
