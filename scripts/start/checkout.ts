/** The developer's checkout: the demo's own, and the remote that leads from it to the hub. */
import { chmodSync, cpSync, existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { type Identity, runAs } from "./identity.ts";
import { type DeveloperPlace, ROOT } from "./places.ts";
import type { Repository } from "./repository.ts";

const DEMO = join(ROOT, "demo/project");

/** A git repository with one commit, made as the developer. */
export async function makeDemoCheckout(place: DeveloperPlace, owner: Identity): Promise<void> {
  if (existsSync(join(place.checkout, ".git"))) return;
  mkdirSync(place.checkout, { recursive: true });
  cpSync(DEMO, place.checkout, { recursive: true });
  // Like a home: its owner's alone.
  chmodSync(place.checkout, 0o700);
  if (owner.uid !== process.getuid?.())
    Bun.spawnSync(["chown", "-R", `${owner.uid}:${owner.gid}`, place.checkout]);
  const env = {
    ...owner.env,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
  };
  const git = (...args: string[]) => runAs(owner, ["git", "-C", place.checkout, ...args], { env });
  await git("init", "--quiet", "-b", "main");
  await git("config", "user.name", "Demo Developer");
  await git("config", "user.email", "developer@localhost");
  await git("add", "--all");
  await git("commit", "--quiet", "-m", "Print a report of a station's temperatures");
}

/** A hub of a review server on this machine; the server's port changes, the hub's name stays. */
const OURS = /^http:\/\/(?:[\d.]+|localhost|\[[\da-f:]+\]):\d+\/git\/([^/]+)\.git$/;
const hubOf = (url: string): string | null => OURS.exec(url)?.[1] ?? null;

type AskGit = (...args: string[]) => Promise<{ exitCode: number; stdout: string }>;
const gitOf =
  (gitDir: string, owner: Identity): AskGit =>
  (...args) =>
    runAs(owner, ["git", `--git-dir=${gitDir}`, ...args], { mayFail: true });

/** Names and URLs of all remotes: worktrees of one repository share them. */
async function remotes(git: AskGit): Promise<Map<string, string>> {
  const { stdout } = await git("config", "--null", "--get-regexp", "^remote\\..*\\.url$");
  const found = new Map<string, string>();
  for (const entry of stdout.split("\0")) {
    const [key = "", url = ""] = entry.split("\n");
    const name = /^remote\.(.*)\.url$/.exec(key)?.[1];
    if (name !== undefined) found.set(name, url);
  }
  return found;
}

/** A name that no remote has: another project's, or a remote of the developer's own, is left alone. */
function freeName(taken: Map<string, string>, project: string): string {
  const base = taken.has("agent") && hubOf(taken.get("agent") ?? "") === null ? "isolated-agent" : "agent";
  const readable = project.replace(/[^A-Za-z0-9_-]/g, "-").replace(/^-+/, "") || "project";
  const names = [base, `${base}-${readable}`];
  for (let n = 2; ; n++) {
    const free = names.find((name) => !taken.has(name));
    if (free !== undefined) return free;
    names.push(`${base}-${readable}-${n}`);
  }
}

/**
 * A remote for the hub of this project, and a way for git to the token: a helper that reads the token's file when git
 * asks, so that it stands in no URL, argument or configuration.
 * @param remembered name that this project's remote was given at an earlier start
 * @returns the remote's name, and whether it was added now
 */
export async function setRemote(
  repository: Pick<Repository, "gitDir">,
  owner: Identity,
  place: DeveloperPlace,
  url: string,
  remembered?: string,
): Promise<{ name: string; added: boolean }> {
  const git = gitOf(repository.gitDir, owner);
  const there = await remotes(git);
  const isOwn = ([name, other]: [string, string]) =>
    hubOf(other) !== null && (hubOf(other) === hubOf(url) || name === remembered);
  const [own] = [...there].find(isOwn) ?? [];
  const name = own ?? freeName(there, basename(place.checkout));
  const old = there.get(name);
  const section = `credential.${url}`;
  if (old === url && (await git("config", "--get-all", `${section}.helper`)).stdout.includes(place.token)) {
    await distrust(git, name);
    return { name, added: false };
  }
  if (old === undefined) await git("remote", "add", "--no-tags", name, url);
  else {
    await forgetHelper(git, old, place.token);
    await git("remote", "set-url", name, url);
  }
  await distrust(git, name);
  // For this URL alone: two projects may be served on one port, one after the other.
  const file = place.token.replace(/'/g, `'\\''`);
  await git("config", "--replace-all", `${section}.helper`, "");
  await git(
    "config",
    "--add",
    `${section}.helper`,
    `!f() { test "$1" = get && printf 'username=developer\\npassword=%s\\n' "$(cat '${file}')"; }; f`,
  );
  return { name, added: old === undefined };
}

/** Takes a remote's helper out; one for the whole server only if it is this project's. */
async function forgetHelper(git: AskGit, url: string, token: string): Promise<void> {
  await git("config", "--remove-section", `credential.${url}`);
  const section = `credential.${new URL(url).origin}`;
  const helpers = await git("config", "--get-all", `${section}.helper`);
  if (helpers.stdout.includes(token)) await git("config", "--remove-section", section);
}

/** Says in the repository that a setting of git's is ours to take back. */
const CHECKED = "isolated-ai-coder.checksWhatIsFetched";

/**
 * What comes from the hub is the agent's word: tags would name commits of its as the developer's branches are named
 * (gitrevisions(7): a tag wins), and objects are to be checked before they come in. The check is a setting of the whole
 * repository; where the developer has set it, it stays.
 */
async function distrust(git: AskGit, name: string): Promise<void> {
  await git("config", `remote.${name}.tagOpt`, "--no-tags");
  const checks = await git("config", "--get-regexp", "^(fetch|transfer)\\.fsckobjects$");
  if (checks.stdout.trim() !== "") return;
  await git("config", "fetch.fsckObjects", "true");
  await git("config", CHECKED, "true");
}

/** Takes back what {@link setRemote} did for one hub. */
export async function removeRemote(
  gitDir: string,
  owner: Identity,
  place: DeveloperPlace,
  hub: string,
  remembered?: string,
): Promise<boolean> {
  const git = gitOf(gitDir, owner);
  let removed = false;
  for (const [name, url] of await remotes(git)) {
    if (hubOf(url) === null || (hubOf(url) !== hub && name !== remembered)) continue;
    await forgetHelper(git, url, place.token);
    await git("remote", "remove", name);
    removed = true;
  }
  // Another project of this repository may still need it.
  const others = [...(await remotes(git)).values()].some((url) => hubOf(url) !== null);
  if (!others && (await git("config", "--get", CHECKED)).stdout.trim() === "true") {
    await git("config", "--unset", "fetch.fsckObjects");
    await git("config", "--remove-section", CHECKED.split(".")[0] ?? CHECKED);
  }
  return removed;
}
