/**
 * When a session can be told something without disturbing its turn: while it is idle, or while one of its tools runs
 * (the message is then in the model's next request, which comes anyway). In between, while the model speaks, a
 * message would make the host ask the model once more.
 */
import type { Hooks } from "@opencode-ai/plugin";

type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

export class Moments {
  /** Running tool calls, with the session of each. */
  readonly #tools = new Map<string, string>();
  #changed: (() => void) | null = null;

  /** @param changed called when a session may have become tellable */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  started(callID: string, session: string): void {
    this.#tools.set(callID, session);
  }

  ended(callID: string): void {
    this.#tools.delete(callID);
  }

  take(event: HostEvent): void {
    if (event.type === "message.part.updated") {
      const { part } = event.properties;
      // A failed call has no `after`.
      if (part.type === "tool" && (part.state.status === "completed" || part.state.status === "error"))
        this.ended(part.callID);
    } else if (event.type === "session.idle") {
      for (const [callID, session] of this.#tools)
        if (session === event.properties.sessionID) this.ended(callID);
      this.#changed?.();
    }
  }

  /** Whether a tool of this session runs. */
  inTool(session: string): boolean {
    return [...this.#tools.values()].includes(session);
  }
}
