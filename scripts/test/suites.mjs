// @ts-check
/** The suites of `npm test`, in the order in which a mistake is found soonest. */
import { appendFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../lib/bootstrap.mjs";
import { lane } from "./lanes.mjs";
import { ORDER } from "./order.mjs";
import { runCounted } from "./run.mjs";

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {() => Command[]} commands
 * @property {string} [beside] the suite that it runs at the same time as: most of both is waiting for programs
 */
/**
 * @typedef {object} Command
 * @property {string} title
 * @property {string[]} argv
 * @property {"one" | "bun" | "node" | "nvim"} counts how its results are counted; "one" is a check that passes or not
 * @property {string} [cwd]
 * @property {Record<string, string>} [env]
 */

/** @param {string} dir @param {RegExp} pattern @returns {string[]} */
function filesBelow(dir, pattern) {
  if (!existsSync(join(ROOT, dir))) return [];
  return readdirSync(join(ROOT, dir), { recursive: true, encoding: "utf8" })
    .filter((file) => pattern.test(file))
    .map((file) => join(dir, file))
    .sort();
}

/** @param {string} title @param {string[]} argv @param {Command["counts"]} counts @param {Record<string, string>} [env] @returns {Command} */
const command = (title, argv, counts, env) => ({ title, argv, counts, ...(env ? { env } : {}) });

/**
 * Files whose tests run as they stand: those of each share the Unix user, the repository and the tools that the launcher
 * made for them, which takes up to a minute, and some say what one start after another finds, to the last that removes it.
 */
export const IN_FILE_ORDER = [
  "cage",
  "flags",
  "launcher-repositories",
  "launcher-trust",
  "limits",
  "outer",
  "sandbox",
  "start",
].map((name) => `test-harness/e2e/${name}.test.ts`);

/** How Bun, and the one in opencode, is told this run's order; it says the seed at the end. */
const SHUFFLED = ["--randomize", `--seed=${ORDER}`];

/**
 * Node's runner, which has the tests of the scripts, knows no order but the file's.
 *
 * @type {Suite[]}
 */
export const SUITES = [
  {
    name: "check",
    commands: () => [
      command("biome", ["node_modules/.bin/biome", "check", "--error-on-warnings", "."], "one"),
      command("tsc", ["node_modules/.bin/tsc", "-p", "tsconfig.json", "--noEmit"], "one"),
      command("stylua", ["stylua", "--check", "nvim"], "one"),
      command("luacheck", ["luacheck", "--quiet", "nvim"], "one"),
      command(
        "annotations",
        ["nvim", "--clean", "--headless", "-l", "nvim/tests/annotations/main.lua"],
        "one",
      ),
    ],
  },
  {
    name: "scripts",
    commands: () => [
      command("scripts", ["node", "--test", ...filesBelow("scripts", /\.test\.mjs$/)], "node"),
    ],
  },
  {
    name: "plugin",
    commands: () => [
      command("plugin", ["bun", "test", "--timeout", "30000", ...SHUFFLED, "plugin/tests"], "bun"),
      // The Bun that opencode embeds is the one users run.
      command(
        "plugin on opencode's own Bun",
        ["opencode", "test", ...SHUFFLED, "plugin/tests/diff", "plugin/tests/review"],
        "bun",
        { BUN_BE_BUN: "1" },
      ),
    ],
  },
  {
    name: "nvim",
    beside: "plugin",
    commands: () => [
      command(
        "nvim",
        ["nvim", "--clean", "--headless", "-l", "nvim/tests/run.lua", `--shuffle=${ORDER}`],
        "nvim",
      ),
    ],
  },
  {
    name: "e2e",
    commands: () => {
      const files = filesBelow("test-harness", /\.test\.ts$/).filter((file) => !IN_FILE_ORDER.includes(file));
      const test = ["bun", "test", "--timeout", "90000"];
      return [
        command("end to end", [...test, ...SHUFFLED, ...files], "bun"),
        command("end to end, the launcher", [...test, ...IN_FILE_ORDER], "bun"),
      ];
    },
  },
];

const check = SUITES.filter(({ name }) => name === "check");

/**
 * For the hand, between two edits: the checks and the tests of what is pure or answers in milliseconds. All of it is
 * in the suites above as well, so that a run of everything leaves it out.
 *
 * @type {Suite}
 */
export const QUICK = {
  name: "quick",
  commands: () => [
    ...check.flatMap((suite) => suite.commands()),
    command(
      "plugin, quick",
      [
        "bun",
        "test",
        ...SHUFFLED,
        "plugin/tests/diff",
        "plugin/tests/review/ledger.test.ts",
        "plugin/tests/server/rest.test.ts",
      ],
      "bun",
    ),
    command(
      "nvim, quick",
      [
        "nvim",
        "--clean",
        "--headless",
        "-l",
        "nvim/tests/run.lua",
        `--shuffle=${ORDER}`,
        "diff_spec",
        "mapping_spec",
        "doc_spec",
        "apply_spec",
      ],
      "nvim",
    ),
  ],
};

/**
 * @param {Suite} suite
 * @param {Record<string, string>} env
 * @param {(text: string) => void} write
 * @returns {Promise<import("./run.mjs").Result[]>} one a command
 */
async function runSuite(suite, env, write) {
  const results = [];
  for (const { title, argv, counts, env: extra } of suite.commands())
    results.push(await runCounted(title, argv, counts, { cwd: ROOT, env: { ...env, ...extra } }, write));
  // The quick suite is no door that a whole run goes through, and is exempt for that.
  if (suite !== QUICK && env.SUGGESTION_DOORS !== undefined && results.some(({ passed }) => passed > 0))
    appendFileSync(env.SUGGESTION_DOORS, `${JSON.stringify({ door: `suite ${suite.name}` })}\n`);
  return results;
}

/** @param {string} text */
const show = (text) => void process.stdout.write(text);

/**
 * @param {Record<string, string>} env
 * @param {string[]} wanted names; [] for all
 * @returns {Promise<import("./run.mjs").Result>} of all together
 */
export async function runSuites(env, wanted) {
  const suites = wanted.length > 0 ? [...SUITES, QUICK].filter(({ name }) => wanted.includes(name)) : SUITES;
  const results = [];
  for (const suite of suites.filter((one) => !suites.some(({ name }) => name === one.beside))) {
    const together = [suite, ...suites.filter(({ beside }) => beside === suite.name)];
    const done = await Promise.all(
      together.map(async (one) => {
        if (together.length === 1) return runSuite(one, env, show);
        const { write, end } = lane(one.name, show);
        return runSuite(one, env, write).finally(end);
      }),
    );
    results.push(...done.flat());
  }
  const sum = (/** @type {"passed" | "failed" | "skipped"} */ count) =>
    results.reduce((total, result) => total + result[count], 0);
  const failures = results.flatMap((result) => result.failures);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped"), failures };
}
