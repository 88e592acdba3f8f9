/** What the agent's calls changed, as long as it may be asked for: rows of the files before and after each call. */
import type { RawPath } from "../../diff/paths.ts";
import type { FileState } from "../../vcs/file-memory.ts";
import type { Ledger } from "./ledger.ts";

export interface CallRow {
  /** `<session>/<call id>` */
  call: string;
  project: string;
  session: string;
  tool: string;
  /** What it was asked for, in one line. */
  summary: string;
  began_at: string;
  ended_at: string;
  exit_code: number | null;
  /** Whether it looks like a run of tests. */
  test: "yes" | "no";
}

export interface ChangeRow {
  id: number;
  project: string;
  path: RawPath;
  /** JSON: of all calls that may have made it; none where that is not known. */
  calls: string;
  /** Of changes with the same word nothing in between was missed. */
  watch: string;
  before: FileState;
  after: FileState;
}

/** Of one project; the oldest go first. */
const MOST_CHANGES = 20_000;

/** Within a transaction. */
export function rememberCall(ledger: Ledger, row: CallRow): void {
  ledger.change(
    `INSERT INTO agent_call (call, project, session, tool, summary, began_at, ended_at, exit_code, test)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (call) DO UPDATE SET ended_at = excluded.ended_at,
       exit_code = excluded.exit_code, summary = excluded.summary`,
    row.call,
    row.project,
    row.session,
    row.tool,
    row.summary,
    row.began_at,
    row.ended_at,
    row.exit_code,
    row.test,
  );
}

/** Within a transaction. */
export function rememberChange(ledger: Ledger, row: Omit<ChangeRow, "id">): void {
  ledger.insert(
    "INSERT INTO file_change (project, path, calls, watch, before, after) VALUES (?, ?, ?, ?, ?, ?)",
    row.project,
    row.path,
    row.calls,
    row.watch,
    row.before,
    row.after,
  );
}

/** In the order in which they came. */
export const changesOf = (ledger: Ledger, project: string, paths: readonly RawPath[]): ChangeRow[] =>
  ledger.rows<ChangeRow>(
    "SELECT * FROM file_change WHERE project = ? AND path IN (SELECT value FROM json_each(?)) ORDER BY id",
    project,
    JSON.stringify(paths),
  );

export const lastChange = (ledger: Ledger, project: string): number =>
  ledger.row<{ id: number }>("SELECT coalesce(max(id), 0) AS id FROM file_change WHERE project = ?", project)
    ?.id ?? 0;

export const callsNamed = (ledger: Ledger, calls: readonly string[]): CallRow[] =>
  ledger.rows<CallRow>(
    "SELECT * FROM agent_call WHERE call IN (SELECT value FROM json_each(?))",
    JSON.stringify(calls),
  );

export const testRuns = (ledger: Ledger, project: string, since: string): CallRow[] =>
  ledger.rows<CallRow>(
    "SELECT * FROM agent_call WHERE project = ? AND test = 'yes' AND ended_at >= ? ORDER BY began_at LIMIT 200",
    project,
    since,
  );

/**
 * Drops what nobody can ask for any more: changes of files that were published and whose suggestions are closed, calls
 * that changed nothing which is left, and what is too much.
 *
 * @returns whether nothing is left
 */
export function dropRemembered(ledger: Ledger, project: string): boolean {
  return ledger.transaction(() => {
    const published = `SELECT entry.value ->> '$.newPath' AS path, suggestion.state, revision.last_change AS upto
      FROM suggestion JOIN revision ON revision.suggestion = suggestion.id AND revision.n = suggestion.revision,
        json_each(revision.entries) AS entry
      WHERE suggestion.project = ?1 AND revision.last_change > 0
      UNION ALL SELECT entry.value ->> '$.oldPath', suggestion.state, revision.last_change
      FROM suggestion JOIN revision ON revision.suggestion = suggestion.id AND revision.n = suggestion.revision,
        json_each(revision.entries) AS entry
      WHERE suggestion.project = ?1 AND revision.last_change > 0`;
    ledger.change(
      `WITH published AS (${published})
       DELETE FROM file_change WHERE project = ?1
         AND EXISTS (SELECT 1 FROM published WHERE published.path = file_change.path AND state <> 'open' AND upto >= file_change.id)
         AND NOT EXISTS (SELECT 1 FROM published WHERE published.path = file_change.path AND state = 'open')`,
      project,
    );
    ledger.change(
      `DELETE FROM file_change WHERE project = ?1 AND id <=
         (SELECT id FROM file_change WHERE project = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
      project,
      MOST_CHANGES,
    );
    const left =
      ledger.row<{ n: number }>("SELECT count(*) AS n FROM file_change WHERE project = ?", project)?.n ?? 0;
    if (left === 0) ledger.change("DELETE FROM agent_call WHERE project = ?", project);
    return left === 0;
  });
}

/** All of a project: what they refer to is not kept any more. */
export function forgetChanges(ledger: Ledger, project: string): void {
  ledger.transaction(() => {
    ledger.change("DELETE FROM file_change WHERE project = ?", project);
    ledger.change("DELETE FROM agent_call WHERE project = ?", project);
  });
}
