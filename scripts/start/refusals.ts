/** Reports what the cage refused to the review server, which counts it and tells the developer's clients. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { parseRefusal, type Refusal } from "../../sandbox/refusals.ts";
import type { Stopped } from "./guard.ts";
import type { ReviewServer } from "./review-server.ts";

const EVERY_MS = 1000;
/** What one request takes. */
const MOST = 100;
/** Of a server that does not answer, the oldest are let go; the file has them. */
const MOST_KEPT = 2000;

/** A file that grows, and is put aside as `<path>.1` now and then: its new lines, each once. */
export class Tail {
  #inode: number | null;
  #read: number;

  /** From its present end on. */
  constructor(private readonly path: string) {
    const now = statSync(path, { throwIfNoEntry: false });
    this.#inode = now?.ino ?? null;
    this.#read = now?.size ?? 0;
  }

  next(): Refusal[] {
    const now = statSync(this.path, { throwIfNoEntry: false });
    if (now === undefined) return [];
    const before = this.#inode === null || this.#inode === now.ino ? [] : this.#from(`${this.path}.1`);
    if (this.#inode !== now.ino) this.#read = 0;
    return [...before, ...this.#from(this.path)];
  }

  #from(path: string): Refusal[] {
    let file: number;
    try {
      file = openSync(path, "r");
    } catch {
      return [];
    }
    try {
      const bytes = readFileSync(file).subarray(this.#read);
      const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
      this.#read += whole.length;
      this.#inode = fstatSync(file).ino;
      return whole
        .toString("utf8")
        .split("\n")
        .flatMap((line) => parseRefusal(line) ?? []);
    } finally {
      closeSync(file);
    }
  }
}

/** As `POST /sandbox/refusals` takes it. @param calls what is started here and has a number, and what it is called */
export const reported = (
  { host, port, reason, program, call, count }: Refusal,
  calls: ReadonlyMap<string, string> = new Map(),
) => {
  const command = calls.get(call ?? "");
  return {
    kind: "network" as const,
    target: port === 0 ? host : `${host}:${port}`,
    reason,
    ...(program === undefined ? {} : { program }),
    ...(call === undefined ? {} : { call }),
    ...(command === undefined ? {} : { command }),
    count,
  };
};

/**
 * Goes on until the launcher ends.
 * @returns reports what the guard has stopped
 */
export function reportRefusals(
  path: string,
  server: ReviewServer,
  calls: ReadonlyMap<string, string>,
): (stopped: readonly Stopped[]) => void {
  const tail = new Tail(path);
  let waiting: (ReturnType<typeof reported> | Stopped)[] = [];
  let busy = false;
  setInterval(async () => {
    if (busy) return;
    busy = true;
    try {
      waiting = [...waiting, ...tail.next().map((one) => reported(one, calls))].slice(-MOST_KEPT);
      const now = waiting.slice(0, MOST);
      if (now.length > 0 && (await server.reportRefusals(now))) {
        // Whatever the guard has added meanwhile stays.
        const done = new Set<unknown>(now);
        waiting = waiting.filter((one) => !done.has(one));
      }
    } catch {
      // The server is away or the file is: they are told later.
    } finally {
      busy = false;
    }
  }, EVERY_MS).unref();
  return (stopped) => {
    const named = stopped.map((one) => {
      const command = calls.get(one.call ?? "");
      return command === undefined ? one : { ...one, command };
    });
    waiting = [...waiting, ...named].slice(-MOST_KEPT);
  };
}
