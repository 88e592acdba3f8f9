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

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */

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
 * @returns {Promise<Counts>}
 */
export function runCounted(title, argv, counts, options) {
  process.stdout.write(`\n── ${title}\n`);
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
        process.stdout.write(text);
      });
    }
    child.on("error", (error) => {
      process.stdout.write(`${program} could not be run: ${error.message}\n`);
      resolve({ passed: 0, failed: 1, skipped: 0 });
    });
    child.on("close", (code) => {
      let passed = code === 0 ? 1 : 0;
      let failed = code === 0 ? 0 : 1;
      let skipped = 0;
      if (counts !== "one") {
        const patterns = COUNTS[counts];
        passed = sum(output, patterns.passed);
        failed = sum(output, patterns.failed);
        skipped = sum(output, patterns.skipped);
        if (failed === 0 && (code !== 0 || passed === 0)) failed = 1;
      }
      process.stdout.write(
        `── ${title}: ${passed} passed, ${failed} failed, ${skipped} skipped in ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
      );
      resolve({ passed, failed, skipped });
    });
  });
}
