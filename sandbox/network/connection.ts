/**
 * Connections, and two of them as one: bytes go both ways at the pace of the slower side, and the end of one direction is
 * passed on as such (RFC 9293 §3.6). Bun's own sockets: its `node:net` ends both directions at once.
 */
import type { Socket, SocketHandler } from "bun";
import { copyOf, hasSaidAll, livesOn } from "./descriptor.ts";
import { copies, type Pump } from "./pump.ts";

const LINGER_MS = 2000;
/** How often a connection that is not read from is looked at. */
const LOOK_MS = 100;
const LET_GO_MS = 1000;

type Take = (bytes: Uint8Array | null) => void;

export class Connection {
  #socket: Socket<Connection> | null = null;
  /** Came and was not asked for yet. */
  #early: Uint8Array[] = [];
  /** Waits for room. */
  #pending: Uint8Array[] = [];
  #take: Take | null = null;
  #peer: Connection | null = null;
  /** The other side has said all. */
  #ended = false;
  /** We have said all, or will have once nothing is pending. */
  #ending = false;
  #closed = false;
  #paused = false;
  /** All that is left to come is with the kernel already, and is read without waiting. */
  #draining = false;
  #looking: ReturnType<typeof setTimeout> | null = null;
  /** It is the one that was called, and something was written to it since it has said all. */
  #isCalled = false;
  #isToldMore = false;
  /** What is to move what comes and goes, and has it not yet. */
  #mover: Pump | null = null;
  #isMoved = false;
  /** Breaks off what is moved elsewhere. */
  #cut: (() => void) | null = null;
  readonly #whenClosed: () => unknown;

