/**
 * The agent as the desk needs it. Inside opencode a project has a link to its sessions; without one (the server on
 * its own) the agent hears in the answers of its own calls, and those calls are its quiet moments.
 */
import type {
  PermissionRequest,
  PermissionResult,
  QuestionRequest,
  QuestionResult,
} from "../../protocol/activity.ts";
import type { AbortRequest, AskRequest } from "../../protocol/changes.ts";
import type {
  AgentSession,
  Choices,
  CompactSessionRequest,
  DeleteSessionRequest,
  ForkSessionRequest,
  RenameSessionRequest,
  SessionsPage,
  SessionsQuery,
} from "../../protocol/sessions.ts";
import type { SlashCommand } from "../../protocol/slash-commands.ts";
import type { Transcript } from "./transcript.ts";

/** The sessions of the agent's host. Each function throws ReviewError `not_found` for one that the host does not have. */
export interface AgentSessions {
  list(query: SessionsQuery): Promise<SessionsPage>;
  choices(): Promise<Choices>;
  commands(): Promise<SlashCommand[]>;
  /** What was said and done in a session; null where the host does not have it. */
  transcript(session: string): Promise<Transcript | null>;
  rename(request: RenameSessionRequest): Promise<AgentSession>;
  fork(request: ForkSessionRequest): Promise<AgentSession>;
  /** Returns once the host has begun. */
  compact(request: CompactSessionRequest): Promise<void>;
  /** @throws ReviewError `nothing_to_do` while the agent works in it */
  delete(request: DeleteSessionRequest): Promise<void>;
}

/** What brings the notes that wait. */
export interface Teller {
  /** Soon. */
  wake(delay?: number): void;
  /**
   * Now; resolves when that is done.
   * @param hurried also what further decisions could still join
   */
  flush(hurried?: boolean): Promise<void>;
}

export interface AgentLink {
  /**
   * Puts a text into a session.
   * @param delivery marks the message, so that {@link delivered} finds it after a crash
   * @param act whether the agent is to act on it now, or only to know
   */
  deliver(session: string, text: string, delivery: string, act: boolean): Promise<void>;
  /**
   * Why a session cannot be told anything now without harm, in a sentence for the developer; null when it can. The link
   * sees to it that the courier is woken when that has changed.
   */
  whyNotNow(session: string): Promise<string | null>;
  /** Whether a message with this mark is in the session. */
  delivered(session: string, delivery: string): Promise<boolean>;
  /** The session that is spoken with in place of this one: itself, or for a subagent's the one at the top. */
  rootOf(session: string): Promise<string>;
  /** The root session that was active last, or null. */
  latest(): Promise<string | null>;
  /** Whether a message would not make the model speak once more: the session is idle, or in a tool. */
  isTellable(session: string): Promise<boolean>;
  /** Who is to be told when a session may have become tellable. */
  serve(teller: Teller): void;
  ask(request: AskRequest): Promise<{ session_id: string }>;
  abort(request: AbortRequest): Promise<{ aborted: boolean }>;
  /** @throws ReviewError `not_waiting` where somebody was first, or it is gone */
  answerPermission(request: PermissionRequest): Promise<PermissionResult>;
  answerQuestion(request: QuestionRequest): Promise<QuestionResult>;
  readonly sessions: AgentSessions;
}
