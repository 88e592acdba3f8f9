/** SOCKS5 as far as a proxy for TCP needs it (RFC 1928): no log-in, CONNECT alone. Pure: bytes in, steps out. */

export const VERSION = 5;
const [NO_AUTHENTICATION, NOTHING_ACCEPTABLE] = [0, 0xff];
const CONNECT = 1;

export const REPLY = { made: 0, notAllowed: 2, unreachable: 4, noSuchCommand: 7, noSuchAddress: 8 } as const;

/** What a reader of bytes found: not enough yet, nonsense, or a value and how many bytes it took. */
export type Read<T> = "more" | "wrong" | { value: T; length: number };

/** @returns whether the client takes what we offer */
export function readGreeting(bytes: Uint8Array): Read<boolean> {
  const [version, count] = bytes;
  if (version !== undefined && version !== VERSION) return "wrong";
  if (count === undefined || bytes.length < 2 + count) return "more";
  return { value: bytes.subarray(2, 2 + count).includes(NO_AUTHENTICATION), length: 2 + count };
}

export const greetingAnswer = (taken: boolean): Uint8Array =>
  Uint8Array.of(VERSION, taken ? NO_AUTHENTICATION : NOTHING_ACCEPTABLE);

export type SocksRequest = { host: string; port: number } | { reply: number };

export function readRequest(bytes: Uint8Array): Read<SocksRequest> {
  const [version, command, reserved, type, first] = bytes;
  if ((version ?? VERSION) !== VERSION || (reserved ?? 0) !== 0) return "wrong";
  if (type === undefined || first === undefined) return "more";
  const size = { 1: 4, 3: 1 + first, 4: 16 }[type];
  if (size === undefined) return { value: { reply: REPLY.noSuchAddress }, length: bytes.length };
  const length = 4 + size + 2;
  if (bytes.length < length) return "more";
  if (command !== CONNECT) return { value: { reply: REPLY.noSuchCommand }, length };
  const address = bytes.subarray(4, 4 + size);
  const port = ((bytes[length - 2] ?? 0) << 8) | (bytes[length - 1] ?? 0);
  return { value: { host: hostOf(type, address), port }, length };
}

function hostOf(type: number, address: Uint8Array): string {
  if (type === 1) return address.join(".");
  // Bytes as they are: what is no name is found out by whoever looks at names.
  if (type === 3) return Buffer.from(address.subarray(1)).toString("latin1");
  const groups = Array.from({ length: 8 }, (_, n) =>
    (((address[2 * n] ?? 0) << 8) | (address[2 * n + 1] ?? 0)).toString(16),
  );
  return groups.join(":");
}

export const requestAnswer = (reply: number): Uint8Array =>
  Uint8Array.of(VERSION, reply, 0, 1, 0, 0, 0, 0, 0, 0);
