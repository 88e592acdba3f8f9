/** The proxy on real sockets, as curl and hostile clients speak to it; only the answers of DNS are made up where a name is. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { LookupAddress } from "node:dns";
import { connect, createServer, type Server, type Socket } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import type { AddressKind } from "../../../sandbox/network/addresses.ts";
import type { Listener } from "../../../sandbox/network/connection.ts";
import { startProxy } from "../../../sandbox/network/proxy.ts";
import type { Rules } from "../../../sandbox/network/rules.ts";
import { Scene, until } from "../../support/scene.ts";

const scene = new Scene("proxy");
const BIG = 8 * 2 ** 20;
const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);

let origin: ReturnType<typeof Bun.serve>;
let proxy: Listener;
let port: number;
let rules: Rules = { allow: [], deny: [] };
let answers: Record<string, string[]> = {};
let looked: string[] = [];
let refused: { host: string; port: number; reason: string; program?: string; call?: string }[] = [];

const allow = (host: string, only: number | null, ...reach: AddressKind[]) => {
  rules = { ...rules, allow: [...rules.allow, { host, port: only, reach }] };
};

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    }),
  );

beforeAll(async () => {
  origin = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/big") return new Response(new Uint8Array(BIG));
      if (pathname === "/echo") return new Response(await request.text());
      return Response.json({ path: pathname, headers: Object.fromEntries(request.headers) });
    },
  });
  proxy = startProxy(
    { port: 0 },
    {
      door: "command",
      rules: () => rules,
      refused: (one) => refused.push(one),
      async resolve(host): Promise<LookupAddress[]> {
        looked.push(host);
        const found = answers[host];
        if (found === undefined) throw Object.assign(new Error(`no ${host}`), { code: "ENOTFOUND" });
        return found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
      },
    },
  );
  port = proxy.port;
});
beforeEach(() => {
  rules = { allow: [], deny: [] };
  answers = { "a.example": ["127.0.0.1"] };
  looked = [];
  refused = [];
});
afterAll(async () => {
  proxy.stop(true);
  await origin.stop(true);
  await scene.close();
});

const curl = async (...args: string[]) => {
  const child = Bun.spawn(["curl", "--silent", "--show-error", "--max-time", "20", ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "" },
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
};
const via = (scheme: string) => ["--proxy", `${scheme}://127.0.0.1:${port}`];

/** Sends bytes and returns what comes back until the other side ends. */
function say(...parts: (string | Uint8Array)[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: "127.0.0.1" }, () => {
      for (const part of parts) socket.write(part);
    });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    socket.on("error", reject);
    socket.setTimeout(10_000, () => socket.destroy(new Error("no end")));
  });
}

