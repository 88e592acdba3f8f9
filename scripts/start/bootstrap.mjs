// @ts-check
// The first steps of every script, in plain Node: dependencies and tools are there, then the real program runs on
// the project's own Bun. Stays as a thin parent that passes signals on and ends with the child's exit code.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 20) {
  process.stderr.write(`Node 20 or newer is needed, this is ${process.versions.node}. Install it and try again.\n`);
  process.exit(1);
}

/** @param {string} name said before each line on standard error */
export const logAs = (name) => (/** @type {string} */ line) => process.stderr.write(`${name}: ${line}\n`);

/**
 * Dependencies and tools, fetched when missing; ends the process with one sentence when that cannot be done.
 * @param {{name: string, tools: string[]}} options
 * @returns {Promise<NodeJS.ProcessEnv>} the environment in which programs find the tools
 */
export async function prepare({ name, tools }) {
  const log = logAs(name);
  try {
    const { ensureDependencies } = await import("../dependencies.mjs");
    const { provision } = await import("../provision.mjs");
    await ensureDependencies({ root, log });
    const { bin, env } = await provision({ root, tools, log });
    return { ...process.env, ...env, PATH: [bin, process.env.PATH ?? ""].join(delimiter) };
  } catch (error) {
    log(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}

/**
 * Runs a program to its end in this process's place. File descriptor 3 of the child is a pipe that closes when this
 * process is gone, however it went.
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
export async function handOver(program, args, env) {
  const child = spawn(program, args, { env, stdio: ["inherit", "inherit", "inherit", "pipe"] });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  const code = await new Promise((done) => {
    child.once("error", (error) => {
      process.stderr.write(`${program} could not be started: ${error.message}\n`);
      done(1);
    });
    child.once("exit", (exitCode, signal) =>
      done(exitCode ?? 128 + (signal ? (constants.signals[signal] ?? 1) : 1)),
    );
  });
  process.exit(code);
}

/**
 * Prepares, then runs a TypeScript program of this repository on Bun with this process's own arguments.
 * @param {{name: string, program: string, tools?: string[]}} options program: path from the repository's root
 */
export async function runOnBun({ name, program, tools = ["runtime"] }) {
  const env = await prepare({ name, tools });
  // Bun would load .env files of whatever folder this is started from.
  await handOver("bun", ["--no-env-file", join(root, program), ...process.argv.slice(2)], env);
}
