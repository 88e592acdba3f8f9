/**
 * The few calls of the C library and the kernel by which a filter of system calls gets a listener (seccomp_unotify(2)), and the
 * structures that they take, for x86-64 and arm64 alike.
 */
import { dlopen, ptr } from "bun:ffi";

const library = () =>
  dlopen("libc.so.6", {
    syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    signal: { args: ["i32", "u64"], returns: "u64" },
    execvp: { args: ["ptr", "ptr"], returns: "i32" },
    socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
    sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
    recvmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  }).symbols;

let loaded: ReturnType<typeof library> | undefined;
/** @throws Error where the C library is another one */
export function libc(): ReturnType<typeof library> {
  loaded ??= library();
  return loaded;
}

const SECCOMP: Readonly<Record<string, bigint>> = { x64: 317n, arm64: 277n };
const CLOSE_RANGE = 436n;
const SET_MODE_FILTER = 1n;
const NEW_LISTENER = 8n;
/** Who waits for an answer is disturbed by nothing but its end; of Linux 5.19 and later. */
const WAIT_KILLABLE = 32n;
const CLOSE_ON_EXEC = 4n;
const SIGPIPE = 13;
const SIGXFSZ = 25;

/** What structures point to: nothing else holds it. */
const held: object[] = [];
const address = (bytes: Uint8Array | BigUint64Array): bigint => {
  held.push(bytes);
  return BigInt(ptr(bytes));
};

/** Puts a filter on this thread and all that come from it. @returns its listener's descriptor, or null where there is none */
export function listen(filter: Uint8Array): number | null {
  const number = SECCOMP[process.arch];
  if (number === undefined) return null;
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, filter.length / 8, true);
  program.setBigUint64(8, address(filter), true);
  const at = address(new Uint8Array(program.buffer));
  for (const flags of [NEW_LISTENER | WAIT_KILLABLE, NEW_LISTENER]) {
    const fd = Number(libc().syscall(number, SET_MODE_FILTER, flags, at));
    if (fd >= 0) return fd;
  }
  return null;
}

/** Becomes another program, to which nothing of this one is left but its standard descriptors. Returns where it cannot. */
export function become(words: readonly string[]): void {
  const texts = words.map((word) => Buffer.from(`${word}\0`));
  const list = new BigUint64Array([...texts.map(address), 0n]);
  libc().syscall(CLOSE_RANGE, 3n, 0xffff_ffffn, CLOSE_ON_EXEC);
  // The runtime ignores these, and a program inherits that.
  for (const signal of [SIGPIPE, SIGXFSZ]) libc().signal(signal, 0n);
  const [name] = texts;
  if (name !== undefined) libc().execvp(ptr(name), ptr(list));
}

const UNIX = 1;
const STREAM_CLOSE_ON_EXEC = 1 | 0x80000;

export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  const [one, other] = libc().socketpair(UNIX, STREAM_CLOSE_ON_EXEC, 0, ptr(pair)) === 0 ? pair : [];
  if (one === undefined || other === undefined) throw new Error("no pair of sockets");
  return [one, other];
}

/** struct msghdr with one byte and one descriptor (cmsg(3)). */
function message(descriptor: number) {
  const byte = new Uint8Array(1);
  const vector = new BigUint64Array([address(byte), 1n]);
  const control = new DataView(new ArrayBuffer(24));
  control.setBigUint64(0, 20n, true);
  control.setInt32(8, 1, true); // SOL_SOCKET
  control.setInt32(12, 1, true); // SCM_RIGHTS
  control.setInt32(16, descriptor, true);
  const head = new DataView(new ArrayBuffer(56));
  head.setBigUint64(16, address(vector), true);
  head.setBigUint64(24, 1n, true);
  head.setBigUint64(32, address(new Uint8Array(control.buffer)), true);
  head.setBigUint64(40, 24n, true);
  return { head: new Uint8Array(head.buffer), control };
}

export function sendDescriptor(socket: number, descriptor: number): boolean {
  return Number(libc().sendmsg(socket, ptr(message(descriptor).head), 0)) === 1;
}

/** @returns null where the other side has ended without a word */
export function receiveDescriptor(socket: number): number | null {
  const { head, control } = message(-1);
  const got = Number(libc().recvmsg(socket, ptr(head), 0));
  const descriptor = control.getInt32(16, true);
  return got === 1 && descriptor >= 0 ? descriptor : null;
}

const RECEIVE = 0xc0502100n;
const SEND = 0xc0182101n;
const EPERM = 1;
const POLLIN = 1;
/** An error, no descriptor, or nobody is left who is under the filter. */
const POLLENDED = 8 | 16 | 32;

export interface Notice {
  pid: number;
  number: number;
  /** The second argument's lower half. */
  request: number;
}

export class Listener {
  readonly #poll = new DataView(new ArrayBuffer(8));
  readonly #notice = new DataView(new ArrayBuffer(80));
  readonly #answer = new DataView(new ArrayBuffer(24));

  constructor(private readonly descriptor: number) {
    this.#poll.setInt32(0, descriptor, true);
    this.#poll.setInt16(4, POLLIN, true);
  }

  /** Waits. @returns a call that waits for {@link refuse}, null when there was none for so long, or "ended" */
  next(milliseconds: number): Notice | null | "ended" {
    this.#poll.setInt16(6, 0, true);
    libc().poll(ptr(new Uint8Array(this.#poll.buffer)), 1n, milliseconds);
    const is = this.#poll.getInt16(6, true);
    if ((is & POLLIN) === 0) return (is & POLLENDED) === 0 ? null : "ended";
    const notice = new Uint8Array(this.#notice.buffer);
    // The kernel takes none that is not all zero.
    notice.fill(0);
    // Who asked may have been killed since.
    if (libc().ioctl(this.descriptor, RECEIVE, ptr(notice)) !== 0) return null;
    return {
      pid: this.#notice.getUint32(8, true),
      number: this.#notice.getInt32(16, true),
      request: this.#notice.getUint32(40, true),
    };
  }

  /** Answers what {@link next} has given last. @returns whether it waited until then */
  refuse(): boolean {
    this.#answer.setBigUint64(0, this.#notice.getBigUint64(0, true), true);
    this.#answer.setBigInt64(8, 0n, true);
    this.#answer.setInt32(16, -EPERM, true);
    this.#answer.setUint32(20, 0, true);
    return libc().ioctl(this.descriptor, SEND, ptr(new Uint8Array(this.#answer.buffer))) === 0;
  }
}
