/** The server as users start it without opencode: a process of its own, spoken to over HTTP. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { noteFlags } from "../../../test-harness/support/doors.ts";
import type { Repo } from "./repo.ts";

const SERVE = join(import.meta.dir, "../../src/serve.ts");

export interface Answer {
  status: number;
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts on it
  body: any;
}

export interface ServedOptions {
  projects?: string[];
  /** Further arguments. */
  more?: string[];
  /** A command that runs the server: `unshare …`. */
  wrapper?: string[];
}

export class Served {
  /** Where its state directory is seen from here; elsewhere for a server with mounts of its own. */
  seenState: string;

  private constructor(
    readonly process: Bun.Subprocess,
    readonly url: string,
    readonly state: string,
    readonly startedAt: number,
  ) {
    this.seenState = state;
  }

  static async start(
    repo: Repo,
    state = join(repo.root, "state"),
    { projects = [repo.dir], more = [], wrapper = [] }: ServedOptions = {},
  ): Promise<Served> {
    const named = projects.flatMap((dir) => ["--project", dir]);
    const child = Bun.spawn(
      [...wrapper, process.execPath, SERVE, ...named, "--port", "0", "--state", state, "--json", ...more],
      { env: repo.env, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    let said = "";
    const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
    while (!said.includes("\n")) {
      const { value, done } = await reader.read();
      if (done)
        throw new Error(
          `the server did not start: ${await new Response(child.stderr as ReadableStream).text()}`,
        );
      said += new TextDecoder().decode(value);
    }
    void new Response(child.stderr as ReadableStream).text();
    const ready = JSON.parse(said) as { url: string };
    noteFlags([SERVE, ...named, "--port", "0", "--state", state, "--json", ...more]);
    return new Served(child, ready.url, state, performance.now());
  }

  async ask(
    method: "GET" | "POST",
    path: string,
    body?: unknown,
    role: "developer" | "agent" = "developer",
  ): Promise<Answer> {
    const token = readFileSync(
      join(this.seenState, role === "agent" ? "agent-token" : "token"),
      "utf8",
    ).trim();
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  post = (path: string, body: unknown, role?: "developer" | "agent"): Promise<Answer> =>
    this.ask("POST", path, body, role);
  get = (path: string): Promise<Answer> => this.ask("GET", path);

  /** All hunks of a suggestion, page by page. */
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts on it
  async hunks(suggestion: string): Promise<any[]> {
    const found: unknown[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const { body } = await this.get(`/suggestions/${suggestion}/hunks?limit=1000&offset=${offset}`);
      found.push(...body.hunks);
      offset = body.next;
    }
    return found;
  }

  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    this.process.kill(signal);
    await this.process.exited;
  }
}
