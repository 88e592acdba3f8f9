/**
 * The ledger: one SQLite database that holds every suggestion, decision and event. It owns durability and order:
 * a mutation and its events are one transaction, events are told to listeners only after it is on disk, and what a
 * replay reads is the very text that listeners got.
 */
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ReviewError, storageFull } from "../../protocol/errors.ts";
import type { EventBody, EventListener, ReviewEvent } from "../../protocol/events.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";

/** How long the opening of a database waits for another process, in milliseconds. */
const OPEN_BUSY_MS = 10_000;
/**
 * How long a write does, in milliseconds: enough for another process's own writes. Nothing else of this process runs
 * meanwhile, so longer waits are asynchronous, and none is made while the ledger is known to be held.
 */
const WRITE_BUSY_MS = 200;
/** How long SQLite itself waits, in milliseconds; a read may meet the lock of another process's checkpoint. */
const SQLITE_BUSY_MS = 20;
/** How often an asynchronous wait looks again, in milliseconds. */
const RETRY_MS = 50;
/** How long work that has had an effect elsewhere waits for the ledger, in milliseconds. */
const PATIENCE_MS = 120_000;
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
  readonly #inode: number;
  readonly #statements = new Map<string, Statement<unknown, SQLQueryBindings[]>>();
  /** Called when an event could not be told to a listener: what it tells of is durable and stays so. */
  onTellFailure: (error: unknown) => void = () => {};

  private constructor(
    readonly path: string,
    db: Database,
  ) {
    this.db = db;
    this.#inode = statSync(path).ino;
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
      if (!isNew) checkWhole(db, path);
      db.run(`PRAGMA busy_timeout = ${OPEN_BUSY_MS}`);
      retryBusy(() => db.run("PRAGMA journal_mode = WAL"));
      db.run("PRAGMA synchronous = FULL");
      // A big publish is not to copy itself into the database within its own commit: see tidy().
      db.run("PRAGMA wal_autocheckpoint = 16000");
      db.run("PRAGMA foreign_keys = ON");
      // KiB: a batch over a big suggestion finds its hunks in memory.
      db.run("PRAGMA cache_size = -16000");
      migrate(db, path);
      // From here on most of the waiting is our own, see #begin.
      db.run(`PRAGMA busy_timeout = ${SQLITE_BUSY_MS}`);
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
    if (!this.db.inTransaction) return this.transaction(() => this.change(sql, ...values));
    return this.#write(() => this.#statement(sql).run(...values).changes);
  }

  /** Inserts one row and returns its number. */
  insert(sql: string, ...values: SQLQueryBindings[]): number {
    if (!this.db.inTransaction) return this.transaction(() => this.insert(sql, ...values));
    return this.#write(() => Number(this.#statement(sql).run(...values).lastInsertRowid));
  }

  /** Runs one write; what SQLite says of a lock, a full disk or a damaged file becomes an error a client can act on. */
  #write<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (thrown) {
      throw this.#explained(thrown);
    }
  }

  #explained(thrown: unknown): unknown {
    const error = explainSqlite(thrown, this.path);
    if (error instanceof ReviewError && error.code === "state_damaged") this.#damage ??= error.message;
    return error;
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
    this.#checkThere();
    this.#begin();
    this.#seq = null;
    try {
      result = work();
      this.db.run("COMMIT");
    } catch (thrown) {
      this.#fresh.length = before;
      if (this.db.inTransaction) this.db.run("ROLLBACK");
      throw this.#explained(thrown);
    }
    this.tell();
    return result;
  }

  /** Whether the last attempt found another process writing. */
  #held = false;

  #begin(): void {
    const deadline = performance.now() + (this.#held ? 0 : WRITE_BUSY_MS);
    for (;;) {
      try {
        this.#write(() => this.db.run("BEGIN IMMEDIATE"));
        this.#setHeld(false);
        return;
      } catch (thrown) {
        this.#setHeld(isBusy(thrown) && performance.now() >= deadline);
        if (this.#held || !isBusy(thrown)) throw thrown;
        // SQLite's own waits grow to a tenth of a second: beside two busy writers a third would hardly ever get in.
        Bun.sleepSync(1 + 2 * Math.random());
      }
    }
  }

  #setHeld(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.db.run(`PRAGMA busy_timeout = ${held ? 0 : SQLITE_BUSY_MS}`);
  }

  #waiting: Promise<unknown> = Promise.resolve();

  /**
   * Runs `work`, waiting asynchronously and in turn while another process writes: for what has had an effect elsewhere,
   * such as a push, and is to be written down however long that takes.
   * @throws ReviewError `ledger_busy` when the ledger is not free within two minutes
   */
  whenFree<Result>(work: () => Result): Promise<Result> {
    const attempt = async (): Promise<Result> => {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        try {
          return work();
        } catch (thrown) {
          if (!isBusy(thrown) || Date.now() > deadline) throw thrown;
          await Bun.sleep(RETRY_MS);
        }
      }
    };
    const next = this.#waiting.then(attempt);
    this.#waiting = next.catch(() => undefined);
    return next;
  }

  /** `transaction`, as `whenFree` runs it. */
  transactionWhenFree<Result>(work: () => Result): Promise<Result> {
    return this.whenFree(() => this.transaction(work));
  }

  /**
   * The file at `path` must still be the one that is open: what is written into a removed file is gone with the process.
   * @throws ReviewError when it is not
   */
  #checkThere(): void {
    const gone = this.#gone();
    if (gone === null) return;
    throw new ReviewError("state_damaged", `${gone}. Nothing was changed.`, { details: { path: this.path } });
  }

  #gone(): string | null {
    const there = statSync(this.path, { throwIfNoEntry: false });
    if (there?.ino === this.#inode) return null;
    return `The ledger ${this.path} was ${there === undefined ? "removed" : "replaced"} while this server had it open: put the state directory back, or restart the server to begin a new one`;
  }

  /** What SQLite found to be wrong while it was used. */
  #damage: string | null = null;

  /** What is wrong with the ledger and what to do; null while all is well. Looks at the file anew. */
  damage(): string | null {
    return this.#gone() ?? this.#damage;
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

  /** @param types names of types; one that ends with a dot stands for all that begin so */
  eventTexts(
    since: number,
    limit: number,
    { project, types }: { project?: string | undefined; types?: readonly string[] | undefined } = {},
  ): { seq: number; json: string }[] {
    const where = ["seq > ?"];
    const values: SQLQueryBindings[] = [since];
    if (project !== undefined) {
      where.push("project = ?");
      values.push(project);
    }
    if (types !== undefined) {
      where.push(
        "EXISTS (SELECT 1 FROM json_each(?) WHERE value = event.type OR (value LIKE '%.' AND substr(event.type, 1, length(value)) = value))",
      );
      values.push(JSON.stringify(types));
    }
    return this.rows(
      `SELECT seq, json FROM event WHERE ${where.join(" AND ")} ORDER BY seq LIMIT ?`,
      ...values,
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
    throw new ReviewError(
      "state_damaged",
      `The ledger ${path} cannot be opened: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

/** @throws ReviewError when pages of the database contradict each other: nothing is written into such a file */
function checkWhole(db: Database, path: string): void {
  let verdict: string;
  try {
    verdict = String(Object.values(db.query("PRAGMA quick_check(1)").get() as Record<string, unknown>)[0]);
  } catch (cause) {
    throw damagedFile(path, cause as Error);
  }
  if (verdict !== "ok") throw damagedFile(path, new Error(verdict));
}

function damagedFile(path: string, cause: Error): ReviewError {
  return new ReviewError(
    "state_damaged",
    `The ledger ${path} is damaged (${cause.message}); it was left untouched. Put back a copy of it (or ${path}.v*.backup), or move the state directory away to begin a new one.`,
    { cause, details: { path } },
  );
}

/** The other process's lock, and nothing else. */
export const isBusy = (thrown: unknown): boolean =>
  thrown instanceof ReviewError && thrown.code === "ledger_busy";

/** See https://www.sqlite.org/rescode.html; bun:sqlite has the name of the code in `code`. */
function explainSqlite(thrown: unknown, path: string): unknown {
  const code = (thrown as { code?: unknown } | null)?.code;
  if (typeof code !== "string" || !code.startsWith("SQLITE_")) return thrown;
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new ReviewError(
      "ledger_busy",
      "Another process is writing to the ledger; nothing was changed. Try again.",
      {
        cause: thrown,
        details: { retry_after: 1 },
      },
    );
  }
  if (code === "SQLITE_FULL") return storageFull(dirname(path), thrown);
  if (/^SQLITE_(CORRUPT|NOTADB|IOERR|CANTOPEN|READONLY)/.test(code)) {
    return new ReviewError(
      "state_damaged",
      `The ledger ${path} cannot be used (${code}: ${(thrown as Error).message}). Nothing was changed. See to its disk, then restart the server.`,
      { cause: thrown, details: { path } },
    );
  }
  return thrown;
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
    if ((cause as { code?: unknown }).code !== "SQLITE_NOTADB") throw damagedFile(path, cause as Error);
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
