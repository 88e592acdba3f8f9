/** What the kernel knows of a socket and its runtime does not tell, and does with it. Where the system does not say, nothing is known. */
import { dlopen, ptr } from "bun:ffi";
import { closeSync } from "node:fs";

/** poll(2): the other side has said all; an error; both directions have ended. */
const POLLRDHUP = 0x2000;
const ENDED = POLLRDHUP | 0x8 | 0x10;
/** unix(7), socket(7). Of x86-64 and arm64, as of everything that Debian runs on but sparc, mips, parisc and alpha. */
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_LINGER = 13;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const SO_PROTOCOL = 38;
const [SOCK_STREAM, IPPROTO_TCP] = [1, 6] as const;
/** fcntl(2): a copy that no program inherits; reading and writing wait for nothing. */
const [F_DUPFD_CLOEXEC, F_SETFL, O_NONBLOCK] = [1030, 4, 0o4000] as const;
/** shutdown(2): nothing more is said. */
const SHUT_WR = 1;
/** The C library's name on Linux with glibc. */
const LIBRARY = "libc.so.6";

function load() {
  if (process.platform !== "linux") return null;
  try {
    return dlopen(LIBRARY, {
      poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
      getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
      setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
      fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
      shutdown: { args: ["i32", "i32"], returns: "i32" },
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

/** @returns a second descriptor of the same socket, which stays when the first is closed; null where there is none to be had */
export function copyOf(descriptor: number | null): number | null {
  const copy = library(descriptor)?.fcntl(descriptor ?? -1, F_DUPFD_CLOEXEC, 0) ?? -1;
  return copy < 0 ? null : copy;
}

/** What is still to be sent when a socket is closed is sent, or thrown away, which the other side sees as a connection that broke. */
function linger(descriptor: number, isCut: boolean): void {
  // struct linger: whether, and for how many seconds.
  const option = new Int32Array([isCut ? 1 : 0, 0]);
  library(descriptor)?.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, ptr(option), option.byteLength);
}

/** Undoes what Bun has set on a socket that it was told to break off (1.3.14): a copy of it lives on. */
export const livesOn = (descriptor: number): void => linger(descriptor, false);

/** Nothing more will be said. */
export function shut(descriptor: number): void {
  library(descriptor)?.shutdown(descriptor, SHUT_WR);
}

/** Closes a socket so that the other side sees a connection that broke off. */
export function cut(descriptor: number): void {
  linger(descriptor, true);
  closeSync(descriptor);
}

/** @returns whether it is a socket of TCP that is, or was, connected */
export function isTcp(descriptor: number): boolean {
  const value = new Int32Array(1);
  const length = new Int32Array([value.byteLength]);
  const is = (option: number, wanted: number) =>
    library(descriptor)?.getsockopt(descriptor, SOL_SOCKET, option, ptr(value), ptr(length)) === 0 &&
    value[0] === wanted;
  return is(SO_TYPE, SOCK_STREAM) && is(SO_PROTOCOL, IPPROTO_TCP) && is(SO_ACCEPTCONN, 0);
}

/** Reading and writing wait for nothing. */
export function neverWait(descriptor: number): void {
  library(descriptor)?.fcntl(descriptor, F_SETFL, O_NONBLOCK);
}
