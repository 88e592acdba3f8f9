/**
 * What the agent's commands may take of the machine. The kernel counts processes for each user in each namespace of users, and by
 * what its maker was held to when it was made (5.14 and later): what is set in front of a ring holds for all rings together, what
 * is set in it for that one. Before 5.14 it counts a user's processes wherever they are.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";

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
  /** Processes of whomever, of which nobody is to have more than half: a part of the machine's, or what a control group says. */
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

/** opencode has about a hundred already: with fewer no command starts. */
export const LEAST_PROCESSES = 200;

/** A part of the machine is left for all else, whatever is not asked for. */
export function sharesOf(machine: Machine, given: Partial<Shares> = {}): Shares {
  const { memory, processes, pids } = machine;
  const few = Math.floor(Math.min(LIMITS.nproc as number, processes.now / 2, pids / 2));
  return {
    memory: given.memory ?? Math.floor(memory * 0.75),
    processes: given.processes ?? Math.max(LEAST_PROCESSES, few),
  };
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
  const [limits, groups] = [read("/proc/self/limits"), read("/proc/self/cgroup")];
  const limit = (name: string): { now: number; most: number } => {
    const [, now, most] = new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(limits) ?? [];
    return { now: numberOr(now), most: numberOr(most) };
  };
  return {
    memory: Math.min(totalmem(), groupLimit("memory", groups)),
    processes: limit("Max processes"),
    openFiles: limit("Max open files").most,
    pids: Math.min(numberOr(read("/proc/sys/kernel/pid_max").trim()) / 4, groupLimit("pids", groups)),
  };
}

/** "unlimited", "max" and what is not there set no limit. */
const numberOr = (text = ""): number => (/^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY);

const GROUPS = {
  memory: { v1: "memory.limit_in_bytes", v2: "memory.max" },
  pids: { v1: "pids.max", v2: "pids.max" },
} as const;

/**
 * What the control groups that a process is in leave it of the machine, each within the ones above; infinite where none says.
 * @param groups as /proc/PID/cgroup has them
 * @param root where they are mounted
 */
export function groupLimit(what: keyof typeof GROUPS, groups: string, root = "/sys/fs/cgroup"): number {
  const limits = groups.split("\n").flatMap((line) => {
    const [, names, path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isOld = names?.split(",").includes(what) === true;
    if (names !== "" && !isOld) return [];
    const mount = isOld ? join(root, names ?? "") : root;
    const above = path.split("/").map((_, n, all) => all.slice(0, n + 1).join("/"));
    return above.map((group) => numberOr(read(join(mount, group, GROUPS[what][isOld ? "v1" : "v2"])).trim()));
  });
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}
