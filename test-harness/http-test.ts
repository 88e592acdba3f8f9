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
  const token = readFileSync(values["token-file"], "utf8").trim();
  const tried = new Set<string>();
  const ask = async (method: string, path: string, body?: unknown, authorized = true) => {
    const response = await fetch(`${values.url}${path}`, {
      method,
      headers: {
        ...(authorized ? { Authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: the answers of every endpoint
    let json: any = null;
    try {
      json = JSON.parse(text);
    } catch {
      // Patches and metrics are text.
    }
    return { status: response.status, json, text };
  };
  const checks = new Checks();
  /** One check of an endpoint as the API document names it. */
  const endpoint = (name: string, work: () => Promise<unknown>) => {
    tried.add(name);
    return checks.check(name, work);
  };
  const reads = (name: string, path: string, look: (answer: Awaited<ReturnType<typeof ask>>) => unknown) =>
    endpoint(`GET ${name}`, async () => {
      const answer = await ask("GET", path);
      equal(answer.status, 200, "status");
      return look(answer);
    });
  const refuses = (path: string, body: unknown, code: string, status: number) =>
    endpoint(`POST ${path}`, async () => {
      const answer = await ask("POST", path, body);
      equal([answer.status, answer.json?.error?.code], [status, code], "refusal");
    });

  await reads("/health", "/health", ({ json }) => equal(json.healthy, true));
  await reads("/settings", "/settings", ({ json }) => equal(json.role, "developer", "role"));
  await reads("/metrics", "/metrics", ({ text }) => text.includes("# TYPE"));
  await reads("/events", "/events?since=0", ({ json }) => Array.isArray(json.events));
  await endpoint("GET /events/stream", async () => {
    const response = await fetch(`${values.url}/events/stream?since=0`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(30_000),
    });
    equal(response.status, 200, "status");
    equal(response.headers.get("content-type")?.split(";")[0], "text/event-stream", "content type");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return /^(?:id|event|data|retry)?:/m.test(new TextDecoder().decode(value));
  });
  await reads("/asyncapi.json", "/asyncapi.json", ({ json }) => typeof json.asyncapi === "string");
  await reads("/suggestions", "/suggestions?status=all", ({ json }) => Array.isArray(json.suggestions));
  await checks.check("without a token: 401", async () =>
    equal((await ask("GET", "/suggestions", undefined, false)).status, 401, "status"),
  );
  const list = (await ask("GET", "/suggestions?status=all")).json.suggestions as {
    id: string;
    state: string;
  }[];
  const newest = list.findLast(({ state }) => state === "open") ?? list.at(-1);
  if (newest !== undefined) {
    const path = `/suggestions/${newest.id}`;
    await reads("/suggestions/{id}", path, ({ json }) => equal(json.id, newest.id, "id"));
    await reads("/suggestions/{id}/hunks", `${path}/hunks?limit=5`, ({ json }) => Array.isArray(json.hunks));
    await reads("/suggestions/{id}.patch", `${path}.patch?part=all`, ({ text }) => text.includes("@@ "));
    const [hunk] = (await ask("GET", `${path}/hunks?limit=1`)).json.hunks;
    const query = `file=${encodeURIComponent(hunk.file)}&side=proposed`;
    await reads("/suggestions/{id}/content", `${path}/content?${query}`, ({ json }) =>
      equal(json.file, hunk.file, "file"),
    );
  }
  const one = { suggestion_id: UNKNOWN };
  const onHunk = { ...one, hunk_id: `${UNKNOWN}:a:0` };
  await refuses("/suggestions", {}, "invalid_request", 400);
  await refuses("/feedback", { ...onHunk, action: "accept" }, "not_found", 404);
  await refuses("/feedback/batch", { ...one, scope: { action: "accept" } }, "not_found", 404);
  await refuses("/undo", one, "not_found", 404);
  await refuses("/redo", one, "not_found", 404);
  await refuses("/comments", { ...onHunk, comment: "x" }, "not_found", 404);
  await refuses("/complete", { ...one, action: "discard" }, "not_found", 404);
  await refuses("/revise", one, "not_found", 404);
  await refuses("/rebase", one, "not_found", 404);
  await refuses("/verify", one, "not_found", 404);
  await refuses("/status", {}, "invalid_request", 400);
  await refuses("/settle", { unknown: true }, "invalid_request", 400);
  await refuses("/ask", {}, "invalid_request", 400);
  await refuses("/abort", { unknown: true }, "invalid_request", 400);

  if (values.write && newest?.state === "open") {
    const { hunks } = (await ask("GET", `/suggestions/${newest.id}/hunks?state=pending&limit=1`)).json;
    const [hunk] = hunks as { id: string; digest: string }[];
    if (hunk !== undefined) {
      const target = { suggestion_id: newest.id, hunk_id: hunk.id };
      const stateAfter = async (path: string, body: unknown) => {
        const answer = await ask("POST", path, body);
        equal(answer.status, 200, `status of ${path} (${answer.text.slice(0, 200)})`);
        return answer.json.hunks[0].state;
      };
      await checks.check("write: accept", async () =>
        equal(
          await stateAfter("/feedback", { ...target, action: "accept", digest: hunk.digest }),
          "accepted",
        ),
      );
      await checks.check("write: undo", async () => equal(await stateAfter("/undo", target), "pending"));
      await checks.check("write: redo", async () => equal(await stateAfter("/redo", target), "accepted"));
      await checks.check("write: undo again", async () =>
        equal(await stateAfter("/undo", target), "pending"),
      );
      await checks.check("write: comment", async () =>
        equal(await stateAfter("/comments", { ...target, comment: "seen by http-test" }), "pending"),
      );
    }
  }
  await reads("/openapi.json", "/openapi.json", ({ json }) => {
    const left: string[] = [];
    for (const [path, methods] of Object.entries(json.paths as Record<string, object>)) {
      for (const method of Object.keys(methods)) {
        const name = `${method.toUpperCase()} ${path}`;
        if (
          ["GET", "POST"].includes(method.toUpperCase()) &&
          !path.startsWith("/git/") &&
          path !== "/ws" &&
          !tried.has(name)
        )
          left.push(name);
      }
    }
    if (newest !== undefined) equal(left, [], "documented endpoints that were not tried");
  });
  checks.end();
}

underNode(import.meta.filename);
main().catch((error: unknown) => {
  process.stderr.write(`http-test: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
