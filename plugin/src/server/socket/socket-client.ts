/**
 * One open WebSocket: who it is, how far it has been told, how it takes what it is sent. Small, and without anything
 * that runs by itself: there may be many, and most of them only wait.
 */
import type { ServerWebSocket } from "bun";
import { Watcher } from "../activity-feed.ts";
import { type Delivery, Subscriber } from "../feed.ts";
import type { Identity } from "../tokens/tokens.ts";

export type Socket = ServerWebSocket<SocketClient>;

/** What a client tells the door that opened it; one object for all clients. */
export interface SocketOwner {
  /** Something it was sent waits in memory: its reader may be slow, or gone. */
  waiting(socket: Socket): void;
  /** The journal could not be read for it. */
  failed(socket: Socket, error: unknown): void;
}

/** What a socket watches of the agent's activity; it goes out the same way as events do. */
class SocketWatcher extends Watcher {
  constructor(private readonly client: SocketClient) {
    super();
  }
  deliver(text: string): Delivery {
    return this.client.deliver(text);
  }
  burst(deliveries: () => void): void {
    this.client.burst(deliveries);
  }
  fail(error: unknown): void {
    this.client.fail(error);
  }
}

export class SocketClient extends Subscriber {
  /** Once it was asked to watch. */
  watcher: Watcher | null = null;
  readonly identity: Identity;
  /** Commands under way, and commands refused for their number so far. */
  inFlight = 0;
  refusals = 0;
  closing = false;
  readonly #owner: SocketOwner;
  #socket: Socket | null = null;

  constructor(identity: Identity, owner: SocketOwner) {
    super();
    this.identity = identity;
    this.#owner = owner;
  }

  watches(): Watcher {
    this.watcher ??= new SocketWatcher(this);
    return this.watcher;
  }

  opened(socket: Socket): void {
    this.#socket = socket;
  }

  deliver(text: string): Delivery {
    if (this.closing || this.#socket === null) return "gone";
    // -1: taken but waiting in memory; 0: dropped, the connection is on its way out.
    const sent = this.#socket.send(text);
    if (sent > 0) return "taken";
    if (sent === 0) return "gone";
    this.#owner.waiting(this.#socket);
    return "full";
  }

  /** An answer to a command; unlike events these may queue, up to the runtime's own limit. */
  answer(text: string): void {
    if (this.#socket?.send(text) === -1) this.#owner.waiting(this.#socket);
  }

  burst(deliveries: () => void): void {
    const socket = this.#socket;
    if (socket === null) return;
    socket.cork(deliveries);
    // Within a cork a send does not know yet what will have to wait.
    if (socket.getBufferedAmount() > 0) this.#owner.waiting(socket);
  }

  fail(error: unknown): void {
    if (this.#socket !== null) this.#owner.failed(this.#socket, error);
  }
}
