/** One run of the plugin, as the activity needs it: what the host is answered through. */
import type { PluginInput } from "@opencode-ai/plugin";
import { ReviewError } from "../../protocol/errors.ts";

/** What the host itself takes. */
export type HostReply = "once" | "always" | "reject";

export interface AskHost {
  /** The session at the top of a session. */
  rootOf(session: string): Promise<string>;
  /** @throws ReviewError `not_found` when the host knows it no more */
  permission(id: string, reply: HostReply, message?: string): Promise<void>;
  question(id: string, answers: string[][]): Promise<void>;
  rejectQuestion(id: string): Promise<void>;
  /** Ends the turn of a session. */
  stop(session: string): Promise<void>;
}

type Posted = { error?: unknown; response?: { status: number } };
/** What the generated clients are made on. Its functions for these routes are of an older form, or not there yet. */
interface Wire {
  post(request: {
    url: string;
    path: Record<string, string>;
    query: Record<string, string>;
    body: unknown;
    headers: Record<string, string>;
  }): Promise<Posted>;
}

export function hostAsks(
  client: PluginInput["client"],
  directory: string,
  rootOf: (session: string) => Promise<string>,
): AskHost {
  const { _client: wire } = client as unknown as { _client: Wire };
  const post = async (url: string, id: string, body: unknown): Promise<void> => {
    const headers = { "Content-Type": "application/json" };
    const { error, response } = await wire.post({ url, path: { id }, query: { directory }, body, headers });
    if (error === undefined) return;
    throw new ReviewError(
      response?.status === 404 ? "not_found" : "internal",
      `opencode did not take the answer: ${JSON.stringify(error)}`,
      { cause: error },
    );
  };
  return {
    rootOf,
    permission: (id, reply, message) =>
      post("/permission/{id}/reply", id, { reply, ...(message === undefined ? {} : { message }) }),
    question: (id, answers) => post("/question/{id}/reply", id, { answers }),
    rejectQuestion: (id) => post("/question/{id}/reject", id, {}),
    stop: async (session) => {
      await client.session.abort({ path: { id: session }, query: { directory } });
    },
  };
}
