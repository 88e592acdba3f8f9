/** The program that a host starts as `SHELL`: a script that runs the real shell in the ring, whatever it is given. */
import type { Word } from "./rings.ts";

export interface RingShell {
  bwrap: string;
  /** See {@link import("./rings.ts").innerRing}. */
  ring: readonly Word[];
  /** Shell that comes before everything: what the ring's own words name. */
  before?: string;
  /** File with the filter of system calls, given as descriptor {@link SECCOMP_FD}. */
  filter: string | null;
  /**
   * Files and folders that can be read and not changed. Where one is not there at the time of a command, an empty one
   * is: it cannot be made either.
   */
  guarded: readonly { path: string; empty: string }[];
  /** The whole environment inside. */
  environment: Readonly<Record<string, Word>>;
  /** Names of variables that come in from the host, where they are set. */
  passed: readonly string[];
  /** The network that it joins, or null for the host's; see network/holder.ts. */
  network: { nsenter: string; variable: string } | null;
  /** What is said of a command that may not run or was ended by force; null where nothing is. */
  sentences: Sentences | null;
  /** Words in front of the ring. */
  within: readonly string[];
  /** The command in the ring, which the arguments of the script follow. */
  command: readonly string[];
}

/** Files with sentences for the one whose command it is. */
export interface Sentences {
  /** While it is there no command runs, and what it says is why. */
  stop: string;
  /** Said where a command was ended by force and nobody has said why. */
  ended: string;
}

export const SECCOMP_FD = 9;
/** Of 1000; what a session's programs have already is 200 at most. */
const LESS_WORTH = 700;

const quoted = (word: Word): string =>
  typeof word === "string" ? `'${word.replaceAll("'", `'\\''`)}'` : word.shell;

/**
 * The words of a script whose ring is around the folder that it is started in, with a home that its first argument names:
 * both at their own place.
 */
export const TOLD = {
  worktree: { shell: '"$tree"' },
  home: { shell: '"$home"' },
  before: 'tree="$(pwd -P)" && home="$(cd "$1" && pwd -P)" && shift || exit 125\n',
} as const;

/**
 * bubblewrap itself is started with the ring's environment: it is process 1 inside, and shows what it was given. The
 * folder is named in so many words: where it is not in the ring the command fails, and is not run somewhere else.
 */
export function ringShell(shell: RingShell): string {
  const environment = Object.entries(shell.environment).map(([name, value]) => `${name}=${quoted(value)}`);
  const passed = shell.passed.map((name) => `\${${name}+"${name}=$${name}"}`);
  const chosen = shell.guarded.map(
    ({ path, empty }, n) => `g${n}=${quoted(empty)}; [ -e ${quoted(path)} ] && g${n}=${quoted(path)}\n`,
  );
  const { network } = shell;
  const holder = network === null ? "" : `$${network.variable}`;
  const there =
    network === null
      ? ""
      : `[ -n "${holder}" ] && [ -e "/proc/${holder}/ns/net" ] || { echo "The network of the agent's commands is not there (any more): it comes with a new start." >&2; exit 125; }\n`;
  const joined =
    network === null
      ? []
      : [
          // Before the ring's own namespaces: what makes those is then in this network, and has no right over it.
          ...[network.nsenter, "--preserve-credentials", "--user", "--net", "--target"].map(quoted),
          `"${holder}"`,
          "--",
        ];
  const guards = shell.guarded.map(({ path }, n) => `--ro-bind "$g${n}" ${quoted(path)}`);
  const words = [
    "/usr/bin/env -i",
    ...environment,
    ...passed,
    ...shell.within.map(quoted),
    ...joined,
    ...[shell.bwrap, ...shell.ring].map(quoted),
    ...guards,
    '--chdir "$(pwd -P)" --',
    ...shell.command.map(quoted),
    '"$@"',
    // A descriptor that the host left open is no way out.
    "3<&- 4<&- 5<&- 6<&- 7<&- 8<&-",
    ...(shell.filter === null ? [] : [`${SECCOMP_FD}< ${quoted(shell.filter)}`]),
  ];
  // Where memory is short, the kernel ends a command before opencode.
  const first = `{ echo ${LESS_WORTH} > /proc/self/oom_score_adj; } 2> /dev/null\n`;
  const [refused, begin, end] = saying(shell.sentences);
  return `#!/bin/sh\n# Written at every start. Runs a shell apart from everything but what it is for.\n${shell.before ?? ""}${refused}${first}${there}${chosen.join("")}${begin}${words.join(" ")}\n${end}`;
}

/** Shell in front of everything, in front of the command, and behind it. */
function saying(sentences: Sentences | null): [string, string, string] {
  if (sentences === null) return ["", "exec ", ""];
  const [stop, ended] = [quoted(sentences.stop), quoted(sentences.ended)];
  const byForce = `if [ -e ${stop} ]; then cat ${stop}; else cat ${ended}; fi >&2`;
  return [
    `[ ! -e ${stop} ] || { cat ${stop} >&2; exit 125; }\n`,
    "",
    // 128 and SIGKILL.
    `code=$?\nif [ "$code" -eq 137 ]; then ${byForce}; fi\nexit "$code"\n`,
  ];
}
