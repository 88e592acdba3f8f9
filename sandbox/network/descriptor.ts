/** What the kernel knows of a socket and its runtime does not tell. Where the system does not say, nothing is known. */
import { dlopen, ptr } from "bun:ffi";

/** poll(2): the other side has said all; an error; both directions have ended. */
const POLLRDHUP = 0x2000;
const ENDED = POLLRDHUP | 0x8 | 0x10;
/** unix(7). Of x86-64 and arm64, as of everything that Debian runs on but sparc, mips, parisc and alpha. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** The C library's name on Linux with glibc. */
const LIBRARY = "libc.so.6";

function load() {
  if (process.platform !== "linux") return null;
  try {
    return dlopen(LIBRARY, {
      poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
      getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    }).symbols;
  } catch {
    return null;
  }
}

let loaded: ReturnType<typeof load> | undefined;

/** The C library, for a descriptor that is one. */
function library(descriptor: number | null) {
  if (descriptor === null || descriptor < 0) return null;
  if (loaded === undefined) loaded = load();
  return loaded;
}

/** @returns whether the other side of a socket has said all, or false where this system does not say */
export function hasSaidAll(descriptor: number | null): boolean {
  // struct pollfd: the descriptor, and two words of 16 bits for what is asked and what is so.
  const asked = new Int32Array([descriptor ?? -1, POLLRDHUP]);
  const found = library(descriptor)?.poll(ptr(asked), 1, 0) ?? 0;
  return found === 1 && (((asked[1] ?? 0) >>> 16) & ENDED) !== 0;
}

/**
 * Who is at the other end of a Unix socket, as the kernel has noted it when the connection was made.
 * @returns the user's number, or null where this system does not say
 */
export function peerOf(descriptor: number | null): number | null {
  // struct ucred: process, user, group.
  const credentials = new Int32Array(3);
  const length = new Int32Array([credentials.byteLength]);
  const done = library(descriptor)?.getsockopt(
    descriptor ?? -1,
    SOL_SOCKET,
    SO_PEERCRED,
    ptr(credentials),
    ptr(length),
  );
  const uid = credentials[1];
  // Of a socket that is none of Unix the kernel says -1.
  return done === 0 && uid !== undefined && uid !== -1 ? uid >>> 0 : null;
}
