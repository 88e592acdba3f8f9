/**
 * A language model whose answers are written down beforehand: an OpenAI-compatible server on the loopback
 * interface, so that demos and tests run a real agent host without a provider. Records every request it gets.
 *
 *   bun demo/scripted-model.ts --script FILE [--port N] [--log requests.jsonl] [--set name=value …]
 *
 * FILE is JSON (see `model/script.ts`), or a module whose default export is a script. Prints one JSON line
 * `{"url", "port"}` when it listens. `GET /requests?since=N` lists what the model was asked.
 */
import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type ChatMessage, choose, type Script, type Turn } from "./model/script.ts";
import { chunks, completion, type Envelope } from "./model/stream.ts";

export type { ChatMessage, Conversation, Script, Turn } from "./model/script.ts";
export { textOf } from "./model/script.ts";

const BODY_LIMIT = 64 * 1024 * 1024;

/** One request as it was recorded. */
export interface RecordedRequest {
  /** 1-based. */
  n: number;
  at: string;
  kind: "title" | "turn";
  conversation: number;
  turn: number;
  model: string;
  /** Where the host asks for one. */
  reasoning_effort?: string;
  messages: ChatMessage[];
  tools: string[];
}

export interface ScriptedModel {
  /** Base URL for an OpenAI-compatible provider, ending in `/v1`. */
  url: string;
  port: number;
  requests: RecordedRequest[];
  /** Replaces what the model says from the next request on. */
  setScript(script: Script): void;
  stop(): Promise<void>;
}

interface ChatRequest {
  model?: string;
  reasoning_effort?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  messages?: ChatMessage[];
  tools?: { function?: { name?: string } }[];
}

class BadRequest extends Error {}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > BODY_LIMIT) throw new BadRequest("body over 64 MB");
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

const pause = (ms: number | undefined) =>
  ms === undefined || ms <= 0 ? undefined : new Promise((done) => setTimeout(done, ms));

async function answer(
  response: ServerResponse,
  turn: Turn,
  envelope: Envelope,
  ask: ChatRequest,
): Promise<void> {
  await pause(turn.delayMs);
  if (turn.error !== undefined) {
    sendJson(response, turn.error.status, {
      error: { message: turn.error.message, type: "scripted", code: null },
    });
    return;
  }
  if (ask.stream !== true) {
    sendJson(response, 200, completion(turn, envelope));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (const chunk of chunks(turn, envelope, ask.stream_options?.include_usage === true)) {
    if (response.destroyed) return;
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    await pause(turn.pieceDelayMs);
  }
  response.end("data: [DONE]\n\n");
}

/** Starts the model; `port` 0 (the default) picks a free one. */
export async function startScriptedModel(options: {
  script: Script;
  port?: number;
  host?: string;
  /** JSONL file that every request is appended to. */
  log?: string;
}): Promise<ScriptedModel> {
  let script = options.script;
  const requests: RecordedRequest[] = [];

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ask = JSON.parse(await readBody(request)) as ChatRequest;
    const messages = ask.messages ?? [];
    const tools = (ask.tools ?? []).map((tool) => tool.function?.name ?? "");
    const isTitle = tools.length === 0;
    const chosen = isTitle
      ? { conversation: -1, turn: 0, answer: { text: script.title ?? "Scripted session" } }
      : choose(script, messages);
    const recorded: RecordedRequest = {
      n: requests.length + 1,
      at: new Date().toISOString(),
      kind: isTitle ? "title" : "turn",
      conversation: chosen.conversation,
      turn: chosen.turn,
      model: ask.model ?? "",
      ...(ask.reasoning_effort === undefined ? {} : { reasoning_effort: ask.reasoning_effort }),
      messages,
      tools,
    };
    requests.push(recorded);
    if (options.log !== undefined) appendFileSync(options.log, `${JSON.stringify(recorded)}\n`);
    const envelope: Envelope = {
      id: `${Date.now().toString(36)}-${recorded.n}`,
      model: recorded.model,
      created: Math.floor(Date.now() / 1000),
      promptTokens: Math.round(JSON.stringify(messages).length / 4),
    };
    await answer(response, chosen.answer, envelope, ask);
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const route = `${request.method} ${url.pathname}`;
    const handled = async () => {
      if (route === "POST /v1/chat/completions") return chat(request, response);
      if (route === "GET /v1/models") {
        return sendJson(response, 200, {
          object: "list",
          data: [{ id: "scripted-1", object: "model", created: 0, owned_by: "script" }],
        });
      }
      if (route === "GET /requests") {
        const since = Number(url.searchParams.get("since") ?? "0");
        return sendJson(
          response,
          200,
          requests.filter((one) => one.n > since),
        );
      }
      if (route === "GET /health")
        return sendJson(response, 200, { healthy: true, requests: requests.length });
      return sendJson(response, 404, { error: { message: `no such route: ${route}` } });
    };
    handled().catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      if (!response.headersSent)
        sendJson(response, 400, { error: { message, type: "invalid_request_error" } });
      else response.destroy();
    });
  });
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", done);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    port,
    requests,
    setScript: (next) => {
      script = next;
    },
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

export async function loadScript(path: string): Promise<Script> {
  if (path.endsWith(".json")) return JSON.parse(await readFile(path, "utf8")) as Script;
  return ((await import(resolve(path))) as { default: Script }).default;
}

async function commandLine(): Promise<void> {
  const { values } = parseArgs({
    options: {
      script: { type: "string" },
      port: { type: "string", default: "0" },
      log: { type: "string" },
      set: { type: "string", multiple: true, default: [] },
    },
  });
  if (values.script === undefined) {
    process.stderr.write("scripted-model: --script FILE is needed\n");
    process.exit(2);
  }
  const script = await loadScript(values.script);
  for (const pair of values.set) {
    const at = pair.indexOf("=");
    script.values = { ...script.values, [pair.slice(0, at)]: pair.slice(at + 1) };
  }
  const model = await startScriptedModel({
    script,
    port: Number(values.port),
    ...(values.log === undefined ? {} : { log: values.log }),
  });
  process.stdout.write(`${JSON.stringify({ url: model.url, port: model.port })}\n`);
  const stop = () => void model.stop().then(() => process.exit(0));
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

if (import.meta.main) await commandLine();
