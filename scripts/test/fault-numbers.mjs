// @ts-check
/**
 * Faults that were once seen in use have numbers, and the tests that keep each from coming back begin with its number
 * ("A6: …"; "A1 A2: …" for several). Here are the numbers there are, and a look at the names of the tests.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The last number of each kind: lost work, trust, wrong, the agent's side, server and state. */
const LAST = { A: 15, B: 11, C: 18, D: 20, E: 9 };

/** @type {string[]} */
export const NUMBERS = Object.entries(LAST).flatMap(([kind, last]) =>
  Array.from({ length: last }, (_, index) => `${kind}${index + 1}`),
);

const FOLDERS = ["demo", "nvim/tests", "plugin/tests", "sandbox", "scripts", "test-harness"];
const TEST_FILE = /(?:_spec\.lua|\.test\.(?:ts|mjs))$/;

/** Lines that are nothing but a comment: a test that was commented out is none. */
const COMMENT = /^\s*(?:\/\/|\/\*|\*|--).*$/gm;

/**
 * A test or a group of tests that is run, up to the end of the numbers of its name. What a call such as
 * `skipIf(condition)` says may stand between; `skip`, `todo` and Lua's `pending` run nothing.
 */
const NAMED =
  /\b(?:test|it|describe)(?:\.(?!skip\(|todo\()\w+\((?:[^()]|\([^()]*\))*\))*\(\s*\(?\s*["'`]((?:[A-Z]\d+ )*[A-Z]\d+):/g;

/**
 * @param {string} text of a test file
 * @returns {string[]} every number that a test in it carries, as often as it does
 */
export function numbersIn(text) {
  const names = text.replaceAll(COMMENT, "").matchAll(NAMED);
  return [...names].flatMap(([, numbers = ""]) => numbers.split(" "));
}

/**
 * @param {string} root of the repository
 * @returns {Map<string, string[]>} the files that carry it, by number
 */
export function carriedNumbers(root) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
    for (const name of names.filter((one) => TEST_FILE.test(one))) {
      const file = join(folder, name);
      for (const number of new Set(numbersIn(readFileSync(join(root, file), "utf8"))))
        found.set(number, [...(found.get(number) ?? []), file]);
    }
  }
  return found;
}
