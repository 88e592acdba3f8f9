// @ts-check
// The private folder as a place to work in: enough room, and nothing left of runs that were stopped.
import { existsSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ProvisionError } from "./errors.mjs";

/** @param {string} prefix everything named tmp-* was being written by a run that is dead: this one holds the lock */
export function clearLeftovers(prefix) {
  for (const name of readdirSync(prefix)) {
    if (!/^tmp-|\.draft$|^lock\.\d+\./.test(name)) continue;
    // The draft of a lock can be a living run's, which waits for this one.
    if (
      name.startsWith("lock.") &&
      Date.now() - (statSync(join(prefix, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) < 60_000
    )
      continue;
    discard(join(prefix, name));
  }
  const bin = join(prefix, "bin");
  if (existsSync(bin))
    for (const name of readdirSync(bin))
      if (name.endsWith(".draft")) rmSync(join(bin, name), { force: true });
}

/** @param {string} prefix */
export function requireSpace(prefix) {
  const { bavail, bsize } = statfsSync(prefix);
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  if (free < 900)
    throw new ProvisionError(
      "space",
      `Fetching the tools needs about 900 MB in ${prefix}, and ${free} MB are free: free some, then run this again.`,
    );
}

/** @param {string} path what cannot be removed now, because a child of a dead run still writes there, the next run clears */
export function discard(path) {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // left for the next run
  }
}
