// @ts-check
// Runs a child process to its end, without a shell: what it said, how it ended, and never longer than asked.
import { spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

/** For a program that is being told to stop: its children must not write on in a folder that the next run clears. */
export function stopChildren() {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * @typedef {object} Outcome
 * @property {boolean} ok it ran and ended with 0
 * @property {string} stdout
 * @property {string} output stdout and stderr together, without the middle when that is long
 * @property {NodeJS.ErrnoException} [error] it could not be started
 * @property {NodeJS.Signals | null} signal
 */

const stdoutLimit = 1 << 20;
const outputLimit = 1 << 14;

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, timeout?: number}} [options] timeout in milliseconds
 * @returns {Promise<Outcome>}
 */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    let stdout = "";
    let output = "";
    let settled = false;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    // Not spawn's own timeout: that one keeps the process alive when the child could not be started (seen with Node 20).
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeout ?? 30_000);
    /** @param {Partial<Outcome>} end */
    const finish = (end) => {
      if (settled) return;
      settled = true;
      running.delete(child);
      clearTimeout(timer);
      for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      resolve({ ok: false, signal: null, stdout, output, ...end });
    };
    for (const stream of [child.stdout, child.stderr]) {
      const decoder = new StringDecoder("utf8");
      stream.on("data", (chunk) => {
        const text = decoder.write(chunk);
        if (stream === child.stdout && stdout.length < stdoutLimit) stdout += text;
        output += text;
        // The reason is often in the first lines, the consequences in the last.
        if (output.length > 2 * outputLimit)
          output = `${output.slice(0, outputLimit)}\n…\n${output.slice(-outputLimit / 2)}`;
      });
    }
    child.on("error", (error) => finish({ error }));
    // A grandchild can hold the pipes open long after the child is gone, so do not wait for "close" for ever.
    child.on("exit", (code, signal) => {
      const end = { ok: code === 0, signal };
      child.on("close", () => finish(end));
      setTimeout(() => finish(end), 2000).unref();
    });
  });
}
