/** One open WebSocket: who it is, how far it has been told, how it takes what it is sent. Small: there may be many. */
import type { ServerWebSocket } from "bun";
import { type Delivery, Subscriber } from "./feed.ts";
import type { Identity } from "./tokens.ts";

export type Socket = ServerWebSocket<SocketClient>;

export class SocketClient extends Subscriber {
  readonly identity: Identity;
  /** Commands under way, and commands refused for their number so far. */
  inFlight = 0;
  refusals = 0;
  closing = false;
  #socket: Socket | null = null;
  readonly #onFail: (socket: Socket, error: unknown) => void;
  /** What waited and how far the reader was when last looked at, and since when neither has moved. */
  #waiting = 0;
  #seen = 0;
  #stalledSince = 0;

  constructor(identity: Identity, onFail: (socket: Socket, error: unknown) => void) {
    super();
    this.identity = identity;
    this.#onFail = onFail;
  }

  opened(socket: Socket): void {
    this.#socket = socket;
  }

  deliver(text: string): Delivery {
    if (this.closing || this.#socket === null) return "gone";
    // -1: taken but waiting in memory; 0: dropped, the connection is on its way out.
    const sent = this.#socket.send(text);
    return sent > 0 ? "taken" : sent === -1 ? "full" : "gone";
  }

  burst(deliveries: () => void): void {
    this.#socket?.cork(deliveries);
  }

  fail(error: unknown): void {
    if (this.#socket !== null) this.#onFail(this.#socket, error);
  }

  /** Whether nothing was taken off the socket for `limitMs` although something waits. */
  stalled(now: number, limitMs: number): boolean {
    const waiting = this.#socket?.getBufferedAmount() ?? 0;
    // As many bytes as before may be others by now: the cursor tells.
    const moved = this.cursor !== this.#seen || waiting < this.#waiting || this.#waiting === 0;
    if (waiting === 0 || moved) this.#stalledSince = now;
    this.#waiting = waiting;
    this.#seen = this.cursor;
    return waiting > 0 && now - this.#stalledSince >= limitMs;
  }
}
