// @ts-check
// Installs the repository's npm dependencies when they are missing or not those of package-lock.json. Safe to stop and to run twice at once.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { explainClientFailure, explainFileError, ProvisionError } from "../provision/errors.mjs";
import { acquireLock } from "../provision/lock.mjs";
import { runNpm } from "../provision/npm.mjs";
import { writeAtomically } from "../provision/stamp.mjs";

/**
 * @param {object} options
 * @param {string} options.root the folder of package.json
 * @param {(line: string) => void} [options.log]
 * @returns {Promise<{installed: boolean}>} installed: false when they were there already
 */
export async function ensureDependencies({ root, log = () => {} }) {
  const modules = join(root, "node_modules");
  const wanted = fingerprint(root);
  if (stampOf(modules) === wanted) return { installed: false };
  const locks = join(root, ".tools");
  try {
    mkdirSync(locks, { recursive: true });
    const release = await acquireLock(join(locks, "dependencies.lock"), { log });
    try {
      if (stampOf(modules) === wanted) return { installed: false };
      const started = Date.now();
      await install(root, modules, log);
      // npm can change both files it was asked about; what is there now is what was installed.
      writeAtomically(join(modules, ".stamp"), fingerprint(root));
      log(`dependencies installed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
      return { installed: true };
    } finally {
      release();
    }
  } catch (error) {
    throw explainFileError(error, root);
  }
}

/**
 * @param {string} root
 * @param {string} modules
 * @param {(line: string) => void} log
 */
async function install(root, modules, log) {
  const locked = existsSync(join(root, "package-lock.json"));
  const command = locked ? "ci" : "install";
  log(`installing dependencies (npm ${command})`);
  // `npm ci` starts from nothing anyway. `npm install` trusts what it finds, and an interrupted one leaves half-written packages.
  const unfinished = join(modules, ".unfinished");
  if (!locked && existsSync(unfinished)) rmSync(modules, { recursive: true, force: true });
  rmSync(join(modules, ".stamp"), { force: true });
  if (!locked) {
    mkdirSync(modules, { recursive: true });
    writeAtomically(unfinished, "");
  }
  const outcome = await runNpm([command], { cwd: root, timeout: 30 * 60_000 });
  if (!outcome.ok && /EUSAGE|in sync/.test(outcome.output))
    throw new ProvisionError(
      "failed",
      `package-lock.json does not fit package.json: run "npm install" in ${root}, look at what it changes, then run this again.`,
    );
  if (!outcome.ok)
    throw explainClientFailure(
      "npm",
      "install the dependencies",
      outcome.output || String(outcome.error ?? outcome.signal),
      root,
    );
  mkdirSync(modules, { recursive: true }); // a package.json without dependencies makes none
  rmSync(unfinished, { force: true });
}

/** @param {string} root what decides which files belong in node_modules */
function fingerprint(root) {
  if (!existsSync(join(root, "package.json")))
    throw new ProvisionError("usage", `${root} has no package.json: give the repository's own folder.`);
  const files = [
    "package.json",
    "package-lock.json",
    ...workspaces(root).map((folder) => join(folder, "package.json")),
  ];
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const name of files)
    hash.update(existsSync(join(root, name)) ? readFileSync(join(root, name)) : "").update("\0");
  return hash.digest("hex");
}

/** @param {string} root @returns {string[]} */
function workspaces(root) {
  try {
    const { workspaces: folders } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    return Array.isArray(folders) ? folders.filter((folder) => typeof folder === "string") : [];
  } catch {
    return []; // npm says better what is wrong with it
  }
}

/** @param {string} modules */
function stampOf(modules) {
  try {
    return readFileSync(join(modules, ".stamp"), "utf8");
  } catch {
    return undefined;
  }
}
