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
 * @property {string} output the tail of stdout and stderr together
 * @property {NodeJS.ErrnoException} [error] it could not be started
 * @property {NodeJS.Signals | null} signal
 */

const stdoutLimit = 1 << 20;
const tailLimit = 2000;

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
      timeout: options.timeout ?? 30_000,
      killSignal: "SIGKILL",
    });
    running.add(child);
    /** @param {Partial<Outcome>} end */
    const finish = (end) => {
      if (settled) return;
      settled = true;
      running.delete(child);
      resolve({ ok: false, signal: null, stdout, output: output.slice(-tailLimit), ...end });
    };
    for (const stream of [child.stdout, child.stderr]) {
      const decoder = new StringDecoder("utf8");
      stream.on("data", (chunk) => {
        const text = decoder.write(chunk);
        if (stream === child.stdout && stdout.length < stdoutLimit) stdout += text;
        output = (output + text).slice(-2 * tailLimit);
      });
    }
    child.on("error", (error) => finish({ error }));
    // A grandchild can hold the pipes open long after the child is gone, so do not wait for "close" for ever.
    child.on("exit", (code, signal) => {
      const end = { ok: code === 0, signal };
      child.on("close", () => finish(end));
      setTimeout(() => finish(end), 500).unref();
    });
  });
}
