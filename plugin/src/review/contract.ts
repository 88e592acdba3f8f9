/**
 * The use cases as the doors (HTTP, WebSocket, tools) see them. A door checks the shape of what came in, names the
 * actor and calls one function here; every rule is behind this interface, none in a door.
 *
 * All functions throw ReviewError. A function that returns has made its effect durable.
 */
import type { EventBody, ReviewEvent } from "../protocol/events.ts";
import type { Actor, Hunk, Suggestion, SuggestionSummary } from "../protocol/model.ts";
import type {
  AbortRequest,
  AskRequest,
  BatchRequest,
  CommentRequest,
  CompleteRequest,
  ContentQuery,
  EventsQuery,
  FeedbackRequest,
  HunksQuery,
  ListQuery,
  PatchQuery,
  PublishRequest,
  RebaseRequest,
  ReviseRequest,
  SettleRequest,
  StatusRequest,
  UndoRequest,
  VerifyRequest,
} from "../protocol/requests.ts";

/** What every decision-like use case answers. */
export interface DecisionResult {
  success: true;
  suggestion_id: string;
  revision: number;
  /** Hunks whose state this request set, as they are now; none when there are more than 200 (`changed` counts them). */
  hunks: Hunk[];
  changed: number;
  remaining_hunks: number;
  reviewed_count: number;
  hunk_count: number;
  /** Sequence number of the last event this request caused. */
  seq: number;
  /** Only where a discard was taken back, or done again: what the suggestion is now. */
  state?: "open" | "discarded";
}

export interface PublishResult {
  suggestion_id: string;
  revision: number;
  hunk_count: number;
  pending_count: number;
  files: string[];
  warnings: string[];
  /**
   * What the developer decided since the agent last heard, as text, for the agent's own call only; empty inside
   * opencode, where it is injected.
   */
  feedback: string[];
}

export interface CompleteResult {
  success: true;
  suggestion_id: string;
  action: "finalized" | "discarded";
  commit?: string;
  ref?: string;
  base_commit?: string;
  files?: string[];
}

export interface SettleResult {
  settled: boolean;
  /** Why not, when not: waiting for a quiet moment, or a conflict left for the agent. */
  message: string;
  feedback: string[];
}

export interface HunkPage {
  suggestion_id: string;
  revision: number;
  offset: number;
  hunks: Hunk[];
  total: number;
  /** Offset of the next page, null at the end. */
  next: number | null;
}

export interface ContentChunk {
  file: string;
  side: ContentQuery["side"];
  exists: boolean;
  mode: string | null;
  size: number;
  offset: number;
  base64: string;
  next: number | null;
}

export interface EventPage {
  events: ReviewEvent[];
  last_seq: number;
  more: boolean;
}

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

/** Receives each event once, in order, with the exact text that is in the journal. */
export type EventListener = (event: ReviewEvent, json: string) => void;

export interface ReviewDesk {
  publish(request: PublishRequest, actor: Actor): Promise<PublishResult>;
  list(query: ListQuery): { suggestions: SuggestionSummary[]; total: number };
  get(suggestionId: string): Suggestion;
  hunks(suggestionId: string, query: HunksQuery): HunkPage;
  content(suggestionId: string, query: ContentQuery): Promise<ContentChunk>;
  patch(suggestionId: string, query: PatchQuery): Promise<Uint8Array>;

  decide(request: FeedbackRequest, actor: Actor): DecisionResult;
  decideMany(request: BatchRequest, actor: Actor): DecisionResult;
  undo(request: UndoRequest, actor: Actor): DecisionResult;
  redo(request: UndoRequest, actor: Actor): DecisionResult;
  comment(request: CommentRequest, actor: Actor): DecisionResult;

  complete(request: CompleteRequest, actor: Actor): Promise<CompleteResult>;
  rebase(request: RebaseRequest, actor: Actor): Promise<PublishResult>;
  verify(request: VerifyRequest): Promise<{ ok: boolean; exit_code: number | null; output: string }>;
  revise(request: ReviseRequest): Promise<{ sent: boolean; message: string }>;
  ask(request: AskRequest): Promise<{ session_id: string }>;
  abort(request: AbortRequest): Promise<{ aborted: boolean }>;
  status(request: StatusRequest, actor: Actor): Promise<{ sent: true; feedback: string[] }>;
  settle(request: SettleRequest, actor: Actor): Promise<SettleResult>;

  events(query: EventsQuery): EventPage;
  /** JSON texts of the events after `since`, oldest first, as they are in the journal. */
  eventTexts(since: number, limit: number): { seq: number; json: string }[];
  lastSeq(): number;
  /** Calls `listener` for every event after now; returns the function that stops it. */
  subscribe(listener: EventListener): () => void;
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

/** Something that happens outside any use case, such as an agent's turn ending; journalled like the rest. */
export type EmitEvent = (project: string, body: EventBody) => ReviewEvent;
