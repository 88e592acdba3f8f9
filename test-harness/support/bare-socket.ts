/** Sockets by their descriptors: what the kernel says of them is what a test hears, and no runtime's reading of it. */
import { closeSync, readSync, writeSync } from "node:fs";
import { copyOf, cut, livesOn, shut } from "../../sandbox/network/descriptor.ts";

interface Bare {
  fd?: number;
  pause(): void;
  terminate(): void;
}

/** Takes a socket out of Bun's hands. */
function taken(socket: Bare): number {
  socket.pause();
  const descriptor = copyOf(socket.fd ?? null);
  socket.terminate();
  if (descriptor === null) throw new Error("this system has no descriptors to copy");
  livesOn(descriptor);
  return descriptor;
}

/** Listens on a port of loopback. @param accepted told each connection's descriptor */
export function listenBare(accepted: (descriptor: number) => void): { port: number; stop(): void } {
  const socket = { open: (one: Bare) => accepted(taken(one)), data: () => undefined };
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, allowHalfOpen: true, socket });
  return { port: listener.port, stop: () => listener.stop(true) };
}

export async function connectBare(port: number): Promise<number> {
  const made = Promise.withResolvers<number>();
  const socket = { open: (one: Bare) => made.resolve(taken(one)), data: () => undefined };
  await Bun.connect({ hostname: "127.0.0.1", port, allowHalfOpen: true, socket });
  return made.promise;
}

export interface Plan {
  bytes: number;
  /** Written and read at once. */
  piece: number;
  /** Milliseconds in which it neither says nor hears anything, at a third and at two thirds. */
  rest: number;
  /** What it does when it has said all: ends its direction, is gone altogether a while later, or breaks off. */
  end: "ends" | "goes" | "breaks off";
}

export interface Heard {
  bytes: number;
  /** They are the first bytes of what the other one says. */
  isTrue: boolean;
  how: "end" | "ECONNRESET" | "EPIPE" | "nothing";
}

const PERIOD = 65_521;
const MOST_PIECE = 262_144;
/** Any piece of it tells where it is from. */
const text = Buffer.from(
  Uint8Array.from({ length: PERIOD + MOST_PIECE }, (_, at) => Math.imul(at % PERIOD, 2_654_435_761) >>> 24),
);
const pieceAt = (at: number, length: number) => text.subarray(at % PERIOD, (at % PERIOD) + length);
const GONE_MS = 50;

/** Says and hears what a plan says. @returns what it heard */
export async function fare(descriptor: number, { bytes, piece, rest, end }: Plan): Promise<Heard> {
  const heard: Heard = { bytes: 0, isTrue: true, how: "nothing" };
  const into = Buffer.alloc(MOST_PIECE);
  let [said, rests, isDone] = [0, 0, false];
  const tried = (act: () => void): boolean => {
    try {
      act();
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ECONNRESET" || code === "EPIPE") heard.how = code;
      else if (code !== "EAGAIN") throw error;
      return false;
    }
  };
  const hear = () => {
    const length = readSync(descriptor, into, 0, piece, null);
    if (length === 0) heard.how = "end";
    if (!into.subarray(0, length).equals(pieceAt(heard.bytes, length))) heard.isTrue = false;
    heard.bytes += length;
  };
  const say = () => {
    if (said < bytes) said += writeSync(descriptor, pieceAt(said, Math.min(piece, bytes - said)));
  };
  for (;;) {
    while (heard.how === "nothing" && tried(hear));
    while (said < bytes && heard.how !== "ECONNRESET" && heard.how !== "EPIPE" && tried(say));
    if (rest > 0 && rests < 2 && said > ((rests + 1) * bytes) / 3) {
      rests++;
      await Bun.sleep(rest);
    }
    const isBroken = heard.how === "ECONNRESET" || heard.how === "EPIPE";
    if (said === bytes && !isDone && !isBroken) {
      isDone = true;
      if (end === "breaks off") break;
      shut(descriptor);
      if (end === "goes") {
        await Bun.sleep(GONE_MS);
        break;
      }
    }
    if (isBroken || (isDone && heard.how !== "nothing")) break;
    await Bun.sleep(1);
  }
  if (end === "ends") closeSync(descriptor);
  else cut(descriptor);
  return heard;
}
