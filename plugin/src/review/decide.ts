/**
 * Decisions on hunks: accept, reject, modify, split, undo, redo, comment. One request is one transaction: hunks,
 * history, events, the answer of its request id and the note for the agent are written together or not at all.
 */
import { concat, fromLatin1, lineOffsets, utf8 } from "../diff/bytes.ts";
import { hunkDigest } from "../diff/digest.ts";
import { encodingOf, linesOfDiff } from "../diff/hunks.ts";
import { formatRun, parseEdited } from "../diff/unified.ts";
import { ReviewError } from "../protocol/errors.ts";
import type { EventBody } from "../protocol/events.ts";
import type { Actor, CommentEntry, HunkState } from "../protocol/model.ts";
import type {
  BatchRequest,
  CommentRequest,
  FeedbackRequest,
  HunkDecision,
  UndoRequest,
} from "../protocol/requests.ts";
import type { DecisionResult } from "./contract.ts";
import type { Ledger } from "./ledger.ts";
import { enqueue, type FeedbackItem } from "./outbox.ts";
import { once } from "./request-ids.ts";
import {
  type DecisionRecord,
  decisionOf,
  getDecidable,
  getHunk,
  getOpen,
  type HunkRow,
  type Modification,
  nextStamp,
  partsOf,
  type SuggestionRow,
  standingHunks,
  toHunk,
} from "./rows.ts";

/** Reads the base file of a hunk; used only for modifications. */
export type ReadBase = (suggestion: SuggestionRow, hunk: HunkRow) => Uint8Array;

export interface DecideContext {
  ledger: Ledger;
  readBase: ReadBase;
  now: () => Date;
}

const LF = 10;
const ANSWERED_HUNKS = 200;
const STATE_OF = { accept: "accepted", reject: "rejected", modify: "modified" } as const;

export function decide(context: DecideContext, request: FeedbackRequest, by: Actor): DecisionResult {
  return once(context.ledger, "decide", request, () => {
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
    const hunks = standingHunks(context.ledger, suggestion.id, suggestion.revision).filter(
      (hunk) =>
        (scope.file === undefined || hunk.file === scope.file) &&
        (scope.include === "all" || hunk.state === "pending"),
    );
    if (hunks.length === 0) {
      throw new ReviewError(
        "nothing_to_do",
        scope.file === undefined
          ? "No hunk is left to decide"
          : `file: no hunk of ${scope.file} is left to decide`,
      );
    }
    const decisions = hunks.map((hunk) => ({
      hunk_id: hunk.id,
      action: scope.action,
      ...(scope.comment === undefined ? {} : { comment: scope.comment }),
    }));
    return decideBatch(context, suggestion.id, decisions, by, hunks);
  });
}

function decideBatch(
  context: DecideContext,
  suggestionId: string,
  decisions: HunkDecision[],
  by: Actor,
  loaded?: HunkRow[],
): DecisionResult {
  const { ledger } = context;
  const writer = new BatchWriter(context, getDecidable(ledger, suggestionId), by);
  const seen = new Set<string>();
  // Whole hunks accepted or rejected depend on nothing that the same request writes: they are written together.
  const isPlain =
    decisions.length > 1 &&
    decisions.every(({ action, lines }) => action !== "modify" && lines === undefined);
  const known = isPlain && loaded === undefined ? getHunks(ledger, writer.suggestion, decisions) : null;
  const together: { hunk: HunkRow; state: HunkState; record: DecisionRecord }[] = [];
  decisions.forEach((decision, index) => {
    if (seen.has(decision.hunk_id) && decision.lines === undefined) {
      throw new ReviewError(
        "invalid_request",
        `decisions.${index}.hunk_id: this hunk is decided twice in one request`,
      );
    }
    seen.add(decision.hunk_id);
    let hunk =
      loaded?.[index] ?? known?.get(decision.hunk_id) ?? getHunk(ledger, writer.suggestion, decision.hunk_id);
    if (decision.digest !== undefined && decision.digest !== hunk.digest) {
      throw new ReviewError(
        "stale_hunk",
        "digest: the hunk has changed since this decision was made; look at it again",
        {
          details: { hunk: toHunk(hunk) },
        },
      );
    }
    if (decision.lines !== undefined) hunk = writer.split(hunk, decision.lines);
    const record: DecisionRecord = { by, at: writer.at };
    if (decision.comment !== undefined && decision.comment !== "") record.comment = decision.comment;
    if (decision.action === "modify")
      record.modified = readModification(context, writer.suggestion, hunk, decision);
    if (isPlain) together.push({ hunk, state: STATE_OF[decision.action], record });
    else writer.set(hunk, STATE_OF[decision.action], record);
  });
  writer.setTogether(together);
  return writer.finish();
}

