/**
 * `npm run teardown`: stops what runs and removes what `npm start` made: demos, the agent's clones, its tools and its
 * Unix user. Says what of the agent's work would be lost; for own repositories that needs a word of its own.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { forgetForeignRepositories } from "../../plugin/src/vcs/environment.ts";
import { agentUsers, COMMENT, lookUp, removeUser, type UserEntry } from "../../sandbox/user.ts";
import { ORIGIN, type Origin } from "./agent-side.ts";
import { removeRemote } from "./checkout.ts";
import { lastWords } from "./confined.ts";
import { asUser, findDeveloper, type Identity, runAs, sameUser } from "./identity.ts";
import {
  AGENT_BASE,
  AGENT_USER,
  type AgentPlace,
  agentPlace,
  type DeveloperPlace,
  demoDirs,
  developerPlace,
  hubDir,
  hubName,
  LOCAL,
  projectDirs,
  readState,
  runRecords,
  USER_PREFIX,
} from "./places.ts";
import { endRun, isAlive, processesOf, until } from "./processes.ts";
import { askHub, askJj } from "./questions.ts";
import { fail, StartError, say, sentenceOf, speakAs } from "./report.ts";
import { inspectRepository } from "./repository.ts";
import { visibleLine } from "./visible.ts";

const USAGE = `usage: npm run teardown -- [--yes] [--delete-unpublished]

Stops what runs and removes the demos, the agent's clones, its tools and its Unix user. Your own repositories stay;
only the remote that leads to the agent is taken out of them.

  --yes                  do it without asking
  --delete-unpublished   also where the agent has work on your own repository that you have not got
`;

interface Work {
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

async function gather(developer: Identity): Promise<Work[]> {
  const works: Work[] = [];
  for (const dir of [...demoDirs(), ...projectDirs()]) {
    const state = readState(developerPlace(dir));
    const place = developerPlace(dir, state?.checkout);
    const separate = state?.agent.separate ?? false;
    const entry = separate ? lookUp(state?.agent.user ?? AGENT_USER) : null;
    const agent = separate && entry !== null ? asUser(entry) : sameUser();
    const agentSide = agentPlace(place, separate, state?.agent.state);
    const unreachable = separate && (entry === null || process.getuid?.() !== 0);
    const lost = state === null || unreachable ? [] : await whatIsLost(place, agentSide, agent, developer);
    works.push({ place, agentSide, agent, own: projectDirs().includes(dir), lost });
  }
  return works;
}

/** The agent's folders of this copy of the project, whose the others are, and the users that go with ours. */
function agentFolders(): { ours: string[]; others: number; users: UserEntry[]; kept: UserEntry[] } {
  const parent = join(AGENT_BASE, "projects");
  // Closed to other users: only root can tell whose they are.
  if (process.getuid?.() !== 0) return { ours: [], others: 0, users: [], kept: [] };
  const ours: string[] = [];
  const elsewhere = new Set<string>();
  let others = 0;
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const dir = join(parent, name);
    const origin = join(dir, ORIGIN);
    const from = existsSync(origin) ? (JSON.parse(readFileSync(origin, "utf8")) as Origin) : null;
    if (from === null || from.developer.startsWith(`${LOCAL}/`) || !existsSync(from.root)) ours.push(dir);
    else {
      others++;
      elsewhere.add(from.user ?? AGENT_USER);
    }
  }
  const all = agentUsers(AGENT_USER).filter(
    ({ name }) =>
      name === AGENT_USER || (name.startsWith(USER_PREFIX) && name.length === USER_PREFIX.length + 8),
  );
  const ofOthers = ({ name }: UserEntry) => elsewhere.has(name);
  return {
    ours,
    others,
    users: all.filter((user) => !ofOthers(user)),
    kept: all.filter(ofOthers),
  };
}

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    say("nothing was removed: add --yes to do it without being asked");
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(question);
  terminal.close();
  if (answer.trim() === "yes") return true;
  say("nothing was removed");
  return false;
}

async function stopRuns(): Promise<void> {
  for (const { place, run } of runRecords()) {
    if (isAlive(run.launcher)) {
      say(`stopping the one that runs in ${place.dir} (process ${run.launcher.pid})`);
      process.kill(run.launcher.pid, "SIGTERM");
      await until(() => !isAlive(run.launcher), 15_000);
    }
    await endRun(run);
    rmSync(place.run, { force: true });
  }
}

