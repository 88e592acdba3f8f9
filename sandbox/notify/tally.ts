/**
 * Counts refused system calls between two writings: one line for each call, program and command. What is more than {@link MOST}
 * kinds is counted as others. The file stays small: whoever reads it does so all the time.
 */
import { appendFileSync, statSync, truncateSync } from "node:fs";
import type { Who } from "./who.ts";

/** A line of the file. */
export interface RefusedCall extends Who {
  /** The call's name, or "*": others. */
  name: string;
  reason: string;
  count: number;
}

const MOST = 100;
const FILE_BYTES = 1 << 20;
const OTHERS = { name: "*", reason: "others, too many to tell apart", program: "" };

export class Tally {
  readonly #counts = new Map<string, RefusedCall>();

  constructor(private readonly path: string) {}

  add(name: string, reason: string, who: Who): void {
    const key = JSON.stringify([name, who.program, who.call]);
    const known = this.#counts.get(key) ?? (this.#counts.size < MOST ? null : this.#counts.get("*"));
    if (known) known.count++;
    else if (this.#counts.size < MOST) this.#counts.set(key, { name, reason, ...who, count: 1 });
    else this.#counts.set("*", { ...OTHERS, count: 1 });
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** What cannot be written is kept and counted on. */
  write(): void {
    if (this.isEmpty) return;
    try {
      if ((statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) > FILE_BYTES) truncateSync(this.path);
      const lines = [...this.#counts.values()].map((one) => `${JSON.stringify(one)}\n`);
      appendFileSync(this.path, lines.join(""), { mode: 0o600 });
      this.#counts.clear();
    } catch {
      // The disk is full, say.
    }
  }
}
