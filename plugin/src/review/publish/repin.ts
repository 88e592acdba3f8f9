/** Sees at start that the hub has what open suggestions stand on, and pins it again where it has not. */
import { ReviewError, toReviewError } from "../../protocol/errors.ts";
import { missingObjects, refill } from "../../vcs/completeness.ts";
import { ZERO } from "../../vcs/git.ts";
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { entriesOf, type RevisionRow } from "../ledger/suggestion-rows.ts";

export interface RepinResult {
  /** What was done, one sentence each. */
  done: string[];
  /** What could not be done, with what to do. */
  problems: string[];
}

const SUBMODULE = "160000";

/** Every object that reviewing a revision reads, but for the trees between. */
function objectsOf(row: RevisionRow): string[] {
  const ids = [row.commit_id, row.base_commit, row.base_tree, row.commit_tree];
  for (const entry of entriesOf(row)) {
    if (entry.oldOid !== null && entry.oldMode !== SUBMODULE) ids.push(entry.oldOid);
    if (entry.newOid !== null && entry.newMode !== SUBMODULE) ids.push(entry.newOid);
  }
  return ids.filter((id) => id !== ZERO);
}

/** Looks at every open suggestion of the project; asks the agent's repository for what is missing. */
export async function repin(ledger: Ledger, project: Project): Promise<RepinResult> {
  const rows = ledger.rows<RevisionRow>(
    `SELECT revision.* FROM revision JOIN suggestion
       ON suggestion.id = revision.suggestion AND suggestion.revision = revision.n
     WHERE suggestion.project = ? AND suggestion.state = 'open'`,
    project.dir,
  );
  const result: RepinResult = { done: [], problems: [] };
  const missing = new Set(await missingObjects(project.hub, rows.flatMap(objectsOf)));
  for (const row of rows) {
    const ref = `refs/review/${row.suggestion}/${row.n}`;
    const lacks = objectsOf(row).filter((id) => missing.has(id));
    if (lacks.length === 0 && (await project.hub.resolve(ref)) !== null) continue;
    try {
      await refill(project.hub, await project.jj.store(), [row.commit_id]);
      const still = await missingObjects(project.hub, objectsOf(row));
      if (still.length > 0) throw new ReviewError("git_error", `${still[0]} is in neither repository`);
      await project.hub.setRef(ref, row.commit_id);
      result.done.push(
        `pinned revision ${row.n} of suggestion ${row.suggestion} again from the agent's repository: the hub ${project.hub.dir} had lost it`,
      );
    } catch (thrown) {
      result.problems.push(
        `The hub ${project.hub.dir} lacks revision ${row.n} of suggestion ${row.suggestion} (${lacks[0] ?? ref}), and the agent's repository cannot give it back: ${toReviewError(thrown).message}. Put the hub back from a copy, or discard the suggestion.`,
      );
    }
  }
  return result;
}
