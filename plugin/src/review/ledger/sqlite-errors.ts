/** What SQLite says of a lock, a full disk or a damaged file, as errors that a client or a person can act on. */
import { dirname } from "node:path";
import { ReviewError, storageFull } from "../../protocol/errors.ts";

/** A file that could not be looked through when it was opened: held by another process, or damaged. */
export function notReadable(path: string, cause: Error): unknown {
  const explained = explainSqlite(cause, path);
  if (isBusy(explained)) return explained;
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
export function explainSqlite(thrown: unknown, path: string): unknown {
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
