// @ts-check
// Fetches tools from Debian's archive into a private prefix, without root and without touching the system.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { findArchive, PrivateApt } from "./apt.mjs";
import { catalog } from "./catalog.mjs";
import { ProvisionError } from "./errors.mjs";
import { putInPlace } from "./npm-route.mjs";
import { buildPrefix, readManifest } from "./prefix.mjs";
import { run } from "./run.mjs";
import { suiteNames, unmetNeeds } from "./suites.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */

/**
 * @param {Tool[]} wanted
 * @param {{prefix: string, temporary: string}} folders
 * @param {import("./types.mjs").Log} log
 * @param {{afresh?: boolean}} [options] afresh: do not trust what is there
 * @returns {Promise<boolean>} whether anything had to be fetched
 */
export async function provideFromDebian(wanted, { prefix, temporary }, log, { afresh = false } = {}) {
  const place = join(prefix, "debian");
  const manifest = readManifest(place);
  const has = !afresh && manifest !== undefined && wanted.every((tool) => manifest.tools.includes(tool.name));
  if (has && manifest.location === place) return false;
  if (has && (await rebind(place, manifest, temporary, log))) return false;
  await requireDebian(wanted);
  // One prefix for all: what is there stays in it, next to what is added.
  const tools = [...new Set([...toolsNamed(manifest?.tools ?? []), ...wanted])];
  const { folder, versions } = await fetchPackages(tools, temporary, log);
  const built = join(mkdtempSync(join(temporary, "built-")), "debian");
  await buildPrefix({ source: folder, target: built, location: place, tools, versions });
  rmSync(folder, { recursive: true, force: true });
  putInPlace(built, place, temporary);
  return true;
}

/**
 * The folder was moved or copied with the repository: its programs still name the old place, and would run from there.
 * @param {string} place
 * @param {import("./prefix.mjs").Manifest} manifest
 * @param {string} temporary
 * @param {import("./types.mjs").Log} log
 */
async function rebind(place, { tools: names, versions }, temporary, log) {
  log("the private folder was moved; binding its programs to the new place");
  const built = join(mkdtempSync(join(temporary, "built-")), "debian");
  try {
    await buildPrefix({ source: place, target: built, location: place, tools: toolsNamed(names), versions });
    putInPlace(built, place, temporary);
    return true;
  } catch (error) {
    if (error instanceof ProvisionError && error.code === "broken") return false;
    throw error;
  }
}

/**
 * @param {Tool[]} tools
 * @param {string} temporary
 * @param {import("./types.mjs").Log} log
 */
async function fetchPackages(tools, temporary, log) {
  const archive = await findArchive();
  const apt = new PrivateApt(join(temporary, "apt"));
  await apt.prepare();
  const recipes = tools.flatMap((tool) =>
    tool.debian ? [{ package: tool.debian.package, minimum: tool.minimum }] : [],
  );
  const names = [...recipes.map((recipe) => recipe.package), "patchelf"];
  await enterSuite(apt, archive, recipes, log);
  log(`fetching ${names.join(", ")} with apt-get, for this folder only`);
  const debs = await apt.download(names);
  const folder = join(temporary, "unpacked");
  await unpack(debs, folder);
  const versions = Object.fromEntries((await apt.candidates(names)).entries());
  rmSync(apt.folder, { recursive: true, force: true });
  return { folder, versions };
}

/**
 * @param {Pick<PrivateApt, "update" | "candidates">} apt
 * @param {import("./sources.mjs").Archive} archive
 * @param {{package: string, minimum: string}[]} needs
 * @param {import("./types.mjs").Log} log
 */
export async function enterSuite(apt, archive, needs, log) {
  /** @type {unknown} */
  let refusal;
  for (const suite of suiteNames) {
    log(`reading Debian's package list "${suite}"`);
    try {
      await apt.update(archive, suite);
      const unmet = unmetNeeds(needs, await apt.candidates(needs.map((need) => need.package)));
      if (unmet.length === 0) return;
      refusal ??= new ProvisionError(
        "unsupported",
        `Debian's suite "${suite}" on this machine's mirror has ${unmet.join(", ")}: install newer ones yourself and put them on PATH.`,
      );
    } catch (error) {
      // A mirror can lack one of the names; what would fail for every name is not tried again.
      if (error instanceof ProvisionError && ["network", "space", "permission"].includes(error.code))
        throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/**
 * @param {string[]} debs
 * @param {string} folder
 */
async function unpack(debs, folder) {
  mkdirSync(folder, { recursive: true });
  const queue = [...debs];
  const worker = async () => {
    for (let deb = queue.pop(); deb !== undefined; deb = queue.pop()) {
      const outcome = await run("dpkg", ["-x", deb, folder], { timeout: 120_000 });
      if (outcome.ok) continue;
      const space = /no space left|quota/i.test(outcome.output);
      const advice = space ? "no space is left; free about 1 GB, then run this again." : "run this again.";
      throw new ProvisionError(
        space ? "space" : "broken",
        `dpkg could not unpack a package into ${folder}: ${advice}`,
        { detail: outcome.output || String(outcome.error ?? outcome.signal) },
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
}

/** @param {Tool[]} wanted */
async function requireDebian(wanted) {
  const missing = wanted.map((tool) => `${tool.name} ${tool.minimum} or later`).join(", ");
  if (process.platform === "darwin")
    throw new ProvisionError(
      "missing",
      `Missing: ${missing}. Run "brew install ${wanted.map((tool) => tool.formula).join(" ")}", then run this again.`,
    );
  for (const program of ["apt-get", "apt-config", "dpkg", "tar"]) {
    const outcome = await run(program, ["--version"]);
    if (!outcome.ok)
      throw new ProvisionError(
        "missing",
        `Missing: ${missing}. This machine has no working ${program} to fetch ready-made ones with: install them with your system's package manager, put them on PATH, then run this again.`,
      );
  }
  if (!["x64", "arm64"].includes(process.arch))
    throw new ProvisionError(
      "unsupported",
      `Missing: ${missing}. There are no ready-made ones for ${process.arch}: install them yourself, put them on PATH, then run this again.`,
    );
}

/** @param {string[]} names */
function toolsNamed(names) {
  return names.flatMap((name) => catalog.get(name) ?? []);
}
