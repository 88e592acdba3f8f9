/**
 * The cage: a ring around every command of the model's. opencode starts what is named in SHELL, and that is a script of
 * the launcher's, which runs the real shell in a ring (see sandbox/). Nothing is left out silently: where a ring cannot be
 * made, or does not hold what it should, there is no start.
 */
import { realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CAGED } from "../../plugin/src/agent/links.ts";
import { CHECK_SHELL } from "../../plugin/src/review/finish/check-command.ts";
import type { Shares } from "../../sandbox/limits.ts";
import { withNetwork } from "../../sandbox/network/holder.ts";
import { whyNoRing } from "../../sandbox/probe.ts";
import { sizeText } from "../../sandbox/room.ts";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { copyTools } from "../provision.mjs";
import { giveFolder, makeFolder, putFile } from "./agent-side.ts";
import { attempt } from "./attempt.ts";
import { gitSettings } from "./clone.ts";
import { lastWords } from "./confined.ts";
import { putForwarder } from "./forwarder.ts";
import type { Identity } from "./identity.ts";
import { type CageWishes, checkRing, commandRing, ENDED, nsenter } from "./inner-rings.ts";
import { AGENT_BASE, type AgentPlace, ROOT } from "./places.ts";
import { plantedIn, putPlaceholders } from "./planted.ts";
import { jjSettings } from "./questions.ts";
import { StartError, say } from "./report.ts";
import { whyNoOuterRing } from "./ring.ts";

const WITHOUT =
  "start with --no-cage to go on without it: the agent's commands then reach whatever its user reaches";

/** @throws StartError that says what forbids a ring here, before anything is made for it */
export async function requireRing(agent: Identity, separate: boolean): Promise<void> {
  if (separate) await copyTools({ from: ROOT, to: join(AGENT_BASE, "tools"), log: say });
  const bwrap = join(separate ? join(AGENT_BASE, "tools") : join(ROOT, ".tools"), "bin/bwrap");
  const why = await whyNoRing(bwrap, (command) => attempt(agent, command, "/", agent.env));
  const arch = seccompFilter() === null ? `there is no filter of system calls for ${process.arch}` : null;
  const problem =
    why ?? arch ?? (nsenter() === null ? "the program nsenter is missing (package util-linux)" : null);
  if (problem !== null)
    throw new StartError(
      `The agent's commands cannot be caged here: ${problem}. Put that right, or ${WITHOUT}`,
    );
}

export interface Cage {
  /** The program that opencode is to take for the shell. */
  shell: string;
  /** The one that runs the project's own check; see CHECK_SHELL of the review server. */
  check: string;
  /** The words that opencode is started with: they make the network that its commands share. */
  within: string[];
}

/** Makes the cage of a place. */
export async function makeCage(
  place: AgentPlace,
  agent: Identity,
  branch: string,
  wishes: CageWishes,
): Promise<Cage> {
  const planted = await plantedIn(place, agent, branch);
  if (planted.length > 0)
    throw new StartError(
      `In ${place.repo} there is what no commit of yours has, and opencode would run it outside the cage: ${planted.join(", ")}. Look at it and move it away, or ${WITHOUT}`,
    );
  makeFolder(place.cage, 0o755);
  makeFolder(join(place.cage, "empty"), 0o755);
  giveFolder(place.cageHome, 0o700, place, agent);
  putFile(join(place.cage, "empty.json"), "{}\n", 0o644);
  putFile(join(place.cage, "jj.toml"), jjSettings(agent), 0o644);
  putFile(join(place.cage, "gitconfig"), gitSettings(agent), 0o644);
  // In an outer ring that one's filter is asked, which tells.
  const how = whyNoOuterRing(agent) === null ? "yield" : "refuse";
  const filter = seccompFilter(process.arch, "inner", how);
  if (filter === null)
    throw new StartError(`There is no filter of system calls for ${process.arch}: ${WITHOUT}`);
  writeFileSync(join(place.cage, "filter.bpf"), filter, { mode: 0o644 });
  await putPlaceholders(place, agent, branch);
  const shell = join(place.cage, "shell");
  putFile(shell, commandRing(place, agent, wishes), 0o755);
  const check = join(place.cage, "check");
  putFile(check, checkRing(place, agent, wishes), 0o755);
  const within = [putNetwork(place)];
  putFile(join(place.cage, ENDED), endedByForce(wishes.shares), 0o644);
  putFile(instructions(place), TOLD, 0o644);
  const both = '"$1" -c true && cd "$3" && exec "$2" "$4" -c true';
  const words = [...within, "sh", "-c", both, "sh", shell, check, place.tmp, place.cageHome];
  const { exitCode, stderr } = await attempt(agent, words, place.repo, agent.env);
  if (exitCode !== 0) throw new StartError(`The cage does not run: ${lastWords(stderr)}. Or ${WITHOUT}`);
  return { shell, check, within };
}

/** The script that makes the network of the commands, and the program in it. */
function putNetwork(place: AgentPlace): string {
  const script = join(place.cage, "with-network");
  const bwrap = realpathSync(join(place.tools, "bin/bwrap"));
  putFile(script, withNetwork({ bwrap, ...putForwarder(place) }), 0o755);
  return script;
}

/** What opencode is told of the cage: its shell, that links lead nowhere, and git without programs of a repository's. */
export function cagedEnvironment({ shell, check }: Cage): Record<string, string> {
  const settings = [
    ["core.hooksPath", "/dev/null"],
    ["core.fsmonitor", "false"],
  ] as const;
  const entries = settings.flatMap(([name, value], n) => [
    [`GIT_CONFIG_KEY_${n}`, name],
    [`GIT_CONFIG_VALUE_${n}`, value],
  ]);
  return {
    SHELL: shell,
    [CAGED]: shell,
    [CHECK_SHELL]: check,
    GIT_CONFIG_COUNT: String(settings.length),
    ...(Object.fromEntries(entries) as Record<string, string>),
  };
}

/** Without a cage the model is not told of one. */
export function forgetCage(place: AgentPlace): void {
  rmSync(instructions(place), { force: true });
}

const instructions = (place: AgentPlace) => join(place.config, "opencode/AGENTS.md");

const endedByForce = ({ memory, processes }: Shares) =>
  `The command was ended by force (SIGKILL). All commands together may use ${sizeText(memory)} of memory and ${processes} processes; one that takes too much is stopped.\n`;

/** For the model, by the host's own file of instructions. */
const TOLD = `# Where your commands run

Each shell command runs in a cage. It sees this repository, which it can write, a home of its own, and the machine's
programs; /tmp is empty at the start of each command. Nothing outlives its command: what you put into the background ends
with it, so start a server and use it in one command. The settings and hooks of git and jj in this repository, .opencode and
opencode.json cannot be changed from here. A command that fills the disk is stopped, and says so. The shared repository is not in reach: nothing needs to be fetched or pushed.

The network is reached through a proxy that is set up already (HTTP_PROXY and its kin), and only hosts that are on a list:
package registries and the like. Another host is answered with 403 and a sentence that says how the developer can allow it:
tell them, and do not look for a way around it. No service of the machine outside is in reach; 127.0.0.1 is the cage's own.
`;
