// @ts-check
// One run of provisioning, by the holder of the lock: what is in place, what PATH has, what has to be fetched.
import { existsSync, mkdtempSync } from "node:fs";
import { join, relative } from "node:path";
import { catalog, recipeOf } from "./catalog.mjs";
import { provideFromDebian } from "./debian-route.mjs";
import { combineErrors, explainFileError, ProvisionError } from "./errors.mjs";
import { exposeDebianTool, linkTool, wrapTool } from "./links.mjs";
import { provideFromNpm } from "./npm-route.mjs";
import { detectPlatform } from "./platform.mjs";
import { vitalFiles } from "./prefix.mjs";
import { findOnPath, isolatedEnvironment, probe } from "./probe.mjs";
import { isIntact, readStamp, stampFiles, writeStamp } from "./stamp.mjs";
import { isAtLeast } from "./versions.mjs";
import { clearLeftovers, discard, requireSpace } from "./workplace.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */
/** @typedef {import("./types.mjs").Entry} Entry */

export class Provisioning {
  /**
   * @param {string} prefix
   * @param {import("./types.mjs").Log} log
   */
  constructor(prefix, log) {
    this.prefix = prefix;
    this.bin = join(prefix, "bin");
    this.log = log;
    this.stamp = readStamp(prefix);
    clearLeftovers(prefix);
    this.temporary = mkdtempSync(join(prefix, "tmp-"));
  }

  /**
   * @param {Tool[]} wanted
   * @param {boolean} verify
   */
  async provide(wanted, verify) {
    try {
      const intact = await Promise.all(wanted.map((tool) => this.#isInPlace(tool, verify)));
      const missing = wanted.filter((_, index) => !intact[index]);
      const absent = (await Promise.all(missing.map((tool) => this.#takeFromPath(tool)))).flatMap(
        (tool) => tool ?? [],
      );
      if (absent.length > 0) requireSpace(this.prefix);
      const platform = detectPlatform();
      const outcomes = await Promise.allSettled([
        ...absent.filter((tool) => tool.npm).map((tool) => this.#takeFromNpm(tool, platform)),
        this.#takeFromDebian(absent.filter((tool) => tool.debian)),
      ]);
      const failures = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [explainFileError(outcome.reason, this.prefix)] : [],
      );
      if (failures.length > 0) throw combineErrors(failures);
      discard(join(this.prefix, "cache"));
    } finally {
      discard(this.temporary);
    }
  }

  /**
   * @param {Tool} tool
   * @param {boolean} verify
   */
  async #isInPlace(tool, verify) {
    const entry = this.stamp.tools[tool.name];
    if (!isIntact(entry, recipeOf(tool))) return false;
    if (!verify) return true;
    const { version } = await probe(
      join(this.bin, tool.name),
      tool,
      entry.source === "private" ? isolatedEnvironment(this.temporary) : undefined,
    );
    const good = version !== undefined && isAtLeast(version, tool.minimum);
    this.log(good ? `${tool.name} ${version} … runs` : `${tool.name} … does not run any more`);
    return good;
  }

  /** @param {Tool} tool @returns {Promise<Tool | undefined>} the tool, when it has to be fetched */
  async #takeFromPath(tool) {
    const known = this.stamp.tools[tool.name];
    const found = await findOnPath(tool);
    if ("rejected" in found) {
      const reason = found.rejected || (known ? "changed or lost" : "not on PATH");
      this.log(`${tool.name} … ${reason}; providing a private one`);
      return tool;
    }
    linkTool(this.bin, tool.name, found.path);
    // Some programs are scripts that look for their own folder by the name they were called with.
    if (!(await probe(join(this.bin, tool.name), tool)).version) wrapTool(this.bin, tool.name, found.path);
    this.#note(tool, { version: found.version, source: "path", path: found.path }, [found.path]);
    this.log(`${tool.name} ${found.version} … found on PATH`);
    return undefined;
  }

  /**
   * @param {Tool} tool
   * @param {import("./types.mjs").Platform} platform
   */
  async #takeFromNpm(tool, platform) {
    const { program, version, fetched } = await provideFromNpm(tool, platform, this);
    linkTool(this.bin, tool.name, relative(this.bin, program));
    this.#note(tool, { version, source: "private", path: join(this.bin, tool.name) }, [program]);
    this.log(`${tool.name} ${version} … ${fetched ? "fetched" : "in place"}`);
  }

  /** @param {Tool[]} tools */
  async #takeFromDebian(tools) {
    if (tools.length === 0) return;
    let fetched = await provideFromDebian(tools, this, this.log);
    if (!(await this.#exposeAll(tools, fetched))) {
      // What an earlier run left there is damaged.
      fetched = await provideFromDebian(tools, this, this.log, { afresh: true });
      await this.#exposeAll(tools, fetched);
    }
    // The whole folder was made anew, and with it the files of tools that were not asked for now.
    if (fetched) await this.#exposeAll(this.#neighbours(tools), fetched);
  }

  /** @param {Tool[]} tools @returns {Tool[]} the other tools noted as living in the same folder */
  #neighbours(tools) {
    const others = [...catalog.values()].filter((tool) => tool.debian && !tools.includes(tool));
    return others.filter((tool) => this.stamp.tools[tool.name]?.source === "private");
  }

  /**
   * @param {Tool[]} tools
   * @param {boolean} fetched
   * @returns {Promise<boolean>} false: one does not run, and fetching may help
   */
  async #exposeAll(tools, fetched) {
    const folder = join(this.prefix, "debian");
    for (const tool of tools) {
      const files = vitalFiles(folder, tool);
      if (!fetched && (files.length === 0 || !files.every((path) => existsSync(path)))) return false;
      exposeDebianTool(this.bin, tool, folder);
      const { version, complaint } = await probe(
        join(this.bin, tool.name),
        tool,
        isolatedEnvironment(this.temporary),
      );
      if (!version || !isAtLeast(version, tool.minimum)) {
        if (!fetched) return false;
        throw new ProvisionError(
          "broken",
          `The ${tool.name} that apt-get fetched does not run here (is ${this.prefix} mounted without permission to execute?): install ${tool.name} ${tool.minimum} or later yourself and put it on PATH.`,
          {
            detail: complaint,
          },
        );
      }
      this.#note(
        tool,
        { version, source: "private", path: join(this.bin, tool.name) },
        files.filter((path) => existsSync(path)),
      );
      this.log(`${tool.name} ${version} … ${fetched ? "fetched" : "in place"}`);
    }
    return true;
  }

  /**
   * Written after every tool, so that a run that is stopped loses as little as possible.
   * @param {Tool} tool
   * @param {Pick<Entry, "version" | "source" | "path">} facts
   * @param {string[]} files
   */
  #note(tool, facts, files) {
    const stamps = stampFiles([join(this.bin, tool.name), ...files]);
    this.stamp.tools[tool.name] = { ...facts, recipe: recipeOf(tool), files: stamps };
    writeStamp(this.prefix, this.stamp);
  }
}
