/**
 * Leads connections to a server that listens on a Unix socket: bytes in, bytes out, no faster than the slower side. What
 * comes from it is as if the server listened here itself; while it does not, a connection ends at once.
 */
import { createServer, type Server, type Socket } from "node:net";

export type Dial = () => Socket;
export type Where = { host: string; port: number } | { path: string };

export interface Relay {
  /** Connections that are open now. */
  readonly open: number;
  stop(): Promise<void>;
}

/** Joins two connections: what one sends the other gets, to the end of both. */
export function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.setNoDelay(true);
    from.pipe(to);
    // Cut on one side is cut on the other: a transfer that broke off must not look like one that ended.
    from.once("error", () => to.destroy());
    from.once("close", () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}

/**
 * Listens and hands each connection on.
 * @param serve what is done with a connection, if it is more than joining it with the server's
 * @throws what listening throws: the address is taken, say
 */
export async function startRelay(
  where: Where,
  dial: Dial,
  serve: (client: Socket, dial: Dial) => void = plain,
): Promise<Relay> {
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    client.on("error", () => client.destroy());
    serve(client, dial);
  });
  await listen(server, where);
  return {
    get open() {
      return clients.size;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of clients) client.destroy();
      }),
  };
}

function plain(client: Socket, dial: Dial): void {
  const there = dialled(client, dial);
  if (there !== null) join(client, there);
}

/** The server's side of a connection, or null where there is no server: the client's is then closed. */
export function dialled(client: Socket, dial: Dial): Socket | null {
  try {
    const there = dial();
    there.on("error", () => client.destroy());
    return there;
  } catch {
    client.destroy();
    return null;
  }
}

function listen(server: Server, where: Where): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const listening = () => {
      server.off("error", reject);
      // A connection that cannot be taken (too many open files) is that connection's misfortune.
      server.on("error", () => undefined);
      resolve();
    };
    if ("path" in where) server.listen({ path: where.path }, listening);
    else server.listen({ ...where, exclusive: true }, listening);
  });
}
