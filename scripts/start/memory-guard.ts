/**
 * The guard's look at memory: the agent's commands together have a limit, and of the machine's memory a part stays free. It is the
 * kernel's to hold where it has a control group for them; everywhere else this ends the command that has most.
 */
import { totalmem } from "node:os";
import { sizeText } from "../../sandbox/room.ts";
import { availableMemory, measureRings, sumOf } from "./memory.ts";
import type { RunningRing } from "./running-rings.ts";

const MIB = 2 ** 20;
const MOST_RESERVE = 512 * MIB;
/** Without a sign that memory got less, what commands have is added up this often. */
const IDLE_MS = 1_000;
/** Adding up may take this part of the time. */
const PART = 10;

export interface TooMuch {
  ring: RunningRing;
  /** Half a sentence. */
  reason: string;
}

export class MemoryGuard {
  readonly #reserve = Math.min(MOST_RESERVE, totalmem() / 20);
  #before = Number.POSITIVE_INFINITY;
  #due = 0;
  #last = 0;

  /** @param limit bytes that all commands together may have */
  constructor(private readonly limit: number) {}

  /** Whether memory may be short before long: it is then looked at more often. */
  get isNear(): boolean {
    return this.#before < 8 * this.#reserve;
  }

  /** @returns the command to be ended, or null */
  look(rings: () => readonly RunningRing[]): TooMuch | null {
    const now = performance.now();
    const available = availableMemory();
    const isShort = available < this.#reserve;
    const isLess = this.#before - available > this.limit / 8;
    if (now < this.#due || !(isShort || isLess || now - this.#last > IDLE_MS)) return null;
    this.#before = available;
    const all = measureRings(rings(), this.limit);
    this.#last = performance.now();
    this.#due = this.#last + PART * (this.#last - now);
    const [largest] = all;
    if (largest === undefined) return null;
    if (sumOf(all) > this.limit)
      return {
        ring: largest.ring,
        reason: `the agent's commands had more than the ${sizeText(this.limit)} of memory that they may`,
      };
    if (!isShort) return null;
    return {
      ring: largest.ring,
      reason: `less than ${sizeText(this.#reserve)} of the machine's memory was free`,
    };
  }
}
