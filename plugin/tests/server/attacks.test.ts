/** One test per attack that a local server has fallen to somewhere: refused, nothing changed, still answering. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { handshake } from "./frames.ts";
import { Place, proofFor, until } from "./place.ts";
import { rawConnect, rawRequest } from "./raw.ts";

setDefaultTimeout(30_000);

let at: Place;
let lines: number;
beforeAll(async () => {
  at = await Place.open({ limits: { bodyMs: 700, bodyBytes: 100_000, failureBurst: 50 } });
  at.emit("first");
  lines = at.journal().length;
});
afterAll(() => at.stop());
afterEach(async () => {
  expect(at.journal().length).toBe(lines);
  expect((await at.ask("/suggestions")).status).toBe(200);
});

interface Raw {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string;
  token?: string | null;
}

/** Status of a request written byte by byte, since a well-behaved client would not send these headers. */
async function raw({
  method = "GET",
  path = "/suggestions",
  headers = {},
  body,
  token,
}: Raw): Promise<string> {
  const all: Record<string, string> = {
    Host: `127.0.0.1:${at.port}`,
    Connection: "close",
    ...(token === null ? {} : { Authorization: `Bearer ${token ?? at.developer}` }),
    ...(body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return rawRequest(at.port, [`${method} ${path} HTTP/1.1`, ...head, "", body ?? ""].join("\r\n"));
}

const status = (answer: string): number => Number(answer.slice(9, 12));
const upgrade = async (
  headers: Record<string, string>,
  token: string | null = at.developer,
): Promise<number> => {
  const connection = await rawConnect(at.port);
  connection.write(handshake(at.port, token, headers));
  await until(() => connection.received().includes("\r\n\r\n"), "an answer to the handshake");
  connection.socket.destroy();
  return status(connection.received());
};

describe("where a request comes from", () => {
  test("foreign Host (DNS rebinding), on HTTP and on upgrade", async () => {
    for (const Host of ["evil.example", `evil.example:${at.port}`, `127.0.0.1.evil.example:${at.port}`, ""]) {
      expect([Host, status(await raw({ headers: { Host } }))]).toEqual([Host, 403]);
      expect([Host, status(await raw({ path: "/health", headers: { Host }, token: null }))]).toEqual([
        Host,
        403,
      ]);
      expect([Host, await upgrade({ Host })]).toEqual([Host, 403]);
    }
  });

  test("right host, wrong port or none", async () => {
    for (const Host of [
      "127.0.0.1",
      "localhost",
      "127.0.0.1:1",
      `localhost:${at.port}0`,
      `0x7f.1:${at.port}`,
    ]) {
      expect([Host, status(await raw({ headers: { Host } }))]).toEqual([Host, 403]);
    }
    for (const Host of [`localhost:${at.port}`, `LOCALHOST:${at.port}`, `[::1]:${at.port}`]) {
      expect([Host, status(await raw({ headers: { Host } }))]).toEqual([Host, 200]);
    }
  });

  test("two Host headers, no Host header, an absolute target with another host", async () => {
    const twice = `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`;
    expect(status(await rawRequest(at.port, twice))).toBe(403);
    expect(status(await rawRequest(at.port, "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"))).toBe(400);
    expect(status(await rawRequest(at.port, "GET /health HTTP/1.0\r\n\r\n"))).toBe(403);
    const absolute = `GET http://evil.example/suggestions HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nConnection: close\r\n\r\n`;
    expect(status(await rawRequest(at.port, absolute))).toBe(401);
  });

  const origins = ["https://evil.example", "null", "http://localhost:3000", "file://", ""];
  test("foreign Origin, Origin: null, another local port: on HTTP, good token or not", async () => {
    for (const Origin of [...origins, `http://127.0.0.1:${at.port}`]) {
      const headers = { Origin };
      expect([Origin, status(await raw({ headers }))]).toEqual([Origin, 403]);
      expect([Origin, status(await raw({ headers, token: null }))]).toEqual([Origin, 403]);
      expect([Origin, status(await raw({ path: "/health", headers, token: null }))]).toEqual([Origin, 403]);
    }
  });

  test("foreign Origin on upgrade", async () => {
    for (const Origin of origins) {
      expect([Origin, await upgrade({ Origin })]).toEqual([Origin, 403]);
      expect([Origin, await upgrade({ Origin }, null)]).toEqual([Origin, 403]);
    }
  });

  test("an allowed origin still needs the token", async () => {
    const Origin = "http://localhost:3000";
    const other = await Place.open({ options: { allowed_origins: [Origin] } });
    expect((await other.ask("/suggestions", { headers: { Origin }, token: null })).status).toBe(401);
    const answer = await other.ask("/suggestions", { headers: { Origin } });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, null]);
    expect((await other.ask("/suggestions", { headers: { Origin: `${Origin}.evil.example` } })).status).toBe(
      403,
    );
    await other.stop();
  });

  test("what a page loads without an Origin: images, scripts, navigations", async () => {
    for (const site of ["cross-site", "same-site"]) {
      expect(status(await raw({ path: "/health", headers: { "Sec-Fetch-Site": site }, token: null }))).toBe(
        403,
      );
    }
  });

  test("a CORS preflight gets no permission", async () => {
    const headers = {
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "authorization",
    };
    const answer = await raw({ method: "OPTIONS", path: "/feedback", headers, token: null });
    expect(status(answer)).toBe(401);
    expect(answer.toLowerCase()).not.toContain("access-control-allow");
  });
});

