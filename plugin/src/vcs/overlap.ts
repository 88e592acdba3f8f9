/**
 * Files that are written, or a command of the agent's that runs, at the very moment at which an operation that was made aside
 * comes to count: jj then has two operations on one, and merges them. Merging can leave two commits of the working copy's
 * change, of which it checks out either, and conflicts that nobody has looked for. So what is ours is taken back, whole, and
 * what is the agent's stands; whoever brought the operation looks anew and tries again.
 */
import type { Jj } from "./jj.ts";
import { textOf } from "./run.ts";

interface Operation {
  id: string;
  parents: string[];
  description: string;
}

export interface Brought {
  /** The last operation. */
  head: string;
  /**
   * "alone": it is the one that was brought, or the checkout of its files. "beside": something of the agent's is above it, which
   * stays as it is. "taken back": something came in at the same moment, and alone counts now.
   */
  kind: "alone" | "beside" | "taken back";
}

/**
 * Brings the files of a workspace to an operation that counts now.
 *
 * @param made id of the operation
 */
export async function bringFilesTo(jj: Jj, made: string): Promise<Brought> {
  await jj.updateStale();
  if (await jj.isCurrent(made)) return { head: made, kind: "alone" };
  const [head, below] = await lastOperations(jj);
  if (head === undefined) return { head: made, kind: "beside" };
  // The checkout itself may be an operation above.
  const merged = [head, ...(isCheckout(head) ? [below] : [])].find((one) => isMergeOf(one, made));
  const others = merged?.parents.filter((id) => !id.startsWith(made)) ?? [];
  const [theirs] = others;
  if (theirs !== undefined && others.length === 1) {
    await takeBack(jj, theirs, head.id);
    return { head: await jj.operation(), kind: "taken back" };
  }
  const isOurs = head.id.startsWith(made) || (isCheckout(head) && below?.id.startsWith(made) === true);
  return { head: head.id, kind: isOurs ? "alone" : "beside" };
}

const isCheckout = ({ description }: Operation): boolean => description === "reset git head";
const isMergeOf = (one: Operation | undefined, made: string): boolean =>
  one !== undefined && one.parents.length > 1 && one.parents.some((id) => id.startsWith(made));

async function lastOperations(jj: Jj): Promise<Operation[]> {
  const template =
    'id ++ " " ++ parents.map(|one| one.id()).join(",") ++ " " ++ description.first_line() ++ "\\n"';
  const log = await jj.aside(["op", "log", "--no-graph", "--limit", "2", "-T", template]);
  return textOf(log)
    .split("\n")
    .flatMap((line) => {
      const [, id, parents, description] = /^(\S+) (\S*) (.*)$/.exec(line) ?? [];
      return id === undefined || parents === undefined || description === undefined
        ? []
        : [{ id, parents: parents.split(","), description }];
    });
}

/**
 * Makes the repository what it is at `theirs`, on top of `head` and of nothing that has come since. What is written to the
 * files meanwhile is in the way once more: then that stands, with everything that was there.
 */
async function takeBack(jj: Jj, theirs: string, head: string): Promise<void> {
  await jj.aside(["op", "restore", "--quiet", theirs], { at: head });
  const restored = await jj.operation();
  await jj.updateStale();
  if (await jj.isCurrent(restored)) return;
  const [top, below] = await lastOperations(jj);
  if (top === undefined) return;
  const merged = [top, ...(isCheckout(top) ? [below] : [])].find((one) => isMergeOf(one, restored));
  const others = merged?.parents.filter((id) => id !== restored) ?? [];
  const [written] = others;
  if (written === undefined || others.length > 1) return;
  await jj.aside(["op", "restore", "--quiet", written], { at: top.id });
  await jj.updateStale();
}
