/**
 * What was refused, as a file of one JSON object a line, in the order in which it happened. Bounded: what repeats within
 * {@link WINDOW_MS} is one line with a count, at most {@link BURST} lines are written at once and {@link PER_SECOND} later,
 * and a file of {@link FILE_BYTES} is put aside as `<file>.1`, in place of the one before. Nothing is left uncounted: all
 * `count`s of a run together are the last `total`, which says how many there were up to that line.
 */
import { appendFileSync, readFileSync, renameSync, statSync } from "node:fs";

export interface Refusal {
  ts: string;
  kind: "network";
  /** Of one process that writes; `total` starts again with another one. */
  run: string;
  total: number;
  /** How many like this one the line stands for. */
  count: number;
  /** Who asked: see {@link import("./network/proxy.ts").Door}. */
  door: string;
  /** As it was asked for, which may be no name of a host; at most 255 characters. */
  host: string;
  port: number;
  /** A {@link import("./network/rules.ts").Reason}, or "many": others, of any host, that were too many for a line each. */
  reason: string;
  /** What it calls itself. It can say what it likes. */
  program?: string;
  /** Number of the command that it belongs to. */
  call?: string;
}

export type Refused = Pick<Refusal, "door" | "host" | "port" | "reason" | "program" | "call">;

const WINDOW_MS = 10_000;
const BURST = 100;
const PER_SECOND = 5;
const FILE_BYTES = 1 << 20;
/** Kinds that are counted at the same time; a flood of names is counted and not told apart. */
const MOST_KINDS = 1000;
const TEXT_LENGTH = 255;

export class RefusalLog {
  readonly #path: string;
  readonly #run: string;
  readonly #now: () => number;
  /** Those that were written within the window, and how many came since. */
  readonly #open = new Map<string, { refused: Refused; since: number; count: number }>();
  #total = 0;
  #missed = 0;
  #credit = BURST;
  #credited: number;

  /** @param now milliseconds since 1970 */
  constructor(path: string, run: string, now: () => number = Date.now) {
    this.#path = path;
    this.#run = run;
    this.#now = now;
    this.#credited = now();
  }

  add(asked: Refused): void {
    const refused = { ...asked, host: asked.host.slice(0, TEXT_LENGTH) };
    if (asked.program !== undefined) refused.program = asked.program.slice(0, TEXT_LENGTH);
    this.#total++;
    this.flush();
    const key = JSON.stringify([refused.door, refused.host, refused.port, refused.reason, refused.call]);
    const known = this.#open.get(key);
    if (known !== undefined) known.count++;
    else if (this.#open.size < MOST_KINDS && this.#write(refused, 1))
      this.#open.set(key, { refused, since: this.#now(), count: 0 });
    else this.#missed++;
  }

  /** Writes what has been counted for long enough. @param all or everything */
  flush(all = false): void {
    const now = this.#now();
    for (const [key, one] of this.#open) {
      if (!all && now - one.since < WINDOW_MS) continue;
      if (one.count > 0 && !this.#write(one.refused, one.count)) continue;
      this.#open.delete(key);
    }
    const others: Refused = { door: "", host: "*", port: 0, reason: "many" };
    if (this.#missed > 0 && this.#write(others, this.#missed)) this.#missed = 0;
  }

  #write(refused: Refused, count: number): boolean {
    const now = this.#now();
    this.#credit = Math.min(BURST, this.#credit + ((now - this.#credited) / 1000) * PER_SECOND);
    this.#credited = now;
    if (this.#credit < 1) return false;
    this.#credit--;
    const line: Refusal = {
      ts: new Date(now).toISOString(),
      kind: "network",
      run: this.#run,
      total: this.#total,
      count,
      ...refused,
    };
    if ((statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > FILE_BYTES)
      renameSync(this.#path, `${this.#path}.1`);
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    return true;
  }
}

/** @returns null for a line that is none, the last of a file that is being written among them */
export function parseRefusal(line: string): Refusal | null {
  try {
    const one = JSON.parse(line) as Partial<Refusal> | null;
    const whole =
      typeof one?.ts === "string" &&
      one.kind === "network" &&
      typeof one.run === "string" &&
      [one.total, one.count, one.port].every((value) => typeof value === "number") &&
      [one.door, one.host, one.reason].every((value) => typeof value === "string");
    return whole ? (one as Refusal) : null;
  } catch {
    return null;
  }
}

/** Everything that is kept, oldest first. */
export function readRefusals(path: string): Refusal[] {
  return [`${path}.1`, path].flatMap((file) => {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return [];
    return readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line) => parseRefusal(line) ?? []);
  });
}
