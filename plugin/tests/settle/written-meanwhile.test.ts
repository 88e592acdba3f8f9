/**
 * Files that somebody writes, and commands that the agent runs, at the very moment at which an operation of ours has begun to
 * count and the files have not been brought to it: all of it is there afterwards, in one change, and so are the decisions.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Jj } from "../../src/vcs/jj.ts";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
const plain = Jj.prototype.updateStale;
const plainRun = Jj.prototype.run;
afterEach(() => {
  Jj.prototype.updateStale = plain;
  Jj.prototype.run = plainRun;
  place.close();
});

/** Writes, once, just before jj brings the files. */
function writeThen(write: () => void, where = () => place.dir): () => boolean {
  let done = false;
  Jj.prototype.updateStale = async function (this: Jj) {
    if (!done && this.dir === where()) {
      done = true;
      write();
    }
    await plain.call(this);
  };
  return () => done;
}

const onDisk = (path: string) => readFileSync(join(place.dir, path), "utf8");

/** A change under review of which one hunk is rejected, so that there is something to settle. */
async function rejected(): Promise<string> {
  place = await deskPlace();
  place.edit("poem.txt", { "line 5": "FIVE", "line 25": "TWENTY-FIVE" });
  place.jj("describe", "-m", "Better poem");
  const change = place.log("@", "change_id");
  const { id } = await place.publish();
  place.reject(id, "FIVE");
  return change;
}

/** Everything is where it belongs, whatever jj had checked out. */
function expectWhole(written: Record<string, string>): void {
  for (const [path, text] of Object.entries(written)) {
    expect(onDisk(path)).toBe(text);
    expect(place.file(path, "@")).toBe(text);
  }
  expect(place.health()).toEqual(HEALTHY);
}

test("a new file and an edit, while the working copy's change is empty", async () => {
  const change = await rejected();
  const edited = `${onDisk("other.txt")}and more\n`;
  const wrote = writeThen(() => {
    place.write("new.txt", "new\n");
    place.write("other.txt", edited);
  });
  expect((await place.settle()).settled).toBe(true);
  expect(wrote()).toBe(true);
  place.jj("st");
  expectWhole({ "new.txt": "new\n", "other.txt": edited });
  // What was rejected is gone, there too.
  for (const text of [place.file("poem.txt", change), onDisk("poem.txt")]) {
    expect(text).not.toMatch(/^FIVE$/m);
    expect(text).toMatch(/^TWENTY-FIVE$/m);
  }
});

test("a file that the working copy's change has already, and one more", async () => {
  await rejected();
  place.write("begun.txt", "begun\n");
  place.jj("describe", "-m", "Next");
  const wrote = writeThen(() => {
    place.write("begun.txt", "begun\nand gone on\n");
    place.write("another.txt", "another\n");
  });
  expect((await place.settle()).settled).toBe(true);
  expect(wrote()).toBe(true);
  place.jj("st");
  expectWhole({ "begun.txt": "begun\nand gone on\n", "another.txt": "another\n" });
  expect(place.log("@", "description")).toBe("Next\n");
});

test("while a change that had no description is given one, as it is published", async () => {
  place = await deskPlace();
  place.edit("poem.txt", { "line 5": "FIVE" });
  const change = place.log("@", "change_id");
  let wrote = false;
  Jj.prototype.run = async function (this: Jj, args, options) {
    if (args[0] === "describe") {
      wrote = true;
      place.write("late.txt", "late\n");
    }
    return plainRun.call(this, args, options);
  };
  await place.publish();
  expect(wrote).toBe(true);
  place.jj("st");
  expect(onDisk("late.txt")).toBe("late\n");
  expect(place.health()).toEqual(HEALTHY);
  expect(onDisk("poem.txt")).toContain("FIVE");
  expect(place.log(change, "description.first_line()")).toBe("Better poem");
});

test("a new file, while the working copy is in the change that is settled", async () => {
  const change = await rejected();
  place.jj("edit", change);
  const wrote = writeThen(() => place.write("new.txt", "new\n"));
  expect((await place.settle()).settled).toBe(true);
  expect(wrote()).toBe(true);
  place.jj("st");
  expectWhole({ "new.txt": "new\n" });
  expect(place.log("@", "change_id")).toBe(change);
  expect(onDisk("poem.txt")).not.toMatch(/^FIVE$/m);
});

test("an edit of the very line that was rejected: it stands, and both sides are told", async () => {
  const change = await rejected();
  place.jj("edit", change);
  const wrote = writeThen(() => place.edit("poem.txt", { FIVE: "FIVE, edited" }));
  const { settled, message } = await place.settle();
  expect(wrote()).toBe(true);
  expect(settled).toBe(false);
  expect(message).toContain("poem.txt");
  place.jj("st");
  expect(onDisk("poem.txt")).toMatch(/^FIVE, edited$/m);
  expect(place.health()).toEqual(HEALTHY);
});

test("a command of the agent's, while the working copy's change has two commits", async () => {
  const change = await rejected();
  place.write("mine.txt", "mine\n");
  place.jj("st");
  place.jj("--ignore-working-copy", "--at-op", "@-", "describe", "-m", "another commit of it");
  place.jj("--ignore-working-copy", "log");
  const mine = place.log('files("mine.txt")', "commit_id");
  place.jj("edit", mine);
  const ran = writeThen(() =>
    place.jj("--ignore-working-copy", "--at-op", "@-", "bookmark", "create", "agents-own", "-r", "main"),
  );
  expect((await place.settle()).settled).toBe(true);
  expect(ran()).toBe(true);
  place.jj("st");
  expect(onDisk("mine.txt")).toBe("mine\n");
  expect(place.file("mine.txt", "@")).toBe("mine\n");
  expect(place.log("agents-own", "commit_id")).toBe(place.log("main", "commit_id"));
  expect(place.file("poem.txt", change)).not.toMatch(/^FIVE$/m);
});

test("a commit of the agent's at the same moment", async () => {
  const change = await rejected();
  place.write("mine.txt", "mine\n");
  place.jj("st");
  const ran = writeThen(() =>
    place.jj("--ignore-working-copy", "--at-op", "@-", "describe", "-m", "the agent's own words"),
  );
  expect((await place.settle()).settled).toBe(true);
  expect(ran()).toBe(true);
  place.jj("st");
  expectWhole({ "mine.txt": "mine\n" });
  expect(place.file("poem.txt", change)).not.toMatch(/^FIVE$/m);
});

test("files of another workspace", async () => {
  const change = await rejected();
  const other = join(place.root, "other");
  place.jj("workspace", "add", "--revision", "@", other);
  const there = (...args: string[]) =>
    Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
      cwd: other,
      env: process.env,
    });
  writeFileSync(join(other, "had.txt"), "had\n");
  there("st");
  const written = { "late.txt": "late\n", "had.txt": "had\nand more\n" };
  const wrote = writeThen(
    () => {
      for (const [name, text] of Object.entries(written)) writeFileSync(join(other, name), text);
    },
    () => other,
  );
  expect((await place.settle()).settled).toBe(true);
  expect(wrote()).toBe(true);
  expect(there("st").exitCode).toBe(0);
  for (const [name, text] of Object.entries(written)) {
    expect(readFileSync(join(other, name), "utf8")).toBe(text);
    expect(there("file", "show", "-r", "@", name).stdout.toString()).toBe(text);
  }
  place.jj("st");
  expect(place.health()).toEqual(HEALTHY);
  expect(place.file("poem.txt", change)).not.toMatch(/^FIVE$/m);
});
