/** The agent's sessions in opencode: telling, asking and stopping it through the host's own client. */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import { ReviewError } from "../protocol/errors.ts";
import type { AbortRequest, AskRequest } from "../protocol/requests.ts";
import type { Ledger } from "../review/ledger/ledger.ts";
import type { AgentLink, Teller } from "../review/tell/agent-link.ts";
import { Moments } from "./moments.ts";
import { SessionTree, type Speaker } from "./session-tree.ts";

type Client = PluginInput["client"];
type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

interface SessionRow {
  id: string;
  agent: string | null;
  model: string | null;
}

/** A tool does not wait longer than this for what is told before it. */
const TELL_MS = 2_000;
/** Key under which a delivery's id is kept in the message part. */
const MARK = "suggestion_manager_delivery";

export class SessionLink implements AgentLink {
  readonly #tree: SessionTree;
  readonly #moments = new Moments();
  #teller: Teller | null = null;

  constructor(
    private readonly client: Client,
    private readonly directory: string,
    private readonly project: string,
    private readonly ledger: Ledger,
  ) {
    this.#tree = new SessionTree(client, directory);
  }

  /** What the host tells. */
  take(event: HostEvent): void {
    this.#tree.take(event);
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

  toolEnded(callID: string): void {
    this.#moments.ended(callID);
  }

  serve(teller: Teller): void {
    this.#teller = teller;
    this.#moments.watch(() => teller.wake(0));
  }

  /**
   * Remembers who answers in a session, so that what is put into it does not change agent or model. A subagent's
   * session is not spoken with.
   */
  async remember(
    session: string,
    agent: string | undefined,
    model: { providerID: string; modelID: string } | undefined,
  ): Promise<void> {
    if ((await this.#tree.rootOf(session)) !== session) return;
    this.#write(session, {
      ...(agent === undefined ? {} : { agent }),
      ...(model === undefined ? {} : { model }),
    });
  }

  #write(session: string, { agent, model }: Speaker): void {
    this.ledger.change(
      `INSERT INTO session (id, project, agent, model, at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET agent = coalesce(excluded.agent, agent), model = coalesce(excluded.model, model), at = excluded.at`,
      session,
      this.project,
      agent ?? null,
      model === undefined ? null : JSON.stringify(model),
      new Date().toISOString(),
    );
  }

  rootOf(session: string): Promise<string> {
    return this.#tree.rootOf(session);
  }

  async latest(): Promise<string | null> {
    const rows = this.ledger.rows<{ id: string }>(
      "SELECT id FROM session WHERE project = ? ORDER BY at DESC",
      this.project,
    );
    for (const { id } of rows) {
      const root = await this.#tree.rootOf(id);
      if (await this.#tree.exists(root)) return root;
    }
    return null;
  }

  async isTellable(session: string): Promise<boolean> {
    return this.#moments.inTool(session) || !(await this.#tree.busy()).has(session);
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
    if (error !== undefined) throw failure("The agent's session did not take the feedback", error);
  }

  async delivered(session: string, delivery: string): Promise<boolean> {
    const { data, error } = await this.client.session.messages({
      path: { id: session },
      query: { directory: this.directory },
    });
    if (error !== undefined) throw failure("The agent's session cannot be read", error);
    return (data ?? []).some(({ parts }) =>
      parts.some(
        (part) =>
          part.type === "text" && (part.metadata as Record<string, unknown> | undefined)?.[MARK] === delivery,
      ),
    );
  }

  async ask(request: AskRequest): Promise<{ session_id: string }> {
    const session = (await this.#meant(request.session_id)) ?? (await this.#create());
    const attachments = (request.attachments ?? []).map(attachmentText);
    const text = [request.text, ...attachments].join("\n\n");
    const { error } = await this.client.session.promptAsync({
      path: { id: session },
      query: { directory: this.directory },
      body: { ...(await this.#speaker(session)), parts: [{ type: "text", text }] },
    });
    if (error !== undefined) throw failure("session_id: the agent's session did not take the prompt", error);
    return { session_id: session };
  }

  async abort(request: AbortRequest): Promise<{ aborted: boolean }> {
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
    if (error !== undefined) throw failure("session_id: the session could not be stopped", error);
    return data === true;
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
    if (error !== undefined || data === undefined) throw failure("opencode made no session", error);
    return data.id;
  }

  /** Who answers there; of a session that was never seen from here, the host is asked first. */
  async #speaker(session: string): Promise<Speaker> {
    const row = this.#session(session);
    if (row?.agent != null && row.model != null) {
      return {
        agent: row.agent,
        model: JSON.parse(row.model) as { providerID: string; modelID: string },
      };
    }
    const speaker = await this.#tree.speakerOf(session);
    return {
      ...speaker,
      ...(row?.agent == null ? {} : { agent: row.agent }),
    };
  }

  #session(id: string): SessionRow | null {
    return this.ledger.row<SessionRow>("SELECT id, agent, model FROM session WHERE id = ?", id);
  }
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

function failure(what: string, error: unknown): ReviewError {
  const name = (error as { name?: string } | undefined)?.name ?? "";
  const said =
    (error as { data?: { message?: string } } | undefined)?.data?.message ?? JSON.stringify(error) ?? "";
  return new ReviewError(/NotFound/.test(name) ? "not_found" : "internal", `${what}: ${said}`, {
    cause: error,
  });
}
