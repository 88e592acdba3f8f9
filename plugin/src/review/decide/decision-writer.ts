/**
 * Writes what one request decides: states, history, events, the note for the agent, the suggestion's counts. Lives
 * inside one transaction and is used once.
 */

import type { DecisionResult, HunkDecision } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { EventBody } from "../../protocol/events.ts";
import type { Actor, CommentEntry, HunkState } from "../../protocol/model.ts";
import {
  type DecisionRecord,
  decisionOf,
  type HunkHead,
  type HunkRow,
  hunksOf,
  insertHunk,
  joinedParts,
  markOf,
  partsOf,
  retire,
  toHunk,
} from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getOpen, nextStamp, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { enqueue, type FeedbackItem } from "../tell/outbox.ts";
import { freeRange } from "./modification.ts";
import { splitHunk } from "./split.ts";

/** More are not answered one by one: whoever shows them reads them in pages. */
const ANSWERED_HUNKS = 200;

const WRITE_STATE = `INSERT INTO hunk_state (hunk, mark, state, decision) VALUES (?, ?, ?, ?)
  ON CONFLICT (hunk) DO UPDATE SET state = excluded.state, decision = excluded.decision`;
const INSERT_DECISION = `INSERT INTO decision (batch, hunk, before_state, before, after_state, after)
  VALUES (?, ?, ?, ?, ?, ?)`;

export class BatchWriter {
  readonly at: string;
  readonly #now: Date;
  readonly #ledger: Ledger;
  readonly #touched = new Map<number, HunkHead>();
  /** What the agent is to be told beyond the batch. */
  readonly #items: FeedbackItem[] = [];
  readonly #counts = { accepted: 0, modified: 0, rejected: 0, pending: 0 };
  #hunksAdded = 0;
  #decided = false;
  #batch: number | null = null;
  #seq = 0;

  constructor(
    ledger: Ledger,
    now: Date,
    readonly suggestion: SuggestionRow,
    readonly by: Actor,
  ) {
    this.#ledger = ledger;
    this.#now = now;
    this.at = this.#now.toISOString();
  }

