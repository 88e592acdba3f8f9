/**
 * The relay in front of a real review server on a Unix socket: what comes through it is as from the server itself, and the
 * door beside it lets its owner in without a token.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer, connect as dialTcp, type Socket } from "node:net";
import { join } from "node:path";
import type { Listener } from "../../../sandbox/network/connection.ts";
import { throughDoor, withToken } from "../../../sandbox/relay/door.ts";
import { startRelay } from "../../../sandbox/relay/relay.ts";
import { dialAt, isLong, nameIn, socketAt } from "../../../sandbox/relay/socket-at.ts";
import { freePort } from "../../../scripts/start/ports.ts";
import { Scene, until } from "../../../test-harness/support/scene.ts";
import { connect } from "./client.ts";
import { Git, tokenEnvironment, write } from "./git.ts";
import { AgentRepository, Place, proofFor } from "./place.ts";

setDefaultTimeout(60_000);
const uid = process.getuid?.() ?? 0;

describe("a relay before a server on a socket", () => {
  const scene = new Scene("relay");
  const socket = scene.path("review.sock");
  const door = join(scene.folder("door"), "review.sock");
  let port: number;
  let place: Place;
  let relays: Listener[] = [];

  const start = () => Place.open({ options: { socket, port }, stateDir: scene.folder("state") });
  beforeAll(async () => {
    port = await freePort();
    place = await start();
    const dial = () => dialAt(socket, uid);
    const words = { host: `127.0.0.1:${port}`, token: place.developer };
    relays = [
      startRelay({ hostname: "127.0.0.1", port }, dial),
      startRelay({ unix: door }, dial, throughDoor(words)),
    ];
  });
  afterAll(async () => {
    for (const relay of relays) relay.stop(true);
    await place.stop();
    await scene.close();
  });

  test("the server's socket is its user's alone, and no port is open beside it", async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const other = await freePort();
    expect(() => Place.open({ options: { socket: scene.path("b.sock"), port: 0 } })).toThrow(
      "port: expected the port of the relay",
    );
    const alone = await Place.open({ options: { socket: scene.path("c.sock"), port: other } });
    expect(alone.url).toBe(`http://127.0.0.1:${other}`);
    expect((await program("curl", "-sS", `${alone.url}/health`)).code).not.toBe(0);
    await alone.stop();
    expect(existsSync(scene.path("c.sock"))).toBe(false);
  });

  test("answers as the server itself does, with a proof for the address of the relay", async () => {
    expect((await place.ask("/suggestions")).status).toBe(200);
    expect((await place.ask("/suggestions", { token: null })).status).toBe(401);
    expect((await place.ask("/health", { headers: { Host: "elsewhere:1" } })).status).toBe(403);
    const { body } = await place.ask("/health?nonce=0123456789", { token: null });
    expect(body.proofs).toContain(proofFor(place.developer, "0123456789", `127.0.0.1:${port}`));
  });

  test("carries a WebSocket and an event stream", async () => {
    const client = await connect(place);
    expect(await client.command({ type: "subscribe", since: 0 })).toMatchObject({ success: true });
    const stream = await fetch(`${place.url}/events/stream`, {
      headers: { Authorization: `Bearer ${place.developer}` },
    });
    expect(stream.status).toBe(200);
    const said = place.emit("through the relay");
    await until("the event", () => client.events.some((text) => text.includes(`"seq":${said.seq}`)));
    const reader = stream.body?.getReader();
    const chunk = await reader?.read();
    expect(chunk?.value?.length).toBeGreaterThan(0);
    client.close();
    await client.closed;
    await reader?.cancel();
  });

  test("carries a push and a clone of many megabytes, whole", async () => {
    const agent = await AgentRepository.add(place, "big");
    const { hub } = (await place.ask("/health")).body.projects[0] as { hub: string };
    const git = new Git(scene.path("home"), tokenEnvironment(place.url, place.developer));
    const dir = scene.folder("mine");
    await git.run(dir, "clone", "--quiet", `${place.url}${hub}`, ".");
    const noise = new Uint8Array(24 * 2 ** 20);
    for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
    write(dir, { "noise.bin": noise });
    await git.run(dir, "add", "--all");
    await git.run(dir, "commit", "--quiet", "-m", "noise");
    await git.run(dir, "push", "--quiet", "origin", "HEAD:refs/heads/noise");
    const back = scene.folder("back");
    await git.run(back, "clone", "--quiet", "--branch", "noise", `${place.url}${hub}`, ".");
    expect(await git.run(back, "rev-parse", "HEAD^{tree}")).toBe(
      await git.run(dir, "rev-parse", "HEAD^{tree}"),
    );
    expect(agent.dir).toBeString();
  });

  test("the door needs no token, and its owner is the developer", async () => {
    const curl = async (...args: string[]) =>
      (await program("curl", "-sS", "--unix-socket", door, ...args)).out;
    expect(JSON.parse(await curl("http://localhost/suggestions"))).toHaveProperty("suggestions");
    expect(JSON.parse(await curl("http://anything.example/settings"))).toMatchObject({ role: "developer" });
    // Two requests one after the other, as curl likes to send them on one connection.
    const two = await curl("http://localhost/settings", "http://localhost/suggestions");
    expect(two).toContain('"role":"developer"');
    expect(two).toContain('"suggestions"');
    const json = ["-H", "Content-Type: application/json"];
    const posted = await curl(...json, "-d", '{"suggestion_id":"none"}', "http://localhost/undo");
    expect(posted).toContain("not_found");
    // Who says who it is is taken at its word.
    const agent = await curl("-H", `Authorization: Bearer ${place.agent}`, "http://localhost/settings");
    expect(JSON.parse(agent)).toMatchObject({ role: "agent" });
    expect(await curl("-H", "Origin: http://evil.example", "http://localhost/suggestions")).toContain(
      "forbidden",
    );
    const big = scene.write("body.json", JSON.stringify({ description: "x".repeat(3_000_000) }));
    expect(await curl(...json, "-d", `@${big}`, "http://localhost/suggestions")).toContain('"error"');
  });

  test("the door takes what is a request, and nothing else", async () => {
    for (const head of [
      "GET http://x/ HTTP/1.1",
      "GET / HTTP/2",
      "GET / x HTTP/1.1",
      "",
      "GET / HTTP/1.1\r\n folded",
    ])
      expect(withToken(head, { host: "h", token: "t" })).toBeNull();
    const lines = withToken(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket",
      {
        host: "h:1",
        token: "t",
      },
    )?.split("\r\n");
    expect(lines).toEqual([
      "GET / HTTP/1.1",
      "Host: h:1",
      "Authorization: Bearer t",
      "Connection: Upgrade",
      "Upgrade: websocket",
    ]);
    const answer = await exchange(dialTcp({ path: door }), `NONSENSE${"x".repeat(20_000)}`);
    expect(answer).toStartWith("HTTP/1.1 400 ");
  });

  // Skipped for an ordinary user: nobody else's words can be tried without root.
  test.skipIf(uid !== 0)("nobody else comes through the door", async () => {
    chmodSync(join(door, ".."), 0o700);
    const other = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"];
    const done = await program(
      ...other,
      "curl",
      "-sS",
      "--unix-socket",
      door,
      "http://localhost/suggestions",
    );
    expect(done.code).not.toBe(0);
    expect(done.out).toBe("");
  });

  // Skipped for an ordinary user: nobody else's words can be tried without root.
  test.skipIf(uid !== 0)("nobody else comes through a door whose folder was opened to all", async () => {
    const folder = scene.folder("open");
    const open = join(folder, "review.sock");
    const words = { host: `127.0.0.1:${port}`, token: place.developer };
    const owner = 54_322;
    const mayEnter = (one: number) => one === owner;
    relays.push(startRelay({ unix: open }, () => dialAt(socket, uid), throughDoor(words, mayEnter)));
    chmodSync(scene.dir, 0o755);
    chmodSync(folder, 0o755);
    chmodSync(open, 0o666);
    const by = (who: number) =>
      program(
        ...["setpriv", `--reuid=${who}`, `--regid=${who}`, "--clear-groups", "curl", "-sS"],
        ...["--unix-socket", open, "http://localhost/settings"],
      );
    expect((await by(owner)).out).toContain('"role":"developer"');
    expect(await by(owner + 1)).toMatchObject({ code: 52, out: "" });
  });

  test("while there is no server a connection ends at once, and the next server is reached", async () => {
    const client = await connect(place);
    await place.server.stop();
    expect(await client.closed).toMatchObject({ reason: "server is stopping" });
    expect(existsSync(socket)).toBe(false);
    expect(await exchange(dialTcp({ port, host: "127.0.0.1" }), "GET /health HTTP/1.1\r\n\r\n")).toBe("");
    const closed = await program("curl", "-sS", "--unix-socket", door, "http://localhost/health");
    expect(closed.code).not.toBe(0);
    // One that was killed leaves the name of its socket behind.
    const killed = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`;
    await program("bun", "-e", killed, socket);
    expect(existsSync(socket)).toBe(true);
    place.desk.close();
    place = await start();
    expect((await place.ask("/suggestions")).status).toBe(200);
  });
});

/** Runs a program while this process goes on, which has the relay in it. */
async function program(...argv: string[]): Promise<{ code: number; out: string }> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "ignore", timeout: 30_000 });
  const out = await new Response(child.stdout).text();
  return { code: await child.exited, out };
}