describe("what a request carries", () => {
  const body = JSON.stringify({ suggestion_id: "x", action: "discard" });
  test("text/plain, forms and no content type (the POSTs a page may send) are 415", async () => {
    const types = [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/json-patch+json",
      "text/plain; application/json",
      "application/json, text/plain",
      "application/json; charset=latin1",
    ];
    for (const type of types) {
      const answer = await raw({
        method: "POST",
        path: "/complete",
        headers: { "Content-Type": type },
        body,
      });
      expect([type, status(answer)]).toEqual([type, 415]);
    }
    expect(status(await raw({ method: "POST", path: "/complete", body }))).toBe(415);
    const zipped = { "Content-Type": "application/json", "Content-Encoding": "gzip" };
    expect(status(await raw({ method: "POST", path: "/complete", headers: zipped, body }))).toBe(415);
  });

  test("an oversized body is 413, declared or chunked, and is not collected", async () => {
    const headers = { "Content-Type": "application/json" };
    const declared = await raw({ method: "POST", path: "/complete", headers, body: " ".repeat(100_001) });
    expect(status(declared)).toBe(413);
    expect(declared).toContain('"code":"payload_too_large"');
    const before = process.memoryUsage.rss();
    const connection = await rawConnect(at.port);
    connection.write(
      `POST /complete HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
    for (let i = 0; i < 800 && !connection.socket.destroyed; i++) {
      connection.write(chunk);
      if (i % 20 === 0) await Bun.sleep(1);
    }
    await until(() => connection.received().includes("\r\n\r\n"), "an answer");
    expect(status(connection.received())).toBe(413);
    connection.socket.destroy();
    expect(process.memoryUsage.rss() - before).toBeLessThan(40e6);
  });

  test("a body that does not arrive is 408", async () => {
    const connection = await rawConnect(at.port);
    connection.write(
      `POST /complete HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
    );
    await until(() => connection.received().includes("\r\n\r\n"), "an answer");
    expect(status(connection.received())).toBe(408);
    connection.socket.destroy();
  });

  test("conflicting lengths (request smuggling), garbage and endless headers are cut", async () => {
    const smuggled = `POST /complete HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
    expect(status(await rawRequest(at.port, smuggled))).toBe(400);
    expect(status(await rawRequest(at.port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))).toBe(400);
    const long = `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nX: ${"a".repeat(200_000)}\r\n\r\n`;
    expect(status(await rawRequest(at.port, long))).toBe(431);
  });
});

describe("tokens", () => {
  test("missing and wrong get the same answer", async () => {
    const answers = [
      await raw({ token: null }),
      await raw({ token: "wrong" }),
      await raw({ token: `${at.developer}x` }),
      await raw({ token: at.developer.slice(0, -1) }),
      await raw({ token: "x".repeat(10_000) }),
      await raw({ headers: { Authorization: `Basic ${btoa(`x:${at.developer}`)}` } }),
      await raw({ headers: { Authorization: at.developer } }),
      await raw({ headers: { Authorization: `Bearer ${at.developer}, Bearer ${at.developer}` } }),
    ].map((answer) => answer.replace(/Date: .*\r\n/, "").replace(/X-Request-Id: [0-9a-f-]{36}\r\n/i, ""));
    expect(answers[0]).toStartWith("HTTP/1.1 401");
    expect(answers[0]).toContain("WWW-Authenticate: Bearer\r\n");
    expect(new Set(answers).size).toBe(1);
  });

  test("missing, wrong and nearly right take the same time within noise", async () => {
    const other = await Place.open({ limits: { failureBurst: 1e9 } });
    const tokens: Record<string, string | null> = {
      missing: null,
      wrong: "a".repeat(other.developer.length),
      near: `${other.developer.slice(0, -1)}${other.developer.endsWith("A") ? "B" : "A"}`,
    };
    const times: Record<string, number[]> = { missing: [], wrong: [], near: [] };
    for (let i = 0; i < 1500; i++) {
      for (const [name, token] of Object.entries(tokens)) {
        const from = performance.now();
        await other.ask("/suggestions", { token });
        if (i > 100) times[name]?.push(performance.now() - from);
      }
    }
    await other.stop();
    const medians = Object.values(times).map((list) => list.sort((a, b) => a - b)[list.length >> 1] ?? 0);
    const spread = Math.max(...medians) / Math.min(...medians);
    console.log(
      `401 medians (ms): ${medians.map((ms) => ms.toFixed(3)).join(" ")}, ratio ${spread.toFixed(3)}`,
    );
    expect(spread).toBeLessThan(1.25);
  });

  test("a token in the query is refused, alone and beside a good header", async () => {
    for (const name of ["token", "access_token", "auth", "api_key"]) {
      const path = `/suggestions?${name}=${at.developer}`;
      expect([name, status(await raw({ path, token: null }))]).toEqual([name, 401]);
      expect([name, status(await raw({ path }))]).toEqual([name, 400]);
    }
    const connection = await rawConnect(at.port);
    connection.write(handshake(at.port, null).replace("/ws", `/ws?token=${at.developer}`));
    await until(() => connection.received().includes("\r\n\r\n"), "an answer");
    expect(status(connection.received())).toBe(401);
    connection.socket.destroy();
  });

  test("a token in the WebSocket subprotocol is no token", async () => {
    expect(await upgrade({ "Sec-WebSocket-Protocol": `bearer, ${at.developer}` }, null)).toBe(401);
  });

  test("a relay to the real server cannot pass off its proof: it is for the real server's address", async () => {
    const relay = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      // The best a relay can do: everything as it came, with the Host that the real server wants.
      fetch: (request) => {
        const { pathname, search } = new URL(request.url);
        return fetch(`${at.url}${pathname}${search}`, { headers: { Host: `127.0.0.1:${at.port}` } });
      },
    });
    const proofs = async (port: number | undefined): Promise<string[]> => {
      const answer = await fetch(`http://127.0.0.1:${port}/health?nonce=nonce-12345`);
      return ((await answer.json()) as { proofs: string[] }).proofs;
    };
    const expected = (port: number | undefined) => proofFor(at.developer, "nonce-12345", `127.0.0.1:${port}`);
    expect(await proofs(at.port)).toContain(expected(at.port));
    const relayed = await proofs(relay.port);
    expect(relayed).toContain(expected(at.port));
    expect(relayed).not.toContain(expected(relay.port));
    // Naming another Host does not make the server sign for it.
    for (const Host of [`127.0.0.1:${relay.port}`, `localhost:${at.port}`, `[::1]:${at.port}`]) {
      const answer = await raw({ path: "/health?nonce=nonce-12345", headers: { Host }, token: null });
      expect(answer).not.toContain(expected(relay.port));
      expect(answer).not.toContain(proofFor(at.developer, "nonce-12345", Host));
    }
    await relay.stop(true);
  });

  test("nothing secret is logged, whatever happened so far", async () => {
    await raw({ token: null, path: `/suggestions?token=${at.developer}` });
    await at.ask("/complete", { body: { suggestion_id: at.developer, action: at.developer } });
    const text = at.logged.join("\n");
    expect(text).not.toContain(at.developer);
    expect(text).not.toContain(at.agent);
  });
});

