/**
 * Brings one change of the agent's repository to a wanted tree, and to a new parent where the base was finalized,
 * without losing anything the agent did to it since.
 *
 * The new commit is made in the hub by a three-way merge (what was last settled, what the agent has now, what is
 * wanted), enters the agent's store as an object, and becomes the change by moving a private ref and importing it: jj
 * sees a rewrite and rebases descendants in the same operation. That operation is made aside, looked at, and only
 * integrated, under the working copy's lock, if nothing happened meanwhile and nothing in it is conflicted.
 */
import { fromLatin1, toLatin1 } from "../diff/bytes.ts";
import { ReviewError } from "../protocol/errors.ts";
import { EMPTY_TREE, type Git, ZERO } from "./git.ts";
import type { Change, Jj } from "./jj.ts";
import { textOf } from "./run.ts";
import { Shadow } from "./shadow.ts";
import { WorkingCopyLock } from "./working-copy-lock.ts";

export interface SettleTarget {
  suggestionId: string;
  changeId: string;
  /** Commit whose tree the agent's change had when it was last settled or published. */
  settled: string;
  /** Commit with the wanted tree; its parent is the wanted parent. */
  wanted: string;
  /** Parent of `settled`; when `wanted` has another one, the change moves there. */
  settledParent: string;
  wantedParent: string;
  /** Abandon the change when nothing is left in it. */
  abandonEmpty: boolean;
}

export type SettleOutcome =
  | { kind: "unchanged" }
  | { kind: "settled"; commit: string }
  | { kind: "abandoned" }
  /** The agent abandoned the change, or split it up: there is nothing to bring anywhere. */
  | { kind: "gone"; message: string }
  | { kind: "conflict"; message: string; files: string[] };

/** Something happened in the repository between looking and acting. */
export class Raced extends Error {}

/** Rewrites tree, parent and committer time of a raw commit; keeps every other header, the change id among them. */
export function rewriteCommit(raw: string, tree: string, parent: string, now: number): string {
  const end = raw.indexOf("\n\n");
  const lines = raw.slice(0, end).split("\n");
  const kept: string[] = [];
  let skipping = false;
  for (const line of lines) {
    if (line.startsWith(" ")) {
      if (!skipping) kept.push(line);
      continue;
    }
    // A signature is of the old content.
    skipping = line.startsWith("gpgsig");
    if (skipping || line.startsWith("tree ") || line.startsWith("parent ")) continue;
    if (line.startsWith("committer ")) {
      const match = /^(committer .*> )(\d+)( [+-]\d{4})$/.exec(line);
      // Never the time it had: jj refuses to make a commit that exists already, hidden or not.
      if (match !== null) {
        kept.push(`${match[1]}${Math.max(now, Number(match[2]) + 1)}${match[3]}`);
        continue;
      }
    }
    kept.push(line);
  }
  const head = [`tree ${tree}`, ...(parent === ZERO ? [] : [`parent ${parent}`]), ...kept];
  return `${head.join("\n")}${raw.slice(end)}`;
}

async function mergeTrees(
  hub: Git,
  base: string,
  ours: string,
  theirs: string,
): Promise<{ tree: string } | { files: string[] }> {
  const [baseTree, ourTree, theirTree] = await Promise.all([
    hub.treeOf(base),
    hub.treeOf(ours),
    hub.treeOf(theirs),
  ]);
  if (ourTree === baseTree) return { tree: theirTree };
  if (theirTree === baseTree) return { tree: ourTree };
  return mergeCommits(hub, base, ours, theirs);
}

/** A three-way merge without a working copy; see git-merge-tree(1). Conflicts are named by file. */
export async function mergeCommits(
  hub: Git,
  base: string,
  ours: string,
  theirs: string,
): Promise<{ tree: string } | { files: string[] }> {
  const result = await hub.run(
    [
      "merge-tree",
      "--write-tree",
      "-z",
      "--name-only",
      "--no-messages",
      `--merge-base=${base}`,
      ours,
      theirs,
    ],
    { expect: [0, 1] },
  );
  const [tree, ...files] = new TextDecoder().decode(result.stdout).split("\0");
  if (result.exitCode === 0 && tree !== undefined) return { tree };
  return { files: [...new Set(files.filter((file) => file !== ""))] };
}

/** What the agent's repository was when a settle looked at it. */
export interface Seen {
  operation: string;
  change: Change;
}