/** Sends text and returns everything that comes back until the other side ends. */
function exchange(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => resolve(got));
    socket.on("close", () => resolve(got));
    socket.write(text);
  });
}

describe("a socket by its name", () => {
  const scene = new Scene("socket-at");
  afterAll(() => scene.close());
  const listening = (path: string, answer: string) =>
    new Promise<void>((resolve) => {
      const server = createServer((client) => client.end(answer)).listen({ path }, resolve);
      scene.atEnd(() => server.close());
    });

  test("is reached however long its path is", async () => {
    const folder = scene.folder("f".repeat(90));
    const path = join(folder, "s".repeat(20));
    expect(isLong(path)).toBe(true);
    const name = nameIn(path);
    await listening(name.path, "hello");
    name.release();
    const held = socketAt(path, uid);
    expect(await exchange(dialTcp({ path: held.path }), "")).toBe("hello");
    held.release();
    const connection = await dialAt(path, uid);
    expect(connection).not.toBeString();
    if (typeof connection !== "string") connection.destroy();
  });

  test("is not followed where it is a link, and not taken from somebody else", async () => {
    await listening(scene.path("other.sock"), "the machine's");
    symlinkSync(scene.path("other.sock"), scene.path("link.sock"));
    writeFileSync(scene.path("file.sock"), "");
    expect(() => socketAt(scene.path("link.sock"), uid)).toThrow("is no socket of the server's");
    expect(() => socketAt(scene.path("file.sock"), uid)).toThrow("is no socket of the server's");
    expect(() => socketAt(scene.path("absent.sock"), uid)).toThrow("ENOENT");
    expect(() => socketAt(scene.path("other.sock"), uid + 1)).toThrow("is no socket of the server's");
    unlinkSync(scene.path("link.sock"));
    mkdirSync(scene.path("link.sock"));
    expect(() => socketAt(scene.path("link.sock"), uid)).toThrow("is no socket of the server's");
  });
});
