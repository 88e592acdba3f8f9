// @ts-check
// A prefix: the few files of unpacked Debian packages that the tools need, bound to one place. Made from packages, or from another prefix.
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bindPrograms, findLoader } from "./elf.mjs";
import { copyTree } from "./tree.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */
/** @typedef {{location: string, libraries: string, loader: string, tools: string[], versions: Record<string, string>}} Manifest */

const manifestName = "manifest.json";

/**
 * @param {object} plan
 * @param {string} plan.source unpacked packages, or another prefix
 * @param {string} plan.target an empty place to build in
 * @param {string} plan.location where the result will be put
 * @param {Tool[]} plan.tools
 * @param {Record<string, string>} plan.versions packages and versions, for people
 */
export async function buildPrefix({ source, target, location, tools, versions }) {
  mkdirSync(target, { recursive: true });
  const { libraries, loader } = findLoader(source);
  const keep = new Set(["usr/bin/patchelf", ...tools.flatMap((tool) => tool.debian?.keep ?? [])]);
  // Every shared library, but not the folders of plug-ins beside them: those belong to programs that are left out.
  for (const entry of readdirSync(join(source, libraries), { withFileTypes: true }))
    if (!entry.isDirectory() && /\.so(\.|$)/.test(entry.name)) keep.add(join(libraries, entry.name));
  if (tools.some((tool) => tool.name === "luacheck")) keep.add(join(libraries, "lua/5.1"));
  for (const path of keep) {
    if (!lstatSync(join(source, path), { throwIfNoEntry: false })) continue;
    mkdirSync(join(target, path, ".."), { recursive: true });
    copyTree(join(source, path), join(target, path));
  }
  await bindPrograms(target, location);
  /** @type {Manifest} */
  const manifest = { location, libraries, loader, tools: tools.map((tool) => tool.name), versions };
  writeFileSync(join(target, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o644 });
}

/**
 * @param {string} prefix
 * @returns {Manifest | undefined} undefined when there is no whole prefix: the manifest is written last
 */
export function readManifest(prefix) {
  try {
    const manifest = JSON.parse(readFileSync(join(prefix, manifestName), "utf8"));
    return typeof manifest.loader === "string" && Array.isArray(manifest.tools) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} prefix
 * @param {Tool} tool
 * @returns {string[]} the files whose loss or change must be noticed; none when there is no prefix to speak of
 */
export function vitalFiles(prefix, tool) {
  if (!tool.debian) return [];
  const manifest = readManifest(prefix);
  if (!manifest) return [];
  const { libraries, loader } = manifest;
  const paths = [tool.debian.program, loader, join(libraries, "libc.so.6"), ...(tool.debian.alsoCheck ?? [])];
  return paths.map((path) => join(prefix, path));
}
