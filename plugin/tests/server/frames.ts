/** WebSocket frames written by hand (RFC 6455 §5.2), so that a test can send every wrong one. */
import { randomBytes } from "node:crypto";
import { type RawConnection, rawConnect } from "./raw.ts";

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  opcode?: number;
  fin?: boolean;
  masked?: boolean;
  /** RSV1–3 bits as a number 0–7. */
  reserved?: number;
  /** Length to claim, when it is not the payload's. */
  claim?: number | bigint;
}

export function frame(payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  const { opcode = OP.text, fin = true, masked = true, reserved = 0 } = options;
  const body = Buffer.from(typeof payload === "string" ? Buffer.from(payload) : payload);
  const length = BigInt(options.claim ?? body.length);
  const maskBit = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  let head: Buffer;
  if (length < 126n) head = Buffer.from([first, maskBit | Number(length)]);
  else if (length < 65_536n) {
    head = Buffer.alloc(4);
    head.set([first, maskBit | 126]);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.alloc(10);
    head.set([first, maskBit | 127]);
    head.writeBigUInt64BE(length, 2);
  }
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  for (let i = 0; i < body.length; i++) body[i] = (body[i] ?? 0) ^ (mask[i % 4] ?? 0);
  return Buffer.concat([head, mask, body]);
}

export function handshake(port: number, token: string | null, headers: Record<string, string> = {}): string {
  const all: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Version": "13",
    ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return ["GET /ws HTTP/1.1", ...lines, "", ""].join("\r\n");
}

export interface Frame {
  opcode: number;
  payload: Buffer;
}

export interface RawSocket extends RawConnection {
  /** Whole frames received so far, the handshake's answer left out. */
  frames(): Frame[];
  /** Close code of the server's close frame, or null. */
  closeCode(): number | null;
}

/** Opens a WebSocket by hand. @throws when the upgrade is refused */
export async function rawSocket(port: number, token: string): Promise<RawSocket> {
  const connection = await rawConnect(port);
  connection.write(handshake(port, token));
  const deadline = Date.now() + 5000;
  while (!connection.received().includes("\r\n\r\n")) {
    if (Date.now() > deadline) throw new Error("no answer to the handshake");
    await Bun.sleep(1);
  }
  if (!connection.received().startsWith("HTTP/1.1 101")) throw new Error(connection.received());
  const frames = (): Frame[] => {
    const all = Buffer.from(connection.received(), "latin1");
    return parseFrames(all.subarray(all.indexOf("\r\n\r\n") + 4));
  };
  const closeCode = (): number | null => {
    const close = frames().find((one) => one.opcode === OP.close);
    return close === undefined || close.payload.length < 2 ? null : close.payload.readUInt16BE(0);
  };
  return { ...connection, frames, closeCode };
}

function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const opcode = (bytes[at] ?? 0) & 15;
    let length = (bytes[at + 1] ?? 0) & 127;
    let start = at + 2;
    if (length === 126) {
      if (start + 2 > bytes.length) break;
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      if (start + 8 > bytes.length) break;
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if (start + length > bytes.length) break;
    frames.push({ opcode, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}
