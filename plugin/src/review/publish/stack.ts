/**
 * Changes on changes. A suggestion that stands on another one waits for it; what it stands on that nobody reviews is
 * said when it is published, since finalizing would push that along unseen.
 */
import { ZERO } from "../../vcs/git.ts";
import type { Change } from "../../vcs/jj.ts";
import type { Project } from "../../vcs/project.ts";
import { together } from "../../vcs/run.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getSuggestion } from "../ledger/suggestion-rows.ts";

/** Changes below a suggestion that are named; what is under those is said when they are published. */
const NAMED = 20;

/** Changes from `base` down to the shared branches of the hub, the lowest first. [] where nothing is shared yet. */
export async function unsharedBelow(project: Project, base: string): Promise<Change[]> {
  if (base === ZERO) return [];
  const { hub, jj } = project;
  const [branch, listed] = await together([
    hub.text(["for-each-ref", "--count=1", "--format=%(refname)", "refs/heads"]),
    hub.text(["rev-list", `--max-count=${NAMED}`, base, "--not", "--branches"]),
  ]);
  if (branch === "" || listed === "") return [];
  const commits = listed.split("\n");
  const found = await jj.changes(commits.map((commit) => `present(${commit})`).join(" | "));
  const byCommit = new Map(found.map((change) => [change.commit, change]));
  return commits.flatMap((commit) => byCommit.get(commit) ?? []).reverse();
}

const hasOpen = (ledger: Ledger, project: string, changeId: string): boolean =>
  ledger.row(
    "SELECT 1 FROM suggestion WHERE project = ? AND change_id = ? AND state = 'open' LIMIT 1",
    project,
    changeId,
  ) !== null;

const nameOf = (change: Change): string =>
  `${change.changeId.slice(0, 12)} ${JSON.stringify(change.description.split("\n", 1)[0])}`;

/**
 * What is to be done about changes below that are under no review, one sentence each; [] when there are none.
 * @param base parent of the change that is to be finalized
 */
export async function unreviewedBelow(ledger: Ledger, project: Project, base: string): Promise<string[]> {
  const below = await unsharedBelow(project, base);
  const alone = below.filter((change) => !hasOpen(ledger, project.dir, change.changeId));
  const empty = alone.filter((change) => change.empty);
  const full = alone.filter((change) => !change.empty);
  const said: string[] = [];
  if (full.length > 0) {
    const calls = full.map((change) => `change_id "${change.changeId}"`).join(", then ");
    said.push(
      `This change stands on ${full.length === 1 ? "a change that is" : `${full.length} changes that are`} under no review: ${full.map(nameOf).join(", ")}. It can be finalized after ${full.length === 1 ? "that" : "those"} only: publish ${full.length === 1 ? "it" : "them, the lowest first,"} too (publish_suggestion with ${calls}), or fold what belongs together into one change with "jj squash" and publish that again.`,
    );
  }
  for (const change of empty) {
    said.push(
      `This change stands on the empty change ${nameOf(change)}, which cannot be reviewed: take it out ("jj abandon ${change.changeId.slice(0, 12)}"), then publish this change again.`,
    );
  }
  return said;
}

/** The open suggestion that a commit belongs to, by the commit or by its change. */
export function suggestionAt(
  ledger: Ledger,
  project: string,
  base: { commit: string; changeId: string | undefined },
  self: string,
): string | null {
  return (
    ledger.row<{ id: string }>(
      `SELECT suggestion.id AS id FROM suggestion LEFT JOIN revision ON revision.suggestion = suggestion.id
       WHERE project = ? AND suggestion.state = 'open' AND suggestion.id <> ?
         AND (agent_commit = ? OR commit_id = ? OR change_id = ?) LIMIT 1`,
      project,
      self,
      base.commit,
      base.commit,
      base.changeId ?? "",
    )?.id ?? null
  );
}

/** Suggestions that were published before the one they stand on learn of it. */
export async function adoptChildren(
  ledger: Ledger,
  project: Project,
  lower: { suggestion: string; changeId: string },
  now: () => Date,
): Promise<void> {
  const candidates = ledger.row(
    "SELECT 1 FROM suggestion WHERE project = ? AND state = 'open' AND stacked_on IS NOT ? AND id <> ? LIMIT 1",
    project.dir,
    lower.suggestion,
    lower.suggestion,
  );
  // Mostly it is the only one, and jj need not be asked.
  if (candidates === null) return;
  const children = await project.jj.changes(`children(change_id(${lower.changeId}))`);
  for (const child of children) {
    const row = ledger.row<{ id: string }>(
      `SELECT id FROM suggestion WHERE project = ? AND change_id = ? AND state = 'open'
         AND stacked_on IS NOT ? AND id <> ? ORDER BY created_at DESC LIMIT 1`,
      project.dir,
      child.changeId,
      lower.suggestion,
      lower.suggestion,
    );
    if (row === null) continue;
    ledger.transaction(() => {
      ledger.change("UPDATE suggestion SET stacked_on = ? WHERE id = ?", lower.suggestion, row.id);
      const { description } = getSuggestion(ledger, lower.suggestion);
      const title = JSON.stringify(description.split("\n", 1)[0]);
      const message = `This suggestion stands on ${title}, which is under review now too and comes first`;
      ledger.emit(
        project.dir,
        { type: "suggestion.status", suggestion_id: row.id, status: "working", message },
        now(),
      );
    });
  }
}