async function endAll(uid: number): Promise<void> {
  for (const pid of processesOf(uid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }
  await until(() => processesOf(uid).length === 0, 2000);
}

function removeIfEmpty(dir: string): void {
  if (existsSync(dir) && readdirSync(dir).length === 0) rmdirSync(dir);
}

async function teardown(): Promise<number> {
  const { values } = parseArgs({
    options: {
      yes: { type: "boolean", default: false },
      "delete-unpublished": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const developer = findDeveloper();
  const works = await gather(developer);
  const { ours, others, users, kept } = agentFolders();
  const isRoot = process.getuid?.() === 0;
  if (works.length === 0 && ours.length === 0 && users.length === 0) {
    say("there is nothing to remove");
    return 0;
  }
  if (!isRoot && works.some(({ agentSide }) => agentSide.separate)) {
    throw new StartError(`The agent's side in ${AGENT_BASE} belongs to root: run this with sudo`);
  }

  say("this is removed:");
  for (const { place, agentSide, own, lost } of works) {
    say(`  ${own ? `the agent's side of ${place.checkout} (your repository stays)` : place.dir}`);
    if (agentSide.separate) say(`  ${agentSide.dir}`);
    if (!agentSide.state.startsWith(`${agentSide.dir}/`)) say(`  (${agentSide.state} stays)`);
    for (const line of lost) say(`    with ${line}`);
  }
  for (const dir of ours.filter((one) => !works.some(({ agentSide }) => agentSide.dir === one)))
    say(`  ${dir}`);
  for (const { name } of users) say(`  the Unix user ${name}`);
  if (users.length > 0 && others === 0) say(`  ${AGENT_BASE}`);
  for (const { name } of kept) say(`  (the Unix user ${name} stays: another copy of this project uses it)`);
  const stranger = lookUp(AGENT_USER);
  if (stranger !== null && !stranger.comment.startsWith(COMMENT))
    say(`  (the Unix user ${AGENT_USER} stays: it was not made by this project)`);
  else if (!isRoot && stranger !== null)
    say(`  (the Unix user ${AGENT_USER} stays: only root can remove it (sudo npm run teardown))`);

  const unpublished = works.filter(({ own, lost }) => own && lost.length > 0);
  if (unpublished.length > 0 && values.yes && !values["delete-unpublished"]) {
    throw new StartError(
      `Nothing was removed: the agent has work on ${unpublished.map(({ place }) => place.checkout).join(", ")} that you have not got (above). Review or fetch it, or add --delete-unpublished`,
    );
  }
  if (!values.yes && !(await confirmed('Type "yes" to remove it: '))) return 1;

  await stopRuns();
  // Before anything is removed: nobody is left who could put a link in a folder's place meanwhile.
  for (const { uid } of users) await endAll(uid);
  for (const { place, own, agentSide } of works) {
    if (own && existsSync(place.checkout)) {
      const repository = await inspectRepository(place.checkout, developer).catch(() => null);
      if (
        repository !== null &&
        (await removeRemote(
          repository.gitDir,
          developer,
          place,
          hubName(agentSide),
          readState(place)?.remote,
        ))
      ) {
        say(`took the agent's remote out of ${place.checkout}`);
      }
    }
    rmSync(agentSide.dir, { recursive: true, force: true });
    rmSync(place.dir, { recursive: true, force: true });
  }
  for (const dir of ours) rmSync(dir, { recursive: true, force: true });
  for (const dir of [join(LOCAL, "demo"), join(LOCAL, "projects"), LOCAL]) removeIfEmpty(dir);
  if (isRoot && others === 0) rmSync(AGENT_BASE, { recursive: true, force: true });
  for (const { name } of users) {
    const problem = removeUser(name);
    if (problem !== null) throw new StartError(`The user ${name} could not be removed: ${problem}`);
  }
  say("removed");
  return 0;
}

forgetForeignRepositories();
speakAs("teardown");
try {
  process.exit(await teardown());
} catch (error) {
  const code = (error as { code?: string }).code ?? "";
  fail(
    code.startsWith("ERR_PARSE_ARGS") ? new StartError(`${(error as Error).message}\n\n${USAGE}`, 2) : error,
  );
}
