// @ts-check
// Fetches a tool from the npm registry: only the platform's own package, whose program is called directly. No install script runs.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { explainClientFailure, ProvisionError } from "./errors.mjs";
import { runNpm } from "./npm.mjs";
import { isolatedEnvironment, probe } from "./probe.mjs";
import { isAtLeast } from "./versions.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */
/** @typedef {import("./types.mjs").NpmRecipe} NpmRecipe */

/**
 * @param {Tool} tool
 * @param {import("./types.mjs").Platform} platform
 * @param {{prefix: string, temporary: string}} folders
 * @returns {Promise<{program: string, version: string, fetched: boolean}>}
 */
export async function provideFromNpm(tool, platform, { prefix, temporary }) {
  const recipe = /** @type {NpmRecipe} */ (tool.npm);
  const home = join(prefix, "npm", tool.name);
  const packages = recipe.packages(platform);
  if (packages.length === 0)
    throw new ProvisionError(
      "unsupported",
      `There is no ready-made ${tool.name} for ${platform.os} on ${platform.arch}: install ${tool.name} ${tool.minimum} or later yourself and put it on PATH.`,
    );
  const environment = isolatedEnvironment(temporary);
  // An earlier run may have put it in place and been stopped before it could write that down.
  for (const name of packages) {
    const program = join(home, "node_modules", name, recipe.program);
    const { version } = existsSync(program)
      ? await probe(program, tool, environment)
      : { version: undefined };
    if (version === recipe.version) return { program, version, fetched: false };
  }
  let complaint = "";
  for (const name of packages) {
    const folder = join(temporary, "npm", name);
    await install(recipe, name, folder, prefix);
    const program = join(folder, "node_modules", name, recipe.program);
    const answer = await probe(program, tool, environment);
    if (answer.version && isAtLeast(answer.version, tool.minimum)) {
      putInPlace(folder, home, temporary);
      return {
        program: join(home, "node_modules", name, recipe.program),
        version: answer.version,
        fetched: true,
      };
    }
    complaint ||= answer.complaint || `it is ${answer.version}`;
  }
  throw new ProvisionError(
    "broken",
    `The ${tool.name} that npm fetched does not run here (is ${prefix} mounted without permission to execute?): install ${tool.name} ${tool.minimum} or later yourself and put it on PATH.`,
    {
      detail: complaint,
    },
  );
}

/**
 * @param {NpmRecipe} recipe
 * @param {string} name
 * @param {string} folder
 * @param {string} prefix
 */
async function install(recipe, name, folder, prefix) {
  const attempts = [recipe.version, ...(recipe.nearest ? [recipe.nearest] : [])];
  for (const version of attempts) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"private": true}\n');
    const flags = [
      "--ignore-scripts",
      "--fetch-retries=2",
      "--fetch-retry-mintimeout=1000",
      "--fetch-retry-maxtimeout=5000",
    ];
    // npm's own cache is outside our folder; this one also saves an interrupted run from fetching all again.
    const args = [
      "install",
      "--prefix",
      folder,
      ...flags,
      "--cache",
      join(prefix, "cache/npm"),
      "--logs-max=0",
      `${name}@${version}`,
    ];
    const outcome = await runNpm(args, { cwd: folder, timeout: 15 * 60_000 });
    if (outcome.ok) return;
    const unknownVersion = /ETARGET|E404|notarget/.test(outcome.output);
    if (!unknownVersion || version === attempts.at(-1))
      throw explainClientFailure(
        "npm",
        `fetch ${name} ${version}`,
        outcome.output || String(outcome.error ?? outcome.signal),
        prefix,
      );
  }
}

/**
 * @param {string} folder
 * @param {string} place
 * @param {string} temporary where what was there goes, to be removed later
 */
export function putInPlace(folder, place, temporary) {
  mkdirSync(dirname(place), { recursive: true });
  if (existsSync(place)) renameSync(place, join(mkdtempSync(join(temporary, "old-")), "replaced"));
  renameSync(folder, place);
}
