/** What keeps a server from working as it should: each problem is a sentence that names the path and what to do. */
import { existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { Ledger } from "./ledger/ledger.ts";

/** Below this many free bytes in the state directory the next write may fail. */
const LEAST_FREE_BYTES = 1024 * 1024;
/** How long, in milliseconds, a look at the disk counts: anybody may ask for `/health`, as often as they like. */
const FRESH_MS = 500;

export class Problems {
  readonly #stateDir: string;
  readonly #ledger: Ledger;
  /** By what they are about: found at start, or when a project was taken in. */
  readonly #found = new Map<string, string[]>();
  #looked: { at: number; problems: string[] } | null = null;

  constructor(stateDir: string, ledger: Ledger) {
    this.#stateDir = stateDir;
    this.#ledger = ledger;
  }

  /** @param problems replaces what was noted about the same thing before; none clears it */
  note(about: string, problems: string[]): void {
    if (problems.length === 0) this.#found.delete(about);
    else this.#found.set(about, problems);
    this.#looked = null;
  }

  /** @param hubs directories of the hubs in use */
  all(hubs: readonly string[]): string[] {
    const now = performance.now();
    if (this.#looked === null || now - this.#looked.at > FRESH_MS)
      this.#looked = { at: now, problems: [...this.#found.values()].flat().concat(this.#look(hubs)) };
    return this.#looked.problems;
  }

  #look(hubs: readonly string[]): string[] {
    const problems: string[] = [];
    const damage = this.#ledger.damage();
    if (damage !== null) problems.push(damage);
    const free = freeBytes(this.#stateDir);
    if (free !== null && free < LEAST_FREE_BYTES)
      problems.push(
        `No space left in ${this.#stateDir} (${free} bytes): free some, or nothing can be decided or published`,
      );
    for (const hub of hubs) {
      if (!existsSync(join(hub, "HEAD")))
        problems.push(
          `The hub ${hub} is gone: put it back from a copy, or restart the server, which makes it anew from what the agent's repository has`,
        );
    }
    return problems;
  }
}

/** Free bytes for this user, or null where that cannot be told. */
function freeBytes(dir: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return null;
  }
}
