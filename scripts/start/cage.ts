/**
 * The cage: a ring around every command of the model's. opencode starts what is named in SHELL, and that is a script of
 * the launcher's, which runs the real shell in a ring (see sandbox/). Nothing is left out silently: where a ring cannot be
 * made, or does not hold what it should, there is no start.
 */
import { existsSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CAGED } from "../../plugin/src/agent/links.ts";
import { MARK } from "../../plugin/src/agent/processes.ts";
import { limited } from "../../sandbox/limits.ts";
import { NETWORK_VARIABLE, withNetwork } from "../../sandbox/network/holder.ts";
import { proxyEnvironment } from "../../sandbox/network/sockets.ts";
import { whyNoRing } from "../../sandbox/probe.ts";
import { innerRing } from "../../sandbox/rings.ts";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { ringShell, SECCOMP_FD } from "../../sandbox/shell.ts";
import { readSystem } from "../../sandbox/system.ts";
import { copyTools } from "../provision.mjs";
import { giveFolder, makeFolder, putFile } from "./agent-side.ts";
import { attempt } from "./attempt.ts";
import { gitSettings } from "./clone.ts";
import { lastWords } from "./confined.ts";
import { putForwarder } from "./forwarder.ts";
import type { Identity } from "./identity.ts";
import { AGENT_BASE, type AgentPlace, ROOT } from "./places.ts";
import { LOADED, plantedIn, putPlaceholders } from "./planted.ts";
import { RUN_MARK } from "./processes.ts";
import { programsElsewhere } from "./programs.ts";
import { jjSettings } from "./questions.ts";
import { StartError, say } from "./report.ts";

/** Programs of a ring are the system's and ours; no folder of the developer's PATH. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of the repository: what another program reads as its settings, or finds its settings by. */
const PINNED = [".git", ".jj", ".jj/repo", ".jj/repo/store"];
const GUARDED_FILES = [".git/config", ".jj/repo/store/git_target", ".jj/repo/store/type", ...LOADED.files];
const GUARDED_FOLDERS = [".git/hooks", ...LOADED.folders];

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
  /** The words that opencode is started with: they make the network that its commands share. */
  within: string[];
}

export interface CageWishes {
  /** Further folders that the commands may read. */
  show: readonly string[];
  /** The registry that npm takes in it, or null for npm's own. */
  registry: string | null;
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
  const filter = seccompFilter();
  if (filter === null)
    throw new StartError(`There is no filter of system calls for ${process.arch}: ${WITHOUT}`);
  writeFileSync(join(place.cage, "filter.bpf"), filter, { mode: 0o644 });
  await putPlaceholders(place, agent, branch);
  const shell = join(place.cage, "shell");
  putFile(shell, shellOf(place, agent, wishes), 0o755);
  const within = [putNetwork(place)];
  putFile(instructions(place), TOLD, 0o644);
  const { exitCode, stderr } = await attempt(agent, [...within, shell, "-c", "true"], place.repo, agent.env);
  if (exitCode !== 0) throw new StartError(`The cage does not run: ${lastWords(stderr)}. Or ${WITHOUT}`);
  return { shell, within };
}

/** The script that makes the network of the commands, and the program in it. */
function putNetwork(place: AgentPlace): string {
  const script = join(place.cage, "with-network");
  const bwrap = realpathSync(join(place.tools, "bin/bwrap"));
  putFile(script, withNetwork({ bwrap, ...putForwarder(place) }), 0o755);
  return script;
}

const nsenter = () => Bun.which("nsenter", { PATH: SYSTEM_PATH });

/** What opencode is told of the cage: its shell, that links lead nowhere, and git without programs of a repository's. */
export function cagedEnvironment(shell: string): Record<string, string> {
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
    GIT_CONFIG_COUNT: String(settings.length),
    ...(Object.fromEntries(entries) as Record<string, string>),
  };
}

/** Without a cage the model is not told of one. */
export function forgetCage(place: AgentPlace): void {
  rmSync(instructions(place), { force: true });
}

const instructions = (place: AgentPlace) => join(place.config, "opencode/AGENTS.md");

function shellOf(place: AgentPlace, agent: Identity, { show, registry }: CageWishes): string {
  const system = readSystem();
  const real = (path: string) => join(realpathSync(dirname(path)), path.slice(dirname(path).length + 1));
  const [repo, home, cage] = [real(place.repo), real(place.cageHome), real(place.cage)];
  const empty = (name: string) => join(cage, name);
  return ringShell({
    bwrap: realpathSync(join(place.tools, "bin/bwrap")),
    ring: innerRing({
      system,
      worktree: repo,
      home,
      shown: [place.tools, ...programsElsewhere(place, system.shown), cage, ...show],
      pinned: PINNED.map((name) => join(repo, name)),
      network: "shared",
      seccomp: SECCOMP_FD,
    }),
    filter: join(cage, "filter.bpf"),
    guarded: [
      ...GUARDED_FILES.map((name) => ({ path: join(repo, name), empty: empty("empty.json") })),
      ...GUARDED_FOLDERS.map((name) => ({ path: join(repo, name), empty: empty("empty") })),
    ],
    environment: {
      HOME: home,
      USER: agent.name,
      LOGNAME: agent.name,
      PATH: [join(place.tools, "bin"), ...show.map((path) => join(path, "bin")), SYSTEM_PATH].join(":"),
      SHELL: realShell(),
      LANG: "C.UTF-8",
      TERM: "dumb",
      TMPDIR: "/tmp",
      JJ_CONFIG: join(cage, "jj.toml"),
      GIT_CONFIG_GLOBAL: join(cage, "gitconfig"),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      ...proxyEnvironment(),
      ...(registry === null ? {} : { npm_config_registry: registry }),
    },
    // By these a command's processes are known to the review and to the launcher; no more is told.
    passed: [MARK, RUN_MARK],
    network: { nsenter: nsenter() ?? "nsenter", variable: NETWORK_VARIABLE },
    command: limited([realShell()]),
  });
}

const realShell = () => (existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh");

/** For the model, by the host's own file of instructions. */
const TOLD = `# Where your commands run

Each shell command runs in a cage. It sees this repository, which it can write, a home of its own, and the machine's
programs; /tmp is empty at the start of each command. Nothing outlives its command: what you put into the background ends
with it, so start a server and use it in one command. The settings and hooks of git and jj in this repository, .opencode and
opencode.json cannot be changed from here. The shared repository is not in reach: nothing needs to be fetched or pushed.

The network is reached through a proxy that is set up already (HTTP_PROXY and its kin), and only hosts that are on a list:
package registries and the like. Another host is answered with 403 and a sentence that says how the developer can allow it:
tell them, and do not look for a way around it. No service of the machine outside is in reach; 127.0.0.1 is the cage's own.
`;
