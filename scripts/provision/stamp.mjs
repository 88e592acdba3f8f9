// @ts-check
// tools.json: what is in place, and enough about its files to see a change without running anything.
import { lstatSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { machine } from "./platform.mjs";

/** @typedef {import("./types.mjs").Entry} Entry */
/** @typedef {import("./types.mjs").Stamp} Stamp */
/** @typedef {import("./types.mjs").FileStamp} FileStamp */

const schema = 1;
export const stampName = "tools.json";

/**
 * A stamp of another place, machine or schema says nothing about this one.
 * @param {string} prefix
 * @returns {Stamp}
 */
export function readStamp(prefix) {
  /** @type {Stamp} */
  const empty = { schema, location: prefix, machine, tools: {} };
  try {
    const stamp = JSON.parse(readFileSync(join(prefix, stampName), "utf8"));
    const fits = stamp.schema === schema && stamp.location === prefix && stamp.machine === machine;
    return fits && typeof stamp.tools === "object" && stamp.tools !== null ? stamp : empty;
  } catch {
    return empty;
  }
}

/**
 * @param {string} prefix
 * @param {Stamp} stamp
 */
export function writeStamp(prefix, stamp) {
  writeAtomically(join(prefix, stampName), `${JSON.stringify(stamp, null, 2)}\n`);
}

/**
 * @param {string} path
 * @param {string} content
 * @param {number} [mode]
 */
export function writeAtomically(path, content, mode = 0o644) {
  const draft = `${path}.${process.pid}.draft`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, path);
}

/**
 * @param {string[]} paths symbolic links are looked at both as themselves and as what they point to
 * @returns {FileStamp[]}
 */
export function stampFiles(paths) {
  return paths.map((path) => {
    const identity = identify(path);
    if (!identity)
      throw Object.assign(new Error(`ENOENT: no such file, stat '${path}'`), { code: "ENOENT", path });
    return { path, ...identity };
  });
}

/**
 * @param {Entry | undefined} entry
 * @param {string} recipe
 * @returns {entry is Entry}
 */
export function isIntact(entry, recipe) {
  if (!entry || entry.recipe !== recipe || !Array.isArray(entry.files) || entry.files.length === 0)
    return false;
  return entry.files.every((file) => {
    const identity = identify(file.path);
    return identity !== undefined && identity.size === file.size && identity.mtimeMs === file.mtimeMs;
  });
}

/**
 * What callers get to know of the tools in a folder.
 * @param {string} prefix
 * @param {import("./types.mjs").Tool[]} wanted
 * @param {Stamp} stamp
 * @returns {import("./types.mjs").Provisioned}
 */
export function resultOf(prefix, wanted, stamp) {
  const bin = join(prefix, "bin");
  const found = wanted.map(({ name }) => {
    const { path, version, source } = stamp.tools[name];
    return [name, { path, version, source }];
  });
  return {
    bin,
    env: { PATH: [bin, process.env.PATH].filter(Boolean).join(delimiter) },
    found: Object.fromEntries(found),
  };
}

/** @param {string} path */
function identify(path) {
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) return undefined;
  // A link that was turned to another target of the same size and time is still another link.
  const link = lstatSync(path, { throwIfNoEntry: false });
  return { size: file.size, mtimeMs: Math.max(file.mtimeMs, link?.isSymbolicLink() ? link.mtimeMs : 0) };
}
