/**
 * The WebSocket door: opening, messages, sending with bounds, stalls, closing. What a command means is in
 * `socket-commands.ts`; which event a socket gets next is in `feed.ts`.
 */
import type { WebSocketHandler } from "bun";
import { ReviewError } from "../../protocol/errors.ts";
import type { Context } from "../context.ts";
import type { Identity } from "../tokens/tokens.ts";
import { CLOSE } from "./close-codes.ts";
import { type Socket, SocketClient, type SocketOwner } from "./socket-client.ts";
import { failed, runCommand } from "./socket-commands.ts";
import { Stalls } from "./stalls.ts";

/** Commands refused for their number before the socket is closed. */
const MOST_REFUSALS = 1000;

export class Sockets {
  readonly #context: Context;
  readonly #open = new Set<Socket>();
  readonly #stalls = new Stalls();
  readonly #owner: SocketOwner = {
    waiting: (socket) => this.#stalls.watch(socket),
    failed: (socket, error) => this.#failed(socket, error),
  };
  readonly handler: WebSocketHandler<SocketClient>;

  constructor(context: Context) {
    this.#context = context;
    const { limits } = context;
    this.handler = {
      maxPayloadLength: limits.messageBytes,
      // Answers of a client that sends commands without reading; events never queue beyond one message.
      backpressureLimit: 8 * limits.messageBytes,
      closeOnBackpressureLimit: true,
      idleTimeout: limits.socketIdleSeconds,
      sendPings: true,
      perMessageDeflate: false,
      open: (socket) => this.#opened(socket),
      message: (socket, message) => this.#message(socket, message),
      drain: (socket) => this.#drained(socket),
      close: (socket) => this.#closed(socket),
    };
  }

  /** What an upgraded connection carries from its first moment. */
  client(identity: Identity): SocketClient {
    return new SocketClient(identity, this.#owner);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Closes sockets whose token was rotated and cuts those that stopped reading. */
  sweep(now: number): void {
    const stillValid = this.#context.tokens.validity();
    for (const socket of this.#open) {
      const { closing, identity } = socket.data;
      if (!closing && !stillValid(identity)) this.#close(socket, CLOSE.tokenRevoked, "token revoked");
    }
    for (const socket of this.#stalls.stalled(now, this.#context.limits.stallMs)) {
      if (!socket.data.closing) this.#close(socket, CLOSE.tooSlow, "too slow: subscribe since the last seq");
    }
  }

  closeAll(): void {
    for (const socket of this.#open) this.#close(socket, CLOSE.goingAway, "server is stopping");
  }

  #opened(socket: Socket): void {
    this.#open.add(socket);
    socket.data.opened(socket);
    this.#context.feed.add(socket.data);
  }

  #closed(socket: Socket): void {
    this.#open.delete(socket);
    this.#stalls.forget(socket);
    socket.data.closing = true;
    this.#leave(socket);
    this.#context.connections.sockets -= 1;
    if (socket.data.identity.role === "agent") this.#context.connections.agents -= 1;
  }

  #drained(socket: Socket): void {
    if (socket.getBufferedAmount() > 0) return;
    // Not from within this call: when a send made here has to wait, the runtime may never tell that there is room again
    // (Bun 1.3.14, measured under load: kernel buffers empty, bytes waiting, no further drain).
    setImmediate(() => {
      this.#context.feed.resume(socket.data);
      if (socket.data.watcher !== null) this.#context.activity.resume(socket.data.watcher);
    });
  }

  #message(socket: Socket, message: string | Buffer): void {
    const { data } = socket;
    if (data.closing) return;
    if (typeof message !== "string") {
      this.#close(socket, CLOSE.textOnly, "text messages only");
      return;
    }
    const wait = this.#context.requests.take(data.identity.sha256, performance.now());
    if (wait > 0 || data.inFlight >= this.#context.limits.maxInFlight) {
      this.#refuse(socket, Math.max(wait, 1));
      return;
    }
    data.inFlight += 1;
    void this.#answer(socket, message);
  }

  async #answer(socket: Socket, message: string): Promise<void> {
    const { feed, metrics } = this.#context;
    const { data } = socket;
    const outcome = await runCommand(this.#context, data.identity, message);
    data.inFlight -= 1;
    metrics.command(outcome.type, outcome.success);
    // What the command caused is told to everybody before its caller hears that it is done.
    feed.flush();
    if (data.closing) return;
    this.#send(socket, outcome);
    if (outcome.watch !== undefined) {
      const { since, project, session } = outcome.watch;
      this.#context.activity.add(data.watches(), since, { project, session });
    }
    if (outcome.subscribe !== undefined) {
      const { since, project } = outcome.subscribe;
      feed.add(data, since, project);
    }
  }

  #send(socket: Socket, { id, text }: { id: string | number | undefined; text: string }): void {
    const limit = this.#context.limits.messageBytes;
    // At most three bytes of UTF-8 for one UTF-16 unit: counted only where it can matter.
    if (text.length * 3 > limit && Buffer.byteLength(text) > limit) {
      const message = `The answer is over ${limit} bytes: ask for a smaller page, or over HTTP`;
      socket.data.answer(failed(id, new ReviewError("payload_too_large", message)));
      return;
    }
    socket.data.answer(text);
  }

  #refuse(socket: Socket, seconds: number): void {
    socket.data.refusals += 1;
    if (socket.data.refusals > MOST_REFUSALS) {
      this.#close(socket, CLOSE.rateLimited, "too many commands");
      return;
    }
    const error = new ReviewError("rate_limited", `Too many commands; try again in ${seconds} s`, {
      details: { retry_after: seconds },
    });
    socket.data.answer(failed(undefined, error));
  }

  #leave({ data }: Socket): void {
    this.#context.feed.remove(data);
    if (data.watcher !== null) this.#context.activity.remove(data.watcher);
  }

  #failed(socket: Socket, error: unknown): void {
    this.#context.log.error("journal could not be read", { error });
    this.#close(socket, CLOSE.serverError, "journal could not be read");
  }

  #close(socket: Socket, code: number, reason: string): void {
    socket.data.closing = true;
    this.#context.metrics.closed(reason);
    this.#leave(socket);
    socket.close(code, reason);
    // A client that does not read never sees the close frame; its connection is cut after a grace.
    setTimeout(() => {
      if (this.#open.has(socket)) socket.terminate();
    }, this.#context.limits.closeGraceMs).unref();
  }
}
