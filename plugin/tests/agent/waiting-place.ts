/** A real opencode that asks before it changes anything, and the words for what waits there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Turn } from "../../../demo/model/script.ts";
import type { ActivityEntry, PermissionEntry } from "../../src/protocol/activity.ts";
import { type Client, connect, type Message } from "../server/client.ts";
import { AgentPlace } from "./agent-place.ts";
import { until } from "./opencode.ts";

// Everything is asked that changes something.
export const ASKS = {
  edit: "ask",
  bash: { "*": "ask", "true*": "allow", "rm *": "deny" },
  webfetch: "ask",
  external_directory: "allow",
};

export const calls = (tool: string, args: Record<string, unknown>): Turn => ({ calls: [{ tool, args }] });

export class WaitingPlace {
  #words = 0;

  private constructor(readonly place: AgentPlace) {}

  static async open(): Promise<WaitingPlace> {
    return new WaitingPlace(await AgentPlace.open(ASKS));
  }

  path(name: string): string {
    return join(this.place.field.dir, name);
  }

  /** A session in which the model does this, and nothing before it. */
  async begun(...turns: Turn[]): Promise<string> {
    const words = `do it ${++this.#words}`;
    this.place.when(words, ...turns);
    const session = await this.place.newSession();
    await this.place.begin(words, session);
    return session;
  }

  async permissions(): Promise<PermissionEntry[]> {
    const { body } = await this.place.opencode.desk<{ permissions: PermissionEntry[] }>("/agent/permissions");
    return body.permissions;
  }

  /** What waits in a session, its subagents' included. */
  async asked(session: string): Promise<PermissionEntry> {
    let found: PermissionEntry | undefined;
    await until("the agent asks", async () => {
      found = (await this.permissions()).find(({ root_session_id }) => root_session_id === session);
      return found !== undefined;
    });
    return found as PermissionEntry;
  }

  answer(id: string, body: object): Promise<{ status: number; body: Message }> {
    return this.place.opencode.desk<Message>(`/agent/permissions/${id}`, body);
  }

  async activity(session: string): Promise<ActivityEntry[]> {
    const path = `/agent/activity?session=${session}&limit=1000`;
    return (await this.place.opencode.desk<{ entries: ActivityEntry[] }>(path)).body.entries;
  }

  async permissionsOf(session: string): Promise<PermissionEntry[]> {
    return (await this.activity(session)).filter((one) => one.type === "agent.permission");
  }

  async ended(session: string): Promise<void> {
    await until("the turn ends", async () =>
      (await this.activity(session)).some(
        (one) => one.type === "agent.turn" && one.session_id === session && one.state === "ended",
      ),
    );
  }

  /** What the model was last told in a session that it was asked in. */
  heard(text: string): boolean {
    return this.place.opencode.model.requests.some(({ messages }) =>
      messages.some((one) => one.role === "tool" && JSON.stringify(one).includes(text)),
    );
  }

  token(name: "token" | "agent-token"): string {
    return readFileSync(join(this.place.root, "state", name), "utf8").trim();
  }

  client(name: "token" | "agent-token" = "token"): Promise<Client> {
    const port = Number(new URL(this.place.opencode.review).port);
    return connect({ port, developer: this.token(name) });
  }

  close(): Promise<void> {
    return this.place.close();
  }
}
