/**
 * The host's sessions as a tree: a subagent's session has the one that started it above it. The developer talks with
 * roots; what a subagent publishes belongs to its root. Reads the host and keeps nothing that the host does not know.
 */
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import type { Speaker } from "../review/ledger/sessions.ts";

type Client = PluginInput["client"];
type HostEvent = Parameters<NonNullable<Hooks["event"]>>[0]["event"];

/** More than anybody nests; a circle would be the host's mistake, and must not become an endless walk here. */
const DEPTH = 32;
/** The last user message of a session is usually among these. */
const RECENT_MESSAGES = 20;

export class SessionTree {
  /** Session to the one above it, null for a root. */
  readonly #parents = new Map<string, string | null>();

  constructor(
    private readonly client: Client,
    private readonly directory: string,
  ) {}

  /** Learns from the host's events who is whose child, before the first message of a child. */
  take(event: HostEvent): void {
    if (event.type === "session.created" || event.type === "session.updated")
      this.#parents.set(event.properties.info.id, event.properties.info.parentID ?? null);
    else if (event.type === "session.deleted") this.#parents.delete(event.properties.info.id);
  }

  /** The session at the top; the given one itself where the host does not know it. */
  async rootOf(session: string): Promise<string> {
    let at = session;
    for (let depth = 0; depth < DEPTH; depth++) {
      const parent = await this.#parentOf(at);
      if (parent === null) return at;
      at = parent;
    }
    return at;
  }

  /** Whether the host has it; where the host cannot be asked, yes. */
  async exists(session: string): Promise<boolean> {
    const { error, response } = await this.client.session.get(this.#named(session));
    return error === undefined || response?.status !== 404;
  }

  /** Every session below this one, the nearer first. */
  async descendants(session: string): Promise<string[]> {
    const found: string[] = [];
    const seen = new Set([session]);
    let level = [session];
    while (level.length > 0) {
      const children = await Promise.all(level.map((id) => this.#childrenOf(id)));
      level = children.flat().filter((id) => !seen.has(id));
      for (const id of level) seen.add(id);
      found.push(...level);
    }
    return found;
  }

  /** The sessions that are not idle. */
  async busy(): Promise<Set<string>> {
    const { data } = await this.client.session.status({ query: { directory: this.directory } });
    const entries = Object.entries(data ?? {});
    return new Set(entries.filter(([, status]) => status.type !== "idle").map(([id]) => id));
  }

  /** Agent and model of a session, from its last user message, else as it was made. */
  async speakerOf(session: string): Promise<Speaker> {
    for (const limit of [RECENT_MESSAGES, undefined]) {
      const { data } = await this.client.session.messages({
        path: { id: session },
        query: { directory: this.directory, ...(limit === undefined ? {} : { limit }) },
      });
      const last = (data ?? []).map(({ info }) => info).findLast((info) => info.role === "user");
      if (last !== undefined && last.role === "user") return { agent: last.agent, ...modelOf(last.model) };
      if ((data ?? []).length < RECENT_MESSAGES) break;
    }
    const { data } = await this.client.session.get(this.#named(session));
    // The host writes these; the types of the client do not have them yet.
    const made = data as { agent?: string; model?: { providerID: string; id: string; variant?: string } };
    return {
      ...(made?.agent === undefined ? {} : { agent: made.agent }),
      ...(made?.model === undefined ? {} : modelOf({ ...made.model, modelID: made.model.id })),
    };
  }

  async #parentOf(session: string): Promise<string | null> {
    const known = this.#parents.get(session);
    if (known !== undefined) return known;
    const { data } = await this.client.session.get(this.#named(session));
    if (data === undefined) return null;
    const parent = data.parentID ?? null;
    this.#parents.set(session, parent);
    return parent;
  }

  async #childrenOf(session: string): Promise<string[]> {
    const { data } = await this.client.session.children(this.#named(session));
    return (data ?? []).map(({ id }) => id);
  }

  #named(session: string) {
    return { path: { id: session }, query: { directory: this.directory } };
  }
}

/** The host has the variant in the model; it takes it beside the model. */
function modelOf(model: { providerID: string; modelID: string; variant?: string }): Speaker {
  const { providerID, modelID, variant } = model;
  return { model: { providerID, modelID }, ...(variant === undefined ? {} : { variant }) };
}
