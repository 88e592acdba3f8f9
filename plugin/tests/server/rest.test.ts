import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { type Place, place } from "./place.ts";

let at: Place;
beforeAll(async () => {
  at = await place();
});
afterAll(() => at.stop());

describe("the seed's endpoints", () => {
  test("GET /health is open and answers healthy, service and wsClients", async () => {
    const { status, body } = await at.ask("/health", { token: null });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      healthy: true,
      service: "suggestion-manager",
      wsClients: 0,
      version: "0.0.0-test",
    });
    expect(body.ledger_bytes).toBeUndefined();
    expect(body.projects).toBeUndefined();
  });

  test("GET /health tells more to a caller with a token", async () => {
    expect((await at.ask("/health")).body).toMatchObject({ last_seq: expect.any(Number), last_error: null });
  });

  test("GET /health?nonce= proves knowledge of the developer's token hash", async () => {
    const key = createHash("sha256").update(at.developer).digest("hex");
    const proof = createHmac("sha256", key).update("suggestion-manager:nonce-12345").digest("hex");
    const { body } = await at.ask("/health?nonce=nonce-12345", { token: null });
    expect(body.proofs).toEqual([proof]);
    expect((await at.ask("/health?nonce=short", { token: null })).status).toBe(400);
  });

  test("GET /suggestions, GET /suggestions/:id", async () => {
    const { body } = await at.ask("/suggestions");
    expect(body).toMatchObject({ total: 2, next: null });
    expect(body.suggestions.map((one: { id: string }) => one.id)).toEqual(["suggestion-0", "suggestion-1"]);
    expect((await at.ask("/suggestions/suggestion-1")).body.hunks).toHaveLength(2);
    expect((await at.ask("/suggestions?limit=1")).body).toMatchObject({ total: 2, next: 1 });
  });

  test("POST /feedback and POST /complete reach the desk with the developer as actor", async () => {
    const request = { suggestion_id: "suggestion-0", hunk_id: "suggestion-0:src/a.ts:0", action: "accept" };
    expect((await at.ask("/feedback", { body: request })).body).toMatchObject({ success: true });
    expect(at.desk.calls.at(-1)).toEqual({ name: "decide", request, actor: "developer" });
    const done = await at.ask("/complete", { body: { suggestion_id: "suggestion-0", action: "discard" } });
    expect(done.status).toBe(200);
  });
});

