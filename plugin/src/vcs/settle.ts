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
import { bringFilesTo } from "./overlap.ts";
import { type HeldHunk, partBeside } from "./partial.ts";
import { Shadow } from "./shadow.ts";
import { WorkingCopyLock } from "./working-copy-lock.ts";

/** What the agent's change stood for at some time: decisions are a difference from that. */
export interface Standing {
  /** Commit whose tree the agent's change had when it was settled or published. */
  settled: string;
  /** Parent of `settled`. */
  settledParent: string;
}

export interface SettleTarget extends Standing {
  suggestionId: string;
  changeId: string;
  /** What an earlier commit of the change stood for, if that is known. */
  standingOf: (commit: string) => Standing | null;
  /** Commit with the wanted tree; its parent is the wanted parent. */
  wanted: string;
  /** When it is not the standing's parent, the change moves there. */
  wantedParent: string;
  /** Abandon the change when nothing is left in it. */
  abandonEmpty: boolean;
  /** What an earlier settle abandoned, when that is to be made undone: the change is made anew where it is gone. */
  revive: Abandoned | null;
}

/** A change that went because nothing was left in it. */
export interface Abandoned {
  /** Its last commit, kept in the hub. */
  commit: string;
  /** What took its place below its children. */
  parent: string;
  /** Change ids of the commits that stood on it, an empty working copy made in its place included. */
  children: string[];
}

export type SettleOutcome =
  /** @property from what the change was before, and stood for */
  | { kind: "settled"; commit: string; from: { commit: string; standing: Standing } }
  | { kind: "abandoned"; was: Abandoned; from: { commit: string; standing: Standing } }
  /** It had been abandoned and is there again. */
  | { kind: "revived"; commit: string; children: string[] }
  /** Some was brought: `wanted` is what the change stands for now. */
  | {
      kind: "partial";
      commit: string;
      wanted: string;
      held: HeldHunk[];
      message: string;
      from: { commit: string; standing: Standing };
    }
  /** The agent abandoned the change, or split it up: there is nothing to bring anywhere. */
  | { kind: "gone"; message: string }
  | { kind: "conflict"; message: string; held: HeldHunk[] }
  /** The agent's repository did not keep still: nothing is wrong, it is to be tried again. */
  | { kind: "raced"; message: string };

/** Something happened in the repository between looking and acting. */
export class Raced extends Error {}

/** Something of the agent's stands where a decision is to go. */
class Blocked extends Error {
  constructor(
    message: string,
    /** Commits whose changes are in the way. */
    readonly commits: string[],
    readonly files: string[] = [],
  ) {
    super(message);
  }
}

const conflict = (message: string): SettleOutcome => ({ kind: "conflict", message, held: [] });

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

/** How often a settle begins anew at one quiet moment. */
const TRIES = 4;

/** What the agent's repository was when a settle looked at it. */
export interface Seen {
  operation: string;
  changeId: string;
  /** null: the change is not there. */
  change: Change | null;
}

/** Importing without this lets jj hide commits that only the removed ref had made reachable to git. */
const KEEP_ALL = ["--config", "git.abandon-unreachable-commits=false"];

/**
 * Makes the operation that moves a change to a commit of the hub, aside from the log. A ref that jj has seen at the old
 * commit and now finds at the new one is a rewrite to jj: descendants follow in the same operation.
 *
 * @param after a command that follows in another operation aside
 * @returns id of the operation, of which nothing can be seen in the repository yet
 */
async function rewriteAside(
  jj: Jj,
  hub: Git,
  seen: Seen,
  to: string,
  extraRefs: [string, string][],
  after: string[] | null,
): Promise<string> {
  const { change } = seen;
  const ref = `refs/heads/suggestion-manager/${seen.changeId}`;
  const shadow = await Shadow.open(jj);
  try {
    // Objects go to the repository's own store; only refs are the shadow's.
    await shadow.git.take(hub.dir, to, "refs/incoming");
    let known = seen.operation;
    if (change !== null) {
      await shadow.git.setRef(ref, change.commit);
      known = await shadow.jj.operationAside(seen.operation, ["git", "import", ...KEEP_ALL]);
    }
    await shadow.git.setRef(ref, to);
    for (const [extra, commit] of extraRefs) await shadow.git.setRef(extra, commit);
    const moved = await shadow.jj.operationAside(known, ["git", "import"]);
    if (moved === known) throw new ReviewError("jj_error", "jj did not take the rewritten change in");
    await shadow.git.deleteRef(ref);
    const done = await shadow.jj.operationAside(moved, ["git", "import", ...KEEP_ALL]);
    return after === null ? done : await shadow.jj.operationAside(done, after);
  } finally {
    shadow.close();
  }
}

/**
 * Refuses an operation after which something is conflicted or divergent that was not before.
 * @throws Blocked
 */
