/** The agent's sessions that were seen: who answers in each, and the process whose host it was last seen in. */
import type { Ledger } from "./ledger.ts";

/** Who answers in a session: what is put into it must not change either. */
export interface Speaker {
  agent?: string;
  model?: { providerID: string; modelID: string };
  /** Of the model. */
  variant?: string;
}

/** Where a session was last seen: the mark of its process (see `tell/owner.ts`), and when. */
export interface SeenIn {
  owner: string | null;
  at: string;
}

/** What is not known of the speaker stays as it was. */
export function rememberSession(
  ledger: Ledger,
  { id, project, agent, model, variant }: { id: string; project: string } & Speaker,
  seen: SeenIn,
): void {
  ledger.change(
    `INSERT INTO session (id, project, agent, model, at, owner) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET agent = coalesce(excluded.agent, agent), model = coalesce(excluded.model, model),
       at = excluded.at, owner = excluded.owner`,
    id,
    project,
    agent ?? null,
    model === undefined ? null : JSON.stringify({ ...model, variant }),
    seen.at,
    seen.owner,
  );
}

/** The sessions of a project, the one that was seen last first. */
export const sessionsOf = (ledger: Ledger, project: string): string[] =>
  ledger
    .rows<{ id: string }>("SELECT id FROM session WHERE project = ? ORDER BY at DESC", project)
    .map(({ id }) => id);

/** What is known of who answers there: nothing for a session that was never seen. */
export function knownSpeaker(ledger: Ledger, id: string): Speaker {
  const row = ledger.row<{ agent: string | null; model: string | null }>(
    "SELECT agent, model FROM session WHERE id = ?",
    id,
  );
  return {
    ...(row?.agent == null ? {} : { agent: row.agent }),
    ...(row?.model == null ? {} : ofText(row.model)),
  };
}

/** A variant is kept with the model that it is of. */
function ofText(text: string): Pick<Speaker, "model" | "variant"> {
  const { variant, ...model } = JSON.parse(text) as NonNullable<Speaker["model"]> & { variant?: string };
  return variant === undefined ? { model } : { model, variant };
}

export const lastSeenIn = (ledger: Ledger, id: string): SeenIn | null =>
  ledger.row<SeenIn>("SELECT owner, at FROM session WHERE id = ?", id);

/** The host has it no more. */
export function forgetSession(ledger: Ledger, id: string): void {
  ledger.change("DELETE FROM session WHERE id = ?", id);
}
