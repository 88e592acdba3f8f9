/** The floor: Bun.serve and a loop over the sockets, no journal, no checks. */
import type { ServerWebSocket } from "bun";

export interface Bare {
  port: number;
  sockets: Set<ServerWebSocket<undefined>>;
  broadcast(text: string): void;
  stop(): void;
}

export function bareServer(): Bare {
  const sockets = new Set<ServerWebSocket<undefined>>();
  const server = Bun.serve<undefined>({
    port: 0,
    hostname: "127.0.0.1",
    development: false,
    reusePort: false,
    fetch: (request, serving) => (serving.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: {
      perMessageDeflate: false,
      maxPayloadLength: 16 * 1024 * 1024,
      open: (socket) => void sockets.add(socket),
      close: (socket) => void sockets.delete(socket),
      message: (socket, message) => void socket.send(message),
    },
  });
  return {
    port: server.port ?? 0,
    sockets,
    broadcast(text) {
      for (const socket of sockets) socket.send(text);
    },
    stop: () => void server.stop(true),
  };
}
