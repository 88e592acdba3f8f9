/**
 * Who runs what: the developer and the agent as Unix users, and programs run as one of them. Everything that touches
 * a folder of one of the two is done as that user, so that neither can trick the other through files.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { ensureUser, lookUp, type UserEntry } from "../../sandbox/user.ts";
import { lastWords, runConfined } from "./confined.ts";
import { StartError } from "./report.ts";

export interface Identity {
  name: string;
  uid: number;
  gid: number;
  home: string;
  /** The whole environment of what is run as this user, unless something else is said. */
  env: Record<string, string>;
  /** The command that runs `command` as this user. */
  wrap(command: string[], options?: { dieWithParent?: boolean }): string[];
}

const isLinux = process.platform === "linux";

/** The developer's own environment. Under sudo, folders and names of root are replaced or left out. */
function developerEnvironment(user: { name: string; home: string; uid: number }): Record<string, string> {
  const isOther = user.uid !== process.getuid?.();
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !(isOther && /^(XDG_|SUDO_|MAIL$)/.test(name)),
  ) as [string, string][];
  const names = isOther ? { USER: user.name, LOGNAME: user.name } : {};
  return { ...Object.fromEntries(kept), HOME: user.home, ...names };
}

/**
 * Everything that a program of the agent's is told of this machine. Nothing is inherited: no key, no agent of ssh's,
 * no folder of the developer's. PATH is the system's for a separate user.
 */
export function plainEnvironment(
  user: { name: string; home: string },
  path = "/usr/local/bin:/usr/bin:/bin",
): Record<string, string> {
  return {
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh",
    LANG: "C.UTF-8",
    TERM: "dumb",
    PATH: path,
  };
}

/** Signals the child when the launcher dies, and forbids it to gain rights through set-user-id programs. */
function guard(options: { dieWithParent?: boolean }): string[] {
  if (!isLinux || Bun.which("setpriv") === null) return [];
  return [
    "setpriv",
    "--no-new-privs",
    ...(options.dieWithParent === true ? ["--pdeathsig", "TERM"] : []),
    "--",
  ];
}

function switching(uid: number, gid: number, options: { dieWithParent?: boolean }): string[] {
  return [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--init-groups",
    "--no-new-privs",
    ...(options.dieWithParent === true ? ["--pdeathsig", "TERM"] : []),
    "--",
  ];
}

/** The person at the keyboard: the one who called sudo, if anybody did. */
export function findDeveloper(): Identity {
  const uid = process.getuid?.() ?? 0;
  const sudoUser = process.env.SUDO_USER;
  if (uid === 0 && sudoUser !== undefined && sudoUser !== "root" && isLinux) {
    const entry = lookUp(sudoUser);
    if (entry !== null) {
      return {
        ...entry,
        env: developerEnvironment(entry),
        wrap: (command) => [...switching(entry.uid, entry.gid, {}), ...command],
      };
    }
  }
  const self = currentUser();
  return { ...self, env: developerEnvironment(self), wrap: (command) => command };
}

function currentUser() {
  return {
    name: currentName(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    home: process.env.HOME || homedir(),
  };
}

/** From the user database; a user id without an entry there is named by its number. */
function currentName(): string {
  const name = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  return name === "" ? `user ${process.getuid?.()}` : name;
}

/** The agent as the very user who runs the launcher: no isolation. */
export function sameUser(): Identity {
  const self = currentUser();
  return {
    ...self,
    env: plainEnvironment(self, process.env.PATH),
    wrap: (command, options = {}) => [...guard(options), ...command],
  };
}

/** The agent as its own user, made when it is not there. */
export function agentUser(
  name: string,
  home: string,
  purpose: string,
): { agent: Identity; created: boolean } {
  const { user, created } = ensureUser(name, home, purpose);
  return { agent: asUser(user), created };
}

export function asUser(user: UserEntry): Identity {
  return {
    ...user,
    env: plainEnvironment(user),
    wrap: (command, options = {}) => [...switching(user.uid, user.gid, options), ...command],
  };
}

export interface RunOptions {
  cwd?: string;
  /** Instead of the user's own. */
  env?: Record<string, string>;
  input?: Uint8Array | ReadableStream | string;
  /** Do not throw on a failure; look at `exitCode`. */
  mayFail?: boolean;
  timeoutMs?: number;
  /** Told of what comes on standard error, for progress. */
  onError?: (text: string) => void;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program as `who` to its end, without a terminal and within limits.
 * @throws StartError when it fails, and always when it does not end or writes without end
 */
export async function runAs(who: Identity, command: string[], options: RunOptions = {}): Promise<RunResult> {
  const { input } = options;
  const { problem, ...result } = await runConfined(who.wrap(command, { dieWithParent: true }), {
    cwd: options.cwd ?? "/",
    env: options.env ?? who.env,
    ...(input === undefined
      ? {}
      : { input: typeof input === "string" ? new TextEncoder().encode(input) : input }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    ...(options.onError === undefined ? {} : { onError: options.onError }),
  });
  const what = command.slice(0, 3).join(" ");
  if (problem !== null) throw new StartError(`${what}, run as ${who.name}, ${problem}`);
  if (result.exitCode !== 0 && options.mayFail !== true) {
    throw new StartError(
      `${what} failed as ${who.name} (exit ${result.exitCode}): ${lastWords(result.stderr)}`,
    );
  }
  return result;
}

/** Writes a file as its owner: the folder is made, the file appears whole or not at all. */
export async function writeAs(who: Identity, path: string, content: string, mode = "600"): Promise<void> {
  const script =
    'set -e; umask 077; mkdir -p "$(dirname "$1")"; t="$1.tmp-$$"; cat > "$t"; chmod "$2" "$t"; mv -f "$t" "$1"';
  await runAs(who, ["sh", "-c", script, "sh", path, mode], { input: content });
}

/** Content of a file read as its owner, or null when it is not there. */
export async function readAs(who: Identity, path: string): Promise<string | null> {
  const result = await runAs(who, ["cat", "--", path], { mayFail: true });
  return result.exitCode === 0 ? result.stdout : null;
}
