/** Reads a change out of the agent's repository and pins it in the hub, so that nothing the agent does later moves it. */
import { ReviewError } from "../protocol/errors.ts";
import { type FoundChanges, findChanges } from "./find-changes.ts";
import { type Git, ZERO } from "./git.ts";
import type { Change, Jj } from "./jj.ts";
import { leftOut, lookThrough } from "./left-out.ts";
import { together } from "./run.ts";

export interface PinnedRevision extends FoundChanges {
  change: Change;
  base: string;
  baseTree: string;
  commitTree: string;
  warnings: string[];
}

const refuse = (message: string, reason: string): ReviewError =>
  new ReviewError("unpublishable", message, { details: { reason } });

/**
 * Finds the change that is meant: the named one, else `@`, else `@-` when `@` holds nothing.
 * @param named change id, commit id, `@` or `@-`
 */
async function chooseChange(jj: Jj, named: string | undefined): Promise<Change> {
  const wanted = named ?? "@";
  const revset = /^[k-z]+$/.test(wanted)
    ? `change_id(${wanted})`
    : wanted === "@" || wanted === "@-"
      ? wanted
      : `commit_id(${wanted})`;
  const found = await jj.changes(revset);
  const [change] = found;
  if (change === undefined) {
    throw new ReviewError(
      "not_found",
      `change_id: no change ${wanted} in ${jj.dir}; list changes with "jj log"`,
    );
  }
  if (found.length > 1) {
    throw refuse(
      `Change ${wanted} is divergent: ${found.length} commits have it. Keep one with "jj abandon <commit id>" on the others, then publish again.`,
      "divergent",
    );
  }
  if (named === undefined && change.empty && change.description === "") return chooseChange(jj, "@-");
  return change;
}

function checkReviewable(change: Change): void {
  const id = change.changeId.slice(0, 12);
  if (change.divergent) {
    throw refuse(
      `Change ${id} is divergent. Keep one commit with "jj abandon <commit id>" on the others, then publish again.`,
      "divergent",
    );
  }
  if (change.conflict) {
    throw refuse(
      `Change ${id} holds conflicts. Resolve them ("jj resolve --list -r ${id}" names the files), then publish again.`,
      "conflict",
    );
  }
  if (change.immutable) {
    throw refuse(
      `Change ${id} is immutable: it is on a shared branch already. Make a new change with "jj new" and publish that.`,
      "immutable",
    );
  }
  if (change.parents.length !== 1) {
    throw refuse(
      `Change ${id} is a merge of ${change.parents.length} changes. Publish the changes it merges, or put its content on one parent with "jj rebase".`,
      "merge",
    );
  }
  if (change.empty)
    throw refuse(
      `Change ${id} is empty: there is nothing to review. Edit files first, then publish.`,
      "empty",
    );
}

/**
 * Snapshots the working copy, names the change if it has no description, and copies it into the hub.
 * @param ref ref in the hub that keeps the commit
 */
export async function pin(
  jj: Jj,
  hub: Git,
  request: { changeId?: string | undefined; description: string },
  ref: (change: Change) => string,
): Promise<PinnedRevision> {
  // Before anything is done: what follows moves git's HEAD and index along.
  await jj.freeIndex();
  const looking = lookThrough(jj);
  const [warnings] = await together([jj.snapshot(), looking]);
  let change = await chooseChange(jj, request.changeId);
  checkReviewable(change);
  if (change.description === "") {
    // Not aside: jj takes in what was written since, and describes that.
    const named = `change_id(${change.changeId})`;
    await jj.run(["describe", "--quiet", "-r", named, `--message=${request.description}`]);
    const [described] = await jj.commitsOf(change.changeId);
    if (described === undefined)
      throw new ReviewError("jj_error", `Change ${change.changeId} vanished while it was being published`);
    change = described;
  }
  const [pinned, remarks] = await together([
    pinChange(jj, hub, change, ref(change)),
    leftOut(jj, looking, change.commit),
  ]);
  return { ...pinned, warnings: [...warnings, ...remarks] };
}

/** Pins a change as it is now, without asking the working copy. */
export async function pinChange(jj: Jj, hub: Git, change: Change, ref: string): Promise<PinnedRevision> {
  checkReviewable(change);
  const store = await jj.store();
  await hub.take(store.dir, change.commit, ref);
  const base = change.parents[0] ?? ZERO;
  const [baseTree, commitTree] = await Promise.all([hub.treeOf(base), hub.treeOf(change.commit)]);
  const found = await findChanges(hub, baseTree, commitTree);
  return { ...found, change, base, baseTree, commitTree, warnings: [] };
}

/** Starts a new change on top of a published one that is still the working copy, so that later edits stay apart. */
export async function leaveChange(jj: Jj, change: { commit: string }): Promise<void> {
  await jj.newChild(change.commit);
}
