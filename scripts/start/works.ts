/** What the launcher has made for one demo or project, what would be lost with it, and how it is removed. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lookUp } from "../../sandbox/user.ts";
import { removeRemote } from "./checkout.ts";
import { lastWords } from "./confined.ts";
import { asUser, type Identity, runAs, sameUser } from "./identity.ts";
import {
  AGENT_USER,
  type AgentPlace,
  agentPlace,
  type DeveloperPlace,
  developerPlace,
  hubDir,
  hubName,
  projectDirs,
  readRun,
  readState,
} from "./places.ts";
import { endRun, isAlive, processesOf, until } from "./processes.ts";
import { askHub, askJj } from "./questions.ts";
import { say, sentenceOf } from "./report.ts";
import { inspectRepository } from "./repository.ts";
import { visibleLine } from "./visible.ts";

export interface Work {
  place: DeveloperPlace;
  agentSide: AgentPlace;
  agent: Identity;
  own: boolean;
  /** What would be lost, a line each. */
  lost: string[];
}

/** Work of the agent that is nowhere else: changes never finalized, and commits the developer has not fetched. */
async function whatIsLost(
  place: DeveloperPlace,
  agentSide: AgentPlace,
  agent: Identity,
  developer: Identity,
): Promise<string[]> {
  const lost: string[] = [];
  if (existsSync(join(agentSide.repo, ".jj"))) {
    const revisions = "mutable() ~ empty() ~ ::remote_bookmarks()";
    const template =
      'change_id.short() ++ " " ++ coalesce(description.first_line(), "(not described)") ++ "\\n"';
    const log = await askJj(agentSide, agent, ["log", "--no-graph", "-r", revisions, "-T", template], {
      mayFail: true,
    }).catch((error: unknown) => ({ exitCode: 1, stdout: "", stderr: sentenceOf(error) }));
    for (const line of log.stdout.split("\n").filter((one) => one !== ""))
      lost.push(`change ${visibleLine(line)}`);
    if (log.exitCode !== 0)
      lost.push(`whatever is in ${agentSide.repo} (jj cannot read it: ${lastWords(log.stderr)})`);
  }
  const hub = hubDir(agentSide);
  if (existsSync(hub) && existsSync(place.checkout)) {
    const repository = await inspectRepository(place.checkout, developer).catch(() => null);
    const refs = await askHub(
      agentSide,
      agent,
      ["for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"],
      { mayFail: true },
    );
    for (const line of refs.stdout.split("\n").filter((one) => one !== "")) {
      const [commit = "", name] = line.split(" ");
      if (!/^[0-9a-f]{40}$/.test(commit)) continue;
      const has =
        repository !== null &&
        (
          await runAs(
            developer,
            ["git", `--git-dir=${repository.gitDir}`, "cat-file", "-e", `${commit}^{commit}`],
            { mayFail: true },
          )
        ).exitCode === 0;
      if (!has) lost.push(`branch ${visibleLine(name ?? "")}, which your repository has not fetched`);
    }
  }
  return lost;
}

/** What there is of the demo or project in a folder of the developer's. */
export async function workIn(dir: string, developer: Identity): Promise<Work> {
  const state = readState(developerPlace(dir));
  const place = developerPlace(dir, state?.checkout);
  const separate = state?.agent.separate ?? false;
  const entry = separate ? lookUp(state?.agent.user ?? AGENT_USER) : null;
  const agent = separate && entry !== null ? asUser(entry) : sameUser();
  const agentSide = agentPlace(place, separate, state?.agent.state);
  const unreachable = separate && (entry === null || process.getuid?.() !== 0);
  const lost = state === null || unreachable ? [] : await whatIsLost(place, agentSide, agent, developer);
  return { place, agentSide, agent, own: projectDirs().includes(dir), lost };
}

/** What is removed with it, a line each. */
export function removalOf({ place, agentSide, own, lost }: Work): string[] {
  return [
    own ? `the agent's side of ${place.checkout} (your repository stays)` : place.dir,
    ...(agentSide.separate ? [agentSide.dir] : []),
    ...(agentSide.state.startsWith(`${agentSide.dir}/`) ? [] : [`(${agentSide.state} stays)`]),
    ...lost.map((line) => `  with ${line}`),
  ];
}

/** Stops what runs there. */
export async function stopRun({ place }: Pick<Work, "place">): Promise<void> {
  const run = readRun(place);
  if (run === null) return;
  if (isAlive(run.launcher)) {
    say(`stopping the one that runs in ${place.dir} (process ${run.launcher.pid})`);
    process.kill(run.launcher.pid, "SIGTERM");
    await until(() => !isAlive(run.launcher), 15_000);
  }
  await endRun(run);
  rmSync(place.run, { force: true });
}

/** Ends every process of a user that is to go: nobody is left who could put a link in a folder's place meanwhile. */
export async function endAll(uid: number): Promise<void> {
  for (const pid of processesOf(uid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }
  await until(() => processesOf(uid).length === 0, 2000);
}

/** Removes both sides of it, and the remote that leads to the agent; the developer's repository stays. */
export async function removeWork({ place, own, agentSide }: Work, developer: Identity): Promise<void> {
  if (own && existsSync(place.checkout)) {
    const repository = await inspectRepository(place.checkout, developer).catch(() => null);
    const remembered = readState(place)?.remote;
    if (
      repository !== null &&
      (await removeRemote(repository.gitDir, developer, place, hubName(agentSide), remembered))
    )
      say(`took the agent's remote out of ${place.checkout}`);
  }
  rmSync(agentSide.dir, { recursive: true, force: true });
  rmSync(place.dir, { recursive: true, force: true });
}

export function removeIfEmpty(dir: string): void {
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir);
}
