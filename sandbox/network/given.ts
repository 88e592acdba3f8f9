/**
 * Connections that another process has accepted and gives away (unix(7), SCM_RIGHTS): a socket belongs to the network in which
 * it was made, so that one that was accepted where there is no way out is served by who has one, with nobody in between.
 */
import { dlopen, ptr } from "bun:ffi";
import { closeSync, existsSync } from "node:fs";
import { adopt, Connection, type Listener } from "./connection.ts";
import { copyOf, isTcp, neverWait } from "./descriptor.ts";

/** After the name of a Unix socket: where it takes connections that are given. */
export const GIVEN = ".given";

const [AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 1, 0o4000, 0o2000000] as const;
const [SOL_SOCKET, SCM_RIGHTS] = [1, 1] as const;
const [MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC] = [0x40, 0x4000, 0x40000000] as const;
/** struct cmsghdr on 64 bits, and one descriptor: the kernel closes what finds no room. */
const CONTROL_BYTES = 20;
/** struct sockaddr_un: the path has room for so much, and a NUL. */
const MOST_PATH = 107;
/** It is sent with the very connection. */
const GIVE_MS = 1000;
const LOOK_MS = 1;

function load() {
  // The layouts are those of 64 bits.
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return null;
  try {
    return dlopen("libc.so.6", {
      socket: { args: ["i32", "i32", "i32"], returns: "i32" },
      connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
      sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
      recvmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
    }).symbols;
  } catch {
    return null;
  }
}
let loaded: ReturnType<typeof load> | undefined;
function library() {
  if (loaded === undefined) loaded = load();
  return loaded;
}

/** A message of one byte, with room for one descriptor beside it. */
class Message {
  readonly #byte = new Uint8Array(1);
  readonly #piece = new BigUint64Array(2);
  readonly control = new DataView(new ArrayBuffer(CONTROL_BYTES));
  /** struct msghdr: name and its length, pieces and how many, control and its length, flags. */
  readonly head = new BigUint64Array(7);

  constructor() {
    this.#piece.set([BigInt(ptr(this.#byte)), 1n]);
    this.head[2] = BigInt(ptr(this.#piece));
    this.head[3] = 1n;
    this.head[4] = BigInt(ptr(this.control.buffer));
    this.head[5] = BigInt(CONTROL_BYTES);
  }
}

/** @returns whether connections are taken at a Unix socket's name, as far as can be seen */
export const takesGiven = (path: string): boolean => library() !== null && existsSync(path + GIVEN);

/**
 * Gives a connection away, and keeps nothing of it.
 * @param path of a Unix socket
 * @returns false where it is not taken now: it is still the caller's then
 */
export function give(path: string, descriptor: number): boolean {
  const libc = library();
  const name = Buffer.from(path + GIVEN);
  if (libc === null || name.length > MOST_PATH) return false;
  const address = Buffer.alloc(2 + MOST_PATH + 1);
  address.writeUInt16LE(AF_UNIX);
  name.copy(address, 2);
  const message = new Message();
  message.control.setUint32(0, CONTROL_BYTES, true);
  message.control.setUint32(8, SOL_SOCKET, true);
  message.control.setUint32(12, SCM_RIGHTS, true);
  message.control.setInt32(16, descriptor, true);
  const socket = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const [head, to] = [ptr(message.head), ptr(address)];
  const isGiven =
    libc.connect(socket, to, address.length) === 0 &&
    Number(libc.sendmsg(socket, head, MSG_DONTWAIT | MSG_NOSIGNAL)) === 1;
  closeSync(socket);
  if (isGiven) closeSync(descriptor);
  return isGiven;
}

/** @returns the descriptor that was sent, null where none was (yet), or that none will be */
function taken(socket: number): number | "nothing yet" | null {
  const libc = library();
  if (libc === null) return null;
  const message = new Message();
  const length = Number(libc.recvmsg(socket, ptr(message.head), MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length < 0) return "nothing yet";
  const { control } = message;
  const isOne = control.getUint32(0, true) === CONTROL_BYTES;
  if (!isOne || control.getUint32(8, true) !== SOL_SOCKET || control.getUint32(12, true) !== SCM_RIGHTS)
    return null;
  const descriptor = control.getInt32(16, true);
  if (isTcp(descriptor)) {
    neverWait(descriptor);
    return descriptor;
  }
  closeSync(descriptor);
  return null;
}

/**
 * Takes connections of TCP that are given at a Unix socket's name and {@link GIVEN}.
 * @param most connections at once; the next one is closed unheard
 * @returns null where this system has no way to
 */
export function listenGiven(
  path: string,
  serve: (connection: Connection) => void,
  most: number,
): Pick<Listener, "stop" | "open"> | null {
  if (library() === null) return null;
  const open = new Set<Connection>();
  const begin = async (descriptor: number) => {
    const connection: Connection = new Connection(() => open.delete(connection));
    if (open.size >= most) return closeSync(descriptor);
    open.add(connection);
    if (await adopt(connection, descriptor)) serve(connection);
  };
  const listener = Bun.listen<undefined>({
    unix: path + GIVEN,
    socket: {
      open(socket) {
        socket.pause();
        // Bun closes it when its other side is gone, which it is as soon as it has given.
        const own = copyOf((socket as unknown as { fd?: number }).fd ?? null);
        socket.terminate();
        const until = performance.now() + GIVE_MS;
        const look = () => {
          if (own === null) return;
          const found = taken(own);
          if (found === "nothing yet" && performance.now() < until) return void setTimeout(look, LOOK_MS);
          closeSync(own);
          if (typeof found === "number") void begin(found);
        };
        look();
      },
      data: () => undefined,
    },
  });
  return {
    stop(all) {
      listener.stop(true);
      if (all === true) for (const connection of open) connection.destroy();
    },
    get open() {
      return open.size;
    },
  };
}
