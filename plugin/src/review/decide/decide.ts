/**
 * Decisions on hunks: accept, reject, modify, split, undo, redo, comment. One request is one transaction: hunks,
 * history, events, the answer of its request id and the note for the agent are written together or not at all.
 */

import type {
  BatchRequest,
  CommentRequest,
  DecisionResult,
  FeedbackRequest,
  HunkDecision,
  UndoRequest,
} from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Actor, HunkState } from "../../protocol/model.ts";
import {
  CARRIED,
  type DecisionRecord,
  getHunk,
  HEAD,
  type HunkHead,
  hunksOf,
  joinedParts,
  toHunk,
} from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { once } from "../ledger/request-ids.ts";
import { getDecidable, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { BatchWriter } from "./decision-writer.ts";
import { type ReadBase, readModification } from "./modification.ts";

export interface DecideContext {
  ledger: Ledger;
  readBase: ReadBase;
  now: () => Date;
}

const STATE_OF = { accept: "accepted", reject: "rejected", modify: "modified" } as const;

export function decide(context: DecideContext, request: FeedbackRequest, by: Actor): DecisionResult {
  return once(context.ledger, "feedback", request, () => {
    const { suggestion_id, request_id: _, ...decision } = request;
    return decideBatch(context, suggestion_id, [decision], by);
  });
}

export function decideMany(context: DecideContext, request: BatchRequest, by: Actor): DecisionResult {
  return once(context.ledger, "batch", request, () => {
    if (request.decisions !== undefined)
      return decideBatch(context, request.suggestion_id, request.decisions, by);
    const scope = request.scope;
    if (scope === undefined)
      throw new ReviewError("invalid_request", "decisions: expected either decisions or scope");
    const suggestion = getDecidable(context.ledger, request.suggestion_id);
    if (scope.revision !== undefined && scope.revision !== suggestion.revision) {
      throw new ReviewError(
        "stale_hunk",
        `Revision ${suggestion.revision} was published meanwhile; look at it first`,
        {
          details: { revision: suggestion.revision },
        },
      );
    }
    const hunks = context.ledger.rows<HunkHead>(
      `SELECT ${HEAD} FROM standing_hunk WHERE suggestion = ?1 AND revision = ?2
         AND (?3 IS NULL OR file = ?3) AND (?4 = 'all' OR state = 'pending')
       ORDER BY position, old_from, new_from`,
      suggestion.id,
      suggestion.revision,
      scope.file ?? null,
      scope.include,
    );
    if (hunks.length === 0) {
      throw new ReviewError(
        "nothing_to_do",
        scope.file === undefined
          ? "No hunk is left to decide"
          : `file: no hunk of ${scope.file} is left to decide`,
      );
    }
    const writer = new BatchWriter(context.ledger, context.now(), suggestion, by);
    writer.setTogether(hunks, STATE_OF[scope.action], recordOf(writer, scope.comment));
    return writer.finish();
  });
}

const recordOf = (writer: BatchWriter, comment: string | undefined): DecisionRecord => ({
  by: writer.by,
  at: writer.at,
  ...(comment === undefined || comment === "" ? {} : { comment }),
});

function decideBatch(
  context: DecideContext,
  suggestionId: string,
  decisions: HunkDecision[],
  by: Actor,
): DecisionResult {
  const { ledger } = context;
  const writer = new BatchWriter(ledger, context.now(), getDecidable(ledger, suggestionId), by);
  // Whole hunks accepted or rejected depend on nothing that the same request writes: they are written together.
  const isPlain =
    decisions.length > 1 &&
    decisions.every(({ action, lines }) => action !== "modify" && lines === undefined);
  if (isPlain) decideTogether(ledger, writer, decisions);
  else decideInTurn(context, writer, decisions);
  return writer.finish();
}

function decideTogether(ledger: Ledger, writer: BatchWriter, decisions: HunkDecision[]): void {
  const known = headsOf(ledger, writer.suggestion, decisions);
  const alike = new Map<string, { hunks: HunkHead[]; state: HunkState; record: DecisionRecord }>();
  const seen = new Set<string>();
  decisions.forEach((decision, index) => {
    checkOnce(seen, decision, index);
    // What is not among them is looked at by itself, for its own refusal.
    const hunk = known.get(decision.hunk_id) ?? getHunk(ledger, writer.suggestion, decision.hunk_id);
    checkDigest(ledger, decision, hunk);
    const group = `${decision.action} ${decision.comment ?? ""}`;
    const same = alike.get(group);
    if (same !== undefined) same.hunks.push(hunk);
    else
      alike.set(group, {
        hunks: [hunk],
        state: STATE_OF[decision.action],
        record: recordOf(writer, decision.comment),
      });
  });
  for (const { hunks, state, record } of alike.values()) writer.setTogether(hunks, state, record);
}

function decideInTurn(context: DecideContext, writer: BatchWriter, decisions: HunkDecision[]): void {
  const { ledger } = context;
  const seen = new Set<string>();
  decisions.forEach((decision, index) => {
    checkOnce(seen, decision, index);
    let hunk = getHunk(ledger, writer.suggestion, decision.hunk_id);
    checkDigest(ledger, decision, hunk);
    if (decision.lines !== undefined) hunk = writer.split(hunk, decision.lines);
    const record = recordOf(writer, decision.comment);
    if (decision.action === "modify")
      record.modified = readModification(context, writer.suggestion, hunk, decision);
    writer.set(hunk, STATE_OF[decision.action], record);
  });
}

function checkOnce(seen: Set<string>, decision: HunkDecision, index: number): void {
  if (seen.has(decision.hunk_id) && decision.lines === undefined) {
    throw new ReviewError(
      "invalid_request",
      `decisions.${index}.hunk_id: this hunk is decided twice in one request`,
    );
  }
  seen.add(decision.hunk_id);
}

/** What is decided is what was shown. */
function checkDigest(ledger: Ledger, decision: HunkDecision, hunk: HunkHead): void {
  if (decision.digest === undefined || decision.digest === hunk.digest) return;
  throw new ReviewError(
    "stale_hunk",
    "digest: the hunk has changed since this decision was made; look at it again",
    { details: { hunk: hunksOf(ledger, [hunk.key]).map(toHunk)[0] } },
  );
}

/** Standing hunks of a request in one query. */
function headsOf(
  ledger: Ledger,
  suggestion: SuggestionRow,
  decisions: HunkDecision[],
): Map<string, HunkHead> {
  const rows = ledger.rows<HunkHead>(
    `SELECT ${HEAD} FROM standing_hunk WHERE suggestion = ? AND revision = ?
       AND id IN (SELECT value FROM json_each(?))`,
    suggestion.id,
    suggestion.revision,
    JSON.stringify(decisions.map((decision) => decision.hunk_id)),
  );
  return new Map(rows.map((row) => [row.id, row]));
}

export function undo(context: DecideContext, request: UndoRequest, by: Actor): DecisionResult {
  return once(context.ledger, "undo", request, () => revert(context, request, by, "undo"));
}

export function redo(context: DecideContext, request: UndoRequest, by: Actor): DecisionResult {
  return once(context.ledger, "redo", request, () => revert(context, request, by, "redo"));
}

interface DecisionRow {
  id: number;
  batch: number;
  by: Actor | typeof CARRIED;
  hunk: number;
  before_state: HunkState;
  before: string | null;
  after_state: HunkState;
  after: string | null;
  /** 0, or when it was taken back: later is greater. */
  undone: number;
}

const HISTORY = `SELECT decision.*, decision_batch.by AS by FROM decision
  JOIN decision_batch ON decision_batch.id = decision.batch
  WHERE decision_batch.suggestion = ? AND decision_batch.revision = ?`;
// Undo takes the newest that stands, redo what was taken back last.
const NEXT = {
  undo: "decision.undone = 0 ORDER BY decision.id DESC LIMIT 1",
  redo: "decision.undone > 0 ORDER BY decision.undone DESC, decision.id LIMIT 1",
};

function revert(
  context: DecideContext,
  request: UndoRequest,
  by: Actor,
  way: "undo" | "redo",
): DecisionResult {
  const { ledger } = context;
  const suggestion = getDecidable(ledger, request.suggestion_id);
  const writer = new BatchWriter(ledger, context.now(), suggestion, by);
  const found = nextInHistory(ledger, suggestion, request.hunk_id, way);
  if (found === null) {
    throw new ReviewError(
      "nothing_to_do",
      `hunk_id: there is nothing to ${way}${request.hunk_id === undefined ? "" : " on this hunk"}`,
    );
  }
  // What a new revision took over was not decided in one go, and is taken back one by one.
  const rows =
    request.hunk_id !== undefined || found.by === CARRIED
      ? [found]
      : ledger.rows<DecisionRow>(
          `SELECT * FROM decision WHERE batch = ? AND undone = ? ORDER BY id ${way === "undo" ? "DESC" : "ASC"}`,
          found.batch,
          found.undone,
        );
  const stamp = way === "undo" ? ledger.lastSeq() + 1 : 0;
  for (const row of rows) {
    const [hunk] = hunksOf(ledger, [row.hunk]);
    if (hunk === undefined) throw new ReviewError("internal", "A decision is on a hunk that is not there");
    if (hunk.retired === "joined") writer.cutAgain(hunk);
    const [state, record] = way === "undo" ? [row.before_state, row.before] : [row.after_state, row.after];
    ledger.change("UPDATE decision SET undone = ? WHERE id = ?", stamp, row.id);
    writer.restore(hunk, state, record === null ? null : (JSON.parse(record) as DecisionRecord));
  }
  writer.joinParts();
  return writer.finish();
}

function nextInHistory(
  ledger: Ledger,
  suggestion: SuggestionRow,
  hunkId: string | undefined,
  way: "undo" | "redo",
): DecisionRow | null {
  if (hunkId === undefined) {
    return ledger.row<DecisionRow>(
      `${HISTORY} ${way === "undo" ? `AND decision_batch.by <> '${CARRIED}'` : ""} AND ${NEXT[way]}`,
      suggestion.id,
      suggestion.revision,
    );
  }
  const hunk = getHunk(ledger, suggestion, hunkId);
  return ledger.row<DecisionRow>(
    `${HISTORY} AND decision.hunk IN (SELECT value FROM json_each(?)) AND ${NEXT[way]}`,
    suggestion.id,
    suggestion.revision,
    JSON.stringify([hunk, ...joinedParts(ledger, suggestion, hunk.id)].map(({ key }) => key)),
  );
}

export function comment(context: DecideContext, request: CommentRequest, by: Actor): DecisionResult {
  const { ledger } = context;
  return once(ledger, "comment", request, () => {
    const suggestion = getDecidable(ledger, request.suggestion_id);
    const writer = new BatchWriter(ledger, context.now(), suggestion, by);
    writer.comment(getHunk(ledger, suggestion, request.hunk_id), request.comment);
    return writer.finish();
  });
}
