/**
 * The ledger: one SQLite database that holds every suggestion, decision and event. It owns durability and order:
 * a mutation and its events are one transaction, events are told to listeners only after it is on disk, and what a
 * replay reads is the very text that listeners got.
 */
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ReviewError } from "../../protocol/errors.ts";
import type { EventBody, ReviewEvent } from "../../protocol/events.ts";
import type { EventListener } from "../contract.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";

const BUSY_MS = 10_000;
/** A write-ahead log smaller than this is left to SQLite. */
const TIDY_BYTES = 4 * 1024 * 1024;

export class Ledger {
  readonly db: Database;
  #listeners = new Set<EventListener>();
  #told: number;
  #telling = false;
  #fresh: { event: ReviewEvent; json: string }[] = [];
  #dataVersion: number;
  /** Of the running transaction, once it has written an event. */
  #seq: number | null = null;
  readonly #statements = new Map<string, Statement<unknown, SQLQueryBindings[]>>();
  /** Called when an event could not be told to a listener: what it tells of is durable and stays so. */
  onTellFailure: (error: unknown) => void = () => {};

  private constructor(
    readonly path: string,
    db: Database,
  ) {
    this.db = db;
    this.#told = this.lastSeq();
    this.#dataVersion = this.#readDataVersion();
  }

