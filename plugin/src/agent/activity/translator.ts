/**
 * The host's events as entries of the activity. Keeps what the host says piece by piece (the text of a message that is
 * being written, who wrote which message) as long as the turn lasts, and knows neither ledger nor clock.
 */
import type { Event, ToolPart } from "@opencode-ai/sdk/v2";
import type { ActivityBody, BodyOf } from "../../protocol/activity.ts";
import { messageBody, type SpokenPart, toolBody } from "./parts.ts";
import { beginningOf } from "./texts.ts";

/** A form of an entry; `make` gives it as it is by the time that it is written. */
export interface Form {
  id: string;
  session: string;
  make(): { body: ActivityBody; open: boolean };
  /** Another form follows soon: this one may be passed over. */
  streamed: boolean;
}
export type Step = Form | { removed: { message: string } | { id: string } } | { forgotten: string };

interface Spoken {
  part: SpokenPart;
  role: "user" | "assistant";
  text: string;
  done: boolean;
}

/** What is known of a session while its turn lasts. */
interface Session {
  turn: { id: string; body: BodyOf<"agent.turn"> } | null;
  prompt: { message: string; text: string } | null;
  roles: Map<string, "user" | "assistant">;
  spoken: Map<string, Spoken>;
  /** Calls that have not ended. */
  tools: Map<string, ToolPart>;
}

const MOST_PROMPT = 2000;
const INTERRUPTED = "The turn ended before it did";

export class Translator {
  readonly #sessions = new Map<string, Session>();

  take(event: Event): Step[] {
    switch (event.type) {
      case "message.updated":
        return this.#message(event.properties.info);
      case "message.part.updated":
        return this.#part(event.properties.part);
      case "message.part.delta":
        return this.#delta(event.properties);
      case "message.part.removed":
        return [{ removed: { id: event.properties.partID } }];
      case "message.removed":
        return [{ removed: { message: event.properties.messageID } }];
      case "todo.updated": {
        const { sessionID, todos } = event.properties;
        return [whole(`${sessionID}/todo`, sessionID, { type: "agent.todo", todos: todos.map(plainTodo) })];
      }
      case "session.status":
        return this.#status(event);
      case "session.idle":
        return this.#ended(event.properties.sessionID, { end: "done" });
      case "session.error":
        return this.#failed(event);
      case "session.compacted": {
        const { sessionID } = event.properties;
        const message = "The session was compacted: the agent goes on from a summary";
        return [whole(event.id, sessionID, { type: "agent.notice", kind: "compaction", message })];
      }
      case "session.deleted":
        this.#sessions.delete(event.properties.info.id);
        return [{ forgotten: event.properties.info.id }];
      default:
        return [];
    }
  }

