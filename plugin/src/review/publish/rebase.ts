/** When the shared branch moves: marking what stands on an old base, and bringing a suggestion onto the new one. */

import type { PublishResult, RebaseRequest } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import { EMPTY_TREE, ZERO } from "../../vcs/git.ts";
import type { Project } from "../../vcs/project.ts";
import { mergeCommits } from "../../vcs/settle.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { answered, recordAnswer } from "../ledger/request-ids.ts";
import { getOpen, getRevision, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { republish } from "./publish.ts";

export interface BaseContext {
  ledger: Ledger;
  project: Project;
  now: () => Date;
}

/** Marks every open suggestion whose base the shared branch has left behind. */
export async function markMovedBases({ ledger, project, now }: BaseContext): Promise<void> {
  const tip = await project.sharedTip();
  if (tip === null) return;
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND state = 'open' AND base_moved = 0",
    project.dir,
  );
  for (const row of rows) {
    const { base_commit: base } = getRevision(ledger, row.id, row.revision);
    if (base === tip.commit || !(await project.hub.isAncestor(base, tip.commit))) continue;
    ledger.transaction(() => {
      ledger.change("UPDATE suggestion SET base_moved = 1 WHERE id = ?", row.id);
      ledger.emit(
        project.dir,
        {
          type: "suggestion.base_moved",
          suggestion_id: row.id,
          branch: tip.ref.replace(/^refs\/heads\//, ""),
          commit: tip.commit,
        },
        now(),
      );
    });
  }
}

/** A new revision of a suggestion on the tip of the shared branch; decisions on unchanged hunks are kept. */
export async function rebase(
  { ledger, project, now }: BaseContext,
  request: RebaseRequest,
): Promise<PublishResult> {
  const before = answered<PublishResult>(ledger, "rebase", request);
  if (before !== null) return before;
  return project.gate.run(() =>
    project.exclusively(async () => {
      const meanwhile = answered<PublishResult>(ledger, "rebase", request);
      if (meanwhile !== null) return meanwhile;
      const row = getOpen(ledger, request.suggestion_id);
      const tip = await project.sharedTip();
      const { base_commit: base } = getRevision(ledger, row.id, row.revision);
      if (tip === null || tip.commit === base || !(await project.hub.isAncestor(base, tip.commit))) {
        throw new ReviewError("nothing_to_do", "The suggestion is on the tip of the shared branch already");
      }
      await project.jj.snapshot();
      const [change, ...others] = await project.jj.commitsOf(row.change_id);
      if (change === undefined || others.length > 0) {
        throw new ReviewError(
          "unpublishable",
          `Change ${row.change_id.slice(0, 12)} is gone from the agent's repository, or divergent there`,
        );
      }
      const store = await project.jj.store();
      await project.hub.take(store.dir, change.commit, `refs/review/${row.id}/agent`);
      const merged = await mergeCommits(
        project.hub,
        base === ZERO ? EMPTY_TREE : base,
        tip.commit,
        change.commit,
      );
      if ("files" in merged) {
        throw new ReviewError(
          "merge_conflict",
          `The shared branch changed the same lines: ${merged.files.join(", ")}. Nothing was moved; ask the agent to rebase by hand.`,
          {
            details: { files: merged.files },
          },
        );
      }
      await project.fetchHub();
      // Not aside: what was written since is the change's too.
      const source = `change_id(${row.change_id})`;
      await project.jj.run(["rebase", "--quiet", "--source", source, "--destination", tip.commit]);
      const [moved] = await project.jj.commitsOf(row.change_id);
      if (moved === undefined)
        throw new ReviewError("jj_error", "The change vanished while it was being rebased");
      const result = await republish(ledger, project, row, moved, now);
      ledger.transaction(() => recordAnswer(ledger, "rebase", request, result));
      return result;
    }),
  );
}
