/**
 * Settling: the agent's repository is brought to what the ledger says, for all suggestions of a project that need
 * it, at one quiet moment. Many decisions make one settle; what fails is told and tried again after the next.
 */
import { ReviewError } from "../../protocol/errors.ts";
import type { Project } from "../../vcs/project.ts";
import { type Abandoned, mergeCommits, type SettleOutcome, settleChange } from "../../vcs/settle.ts";
import { writeChange } from "../../vcs/trees.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { recordStanding, standingAt } from "../ledger/settlements.ts";
import { getRevision, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { resumePublishes } from "../publish/publish.ts";
import { enqueue } from "../tell/outbox.ts";
import { followShared } from "./follow.ts";
import { followUps } from "./follow-ups.ts";
import { heldRows, heldText } from "./held.ts";
import type { SettleContext } from "./settle-context.ts";
import { type Part, writeTree } from "./suggestion-trees.ts";
import { findTakenBack } from "./taken-back.ts";

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
  await resumePublishes(ledger, project);
  const takenBack = await findTakenBack(ledger, project);
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND settle_needed = 1 ORDER BY created_at, id",
    project.dir,
  );
  const problems: string[] = [];
  for (const row of rows) {
    const outcome = await settleOne(context, row);
    if ("message" in outcome && outcome.kind !== "gone") problems.push(outcome.message);
    else if (takenBack.has(row.id)) tellTakenBack(context, row);
  }
  if (rows.length > 0) await followUps(context);
  if (project.behind) await followShared(context);
  project.lookedAt = await project.jj.operation();
  return problems;
}

async function settleOne(context: SettleContext, row: SuggestionRow): Promise<SettleOutcome> {
  const { ledger, project } = context;
  if (row.settle_problem === null)
    emitStatus(context, row.id, "settling", "Bringing the agent's working copy up to date");
  let outcome: SettleOutcome;
  // A finished suggestion leaves what is undecided; a discarded one leaves nothing undecided.
  const part = row.state === "discarded" ? "accepted" : "sandbox";
  try {
    const composed = await writeTree(ledger, project, row, part);
    const revision = getRevision(ledger, row.id, row.revision);
    const final =
      row.result === null
        ? null
        : (JSON.parse(row.result) as { commit: string; ref: string; base_commit: string });
    let wanted = composed.commit;
    const parent = final?.commit ?? row.settled_parent;
    if (final !== null) {
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
        standingOf: (commit) => {
          const known = standingAt(ledger, row.id, commit);
          return known && { settled: known.settled, settledParent: known.settled_parent };
        },
        wantedParent: parent,
        abandonEmpty: row.state !== "open",
        revive:
          row.state === "open" && row.abandoned !== null ? (JSON.parse(row.abandoned) as Abandoned) : null,
      },
      final === null ? [] : await finalRefs(project, final),
      () => project.gate.hold?.() ?? (() => {}),
    );
    recordOutcome(ledger, row, outcome, { wanted, parent });
  } catch (thrown) {
    if (!(thrown instanceof ReviewError)) throw thrown;
    outcome = { kind: "conflict", message: thrown.message, held: [] };
  }
  report(context, row, outcome, part);
  return outcome;
}

/** Suggestions of changes that stand on this one again. */
function stackAgain(ledger: Ledger, row: SuggestionRow, changes: string[]): void {
  ledger.change(
    `UPDATE suggestion SET stacked_on = ? WHERE project = ? AND state = 'open' AND stacked_on IS NULL
       AND change_id IN (SELECT value FROM json_each(?))`,
    row.id,
    row.project,
    JSON.stringify(changes),
  );
}

