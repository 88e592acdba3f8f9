/** `npm run sandbox -- down`: removes what was made for one repository, and leaves no trace of it. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMMENT, lookUp, removeUser } from "../../sandbox/user.ts";
import { confirmed } from "./confirmed.ts";
import { AGENT_BASE, AGENT_USER, LOCAL, readState } from "./places.ts";
import { StartError, say } from "./report.ts";
import type { SandboxOptions } from "./sandbox-options.ts";
import { setUpFor } from "./sandbox-place.ts";
import { endAll, removalOf, removeIfEmpty, removeWork, stopRun, type Work } from "./works.ts";

export async function down(options: SandboxOptions): Promise<number> {
  const { work, developer } = await setUpFor(options.repository);
  const { agentSide, place } = work;
  if (agentSide.separate && process.getuid?.() !== 0)
    throw new StartError(`The agent's side in ${agentSide.dir} belongs to root: run this with sudo`);
  const user = userThatGoes(work);
  const last = agentSide.separate && othersIn(agentSide.dir).length === 0;
  say(options.dryRun ? "this would be removed:" : "this is removed:");
  for (const line of removalOf(work)) say(`  ${line}`);
  if (user !== null) say(`  the Unix user ${user.name}`);
  if (last) say(`  ${AGENT_BASE}, which no other project uses`);
  if (options.dryRun) return 0;
  if (work.lost.length > 0 && options.yes && !options.deleteUnpublished)
    throw new StartError(
      "Nothing was removed: the agent has work that you have not got (above). Review or fetch it, or add --delete-unpublished",
    );
  if (!options.yes && !(await confirmed('Type "yes" to remove it: '))) return 1;
  await stopRun(work);
  if (user !== null) await endAll(user.uid);
  await removeWork(work, developer);
  if (last) rmSync(AGENT_BASE, { recursive: true, force: true });
  if (user !== null) {
    const problem = removeUser(user.name);
    if (problem !== null) throw new StartError(`The user ${user.name} could not be removed: ${problem}`);
  }
  for (const dir of [dirname(place.dir), LOCAL]) removeIfEmpty(dir);
  say("removed");
  return 0;
}

/** The user of this project alone; the one that all projects used to share stays for the tear-down. */
function userThatGoes({ place, agentSide }: Work) {
  const name = agentSide.separate ? readState(place)?.agent.user : undefined;
  const user = name === undefined || name === AGENT_USER ? null : lookUp(name);
  return user?.comment.startsWith(COMMENT) === true ? user : null;
}

/** Agents' folders beside this one. */
function othersIn(dir: string): string[] {
  const parent = dirname(dir);
  return existsSync(parent) ? readdirSync(parent).filter((name) => join(parent, name) !== dir) : [];
}
