/** Hand-written bytes over a plain TCP socket: what no well-behaved client would send. */
import { connect, type Socket } from "node:net";

export interface RawConnection {
  socket: Socket;
  /** Everything received, as latin1. */
  received(): string;
  write(data: string | Uint8Array): void;
  /** Resolves with everything received once the connection is closed by either side. */
  closed: Promise<string>;
}

export function rawConnect(port: number): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (data) => void chunks.push(data));
  socket.on("error", () => {});
  const received = (): string => Buffer.concat(chunks).toString("latin1");
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(received())));
  return new Promise((resolve) => {
    socket.on("connect", () =>
      resolve({ socket, received, closed, write: (data) => void socket.write(data) }),
    );
  });
}

/** Sends one request and reads until the server closes, or cuts the connection after a while. */
export async function rawRequest(
  port: number,
  text: string,
  options: { cutAfterMs?: number } = {},
): Promise<string> {
  const connection = await rawConnect(port);
  connection.write(text);
  if (options.cutAfterMs !== undefined) setTimeout(() => connection.socket.destroy(), options.cutAfterMs);
  const answer = await connection.closed;
  return answer;
}
