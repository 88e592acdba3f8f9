// @ts-check
/** Runs one command of a suite, passes its output on and counts what it says of its tests. */
import { spawn } from "node:child_process";

const COUNTS = {
  bun: {
    passed: /^\s*(\d+) pass$/gm,
    failed: /^\s*(\d+) (?:fail|errors?)$/gm,
    skipped: /^\s*(\d+) (?:skip|todo)$/gm,
  },
  node: {
    passed: /^(?:#|ℹ) pass (\d+)$/gm,
    failed: /^(?:#|ℹ) fail (\d+)$/gm,
    skipped: /^(?:#|ℹ) (?:skipped|todo) (\d+)$/gm,
  },
  nvim: {
    passed: /^(\d+) passed, \d+ failed/gm,
    failed: /^\d+ passed, (\d+) failed/gm,
    skipped: /^\d+ passed, \d+ failed, (\d+) skipped/gm,
  },
};

/** How each runner names a test that failed; Neovim's says below it what was wrong. */
const FAILURES = {
  bun: /^\(fail\) (.*)$/gm,
  node: /^(?:\s*not ok \d+ - |\s*✖ )(.*)$/gm,
  nvim: /^ {2}FAIL (.*(?:\n {4}\S.*)?)$/gm,
};

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */
/** @typedef {Counts & {failures: string[]}} Result `failures` are the names of what failed, for a reader who sees only the end */

/** @param {string} output @param {RegExp} pattern */
const sum = (output, pattern) =>
  [...output.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);

/**
 * A runner that ends badly without naming a failed test, or that ran no test at all, counts as one failure.
 *
 * @param {string} title
 * @param {string[]} argv
 * @param {"one" | "bun" | "node" | "nvim"} counts
 * @param {{cwd: string, env: Record<string, string>}} options
 * @param {(text: string) => void} [write] where its output goes; default: to the screen as it comes
 * @returns {Promise<Result>}
 */
export function runCounted(title, argv, counts, options, write = (text) => void process.stdout.write(text)) {
  write(`\n── ${title}\n`);
  const started = Date.now();
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(program, args, {
      ...options,
      env: { ...options.env, NO_COLOR: "1", FORCE_COLOR: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (/** @type {string} */ text) => {
        output += text;
        write(text);
      });
    }
    child.on("error", (error) => {
      write(`${program} could not be run: ${error.message}\n`);
      resolve({ passed: 0, failed: 1, skipped: 0, failures: [title] });
    });
    child.on("close", (code) => {
      let passed = code === 0 ? 1 : 0;
      let failed = code === 0 ? 0 : 1;
      let skipped = 0;
      /** @type {string[]} */
      let failures = [];
      if (counts !== "one") {
        const patterns = COUNTS[counts];
        passed = sum(output, patterns.passed);
        failed = sum(output, patterns.failed);
        skipped = sum(output, patterns.skipped);
        failures = [...output.matchAll(FAILURES[counts])].map(
          (match) => `${title}: ${match[1]?.replace(/\n +/, ": ")}`,
        );
        if (failed === 0 && (code !== 0 || passed === 0)) failed = 1;
      }
      if (failed > 0 && failures.length === 0) failures = [title];
      write(
        `── ${title}: ${passed} passed, ${failed} failed, ${skipped} skipped in ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
      );
      resolve({ passed, failed, skipped, failures });
    });
  });
}
