/**
 * The scripts that run a program in an inner ring of a place (see sandbox/): a command of the model's and an MCP server, around
 * the agent's repository, and the project's own check, around a tree that the review server has made for it.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { LOADED } from "../../plugin/src/agent/loaded.ts";
import { MARK } from "../../plugin/src/agent/processes.ts";
import { CALL } from "../../plugin/src/review/tell/commands.ts";
import { inMemory, limited, readMachine, ringLimits, type Shares } from "../../sandbox/limits.ts";
import { NETWORK_VARIABLE } from "../../sandbox/network/holder.ts";
import { PROXY_PORT, proxyEnvironment } from "../../sandbox/network/sockets.ts";
import { innerRing, type Word } from "../../sandbox/rings.ts";
import { type RingShell, ringShell, SECCOMP_FD, TOLD } from "../../sandbox/shell.ts";
import { readSystem } from "../../sandbox/system.ts";
import type { Identity } from "./identity.ts";
import type { AgentPlace } from "./places.ts";
import { RUN_MARK } from "./processes.ts";
import { programsElsewhere } from "./programs.ts";

export interface CageWishes {
  /** Further folders that the commands may read. */
  show: readonly string[];
  /** The registry that npm takes in it, or null for npm's own. */
  registry: string | null;
  /** What all of them together may take of the machine. */
  shares: Shares;
}

/** Programs of a ring are the system's and ours; no folder of the developer's PATH. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of the repository: what another program reads as its settings, or finds its settings by. */
const PINNED = [".git", ".jj", ".jj/repo", ".jj/repo/store"];
const GUARDED_FILES = [".git/config", ".jj/repo/store/git_target", ".jj/repo/store/type", ...LOADED.files];
const GUARDED_FOLDERS = [".git/hooks", ...LOADED.folders];
/** Of a program that stays: a guarded file would be open to it once the review server has put another in its place. */
const WHOLLY_GUARDED = [".git", ".jj", ...LOADED.folders];

/** The proxy's, with the number of the command as its user, where there is one: by that it knows what it refuses to whom. */
const ADDRESS = { shell: `"http://\${${CALL}:+$${CALL}:x@}127.0.0.1:${PROXY_PORT}"` };

/** Where processors are short, opencode and the review server come first. */
const NICE = 5;

/** Of a place's cage: what is said while no command may run, and of one that was ended by force. */
export const STOP = "stop";
export const ENDED = "ended.txt";

export const nsenter = (): string | null => Bun.which("nsenter", { PATH: SYSTEM_PATH });
const realShell = () => (existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh");
const real = (path: string) => join(realpathSync(dirname(path)), path.slice(dirname(path).length + 1));

interface Around {
  worktree: Word;
  home: Word;
  before?: string;
  pinned: readonly string[];
  guarded: RingShell["guarded"];
  /** In the ring, in front of the script's arguments. */
  command: readonly string[];
  /** Names of further variables that come in. */
  variables?: readonly string[];
}

const guard = (place: AgentPlace, names: readonly string[], empty: string) =>
  names.map((name) => ({ path: join(real(place.repo), name), empty: join(real(place.cage), empty) }));

/** Around the agent's repository, with the home that its commands share. */
export function commandRing(place: AgentPlace, agent: Identity, wishes: CageWishes): string {
  const repo = real(place.repo);
  return entry(place, agent, wishes, {
    worktree: repo,
    home: real(place.cageHome),
    pinned: PINNED.map((name) => join(repo, name)),
    guarded: [...guard(place, GUARDED_FILES, "empty.json"), ...guard(place, GUARDED_FOLDERS, "empty")],
    command: [realShell()],
  });
}

/** Around the agent's repository, for a program that stays: `SCRIPT PROGRAM …`. @param home its own */
export function serverRing(
  place: AgentPlace,
  agent: Identity,
  wishes: CageWishes,
  { home, variables }: { home: string; variables: readonly string[] },
): string {
  return entry(place, agent, wishes, {
    worktree: real(place.repo),
    home: real(home),
    pinned: [],
    guarded: [...guard(place, WHOLLY_GUARDED, "empty"), ...guard(place, LOADED.files, "empty.json")],
    command: [],
    variables,
  });
}

/** Around the tree that it is started in, with the home that it is told: nothing of the agent's clone or of its commands' home. */
export function checkRing(place: AgentPlace, agent: Identity, wishes: CageWishes): string {
  // The settings say a command for sh.
  return entry(place, agent, wishes, { ...TOLD, pinned: [], guarded: [], command: ["/bin/sh"] });
}

function entry(place: AgentPlace, agent: Identity, wishes: CageWishes, around: Around): string {
  const { show, registry, shares } = wishes;
  const limits = ringLimits(shares, readMachine());
  const system = readSystem();
  const cage = real(place.cage);
  const { worktree, home, before, pinned, guarded, command, variables = [] } = around;
  return ringShell({
    bwrap: realpathSync(join(place.tools, "bin/bwrap")),
    ring: innerRing({
      system,
      worktree,
      home,
      shown: [place.tools, ...programsElsewhere(place, system.shown), cage, ...show],
      pinned,
      network: "shared",
      seccomp: SECCOMP_FD,
      inMemory: inMemory(shares),
    }),
    ...(before === undefined ? {} : { before }),
    filter: join(cage, "filter.bpf"),
    guarded,
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
      ...proxyEnvironment<Word>(ADDRESS),
      ...(registry === null ? {} : { npm_config_registry: registry }),
    },
    // By these a command's processes are known to the review and to the launcher; no more is told.
    passed: [MARK, RUN_MARK, ...variables],
    network: { nsenter: nsenter() ?? "nsenter", variable: NETWORK_VARIABLE },
    sentences: { stop: join(cage, STOP), ended: join(cage, ENDED) },
    // Of all rings together; in each the same again.
    within: limited(["nice", "-n", String(NICE)], { nproc: limits.nproc as number }),
    command: limited(command, limits),
  });
}
