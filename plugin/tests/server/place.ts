/** A server to test against: its own state directory, tokens and port, taken down afterwards. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig } from "../../src/config.ts";
import type { ReviewDesk } from "../../src/review/contract.ts";
import type { Limits } from "../../src/server/limits.ts";
import { createLog } from "../../src/server/log.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { ensureTokens, openTokens } from "../../src/server/tokens.ts";
import { type MemoryDesk, memoryDesk } from "./memory-desk.ts";

export interface Place<Desk extends ReviewDesk = MemoryDesk> {
  stateDir: string;
  config: Config;
  desk: Desk;
  server: RunningServer;
  developer: string;
  agent: string;
  /** Every line logged so far. */
  logged: string[];
  /** JSON request with the developer's token unless `init.token` says otherwise (null: none). */
  ask(path: string, init?: Ask): Promise<Answered>;
  stop(): Promise<void>;
}

export interface Ask {
  method?: string;
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answered {
  status: number;
  headers: Headers;
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts on it
  body: any;
  text: string;
}

export interface PlaceOptions {
  limits?: Partial<Limits>;
  options?: Record<string, unknown>;
  stateDir?: string;
}

export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `sm-${name}-`));
}

export async function place(options: PlaceOptions = {}): Promise<Place> {
  const stateDir = options.stateDir ?? temporaryDirectory("server");
  return placeWith(stateDir, memoryDesk(stateDir), options);
}

export async function placeWith<Desk extends ReviewDesk>(
  stateDir: string,
  desk: Desk,
  { limits = {}, options = {} }: PlaceOptions = {},
): Promise<Place<Desk>> {
  const config = loadConfig({ port: 0, state_dir: stateDir, ...options }, { HOME: stateDir });
  const paths = ensureTokens(stateDir);
  const logged: string[] = [];
  const server = await startServer({
    config,
    desk,
    tokens: openTokens(stateDir),
    log: createLog("debug", (line) => void logged.push(line)),
    version: "0.0.0-test",
    limits,
  });
  const developer = readFileSync(paths.developer, "utf8").trim();
  const agent = readFileSync(paths.agent, "utf8").trim();
  return {
    stateDir,
    config,
    desk,
    server,
    developer,
    agent,
    logged,
    ask: (path, init) => ask(server.url, developer, path, init),
    async stop() {
      await server.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

async function ask(url: string, developer: string, path: string, init: Ask = {}): Promise<Answered> {
  const token = init.token === undefined ? developer : init.token;
  const response = await fetch(`${url}${path}`, {
    method: init.method ?? (init.body === undefined ? "GET" : "POST"),
    headers: {
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(init.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...init.headers,
    },
    ...(init.body === undefined
      ? {}
      : { body: typeof init.body === "string" ? init.body : JSON.stringify(init.body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== "" ? JSON.parse(text) : text,
    text,
  };
}

/** Waits until `test` holds. */
export async function until(test: () => boolean | Promise<boolean>, what: string, ms = 5000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await test())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
