/** What is to be seen of the activity: entries by id, the newest form of each, by their places. */
import type { ActivityEntry } from "../../../src/protocol/activity.ts";

export class View {
  readonly #entries = new Map<string, ActivityEntry>();

  take(entry: ActivityEntry): this {
    if (entry.type === "agent.notice" && entry.kind === "dropped")
      for (const other of [...this.#entries.values()])
        if (other.root_session_id === entry.root_session_id && other.position <= (entry.upto ?? 0))
          this.#entries.delete(other.id);
    this.#entries.set(entry.id, entry);
    return this;
  }

  static of(entries: readonly ActivityEntry[]): View {
    const view = new View();
    for (const entry of entries) view.take(entry);
    return view;
  }

  get entries(): ActivityEntry[] {
    return [...this.#entries.values()].sort((a, b) => a.position - b.position);
  }

  /** In a line each, for assertions: what somebody who looks at it reads. */
  get lines(): string[] {
    return this.entries.filter(({ removed }) => removed !== true).map(lineOf);
  }
}

function lineOf(entry: ActivityEntry): string {
  switch (entry.type) {
    case "agent.turn":
      return `turn ${entry.state}${entry.end === undefined ? "" : ` ${entry.end}`}: ${entry.prompt ?? ""}`;
    case "agent.message":
      return `${entry.role} ${entry.kind}${entry.done ? "" : " …"}: ${entry.text}`;
    case "agent.tool":
      return `${entry.tool} ${entry.status}${entry.output === "" ? "" : `: ${entry.output.trim().split("\n").at(-1)}`}`;
    case "agent.todo":
      return `todo ${entry.todos.map(({ content, status }) => `${content}=${status}`).join(" ")}`;
    case "agent.permission":
      return `permission ${entry.permission} ${entry.command ?? entry.patterns.join(" ")}: ${entry.state}${entry.reply === undefined ? "" : ` ${entry.reply} by ${entry.by}`}`;
    case "agent.question":
      return `question ${entry.questions.map(({ question }) => question).join(" ")}: ${entry.state} ${JSON.stringify(entry.answers ?? null)}`;
    case "agent.usage":
      return `usage ${entry.tokens.output > 0 ? "some" : "none"}`;
    case "agent.notice":
      return `notice ${entry.kind}${entry.attempt === undefined ? "" : ` ${entry.attempt}`}`;
  }
}