function recordOutcome(
  ledger: Ledger,
  row: SuggestionRow,
  outcome: SettleOutcome,
  { wanted, parent }: { wanted: string; parent: string },
): void {
  if (outcome.kind === "conflict" || outcome.kind === "raced") return;
  const standing = {
    settled: outcome.kind === "partial" ? outcome.wanted : wanted,
    settled_parent: parent,
  };
  const commit = "commit" in outcome ? outcome.commit : "";
  ledger.transaction(() => {
    if ("from" in outcome) {
      const { settled, settledParent } = outcome.from.standing;
      recordStanding(ledger, row.id, outcome.from.commit, { settled, settled_parent: settledParent });
    }
    if (commit !== "") recordStanding(ledger, row.id, commit, standing);
    // Decisions made meanwhile ask for another settle.
    ledger.change(
      `UPDATE suggestion SET settled = ?, settled_parent = ?, agent_commit = ?,
         abandoned = ?, settle_needed = CASE WHEN updated_at = ? THEN ? ELSE settle_needed END WHERE id = ?`,
      standing.settled,
      standing.settled_parent,
      commit,
      abandonedBy(outcome, row),
      row.updated_at,
      outcome.kind === "partial" ? 2 : 0,
      row.id,
    );
    if (outcome.kind === "revived") stackAgain(ledger, row, outcome.children);
  });
}

/** What the ledger keeps of a change that is not there, so that it can come back. */
function abandonedBy(outcome: SettleOutcome, row: SuggestionRow): string | null {
  if (outcome.kind === "abandoned") return JSON.stringify(outcome.was);
  return outcome.kind === "gone" ? row.abandoned : null;
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

function report(context: SettleContext, row: SuggestionRow, outcome: SettleOutcome, part: Part): void {
  const { ledger, project } = context;
  if (
    outcome.kind === "settled" ||
    outcome.kind === "abandoned" ||
    outcome.kind === "revived" ||
    outcome.kind === "gone"
  ) {
    ledger.change("UPDATE suggestion SET settle_problem = NULL WHERE id = ?", row.id);
    emitStatus(
      context,
      row.id,
      "settled",
      outcome.kind === "gone" ? outcome.message : "The agent's working copy is up to date",
    );
    return;
  }
  if (outcome.kind === "raced") {
    // Nothing is wrong with it: it stays asked for, and is told once however often it is tried.
    if (row.settle_problem !== null) return;
    const running = project.gate.stillRunning?.() ?? [];
    const who = running.length === 0 ? "" : ` (still running: ${running.slice(0, 3).join(", ")})`;
    const message = `${outcome.message}${who}; it is tried again until it holds`;
    ledger.change("UPDATE suggestion SET settle_problem = ? WHERE id = ?", message, row.id);
    emitStatus(context, row.id, "settling", message);
    return;
  }
  ledger.transaction(() => {
    // Tried again after the next decision or call, and at the next quiet moment, not in a loop.
    ledger.change(
      "UPDATE suggestion SET settle_needed = 2 WHERE id = ? AND updated_at = ?",
      row.id,
      row.updated_at,
    );
    // Told once, however often it is tried.
    if (row.settle_problem === outcome.message) return;
    ledger.change("UPDATE suggestion SET settle_problem = ? WHERE id = ?", outcome.message, row.id);
    ledger.emit(
      project.dir,
      { type: "suggestion.error", code: "apply_failed", message: outcome.message, suggestion_id: row.id },
      context.now(),
    );
    const held = heldRows(ledger, row, part === "accepted" ? "accepted" : "sandbox", outcome.held);
    tell(context, row, {
      held: held.map((hunk) => hunk.id),
      message: heldText(row.change_id, held, outcome.message, outcome.kind === "partial"),
    });
  });
}

function tellTakenBack(context: SettleContext, row: SuggestionRow): void {
  tell(context, row, {
    message: [
      "A jj operation of yours (such as jj undo or jj op restore) had brought back what the developer decided on; it was settled once more, and your working copy is as the developer decided.",
      'To take back an operation of your own, find it with "jj op log" and use "jj op revert <operation>".',
    ].join("\n"),
  });
}

function tell(
  { ledger, project, now }: SettleContext,
  row: SuggestionRow,
  note: { message: string; held?: string[] },
): void {
  enqueue(
    ledger,
    {
      project: project.dir,
      suggestion: row.id,
      session: row.session,
      kind: "note",
      at: now().toISOString(),
    },
    { description: row.description, ...note },
  );
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
