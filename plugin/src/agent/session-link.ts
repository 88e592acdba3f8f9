/** The agent's sessions in opencode: telling, asking and stopping it through the host's own client. */
import type { PluginInput } from "@opencode-ai/plugin";
import { ReviewError } from "../protocol/errors.ts";
import type { AbortRequest, AskRequest } from "../protocol/requests.ts";
import type { Ledger } from "../review/ledger/ledger.ts";
import type { AgentLink } from "../review/tell/agent-link.ts";

type Client = PluginInput["client"];

interface SessionRow {
  id: string;
  agent: string | null;
  model: string | null;
}

/** Key under which a delivery's id is kept in the message part. */
const MARK = "suggestion_manager_delivery";

export class SessionLink implements AgentLink {
  constructor(
    private readonly client: Client,
    private readonly directory: string,
    private readonly project: string,
    private readonly ledger: Ledger,
  ) {}

  /** Remembers who answers in a session, so that what is put into it does not change agent or model. */
  remember(
    session: string,
    agent: string | undefined,
    model: { providerID: string; modelID: string } | undefined,
  ): void {
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

  knows(session: string): boolean {
    return this.#session(session) !== null;
  }

  async deliver(session: string, text: string, delivery: string, act: boolean): Promise<void> {
    const body = {
      ...this.#speaker(session),
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
    const session = request.session_id ?? this.#latest() ?? (await this.#create());
    const attachments = (request.attachments ?? []).map(attachmentText);
    const text = [request.text, ...attachments].join("\n\n");
    const { error } = await this.client.session.promptAsync({
      path: { id: session },
      query: { directory: this.directory },
      body: { ...this.#speaker(session), parts: [{ type: "text", text }] },
    });
    if (error !== undefined) throw failure("session_id: the agent's session did not take the prompt", error);
    return { session_id: session };
  }

  async abort(request: AbortRequest): Promise<{ aborted: boolean }> {
    const session = request.session_id ?? this.#latest();
    if (session === null) return { aborted: false };
    const { data, error } = await this.client.session.abort({
      path: { id: session },
      query: { directory: this.directory },
    });
    if (error !== undefined) throw failure("session_id: the session could not be stopped", error);
    return { aborted: data === true };
  }

  async #create(): Promise<string> {
    const { data, error } = await this.client.session.create({
      query: { directory: this.directory },
      body: {},
    });
    if (error !== undefined || data === undefined) throw failure("opencode made no session", error);
    return data.id;
  }

  #speaker(session: string): { agent?: string; model?: { providerID: string; modelID: string } } {
    const row = this.#session(session);
    return {
      ...(row?.agent == null ? {} : { agent: row.agent }),
      ...(row?.model == null
        ? {}
        : { model: JSON.parse(row.model) as { providerID: string; modelID: string } }),
    };
  }

  #session(id: string): SessionRow | null {
    return this.ledger.row<SessionRow>("SELECT id, agent, model FROM session WHERE id = ?", id);
  }

  #latest(): string | null {
    return (
      this.ledger.row<{ id: string }>(
        "SELECT id FROM session WHERE project = ? ORDER BY at DESC LIMIT 1",
        this.project,
      )?.id ?? null
    );
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
