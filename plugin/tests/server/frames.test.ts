/** The frame layer against hand-written bytes (RFC 6455 §5): nothing gets through, nothing falls over. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "./client.ts";
import { frame, handshake, OP, type RawSocket, rawSocket } from "./frames.ts";
import { Place, until } from "./place.ts";
import { rawConnect } from "./raw.ts";

setDefaultTimeout(30_000);

const LIMIT = 100_000;
let at: Place;
beforeAll(async () => {
  at = await Place.open({ limits: { messageBytes: LIMIT } });
});
afterAll(() => at.stop());

const PING = '{"type":"ping","id":7}';
const texts = (socket: RawSocket) =>
  socket
    .frames()
    .filter((one) => one.opcode === OP.text)
    .map((one) => JSON.parse(one.payload.toString()));

async function send(...frames: Buffer[]): Promise<RawSocket> {
  const socket = await rawSocket(at.port, at.developer);
  for (const one of frames) socket.write(one);
  return socket;
}

/** The runtime closes the connection without a close frame; the client sees 1006. */
const cut: [string, Buffer[]][] = [
  ["reserved bit 1 without an extension", [frame(PING, { reserved: 4 })]],
  ["reserved bit 2", [frame(PING, { reserved: 2 })]],
  ["reserved opcode 3", [frame("x", { opcode: 3 })]],
  ["reserved control opcode 11", [frame("x", { opcode: 11 })]],
  ["invalid UTF-8", [frame(new Uint8Array([0x7b, 0xff, 0xfe]))]],
  ["a surrogate in UTF-8", [frame(new Uint8Array([0xed, 0xa0, 0x80]))]],
  ["overlong UTF-8", [frame(new Uint8Array([0xc0, 0xaf]))]],
  ["UTF-8 cut off at the end", [frame(new Uint8Array([0x22, 0xe2, 0x82]))]],
  ["one byte over the limit", [frame("x".repeat(LIMIT + 1))]],
  ["a claimed length of 1 TiB", [frame("x", { claim: 2 ** 40 })]],
  ["a claimed length of 2^63", [frame("x", { claim: 2n ** 63n })]],
  [
    "fragments that add up over the limit",
    [frame("x".repeat(60_000), { fin: false }), frame("x".repeat(60_000), { opcode: OP.continuation })],
  ],
  ["a continuation of nothing", [frame("x", { opcode: OP.continuation })]],
  ["a new message inside a fragmented one", [frame("x", { fin: false }), frame("y")]],
  ["a fragmented ping", [frame("x", { opcode: OP.ping, fin: false })]],
  ["a ping of 126 bytes", [frame("x".repeat(126), { opcode: OP.ping })]],
];

describe("refused", () => {
  for (const [name, frames] of cut) {
    test(name, async () => {
      const socket = await send(...frames);
      await socket.closed;
      expect(texts(socket)).toEqual([]);
      expect((await at.ask("/health")).status).toBe(200);
    });
  }

  test("malformed close frames are answered by closing", async () => {
    const bad = [[3], [3, 0xe7], [3, 0xed], [3, 0xe8, 0xff]];
    for (const bytes of bad) {
      const socket = await send(frame(new Uint8Array(bytes), { opcode: OP.close }));
      await socket.closed;
      expect(socket.closeCode()).not.toBe(1000);
    }
  });

  test("binary messages: 1003", async () => {
    const socket = await send(frame(PING, { opcode: OP.binary }));
    await until(() => socket.closeCode() !== null, "a close frame");
    expect(socket.closeCode()).toBe(1003);
  });

  test("an unmasked command is not carried out", async () => {
    // The runtime does not look at the mask bit: it takes four bytes of the payload for the mask. What is left is
    // never the command that was written.
    const socket = await send(frame(PING, { masked: false }), frame(PING, { masked: false }));
    await Bun.sleep(100);
    expect(texts(socket).filter((one) => one.success)).toEqual([]);
    socket.socket.destroy();
  });
});

