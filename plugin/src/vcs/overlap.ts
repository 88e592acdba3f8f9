/**
 * Edits without a command, or a command of the agent's, at the very moment at which an operation that was made aside comes to
 * count: jj then takes the files in as they were before that operation, merges both, and may be left with two commits of the
 * working copy's change, of which it checks out either.
 */
import type { Jj } from "./jj.ts";
import { textOf } from "./run.ts";

/** The last operation, and whether it is `made`, or the checkout of its files: whether nothing was at work beside. */
export interface LastOperation {
  id: string;
  alone: boolean;
}

/**
 * Brings the files to an operation that counts now, and mends what such an overlap has left: everything that was on disk is
 * in the commit that the agent's side made, which stays, and is on disk again.
 *
 * @param made id of the operation
 */
export async function bringFilesTo(jj: Jj, made: string): Promise<LastOperation> {
  await jj.updateStale();
  if (await jj.isCurrent(made)) return { id: made, alone: true };
  const last = await lastOperation(jj, made);
  if (!last.alone) await mendOverlap(jj, made);
  return last;
}

async function lastOperation(jj: Jj, made: string): Promise<LastOperation> {
  const template = 'id ++ " " ++ description.first_line() ++ "\\n"';
  const log = await jj.aside(["op", "log", "--no-graph", "--limit", "2", "-T", template]);
  const [head = "", below = ""] = textOf(log).split("\n");
  const isMerge = (line: string) => /^\S+ reconcile divergent operations/.test(line);
  const isMade = (line: string) => line.startsWith(made);
  return {
    id: head.split(" ")[0] ?? "",
    alone: isMade(head) || (isMade(below) && !isMerge(head)),
  };
}

async function mendOverlap(jj: Jj, made: string): Promise<void> {
  const [current] = await jj.changes("@");
  const [ours] = await jj.changes("@", made);
  if (current === undefined || ours === undefined) return;
  if (!current.divergent || ours.changeId !== current.changeId) return;
  if (ours.commit === current.commit) {
    const theirs = (await jj.commitsOf(current.changeId)).filter(({ commit }) => commit !== ours.commit);
    const [agents, ...others] = theirs;
    // More than one: it was divergent before.
    if (agents === undefined || others.length > 0) return;
    await jj.run(["edit", "--quiet", agents.commit]);
  }
  // Written to meanwhile it is another commit by now, and not ours alone.
  const left = await jj.changes(`${ours.commit} & mutable() & change_id(${ours.changeId})`);
  if (left.length > 0) await jj.run(["abandon", "--quiet", ours.commit]);
}
