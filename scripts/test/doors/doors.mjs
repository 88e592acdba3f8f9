// @ts-check
/**
 * Every door proven: `npm test` names a file in SUGGESTION_DOORS, the suites write into it which doors of the product
 * they went through to a success, and a run fails on a door of its suites that none went through.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXEMPT, needsRoot } from "./exempt.mjs";
import { judge } from "./verdict.mjs";

const isRoot = process.getuid?.() === 0;
const HERE = dirname(fileURLToPath(import.meta.url));

/** @returns {string} a file for the suites to write into */
export const openRecord = () => join(mkdtempSync(join(tmpdir(), "doors-")), "doors.jsonl");

/** @param {string} record @returns {string[]} */
const linesOf = (record) =>
  existsSync(record)
    ? readFileSync(record, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];

/**
 * @param {Record<string, string>} env in which the tools are found
 * @returns {import("./verdict.mjs").Catalogue}
 */
export function catalogue(env) {
  const done = spawnSync("bun", [join(HERE, "catalogue.mjs")], { env, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`the doors cannot be listed: ${done.stderr}`);
  return JSON.parse(done.stdout);
}

/** @param {string} door */
const kindOf = (door) => /^(?:default key|flag \S+|\S+)/.exec(door)?.[0] ?? door;

/** @param {string} title @param {string[]} doors */
function list(title, doors) {
  if (doors.length === 0) return;
  process.stdout.write(`${title} (${doors.length})\n`);
  for (const [kind, of] of grouped(doors))
    process.stdout.write(`  ${kind}: ${of.map((door) => door.slice(kind.length + 1)).join(", ")}\n`);
}

/** @param {string[]} doors */
function grouped(doors) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const door of doors) groups.set(kindOf(door), [...(groups.get(kindOf(door)) ?? []), door]);
  return groups;
}

/**
 * Prints which doors were gone through, and what is missing.
 *
 * @param {string} record
 * @param {Record<string, string>} env
 * @param {string[]} suites names of those that ran
 * @returns {import("../run.mjs").Counts} one check
 */
export function reportDoors(record, env, suites) {
  process.stdout.write("\n── doors\n");
  try {
    const verdict = judge(catalogue(env), linesOf(record), EXEMPT, suites, isRoot ? undefined : needsRoot);
    list("gone through", verdict.proven);
    list("exempt", verdict.exempted);
    list("for root to go through, which makes a second Unix user", verdict.root);
    if (verdict.elsewhere.length > 0)
      process.stdout.write(`for other suites to go through (${verdict.elsewhere.length})\n`);
    list("NOT GONE THROUGH", verdict.missing);
    for (const problem of verdict.problems) process.stdout.write(`EXEMPTION: ${problem}\n`);
    const good = verdict.missing.length === 0 && verdict.problems.length === 0;
    return { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 };
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(dirname(record), { recursive: true, force: true });
  }
}