  /** Opens the database at `path`, making or migrating it. An unknown one is refused and left untouched. */
  static open(path: string): Ledger {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const isNew = !existsSync(path) || statSync(path).size === 0;
    const db = openDatabase(path);
    try {
      if (!isNew) checkOurs(db, path);
      db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      retryBusy(() => db.run("PRAGMA journal_mode = WAL"));
      db.run("PRAGMA synchronous = FULL");
      // A big publish is not to copy itself into the database within its own commit: see tidy().
      db.run("PRAGMA wal_autocheckpoint = 16000");
      db.run("PRAGMA foreign_keys = ON");
      // KiB: a batch over a big suggestion finds its hunks in memory.
      db.run("PRAGMA cache_size = -16000");
      migrate(db, path);
      return new Ledger(path, db);
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  }

  close(): void {
    this.db.close();
  }

  /** One row, or null. */
  row<Row>(sql: string, ...values: SQLQueryBindings[]): Row | null {
    return this.#statement(sql).get(...values) as Row | null;
  }

  rows<Row>(sql: string, ...values: SQLQueryBindings[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  change(sql: string, ...values: SQLQueryBindings[]): number {
    return this.#statement(sql).run(...values).changes;
  }

  /** Inserts one row and returns its number. */
  insert(sql: string, ...values: SQLQueryBindings[]): number {
    return Number(this.#statement(sql).run(...values).lastInsertRowid);
  }

  /** Prepared once: the database's own cache holds twenty, fewer than one decision may need beside other work. */
  #statement(sql: string): Statement<unknown, SQLQueryBindings[]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare<unknown, SQLQueryBindings[]>(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /**
   * Runs `work` as one transaction; when it returns, what it wrote is on disk and its events have been told.
   * Nested calls join the outer transaction.
   */
  transaction<Result>(work: () => Result): Result {
    if (this.db.inTransaction) return work();
    const before = this.#fresh.length;
    let result: Result;
    this.db.run("BEGIN IMMEDIATE");
    this.#seq = null;
    try {
      result = work();
      this.db.run("COMMIT");
    } catch (thrown) {
      this.#fresh.length = before;
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw thrown;
    }
    this.tell();
    return result;
  }

  /** Writes an event; only inside a transaction. */
  emit(project: string, body: EventBody, now = new Date()): ReviewEvent {
    if (!this.db.inTransaction) return this.transaction(() => this.emit(project, body, now));
    return this.emitMany(project, [body], now);
  }

  /** Writes events in one go and returns the last; only inside a transaction. */
  emitMany(project: string, bodies: EventBody[], now: Date): ReviewEvent {
    const ts = now.toISOString();
    const insert = this.#statement("INSERT INTO event (seq, project, type, json) VALUES (?, ?, ?, ?)");
    let seq = this.#seq ?? this.lastSeq();
    for (const body of bodies) {
      seq += 1;
      // The body becomes the event: a copy of each of a thousand would cost as much as writing them.
      const event = Object.assign(body, { seq, ts, project }) as ReviewEvent;
      const json = JSON.stringify(event);
      insert.run(seq, project, body.type, json);
      this.#fresh.push({ event, json });
    }
    this.#seq = seq;
    return (this.#fresh[this.#fresh.length - 1] as { event: ReviewEvent }).event;
  }

  lastSeq(): number {
    return this.row<{ seq: number }>("SELECT coalesce(max(seq), 0) AS seq FROM event")?.seq ?? 0;
  }

  eventTexts(since: number, limit: number, project?: string): { seq: number; json: string }[] {
    return project === undefined
      ? this.rows("SELECT seq, json FROM event WHERE seq > ? ORDER BY seq LIMIT ?", since, limit)
      : this.rows(
          "SELECT seq, json FROM event WHERE seq > ? AND project = ? ORDER BY seq LIMIT ?",
          since,
          project,
          limit,
        );
  }

  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Tells listeners of committed events, in order and each once, those of other processes included. Never throws: the
   * caller's transaction is on disk, and neither a listener nor a failed read makes it less so.
   */
  tell(): void {
    // A listener that causes events must not make later ones overtake: the outer call goes on with them.
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (;;) {
        const next = this.#nextToTell();
        if (next.length === 0) break;
        for (const { event, json } of next) {
          this.#told = event.seq;
          for (const listener of [...this.#listeners]) {
            try {
              listener(event, json);
            } catch (error) {
              this.onTellFailure(error);
            }
          }
        }
      }
    } catch (error) {
      // What was not told is not counted as told: the next call finds it in the journal.
      this.onTellFailure(error);
    } finally {
      this.#telling = false;
    }
  }

  #nextToTell(): { event: ReviewEvent; json: string }[] {
    const own = this.#fresh.splice(0);
    // Another process's events may be before ours or, between two transactions, among them.
    const last = own[own.length - 1];
    if (last !== undefined && last.event.seq === this.#told + own.length) return own;
    return this.eventTexts(this.#told, 1000).map(({ json }) => ({
      event: JSON.parse(json) as ReviewEvent,
      json,
    }));
  }

  /** Whether another process wrote since the last call; its events are told. */
  noticeOthers(): boolean {
    const version = this.#readDataVersion();
    if (version === this.#dataVersion) return false;
    this.#dataVersion = version;
    this.tell();
    return true;
  }

  #readDataVersion(): number {
    return this.row<{ data_version: number }>("PRAGMA data_version")?.data_version ?? 0;
  }

  /** Moves a grown write-ahead log into the database; for a moment when nobody waits for an answer. */
  tidy(): void {
    const log = `${this.path}-wal`;
    if (existsSync(log) && statSync(log).size > TIDY_BYTES) this.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Bytes on disk, write-ahead log included. */
  size(): number {
    const of = (path: string) => (existsSync(path) ? statSync(path).size : 0);
    return of(this.path) + of(`${this.path}-wal`);
  }
}

function openDatabase(path: string): Database {
  try {
    return new Database(path, { create: true, readwrite: true, strict: true });
  } catch (cause) {
    throw new ReviewError("internal", `The ledger ${path} cannot be opened: ${(cause as Error).message}`, {
      cause,
    });
  }
}

const pragma = (db: Database, name: string): number =>
  Number(Object.values(db.query(`PRAGMA ${name}`).get() as Record<string, unknown>)[0]);

function checkOurs(db: Database, path: string): void {
  let id: number;
  let version: number;
  try {
    id = pragma(db, "application_id");
    version = pragma(db, "user_version");
  } catch (cause) {
    throw new ReviewError(
      "internal",
      `${path} is not a ledger (${(cause as Error).message}); it was left untouched`,
      { cause },
    );
  }
  const fresh = id === 0 && version === 0 && db.query("SELECT 1 FROM sqlite_master").get() === null;
  if (id !== APPLICATION_ID && !fresh) {
    throw new ReviewError("internal", `${path} is a database of another program; it was left untouched`);
  }
  if (version > MIGRATIONS.length) {
    throw new ReviewError(
      "internal",
      `The ledger ${path} has schema version ${version}, this program knows ${MIGRATIONS.length}: use a newer version. It was left untouched.`,
    );
  }
}

function migrate(db: Database, path: string): void {
  const from = pragma(db, "user_version");
  if (from === MIGRATIONS.length) return;
  if (from > 0) {
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    copyFileSync(path, `${path}.v${from}.backup`);
  }
  retryBusy(() => {
    db.run("BEGIN IMMEDIATE");
    try {
      // Another process may have been first.
      for (let version = pragma(db, "user_version"); version < MIGRATIONS.length; version++) {
        db.run(MIGRATIONS[version] as string);
      }
      db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
      db.run("COMMIT");
    } catch (thrown) {
      if (db.inTransaction) db.run("ROLLBACK");
      throw thrown;
    }
  });
}

/** The switch to WAL and the first tables are not covered by busy_timeout when two processes start at once. */
function retryBusy(work: () => void): void {
  for (let tries = 0; ; tries++) {
    try {
      work();
      return;
    } catch (thrown) {
      if (tries >= 50 || !/locked|busy/i.test((thrown as Error).message)) throw thrown;
      Bun.sleepSync(100);
    }
  }
}
