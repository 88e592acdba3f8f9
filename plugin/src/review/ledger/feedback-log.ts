/**
 * The JSONL log of all feedback, written from the journal: one line for each decision, comment and completion. The
 * last sequence number in the file says where to go on, so that a crash neither loses nor doubles a line. Lines are
 * only ever appended; a torn last line is closed and left.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { ReviewEvent } from "../../protocol/events.ts";
import type { Ledger } from "./ledger.ts";

const LOGGED = [
  "suggestion.hunk_applied",
  "suggestion.hunk_reset",
  "suggestion.comment",
  "suggestion.completed",
  "suggestion.reopened",
];
const TAIL_BYTES = 1024 * 1024;

export class FeedbackLog {
  #size = -1;
  #seq = 0;

  constructor(
    private readonly ledger: Ledger,
    private readonly path: string,
  ) {
    mkdirSync(dirname(path), { recursive: true });
  }

  /** Appends what the journal has and the file has not. */
  catchUp(): void {
    const file = openSync(this.path, "a+", 0o600);
    try {
      const size = fstatSync(file).size;
      if (size !== this.#size) this.#seq = this.#lastSeq(file, size);
      const rows = this.ledger.rows<{ json: string; description: string | null; file: string | null }>(
        `SELECT event.json AS json, suggestion.description AS description, hunk.file AS file FROM event
         LEFT JOIN suggestion ON suggestion.id = json_extract(event.json, '$.suggestion_id')
         LEFT JOIN hunk ON hunk.suggestion = suggestion.id AND hunk.revision = json_extract(event.json, '$.revision') AND hunk.id = json_extract(event.json, '$.hunk_id')
         WHERE event.seq > ? AND event.type IN (${LOGGED.map(() => "?").join(", ")}) ORDER BY event.seq`,
        this.#seq,
        ...LOGGED,
      );
      if (rows.length === 0) {
        this.#size = size;
        return;
      }
      const lines = rows.map(({ json, description, file: path }) => {
        const event = JSON.parse(json) as ReviewEvent;
        this.#seq = event.seq;
        return JSON.stringify({ ...event, description, ...(path === null ? {} : { file: path }) });
      });
      writeSync(file, `${lines.join("\n")}\n`);
      fsyncSync(file);
      this.#size = fstatSync(file).size;
    } finally {
      closeSync(file);
    }
  }

  #lastSeq(file: number, size: number): number {
    if (size === 0) return 0;
    const length = Math.min(size, TAIL_BYTES);
    const tail = Buffer.alloc(length);
    readSync(file, tail, 0, length, size - length);
    if (tail[length - 1] !== 10) writeSync(file, "\n");
    const lines = tail
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "");
    for (const line of lines.reverse()) {
      try {
        const seq = (JSON.parse(line) as { seq?: unknown }).seq;
        // A log kept from another ledger counts further than this one: start over behind it.
        if (typeof seq === "number") return seq <= this.ledger.lastSeq() ? seq : 0;
      } catch {
        // A torn line from a crash.
      }
    }
    return 0;
  }

  get bytes(): number {
    return existsSync(this.path) ? statSync(this.path).size : 0;
  }
}
