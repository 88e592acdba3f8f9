/** opencode on the agent's side: its configuration, its start, and the few requests the launcher makes of it. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LOADED_PATTERNS } from "../../plugin/src/agent/loaded.ts";
import { type Given, nest } from "../../plugin/src/options.ts";
import { socketAt } from "../../sandbox/relay/socket-at.ts";
import { putFile } from "./agent-side.ts";
import type { Identity } from "./identity.ts";
import { type AgentPlace, serverUrl } from "./places.ts";
import { freePort } from "./ports.ts";
import { type Child, type Supervisor, until } from "./processes.ts";
import { StartError, say } from "./report.ts";
import { OPENCODE_SOCKET, type Ring } from "./ring.ts";
import { visibleLine } from "./visible.ts";

const START_MS = 60_000;

export interface Opencode {
  child: Child;
  request(method: "GET" | "POST", path: string, body?: unknown): Promise<Response>;
  log: string;
}

/** Settings of the provider side; the rest is the same for everybody. */
export type ProviderSettings = Record<string, unknown>;

export function writeConfiguration(
  place: AgentPlace,
  agent: Identity,
  providers: ProviderSettings,
  server: Given,
  caged: boolean,
): void {
  const options = nest({ ...server, state_dir: place.state });
  const plugin = [join(place.lib, "suggestion-manager.js"), options];
  const settings = {
    $schema: "https://opencode.ai/config.json",
    ...providers,
    ...(caged ? closedTo(providers) : {}),
    share: "disabled",
    autoupdate: false,
    // jj has the history here. opencode's own copies would be a second one, and its revert writes files by them.
    snapshot: false,
    plugin: [plugin],
  };
  // opencode makes one where there is none, and goes no further where that is forbidden by a mount (1.18).
  putFile(join(place.config, "opencode/.gitignore"), "*\n", 0o644);
  // Provider settings may hold keys: for the agent's eyes, as far as it is somebody else.
  putFile(
    join(place.config, "opencode/opencode.json"),
    `${JSON.stringify(settings, null, 2)}\n`,
    place.separate ? 0o640 : 0o600,
    place.separate ? agent.gid : undefined,
  );
}

/**
 * What keeps opencode itself from running or writing for the model what a command of its could not: programs that the
 * repository brings along for checking and formatting, files outside of it, and what opencode would load.
 */
function closedTo(providers: ProviderSettings): ProviderSettings {
  const given = providers.permission;
  const own = typeof given === "string" ? { "*": given } : ((given ?? {}) as Record<string, unknown>);
  const edit = typeof own.edit === "object" ? own.edit : own.edit === undefined ? {} : { "*": own.edit };
  return {
    lsp: false,
    formatter: false,
    permission: {
      // Nobody is there to be asked: a question would never be answered.
      external_directory: "deny",
      ...own,
      edit: { ...edit, ...Object.fromEntries(LOADED_PATTERNS.map((name) => [name, "deny"])) },
    },
  };
}

