/**
 * Notes which doors the tests went through to a success, into the file that `npm test` names in SUGGESTION_DOORS. Loaded
 * before every test file (`bunfig.toml`): what the tests send with `fetch` and `WebSocket` is noted by itself, the rest
 * by the tests' own starters. The product knows nothing of it; without the variable nothing is wrapped.
 */
import { appendFileSync } from "node:fs";

const file = process.env.SUGGESTION_DOORS ?? "";
const noted = new Set<string>();

function note(entry: { door: string } | { http: [string, string] }): void {
  const line = JSON.stringify(entry);
  if (file === "" || noted.has(line)) return;
  noted.add(line);
  // One write each, so that lines of several processes stay whole.
  appendFileSync(file, `${line}\n`);
}

export const noteDoor = (door: string): void => note({ door });

/** An answer can be in order as HTTP and still say that the work behind it was not done. */
const notDone = (body: unknown): boolean =>
  typeof body === "object" &&
  body !== null &&
  (("ok" in body && body.ok === false) || ("settled" in body && body.settled === false));

/** @param path with or without a query; which route it is, the routing table says later */
export function noteHttp(method: string, path: string, status: number, body: unknown): void {
  if (status >= 200 && status < 300 && !notDone(body)) note({ http: [method, path.replace(/\?.*$/, "")] });
}

const PROGRAMS = ["start", "serve", "mcp", "teardown", "sandbox"] as const;

/** The flags of one of our commands that did what it was started for. */
export function noteFlags(argv: readonly string[]): void {
  for (const program of PROGRAMS) {
    const script = argv.findIndex((word) => new RegExp(`/${program}\\.(?:ts|mjs)$`).test(word));
    const end = argv.indexOf("--");
    const byNpm = argv[0] === "npm" && end > 0 && argv.slice(0, end).includes(program);
    if (script < 0 && !byNpm) continue;
    for (const word of argv.slice((script < 0 ? end : script) + 1))
      if (word.startsWith("--")) noteDoor(`flag ${program} ${word.replace(/=.*$/s, "")}`);
  }
}

interface ToolPart {
  type: string;
  tool?: string;
  state?: { status: string };
}

/** The tools, of whomever, that the sessions of a running opencode called and that answered without an error. */
export async function noteTools(url: string, directory: string): Promise<void> {
  if (file === "") return;
  const query = `directory=${encodeURIComponent(directory)}`;
  const ask = async <Answer>(path: string): Promise<Answer> =>
    (await (await fetch(`${url}${path}?${query}`, { signal: AbortSignal.timeout(20_000) })).json()) as Answer;
  for (const { id } of await ask<{ id: string }[]>("/session")) {
    const messages = await ask<{ parts: ToolPart[] }[]>(`/session/${id}/message`);
    for (const part of messages.flatMap(({ parts }) => parts))
      if (part.type === "tool" && part.state?.status === "completed") noteDoor(`tool ${part.tool}`);
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Reports about settings read all of them, which is no use of any. */
const readByReport = (): boolean => /\/src\/server\/reports\.ts/.test(new Error().stack ?? "");

/**
 * A configuration that notes which options are read, of those that are not at their default.
 * @param defaults the configuration without any options
 */
export function watched<Config extends object>(config: Config, defaults: Config, path = ""): Config {
  if (file === "") return config;
  return new Proxy(config, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      const usual: unknown = Reflect.get(defaults, name);
      if (typeof name !== "string") return value;
      const door = `${path}${snake(name)}`;
      if (typeof value === "object" && value !== null && !Array.isArray(value))
        return watched(value, (usual ?? {}) as object, `${door}.`);
      if (JSON.stringify(value) !== JSON.stringify(usual) && !readByReport()) noteDoor(`option ${door}`);
      return value;
    },
  });
}

function watchFetch(): void {
  const plain = globalThis.fetch;
  const noting = async (...[input, init]: Parameters<typeof fetch>): Promise<Response> => {
    const response = await plain(input, init);
    const request = input instanceof Request ? input : null;
    const method = init?.method ?? request?.method ?? "GET";
    const { pathname } = new URL(request?.url ?? String(input));
    if (method === "GET" || !response.headers.get("content-type")?.startsWith("application/json")) {
      noteHttp(method, pathname, response.status, null);
      return response;
    }
    const text = await response.clone().text();
    try {
      noteHttp(method, pathname, response.status, JSON.parse(text));
    } catch {
      // Not JSON after all: no answer of ours.
    }
    return response;
  };
  globalThis.fetch = Object.assign(noting, { preconnect: plain.preconnect });
}

function watchSockets(): void {
  const { send } = WebSocket.prototype;
  const waiting = new WeakMap<WebSocket, Map<unknown, string>>();
  const listen = (socket: WebSocket): Map<unknown, string> => {
    const commands = new Map<unknown, string>();
    waiting.set(socket, commands);
    socket.addEventListener("message", ({ data }) => {
      // Events are many and large; only answers matter.
      if (typeof data !== "string" || !data.startsWith('{"type":"response"')) return;
      const answer = JSON.parse(data) as { id?: unknown; success: boolean; data?: unknown };
      const command = commands.get(answer.id);
      if (command !== undefined && answer.success && !notDone(answer.data)) noteDoor(`ws ${command}`);
      commands.delete(answer.id);
    });
    return commands;
  };
  WebSocket.prototype.send = function (this: WebSocket, data) {
    if (typeof data === "string") {
      try {
        const { id, type } = JSON.parse(data) as { id?: unknown; type: string };
        if (id !== undefined) (waiting.get(this) ?? listen(this)).set(id, type);
      } catch {
        // Not a command.
      }
    }
    return send.call(this, data);
  };
}

if (file !== "") {
  watchFetch();
  watchSockets();
}
