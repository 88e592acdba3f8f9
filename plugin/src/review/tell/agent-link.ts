/**
 * The agent as the desk needs it. Inside opencode a project has a link to its sessions; without one (the server on
 * its own) the agent hears in the answers of its own calls, and those calls are its quiet moments.
 */
import type { AbortRequest, AskRequest } from "../../protocol/requests.ts";

export interface AgentLink {
  /**
   * Puts a text into a session.
   * @param delivery marks the message, so that {@link delivered} finds it after a crash
   * @param act whether the agent is to act on it now, or only to know
   */
  deliver(session: string, text: string, delivery: string, act: boolean): Promise<void>;
  /** Whether a message with this mark is in the session. */
  delivered(session: string, delivery: string): Promise<boolean>;
  ask(request: AskRequest): Promise<{ session_id: string }>;
  abort(request: AbortRequest): Promise<{ aborted: boolean }>;
}
