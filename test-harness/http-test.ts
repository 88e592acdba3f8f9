/**
 * Tries every REST endpoint of a running server under plain Node and says pass or fail for each.
 *
 *   bun test-harness/http-test.ts --token-file FILE [--url http://127.0.0.1:4097] [--write]
 *
 * Without --write nothing is changed: endpoints that change something are asked for what they must refuse. With
 * --write the newest open suggestion is decided on and undone again.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Checks, equal } from "./support/checks.ts";
import { underNode } from "./support/under-node.ts";

const USAGE = "usage: http-test --token-file FILE [--url URL] [--write]\n";
const UNKNOWN = "01900000-0000-7000-8000-000000000000";

// biome-ignore lint/suspicious/noExplicitAny: the answers of every endpoint
type Answer = { status: number; json: any; text: string };
type Ask = (method: string, path: string, body?: unknown, authorized?: boolean) => Promise<Answer>;

const asker =
  (url: string, token: string): Ask =>
  async (method, path, body, authorized = true) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(authorized ? { Authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    try {
      return { status: response.status, json: JSON.parse(text), text };
    } catch {
      // Patches and metrics are text.
      return { status: response.status, json: null, text };
    }
  };

/** Checks of endpoints, each as the API document names it. */
class Endpoints {
  readonly checks = new Checks();
  readonly #tried = new Set<string>();

  readonly ask: Ask;

  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {
    this.ask = asker(url, token);
  }

  #endpoint(name: string, work: () => Promise<unknown>): Promise<void> {
    this.#tried.add(name);
    return this.checks.check(name, work);
  }

  reads(name: string, path: string, look: (answer: Answer) => unknown): Promise<void> {
    return this.#endpoint(`GET ${name}`, async () => {
      const answer = await this.ask("GET", path);
      equal(answer.status, 200, "status");
      return look(answer);
    });
  }

  /** Of the agent's host: a server that runs by itself has none, and says so. */
  asksHost(path: string, look: (answer: Answer) => unknown): Promise<void> {
    return this.#endpoint(`GET ${path}`, async () => {
      const answer = await this.ask("GET", path);
      if (answer.status === 409) return equal(answer.json?.error?.code, "nothing_to_do", "refusal");
      equal(answer.status, 200, "status");
      return look(answer);
    });
  }

  /** Of something that is not there. */
  looksInVain(name: string, path: string): Promise<void> {
    return this.#endpoint(`GET ${name}`, async () => {
      const answer = await this.ask("GET", path);
      equal([answer.status, answer.json?.error?.code], [404, "not_found"], "refusal");
    });
  }

  /** A stream is read until its first event. */
  streams(name: string, path: string): Promise<void> {
    return this.#endpoint(`GET ${name}`, async () => {
      const end = new AbortController();
      try {
        const headers = { Authorization: `Bearer ${this.token}` };
        const signal = AbortSignal.any([end.signal, AbortSignal.timeout(30_000)]);
        const response = await fetch(`${this.url}${path}`, { headers, signal });
        equal(response.status, 200, "status");
        let text = "";
        for await (const chunk of response.body ?? []) {
          text += Buffer.from(chunk).toString();
          if (/^data: /m.test(text)) return;
        }
        throw new Error("the stream ended before its first event");
      } finally {
        end.abort();
      }
    });
  }

  /** A stream that may have nothing to say yet: only that it is one. */
  opens(name: string, path: string): Promise<void> {
    return this.#endpoint(`GET ${name}`, async () => {
      const end = new AbortController();
      try {
        const headers = { Authorization: `Bearer ${this.token}` };
        const response = await fetch(`${this.url}${path}`, { headers, signal: end.signal });
        equal(response.status, 200, "status");
        equal(response.headers.get("content-type")?.split(";")[0], "text/event-stream", "content type");
      } finally {
        end.abort();
      }
    });
  }

  /** @param name of the endpoint, where it is another than the path */
  refuses(path: string, body: unknown, code: string, status: number, name = path): Promise<void> {
    return this.#endpoint(`POST ${name}`, async () => {
      const answer = await this.ask("POST", path, body);
      equal([answer.status, answer.json?.error?.code], [status, code], "refusal");
    });
  }

  /** Endpoints of the API document that were not tried. */
  untried(paths: Record<string, object>): string[] {
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .map((method) => method.toUpperCase())
        .filter((method) => ["GET", "POST"].includes(method) && !path.startsWith("/git/") && path !== "/ws")
        .map((method) => `${method} ${path}`)
        .filter((name) => !this.#tried.has(name)),
    );
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      "token-file": { type: "string" },
      url: { type: "string", default: "http://127.0.0.1:4097" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values["token-file"] === undefined) throw new Error(`--token-file is needed\n${USAGE}`);
  const endpoints = new Endpoints(values.url, readFileSync(values["token-file"], "utf8").trim());
  const { ask } = endpoints;
  await readServer(endpoints);
  const list = (await ask("GET", "/suggestions?status=all")).json.suggestions as Listed[];
  const newest = list.findLast(({ state }) => state === "open") ?? list.at(-1);
  if (newest !== undefined) await readSuggestion(endpoints, newest.id);
  await refuseAll(endpoints);
  if (values.write && newest?.state === "open") await decideAndUndo(endpoints, newest.id);
  await endpoints.reads("/openapi.json", "/openapi.json", ({ json }) => {
    const left = endpoints.untried(json.paths);
    if (newest !== undefined) equal(left, [], "documented endpoints that were not tried");
  });
  endpoints.checks.end();
}