  #batchId(): number {
    this.#batch ??= this.#ledger.insert(
      "INSERT INTO decision_batch (suggestion, revision, by, at) VALUES (?, ?, ?, ?)",
      this.suggestion.id,
      this.suggestion.revision,
      this.by,
      this.at,
    );
    return this.#batch;
  }

  /** Many whole hunks, each once, decided alike: the same as {@link set} of each, in a handful of statements. */
  setTogether(hunks: HunkHead[], state: HunkState, record: DecisionRecord): void {
    const ledger = this.#ledger;
    const text = JSON.stringify(record);
    const batch = this.#batchId();
    this.#forgetUndone(hunks);
    const keys = JSON.stringify(hunks.map((hunk) => hunk.key));
    ledger.change(
      `INSERT INTO decision (batch, hunk, before_state, before, after_state, after)
       SELECT ?, value, coalesce(state, 'pending'), decision, ?, ?
       FROM json_each(?) LEFT JOIN hunk_state ON hunk = value`,
      batch,
      state,
      text,
      keys,
    );
    const known = ledger.change(
      "UPDATE hunk_state SET state = ?, decision = ? WHERE hunk IN (SELECT value FROM json_each(?))",
      state,
      text,
      keys,
    );
    if (known < hunks.length) {
      ledger.change(
        `INSERT INTO hunk_state (hunk, mark, state, decision)
         SELECT value ->> 0, value ->> 1, ?, ? FROM json_each(?) WHERE true ON CONFLICT (hunk) DO NOTHING`,
        state,
        text,
        JSON.stringify(hunks.map((hunk) => [hunk.key, markOf(hunk.digest)])),
      );
    }
    const bodies = hunks.map((hunk) => this.#taken(hunk, state, record));
    this.#seq = ledger.emitMany(this.suggestion.project, bodies, this.#now).seq;
  }

  /** A new decision: history grows, and what was undone on this hunk can no longer be done again. */
  set(hunk: HunkRow, state: HunkState, record: DecisionRecord): void {
    this.#forgetUndone([hunk]);
    this.#ledger.change(
      INSERT_DECISION,
      this.#batchId(),
      hunk.key,
      hunk.state,
      hunk.decision,
      state,
      JSON.stringify(record),
    );
    this.#write(hunk, state, record);
  }

  /** Drops what could have been done again on these hunks, the parts they were cut into before included. */
  #forgetUndone(hunks: HunkHead[]): void {
    const ledger = this.#ledger;
    if (ledger.row("SELECT 1 FROM decision WHERE undone > 0 LIMIT 1") !== null) {
      ledger.change(
        "DELETE FROM decision WHERE undone > 0 AND hunk IN (SELECT value FROM json_each(?))",
        JSON.stringify(hunks.map((hunk) => hunk.key)),
      );
    }
    const hasJoined = ledger.row(
      "SELECT 1 FROM hunk WHERE suggestion = ? AND revision = ? AND retired = 'joined' LIMIT 1",
      this.suggestion.id,
      this.suggestion.revision,
    );
    if (hasJoined === null) return;
    const gone = JSON.stringify(
      hunks.flatMap((hunk) => joinedParts(ledger, this.suggestion, hunk.id)).map((part) => part.key),
    );
    for (const [table, column] of [
      ["decision", "hunk"],
      ["hunk_state", "hunk"],
      ["hunk", "key"],
    ]) {
      ledger.change(`DELETE FROM ${table} WHERE ${column} IN (SELECT value FROM json_each(?))`, gone);
    }
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
    this.#items.push(feedbackItem(hunk, state, record));
  }

  #write(hunk: HunkRow, state: HunkState, record: DecisionRecord | null): void {
    const text = record === null ? null : JSON.stringify(record);
    this.#ledger.change(WRITE_STATE, hunk.key, markOf(hunk.digest), state, text);
    this.#emit(this.#taken(hunk, state, record));
  }

  /** Counts a hunk's new state, and says what event tells of it. */
  #taken(hunk: HunkHead, state: HunkState, record: DecisionRecord | null): EventBody {
    this.#decided = true;
    this.#counts[hunk.state]--;
    this.#counts[state]++;
    hunk.state = state;
    this.#touched.set(hunk.key, hunk);
    const { id: suggestion_id, revision } = this.suggestion;
    const { id: hunk_id, digest } = hunk;
    const { by } = this;
    if (state === "pending")
      return { type: "suggestion.hunk_reset", suggestion_id, hunk_id, digest, revision, by };
    const event: EventBody = {
      type: "suggestion.hunk_applied",
      suggestion_id,
      hunk_id,
      digest,
      revision,
      by,
      action: state,
    };
    if (record?.comment !== undefined) event.comment = record.comment;
    if (record?.modified !== undefined) event.modified_diff = record.modified.diff;
    return event;
  }

  comment(hunk: HunkRow, text: string): void {
    const entries = hunk.comments === null ? [] : (JSON.parse(hunk.comments) as CommentEntry[]);
    entries.push({ text, by: this.by, at: this.at });
    hunk.comments = JSON.stringify(entries);
    this.#ledger.change(
      `INSERT INTO hunk_state (hunk, mark, comments) VALUES (?, ?, ?)
       ON CONFLICT (hunk) DO UPDATE SET comments = excluded.comments`,
      hunk.key,
      markOf(hunk.digest),
      hunk.comments,
    );
    this.#touched.set(hunk.key, hunk);
    this.#emit({
      type: "suggestion.comment",
      suggestion_id: this.suggestion.id,
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
    if (parts.length === 1) return hunk;
    // What was taken back on the whole hunk cannot be done again on its parts.
    this.#forgetUndone([hunk]);
    const rows = parts.map(({ row }) => insertHunk(this.#ledger, row));
    this.#cut(hunk, rows);
    const chosen = rows[parts.findIndex((part) => part.chosen)];
    if (chosen === undefined) throw new ReviewError("internal", "A split lost the part it was made for");
    return chosen;
  }

  #cut(hunk: HunkRow, parts: HunkRow[]): void {
    retire(this.#ledger, hunk, "cut");
    this.#touched.delete(hunk.key);
    this.#hunksAdded += parts.length - 1;
    this.#counts.pending += parts.length - 1;
    this.#emit({
      type: "suggestion.hunk_split",
      suggestion_id: this.suggestion.id,
      hunk_id: hunk.id,
      into: parts.map(toHunk),
    });
  }

  /** Cuts again what {@link joinParts} made whole, so that the decision on a part can be done again. */
  cutAgain(part: HunkRow): void {
    const ledger = this.#ledger;
    const whole = this.#wholeOf(part);
    if (whole === null) throw new ReviewError("internal", `Hunk ${part.id} is part of nothing`);
    if (whole.retired === "joined") this.cutAgain(whole);
    const parts = joinedParts(ledger, this.suggestion, whole.id).filter(
      (other) => other.split_from === whole.id,
    );
    for (const other of parts) retire(ledger, other, "no");
    this.#cut(whole, parts);
    part.retired = "no";
  }

  #wholeOf(part: HunkRow): HunkRow | null {
    return this.#ledger.row<HunkRow>(
      "SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND id = ?",
      part.suggestion,
      part.revision,
      part.split_from,
    );
  }

  /** Parts of which none is decided any more become the hunk they were cut from. */
  joinParts(): void {
    const ledger = this.#ledger;
    for (const touched of hunksOf(ledger, [...this.#touched.keys()])) {
      if (!this.#touched.has(touched.key)) continue;
      for (let part = touched; part.split_from !== null; ) {
        const whole = this.#wholeOf(part);
        if (whole === null || whole.retired !== "cut") break;
        const parts = partsOf(ledger, whole);
        const isWhole = parts.every(
          (other) => other.retired === "no" && other.state === "pending" && other.comments === null,
        );
        if (!isWhole) break;
        for (const other of parts) {
          retire(ledger, other, "joined");
          this.#touched.delete(other.key);
        }
        retire(ledger, whole, "no");
        this.#hunksAdded -= parts.length - 1;
        this.#counts.pending -= parts.length - 1;
        this.#touched.set(whole.key, whole);
        this.#emit({
          type: "suggestion.hunk_joined",
          suggestion_id: whole.suggestion,
          hunk: toHunk(whole),
          parts: parts.map((other) => other.id),
        });
        part = whole;
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
       hunk_count = hunk_count + ?, settle_needed = iif(?, 'yes', settle_needed),
       discard_undone = iif(?, 0, discard_undone), updated_at = ? WHERE id = ?`,
      this.#counts.accepted,
      this.#counts.modified,
      this.#counts.rejected,
      this.#hunksAdded,
      this.#decided ? 1 : 0,
      // Whoever decides anew has another future than the discard that was taken back.
      this.#batch === null ? 0 : 1,
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
    if (this.#batch !== null || this.#items.length > 0) {
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
          ...(this.#batch === null ? {} : { batch: this.#batch }),
          items: this.#items,
          remaining: after.hunk_count - reviewed,
        },
      );
    }
    return {
      success: true,
      suggestion_id: suggestion.id,
      revision: suggestion.revision,
      hunks:
        this.#touched.size > ANSWERED_HUNKS ? [] : hunksOf(ledger, [...this.#touched.keys()]).map(toHunk),
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
    action: state === "pending" ? "undone" : state,
    ...(record?.comment === undefined ? {} : { comment: record.comment }),
    ...(record?.modified === undefined ? {} : { modified_diff: record.modified.diff }),
  };
}
