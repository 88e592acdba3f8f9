/**
 * jj's lock on a working copy, held the way jj holds it: flock(2) on a file that the holder removes while it still has
 * it, so that whoever waited finds no link left and starts over with a new file (jj's lib/src/lock). While it is held
 * no jj command takes a snapshot, checks anything out or imports git's refs; jj commands of ours that do must wait
 * for {@link WorkingCopyLock.handOver}.
 */
import { dlopen, FFIType } from "bun:ffi";
import { closeSync, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ReviewError } from "../protocol/errors.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const PATIENCE_MS = 30_000;

type Flock = (fd: number, operation: number) => number;
let loaded: Flock | null | undefined;

/** flock(2) of the C library, or null where there is none to be had: the look at the operation log stands alone then. */
function flock(): Flock | null {
  if (loaded !== undefined) return loaded;
  for (const library of ["libc.so.6", "libc.so", "libSystem.B.dylib"]) {
    try {
      const { symbols } = dlopen(library, { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });
      loaded = (fd, operation) => symbols.flock(fd, operation);
      return loaded;
    } catch {
      // Another C library.
    }
  }
  loaded = null;
  return loaded;
}

export class WorkingCopyLock {
  #isLinked = true;

  private constructor(
    private readonly path: string,
    private readonly fd: number,
  ) {}

  /** Waits for the lock of the workspace at `root`. */
  static async take(root: string, patience = PATIENCE_MS): Promise<WorkingCopyLock> {
    const path = join(root, ".jj", "working_copy", "working_copy.lock");
    const end = Date.now() + patience;
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      const fd = openSync(path, "a", 0o666);
      if ((flock()?.(fd, LOCK_EX | LOCK_NB) ?? 0) === 0) {
        // Without a link it is the file that the holder before removed: nobody else will meet us there.
        if (fstatSync(fd).nlink > 0) return new WorkingCopyLock(path, fd);
        closeSync(fd);
        continue;
      }
      closeSync(fd);
      if (Date.now() > end) throw new ReviewError("jj_error", `A jj command has held the working copy of ${root} for ${patience / 1000} s`);
      await Bun.sleep(pause);
    }
  }

  /**
   * Lets the next newcomer in, while those that wait already go on waiting until {@link release}. Our own jj can then
   * check out before any command that had read the repository as it was.
   */
  handOver(): void {
    if (!this.#isLinked) return;
    this.#isLinked = false;
    const own = fstatSync(this.fd);
    try {
      if (statSync(this.path).ino === own.ino) unlinkSync(this.path);
    } catch {
      // Somebody removed it; then nobody waits for it either.
    }
  }

  release(): void {
    this.handOver();
    closeSync(this.fd);
  }
}
