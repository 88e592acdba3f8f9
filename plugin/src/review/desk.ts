/**
 * The review desk: every use case by its name, over one ledger and any number of projects. It checks who may ask,
 * calls the module that owns the use case, and sees to what follows: settling, telling the agent, the log.
 */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type {
  EntryOf,
  PermissionRequest,
  PermissionResult,
  QuestionRequest,
  QuestionResult,
} from "../protocol/activity.ts";
import type {
  AbortRequest,
  AbortResult,
  AskRequest,
  AskResult,
  BatchRequest,
  CommentRequest,
  CompleteRequest,
  CompleteResult,
  DecisionResult,
  FeedbackRequest,
  PublishRequest,
  PublishResult,
  RebaseRequest,
  RefusalsRequest,
  RefusalsResult,
  ReviseRequest,
  ReviseResult,
  SettleRequest,
  SettleResult,
  StatusRequest,
  StatusResult,
  UndoRequest,
  VerifyRequest,
  VerifyResult,
} from "../protocol/changes.ts";
import { ReviewError, toReviewError } from "../protocol/errors.ts";
import type { EventListener, ReviewEvent } from "../protocol/events.ts";
import type { Actor } from "../protocol/model.ts";
import type {
  ContentQuery,
  DecisionsPage,
  DecisionsQuery,
  EventPage,
  EventsQuery,
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
  CompactSessionRequest,
  CompactSessionResult,
  DeleteSessionRequest,
  DeleteSessionResult,
  ForkSessionRequest,
  RenameSessionRequest,
  SessionResult,
  SessionsPage,
  SessionsQuery,
  TranscriptQuery,
} from "../protocol/sessions.ts";
import type { SlashCommands, SlashCommandsQuery } from "../protocol/slash-commands.ts";
import { Git } from "../vcs/git.ts";
import { Project, type QuietGate } from "../vcs/project.ts";
import { ActivityJournal, type AskType, checkWaiting } from "./activity-journal.ts";
import type { DeskHealth, ReviewDesk } from "./contract.ts";
import * as decisions from "./decide/decide.ts";
import { exportSession } from "./export.ts";
import { AutoSync } from "./finish/auto-sync.ts";
import { discard, redoDiscard, undoDiscard } from "./finish/discard.ts";
import { type CompleteContext, complete, resumeFinalizing } from "./finish/finalize.ts";
import { verify } from "./finish/preflight.ts";
import type { ActivityFilter, ActivityText } from "./ledger/activity-rows.ts";
import { FeedbackLog } from "./ledger/feedback-log.ts";
import type { HunkRow } from "./ledger/hunk-rows.ts";
import { Ledger } from "./ledger/ledger.ts";
import { recordRefusals, refusalReport, refusedCount } from "./ledger/refusals.ts";
import { answered, once, recordAnswer } from "./ledger/request-ids.ts";
import {
  entriesOf,
  getOpen,
  getRevision,
  getSuggestion,
  hubPath,
  type SuggestionRow,
} from "./ledger/suggestion-rows.ts";
import { decisions as rememberedDecisions } from "./memory.ts";
import { hubNameOf, moveProject } from "./move-project.ts";
import { Problems } from "./problems.ts";
import { type Host, Hosts } from "./projects.ts";
import { publish, resumePublishes } from "./publish/publish.ts";
import { markMovedBases, rebase } from "./publish/rebase.ts";
import { repin } from "./publish/repin.ts";
import * as reading from "./reading.ts";
import type { AgentLink, AgentSessions } from "./tell/agent-link.ts";
import { Commands, commandLine } from "./tell/commands.ts";
import { lastOfOutbox, takeFeedback } from "./tell/courier.ts";
import { enqueue } from "./tell/outbox.ts";
import { why } from "./why.ts";

export interface HostOptions {
  gate: QuietGate;
  link: AgentLink | null;
  hubName?: string | undefined;
}

const OTHERS_POLL_MS = 500;
const LOG_DELAY_MS = 50;
/** How long the host is waited for when it is asked what its sessions are called. */
const TITLES_MS = 500;
const IMMEDIATE: QuietGate = { run: (work) => work() };

