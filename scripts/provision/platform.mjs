// @ts-check
// What kind of machine this is, and which platform packages fit it.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** @typedef {import("./types.mjs").Platform} Platform */

/** What a private program is bound to: a copied folder must not be taken for usable on another kind of machine. */
export const machine = `${process.platform}-${process.arch}`;

/** @returns {Platform} */
export function detectPlatform() {
  return { os: process.platform, arch: process.arch, musl: hasMusl(), avx2: hasAvx2() };
}

function hasMusl() {
  if (process.platform !== "linux") return false;
  const loaders = ["/lib", "/lib64"]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder));
  return (
    loaders.some((name) => name.startsWith("ld-musl-")) &&
    !loaders.some((name) => name.startsWith("ld-linux"))
  );
}

function hasAvx2() {
  if (process.arch !== "x64") return false;
  try {
    if (process.platform === "linux") return /\bavx2\b/.test(readFileSync("/proc/cpuinfo", "utf8"));
    const answer = spawnSync("sysctl", ["-n", "machdep.cpu.leaf7_features"], { encoding: "utf8" });
    return /\bAVX2\b/.test(answer.stdout ?? "");
  } catch {
    return false; // unknown: the baseline build runs everywhere
  }
}

/**
 * @param {Platform} platform
 * @returns {string[]} best first; the baseline build follows the fast one, in case the processor's word was wrong
 */
export function bunPackages({ os, arch, musl, avx2 }) {
  const libc = musl ? "-musl" : "";
  if (!["linux", "darwin"].includes(os)) return [];
  if (arch === "arm64") return [`@oven/bun-${os}-aarch64${libc}`];
  if (arch !== "x64") return [];
  const baseline = `@oven/bun-${os}-x64${libc}-baseline`;
  return avx2 ? [`@oven/bun-${os}-x64${libc}`, baseline] : [baseline];
}

/**
 * @param {Platform} platform
 * @returns {string[]}
 */
export function opencodePackages({ os, arch, musl, avx2 }) {
  const libc = musl ? "-musl" : "";
  if (!["linux", "darwin"].includes(os)) return [];
  if (arch === "arm64") return [`opencode-${os}-arm64${libc}`];
  if (arch !== "x64") return [];
  const baseline = `opencode-${os}-x64-baseline${libc}`;
  return avx2 ? [`opencode-${os}-x64${libc}`, baseline] : [baseline];
}

/**
 * @param {Platform} platform
 * @returns {string[]}
 */
export function styluaPackages({ os, arch }) {
  if (!["linux", "darwin"].includes(os) || !["x64", "arm64"].includes(arch)) return [];
  return [`@johnnymorganz/stylua-bin-${os}-${arch}`];
}