interface Listed {
  id: string;
  state: string;
}

async function readServer(endpoints: Endpoints): Promise<void> {
  await endpoints.reads("/health", "/health", ({ json }) => equal(json.healthy, true));
  await endpoints.reads("/settings", "/settings", ({ json }) => equal(json.role, "developer", "role"));
  await endpoints.reads("/metrics", "/metrics", ({ text }) => text.includes("# TYPE"));
  await endpoints.reads("/events", "/events?since=0", ({ json }) => Array.isArray(json.events));
  await endpoints.streams("/events/stream", "/events/stream?since=0");
  await endpoints.reads("/sandbox", "/sandbox", ({ json }) => Array.isArray(json.refusals));
  await endpoints.reads("/decisions", "/decisions", ({ json }) => Array.isArray(json.decisions));
  await endpoints.reads("/agent/activity", "/agent/activity", ({ json }) => Array.isArray(json.entries));
  await endpoints.opens("/agent/activity/stream", "/agent/activity/stream");
  await endpoints.reads("/agent/permissions", "/agent/permissions", ({ json }) =>
    Array.isArray(json.permissions),
  );
  await endpoints.reads("/agent/questions", "/agent/questions", ({ json }) => Array.isArray(json.questions));
  await endpoints.asksHost("/agent/sessions", ({ json }) => Array.isArray(json.sessions));
  await endpoints.asksHost("/agent/choices", ({ json }) => Array.isArray(json.models));
  await endpoints.asksHost("/agent/commands", ({ json }) => Array.isArray(json.commands));
  await endpoints.looksInVain("/agent/sessions/{id}/export", "/agent/sessions/unknown/export");
  await endpoints.reads("/asyncapi.json", "/asyncapi.json", ({ json }) => typeof json.asyncapi === "string");
  await endpoints.reads("/suggestions", "/suggestions?status=all", ({ json }) =>
    Array.isArray(json.suggestions),
  );
  await endpoints.checks.check("without a token: 401", async () =>
    equal((await endpoints.ask("GET", "/suggestions", undefined, false)).status, 401, "status"),
  );
}