  constructor(whenClosed: () => unknown = () => undefined) {
    this.#whenClosed = whenClosed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The socket's number in this process, or null where it has none (any more). */
  get descriptor(): number | null {
    const { fd } = (this.#socket ?? {}) as { fd?: unknown };
    return typeof fd === "number" ? fd : null;
  }

  /**
   * Reads until `parse` has found something; what is left over stays in front.
   * @returns null at the end, after `ms`, at nonsense, and when `most` bytes were not enough
   */
  read<T>(
    parse: (bytes: Buffer) => "more" | "wrong" | { value: T; length: number },
    { most, ms }: { most: number; ms: number },
  ): Promise<T | null> {
    return new Promise((resolve) => {
      let bytes = Buffer.concat(this.#early);
      this.#early = [];
      const done = (value: T | null, rest: Buffer) => {
        clearTimeout(timer);
        this.#take = null;
        this.#pause();
        if (rest.length > 0) this.#early = [rest];
        resolve(value);
      };
      const look = () => {
        const read = bytes.length === 0 ? "more" : parse(bytes);
        if (read === "wrong" || (read === "more" && bytes.length > most)) done(null, bytes);
        else if (read !== "more") done(read.value, bytes.subarray(read.length));
        else if (this.#ended || this.#closed) done(null, bytes);
      };
      const timer = setTimeout(() => done(null, bytes), ms);
      this.#take = (chunk) => {
        if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
        look();
      };
      look();
      if (this.#take !== null) this.#resume();
    });
  }

  write(bytes: Uint8Array | string): void {
    const chunk = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    if (this.#closed || this.#socket === null || chunk.length === 0) return;
    this.#isToldMore = true;
    if (this.#pending.length > 0) {
      this.#pending.push(chunk);
      return;
    }
    const written = this.#socket.write(chunk);
    if (written < chunk.length) {
      this.#pending.push(chunk.subarray(Math.max(written, 0)));
      this.#hold();
    }
  }

  /** Nothing more will be said. */
  end(last: Uint8Array | string = ""): void {
    this.write(last);
    this.#ending = true;
    if (this.#pending.length === 0) this.#shut();
  }

  destroy(): void {
    if (this.#closed) return;
    if (this.#cut !== null) this.#cut();
    else if (this.#socket === null) this.#close();
    else this.#socket.terminate();
  }

  /**
   * Bun is woken again and again for a socket that is not read from and whose other side has said all (1.3.14). What is left
   * is no more than a buffer of the kernel's: it is read.
   */
  #pause(): void {
    if (this.#draining) return;
    this.#paused = true;
    this.#socket?.pause();
    this.#looking ??= setTimeout(() => {
      this.#looking = null;
      if (!this.#paused || this.#closed || this.#ended) return;
      this.#draining = hasSaidAll(this.descriptor);
      if (this.#draining) this.#resume();
      else this.#pause();
    }, LOOK_MS);
    this.#looking.unref();
  }

  #resume(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  /**
   * From now on this is one connection with the other, which was called for it.
   * @param mover moves it; without one Bun does (1.3.14), which is a bit faster for small talk and slower for all else. It closes
   * a socket at times when its other side has said all, though it is still told something; and where a write has failed it
   * takes a connection that broke off for one that ended
   */
  join(other: Connection, mover: Pump | null = null): void {
    other.#isCalled = true;
    this.#mover = mover;
    other.#mover = mover;
    this.#pair(other);
    other.#pair(this);
    for (const one of [this, other]) one.#start();
    this.#handOver();
  }

  #pair(other: Connection): void {
    this.#peer = other;
    this.#take = (chunk) => (chunk === null ? other.end() : other.write(chunk));
  }

  /**
   * From here on another thread has it, from where the kernel has it: not while anything of it is here. An end that was read
   * or passed on is so once more.
   */
  #handOver(): void {
    const [mover, other] = [this.#mover, this.#peer];
    if (mover === null || other === null || !this.#isPlain || !other.#isPlain) return;
    const [caller, called] = this.#isCalled ? [other, this] : [this, other];
    const descriptors = copies(caller.descriptor, called.descriptor);
    if (descriptors === null) return;
    const both = [caller, called];
    for (const one of both) one.#leaveSocket();
    for (const descriptor of descriptors) livesOn(descriptor);
    const cut = mover.take(descriptors, () => {
      for (const one of both) one.#close();
    });
    for (const one of both) one.#cut = cut;
  }

  /**
   * Takes the socket away from here, with all that came.
   * @returns its descriptor, or null where it has none or something of it is here
   */
  release(): number | null {
    const isHere = this.#early.length > 0 || this.#pending.length > 0 || this.#ended;
    const descriptor = isHere || this.#closed ? null : copyOf(this.descriptor);
    if (descriptor === null) return null;
    this.#leaveSocket();
    livesOn(descriptor);
    this.#close();
    return descriptor;
  }

  /** All of it is with the kernel. */
  get #isPlain(): boolean {
    const isOpen = this.#socket !== null && this.#peer !== null && !this.#closed;
    return isOpen && this.#pending.length === 0 && this.#early.length === 0;
  }

  /** Bun lets go of the socket, of which there is a copy. */
  #leaveSocket(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#peer = null;
    this.#take = null;
    this.#mover = null;
    this.#paused = false;
    this.#isMoved = true;
    socket?.terminate();
  }

  #start(): void {
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.#take?.(chunk);
    if (this.#ended) this.#take?.(null);
    if (this.#closed) this.#peer?.destroy();
    else if (this.#peer !== null && this.#peer.#pending.length === 0) this.#resume();
    if (this.#ended) this.#letGo();
  }

  /**
   * The same wakes it for a socket that has been read to its end. Who was called and has said all is let go, once nobody has
   * told it more for a while; a caller still gets its answer.
   */
  #letGo(): void {
    if (!this.#isCalled || this.#closed || this.#isMoved) return;
    this.#isToldMore = false;
    setTimeout(() => {
      if (this.#isToldMore || this.#pending.length > 0) this.#letGo();
      else if (!this.#closed) this.#socket?.end();
    }, LET_GO_MS).unref();
  }

  #shut(): void {
    if (this.#ended) {
      this.#socket?.end();
      return;
    }
    this.#socket?.shutdown();
    if (this.#peer === null) this.#linger();
  }

  /**
   * Nobody is there for what it still sends, which is thrown away for a while: closed at once, the kernel would take our last
   * words back (RFC 9112 §9.6).
   */
  #linger(): void {
    this.#take = () => undefined;
    this.#resume();
    setTimeout(() => this.#socket?.end(), LINGER_MS).unref();
  }

  #flush(): void {
    for (let chunk = this.#pending[0]; chunk !== undefined; chunk = this.#pending[0]) {
      const written = Math.max(this.#socket?.write(chunk) ?? 0, 0);
      if (written < chunk.length) {
        this.#pending[0] = chunk.subarray(written);
        return;
      }
      this.#pending.shift();
    }
    if (this.#ending) this.#shut();
    else if (this.#peer !== null) this.#peer.#resume();
    this.#handOver();
  }

  /** Who fills this side waits. */
  #hold(): void {
    if (this.#peer !== null) this.#peer.#pause();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    // Told to a peer, it would be an end.
    if (!this.#ended && this.#peer === null) this.#take?.(null);
    this.#leave();
    this.#whenClosed();
  }

  /** What becomes of the other one when this is closed. */
  #leave(): void {
    const peer = this.#peer;
    if (peer === null || peer.#closed) return;
    // Cut off, not ended: a transfer that broke off must not look like one that is complete.
    if (!this.#ended) {
      peer.destroy();
      return;
    }
    // Ended, and closed with it: Bun does that at times (1.3.14). What came is on its way, and arrives.
    peer.#peer = null;
    if (peer.#pending.length === 0) peer.#linger();
  }

  /** For sockets whose `data` is their connection. */
  static readonly handler: SocketHandler<Connection> = {
    open(socket) {
      socket.data.#socket = socket;
      socket.data.#pause();
      socket.setNoDelay(true);
    },
    data({ data: connection }, chunk) {
      if (connection.#take === null) connection.#early.push(chunk);
      else connection.#take(chunk);
    },
    drain({ data: connection }) {
      connection.#flush();
    },
    end({ data: connection }) {
      connection.#ended = true;
      connection.#paused = false;
      connection.#take?.(null);
      connection.#letGo();
      // Both directions have ended.
      if (connection.#ending && connection.#pending.length === 0) connection.#socket?.end();
    },
    close({ data: connection }) {
      if (!connection.#isMoved) connection.#close();
    },
    error({ data: connection }) {
      if (!connection.#isMoved) connection.destroy();
    },
  };
}

export interface Listener {
  stop(closeActiveConnections?: boolean): void;
  readonly port: number;
  /** Connections that are open now. */
  readonly open: number;
}

/** @param where a port of loopback or of an address that is named, or the path of a Unix socket. @param most connections at once; the next one is closed unheard */
export function listen(
  where: { hostname?: string; port: number } | { unix: string },
  serve: (connection: Connection) => void,
  most: number,
): Listener {
  const open = new Set<Connection>();
  const socket: SocketHandler<Connection> = {
    ...Connection.handler,
    open(accepted) {
      const connection: Connection = new Connection(() => open.delete(connection));
      open.add(connection);
      accepted.data = connection;
      void Connection.handler.open?.(accepted);
      if (open.size > most) connection.destroy();
      else serve(connection);
    },
  };
  const listener =
    "unix" in where
      ? Bun.listen<Connection>({ unix: where.unix, allowHalfOpen: true, socket })
      : Bun.listen<Connection>({ hostname: "127.0.0.1", ...where, allowHalfOpen: true, socket });
  return {
    stop(all) {
      listener.stop(all);
      if (all === true) for (const connection of open) connection.destroy();
    },
    port: "port" in listener ? listener.port : 0,
    get open() {
      return open.size;
    },
  };
}

/** Makes a socket that came from elsewhere the connection's. @returns whether it is; it is closed otherwise */
export async function adopt(connection: Connection, descriptor: number): Promise<boolean> {
  const options = { fd: descriptor, allowHalfOpen: true, data: connection, socket: Connection.handler };
  try {
    // Bun takes a descriptor, and its types do not say so (1.3.14).
    await Bun.connect<Connection>(options as unknown as Parameters<typeof Bun.connect<Connection>>[0]);
  } catch {
    connection.destroy();
  }
  return !connection.closed;
}

/** @returns the connection, or why there is none */
export async function dial(
  where: { hostname: string; port: number } | { unix: string },
  ms: number,
): Promise<Connection | string> {
  const connection = new Connection();
  const options = { allowHalfOpen: true, data: connection, socket: Connection.handler };
  const made = (
    "unix" in where
      ? Bun.connect<Connection>({ ...options, unix: where.unix })
      : Bun.connect<Connection>({ ...options, hostname: where.hostname, port: where.port })
  ).then(
    () => connection,
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("it did not answer in time"), ms);
  });
  const first = await Promise.race([made, late]);
  clearTimeout(timer);
  // Whatever comes of it later is not wanted any more.
  if (typeof first === "string") void made.then(() => connection.destroy());
  return first;
}