describe("taken", () => {
  test("fragments, a ping between them, empty fragments, a length that is not the shortest", async () => {
    const half = PING.length / 2;
    const parts = [
      frame(PING.slice(0, half), { fin: false }),
      frame(PING.slice(half), { opcode: OP.continuation }),
    ];
    const [first, second] = parts as [Buffer, Buffer];
    const empty = frame("", { opcode: OP.continuation, fin: false });
    for (const frames of [parts, [first, frame("hi", { opcode: OP.ping }), empty, second]]) {
      const socket = await send(...frames);
      await until(() => texts(socket).length === 1, "an answer");
      expect(texts(socket)).toEqual([{ type: "response", id: 7, success: true, data: { type: "pong" } }]);
      socket.socket.destroy();
    }
  });

  test("a message in single bytes, and many messages in one write", async () => {
    const socket = await rawSocket(at.port, at.developer);
    for (const byte of frame(PING)) {
      socket.write(new Uint8Array([byte]));
      await Bun.sleep(0);
    }
    socket.write(Buffer.concat(Array.from({ length: 50 }, () => frame(PING))));
    await until(() => texts(socket).length === 51, "51 answers");
    socket.socket.destroy();
  });

  test("a message of exactly the limit", async () => {
    const command = JSON.stringify({ type: "ping", id: 1 });
    const socket = await send(frame(command + " ".repeat(LIMIT - command.length)));
    await until(() => texts(socket).length === 1, "an answer");
    expect(texts(socket)[0]).toMatchObject({ id: 1, success: true });
    socket.socket.destroy();
  });

  test("text that is no command is answered, and the socket stays", async () => {
    const socket = await send(
      frame(""),
      frame("hello"),
      frame("[]"),
      frame('{"type":"nothing","id":"a"}'),
      frame(PING),
    );
    await until(() => texts(socket).length === 5, "five answers");
    expect(texts(socket).map(({ success, code, id }) => [success, code, id])).toEqual([
      [false, "invalid_request", undefined],
      [false, "invalid_request", undefined],
      [false, "invalid_request", undefined],
      [false, "invalid_request", "a"],
      [true, undefined, 7],
    ]);
    expect(texts(socket)[3].error).toStartWith("Command: type: expected one of feedback, complete, list");
    socket.socket.destroy();
  });
});

describe("handshakes", () => {
  test("wrong version, key, method or upgrade are refused", async () => {
    const good = handshake(at.port, at.developer);
    const bad: [string, string][] = [
      ["version", good.replace("Version: 13", "Version: 8")],
      ["no key", good.replace(/Sec-WebSocket-Key: .*\r\n/, "")],
      ["method", good.replace("GET", "POST").replace("Connection", "Content-Length: 0\r\nConnection")],
      ["upgrade", good.replace("Upgrade: websocket", "Upgrade: h2c")],
    ];
    for (const [name, text] of bad) {
      const connection = await rawConnect(at.port);
      connection.write(text);
      await until(() => connection.received().includes("\r\n\r\n"), name);
      expect([name, Number(connection.received().slice(9, 12))]).toEqual([name, expect.any(Number)]);
      expect(connection.received()).toMatch(/^HTTP\/1.1 4\d\d/);
      connection.socket.destroy();
    }
  });

  test("10,000 random frames leave the server answering and no socket behind", async () => {
    let seed = 20260101;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed % below;
    };
    for (let round = 0; round < 50; round++) {
      const socket = await rawSocket(at.port, at.developer);
      const bytes = Array.from({ length: 200 }, () => {
        const payload = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
        return frame(payload, {
          opcode: random(16),
          fin: random(2) === 0,
          masked: random(10) > 0,
          reserved: random(20) === 0 ? random(8) : 0,
        });
      });
      socket.write(Buffer.concat(bytes));
      await Promise.race([socket.closed, Bun.sleep(30)]);
      socket.socket.destroy();
    }
    await until(async () => (await at.ask("/health")).body.wsClients === 0, "no sockets");
  });
});

describe("idle sockets", () => {
  test("a client that answers no ping is dropped; one that does stays", async () => {
    const other = await Place.open({ limits: { socketIdleSeconds: 8 } });
    // The one that stays has been idle for longer.
    const alive = await connect(other);
    const dead = await rawSocket(other.port, other.developer);
    await dead.closed;
    expect(dead.frames().some(({ opcode }) => opcode === OP.ping)).toBe(true);
    expect((await alive.command({ type: "ping" })).success).toBe(true);
    expect((await other.ask("/health")).body.wsClients).toBe(1);
    alive.close();
    await other.stop();
  });
});
