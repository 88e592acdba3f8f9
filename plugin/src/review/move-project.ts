/** A project whose directory was moved or renamed: its suggestions follow it, instead of being stranded. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ReviewError } from "../protocol/errors.ts";
import { missingObjects } from "../vcs/completeness.ts";
import { openJj } from "../vcs/jj.ts";
import type { Ledger } from "./ledger/ledger.ts";

/** The hub that a project's suggestions are in, if it has any. */
export const hubNameOf = (ledger: Ledger, project: string): string | undefined =>
  ledger.row<{ hub: string }>(
    "SELECT hub FROM suggestion WHERE project = ? ORDER BY created_at DESC, rowid DESC LIMIT 1",
    project,
  )?.hub;

/**
 * Files everything of the project at `from` under `to`.
 *
 * @param from directory as the ledger has it
 * @param to the same jj repository at its new place
 * @throws ReviewError when there is nothing to move, the old place is still a repository, or the new one is another
 */
export async function moveProject(ledger: Ledger, from: string, to: string): Promise<void> {
  const commits = ledger.rows<{ commit_id: string }>(
    `SELECT commit_id FROM revision JOIN suggestion
       ON suggestion.id = revision.suggestion AND suggestion.revision = revision.n
     WHERE suggestion.project = ?`,
    from,
  );
  if (commits.length === 0) {
    const known = ledger
      .rows<{ project: string }>("SELECT DISTINCT project FROM suggestion ORDER BY project")
      .map(({ project }) => project);
    throw new ReviewError(
      "not_found",
      `moved from: no suggestion is of ${from}; the ledger knows ${known.join(", ") || "none"}`,
    );
  }
  if (existsSync(join(from, ".jj")))
    throw new ReviewError(
      "invalid_request",
      `moved from: ${from} is still a jj repository; serve it where it is`,
    );
  const jj = await openJj(to);
  const ids = commits.map((row) => row.commit_id);
  if ((await missingObjects(await jj.store(), ids)).length === ids.length)
    throw new ReviewError(
      "invalid_request",
      `moved from: ${jj.dir} holds no commit of a suggestion of ${from}; it is another repository`,
    );
  ledger.transaction(() => {
    for (const table of ["suggestion", "outbox", "session"])
      ledger.change(`UPDATE ${table} SET project = ? WHERE project = ?`, jj.dir, from);
  });
}
