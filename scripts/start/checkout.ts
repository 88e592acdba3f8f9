/** The developer's checkout: the demo's own, and the remote that leads from it to the hub. */
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Identity, runAs } from "./identity.ts";
import { type DeveloperPlace, ROOT } from "./places.ts";
import type { Repository } from "./repository.ts";

const DEMO = join(ROOT, "scripts/start/demo/project");

/** A git repository with one commit, made as the developer. */
export async function makeDemoCheckout(place: DeveloperPlace, owner: Identity): Promise<void> {
  if (existsSync(join(place.checkout, ".git"))) return;
  mkdirSync(place.checkout, { recursive: true });
  cpSync(DEMO, place.checkout, { recursive: true });
  if (owner.uid !== process.getuid?.())
    Bun.spawnSync(["chown", "-R", `${owner.uid}:${owner.gid}`, place.checkout]);
  const env = {
    ...(process.env as Record<string, string>),
    HOME: owner.home,
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

const OURS = /^http:\/\/127\.0\.0\.1:(\d+)\/git\/[^/]+\.git$/;

/**
 * A remote for the hub, and a way for git to the token: a helper that reads the token's file when git asks, so that
 * it stands in no URL, argument or configuration.
 * @returns the remote's name, and whether it was added now
 */
export async function setRemote(
  repository: Pick<Repository, "gitDir">,
  owner: Identity,
  place: DeveloperPlace,
  url: string,
): Promise<{ name: string; added: boolean }> {
  const git = (...args: string[]) =>
    runAs(owner, ["git", `--git-dir=${repository.gitDir}`, ...args], { mayFail: true });
  let name = "agent";
  let old = (await git("config", "--get", `remote.${name}.url`)).stdout.trim();
  if (old !== "" && !OURS.test(old)) {
    name = "isolated-agent";
    old = (await git("config", "--get", `remote.${name}.url`)).stdout.trim();
  }
  if (old === url) {
    await distrust(git, name);
    return { name, added: false };
  }
  if (old !== "") {
    await git("config", "--remove-section", `credential.${new URL(old).origin}`);
    await git("remote", "set-url", name, url);
  } else {
    await git("remote", "add", "--no-tags", name, url);
  }
  await distrust(git, name);
  const section = `credential.${new URL(url).origin}.helper`;
  const file = place.token.replace(/'/g, `'\\''`);
  await git("config", "--replace-all", section, "");
  await git(
    "config",
    "--add",
    section,
    `!f() { test "$1" = get && printf 'username=developer\\npassword=%s\\n' "$(cat '${file}')"; }; f`,
  );
  return { name, added: old === "" };
}

type RunGit = (...args: string[]) => Promise<{ stdout: string; exitCode: number }>;

/** Says in the repository that a setting of git's is ours to take back. */
const CHECKED = "isolated-ai-coder.checksWhatIsFetched";

/**
 * What comes from the hub is the agent's word: tags would name commits of its as the developer's branches are named
 * (gitrevisions(7): a tag wins), and objects are to be checked before they come in. The check is a setting of the whole
 * repository; where the developer has set it, it stays.
 */
async function distrust(git: RunGit, name: string): Promise<void> {
  await git("config", `remote.${name}.tagOpt`, "--no-tags");
  const checks = await git("config", "--get-regexp", "^(fetch|transfer)\\.fsckobjects$");
  if (checks.stdout.trim() !== "") return;
  await git("config", "fetch.fsckObjects", "true");
  await git("config", CHECKED, "true");
}

/** Takes back what {@link setRemote} did. */
export async function removeRemote(gitDir: string, owner: Identity): Promise<boolean> {
  const git = (...args: string[]) => runAs(owner, ["git", `--git-dir=${gitDir}`, ...args], { mayFail: true });
  let removed = false;
  for (const name of ["agent", "isolated-agent"]) {
    const url = (await git("config", "--get", `remote.${name}.url`)).stdout.trim();
    if (!OURS.test(url)) continue;
    await git("config", "--remove-section", `credential.${new URL(url).origin}`);
    await git("remote", "remove", name);
    removed = true;
  }
  if ((await git("config", "--get", CHECKED)).stdout.trim() === "true") {
    await git("config", "--unset", "fetch.fsckObjects");
    await git("config", "--remove-section", CHECKED.split(".")[0] ?? CHECKED);
  }
  return removed;
}
