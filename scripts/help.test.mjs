// @ts-check
// Help is answered at once: by a copy of the project in which nothing was ever set up, and without any other program.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOT } from "./lib/bootstrap.mjs";

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

test("the client's tests run in an order by a seed that can be given again", async () => {
  process.env.SUGGESTION_ORDER = "42";
  const { SUITES } = await import("./test/suites.mjs");
  const client = SUITES.find(({ name }) => name === "nvim");
  assert.ok(client?.commands()[0]?.argv.includes("--shuffle=42"));
});
