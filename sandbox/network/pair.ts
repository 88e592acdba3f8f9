/**
 * Two sockets as one connection, by their descriptors: bytes go both ways at the pace of the slower side, the end of one
 * direction is passed on as such, and what breaks off on one side breaks off on the other. Knows no clock and waits for
 * nothing: it is told what the kernel says, and moves what there is to move.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { cut, shut } from "./descriptor.ts";

/** Who was called and has said all is let go, once nobody has told it more for so long. */
const LET_GO_MS = 1000;
/** Nobody is there for what one side still sends; it is thrown away for so long, lest the kernel take our last words back. */
const LINGER_MS = 2000;
/** Read at once. More is slower, since it leaves the processor's cache. */
const PIECE_BYTES = 256 * 1024;
/** Pieces of one direction before another connection has its turn. */
const TURN = 16;

const piece = new Uint8Array(PIECE_BYTES);

class Side {
  canRead = true;
  /** It is about to end, or has said something urgent: what it has said is read until the kernel says that there is no more. */
  isLast = false;
  canWrite = true;
  /** It has said all, and all of that was read. */
  ended = false;
  /** It was told that nothing more comes. */
  shut = false;
  /** It takes nothing any more. */
  deaf = false;
  /** It broke: what the kernel still has of it, and why, is read though nobody takes it yet. */
  broken = false;
  /** Still to be written to it. */
  pending: Uint8Array[] = [];

  constructor(readonly descriptor: number) {}

  get hasAll(): boolean {
    return this.shut || this.deaf;
  }
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? "";

export class Pair {
  readonly #caller: Side;
  readonly #called: Side;
  #closed = false;
  /** Since when the called side was told nothing, or nobody is there for one side's words. */
  #since: number | null = null;

  /** @param called the one that was called for the other */
  constructor(caller: number, called: number) {
    this.#caller = new Side(caller);
    this.#called = new Side(called);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get descriptors(): readonly [number, number] {
    return [this.#caller.descriptor, this.#called.descriptor];
  }

  /** It only waits for a time to pass. */
  get isEnding(): boolean {
    return this.#since !== null;
  }

  /** The kernel has said that something about a descriptor has changed. */
  woken(
    descriptor: number,
    what: { readable: boolean; writable: boolean; last: boolean; broken: boolean },
  ): void {
    const side = descriptor === this.#caller.descriptor ? this.#caller : this.#called;
    side.canRead ||= what.readable;
    side.canWrite ||= what.writable;
    side.isLast ||= what.last;
    side.broken ||= what.broken;
  }

  /** @returns whether there is more to move at once */
  move(now: number): boolean {
    if (this.#closed) return false;
    const told = this.#carry(this.#caller, this.#called);
    const answered = this.#closed ? false : this.#carry(this.#called, this.#caller);
    this.look(now, told.bytes > 0);
    return !this.#closed && (told.more || (answered !== false && answered.more));
  }

  /** Closes it when both have said all, and when nobody is left to listen. */
  look(now: number, isToldMore = false): void {
    const [caller, called] = [this.#caller, this.#called];
    if (this.#closed) return;
    if (caller.ended && called.ended && caller.hasAll && called.hasAll) {
      this.#close();
      return;
    }
    const isUnheard = [[caller, called] as const, [called, caller] as const].some(
      ([one, other]) => one.ended && one.deaf && other.hasAll,
    );
    const isDone = called.ended && caller.hasAll;
    if (!isUnheard && !isDone) this.#since = null;
    else if (this.#since === null || (isToldMore && !isUnheard)) this.#since = now;
    else if (isUnheard && now - this.#since >= LINGER_MS) this.#close();
    else if (!isUnheard && now - this.#since >= LET_GO_MS) {
      shut(called.descriptor);
      called.deaf = true;
      this.#since = now;
    }
  }

  /** Breaks off on both sides. */
  cut(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const descriptor of this.descriptors) cut(descriptor);
  }

  #close(): void {
    this.#closed = true;
    for (const descriptor of this.descriptors) closeSync(descriptor);
  }

  #carry(from: Side, to: Side): { more: boolean; bytes: number } {
    let bytes = 0;
    for (let turn = 0; turn < TURN; turn++) {
      this.#flush(to);
      if (this.#closed) return { more: false, bytes };
      if (from.ended || !from.canRead || (to.pending.length > 0 && !from.broken)) {
        this.#pass(from, to);
        return { more: false, bytes };
      }
      const length = this.#read(from);
      if (length > 0) {
        if (!to.deaf) bytes += length;
        this.#write(to, piece.subarray(0, length));
      }
      if (this.#closed) return { more: false, bytes };
    }
    return { more: true, bytes };
  }

  /** The end of one direction, as soon as all before it is on its way. */
  #pass(from: Side, to: Side): void {
    if (!from.ended || to.hasAll || to.pending.length > 0) return;
    shut(to.descriptor);
    to.shut = true;
  }

  #read(from: Side): number {
    try {
      const length = readSync(from.descriptor, piece);
      if (length === 0) from.ended = true;
      // That was all, or the kernel tells us again (epoll(7)); it would not of an end that it has told already.
      else if (length < piece.length && !from.isLast) from.canRead = false;
      return length;
    } catch (error) {
      // Cut off, not ended: a transfer that broke off must not look like one that is complete.
      if (codeOf(error) === "EAGAIN") from.canRead = false;
      else this.cut();
      return 0;
    }
  }

  #flush(to: Side): void {
    while (to.canWrite && !this.#closed) {
      const [first] = to.pending;
      if (first === undefined) return;
      to.pending.shift();
      this.#write(to, first, true);
    }
  }

  /** Writes what it takes; the rest waits. */
  #write(to: Side, bytes: Uint8Array, isFirst = false): void {
    if (to.deaf) return;
    let written = 0;
    if (to.canWrite && (isFirst || to.pending.length === 0)) {
      try {
        written = writeSync(to.descriptor, bytes);
      } catch (error) {
        const code = codeOf(error);
        if (code === "EPIPE") {
          // It had said all before it went (tcp_reset in Linux): what it said arrives.
          to.deaf = true;
          to.pending = [];
          return;
        }
        if (code !== "EAGAIN") {
          this.cut();
          return;
        }
      }
      to.canWrite = written === bytes.length;
    }
    if (written === bytes.length) return;
    const rest = isFirst ? bytes.subarray(written) : bytes.slice(written);
    if (isFirst) to.pending.unshift(rest);
    else to.pending.push(rest);
  }
}
