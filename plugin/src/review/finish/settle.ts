/**
 * Settling: the agent's repository is brought to what the ledger says, for all suggestions of a project that need
 * it, at one quiet moment. Many decisions make one settle; what fails is told and tried again after the next.
 */
import { ReviewError } from "../../protocol/errors.ts";
import type { Project } from "../../vcs/project.ts";
import { mergeCommits, type SettleOutcome, settleChange } from "../../vcs/settle.ts";
import { writeChange } from "../../vcs/trees.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getRevision, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { enqueue } from "../tell/outbox.ts";
import { followShared } from "./follow.ts";
import { followUps } from "./follow-ups.ts";
import { writeTree } from "./suggestion-trees.ts";

export interface SettleContext {
  ledger: Ledger;
  project: Project;
  now: () => Date;
}

/** @param failed whether those count that failed before and wait for the next decision or call */
export const needsSettling = (ledger: Ledger, project: string, failed: boolean): boolean =>
  ledger.row(
    `SELECT 1 FROM suggestion WHERE project = ? AND settle_needed ${failed ? "> 0" : "= 1"} LIMIT 1`,
    project,
  ) !== null;

/**
 * @returns sentences about what could not be settled; [] when all is
 */
export function settle(context: SettleContext): Promise<string[]> {
  const { project } = context;
  return project.gate.run(() => project.exclusively(() => settleAll(context)));
}

async function settleAll(context: SettleContext): Promise<string[]> {
  const { ledger, project } = context;
  if (project.followHub) {
    await project.fetchHub();
    project.followHub = false;
    project.behind = true;
  }
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND settle_needed = 1 ORDER BY created_at, id",
    project.dir,
  );
  const problems: string[] = [];
  for (const row of rows) {
    const outcome = await settleOne(context, row);
    if (outcome.kind === "conflict") problems.push(outcome.message);
  }
  if (rows.length > 0) await followUps(context);
  if (project.behind) await followShared(context);
  return problems;
}

async function settleOne(context: SettleContext, row: SuggestionRow): Promise<SettleOutcome> {
  const { ledger, project } = context;
  emitStatus(context, row.id, "settling", "Bringing the agent's working copy up to date");
  let outcome: SettleOutcome;
  let wanted = row.settled;
  try {
    // A finished suggestion leaves what is undecided; a discarded one leaves nothing undecided.
    const composed = await writeTree(
      ledger,
      project,
      row,
      row.state === "discarded" ? "accepted" : "sandbox",
    );
    const revision = getRevision(ledger, row.id, row.revision);
    const final =
      row.result === null
        ? null
        : (JSON.parse(row.result) as { commit: string; ref: string; base_commit: string });
    wanted = composed.commit;
    let parent = revision.base_commit;
    if (final !== null) {
      parent = final.commit;
      wanted =
        final.base_commit === revision.base_commit
          ? composed.commit
          : await rebased(project, row, composed.commit, final);
    }
    outcome = await settleChange(
      project.jj,
      project.hub,
      {
        suggestionId: row.id,
        changeId: row.change_id,
        settled: row.settled,
        wanted,
        settledParent: row.settled_parent,
        wantedParent: final === null ? row.settled_parent : parent,
        abandonEmpty: row.state !== "open",
      },
      final === null ? [] : await finalRefs(project, final),
    );
    if (outcome.kind !== "conflict") {
      ledger.transaction(() => {
        // Decisions made meanwhile ask for another settle.
        ledger.change(
          `UPDATE suggestion SET settled = ?, settled_parent = ?, agent_commit = ?,
             settle_needed = CASE WHEN updated_at = ? THEN 0 ELSE settle_needed END WHERE id = ?`,
          wanted,
          final === null ? row.settled_parent : parent,
          outcome.kind === "settled" ? outcome.commit : row.agent_commit,
          row.updated_at,
          row.id,
        );
      });
    }
  } catch (thrown) {
    if (!(thrown instanceof ReviewError)) throw thrown;
    outcome = { kind: "conflict", message: thrown.message, files: [] };
  }
  report(context, row, outcome);
  return outcome;
}

/** The wanted tree on the commit that was pushed, which was rebased onto a shared branch that had moved. */
async function rebased(
  project: Project,
  row: SuggestionRow,
  composed: string,
  final: { commit: string; base_commit: string },
): Promise<string> {
  const accepted = `refs/review/${row.id}/accepted`;
  const merged = await mergeCommits(project.hub, accepted, final.commit, composed);
  if ("files" in merged) {
    throw new ReviewError(
      "merge_conflict",
      `What is left of the suggestion conflicts with the shared branch: ${merged.files.join(", ")}`,
    );
  }
  const written = await writeChange(
    project.hub,
    final.commit,
    { removed: [], files: [{ path: "", mode: "040000", oid: merged.tree }] },
    { ref: `refs/review/${row.id}/sandbox`, parent: final.commit, message: "sandbox\n" },
  );
  return written.commit;
}

/** The pushed bookmark as the agent's repository should see it. */
async function finalRefs(
  project: Project,
  final: { commit: string; ref: string },
): Promise<[string, string][]> {
  const remotes = await project.jj.remotesOf(project.hub.dir);
  return remotes.map((remote) => [`refs/remotes/${remote}/${final.ref}`, final.commit]);
}

function report(context: SettleContext, row: SuggestionRow, outcome: SettleOutcome): void {
  const { ledger, project } = context;
  if (outcome.kind !== "conflict") {
    emitStatus(
      context,
      row.id,
      "settled",
      outcome.kind === "gone" ? outcome.message : "The agent's working copy is up to date",
    );
    return;
  }
  ledger.transaction(() => {
    // Tried again after the next decision or call, not in a loop.
    ledger.change(
      "UPDATE suggestion SET settle_needed = 2 WHERE id = ? AND updated_at = ?",
      row.id,
      row.updated_at,
    );
    ledger.emit(
      project.dir,
      { type: "suggestion.error", code: "apply_failed", message: outcome.message, suggestion_id: row.id },
      context.now(),
    );
    enqueue(
      ledger,
      {
        project: project.dir,
        suggestion: row.id,
        session: row.session,
        kind: "note",
        at: context.now().toISOString(),
      },
      {
        description: row.description,
        message: `The decisions could not be brought into your working copy: ${outcome.message}. Resolve it in your change, then publish again.`,
      },
    );
  });
}

function emitStatus(
  context: SettleContext,
  suggestionId: string,
  status: "settling" | "settled",
  message: string,
): void {
  context.ledger.emit(
    context.project.dir,
    { type: "suggestion.status", suggestion_id: suggestionId, status, message },
    context.now(),
  );
}
