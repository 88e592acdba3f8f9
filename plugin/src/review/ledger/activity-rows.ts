/**
 * The rows of the agent's activity: one for each entry, as it is now. A form of an entry is written over the one before,
 * under a new number, so that "everything after number N" is what a reader lacks, however many forms it has missed.
 */
import type { ActivityBody, ActivityEntry, ActivityType } from "../../protocol/activity.ts";
import type { Ledger } from "./ledger.ts";

/** A form of an entry, before it is written. */
export interface Draft {
  id: string;
  session: string;
  root: string;
  body: ActivityBody;
  /** Something more is to come of it. */
  open: boolean;
  removed?: boolean;
}

/** Which entries are meant. */
export interface ActivityFilter {
  project?: string | undefined;
  session?: string | undefined;
}

export interface ActivityText {
  number: number;
  json: string;
}

/** Of one root session; more than any screen shows, and what is dropped is in the agent's own session. */
export const MOST_ENTRIES = 5_000;
export const MOST_BYTES = 32 * 1024 * 1024;
/** How much of that goes at once, so that not every entry drops another. */
const KEPT_SHARE = 0.9;

export const lastNumber = (ledger: Ledger): number =>
  ledger.row<{ n: number }>("SELECT coalesce(max(number), 0) AS n FROM activity")?.n ?? 0;

/** Within a transaction. Returns the entry as it was written. */
export function writeEntry(
  ledger: Ledger,
  project: string,
  draft: Draft,
  owner: string,
  now: Date,
): ActivityEntry {
  const before = ledger.row<{ json: string; position: number }>(
    "SELECT json, position FROM activity WHERE id = ?",
    draft.id,
  );
  const ts = now.toISOString();
  const number = lastNumber(ledger) + 1;
  const entry: ActivityEntry = {
    id: draft.id,
    number,
    position: before?.position ?? number,
    project,
    session_id: draft.session,
    root_session_id: draft.root,
    at: before === null ? ts : (JSON.parse(before.json) as ActivityEntry).at,
    ts,
    ...(draft.removed === true ? { removed: true } : {}),
    ...draft.body,
  };
  put(ledger, entry, draft.open, owner);
  return entry;
}

function put(ledger: Ledger, entry: ActivityEntry, open: boolean, owner: string): void {
  const json = JSON.stringify(entry);
  ledger.change(
    `INSERT INTO activity (number, id, position, project, session, root, type, open, owner, message, bytes, json)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
     ON CONFLICT (id) DO UPDATE SET number = ?1, position = ?3, session = ?5, root = ?6, open = ?8, owner = ?9,
       message = ?10, bytes = ?11, json = ?12`,
    entry.number,
    entry.id,
    entry.position,
    entry.project,
    entry.session_id,
    entry.root_session_id,
    entry.type,
    open ? "yes" : "no",
    owner,
    "message_id" in entry ? entry.message_id : null,
    json.length,
    json,
  );
}

/**
 * Drops the oldest entries of a root session that has too many, up to the first that is not over, and says so in an entry
 * of its own in their place. Within a transaction.
 */
export function keepBounded(ledger: Ledger, project: string, root: string, owner: string, now: Date): void {
  const size = ledger.row<{ n: number; bytes: number }>(
    "SELECT count(*) AS n, coalesce(sum(bytes), 0) AS bytes FROM activity WHERE root = ?",
    root,
  );
  if (size === null || (size.n <= MOST_ENTRIES && size.bytes <= MOST_BYTES)) return;
  let { n, bytes } = size;
  let upto = 0;
  const rows = ledger.rows<{ position: number; bytes: number; open: string }>(
    "SELECT position, bytes, open FROM activity WHERE root = ? ORDER BY position",
    root,
  );
  for (const row of rows) {
    const enough = n <= MOST_ENTRIES * KEPT_SHARE && bytes <= MOST_BYTES * KEPT_SHARE;
    if (enough || row.open === "yes") break;
    upto = row.position;
    n -= 1;
    bytes -= row.bytes;
  }
  if (upto > 0)
    dropUpTo(ledger, project, root, upto, "Earlier activity is in the agent's own session only", owner, now);
}

/** Drops entries, and says so in an entry that takes the place of the last of them. Within a transaction. */
export function dropUpTo(
  ledger: Ledger,
  project: string,
  root: string,
  upto: number,
  message: string,
  owner: string,
  now: Date,
): void {
  const id = `${root}/dropped`;
  const number = lastNumber(ledger) + 1;
  const ts = now.toISOString();
  ledger.change("DELETE FROM activity WHERE root = ? AND position <= ?", root, upto);
  const stamp = { id, number, position: upto, project, session_id: root, root_session_id: root, at: ts, ts };
  put(ledger, { ...stamp, type: "agent.notice", kind: "dropped", message, upto }, false, owner);
}

/** In the order of their numbers. */
export function activityTexts(
  ledger: Ledger,
  since: number,
  limit: number,
  { project, session }: ActivityFilter,
): ActivityText[] {
  const where = ["number > ?"];
  const values: (string | number)[] = [since];
  if (project !== undefined) {
    where.push("project = ?");
    values.push(project);
  }
  if (session !== undefined) {
    where.push("(root = ? OR session = ?)");
    values.push(session, session);
  }
  return ledger.rows(
    `SELECT number, json FROM activity WHERE ${where.join(" AND ")} ORDER BY number LIMIT ?`,
    ...values,
    limit,
  );
}

export interface OpenRow {
  json: string;
  owner: string;
  open: "yes" | "no";
}

export const entryById = (ledger: Ledger, id: string): OpenRow | null =>
  ledger.row<OpenRow>("SELECT json, owner, open FROM activity WHERE id = ?", id);

/** Entries of which something more is to come, the oldest first. */
export function openEntries(ledger: Ledger, project: string | undefined, type?: ActivityType): OpenRow[] {
  const where = ["open = 'yes'"];
  const values: string[] = [];
  if (project !== undefined) {
    where.push("project = ?");
    values.push(project);
  }
  if (type !== undefined) {
    where.push("type = ?");
    values.push(type);
  }
  return ledger.rows(
    `SELECT json, owner, open FROM activity WHERE ${where.join(" AND ")} ORDER BY position`,
    ...values,
  );
}

export const entriesOfMessage = (ledger: Ledger, message: string): OpenRow[] =>
  ledger.rows("SELECT json, owner, open FROM activity WHERE message = ?", message);

/** The place of the last entry of a root session; 0 where it has none. */
export const lastPosition = (ledger: Ledger, root: string): number =>
  ledger.row<{ n: number }>("SELECT coalesce(max(position), 0) AS n FROM activity WHERE root = ?", root)?.n ??
  0;
