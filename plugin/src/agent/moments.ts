/**
 * When a session can be told something without disturbing its turn: while it is idle, or while one of its tools runs
 * (the message is then in the model's next request, which comes anyway). In between, while the model speaks, a
 * message would make the host ask the model once more.
 */
import type { Hooks } from "@opencode-ai/plugin";

type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

export class Moments {
  /** Names of the tool calls that run, by session: a name counts in its session alone. */
  readonly #tools = new Map<string, Set<string>>();
  #changed: (() => void) | null = null;

  /** @param changed called when a session may have become tellable */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  started(callID: string, session: string): void {
    const running = this.#tools.get(session) ?? new Set();
    this.#tools.set(session, running.add(callID));
  }

  ended(callID: string, session: string): void {
    const running = this.#tools.get(session);
    running?.delete(callID);
    if (running?.size === 0) this.#tools.delete(session);
  }

  take(event: HostEvent): void {
    if (event.type === "message.part.updated") {
      const { part } = event.properties;
      // A failed call has no `after`.
      if (part.type === "tool" && (part.state.status === "completed" || part.state.status === "error"))
        this.ended(part.callID, part.sessionID);
    } else if (event.type === "session.idle") {
      this.#tools.delete(event.properties.sessionID);
      this.#changed?.();
    }
  }

  /** Whether a tool of this session runs. */
  inTool(session: string): boolean {
    return this.#tools.has(session);
  }
}
