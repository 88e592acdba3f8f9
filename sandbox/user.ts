/** The agent's Unix user: whether one is possible here, making it, finding it, removing it. */
import { existsSync } from "node:fs";
import { delimiter } from "node:path";

/** Marks the user as made by this project, so that another one is neither used nor removed by mistake. */
export const COMMENT = "Isolated AI Coder agent";

/** Something about the user that a person can put right, in one sentence. */
export class UserError extends Error {
  override readonly name = "UserError";
}

export interface UserEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
  comment: string;
}

/** Programs for users live in sbin, which is not on everybody's PATH. */
const ADMIN_PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

const ADMIN_MS = 30_000;

function runAdmin(command: string[]): { ok: boolean; complaint: string; output: string } {
  try {
    const result = Bun.spawnSync(command, {
      env: { ...process.env, PATH: ADMIN_PATH },
      // A directory of users that does not answer is not waited for.
      timeout: ADMIN_MS,
    });
    if (result.exitedDueToTimeout === true)
      throw new UserError(`${command.join(" ")} did not end within ${ADMIN_MS / 1000} s and was stopped`);
    return {
      ok: result.exitCode === 0,
      complaint: result.stderr.toString().trim(),
      output: result.stdout.toString(),
    };
  } catch (error) {
    if (error instanceof UserError) throw error;
    return { ok: false, complaint: (error as Error).message, output: "" };
  }
}

export function lookUp(name: string): UserEntry | null {
  const { ok, output } = runAdmin(["getent", "passwd", name]);
  const [found, , uid, gid, comment = "", home = "/"] = output.trim().split(":");
  return ok && found === name ? { name, uid: Number(uid), gid: Number(gid), comment, home } : null;
}

/** Why a separate user is not possible here, or null when it is. */
export function whyNoSeparateUser(): string | null {
  if (process.platform !== "linux") return "a separate user is set up on Linux only";
  if (process.getuid?.() !== 0) return "only root can run the agent as another user (sudo npm start)";
  for (const program of ["setpriv", "useradd", "getent"]) {
    if (Bun.which(program, { PATH: ADMIN_PATH }) === null) return `the program ${program} is missing`;
  }
  return null;
}

/** Users that were made here and whose names begin so. */
export function agentUsers(prefix: string): UserEntry[] {
  const { output } = runAdmin(["getent", "passwd"]);
  return output.split("\n").flatMap((line) => {
    const [name = "", , uid, gid, comment = "", home = "/"] = line.split(":");
    const isOurs = name.startsWith(prefix) && comment.startsWith(COMMENT);
    return isOurs ? [{ name, uid: Number(uid), gid: Number(gid), comment, home }] : [];
  });
}

/** The agent's own user, made when it is not there. @param purpose what it is for, as its entry says */
export function ensureUser(name: string, home: string, purpose = ""): { user: UserEntry; created: boolean } {
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(name)) {
    throw new UserError(
      `ISOLATED_AI_CODER_USER: "${name}" is not a user name (lower-case letters, digits, - and _)`,
    );
  }
  const existing = lookUp(name);
  if (existing !== null) {
    if (existing.uid === 0 || !existing.comment.startsWith(COMMENT)) {
      throw new UserError(
        `There is a user ${name} on this machine that was not made for the agent: name another with ISOLATED_AI_CODER_USER`,
      );
    }
    return { user: existing, created: false };
  }
  const shell = existsSync("/usr/sbin/nologin") ? "/usr/sbin/nologin" : "/bin/false";
  const made = runAdmin([
    "useradd",
    ...["--system", "--user-group", "--no-create-home", "--home-dir", home],
    ...["--comment", `${COMMENT} ${purpose.replace(/[^\w.-]+/g, "-")}`.trim(), "--shell", shell, name],
  ]);
  const user = lookUp(name);
  if (!made.ok || user === null) {
    throw new UserError(`The user ${name} could not be made: ${made.complaint || "useradd failed"}`);
  }
  return { user, created: true };
}

/** @returns what went wrong, or null */
export function removeUser(name: string): string | null {
  const removed = runAdmin(["userdel", name]);
  if (lookUp(name) !== null) return removed.complaint || "userdel failed";
  runAdmin(["groupdel", name]);
  return null;
}
