/** What the kernel knows of a socket and its runtime does not tell. */
import { dlopen, ptr } from "bun:ffi";

/** poll(2): the other side has said all; an error; both directions have ended. */
const POLLRDHUP = 0x2000;
const ENDED = POLLRDHUP | 0x8 | 0x10;
/** The C library's name on Linux with glibc; where it has another, nothing is known. */
const LIBRARY = "libc.so.6";

type Poll = (descriptors: Int32Array) => number;

function load(): Poll | null {
  try {
    const { symbols } = dlopen(LIBRARY, { poll: { args: ["ptr", "u64", "i32"], returns: "i32" } });
    return (descriptors) => symbols.poll(ptr(descriptors), 1, 0);
  } catch {
    return null;
  }
}

let poll: Poll | null | undefined;

/** @returns whether the other side of a socket has said all, or false where this system does not say */
export function hasSaidAll(descriptor: number | null): boolean {
  if (descriptor === null || descriptor < 0 || process.platform !== "linux") return false;
  poll ??= load();
  // struct pollfd: the descriptor, and two words of 16 bits for what is asked and what is so.
  const asked = new Int32Array([descriptor, POLLRDHUP]);
  return (poll?.(asked) ?? 0) === 1 && (((asked[1] ?? 0) >>> 16) & ENDED) !== 0;
}