describe("what is allowed", () => {
  test("is reached by CONNECT, by plain HTTP, by SOCKS5 with a name and with an address", async () => {
    allow("a.example", origin.port ?? 0, "loopback");
    allow("127.0.0.1", origin.port ?? 0);
    for (const args of [[...via("http"), "--proxytunnel"], via("http"), via("socks5h")]) {
      const { code, out, err } = await curl(...args, `http://a.example:${origin.port}/x?y=1`);
      expect({ args, code, err }).toEqual({ args, code: 0, err: "" });
      expect(JSON.parse(out)).toMatchObject({ path: "/x", headers: { host: `a.example:${origin.port}` } });
    }
    expect((await curl(...via("socks5"), `http://127.0.0.1:${origin.port}/x`)).code).toBe(0);
    expect(refused).toEqual([]);
  });

  test("comes whole in both directions, and at the pace of a slow reader", async () => {
    allow("a.example", origin.port ?? 0, "loopback");
    const file = scene.write("body", "0123456789abcdef".repeat(BIG / 16));
    const { out } = await curl(
      ...via("http"),
      "--data-binary",
      `@${file}`,
      `http://a.example:${origin.port}/echo`,
    );
    expect(out.length).toBe(BIG);
    const slow = await curl(
      ...[...via("http"), "--proxytunnel", "--limit-rate", "16M", "--output", "/dev/null"],
      ...["--write-out", "%{size_download}", `http://a.example:${origin.port}/big`],
    );
    expect(slow.out).toBe(String(BIG));
  });

  test("gets a request without what was meant for the proxy, and with the host that was checked", async () => {
    allow("a.example", origin.port ?? 0, "loopback");
    const said = await say(
      `GET http://a.example:${origin.port}/ HTTP/1.1\r\nHost: evil.example\r\nProxy-Authorization: Basic eDp5\r\nConnection: keep-alive\r\nX-Kept: yes\r\n\r\n`,
    );
    const body = JSON.parse(said.toString().split("\r\n\r\n")[1] ?? "") as {
      headers: Record<string, string>;
    };
    expect(body.headers).toEqual({ host: `a.example:${origin.port}`, connection: "close", "x-kept": "yes" });
  });

  test("keeps what one side still has to say after the other has ended", async () => {
    const late = Bun.listen<{ text: string }>({
      ...{ hostname: "127.0.0.1", port: 0, allowHalfOpen: true },
      socket: {
        open(socket) {
          socket.data = { text: "" };
        },
        data(socket, chunk) {
          socket.data.text += chunk;
        },
        end: (socket) => void socket.end(`got ${socket.data.text}`),
      },
    });
    allow("a.example", late.port, "loopback");
    let said = "";
    const ended = Promise.withResolvers<void>();
    const greeting = "HTTP/1.1 200 Connection established\r\n\r\n";
    await Bun.connect({
      ...{ hostname: "127.0.0.1", port, allowHalfOpen: true },
      socket: {
        open: (socket) => void socket.write(`CONNECT a.example:${late.port} HTTP/1.1\r\n\r\n`),
        data(socket, chunk) {
          said += chunk;
          if (said !== greeting) return;
          socket.write("all of it");
          socket.shutdown();
        },
        end: (socket) => void socket.end(),
        close: () => ended.resolve(),
      },
    });
    await ended.promise;
    expect(said).toBe(`${greeting}got all of it`);
    late.stop(true);
  });

  test("is closed on the far side when the near side goes away", async () => {
    let open = 0;
    const far = createServer((socket) => {
      open++;
      socket.on("error", () => undefined);
      socket.on("close", () => open--);
    });
    const farPort = await listen(far);
    allow("a.example", farPort, "loopback");
    const socket = connect({ port, host: "127.0.0.1" }, () =>
      socket.write(`CONNECT a.example:${farPort} HTTP/1.1\r\n\r\n`),
    );
    await until("it is connected", () => open === 1);
    socket.destroy();
    await until("it is closed", () => open === 0);
    far.close();
  });

  test("and not there is said to be not there, which is no refusal", async () => {
    allow("gone.example", null);
    const { out } = await curl(...via("http"), "http://gone.example/");
    expect(out).toContain("gone.example:80 was not reached: gone.example was not found");
    expect(refused).toEqual([]);
  });
});

