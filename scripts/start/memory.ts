/** What of the machine's memory the agent's commands have, as the kernel tells it of each process. */
import { readFileSync, statfsSync } from "node:fs";
import { familyOf, type RunningRing } from "./running-rings.ts";

/** Of a ring with more processes so many are looked at: there are limits on their number, too. */
const MOST_PROCESSES = 1000;
const IN_MEMORY = ["tmp", "var/tmp", "dev/shm"];

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Gone already.
    return "";
  }
};

/** Bytes behind a name in one of the kernel's lists, which are in kB. */
const bytesOf = (text: string, name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);

/** Bytes that programs can still have without any being ended. */
export const availableMemory = (): number => bytesOf(read("/proc/meminfo"), "MemAvailable");

/** What the files of a ring take that are in memory. */
function filesOf({ pid }: RunningRing): number {
  const sizes = IN_MEMORY.map((folder) => {
    try {
      const { blocks, bfree, bsize } = statfsSync(`/proc/${pid}/root/${folder}`);
      return (blocks - bfree) * bsize;
    } catch {
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** @param exactly what processes share is counted once; takes longer */
function memoryOf(ring: RunningRing, exactly: boolean): number {
  let [own, shared] = [0, 0];
  for (const pid of familyOf(ring.pid, MOST_PROCESSES)) {
    const text = read(`/proc/${pid}/${exactly ? "smaps_rollup" : "status"}`);
    own += bytesOf(text, exactly ? "Pss_Anon" : "RssAnon");
    shared += bytesOf(text, exactly ? "Pss_Shmem" : "RssShmem");
  }
  // A file in memory that is mapped is in both.
  return own + Math.max(shared, filesOf(ring));
}

export interface Measured {
  ring: RunningRing;
  bytes: number;
}

/** Rings by what they have, the largest first. What they have together is counted exactly where it seems to be over the limit. */
export function measureRings(rings: readonly RunningRing[], limit: number): Measured[] {
  const sorted = (exactly: boolean) =>
    rings.map((ring) => ({ ring, bytes: memoryOf(ring, exactly) })).sort((a, b) => b.bytes - a.bytes);
  const quick = sorted(false);
  return sumOf(quick) > limit ? sorted(true) : quick;
}

export const sumOf = (all: readonly Measured[]): number => all.reduce((sum, { bytes }) => sum + bytes, 0);
