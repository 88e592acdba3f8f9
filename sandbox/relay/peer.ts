/** Who is at the other end of a Unix socket, as the kernel has noted it when the connection was made (unix(7), SO_PEERCRED). */
import { dlopen, ptr } from "bun:ffi";

/** Of x86-64 and arm64, as of everything that Debian runs on but sparc, mips, parisc and alpha. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** The C library's name on Linux with glibc; where it has another, nobody is known. */
const LIBRARY = "libc.so.6";

type GetSockOpt = (
  descriptor: number,
  level: number,
  name: number,
  value: Int32Array,
  length: Int32Array,
) => number;

let known: GetSockOpt | null | undefined;

function getSockOpt(): GetSockOpt | null {
  if (known !== undefined) return known;
  try {
    const { symbols } = dlopen(LIBRARY, {
      getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    });
    known = (descriptor, level, name, value, length) =>
      symbols.getsockopt(descriptor, level, name, ptr(value), ptr(length));
  } catch {
    known = null;
  }
  return known;
}

/** @returns the user's number, or null where this system does not say */
export function peerOf(descriptor: number | null): number | null {
  if (descriptor === null || descriptor < 0 || process.platform !== "linux") return null;
  // struct ucred: process, user, group.
  const credentials = new Int32Array(3);
  const length = new Int32Array([credentials.byteLength]);
  const done = getSockOpt()?.(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length);
  const uid = credentials[1];
  // Of a socket that is none of Unix the kernel says -1.
  return done === 0 && uid !== undefined && uid !== -1 ? uid >>> 0 : null;
}
