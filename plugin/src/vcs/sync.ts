/** Makes the finalized commit and hands it to the shared repository. */
import { ReviewError } from "../protocol/errors.ts";
import { EMPTY_TREE, type Git, ZERO } from "./git.ts";
import { run } from "./run.ts";
import { mergeCommits } from "./settle.ts";
import { writeChange } from "./trees.ts";

/** Bookmark name from a description: ASCII, lower case, no dots or slashes; see git-check-ref-format(1). */
export function slug(description: string): string {
  const line = description.split("\n", 1)[0] ?? "";
  const words = line
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return words.slice(0, 40).replace(/-+$/, "") || "suggestion";
}

export interface Prepared {
  commit: string;
  /** Parent of the commit: the base, or the shared branch's tip it was rebased onto. */
  base: string;
  tree: string;
}

/**
 * Rebases an accepted commit onto the shared branch if that moved past its base.
 * @param accepted commit on `base`
 * @param branchTip tip of the shared branch, or null when there is none
 * @throws ReviewError merge_conflict naming the files
 */
export async function ontoBranch(
  hub: Git,
  accepted: { commit: string; tree: string },
  base: string,
  branchTip: string | null,
  options: { ref: string; message: string; author: string; committer: string },
): Promise<Prepared> {
  if (branchTip === null || branchTip === base || !(await hub.isAncestor(base, branchTip))) {
    return { commit: accepted.commit, base, tree: accepted.tree };
  }
  const mergeBase = base === ZERO ? EMPTY_TREE : base;
  const merged = await mergeCommits(hub, mergeBase, branchTip, accepted.commit);
  if ("files" in merged) {
    throw new ReviewError(
      "merge_conflict",
      `The shared branch changed the same lines meanwhile: ${merged.files.join(", ")}. Nothing was pushed; rebase the suggestion first.`,
      { details: { files: merged.files } },
    );
  }
  if (merged.tree === (await hub.treeOf(branchTip))) {
    throw new ReviewError("nothing_to_do", "The shared branch already holds everything that was accepted");
  }
  const change = { removed: [], files: [{ path: "", mode: "040000", oid: merged.tree }] };
  const written = await writeChange(hub, branchTip, change, { ...options, parent: branchTip });
  return { commit: written.commit, base: branchTip, tree: written.tree };
}

const REMOTE = "suggestion-manager-shared";

export interface Push {
  commit: string;
  ref: string;
  /** What the ref must be now; {@link ZERO}: must not exist. */
  expected: string;
}

/**
 * Pushes one commit to one ref, as compare-and-swap; the hub's own ref follows, so that it can be fetched from either.
 * @param remote URL or path of another repository, or null for the hub itself
 */
export async function push(hub: Git, remote: string | null, what: Push): Promise<void> {
  const { commit, ref, expected } = what;
  if (remote === null) {
    const current = (await hub.resolve(ref)) ?? ZERO;
    if (current === commit) return;
    if (current !== expected) throw rejected(ref);
    try {
      await hub.updateRef(ref, commit, expected);
    } catch (cause) {
      throw rejected(ref, cause);
    }
    return;
  }
  const { exitCode, stderr } = await pushTo(hub, remote, what, []);
  if (exitCode !== 0) throw notTaken(ref, stderr);
}

/**
 * Pushes without having asked first, provided that another ref is still what it is thought to be.
 * @returns whether it was taken; if not, the refs are to be looked at
 */
export async function pushUnlessMoved(
  hub: Git,
  remote: string,
  what: Push,
  standing: { ref: string; commit: string },
): Promise<boolean> {
  const { exitCode, stderr } = await pushTo(hub, remote, what, [
    "--atomic",
    // What it is already is not sent, what it is not is refused, and the other ref with it.
    `--force-with-lease=${standing.ref}:${standing.commit}`,
    `${standing.commit}:${standing.ref}`,
  ]);
  if (exitCode === 0) return true;
  if (exitCode === 1 || stderr.includes("--atomic")) return false;
  throw notTaken(what.ref, stderr);
}

function pushTo(hub: Git, remote: string, { commit, ref, expected }: Push, also: string[]) {
  const isOption = (argument: string) => argument.startsWith("--");
  return run(
    "git",
    [
      "--git-dir",
      hub.dir,
      // A remote of this one command, whose only tracking branch is the branch itself: git moves it in the hub when the
      // push went through (git-push(1), "remote-tracking branches").
      "-c",
      `remote.${REMOTE}.url=${remote}`,
      "-c",
      `remote.${REMOTE}.fetch=+${ref}:${ref}`,
      "push",
      "--porcelain",
      "--quiet",
      `--force-with-lease=${ref}:${expected === ZERO ? "" : expected}`,
      ...also.filter(isOption),
      REMOTE,
      `${commit}:${ref}`,
      ...also.filter((argument) => !isOption(argument)),
    ],
    { env: { GIT_TERMINAL_PROMPT: "0", LC_ALL: "C" }, expect: [0, 1, 128], code: "git_error" },
  );
}

const notTaken = (ref: string, stderr: string): ReviewError =>
  new ReviewError(
    "push_rejected",
    `The shared repository did not take ${ref}: ${stderr.trim().split("\n").slice(-4).join(" ")}`,
  );

const rejected = (ref: string, cause?: unknown): ReviewError =>
  new ReviewError(
    "push_rejected",
    `${ref} moved while it was being pushed to. Nothing was pushed; try again.`,
    { cause },
  );

/**
 * Where refs of the shared repository are now, asked once; null for those that are not there. What they name is fetched
 * when the hub lacks it.
 * @param held commits that the hub is known to hold
 */
export async function remoteTips(
  hub: Git,
  remote: string | null,
  refs: string[],
  held: string[] = [],
): Promise<(string | null)[]> {
  if (remote === null) return Promise.all(refs.map((ref) => hub.resolve(ref)));
  const quiet = { env: { GIT_TERMINAL_PROMPT: "0" }, code: "git_error" } as const;
  const { stdout } = await run("git", ["--git-dir", hub.dir, "ls-remote", "--quiet", remote, ...refs], quiet);
  // A pattern matches any ref that ends like it.
  const found = new Map(
    new TextDecoder()
      .decode(stdout)
      .split("\n")
      .map((line) => line.split("\t").reverse() as [string, string]),
  );
  return Promise.all(
    refs.map(async (ref) => {
      const id = found.get(ref) ?? null;
      if (id !== null && !held.includes(id) && (await hub.resolve(`${id}^{commit}`)) === null) {
        const fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, ref];
        await run("git", ["--git-dir", hub.dir, ...fetch], quiet);
      }
      return id;
    }),
  );
}
