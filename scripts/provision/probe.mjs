// @ts-check
// Asks programs for their version, and looks for tools that the machine already has.
import { accessSync, constants, mkdirSync, realpathSync, statSync } from "node:fs";
import { delimiter, join, sep } from "node:path";
import { run } from "./run.mjs";
import { compareVersions, isAtLeast, parseVersion } from "./versions.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */

/**
 * @param {string} program
 * @param {Tool} tool
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{version?: string, complaint: string}>} no version: it does not run, and the complaint says how it ended
 */
export async function probe(program, tool, env) {
  const outcome = await run(program, tool.versionArguments, { env, timeout: 60_000 });
  const version = outcome.ok ? parseVersion(outcome.stdout) : undefined;
  if (version) return { version, complaint: "" };
  return {
    complaint:
      outcome.error?.message ??
      (outcome.output.trim() || (outcome.signal ? `ended by ${outcome.signal}` : "no version in its answer")),
  };
}

/**
 * What a private program is asked with: nothing of this user's settings, and a throw-away home for what it may write.
 * @param {string} folder
 * @returns {NodeJS.ProcessEnv}
 */
export function isolatedEnvironment(folder) {
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  return {
    PATH: "/usr/bin:/bin",
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
    XDG_STATE_HOME: home,
    XDG_CACHE_HOME: home,
    LC_ALL: "C",
    TERM: "dumb",
  };
}

/**
 * @param {Tool} tool
 * @returns {Promise<{path: string, version: string} | {rejected: string}>} rejected: why none of those on PATH will do, "" when there is none
 */
export async function findOnPath(tool) {
  let rejected = "";
  for (const path of programsOnPath(tool.name)) {
    const { version } = await probe(path, tool);
    if (version && isAtLeast(version, tool.minimum)) return { path, version };
    rejected ||=
      version && compareVersions(version, tool.minimum) < 0
        ? `${version} on PATH is older than ${tool.minimum}`
        : "the one on PATH does not run";
  }
  return { rejected };
}

/**
 * @param {string} name
 * @param {string} [searchPath]
 * @returns {string[]}
 */
export function programsOnPath(name, searchPath = process.env.PATH ?? "") {
  const folders = [
    ...searchPath.split(delimiter),
    ...(process.platform === "darwin" ? ["/opt/homebrew/bin", "/usr/local/bin"] : []),
  ];
  const seen = new Set();
  return folders.filter(isLasting).flatMap((folder) => {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      const real = realpathSync(path);
      if (!statSync(real).isFile() || seen.has(real) || !isLasting(join(real, ".."))) return [];
      seen.add(real);
      return [path];
    } catch {
      return [];
    }
  });
}

/**
 * A project's dependencies and another checkout's private tools come and go; relative folders mean something else tomorrow.
 * @param {string} folder
 */
function isLasting(folder) {
  const parts = folder.split(sep);
  return (
    folder.startsWith("/") &&
    !parts.includes(".tools") &&
    !(parts.includes("node_modules") && parts.at(-1) === ".bin")
  );
}
