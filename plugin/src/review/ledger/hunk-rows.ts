/** Hunks in the ledger: their rows, and what clients see of them. */
import { decodeUtf8, toLatin1 } from "../../diff/bytes.ts";
import type { FoundSide, FoundSides } from "../../diff/hunks.ts";
import { displayPath, pathBase64 } from "../../diff/paths.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Actor, CommentEntry, FileSide, Hunk, HunkKind, HunkState } from "../../protocol/model.ts";
import { DIFF_BYTES, INLINE_HUNKS_BYTES } from "../../protocol/sizes.ts";
import type { Ledger } from "./ledger.ts";
import { type SuggestionRow, shorten } from "./suggestion-rows.ts";

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

/** `no`: it stands. `cut`: into parts. `joined`: it is a part of what stands in one piece again. */
export type Retired = "no" | "cut" | "joined";

/** A hunk as it is written: what it is, and what was decided on it so far. */
export interface NewHunk {
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
  split_from: string | null;
  retired: Retired;
  earlier: string | null;
  /** JSON {before, after}, of hunks without lines. */
  sides: string | null;
  diff: Uint8Array;
  state: HunkState;
  decision: string | null;
  comments: string | null;
}

export interface HunkRow extends NewHunk {
  key: number;
}

/** What deciding on a whole hunk needs of it. */
export type HunkHead = Pick<HunkRow, "key" | "id" | "digest" | "state">;
export const HEAD = "key, id, digest, state";

/** Whose batch of decisions it is that a new revision took over from the one before. */
export const CARRIED = "carried";

export const decisionOf = (row: Pick<HunkRow, "decision">): DecisionRecord | null =>
  row.decision === null ? null : (JSON.parse(row.decision) as DecisionRecord);

export function getHunk(ledger: Ledger, suggestion: SuggestionRow, hunkId: string): HunkRow {
  const row = ledger.row<HunkRow>(
    "SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND id = ?",
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
  if (row.retired === "joined") {
    throw new ReviewError(
      "stale_hunk",
      `Hunk ${shorten(hunkId)} is part of ${shorten(row.split_from ?? "")} again; decide on that`,
      { details: { hunk_id: hunkId, joined: row.split_from } },
    );
  }
  if (row.retired === "cut") {
    throw new ReviewError("stale_hunk", `Hunk ${shorten(hunkId)} was split; decide on its parts`, {
      details: { hunk_id: hunkId, parts: partsOf(ledger, row).map((part) => part.id) },
    });
  }
  return row;
}

/** The parts that a hunk is cut into. */
export const partsOf = (ledger: Ledger, row: HunkRow): HunkRow[] =>
  ledger.rows<HunkRow>(
    "SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND split_from = ? AND retired <> 'joined' ORDER BY old_from, new_from",
    row.suggestion,
    row.revision,
    row.id,
  );

/** What was cut from a hunk, at any depth, and is part of it again. */
export function joinedParts(ledger: Ledger, suggestion: SuggestionRow, id: string): HunkRow[] {
  const parts = ledger.rows<HunkRow>(
    `SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND retired = 'joined' AND split_from = ?
     ORDER BY old_from, new_from`,
    suggestion.id,
    suggestion.revision,
    id,
  );
  return parts.flatMap((part) => [part, ...joinedParts(ledger, suggestion, part.id)]);
}

/** Hunks that stand, in order. */
export const standingHunks = (ledger: Ledger, suggestion: string, revision: number): HunkRow[] =>
  ledger.rows<HunkRow>(
    "SELECT * FROM standing_hunk WHERE suggestion = ? AND revision = ? ORDER BY position, old_from, new_from",
    suggestion,
    revision,
  );

/** The whole row of each key, in the order of the keys. */
export function hunksOf(ledger: Ledger, keys: number[]): HunkRow[] {
  const rows = ledger.rows<HunkRow>(
    "SELECT * FROM reviewed_hunk WHERE key IN (SELECT value FROM json_each(?))",
    JSON.stringify(keys),
  );
  const byKey = new Map(rows.map((row) => [row.key, row]));
  return keys.flatMap((key) => byKey.get(key) ?? []);
}

const COLUMNS = [
  "suggestion",
  "revision",
  "id",
  "position",
  "entry",
  "members",
  "kind",
  "file",
  "path",
  "old_path",
  "old_mode",
  "new_mode",
  "digest",
  "old_from",
  "old_count",
  "new_from",
  "new_count",
  "context_before",
  "context_after",
  "encoding",
  "atomic_reason",
  "split_from",
  "retired",
  "earlier",
  "sides",
  "diff",
] as const satisfies readonly (keyof NewHunk)[];

const INSERT = `INSERT INTO hunk (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map(() => "?").join(", ")})`;

/** By this much of its digest a rejected hunk is known when it comes again; see schema.ts. */
export const markOf = (digest: string): string => digest.slice(0, 16);

export function insertHunk(ledger: Ledger, row: NewHunk): HunkRow {
  const hunk = { ...row, key: ledger.insert(INSERT, ...COLUMNS.map((column) => row[column])) };
  if (row.state !== "pending" || row.comments !== null) {
    ledger.change(
      "INSERT INTO hunk_state (hunk, mark, state, decision, comments) VALUES (?, ?, ?, ?, ?)",
      hunk.key,
      markOf(row.digest),
      row.state,
      row.decision,
      row.comments,
    );
  }
  return hunk;
}

export function retire(ledger: Ledger, hunk: HunkRow, retired: Retired): void {
  ledger.change("UPDATE hunk SET retired = ? WHERE key = ?", retired, hunk.key);
  hunk.retired = retired;
}

/** Hunk bytes as text: UTF-8, or latin1 where that would lose something. */
export const diffText = (row: Pick<HunkRow, "diff" | "encoding">): string =>
  row.encoding === "latin1" ? toLatin1(row.diff) : (decodeUtf8(row.diff) ?? toLatin1(row.diff));

/** What stands on both sides as the protocol has it, or null: lines say it, or it is too much for a message. */
export function sidesText(sides: FoundSides | undefined): string | null {
  if (sides === undefined) return null;
  const shown = (side: FoundSide): FileSide => {
    const base64 = pathBase64(side.path);
    const target = side.target === null ? null : decodeUtf8(side.target);
    return {
      file: displayPath(side.path),
      ...(base64 === undefined ? {} : { file_b64: base64 }),
      mode: side.mode,
      oid: side.oid,
      ...(side.size === null ? {} : { size: side.size }),
      ...(target === null ? {} : { target }),
      ...(side.target === null || target !== null
        ? {}
        : { target_b64: Buffer.from(side.target).toString("base64") }),
    };
  };
  const text = JSON.stringify({ before: sides.before.map(shown), after: sides.after.map(shown) });
  return text.length > DIFF_BYTES ? null : text;
}

export function toHunk(row: NewHunk): Hunk {
  const decision = decisionOf(row);
  const text = diffText(row);
  const omitted = row.diff.length > DIFF_BYTES;
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
    ...(row.sides === null ? {} : (JSON.parse(row.sides) as Pick<Hunk, "before" | "after">)),
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

/** Hunks as clients see them, or null when they are too much for one message. */
export function inlineHunks(rows: NewHunk[]): Hunk[] | null {
  let bytes = 0;
  for (const row of rows) {
    bytes += row.diff.length + 600 + (row.sides?.length ?? 0) + row.file.length * 3;
    if (bytes > INLINE_HUNKS_BYTES) return null;
  }
  const hunks = rows.map(toHunk);
  return JSON.stringify(hunks).length > 2 * INLINE_HUNKS_BYTES ? null : hunks;
}
