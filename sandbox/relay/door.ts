/**
 * The door without a token: a Unix socket in a folder that only its owner can enter. Who comes through it is the owner,
 * and the owner's token is put into the request on the way. One request a connection, or one that becomes a WebSocket.
 */
import type { Connection } from "../network/connection.ts";
import { peerOf } from "../network/descriptor.ts";
import { type Dial, dialled } from "./relay.ts";

const HEAD_BYTES = 16_384;
/** Who has come through the door is its owner, and may take as long as it likes. */
const LIMITS = { most: HEAD_BYTES, ms: 2 ** 31 - 1 };
const END = "\r\n\r\n";
const NO_HEAD: { head: string | null } = { head: null };

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

/**
 * For {@link import("./relay.ts").startRelay}.
 * @param mayEnter told the user at the other end, where the system knows
 */
export const throughDoor =
  (words: Words, mayEnter: (uid: number) => boolean = () => true) =>
  async (client: Connection, dial: Dial): Promise<void> => {
    const uid = peerOf(client.descriptor);
    if (uid !== null && !mayEnter(uid)) return void client.end();
    const read = await client.read((bytes) => {
      const end = bytes.indexOf(END);
      if (end < 0) return bytes.length > HEAD_BYTES ? { value: NO_HEAD, length: bytes.length } : "more";
      const head = end > HEAD_BYTES ? null : withToken(bytes.toString("latin1", 0, end), words);
      return { value: { head }, length: end + END.length };
    }, LIMITS);
    if (read === null) return client.destroy();
    if (read.head === null) return void client.end(BAD_REQUEST);
    const there = await dialled(client, dial);
    if (there === null) return;
    there.write(Buffer.from(`${read.head}${END}`, "latin1"));
    client.join(there);
  };

const MESSAGE = '{"error":{"code":"invalid_request","message":"Expected a request of HTTP/1.1"}}\n';
const BAD_REQUEST = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${MESSAGE.length}\r\nConnection: close\r\n\r\n${MESSAGE}`;
