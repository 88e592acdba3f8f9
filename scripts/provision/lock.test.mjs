// @ts-check
// The lock keeps two runs apart, and does not outlive its holder.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { acquireLock } from "./lock.mjs";

const folder = mkdtempSync(join(tmpdir(), "provision-lock-"));
const lock = join(folder, "lock");
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => rmSync(lock, { force: true }));

/** @param {string} body has acquireLock, lock and folder */
function start(body) {
  const head = `import { acquireLock } from ${JSON.stringify(import.meta.resolve("./lock.mjs"))}; import fs from "node:fs";
    const [lock, folder] = ${JSON.stringify([lock, folder])}; const sleep = (ms) => new Promise((done) => setTimeout(done, ms));`;
  return spawn(process.execPath, ["--input-type=module", "-e", head + body], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** A run that was killed while it held the lock. */
async function killedHolder() {
  const child = start(`await acquireLock(lock); console.log("held"); await sleep(60000);`);
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("a second run waits, says so once, and gets its turn", async () => {
  const release = await acquireLock(lock);
  /** @type {string[]} */
  const said = [];
  const second = acquireLock(lock, { log: (line) => said.push(line) });
  setTimeout(release, 300);
  (await second)();
  assert.deepEqual(said, [`waiting for another run (process ${process.pid})`]);
  assert.ok(!existsSync(lock));
});

test("a living holder is not robbed, and patience ends with a sentence", async () => {
  const release = await acquireLock(lock);
  await assert.rejects(acquireLock(lock, { patience: 200 }), { code: "busy" });
  release();
});

test("a killed holder's lock is taken over at once", async () => {
  await killedHolder();
  assert.ok(existsSync(lock));
  const started = Date.now();
  (await acquireLock(lock))();
  assert.ok(Date.now() - started < 1000);
});

test("so is a lock whose process number has gone to another process, and one that is not readable", async () => {
  writeFileSync(lock, JSON.stringify({ pid: process.pid, started: "1", host: hostname() }));
  (await acquireLock(lock))();
  writeFileSync(lock, "{half");
  (await acquireLock(lock))();
});

test("of many that find a dead lock, one at a time gets it", async () => {
  await killedHolder();
  const journal = join(folder, "journal");
  const body = `for (let turn = 0; turn < 5; turn += 1) {
    const release = await acquireLock(lock);
    fs.appendFileSync(folder + "/journal", "in " + process.pid + "\\n"); await sleep(5);
    fs.appendFileSync(folder + "/journal", "out " + process.pid + "\\n"); release();
  }`;
  const runs = Array.from({ length: 6 }, () => start(body));
  const codes = await Promise.all(runs.map(async (run) => (await once(run, "exit"))[0]));
  assert.deepEqual(codes, [0, 0, 0, 0, 0, 0]);
  const lines = readFileSync(journal, "utf8").trim().split("\n");
  assert.equal(lines.length, 60);
  for (let index = 0; index < lines.length; index += 2)
    assert.deepEqual([lines[index].replace("in", "out")], [lines[index + 1]]);
});