describe("floods", () => {
  test("1,000 upgrades without a token: all refused, nobody waits longer than behind as many good ones", async () => {
    const before = (await at.ask("/health")).body.wsClients;
    /** How long a good request takes behind a hundred upgrades. */
    const behind = async (token: (i: number) => string | null, expected: number): Promise<number> => {
      const pending = Array.from({ length: 100 }, (_, i) => upgrade({}, token(i)));
      const from = performance.now();
      expect((await at.ask("/suggestions")).status).toBe(200);
      const wait = performance.now() - from;
      expect(new Set(await Promise.all(pending))).toEqual(new Set([expected]));
      return wait;
    };
    const waits: { flood: number[]; good: number[] } = { flood: [], good: [] };
    for (let i = 0; i < 10; i++) {
      waits.flood.push(await behind((n) => (n % 2 === 0 ? null : "wrong"), 401));
      waits.good.push(await behind(() => at.developer, 101));
    }
    const [flood = 0, good = 0] = Object.values(waits).map((list) => list.sort((a, b) => a - b)[5]);
    console.log(
      `a good request behind 100 refusals ${flood.toFixed(1)} ms, behind 100 good ones ${good.toFixed(1)} ms`,
    );
    expect(flood / good).toBeLessThan(5);
    await until(async () => (await at.ask("/health")).body.wsClients === before, "no socket left");
  });

  test("guesses on one connection meet 429 with Retry-After; a good token on it still passes", async () => {
    const connection = await rawConnect(at.port);
    const guess = `GET /suggestions HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer guess\r\n\r\n`;
    const good = `GET /settings HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nAuthorization: Bearer ${at.developer}\r\n\r\n`;
    for (let i = 0; i < 80; i++) {
      connection.write(guess);
      await until(() => connection.received().split("HTTP/1.1 ").length > i + 1, "an answer");
    }
    const answers = connection.received();
    expect(answers.split("HTTP/1.1 401").length - 1).toBeGreaterThanOrEqual(50);
    expect(answers).toMatch(/HTTP\/1.1 429 [\s\S]*Retry-After: \d/);
    connection.write(good);
    await until(() => connection.received().includes('"role":"developer"'), "the good answer");
    connection.socket.destroy();
  });

  test("one token's flood does not use up another's allowance", async () => {
    const other = await Place.open({ limits: { requestsPerSecond: 1, requestBurst: 5 } });
    const { agent: token } = other;
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push((await other.ask("/suggestions", { token })).status);
    expect(answers).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect((await other.ask("/suggestions")).status).toBe(200);
    const refused = await other.ask("/suggestions", { token });
    expect([refused.body.error.code, refused.headers.get("retry-after")]).toEqual(["rate_limited", "1"]);
    await other.stop();
  });

  test("100 sockets that drip their headers are cut, and everybody is answered meanwhile", async () => {
    const slow = await Promise.all(Array.from({ length: 100 }, () => rawConnect(at.port)));
    const drip = setInterval(() => {
      for (const { socket } of slow) if (!socket.destroyed) socket.write("X-A: b\r\n");
    }, 400);
    for (const { socket } of slow) socket.write("GET /health HTTP/1.1\r\n");
    const open = () => slow.filter(({ socket }) => !socket.destroyed).length;
    let answered = 0;
    while (open() > 0) {
      expect((await at.ask("/health")).status).toBe(200);
      if (open() === slow.length) answered += 1;
      await Bun.sleep(50);
    }
    clearInterval(drip);
    expect(answered).toBeGreaterThan(0);
    // They never got as far as an answer.
    expect(slow.filter(({ received }) => received().includes("200 OK"))).toEqual([]);
  }, 60_000);

  test("sockets are limited, the agent's more than the developer's", async () => {
    const other = await Place.open({ limits: { maxSockets: 6, maxAgentSockets: 2 } });
    const open = (token: string) =>
      new Promise<WebSocket | number>((resolve) => {
        const socket = new WebSocket(`${other.url.replace("http", "ws")}/ws`, {
          headers: { Authorization: `Bearer ${token}` },
        } as unknown as string[]);
        socket.onopen = () => resolve(socket);
        socket.onerror = () => resolve(0);
      });
    const agents = [];
    for (let i = 0; i < 4; i++) agents.push(await open(other.agent));
    expect(agents.filter((one) => one !== 0)).toHaveLength(2);
    const developers = [];
    for (let i = 0; i < 6; i++) developers.push(await open(other.developer));
    expect(developers.filter((one) => one !== 0)).toHaveLength(4);
    expect((await other.ask("/health")).body.wsClients).toBe(6);
    for (const one of [...agents, ...developers]) if (one instanceof WebSocket) one.close();
    await until(async () => (await other.ask("/health")).body.wsClients === 0, "sockets gone");
    expect(await open(other.agent)).not.toBe(0);
    await other.stop();
  });
});

