/** Rows of the ledger and what clients see of them. */
import { decodeUtf8, toLatin1 } from "../diff/bytes.ts";
import { pathBase64 } from "../diff/paths.ts";
import type { Entry } from "../diff/raw.ts";
import { ReviewError } from "../protocol/errors.ts";
import type {
  Actor,
  CommentEntry,
  Hunk,
  HunkKind,
  HunkState,
  Lifecycle,
  SuggestionSummary,
} from "../protocol/model.ts";
import type { Ledger } from "./ledger.ts";

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
  settle_needed: number;
  leave_needed: number;
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
  created_at: string;
}

/** The developer's own text for base lines [from, from + count). */
export interface Modification {
  from: number;
  count: number;
  /** base64 of the bytes */
  text: string;
  /** The edited unified diff as it came, for people. */
  diff: string;
}

export interface DecisionRecord {
  by: Actor;
  at: string;
  comment?: string;
  modified?: Modification;
  carried_from?: number;
}

export interface HunkRow {
  suggestion: string;
  revision: number;
  id: string;
  position: number;
  entry: number;
  members: string | null;
  kind: HunkKind;
  file: string;
  path: string;
  old_path: string | null;
  old_mode: string | null;
  new_mode: string | null;
  digest: string;
  old_from: number;
  old_count: number;
  new_from: number;
  new_count: number;
  context_before: number;
  context_after: number;
  encoding: "utf-8" | "latin1" | "binary";
  atomic_reason: string | null;
  diff: Uint8Array;
  split_from: string | null;
  retired: number;
  state: HunkState;
  decision: string | null;
  earlier: string | null;
  comments: string | null;
}

export const decisionOf = (row: Pick<HunkRow, "decision">): DecisionRecord | null =>
  row.decision === null ? null : (JSON.parse(row.decision) as DecisionRecord);

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
      `Suggestion ${shorten(id)} is ${row.state}; its decisions stand`,
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

export function getHunk(ledger: Ledger, suggestion: SuggestionRow, hunkId: string): HunkRow {
  const row = ledger.row<HunkRow>(
    "SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND id = ?",
    suggestion.id,
    suggestion.revision,
    hunkId,
  );
  if (row === null) {
    throw new ReviewError(
      "not_found",
      `hunk_id: no hunk ${shorten(hunkId)} in revision ${suggestion.revision} of the suggestion`,
    );
  }
  if (row.retired === 1) {
    throw new ReviewError("stale_hunk", `Hunk ${shorten(hunkId)} was split; decide on its parts`, {
      details: { hunk_id: hunkId, parts: partsOf(ledger, row).map((part) => part.id) },
    });
  }
  return row;
}

export const partsOf = (ledger: Ledger, row: HunkRow): HunkRow[] =>
  ledger.rows<HunkRow>(
    "SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND split_from = ? ORDER BY old_from, new_from",
    row.suggestion,
    row.revision,
    row.id,
  );

/** Hunks that stand, in order. */
export const standingHunks = (ledger: Ledger, suggestion: string, revision: number): HunkRow[] =>
  ledger.rows<HunkRow>(
    "SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND retired = 0 ORDER BY position, old_from, new_from",
    suggestion,
    revision,
  );

const shorten = (id: string): string => (id.length > 120 ? `${id.slice(0, 120)}…` : id);

/** Hunk bytes as text: UTF-8, or latin1 where that would lose something. */
export const diffText = (row: Pick<HunkRow, "diff" | "encoding">): string =>
  row.encoding === "latin1" ? toLatin1(row.diff) : (decodeUtf8(row.diff) ?? toLatin1(row.diff));

/** Hunk diffs longer than this are left out of pages and events, and fetched by content. */
const DIFF_LIMIT = 256 * 1024;

export function toHunk(row: HunkRow): Hunk {
  const decision = decisionOf(row);
  const text = diffText(row);
  const omitted = row.diff.length > DIFF_LIMIT;
  const base64 = pathBase64(row.path);
  return {
    id: row.id,
    file: row.file,
    diff: omitted ? "" : text,
    ...(omitted ? { diff_omitted: true } : {}),
    diff_bytes: Buffer.byteLength(text),
    digest: row.digest,
    kind: row.kind,
    old_file: row.old_path,
    ...(base64 === undefined ? {} : { file_b64: base64 }),
    old_mode: row.old_mode,
    new_mode: row.new_mode,
    // As a unified header states it: 1-based, the line before the place when the side has no lines.
    old_start: row.old_count === 0 ? row.old_from : row.old_from + 1,
    old_count: row.old_count,
    new_start: row.new_count === 0 ? row.new_from : row.new_from + 1,
    new_count: row.new_count,
    context_before: row.context_before,
    context_after: row.context_after,
    encoding: row.encoding,
    ...(row.atomic_reason === null ? {} : { atomic_reason: row.atomic_reason }),
    state: row.state,
    ...(decision === null
      ? {}
      : {
          decision: {
            by: decision.by,
            at: decision.at,
            ...(decision.comment === undefined ? {} : { comment: decision.comment }),
            ...(decision.modified === undefined ? {} : { modified_diff: decision.modified.diff }),
            ...(decision.carried_from === undefined ? {} : { carried_from: decision.carried_from }),
          },
        }),
    ...(row.earlier === null ? {} : { earlier: JSON.parse(row.earlier) as NonNullable<Hunk["earlier"]> }),
    ...(row.comments === null ? {} : { comments: JSON.parse(row.comments) as CommentEntry[] }),
  };
}

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
  revision = getRevision(ledger, row.id, row.revision),
): SuggestionSummary {
  const reviewed = row.accepted + row.modified + row.rejected;
  const files = ledger.rows<{ file: string }>(
    "SELECT file, min(position) AS first FROM hunk WHERE suggestion = ? AND revision = ? AND retired = 0 GROUP BY file ORDER BY first",
    row.id,
    row.revision,
  );
  return {
    id: row.id,
    jj_change_id: row.change_id,
    description: row.description,
    files: files.map(({ file }) => file),
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