/** Importing without this lets jj hide commits that only the removed ref had made reachable to git. */
const KEEP_ALL = ["--config", "git.abandon-unreachable-commits=false"];

/**
 * Makes the operation that moves a change to a commit of the hub, aside from the log. A ref that jj has seen at the old
 * commit and now finds at the new one is a rewrite to jj: descendants follow in the same operation.
 *
 * @returns id of the operation, of which nothing can be seen in the repository yet
 */
async function rewriteAside(
  jj: Jj,
  hub: Git,
  seen: Seen,
  to: string,
  extraRefs: [string, string][],
  abandons: boolean,
): Promise<string> {
  const { change } = seen;
  const ref = `refs/heads/suggestion-manager/${change.changeId}`;
  const shadow = await Shadow.open(jj);
  try {
    // Objects go to the repository's own store; only refs are the shadow's.
    await shadow.git.take(hub.dir, to, "refs/incoming");
    await shadow.git.setRef(ref, change.commit);
    const known = await shadow.jj.operationAside(seen.operation, ["git", "import", ...KEEP_ALL]);
    await shadow.git.setRef(ref, to);
    for (const [extra, commit] of extraRefs) await shadow.git.setRef(extra, commit);
    const moved = await shadow.jj.operationAside(known, ["git", "import"]);
    if (moved === known) throw new ReviewError("jj_error", "jj did not take the rewritten change in");
    await shadow.git.deleteRef(ref);
    const done = await shadow.jj.operationAside(moved, ["git", "import", ...KEEP_ALL]);
    return abandons ? await shadow.jj.operationAside(done, ["abandon", to]) : done;
  } finally {
    shadow.close();
  }
}

/** Refuses an operation after which something is conflicted or divergent that was not before. */
async function checkOperation(jj: Jj, seen: Seen, made: string, parents: Set<string>): Promise<void> {
  const troubled = (commits: Iterable<string>, at: string) =>
    jj.changes(
      `(conflicts() | divergent()) & mutable() & (${[...commits].map((commit) => `present(${commit})`).join(" | ")})::`,
      at,
    );
  const after = await troubled(parents, made);
  if (after.length === 0) return;
  const before = new Set(
    (await troubled([seen.change.commit, ...parents], seen.operation)).map((change) => change.changeId),
  );
  const fresh = after.filter((change) => !before.has(change.changeId));
  if (fresh.length > 0) {
    throw new ReviewError("merge_conflict", "Later changes of the agent conflict with the decisions", {
      details: { changes: [...new Set(fresh.map((change) => change.changeId.slice(0, 12)))] },
    });
  }
}

/**
 * Lets an operation count if nothing has happened since the repository was looked at, and brings the files to it. Only
 * this runs under jj's locks: whatever makes operations in a colocated repository needs one of them itself.
 * @throws Raced
 */
export async function integrate(jj: Jj, others: Jj[], seen: Seen, made: string): Promise<void> {
  // Edits without a command are an operation too; the closer to the end they are looked for, the fewer can be missed.
  await jj.snapshot();
  if (!(await jj.isCurrent(seen.operation))) throw new Raced();
  const lock = await WorkingCopyLock.take(jj.dir, jj.repo());
  try {
    if (!(await jj.isCurrent(seen.operation))) throw new Raced();
    await jj.aside(["op", "integrate", "--quiet", made]);
    const alone = await jj.isCurrent(made);
    lock.handOver();
    await jj.updateStale();
    if (!alone) await mendOverlap(jj, made);
  } finally {
    lock.release();
  }
  for (const other of others) await other.updateStale();
}

/**
 * A command of the agent's ran at the very same moment and jj merged both operations. Where that left the working copy's
 * change with two commits, the one that only the settle made is older and goes.
 */
async function mendOverlap(jj: Jj, made: string): Promise<void> {
  const [current] = await jj.changes("@");
  const [ours] = await jj.changes("@", made);
  if (current === undefined || ours === undefined || !current.divergent) return;
  if (ours.changeId !== current.changeId || ours.commit === current.commit) return;
  if ((await jj.changes(`${ours.commit} & mutable()`)).length > 0)
    await jj.run(["abandon", "--quiet", ours.commit]);
}

