/** Rows of the ledger and what clients see of them. */
import type { Entry } from "../../diff/raw.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Lifecycle, SuggestionSummary } from "../../protocol/model.ts";
import type { Ledger } from "./ledger.ts";

/**
 * Whether the agent's repository is to be brought to what was decided. `yes`: at the next quiet moment. `failed`, in
 * whole or in part: tried again with the next decision or call of the agent.
 */
export type SettleNeeded = "no" | "yes" | "failed";

export interface SuggestionRow {
  id: string;
  project: string;
  hub: string;
  change_id: string;
  description: string;
  state: Lifecycle;
  revision: number;
  hunk_count: number;
  accepted: number;
  modified: number;
  rejected: number;
  session: string | null;
  stacked_on: string | null;
  base_moved: number;
  settled: string;
  settled_parent: string;
  agent_commit: string;
  settle_needed: SettleNeeded;
  settle_problem: string | null;
  leave_needed: number;
  /** 0, or when the last discard was taken back: greater than any event before it. */
  discard_undone: number;
  /** JSON of what the change was when a settle abandoned it, else null. */
  abandoned: string | null;
  finalizing: string | null;
  result: string | null;
  verify: string | null;
  created_at: string;
  updated_at: string;
}

export interface RevisionRow {
  suggestion: string;
  n: number;
  base_commit: string;
  commit_id: string;
  base_tree: string;
  commit_tree: string;
  author: string;
  entries: string;
  warnings: string;
  files: string;
  created_at: string;
  /** The last change of the agent's files that was remembered by then. */
  last_change: number;
}

/** What a summary shows of its revision. */
export type ShownOfRevision = Pick<RevisionRow, "files" | "base_commit" | "commit_id">;

export const entriesOf = (row: RevisionRow): Entry[] => JSON.parse(row.entries) as Entry[];

export function getSuggestion(ledger: Ledger, id: string): SuggestionRow {
  const row = ledger.row<SuggestionRow>("SELECT * FROM suggestion WHERE id = ?", id);
  if (row === null) throw new ReviewError("not_found", `suggestion_id: no suggestion ${shorten(id)}`);
  return row;
}

/** The suggestion if its hunks can be decided now. */
export function getDecidable(ledger: Ledger, id: string): SuggestionRow {
  const row = getOpen(ledger, id);
  // What is being pushed must be what was decided: a decision now would be confirmed and yet not be in it.
  if (row.finalizing !== null) {
    throw new ReviewError(
      "suggestion_closed",
      `Suggestion ${shorten(id)} is being finalized at this moment; its decisions stand unless that fails`,
      { details: { state: "finalizing" } },
    );
  }
  return row;
}

/** The suggestion if it is neither finalized nor discarded. */
export function getOpen(ledger: Ledger, id: string): SuggestionRow {
  const row = getSuggestion(ledger, id);
  if (row.state !== "open") {
    throw new ReviewError(
      "suggestion_closed",
      `Suggestion ${shorten(id)} is ${row.state}; its decisions stand${row.state === "discarded" ? ", and undo brings it back" : ""}`,
      {
        details: { state: row.state },
      },
    );
  }
  return row;
}

export function getRevision(ledger: Ledger, suggestion: string, n: number): RevisionRow {
  const row = ledger.row<RevisionRow>("SELECT * FROM revision WHERE suggestion = ? AND n = ?", suggestion, n);
  if (row === null)
    throw new ReviewError("internal", `Revision ${n} of ${suggestion} is missing from the ledger`);
  return row;
}

export const shorten = (id: string): string => (id.length > 120 ? `${id.slice(0, 120)}…` : id);

/**
 * The time of a change to a suggestion. Never the same twice for one suggestion, whatever the clock does: settling and
 * finalizing compare it to learn whether something was decided meanwhile.
 */
export function nextStamp(previous: string | null, now: Date): string {
  const at = now.toISOString();
  return previous === null || at > previous ? at : new Date(Date.parse(previous) + 1).toISOString();
}

export const hubPath = (hub: string): string => `/git/${hub}.git`;

export function toSummary(
  ledger: Ledger,
  row: SuggestionRow,
  revision: ShownOfRevision = getRevision(ledger, row.id, row.revision),
): SuggestionSummary {
  const reviewed = row.accepted + row.modified + row.rejected;
  return {
    id: row.id,
    jj_change_id: row.change_id,
    description: row.description,
    files: JSON.parse(revision.files) as string[],
    hunk_count: row.hunk_count,
    reviewed_count: reviewed,
    accepted_count: row.accepted + row.modified,
    rejected_count: row.rejected,
    status: reviewed === 0 ? "pending" : reviewed === row.hunk_count ? "complete" : "partial",
    state: row.state,
    revision: row.revision,
    base_commit: revision.base_commit,
    commit: revision.commit_id,
    project: row.project,
    hub: hubPath(row.hub),
    stacked_on: row.stacked_on,
    base_moved: row.base_moved === 1,
    created_at: row.created_at,
    updated_at: row.updated_at,
    result: row.result === null ? null : (JSON.parse(row.result) as SuggestionSummary["result"]),
  };
}
