/**
 * Files that somebody writes at the very moment at which an operation of ours has begun to count and the files have not been
 * brought to it: whatever was written is on disk afterwards, in the working copy's change, which is one.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Jj } from "../../src/vcs/jj.ts";
import { type DeskPlace, deskPlace, HEALTHY } from "./desk-place.ts";

setDefaultTimeout(60_000);

let place: DeskPlace;
const plain = Jj.prototype.updateStale;
afterEach(() => {
  Jj.prototype.updateStale = plain;
  place.close();
});

/** Writes, once, just before jj brings the files. */
function writeThen(write: () => void): () => boolean {
  let done = false;
  Jj.prototype.updateStale = async function (this: Jj) {
    if (!done && this.dir === place.dir) {
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
  const wrote = writeThen(() => place.write("late.txt", "late\n"));
  await place.publish();
  expect(wrote()).toBe(true);
  place.jj("st");
  expect(onDisk("late.txt")).toBe("late\n");
  expect(place.health()).toEqual(HEALTHY);
  expect(onDisk("poem.txt")).toContain("FIVE");
});
