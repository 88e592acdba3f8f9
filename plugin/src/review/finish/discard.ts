/**
 * Discarding a suggestion, and taking that back. A discard only closes the suggestion and has its change settled: hunks,
 * decisions and their history stay in the ledger, and so the way back is open until the change is published again.
 */

import type { CompleteRequest, CompleteResult, DecisionResult, UndoRequest } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Actor } from "../../protocol/model.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { answered, once, recordAnswer } from "../ledger/request-ids.ts";
import { getDecidable, getSuggestion, nextStamp, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { enqueue } from "../tell/outbox.ts";

export interface EndContext {
  ledger: Ledger;
  now: () => Date;
}

export function discard(context: EndContext, request: CompleteRequest, by: Actor): CompleteResult {
  const { ledger } = context;
  return ledger.transaction(() => {
    const again = answered<CompleteResult>(ledger, "complete", request);
    if (again !== null) return again;
    const suggestion = getDecidable(ledger, request.suggestion_id);
    recordDiscard(context, suggestion, by);
    const answer: CompleteResult = { success: true, suggestion_id: suggestion.id, action: "discarded" };
    recordAnswer(ledger, "complete", request, answer);
    return answer;
  });
}

function recordDiscard(context: EndContext, suggestion: SuggestionRow, by: Actor): number {
  closeSuggestion(context, suggestion, "discarded");
  context.ledger.change("UPDATE suggestion SET discard_undone = 0 WHERE id = ?", suggestion.id);
  const { seq } = context.ledger.emit(
    suggestion.project,
    { type: "suggestion.completed", suggestion_id: suggestion.id, action: "discarded", by },
    context.now(),
  );
  tellAgent(
    context,
    suggestion,
    "The developer discarded this suggestion. Hunks accepted before stay accepted; everything else is taken out of your change.",
  );
  return seq;
}

/** @returns null when the suggestion is not discarded: undo means a decision then */
export function undoDiscard(context: EndContext, request: UndoRequest, by: Actor): DecisionResult | null {
  const { ledger } = context;
  const suggestion = getSuggestion(ledger, request.suggestion_id);
  if (suggestion.state !== "discarded" || request.hunk_id !== undefined) return null;
  return once(ledger, "undo", request, () => {
    checkNotPublishedSince(ledger, suggestion);
    ledger.change(
      `UPDATE suggestion SET state = 'open', settle_needed = 'yes', discard_undone = ?, updated_at = ? WHERE id = ?`,
      ledger.lastSeq() + 1,
      nextStamp(suggestion.updated_at, context.now()),
      suggestion.id,
    );
    // What stands on its change is stacked on it again.
    ledger.change(
      `UPDATE suggestion SET stacked_on = ?1 WHERE project = ?2 AND state = 'open' AND stacked_on IS NULL
         AND id IN (SELECT suggestion FROM revision WHERE n = suggestion.revision AND base_commit = ?3)`,
      suggestion.id,
      suggestion.project,
      suggestion.agent_commit,
    );
    const { seq } = ledger.emit(
      suggestion.project,
      { type: "suggestion.reopened", suggestion_id: suggestion.id, by },
      context.now(),
    );
    tellAgent(
      context,
      suggestion,
      "The developer took the discard of this suggestion back: it is under review again, and what is undecided comes back into your change.",
    );
    return answerOf(ledger, suggestion.id, seq, "open");
  });
}

/** @returns null when something else was taken back since, or nothing: redo means a decision then */
export function redoDiscard(context: EndContext, request: UndoRequest, by: Actor): DecisionResult | null {
  const { ledger } = context;
  const suggestion = getSuggestion(ledger, request.suggestion_id);
  if (suggestion.state !== "open" || suggestion.discard_undone === 0 || request.hunk_id !== undefined)
    return null;
  const latest = ledger.row<{ undone: number | null }>(
    `SELECT max(undone) AS undone FROM decision JOIN decision_batch ON decision_batch.id = decision.batch
     WHERE decision_batch.suggestion = ? AND decision_batch.revision = ?`,
    suggestion.id,
    suggestion.revision,
  );
  if ((latest?.undone ?? 0) > suggestion.discard_undone) return null;
  return once(ledger, "redo", request, () => {
    const seq = recordDiscard(context, getDecidable(ledger, suggestion.id), by);
    return answerOf(ledger, suggestion.id, seq, "discarded");
  });
}

/** Two suggestions of one change would each settle it to a tree of its own. */
function checkNotPublishedSince(ledger: Ledger, suggestion: SuggestionRow): void {
  const later = ledger.row<{ id: string; state: string }>(
    "SELECT id, state FROM suggestion WHERE project = ? AND change_id = ? AND id <> ? AND created_at >= ? LIMIT 1",
    suggestion.project,
    suggestion.change_id,
    suggestion.id,
    suggestion.created_at,
  );
  if (later === null) return;
  throw new ReviewError(
    "suggestion_closed",
    `The change was published again meanwhile, as suggestion ${later.id}: the discard cannot be taken back any more`,
    { details: { state: suggestion.state, published_as: later.id } },
  );
}

function answerOf(ledger: Ledger, id: string, seq: number, state: "open" | "discarded"): DecisionResult {
  const row = getSuggestion(ledger, id);
  const reviewed = row.accepted + row.modified + row.rejected;
  return {
    success: true,
    suggestion_id: id,
    revision: row.revision,
    hunks: [],
    changed: 0,
    remaining_hunks: row.hunk_count - reviewed,
    reviewed_count: reviewed,
    hunk_count: row.hunk_count,
    seq,
    state,
  };
}

/** No decision is taken from here on; what is left over goes at the next settle. */
export function closeSuggestion(
  { ledger, now }: EndContext,
  suggestion: SuggestionRow,
  state: "finalized" | "discarded",
): void {
  ledger.change(
    "UPDATE suggestion SET state = ?, settle_needed = 'yes', updated_at = ? WHERE id = ?",
    state,
    nextStamp(suggestion.updated_at, now()),
    suggestion.id,
  );
}

export function tellAgent({ ledger, now }: EndContext, suggestion: SuggestionRow, message: string): void {
  const head = {
    project: suggestion.project,
    suggestion: suggestion.id,
    session: suggestion.session,
    kind: "note" as const,
    at: now().toISOString(),
  };
  enqueue(ledger, head, { description: suggestion.description, message });
}
