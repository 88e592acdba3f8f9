/** Unix sockets by names that somebody else may write: no link is followed, and a long path is no obstacle. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Connection, dial } from "../network/connection.ts";

/** Linux's flag for a descriptor that only names a file (open(2)); Node's constants do not have it. */
const O_PATH = 0o10000000;
/** What a socket's name may have in bytes, with the zero at its end (unix(7)). */
const LONGEST = 107;
const CONNECT_MS = 20_000;

export const isLong = (path: string): boolean => Buffer.byteLength(path) > LONGEST;

/** A name that is good until it is let go. */
export interface HeldName {
  path: string;
  release(): void;
}

/**
 * A name of the very socket that has this one now. A symbolic link in its place would lead a launcher that runs as root to
 * any socket of the machine's.
 *
 * @param uid who it has to belong to
 * @throws Error where there is none, or another thing
 */
export function socketAt(path: string, uid: number): HeldName {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    if (!stat.isSocket() || stat.uid !== uid) throw new Error(`${path} is no socket of the server's`);
    return { path: `/proc/self/fd/${fd}`, release: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Connects to it. @returns the connection, or why there is none */
export async function dialAt(path: string, uid: number): Promise<Connection | string> {
  let name: HeldName;
  try {
    name = socketAt(path, uid);
  } catch (error) {
    return (error as Error).message;
  }
  try {
    return await dial({ unix: name.path }, CONNECT_MS);
  } finally {
    name.release();
  }
}

/** A name for a socket to be made in a folder, however long the folder's path is. @returns it, and what lets it go */
export function nameIn(path: string): HeldName {
  if (!isLong(path)) return { path, release: () => undefined };
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  return {
    path: join(`/proc/self/fd/${folder}`, basename(path)),
    release: () => closeSync(folder),
  };
}