/** Starts opencode and waits until the plugin's server answers on `port`. */
export async function startOpencode(options: {
  supervisor: Supervisor;
  place: AgentPlace;
  agent: Identity;
  env: Record<string, string>;
  log: string;
  port: number;
  /** Where the review server is reached. */
  host: string;
  /** Words in front of the command; see {@link import("./cage.ts").Cage}. */
  within: readonly string[];
  /** What it runs in; null for none. */
  ring: Ring | null;
}): Promise<Opencode> {
  const { supervisor, place, agent, log, ring } = options;
  const port = await freePort();
  const password = randomBytes(24).toString("base64url");
  const opencode = ["opencode", "serve", "--hostname", "127.0.0.1", "--port", String(port), "--print-logs"];
  const serve = [...(ring?.ways(port) ?? []), ...options.within, ...(ring?.telling ?? []), ...opencode];
  const child = supervisor.start("opencode", agent, ring === null ? serve : ring.wrap(serve), {
    cwd: place.repo,
    env: { ...options.env, ...ring?.environment, OPENCODE_SERVER_PASSWORD: password },
    log,
  });
  const base = `http://127.0.0.1:${port}`;
  const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`;
  const directory = `directory=${encodeURIComponent(place.repo)}`;
  const ask = ring === null ? fetch : throughSocket(join(place.sockets, OPENCODE_SOCKET), agent.uid);
  const request = (method: "GET" | "POST", path: string, body?: unknown, timeout = 30_000) =>
    ask(`${base}${path}${path.includes("?") ? "&" : "?"}${directory}`, {
      method,
      headers: { authorization, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(timeout === 0 ? {} : { signal: AbortSignal.timeout(timeout) }),
    });

  // A connection made while it is still starting can stay unanswered for ever: short requests, often.
  const answers = (by: typeof ask, url: string, init: RequestInit = {}) =>
    by(url, { ...init, signal: AbortSignal.timeout(1000) }).then(
      (response) => response.ok,
      () => false,
    );
  const ready = async (what: string, condition: () => Promise<boolean>) => {
    const came = await until(async () => child.hasEnded() || (await condition()), START_MS);
    if (came && !child.hasEnded()) return;
    const why = child.hasEnded() ? await child.ended : `${what} did not answer within ${START_MS / 1000} s`;
    throw new StartError(`${why}. The end of ${log}:\n${tailOf(log)}`);
  };
  await ready("opencode", () => answers(ask, `${base}/global/health`, { headers: { authorization } }));
  // Nothing of a project is loaded before its first request, the plugin neither.
  const poked = await request("GET", "/path", undefined, START_MS).catch(() => null);
  if (poked === null || !poked.ok)
    throw new StartError(`opencode cannot open ${place.repo}. The end of ${log}:\n${tailOf(log)}`);
  await ready("the review server", () => answers(fetch, `${serverUrl(options.host, options.port)}/health`));
  return { child, request: (method, path, body) => request(method, path, body), log };
}

/** Requests to who listens behind a socket that the agent made. */
const throughSocket =
  (path: string, uid: number) =>
  async (url: string, init: RequestInit = {}): Promise<Response> => {
    const name = socketAt(path, uid);
    try {
      return await fetch(url, { ...init, unix: name.path, keepalive: false });
    } finally {
      name.release();
    }
  };

/** The lines of a log that say what went wrong. */
export function tailOf(log: string): string {
  try {
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    const telling = lines.filter((line) => /suggestion-manager|level=ERROR|error:/i.test(line));
    return (telling.length > 0 ? telling : lines)
      .slice(-8)
      .map((line) => `  ${visibleLine(line)}`)
      .join("\n");
  } catch {
    return "  (nothing)";
  }
}

/** Sends the first prompt of a new session, without waiting for the answer. */
export async function prompt(opencode: Opencode, text: string): Promise<string> {
  const created = await opencode.request("POST", "/session", {});
  const session = ((await created.json()) as { id?: string }).id;
  if (!created.ok || session === undefined)
    throw new StartError(`opencode made no session (status ${created.status})`);
  const sent = await opencode.request("POST", `/session/${session}/prompt_async`, {
    parts: [{ type: "text", text }],
  });
  if (!sent.ok)
    throw new StartError(`opencode did not take the prompt (status ${sent.status}): ${await sent.text()}`);
  return session;
}

interface Part {
  id: string;
  type: string;
  tool?: string;
  state?: { status: string; input?: Record<string, unknown>; error?: string; metadata?: { exit?: number } };
}

/** Tells, while the agent works, what it does; each tool call once. */
export class Watch {
  readonly #told = new Set<string>();
  /** Last thing the session said was wrong. */
  error: string | null = null;

  constructor(
    private readonly opencode: Opencode,
    private readonly session: string,
  ) {}

  async look(): Promise<void> {
    const response = await this.opencode.request("GET", `/session/${this.session}/message`).catch(() => null);
    if (response === null || !response.ok) return;
    const messages = (await response.json()) as {
      info: { error?: { data?: { message?: string } } };
      parts: Part[];
    }[];
    for (const { info, parts } of messages) {
      if (info.error !== undefined)
        this.error = visibleLine(info.error.data?.message ?? JSON.stringify(info.error));
      for (const part of parts) {
        const done = part.state?.status === "completed" || part.state?.status === "error";
        if (part.type !== "tool" || !done || this.#told.has(part.id)) continue;
        this.#told.add(part.id);
        const line = lineOf(part);
        if (line !== null) say(`  agent  ${visibleLine(line)}`);
      }
    }
  }
}

function lineOf(part: Part): string | null {
  const input = part.state?.input ?? {};
  const failed = part.state?.status === "error" ? ` (failed: ${part.state.error ?? ""})` : "";
  switch (part.tool) {
    case "bash": {
      const exit = part.state?.metadata?.exit;
      return `$ ${input.command}${exit === 0 || exit === undefined ? "" : `  → exit ${exit}`}${failed}`;
    }
    case "edit":
    case "write":
      return `${part.tool} ${input.filePath}${failed}`;
    case "suggestion_status":
      return `“${input.message}”${failed}`;
    case "publish_suggestion":
      return `publishes “${input.description}”${failed}`;
    default:
      return failed === "" ? null : `${part.tool}${failed}`;
  }
}
