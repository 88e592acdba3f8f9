/**
 * Brings one change of the agent's repository to a wanted tree, and to a new parent where the base was finalized,
 * without losing anything the agent did to it since.
 *
 * The new commit is made in the hub by a three-way merge (what was last settled, what the agent has now, what is
 * wanted), enters the agent's store as an object, and becomes the change by moving a private bookmark and importing
 * it: jj sees a rewrite and rebases descendants in the same operation. That operation is made aside, looked at,
 * and only integrated if nothing happened meanwhile and nothing in it is conflicted.
 */
import { fromLatin1, toLatin1 } from "../diff/bytes.ts";
import { ReviewError } from "../protocol/errors.ts";
import { type Git, ZERO } from "./git.ts";
import { type Change, type Jj, privateBookmark } from "./jj.ts";
import { textOf } from "./run.ts";

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

class Raced extends Error {}

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

/** Moves a change to a commit that is in the hub, as one jj operation that is checked before it counts. */
async function rewriteChange(
  jj: Jj,
  hub: Git,
  from: Change,
  to: string,
  extraRefs: [string, string][],
): Promise<void> {
  const store = await jj.store();
  const bookmark = privateBookmark(from.changeId);
  const ref = `refs/heads/${bookmark}`;
  const incoming = `refs/suggestion-manager/incoming/${from.changeId}`;
  await store.take(hub.dir, to, incoming);
  try {
    await jj.aside(["bookmark", "set", "--quiet", "--allow-backwards", bookmark, "--revision", from.commit]);
    await jj.aside(["git", "export", "--quiet"]);
    const before = await jj.operation();
    await store.updateRef(ref, to, from.commit);
    for (const [extra, commit] of extraRefs) await store.setRef(extra, commit);
    const imported = await jj.aside(["git", "import", "--no-integrate-operation"], { at: before });
    const made = /--no-integrate-operation was requested: ([0-9a-f]+)/.exec(imported.stderr)?.[1];
    if (made === undefined)
      throw new ReviewError("jj_error", `jj git import made no operation: ${imported.stderr.trim()}`);
    const troubled = await jj.changes(`(conflicts() | divergent()) & change_id(${from.changeId})::`, made);
    const known = new Set(
      (await jj.changes(`(conflicts() | divergent()) & change_id(${from.changeId})::`, before)).map(
        (change) => change.changeId,
      ),
    );
    const fresh = troubled.filter((change) => !known.has(change.changeId));
    if (fresh.length > 0) {
      throw new ReviewError("merge_conflict", "Later changes of the agent conflict with the decisions", {
        details: { changes: fresh.map((change) => change.changeId.slice(0, 12)) },
      });
    }
    if ((await jj.operation()) !== before) throw new Raced();
    await jj.aside(["op", "integrate", made]);
  } finally {
    await jj.aside(["bookmark", "forget", "--quiet", bookmark], { expect: [0, 1] });
    await store.run(["update-ref", "--no-deref", "-d", ref], { expect: [0, 1, 128] });
    await store.deleteRef(incoming);
  }
  await jj.updateStale();
}

async function attempt(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][],
): Promise<SettleOutcome> {
  await jj.snapshot();
  const commits = await jj.commitsOf(target.changeId);
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
  const moves = target.settledParent !== target.wantedParent;
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
  const parent = moves ? target.wantedParent : (now.parents[0] ?? ZERO);
  const sameParent = parent === (now.parents[0] ?? ZERO);
  let commit = now;
  if (!sameParent || merged.tree !== (await hub.treeOf(now.commit))) {
    const raw = toLatin1((await hub.run(["cat-file", "commit", now.commit])).stdout);
    const rewritten = rewriteCommit(raw, merged.tree, parent, Math.floor(Date.now() / 1000));
    const made = textOf(
      await hub.run(["hash-object", "-t", "commit", "-w", "--stdin"], { input: fromLatin1(rewritten) }),
    );
    await hub.setRef(`refs/review/${target.suggestionId}/agent`, made);
    await rewriteChange(jj, hub, now, made, extraRefs);
    commit = { ...now, commit: made };
  }
  const left = merged.tree !== (await hub.treeOf(parent));
  if (target.abandonEmpty && !left) {
    await jj.run(["abandon", "--quiet", commit.commit]);
    return { kind: "abandoned" };
  }
  return commit === now ? { kind: "unchanged" } : { kind: "settled", commit: commit.commit };
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