describe("ids and paths", () => {
  test("guessed ids and traversal in every path parameter are 404", async () => {
    const guesses = [
      "..",
      "../../etc/passwd",
      "..%2f..%2fetc%2fpasswd",
      "%2e%2e%2f%2e%2e%2ftoken",
      "..\\..\\token",
      "%00",
      "x%00.patch",
      "%ff",
      "'; DROP TABLE suggestion; --",
      "00000000-0000-7000-8000-000000000000",
      "a".repeat(65),
      "constructor",
      "__proto__",
    ];
    for (const guess of guesses) {
      for (const path of [
        `/suggestions/${guess}`,
        `/suggestions/${guess}.patch`,
        `/suggestions/${guess}/hunks`,
        `/suggestions/${guess}/content?file=a.ts&side=base`,
      ]) {
        const answer = await raw({ path: path.replace(/ /g, "%20") });
        expect([path, status(answer)]).toEqual([path, 404]);
        expect(answer).not.toContain("root:");
      }
    }
    for (const path of [
      "/../token",
      "/%2e%2e/token",
      "/./tokens.json",
      "/ledger.sqlite",
      "//health/../token",
    ]) {
      expect([path, status(await raw({ path }))]).toEqual([path, 404]);
    }
  });

  test("an id in a body is looked up, never used as anything else", async () => {
    for (const suggestion_id of ["../x", "__proto__", "a".repeat(65), "", "\u0000", 1, null, { $gt: "" }]) {
      const { status: code, body } = await at.ask("/complete", {
        body: { suggestion_id, action: "discard" },
      });
      expect([suggestion_id, [400, 404].includes(code)]).toEqual([suggestion_id, true]);
      expect(body.error.code).toMatch(/^(invalid_request|not_found)$/);
    }
  });
});
