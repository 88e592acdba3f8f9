// @ts-check
// Help is answered at once: by a copy of the project in which nothing was ever set up, and without any other program.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOT } from "./lib/bootstrap.mjs";

/** One of the files whose tests stay in their order. */
const LAUNCHER = "test-harness/e2e/start.test.ts";

const folder = mkdtempSync(join(tmpdir(), "help-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));
for (const part of ["scripts", "docs", "package.json"])
  cpSync(join(ROOT, part), join(folder, part), { recursive: true });

for (const [script, begins] of /** @type {const} */ ([
  ["start", "usage: npm start "],
  ["test", "usage: npm test "],
]))
  for (const flag of ["--help", "-h"])
    test(`npm ${script} -- ${flag} answers without set-up`, () => {
      const done = spawnSync(process.execPath, [join(folder, `scripts/${script}.mjs`), flag], {
        encoding: "utf8",
        env: { PATH: "/nonexistent", HOME: folder },
      });
      assert.equal(done.status, 0, done.stderr);
      assert.ok(done.stdout.startsWith(begins), done.stdout);
      assert.equal(done.stderr, "");
      assert.ok(!existsSync(join(folder, "node_modules")) && !existsSync(join(folder, ".tools")));
    });

test("an order that is none is refused by the variable's name, before anything is set up", () => {
  const done = spawnSync(process.execPath, [join(folder, "scripts/test.mjs"), "check"], {
    encoding: "utf8",
    env: { PATH: "/nonexistent", HOME: folder, SUGGESTION_ORDER: "-3" },
  });
  assert.equal(done.status, 2);
  assert.match(done.stderr, /SUGGESTION_ORDER: expected a whole number/);
});

test("the tests run in an order by a seed that can be given again", async () => {
  process.env.SUGGESTION_ORDER = "42";
  const { IN_FILE_ORDER, QUICK, SUITES } = await import("./test/suites.mjs");
  const commands = [...SUITES, QUICK].flatMap((suite) => suite.commands());
  const client = commands.filter(({ counts }) => counts === "nvim");
  assert.equal(client.length, 2);
  for (const { argv } of client) assert.ok(argv.includes("--shuffle=42"), argv.join(" "));
  const [inFileOrder, ...others] = commands
    .filter(({ counts }) => counts === "bun")
    .sort((one, other) => Number(other.argv.includes(LAUNCHER)) - Number(one.argv.includes(LAUNCHER)));
  assert.deepEqual(inFileOrder?.argv.slice(4), IN_FILE_ORDER);
  assert.equal(others.length, 4);
  for (const { argv } of others) assert.match(argv.join(" "), / --randomize --seed=42 /);
});

test("each of the harness's files is run once, and each that is named is there", async () => {
  const { IN_FILE_ORDER, SUITES } = await import("./test/suites.mjs");
  const named = SUITES.filter(({ name }) => name === "e2e")
    .flatMap((suite) => suite.commands())
    .flatMap(({ argv }) => argv.filter((word) => word.endsWith(".test.ts")));
  for (const file of IN_FILE_ORDER) assert.ok(existsSync(join(ROOT, file)), file);
  const there = readdirSync(join(ROOT, "test-harness"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join("test-harness", file));
  assert.deepEqual(named.sort(), there.sort());
});
