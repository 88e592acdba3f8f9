/**
 * The processes of one run: started in groups of their own, told to end in order, and found again after the launcher
 * itself was killed. A process is known by its id together with its start time, so that a reused id is left alone;
 * what a process started in the background is found by a mark in its environment.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { CappedLog } from "./capped-log.ts";
import type { Identity } from "./identity.ts";

/** Variable that marks every process of a run. */
export const RUN_MARK = "ISOLATED_AI_CODER_RUN";

const GRACE_MS = 5000;
/** How long the end of an ended process's output is waited for. */
const LINGER_MS = 500;

export interface ProcessName {
  pid: number;
  /** Start time as the system tells it; null when the process had gone already. */
  started: string | null;
}

export interface RunRecord {
  /** Value of {@link RUN_MARK} in all processes of the run. */
  id: string;
  launcher: ProcessName;
  children: (ProcessName & { role: string })[];
  port: number;
  /** User id of a user that exists for the agent alone, else null. */
  agentUid: number | null;
}

/** Start time of a process: /proc on Linux (see proc_pid_stat(5)), ps elsewhere; null when there is none. */
export function startTime(pid: number): string | null {
  if (process.platform !== "linux") {
    const told = Bun.spawnSync(["ps", "-o", "lstart=", "-p", String(pid)])
      .stdout.toString()
      .trim();
    return told === "" ? null : told;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command in parentheses may itself hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return null;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19]}`;
  } catch {
    return null;
  }
}

export function isAlive(name: ProcessName): boolean {
  const now = startTime(name.pid);
  return now !== null && now === name.started;
}

function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch {
    // Gone already.
  }
}

function processIds(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Processes that carry the mark of a run, this one apart. */
export function markedProcesses(runId: string): number[] {
  const needle = `\0${RUN_MARK}=${runId}\0`;
  return processIds().filter((pid) => {
    try {
      return pid !== process.pid && `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}\0`.includes(needle);
    } catch {
      return false;
    }
  });
}

/** Parent, user and mark of a process; null when it is gone, a zombie, or not to be looked at. */
function lookAt(pid: number): { parent: number; uid: number; run: string | null } | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    if (/^State:\s+Z/m.test(status)) return null;
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    return {
      parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]),
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]),
      run: new RegExp(`(?:^|\0)${RUN_MARK}=([^\0]*)`).exec(environment)?.[1] ?? null,
    };
  } catch {
    return null;
  }
}

/** All living processes of one user. */
export const processesOf = (uid: number): number[] => processIds().filter((pid) => lookAt(pid)?.uid === uid);

/**
 * Orphans of the agent's own user: what one of its programs left in the background with a cleaned environment.
 * Nobody's when another run of that user is alive. What the launcher itself runs as the agent has a living parent.
 */
function orphansOf(uid: number, runId: string): number[] {
  const all = new Map(
    processIds().flatMap((pid) => {
      const seen = lookAt(pid);
      return seen === null || seen.uid !== uid ? [] : [[pid, seen] as const];
    }),
  );
  if ([...all.values()].some(({ run }) => run !== null && run !== runId)) return [];
  const isOrphan = (pid: number): boolean => {
    const parent = all.get(pid)?.parent ?? 0;
    return parent === 1 || (all.has(parent) && isOrphan(parent));
  };
  return [...all.keys()].filter(isOrphan);
}

/**
 * The programs that a child is: of a ring those inside, since bubblewrap passes no signal on. Its two processes are the
 * launcher's own; whatever calls itself that further in is below a program that does not.
 */
function programsOf(pid: number): number[] {
  if (nameOf(pid) !== "bwrap") return [pid];
  const inside = processIds().filter((one) => lookAt(one)?.parent === pid);
  return inside.length === 0 ? [pid] : inside.flatMap(programsOf);
}

function nameOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1").trimEnd();
  } catch {
    return null;
  }
}

/** Ends what is left of a run: its children with their groups, then whatever carries its mark. */
export async function endRun(run: RunRecord): Promise<void> {
  const alive = () => run.children.filter(isAlive);
  const leftovers = () => [
    ...new Set([
      ...markedProcesses(run.id),
      ...(run.agentUid === null ? [] : orphansOf(run.agentUid, run.id)),
    ]),
  ];
  for (const child of alive()) for (const pid of programsOf(child.pid)) signal(pid, "SIGTERM");
  await until(() => alive().length === 0, GRACE_MS);
  for (const child of alive()) signal(-child.pid, "SIGKILL");
  for (const pid of leftovers()) signal(pid, "SIGTERM");
  await until(() => leftovers().length === 0, 1000);
  for (const pid of leftovers()) signal(pid, "SIGKILL");
  await until(() => leftovers().length === 0, 1000);
}

/** How a ring's end is told as its program's: bubblewrap ends with 128 and the signal's number (bwrap(1)). */
function endOf(role: string, code: number | null, killedBy: string | null): string {
  const named = Object.entries(constants.signals).find(
    ([, number]) => code !== null && code === 128 + number,
  );
  const by = killedBy ?? named?.[0] ?? null;
  return by === null ? `${role} ended with exit code ${code}` : `${role} was ended by ${by}`;
}

/** @returns whether the condition came true within the time */
export async function until(condition: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() > deadline) return false;
    await Bun.sleep(25);
  }
}

export interface Child {
  role: string;
  /** Resolves with a sentence when the process has ended. */
  ended: Promise<string>;
  hasEnded(): boolean;
}

/** Starts and stops the processes of this run, and keeps the record of them on disk. */
export class Supervisor {
  readonly record: RunRecord;
  #stopping: Promise<void> | null = null;

  constructor(
    private readonly path: string,
    port: number,
    agentUid: number | null,
    private readonly save: (record: RunRecord) => void,
  ) {
    this.record = {
      id: randomBytes(12).toString("hex"),
      launcher: { pid: process.pid, started: startTime(process.pid) },
      children: [],
      port,
      agentUid,
    };
    save(this.record);
  }

  /** @param options.log file that the output is appended to */
  start(
    role: string,
    who: Identity,
    command: string[],
    options: { cwd: string; env: Record<string, string>; log: string },
  ): Child {
    const child = Bun.spawn(who.wrap(command, { dieWithParent: true }), {
      cwd: options.cwd,
      env: { ...options.env, [RUN_MARK]: this.record.id },
      stdin: "ignore",
      // No file of the developer's is open in what runs as the agent.
      stdout: "pipe",
      stderr: "pipe",
      // A session and group of its own: Ctrl-C reaches the launcher only, which then ends everything in order.
      detached: true,
    });
    const written = new CappedLog(options.log).take(child.stdout, child.stderr);
    this.record.children.push({ role, pid: child.pid, started: startTime(child.pid) });
    this.save(this.record);
    const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
    const ended = child.exited.then(async () => {
      // What it said last is told from the log.
      await Promise.race([written, Bun.sleep(LINGER_MS)]);
      return endOf(role, child.exitCode, child.signalCode);
    });
    return { role, ended, hasEnded };
  }

  /** Those of its children in a role that run. */
  running(role: string): number[] {
    return this.record.children.filter((one) => one.role === role && isAlive(one)).map(({ pid }) => pid);
  }

  /** Ends what a process of the run that is dead has left behind. */
  async clearOrphans(): Promise<void> {
    const living = new Set([process.pid, ...this.record.children.filter(isAlive).map(({ pid }) => pid)]);
    const belongs = (pid: number): boolean => {
      for (let at = pid; at > 1; at = lookAt(at)?.parent ?? 0) if (living.has(at)) return true;
      return false;
    };
    const orphans = () => markedProcesses(this.record.id).filter((pid) => !belongs(pid));
    for (const pid of orphans()) signal(pid, "SIGTERM");
    await until(() => orphans().length === 0, 2000);
    for (const pid of orphans()) signal(pid, "SIGKILL");
  }

  stop(): Promise<void> {
    this.#stopping ??= endRun(this.record).then(() => rmSync(this.path, { force: true }));
    return this.#stopping;
  }
}
