// @ts-check
// The bin folder: one entry per tool, a symbolic link where that is enough, else a small sh wrapper. Each is replaced in one step.
import { renameSync, rmSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { findLoader } from "./elf.mjs";
import { writeAtomically } from "./stamp.mjs";

/** @typedef {import("./types.mjs").Tool} Tool */

/**
 * @param {string} bin
 * @param {string} name
 * @param {string} target
 */
export function linkTool(bin, name, target) {
  const draft = join(bin, `.${name}.${process.pid}.draft`);
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, join(bin, name));
}

/**
 * @param {string} bin
 * @param {string} name
 * @param {string} target
 * @param {Record<string, string>} [variables]
 * @param {string[]} [args]
 */
export function wrapTool(bin, name, target, variables = {}, args = []) {
  const settings = Object.entries(variables).map(([key, value]) => `${key}=${quote(value)} `);
  const words = [target, ...args].map(quote).join(" ");
  writeAtomically(join(bin, name), `#!/bin/sh\n${settings.join("")}exec ${words} "$@"\n`, 0o755);
}

/**
 * @param {string} bin where the entry is written
 * @param {Tool} tool
 * @param {string} prefix where its files are when it runs
 * @param {string} [files] where they are now, when that is elsewhere
 */
export function exposeDebianTool(bin, tool, prefix, files = prefix) {
  const program = /** @type {import("./types.mjs").DebianRecipe} */ (tool.debian).program;
  if (tool.name === "git") {
    // git looks for its helpers and templates where it was built to be installed; the system's may be those of another version.
    const variables = {
      GIT_EXEC_PATH: join(prefix, "usr/lib/git-core"),
      GIT_TEMPLATE_DIR: join(prefix, "usr/share/git-core/templates"),
    };
    wrapTool(bin, tool.name, join(prefix, program), variables);
  } else if (tool.name === "luacheck") {
    const scripts = join(prefix, "usr/share/lua/5.1");
    const variables = {
      LUA_PATH: `${scripts}/?.lua;${scripts}/?/init.lua`,
      LUA_CPATH: join(prefix, findLoader(files).libraries, "lua/5.1/?.so"),
    };
    wrapTool(bin, tool.name, join(prefix, "usr/bin/lua5.1"), variables, [join(prefix, program)]);
  } else {
    linkTool(bin, tool.name, relative(join(prefix, "../bin"), join(prefix, program)));
  }
}

/** @param {string} text for sh */
function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
