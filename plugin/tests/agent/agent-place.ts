/** An agent's repository with a change under review in a real opencode, and the words to go on from there. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Turn } from "../../../demo/model/script.ts";
import type { ReviewEvent } from "../../src/protocol/events.ts";
import type { Hunk } from "../../src/protocol/model.ts";
import { type Field, prepareField } from "../settle/stress.ts";
import { type Opencode, startOpencode } from "./opencode.ts";

export interface Message {
  info: { id: string; role: string };
  parts: { type: string; text?: string; metadata?: Record<string, unknown>; state?: { status: string } }[];
}

export const bash = (command: string, timeout = 60_000): Turn => ({
  calls: [{ tool: "bash", args: { command, description: "works", timeout } }],
});

export class AgentPlace {
  suggestion = "";
  session = "";
  #turns: Record<string, Turn[]> = {
    "publish it": [
      { calls: [{ tool: "publish_suggestion", args: { description: "Under review" } }] },
      { text: "published" },
    ],
  };

  private constructor(
    readonly root: string,
    readonly field: Field,
    readonly opencode: Opencode,
  ) {}

  /**
   * @param permission the host's own configuration of what it asks
   * @param prepare is called before the host starts, with the folder that its home is in and the agent's repository
   */
  static async open(
    permission?: object,
    prepare: (root: string, dir: string) => void = () => undefined,
  ): Promise<AgentPlace> {
    const root = mkdtempSync(join(tmpdir(), "sm-agent-"));
    const field = prepareField(root);
    prepare(root, field.dir);
    const opencode = await startOpencode(root, field.dir, { conversations: [] }, {}, permission);
    return new AgentPlace(root, field, opencode);
  }

  /** What the model does when it is told `words`. */
  when(words: string, ...turns: Turn[]): this {
    this.#turns[words] = [...turns, { text: "done" }];
    this.opencode.model.setScript({
      conversations: Object.entries(this.#turns).map(([text, list]) => ({ when: `^${text}$`, turns: list })),
    });
    return this;
  }

  async newSession(query = ""): Promise<string> {
    return (await this.opencode.call<{ id: string }>(`/session${query}`, {})).id;
  }

  /** Returns when the turn has ended. */
  prompt(text: string, session = this.session): Promise<unknown> {
    return this.opencode.call(`/session/${session}/message`, { parts: [{ type: "text", text }] });
  }

  /** Returns at once. */
  begin(text: string, session = this.session): Promise<unknown> {
    return this.opencode.call(`/session/${session}/prompt_async`, { parts: [{ type: "text", text }] });
  }

  async publish(): Promise<void> {
    this.when("nothing");
    this.session = await this.newSession();
    await this.prompt("publish it");
    const { body } = await this.opencode.desk<{ suggestions: { id: string }[] }>("/suggestions");
    this.suggestion = body.suggestions[0]?.id as string;
    if (this.suggestion === undefined) throw new Error("nothing was published");
  }

  async hunks(): Promise<Hunk[]> {
    const path = `/suggestions/${this.suggestion}/hunks?limit=500`;
    return (await this.opencode.desk<{ hunks: Hunk[] }>(path)).body.hunks;
  }

  /** Rejects the hunk that proposes this line. */
  async reject(line: string, comment?: string): Promise<void> {
    const hunk = (await this.hunks()).find(({ diff }) => diff.includes(`+${line}\n`));
    const { status, body } = await this.opencode.desk("/feedback", {
      suggestion_id: this.suggestion,
      hunk_id: hunk?.id,
      action: "reject",
      ...(comment === undefined ? {} : { comment }),
    });
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  async events(): Promise<ReviewEvent[]> {
    return (await this.opencode.desk<{ events: ReviewEvent[] }>("/events?since=0&limit=1000")).body.events;
  }

  async statuses(status: string): Promise<string[]> {
    return (await this.events()).flatMap((event) =>
      event.type === "suggestion.status" && event.status === status ? [event.message] : [],
    );
  }

  async errors(): Promise<string[]> {
    return (await this.events()).flatMap((event) =>
      event.type === "suggestion.error" ? [event.message] : [],
    );
  }

  messages(session = this.session): Promise<Message[]> {
    return this.opencode.call<Message[]>(`/session/${session}/message`);
  }

  /** Texts of the review's own messages in a session. */
  async told(session = this.session): Promise<string[]> {
    return (await this.messages(session)).flatMap(({ parts }) =>
      parts.flatMap((part) =>
        part.metadata?.suggestion_manager_delivery === undefined ? [] : [part.text ?? ""],
      ),
    );
  }

  file(path: string): string {
    return readFileSync(join(this.field.dir, path), "utf8");
  }

  /** Of the change under review. */
  published(path: string): string {
    const change = readFileSync(join(this.root, "change"), "utf8");
    return this.field.jj("--ignore-working-copy", "file", "show", "-r", change, path);
  }

  has(name: string): boolean {
    return existsSync(join(this.root, name));
  }

  async close(): Promise<void> {
    await this.opencode.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}
