/**
 * Who is bringing a note to the agent. Several processes may share a ledger; what one of them has taken is left to it as
 * long as it lives, and taken over when it does not. A process is known by its id and start time, since ids are used
 * again (proc(5), /proc/pid/stat field 22).
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";

/** Processes of another pid namespace cannot be looked at: a claim of theirs holds this long. */
const LEASE_MS = 60_000;

/** When a process began, in words of the system's own; null when there is none with this id. */
export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold blanks and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    if (process.platform === "linux") return null;
  }
  const listed = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return listed.status === 0 ? listed.stdout.trim().replaceAll(" ", "_") || null : null;
}

/** Set by a launcher that gives each run of its server process ids of its own, and never has two at once. */
export const RING = "ISOLATED_AI_CODER_RING";

/**
 * What process ids are counted in. Of a ring there is one at a time: marks of the one before are of processes that are
 * gone, since a start time is never seen twice.
 */
function namespace(): string {
  const ring = process.env[RING];
  if (ring !== undefined && /^[\w-]+$/.test(ring)) return ring;
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "-";
  }
}

let own: string | undefined;

/** This process, as it is written into the ledger. */
export function thisProcess(): string {
  own ??= `${process.pid} ${startOf(process.pid) ?? "-"} ${namespace()}`;
  return own;
}

/**
 * Whether the process that wrote this mark may still be at work.
 * @param since milliseconds since 1970 at which it was written
 */
export function isLive(mark: string | null, since: number): boolean {
  if (mark === null) return false;
  const [pid, start, space] = mark.split(" ");
  if (space !== namespace()) return Date.now() - since < LEASE_MS;
  return startOf(Number(pid)) === start;
}

/** The time that is in a version 7 UUID (RFC 9562, 5.7). */
export const timeOf = (uuid: string): number => Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16);
