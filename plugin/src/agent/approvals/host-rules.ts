/** The host's permission rules for a session, as far as the host says them. */
import type { PluginInput } from "@opencode-ai/plugin";
import type { Rule } from "./rules.ts";

type Client = PluginInput["client"];

/** A call does not wait longer than this to learn whether it has to wait. */
const ASK_MS = 5_000;

const ACTIONS = ["allow", "ask", "deny"];

export class HostRules {
  /** Who works in which session, as its last prompt said. */
  readonly #agents = new Map<string, string>();
  #rules: Promise<Map<string, Rule[]>> | null = null;

  constructor(
    private readonly client: Client,
    private readonly directory: string,
    private readonly agentOf: (session: string) => Promise<string | undefined>,
  ) {}

  /** A prompt: its agent's rules are the session's. */
  speaks(session: string, agent: string | undefined): void {
    if (agent !== undefined) this.#agents.set(session, agent);
  }

  forget(session: string): void {
    this.#agents.delete(session);
  }

  /** In the order in which the host reads them; null where the host does not say. */
  async of(session: string): Promise<Rule[] | null> {
    return Promise.race([this.#of(session).catch(() => null), Bun.sleep(ASK_MS).then(() => null)]);
  }

  async #of(session: string): Promise<Rule[] | null> {
    const agent = this.#agents.get(session) ?? (await this.agentOf(session));
    if (agent === undefined) return null;
    // The host loads the plugin anew after each change of its configuration.
    this.#rules ??= this.#load();
    const known = await this.#rules.catch((error: unknown) => {
      this.#rules = null;
      throw error;
    });
    const own = known.get(agent);
    if (own === undefined) return null;
    const { data } = await this.client.session.get({
      path: { id: session },
      query: { directory: this.directory },
    });
    if (data === undefined) return null;
    const further = rulesIn((data as { permission?: unknown }).permission ?? []);
    return further === null ? null : [...own, ...further];
  }

  async #load(): Promise<Map<string, Rule[]>> {
    const { data } = await this.client.app.agents({ query: { directory: this.directory } });
    if (data === undefined) throw new Error("opencode names no agents");
    const named = data.flatMap(({ name, permission }) => {
      const rules = rulesIn(permission);
      return rules === null ? [] : [[name, rules] as const];
    });
    return new Map(named);
  }
}

/** The types of the client are of an older form; null for anything else than the host's present one. */
export function rulesIn(given: unknown): Rule[] | null {
  if (!Array.isArray(given)) return null;
  const rules = given as Partial<Record<keyof Rule, unknown>>[];
  const whole = rules.every(
    ({ permission, pattern, action }) =>
      typeof permission === "string" && typeof pattern === "string" && ACTIONS.includes(action as string),
  );
  return whole ? (rules as Rule[]) : null;
}
