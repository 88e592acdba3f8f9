/** The agent's side follows the shared branch: what is done about it, and who is told. */
import { ReviewError } from "../../protocol/errors.ts";
import { type FollowOutcome, followBranch } from "../../vcs/follow.ts";
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { enqueue } from "../tell/outbox.ts";

export interface FollowContext {
  ledger: Ledger;
  project: Project;
  now: () => Date;
}

/**
 * Brings the agent's working copy onto the shared branch, at a quiet moment, after the hub was fetched. What cannot move
 * now stays to be looked at again after the next settle.
 */
export async function followShared(context: FollowContext): Promise<void> {
  const { ledger, project } = context;
  const tip = await project.sharedTip();
  if (tip === null) {
    project.behind = false;
    return;
  }
  const open = ledger.rows<{ change_id: string }>(
    "SELECT change_id FROM suggestion WHERE project = ? AND state = 'open'",
    project.dir,
  );
  let outcome: FollowOutcome;
  try {
    outcome = await followBranch(project.jj, tip.commit, new Set(open.map((row) => row.change_id)));
  } catch (thrown) {
    // The settle that this is a part of is not to fail over it.
    if (!(thrown instanceof ReviewError)) throw thrown;
    emitProblem(context, thrown.message);
    return;
  }
  project.behind = outcome.kind === "held";
  const told = `${tip.commit} ${outcome.kind}`;
  if (outcome.kind === "unchanged" || project.toldOfTip === told) return;
  project.toldOfTip = told;
  const branch = tip.ref.replace(/^refs\/heads\//, "");
  tell(
    context,
    `The shared branch ${branch} went on to ${tip.commit.slice(0, 12)}. ${sentence(outcome, tip.commit)}`,
    outcome,
  );
}

function sentence(outcome: Exclude<FollowOutcome, { kind: "unchanged" }>, tip: string): string {
  const short = tip.slice(0, 12);
  if (outcome.kind === "moved") {
    return outcome.changes === 0
      ? "Your working copy stands on it now."
      : `Your working copy and ${outcome.changes} unpublished change${outcome.changes === 1 ? "" : "s"} stand on it now.`;
  }
  const changes = outcome.changeIds.map((id) => id.slice(0, 12)).join(", ");
  return outcome.kind === "held"
    ? `Your working copy stays where it is, on change ${changes}, which is under review on an older base.`
    : `Your unpublished work conflicts with it in change ${changes} and stays on the older base. Rebase it ("jj rebase -b @ -d ${short}") and resolve the conflicts before you publish.`;
}

function tell(context: FollowContext, message: string, outcome: FollowOutcome): void {
  const { ledger, project, now } = context;
  ledger.transaction(() => {
    if (outcome.kind === "conflict")
      emitProblem(context, message.replace(/Your (unpublished work)/, "The agent's $1"));
    enqueue(
      ledger,
      { project: project.dir, suggestion: null, session: null, kind: "note", at: now().toISOString() },
      { description: "", message },
    );
  });
}

function emitProblem({ ledger, project, now }: FollowContext, message: string): void {
  ledger.emit(project.dir, { type: "suggestion.error", code: "sync_failed", message }, now());
}