async function checkOperation(jj: Jj, seen: Seen, made: string, parents: Set<string>): Promise<void> {
  const troubled = (commits: Iterable<string>, at: string) =>
    jj.changes(
      `(conflicts() | divergent()) & mutable() & (${[...commits].map((commit) => `present(${commit})`).join(" | ")})::`,
      at,
    );
  const after = await troubled(parents, made);
  if (after.length === 0) return;
  const before = new Set(
    (await troubled([...(seen.change === null ? [] : [seen.change.commit]), ...parents], seen.operation)).map(
      (change) => change.changeId,
    ),
  );
  const fresh = after.filter((change) => !before.has(change.changeId));
  if (fresh.length === 0) return;
  const ids = [...new Set(fresh.map((change) => change.changeId))];
  const earlier = await jj.changes(ids.map((id) => `change_id(${id})`).join(" | "), seen.operation);
  throw new Blocked(
    `Later changes of the agent conflict with the decisions: ${ids.map((id) => id.slice(0, 12)).join(", ")}`,
    earlier.filter((change) => !change.conflict).map((change) => change.commit),
  );
}

/**
 * Lets an operation count if nothing has happened since the repository was looked at, and brings the files to it. Only
 * this runs under jj's locks: whatever makes operations in a colocated repository needs one of them itself.
 * @throws Raced
 */
export async function integrate(jj: Jj, others: Jj[], seen: Seen, made: string): Promise<void> {
  // Edits without a command are an operation too; the closer to the end they are looked for, the fewer can be missed.
  await jj.snapshot();
  // The checkout that follows the operation needs git's index: without it the one would stand without the other.
  await jj.freeIndex();
  if (!(await jj.isCurrent(seen.operation))) throw new Raced();
  const lock = await WorkingCopyLock.take(jj.dir, jj.repo());
  try {
    if (!(await jj.isCurrent(seen.operation))) throw new Raced();
    await jj.aside(["op", "integrate", "--quiet", made]);
    lock.handOver();
    const brought = await bringFilesTo(jj, made);
    if (brought.kind === "taken back") throw new Raced();
    // Before others see the operation by its id, which is another afterwards.
    if (brought.kind === "alone") await joinOperations(jj, seen.operation, brought.head);
    for (const other of others) {
      const there = await bringFilesTo(other, await jj.operation());
      if (there.kind !== "taken back") continue;
      for (const one of [jj, ...others]) await one.updateStale();
      throw new Raced();
    }
  } finally {
    lock.release();
  }
}

/**
 * Leaves one operation of the several that a settle is made of, so that one "jj undo" of the agent's takes it back whole
 * and the next one reaches what the agent did itself. Where that cannot be, the log is longer and as right.
 */
async function joinOperations(jj: Jj, before: string, head: string): Promise<void> {
  await jj.run(["op", "abandon", "--quiet", `${before}..${head}-`]).catch(() => undefined);
}

/** What keeps a change from being settled at all, or null. */
function obstacle(commits: Change[], short: string): SettleOutcome | null {
  const [now] = commits;
  if (now === undefined)
    return { kind: "gone", message: `Change ${short} is no longer in the agent's repository` };
  if (commits.length > 1)
    return conflict(`Change ${short} is divergent: keep one commit of it with "jj abandon"`);
  if (now.conflict)
    return conflict(`Change ${short} holds conflicts: resolve them with "jj resolve -r ${short}"`);
  if (now.immutable) {
    return conflict(
      `Change ${short} is immutable: it is on a shared branch already, and what was decided cannot be brought into it`,
    );
  }
  if (now.parents.length !== 1)
    return conflict(`Change ${short} is a merge now: rebase it onto one parent, then publish again`);
  return null;
}

/**
 * What the change as it is now stands for. The agent may have gone back to an earlier commit of it with jj's own undo:
 * then the decisions that came after are to be brought once more.
 */
async function standingOf(jj: Jj, target: SettleTarget, commit: string): Promise<Standing> {
  const known = target.standingOf(commit);
  if (known !== null) return known;
  for (const earlier of await jj.predecessors(commit)) {
    const standing = target.standingOf(earlier);
    if (standing !== null) return standing;
  }
  return target;
}

/**
 * A commit that never was: one that jj has hidden, as after an undo of the agent's, it does not take in again, nor a
 * child on it that is the same once more.
 */
async function writeRewritten(hub: Git, commit: string, tree: string, parent: string): Promise<string> {
  const raw = toLatin1((await hub.run(["cat-file", "commit", commit])).stdout);
  const hash = ["hash-object", "-t", "commit", "--stdin"];
  for (let time = Math.floor(Date.now() / 1000); ; time++) {
    const input = fromLatin1(rewriteCommit(raw, tree, parent, time));
    const id = await hub.text(hash, { input });
    if ((await hub.resolve(`${id}^{commit}`)) !== null) continue;
    return hub.text([...hash, "-w"], { input });
  }
}