describe("what is not allowed", () => {
  test("is answered with 403, how it can be allowed, and a word for the developer", async () => {
    const plain = await curl(...via("http"), "--user-agent", "tool/1", "--include", "http://b.example/");
    expect(plain.out).toStartWith("HTTP/1.1 403 ");
    expect(plain.out).toContain("npm run sandbox -- allow b.example:80");
    const tunnel = await curl(...via("http"), "https://b.example/");
    expect(tunnel.code).not.toBe(0);
    expect(tunnel.err).toContain("403");
    const socks = await curl(...via("socks5h"), "http://b.example/");
    expect(socks.code).toBe(97);
    expect(refused).toEqual([
      { host: "b.example", port: 80, reason: "not-allowed", program: "tool/1" },
      { host: "b.example", port: 443, reason: "not-allowed", program: expect.stringContaining("curl") },
      { host: "b.example", port: 80, reason: "not-allowed" },
    ]);
  });

  test("is not even looked up: a name that is asked for tells nobody anything", async () => {
    await curl(...via("http"), "http://secret-word.b.example/");
    await curl(...via("socks5h"), "http://secret-word.b.example/");
    expect(refused.length).toBe(2);
    expect(looked).toEqual([]);
  });

  test("is no address of any kind that is not in the list by its number", async () => {
    allow("a.example", origin.port ?? 0, "loopback");
    for (const host of [
      "127.0.0.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "10.0.0.1",
      "169.254.169.254",
      "0.0.0.0",
    ]) {
      const { out } = await curl(...via("http"), "--globoff", `http://${host}:${origin.port}/`);
      expect([host, out.includes("is not reached from here")]).toEqual([host, true]);
    }
    expect(looked).toEqual([]);
  });

  for (const target of [
    "127.1",
    "2130706433",
    "0x7f000001",
    "a.example.",
    "a.example%00.evil.example",
    "A..example",
  ])
    test(`is no other spelling: ${target}`, async () => {
      allow("a.example", 80, "loopback");
      const said = await say(`CONNECT ${target}:80 HTTP/1.1\r\n\r\n`);
      expect(said.toString()).toMatch(/^HTTP\/1\.1 40[03] /);
      expect(looked).toEqual([]);
    });

  test("is a name in SOCKS with bytes that no name has", async () => {
    allow("a.example", 80, "loopback");
    const name = Buffer.from("a.example\0.evil.example");
    const said = await say(
      Uint8Array.of(5, 1, 0),
      Buffer.concat([Uint8Array.of(5, 1, 0, 3, name.length), name, Uint8Array.of(0, 80)]),
    );
    expect([...said]).toEqual([5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(refused).toMatchObject([{ reason: "name" }]);
    expect(looked).toEqual([]);
  });

  test("is noted with the number of the command that it belongs to, where its proxy was given that as a user", async () => {
    const number = "0123456789abcdef01234567";
    const asked = (user: string, url: string) => curl("--proxy", `http://${user}@127.0.0.1:${port}`, url);
    await asked(`${number}:x`, "http://plain.example/");
    await asked(`${number}:x`, "https://tunnel.example/");
    await curl(...via("http"), "http://none.example/");
    for (const user of ["somebody:x", `${number}0:x`, number.toUpperCase(), ":x"])
      await asked(user, "http://other.example/");
    expect(refused.map(({ host, call }) => [host, call])).toEqual([
      ["plain.example", number],
      ["tunnel.example", number],
      ["none.example", undefined],
      ...Array.from({ length: 4 }, () => ["other.example", undefined]),
    ]);
  });

  test("and a program that is allowed through is asked for no credentials, and passes none on", async () => {
    allow("a.example", origin.port ?? 0, "loopback");
    const proxy = `http://0123456789abcdef01234567:x@127.0.0.1:${port}`;
    const { out } = await curl("--proxy", proxy, `http://a.example:${origin.port}/x`);
    expect(JSON.parse(out)).toMatchObject({ path: "/x" });
    expect(out.toLowerCase()).not.toContain("authorization");
  });
});

describe("an allowed name", () => {
  const leads = async (addresses: string[], ...reach: AddressKind[]) => {
    answers = { "a.example": addresses };
    allow("a.example", origin.port ?? 0, ...reach);
    return (await curl(...via("http"), `http://a.example:${origin.port}/`)).out;
  };
  for (const [address, kind] of [
    ["127.0.0.1", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["10.0.0.1", "private"],
    ["169.254.169.254", "metadata"],
    ["fe80::1", "link-local"],
    ["0.0.0.0", "special"],
  ] as const)
    test(`does not lead to ${address}, which is ${kind}`, async () => {
      expect(await leads([address])).toContain(`leads to a ${kind} address`);
      expect(refused).toMatchObject([{ host: "a.example", reason: "address" }]);
    });

  test("leads to this machine's own address no more than to loopback", async () => {
    const address = own.find((one) => !one.internal && one.family === "IPv4")?.address ?? "127.0.0.1";
    expect(await leads([address])).toMatch(/leads to a (own|loopback) address/);
  });

  test("leads to the one good address of several, with one look-up", async () => {
    expect(await leads(["10.0.0.1", "127.0.0.1"], "loopback")).toContain('"path":"/"');
    expect(looked).toEqual(["a.example"]);
  });

  test("of a private network does not lead to loopback", async () => {
    expect(await leads(["127.0.0.1"], "private")).toContain("leads to a loopback address");
  });

  test("is looked up by the system, too", async () => {
    const real = startProxy(
      { port: 0 },
      { door: "command", rules: () => rules, refused: (one) => refused.push(one) },
    );
    allow("localhost", origin.port ?? 0);
    const ask = () => curl("--proxy", `http://127.0.0.1:${real.port}`, `http://localhost:${origin.port}/`);
    expect((await ask()).out).toContain("leads to a loopback address");
    allow("localhost", origin.port ?? 0, "loopback");
    expect((await ask()).out).toContain('"path":"/"');
    scene.say(`this machine calls itself ${hostname()}`);
    real.stop(true);
  });
});

describe("a client that speaks otherwise", () => {
  for (const [what, text] of [
    ["nonsense", "\x16\x03\x01\x02\x00\r\n\r\n"],
    ["a path", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"],
    ["another scheme", "GET ftp://a.example/ HTTP/1.1\r\n\r\n"],
    ["a user in the address", "GET http://a.example@evil.example/ HTTP/1.1\r\n\r\n"],
    ["a field on two lines", "GET http://a.example/ HTTP/1.1\r\nX: a\r\n b\r\n\r\n"],
    ["a blank before the colon", "GET http://a.example/ HTTP/1.1\r\nHost : b\r\n\r\n"],
    ["a bare line feed in the head", "GET http://a.example/ HTTP/1.1\r\nX: a\nHost: evil.example\r\n\r\n"],
    ["a bare line feed in the target", "GET http://a.example/\nX HTTP/1.1\r\n\r\n"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\n"],
    ["a head without end", `GET http://a.example/ HTTP/1.1\r\nX: ${"a".repeat(40_000)}`],
    ["a port that is none", "CONNECT a.example:99999 HTTP/1.1\r\n\r\n"],
    ["a port of zero", "CONNECT a.example:0 HTTP/1.1\r\n\r\n"],
  ])
    test(`is refused: ${what}`, async () => {
      allow("a.example", 80, "loopback");
      expect((await say(text ?? "")).toString()).toMatch(/^HTTP\/1\.1 40[03] /);
      expect(looked).toEqual([]);
    });

  test("is refused in SOCKS: a log-in, another command, another type of address", async () => {
    expect([...(await say(Uint8Array.of(5, 1, 2)))]).toEqual([5, 0xff]);
    for (const command of [2, 3])
      expect([
        ...(await say(Uint8Array.of(5, 1, 0), Uint8Array.of(5, command, 0, 1, 127, 0, 0, 1, 0, 80))),
      ]).toEqual([5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect([...(await say(Uint8Array.of(5, 1, 0), Uint8Array.of(5, 1, 0, 9, 1, 2)))].slice(0, 4)).toEqual([
      5, 0, 5, 8,
    ]);
  });

  test("gets nothing when the list cannot be read", async () => {
    const broken = startProxy(
      { port: 0 },
      {
        door: "command",
        rules: () => {
          throw new Error("that is no list");
        },
        refused: (one) => refused.push(one),
      },
    );
    const { out } = await curl("--proxy", `http://127.0.0.1:${broken.port}`, "http://a.example/");
    expect(out).toContain("that is no list");
    expect(refused).toMatchObject([{ reason: "list" }]);
    broken.stop(true);
  });
});