async function readSuggestion(endpoints: Endpoints, id: string): Promise<void> {
  const path = `/suggestions/${id}`;
  await endpoints.reads("/suggestions/{id}", path, ({ json }) => equal(json.id, id, "id"));
  await endpoints.reads("/suggestions/{id}/hunks", `${path}/hunks?limit=5`, ({ json }) =>
    Array.isArray(json.hunks),
  );
  await endpoints.reads("/suggestions/{id}.patch", `${path}.patch?part=all`, ({ text }) =>
    text.includes("@@ "),
  );
  const [hunk] = (await endpoints.ask("GET", `${path}/hunks?limit=1`)).json.hunks;
  const why = `${path}/hunks/${encodeURIComponent(hunk.id)}/why`;
  await endpoints.reads("/suggestions/{id}/hunks/{hunk}/why", why, ({ json }) =>
    equal(json.hunk_id, hunk.id, "hunk_id"),
  );
  const query = `file=${encodeURIComponent(hunk.file)}&side=proposed`;
  await endpoints.reads("/suggestions/{id}/content", `${path}/content?${query}`, ({ json }) =>
    equal(json.file, hunk.file, "file"),
  );
}

/** What changes something, asked for what it must refuse. */
async function refuseAll(endpoints: Endpoints): Promise<void> {
  const one = { suggestion_id: UNKNOWN };
  const onHunk = { ...one, hunk_id: `${UNKNOWN}:a:0` };
  await endpoints.refuses("/suggestions", {}, "invalid_request", 400);
  await endpoints.refuses("/feedback", { ...onHunk, action: "accept" }, "not_found", 404);
  await endpoints.refuses("/feedback/batch", { ...one, scope: { action: "accept" } }, "not_found", 404);
  await endpoints.refuses("/undo", one, "not_found", 404);
  await endpoints.refuses("/redo", one, "not_found", 404);
  await endpoints.refuses("/comments", { ...onHunk, comment: "x" }, "not_found", 404);
  await endpoints.refuses("/complete", { ...one, action: "discard" }, "not_found", 404);
  await endpoints.refuses("/revise", one, "not_found", 404);
  await endpoints.refuses("/rebase", one, "not_found", 404);
  await endpoints.refuses("/verify", one, "not_found", 404);
  await endpoints.refuses("/sandbox/refusals", { refusals: [] }, "invalid_request", 400);
  for (const [kind, answer] of [
    ["permissions", { reply: "once" }],
    ["questions", { answers: [["Yes"]] }],
  ] as const) {
    const path = `/agent/${kind}`;
    await endpoints.refuses(`${path}/unknown`, answer, "not_found", 404, `${path}/{id}`);
  }
  for (const verb of ["rename", "fork", "compact", "delete"]) {
    const path = "/agent/sessions";
    const name = `${path}/{id}/${verb}`;
    await endpoints.refuses(`${path}/unknown/${verb}`, { unknown: true }, "invalid_request", 400, name);
  }
  await endpoints.refuses("/status", {}, "invalid_request", 400);
  await endpoints.refuses("/settle", { unknown: true }, "invalid_request", 400);
  await endpoints.refuses("/ask", {}, "invalid_request", 400);
  await endpoints.refuses("/abort", { unknown: true }, "invalid_request", 400);
}

async function decideAndUndo({ ask, checks }: Endpoints, id: string): Promise<void> {
  const { hunks } = (await ask("GET", `/suggestions/${id}/hunks?state=pending&limit=1`)).json;
  const [hunk] = hunks as { id: string; digest: string }[];
  if (hunk === undefined) return;
  const target = { suggestion_id: id, hunk_id: hunk.id };
  const leads = (what: string, path: string, body: unknown, state: string) =>
    checks.check(`write: ${what}`, async () => {
      const answer = await ask("POST", path, body);
      equal(answer.status, 200, `status of ${path} (${answer.text.slice(0, 200)})`);
      equal(answer.json.hunks[0].state, state);
    });
  await leads("accept", "/feedback", { ...target, action: "accept", digest: hunk.digest }, "accepted");
  await leads("undo", "/undo", target, "pending");
  await leads("redo", "/redo", target, "accepted");
  await leads("undo again", "/undo", target, "pending");
  await leads("comment", "/comments", { ...target, comment: "seen by http-test" }, "pending");
}

underNode(import.meta.filename);
main().catch((error: unknown) => {
  process.stderr.write(`http-test: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
