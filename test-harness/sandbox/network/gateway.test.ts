/** The gateway between real servers: what goes on to the provider, what comes back, and who gets nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Route, startGateway } from "../../../sandbox/network/gateway.ts";
import { Scene } from "../../support/scene.ts";

const scene = new Scene("gateway");
const KEY = "sk-the-real-one";
const PLACEHOLDER = "kept-outside-abcdef";

let provider: ReturnType<typeof Bun.serve>;
let gateway: ReturnType<typeof startGateway>;
let unix: ReturnType<typeof startGateway>;
const waiting = Promise.withResolvers<void>();

beforeAll(() => {
  provider = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const url = new URL(request.url);
      const said = { path: url.pathname, search: url.search, headers: Object.fromEntries(request.headers) };
      if (url.pathname.endsWith("/wrong"))
        return new Response(`no such key: ${request.headers.get("x-api-key")}`, {
          status: 401,
          headers: { "x-key": String(request.headers.get("x-api-key")) },
        });
      if (url.pathname.endsWith("/away"))
        return new Response(null, { status: 302, headers: { location: "http://elsewhere.example/" } });
      if (url.pathname.endsWith("/stream"))
        return new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue(new TextEncoder().encode("data: one\n\n"));
              await waiting.promise;
              controller.enqueue(new TextEncoder().encode("data: two\n\n"));
              controller.close();
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        );
      return Response.json({ ...said, body: await request.text() });
    },
  });
  const routes: Route[] = [
    {
      id: "own",
      base: `http://127.0.0.1:${provider.port}/v1/`,
      secrets: [{ placeholder: PLACEHOLDER, value: KEY }],
    },
    {
      id: "open",
      base: `http://127.0.0.1:${provider.port}/v1`,
      secrets: [{ placeholder: "kept-outside-open", value: null }],
    },
    {
      id: "gone",
      base: "http://127.0.0.1:9/v1",
      secrets: [{ placeholder: "kept-outside-gone", value: KEY }],
    },
  ];
  gateway = startGateway(routes, { port: 0 });
  unix = startGateway(routes, { unix: scene.path("gateway.sock") });
});
afterAll(async () => {
  await Promise.all([gateway.stop(true), unix.stop(true), provider.stop(true)]);
  await scene.close();
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${gateway.port}${path}`, { redirect: "manual", ...init });
const withKey = { "x-api-key": PLACEHOLDER };

test("puts the key in wherever its placeholder stands: a header of any name, a bearer, the query", async () => {
  for (const [path, headers] of [
    ["/own/chat", { authorization: `Bearer ${PLACEHOLDER}` }],
    ["/own/chat", withKey],
    [`/own/chat?key=${PLACEHOLDER}&a=b`, {}],
  ] as const) {
    const answer = (await (await ask(path, { method: "POST", body: "{}", headers })).json()) as Record<
      string,
      unknown
    >;
    expect(answer.path).toBe("/v1/chat");
    expect(answer.body).toBe("{}");
    expect(JSON.stringify(answer)).toContain(KEY);
    expect(JSON.stringify(answer)).not.toContain(PLACEHOLDER);
  }
});

test("serves the same on its Unix socket", async () => {
  const answer = await fetch("http://localhost/own/chat", {
    headers: withKey,
    unix: scene.path("gateway.sock"),
  });
  expect(await answer.text()).toContain(KEY);
});

test("gives nothing to who has no placeholder of that very provider, whatever they ask", async () => {
  for (const [path, headers] of [
    ["/own/chat", {}],
    ["/own/chat", { "x-api-key": KEY }],
    ["/own/chat", { "x-api-key": "kept-outside-open" }],
    ["/nowhere/chat", withKey],
    ["/", withKey],
    ["/own/chat", { ...withKey, origin: "http://evil.example" }],
  ] as const) {
    const answer = await ask(path, { headers });
    expect({ path, headers, status: answer.status }).toEqual({ path, headers, status: 401 });
    expect(await answer.text()).not.toContain(KEY);
  }
});

test("leads nowhere but below the provider's address", async () => {
  for (const path of ["/own/../../admin", "/own/%2e%2e/%2e%2e/admin", "/own//evil.example/x"]) {
    const answer = await ask(path, { headers: withKey });
    const { path: reached = "/v1/" } = (await answer.json()) as { path?: string };
    expect(answer.status === 401 || reached.startsWith("/v1/")).toBe(true);
  }
});

test("leaves a field out whose placeholder stands for no key", async () => {
  const answer = await ask("/open/chat", {
    headers: { authorization: "Bearer kept-outside-open", "x-other": "1" },
  });
  const { headers } = (await answer.json()) as { headers: Record<string, string> };
  expect(headers.authorization).toBeUndefined();
  expect(headers["x-other"]).toBe("1");
});

test("hands a stream on as it comes", async () => {
  const answer = await ask("/own/stream", { headers: withKey });
  const reader = answer.body?.getReader();
  const text = async () => new TextDecoder().decode((await reader?.read())?.value);
  expect(await text()).toBe("data: one\n\n");
  waiting.resolve();
  expect(await text()).toBe("data: two\n\n");
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
});

test("takes the key out of a complaint that repeats it", async () => {
  const answer = await ask("/own/wrong", { headers: withKey });
  expect(answer.status).toBe(401);
  expect(answer.headers.get("x-key")).toBe(PLACEHOLDER);
  expect(await answer.text()).toBe(`no such key: ${PLACEHOLDER}`);
});

test("follows no redirect with the key", async () => {
  const answer = await ask("/own/away", { headers: withKey });
  expect([answer.status, answer.headers.get("location")]).toEqual([302, "http://elsewhere.example/"]);
});

test("says that a provider is not there", async () => {
  const answer = await ask("/gone/chat", { headers: { "x-api-key": "kept-outside-gone" } });
  expect(answer.status).toBe(502);
  expect(await answer.text()).toContain("127.0.0.1:9 was not reached");
});
