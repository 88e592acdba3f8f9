/** A server over the real desk to test against: its own state directory, ledger, tokens and port. */
import { createHash, createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watched } from "../../../test-harness/support/doors.ts";
import { type Config, loadConfig } from "../../src/config.ts";
import type { ReviewEvent } from "../../src/protocol/events.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import { Desk } from "../../src/review/desk.ts";
import type { Limits } from "../../src/server/limits.ts";
import { createLog } from "../../src/server/log.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { ensureTokens, openTokens } from "../../src/server/tokens/tokens.ts";
import { write } from "./git.ts";

export interface Ask {
  method?: string;
  /** The developer's if left out; null for none. */
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answered {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts on it, whatever its shape
  body: any;
  text: string;
}

export interface PlaceOptions {
  limits?: Partial<Limits>;
  /** Plugin options. */
  options?: Record<string, unknown>;
  stateDir?: string;
  /** Called with the desk before the server is started. */
  prepare?: (desk: Desk) => void;
}

/** What `/health?nonce=` must answer for a connection to `address`, computed as a client does. */
export function proofFor(token: string, nonce: string, address: string): string {
  const key = createHash("sha256").update(token).digest("hex");
  return createHmac("sha256", key).update(`suggestion-manager:${nonce}:${address}`).digest("hex");
}

export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `sm-${name}-`));
}

export class Place {
  readonly logged: string[] = [];
  readonly developer: string;
  readonly agent: string;

  private constructor(
    readonly stateDir: string,
    readonly config: Config,
    readonly desk: Desk,
    readonly server: RunningServer,
    logged: string[],
  ) {
    this.logged = logged;
    this.developer = readFileSync(join(stateDir, "token"), "utf8").trim();
    this.agent = readFileSync(join(stateDir, "agent-token"), "utf8").trim();
  }

  static async open({ limits = {}, options = {}, stateDir, prepare }: PlaceOptions = {}): Promise<Place> {
    const dir = stateDir ?? temporaryDirectory("server");
    const feedback = join(dir, "feedback.jsonl");
    const config = watched(
      loadConfig({ port: 0, state_dir: dir, feedback_log: feedback, ...options }, { HOME: dir }),
      loadConfig({}, { HOME: dir }),
    );
    const logged: string[] = [];
    const log = createLog("debug", (line) => void logged.push(line));
    const desk = new Desk(config);
    // What is tested here is not durability, and a flush to a busy disk takes milliseconds.
    desk.ledger.db.run("PRAGMA synchronous = OFF");
    desk.onRemark = (level, message) => log[level](message);
    prepare?.(desk);
    ensureTokens(dir);
    const tokens = openTokens(dir, (error) => log.error("tokens", { error }));
    const server = await startServer({ config, desk, tokens, log, version: "0.0.0-test", limits });
    return new Place(dir, config, desk, server, logged);
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  async ask(path: string, init: Ask = {}): Promise<Answered> {
    const token = init.token === undefined ? this.developer : init.token;
    const response = await fetch(`${this.url}${path}`, {
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
    const body = isJson && text !== "" ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, body, text };
  }

  /** Writes an event into the real journal, as the desk does for what happens outside a use case. */
  emit(message: string): ReviewEvent {
    return this.desk.ledger.emit("/project", { type: "suggestion.status", status: "working", message });
  }

  /** Texts of the journal, read from the ledger itself. */
  journal(since = 0): string[] {
    return this.desk.ledger.eventTexts(since, 1_000_000).map(({ json }) => json);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    this.desk.close();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

/** A jj repository of the agent's, taken in by a place's desk. */
export class AgentRepository {
  private constructor(
    readonly place: Place,
    readonly dir: string,
  ) {}

  static async add(place: Place, name = "agent"): Promise<AgentRepository> {
    const jjConfig = join(place.stateDir, "jj.toml");
    writeFileSync(
      jjConfig,
      '[user]\nname = "Agent"\nemail = "agent@example.org"\n[ui]\npaginate = "never"\n',
    );
    process.env.JJ_CONFIG = jjConfig;
    const dir = join(place.stateDir, name);
    mkdirSync(dir);
    const repository = new AgentRepository(place, dir);
    repository.jj("git", "init", "--colocate", ".");
    const lines = Array.from({ length: 40 }, (_, index) => `line ${index + 1}`);
    write(dir, { "src/a.ts": `${lines.join("\n")}\n`, "old.txt": "going\n", "keep.txt": "stays\n" });
    repository.jj("commit", "-m", "base");
    repository.jj("bookmark", "create", "main", "-r", "@-");
    await place.desk.addProject(dir);
    return repository;
  }

  jj(...args: string[]): string {
    const done = Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
      cwd: this.dir,
      env: process.env,
    });
    if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  }

  edit(file: string, change: (text: string) => string): void {
    writeFileSync(join(this.dir, file), change(readFileSync(join(this.dir, file), "utf8")));
  }

  /** Two hunks in src/a.ts, a new file and a deleted one, published over HTTP with the agent's token. */
  async publish(description = "Make a change"): Promise<{ id: string; hunks: Hunk[] }> {
    this.edit("src/a.ts", (text) =>
      text.replace("line 3\n", "line three\n").replace("line 30\n", "line thirty\n"),
    );
    write(this.dir, { "src/new.ts": "export {};\n" });
    rmSync(join(this.dir, "old.txt"), { force: true });
    return this.publishAsItIs(description);
  }

  async publishAsItIs(description: string): Promise<{ id: string; hunks: Hunk[] }> {
    const body = { description, project: this.dir };
    const answer = await this.place.ask("/suggestions", { body, token: this.place.agent });
    if (answer.status !== 201) throw new Error(answer.text);
    const id: string = answer.body.suggestion_id;
    return { id, hunks: this.place.desk.hunks(id, { limit: 1000, offset: 0 }).hunks };
  }
}

/** Waits until `test` holds. */
export async function until(test: () => boolean | Promise<boolean>, what: string, ms = 5000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await test())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(5);
  }
}
