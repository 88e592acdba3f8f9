/** The API as a developer at a shell has it: every request is one run of the real curl. */
import { readFileSync } from "node:fs";
import type { Hunk, Suggestion } from "../../plugin/src/protocol/model.ts";
import { noteHttp } from "./doors.ts";
import { run } from "./processes.ts";
import type { Scene } from "./scene.ts";

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: scenarios assert on it, whatever its shape
  body: any;
  text: string;
}

export interface Ask {
  method?: string;
  /** Null sends none; the developer's if left out. */
  token?: string | null;
  contentType?: string | null;
  headers?: string[];
}

export class Curl {
  readonly token: string;

  constructor(
    private readonly scene: Scene,
    readonly url: string,
    tokenFile: string,
  ) {
    this.token = readFileSync(tokenFile, "utf8").trim();
  }

  get(path: string, ask: Ask = {}): Answer {
    return this.#ask(path, null, ask);
  }

  /** @param body a value to send as JSON, or text to send as it is */
  post(path: string, body: unknown, ask: Ask = {}): Answer {
    return this.#ask(path, typeof body === "string" ? body : JSON.stringify(body), ask);
  }

  #ask(path: string, body: string | null, ask: Ask): Answer {
    const headers = [...(ask.headers ?? [])];
    const token = ask.token === undefined ? this.token : ask.token;
    if (token !== null) headers.push(`Authorization: Bearer ${token}`);
    const type = ask.contentType === undefined ? "application/json" : ask.contentType;
    if (body !== null) headers.push(type === null ? "Content-Type:" : `Content-Type: ${type}`);
    // A header file rather than an argument: arguments are in every process list.
    const file = this.scene.write("curl-headers", `${headers.join("\n")}\n`);
    const argv = [
      "curl",
      "--silent",
      "--show-error",
      "--max-time",
      "60",
      "-w",
      "\n%{http_code}",
      "-H",
      `@${file}`,
    ];
    if (body !== null) argv.push("--data-binary", "@-", "-H", "Expect:");
    if (ask.method !== undefined) argv.push("-X", ask.method);
    const done = run([...argv, `${this.url}${path}`], { input: body ?? "", env: this.scene.env });
    const cut = done.out.lastIndexOf("\n");
    const text = done.out.slice(0, Math.max(0, cut));
    const status = Number(done.out.slice(cut + 1));
    if (!(status > 0)) throw new Error(`curl ${path}: ${done.code} ${done.err}`);
    let parsed: unknown = null;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Not every answer is JSON.
    }
    noteHttp(ask.method ?? (body === null ? "GET" : "POST"), path, status, parsed);
    return { status, body: parsed, text };
  }

  /** The answer's body when it is the status wanted. */
  #wanted(answer: Answer, what: string): Answer["body"] {
    if (answer.status >= 300) throw new Error(`${what}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  list(status = "open"): Suggestion[] {
    return this.#wanted(this.get(`/suggestions?status=${status}`), "list").suggestions;
  }

  suggestion(id: string): Suggestion {
    return this.#wanted(this.get(`/suggestions/${id}`), "get");
  }

  hunks(id: string): Hunk[] {
    return this.#wanted(this.get(`/suggestions/${id}/hunks?limit=1000`), "hunks").hunks;
  }

  decide(
    hunk: Hunk,
    action: "accept" | "reject" | "modify",
    more: Record<string, unknown> = {},
  ): Answer["body"] {
    const request = {
      suggestion_id: suggestionOf(hunk),
      hunk_id: hunk.id,
      digest: hunk.digest,
      action,
      ...more,
    };
    return this.#wanted(this.post("/feedback", request), `${action} ${hunk.id}`);
  }

  finalize(id: string): { commit: string; ref: string; base_commit: string } {
    return this.#wanted(this.post("/complete", { suggestion_id: id, action: "finalize" }), "finalize");
  }

  lastSeq(): number {
    return this.#wanted(this.get("/events?since=0&limit=1"), "events").last_seq;
  }

  events(since = 0): { seq: number; type: string; [field: string]: unknown }[] {
    return this.#wanted(this.get(`/events?since=${since}&limit=1000`), "events").events;
  }
}

const suggestionOf = (hunk: Hunk): string => hunk.id.slice(0, hunk.id.indexOf(":"));
