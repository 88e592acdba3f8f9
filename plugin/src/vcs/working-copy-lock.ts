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
      const { symbols } = dlopen(library, {
        flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      });
      loaded = (fd, operation) => symbols.flock(fd, operation);
      return loaded;
    } catch {
      // Another C library.
    }
  }
  loaded = null;
  return loaded;
}

/** One lock file, as jj's own FileLock holds it. */
class LockFile {
  private constructor(
    private readonly path: string,
    private readonly fd: number,
  ) {}

  /** @returns null when another process still has it after `patience` milliseconds */
  static async take(path: string, patience: number): Promise<LockFile | null> {
    const end = Date.now() + patience;
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      const fd = openSync(path, "a", 0o666);
      if ((flock()?.(fd, LOCK_EX | LOCK_NB) ?? 0) === 0) {
        // Without a link it is the file that the holder before removed: nobody else will meet us there.
        if (fstatSync(fd).nlink > 0) return new LockFile(path, fd);
        closeSync(fd);
        continue;
      }
      closeSync(fd);
      if (Date.now() > end) return null;
      await Bun.sleep(pause);
    }
  }

  /** Removes the name, so that newcomers make a file of their own; those that wait on this one go on waiting. */
  unlink(): void {
    try {
      if (statSync(this.path).ino === fstatSync(this.fd).ino) unlinkSync(this.path);
    } catch {
      // Somebody removed it; then nobody waits for it either.
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** How long to wait for the second lock before giving the first one back: jj's commands do not all take them in one order. */
const SECOND_LOCK_MS = 100;

export class WorkingCopyLock {
  private constructor(private readonly files: LockFile[]) {}

  /**
   * Waits for the locks of the workspace at `root`: the one on git's refs, which a command in a colocated workspace holds
   * while it waits for the other, and the one on the files.
   * @param repo the workspace's `.jj/repo`
   */
  static async take(root: string, repo: string, patience = PATIENCE_MS): Promise<WorkingCopyLock> {
    const end = Date.now() + patience;
    do {
      const refs = await LockFile.take(join(repo, "git_import_export.lock"), Math.max(0, end - Date.now()));
      if (refs === null) break;
      const files = await LockFile.take(
        join(root, ".jj", "working_copy", "working_copy.lock"),
        SECOND_LOCK_MS,
      );
      if (files !== null) return new WorkingCopyLock([refs, files]);
      refs.unlink();
      refs.close();
      await Bun.sleep(SECOND_LOCK_MS / 2);
    } while (Date.now() < end);
    throw new ReviewError(
      "jj_error",
      `A jj command has held the working copy of ${root} for ${patience / 1000} s`,
    );
  }

  /**
   * Lets the next newcomer in, while those that wait already go on waiting until {@link release}. Our own jj can then
   * check out before any command that had read the repository as it was.
   */
  handOver(): void {
    for (const file of this.files.splice(0)) {
      file.unlink();
      this.#waitedFor.push(file);
    }
  }
  readonly #waitedFor: LockFile[] = [];

  release(): void {
    this.handOver();
    for (const file of this.#waitedFor.splice(0)) file.close();
  }
}
