/**
 * Connections, and two of them as one: bytes go both ways at the pace of the slower side, and the end of one direction is
 * passed on as such (RFC 9293 §3.6). Bun's own sockets: its `node:net` ends both directions at once.
 */
import type { Socket, SocketHandler } from "bun";
import { hasSaidAll } from "./descriptor.ts";

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
  readonly #whenClosed: () => void;

  constructor(whenClosed: () => void = () => undefined) {
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
    if (this.#socket === null) this.#close();
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

  /** From now on this is one connection with the other, which was called for it. */
  join(other: Connection): void {
    other.#isCalled = true;
    this.#pair(other);
    other.#pair(this);
    for (const one of [this, other]) one.#start();
  }

  #pair(other: Connection): void {
    this.#peer = other;
    this.#take = (chunk) => (chunk === null ? other.end() : other.write(chunk));
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
    if (!this.#isCalled || this.#closed) return;
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
  }

  /** Who fills this side waits. */
  #hold(): void {
    if (this.#peer !== null) this.#peer.#pause();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    if (!this.#ended) this.#take?.(null);
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
      connection.#close();
    },
    error({ data: connection }) {
      connection.destroy();
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
  let open = 0;
  const socket: SocketHandler<Connection> = {
    ...Connection.handler,
    open(accepted) {
      open++;
      accepted.data = new Connection(() => {
        open--;
      });
      void Connection.handler.open?.(accepted);
      if (open > most) accepted.data.destroy();
      else serve(accepted.data);
    },
  };
  const listener =
    "unix" in where
      ? Bun.listen<Connection>({ unix: where.unix, allowHalfOpen: true, socket })
      : Bun.listen<Connection>({ hostname: "127.0.0.1", ...where, allowHalfOpen: true, socket });
  return {
    stop: (all) => listener.stop(all),
    port: "port" in listener ? listener.port : 0,
    get open() {
      return open;
    },
  };
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
