// @ts-check
// How the suites are counted and told, on real runners.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lane } from "./lanes.mjs";
import { runCounted } from "./run.mjs";

const folder = mkdtempSync(join(tmpdir(), "run-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {string[]} argv @param {"one" | "node" | "nvim"} counts */
async function run(argv, counts) {
  let written = "";
  const env = /** @type {Record<string, string>} */ ({ PATH: process.env.PATH });
  const result = await runCounted("some", argv, counts, { cwd: folder, env }, (text) => {
    written += text;
  });
  return { ...result, written };
}

test("a failed test is told by its name once more, and the passed ones are counted", async () => {
  const file = join(folder, "some.test.mjs");
  const body = `import { test } from "node:test"; test("good", () => {}); test("bad one", () => { throw new Error("x"); });`;
  writeFileSync(file, body);
  const { written, ...result } = await run([process.execPath, "--test", file], "node");
  assert.equal(result.passed, 1);
  assert.ok(result.failed >= 1);
  assert.ok(result.failures.some((name) => name.startsWith("some: bad one")));
  assert.match(written, /── some: 1 passed/);
});

test("a failure in Neovim is told with what was wrong", async () => {
  const said =
    "  ok   fine\\n  FAIL bad one\\n    it is not so\\n    more\\n  FAIL worse\\n1 passed, 2 failed, 0 skipped\\n";
  const result = await run(
    [process.execPath, "-e", `process.stdout.write("${said}"); process.exitCode = 1`],
    "nvim",
  );
  assert.deepEqual(result.failures, ["some: bad one: it is not so", "some: worse"]);
});

test("a runner that ends badly without a word is a failure, and so is one that ran nothing", async () => {
  for (const code of [0, 3]) {
    const result = await run([process.execPath, "-e", `process.exit(${code})`], "nvim");
    assert.deepEqual([result.failed, result.failures], [1, ["some"]]);
  }
  assert.equal((await run(["no-such-program-of-ours"], "one")).failed, 1);
});

test("output of two that run at once is whole lines with their names", () => {
  let out = "";
  const one = lane("a", (text) => {
    out += text;
  });
  one.write("x\ny");
  one.write("z\nlast");
  one.end();
  one.end();
  assert.equal(out, "a | x\na | yz\na | last\n");
});
