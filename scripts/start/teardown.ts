/**
 * `npm run teardown`: stops what runs and removes what `npm start` made: demos, the agent's clones, its tools and its
 * Unix user. Says what of the agent's work would be lost; for own repositories that needs a word of its own.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { forgetForeignRepositories } from "../../plugin/src/vcs/environment.ts";
import { agentUsers, COMMENT, lookUp, removeUser, type UserEntry } from "../../sandbox/user.ts";
import { ORIGIN, type Origin } from "./agent-side.ts";
import { confirmed } from "./confirmed.ts";
import { findDeveloper } from "./identity.ts";
import { AGENT_BASE, AGENT_USER, demoDirs, LOCAL, projectDirs, USER_PREFIX } from "./places.ts";
import { runProgram, StartError, say } from "./report.ts";
import { endAll, removalOf, removeIfEmpty, removeWork, stopRun, type Work, workIn } from "./works.ts";

const USAGE = `usage: npm run teardown -- [--yes] [--delete-unpublished]

Stops what runs and removes the demos, the agent's clones, its tools and its Unix user. Your own repositories stay;
only the remote that leads to the agent is taken out of them.

  --yes                  do it without asking
  --delete-unpublished   also where the agent has work on your own repository that you have not got
`;

/**
 * The agent's folders of this copy of the project, whose the others are, and the users that go with ours.
 * @param known folders of what this copy remembers
 */
function agentFolders(known: ReadonlySet<string>): {
  ours: string[];
  /** Of which it cannot be told: they stay, and so does who owns what is in them. */
  unknown: string[];
  others: number;
  users: UserEntry[];
  kept: UserEntry[];
} {
  const parent = join(AGENT_BASE, "projects");
  // Closed to other users: only root can tell whose they are.
  if (process.getuid?.() !== 0) return { ours: [], unknown: [], others: 0, users: [], kept: [] };
  const ours: string[] = [];
  const unknown: string[] = [];
  const elsewhere = new Set<string>();
  const owners = new Set<number>();
  let others = 0;
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const dir = join(parent, name);
    const origin = join(dir, ORIGIN);
    const from = existsSync(origin) ? (JSON.parse(readFileSync(origin, "utf8")) as Origin) : null;
    if (from === null && !known.has(dir)) {
      unknown.push(dir);
      for (const inside of readdirSync(dir)) owners.add(lstatSync(join(dir, inside)).uid);
    } else if (from === null || from.developer.startsWith(`${LOCAL}/`) || !existsSync(from.root))
      ours.push(dir);
    else {
      others++;
      elsewhere.add(from.user ?? AGENT_USER);
    }
  }
  const all = agentUsers(AGENT_USER).filter(
    ({ name }) =>
      name === AGENT_USER || (name.startsWith(USER_PREFIX) && name.length === USER_PREFIX.length + 8),
  );
  const ofOthers = ({ name, uid }: UserEntry) => elsewhere.has(name) || owners.has(uid);
  return {
    ours,
    unknown,
    others: others + unknown.length,
    users: all.filter((user) => !ofOthers(user)),
    kept: all.filter(ofOthers),
  };
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
  const works: Work[] = [];
  for (const dir of [...demoDirs(), ...projectDirs()]) works.push(await workIn(dir, developer));
  const known = new Set(works.map(({ agentSide }) => agentSide.dir));
  const { ours, unknown, others, users, kept } = agentFolders(known);
  const isRoot = process.getuid?.() === 0;
  if (works.length === 0 && ours.length === 0 && users.length === 0) {
    say("there is nothing to remove");
    return 0;
  }
  if (!isRoot && works.some(({ agentSide }) => agentSide.separate)) {
    throw new StartError(`The agent's side in ${AGENT_BASE} belongs to root: run this with sudo`);
  }

  say("this is removed:");
  for (const work of works) for (const line of removalOf(work)) say(`  ${line}`);
  for (const dir of ours.filter((one) => !known.has(one))) say(`  ${dir}`);
  for (const { name } of users) say(`  the Unix user ${name}`);
  if (users.length > 0 && others === 0) say(`  ${AGENT_BASE}`);
  for (const dir of unknown) say(`  (${dir} stays: whose it is cannot be told)`);
  for (const { name } of kept) say(`  (the Unix user ${name} stays: something else uses it)`);
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

  for (const work of works) await stopRun(work);
  for (const { uid } of users) await endAll(uid);
  for (const work of works) await removeWork(work, developer);
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
await runProgram("teardown", USAGE, teardown);
