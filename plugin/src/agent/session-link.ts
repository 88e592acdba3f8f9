/** The agent's sessions in opencode: telling, asking and stopping it through the host's own client. */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import type {
  PermissionRequest,
  PermissionResult,
  QuestionRequest,
  QuestionResult,
} from "../protocol/activity.ts";
import type { AbortRequest, AskRequest } from "../protocol/changes.ts";
import type { Ledger } from "../review/ledger/ledger.ts";
import { knownSpeaker, rememberSession, type Speaker, sessionsOf } from "../review/ledger/sessions.ts";
import type { AgentLink, Teller } from "../review/tell/agent-link.ts";
import { thisProcess } from "../review/tell/owner.ts";
import type { Asks } from "./activity/asks.ts";
import { type AskHost, hostAsks } from "./activity/host-asks.ts";
import { HostRules } from "./approvals/host-rules.ts";
import { hostFailure } from "./host-failure.ts";
import { HostSessions } from "./host-sessions.ts";
import { Moments } from "./moments.ts";
import { SessionTree } from "./session-tree.ts";
import type { Prompt } from "./slash-commands.ts";

type Client = PluginInput["client"];
type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

/** A tool does not wait longer than this for what is told before it. */
const TELL_MS = 2_000;
/** Key under which a delivery's id is kept in the message part. */
const MARK = "suggestion_manager_delivery";
/** Key of a message part whose agent and model answer it this once. */
const ONCE = "suggestion_manager_once";

export class SessionLink implements AgentLink {
  /** What it asks is answered through. */
  readonly host: AskHost;
  readonly sessions: HostSessions;
  /** What it asks for. */
  readonly rules: HostRules;
  readonly #tree: SessionTree;
  readonly #moments = new Moments();
  #teller: Teller | null = null;

