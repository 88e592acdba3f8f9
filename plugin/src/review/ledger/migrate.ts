/** What is asked of a database before anything is written into it, and how it is brought to the present tables. */
import type { Database } from "bun:sqlite";
import { copyFileSync } from "node:fs";
import { ReviewError } from "../../protocol/errors.ts";
import { APPLICATION_ID, MIGRATIONS, UNNAMED } from "./schema.ts";
import { notReadable } from "./sqlite-errors.ts";

/** @throws ReviewError when pages of the database contradict each other: nothing is written into such a file */
export function checkWhole(db: Database, path: string): void {
  let verdict: string;
  try {
    verdict = String(Object.values(db.query("PRAGMA quick_check(1)").get() as Record<string, unknown>)[0]);
  } catch (cause) {
    throw notReadable(path, cause as Error);
  }
  if (verdict !== "ok") throw notReadable(path, new Error(verdict));
}

/** What is read of a file that may be damaged. @throws ReviewError that says so */
function readable<Answer>(path: string, read: () => Answer): Answer {
  try {
    return read();
  } catch (cause) {
    throw notReadable(path, cause as Error);
  }
}

const pragma = (db: Database, name: string): number =>
  Number(Object.values(db.query(`PRAGMA ${name}`).get() as Record<string, unknown>)[0]);

/** @throws ReviewError when the database is another program's, or of a version that this one does not know */
export function checkOurs(db: Database, path: string): void {
  let id: number;
  let version: number;
  try {
    id = pragma(db, "application_id");
    version = pragma(db, "user_version");
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "SQLITE_NOTADB") throw notReadable(path, cause as Error);
    throw new ReviewError(
      "internal",
      `${path} is not a ledger (${(cause as Error).message}); it was left untouched`,
      { cause },
    );
  }
  const isEmpty = () => db.query("SELECT 1 FROM sqlite_master").get() === null;
  const fresh = id === 0 && version === 0 && readable(path, isEmpty);
  if (id !== APPLICATION_ID && !fresh) {
    throw new ReviewError("internal", `${path} is a database of another program; it was left untouched`);
  }
  if (version > MIGRATIONS.length) {
    throw new ReviewError(
      "internal",
      `The ledger ${path} has schema version ${version}, this program knows ${MIGRATIONS.length}: use a newer version. It was left untouched.`,
    );
  }
  checkLine(db, path, version);
}

/** @throws ReviewError when the ledger went through other migrations than this program's, in the same number or fewer */
function checkLine(db: Database, path: string, version: number): void {
  // Nothing has looked through the file yet: it may end before these tables.
  const names = readable(path, () => namesOf(db));
  const apart =
    names === null
      ? version > UNNAMED
        ? version - 1
        : -1
      : names.findIndex((name, step) => name !== MIGRATIONS[step]?.name);
  if (apart < 0) return;
  const theirs = names?.[apart] ?? "a migration without a name";
  throw new ReviewError(
    "internal",
    `The ledger ${path} was changed by "${theirs}", where this program has "${MIGRATIONS[apart]?.name}": another line of this program has used it. Use that one, or put back a copy (${path}.v*.backup). It was left untouched.`,
  );
}

/** The migrations that the ledger has been through; null where it keeps their number alone. */
function namesOf(db: Database): string[] | null {
  const table = db.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'").get();
  if (table === null) return null;
  const rows = db.query<{ name: string }, []>("SELECT name FROM migration ORDER BY step").all();
  return rows.map(({ name }) => name);
}

/** Brings a database to the present tables, as one transaction, after a copy of what was there. */
export function migrate(db: Database, path: string): void {
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
      const version = pragma(db, "user_version");
      checkLine(db, path, version);
      for (const { sql } of MIGRATIONS.slice(version)) db.run(sql);
      db.run(
        "CREATE TABLE IF NOT EXISTS migration (step INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
      );
      MIGRATIONS.forEach(({ name }, step) => {
        db.run("INSERT OR IGNORE INTO migration (step, name) VALUES (?, ?)", [step + 1, name]);
      });
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
export function retryBusy(work: () => void): void {
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
