/**
 * Watches the sockets that have something waiting for them, and only those, for readers that stopped reading. A socket
 * is watched from the moment a send did not go out at once until nothing waits any more.
 */
import type { Socket } from "./socket-client.ts";

/** How far a reader was when last looked at, and since when nothing has moved. */
interface Look {
  waiting: number;
  cursor: number;
  since: number;
}

export class Stalls {
  readonly #watched = new Map<Socket, Look | null>();

  watch(socket: Socket): void {
    if (!this.#watched.has(socket)) this.#watched.set(socket, null);
  }

  forget(socket: Socket): void {
    this.#watched.delete(socket);
  }

  /** Those that took nothing off their socket for `limitMs` although something waits. */
  *stalled(now: number, limitMs: number): Generator<Socket> {
    for (const [socket, before] of this.#watched) {
      const waiting = socket.getBufferedAmount();
      if (waiting === 0) {
        this.#watched.delete(socket);
        continue;
      }
      const { cursor } = socket.data;
      // As many bytes as before may be others by now: the cursor tells.
      const moved = before === null || cursor !== before.cursor || waiting < before.waiting;
      const since = moved ? now : before.since;
      this.#watched.set(socket, { waiting, cursor, since });
      if (now - since >= limitMs) yield socket;
    }
  }
}
