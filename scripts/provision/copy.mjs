// @ts-check
// Gives another Unix user the tools: a copy of the private ones that refers to nothing in the place it came from, which may be closed to that user.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, renameSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { catalog, recipeOf, sandboxTools } from "./catalog.mjs";
import { explainFileError, ProvisionError } from "./errors.mjs";
import { acquireLock, isAbandoned } from "./lock.mjs";
import { isolatedEnvironment, probe } from "./probe.mjs";
import { Relocation } from "./relocation.mjs";
import { isIntact, readStamp, resultOf, stampFiles, stampName, writeStamp } from "./stamp.mjs";
import { closedToOthers, makeOpenFolder, openToEveryone } from "./tree.mjs";
import { discard } from "./workplace.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */
/** @typedef {import("./types.mjs").Entry} Entry */
/** @typedef {import("./types.mjs").Log} Log */

/**
 * @param {object} options
 * @param {string} options.from the private folder that `provision` filled, or the repository that holds it as `.tools`
 * @param {string} options.to the copy's own folder; made here, and replaced whole when it is not up to date
 * @param {string[]} [options.tools]
 * @param {Log} [options.log]
 * @returns {Promise<import("./types.mjs").Provisioned>}
 */
export async function copyTools({ from, to, tools = sandboxTools, log = () => {} }) {
  const inside = join(resolve(from), ".tools");
  const source = existsSync(join(inside, stampName)) ? inside : resolve(from);
  const target = resolve(to);
  const wanted = tools.map((name) => {
    const tool = catalog.get(name);
    if (!tool)
      throw new ProvisionError(
        "usage",
        `There is no tool called "${name}": choose from ${[...catalog.keys()].join(", ")}.`,
      );
    return tool;
  });
  const entries = entriesOf(source, wanted);
  const recipe = `copy ${createHash("sha256")
    .update(JSON.stringify([source, ...wanted.map((tool) => [tool.name, entries[tool.name]])]))
    .digest("hex")}`;
  const parent = dirname(target);
  const lock = join(parent, `.${basename(target)}.lock`);
  if (isUpToDate(target, wanted, recipe) && !isAbandoned(lock))
    return resultOf(target, wanted, readStamp(target));
  if (/[:\n$]/.test(target))
    throw new ProvisionError(
      "unsupported",
      `The tools cannot live in "${target}", because of a ":", "$" or line break in its name: choose another folder.`,
    );
  try {
    makeOpenFolder(parent);
    const release = await acquireLock(lock, { log });
    try {
      for (const name of readdirSync(parent))
        if (name.startsWith(draftsOf(target))) discard(join(parent, name));
      if (isUpToDate(target, wanted, recipe)) return resultOf(target, wanted, readStamp(target));
      await replaceCopy(source, target, wanted, entries, recipe, log);
    } finally {
      release();
    }
  } catch (error) {
    throw explainFileError(error, parent);
  }
  const closed = closedToOthers(target);
  if (closed)
    log(
      `${closed} is closed to other users: they cannot reach the tools until it is opened with "chmod a+x ${closed}"`,
    );
  return resultOf(target, wanted, readStamp(target));
}

/**
 * @param {string} source
 * @param {string} target
 * @param {Tool[]} wanted
 * @param {Record<string, Entry>} entries
 * @param {string} recipe
 * @param {Log} log
 */
async function replaceCopy(source, target, wanted, entries, recipe, log) {
  if (existsSync(target) && !existsSync(join(target, stampName)) && readdirSync(target).length > 0)
    throw new ProvisionError(
      "permission",
      `${target} holds something else than a copy of the tools: choose another folder, or move that away.`,
    );
  const workshop = mkdtempSync(join(dirname(target), draftsOf(target)));
  try {
    const built = join(workshop, "tools");
    const files = await new Relocation(source, target, built, log).build(wanted, entries);
    const stamp = { ...readStamp(target), tools: /** @type {Record<string, Entry>} */ ({}) };
    for (const { name } of wanted) {
      // Stamped in the workshop: a rename of the folder keeps sizes and times.
      const stamps = stampFiles(files[name].map((path) => join(built, relative(target, path)))).map(
        (file) => ({ ...file, path: join(target, relative(built, file.path)) }),
      );
      stamp.tools[name] = {
        version: entries[name].version,
        source: entries[name].source,
        path: join(target, "bin", name),
        recipe,
        files: stamps,
      };
    }
    writeStamp(built, stamp);
    openToEveryone(built);
    await swapIn(built, target, workshop, wanted);
    log(`copied ${wanted.map(({ name }) => `${name} ${entries[name].version}`).join(", ")} to ${target}`);
  } finally {
    discard(workshop);
  }
}

/**
 * The programs are bound to their final place, so they can only be tried there; a copy that does not run is taken back.
 * @param {string} built
 * @param {string} target
 * @param {string} workshop
 * @param {Tool[]} wanted
 */
async function swapIn(built, target, workshop, wanted) {
  const old = join(workshop, "old");
  if (existsSync(target)) renameSync(target, old);
  renameSync(built, target);
  for (const tool of wanted) {
    const { version, complaint } = await probe(
      join(target, "bin", tool.name),
      tool,
      isolatedEnvironment(workshop),
    );
    if (version) continue;
    renameSync(target, built);
    if (existsSync(old)) renameSync(old, target);
    throw new ProvisionError(
      "broken",
      `The copy of ${tool.name} does not run in ${target} (is it mounted without permission to execute?): choose another folder.`,
      { detail: complaint },
    );
  }
}

/**
 * @param {string} source
 * @param {Tool[]} wanted
 */
function entriesOf(source, wanted) {
  const { tools } = readStamp(source);
  const missing = wanted
    .filter((tool) => !isIntact(tools[tool.name], recipeOf(tool)))
    .map((tool) => tool.name);
  if (missing.length > 0)
    throw new ProvisionError(
      "missing",
      `${source} has no usable ${missing.join(", ")}: run "node scripts/provision.mjs" first.`,
    );
  return tools;
}

/** @param {string} target beside it, on the same disk: a rename puts the whole copy in place */
function draftsOf(target) {
  return `.${basename(target)}.tmp-`;
}

/**
 * @param {string} target
 * @param {Tool[]} wanted
 * @param {string} recipe
 */
function isUpToDate(target, wanted, recipe) {
  const { tools } = readStamp(target);
  return wanted.every((tool) => isIntact(tools[tool.name], recipe));
}
