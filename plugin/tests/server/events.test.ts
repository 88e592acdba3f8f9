/** The journal over both channels: what a client puts together is the ledger, byte for byte, whatever happens. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect as tcp } from "node:net";
import { PROTOCOL_VERSION } from "../../src/protocol/version.ts";
import { type Client, connect } from "./client.ts";
import { frame, handshake, OP, rawSocket } from "./frames.ts";
import { write } from "./git.ts";
import { AgentRepository, Place, until } from "./place.ts";

setDefaultTimeout(30_000);

const seqOf = (text: string): number => (JSON.parse(text) as { seq: number }).seq;

describe("subscribe", () => {
  test("replays what came after since, then goes live", async () => {
    const at = await Place.open();
    for (let i = 0; i < 1000; i++) at.emit(`event ${i}`);
    const client = await connect(at);
    const answer = await client.command({ type: "subscribe", since: 400 });
    expect(answer.data).toEqual({ since: 400, last_seq: 1000, protocol: PROTOCOL_VERSION });
    at.emit("live");
    await until(() => client.events.length === 601, "601 events");
    expect(client.events).toEqual(at.journal(400));
    client.close();
    await at.stop();
  });

  test("no gap and nothing twice while events keep coming during the replay", async () => {
    const at = await Place.open();
    for (let i = 0; i < 5000; i++) at.emit(`event ${i} ${"x".repeat(500)}`);
    const clients = await Promise.all([0, 1, 2].map(() => connect(at)));
    for (const [index, client] of clients.entries()) {
      client.socket.send(JSON.stringify({ type: "subscribe", since: index * 100 }));
    }
    for (let i = 0; i < 500; i++) {
      at.desk.ledger.transaction(() => {
        at.emit(`during ${i}`);
        at.emit(`during ${i} too`);
      });
      if (i % 5 === 0) await Bun.sleep(0);
    }
    const last = at.desk.lastSeq();
    await until(
      () => clients.every(({ events }) => seqOf(events.at(-1) ?? '{"seq":0}') === last),
      "the last event",
    );
    for (const [index, { events }] of clients.entries()) {
      // What came live before the command was answered comes before the replay begins.
      const from = events.findIndex((text) => seqOf(text) === index * 100 + 1);
      expect(events.slice(from)).toEqual(at.journal(index * 100));
    }
    await at.stop();
  }, 60_000);

  test("a since beyond the journal is refused with its end", async () => {
    const at = await Place.open();
    at.emit("one");
    const client = await connect(at);
    expect(await client.command({ type: "subscribe", since: 2 })).toMatchObject({
      success: false,
      code: "invalid_request",
      details: { field: "since", last_seq: 1 },
    });
    await at.stop();
  });

  test("a project's subscriber gets that project's events only", async () => {
    const at = await Place.open();
    const client = await connect(at);
    for (const project of ["/a", "/b", "/a"]) {
      at.desk.ledger.emit(project, { type: "suggestion.status", status: "working", message: project });
    }
    await client.command({ type: "subscribe", since: 0, project: "/b" });
    at.desk.ledger.emit("/a", { type: "suggestion.status", status: "working", message: "/a" });
    at.desk.ledger.emit("/b", { type: "suggestion.status", status: "working", message: "last" });
    await until(() => client.events.at(-1)?.includes("last") === true, "the last event");
    expect(client.events.slice(3).map((text) => JSON.parse(text).project)).toEqual(["/b", "/b"]);
    await at.stop();
  });

  test("an event of another process of the same ledger comes too", async () => {
    const at = await Place.open();
    const client = await connect(at);
    const script = `
      import { Ledger } from "${new URL("../../src/review/ledger/ledger.ts", import.meta.url).pathname}";
      Ledger.open(process.argv[1]).emit("/other", { type: "suggestion.status", status: "working", message: "elsewhere" });`;
    await Bun.spawn([process.execPath, "-e", script, at.desk.ledger.path]).exited;
    at.emit("here");
    await until(() => client.events.length === 2, "both events");
    expect(client.events).toEqual(at.journal());
    await at.stop();
  });
});

describe("disconnects", () => {
  test("1,000 random disconnects during a stream: the client's journal is the ledger's, byte for byte", async () => {
    const at = await Place.open({ limits: { requestBurst: 1e6 } });
    const DISCONNECTS = 1000;
    let running = true;
    const stream = (async () => {
      for (let i = 0; running; i++) {
        at.desk.ledger.transaction(() => {
          for (let n = 0; n <= i % 4; n++) at.emit(`event ${i}.${n} é ${"y".repeat((i * 7919) % 3000)}`);
        });
        await Bun.sleep(1);
      }
    })();
    const journal: string[] = [];
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return (seed >>> 8) % below;
    };
    let client: Client | null = null;
    for (let cuts = 0; cuts < DISCONNECTS; cuts++) {
      client = await connect(at);
      const { socket, events } = client;
      const since = journal.length;
      socket.send(JSON.stringify({ type: "subscribe", since }));
      if (random(3) > 0) await Bun.sleep(random(6));
      // Half of them vanish without a close frame.
      if (random(2) === 0) socket.terminate();
      else socket.close();
      for (const text of events) if (seqOf(text) === journal.length + 1) journal.push(text);
    }
    running = false;
    await stream;
    const last = await connect(at);
    await last.command({ type: "subscribe", since: journal.length });
    await until(() => journal.length + last.events.length >= at.desk.lastSeq(), "the end");
    journal.push(...last.events);
    const ledger = at.journal();
    console.log(`${DISCONNECTS} disconnects, ${ledger.length} events, ${journal.join("\n").length} bytes`);
    expect(Bun.hash(journal.join("\n"))).toBe(Bun.hash(ledger.join("\n")));
    last.close();
    await until(async () => (await at.ask("/health")).body.wsClients === 0, "all sockets gone");
    await at.stop();
  }, 120_000);

  test("a client that stops reading is dropped with 4008, delays nobody and resumes without loss", async () => {
    const at = await Place.open({ limits: { stallMs: 1500, sweepMs: 100, closeGraceMs: 3000 } });
    const others = await Promise.all(Array.from({ length: 10 }, () => connect(at)));
    const stalled = await rawSocket(at.port, at.developer);
    stalled.socket.pause();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 1500; i++) {
      at.emit("z".repeat(20_000));
      if (i % 20 === 0) await Bun.sleep(1);
    }
    await until(() => others.every(({ events }) => events.length === 1500), "everybody else has all", 20_000);
    const grown = (process.memoryUsage.rss() - before) / 1e6;
    console.log(
      `30 MB of events past a stalled client: memory +${grown.toFixed(0)} MB (ten readers hold 300 MB)`,
    );
    await until(
      async () => (await at.ask("/health")).body.wsClients === 10,
      "the stalled one dropped",
      20_000,
    );
    expect((await at.ask("/metrics")).text).toContain('closed_total{reason="too slow');
    stalled.socket.resume();
    await stalled.closed;
    expect(stalled.closeCode()).toBe(4008);
    const events = stalled.frames().filter(({ opcode }) => opcode === OP.text);
    const got = events.map(({ payload }) => payload.toString());
    expect(got.length).toBeLessThan(1500);
    const again = await connect(at);
    await again.command({ type: "subscribe", since: got.length });
    await until(() => got.length + again.events.length === 1500, "the rest", 20_000);
    expect(Bun.hash([...got, ...again.events].join())).toBe(Bun.hash(at.journal().join()));
    await at.stop();
  }, 60_000);

  test("answers that nobody takes off the socket are a stall too; a socket that only waits is none", async () => {
    const limits = { stallMs: 300, sweepMs: 50, closeGraceMs: 3000, messageBytes: 4 * 1024 * 1024 };
    const at = await Place.open({ limits });
    const repository = await AgentRepository.add(at);
    write(repository.dir, { "big.txt": "b".repeat(524_288) });
    const { id } = await repository.publishAsItIs("A big file");
    const idle = await connect(at);
    const stalled = await rawSocket(at.port, at.developer);
    stalled.socket.pause();
    const command = { type: "content", suggestionId: id, file: "big.txt", side: "proposed" };
    // Some 17 MB: more than the kernel holds for it.
    for (let i = 0; i < 24; i++) stalled.write(frame(JSON.stringify({ ...command, id: i })));
    await until(
      async () => (await at.ask("/health")).body.wsClients === 1,
      "the stalled one dropped",
      20_000,
    );
    expect((await at.ask("/metrics")).text).toContain('closed_total{reason="too slow');
    expect((await idle.command({ type: "ping" })).success).toBe(true);
    stalled.socket.destroy();
    idle.close();
    await at.stop();
  }, 60_000);

  test("clients that read slowly get everything in order without being dropped", async () => {
    // Longer than the kernel's own buffers take to empty at this pace: until then nothing moves that we can see.
    const at = await Place.open({ limits: { stallMs: 20_000, sweepMs: 100 } });
    const slow = Array.from({ length: 8 }, (_, index) => {
      const socket = tcp(at.port, "127.0.0.1");
      const one = { socket, bytes: 0 };
      socket.write(handshake(at.port, at.developer));
      socket.on("data", (data) => {
        one.bytes += data.length;
        socket.pause();
        setTimeout(() => socket.resume(), index);
      });
      return one;
    });
    await until(() => slow.every(({ bytes }) => bytes > 0), "the handshakes");
    for (let i = 0; i < 400; i++) at.emit("s".repeat(40_000));
    const total = at.journal().reduce((sum, text) => sum + text.length, 0);
    await until(() => slow.every(({ bytes }) => bytes > total), "all of it", 15_000);
    expect((await at.ask("/health")).body.wsClients).toBe(slow.length);
    for (const { socket } of slow) socket.destroy();
    await at.stop();
  }, 60_000);
});

describe("server-sent events", () => {
  interface Stream {
    response: Response;
    /** Events until `count` came or the server ended the stream: [id, data] of each. */
    take(count: number): Promise<[string, string][]>;
    /** Leaves; the runtime's client keeps a connection whose body was merely cancelled. */
    leave(): void;
  }

  async function open(at: Place, path: string, headers: Record<string, string> = {}): Promise<Stream> {
    const leaving = new AbortController();
    const response = await fetch(`${at.url}${path}`, {
      headers: { Authorization: `Bearer ${at.developer}`, Accept: "text/event-stream", ...headers },
      signal: leaving.signal,
    });
    const reader = response.body?.getReader();
    return {
      response,
      leave: () => leaving.abort(),
      async take(count) {
        const events: [string, string][] = [];
        const decoder = new TextDecoder();
        for (let rest = ""; events.length < count; ) {
          const piece = await reader?.read();
          if (piece === undefined || piece.done) break;
          const blocks = (rest + decoder.decode(piece.value, { stream: true })).split("\n\n");
          rest = blocks.pop() ?? "";
          for (const block of blocks) {
            const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? [];
            if (id !== undefined && data !== undefined) events.push([id, data]);
          }
        }
        return events;
      },
    };
  }

  test("the journal since N, then live; id is the seq", async () => {
    const at = await Place.open();
    for (let i = 0; i < 300; i++) at.emit(`event ${i}`);
    const stream = await open(at, "/events?since=100");
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    setTimeout(() => at.emit("live\nwith a newline"), 50);
    const events = await stream.take(201);
    expect(events.map(([, data]) => data)).toEqual(at.journal(100));
    expect(events.map(([id]) => Number(id))).toEqual(at.journal(100).map(seqOf));
    stream.leave();
    await until(async () => (await at.ask("/health")).body.eventStreams === 0, "the stream gone");
    await at.stop();
  });

  test("Last-Event-ID wins over since", async () => {
    const at = await Place.open();
    for (let i = 0; i < 10; i++) at.emit(`event ${i}`);
    const events = await (await open(at, "/events?since=2", { "Last-Event-ID": "8" })).take(2);
    expect(events.map(([id]) => id)).toEqual(["9", "10"]);
    const odd = await (await open(at, "/events?since=9", { "Last-Event-ID": "x" })).take(1);
    expect(odd.map(([id]) => id)).toEqual(["10"]);
    await at.stop();
  });

  test("a place beyond the journal's end is refused with where it ends, as over the socket", async () => {
    const at = await Place.open();
    at.emit("one");
    const Accept = "text/event-stream";
    for (const [path, headers] of [
      ["/events?since=2", { Accept }],
      ["/events", { Accept, "Last-Event-ID": "2" }],
    ] as const) {
      const answer = await at.ask(path, { headers });
      expect([path, answer.status, answer.body.error?.details]).toEqual([
        path,
        400,
        { field: "since", last_seq: 1 },
      ]);
    }
    const stream = await open(at, "/events?since=1");
    at.emit("two");
    expect((await stream.take(1)).map(([id]) => id)).toEqual(["2"]);
    stream.leave();
    await at.stop();
  });

  test("a comment keeps it alive; long streams end and go on where they ended", async () => {
    const at = await Place.open({ limits: { streamBytes: 50_000, heartbeatMs: 20 } });
    const quiet = tcp(at.port, "127.0.0.1");
    let text = "";
    quiet.on("data", (data) => {
      text += data.toString();
    });
    quiet.write(
      `GET /events HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\nAccept: text/event-stream\r\n\r\n`,
    );
    await until(() => text.split(": alive\n\n").length > 3, "three comments");
    quiet.destroy();
    for (let i = 0; i < 100; i++) at.emit("w".repeat(2000));
    const all: [string, string][] = [];
    let streams = 0;
    while (all.length < 100) {
      const last = all.at(-1)?.[0] ?? "0";
      const stream = await open(at, "/events", { "Last-Event-ID": last });
      all.push(...(await stream.take(100 - all.length)));
      stream.leave();
      streams += 1;
    }
    expect(all.map(([, data]) => data)).toEqual(at.journal());
    expect(streams).toBeGreaterThan(3);
    await at.stop();
  });

  test("streams are limited, the agent's more than the developer's; HEAD opens none", async () => {
    const at = await Place.open({ limits: { maxStreams: 5, maxAgentStreams: 2 } });
    const openStreams = async () => (await at.ask("/health")).body.eventStreams;
    const streams: Stream[] = [];
    const agent = { Authorization: `Bearer ${at.agent}` };
    for (let i = 0; i < 4; i++) streams.push(await open(at, "/events", agent));
    expect(streams.map(({ response }) => response.status)).toEqual([200, 200, 503, 503]);
    for (let i = 0; i < 4; i++) streams.push(await open(at, "/events"));
    expect(streams.slice(4).map(({ response }) => response.status)).toEqual([200, 200, 200, 503]);
    for (const stream of streams) stream.leave();
    await until(async () => (await openStreams()) === 0, "streams gone");
    for (let i = 0; i < 10; i++) {
      const head = await at.ask("/events", { method: "HEAD", headers: { Accept: "text/event-stream" } });
      expect([head.status, head.headers.get("content-type")]).toEqual([
        200,
        "text/event-stream; charset=utf-8",
      ]);
    }
    expect(await openStreams()).toBe(0);
    expect((await open(at, "/events", agent)).response.status).toBe(200);
    await at.stop();
  });

  test("a stalled stream costs its bound and no more", async () => {
    const at = await Place.open();
    const socket = tcp(at.port, "127.0.0.1");
    socket.pause();
    socket.write(
      `GET /events HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\nAccept: text/event-stream\r\n\r\n`,
    );
    await until(async () => (await at.ask("/health")).body.eventStreams === 1, "the stream");
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 6000; i++) {
      at.emit("v".repeat(20_000));
      if (i % 50 === 0) await Bun.sleep(0);
    }
    Bun.gc(true);
    expect((await at.ask("/health")).body.eventStreams).toBe(0);
    // Of 120 MB of events; the rest is what making them leaves behind.
    expect((process.memoryUsage.rss() - before) / 1e6).toBeLessThan(60);
    socket.destroy();
    await at.stop();
  }, 30_000);
});
