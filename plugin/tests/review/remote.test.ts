/** Finalizing into a repository of its own: what others push there meanwhile, and a crash in the middle. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Git, openBare } from "../../src/vcs/git.ts";
import { code, Review, refusal } from "../support/desk.ts";
import { temporaryDirectory } from "../support/place.ts";
import { HEALTHY, numbered } from "../support/repo.ts";

setDefaultTimeout(60_000);

let review: Review;
let remote: Git;
afterEach(() => review.close());

/** A reviewed suggestion, and a remote that has the shared branch. */
async function reviewed(): Promise<string> {
  remote = await openBare(join(temporaryDirectory("remote"), "shared é.git"));
  review = await Review.of({ poem: numbered(30) }, { sync: { remote: remote.dir } });
  await review.project.hub.run(["push", "--quiet", remote.dir, "refs/heads/main"]);
  review.repo.edit("poem", { "line 2": "two", "line 20": "twenty" });
  const { suggestion_id: id } = await review.publish();
  review.accept(id, "+two");
  return id;
}

/** Somebody else pushes to the remote's shared branch. */
async function theyPush(files: Record<string, string>): Promise<string> {
  const parts = [`commit refs/heads/main\ncommitter Other <o@example.org> 1750000000 +0000\ndata 5\nother\n`];
  parts.push(`from ${await remote.resolve("refs/heads/main")}\n`);
  for (const [path, text] of Object.entries(files))
    parts.push(`M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
  await remote.run(["fast-import", "--quiet", "--date-format=raw"], { input: `${parts.join("")}\n` });
  return (await remote.resolve("refs/heads/main")) as string;
}

const both = (ref = "") =>
  Promise.all([remote, review.project.hub].map((git) => git.resolve(`refs/heads/${ref}`)));
const wanted = numbered(30).replace("line 2\n", "two\n").trimEnd();

describe("finalize into another repository", () => {
  test("makes a bookmark there and in the hub, and moves nothing else", async () => {
    const id = await reviewed();
    const main = await both("main");
    const result = await review.finalize(id);
    expect(await both(result.ref)).toEqual([result.commit as string, result.commit as string]);
    expect(await both("main")).toEqual(main);
    expect(result.base_commit).toBe(main[0] as string);
    expect(await remote.text(["show", `${result.commit}:poem`])).toBe(wanted);
    expect((await review.settle()).settled).toBe(true);
    expect(await review.repo.health()).toEqual(HEALTHY);
  });

  test("comes onto what others pushed there, although nobody was told", async () => {
    const id = await reviewed();
    const moved = await theyPush({ other: "new\n" });
    const result = await review.finalize(id);
    expect(result.base_commit).toBe(moved);
    expect(await both(result.ref)).toEqual([result.commit as string, result.commit as string]);
    expect(await remote.text(["show", `${result.commit}:other`])).toBe("new");
    expect(await remote.text(["show", `${result.commit}:poem`])).toBe(wanted);
    expect(await remote.resolve("refs/heads/main")).toBe(moved);
  });

  test("names the files where they changed the same lines, and is open for decisions again", async () => {
    const id = await reviewed();
    await theyPush({ poem: numbered(30).replace("line 2\n", "zwei\n") });
    const { message } = await refusal(review.finalize(id));
    expect(message).toContain("poem");
    expect(await remote.text(["for-each-ref", "--format=%(refname)"])).toBe("refs/heads/main");
    review.reject(id, "+two");
    expect(review.states(id)).toEqual({ two: "rejected", twenty: "pending" });
  });

  test("works where the other side cannot take two refs as one", async () => {
    const id = await reviewed();
    await remote.run(["config", "receive.advertiseAtomic", "false"]);
    const result = await review.finalize(id);
    expect(await both(result.ref)).toEqual([result.commit as string, result.commit as string]);
  });

  test("works where the shared branch is not there yet", async () => {
    const id = await reviewed();
    await remote.run(["update-ref", "-d", "refs/heads/main"]);
    const result = await review.finalize(id);
    expect(await remote.text(["for-each-ref", "--format=%(refname:short)"])).toBe(result.ref as string);
  });

  test("says so when the other side cannot be reached, and can be tried again", async () => {
    const id = await reviewed();
    const moved = `${remote.dir}.away`;
    await Bun.$`mv ${remote.dir} ${moved}`.quiet();
    expect(await code(review.finalize(id))).toBe("push_rejected");
    await Bun.$`mv ${moved} ${remote.dir}`.quiet();
    expect((await review.finalize(id)).action).toBe("finalized");
  });
});

describe("a crash in the middle of the push", () => {
  /** As if the process had ended between writing down what it would push and writing down that it was pushed. */
  async function interrupted(pushed: boolean): Promise<{ id: string; commit: string; ref: string }> {
    const id = await reviewed();
    const { commit, ref } = (await review.finalize(id)) as { commit: string; ref: string };
    const base = (await both("main"))[0];
    const tree = await remote.resolve(`${commit}^{tree}`);
    const fully = `refs/heads/${ref}`;
    const finalizing = { commit, tree, base, ref: fully, expected: "0".repeat(40), by: "developer" };
    review.desk.ledger.change(
      "UPDATE suggestion SET state = 'open', result = NULL, finalizing = ? WHERE id = ?",
      JSON.stringify({ ...finalizing, standing: "refs/heads/main" }),
      id,
    );
    if (!pushed) await remote.deleteRef(fully);
    await review.project.hub.deleteRef(fully);
    return { id, commit, ref };
  }

  for (const pushed of [false, true]) {
    test(`${pushed ? "after" : "before"} it went out is finished at the next start`, async () => {
      const { id, commit, ref } = await interrupted(pushed);
      await review.restart();
      expect(review.remarks.join("\n")).toContain("finished the interrupted push");
      expect(await both(ref)).toEqual([commit, commit]);
      expect(review.desk.get(id).state).toBe("finalized");
    });
  }

  test("after it went out, with the branch moved since, is known to have gone out", async () => {
    const { id, commit, ref } = await interrupted(true);
    await theyPush({ other: "new\n" });
    await review.restart();
    expect(await both(ref)).toEqual([commit, commit]);
    expect(review.desk.get(id).state).toBe("finalized");
  });

  test("before it went out, with the branch moved since, pushes nothing old", async () => {
    const { id } = await interrupted(false);
    const moved = await theyPush({ other: "new\n" });
    await review.restart();
    expect(review.remarks.join("\n")).toContain("refs/heads/main has moved: finalize it again");
    expect(await remote.text(["for-each-ref", "--format=%(refname)"])).toBe("refs/heads/main");
    expect((await review.finalize(id)).base_commit).toBe(moved);
  });
});