describe("refusals", () => {
  test("name the field and what was expected", async () => {
    const { status, body } = await at.ask("/feedback", {
      body: { suggestion_id: "x", hunk_id: "y", action: "aprove" },
    });
    expect(status).toBe(400);
    expect(body.error.code).toBe("invalid_request");
    expect(body.error.message).toBe('Request body: action: expected one of "accept"|"reject"|"modify"');
    expect(body.error.details.field).toBe("action");
  });

  test("unknown fields, unknown query parameters and repeated ones are refused by name", async () => {
    const extra = { suggestion_id: "x", action: "discard", extra: 1 };
    expect((await at.ask("/complete", { body: extra })).body.error.details.field).toBe("extra");
    expect((await at.ask("/suggestions?colour=red")).body.error.details.field).toBe("colour");
    expect((await at.ask("/suggestions?limit=1&limit=2")).body.error.details.field).toBe("limit");
  });

  test("an unknown address is 404, a wrong method 405 with Allow, in the same shape", async () => {
    expect((await at.ask("/nowhere")).body).toEqual({
      error: { code: "not_found", message: expect.any(String) },
    });
    const wrong = await at.ask("/feedback", { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow"), wrong.body.error.code]).toEqual([
      405,
      "POST",
      "method_not_allowed",
    ]);
    expect((await at.ask("/suggestions", { method: "PUT" })).headers.get("allow")).toBe("GET, POST, HEAD");
    expect((await at.ask("/suggestions", { method: "HEAD" })).status).toBe(200);
  });

  test("malformed JSON, an empty body and absurd nesting are 400", async () => {
    for (const body of ["{", " ", "[".repeat(200_000), '{"suggestion_id":"\\ud800"}']) {
      const answer = await at.ask("/complete", { body });
      expect([answer.status, answer.body.error.code]).toEqual([400, "invalid_request"]);
    }
  });

  test("every answer forbids sniffing, framing and caching, and allows no other site", async () => {
    for (const path of ["/health", "/suggestions", "/nowhere"]) {
      const { headers } = await at.ask(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});

describe("further endpoints", () => {
  test("POST /suggestions publishes and answers 201", async () => {
    const answer = await at.ask("/suggestions", { body: { description: "Add it" } });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ suggestion_id: "suggestion-0", revision: 1 });
  });

  test("a patch is downloaded as bytes under the suggestion's name", async () => {
    const answer = await at.ask("/suggestions/suggestion-0.patch?part=pending");
    expect(answer.text).toStartWith("--- a/src/a.ts\n");
    expect(answer.headers.get("content-type")).toBe("text/x-patch");
    expect(answer.headers.get("content-disposition")).toContain("suggestion-0.patch");
  });

  test("hunks, content, events, settings and metrics answer", async () => {
    expect((await at.ask("/suggestions/suggestion-0/hunks?limit=1")).body.total).toBe(2);
    const content = await at.ask("/suggestions/suggestion-0/content?file=src/a.ts&side=base");
    expect(content.body.base64).toBe("b2xk");
    expect((await at.ask("/events?since=0&limit=1")).body.events).toHaveLength(1);
    expect((await at.ask("/settings")).body).toMatchObject({ role: "developer", agent_may_approve: false });
    const metrics = await at.ask("/metrics");
    expect(metrics.text).toMatch(
      /suggestion_manager_http_requests_total\{method="GET",route="\/health",status="200"\} \d/,
    );
  });

  test("each POST route reaches its use case", async () => {
    const id = { suggestion_id: "suggestion-0" };
    const hunk = { ...id, hunk_id: "h" };
    const routes: [string, string, object][] = [
      ["/feedback/batch", "decideMany", { ...id, scope: { action: "accept" } }],
      ["/undo", "undo", hunk],
      ["/redo", "redo", id],
      ["/comments", "comment", { ...hunk, comment: "why?" }],
      ["/revise", "revise", id],
      ["/rebase", "rebase", id],
      ["/verify", "verify", id],
      ["/settle", "settle", {}],
      ["/status", "status", { message: "Running tests..." }],
      ["/ask", "ask", { text: "Please" }],
      ["/abort", "abort", {}],
    ];
    for (const [path, name, body] of routes) {
      expect([path, (await at.ask(path, { body })).status]).toEqual([path, 200]);
      expect(at.desk.calls.at(-1)?.name).toBe(name);
    }
  });
});

describe("roles", () => {
  test("the agent's token publishes, reports and reads; every decision is the developer's", async () => {
    const { agent: token } = at;
    expect((await at.ask("/suggestions", { token })).status).toBe(200);
    expect((await at.ask("/suggestions", { token, body: { description: "Mine" } })).status).toBe(201);
    expect(at.desk.calls.at(-1)?.actor).toBe("agent");
    expect((await at.ask("/status", { token, body: { message: "hello" } })).status).toBe(200);
    const before = at.desk.calls.length;
    for (const path of [
      "/feedback",
      "/feedback/batch",
      "/undo",
      "/redo",
      "/comments",
      "/complete",
      "/revise",
    ]) {
      const { status, body } = await at.ask(path, { token, body: {} });
      expect([path, status, body.error.code]).toEqual([path, 403, "forbidden"]);
    }
    expect(at.desk.calls.length).toBe(before);
  });

  test("where settings allow it the agent decides, as the agent", async () => {
    const other = await place({ options: { agent_may_approve: true } });
    const body = { suggestion_id: "suggestion-0", hunk_id: "h", action: "accept" };
    expect((await other.ask("/feedback", { token: other.agent, body })).status).toBe(200);
    expect(other.desk.calls.at(-1)?.actor).toBe("agent");
    await other.stop();
  });
});
