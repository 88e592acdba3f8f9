/**
 * The inner rings that run below opencode, as the kernel tells it: process 1 of a ring is in a namespace of processes that is
 * one deeper than opencode's own. When it is ended, all else in the ring ends with it, whatever that ignores or forks.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface RunningRing {
  /** Process 1 of it, as it is numbered here. */
  pid: number;
  /** Number of the command that it is for, where it was told one. */
  call: string | null;
  /** It is around a program that stays. */
  stays: boolean;
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Gone already.
    return "";
  }
};

/** How many namespaces of processes a process is in from here on, and its number in the innermost; 0 when it has gone. */
function depthOf(pid: number): { depth: number; inside: number } {
  const numbers = /^NSpid:\s+(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1]?.split(/\s+/) ?? [];
  return { depth: numbers.length, inside: Number(numbers.at(-1) ?? 0) };
}

/** Children of a process, by the kernel's own list of each of its threads. */
export function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`)
      .split(" ")
      .flatMap((one) => (one === "" ? [] : [Number(one)])),
  );
}

/** A process and what is below it, at most so many. */
export function familyOf(pid: number, most: number): number[] {
  const found = [pid];
  for (let at = 0; at < found.length && found.length < most; at++)
    found.push(...childrenOf(found[at] as number));
  return found.slice(0, most);
}

/**
 * @param host the child of the launcher's that opencode is, or its ring
 * @param ringed whether that is a ring
 * @param homes folder of the homes of programs that stay
 */
export function runningRings(host: number, ringed: boolean, homes: string): RunningRing[] {
  const inner = depthOf(host).depth + (ringed ? 2 : 1);
  if (inner < (ringed ? 3 : 2)) return [];
  const found: RunningRing[] = [];
  const look = (pid: number): void => {
    const { depth, inside } = depthOf(pid);
    if (depth < inner) for (const child of childrenOf(pid)) look(child);
    if (depth !== inner || inside !== 1) return;
    // Both are bubblewrap's own words; what the command says comes behind "--".
    const words = read(`/proc/${pid}/cmdline`).split("\0");
    const own = words.slice(0, words.indexOf("--"));
    const call = /\0http_proxy=http:\/\/(\w+):x@/.exec(`\0${read(`/proc/${pid}/environ`)}`)?.[1] ?? null;
    found.push({ pid, call, stays: own.some((word) => word.startsWith(`${homes}/`)) });
  };
  look(host);
  return found;
}

/** Ends rings with all that is in them. @returns those that were there */
export function endRings(rings: readonly RunningRing[]): RunningRing[] {
  return rings.filter(({ pid }) => {
    try {
      process.kill(pid, "SIGKILL");
      return true;
    } catch {
      return false;
    }
  });
}
