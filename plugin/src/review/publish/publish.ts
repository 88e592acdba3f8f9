/** Publishing: a change of the agent's repository becomes a suggestion, or a new revision of one. */
import { v7 as uuid } from "uuid";
import type { PublishResult } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Change } from "../../vcs/jj.ts";
import type { Project } from "../../vcs/project.ts";
import { leaveChange, pin, pinChange } from "../../vcs/publish.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { answered, recordAnswer } from "../ledger/request-ids.ts";
import type { SuggestionRow } from "../ledger/suggestion-rows.ts";
import { type PublishOptions, recordRevision } from "./revision.ts";

import { adoptChildren, unreviewedBelow } from "./stack.ts";

/** The open suggestion of a change, if there is one. */
const openOf = (ledger: Ledger, project: string, changeId: string): SuggestionRow | null =>
  ledger.row<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND change_id = ? AND state = 'open' ORDER BY created_at DESC LIMIT 1",
    project,
    changeId,
  );

/** Publishes what the agent names, then moves its working copy to a new change. */
export async function publish(
  ledger: Ledger,
  project: Project,
  options: PublishOptions,
): Promise<PublishResult> {
  const request = {
    description: options.description,
    change_id: options.changeId,
    request_id: options.requestId,
  };
  const before = answered<PublishResult>(ledger, "publish", request);
  if (before !== null) return before;
  return project.exclusively(async () => {
    // The same request may have come twice at once, and waited here for the first.
    const meanwhile = answered<PublishResult>(ledger, "publish", request);
    if (meanwhile !== null) return meanwhile;
    await resumePublishes(ledger, project);
    let suggestionId = uuid();
    const pinned = await pin(
      project.jj,
      project.hub,
      { changeId: options.changeId, description: options.description },
      (change) => {
        const open = openOf(ledger, project.dir, change.changeId);
        if (open !== null) suggestionId = open.id;
        return `refs/review/${suggestionId}/${(open?.revision ?? 0) + 1}`;
      },
    );
    pinned.warnings.push(...(await unreviewedBelow(ledger, project, pinned.base)));
    const result = await recordRevision(ledger, project, pinned, suggestionId, options, (answer) =>
      recordAnswer(ledger, "publish", request, answer),
    );
    const { changeId } = pinned.change;
    await adoptChildren(ledger, project, { suggestion: result.suggestion_id, changeId }, options.now);
    const remark = await leaveOrSay(ledger, project, pinned.change, result.suggestion_id);
    return remark === null ? result : { ...result, warnings: [...result.warnings, remark] };
  });
}

/**
 * What was published is published: where the working copy cannot be moved off it, that is said and done later.
 * @returns what the agent is to know, or null
 */
async function leaveOrSay(
  ledger: Ledger,
  project: Project,
  change: { commit: string },
  suggestionId: string,
): Promise<string | null> {
  try {
    await leavePublished(ledger, project, change, suggestionId);
    return null;
  } catch (thrown) {
    if (!(thrown instanceof ReviewError)) throw thrown;
    return `The change is published, but your working copy is still on it and is moved to a new change later: ${thrown.message}`;
  }
}

async function leavePublished(
  ledger: Ledger,
  project: Project,
  change: { commit: string },
  suggestionId: string,
): Promise<void> {
  await leaveChange(project.jj, change);
  ledger.change("UPDATE suggestion SET leave_needed = 0 WHERE id = ?", suggestionId);
}

/** Finishes publishes that a crash interrupted after they were recorded. Returns what was done. */
export async function resumePublishes(ledger: Ledger, project: Project): Promise<string[]> {
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND leave_needed = 1",
    project.dir,
  );
  for (const row of rows) await leavePublished(ledger, project, { commit: row.agent_commit }, row.id);
  return rows.map((row) => `moved the agent's working copy off the published change of suggestion ${row.id}`);
}

/** Publishes a new revision of an open suggestion from what its change is now, without anyone having asked. */
export async function republish(
  ledger: Ledger,
  project: Project,
  suggestion: SuggestionRow,
  change: Change,
  now: () => Date,
): Promise<PublishResult> {
  const ref = `refs/review/${suggestion.id}/${suggestion.revision + 1}`;
  const pinned = await pinChange(project.jj, project.hub, change, ref);
  return recordRevision(ledger, project, pinned, suggestion.id, {
    description: suggestion.description,
    session: suggestion.session,
    now,
  });
}
