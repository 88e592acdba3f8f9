/**
 * What the agent's commands may take of the machine. The kernel counts processes for each user in each namespace of users, and by
 * what its maker was held to when it was made (5.14 and later): what is set in front of a ring holds for all rings together, what
 * is set in it for that one. Before 5.14 it counts a user's processes wherever they are.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/** What one command of the model's may use at most, by the names that prlimit(1) has. */
export const LIMITS: Readonly<Record<string, number>> = {
  /** Processes and threads. */
  nproc: 4096,
  /** Bytes that one process may write to: its heap, not the addresses that a runtime only sets aside. */
  data: 16 * 2 ** 30,
  /** Bytes of one file. */
  fsize: 8 * 2 ** 30,
  /** Open files of one process. */
  nofile: 16_384,
  /** A dump of a process's memory. */
  core: 0,
};

/** As far as limits follow from it. */
export interface Machine {
  /** Bytes, or what a control group leaves of them. */
  memory: number;
  /** Of the user who starts: what holds now, and what can be asked for. */
  processes: { now: number; most: number };
  openFiles: number;
  /** Processes of all users. */
  pids: number;
}

/** What all commands of a project may use together. */
export interface Shares {
  memory: number;
  /** With opencode's own, which are about a hundred threads. */
  processes: number;
}

/** opencode may have this many beside what commands may: it always can start what it needs. */
const OF_OPENCODE = 4096;

/** A part of the machine is left for all else, whatever is not asked for. */
export function sharesOf(machine: Machine, given: Partial<Shares> = {}): Shares {
  const { memory, processes, pids } = machine;
  const few = Math.floor(Math.min(LIMITS.nproc as number, processes.now / 2, pids / 8));
  return { memory: given.memory ?? Math.floor(memory * 0.75), processes: given.processes ?? few };
}

/** Of one command, in its ring. */
export const ringLimits = ({ memory, processes }: Shares, machine: Machine): Record<string, number> => ({
  ...LIMITS,
  nproc: Math.min(processes, machine.processes.most),
  data: Math.min(LIMITS.data as number, memory),
  nofile: Math.min(LIMITS.nofile as number, machine.openFiles),
});

/** Of opencode with the review server. */
export const outerLimits = (shares: Shares, machine: Machine): Record<string, number> => ({
  ...ringLimits(shares, machine),
  nproc: Math.min(shares.processes + OF_OPENCODE, machine.processes.most),
  data: LIMITS.data as number,
});

/** Of each file system in memory that a ring has. */
export const inMemory = ({ memory }: Shares): number => Math.floor(memory / 2);

/** The command that runs `command` within limits. */
export const limited = (command: readonly string[], limits = LIMITS): string[] => [
  "prlimit",
  ...Object.entries(limits).map(([name, value]) => `--${name}=${value}`),
  "--",
  ...command,
];

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

export function readMachine(): Machine {
  const limits = read("/proc/self/limits");
  const limit = (name: string): { now: number; most: number } => {
    const [, now, most] = new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(limits) ?? [];
    return { now: numberOr(now), most: numberOr(most) };
  };
  return {
    memory: Math.min(totalmem(), ...ownGroupLimits()),
    processes: limit("Max processes"),
    openFiles: limit("Max open files").most,
    pids: numberOr(read("/proc/sys/kernel/pid_max").trim()),
  };
}

/** "unlimited", "max" and what is not there set no limit. */
const numberOr = (text = ""): number => (/^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY);

/** What the control groups that this process is in leave it of the machine's memory, as far as they can be seen. */
function ownGroupLimits(): number[] {
  return read("/proc/self/cgroup")
    .split("\n")
    .flatMap((line) => {
      const [, names, path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (names === "") return [`/sys/fs/cgroup${path}/memory.max`, "/sys/fs/cgroup/memory.max"];
      return names === "memory" ? [`/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`] : [];
    })
    .map((path) => numberOr(read(path).trim()));
}
