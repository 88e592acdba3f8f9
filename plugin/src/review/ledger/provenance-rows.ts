/** Where the lines of a revision came from, as it is kept with the revision. */
import type { Attribution, Origin } from "../../diff/attribution.ts";
import type { Ledger } from "./ledger.ts";

/** What is known of a call: all that can be told of it later, by itself. */
export interface ProvenanceCall {
  /** `<session>/<call id>` */
  call: string;
  session?: string;
  root?: string;
  tool?: string;
  summary?: string;
  began_at?: string;
  ended_at?: string;
  exit_code?: number | null;
  /** Its entry in the agent's activity. */
  entry?: string;
  /** What began the turn of the session at the top. */
  prompt?: string;
  /** What a subagent was told. */
  task?: string;
  /** The agent's last words before it. */
  words?: string;
}

export interface ProvenanceRow {
  /** Of files whose lines changed, by the entry's number. */
  files: Record<number, Attribution>;
  /** Of hunks without lines, by `<entry> <kind>`. */
  whole: Record<string, Origin[]>;
  calls: ProvenanceCall[];
  /** Runs of tests since the first of the calls. */
  tests: { call: string; session: string; summary: string; began_at: string; exit_code: number | null }[];
}

/** Within a transaction. */
export function writeProvenance(
  ledger: Ledger,
  suggestion: string,
  revision: number,
  row: ProvenanceRow,
): void {
  ledger.change(
    "INSERT INTO provenance (suggestion, revision, json) VALUES (?, ?, ?)",
    suggestion,
    revision,
    JSON.stringify(row),
  );
}

/** Null for a revision that was published before calls were remembered. */
export function readProvenance(ledger: Ledger, suggestion: string, revision: number): ProvenanceRow | null {
  const row = ledger.row<{ json: string }>(
    "SELECT json FROM provenance WHERE suggestion = ? AND revision = ?",
    suggestion,
    revision,
  );
  return row === null ? null : (JSON.parse(row.json) as ProvenanceRow);
}