/** What a first try found in the way; the next one goes round it. */
interface Avoided {
  commits: Set<string>;
  files: Set<string>;
}

/** The wanted change as far as it can be brought. */
async function goal(jj: Jj, hub: Git, target: SettleTarget, standing: Standing, avoided: Avoided) {
  if (avoided.commits.size === 0) return { commit: target.wanted, held: [], brought: 1 };
  const store = await jj.store();
  for (const commit of avoided.commits)
    await hub.take(store.dir, commit, `refs/review/${target.suggestionId}/beside`);
  return partBeside(hub, standing.settled, target.wanted, avoided, {
    ref: `refs/review/${target.suggestionId}/settled`,
    parent: target.wantedParent,
  });
}

async function attempt(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][],
  avoided: Avoided,
): Promise<SettleOutcome> {
  await jj.freeIndex();
  const others = await jj.otherWorkspaces();
  for (const other of others) await other.snapshot();
  await jj.snapshot();
  const operation = await jj.operation();
  const commits = await jj.changes(`change_id(${target.changeId})`, operation);
  const short = target.changeId.slice(0, 12);
  if (commits.length === 0 && target.revive !== null) {
    const seen = { operation, changeId: target.changeId, change: null };
    return revive(jj, hub, others, seen, target, target.revive);
  }
  const stopped = obstacle(commits, short);
  if (stopped !== null) return stopped;
  const now = commits[0] as Change;
  const store = await jj.store();
  await hub.take(store.dir, now.commit, `refs/review/${target.suggestionId}/agent`);
  const standing = await standingOf(jj, target, now.commit);
  const { commit: wanted, held, brought } = await goal(jj, hub, target, standing, avoided);
  if (brought === 0) return { kind: "conflict", message: heldMessage(short, held), held };
  const merged = await mergeTrees(hub, standing.settled, now.commit, wanted);
  if ("files" in merged) {
    throw new Blocked(
      `The agent changed the same lines in change ${short} that were decided: ${merged.files.join(", ")}`,
      [now.commit],
      merged.files,
    );
  }
  const oldParent = now.parents[0] ?? ZERO;
  // Where the agent itself moved the change, it stays: only one that still stands on its old base moves along with it.
  const parent =
    standing.settledParent !== target.wantedParent && oldParent === standing.settledParent
      ? target.wantedParent
      : oldParent;
  const [tree, parentTree] = await Promise.all([hub.treeOf(now.commit), treeBelow(jj, hub, parent)]);
  const abandons = target.abandonEmpty && held.length === 0 && merged.tree === parentTree;
  const seen: Seen = { operation, changeId: now.changeId, change: now };
  let commit = now.commit;
  if (parent !== oldParent || merged.tree !== tree) {
    commit = await writeRewritten(hub, now.commit, merged.tree, parent);
    await hub.setRef(`refs/review/${target.suggestionId}/agent`, commit);
  }
  let children: string[] = [];
  if (commit !== now.commit || abandons) {
    const made =
      commit === now.commit
        ? await jj.operationAside(operation, ["abandon", commit])
        : await rewriteAside(jj, hub, seen, commit, extraRefs, abandons ? ["abandon", commit] : null);
    await checkOperation(jj, seen, made, new Set([oldParent, parent]));
    // Before the operation counts: it is joined with others then, and may not be there by its id.
    if (abandons) children = await newChildren(jj, parent, operation, made);
    for (const [ref, id] of extraRefs) await store.setRef(ref, id);
    await integrate(jj, others, seen, made);
  }
  const from = { commit: now.commit, standing };
  if (held.length > 0)
    return { kind: "partial", commit, wanted, held, message: heldMessage(short, held), from };
  return abandons
    ? { kind: "abandoned", was: { commit, parent, children }, from }
    : { kind: "settled", commit, from };
}

/** Change ids of the commits that stand on a parent after an operation and did not before. */
async function newChildren(jj: Jj, parent: string, before: string, after: string): Promise<string[]> {
  const standing = async (at: string) =>
    (await jj.changes(`children(${parent})`, at)).map((one) => one.changeId);
  const known = new Set(await standing(before));
  return (await standing(after)).filter((id) => !known.has(id));
}

/**
 * Makes an abandoned change anew, with the wanted tree and the id it had, and moves what stood on it back there. Where the
 * agent did something meanwhile that the moving would bring into conflict, that stays where it is.
 */
