/**
 * What the rings around the agent refused. Whoever made the rings reports it; alike refusals are one row with a count, and
 * an event tells of one when it is new and at most once a minute after that: an agent that tries in a loop fills nothing.
 */
import type { Refusal } from "../../protocol/model.ts";
import type { SandboxReport } from "../../protocol/queries.ts";
import type { Ledger } from "./ledger.ts";

const QUIET_MS = 60_000;
/** Rows of a project; what is new beyond them is counted as {@link OTHERS}. */
const MOST_ROWS = 1000;
const MOST_SHOWN = 200;
const OTHERS = { target: "*", reason: "others, too many to tell apart", program: "" };

interface Row {
  kind: Refusal["kind"];
  target: string;
  reason: string;
  program: string;
  /** Of the last one that has told it, or nothing. */
  command: string;
  count: number;
  first_at: string;
  last_at: string;
  told_at: string;
}

const KEY = "project = ? AND kind = ? AND target = ? AND reason = ? AND program = ?";

/** Records refusals of a project in one transaction, and tells of those that are news. */
export function recordRefusals(
  ledger: Ledger,
  project: string,
  refusals: readonly Refusal[],
  now: Date,
): void {
  ledger.transaction(() => {
    for (const refusal of refusals) record(ledger, project, refusal, now);
  });
}

function record(ledger: Ledger, project: string, refusal: Refusal, now: Date): void {
  const at = now.toISOString();
  const exact = { ...refusal, program: refusal.program ?? "" };
  const known = rowOf(ledger, project, exact);
  const full = known === null && countOf(ledger, "count(*)", project) >= MOST_ROWS;
  const { kind, target, reason, program } = full ? { ...exact, ...OTHERS } : exact;
  const before = full ? rowOf(ledger, project, { kind, ...OTHERS }) : known;
  const total = (before?.count ?? 0) + refusal.count;
  // Not a part of what makes refusals alike: one that tries by ever another command would be news each time.
  const command = full ? "" : (refusal.command ?? "");
  const news = before === null || now.getTime() - Date.parse(before.told_at) >= QUIET_MS;
  ledger.change(
    `INSERT INTO refusal (project, kind, target, reason, program, command, count, first_at, last_at, told_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET command = coalesce(nullif(excluded.command, ''), command), count = excluded.count, last_at = excluded.last_at,
       told_at = excluded.told_at`,
    project,
    kind,
    target,
    reason,
    program,
    command,
    total,
    at,
    at,
    news ? at : before.told_at,
  );
  if (!news) return;
  const told = { ...(program === "" ? {} : { program }), ...(command === "" ? {} : { command }) };
  ledger.emit(
    project,
    { type: "sandbox.refused", kind, target, reason, ...told, count: refusal.count, total },
    now,
  );
}

function rowOf(
  ledger: Ledger,
  project: string,
  { kind, target, reason, program }: Pick<Row, "kind" | "target" | "reason" | "program">,
): Row | null {
  return ledger.row<Row>(`SELECT * FROM refusal WHERE ${KEY}`, project, kind, target, reason, program);
}

function countOf(
  ledger: Ledger,
  what: "count(*)" | "coalesce(sum(count), 0)",
  project: string | null,
): number {
  const where = project === null ? "" : "WHERE project = ?";
  const values = project === null ? [] : [project];
  return ledger.row<{ n: number }>(`SELECT ${what} AS n FROM refusal ${where}`, ...values)?.n ?? 0;
}

/** @param project null for all */
export const refusedCount = (ledger: Ledger, project: string | null): number =>
  countOf(ledger, "coalesce(sum(count), 0)", project);

/** The latest first. @param project null for all */
export function refusalReport(ledger: Ledger, project: string | null): SandboxReport {
  const rows = ledger.rows<Row>(
    `SELECT kind, target, reason, program, command, count, first_at, last_at FROM refusal
     WHERE ?1 IS NULL OR project = ?1 ORDER BY last_at DESC, target LIMIT ?2`,
    project,
    MOST_SHOWN,
  );
  return {
    refused: refusedCount(ledger, project),
    refusals: rows.map(({ kind, target, reason, program, command, count, first_at, last_at }) => ({
      kind,
      target,
      reason,
      ...(program === "" ? {} : { program }),
      ...(command === "" ? {} : { command }),
      count,
      first_at,
      last_at,
    })),
  };
}
