// @ts-check
/** The check on the doors: it fails where it has to. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { catalogue } from "./doors.mjs";
import { judge } from "./verdict.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const env = /** @type {Record<string, string>} */ ({ ...process.env });

/** @type {import("./verdict.mjs").Catalogue} */
const SMALL = {
  doors: [
    { door: "rest GET /suggestions/:id.patch", suite: "plugin" },
    { door: "rest GET /suggestions/:id", suite: "plugin" },
    { door: "rest POST /verify", suite: "plugin" },
    { door: "suggest verify", suite: "nvim" },
    { door: "default key accept", suite: "nvim" },
  ],
  routes: [
    ["GET", "/suggestions/:id.patch"],
    ["GET", "/suggestions/:id"],
    ["POST", "/verify"],
  ],
};
/** @param {object[]} entries */
const lines = (...entries) => entries.map((entry) => JSON.stringify(entry));
const ALL = lines(
  { http: ["GET", "/suggestions/0198.patch"] },
  { http: ["GET", "/suggestions/0198"] },
  { http: ["POST", "/verify"] },
  { door: "suggest verify", use: "1:1" },
  { door: "default key accept", use: "1:2" },
);

test("a run that went through every door has nothing missing", () => {
  const verdict = judge(SMALL, ALL, {}, ["plugin", "nvim"]);
  assert.deepEqual(verdict.missing, []);
  assert.equal(verdict.proven.length, 5);
});

test("a door that is planted and that nothing goes through is missing", () => {
  const doors = [...SMALL.doors, { door: "rest POST /planted", suite: "plugin" }];
  const verdict = judge({ ...SMALL, doors }, ALL, {}, ["plugin", "nvim"]);
  assert.deepEqual(verdict.missing, ["rest POST /planted"]);
});

test("what was taken back does not count, and what shares its use neither", () => {
  const taken = lines({ door: "plug accept", use: "1:2" }, { taken_back: "1:1" }, { taken_back: "1:2" });
  const verdict = judge(SMALL, [...ALL, ...taken], {}, ["plugin", "nvim"]);
  assert.deepEqual(verdict.missing, ["suggest verify", "default key accept"]);
});

test("one suite answers for its own doors alone", () => {
  const verdict = judge(SMALL, [], {}, ["nvim"]);
  assert.deepEqual(verdict.missing, ["suggest verify", "default key accept"]);
  assert.equal(verdict.elsewhere.length, 3);
});

test("what only root can go through is named apart where the run is not root's", () => {
  const byRoot = (/** @type {string} */ door) => door.startsWith("suggest ");
  const here = judge(SMALL, [], {}, ["nvim"], byRoot);
  assert.deepEqual([here.missing, here.root], [["default key accept"], ["suggest verify"]]);
  assert.deepEqual(judge(SMALL, ALL, {}, ["nvim"], byRoot).root, []);
});

test("an exemption holds with a reason, for a door that is there and that nothing goes through", () => {
  const some = ALL.slice(0, 2);
  const exempt = { "rest POST /verify": "a reason", "rest POST /gone": "a reason", "suggest verify": " " };
  const verdict = judge(SMALL, some, exempt, ["plugin"]);
  assert.deepEqual(verdict.missing, []);
  assert.deepEqual(verdict.problems, [
    "rest POST /gone: exempt, and there is no such door",
    "suggest verify: exempt without a reason",
  ]);
  assert.match(
    judge(SMALL, ALL, { "rest POST /verify": "a reason" }, ["plugin"]).problems[0] ?? "",
    /take it off the list/,
  );
});

test("the product's own tables name its doors", () => {
  const doors = catalogue(env).doors.map(({ door }) => door);
  for (const door of [
    "rest POST /verify",
    "ws verify",
    "tool publish_suggestion",
    "option verify.command",
    "suggest verify",
    "key accept on a selection",
    "plug accept",
    "default key open-review",
    "setting ui.style=inline",
    "flag start --fresh",
    "flag serve --moved-from",
    "flag teardown --yes",
    "suite plugin",
  ])
    assert.ok(doors.includes(door), door);
  assert.equal(new Set(doors).size, doors.length);
});

test("a run whose suites went through nothing fails and names the doors", () => {
  const record = join(mkdtempSync(join(tmpdir(), "doors-test-")), "doors.jsonl");
  writeFileSync(record, lines({ http: ["POST", "/verify"] }).join("\n"));
  const code = `
    const { reportDoors } = await import(${JSON.stringify(join(HERE, "doors.mjs"))});
    process.exit(reportDoors(${JSON.stringify(record)}, process.env, ["plugin"]).failed);`;
  const done = spawnSync(process.execPath, ["--input-type=module", "--eval", code], {
    env,
    encoding: "utf8",
  });
  assert.equal(done.status, 1, done.stderr);
  const missing = done.stdout.slice(done.stdout.indexOf("NOT GONE THROUGH"));
  assert.match(missing, /rest: .*POST \/undo/);
  assert.doesNotMatch(missing, /POST \/verify/);
});
