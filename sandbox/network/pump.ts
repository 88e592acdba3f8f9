/**
 * Where big transfers go: a thread beside this one (pump-thread.ts), to which both sockets of a connection are handed over. It
 * reads into one piece of memory again and again, where Bun makes a new one for each piece (1.3.14), which costs more than the copying.
 */
import { dlopen, ptr } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { copyOf, cut } from "./descriptor.ts";

/** An order: its kind, the pair's number, and for a new one the descriptors of who called and who was called. */
export const ADD = 1;
const CUT = 2;
export const ORDER_WORDS = 4;

export interface PumpData {
  /** Read end of the pipe. */
  orders: number;
}

/** pipe2(2). */
const [O_NONBLOCK, O_CLOEXEC] = [0o4000, 0o2000000];

/** @returns both ends of a pipe; throws where there is none to be had */
function pipe(): { read: number; write: number } {
  const ends = new Int32Array(2);
  const { pipe2 } = dlopen("libc.so.6", { pipe2: { args: ["ptr", "i32"], returns: "i32" } }).symbols;
  const [read = -1, write = -1] = pipe2(ptr(ends), O_NONBLOCK | O_CLOEXEC) === 0 ? ends : [];
  if (read < 0 || write < 0) throw new Error("no pipe was to be had");
  return { read, write };
}

export class Pump {
  readonly #orders: number;
  readonly #pairs = new Map<number, { descriptors: readonly [number, number]; closed: () => void }>();
  #next = 1;
  #failed = false;

  constructor() {
    const { read, write } = pipe();
    this.#orders = write;
    const workerData: PumpData = { orders: read };
    const thread = new Worker(new URL("./pump-thread.ts", import.meta.url), { workerData });
    thread.unref();
    thread.on("message", (number: number) => {
      this.#pairs.get(number)?.closed();
      this.#pairs.delete(number);
    });
    thread.on("error", () => this.#fail());
    thread.on("exit", () => this.#fail());
  }

  get failed(): boolean {
    return this.#failed;
  }

  /**
   * Takes two sockets, the caller's first, and closes them in the end.
   * @param closed told when it is done, never at once
   * @returns breaks it off
   */
  take(descriptors: readonly [number, number], closed: () => void): () => void {
    const number = this.#next++;
    this.#pairs.set(number, { descriptors, closed });
    if (!this.#order(ADD, number, ...descriptors)) queueMicrotask(() => this.#drop(number));
    return () => this.#cut(number);
  }

  /** Of what the thread does not have. */
  #drop(number: number): void {
    const pair = this.#pairs.get(number);
    if (pair === undefined) return;
    this.#pairs.delete(number);
    for (const descriptor of pair.descriptors) cut(descriptor);
    pair.closed();
  }

  #cut(number: number): void {
    if (this.#pairs.has(number) && !this.#order(CUT, number)) setTimeout(() => this.#cut(number), 10);
  }

  #order(...words: number[]): boolean {
    if (this.#failed) return false;
    const order = new Int32Array(ORDER_WORDS);
    order.set(words);
    try {
      // Whole or not at all: it is smaller than PIPE_BUF.
      return writeSync(this.#orders, new Uint8Array(order.buffer)) > 0;
    } catch {
      return false;
    }
  }

  /** Without its thread nothing moves any more: what it had breaks off. */
  #fail(): void {
    this.#failed = true;
    for (const number of [...this.#pairs.keys()]) this.#drop(number);
  }
}

let shared: Pump | null | undefined;

/** The one of this process, made when it is first needed, or null where this system has none. */
export function pump(): Pump | null {
  if (shared === undefined)
    try {
      shared = new Pump();
    } catch {
      shared = null;
    }
  return shared?.failed === true ? null : (shared ?? null);
}

/** @returns copies of two sockets, or null where there are none to be had */
export function copies(one: number | null, other: number | null): readonly [number, number] | null {
  const [first, second] = [copyOf(one), copyOf(other)];
  if (first !== null && second !== null) return [first, second];
  for (const made of [first, second]) if (made !== null) closeSync(made);
  return null;
}
