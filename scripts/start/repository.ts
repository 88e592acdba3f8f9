/** The developer's repository: what state it is in, and whether the agent can work on it. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { NO_JJ_PROGRAMS } from "../../plugin/src/vcs/no-programs.ts";
import { type Identity, runAs } from "./identity.ts";
import { StartError } from "./report.ts";
import { visibleLine } from "./visible.ts";

export interface Repository {
  /** Top of the checkout. */
  dir: string;
  /** Where git finds the objects: `.git`, or the store of a jj repository that is not colocated. */
  gitDir: string;
  branch: string;
  commit: string;
  /** Paths with uncommitted changes, as many as are worth naming. */
  dirty: string[];
  /** What the agent will not have, a sentence each. */
  remarks: string[];
}

/** Settings of a repository must not run programs, nor the person's own configuration change what is asked. */
export const QUIET_GIT = [
  // Looking writes nothing, the index neither.
  "--no-optional-locks",
  ...["-c", "core.fsmonitor=false", "-c", "color.ui=false"],
  ...["-c", "commit.gpgSign=false", "-c", "log.showSignature=false"],
];

/** A status of a large working copy, or jj's first look at it. */
const LOOK_MS = 300_000;

/** @throws StartError with the one sentence that says what to do */
export async function inspectRepository(path: string, who: Identity): Promise<Repository> {
  const dir = resolve(path);
  if (!existsSync(dir)) throw new StartError(`${dir} is not there: give the path of a git or jj repository`);
  if (!statSync(dir).isDirectory())
    throw new StartError(`${dir} is a file: give the path of a git or jj repository`);
  const real = realpathSync(dir);
  if (existsSync(join(real, ".jj"))) return inspectJj(real, who);
  return inspectGit(real, who);
}

async function inspectGit(dir: string, who: Identity): Promise<Repository> {
  const git = (...args: string[]) =>
    runAs(who, ["git", ...QUIET_GIT, "-C", dir, ...args], { mayFail: true, timeoutMs: LOOK_MS });
  const top = await git("rev-parse", "--show-toplevel");
  if (top.exitCode !== 0) {
    if (/dubious ownership/.test(top.stderr)) {
      throw new StartError(`${dir} belongs to another user: run this as its owner`);
    }
    const bare = await git("rev-parse", "--is-bare-repository");
    if (bare.stdout.trim() === "true") {
      throw new StartError(`${dir} is a bare repository, without files to review in: give a checkout of it`);
    }
    throw new StartError(
      `${dir} is not a git or jj repository: run "git init" and make a first commit, or give another path`,
    );
  }
  const root = top.stdout.replace(/\n$/, "");
  const head = await git("rev-parse", "--verify", "--quiet", "HEAD^{commit}");
  if (head.exitCode !== 0) {
    throw new StartError(
      `${root} has no commit yet: make a first one, so that the agent has something to start from`,
    );
  }
  // Not --short: where a tag has the branch's name, that gives "heads/main", which is another branch's name.
  const branch = await git("symbolic-ref", "--quiet", "HEAD");
  if (branch.exitCode !== 0) {
    throw new StartError(
      `${root} is not on a branch (detached HEAD): check out the branch the agent is to work on`,
    );
  }
  const status = await git("status", "--porcelain=v1", "-z");
  if (status.exitCode !== 0)
    throw new StartError(`git status fails in ${root}: ${visibleLine(status.stderr.trim())}`);
  const gitDir = (await git("rev-parse", "--path-format=absolute", "--git-common-dir")).stdout;
  const commit = head.stdout.trim();
  const fit = { dir: root, gitDir: gitDir.replace(/\n$/, ""), commit };
  return {
    ...fit,
    branch: branch.stdout.trim().replace(/^refs\/heads\//, ""),
    remarks: await checkFitness(fit, who),
    dirty: status.stdout
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => line.slice(3)),
  };
}

