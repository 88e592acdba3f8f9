// @ts-check
// Copies folders of programs, and opens them to every user.
import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, isAbsolute, join } from "node:path";

/**
 * @param {string} from
 * @param {string} to
 */
export function copyTree(from, to) {
  const file = lstatSync(from);
  if (file.isDirectory()) {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from)) copyTree(join(from, name), join(to, name));
  } else if (file.isSymbolicLink()) {
    const target = readlinkSync(from);
    // Packages link to places of an installed system; here these would lead out of the folder.
    if (!isAbsolute(target)) symlinkSync(target, to);
  } else if (file.isFile()) {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
    chmodSync(to, file.mode & 0o111 ? 0o755 : 0o644);
  }
}

/** @param {string} path made where it is missing, and then open to every user */
export function makeOpenFolder(path) {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) chmodSync(folder, 0o755);
}

/** @param {string} folder whatever this user's umask was, every user may read and run what is in it */
export function openToEveryone(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openToEveryone(path);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o111 ? 0o755 : 0o644);
  }
}

/**
 * @param {string} path
 * @returns {string | undefined} the folder or file on the way that other users may not enter or run
 */
export function closedToOthers(path) {
  if (!(statSync(path).mode & 0o001)) return path;
  const parent = dirname(path);
  return parent === path ? undefined : closedToOthers(parent);
}
