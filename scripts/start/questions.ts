/**
 * What the launcher asks git and jj about repositories that the agent can write, run as the agent. Nothing that the
 * agent may have put there decides what runs: the hub is looked at through a git directory of the launcher's own, which
 * links to the hub's objects and refs and has no hooks, attributes or settings of it; jj is given fixed settings, and those that name programs
 * on its command line, where they count before a repository's own.
 */
import { existsSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { NO_GIT_PROGRAMS, NO_JJ_PROGRAMS } from "../../plugin/src/vcs/no-programs.ts";
import { agentEnvironment, putFile } from "./agent-side.ts";
import { type Identity, type RunOptions, type RunResult, runAs } from "./identity.ts";
import { type AgentPlace, hubDir } from "./places.ts";

/** No configuration but the repository's, no prompt, no other repository's objects fetched on the way. */
export const CLOSED_GIT: Record<string, string> = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_TERMINAL_PROMPT: "0",
  GIT_PAGER: "cat",
  LC_ALL: "C.UTF-8",
};

/** Beside what starts no program: no cleaning up as a side effect, no colours. */
export const NO_PROGRAMS = [
  ...NO_GIT_PROGRAMS,
  ...["gc.auto=0", "maintenance.auto=false", "color.ui=false"].flatMap((setting) => ["-c", setting]),
];

/** The bare repository that both sides share, made when it is not there. @throws StartError */
export async function makeHub(place: AgentPlace, agent: Identity, branch: string): Promise<void> {
  const hub = hubDir(place);
  if (existsSync(join(hub, "HEAD"))) return;
  const init = ["init", "--quiet", "--bare", "--template=", `--initial-branch=${branch}`, hub];
  await runAs(agent, ["git", ...NO_PROGRAMS, ...init], { env: questionEnvironment(place, agent) });
}

/** Runs git on the hub as the agent. */
export function askHub(
  place: AgentPlace,
  agent: Identity,
  args: string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const view = openView(place);
  return runAs(agent, ["git", ...NO_PROGRAMS, `--git-dir=${view}`, ...args], {
    ...options,
    env: questionEnvironment(place, agent),
  });
}

/** Runs jj in the agent's repository as the agent, with settings of the launcher's and none of the repository's. */
export function askJj(
  place: AgentPlace,
  agent: Identity,
  args: string[],
  options: RunOptions = {},
): Promise<RunResult> {
  // jj keeps a repository's own settings in the folder of the user's: an empty one has none.
  const script =
    'd="$(mktemp -d)" || exit 1; XDG_CONFIG_HOME="$d" jj "$@"; code=$?; rm -rf -- "$d"; exit "$code"';
  const command = ["--no-pager", "--color=never", ...NO_JJ_PROGRAMS, ...args];
  return runAs(agent, ["sh", "-c", script, "jj", ...command], {
    cwd: place.repo,
    ...options,
    env: {
      ...questionEnvironment(place, agent),
      JJ_CONFIG: writeJjSettings(place, agent),
      JJ_EDITOR: "false",
    },
  });
}

/** The agent's environment, closed for git. */
export function questionEnvironment(place: AgentPlace, agent: Identity): Record<string, string> {
  return { ...agentEnvironment(place, agent), ...CLOSED_GIT };
}

/** jj's settings of the user, in a file that the agent cannot change. @returns its path */
export function writeJjSettings(place: AgentPlace, agent: Identity): string {
  const file = join(place.dir, "questions.toml");
  putFile(file, jjSettings(agent), 0o644);
  return file;
}

/** jj's settings of the agent: who it is, and that nothing is ever signed. */
export const jjSettings = (agent: Identity) =>
  `[user]\nname = "AI coder"\nemail = "${agent.name}@localhost"\n\n[ui]\npaginate = "never"\ncolor = "never"\n\n[signing]\nbehavior = "drop"\n\n[snapshot]\nmax-new-file-size = "64MiB"\n`;

/** The launcher's own git directory on the hub's objects and refs (as git-new-workdir links them). @returns its path */
function openView(place: AgentPlace): string {
  const view = join(place.dir, "view.git");
  const hub = hubDir(place);
  mkdirSync(view, { recursive: true, mode: 0o755 });
  putFile(join(view, "HEAD"), "ref: refs/heads/.invalid\n", 0o644);
  putFile(join(view, "config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n", 0o644);
  for (const part of ["objects", "refs", "packed-refs"]) {
    const link = join(view, part);
    const target = join(hub, part);
    if (linkTarget(link) === target) continue;
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
  return view;
}

function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
