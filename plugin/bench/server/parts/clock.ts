/**
 * The system's monotonic clock in milliseconds: the same for every process. The runtime's own clocks start with the
 * process, and their origins (`performance.timeOrigin`) differ by tens of microseconds, as much as one client's event
 * takes.
 */
import { dlopen, FFIType } from "bun:ffi";

const isMac = process.platform === "darwin";
/** CLOCK_MONOTONIC of clock_gettime(2). */
const CLOCK_MONOTONIC = isMac ? 6 : 1;
const { symbols } = dlopen(isMac ? "libSystem.B.dylib" : "libc.so.6", {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});
const timespec = new BigInt64Array(2);

export function clock(): number {
  symbols.clock_gettime(CLOCK_MONOTONIC, timespec);
  return Number(timespec[0]) * 1e3 + Number(timespec[1]) / 1e6;
}