  constructor(
    private readonly client: Client,
    private readonly directory: string,
    private readonly project: string,
    private readonly ledger: Ledger,
    private readonly asks: Asks,
  ) {
    this.#tree = new SessionTree(client, directory);
    this.sessions = new HostSessions(client, directory, project, ledger, this.#tree);
    this.rules = new HostRules(client, directory, async (id) => (await this.#tree.speakerOf(id)).agent);
    this.host = hostAsks(client, directory, (session) => this.#tree.rootOf(session));
  }

  /** What the host tells. */
  take(event: HostEvent): void {
    this.#tree.take(event);
    if (event.type === "session.deleted") this.rules.forget(event.properties.info.id);
    this.#moments.take(event);
  }

  /**
   * A tool call begins. What waits for its session is told first: it is then in the model's next request, which
   * follows the tool anyway.
   */
  async toolStarted(callID: string, session: string): Promise<void> {
    this.#moments.started(callID, session);
    await Promise.race([this.#teller?.flush(), Bun.sleep(TELL_MS)]);
  }

  toolEnded(callID: string, session: string): void {
    this.#moments.ended(callID, session);
  }

  serve(teller: Teller): void {
    this.#teller = teller;
    this.#moments.watch(() => teller.wake(0));
  }

  /**
   * Remembers who answers in a session, so that what is put into it does not change agent or model. A subagent's
   * session is not spoken with, and who answers a slash command by its own rule does so once.
   */
  async remember(
    session: string,
    agent: string | undefined,
    model: { providerID: string; modelID: string } | undefined,
    variant: string | undefined,
    parts: readonly object[],
  ): Promise<void> {
    this.rules.speaks(session, agent);
    if (parts.some((part) => "metadata" in part && isOnce(part.metadata))) return;
    if ((await this.#tree.rootOf(session)) !== session) return;
    this.#write(session, {
      ...(agent === undefined ? {} : { agent }),
      ...(model === undefined ? {} : { model: { providerID: model.providerID, modelID: model.modelID } }),
      ...(variant === undefined ? {} : { variant }),
    });
  }

  #write(session: string, speaker: Speaker): void {
    const seen = { owner: thisProcess(), at: new Date().toISOString() };
    rememberSession(this.ledger, { id: session, project: this.project, ...speaker }, seen);
  }

  rootOf(session: string): Promise<string> {
    return this.#tree.rootOf(session);
  }

  async latest(): Promise<string | null> {
    for (const id of sessionsOf(this.ledger, this.project)) {
      const root = await this.#tree.rootOf(id);
      if (await this.#tree.exists(root)) return root;
    }
    return null;
  }

  async isTellable(session: string): Promise<boolean> {
    return this.#moments.inTool(session) || !(await this.#tree.busy()).has(session);
  }

  /** A prompt ends a staged revert: the host then deletes for good what was reverted. */
  async whyNotNow(session: string): Promise<string | null> {
    const { data } = await this.client.session.get({
      path: { id: session },
      query: { directory: this.directory },
    });
    return data?.revert == null
      ? null
      : "The agent hears of it later: a revert is staged in its session, and a message now would make that final";
  }

  async deliver(session: string, text: string, delivery: string, act: boolean): Promise<void> {
    const body = {
      ...(await this.#speaker(session)),
      parts: [{ type: "text" as const, text, metadata: { [MARK]: delivery } }],
    };
    const path = { id: session };
    const query = { directory: this.directory };
    const { error } = act
      ? await this.client.session.promptAsync({ path, query, body })
      : await this.client.session.prompt({ path, query, body: { ...body, noReply: true } });
    if (error !== undefined) throw hostFailure("The agent's session did not take the feedback", error);
  }

  async delivered(session: string, delivery: string): Promise<boolean> {
    const { data, error } = await this.client.session.messages({
      path: { id: session },
      query: { directory: this.directory },
    });
    if (error !== undefined) throw hostFailure("The agent's session cannot be read", error);
    return (data ?? []).some(({ parts }) =>
      parts.some(
        (part) =>
          part.type === "text" && (part.metadata as Record<string, unknown> | undefined)?.[MARK] === delivery,
      ),
    );
  }

  async ask(request: AskRequest): Promise<{ session_id: string }> {
    if (request.session_id !== undefined) await this.sessions.mustBeOurs(request.session_id);
    if (request.command !== undefined) await this.sessions.slash.check(request.command);
    const chosen = await this.sessions.chosen(request);
    const meant = request.new_session ? null : await this.#meant(request.session_id);
    const session = meant ?? (await this.#create());
    const base = withChoice(await this.#speaker(session), chosen);
    const prompt = await this.#prompt(request, base);
    if (prompt.afterwards !== undefined) this.#write(session, prompt.afterwards);
    // Who asks just after deciding means an agent that knows of it.
    await Promise.race([this.#teller?.flush(true), Bun.sleep(TELL_MS)]);
    const { error } = await this.client.session.promptAsync({
      path: { id: session },
      query: { directory: this.directory },
      body: { ...prompt.speaker, parts: partsOf(prompt) },
    });
    if (error !== undefined)
      throw hostFailure("session_id: the agent's session did not take the prompt", error);
    return { session_id: session };
  }

  async #prompt(request: AskRequest, base: Speaker): Promise<Prompt> {
    const attached = (request.attachments ?? []).map(attachmentText);
    if (request.command !== undefined)
      return this.sessions.slash.prompt(request.command, request.arguments ?? "", base, attached);
    return { text: [request.text, ...attached].join("\n\n"), speaker: base };
  }

  async abort(request: AbortRequest): Promise<{ aborted: boolean }> {
    if (request.session_id !== undefined) await this.sessions.mustBeOurs(request.session_id);
    const session = await this.#meant(request.session_id);
    if (session === null) return { aborted: false };
    const children = await this.#tree.descendants(session);
    // The one at the top first: a child that ends would hand it its result, and it would go on.
    const aborted = await this.#abort(session);
    const busy = await this.#tree.busy();
    const stopped = await Promise.all(children.filter((id) => busy.has(id)).map((id) => this.#abort(id)));
    return { aborted: aborted || stopped.includes(true) };
  }

  async #abort(session: string): Promise<boolean> {
    const { data, error } = await this.client.session.abort({
      path: { id: session },
      query: { directory: this.directory },
    });
    if (error !== undefined) throw hostFailure("session_id: the session could not be stopped", error);
    return data === true;
  }

  answerPermission(request: PermissionRequest): Promise<PermissionResult> {
    return this.asks.answerPermission(request);
  }

  answerQuestion(request: QuestionRequest): Promise<QuestionResult> {
    return this.asks.answerQuestion(request);
  }

  /** The session that a request is about. */
  #meant(named: string | undefined): Promise<string | null> {
    return named === undefined ? this.latest() : this.#tree.rootOf(named);
  }

  async #create(): Promise<string> {
    const { data, error } = await this.client.session.create({
      query: { directory: this.directory },
      body: {},
    });
    if (error !== undefined || data === undefined) throw hostFailure("opencode made no session", error);
    return data.id;
  }

  /** Who answers there; of a session that was never seen from here, the host is asked first. */
  async #speaker(session: string): Promise<Speaker> {
    const known = knownSpeaker(this.ledger, session);
    if (known.agent !== undefined && known.model !== undefined) return known;
    const speaker = await this.#tree.speakerOf(session);
    return { ...speaker, ...(known.agent === undefined ? {} : { agent: known.agent }) };
  }
}

function partsOf({ text, subtask, afterwards }: Prompt) {
  if (subtask !== undefined) return [subtask, { type: "text" as const, text, ignored: true }];
  return [
    { type: "text" as const, text, ...(afterwards === undefined ? {} : { metadata: { [ONCE]: true } }) },
  ];
}

const isOnce = (metadata: unknown): boolean =>
  typeof metadata === "object" && metadata !== null && ONCE in metadata;

/** A model that is chosen anew has no variant but the one that is chosen with it. */
function withChoice(known: Speaker, chosen: Speaker): Speaker {
  const { variant: _, ...rest } = known;
  return { ...(chosen.model === undefined ? known : rest), ...chosen };
}

function attachmentText(attachment: NonNullable<AskRequest["attachments"]>[number]): string {
  const { file, text, first_line: first, last_line: last } = attachment;
  const range =
    first === undefined ? "" : ` lines ${first}${last === undefined || last === first ? "" : ` to ${last}`}`;
  if (text === undefined) return `Attached: ${JSON.stringify(file)}${range}`;
  // A fence that the text does not hold, so that the text cannot end it.
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const fence = "`".repeat(longest + 1);
  return `Attached: ${JSON.stringify(file)}${range}\n${fence}\n${text}\n${fence}`;
}