export class Desk implements ReviewDesk {
  readonly ledger: Ledger;
  /** What the agent does. */
  readonly activity: ActivityJournal;
  /** What the agent's commands are known by outside of their rings. */
  readonly commands = new Commands();
  readonly #config: Config;
  readonly #now: () => Date;
  readonly #hosts: Hosts;
  readonly #log: FeedbackLog;
  readonly #autoSync: AutoSync;
  readonly #problems: Problems;
  /** Prompts under way, by request id. */
  readonly #asking = new Map<string, Promise<AskResult>>();
  readonly #poll: ReturnType<typeof setInterval>;
  readonly #opening = new Map<string, Promise<Project>>();
  #logBehind = false;
  #closed = false;
  #lastError: { at: string; message: string } | null = null;
  /** Called with what recovery did and what went wrong aside from any request. */
  onRemark: (level: "info" | "error", message: string) => void = () => {};

  constructor(config: Config, now: () => Date = () => new Date()) {
    this.#config = config;
    this.#now = now;
    this.ledger = Ledger.open(join(config.stateDir, "ledger.sqlite"));
    this.activity = new ActivityJournal(this.ledger, now);
    this.#problems = new Problems(config.stateDir, this.ledger);
    this.#hosts = new Hosts(this.ledger, now, (what, error) => this.#failed(what, error));
    this.#log = new FeedbackLog(this.ledger, config.feedbackLog);
    this.#autoSync = new AutoSync({
      ledger: this.ledger,
      now,
      check: config.verify.command === null ? null : (id) => this.verify({ suggestion_id: id }),
      finalize: config.autoSync
        ? (id, by) => this.complete({ suggestion_id: id, action: "finalize" }, by)
        : null,
    });
    this.ledger.onTellFailure = (error) => this.#failed("An event could not be told", error);
    this.ledger.subscribe((event) => this.#afterEvent(event));
    this.#aside(() => this.#log.catchUp());
    this.#poll = setInterval(() => this.#noticeOthers(), OTHERS_POLL_MS);
    this.#poll.unref();
  }

  /**
   * Takes a project in; finishes what a crash left half done. One that is open already stays, and its agent is spoken to
   * through the new link.
   */
  async addProject(dir: string, options: HostOptions = { gate: IMMEDIATE, link: null }): Promise<Project> {
    const known = this.#hosts.find(dir);
    const opening = known === undefined ? this.#opening.get(dir) : Promise.resolve(known.project);
    if (opening !== undefined) {
      const project = await opening;
      this.#hosts.add(project, options.link);
      this.#hosts.kick(project.dir);
      return project;
    }
    const opened = this.#openProject(dir, options);
    this.#opening.set(dir, opened);
    return opened.finally(() => this.#opening.delete(dir));
  }

  async #openProject(dir: string, options: HostOptions): Promise<Project> {
    const about = `project ${dir}`;
    const project = await Project.open(dir, {
      hubRoot: this.hubRoot(),
      // A project that was moved keeps the hub that its suggestions are pinned in.
      hubName: options.hubName ?? hubNameOf(this.ledger, await realpath(dir).catch(() => dir)),
      branch: this.#config.sync.base,
      gate: options.gate,
    });
    this.#hosts.add(project, options.link);
    for (const sentence of await this.#recover(project)) this.onRemark("info", sentence);
    this.#problems.note(about, []);
    // The shared branch may have gone on while nobody was here to be told of a push.
    try {
      await markMovedBases({ ledger: this.ledger, project, now: this.#now });
      project.followHub = await project.isBehind();
    } catch (error) {
      this.#failed("Looking at the shared branch", error);
    }
    this.#hosts.kick(project.dir);
    return project;
  }

  /** `addProject` for one of several: one that cannot be served is told of, and harms no other. */
  async tryProject(dir: string): Promise<Project | null> {
    try {
      return await this.addProject(dir);
    } catch (thrown) {
      const message = `${dir} cannot be served: ${toReviewError(thrown).message}. Its suggestions can be read and discarded; if it was moved, name the new place with --project and this one with --moved-from`;
      this.#problems.note(`project ${dir}`, [message]);
      this.onRemark("error", message);
      return null;
    }
  }

  /** See `move-project.ts`; before the project is taken in at its new place. */
  moveProject(from: string, to: string): Promise<void> {
    return moveProject(this.ledger, from, to);
  }

  async #recover(project: Project): Promise<string[]> {
    const cleared = await project.clearLeftovers();
    await this.activity.closeDead(project.dir);
    const repinned = await repin(this.ledger, project);
    this.#problems.note(project.dir, repinned.problems);
    for (const problem of repinned.problems) this.onRemark("error", problem);
    for (const message of repinned.done)
      this.ledger.emit(project.dir, { type: "suggestion.status", status: "working", message }, this.#now());
    return [
      ...cleared,
      ...repinned.done,
      ...(await resumePublishes(this.ledger, project)),
      ...(await resumeFinalizing(this.#completeContext(project))),
    ];
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    this.#hosts.stop();
    this.#aside(() => this.#log.catchUp());
    this.ledger.close();
  }

  // ── Publishing ────────────────────────────────────────────────────────────────────────────────────────────────

  async publish(
    request: PublishRequest,
    actor: Actor,
    session: string | null = null,
  ): Promise<PublishResult> {
    const host = this.#hosts.of(request.project);
    const { project } = host;
    const upTo = lastOfOutbox(this.ledger);
    // Outside opencode this call is the agent's quiet moment.
    if (host.link === null) await this.#hosts.settleNow(host, true);
    const result = await publish(this.ledger, project, {
      description: request.description,
      changeId: request.change_id,
      requestId: request.request_id,
      session,
      now: this.#now,
    });
    this.#hosts.kick(project.dir);
    return { ...result, feedback: this.#feedbackFor(host, actor, upTo) };
  }

  // ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────

  list(query: ListQuery): ReturnType<ReviewDesk["list"]> {
    return reading.list(this.ledger, query);
  }

  get(suggestionId: string): ReturnType<ReviewDesk["get"]> {
    return reading.get(this.ledger, suggestionId);
  }

  hunks(suggestionId: string, query: HunksQuery): ReturnType<ReviewDesk["hunks"]> {
    return reading.hunks(this.ledger, suggestionId, query);
  }

  async why(suggestionId: string, hunkId: string, actor: Actor): Promise<Why> {
    const told = why(this.ledger, suggestionId, hunkId, actor);
    if (actor !== "developer" || told.calls.length === 0) return told;
    const titles = await this.#titles(getSuggestion(this.ledger, suggestionId).project);
    const calls = told.calls.map((call) => {
      const title = titles.get(call.root_session_id ?? "") ?? titles.get(call.session_id ?? "");
      return title === undefined ? call : { ...call, session_title: title };
    });
    return { ...told, calls };
  }

  /** Titles of the agent's sessions, as far as its host says them soon. */
  async #titles(project: string): Promise<Map<string, string>> {
    const sessions = this.#hosts.find(project)?.link?.sessions.list({ limit: 200, offset: 0 });
    const none = Bun.sleep(TITLES_MS).then(() => null);
    const page = await Promise.race([sessions ?? null, none]).catch(() => null);
    return new Map((page?.sessions ?? []).map(({ session_id, title }) => [session_id, title]));
  }

  async content(suggestionId: string, query: ContentQuery): ReturnType<ReviewDesk["content"]> {
    return reading.content(this.ledger, this.#hosts.projectOf(suggestionId), suggestionId, query);
  }

  async patch(suggestionId: string, query: PatchQuery): Promise<Uint8Array> {
    return reading.patch(this.ledger, this.#hosts.projectOf(suggestionId), suggestionId, query);
  }

  // ── Deciding ──────────────────────────────────────────────────────────────────────────────────────────────────

  decide(request: FeedbackRequest, actor: Actor): DecisionResult {
    return this.#decided(actor, (context) => decisions.decide(context, request, actor));
  }

  decideMany(request: BatchRequest, actor: Actor): DecisionResult {
    return this.#decided(actor, (context) => decisions.decideMany(context, request, actor));
  }

  undo(request: UndoRequest, actor: Actor): DecisionResult {
    return this.#decided(
      actor,
      (context) => undoDiscard(context, request, actor) ?? decisions.undo(context, request, actor),
    );
  }

  redo(request: UndoRequest, actor: Actor): DecisionResult {
    return this.#decided(
      actor,
      (context) => redoDiscard(context, request, actor) ?? decisions.redo(context, request, actor),
    );
  }

  comment(request: CommentRequest, actor: Actor): DecisionResult {
    return this.#decided("developer", (context) => decisions.comment(context, request, actor));
  }

  #decided(actor: Actor, work: (context: decisions.DecideContext) => DecisionResult): DecisionResult {
    this.#checkMayDecide(actor);
    const result = work({
      ledger: this.ledger,
      readBase: (suggestion, hunk) => this.#readBase(suggestion, hunk),
      now: this.#now,
    });
    const suggestion = getSuggestion(this.ledger, result.suggestion_id);
    this.#hosts.kick(suggestion.project);
    if (result.state !== undefined) {
      // The shared branch may have moved while the suggestion was closed.
      if (result.state === "open" && this.#hosts.find(suggestion.project) !== undefined)
        void this.#markMovedBases(suggestion.id);
      return result;
    }
    if (result.remaining_hunks === 0 && suggestion.accepted + suggestion.modified > 0)
      this.#autoSync.reviewed(suggestion.id, actor);
    return result;
  }

  async #markMovedBases(id: string): Promise<void> {
    try {
      const project = this.#hosts.projectOf(id);
      await markMovedBases({ ledger: this.ledger, project, now: this.#now });
    } catch (error) {
      this.#failed("Looking at the shared branch", error);
    }
  }

  #checkMayDecide(actor: Actor): void {
    if (actor === "agent" && !this.#config.agentMayApprove) {
      throw new ReviewError(
        "forbidden",
        "The agent may not decide on its own work here; the developer reviews it (setting agent_may_approve)",
      );
    }
  }

  /** Synchronous, so that check and write are one step; a few milliseconds, for modifications only. */
  #readBase(suggestion: SuggestionRow, hunk: HunkRow): Uint8Array {
    const oid = entriesOf(getRevision(this.ledger, suggestion.id, suggestion.revision))[hunk.entry]?.oldOid;
    if (!oid) return new Uint8Array(0);
    const hub = join(this.hubRoot(), `${suggestion.hub}.git`);
    return new Git(hub).readBlobNow(oid);
  }

  // ── Completing ────────────────────────────────────────────────────────────────────────────────────────────────

  async complete(request: CompleteRequest, actor: Actor): Promise<CompleteResult> {
    this.#checkMayDecide(actor);
    const { project: dir } = getSuggestion(this.ledger, request.suggestion_id);
    if (request.action === "discard" && this.#hosts.find(dir) === undefined)
      // Nothing but the ledger is asked: a project that is gone must not keep its suggestions open for ever.
      return discard({ ledger: this.ledger, now: this.#now }, request, actor);
    const project = this.#hosts.projectOf(request.suggestion_id);
    if (request.action === "finalize") await this.#followLower(request.suggestion_id);
    const result = await complete(this.#completeContext(project), request, actor);
    this.#hosts.kick(project.dir);
    return result;
  }

  /** One that stood on a suggestion which has ended is first brought to where that left it. */
  async #followLower(id: string): Promise<void> {
    const before = getSuggestion(this.ledger, id);
    if (before.state !== "open" || before.stacked_on === null) return;
    if (getSuggestion(this.ledger, before.stacked_on).state === "open") return;
    const problems = await this.#hosts.settleNow(this.#hosts.of(before.project), true);
    const after = getSuggestion(this.ledger, id);
    if (after.revision === before.revision && problems.length > 0) {
      throw new ReviewError(
        "merge_conflict",
        `What this suggestion stands on has ended, and it could not be brought onto that: ${problems.join(" ")}`,
      );
    }
    const isSame = (["hunk_count", "accepted", "modified", "rejected"] as const).every(
      (count) => after[count] === before[count],
    );
    if (isSame) return;
    throw new ReviewError(
      "stale_hunk",
      `What this suggestion stands on has ended, and it was brought onto that as revision ${after.revision}: some of its hunks are others now. Look at them, then finalize again.`,
    );
  }

  #completeContext(project: Project): CompleteContext {
    return { ledger: this.ledger, project, sync: this.#config.sync, now: this.#now };
  }

  async rebase(request: RebaseRequest, actor: Actor): Promise<PublishResult> {
    this.#checkMayDecide(actor);
    const suggestion = getOpen(this.ledger, request.suggestion_id);
    const project = this.#hosts.projectOf(suggestion.id);
    await this.#hosts.settleNow(this.#hosts.of(project.dir), true);
    const result = await rebase({ ledger: this.ledger, project, now: this.#now }, request);
    this.#hosts.kick(project.dir);
    return result;
  }

  verify(request: VerifyRequest): Promise<VerifyResult> {
    const context = {
      ...this.#config.verify,
      commands: this.commands,
      ledger: this.ledger,
      project: this.#hosts.projectOf(request.suggestion_id),
      now: this.#now,
    };
    return verify(context, request.suggestion_id);
  }

  // ── The agent ─────────────────────────────────────────────────────────────────────────────────────────────────

  async revise(request: ReviseRequest): Promise<ReviseResult> {
    const suggestion = getSuggestion(this.ledger, request.suggestion_id);
    const head = {
      project: suggestion.project,
      suggestion: suggestion.id,
      session: suggestion.session,
      kind: "revise" as const,
      at: this.#now().toISOString(),
    };
    const message = [
      "The developer asks you to revise this suggestion: act on the rejections and comments, then publish the same change again.",
      ...(request.comment === undefined
        ? []
        : ["What the developer says:", ...request.comment.split("\n").map((line) => `    | ${line}`)]),
    ].join("\n");
    const live = this.#hosts.find(suggestion.project)?.link != null;
    const answer = once(this.ledger, "revise", request, () => {
      getOpen(this.ledger, suggestion.id);
      enqueue(this.ledger, head, { description: suggestion.description, message });
      return {
        sent: live,
        message: live ? "The agent is told to revise" : "The agent will hear it with its next call",
      };
    });
    this.#hosts.kick(suggestion.project);
    return answer;
  }

  async ask(request: AskRequest): Promise<AskResult> {
    const id = request.request_id;
    if (id === undefined) return this.#hosts.linkOf(request.project).ask(request);
    const before = answered<AskResult>(this.ledger, "ask", request);
    if (before !== null) return before;
    // The same request twice at once waits for the first.
    const asking = this.#asking.get(id) ?? this.#askOnce(request);
    this.#asking.set(id, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(id);
    }
  }

  async #askOnce(request: AskRequest): Promise<AskResult> {
    const { request_id: _, ...prompt } = request;
    const answer = await this.#hosts.linkOf(request.project).ask(prompt);
    await this.ledger.transactionWhenFree(() => recordAnswer(this.ledger, "ask", request, answer));
    return answer;
  }

  async abort(request: AbortRequest): Promise<AbortResult> {
    return this.#hosts.linkOf(request.project).abort(request);
  }

  async sessions(query: SessionsQuery): Promise<SessionsPage> {
    return this.#hosts.linkOf(query.project).sessions.list(query);
  }

  async choices({ project }: ChoicesQuery): Promise<Choices> {
    return this.#hosts.linkOf(project).sessions.choices();
  }

  async transcript({ session, project }: Omit<TranscriptQuery, "offset">): Promise<string> {
    const host = this.#hosts.of(project);
    return exportSession(this.activity, { project: host.project.dir, link: host.link }, session);
  }

  async slashCommands({ project }: SlashCommandsQuery): Promise<SlashCommands> {
    return { commands: await this.#hosts.linkOf(project).sessions.commands() };
  }

  async renameSession(request: RenameSessionRequest, actor: Actor): Promise<SessionResult> {
    return { success: true, session: await this.#sessionsFor(actor, request).rename(request) };
  }

  async forkSession(request: ForkSessionRequest, actor: Actor): Promise<SessionResult> {
    return { success: true, session: await this.#sessionsFor(actor, request).fork(request) };
  }

  async compactSession(request: CompactSessionRequest, actor: Actor): Promise<CompactSessionResult> {
    await this.#sessionsFor(actor, request).compact(request);
    return { success: true, session_id: request.session_id };
  }

  async deleteSession(request: DeleteSessionRequest, actor: Actor): Promise<DeleteSessionResult> {
    await this.#sessionsFor(actor, request).delete(request);
    return { success: true, session_id: request.session_id };
  }

  /** Whatever settings say, the agent does nothing to its sessions through the review. */
  #sessionsFor(actor: Actor, { project }: { project?: string | undefined }): AgentSessions {
    if (actor !== "developer")
      throw new ReviewError("forbidden", "Only the developer names, forks, compacts and deletes sessions");
    return this.#hosts.linkOf(project).sessions;
  }

  permission(request: PermissionRequest, actor: Actor): Promise<PermissionResult> {
    return this.#linkOfAsk(request.permission_id, "agent.permission", actor).then((link) =>
      link.answerPermission(request),
    );
  }

  question(request: QuestionRequest, actor: Actor): Promise<QuestionResult> {
    return this.#linkOfAsk(request.question_id, "agent.question", actor).then((link) =>
      link.answerQuestion(request),
    );
  }

  /** Whatever settings say, the agent answers nothing. */
  async #linkOfAsk(id: string, type: AskType, actor: Actor): Promise<AgentLink> {
    if (actor !== "developer") {
      throw new ReviewError("forbidden", "Only the developer answers what the agent asks");
    }
    const asked = this.activity.find(id);
    if (asked?.type !== type)
      throw new ReviewError(
        "not_found",
        `No ${type === "agent.permission" ? "permission" : "question"} has this id`,
      );
    await this.activity.closeDead(asked.project);
    checkWaiting(this.activity.find(id));
    return this.#hosts.linkOf(asked.project);
  }

  async waiting<Type extends AskType>(type: Type, project: string | undefined): Promise<EntryOf<Type>[]> {
    await this.activity.closeDead(project);
    return this.activity.waiting(type, project);
  }

  activityTexts(since: number, limit: number, filter: ActivityFilter): ActivityText[] {
    return this.activity.texts(since, limit, filter);
  }

  lastActivity(): number {
    return this.activity.last();
  }

  onActivity(listener: () => void): () => void {
    return this.activity.subscribe(listener);
  }

  /** The agent of a project has come to rest: what it did is looked at. */
  agentRests(project: string): void {
    this.#hosts.rest(project);
  }

  /** The agent of a project may be told something that had to wait. */
  agentListens(project: string): void {
    this.#hosts.find(project)?.courier?.wake();
  }

  async status(request: StatusRequest, actor: Actor): Promise<StatusResult> {
    const host = this.#hosts.of(request.project);
    if (request.suggestion_id !== undefined) getSuggestion(this.ledger, request.suggestion_id);
    this.ledger.emit(
      host.project.dir,
      {
        type: "suggestion.status",
        ...(request.suggestion_id === undefined ? {} : { suggestion_id: request.suggestion_id }),
        status: request.status ?? "working",
        message: request.message.split("\n", 1)[0] ?? "",
      },
      this.#now(),
    );
    if (host.link !== null || actor !== "agent") return { sent: true, feedback: [] };
    const upTo = lastOfOutbox(this.ledger);
    await this.#hosts.settleNow(host, true);
    return { sent: true, feedback: this.#feedbackFor(host, actor, upTo) };
  }

  async refusals(request: RefusalsRequest, actor: Actor): Promise<RefusalsResult> {
    const project = this.projectDir(request.project);
    const refusals = request.refusals.map(({ call, command, ...refusal }) => {
      // The agent, where it may report, says no command of others.
      const told = actor === "developer" ? command : undefined;
      const known = (call === undefined ? null : this.commands.of(call)) ?? told;
      return known === undefined ? refusal : { ...refusal, command: commandLine(known) };
    });
    recordRefusals(this.ledger, project, refusals, this.#now());
    return { refused: refusedCount(this.ledger, project) };
  }

  projectDir(project: string | undefined): string {
    return this.#hosts.of(project).project.dir;
  }

  decisions(query: DecisionsQuery): DecisionsPage {
    const project = query.project === undefined ? null : this.projectDir(query.project);
    return rememberedDecisions(this.ledger, project, query);
  }

  sandbox(query: SandboxQuery): SandboxReport {
    const project = query.project === undefined ? null : this.projectDir(query.project);
    return refusalReport(this.ledger, project);
  }

  async settle(
    request: SettleRequest,
    actor: Actor,
    isThere: () => boolean = () => true,
  ): Promise<SettleResult> {
    const host = this.#hosts.of(request.project);
    const upTo = lastOfOutbox(this.ledger);
    const problems = await this.#hosts.settleNow(host, true);
    return {
      settled: problems.length === 0,
      message: problems.length === 0 ? "The agent's working copy is up to date" : problems.join("\n"),
      feedback: isThere() ? this.#feedbackFor(host, actor, upTo) : [],
    };
  }

  /**
   * Handed over once, so to the agent alone: what the developer's own call took, the agent would never hear.
   *
   * @param upTo of the outbox, from before the files were brought up to date: what is told is in them
   */
  #feedbackFor(host: Host, actor: Actor, upTo: number): string[] {
    return host.link === null && actor === "agent" ? takeFeedback(this.ledger, host.project.dir, upTo) : [];
  }

  // ── Journal and surroundings ──────────────────────────────────────────────────────────────────────────────────

  events(query: EventsQuery): EventPage {
    const texts = this.ledger.eventTexts(query.since, query.limit + 1, {
      project: query.project,
      types: query.type?.split(",").map((type) => type.trim()),
    });
    const more = texts.length > query.limit;
    return {
      events: texts.slice(0, query.limit).map(({ json }) => JSON.parse(json) as ReviewEvent),
      last_seq: this.lastSeq(),
      more,
    };
  }

  eventTexts(since: number, limit: number): { seq: number; json: string }[] {
    return this.ledger.eventTexts(since, limit);
  }

  lastSeq(): number {
    return this.ledger.lastSeq();
  }

  subscribe(listener: EventListener): () => void {
    return this.ledger.subscribe(listener);
  }

  health(): DeskHealth {
    return {
      ledger_bytes: this.ledger.size(),
      last_seq: this.lastSeq(),
      open_suggestions:
        this.ledger.row<{ n: number }>("SELECT count(*) AS n FROM suggestion WHERE state = 'open'")?.n ?? 0,
      projects: this.#hosts.all().map(({ project }) => ({
        project: project.dir,
        hub: hubPath(project.hubName),
        branch: this.#config.sync.base,
      })),
      problems: this.problems(),
      last_error: this.#lastError,
    };
  }

  problems(): string[] {
    return this.#problems.all(this.#hosts.all().map(({ project }) => project.hub.dir));
  }

  hubRoot(): string {
    return join(this.#config.stateDir, "git");
  }

  /** Absolute path of the directory with what is remembered of the files of each project. */
  callsRoot(): string {
    return join(this.#config.stateDir, "calls");
  }

  pushableRefs(hubName: string): string[] {
    const known = this.#hosts.all().some(({ project }) => project.hubName === hubName);
    return known ? this.#config.sync.pushBranches.map((branch) => `refs/heads/${branch}`) : [];
  }

  async hubChanged(hubName: string): Promise<void> {
    for (const host of this.#hosts.all()) {
      if (host.project.hubName !== hubName) continue;
      host.project.followHub = true;
      await markMovedBases({ ledger: this.ledger, project: host.project, now: this.#now });
      this.#hosts.kick(host.project.dir);
    }
  }

  // ── What follows a change ─────────────────────────────────────────────────────────────────────────────────────

  #afterEvent(event: ReviewEvent): void {
    if (!event.type.startsWith("suggestion.") || this.#logBehind) return;
    // Once for all events of a while, and not within the answer to anybody: the ledger has it all.
    this.#logBehind = true;
    setTimeout(() => {
      this.#logBehind = false;
      if (!this.#closed) this.#aside(() => this.#log.catchUp());
    }, LOG_DELAY_MS).unref();
  }

  #noticeOthers(): void {
    this.#aside(() => {
      this.ledger.tidy();
      this.activity.tell();
      if (!this.ledger.noticeOthers()) return;
      for (const { project } of this.#hosts.all()) this.#hosts.kick(project.dir);
    });
  }

  /** Work beside the requests: its failure is told, and never theirs. */
  #aside(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed("Beside a request", error);
    }
  }

  #failed(what: string, error: unknown): void {
    const message = `${what}: ${toReviewError(error).message}`;
    this.#lastError = { at: this.#now().toISOString(), message };
    this.onRemark("error", message);
  }
}
