/** git's index lock in the agent's clone: waited for while somebody has it, cleared when nobody does, named when it stays. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
const children: Bun.Subprocess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill();
  place.close();
});

const lock = () => join(place.dir, ".git/index.lock");

async function ready(): Promise<string> {
  place = await deskPlace();
  place.edit("poem.txt", { "line 5": "FIVE", "line 25": "TWENTY-FIVE" });
  place.jj("describe", "-m", "Better poem");
  return place.log("@", "change_id");
}

/** A git of the agent's that keeps the index locked until it is told to end, as "git commit -a" does around an editor. */
async function gitAtWork(): Promise<() => void> {
  const release = join(place.root, "release");
  const child = Bun.spawn(["git", "-C", place.dir, "-c", "core.hooksPath=/dev/null", "commit", "-a"], {
    env: {
      ...process.env,
      GIT_EDITOR: `sh -c 'while [ ! -e ${release} ]; do sleep 0.02; done; exit 1' --`,
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@b",
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@b",
    },
    stdout: "ignore",
    stderr: "ignore",
  });
  children.push(child);
  while (!existsSync(lock())) await Bun.sleep(10);
  return () => writeFileSync(release, "");
}

test("D8: a lock that a killed git left is cleared, and the publish is whole", async () => {
  const change = await ready();
  writeFileSync(lock(), "");
  const { hunks } = await place.publish();
  expect(hunks).toHaveLength(2);
  expect(existsSync(lock())).toBe(false);
  expect(place.log("@-", "change_id")).toBe(change);
  expect(place.log("@", "empty")).toBe("true");
  expect(place.log(`${change}+`, '"x"')).toBe("x");
  expect(place.health()).toEqual(HEALTHY);
});

test("D8: a lock that a git of the agent's holds for a moment is waited for", async () => {
  const change = await ready();
  const release = await gitAtWork();
  const publishing = place.publish();
  setTimeout(release, 700);
  const { hunks } = await publishing;
  expect(hunks).toHaveLength(2);
  expect(place.log(`${change}+`, '"x"')).toBe("x");
  expect(place.health()).toEqual(HEALTHY);
});

test("D8: a lock that stays is named with the program that has it; nothing is half done, and afterwards it works", async () => {
  const change = await ready();
  const release = await gitAtWork();
  const before = place.jj("--ignore-working-copy", "op", "log", "--no-graph", "-T", "id");
  const head = () => Bun.spawnSync(["git", "-C", place.dir, "rev-parse", "HEAD"]).stdout.toString();
  const headBefore = head();
  await expect(place.publish()).rejects.toThrow(/index\.lock.*git/s);
  expect(existsSync(lock())).toBe(true);
  expect(place.desk.list({ project: place.dir, status: "all", limit: 10, offset: 0 }).suggestions).toEqual(
    [],
  );
  expect(head()).toBe(headBefore);
  expect(place.jj("--ignore-working-copy", "op", "log", "--no-graph", "-T", "id")).toBe(before);
  release();
  while (existsSync(lock())) await Bun.sleep(10);
  await place.publish();
  expect(place.log("@-", "change_id")).toBe(change);
  expect(place.health()).toEqual(HEALTHY);
});

test("D8: a settle with a dead lock in the way is done whole; with a live one it is whole later", async () => {
  const change = await ready();
  const { id } = await place.publish();
  place.write("mine.txt", "mine\n");
  place.reject(id, "+TWENTY-FIVE");
  writeFileSync(lock(), "");
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(existsSync(lock())).toBe(false);
  expect(place.file("poem.txt")).toContain("line 25\n");
  place.desk.undo({ suggestion_id: id }, "developer");
  const release = await gitAtWork();
  const blocked = await place.settle();
  expect(blocked.settled).toBe(false);
  expect(blocked.message).toContain("index.lock");
  expect(place.file("poem.txt", change)).toContain("line 25\n");
  expect(place.file("poem.txt")).toContain("line 25\n");
  release();
  while (existsSync(lock())) await Bun.sleep(10);
  expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.file("poem.txt")).toContain("TWENTY-FIVE\n");
  expect(place.file("mine.txt")).toBe("mine\n");
  expect(place.health()).toEqual(HEALTHY);
});

test("D8: a lock that comes and goes while a publish and a settle run leaves neither half done", async () => {
  const change = await ready();
  const loop = Bun.spawn(
    ["sh", "-c", `while :; do : > ${lock()}; sleep 0.03; rm -f ${lock()}; sleep 0.03; done`],
    { stdout: "ignore", stderr: "ignore" },
  );
  children.push(loop);
  const { id } = await place.publish();
  expect(place.jj("--ignore-working-copy", "log", "--no-graph", "-r", "@-", "-T", "change_id")).toBe(change);
  place.reject(id, "+TWENTY-FIVE");
  const { settled } = await place.settle();
  loop.kill();
  await loop.exited;
  rmSync(lock(), { force: true });
  if (!settled) expect(await place.settle()).toMatchObject({ settled: true });
  expect(place.file("poem.txt", change)).toContain("line 25\n");
  expect(place.log(`${change}+`, '"x"')).toBe("x");
  expect(place.health()).toEqual(HEALTHY);
});
