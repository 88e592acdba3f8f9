/** What the guard knows of the agent's disk, and the piece of it that is kept for the review server. */
import { existsSync, rmSync, statfsSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Space } from "../../sandbox/room.ts";
import { runConfined } from "./confined.ts";
import type { AgentPlace } from "./places.ts";

const MEASURE_MS = 600_000;
const MOST_KEPT_BYTES = 64 * 2 ** 20;
/** A measurement may take this part of the time. */
const PART = 20;
const LEAST_PAUSE_MS = 500;
/** Without a sign that anything grew it is measured this often. */
const IDLE_MS = 60_000;

export function spaceOf(folder: string): Space {
  const { blocks, bavail, bsize, files, ffree } = statfsSync(folder);
  // Some file systems make room for files as they are needed, and say 0.
  return {
    size: blocks * bsize,
    free: bavail * bsize,
    files: files === 0 ? null : { all: files, free: ffree },
  };
}

/** Everything that the agent's side can write, as far as it is there. */
const written = (place: AgentPlace): string[] =>
  [place.home, place.tmp, place.cageHome, place.serverHomes, place.state, place.repo, place.config].filter(
    (path) => existsSync(path),
  );

/** Bytes on disk below the agent's folders, or null where they cannot be told. A walk of many files: it runs aside. */
async function measure(place: AgentPlace): Promise<number | null> {
  const { stdout, problem } = await runConfined(["nice", "-n", "19", "du", "-sxk", "--", ...written(place)], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    timeoutMs: MEASURE_MS,
  }).catch(() => ({ stdout: "", problem: "du is missing" }));
  const sizes = stdout.split("\n").flatMap((line) => /^(\d+)\t/.exec(line)?.[1] ?? []);
  // du fails for what is removed while it looks, and counts the rest.
  if (problem !== null || sizes.length === 0) return null;
  return sizes.reduce((sum, size) => sum + Number(size) * 1024, 0);
}

/** By how much the agent's side has grown. Measured anew when the disk has less free than before, which costs little to see. */
export class Growth {
  #before: number | null = null;
  #last: number | null = null;
  #free = 0;
  #due = 0;
  #busy = false;

  /** @param step bytes by which the disk may grow fuller unmeasured */
  constructor(
    private readonly place: AgentPlace,
    private readonly step: number,
  ) {}

  get bytes(): number {
    return this.#before === null || this.#last === null ? 0 : Math.max(0, this.#last - this.#before);
  }

  /** @param anxious whether it is waited for that it grows smaller */
  look(free: number, anxious: boolean): void {
    const now = performance.now();
    const since = now - this.#due;
    const grew = this.#before === null || anxious || this.#free - free >= this.step || since > IDLE_MS;
    if (this.#busy || since < 0 || !grew) return;
    this.#busy = true;
    this.#free = free;
    void this.#measure(now);
  }

  async #measure(started: number): Promise<void> {
    const bytes = await measure(this.place);
    this.#before ??= bytes;
    this.#last = bytes ?? this.#last;
    const now = performance.now();
    this.#due = now + Math.max(LEAST_PAUSE_MS, PART * (now - started));
    this.#busy = false;
  }
}

/** A file that takes room as long as there is enough: a writer that is faster than the guard looks finds it taken. */
export class KeptSpace {
  readonly #path: string;
  readonly #bytes: number;
  #held = false;
  /** The file system sets no space aside. */
  #cannot = false;

  constructor(place: AgentPlace, reserve: number) {
    this.#path = join(place.dir, "kept-space");
    this.#bytes = Math.floor(Math.min(MOST_KEPT_BYTES, reserve / 2));
  }

  /** Takes it, where that leaves `reserve`. */
  async take(free: number, reserve: number): Promise<void> {
    if (this.#held || this.#cannot || free < reserve + this.#bytes) return;
    this.#held = true;
    const words = ["fallocate", "--length", String(this.#bytes), this.#path];
    const { exitCode } = await runConfined(words, { cwd: "/", env: { PATH: "/usr/bin:/bin" } }).catch(() => ({
      exitCode: 1,
    }));
    if (exitCode === 0) return;
    this.#cannot = true;
    this.end();
  }

  /** Lets it go, for whom it was kept. */
  give(): void {
    if (!this.#held) return;
    this.#held = false;
    try {
      truncateSync(this.#path, 0);
    } catch {
      // It is gone: so is what it took.
    }
  }

  end(): void {
    this.#held = false;
    rmSync(this.#path, { force: true });
  }
}
