/**
 * git's lock on the index of a colocated repository. jj needs it to move git's HEAD along, does not wait for it, and
 * leaves a command half done when it does not get it: so it is waited for here, before and after.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ReviewError } from "../protocol/errors.ts";

/** One that is the same after this long is looked into: git has it for milliseconds, but for an editor's time too. */
const PATIENCE_MS = 2_000;
/** The whole wait, where one git follows another. */
const LONGEST_MS = 10_000;
const POLL_MS = 20;

/** Whether words of a program are about this lock. */
export const isIndexLocked = (words: string): boolean => /index\.lock/.test(words);

/** What tells a lock from a later one of the same name, or null when there is none. */
function mark(path: string): string | null {
  try {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true });
    return `${ino} ${mtimeNs} ${size}`;
  } catch {
    return null;
  }
}

const orNull = <Value>(read: () => Value): Value | null => {
  try {
    return read();
  } catch {
    return null;
  }
};

/** A process that may own the lock: it has the file open, or is a git at work in the repository. */
function isOwner(pid: string, lock: string, gitDir: string, workTree: string): boolean {
  const proc = `/proc/${pid}`;
  const fds = orNull(() => readdirSync(`${proc}/fd`)) ?? [];
  if (fds.some((fd) => orNull(() => readlinkSync(`${proc}/fd/${fd}`)) === lock)) return true;
  const name = orNull(() => readFileSync(`${proc}/comm`, "utf8").trim()) ?? "";
  if (!/^git\b/.test(name)) return false;
  const cwd = orNull(() => readlinkSync(`${proc}/cwd`));
  // Of another user's, or a git that is just ending.
  if (cwd === null) return false;
  return [gitDir, workTree].some((dir) => cwd === dir || cwd.startsWith(`${dir}/`));
}

/** Programs that may own the lock, as people know them; null where processes cannot be looked at. */
function owners(lock: string, gitDir: string, workTree: string): string[] | null {
  const all = orNull(() => readdirSync("/proc"));
  if (all === null || !all.includes("self")) return null;
  return all
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => isOwner(pid, lock, gitDir, workTree))
    .map((pid) => {
      const words = orNull(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim());
      return `${(words || "a process").slice(0, 80)} (process ${pid})`;
    });
}

/**
 * Returns when the index is not locked. A lock that nobody has any more is removed.
 * @throws ReviewError that names the lock, and who has it
 */
export async function freeIndex(gitDir: string, workTree: string): Promise<void> {
  const lock = join(gitDir, "index.lock");
  const end = Date.now() + LONGEST_MS;
  let seen = mark(lock);
  let since = Date.now();
  while (seen !== null) {
    await Bun.sleep(POLL_MS);
    const now = mark(lock);
    if (now !== seen) {
      seen = now;
      since = Date.now();
    }
    if (seen === null) return;
    if (Date.now() - since < PATIENCE_MS && Date.now() < end) continue;
    const found = owners(lock, gitDir, workTree);
    if (found?.length === 0 && Date.now() - since >= PATIENCE_MS && mark(lock) === seen) {
      unlinkSync(lock);
      return;
    }
    throw new ReviewError(
      "jj_error",
      `${lock} is in the way: git's index is locked${found === null || found.length === 0 ? "" : ` by ${found.join(", ")}`}. Nothing was changed. Let that program end${found === null ? ", or remove the file if none is at work" : ""}, then try again.`,
      { details: { lock } },
    );
  }
}

/** Whether there is a lock at this moment. */
export const indexIsLocked = (gitDir: string): boolean => existsSync(join(gitDir, "index.lock"));
