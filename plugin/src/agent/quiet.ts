/**
 * The quiet moment inside opencode: no tool of the project is executing, and new calls wait at the door while work
 * that moves the agent's files runs. Fed by the host's hooks and events.
 */
import { ReviewError } from "../protocol/errors.ts";
import type { QuietGate } from "../vcs/project.ts";
import type { AgentProcesses } from "./processes.ts";

/**
 * These only run other tools, each of which comes by itself, or ask the developer: waiting for them would wait for ever.
 */
const CONTAINERS = new Set(["task", "batch", "question"]);
/** How long new calls are held for the running ones to end, before letting some through again. */
const DRAIN_MS = 10_000;
/** How long to look for a moment that comes by itself before holding new calls. */
const PATIENCE_MS = 2_000;

/** A call's name counts in its session: a provider may count from one in each. */
const nameOf = (callID: string, sessionID: string) => `${sessionID}/${callID}`;

export class ToolGate implements QuietGate {
  /** Calls that run, with the session of each. */
  readonly #running = new Map<string, string>();
  /** Calls that wait for a permission, with the session of each: they have not begun to do anything. */
  readonly #paused = new Map<string, string>();
  readonly #aborted = new Map<string, number>();
  #held: Promise<void> | null = null;
  #changed: (() => void)[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  /** @param processes what the agent's commands have left running; none is known without it */
  constructor(private readonly processes: AgentProcesses | null = null) {}

  hold(): () => void {
    return this.processes?.hold() ?? (() => {});
  }

  stillRunning(): string[] {
    return (this.processes?.running() ?? []).map(
      ({ pid, command }) => `${command.slice(0, 60)} (process ${pid})`,
    );
  }

  /**
   * `tool.execute.before`: returns when the call may run.
   * @param since when the call came, which may have waited since
   */
  async enter(tool: string, callID: string, sessionID: string, since = Date.now()): Promise<void> {
    while (this.#held !== null) await this.#held;
    // The host performs a call that was held while its turn was aborted; it must not happen any more.
    if ((this.#aborted.get(sessionID) ?? 0) >= since) {
      throw new ReviewError("nothing_to_do", "The turn was aborted while this call waited");
    }
    if (!CONTAINERS.has(tool)) this.#running.set(nameOf(callID, sessionID), sessionID);
    this.processes?.sample(this.#running.size > 0);
  }

  /** `tool.execute.after`, or an event that the call has ended: a failed call has no `after`. */
  leave(callID: string, sessionID: string): void {
    this.#leave(nameOf(callID, sessionID));
  }

  #leave(name: string): void {
    this.#paused.delete(name);
    if (!this.#running.delete(name)) return;
    this.processes?.sample(this.#running.size > 0);
    this.#wake();
  }

  /** A call that has entered waits for a permission. */
  pause(callID: string, sessionID: string): void {
    const name = nameOf(callID, sessionID);
    if (!this.#running.has(name)) return;
    this.#leave(name);
    this.#paused.set(name, sessionID);
  }

  /** It is about to get it: returns when it may run. */
  async resume(callID: string, sessionID: string): Promise<void> {
    while (this.#held !== null) await this.#held;
    this.resumeNow(callID, sessionID);
  }

  /** It has got it from elsewhere, and runs. */
  resumeNow(callID: string, sessionID: string): void {
    const name = nameOf(callID, sessionID);
    if (!this.#paused.delete(name)) return;
    this.#running.set(name, sessionID);
    this.processes?.sample(true);
  }

  /** The turn of a session was aborted. */
  abort(sessionID: string): void {
    this.#aborted.set(sessionID, Date.now());
  }

  /** A session is idle: whatever ran in it has ended, told or not. */
  clear(sessionID: string): void {
    for (const [name, session] of this.#running) if (session === sessionID) this.#leave(name);
    for (const [name, session] of this.#paused) if (session === sessionID) this.#paused.delete(name);
  }

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = this.#queue.then(() => this.#runQuiet(work));
    this.#queue = next.catch(() => undefined);
    return next;
  }

  async #runQuiet<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running.size > 0) await this.#quietWithin(PATIENCE_MS);
    for (;;) {
      let release: () => void = () => {};
      this.#held = new Promise((resolve) => {
        release = resolve;
      });
      try {
        if (await this.#quietWithin(DRAIN_MS)) return await work();
      } finally {
        this.#held = null;
        release();
      }
      await this.#quietWithin(DRAIN_MS);
    }
  }

  /** Whether nothing runs, now or within the time. */
  async #quietWithin(milliseconds: number): Promise<boolean> {
    const end = Date.now() + milliseconds;
    while (this.#running.size > 0) {
      const left = end - Date.now();
      if (left <= 0) return false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return true;
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}
