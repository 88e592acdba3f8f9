// @ts-check
// Puts every tool that is asked for into the private bin folder: found on PATH, or fetched. Changes nothing outside the private folder.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { recipeOf, selectTools } from "./catalog.mjs";
import { explainFileError, ProvisionError } from "./errors.mjs";
import { acquireLock, isAbandoned } from "./lock.mjs";
import { Provisioning } from "./provisioning.mjs";
import { isIntact, readStamp, resultOf } from "./stamp.mjs";

/** @typedef {import("./types.mjs").Provisioned} Provisioned */

/**
 * @param {object} options
 * @param {string} options.root the repository
 * @param {string[]} options.tools names of tools, or the groups "runtime", "dev" and "all"
 * @param {import("./types.mjs").Log} [options.log] one line per step
 * @param {string} [options.prefix] the private folder, `.tools` in the root unless told
 * @param {boolean} [options.verify] run every tool instead of trusting what was noted
 * @returns {Promise<Provisioned>}
 */
export async function provision({ root, tools, log = () => {}, prefix: place, verify = false }) {
  const wanted = selectTools(tools);
  const prefix = resolve(place ?? join(root, ".tools"));
  const stamp = readStamp(prefix);
  const lock = join(prefix, "lock");
  const intact = wanted.every((tool) => isIntact(stamp.tools[tool.name], recipeOf(tool)));
  if (intact && !verify && !isAbandoned(lock)) return resultOf(prefix, wanted, stamp);
  // Both separate entries in PATH and in an ELF search path, where nothing can quote it.
  if (/[:\n$]/.test(prefix))
    throw new ProvisionError(
      "unsupported",
      `The tools cannot live in "${prefix}", because of a ":", "$" or line break in its name: move the repository.`,
    );
  try {
    mkdirSync(join(prefix, "bin"), { recursive: true });
    const release = await acquireLock(lock, { log });
    try {
      await new Provisioning(prefix, log).provide(wanted, verify);
      return resultOf(prefix, wanted, readStamp(prefix));
    } finally {
      release();
    }
  } catch (error) {
    throw explainFileError(error, prefix);
  }
}
