/**
 * Who runs what: the developer and the agent as Unix users, and programs run as one of them. Everything that touches
 * a folder of one of the two is done as that user, so that neither can trick the other through files.
 */
import { homedir } from "node:os";
import { ensureUser, lookUp, type UserEntry } from "../../sandbox/user.ts";
import { StartError } from "./report.ts";

export interface Identity {
  name: string;
  uid: number;
  gid: number;
  home: string;
  /** The command that runs `command` as this user. */
  wrap(command: string[], options?: { dieWithParent?: boolean }): string[];
}

const isLinux = process.platform === "linux";

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
    if (entry !== null)
      return { ...entry, wrap: (command) => [...switching(entry.uid, entry.gid, {}), ...command] };
  }
  return {
    name: currentName(),
    uid,
    gid: process.getgid?.() ?? 0,
    home: process.env.HOME || homedir(),
    wrap: (command) => command,
  };
}

/** From the user database; a user id without an entry there is named by its number. */
function currentName(): string {
  const name = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  return name === "" ? `user ${process.getuid?.()}` : name;
}

/** The agent as the very user who runs the launcher: no isolation. */
export function sameUser(): Identity {
  return {
    name: currentName(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    home: process.env.HOME || homedir(),
    wrap: (command, options = {}) => [...guard(options), ...command],
  };
}

/** The agent as its own user, made when it is not there. */
export function agentUser(name: string, home: string): { agent: Identity; created: boolean } {
  const { user, created } = ensureUser(name, home);
  return { agent: asUser(user), created };
}

export function asUser(user: UserEntry): Identity {
  return {
    ...user,
    wrap: (command, options = {}) => [...switching(user.uid, user.gid, options), ...command],
  };
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  input?: Uint8Array | ReadableStream | string;
  /** Do not throw on a failure; look at `exitCode`. */
  mayFail?: boolean;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs a program as `who` to its end. */
export async function runAs(who: Identity, command: string[], options: RunOptions = {}): Promise<RunResult> {
  const input = options.input;
  const child = Bun.spawn(who.wrap(command), {
    cwd: options.cwd ?? "/",
    env: options.env ?? { ...(process.env as Record<string, string>), HOME: who.home },
    stdin:
      input === undefined ? "ignore" : typeof input === "string" ? new TextEncoder().encode(input) : input,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exitCode !== 0 && options.mayFail !== true) {
    throw new StartError(
      `${command.slice(0, 3).join(" ")} failed as ${who.name} (exit ${exitCode}): ${stderr.trim().split("\n").slice(-3).join(" ")}`,
    );
  }
  return { exitCode, stdout, stderr };
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