async function attempt(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][],
): Promise<SettleOutcome> {
  const others = await jj.otherWorkspaces();
  for (const other of others) await other.snapshot();
  await jj.snapshot();
  const operation = await jj.operation();
  const commits = await jj.changes(`change_id(${target.changeId})`, operation);
  const [now] = commits;
  const short = target.changeId.slice(0, 12);
  if (now === undefined)
    return { kind: "gone", message: `Change ${short} is no longer in the agent's repository` };
  if (commits.length > 1) {
    return {
      kind: "conflict",
      message: `Change ${short} is divergent: keep one commit of it with "jj abandon"`,
      files: [],
    };
  }
  if (now.conflict) {
    return {
      kind: "conflict",
      message: `Change ${short} holds conflicts: resolve them with "jj resolve -r ${short}"`,
      files: [],
    };
  }
  if (now.immutable) {
    return {
      kind: "conflict",
      message: `Change ${short} is immutable: it is on a shared branch already, and what was decided cannot be brought into it`,
      files: [],
    };
  }
  if (now.parents.length !== 1) {
    return {
      kind: "conflict",
      message: `Change ${short} is a merge now: rebase it onto one parent, then publish again`,
      files: [],
    };
  }
  const store = await jj.store();
  await hub.take(store.dir, now.commit, `refs/review/${target.suggestionId}/agent`);
  const merged = await mergeTrees(hub, target.settled, now.commit, target.wanted);
  if ("files" in merged) {
    return {
      kind: "conflict",
      message: `The agent changed the same lines in change ${short} that were decided: ${merged.files.join(", ")}`,
      files: merged.files,
    };
  }
  const oldParent = now.parents[0] ?? ZERO;
  // Where the agent itself moved the change, it stays: only one that still stands on its old base moves along with it.
  const parent =
    target.settledParent !== target.wantedParent && oldParent === target.settledParent
      ? target.wantedParent
      : oldParent;
  const [tree, parentTree] = await Promise.all([hub.treeOf(now.commit), treeBelow(jj, hub, parent)]);
  const abandons = target.abandonEmpty && merged.tree === parentTree;
  const seen: Seen = { operation, change: now };
  let commit = now.commit;
  if (parent !== oldParent || merged.tree !== tree) {
    const raw = toLatin1((await hub.run(["cat-file", "commit", now.commit])).stdout);
    const rewritten = rewriteCommit(raw, merged.tree, parent, Math.floor(Date.now() / 1000));
    commit = textOf(
      await hub.run(["hash-object", "-t", "commit", "-w", "--stdin"], { input: fromLatin1(rewritten) }),
    );
    await hub.setRef(`refs/review/${target.suggestionId}/agent`, commit);
  }
  if (commit === now.commit && !abandons) return { kind: "unchanged" };
  const made =
    commit === now.commit
      ? await jj.operationAside(operation, ["abandon", commit])
      : await rewriteAside(jj, hub, seen, commit, extraRefs, abandons);
  await checkOperation(jj, seen, made, new Set([oldParent, parent]));
  for (const [ref, id] of extraRefs) await store.setRef(ref, id);
  await integrate(jj, others, seen, made);
  return abandons ? { kind: "abandoned" } : { kind: "settled", commit };
}

/** Tree of a parent, which the hub may not have when it is a commit of the agent's that was never published. */
async function treeBelow(jj: Jj, hub: Git, parent: string): Promise<string> {
  const known = await hub.resolve(`${parent}^{tree}`);
  if (known !== null || parent === ZERO) return known ?? EMPTY_TREE;
  return (await jj.store()).treeOf(parent);
}

/**
 * Must run at a quiet moment: nothing of the agent's may write meanwhile.
 *
 * @param extraRefs refs that enter the agent's store with the same import, such as the finalized bookmark
 */
export async function settleChange(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][] = [],
): Promise<SettleOutcome> {
  for (let tries = 0; tries < 4; tries++) {
    try {
      return await attempt(jj, hub, target, extraRefs);
    } catch (thrown) {
      if (thrown instanceof Raced) continue;
      if (thrown instanceof ReviewError && thrown.code === "merge_conflict") {
        const changes = (thrown.details?.changes as string[] | undefined) ?? [];
        return { kind: "conflict", message: `${thrown.message}: ${changes.join(", ")}`, files: [] };
      }
      throw thrown;
    }
  }
  return {
    kind: "conflict",
    message: "The agent's repository kept changing; it is tried again at the next quiet moment",
    files: [],
  };
}
