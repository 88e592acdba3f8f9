/**
 * Ending a review: discard (discard.ts), or finalize, which makes one commit of what was accepted and pushes it. What
 * is about to be pushed is in the ledger before it is pushed, so that a crash in between is finished at the next start.
 */

import type { CompleteRequest, CompleteResult } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Actor } from "../../protocol/model.ts";
import { EMPTY_TREE, ZERO } from "../../vcs/git.ts";
import type { Project } from "../../vcs/project.ts";
import { ontoBranch, push, pushUnlessMoved, remoteTips, slug } from "../../vcs/sync.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { answered, recordAnswer } from "../ledger/request-ids.ts";
import { getOpen, getRevision, getSuggestion, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { unreviewedBelow } from "../publish/stack.ts";
import { closeSuggestion, discard, tellAgent } from "./discard.ts";
import { writeTree } from "./suggestion-trees.ts";

export interface SyncSettings {
  remote: string | null;
  branch: string | null;
  prefix: string;
}

/** A push that was decided on; enough to do it again after a crash. */
interface Finalizing {
  commit: string;
  tree: string;
  base: string;
  ref: string;
  expected: string;
  by: Actor;
  /** Shared branch that must still be `base` for this push; left out where that was looked at before. */
  standing?: string;
  /** Who asks again after a crash gets the answer that this would have had. */
  request?: CompleteRequest;
}

export interface CompleteContext {
  ledger: Ledger;
  project: Project;
  sync: SyncSettings;
  now: () => Date;
}

export async function complete(
  context: CompleteContext,
  request: CompleteRequest,
  by: Actor,
): Promise<CompleteResult> {
  const before = answered<CompleteResult>(context.ledger, "complete", request);
  if (before !== null) return before;
  return context.project.exclusively(async () =>
    request.action === "discard" ? discard(context, request, by) : finalize(context, request, by),
  );
}

async function finalize(
  context: CompleteContext,
  request: CompleteRequest,
  by: Actor,
): Promise<CompleteResult> {
  const { ledger, project } = context;
  const meanwhile = answered<CompleteResult>(ledger, "complete", request);
  if (meanwhile !== null) return meanwhile;
  const suggestion = getOpen(ledger, request.suggestion_id);
  if (suggestion.stacked_on !== null) {
    const lower = getSuggestion(ledger, suggestion.stacked_on);
    if (lower.state === "open") {
      throw new ReviewError(
        "merge_conflict",
        `This suggestion is based on suggestion ${lower.id}, which is not finalized yet; finalize or discard that first`,
        {
          details: { stacked_on: lower.id },
        },
      );
    }
  }
  const revision = getRevision(ledger, suggestion.id, suggestion.revision);
  const message = request.description ?? suggestion.description;
  const options = {
    message: message.endsWith("\n") ? message : `${message}\n`,
    author: revision.author,
    committer: revision.author.replace(
      /\d+ [+-]\d{4}$/,
      `${Math.floor(context.now().getTime() / 1000)} +0000`,
    ),
  };
  const accepted = await writeTree(ledger, project, suggestion, "accepted", {
    ...options,
    keptBy: finalRef(suggestion.id),
  });
  if (accepted.tree === revision.base_tree) {
    throw new ReviewError(
      "nothing_to_do",
      "Nothing was accepted, so there is no commit to make; discard the suggestion instead",
    );
  }
  const shared = await project.sharedRef();
  const ref =
    context.sync.branch === null
      ? bookmarkRef(context.sync.prefix, suggestion, message)
      : `refs/heads/${context.sync.branch}`;
  const direct = { ...accepted, base: revision.base_commit, ref, expected: ZERO, by, request };
  if (context.sync.remote !== null && context.sync.branch === null && direct.base !== ZERO) {
    // Mostly nobody has pushed meanwhile: then the push itself is all that has to be asked.
    const first: Finalizing = { ...direct, standing: shared };
    begin(context, suggestion, first);
    const done = await pushAndRecord(context, suggestion.id, first, request);
    if (done !== null) return done;
  }
  const [tip = null, refTip = null] = await remoteTips(
    project.hub,
    context.sync.remote,
    ref === shared ? [shared] : [shared, ref],
    [direct.base],
  );
  if (tip !== direct.base) await checkBaseIsShared(ledger, project, direct.base);
  const expected = (ref === shared ? tip : refTip) ?? ZERO;
  const prepared = await ontoBranch(
    project.hub,
    accepted,
    direct.base,
    ref === shared || context.sync.branch === null ? tip : expected,
    { ...options, ref: finalRef(suggestion.id) },
  );
  if (ref === shared && tip !== null && prepared.base !== tip) {
    throw new ReviewError(
      "push_rejected",
      `${ref} is not an ancestor of the suggestion's base; rebase the suggestion first`,
    );
  }
  const finalizing: Finalizing = { ...prepared, ref, expected, by, request };
  begin(context, suggestion, finalizing);
  return (await pushAndRecord(context, suggestion.id, finalizing, request)) as CompleteResult;
}

/** From here on no decision is taken, and a crash is followed by the push. */
function begin({ ledger }: CompleteContext, suggestion: SuggestionRow, finalizing: Finalizing): void {
  ledger.transaction(() => {
    const still = getOpen(ledger, suggestion.id);
    if (still.updated_at !== suggestion.updated_at || still.revision !== suggestion.revision) {
      throw new ReviewError(
        "stale_hunk",
        "Decisions changed while the commit was being made; finalize again",
      );
    }
    ledger.change(
      "UPDATE suggestion SET finalizing = ? WHERE id = ?",
      JSON.stringify(finalizing),
      suggestion.id,
    );
  });
}

/** Keeps the commit that is to be pushed. */
const finalRef = (suggestion: string): string => `refs/review/${suggestion}/final`;

/** @returns null when what the push stands on has moved, or its ref is somebody else's: nothing was done then */
async function pushAndRecord(
  context: CompleteContext,
  suggestionId: string,
  finalizing: Finalizing,
  request: CompleteRequest,
): Promise<CompleteResult | null> {
  const { ledger, project, sync } = context;
  const clear = () =>
    ledger.whenFree(() =>
      ledger.change("UPDATE suggestion SET finalizing = NULL WHERE id = ?", suggestionId),
    );
  const { base, standing } = finalizing;
  const pushing =
    standing === undefined || sync.remote === null
      ? push(project.hub, sync.remote, finalizing).then(() => true)
      : pushUnlessMoved(project.hub, sync.remote, finalizing, { ref: standing, commit: base });
  // Read meanwhile. Should that fail, the push stands: it is finished at the next start, not taken for undone.
  const listing = changedFiles(project, finalizing);
  listing.catch(() => undefined);
  let taken: boolean;
  try {
    taken = await pushing;
  } catch (thrown) {
    await clear();
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    await ledger.whenFree(() =>
      ledger.emit(
        project.dir,
        { type: "suggestion.error", code: "sync_failed", message, suggestion_id: suggestionId },
        context.now(),
      ),
    );
    throw thrown;
  }
  if (!taken) {
    await clear();
    return null;
  }
  const files = await listing;
  // It is pushed: whoever writes to the ledger just now, it is written down.
  return ledger.whenFree(() => recordFinalized(context, suggestionId, finalizing, request, files));
}

function recordFinalized(
  context: CompleteContext,
  suggestionId: string,
  finalizing: Finalizing,
  request: CompleteRequest,
  files: string[],
): CompleteResult {
  const { ledger, project } = context;
  return ledger.transaction(() => {
    const suggestion = getSuggestion(ledger, suggestionId);
    const shortRef = finalizing.ref.replace(/^refs\/heads\//, "");
    const result = { commit: finalizing.commit, ref: shortRef, base_commit: finalizing.base };
    const answer: CompleteResult = {
      success: true,
      suggestion_id: suggestionId,
      action: "finalized",
      ...result,
      files,
    };
    if (suggestion.state === "open") {
      ledger.change(
        "UPDATE suggestion SET result = ?, finalizing = NULL WHERE id = ?",
        JSON.stringify(result),
        suggestionId,
      );
      closeSuggestion(context, suggestion, "finalized");
      ledger.emit(
        project.dir,
        {
          type: "suggestion.completed",
          suggestion_id: suggestionId,
          action: "finalized",
          ...result,
          by: finalizing.by,
        },
        context.now(),
      );
      tellAgent(
        context,
        suggestion,
        `The developer finalized this suggestion: commit ${finalizing.commit.slice(0, 12)} is on ${shortRef}. Your change keeps only what was not decided.`,
      );
    }
    // A process may have died between the two: then it is here already, for the retry.
    if (answered(ledger, "complete", request) === null) recordAnswer(ledger, "complete", request, answer);
    return answer;
  });
}

async function changedFiles(project: Project, finalizing: Finalizing): Promise<string[]> {
  const { stdout } = await project.hub.run([
    "diff-tree",
    "-r",
    "-z",
    "--name-only",
    "--no-renames",
    finalizing.base === ZERO ? EMPTY_TREE : finalizing.base,
    finalizing.tree,
  ]);
  return new TextDecoder()
    .decode(stdout)
    .split("\0")
    .filter((file) => file !== "");
}

const bookmarkRef = (prefix: string, suggestion: SuggestionRow, description: string): string =>
  `refs/heads/${prefix}${slug(description)}-${suggestion.id.slice(-8)}`;

/** Commits below the suggestion would be pushed along with it: they must be shared already, not merely there. */
async function checkBaseIsShared(ledger: Ledger, project: Project, base: string): Promise<void> {
  if (base === ZERO) return;
  const branches = ["for-each-ref", "--count=1", "--format=%(refname)"];
  if ((await project.hub.text([...branches, "--contains", base, "refs/heads"])) !== "") return;
  if ((await project.hub.text([...branches, "refs/heads"])) === "") return;
  const below = await unreviewedBelow(ledger, project, base);
  throw new ReviewError(
    "push_rejected",
    [
      `The suggestion's parent ${base.slice(0, 12)} is on no shared branch, and finalizing would publish it unreviewed.`,
      ...(below.length === 0
        ? ["Ask the agent to rebase this change onto the shared branch, and to publish it again."]
        : ["The agent is to do this:", ...below]),
    ].join(" "),
    { details: { base } },
  );
}

/** Finishes pushes that a crash interrupted. Returns what was done, one sentence each. */
export async function resumeFinalizing(context: CompleteContext): Promise<string[]> {
  const { ledger, project } = context;
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND finalizing IS NOT NULL",
    project.dir,
  );
  const done: string[] = [];
  for (const row of rows) {
    const { standing, ...finalizing } = JSON.parse(row.finalizing as string) as Finalizing;
    const request = finalizing.request ?? ({ suggestion_id: row.id, action: "finalize" } as const);
    try {
      // It may have gone through before the crash, and what it stood on moved since: then it is there, and stays.
      const [tip] =
        standing === undefined ? [] : await remoteTips(project.hub, context.sync.remote, [finalizing.ref]);
      const isThere = standing === undefined || tip === finalizing.commit;
      const result = await pushAndRecord(
        context,
        row.id,
        isThere ? finalizing : { ...finalizing, standing },
        request,
      );
      done.push(
        result === null
          ? `the interrupted push of suggestion ${row.id} was not done, since ${standing} has moved: finalize it again`
          : `finished the interrupted push of suggestion ${row.id} to ${finalizing.ref}`,
      );
    } catch (thrown) {
      done.push(
        `the interrupted push of suggestion ${row.id} could not be finished: ${(thrown as Error).message}`,
      );
    }
  }
  return done;
}
