import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { CONFINED } from "../../src/confinement.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import { PROTOCOL_VERSION } from "../../src/protocol/version.ts";
import { write } from "./git.ts";
import { AgentRepository, Place, proofFor } from "./place.ts";

setDefaultTimeout(30_000);

interface Review {
  at: Place;
  repository: AgentRepository;
  id: string;
  /** The id of the hunk at a place in the suggestion. */
  hunkId(index: number): string;
}

/** A server of its own with one suggestion, for a test that decides. */
async function openReview(): Promise<Review> {
  const at = await Place.open();
  const repository = await AgentRepository.add(at);
  const { id, hunks } = await repository.publish();
  return { at, repository, id, hunkId: (index) => hunks[index]?.id ?? "" };
}

// For the tests that only read, and for requests that are refused: no test decides here or publishes.
let at: Place;
let repository: AgentRepository;
let id: string;

beforeAll(async () => {
  ({ at, repository, id } = await openReview());
});
afterAll(() => at.stop());

describe("reading", () => {
  test("GET /health is open and answers healthy, service and wsClients", async () => {
    const { status, body } = await at.ask("/health", { token: null });
    expect(status).toBe(200);
    const known = {
      healthy: true,
      service: "suggestion-manager",
      wsClients: 0,
      version: "0.0.0-test",
      protocol: PROTOCOL_VERSION,
    };
    expect(body).toMatchObject(known);
    expect(Object.keys(body).sort()).toEqual([...Object.keys(known), "uptime_seconds"].sort());
  });

  test("GET /health tells more to a caller with a token", async () => {
    const { body } = await at.ask("/health");
    expect(body).toMatchObject({ open_suggestions: 1, last_seq: expect.any(Number), last_error: null });
    expect(body.projects).toEqual([
      { project: repository.dir, hub: expect.stringMatching(/^\/git\//), branch: null },
    ]);
    expect(body.ledger_bytes).toBeGreaterThan(0);
  });

  test("GET /health tells the developer, and nobody else, what confines the agent", async () => {
    const ask = async (token?: string | null) =>
      (await at.ask("/health", token === undefined ? {} : { token })).body.confinement;
    expect(await ask(null)).toBeUndefined();
    expect(await ask(at.agent)).toBeUndefined();
    expect(await ask()).toMatchObject({ host: "none", confined: false });
    expect((await ask()).words.join(" ")).toMatch(
      /Nothing of Isolated AI Coder confines this agent.*npm start/,
    );
    process.env[CONFINED] = JSON.stringify({ confined: true, words: ["one ring", "another"] });
    expect(await ask()).toEqual({ host: "none", confined: true, words: ["one ring", "another"] });
    for (const unreadable of ["{", '{"confined":"yes"}']) {
      process.env[CONFINED] = unreadable;
      expect(await ask()).toMatchObject({ confined: false });
    }
    delete process.env[CONFINED];
  });

  test("GET /health?nonce= proves knowledge of the developer's token hash", async () => {
    const proof = proofFor(at.developer, "nonce-12345", `127.0.0.1:${at.port}`);
    const { body } = await at.ask("/health?nonce=nonce-12345", { token: null });
    expect(body.proofs).toEqual([proof]);
    expect((await at.ask("/health?nonce=short", { token: null })).status).toBe(400);
  });

  test("a server bound to every address proves itself at each, and at no other", async () => {
    const other = await Place.open({ options: { host: "0.0.0.0" } });
    const answer = await fetch(`http://127.0.0.1:${other.port}/health?nonce=nonce-12345`);
    const { proofs } = (await answer.json()) as { proofs: string[] };
    const known = (address: string) => proofs.includes(proofFor(other.developer, "nonce-12345", address));
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    for (const { address, family } of own) {
      if (family === "IPv4") expect([address, known(`${address}:${other.port}`)]).toEqual([address, true]);
    }
    expect(known(`[::1]:${other.port}`)).toBe(false);
    expect(known(`127.0.0.1:${other.port + 1}`)).toBe(false);
    await other.stop();
  });

  test("GET /suggestions lists what is open, GET /suggestions/:id shows it with its hunks", async () => {
    const { body } = await at.ask("/suggestions");
    expect(body).toMatchObject({ total: 1, next: null });
    expect(body.suggestions[0]).toMatchObject({
      id,
      description: "Make a change",
      hunk_count: 4,
      status: "pending",
    });
    const shown = (await at.ask(`/suggestions/${id}`)).body;
    expect(shown.hunks.map((hunk: Hunk) => [hunk.file, hunk.kind])).toEqual([
      ["old.txt", "delete"],
      ["src/a.ts", "text"],
      ["src/a.ts", "text"],
      ["src/new.ts", "create"],
    ]);
  });
});

describe("deciding", () => {
  test("POST /feedback decides one hunk", async () => {
    const { at, id, hunkId } = await openReview();
    const body = { suggestion_id: id, hunk_id: hunkId(1), action: "accept" };
    expect((await at.ask("/feedback", { body })).body).toMatchObject({ success: true, remaining_hunks: 3 });
    expect(at.desk.get(id).hunks[1]).toMatchObject({ state: "accepted", decision: { by: "developer" } });
    await at.stop();
  });

  test("undo, redo, comment and batch", async () => {
    const { at, id, hunkId } = await openReview();
    const one = { suggestion_id: id, hunk_id: hunkId(1) };
    expect((await at.ask("/feedback", { body: { ...one, action: "accept" } })).body.remaining_hunks).toBe(3);
    expect((await at.ask("/undo", { body: one })).body.remaining_hunks).toBe(4);
    expect((await at.ask("/redo", { body: one })).body.remaining_hunks).toBe(3);
    expect((await at.ask("/comments", { body: { ...one, comment: "why?" } })).status).toBe(200);
    expect(at.desk.get(id).hunks[1]?.comments?.[0]?.text).toBe("why?");
    const decisions = [2, 3].map((index) => ({ hunk_id: hunkId(index), action: "reject", comment: "no" }));
    const batch = await at.ask("/feedback/batch", { body: { suggestion_id: id, decisions } });
    expect(batch.body).toMatchObject({ changed: 2, remaining_hunks: 1 });
    const scope = { action: "accept", include: "all" };
    expect(
      (await at.ask("/feedback/batch", { body: { suggestion_id: id, scope } })).body.remaining_hunks,
    ).toBe(0);
    expect((await at.ask("/undo", { body: { suggestion_id: id } })).body.remaining_hunks).toBe(1);
    await at.stop();
  });

  test("POST /complete finalizes: the accepted tree is one commit on the hub", async () => {
    const { at, id, hunkId } = await openReview();
    await at.ask("/feedback", { body: { suggestion_id: id, hunk_id: hunkId(1), action: "accept" } });
    const done = await at.ask("/complete", { body: { suggestion_id: id, action: "finalize" } });
    expect(done.body).toMatchObject({
      success: true,
      action: "finalized",
      commit: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    const closed = await at.ask("/feedback", {
      body: { suggestion_id: id, hunk_id: hunkId(1), action: "reject" },
    });
    expect([closed.status, closed.body.error.code]).toEqual([409, "suggestion_closed"]);
    expect((await at.ask("/suggestions")).body.total).toBe(0);
    expect((await at.ask("/suggestions?status=finalized")).body.total).toBe(1);
    await at.stop();
  });
});

describe("a suggestion that is decided in part", () => {
  let at: Place;
  let repository: AgentRepository;
  let id: string;

  // One hunk accepted, two rejected, one pending: no test here decides more.
  beforeAll(async () => {
    const review = await openReview();
    ({ at, repository, id } = review);
    const decisions = (["accept", "reject", "reject"] as const).map((action, index) => ({
      hunk_id: review.hunkId(index + 1),
      action,
    }));
    at.desk.decideMany({ suggestion_id: id, decisions }, "developer");
  });
  afterAll(() => at.stop());

  test("hunks come by page, filtered by file and state", async () => {
    const page = (await at.ask(`/suggestions/${id}/hunks?limit=1&offset=1`)).body;
    expect([page.hunks.length, page.total, page.next]).toEqual([1, 4, 2]);
    const rejected = (await at.ask(`/suggestions/${id}/hunks?state=rejected&file=src%2Fnew.ts`)).body;
    expect(rejected.hunks.map((hunk: Hunk) => hunk.file)).toEqual(["src/new.ts"]);
  });

  test("content is any side of a file, by page, in base64", async () => {
    const content = async (query: string) => (await at.ask(`/suggestions/${id}/content?${query}`)).body;
    expect(atob((await content("file=old.txt&side=base")).base64)).toBe("going\n");
    expect(await content("file=old.txt&side=proposed")).toMatchObject({ exists: false });
    const part = await content("file=src/a.ts&side=accepted&offset=14&limit=10");
    expect([atob(part.base64), part.next]).toEqual(["line three", 24]);
  });

  test("a patch is downloaded as bytes that git apply takes", async () => {
    const answer = await at.ask(`/suggestions/${id}.patch`);
    expect(answer.headers.get("content-type")).toBe("text/x-patch");
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename="${id}.patch"`);
    expect(answer.text).toContain("+line three\n");
    expect(answer.text).not.toContain("line thirty");
    const check = Bun.spawnSync(["git", "apply", "--check", "--cached", "-"], {
      cwd: repository.dir,
      stdin: Buffer.from(answer.text),
      env: { ...process.env, GIT_INDEX_FILE: `${at.stateDir}/index` },
    });
    // An empty index: git has read the patch and misses only the file.
    expect(check.stderr.toString()).toContain("src/a.ts: does not exist in index");
    expect((await at.ask(`/suggestions/${id}.patch?part=pending`)).text).toContain("deleted file mode");
  });

  test("events come by page", async () => {
    const { body } = await at.ask("/events?since=1&limit=2");
    expect(body.events.map((event: { seq: number }) => event.seq)).toEqual([2, 3]);
    expect(body.more).toBe(true);
    expect((await at.ask("/events?project=/nowhere")).body.events).toEqual([]);
  });

  test("status, settle, revise, settings and metrics", async () => {
    expect((await at.ask("/health")).status).toBe(200);
    const status = await at.ask("/status", { body: { message: "Running tests..." }, token: at.agent });
    expect(status.body.sent).toBe(true);
    expect(at.journal().some((json) => json.includes('"message":"Running tests..."'))).toBe(true);
    expect((await at.ask("/settle", { body: {}, token: at.agent })).body).toMatchObject({ settled: true });
    expect((await at.ask("/revise", { body: { suggestion_id: id } })).status).toBe(200);
    expect((await at.ask("/settings")).body).toMatchObject({ role: "developer", agent_may_approve: false });
    const { text } = await at.ask("/metrics");
    expect(text).toMatch(
      /^suggestion_manager_http_requests_total\{method="GET",route="\/health",status="200"\} \d+$/m,
    );
    expect(text).not.toContain(id);
  });
});

describe("several projects", () => {
  test("one server, each suggestion in its project; which one has to be said only when there are several", async () => {
    const other = await Place.open();
    const first = await AgentRepository.add(other, "first");
    const second = await AgentRepository.add(other, "second");
    const one = await first.publish("In the first");
    const two = await second.publish("In the second");
    const listed = async (query: string) =>
      (await other.ask(`/suggestions?${query}`)).body.suggestions.map((shown: { id: string }) => shown.id);
    expect(await listed("")).toEqual([one.id, two.id]);
    expect(await listed(`project=${encodeURIComponent(second.dir)}`)).toEqual([two.id]);
    const events = (await other.ask(`/events?project=${encodeURIComponent(first.dir)}`)).body.events;
    expect(new Set(events.map((event: { project: string }) => event.project))).toEqual(new Set([first.dir]));
    expect(other.desk.get(one.id).hub).not.toBe(other.desk.get(two.id).hub);
    const unsaid = await other.ask("/suggestions", { body: { description: "Where?" } });
    expect([unsaid.status, unsaid.body.error.message]).toEqual([400, expect.stringContaining("project")]);
    const unknown = await other.ask("/suggestions", { body: { description: "Where?", project: "/nowhere" } });
    expect([400, 404]).toContain(unknown.status);
    await other.stop();
  });
});

describe("failures beside a request", () => {
  test("a journal listener that throws neither fails the decision nor keeps it from the others", async () => {
    const other = await Place.open();
    const { id, hunks } = await (await AgentRepository.add(other)).publish();
    const heard: number[] = [];
    other.desk.subscribe(() => {
      throw new Error("no room for it");
    });
    other.desk.subscribe((event) => void heard.push(event.seq));
    const body = { suggestion_id: id, hunk_id: hunks[0]?.id, action: "accept" };
    const answer = await other.ask("/feedback", { body });
    expect([answer.status, answer.body.success]).toEqual([200, true]);
    expect(heard).toEqual(heard.map((_, index) => answer.body.seq - heard.length + 1 + index));
    expect(heard.at(-1)).toBe(answer.body.seq);
    expect((await other.ask("/health")).body.last_error.message).toContain("no room for it");
    expect(other.logged.some((line) => line.includes("no room for it"))).toBe(true);
    await other.stop();
  });
});

describe("refusals", () => {
  test("name the field and what was expected", async () => {
    const { status, body } = await at.ask("/feedback", {
      body: { suggestion_id: "x", hunk_id: "y", action: "aprove" },
    });
    expect([status, body.error.code]).toEqual([400, "invalid_request"]);
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
    const nowhere = { error: { code: "not_found", message: expect.any(String) } };
    expect((await at.ask("/nowhere")).body).toEqual(nowhere);
    const wrong = await at.ask("/feedback", { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow"), wrong.body.error.code]).toEqual([
      405,
      "POST",
      "method_not_allowed",
    ]);
    expect((await at.ask("/suggestions", { method: "PUT" })).headers.get("allow")).toBe("GET, POST, HEAD");
    expect((await at.ask("/suggestions", { method: "HEAD" })).status).toBe(200);
    expect((await at.ask("/ws")).status).toBe(426);
  });

  test("malformed JSON, an empty body and absurd nesting are 400", async () => {
    for (const body of ["{", " ", "[".repeat(200_000), '{"suggestion_id":"\\ud800"}']) {
      const answer = await at.ask("/complete", { body });
      expect([answer.status, answer.body.error.code]).toEqual([400, "invalid_request"]);
    }
  });

  test("every answer forbids sniffing, framing and caching, and lets no other site read", async () => {
    for (const path of ["/health", "/suggestions", "/nowhere"]) {
      const { headers } = await at.ask(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});

describe("roles", () => {
  const deciding = [
    "/feedback",
    "/feedback/batch",
    "/undo",
    "/redo",
    "/comments",
    "/complete",
    "/revise",
    "/rebase",
    "/verify",
    "/ask",
    "/abort",
  ];

  test("the agent's token publishes, reports and reads; every decision is the developer's", async () => {
    const { agent: token } = at;
    expect((await at.ask("/suggestions?status=all", { token })).status).toBe(200);
    const before = at.journal().length;
    for (const path of deciding) {
      const { status, body } = await at.ask(path, { token, body: {} });
      expect([path, status, body.error.code]).toEqual([path, 403, "forbidden"]);
    }
    expect(at.journal().length).toBe(before);
  });

  test("where settings allow it the agent decides, marked as the agent", async () => {
    const other = await Place.open({ options: { agent_may_approve: true } });
    const published = await (await AgentRepository.add(other)).publish();
    const body = { suggestion_id: published.id, hunk_id: published.hunks[0]?.id, action: "accept" };
    expect((await other.ask("/feedback", { token: other.agent, body })).status).toBe(200);
    expect(other.desk.get(published.id).hunks[0]?.decision?.by).toBe("agent");
    await other.stop();
  });

  test("feedback that waits for the agent goes to the agent's calls only, once", async () => {
    const other = await Place.open();
    const repository = await AgentRepository.add(other);
    const { id, hunks } = await repository.publish();
    const comment = async (text: string) => {
      const body = { suggestion_id: id, hunk_id: hunks[0]?.id, comment: text };
      expect((await other.ask("/comments", { body })).status).toBe(200);
    };
    let files = 0;
    const call = async (token: string, path: string, body: object): Promise<string> => {
      if (path === "/suggestions")
        write(repository.dir, { [`file-${++files}.txt`]: "something to publish\n" });
      const answer = await other.ask(path, { body, token });
      expect([path, answer.status]).toEqual([path, path === "/suggestions" ? 201 : 200]);
      return answer.body.feedback.join();
    };
    const calls: [string, object][] = [
      ["/status", { message: "Here" }],
      ["/settle", {}],
      ["/suggestions", { description: "Another change" }],
    ];
    for (const [index, [path, body]] of calls.entries()) {
      await comment(`reason ${index}`);
      for (const [anyPath, anyBody] of calls) {
        expect([anyPath, await call(other.developer, anyPath, anyBody)]).toEqual([anyPath, ""]);
      }
      expect([path, await call(other.agent, path, body)]).toEqual([
        path,
        expect.stringContaining(`reason ${index}`),
      ]);
      expect(await call(other.agent, path, body)).toBe("");
    }
    await other.stop();
  });
});
