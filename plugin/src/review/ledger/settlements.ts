/** What each commit of an agent's change stood for: a settle starts from there, also when the agent went back to it. */
import type { Ledger } from "./ledger.ts";

export interface StandingRow {
  settled: string;
  settled_parent: string;
}

/** Only inside a transaction. What was learnt last of a commit counts. */
export function recordStanding(
  ledger: Ledger,
  suggestion: string,
  commit: string,
  { settled, settled_parent: parent }: StandingRow,
): void {
  ledger.change(
    "INSERT OR REPLACE INTO settlement (suggestion, agent_commit, settled, settled_parent) VALUES (?, ?, ?, ?)",
    suggestion,
    commit,
    settled,
    parent,
  );
}

/** Null for a commit that the ledger has not seen. */
export const standingAt = (ledger: Ledger, suggestion: string, commit: string): StandingRow | null =>
  ledger.row<StandingRow>(
    "SELECT settled, settled_parent FROM settlement WHERE suggestion = ? AND agent_commit = ?",
    suggestion,
    commit,
  );