async function inspectJj(dir: string, who: Identity): Promise<Repository> {
  const jj = (...args: string[]) =>
    // Looking takes a snapshot, which would be signed where the settings say so: with a key that waits for a
    // passphrase, nothing would ever come back.
    runAs(who, ["jj", "--no-pager", "--color=never", ...NO_JJ_PROGRAMS, ...args], {
      cwd: dir,
      mayFail: true,
      timeoutMs: LOOK_MS,
    });
  const store = await jj("git", "root");
  if (store.exitCode !== 0)
    throw new StartError(`jj cannot use ${dir}: ${visibleLine(store.stderr.trim().split("\n")[0] ?? "")}`);
  const based = await jj(
    "log",
    "--no-graph",
    "-r",
    "heads(::@ & bookmarks())",
    "-T",
    'commit_id ++ " " ++ local_bookmarks.map(|b| b.name()).join(" ") ++ "\\n"',
  );
  const [commit = "", branch = ""] = based.stdout.split("\n", 1)[0]?.split(" ") ?? [];
  if (based.exitCode !== 0 || branch === "") {
    throw new StartError(
      `${dir} has no bookmark at or below its working copy: make one with "jj bookmark create main -r @-", so that the agent has something to start from`,
    );
  }
  const above = await jj(
    "log",
    "--no-graph",
    "-r",
    `${commit}..@ ~ empty()`,
    "-T",
    'change_id.short() ++ "\\n"',
  );
  const fit = { dir, gitDir: store.stdout.replace(/\n$/, ""), commit };
  return {
    ...fit,
    branch,
    remarks: await checkFitness(fit, who),
    dirty: above.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((change) => `change ${change} above the bookmark ${branch}`),
  };
}

/**
 * Refuses what cannot be handed over whole, in a sentence that says what to do.
 * @returns what the agent will not have, a sentence each
 */
async function checkFitness(
  { dir, gitDir, commit }: Pick<Repository, "dir" | "gitDir" | "commit">,
  who: Identity,
): Promise<string[]> {
  const git = (...args: string[]) =>
    runAs(who, ["git", ...QUIET_GIT, `--git-dir=${gitDir}`, ...args], { mayFail: true, timeoutMs: LOOK_MS });
  const is = async (...args: string[]) => (await git(...args)).stdout.trim();
  const format = await is("rev-parse", "--show-object-format");
  if (format !== "" && format !== "sha1") {
    throw new StartError(
      `${dir} names its objects by ${format.toUpperCase()}, which jj cannot read: the agent needs a repository with SHA-1 names (git init --object-format=sha1)`,
    );
  }
  if ((await is("rev-parse", "--is-shallow-repository")) === "true") {
    throw new StartError(
      `${dir} is a shallow clone, whose history cannot be handed on: run "git fetch --unshallow" in it first`,
    );
  }
  if ((await is("config", "--get-regexp", "^remote\\..*\\.promisor$")) !== "") {
    throw new StartError(
      `${dir} is a partial clone, which lacks objects of its history: run "git fetch --refetch --no-filter" in it first`,
    );
  }
  const remarks: string[] = [];
  const tree = await git("ls-tree", "-r", "-z", "--full-tree", commit);
  const entries = tree.stdout.split("\0");
  const submodules = entries.filter((entry) => entry.startsWith("160000 "));
  if (submodules.length > 0) {
    remarks.push(
      `${dir} has submodules (${named(submodules.map(pathOf))}), which the agent's clone does not have: it sees their folders empty`,
    );
  }
  const filters = await usedFilters(git, commit, entries);
  if (filters.length > 0) {
    const what = filters.includes("lfs") ? "Git LFS" : `the filter ${named(filters)}`;
    remarks.push(
      `${dir} uses ${what}, which jj does not run: the agent sees what is stored in place of those files and must not change it`,
    );
  }
  return remarks;
}

const pathOf = (entry: string) => entry.slice(entry.indexOf("\t") + 1);
const named = (names: string[]) =>
  visibleLine(`${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`);

/** Filters that an attribute file of the commit asks for. */
async function usedFilters(
  git: (...args: string[]) => Promise<{ stdout: string }>,
  commit: string,
  entries: string[],
): Promise<string[]> {
  const files = entries.map(pathOf).filter((path) => /(^|\/)\.gitattributes$/.test(path));
  const used = new Set<string>();
  for (const file of files.slice(0, 100)) {
    const { stdout } = await git("cat-file", "blob", `${commit}:${file}`);
    for (const line of stdout.split("\n")) {
      if (line.trimStart().startsWith("#")) continue;
      for (const [, filter] of line.matchAll(/\sfilter=(\S+)/g)) used.add(filter ?? "");
    }
  }
  return [...used];
}
