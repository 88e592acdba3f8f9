// @ts-check
// The shapes that the provisioning modules hand to one another. Types only: nothing here runs.

/**
 * How a tool comes out of the npm registry: the platform's own package holds the program, so no install script has to run.
 * @typedef {object} NpmRecipe
 * @property {string} version the exact version to ask for
 * @property {string} [nearest] the semver range to ask for when that exact version is not to be had
 * @property {(platform: Platform) => string[]} packages platform packages, best first
 * @property {string} program the program inside the package
 */

/**
 * How a tool comes out of Debian's archive.
 * @typedef {object} DebianRecipe
 * @property {string} package
 * @property {string} program the program inside the unpacked package, or the script for a wrapper
 * @property {string[]} keep the files and folders it needs besides shared libraries, relative to the prefix
 * @property {string[]} [alsoCheck] further files whose loss must be noticed
 */

/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {"runtime" | "dev"} group
 * @property {string[]} [systems] the systems that it is for, as node's process.platform; all when it says nothing
 * @property {string} minimum
 * @property {string[]} versionArguments
 * @property {NpmRecipe} [npm]
 * @property {DebianRecipe} [debian]
 * @property {boolean} selfContained one file that runs anywhere on the same kind of machine
 * @property {string} formula its name in Homebrew
 */

/**
 * @typedef {object} Platform
 * @property {string} os node's process.platform
 * @property {string} arch node's process.arch
 * @property {boolean} musl
 * @property {boolean} avx2
 */

/**
 * What is remembered of a file, so that a change is noticed without running it.
 * @typedef {{path: string, size: number, mtimeMs: number}} FileStamp
 */

/**
 * @typedef {object} Entry
 * @property {string} version
 * @property {"path" | "private"} source
 * @property {string} path what to run: the program on PATH, or the entry in the private bin folder
 * @property {string} recipe what was asked for when this was made
 * @property {FileStamp[]} files
 */

/** @typedef {{schema: number, location: string, machine: string, tools: Record<string, Entry>}} Stamp */
/** @typedef {(line: string) => void} Log */
/** @typedef {{path: string, version: string, source: "path" | "private"}} Found */
/** @typedef {{bin: string, env: Record<string, string>, found: Record<string, Found>}} Provisioned */

export {};
