// @ts-check
// One writer at a time in a folder, by a lock file that names its holder's process. A lock whose holder is dead is taken over.
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ProvisionError } from "./errors.mjs";

/** @typedef {{pid: number, started: string, host: string}} Holder */

/**
 * @param {string} path
 * @param {{log?: (line: string) => void, patience?: number}} [options] patience: milliseconds to wait for a living holder
 * @returns {Promise<() => void>} releases it
 */
export async function acquireLock(path, { log = () => {}, patience = 20 * 60_000 } = {}) {
  const mine = JSON.stringify({
    pid: process.pid,
    started: processNow(process.pid)?.started ?? "",
    host: hostname(),
  });
  const deadline = Date.now() + patience;
  let said = false;
  for (;;) {
    if (claim(path, mine)) return () => release(path, mine);
    const seen = readIfThere(path);
    if (seen === undefined) continue;
    if (!isAlive(seen, path)) {
      takeAway(path, seen);
      continue;
    }
    if (Date.now() > deadline)
      throw new ProvisionError(
        "busy",
        `Another run (${describe(seen)}) holds ${path}: wait for it, or end it, then run this again.`,
      );
    if (!said) log(`waiting for another run (${describe(seen)})`);
    said = true;
    await sleep(100);
  }
}

/**
 * link() is atomic and refuses an existing name, and the file appears with its content: nobody ever reads half a lock.
 * @param {string} path
 * @param {string} content
 */
function claim(path, content) {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(draft, content);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Two waiting runs can find the same dead lock. Without a guard the slower one would remove the lock that the faster one
 * has just made, so the removal itself is claimed, and what is removed is compared with what was found dead.
 * @param {string} path
 * @param {string} dead
 */
function takeAway(path, dead) {
  const guard = `${path}.takeover`;
  if (!claim(guard, dead)) {
    if (ageOf(guard) > 5000) rmSync(guard, { force: true }); // its maker died within the two calls below
    return;
  }
  try {
    if (readIfThere(path) === dead) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

/** @param {string} path @param {string} mine */
function release(path, mine) {
  if (readIfThere(path) === mine) rmSync(path, { force: true });
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** @param {string} path */
function ageOf(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/** @param {string} content @returns {Holder | undefined} */
function parse(content) {
  try {
    const holder = JSON.parse(content);
    return Number.isInteger(holder.pid) && holder.pid > 0 ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} content @param {string} path */
function isAlive(content, path) {
  const holder = parse(content);
  if (!holder) return false;
  // A process of another machine on a shared folder cannot be asked; after an hour its lock is taken for forgotten.
  if (holder.host !== hostname()) return ageOf(path) < 60 * 60_000;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
  // The number may have been given to another process since, or be kept for a parent that has not asked how its child ended.
  const now = processNow(holder.pid);
  if (!now || holder.started === "") return true;
  return now.started === holder.started && now.state !== "Z";
}

/**
 * Whether a run was killed while it held this lock, and may have left things half-done.
 * @param {string} path
 */
export function isAbandoned(path) {
  const content = readIfThere(path);
  return content !== undefined && !isAlive(content, path);
}

/**
 * A process's state and when it began, in ticks since boot (proc(5), fields 3 and 22 of stat); nothing where there is no /proc.
 * @param {number} pid
 */
function processNow(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], started: fields[19] };
  } catch {
    return undefined;
  }
}

/** @param {string} content */
function describe(content) {
  const holder = parse(content);
  return holder
    ? `process ${holder.pid}${holder.host === hostname() ? "" : ` on ${holder.host}`}`
    : "unknown process";
}
