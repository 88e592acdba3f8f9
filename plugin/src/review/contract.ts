/**
 * The use cases as the doors (HTTP, WebSocket, tools) see them. A door checks the shape of what came in, names the
 * actor and calls one function here; every rule is behind this interface, none in a door.
 *
 * All functions throw ReviewError. A function that returns has made its effect durable.
 */
import type { z } from "zod";
import type { EntryOf } from "../protocol/activity.ts";
import type {
  ANSWERS,
  BatchRequest,
  CommentRequest,
  DecisionResult,
  FeedbackRequest,
  PublishRequest,
  PublishResult,
  REQUESTS,
  SettleRequest,
  SettleResult,
  UndoRequest,
  UseCaseName,
} from "../protocol/changes.ts";
import type { EventListener } from "../protocol/events.ts";
import type { Actor, Suggestion, SuggestionSummary } from "../protocol/model.ts";
import type {
  ContentChunk,
  ContentQuery,
  DecisionsPage,
  DecisionsQuery,
  EventPage,
  EventsQuery,
  HunkPage,
  HunksQuery,
  ListQuery,
  PatchQuery,
  SandboxQuery,
  SandboxReport,
  Why,
} from "../protocol/queries.ts";
import type {
  Choices,
  ChoicesQuery,
  SessionsPage,
  SessionsQuery,
  TranscriptQuery,
} from "../protocol/sessions.ts";
import type { SlashCommands, SlashCommandsQuery } from "../protocol/slash-commands.ts";
import type { AskType } from "./activity-journal.ts";
import type { ActivityFilter, ActivityText } from "./ledger/activity-rows.ts";

export interface ProjectInfo {
  project: string;
  hub: string;
  branch: string | null;
}

export interface DeskHealth {
  ledger_bytes: number;
  last_seq: number;
  open_suggestions: number;
  projects: ProjectInfo[];
  /** What keeps the server from working as it should, each with what to do; none while it is healthy. */
  problems: string[];
  last_error: { at: string; message: string } | null;
}

/** Use cases that are done when their function returns; two of them have a name of their own here. */
type AtOnce = "feedback" | "batch" | "undo" | "redo" | "comment";

/** The others, each by its own name. What may be left out of a request has its default by then, or may be left out. */
type InTheirTime = {
  [Name in Exclude<UseCaseName, AtOnce>]: (
    request: z.input<(typeof REQUESTS)[Name]>,
    actor: Actor,
  ) => Promise<z.output<(typeof ANSWERS)[Name]>>;
};

export interface ReviewDesk extends InTheirTime {
  /** @param session the agent's session that feedback goes to, where it is known */
  publish(request: PublishRequest, actor: Actor, session?: string): Promise<PublishResult>;
  /** @param isThere whether the caller is still there to hear what waits; asked at the last moment */
  settle(request: SettleRequest, actor: Actor, isThere?: () => boolean): Promise<SettleResult>;
  list(query: ListQuery): { suggestions: SuggestionSummary[]; total: number };
  get(suggestionId: string): Suggestion;
  hunks(suggestionId: string, query: HunksQuery): HunkPage;
  /** Which calls of the agent's made a hunk. */
  why(suggestionId: string, hunkId: string, actor: Actor): Promise<Why>;
  content(suggestionId: string, query: ContentQuery): Promise<ContentChunk>;
  patch(suggestionId: string, query: PatchQuery): Promise<Uint8Array>;

  /**
   * The agent's repository that is meant, as the desk knows it.
   *
   * @param project may be left out where there is only one
   */
  projectDir(project: string | undefined): string;

  /** What was decided with a reason, of closed suggestions too. */
  decisions(query: DecisionsQuery): DecisionsPage;

  /** What the rings around the agent refused. */
  sandbox(query: SandboxQuery): SandboxReport;

  decide(request: FeedbackRequest, actor: Actor): DecisionResult;
  decideMany(request: BatchRequest, actor: Actor): DecisionResult;
  undo(request: UndoRequest, actor: Actor): DecisionResult;
  redo(request: UndoRequest, actor: Actor): DecisionResult;
  comment(request: CommentRequest, actor: Actor): DecisionResult;

  events(query: EventsQuery): EventPage;
  /** JSON texts of the events after `since`, oldest first, as they are in the journal. */
  eventTexts(since: number, limit: number): { seq: number; json: string }[];
  lastSeq(): number;
  /** Calls `listener` for every event after now; returns the function that stops it. */
  subscribe(listener: EventListener): () => void;

  /** What the agent does: forms of entries whose number is higher than `since`, in the order of their numbers. */
  activityTexts(since: number, limit: number, filter: ActivityFilter): ActivityText[];
  lastActivity(): number;
  /** Calls `listener` whenever there is more to read; returns the function that stops it. */
  onActivity(listener: () => void): () => void;
  /** What of this kind waits for an answer, the oldest first. */
  waiting<Type extends AskType>(type: Type, project: string | undefined): Promise<EntryOf<Type>[]>;

  /** The agent's sessions in its host. */
  sessions(query: SessionsQuery): Promise<SessionsPage>;
  /** What may be chosen with a prompt. */
  choices(query: ChoicesQuery): Promise<Choices>;
  /** A session as Markdown. */
  transcript(query: Omit<TranscriptQuery, "offset">): Promise<string>;
  /** Texts that opencode keeps under a name, to be sent as prompts. */
  slashCommands(query: SlashCommandsQuery): Promise<SlashCommands>;

  health(): DeskHealth;
  /** What keeps the server from working as it should, each with what to do. */
  problems(): string[];
  /** Absolute path of the directory that holds the shared repositories (`<name>.git`). */
  hubRoot(): string;
  /** A push into a hub happened: marks suggestions whose base moved and lets the agent's repository follow. */
  hubChanged(hubName: string): Promise<void>;
  /** Branches of a hub the developer may push to over HTTP, as full refs; a trailing * matches any rest. */
  pushableRefs(hubName: string): string[];
}