/** Standing hunks of a request in one query; what is not among them is looked at one by one, for its own refusal. */
function getHunks(
  ledger: Ledger,
  suggestion: SuggestionRow,
  decisions: HunkDecision[],
): Map<string, HunkRow> {
  const rows = ledger.rows<HunkRow>(
    `SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND retired = 0
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
  hunk: string;
  before_state: HunkState;
  before: string | null;
  after_state: HunkState;
  after: string | null;
}

const HISTORY = `SELECT decision.* FROM decision JOIN decision_batch ON decision_batch.id = decision.batch
  WHERE decision.suggestion = ? AND decision_batch.revision = ?`;

function revert(
  context: DecideContext,
  request: UndoRequest,
  by: Actor,
  way: "undo" | "redo",
): DecisionResult {
  const { ledger } = context;
  const suggestion = getDecidable(ledger, request.suggestion_id);
  const writer = new BatchWriter(context, suggestion, by);
  const undone = way === "undo" ? 0 : 1;
  // Undo takes the newest that stands, redo the oldest that was taken back.
  const order = way === "undo" ? "DESC" : "ASC";
  if (request.hunk_id !== undefined) getHunk(ledger, suggestion, request.hunk_id);
  const found =
    request.hunk_id === undefined
      ? ledger.row<DecisionRow>(
          `${HISTORY} AND undone = ${undone} ORDER BY decision.id ${order} LIMIT 1`,
          suggestion.id,
          suggestion.revision,
        )
      : ledger.row<DecisionRow>(
          `${HISTORY} AND undone = ${undone} AND hunk = ? ORDER BY decision.id ${order} LIMIT 1`,
          suggestion.id,
          suggestion.revision,
          request.hunk_id,
        );
  if (found === null) {
    throw new ReviewError(
      "nothing_to_do",
      `hunk_id: there is nothing to ${way}${request.hunk_id === undefined ? "" : " on this hunk"}`,
    );
  }
  const rows =
    request.hunk_id === undefined
      ? ledger.rows<DecisionRow>(
          `SELECT * FROM decision WHERE batch = ? AND undone = ${undone} ORDER BY id ${order}`,
          found.batch,
        )
      : [found];
  for (const row of rows) {
    const hunk = getHunk(ledger, suggestion, row.hunk);
    const [state, record] = way === "undo" ? [row.before_state, row.before] : [row.after_state, row.after];
    ledger.change("UPDATE decision SET undone = ? WHERE id = ?", 1 - undone, row.id);
    writer.restore(hunk, state, record === null ? null : (JSON.parse(record) as DecisionRecord));
  }
  writer.joinParts();
  return writer.finish();
}

export function comment(context: DecideContext, request: CommentRequest, by: Actor): DecisionResult {
  return once(context.ledger, "comment", request, () => {
    const writer = new BatchWriter(context, getDecidable(context.ledger, request.suggestion_id), by);
    writer.comment(getHunk(context.ledger, writer.suggestion, request.hunk_id), request.comment);
    return writer.finish();
  });
}

function readModification(
  context: DecideContext,
  suggestion: SuggestionRow,
  hunk: HunkRow,
  decision: HunkDecision,
): Modification {
  const diff = decision.modified_diff;
  if (diff === undefined)
    throw new ReviewError("invalid_request", "modified_diff: required when action is modify");
  if (hunk.atomic_reason !== null) {
    throw new ReviewError(
      "invalid_modification",
      `modified_diff: this ${hunk.kind} hunk cannot be edited, ${hunk.atomic_reason}; accept or reject it`,
    );
  }
  const bytes = hunk.encoding === "latin1" ? encodeLatin1(diff) : utf8(diff);
  const base = context.readBase(suggestion, hunk);
  const free = freeRange(context.ledger, suggestion, hunk, lineOffsets(base).length - 1);
  const replacement = parseEdited(bytes, base, free);
  const end = replacement.from + replacement.count;
  const open = replacement.text.length > 0 && replacement.text[replacement.text.length - 1] !== LF;
  if (open && othersOf(context.ledger, suggestion, hunk).some((other) => other.old_from >= end)) {
    throw new ReviewError(
      "invalid_modification",
      "modified_diff: only the file's last line may lack its newline, and another hunk adds lines after these",
    );
  }
  return {
    from: replacement.from,
    count: replacement.count,
    text: Buffer.from(replacement.text).toString("base64"),
    diff,
  };
}

function encodeLatin1(text: string): Uint8Array {
  for (const character of text) {
    if ((character.codePointAt(0) ?? 0) > 255) {
      throw new ReviewError(
        "invalid_modification",
        `modified_diff: this file is not UTF-8, so that "${character}" cannot be written to it`,
      );
    }
  }
  return fromLatin1(text);
}

/** The other hunks of the same file that have lines. */
const othersOf = (ledger: Ledger, suggestion: SuggestionRow, hunk: HunkRow): HunkRow[] =>
  ledger.rows<HunkRow>(
    `SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND retired = 0 AND entry = ? AND id <> ?
     AND atomic_reason IS NULL`,
    suggestion.id,
    suggestion.revision,
    hunk.entry,
    hunk.id,
  );

/** Base lines that neither another hunk nor another's modification claims, around this hunk. */
function freeRange(
  ledger: Ledger,
  suggestion: SuggestionRow,
  hunk: HunkRow,
  baseLines: number,
): { from: number; to: number } {
  let from = 0;
  let to = baseLines;
  for (const other of othersOf(ledger, suggestion, hunk)) {
    for (const claim of claimsOf(other)) {
      const isBefore =
        claim.from < hunk.old_from ||
        (claim.from === hunk.old_from && (other.new_from < hunk.new_from || claim.to < hunk.old_from));
      if (isBefore) from = Math.max(from, claim.to);
      else to = Math.min(to, claim.from);
    }
  }
  return { from, to };
}

function claimsOf(hunk: HunkRow, modified = decisionOf(hunk)?.modified): { from: number; to: number }[] {
  const claims = [{ from: hunk.old_from, to: hunk.old_from + hunk.old_count }];
  if (modified !== undefined) claims.push({ from: modified.from, to: modified.from + modified.count });
  return claims;
}

/** Collects the effects of one request and writes them. */
class BatchWriter {
  readonly at: string;
  readonly #now: Date;
  readonly #ledger: Ledger;
  readonly #touched = new Map<string, HunkRow>();
  readonly #items: FeedbackItem[] = [];
  readonly #counts = { accepted: 0, modified: 0, rejected: 0, pending: 0 };
  #hunksAdded = 0;
  #batch: number | null = null;
  #seq = 0;

  constructor(
    context: DecideContext,
    readonly suggestion: SuggestionRow,
    readonly by: Actor,
  ) {
    this.#ledger = context.ledger;
    this.#now = context.now();
    this.at = this.#now.toISOString();
  }

  #batchId(): number {
    if (this.#batch === null) {
      this.#ledger.change(
        "INSERT INTO decision_batch (suggestion, revision, by, at) VALUES (?, ?, ?, ?)",
        this.suggestion.id,
        this.suggestion.revision,
        this.by,
        this.at,
      );
      this.#batch = this.#ledger.row<{ id: number }>("SELECT last_insert_rowid() AS id")?.id ?? 0;
    }
    return this.#batch;
  }

  /** Many whole hunks, each once: the same as {@link set} of each, in a handful of statements. */
  setTogether(decisions: { hunk: HunkRow; state: HunkState; record: DecisionRecord }[]): void {
    if (decisions.length === 0) return;
    const ledger = this.#ledger;
    const { id, revision } = this.suggestion;
    const texts = new Map<DecisionRecord["comment"], string>();
    const rows = decisions.map(({ hunk, state, record }) => {
      let text = texts.get(record.comment);
      if (text === undefined) {
        text = JSON.stringify(record);
        texts.set(record.comment, text);
      }
      return [hunk.id, hunk.state, hunk.decision, state, text] as const;
    });
    const given = JSON.stringify(rows);
    ledger.change(
      `DELETE FROM decision WHERE suggestion = ? AND undone = 1
         AND hunk IN (SELECT value ->> 0 FROM json_each(?))`,
      id,
      given,
    );
    ledger.change(
      `INSERT INTO decision (batch, suggestion, hunk, before_state, before, after_state, after)
       SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) ORDER BY key`,
      this.#batchId(),
      id,
      given,
    );
    const alike = Map.groupBy(rows, ([, , , state, text]) => `${state} ${text}`);
    for (const group of alike.values()) {
      const [, , , state, text] = group[0] as [string, HunkState, string | null, HunkState, string];
      ledger.change(
        `UPDATE hunk SET state = ?, decision = ? WHERE suggestion = ? AND revision = ?
           AND id IN (SELECT value FROM json_each(?))`,
        state,
        text,
        id,
        revision,
        JSON.stringify(group.map(([hunkId]) => hunkId)),
      );
    }
    const bodies = decisions.map(({ hunk, state, record }, index) =>
      this.#taken(hunk, state, record, rows[index]?.[4] ?? null),
    );
    this.#seq = ledger.emitMany(this.suggestion.project, id, bodies, this.#now);
  }

  /** A new decision: history grows, and what was undone on this hunk can no longer be done again. */
  set(hunk: HunkRow, state: HunkState, record: DecisionRecord): void {
    const ledger = this.#ledger;
    ledger.change(
      "DELETE FROM decision WHERE suggestion = ? AND hunk = ? AND undone = 1",
      this.suggestion.id,
      hunk.id,
    );
    ledger.change(
      "INSERT INTO decision (batch, suggestion, hunk, before_state, before, after_state, after) VALUES (?, ?, ?, ?, ?, ?, ?)",
      this.#batchId(),
      this.suggestion.id,
      hunk.id,
      hunk.state,
      hunk.decision,
      state,
      JSON.stringify(record),
    );
    this.#write(hunk, state, record);
  }

  /** Back to, or again to, a state from the history. */
  restore(hunk: HunkRow, state: HunkState, record: DecisionRecord | null): void {
    if (record?.modified !== undefined) {
      const free = freeRange(this.#ledger, this.suggestion, hunk, Number.MAX_SAFE_INTEGER);
      const { from, count } = record.modified;
      if (from < free.from || from + count > free.to) {
        throw new ReviewError(
          "invalid_modification",
          "A neighbouring hunk was modified meanwhile and holds the same lines; undo that first",
        );
      }
    }
    this.#write(hunk, state, record);
  }

  #write(hunk: HunkRow, state: HunkState, record: DecisionRecord | null): void {
    const text = record === null ? null : JSON.stringify(record);
    this.#ledger.change(
      "UPDATE hunk SET state = ?, decision = ? WHERE suggestion = ? AND revision = ? AND id = ?",
      state,
      text,
      hunk.suggestion,
      hunk.revision,
      hunk.id,
    );
    this.#emit(this.#taken(hunk, state, record, text));
  }

  /** Counts a hunk's new state, and says what event tells of it. */
  #taken(hunk: HunkRow, state: HunkState, record: DecisionRecord | null, text: string | null): EventBody {
    this.#counts[hunk.state]--;
    this.#counts[state]++;
    hunk.state = state;
    hunk.decision = text;
    this.#touched.set(hunk.id, hunk);
    this.#items.push(feedbackItem(hunk, state, record));
    const common = {
      suggestion_id: hunk.suggestion,
      hunk_id: hunk.id,
      digest: hunk.digest,
      revision: hunk.revision,
      by: this.by,
    };
    if (state === "pending") return { type: "suggestion.hunk_reset", ...common };
    return {
      type: "suggestion.hunk_applied",
      ...common,
      action: state,
      ...(record?.comment === undefined ? {} : { comment: record.comment }),
      ...(record?.modified === undefined ? {} : { modified_diff: record.modified.diff }),
    };
  }

  comment(hunk: HunkRow, text: string): void {
    const entries = hunk.comments === null ? [] : (JSON.parse(hunk.comments) as CommentEntry[]);
    entries.push({ text, by: this.by, at: this.at });
    hunk.comments = JSON.stringify(entries);
    this.#ledger.change(
      "UPDATE hunk SET comments = ? WHERE suggestion = ? AND revision = ? AND id = ?",
      hunk.comments,
      hunk.suggestion,
      hunk.revision,
      hunk.id,
    );
    this.#touched.set(hunk.id, hunk);
    this.#emit({
      type: "suggestion.comment",
      suggestion_id: hunk.suggestion,
      hunk_id: hunk.id,
      comment: text,
      by: this.by,
    });
    this.#items.push({
      ...feedbackItem(hunk, hunk.state, decisionOf(hunk)),
      action: "comment",
      comment: text,
    });
  }

  /** Cuts a pending hunk so that `lines` is a hunk of its own, and returns that part. */
  split(hunk: HunkRow, lines: NonNullable<HunkDecision["lines"]>): HunkRow {
    const parts = splitHunk(hunk, lines);
    const part = parts.find((candidate) => candidate.chosen);
    if (part === undefined) throw new ReviewError("internal", "A split lost the part it was made for");
    if (parts.length === 1) return hunk;
    const ledger = this.#ledger;
    ledger.change(
      "UPDATE hunk SET retired = 1 WHERE suggestion = ? AND revision = ? AND id = ?",
      hunk.suggestion,
      hunk.revision,
      hunk.id,
    );
    // What was taken back on the whole hunk cannot be done again on its parts.
    ledger.change(
      "DELETE FROM decision WHERE suggestion = ? AND hunk = ? AND undone = 1",
      hunk.suggestion,
      hunk.id,
    );
    for (const { row } of parts) insertHunk(ledger, row);
    this.#hunksAdded += parts.length - 1;
    this.#counts.pending += parts.length - 1;
    this.#emit({
      type: "suggestion.hunk_split",
      suggestion_id: hunk.suggestion,
      hunk_id: hunk.id,
      into: parts.map(({ row }) => toHunk(row)),
    });
    return part.row;
  }

  /** Parts of which none is decided any more become the hunk they were cut from. */
  joinParts(): void {
    for (const hunk of [...this.#touched.values()]) {
      let child: HunkRow = hunk;
      while (child.split_from !== null) {
        const parent = this.#ledger.row<HunkRow>(
          "SELECT * FROM hunk WHERE suggestion = ? AND revision = ? AND id = ?",
          child.suggestion,
          child.revision,
          child.split_from,
        );
        if (parent === null || parent.retired === 0) break;
        const parts = partsOf(this.#ledger, parent);
        const whole = parts.every(
          (part) => part.retired === 0 && part.state === "pending" && part.comments === null,
        );
        if (!whole) break;
        for (const part of parts) {
          this.#ledger.change(
            "DELETE FROM hunk WHERE suggestion = ? AND revision = ? AND id = ?",
            part.suggestion,
            part.revision,
            part.id,
          );
          this.#ledger.change(
            "DELETE FROM decision WHERE suggestion = ? AND hunk = ?",
            part.suggestion,
            part.id,
          );
          this.#touched.delete(part.id);
        }
        this.#ledger.change(
          "UPDATE hunk SET retired = 0 WHERE suggestion = ? AND revision = ? AND id = ?",
          parent.suggestion,
          parent.revision,
          parent.id,
        );
        parent.retired = 0;
        this.#hunksAdded -= parts.length - 1;
        this.#counts.pending -= parts.length - 1;
        this.#touched.set(parent.id, parent);
        this.#emit({
          type: "suggestion.hunk_joined",
          suggestion_id: parent.suggestion,
          hunk: toHunk(parent),
          parts: parts.map((part) => part.id),
        });
        child = parent;
      }
    }
  }

  #emit(body: Parameters<Ledger["emit"]>[1]): void {
    this.#seq = this.#ledger.emit(this.suggestion.project, body, this.#now).seq;
  }

  finish(): DecisionResult {
    const ledger = this.#ledger;
    const { suggestion } = this;
    ledger.change(
      `UPDATE suggestion SET accepted = accepted + ?, modified = modified + ?, rejected = rejected + ?,
       hunk_count = hunk_count + ?, settle_needed = 1, updated_at = ? WHERE id = ?`,
      this.#counts.accepted,
      this.#counts.modified,
      this.#counts.rejected,
      this.#hunksAdded,
      nextStamp(suggestion.updated_at, this.#now),
      suggestion.id,
    );
    const after = getOpen(ledger, suggestion.id);
    const reviewed = after.accepted + after.modified + after.rejected;
    const complete = reviewed === after.hunk_count;
    this.#emit({
      type: "suggestion.status",
      suggestion_id: suggestion.id,
      status: complete ? "applied" : "partial",
      message: `${reviewed}/${after.hunk_count} hunks reviewed, ${after.accepted + after.modified} applied`,
    });
    if (this.#items.length > 0) {
      enqueue(
        ledger,
        {
          project: suggestion.project,
          suggestion: suggestion.id,
          session: suggestion.session,
          kind: "note",
          at: this.at,
        },
        {
          description: suggestion.description,
          items: this.#items,
          remaining: after.hunk_count - reviewed,
        },
      );
    }
    return {
      success: true,
      suggestion_id: suggestion.id,
      revision: suggestion.revision,
      hunks: [...this.#touched.values()].slice(0, ANSWERED_HUNKS).map(toHunk),
      changed: this.#touched.size,
      remaining_hunks: after.hunk_count - reviewed,
      reviewed_count: reviewed,
      hunk_count: after.hunk_count,
      seq: this.#seq,
    };
  }
}

function feedbackItem(hunk: HunkRow, state: HunkState, record: DecisionRecord | null): FeedbackItem {
  return {
    hunk_id: hunk.id,
    file: hunk.file,
    kind: hunk.kind,
    old_start: hunk.old_from + 1,
    old_count: hunk.old_count,
    action: state === "pending" ? "undone" : state,
    ...(record?.comment === undefined ? {} : { comment: record.comment }),
    ...(record?.modified === undefined ? {} : { modified_diff: record.modified.diff }),
  };
}

interface Part {
  row: HunkRow;
  chosen: boolean;
}

/** Up to three parts: what is before the lines, the lines, what is after. */
function splitHunk(hunk: HunkRow, lines: NonNullable<HunkDecision["lines"]>): Part[] {
  const refuse = (message: string) => new ReviewError("invalid_request", `lines: ${message}`);
  if (hunk.atomic_reason !== null)
    throw refuse(`this ${hunk.kind} hunk cannot be split, ${hunk.atomic_reason}`);
  if (hunk.state !== "pending")
    throw refuse("the hunk is decided already; undo that before deciding a part of it");
  const [oldFirst, oldCount] = lines.old;
  const [newFirst, newCount] = lines.new;
  if (oldFirst + oldCount > hunk.old_count) throw refuse(`old: the hunk removes ${hunk.old_count} lines`);
  if (newFirst + newCount > hunk.new_count) throw refuse(`new: the hunk adds ${hunk.new_count} lines`);
  if (oldCount + newCount === 0) throw refuse("expected at least one line");
  const text = linesOfDiff(hunk.diff);
  const old = lineOffsets(text.old);
  const fresh = lineOffsets(text.new);
  const oldCuts = [0, oldFirst, oldFirst + oldCount, hunk.old_count];
  const newCuts = [0, newFirst, newFirst + newCount, hunk.new_count];
  const parts: Part[] = [];
  const cut = (bytes: Uint8Array, offsets: number[], from: number, to: number) =>
    bytes.subarray(offsets[from], offsets[to]);
  for (let i = 0; i < 3; i++) {
    const [oldFrom, oldTo, newFrom, newTo] = [oldCuts[i], oldCuts[i + 1], newCuts[i], newCuts[i + 1]] as [
      number,
      number,
      number,
      number,
    ];
    if (oldTo === oldFrom && newTo === newFrom) continue;
    const part = { old: cut(text.old, old, oldFrom, oldTo), new: cut(text.new, fresh, newFrom, newTo) };
    // Without its newline a line can only be last, whichever parts are taken.
    const last = oldTo === hunk.old_count && newTo === hunk.new_count;
    const open = (bytes: Uint8Array) => bytes.length > 0 && bytes[bytes.length - 1] !== LF;
    if (!last && (open(part.old) || open(part.new))) {
      throw refuse("a line that ends the file without a newline can only be in the last part");
    }
    const run = {
      oldFrom: hunk.old_from + oldFrom,
      oldCount: oldTo - oldFrom,
      newFrom: hunk.new_from + newFrom,
      newCount: newTo - newFrom,
      ...part,
      before: new Uint8Array(0),
      beforeCount: 0,
      after: new Uint8Array(0),
      afterCount: 0,
    };
    const diff = formatRun(run);
    const mode = (hunk.new_mode ?? hunk.old_mode) as string;
    const side = (kind: "create" | "delete", bytes: Uint8Array) =>
      hunk.kind === kind ? concat([utf8(`${mode}\n`), bytes]) : bytes;
    parts.push({
      chosen: i === 1,
      row: {
        ...hunk,
        id: `${hunk.id}.${parts.length + 1}`,
        split_from: hunk.id,
        diff,
        encoding: encodingOf(diff) === "latin1" ? "latin1" : hunk.encoding,
        digest: hunkDigest(hunk.kind, hunk.path, side("delete", part.old), side("create", part.new)),
        old_from: run.oldFrom,
        old_count: run.oldCount,
        new_from: run.newFrom,
        new_count: run.newCount,
        context_before: 0,
        context_after: 0,
        comments: null,
      },
    });
  }
  return parts;
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
  "diff",
  "split_from",
  "retired",
  "state",
  "decision",
  "earlier",
  "comments",
] as const satisfies readonly (keyof HunkRow)[];

const INSERT = `INSERT INTO hunk (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map(() => "?").join(", ")})`;

export function insertHunk(ledger: Ledger, row: HunkRow): void {
  ledger.change(INSERT, ...COLUMNS.map((column) => row[column]));
}
