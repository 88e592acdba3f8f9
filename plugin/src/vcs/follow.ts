/**
 * Keeps the agent's working copy on the shared branch: when that went on, an empty working copy moves to its tip, and
 * unpublished work is rebased onto it where that merges cleanly. What is under review never moves by itself.
 */
import { ReviewError } from "../protocol/errors.ts";
import type { Change, Jj } from "./jj.ts";
import { integrate, Raced } from "./settle.ts";

export type FollowOutcome =
  | { kind: "unchanged" }
  /** The working copy stands on the tip now, and so does this much unpublished work below it. */
  | { kind: "moved"; changes: number }
  /** The working copy stands on something that is under review. */
  | { kind: "held"; changeIds: string[] }
  | { kind: "conflict"; changeIds: string[] };

const TRIES = 4;

/** Whether the working copy stands on `tip`; nothing is asked of the files. */
export async function standsOn(jj: Jj, tip: string): Promise<boolean> {
  return (await jj.changes(`present(${tip}) & ::@`)).length > 0;
}

/**
 * Must run at a quiet moment: nothing of the agent's may write meanwhile. `tip` must be known to jj.
 * @param underReview change ids that must stay where they are
 */
export async function followBranch(jj: Jj, tip: string, underReview: Set<string>): Promise<FollowOutcome> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await attempt(jj, tip, underReview);
    } catch (thrown) {
      if (!(thrown instanceof Raced)) throw thrown;
    }
  }
  throw new ReviewError(
    "jj_error",
    "The agent's repository kept changing while it was to follow the shared branch",
  );
}

async function attempt(jj: Jj, tip: string, underReview: Set<string>): Promise<FollowOutcome> {
  const others = await jj.otherWorkspaces();
  for (const other of others) await other.snapshot();
  await jj.snapshot();
  const operation = await jj.operation();
  const [working] = await jj.changes("@", operation);
  if (working === undefined || (await standsOn(jj, tip))) return { kind: "unchanged" };
  const own = await jj.changes(`present(${tip})..@`, operation);
  const held = own.filter((change) => underReview.has(change.changeId));
  if (held.length > 0) return { kind: "held", changeIds: held.map((change) => change.changeId) };
  // A place of the agent's own choosing: another branch, or a history that has nothing to do with this one.
  const fork = await jj.changes(`heads(::present(${tip}) & ::@) ~ root()`, operation);
  if (fork.length === 0 || own.some((change) => change.immutable)) return { kind: "unchanged" };
  const made = await jj.operationAside(operation, ["rebase", "--branch", "@", "--destination", tip]);
  if (made === operation) return { kind: "unchanged" };
  const fresh = await newConflicts(jj, tip, operation, made);
  if (fresh.length > 0) return { kind: "conflict", changeIds: fresh.map((change) => change.changeId) };
  await integrate(jj, others, { operation, change: working }, made);
  return { kind: "moved", changes: own.filter((change) => !isBlank(change)).length };
}

const isBlank = (change: Change): boolean => change.empty && change.description === "";

/** What is conflicted after the operation and was not before. */
async function newConflicts(jj: Jj, tip: string, before: string, after: string): Promise<Change[]> {
  const troubled = (at: string) => jj.changes(`conflicts() & mutable() & (${tip}..)`, at);
  const known = new Set((await troubled(before)).map((change) => change.changeId));
  return (await troubled(after)).filter((change) => !known.has(change.changeId));
}
