/**
 * Leads connections to a server that listens on a Unix socket: bytes in, bytes out, no faster than the slower side. What
 * comes from it is as if the server listened here itself; while it does not, a connection ends at once.
 */
import { type Connection, dial, type Listener, listen } from "../network/connection.ts";

/** @returns the server's side of a connection, or why there is none */
export type Dial = () => Promise<Connection | string>;
export type Where = { hostname: string; port: number } | { unix: string };

const CONNECT_MS = 20_000;

/** Leads to a port. */
export const dialPort =
  (hostname: string, port: number): Dial =>
  () =>
    dial({ hostname, port }, CONNECT_MS);

/**
 * Listens and hands each connection on.
 * @param serve what is done with a connection, if it is more than joining it with the server's
 * @throws what listening throws: the address is taken, say
 */
export const startRelay = (
  where: Where,
  dial: Dial,
  serve: (client: Connection, dial: Dial) => Promise<void> = plain,
): Listener =>
  listen(
    where,
    (client) => void serve(client, dial).catch(() => client.destroy()),
    // The server itself says how many are too many.
    Number.POSITIVE_INFINITY,
  );

async function plain(client: Connection, dial: Dial): Promise<void> {
  const there = await dialled(client, dial);
  if (there !== null) client.join(there);
}

/** The server's side of a connection, or null where there is no server: the client's is then closed. */
export async function dialled(client: Connection, dial: Dial): Promise<Connection | null> {
  const there = await dial();
  if (typeof there !== "string") return there;
  client.end();
  return null;
}
