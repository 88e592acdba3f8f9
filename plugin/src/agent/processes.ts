/**
 * What the agent's commands have started and is still running: found by a mark that its shells get in their environment,
 * and by descent. Only what bears the mark of this process is ever touched. Where there is no /proc nothing is found.
 */
import { readdirSync, readFileSync } from "node:fs";
import { isLive, startOf, thisProcess } from "../review/tell/owner.ts";

/** Environment variable of every shell of the agent's. */
export const MARK = "SUGGESTION_MANAGER_TURN";

export interface AgentProcess {
  pid: number;
  start: string;
  parent: number;
  /** Of the marks found, `<owner>|<session>|<turn>`; a descendant without one has its ancestor's. */
  mark: string;
  command: string;
}

/** How long an ended turn's processes have to end by themselves. */
const GRACE_MS = 2_000;
/** However long a settle takes, nothing stays stopped for longer. */
const LONGEST_HOLD_MS = 20_000;
/** jj and git may hold locks that a settle waits for. */
const NEVER_STOPPED = /^(jj|git)\b/;

const read = (path: string): string | null => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
};

interface Seen {
  pid: number;
  parent: number;
  mark: string | null;
  name: string;
}

function look(pid: number, prefix: string): Seen | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const end = stat.lastIndexOf(")");
  const [state, parent] = stat.slice(end + 2).split(" ");
  if (state === "Z" || state === "X") return null;
  // Another user's environment cannot be read, and is none of ours.
  const environment = read(`/proc/${pid}/environ`)?.split("\0") ?? [];
  const mark = environment.find((entry) => entry.startsWith(prefix))?.slice(MARK.length + 1) ?? null;
  return { pid, parent: Number(parent), mark, name: stat.slice(stat.indexOf("(") + 1, end) };
}

export class AgentProcesses {
  readonly #owner = thisProcess().replaceAll(" ", ",");
  /** The turn of each session; over once the session has been idle. */
  readonly #turns = new Map<string, { n: number; over: boolean }>();
  /** Seen below a marked process before: they may have left both the mark and their parent behind. */
  readonly #known = new Map<string, string>();
  #sampling: ReturnType<typeof setInterval> | null = null;

  /** Environment of a shell that a session starts. */
  environment(session: string): Record<string, string> {
    const turn = this.#turns.get(session);
    if (turn === undefined || turn.over) this.#turns.set(session, { n: (turn?.n ?? 0) + 1, over: false });
    return { [MARK]: `${this.#owner}|${session}|${this.#turns.get(session)?.n ?? 1}` };
  }

  /** The session rests: a later shell belongs to another turn. */
  turnOver(session: string): void {
    const turn = this.#turns.get(session);
    if (turn !== undefined) turn.over = true;
  }

  /** While a command runs its descendants are noted, so that one that breaks away from it is known. */
  sample(isRunning: boolean): void {
    if (isRunning && this.#sampling === null) {
      this.#sampling = setInterval(() => this.running(), SAMPLE_MS);
      this.#sampling.unref();
    } else if (!isRunning && this.#sampling !== null) {
      clearInterval(this.#sampling);
      this.#sampling = null;
    }
  }

  /** Ancestors before descendants. */
  running(): AgentProcess[] {
    let pids: number[];
    try {
      pids = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
    } catch {
      return [];
    }
    const prefix = `${MARK}=${this.#owner}|`;
    const seen = new Map(
      pids.flatMap((pid) => {
        const found = pid === process.pid ? null : look(pid, prefix);
        return found === null ? [] : [[pid, found] as const];
      }),
    );
    const markOf = (one: Seen | undefined, depth = 0): string | null => {
      if (one === undefined || depth > 200) return null;
      return (
        one.mark ??
        this.#known.get(`${one.pid} ${startOf(one.pid)}`) ??
        markOf(seen.get(one.parent), depth + 1)
      );
    };
    const found = [...seen.values()].flatMap((one): AgentProcess[] => {
      const mark = markOf(one);
      const start = mark === null ? null : startOf(one.pid);
      if (mark === null || start === null) return [];
      const command = read(`/proc/${one.pid}/cmdline`)?.replaceAll("\0", " ").trim() || one.name;
      return [{ pid: one.pid, start, parent: one.parent, mark, command }];
    });
    this.#known.clear();
    for (const { pid, start, mark } of found) this.#known.set(`${pid} ${start}`, mark);
    return ancestorsFirst(found);
  }

  /** Ends what a session's turn has started, gently first. */
  async endTurn(session: string): Promise<AgentProcess[]> {
    const mark = `${this.#owner}|${session}|${this.#turns.get(session)?.n ?? 0}`;
    const own = () => this.running().filter((one) => one.mark === mark);
    const first = own();
    for (const one of first) signal(one, "SIGTERM");
    const end = Date.now() + GRACE_MS;
    while (own().length > 0) {
      if (Date.now() > end) for (const one of own()) signal(one, "SIGKILL");
      if (Date.now() > end + GRACE_MS) break;
      await Bun.sleep(20);
    }
    return first;
  }

  /**
   * Stops what is still running, for as short as a settle takes.
   * @returns lets it go on
   */
  hold(): () => void {
    const stopped = this.running().filter(({ command }) => !NEVER_STOPPED.test(command));
    for (const one of stopped) signal(one, "SIGSTOP");
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      clearTimeout(timer);
      // A shell that goes on before its child would take that for stopped by hand.
      for (const one of stopped.toReversed()) signal(one, "SIGCONT");
    };
    const timer = setTimeout(release, LONGEST_HOLD_MS);
    return release;
  }
}

const SAMPLE_MS = 500;

/** Lets go on what a process of ours held when it was killed. */
export function releaseForgotten(): void {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return;
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    if (stat === null || stat.slice(stat.lastIndexOf(")") + 2)[0] !== "T") continue;
    const mark = read(`/proc/${name}/environ`)
      ?.split("\0")
      .find((entry) => entry.startsWith(`${MARK}=`));
    const owner = mark?.slice(MARK.length + 1).split("|")[0];
    if (owner === undefined || isLive(owner.replaceAll(",", " "), Date.now())) continue;
    const pid = Number(name);
    signal({ pid, start: startOf(pid) ?? "", parent: 0, mark: "", command: "" }, "SIGCONT");
  }
}

function ancestorsFirst(found: AgentProcess[]): AgentProcess[] {
  const byPid = new Map(found.map((one) => [one.pid, one]));
  const depth = (one: AgentProcess | undefined): number =>
    one === undefined ? 0 : 1 + depth(byPid.get(one.parent));
  return found
    .map((one) => ({ one, at: depth(one) }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** Only to the process that was meant, not to a later one of the same id. */
function signal(one: AgentProcess, name: NodeJS.Signals): void {
  if (startOf(one.pid) !== one.start) return;
  try {
    process.kill(one.pid, name);
  } catch {
    // It has just ended.
  }
}
