// @ts-check
// Builds the copy of the tools that another user gets: each tool by the way it was provided, bound to its final place.
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { elfKind } from "./elf.mjs";
import { ProvisionError } from "./errors.mjs";
import { exposeDebianTool, linkTool, wrapTool } from "./links.mjs";
import { buildPrefix, readManifest, vitalFiles } from "./prefix.mjs";
import { probe } from "./probe.mjs";
import { closedToOthers, copyTree } from "./tree.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */
/** @typedef {import("./types.mjs").Entry} Entry */
/** @typedef {import("./types.mjs").Log} Log */

export class Relocation {
  /**
   * @param {string} source
   * @param {string} target
   * @param {string} built
   * @param {Log} log
   */
  constructor(source, target, built, log) {
    this.source = source;
    this.target = target;
    this.built = built;
    this.log = log;
    this.bin = join(built, "bin");
    mkdirSync(this.bin, { recursive: true });
  }

  /**
   * @param {Tool[]} wanted
   * @param {Record<string, Entry>} entries
   * @returns {Promise<Record<string, string[]>>} per tool, the files to watch, at their final place
   */
  async build(wanted, entries) {
    const fromDebian = wanted.filter((tool) => tool.debian && entries[tool.name].source === "private");
    if (fromDebian.length > 0) {
      const versions = readManifest(join(this.source, "debian"))?.versions ?? {};
      await buildPrefix({
        source: join(this.source, "debian"),
        target: join(this.built, "debian"),
        location: join(this.target, "debian"),
        tools: fromDebian,
        versions,
      });
    }
    /** @type {Record<string, string[]>} */
    const files = {};
    for (const tool of wanted) {
      const own = fromDebian.includes(tool)
        ? this.#takeDebian(tool)
        : entries[tool.name].source === "private"
          ? this.#takeFile(tool, join(this.source, "bin", tool.name))
          : await this.#takeSystem(tool, entries[tool.name].path);
      files[tool.name] = [join(this.target, "bin", tool.name), ...own];
    }
    return files;
  }

  /** @param {Tool} tool */
  #takeDebian(tool) {
    exposeDebianTool(this.bin, tool, join(this.target, "debian"), join(this.built, "debian"));
    return vitalFiles(join(this.built, "debian"), tool)
      .filter((path) => existsSync(path))
      .map((path) => join(this.target, relative(this.built, path)));
  }

  /**
   * @param {Tool} tool
   * @param {string} program
   */
  #takeFile(tool, program) {
    const place = join("programs", tool.name);
    copyTree(realpathSync(program), join(this.built, place));
    linkTool(this.bin, tool.name, join("..", place));
    return [join(this.target, place)];
  }

  /**
   * @param {Tool} tool
   * @param {string} path
   */
  async #takeSystem(tool, path) {
    const closed = closedToOthers(realpathSync(path)) ?? closedToOthers(dirname(path));
    if (!closed) {
      linkTool(this.bin, tool.name, path);
      if (!(await probe(join(this.bin, tool.name), tool)).version) wrapTool(this.bin, tool.name, path);
      return [];
    }
    if (tool.selfContained && elfKind(realpathSync(path)) !== undefined) {
      this.log(`${tool.name} at ${path} is closed to other users; copying the program itself`);
      return this.#takeFile(tool, path);
    }
    throw new ProvisionError(
      "permission",
      `${tool.name} at ${path} cannot be run by other users, because ${closed} is closed to them: install ${tool.name} ${tool.minimum} or later for all users, or open that folder.`,
    );
  }
}
