/** Follows the host's events: which tool calls have ended, and when the agent's turn begins and ends. */
import type { Hooks } from "@opencode-ai/plugin";
import type { Ledger } from "../review/ledger/ledger.ts";
import type { AgentProcesses } from "./processes.ts";
import type { ToolGate } from "./quiet.ts";

type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];
type TurnState = "busy" | "idle" | "error";
type SessionStatus = Extract<HostEvent, { type: "session.status" }>["properties"]["status"];

/** How many of the last events are looked at for turns that a dead host left running. */
const LOOK_BACK = 200_000;
/** Sessions that this process has heard of: their turns are told by the host itself. */
const ALIVE = new Set<string>();

export class TurnRelay {
  readonly #states = new Map<string, string>();

  constructor(
    private readonly ledger: Ledger,
    private readonly project: string,
    private readonly gate: ToolGate,
    private readonly processes: AgentProcesses,
    private readonly rest: { rested(): void; tellable(): void },
  ) {}

  take(event: HostEvent): void {
    switch (event.type) {
      case "message.part.updated": {
        const { part } = event.properties;
        if (part.type === "tool" && (part.state.status === "completed" || part.state.status === "error"))
          this.gate.leave(part.callID, part.sessionID);
        break;
      }
      case "session.status":
        this.#status(event.properties.sessionID, event.properties.status);
        break;
      case "session.idle":
        this.gate.clear(event.properties.sessionID);
        this.processes.turnOver(event.properties.sessionID);
        this.#turn(event.properties.sessionID, "idle", "The agent's turn has ended");
        this.rest.rested();
        break;
      case "session.updated":
        // A staged revert may have been taken back: what waited for that can be told.
        this.rest.tellable();
        break;
      case "session.error": {
        const { sessionID, error } = event.properties;
        if (sessionID === undefined) break;
        const aborted = error?.name === "MessageAbortedError";
        if (aborted) {
          this.gate.abort(sessionID);
          // The host ends the command; what that has detached from itself ends here.
          void this.processes.endTurn(sessionID);
        }
        const said = (error?.data as { message?: string } | undefined)?.message ?? error?.name ?? "unknown";
        this.#turn(
          sessionID,
          "error",
          aborted ? "The agent was stopped" : `The agent's turn failed: ${said}`,
        );
        break;
      }
    }
  }

  /**
   * Turns that were running when an earlier host died are over; nobody else says so. Only for a host that has just
   * started and has the port: no other process of ours is at work then.
   */
  recover(): void {
    const { ledger, project } = this;
    const since = Math.max(0, ledger.lastSeq() - LOOK_BACK);
    const seen = new Set<string>();
    const rows = ledger.rows<{ json: string }>(
      "SELECT json FROM event WHERE seq > ? AND project = ? AND type = 'agent.turn' ORDER BY seq DESC",
      since,
      project,
    );
    for (const { json } of rows) {
      const { session_id: session, state } = JSON.parse(json) as { session_id: string; state: TurnState };
      if (seen.has(session)) continue;
      seen.add(session);
      if (state === "busy" && !ALIVE.has(session))
        this.#turn(session, "idle", "The agent's turn was cut off when its host ended: ask it to go on");
    }
  }

  #status(session: string, status: SessionStatus): void {
    if (status.type === "busy") this.#turn(session, "busy", "The agent is working");
    if (status.type !== "retry") return;
    const next = new Date(status.next);
    const at = Number.isNaN(next.getTime()) ? new Date() : next;
    const time = at.toTimeString().slice(0, 8);
    this.#turn(
      session,
      "busy",
      `The model's provider refuses for now (${status.message}): attempt ${status.attempt + 1} at ${time}`,
      { attempt: status.attempt, at: at.toISOString() },
    );
  }

  #turn(session: string, state: TurnState, message: string, retry?: { attempt: number; at: string }): void {
    ALIVE.add(session);
    // Busy is told again when a retry is over.
    const now = retry === undefined ? state : `${state} ${retry.at}`;
    if (this.#states.get(session) === now) return;
    this.#states.set(session, now);
    void this.ledger.whenFree(() =>
      this.ledger.emit(this.project, {
        type: "agent.turn",
        session_id: session,
        state,
        message,
        ...(retry === undefined ? {} : { retry }),
      }),
    );
  }
}
