/**
 * A thread of its own that moves what goes through pairs of sockets. It waits in the kernel for all of them at once, and for
 * its orders, which come through a pipe; each pair that has ended is named in a message.
 */
import { dlopen, ptr } from "bun:ffi";
import { readSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { Pair } from "./pair.ts";
import { ADD, ORDER_WORDS, type PumpData } from "./pump.ts";

/** epoll(7). */
const EPOLL_CTL_ADD = 1;
const [IN, PRI, OUT, ERR, HUP, RDHUP, EDGE] = [0x1, 0x2, 0x4, 0x8, 0x10, 0x2000, 0x80000000] as const;
/** struct epoll_event is packed on x86-64 alone: bits, and a word of 64 bits for whose they are. */
const [EVENT_BYTES, DATA_AT] = process.arch === "x64" ? [12, 4] : [16, 8];
const MOST_EVENTS = 64;
const LOOK_MS = 250;

const { epoll_create1, epoll_ctl, epoll_wait } = dlopen("libc.so.6", {
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
}).symbols;

const { orders } = workerData as PumpData;
const kernel = epoll_create1(0);
const pairs = new Map<number, Pair>();
/** Their numbers, by descriptor. */
const watched = new Map<number, number>();
/** More of them is to be moved at once. */
const busy = new Set<number>();
/** They wait for a time to pass. */
const ending = new Set<number>();

/** Each change is told once: what the kernel would go on saying wakes nobody again. */
function watch(descriptor: number): boolean {
  const event = new DataView(new ArrayBuffer(EVENT_BYTES));
  event.setUint32(0, (IN | PRI | OUT | RDHUP | EDGE) >>> 0, true);
  event.setUint32(DATA_AT, descriptor, true);
  return epoll_ctl(kernel, EPOLL_CTL_ADD, descriptor, ptr(event.buffer)) === 0;
}

function add(number: number, caller: number, called: number): void {
  const pair = new Pair(caller, called);
  pairs.set(number, pair);
  for (const descriptor of pair.descriptors) {
    watched.set(descriptor, number);
    if (!watch(descriptor)) pair.cut();
  }
  move(number, pair);
}

function move(number: number, pair: Pair): void {
  if (pair.move(performance.now())) busy.add(number);
  else busy.delete(number);
  settle(number, pair);
}

function settle(number: number, pair: Pair): void {
  if (pair.isEnding && !pair.closed) ending.add(number);
  else ending.delete(number);
  if (!pair.closed) return;
  busy.delete(number);
  pairs.delete(number);
  for (const descriptor of pair.descriptors) watched.delete(descriptor);
  postMessage(number);
}

const words = new Int32Array(ORDER_WORDS * 128);
const bytes = new Uint8Array(words.buffer);

function obey(): void {
  const length = readSync(orders, bytes);
  for (let at = 0; at < length / words.BYTES_PER_ELEMENT; at += ORDER_WORDS) {
    const [kind, number = 0, caller = 0, called = 0] = words.subarray(at, at + ORDER_WORDS);
    const pair = pairs.get(number);
    if (kind === ADD) add(number, caller, called);
    else if (pair !== undefined) {
      pair.cut();
      settle(number, pair);
    }
  }
}

function wake(descriptor: number, bits: number): void {
  const number = watched.get(descriptor);
  const pair = number === undefined ? undefined : pairs.get(number);
  if (number === undefined || pair === undefined) return;
  pair.woken(descriptor, {
    readable: (bits & (IN | PRI | RDHUP | HUP | ERR)) !== 0,
    last: (bits & (PRI | RDHUP | HUP | ERR)) !== 0,
    writable: (bits & (OUT | HUP | ERR)) !== 0,
    broken: (bits & ERR) !== 0,
  });
  move(number, pair);
}

const events = new DataView(new ArrayBuffer(MOST_EVENTS * EVENT_BYTES));
const where = ptr(events.buffer);

watch(orders);
for (;;) {
  const wait = busy.size > 0 ? 0 : ending.size > 0 ? LOOK_MS : -1;
  const found = epoll_wait(kernel, where, MOST_EVENTS, wait);
  let isOrdered = false;
  for (let at = 0; at < found * EVENT_BYTES; at += EVENT_BYTES) {
    const descriptor = events.getUint32(at + DATA_AT, true);
    if (descriptor === orders) isOrdered = true;
    else wake(descriptor, events.getUint32(at, true));
  }
  for (const number of busy) {
    const pair = pairs.get(number);
    if (pair !== undefined) move(number, pair);
  }
  for (const number of ending) {
    const pair = pairs.get(number);
    pair?.look(performance.now());
    if (pair !== undefined) settle(number, pair);
  }
  // Last: what was closed above may have its number again by now.
  if (isOrdered) obey();
}
