/** Follows the host's events: which tool calls have ended, and when the agent's turn begins and ends. */
import type { Hooks } from "@opencode-ai/plugin";
import type { Ledger } from "../review/ledger/ledger.ts";
import type { AgentProcesses } from "./processes.ts";
import type { ToolGate } from "./quiet.ts";

type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];
type TurnState = "busy" | "idle" | "error";

export class TurnRelay {
  readonly #states = new Map<string, TurnState>();

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
          this.gate.leave(part.callID);
        break;
      }
      case "session.status":
        if (event.properties.status.type === "busy")
          this.#turn(event.properties.sessionID, "busy", "The agent is working");
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

  #turn(session: string, state: TurnState, message: string): void {
    if (this.#states.get(session) === state) return;
    this.#states.set(session, state);
    void this.ledger.whenFree(() =>
      this.ledger.emit(this.project, { type: "agent.turn", session_id: session, state, message }),
    );
  }
}
