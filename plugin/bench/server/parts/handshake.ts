/** The opening handshake of a WebSocket (RFC 6455 §4.1), for connections that are read by hand. */
import { randomBytes } from "node:crypto";

export const handshake = (port: number, token: string): string =>
  [
    "GET /ws HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Version: 13",
    `Authorization: Bearer ${token}`,
    "",
    "",
  ].join("\r\n");
