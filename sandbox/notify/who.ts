/** Whose a process is that made a call: what it calls itself, and the number of the command that its ring was made for. */
import { readFileSync } from "node:fs";

export interface Who {
  /** What it calls itself; it can say what it likes. */
  program: string;
  /** As the proxy's address in the ring has it, if it is in one. */
  call?: string;
}

const MOST_PARENTS = 64;

const read = (pid: number, name: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
};

/** @param pid as this process sees it */
export function whoIs(pid: number): Who {
  // Bytes that are no UTF-8 are no name.
  const program = Buffer.from(read(pid, "comm").trimEnd(), "latin1").toString("utf8");
  const first = firstOfRing(pid);
  if (first === null) return { program };
  const call = /(?:^|\0)http_proxy=http:\/\/([0-9a-zA-Z]{1,64}):[^@\0]*@/.exec(read(first, "environ"))?.[1];
  return call === undefined ? { program } : { program, call };
}

/**
 * Process 1 of the ring that a process is in. That one is bubblewrap, whose environment no command changes, and what a command
 * detaches from itself is its child.
 */
function firstOfRing(pid: number): number | null {
  let at = pid;
  for (let n = 0; n < MOST_PARENTS && at > 1; n++) {
    const status = read(at, "status");
    const inside = /^NSpid:((?:\t\d+)+)$/m.exec(status)?.[1]?.trim().split("\t") ?? [];
    // The outermost of these is the reader's own.
    if (inside.length > 1 && inside.at(-1) === "1") return at;
    at = Number(/^PPid:\t(\d+)$/m.exec(status)?.[1] ?? 0);
  }
  return null;
}
