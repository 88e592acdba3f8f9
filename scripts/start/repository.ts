/**
 * The developer's repository: what state it is in, and how its history reaches the hub. It travels as a bundle
 * through a pipe, so that neither user ever runs git in a folder the other can write (design: trust).
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Identity, runAs } from "./identity.ts";
import { type AgentPlace, hubDir } from "./places.ts";
import { StartError } from "./report.ts";

export interface Repository {
  /** Top of the checkout. */
  dir: string;
  /** Where git finds the objects: `.git`, or the store of a jj repository that is not colocated. */
  gitDir: string;
  branch: string;
  commit: string;
  /** Paths with uncommitted changes, as many as are worth naming. */
  dirty: string[];
}

/** Settings of a repository must not run programs, nor the person's own configuration change what is asked. */
const QUIET_GIT = ["-c", "core.fsmonitor=false", "-c", "color.ui=false"];

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
  const git = (...args: string[]) => runAs(who, ["git", ...QUIET_GIT, "-C", dir, ...args], { mayFail: true });
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
  if (status.exitCode !== 0) throw new StartError(`git status fails in ${root}: ${status.stderr.trim()}`);
  const gitDir = await git("rev-parse", "--path-format=absolute", "--git-common-dir");
  return {
    dir: root,
    gitDir: gitDir.stdout.replace(/\n$/, ""),
    branch: branch.stdout.trim().replace(/^refs\/heads\//, ""),
    commit: head.stdout.trim(),
    dirty: status.stdout
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => line.slice(3)),
  };
}

async function inspectJj(dir: string, who: Identity): Promise<Repository> {
  const jj = (...args: string[]) =>
    runAs(who, ["jj", "--no-pager", "--color=never", ...args], { cwd: dir, mayFail: true });
  const store = await jj("git", "root");
  if (store.exitCode !== 0)
    throw new StartError(`jj cannot use ${dir}: ${store.stderr.trim().split("\n")[0]}`);
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
  return {
    dir,
    gitDir: store.stdout.replace(/\n$/, ""),
    branch,
    commit,
    dirty: above.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((change) => `change ${change}`),
  };
}

/** Brings the developer's branch into the hub, which is made when it is not there. */
export async function sendHistory(
  repository: Repository,
  developer: Identity,
  agent: Identity,
  place: AgentPlace,
  env: Record<string, string>,
): Promise<void> {
  const hub = hubDir(place);
  const ref = `refs/heads/${repository.branch}`;
  const known = await runAs(agent, ["git", `--git-dir=${hub}`, "rev-parse", "--verify", "--quiet", ref], {
    env,
    mayFail: true,
  });
  const has = known.stdout.trim();
  if (has === repository.commit) return;
  const git = ["git", ...QUIET_GIT, `--git-dir=${repository.gitDir}`];
  if (has !== "") {
    const newer = await runAs(developer, [...git, "merge-base", "--is-ancestor", has, repository.commit], {
      mayFail: true,
    });
    // What is ahead or beside belongs to the review (a finalized commit, say): nothing to send, and never forced.
    if (newer.exitCode !== 0) return;
  }
  if (has === "") {
    await runAs(agent, ["git", "init", "--quiet", "--bare", "-b", repository.branch, hub], { env });
  }
  // A bundle names refs; HEAD of a linked worktree or a jj store is not the commit in question, so name the branch.
  const bundle = Bun.spawn(
    developer.wrap([...git, "bundle", "create", "--quiet", "-", ref, ...(has === "" ? [] : [`^${has}`])]),
    {
      cwd: "/",
      env: { ...(process.env as Record<string, string>), HOME: developer.home },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const receive =
    'set -e; umask 077; b="$(mktemp "$1/.bundle-XXXXXX")"; trap \'rm -f "$b"\' EXIT; cat > "$b"; git --git-dir="$1" fetch --quiet --no-tags --no-write-fetch-head "$b" "$2:$2"';
  const complaint = new Response(bundle.stderr).text();
  await runAs(agent, ["sh", "-c", receive, "sh", hub, ref], { env, input: bundle.stdout }).catch(
    async (error: unknown) => {
      throw (await bundle.exited) === 0
        ? error
        : new StartError(`git bundle failed: ${(await complaint).trim()}`);
    },
  );
}