  #session(id: string): Session {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = { turn: null, prompt: null, roles: new Map(), spoken: new Map(), tools: new Map() };
      this.#sessions.set(id, session);
    }
    return session;
  }

  #message(info: Extract<Event, { type: "message.updated" }>["properties"]["info"]): Step[] {
    const session = this.#session(info.sessionID);
    session.roles.set(info.id, info.role);
    if (info.role === "user") {
      if (session.prompt?.message !== info.id && session.turn === null)
        session.prompt = { message: info.id, text: "" };
      return [];
    }
    if (info.time.completed === undefined) return [];
    const { tokens } = info;
    return [
      whole(`${info.id}/usage`, info.sessionID, {
        type: "agent.usage",
        message_id: info.id,
        provider: info.providerID,
        model: info.modelID,
        agent: info.agent,
        tokens: {
          input: tokens.input,
          output: tokens.output,
          reasoning: tokens.reasoning,
          cache_read: tokens.cache.read,
          cache_write: tokens.cache.write,
        },
        cost: info.cost,
      }),
    ];
  }

  #part(part: Extract<Event, { type: "message.part.updated" }>["properties"]["part"]): Step[] {
    if (part.type === "tool") return [this.#tool(part)];
    if (part.type !== "text" && part.type !== "reasoning") return [];
    const session = this.#session(part.sessionID);
    const role = session.roles.get(part.messageID) ?? "assistant";
    const spoken = session.spoken.get(part.id) ?? { part, role, text: "", done: false };
    Object.assign(spoken, { part, text: part.text, done: role === "user" || part.time?.end !== undefined });
    const steps: Step[] = [];
    if (role === "user" && session.prompt?.message === part.messageID && session.prompt.text === "") {
      session.prompt.text = part.text;
      // The turn may have begun before its words were told.
      if (session.turn !== null) steps.push(this.#turnForm(part.sessionID, session.turn, promptOf(session)));
    }
    if (spoken.done) session.spoken.delete(part.id);
    else session.spoken.set(part.id, spoken);
    if (spoken.text !== "") steps.push(spokenForm(part.sessionID, spoken, !spoken.done));
    return steps;
  }

  #delta({
    sessionID,
    partID,
    field,
    delta,
  }: Extract<Event, { type: "message.part.delta" }>["properties"]): Step[] {
    const spoken = this.#sessions.get(sessionID)?.spoken.get(partID);
    if (spoken === undefined || field !== "text") return [];
    spoken.text += delta;
    return [spokenForm(sessionID, spoken, true)];
  }

  #tool(part: ToolPart): Step {
    const { tools } = this.#session(part.sessionID);
    const before = tools.get(part.id);
    const open = part.state.status === "pending" || part.state.status === "running";
    if (open) tools.set(part.id, part);
    else tools.delete(part.id);
    const streamed = open && before?.state.status === "running";
    return { id: part.id, session: part.sessionID, make: () => ({ body: toolBody(part), open }), streamed };
  }

  #status({ id, properties: { sessionID, status } }: Extract<Event, { type: "session.status" }>): Step[] {
    if (status.type === "idle") return this.#ended(sessionID, { end: "done" });
    const session = this.#session(sessionID);
    const steps: Step[] = [];
    if (session.turn === null) {
      session.turn = {
        id: `${session.prompt?.message ?? id}/turn`,
        body: { type: "agent.turn", state: "began" },
      };
      steps.push(this.#turnForm(sessionID, session.turn, promptOf(session)));
    }
    if (status.type === "retry") {
      const next = new Date(status.next);
      steps.push(
        whole(`${session.turn.id}/retry/${status.attempt}`, sessionID, {
          type: "agent.notice",
          kind: "retry",
          message: beginningOf(status.message, MOST_PROMPT).text,
          attempt: status.attempt,
          ...(Number.isNaN(next.getTime()) ? {} : { next_at: next.toISOString() }),
        }),
      );
    }
    return steps;
  }

  #failed({ id, properties: { sessionID, error } }: Extract<Event, { type: "session.error" }>): Step[] {
    if (sessionID === undefined) return [];
    if (error?.name === "MessageAbortedError") return this.#ended(sessionID, { end: "stopped" });
    const data = error?.data as { message?: unknown } | undefined;
    const said = typeof data?.message === "string" ? data.message : (error?.name ?? "unknown");
    const message = beginningOf(said, MOST_PROMPT).text;
    return [
      whole(id, sessionID, { type: "agent.notice", kind: "error", message }),
      ...this.#ended(sessionID, { end: "failed", message }),
    ];
  }

  /** The turn is over: what has not ended by itself ends with it. */
  #ended(id: string, how: Pick<BodyOf<"agent.turn">, "end" | "message">): Step[] {
    const session = this.#sessions.get(id);
    if (session === undefined) return [];
    const steps: Step[] = [];
    for (const spoken of session.spoken.values()) {
      spoken.done = true;
      if (spoken.text !== "") steps.push(spokenForm(id, spoken, false));
    }
    for (const part of session.tools.values()) {
      const body = { ...toolBody(part), status: "failed" as const, error: INTERRUPTED };
      steps.push(whole(part.id, id, body));
    }
    if (session.turn !== null) steps.push(this.#turnForm(id, session.turn, { state: "ended", ...how }));
    this.#sessions.delete(id);
    return steps;
  }

  #turnForm(
    session: string,
    turn: NonNullable<Session["turn"]>,
    change: Partial<BodyOf<"agent.turn">>,
  ): Form {
    turn.body = { ...turn.body, ...change };
    const { body } = turn;
    return {
      id: turn.id,
      session,
      make: () => ({ body, open: body.state === "began" }),
      streamed: false,
    };
  }
}

const promptOf = ({ prompt }: Session): Partial<BodyOf<"agent.turn">> =>
  prompt === null || prompt.text === "" ? {} : { prompt: beginningOf(prompt.text, MOST_PROMPT).text };

function spokenForm(session: string, spoken: Spoken, streamed: boolean): Form {
  const make = () => {
    const { part, role, text, done } = spoken;
    return { body: messageBody(part, role, text, done), open: !done };
  };
  return { id: spoken.part.id, session, make, streamed };
}

/** An entry that is over as soon as it is there. */
const whole = (id: string, session: string, body: ActivityBody): Form => ({
  id,
  session,
  make: () => ({ body, open: false }),
  streamed: false,
});

const plainTodo = ({ content, status, priority }: { content: string; status: string; priority: string }) => ({
  content: beginningOf(content, MOST_PROMPT).text,
  status,
  priority,
});
