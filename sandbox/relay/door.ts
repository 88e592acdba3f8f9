/**
 * The door without a token: a Unix socket in a folder that only its owner can enter. Who comes through it is the owner,
 * and the owner's token is put into the request on the way. One request a connection, or one that becomes a WebSocket.
 */
import type { Socket } from "node:net";
import { type Dial, dialled, join } from "./relay.ts";

const HEAD_BYTES = 16_384;
const END = "\r\n\r\n";

export interface Words {
  /** What the server is to be called by: it takes no other name for itself. */
  host: string;
  token: string;
}

/** @returns the head as the server is to get it, or null where it is none */
export function withToken(head: string, { host, token }: Words): string | null {
  const [line = "", ...fields] = head.split("\r\n");
  if (!/^[A-Z]+ \/\S* HTTP\/1\.[01]$/.test(line)) return null;
  if (fields.some((field) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*$/.test(field))) return null;
  const named = (name: string) => (field: string) => field.toLowerCase().startsWith(`${name}:`);
  const upgrade = fields.find((field) => named("connection")(field) && /\bupgrade\b/i.test(field));
  const kept = fields.filter((field) => !named("host")(field) && !named("connection")(field));
  const authorization = fields.some(named("authorization")) ? [] : [`Authorization: Bearer ${token}`];
  return [
    line,
    `Host: ${host}`,
    ...authorization,
    // The next request on this connection would come without a token.
    upgrade === undefined ? "Connection: close" : "Connection: Upgrade",
    ...kept,
  ].join("\r\n");
}

/** For {@link import("./relay.ts").startRelay}. */
export const throughDoor =
  (words: Words) =>
  (client: Socket, dial: Dial): void => {
    let held = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      const end = held.indexOf(END);
      if (end < 0 && held.length <= HEAD_BYTES) return;
      client.off("data", take);
      client.pause();
      const head = end < 0 || end > HEAD_BYTES ? null : withToken(held.toString("latin1", 0, end), words);
      if (head === null) return void client.end(BAD_REQUEST);
      const there = dialled(client, dial);
      if (there === null) return;
      there.write(Buffer.from(`${head}${END}`, "latin1"));
      there.write(held.subarray(end + END.length));
      join(client, there);
    };
    client.on("data", take);
    client.once("end", () => {
      if (held.indexOf(END) < 0) client.destroy();
    });
  };

const MESSAGE = '{"error":{"code":"invalid_request","message":"Expected a request of HTTP/1.1"}}\n';
const BAD_REQUEST = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${MESSAGE.length}\r\nConnection: close\r\n\r\n${MESSAGE}`;
