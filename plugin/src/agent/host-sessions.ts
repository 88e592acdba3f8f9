/** The agent's sessions as the host has them: listed, named, forked, compacted and deleted for the developer. */
import { realpath } from "node:fs/promises";
import type { PluginInput } from "@opencode-ai/plugin";
import type { Session as SdkSession } from "@opencode-ai/sdk/v2";
import type { AskRequest } from "../protocol/changes.ts";
import { ReviewError } from "../protocol/errors.ts";
import type {
  AgentSession,
  Choices,
  CompactSessionRequest,
  DeleteSessionRequest,
  ForkSessionRequest,
  RenameSessionRequest,
  SessionsPage,
  SessionsQuery,
} from "../protocol/sessions.ts";
import type { SlashCommand } from "../protocol/slash-commands.ts";
import type { Ledger } from "../review/ledger/ledger.ts";
import { knownSpeaker, type Speaker } from "../review/ledger/sessions.ts";
import type { AgentSessions } from "../review/tell/agent-link.ts";
import type { Transcript } from "../review/tell/transcript.ts";
import { hostFailure, noSuch } from "./host-failure.ts";
import { type HostMessage, hostTranscript } from "./host-transcript.ts";
import type { SessionTree } from "./session-tree.ts";
import { SlashCommands } from "./slash-commands.ts";

type Client = PluginInput["client"];

/** The host answers a request to compact when the summary is there; what it refuses, it refuses sooner than this. */
const REFUSED_MS = 500;

/** @returns `provider/model` */
const nameOf = (model: NonNullable<Speaker["model"]>): string => `${model.providerID}/${model.modelID}`;

export class HostSessions implements AgentSessions {
  readonly slash: SlashCommands;

  constructor(
    private readonly client: Client,
    private readonly directory: string,
    private readonly project: string,
    private readonly ledger: Ledger,
    private readonly tree: SessionTree,
  ) {
    this.slash = new SlashCommands(client, directory);
  }

  async list({ search, limit, offset }: SessionsQuery): Promise<SessionsPage> {
    // The client's types are of an older form: these have long been among what the host takes.
    const query = { directory: this.directory, roots: true, search, limit: offset + limit + 1 };
    const { data, error } = await this.client.session.list({ query });
    if (data === undefined) throw hostFailure("The agent's sessions cannot be read", error);
    const found = data.filter(({ parentID }) => parentID === undefined).slice(offset, offset + limit);
    const states = await this.#states();
    return {
      sessions: found.map((one) => this.#shown(one, states)),
      next: data.length > offset + limit ? offset + limit : null,
    };
  }

  commands(): Promise<SlashCommand[]> {
    return this.slash.list();
  }

  async choices(): Promise<Choices> {
    const query = { directory: this.directory };
    const [providers, agents, config] = await Promise.all([
      this.client.config.providers({ query }),
      this.client.app.agents({ query }),
      this.client.config.get({ query }),
    ]);
    if (providers.data === undefined) throw hostFailure("opencode names no models", providers.error);
    if (agents.data === undefined) throw hostFailure("opencode names no agents", agents.error);
    const models = providers.data.providers.flatMap((provider) =>
      Object.values(provider.models).map((model) => ({
        model: `${provider.id}/${model.id}`,
        name: model.name,
        provider: provider.name,
        context: model.limit.context,
        variants: Object.keys((model as { variants?: object }).variants ?? {}),
      })),
    );
    // The host's order is another at each start.
    models.sort((one, other) => (one.model < other.model ? -1 : 1));
    const spoken = agents.data.filter(
      (agent) => agent.mode !== "subagent" && (agent as { hidden?: boolean }).hidden !== true,
    );
    return {
      models,
      default_model: config.data?.model ?? null,
      agents: spoken.map(({ name, description, model }) => ({
        agent: name,
        description: description ?? "",
        ...(model === undefined ? {} : { model: nameOf(model) }),
      })),
    };
  }

  /**
   * What a prompt chooses, as the host takes it.
   * @throws ReviewError `invalid_request` that names the field and what there is, where the host does not have it
   */
  async chosen({ agent, model, variant }: Pick<AskRequest, "agent" | "model" | "variant">): Promise<Speaker> {
    if (agent === undefined && model === undefined) return {};
    const { models, agents } = await this.choices();
    if (agent !== undefined && !agents.some((one) => one.agent === agent))
      throw noSuch(
        "agent",
        agent,
        agents.map((one) => one.agent),
      );
    if (model === undefined) return agent === undefined ? {} : { agent };
    const known = models.find((one) => one.model === model);
    if (known === undefined)
      throw noSuch(
        "model",
        model,
        models.map((one) => one.model),
      );
    if (variant !== undefined && !known.variants.includes(variant))
      throw noSuch("variant", variant, known.variants);
    const slash = model.indexOf("/");
    return {
      ...(agent === undefined ? {} : { agent }),
      model: { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) },
      ...(variant === undefined ? {} : { variant }),
    };
  }

