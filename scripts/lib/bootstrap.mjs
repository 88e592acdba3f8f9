// @ts-check
/** What every command of this repository needs before it can do its work: packages, tools, and the built plugin. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ProvisionError, provision } from "../provision.mjs";
import { ensureDependencies } from "./dependencies.mjs";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Looked at as early as can be: who it is changes when it is killed. */
const launcher = process.ppid;
const LAUNCHER_CHECK_MS = 250;

/** @param {string} line */
export const progress = (line) => void process.stderr.write(`${line}\n`);

/**
 * Installs packages and tools as far as they are missing.
 * @param {("runtime" | "dev" | "all")[]} tools
 * @returns {Promise<Record<string, string>>} environment in which every tool is found by its name
 */
export async function bootstrap(tools) {
  try {
    await ensureDependencies({ root: ROOT, log: (line) => progress(`set-up: ${line}`) });
    const { env } = await provision({ root: ROOT, tools, log: (line) => progress(`set-up: ${line}`) });
    return { .../** @type {Record<string, string>} */ (process.env), ...env };
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    progress(`set-up: ${error.message}`);
    process.exit(1);
  }
}

/**
 * Runs a program to its end with this process's streams; passes signals on and returns its exit code. An npm that is
 * killed passes nothing on, so its end counts as SIGTERM; the scripts of package.json begin with `exec` so that npm,
 * and no shell, is the parent. Started otherwise (nohup, a service), this process may well outlive its parent.
 * @param {string} program
 * @param {string[]} args
 * @param {import("node:child_process").SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export function runForeground(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", ...options });
    /** @type {NodeJS.Signals[]} */
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    const forward = (/** @type {NodeJS.Signals} */ signal) => void child.kill(signal);
    for (const signal of signals) process.on(signal, forward);
    const watch = setInterval(() => {
      if (process.env.npm_lifecycle_event === undefined || process.ppid === launcher) return;
      clearInterval(watch);
      child.kill("SIGTERM");
    }, LAUNCHER_CHECK_MS);
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      clearInterval(watch);
      for (const name of signals) process.off(name, forward);
      resolve(code ?? (signal === null ? 1 : 130));
    });
  });
}

/**
 * Bundles the plugin into one file; opencode loads nothing else.
 * @param {Record<string, string>} env from {@link bootstrap}
 */
export async function build(env) {
  const code = await runForeground("bun", ["run", "build"], {
    cwd: join(ROOT, "plugin"),
    env,
    stdio: ["ignore", 2, 2],
  });
  if (code !== 0 || !existsSync(join(ROOT, "plugin/dist/suggestion-manager.js"))) {
    progress("build: the plugin could not be bundled; see above");
    process.exit(1);
  }
}