async function revive(
  jj: Jj,
  hub: Git,
  others: Jj[],
  seen: Seen,
  target: SettleTarget,
  was: Abandoned,
): Promise<SettleOutcome> {
  const parent = await visible(jj, hub, was.parent);
  if (parent === null) {
    return conflict(
      `Change ${target.changeId.slice(0, 12)} cannot be brought back: what it stood on is gone`,
    );
  }
  const store = await jj.store();
  if (parent !== ZERO) await hub.take(store.dir, parent, `refs/review/${target.suggestionId}/agent`);
  const merged =
    parent === target.settledParent
      ? { tree: await hub.treeOf(target.wanted) }
      : await mergeTrees(hub, target.settled, parent, target.wanted);
  if ("files" in merged) {
    return conflict(
      `The agent changed the same lines below the change that comes back: ${merged.files.join(", ")}`,
    );
  }
  const commit = await writeRewritten(hub, was.commit, merged.tree, parent);
  await hub.setRef(`refs/review/${target.suggestionId}/agent`, commit);
  const stood = await standingOn(jj, parent, was.children, seen.operation);
  const attempts = stood.length === 0 ? [[]] : [stood, []];
  for (const moved of attempts) {
    const sources = moved.flatMap((child) => ["--source", child.commit]);
    const made = await rewriteAside(
      jj,
      hub,
      seen,
      commit,
      [],
      moved.length === 0 ? null : ["rebase", ...sources, "--destination", commit],
    );
    try {
      await checkOperation(jj, seen, made, new Set([parent]));
    } catch (thrown) {
      if (moved.length > 0 && thrown instanceof Blocked) continue;
      throw thrown;
    }
    await integrate(jj, others, seen, made);
    return { kind: "revived", commit, children: moved.map((child) => child.changeId) };
  }
  throw new ReviewError("internal", "A change that comes back was neither moved under nor left alone");
}

/** The children that are still where the abandoned change left them. */
async function standingOn(jj: Jj, parent: string, children: string[], operation: string): Promise<Change[]> {
  const found: Change[] = [];
  for (const id of children) {
    const [child, ...more] = await jj.changes(`change_id(${id}) & mutable()`, operation);
    if (child !== undefined && more.length === 0 && child.parents.length === 1 && child.parents[0] === parent)
      found.push(child);
  }
  return found;
}

/** A commit as it is in the agent's repository now: itself, or what its change has become. */
async function visible(jj: Jj, hub: Git, commit: string): Promise<string | null> {
  if (commit === ZERO) return ZERO;
  const [there] = await jj.changes(`present(${commit}) & ::visible_heads()`);
  if (there !== undefined) return commit;
  const raw = toLatin1((await hub.run(["cat-file", "commit", commit], { expect: [0, 128] })).stdout);
  const id = /^change-id ([k-z]+)$/m.exec(raw)?.[1];
  const [now, ...more] = id === undefined ? [] : await jj.changes(`change_id(${id})`);
  return now !== undefined && more.length === 0 ? now.commit : null;
}

/** What was not brought, by place. */
function heldMessage(short: string, held: HeldHunk[]): string {
  const places = held.map(({ file, kind, newFrom }) =>
    kind === "text" ? `${JSON.stringify(file)} near line ${newFrom + 1}` : JSON.stringify(file),
  );
  return `The agent changed the same lines that were decided, in change ${short} or on top of it: ${[...new Set(places)].join(", ")}. That was left as it is; everything else is up to date`;
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
 * @param hold stops what writes all the same, once it has been seen to; what it returns lets it go on
 */
export async function settleChange(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][] = [],
  hold: () => () => void = () => () => {},
): Promise<SettleOutcome> {
  let release: (() => void) | null = null;
  const stop = () => {
    release ??= hold();
  };
  try {
    return await untilSettled(jj, hub, target, extraRefs, stop);
  } finally {
    (release as (() => void) | null)?.();
  }
}

async function untilSettled(
  jj: Jj,
  hub: Git,
  target: SettleTarget,
  extraRefs: [string, string][],
  stop: () => void,
): Promise<SettleOutcome> {
  const avoided: Avoided = { commits: new Set(), files: new Set() };
  let raced = 0;
  let blocked = 0;
  for (;;) {
    try {
      return await attempt(jj, hub, target, extraRefs, avoided);
    } catch (thrown) {
      if (thrown instanceof Raced) {
        stop();
        if (++raced < TRIES) continue;
        return { kind: "raced", message: "The agent's repository kept changing" };
      }
      if (!(thrown instanceof Blocked)) throw thrown;
      const isNew = thrown.commits.some((commit) => !avoided.commits.has(commit));
      for (const commit of thrown.commits) avoided.commits.add(commit);
      // Gone round by lines already, and git still finds a conflict there: then the whole file stays.
      if (blocked > 0) for (const file of thrown.files) avoided.files.add(file);
      if (++blocked === TRIES || (!isNew && thrown.files.length === 0)) return conflict(thrown.message);
    }
  }
}