  /**
   * The host gives any session that it has, whatever project it is of.
   * @throws ReviewError `not_found` for one of another
   */
  async mustBeOurs(session: string): Promise<void> {
    const { data, error } = await this.client.session.get(this.#named(session));
    if (data === undefined) throw hostFailure("session_id: there is no such session", error);
    const [root, place] = await Promise.all([this.project, data.directory].map(real));
    if (place === root || place?.startsWith(`${root}/`)) return;
    throw new ReviewError("not_found", `session_id: the session is of another project (${data.directory})`);
  }

  async transcript(session: string): Promise<Transcript | null> {
    // What is no session's id the host answers with a failure of its own.
    if (!session.startsWith("ses")) return null;
    const { data: found, error, response } = await this.client.session.get(this.#named(session));
    if (found === undefined) {
      if (response?.status === 404) return null;
      throw hostFailure("session_id: the session cannot be read", error);
    }
    await this.mustBeOurs(session);
    const messages = await this.client.session.messages(this.#named(session));
    if (messages.data === undefined)
      throw hostFailure("session_id: the session cannot be read", messages.error);
    return {
      session,
      project: this.project,
      title: found.title,
      source: "As opencode has it.",
      // The client's types are of an older form of the same.
      items: hostTranscript(messages.data as unknown as HostMessage[], found.revert),
    };
  }

  async rename({ session_id, title }: RenameSessionRequest): Promise<AgentSession> {
    await this.mustBeOurs(session_id);
    const { data, error } = await this.client.session.update({ ...this.#named(session_id), body: { title } });
    if (data === undefined) throw hostFailure("session_id: the session was not renamed", error);
    return this.#shown(data, await this.#states());
  }

  async fork({ session_id, message_id }: ForkSessionRequest): Promise<AgentSession> {
    await this.mustBeOurs(session_id);
    const { path, query } = this.#named(session_id);
    if (message_id !== undefined) {
      const { error } = await this.client.session.message({
        path: { ...path, messageID: message_id },
        query,
      });
      if (error !== undefined) throw hostFailure("message_id: the session has no such message", error);
    }
    const body = message_id === undefined ? {} : { messageID: message_id };
    const { data, error } = await this.client.session.fork({ path, query, body });
    if (data === undefined) throw hostFailure("session_id: the session was not forked", error);
    return this.#shown(data, await this.#states());
  }

  async compact({ session_id }: CompactSessionRequest): Promise<void> {
    await this.#mustRest(session_id);
    const known = knownSpeaker(this.ledger, session_id);
    const { model } = known.model === undefined ? await this.tree.speakerOf(session_id) : known;
    if (model === undefined)
      throw new ReviewError("nothing_to_do", "session_id: nothing was said in this session yet");
    const summarized = this.client.session.summarize({ ...this.#named(session_id), body: model });
    const early = await Promise.race([summarized, Bun.sleep(REFUSED_MS)]);
    if (early !== undefined && early.error !== undefined)
      throw hostFailure("session_id: the session was not compacted", early.error);
  }

  async delete({ session_id }: DeleteSessionRequest): Promise<void> {
    await this.#mustRest(session_id);
    const { error } = await this.client.session.delete(this.#named(session_id));
    if (error !== undefined) throw hostFailure("session_id: the session was not deleted", error);
  }

  /** Else it would be taken from under a turn. */
  async #mustRest(session: string): Promise<void> {
    await this.mustBeOurs(session);
    const busy = await this.tree.busy();
    if (![session, ...(await this.tree.descendants(session))].some((id) => busy.has(id))) return;
    throw new ReviewError("nothing_to_do", "session_id: the agent works in this session: stop it first");
  }

  async #states(): Promise<Record<string, { type: AgentSession["state"] }>> {
    const { data } = await this.client.session.status({ query: { directory: this.directory } });
    return data ?? {};
  }

  #shown(session: object, states: Record<string, { type: AgentSession["state"] }>): AgentSession {
    const { id, title, time, agent, model, cost } = session as SdkSession;
    const known = knownSpeaker(this.ledger, id);
    const by = known.agent ?? agent;
    const of =
      known.model ?? (model === undefined ? undefined : { providerID: model.providerID, modelID: model.id });
    const variant = known.model === undefined ? model?.variant : known.variant;
    return {
      session_id: id,
      title,
      project: this.project,
      created_at: new Date(time.created).toISOString(),
      updated_at: new Date(time.updated).toISOString(),
      state: states[id]?.type ?? "idle",
      ...(by === undefined ? {} : { agent: by }),
      ...(of === undefined ? {} : { model: nameOf(of) }),
      ...(variant === undefined ? {} : { variant }),
      ...(cost === undefined ? {} : { cost }),
    };
  }

  #named(session: string) {
    return { path: { id: session }, query: { directory: this.directory } };
  }
}

const real = (path: string): Promise<string> => realpath(path).catch(() => path);
