// @ts-check
// Binds ELF programs to the dynamic loader and libraries beside them, so that they run on a machine with an older C library.
import { closeSync, existsSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { ProvisionError } from "./errors.mjs";
import { run } from "./run.mjs";

const programHeaderInterpreter = 3; // PT_INTERP, elf(5)

/** @param {string} path @returns {"program" | "library" | undefined} */
export function elfKind(path) {
  const file = openSync(path, "r");
  try {
    const header = Buffer.alloc(64);
    if (readSync(file, header, 0, 64, 0) < 64 || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
    if (header[4] !== 2 || header[5] !== 1) return undefined; // 64-bit little-endian: the two architectures there are packages for
    const [offset, size, count] = [
      Number(header.readBigUInt64LE(32)),
      header.readUInt16LE(54),
      header.readUInt16LE(56),
    ];
    const table = Buffer.alloc(size * count);
    readSync(file, table, 0, table.length, offset);
    for (let index = 0; index < count; index += 1)
      if (table.readUInt32LE(index * size) === programHeaderInterpreter) return "program";
    return "library";
  } finally {
    closeSync(file);
  }
}

/** @param {string} folder @returns {Generator<string>} every regular file under it */
export function* walkFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walkFiles(path);
    else if (entry.isFile()) yield path;
  }
}

/**
 * The folder of the shared libraries and the loader in it. Debian merges /lib into /usr/lib since "trixie".
 * @param {string} prefix
 * @returns {{libraries: string, loader: string}} relative to the prefix
 */
export function findLoader(prefix) {
  const folder = join(prefix, "usr/lib");
  const triplets = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  for (const triplet of triplets) {
    if (!triplet.isDirectory() || !triplet.name.includes("-linux-gnu")) continue;
    const libraries = join("usr/lib", triplet.name);
    const loader = readdirSync(join(prefix, libraries)).find((name) => /^ld-linux-.*\.so\.\d+$/.test(name));
    if (loader) return { libraries, loader: join(libraries, loader) };
  }
  throw new ProvisionError(
    "broken",
    `There is no dynamic loader in ${folder}: remove ${prefix}, then run this again.`,
  );
}

/**
 * @param {string} prefix where the files are now
 * @param {string} location where they will be
 */
export async function bindPrograms(prefix, location) {
  const { libraries, loader } = findLoader(prefix);
  const libraryFolder = join(prefix, libraries);
  const programs = [...walkFiles(prefix)].filter(
    (path) => !path.startsWith(`${libraryFolder}/`) && elfKind(path) === "program",
  );
  // patchelf is among the programs it changes, and bound to another place before that: a copy is run, by the loader that is here.
  const patchelf = join(prefix, "usr/bin/patchelf");
  const others = programs.filter((path) => path !== patchelf);
  /** @param {string[]} args */
  const patch = async (args) => {
    const outcome = await run(join(prefix, loader), ["--library-path", libraryFolder, patchelf, ...args], {
      timeout: 120_000,
    });
    if (!outcome.ok)
      throw new ProvisionError(
        "broken",
        `patchelf could not bind the programs in ${prefix} to their libraries (can programs in that folder be executed?): run this again.`,
        { detail: outcome.output || String(outcome.error) },
      );
    return outcome.stdout;
  };
  // DT_RPATH (--force-rpath), not DT_RUNPATH: it also covers the libraries' own libraries, and comes before LD_LIBRARY_PATH (ld.so(8)),
  // so one entry per program is enough and a caller's environment cannot mix two C libraries.
  const binding = [
    "--set-interpreter",
    join(location, loader),
    "--force-rpath",
    "--set-rpath",
    join(location, libraries),
  ];
  if (others.length > 0) await patch([...binding, ...others]);
  const libraryFiles = readdirSync(libraryFolder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.so(\.|$)/.test(entry.name))
    .map((entry) => join(libraryFolder, entry.name))
    .filter((path) => elfKind(path) !== undefined);
  await dropOwnPaths(patch, libraryFiles);
  const needed = await patch(["--print-needed", ...programs, ...libraryFiles]);
  const missing = missingLibraries(needed, new Set(readdirSync(libraryFolder)));
  if (missing.length > 0)
    throw new ProvisionError(
      "broken",
      `The packages that were fetched lack ${missing.join(", ")}: run this again, and report it if it stays.`,
    );
}

/**
 * A library with a DT_RUNPATH of its own would not look at its program's DT_RPATH.
 * @param {(args: string[]) => Promise<string>} patch
 * @param {string[]} libraries
 */
async function dropOwnPaths(patch, libraries) {
  if ((await patch(["--print-rpath", ...libraries])).trim() === "") return;
  for (const library of libraries)
    if ((await patch(["--print-rpath", library])).trim() !== "") await patch(["--remove-rpath", library]);
}

/**
 * A library that is not here would silently come from the system, and fail much later, or only for some commands.
 * @param {string} needed one name a line, repeated for every file that needs it
 * @param {Set<string>} present
 */
export function missingLibraries(needed, present) {
  return [...new Set(needed.split("\n").map((line) => line.trim()))].filter(
    (name) => name !== "" && !present.has(name),
  );
}
