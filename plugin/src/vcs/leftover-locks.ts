/**
 * Ref locks that a killed git left behind. git makes `<ref>.lock` beside what it is about to write and takes it for the
 * word of another git at work: until somebody removes it, nothing can move that ref (gitrepository-layout(5)).
 */
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

/** A git at work holds a ref's lock for milliseconds; one that is the same after this long belongs to nobody. */
const PATIENCE_MS = 2_000;

/** Locks of refs, each with what tells it from a later one of the same name. */
async function refLocks(dir: string): Promise<Map<string, string>> {
  const below = await readdir(join(dir, "refs"), { recursive: true }).catch(() => []);
  const paths = [...below.map((path) => join("refs", path)), "packed-refs.lock", "HEAD.lock"];
  const found = new Map<string, string>();
  for (const path of paths) {
    if (!path.endsWith(".lock")) continue;
    const lock = await stat(join(dir, path), { bigint: true }).catch(() => null);
    if (lock?.isFile()) found.set(path, `${lock.ino} ${lock.mtimeNs} ${lock.size}`);
  }
  return found;
}

/**
 * @param dir a git directory without other worktrees
 * @returns the locks that were removed, as paths in it
 */
export async function clearRefLocks(dir: string): Promise<string[]> {
  const before = await refLocks(dir);
  if (before.size === 0) return [];
  await Bun.sleep(PATIENCE_MS);
  const after = await refLocks(dir);
  const dead = [...before].flatMap(([path, which]) => (after.get(path) === which ? [path] : []));
  for (const path of dead) await unlink(join(dir, path));
  return dead;
}
