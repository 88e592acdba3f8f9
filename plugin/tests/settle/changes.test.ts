/** What becomes of decisions when the agent did something to its change after publishing it: settled, or said aloud. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { WorkingCopyLock } from "../../src/vcs/working-copy-lock.ts";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(20_000);

let place: DeskPlace;
afterEach(() => place.close());

/** Publishes a change with hunks at lines 5, 25 and 45 of the poem; @ is an empty child afterwards. */
async function published(init?: string[]): Promise<{ id: string; change: string }> {
  place = await deskPlace(init);
  place.edit("poem.txt", { "line 5": "FIVE", "line 25": "TWENTY-FIVE", "line 45": "FORTY-FIVE" });
  place.jj("describe", "-m", "Better poem");
  const change = place.log("@", "change_id");
  const { id, hunks } = await place.publish();
  expect(hunks).toHaveLength(3);
  return { id, change };
}

const errorsOf = (id: string) =>
  place.events.filter((event) => event.type === "suggestion.error" && event.suggestion_id === id);

describe("a rejected hunk is taken out of the change", () => {
  for (const [name, init] of [
    ["in a colocated repository", ["--colocate"]],
    ["in a repository of its own", ["--no-colocate"]],
  ] as const) {
    test(`${name}, under a child with edits of its own`, async () => {
      const { id, change } = await published([...init]);
      place.edit("poem.txt", { "line 50": "my own" });
      place.write("new.txt", "kept\n");
      place.reject(id, "TWENTY-FIVE");
      expect(await place.settle()).toMatchObject({ settled: true });
      const poem = place.file("poem.txt");
      expect(poem).toContain("line 25\n");
      expect(poem).toContain("FIVE\n");
      expect(poem).toContain("my own\n");
      expect(place.file("new.txt")).toBe("kept\n");
      expect(place.file("poem.txt", change)).not.toContain("TWENTY-FIVE");
      expect(place.file("poem.txt", change)).not.toContain("my own");
      expect(place.health()).toEqual(HEALTHY);
      expect(place.jj("bookmark", "list", "--all")).not.toContain("suggestion-manager");
    });
  }

  test("and put back when the decision is undone: the very tree that was published", async () => {
    const { id, change } = await published();
    const before = place.jj("diff", "--git", "-r", change);
    place.reject(id, "TWENTY-FIVE");
    await place.settle();
    place.desk.undo({ suggestion_id: id }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.jj("diff", "--git", "-r", change)).toBe(before);
    expect(place.health()).toEqual(HEALTHY);
  });

  test("when the change is the working copy itself", async () => {
    const { id, change } = await published();
    place.jj("edit", change);
    place.edit("poem.txt", { "line 58": "unsaved thought" });
    place.reject(id, "FIVE\n");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.log("@", "change_id")).toBe(change);
    expect(place.file("poem.txt")).toContain("line 5\n");
    expect(place.file("poem.txt")).toContain("unsaved thought\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("when the agent amended the change elsewhere", async () => {
    const { id, change } = await published();
    place.edit("poem.txt", { "line 15": "FIFTEEN" });
    place.jj("squash");
    place.reject(id, "FORTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    const poem = place.file("poem.txt", change);
    expect(poem).toContain("FIFTEEN\n");
    expect(poem).toContain("line 45\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("when the agent rebased the change onto another", async () => {
    const { id, change } = await published();
    place.jj("new", "main", "-m", "below");
    place.edit("other.txt", { "line 3": "below" });
    place.jj("rebase", "-s", change, "-d", "@");
    place.reject(id, "FORTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.file("poem.txt", change)).toContain("line 45\n");
    expect(place.file("other.txt", change)).toContain("below\n");
    expect(place.log(`${change}-`, "description")).toBe("below\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("while the agent works on a sibling, which is left alone", async () => {
    const { id, change } = await published();
    place.jj("new", "main", "-m", "sibling");
    place.edit("poem.txt", { "line 25": "sibling's" });
    place.reject(id, "TWENTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.file("poem.txt")).toContain("sibling's\n");
    expect(place.file("poem.txt", change)).toContain("line 25\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("under a stack of children, of which another workspace holds one", async () => {
    const { id, change } = await published();
    place.write("child.txt", "child\n");
    place.jj("commit", "-m", "child");
    const second = join(place.root, "second");
    place.jj("workspace", "add", second, "-r", change);
    await Bun.write(join(second, "second.txt"), "of the second\n");
    place.reject(id, "TWENTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.health()).toEqual(HEALTHY);
    const status = Bun.spawnSync(["jj", "status"], { cwd: second, env: process.env });
    expect(status.exitCode).toBe(0);
    expect(await Bun.file(join(second, "second.txt")).text()).toBe("of the second\n");
    expect(await Bun.file(join(second, "poem.txt")).text()).toContain("line 25\n");
  });
});

describe("what cannot be settled is said, and nothing is touched", () => {
  test("the agent changed the rejected lines in the change itself", async () => {
    const { id, change } = await published();
    place.jj("edit", change);
    place.edit("poem.txt", { "TWENTY-FIVE": "twenty-five, reworded" });
    place.jj("status");
    place.reject(id, "TWENTY-FIVE");
    const result = await place.settle();
    expect(result.settled).toBe(false);
    expect(result.message).toContain("poem.txt");
    expect(errorsOf(id)).toHaveLength(1);
    expect(place.file("poem.txt")).toContain("twenty-five, reworded\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("a child changed the rejected lines: it would be conflicted", async () => {
    const { id } = await published();
    place.edit("poem.txt", { "TWENTY-FIVE": "the child's" });
    place.reject(id, "TWENTY-FIVE");
    const before = place.jj("log", "-T", "commit_id");
    const result = await place.settle();
    expect(result.settled).toBe(false);
    expect(errorsOf(id)).toHaveLength(1);
    expect(place.jj("log", "-T", "commit_id")).toBe(before);
    expect(place.file("poem.txt")).toContain("the child's\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("and settled by itself once the agent has made room", async () => {
    const { id } = await published();
    place.edit("poem.txt", { "TWENTY-FIVE": "the child's" });
    place.reject(id, "TWENTY-FIVE");
    await place.settle();
    place.edit("poem.txt", { "the child's": "TWENTY-FIVE" });
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.file("poem.txt")).toContain("line 25\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("the change was abandoned: there is nothing to bring anywhere", async () => {
    const { id, change } = await published();
    place.jj("abandon", change);
    place.reject(id, "TWENTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(
      place.events.some((event) => event.type === "suggestion.status" && /no longer/.test(event.message)),
    ).toBe(true);
    expect(place.health()).toEqual(HEALTHY);
  });

  test("the change is divergent", async () => {
    const { id, change } = await published();
    const operation = place.jj("op", "log", "--no-graph", "--limit", "1", "-T", "id");
    place.jj("describe", "-r", change, "-m", "one");
    place.jj("--at-operation", operation, "describe", "-r", change, "-m", "two");
    place.jj("status");
    place.reject(id, "TWENTY-FIVE");
    const result = await place.settle();
    expect(result.settled).toBe(false);
    expect(result.message).toContain("divergent");
    expect(errorsOf(id)).toHaveLength(1);
  });

  test("the change was split: the part that kept its id is settled, the other stays the agent's", async () => {
    const { id, change } = await published();
    place.jj("edit", change);
    place.write("extra.txt", "extra\n");
    place.jj("split", "-r", change, "-m", "first part", "extra.txt");
    place.reject(id, "TWENTY-FIVE");
    const result = await place.settle();
    expect(place.health()).toEqual(HEALTHY);
    expect(place.log("all()", 'description ++ "\\n"')).toContain("first part");
    if (result.settled) expect(place.file("extra.txt")).toBe("extra\n");
    else expect(errorsOf(id)).toHaveLength(1);
  });

  test("the change was squashed into its parent", async () => {
    const { id, change } = await published();
    place.jj("new", "main", "-m", "lower");
    place.jj("rebase", "-s", change, "-d", "@");
    place.jj("squash", "--from", change, "--into", "@", "-u");
    place.reject(id, "TWENTY-FIVE");
    await place.settle();
    expect(
      place.events.some((event) => event.type === "suggestion.status" && /no longer/.test(event.message)),
    ).toBe(true);
    expect(place.file("poem.txt", 'description("lower\n")')).toContain("TWENTY-FIVE\n");
    expect(place.health()).toEqual(HEALTHY);
  });
});

describe("other programs at the same moment", () => {
  test("a jj command waits while the lock is held, and goes on when it is not", async () => {
    await published();
    const lock = await WorkingCopyLock.take(place.dir, join(place.dir, ".jj/repo"));
    place.write("late.txt", "late\n");
    const child = Bun.spawn(["jj", "status"], {
      cwd: place.dir,
      env: process.env,
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await Promise.race([child.exited, Bun.sleep(400).then(() => "waits")])).toBe("waits");
    lock.handOver();
    // A newcomer is let in at once, the one that waits goes on waiting.
    expect(place.jj("log", "-r", "@", "-T", "change_id", "--no-graph")).not.toBe("");
    expect(await Promise.race([child.exited, Bun.sleep(200).then(() => "waits")])).toBe("waits");
    lock.release();
    expect(await child.exited).toBe(0);
  });

  test("the lock is given up to nobody else while a jj holds it", async () => {
    await published();
    const first = await WorkingCopyLock.take(place.dir, join(place.dir, ".jj/repo"));
    await expect(WorkingCopyLock.take(place.dir, join(place.dir, ".jj/repo"), 200)).rejects.toThrow(
      /has held the working copy/,
    );
    first.release();
    (await WorkingCopyLock.take(place.dir, join(place.dir, ".jj/repo"), 200)).release();
  });

  test("jj commands in a loop beside settles leave nothing divergent and lose nothing", async () => {
    const { id, change } = await published();
    const loop = spawn(
      "sh",
      [
        "-c",
        'n=0; while [ $n -lt 150 ]; do n=$((n+1)); jj log -r @ >/dev/null 2>&1; jj describe -m "child $n" >/dev/null 2>&1; done',
      ],
      { cwd: place.dir, env: process.env },
    );
    place.write("mine.txt", "mine\n");
    for (let round = 0; round < 3; round++) {
      place.reject(id, "TWENTY-FIVE");
      await place.settle();
      place.desk.undo({ suggestion_id: id }, "developer");
      await place.settle();
    }
    loop.kill();
    await new Promise((done) => loop.once("exit", done));
    Bun.spawnSync(["jj", "workspace", "update-stale"], { cwd: place.dir, env: process.env });
    await place.settle();
    expect(place.health()).toEqual(HEALTHY);
    expect(place.file("mine.txt")).toBe("mine\n");
    expect(place.file("poem.txt", change)).toContain("TWENTY-FIVE\n");
  }, 60_000);

  test("a stale working copy is brought up to date by the next settle", async () => {
    const { id, change } = await published();
    place.write("dirty.txt", "dirty\n");
    place.jj("status");
    // As a jj that is killed between its operation and its checkout leaves it.
    place.jj("--ignore-working-copy", "new", "-m", "moved under the files", change);
    expect(place.health().stale).toBe(true);
    place.reject(id, "TWENTY-FIVE");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.health()).toEqual(HEALTHY);
    expect(place.file("dirty.txt", 'files("dirty.txt")')).toBe("dirty\n");
    expect(place.file("poem.txt")).toContain("line 25\n");
  });

  test("what a killed settle left is cleared at start, and the settle done", async () => {
    const { id, change } = await published();
    const root = place.jj("git", "root").trim();
    const git = (...args: string[]) =>
      Bun.spawnSync(["git", "--git-dir", root, ...args])
        .stdout.toString()
        .trim();
    const commit = place.log(change, "commit_id");
    const raw = git("cat-file", "commit", commit).replace(/^(committer .*> )\d+/m, "$11999999999");
    const made = Bun.spawnSync(["git", "--git-dir", root, "hash-object", "-t", "commit", "-w", "--stdin"], {
      stdin: Buffer.from(`${raw}\n`),
    })
      .stdout.toString()
      .trim();
    git("update-ref", `refs/heads/suggestion-manager/${change}`, made);
    // The agent's own jj takes the half-made rewrite in.
    place.jj("log");
    expect(place.health().divergent).not.toBe("");
    place.reject(id, "TWENTY-FIVE");
    await place.restart();
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.health()).toEqual(HEALTHY);
    expect(place.file("poem.txt", change)).toContain("line 25\n");
    expect(git("for-each-ref", "refs/heads/suggestion-manager", "refs/suggestion-manager")).toBe("");
  });

  test("refs that a killed git left locked can be moved again after a start", async () => {
    const { id } = await published();
    const hub = join(place.desk.hubRoot(), `${place.desk.health().projects[0]?.hub.slice("/git/".length)}`);
    const store = place.jj("git", "root").trim();
    const locks = [
      join(hub, "packed-refs.lock"),
      join(hub, `refs/review/${id}/accepted.lock`),
      join(store, "refs/heads/main.lock"),
    ];
    for (const lock of locks) {
      mkdirSync(dirname(lock), { recursive: true });
      writeFileSync(lock, "");
    }
    place.desk.decideMany({ suggestion_id: id, scope: { action: "accept", include: "all" } }, "developer");
    await expect(
      place.desk.complete({ suggestion_id: id, action: "finalize" }, "developer"),
    ).rejects.toThrow();
    await place.restart();
    expect(locks.map((lock) => existsSync(lock))).toEqual([false, false, false]);
    const done = await place.desk.complete({ suggestion_id: id, action: "finalize" }, "developer");
    expect(done).toMatchObject({ action: "finalized" });
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.health()).toEqual(HEALTHY);
  });

  test("two settles within one second rewrite the same change without an 'already exists'", async () => {
    const { id } = await published();
    for (let round = 0; round < 4; round++) {
      place.reject(id, "TWENTY-FIVE");
      expect(await place.settle()).toMatchObject({ settled: true });
      place.desk.undo({ suggestion_id: id }, "developer");
      expect(await place.settle()).toMatchObject({ settled: true });
    }
    expect(place.errors).toEqual([]);
    expect(place.health()).toEqual(HEALTHY);
  });
});

describe("after the end of a review", () => {
  test("a fully accepted change is abandoned, its commit stands below the working copy's own edits", async () => {
    const { id, change } = await published();
    place.write("next.txt", "next\n");
    place.desk.decideMany(
      { suggestion_id: id, scope: { action: "accept", include: "remaining" } },
      "developer",
    );
    await place.desk.complete({ suggestion_id: id, action: "finalize" }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).not.toContain(change);
    expect(place.file("next.txt")).toBe("next\n");
    expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
    expect(place.log("@-", "description")).toBe("Better poem\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("a partly accepted change keeps only what is undecided, on the commit that was pushed", async () => {
    const { id } = await published();
    const { hunks } = place.desk.hunks(id, { limit: 10, offset: 0 });
    const [first, second] = hunks;
    place.desk.decide({ suggestion_id: id, hunk_id: first?.id ?? "", action: "accept" }, "developer");
    place.desk.decide({ suggestion_id: id, hunk_id: second?.id ?? "", action: "reject" }, "developer");
    const done = await place.desk.complete({ suggestion_id: id, action: "finalize" }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    const poem = place.file("poem.txt");
    expect(poem).toContain("FIVE\n");
    expect(poem).toContain("line 25\n");
    expect(poem).toContain("FORTY-FIVE\n");
    expect(done.action).toBe("finalized");
    if (done.action === "finalized") expect(place.log("@--", "commit_id")).toBe(done.commit ?? "");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("a discarded change is emptied and abandoned; the child's edits stay", async () => {
    const { id, change } = await published();
    place.write("next.txt", "next\n");
    await place.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).not.toContain(change);
    expect(place.file("next.txt")).toBe("next\n");
    expect(place.file("poem.txt")).toContain("line 25\n");
    rmSync(join(place.dir, "next.txt"));
    expect(place.health()).toEqual(HEALTHY);
  });

  for (const [name, init] of [
    ["in a colocated repository", ["--colocate"]],
    ["in a repository of its own", ["--no-colocate"]],
  ] as const) {
    test(`A10: a discard that is taken back after it emptied the change brings the change back, ${name}`, async () => {
      const { id, change } = await published([...init]);
      place.write("next.txt", "next\n");
      const before = place.jj("diff", "--git", "-r", change);
      const child = place.log("@", "change_id");
      place.reject(id, "TWENTY-FIVE");
      await place.settle();
      place.desk.undo({ suggestion_id: id }, "developer");
      await place.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
      await place.settle();
      expect(place.log("all()", 'change_id ++ "\\n"').split("\n")).not.toContain(change);
      place.desk.undo({ suggestion_id: id }, "developer");
      expect(await place.settle()).toMatchObject({ settled: true });
      expect(place.jj("diff", "--git", "-r", change)).toBe(before);
      expect(place.log(change, "description")).toBe("Better poem\n");
      // The working copy stands on it again, with its own edits.
      expect(place.log("@", "change_id")).toBe(child);
      expect(place.log("@-", "change_id")).toBe(change);
      expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
      expect(place.file("next.txt")).toBe("next\n");
      expect(place.health()).toEqual(HEALTHY);
      // It goes on as if nothing had been.
      place.reject(id, "FORTY-FIVE");
      expect(await place.settle()).toMatchObject({ settled: true });
      expect(place.file("poem.txt")).toContain("line 45\n");
      expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
      expect(place.health()).toEqual(HEALTHY);
    });
  }

  test("A10: a discard taken back leaves alone what the agent began elsewhere since, and what would conflict", async () => {
    const { id, change } = await published();
    await place.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
    await place.settle();
    place.edit("poem.txt", { "line 25": "meanwhile" });
    place.jj("describe", "-m", "meanwhile");
    const meanwhile = place.log("@", "change_id");
    place.desk.undo({ suggestion_id: id }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.file("poem.txt", change)).toContain("TWENTY-FIVE\n");
    expect(place.log("@", "change_id")).toBe(meanwhile);
    expect(place.log("@-", "change_id")).not.toBe(change);
    expect(place.file("poem.txt")).toContain("meanwhile\n");
    expect(place.health()).toEqual(HEALTHY);
  });

  test("A10: a discard taken back when the change was the working copy itself", async () => {
    const { id, change } = await published();
    place.jj("edit", change);
    await place.desk.complete({ suggestion_id: id, action: "discard" }, "developer");
    await place.settle();
    expect(place.file("poem.txt")).toContain("line 25\n");
    place.desk.undo({ suggestion_id: id }, "developer");
    expect(await place.settle()).toMatchObject({ settled: true });
    expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
    expect(place.log("@-", "change_id")).toBe(change);
    expect(place.health()).toEqual(HEALTHY);
  });
});
